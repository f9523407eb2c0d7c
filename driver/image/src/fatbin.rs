//! Fatbins: images for several targets in one.
//!
//! A header (magic, version, its own size, size of what follows) and entries, each with a header of its
//! own: kind, sizes, target, and whether the payload is packed by LZ4 or zstd. CUDA's `fatbinary` makes
//! them; the fields were read from what it makes of known input, in all its modes of compression.

use crate::cubin::Cubin;
use crate::{FATBIN, ImageError, Loadable, OPAQUE_HINT, container, unpack};

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PTX text.
    Ptx,
    /// A cubin.
    Cubin,
    /// Something else, such as code for link-time optimisation.
    Other(u16),
}

/// An entry, not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it holds.
    pub kind: Kind,
    /// 10 × major + minor of its target's compute capability.
    pub architecture: u32,
    flags: u64,
    unpacked: u64,
    payload: &'a [u8],
}

const ENTRY_HEADER: usize = 64;
const LZ4: u64 = 0x2000;
const ZSTD: u64 = 0x8000;

fn broken(text: impl Into<String>) -> ImageError {
    ImageError::Broken(text.into())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|found| found.try_into().ok()).unwrap_or([0; N])
}

/// The entries of an image; several fatbins may follow each other in a file.
///
/// # Errors
/// What is cut off, or claims more than the image holds.
pub fn entries(image: &[u8]) -> Result<Vec<Entry<'_>>, ImageError> {
    let mut found = Vec::new();
    let mut rest = image;
    while rest.starts_with(&FATBIN) {
        let header = usize::from(u16::from_le_bytes(field(rest, 6)));
        let size = u64::from_le_bytes(field(rest, 8));
        let all = usize::try_from(size).ok().and_then(|size| size.checked_add(header));
        let all = all.filter(|&all| header >= 16 && all <= rest.len()).ok_or_else(|| {
            broken(format!("the fatbin claims a header of {header} and {size} bytes; {} are there", rest.len()))
        })?;
        let mut entries = &rest[header..all];
        while !entries.is_empty() {
            let (entry, size) = entry(entries)?;
            found.push(entry);
            entries = &entries[size..];
        }
        rest = &rest[all..];
        // They begin at multiples of eight.
        let padding = rest.iter().take(8).take_while(|&&byte| byte == 0).count();
        rest = &rest[padding..];
    }
    if found.is_empty() { Err(broken("the fatbin has no entries")) } else { Ok(found) }
}

fn entry(bytes: &[u8]) -> Result<(Entry<'_>, usize), ImageError> {
    if bytes.len() < ENTRY_HEADER {
        return Err(broken(format!("the fatbin's last entry is cut off: {} bytes", bytes.len())));
    }
    let header = u32::from_le_bytes(field(bytes, 4)) as usize;
    let padded = u64::from_le_bytes(field(bytes, 8));
    let packed = u32::from_le_bytes(field(bytes, 16)) as usize;
    let all = usize::try_from(padded).ok().and_then(|padded| padded.checked_add(header));
    let all = all.filter(|&all| header >= ENTRY_HEADER && all <= bytes.len()).ok_or_else(|| {
        broken(format!("a fatbin entry claims a header of {header} and {padded} bytes; {} are there", bytes.len()))
    })?;
    let payload = &bytes[header..all];
    let payload = match packed {
        0 => payload,
        packed => payload.get(..packed).ok_or_else(|| {
            broken(format!("a fatbin entry claims {packed} packed bytes; it holds {}", payload.len()))
        })?,
    };
    let kind = match u16::from_le_bytes(field(bytes, 0)) {
        1 => Kind::Ptx,
        2 => Kind::Cubin,
        other => Kind::Other(other),
    };
    let entry = Entry {
        kind,
        architecture: u32::from_le_bytes(field(bytes, 28)),
        flags: u64::from_le_bytes(field(bytes, 40)),
        unpacked: u64::from_le_bytes(field(bytes, 56)),
        payload,
    };
    Ok((entry, all))
}

impl Entry<'_> {
    /// The payload, unpacked.
    ///
    /// # Errors
    /// What is wrong with the packed bytes.
    pub fn unpack(&self) -> Result<Vec<u8>, ImageError> {
        match (self.flags & LZ4 != 0, self.flags & ZSTD != 0) {
            (false, false) => Ok(self.payload.to_vec()),
            (true, false) => unpack::lz4(self.payload, self.unpacked),
            (false, true) => unpack::zstd(self.payload, self.unpacked),
            (true, true) => Err(broken("a fatbin entry says that it is packed by LZ4 and by zstd")),
        }
    }

    fn text(&self) -> Result<String, ImageError> {
        let bytes = self.unpack()?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|error| broken(format!("a fatbin's PTX is not text: {error}")))?;
        Ok(text.trim_start().to_owned())
    }

    fn describe(&self) -> String {
        let what = match self.kind {
            Kind::Ptx => "PTX",
            Kind::Cubin => "machine code",
            Kind::Other(_) => "an unknown kind of code",
        };
        format!("{what} for sm_{}", self.architecture)
    }
}

/// Whether PTX text is for one architecture, or family of them, alone: `sm_90a`, `sm_100f`.
fn is_for_one_only(text: &str) -> bool {
    let target = text.split_once(".target").and_then(|(_, rest)| rest.split_whitespace().next());
    target.is_some_and(|target| target.trim_end_matches(',').ends_with(['a', 'f']))
}

/// As [`crate::choose`], of a fatbin.
pub(crate) fn choose(image: &[u8], capability: u32, opaque: bool) -> Result<Loadable, ImageError> {
    let entries = entries(image)?;
    let mut texts: Vec<_> = entries.iter().filter(|e| e.kind == Kind::Ptx && e.architecture <= capability).collect();
    texts.sort_by_key(|entry| std::cmp::Reverse(entry.architecture));
    for entry in texts {
        let text = entry.text()?;
        if entry.architecture == capability || !is_for_one_only(&text) {
            return Ok(Loadable::Ptx(text));
        }
    }
    let mut codes: Vec<_> = entries.iter().filter(|entry| entry.kind == Kind::Cubin).collect();
    codes.sort_by_key(|entry| std::cmp::Reverse(entry.architecture));
    for entry in codes {
        let code = entry.unpack()?;
        // A linked container stands where a cubin would.
        if let Some(text) = container::ptx(&code) {
            return Ok(Loadable::Ptx(text?));
        }
        if opaque {
            let cubin = Cubin::read(&code)?;
            if cubin.runs_on(capability) {
                return Ok(Loadable::Opaque(cubin));
            }
        }
    }
    let mut held: Vec<String> = entries.iter().map(Entry::describe).collect();
    held.dedup();
    let hint = if opaque { String::new() } else { format!("; {OPAQUE_HINT}") };
    Err(ImageError::NothingForDevice(format!(
        "the fatbin has {}; the software driver executes PTX for sm_{capability} or older: compile with \
         -gencode arch=compute_{capability},code=compute_{capability}{hint}",
        held.join(", ")
    )))
}
