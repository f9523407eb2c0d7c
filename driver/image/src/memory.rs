//! Reading an image of which only the address is known.

use std::ffi::c_void;

use crate::{ELF, FATBIN, ImageError, LARGEST, WRAPPER};

/// Bytes of `size` at `address`, whether or not that much is mapped: what an image in memory claims about
/// its size must not be believed.
fn copy(address: u64, size: usize) -> Result<Vec<u8>, ImageError> {
    let missing = |read: usize| {
        ImageError::Broken(format!("the image claims {size} bytes at {address:#x}, and only {read} can be read"))
    };
    if size as u64 > LARGEST {
        return Err(ImageError::Broken(format!("the image claims {size} bytes; at most {LARGEST} are read")));
    }
    let mut bytes = vec![0u8; size];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: size };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address as usize), iov_len: size };
    // SAFETY: the call writes to our own buffer, and reports an unreadable source instead of faulting.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(read) {
        Ok(read) if read == size => Ok(bytes),
        Ok(read) => Err(missing(read)),
        Err(_) if std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT) => Err(missing(0)),
        // A sandbox may forbid the call. The caller vouches for the image then, as CUDA has it.
        Err(_) => {
            // SAFETY: the image's own bytes, by its own header.
            unsafe { bytes.as_mut_ptr().copy_from(std::ptr::without_provenance(address as usize), size) };
            Ok(bytes)
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 2).map_or(0, |b| u64::from(u16::from_le_bytes([b[0], b[1]])))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The bytes of the binary image at `image`: a cubin, a fatbin, or a wrapper around a fatbin's address.
/// `None`: it begins like none of these, so it is text.
///
/// # Errors
/// Its claims about its own size that do not hold.
///
/// # Safety
/// `image` points to at least one byte, and to more if those before are part of such an image.
pub unsafe fn read_image(image: *const c_void) -> Option<Result<Vec<u8>, ImageError>> {
    let mut magic = [0u8; 4];
    for (at, byte) in magic.iter_mut().enumerate() {
        // SAFETY: all bytes before are those of a binary's magic number, which has four.
        *byte = unsafe { image.cast::<u8>().add(at).read() };
        if ![ELF, FATBIN, WRAPPER].iter().any(|known| known[at] == *byte) {
            return None;
        }
    }
    let address = image as u64;
    match magic {
        ELF => Some(elf_size(address).and_then(|size| copy(address, size))),
        FATBIN => Some(fatbin(address)),
        WRAPPER => Some(copy(address, 24).and_then(|wrapper| match u64_at(&wrapper, 8) {
            0 => Err(ImageError::Broken("the fatbin wrapper has no fatbin".to_owned())),
            data => fatbin(data),
        })),
        _ => None,
    }
}

fn fatbin(address: u64) -> Result<Vec<u8>, ImageError> {
    let header = copy(address, 16)?;
    if !header.starts_with(&FATBIN) {
        return Err(ImageError::Broken("the fatbin wrapper points to something that is no fatbin".to_owned()));
    }
    let size = u64_at(&header, 8).saturating_add(u16_at(&header, 6));
    copy(address, usize::try_from(size).unwrap_or(usize::MAX))
}

/// The size of an ELF image: the end of the last thing that its headers name.
fn elf_size(address: u64) -> Result<usize, ImageError> {
    const SECTION_WITHOUT_BYTES: u32 = 8;
    let header = copy(address, 64)?;
    let (segments, sections) = (u64_at(&header, 32), u64_at(&header, 40));
    let (segment_bytes, section_bytes) =
        (u16_at(&header, 54) * u16_at(&header, 56), u16_at(&header, 58) * u16_at(&header, 60));
    let mut end = segments.saturating_add(segment_bytes).max(sections.saturating_add(section_bytes)).max(64);
    let table = copy(address.saturating_add(sections), section_bytes as usize)?;
    for section in table.chunks_exact((u16_at(&header, 58) as usize).max(64)) {
        let kind = u32::from_le_bytes([section[4], section[5], section[6], section[7]]);
        if kind != SECTION_WITHOUT_BYTES {
            end = end.max(u64_at(section, 24).saturating_add(u64_at(section, 32)));
        }
    }
    Ok(usize::try_from(end).unwrap_or(usize::MAX))
}
