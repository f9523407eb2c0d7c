//! The little of ELF that unpacking needs: the dynamic symbols of a 64-bit little-endian library.

/// A dynamic symbol: its name, where its entry is in the file, and whether it is defined.
pub(crate) struct Symbol<'a> {
    pub name: &'a [u8],
    pub entry: usize,
    pub is_defined: bool,
}

const DYNSYM: u32 = 11;
const SYMBOL: usize = 24;
/// Of a symbol's entry: where its section is.
pub(crate) const SECTION_AT: usize = 6;

fn number<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn half(file: &[u8], at: usize) -> Option<usize> {
    number(file, at).map(|bytes| usize::from(u16::from_le_bytes(bytes)))
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    number(file, at).map(u32::from_le_bytes)
}

fn long(file: &[u8], at: usize) -> Option<usize> {
    number(file, at).and_then(|bytes| usize::try_from(u64::from_le_bytes(bytes)).ok())
}

/// Whether the file is an x86-64 library or program.
pub(crate) fn is_x86_64(file: &[u8]) -> bool {
    const MACHINE: usize = 62;
    file.starts_with(b"\x7fELF\x02\x01") && half(file, 18) == Some(MACHINE)
}

/// The dynamic symbols of a library; `None` if the file is none.
pub(crate) fn symbols(file: &[u8]) -> Option<Vec<Symbol<'_>>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (sections, size, count) = (long(file, 40)?, half(file, 58)?, half(file, 60)?);
    let section = |index: usize| sections.checked_add(index.checked_mul(size)?);
    let dynsym = (0..count).filter_map(section).find(|&at| word(file, at + 4) == Some(DYNSYM))?;
    let (start, bytes, link) = (long(file, dynsym + 24)?, long(file, dynsym + 32)?, word(file, dynsym + 40)?);
    let strings = section(link as usize)?;
    let (strings, length) = (long(file, strings + 24)?, long(file, strings + 32)?);
    let strings = file.get(strings..strings.checked_add(length)?)?;
    let read = |index: usize| {
        let entry = start.checked_add(index * SYMBOL)?;
        let name = strings.get(word(file, entry)? as usize..)?;
        let end = name.iter().position(|&byte| byte == 0)?;
        Some(Symbol { name: &name[..end], entry, is_defined: half(file, entry + SECTION_AT)? != 0 })
    };
    (0..bytes / SYMBOL).map(read).collect()
}
