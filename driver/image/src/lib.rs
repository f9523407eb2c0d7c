//! Module images: what `cuModuleLoadData` and its kin are given when it is not PTX text.
//!
//! * A **fatbin** ([`fatbin`]) holds several images, one for each target, some of them compressed. The
//!   wrapper that `nvcc` puts in front of one is declared in CUDA's own `fatbinary_section.h`.
//! * A **cubin** ([`cubin`]) is an ELF file of machine code. Nothing here can execute it; its kernels'
//!   names and parameters can be told.
//! * The **container** ([`container`]) is ours: an ELF file that holds nothing but PTX text. The stand-ins
//!   for compilers and linkers hand it over where a program asked for a cubin.
//!
//! This crate knows no driver. Everything it reads is untrusted: sizes are checked against what is there,
//! and what is unpacked is bounded by what the image claims and by [`LARGEST`].

pub mod container;
pub mod cubin;
pub mod fatbin;
mod memory;
mod unpack;

pub use memory::read_image;

/// The most bytes that one image may have, packed or unpacked.
pub const LARGEST: u64 = 1 << 30;

/// Magic bytes of an ELF file.
pub const ELF: [u8; 4] = *b"\x7fELF";
/// Magic bytes of a fatbin.
pub const FATBIN: [u8; 4] = 0xba55_ed50_u32.to_le_bytes();
/// Magic bytes of the wrapper around a fatbin's address: `FATBINC_MAGIC`.
pub const WRAPPER: [u8; 4] = 0x4662_43b1_u32.to_le_bytes();

/// Why an image cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is not what it says it is.
    #[error("{0}")]
    Broken(String),
    /// It is whole, and has nothing for this device.
    #[error("{0}")]
    NothingForDevice(String),
}

/// What of an image the software driver can load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loadable {
    /// PTX text.
    Ptx(String),
    /// Machine code, of which the outside is known.
    Opaque(cubin::Cubin),
}

/// A binary image's best part for a device of compute capability `capability` (10 × major + minor): PTX
/// of the newest target that it runs; failing that, where `opaque` allows it, machine code for it.
///
/// # Errors
/// What is wrong with the image, or what it holds instead.
pub fn choose(image: &[u8], capability: u32, opaque: bool) -> Result<Loadable, ImageError> {
    if image.starts_with(&FATBIN) {
        return fatbin::choose(image, capability, opaque);
    }
    if let Some(text) = container::ptx(image) {
        return Ok(Loadable::Ptx(text?));
    }
    let cubin = cubin::Cubin::read(image)?;
    if !opaque {
        return Err(ImageError::NothingForDevice(format!(
            "the image is machine code for {} (a cubin) without PTX, and the software driver executes PTX only; \
             {OPAQUE_HINT}",
            cubin.target()
        )));
    }
    if !cubin.runs_on(capability) {
        return Err(ImageError::NothingForDevice(format!(
            "the image is machine code for {}, which does not run on this device, sm_{capability}",
            cubin.target()
        )));
    }
    Ok(Loadable::Opaque(cubin))
}

/// What to do about machine code.
pub const OPAQUE_HINT: &str = "to judge captures without executing its kernels, set GRAPHPROOF_OPAQUE_KERNELS=1";
