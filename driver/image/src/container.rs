//! The container: an ELF file for the CUDA machine that holds PTX text and no machine code.
//!
//! A program that asks a compiler or linker for a cubin looks at its first bytes at most, and hands it to
//! the driver. So the stand-ins give it PTX in this form, and our driver finds the text again.

use object::read::elf::{ElfFile64, FileHeader};
use object::{LittleEndian, Object, ObjectSection};

use crate::ImageError;

/// The section that holds the text.
const SECTION: &str = ".graphproof.ptx";
/// `EM_CUDA`.
const MACHINE: u16 = 190;
/// Of `e_flags`: the architecture stands in the second byte.
const ARCHITECTURE_SHIFT: u32 = 8;

/// Packs PTX text; `target` is 10 × major + minor of the capability that was asked for.
pub fn pack(text: &str, target: u32) -> Vec<u8> {
    const HEADER: u64 = 64;
    let names = format!("\0.shstrtab\0{SECTION}\0");
    let text_at = HEADER + names.len() as u64;
    let table_at = (text_at + text.len() as u64 + 1).next_multiple_of(8);
    let mut out = Vec::with_capacity(table_at as usize + 3 * 64);
    out.extend_from_slice(b"\x7fELF\x02\x01\x01\x41\x08\0\0\0\0\0\0\0");
    // Type EXEC, machine, version, entry, no segments.
    out.extend_from_slice(&2u16.to_le_bytes());
    out.extend_from_slice(&MACHINE.to_le_bytes());
    out.extend_from_slice(&1u32.to_le_bytes());
    for word in [0, 0, table_at] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&(target << ARCHITECTURE_SHIFT).to_le_bytes());
    for half in [64u16, 56, 0, 64, 3, 1] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    out.extend_from_slice(names.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.resize(table_at as usize, 0);
    out.extend_from_slice(&[0; 64]);
    // A string table, then program data that ends with NUL.
    section(&mut out, 1, 3, HEADER, names.len() as u64);
    section(&mut out, 11, 1, text_at, text.len() as u64 + 1);
    out
}

fn section(out: &mut Vec<u8>, name: u32, kind: u32, offset: u64, size: u64) {
    out.extend_from_slice(&name.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    for word in [0, 0, offset, size, 0, 1, 0] {
        out.extend_from_slice(&u64::to_le_bytes(word));
    }
}

/// The text of a container; `None` if the image is none.
pub fn ptx(image: &[u8]) -> Option<Result<String, ImageError>> {
    let file = ElfFile64::<LittleEndian>::parse(image).ok()?;
    if file.elf_header().e_machine(LittleEndian).0 != MACHINE {
        return None;
    }
    let bytes = file.section_by_name(SECTION)?.data().ok()?;
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map(str::to_owned);
    Some(text.map_err(|error| ImageError::Broken(format!("the container's PTX is not text: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back() {
        let text = ".version 8.0\n.target sm_80\n.address_size 64\n";
        let image = pack(text, 80);
        assert_eq!(ptx(&image), Some(Ok(text.to_owned())));
        for end in 0..image.len() {
            let _ = ptx(&image[..end]);
        }
    }
}
