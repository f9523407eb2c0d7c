//! Where the loader would find a driver, told without loading it: what is loaded first in a process answers to
//! the name for good, and that shall be the recorder.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::unpack::{Behind, ForwardError};

const NAME: &str = "libcuda.so.1";

/// Where the loader looks last.
const DEFAULTS: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// The `libcuda.so.1` that this process would get: of `LD_LIBRARY_PATH`, then the loader's cache, then the
/// folders that it knows by itself. Nothing is loaded.
///
/// # Errors
/// There is none.
pub fn search_real() -> Result<Behind, ForwardError> {
    let variable = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
    let cached = cached(&cache, NAME).into_iter().map(PathBuf::from);
    let defaults = DEFAULTS.iter().map(|folder| Path::new(folder).join(NAME));
    let found = named(variable.as_bytes()).into_iter().chain(cached).chain(defaults).find(|path| is_library(path));
    let path = found.ok_or_else(|| {
        ForwardError::NoDriver(format!(
            "{NAME} is in no folder of LD_LIBRARY_PATH, of the loader's cache or of its own"
        ))
    })?;
    let path = path.canonicalize().map_err(|error| ForwardError::Driver { path, reason: error.to_string() })?;
    Ok(Behind { path, software: false })
}

/// The files that a list of folders names; an empty one is the current folder.
fn named(folders: &[u8]) -> Vec<PathBuf> {
    if folders.is_empty() {
        return Vec::new();
    }
    let folders = folders.split(|byte| matches!(byte, b':' | b';'));
    let folders = folders.map(|folder| Path::new(std::ffi::OsStr::from_bytes(folder)));
    folders.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.join(NAME)).collect()
}

/// Whether that is a library that this process can load: the loader passes over others.
fn is_library(path: &Path) -> bool {
    let mut head = [0; 20];
    let read = fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    // ELF, 64 bits; ET_DYN, EM_X86_64.
    read.is_ok() && head[..5] == *b"\x7fELF\x02" && head[16..] == [3, 0, 62, 0]
}

/// The files that `/etc/ld.so.cache` names for a library of this architecture.
///
/// Its format is that of glibc's `elf/cache.c`: `glibc-ld.so.cache1.1`, alone or behind one of the older format;
/// 48 bytes of header, then entries of 24 bytes, whose offsets of key and path count from the header.
fn cached<'a>(cache: &'a [u8], name: &str) -> Vec<&'a str> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEADER: usize = 48;
    const ENTRY: usize = 24;
    // FLAG_X8664_LIB64, in the byte that says the architecture.
    const ARCHITECTURE: u32 = 0x0300;
    let Some(start) = cache.windows(MAGIC.len()).position(|window| window == MAGIC) else { return Vec::new() };
    let cache = &cache[start..];
    let number = |at: usize| Some(u32::from_le_bytes(cache.get(at..at + 4)?.try_into().ok()?));
    let text = |at: u32| {
        let rest = cache.get(at as usize..)?;
        std::str::from_utf8(&rest[..rest.iter().position(|&byte| byte == 0)?]).ok()
    };
    let entry = |index: u32| {
        let at = HEADER + index as usize * ENTRY;
        let (flags, key, path) = (number(at)?, number(at + 4)?, number(at + 8)?);
        let is_it = flags & 0xff00 == ARCHITECTURE && text(key)? == name;
        is_it.then(|| text(path)).flatten()
    };
    let count = number(MAGIC.len()).unwrap_or(0);
    let most = (cache.len() / ENTRY) as u32;
    (0..count.min(most)).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_s_cache_is_read_as_the_loader_reads_it() {
        let cache = fs::read("/etc/ld.so.cache").expect("a system with a loader");
        // SAFETY: the C library, which is loaded already.
        let library = unsafe { libloading::os::unix::Library::new("libm.so.6") };
        assert!(library.is_ok());
        let found = cached(&cache, "libm.so.6");
        assert!(found.iter().any(|path| is_library(Path::new(path))), "{found:?}");
        assert!(cached(&cache, "libno-such-library.so.1").is_empty());
    }

    #[test]
    fn a_damaged_cache_names_nothing_and_harms_nothing() {
        let cache = fs::read("/etc/ld.so.cache").expect("a system with a loader");
        for end in [0, 10, 20, 24, 48, 60, cache.len() / 2] {
            cached(&cache[..end.min(cache.len())], "libm.so.6");
        }
        let mut wild = cache;
        wild.iter_mut().skip(24).step_by(7).for_each(|byte| *byte = 0xff);
        cached(&wild, "libm.so.6");
    }

    #[test]
    fn folders_are_looked_into_in_their_order() {
        let found = named(b"/a:;/b/c");
        assert_eq!(found, ["/a/libcuda.so.1", "./libcuda.so.1", "/b/c/libcuda.so.1"].map(PathBuf::from));
        assert!(named(b"").is_empty());
    }
}
