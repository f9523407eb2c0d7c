//! Puts the library in front of a driver.

use std::ffi::{CStr, OsStr, OsString, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use graphproof_door::sys;
use object::{Architecture, Object as _, ObjectSection as _, ObjectSymbol as _};

include!(env!("FORWARD_PLACEHOLDER"));

static LIBRARY: &[u8] = include_bytes!(env!("FORWARD_LIBRARY"));
static ALIAS: &[u8] = include_bytes!(env!("FORWARD_ALIAS"));

/// The software driver's library, as cargo leaves it beside the program.
pub const SOFTWARE_FILE: &str = "libgraphproof_driver.so";

/// Why the library cannot be put in front of a driver.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The entry points are written for x86-64.
    #[error("calls are recorded on x86-64 only: this program is built for another processor")]
    Architecture,
    /// No driver behind.
    #[error("no libcuda.so.1 is installed: {0}; `--driver software` needs none")]
    NoDriver(String),
    /// The software driver's library is not where it should be.
    #[error("the software driver's library {SOFTWARE_FILE} is not beside {}: `cargo build --release` leaves it there", .0.display())]
    NoSoftware(PathBuf),
    /// The driver behind cannot be used so.
    #[error("{}: {reason}", path.display())]
    Driver {
        /// Its file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The library cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
}

/// The driver behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its file, an absolute path.
    pub path: PathBuf,
    /// Whether it is the software driver.
    pub software: bool,
}

/// A folder with the library in it, in front of one driver.
#[derive(Debug)]
pub struct Forwarder {
    folder: PathBuf,
    behind: Behind,
    /// Functions that the driver has and the table does not: they resolve, and pass unseen.
    pub unseen: Vec<String>,
}

/// The driver that programs on this machine get: the first `libcuda.so.1` of the loader's search that is
/// not ours.
///
/// # Errors
/// There is none.
pub fn find_real() -> Result<Behind, ForwardError> {
    // SAFETY: a driver's initialisers may run in any process; nothing of it is called.
    let library = unsafe { libloading::os::unix::Library::new("libcuda.so.1") }
        .map_err(|error| ForwardError::NoDriver(error.to_string()))?;
    // SAFETY: only the address is taken.
    let symbol = unsafe { library.get::<*const c_void>(b"cuInit\0") }
        .map_err(|error| ForwardError::NoDriver(error.to_string()))?;
    let path = NonNull::new(symbol.cast_mut()).and_then(file_of);
    let path = path.ok_or_else(|| ForwardError::NoDriver("the loader does not say where it is".to_owned()))?;
    std::mem::forget(library);
    let path =
        path.canonicalize().map_err(|error| ForwardError::Driver { path: path.clone(), reason: error.to_string() })?;
    Ok(Behind { path, software: false })
}

/// The file that an address was loaded from.
pub(crate) fn file_of(address: NonNull<c_void>) -> Option<PathBuf> {
    let mut info = sys::DlInfo {
        file: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol: std::ptr::null(),
        address: std::ptr::null_mut(),
    };
    // SAFETY: the loader only looks the address up, and fills the structure in.
    let found = unsafe { sys::dladdr(address.as_ptr(), &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: a terminated string of the loader, which lives as long as the library.
    let file = unsafe { CStr::from_ptr(info.file) };
    Some(PathBuf::from(OsStr::from_bytes(file.to_bytes())))
}

/// The software driver's library, by [`beside`].
///
/// # Errors
/// It is not there.
pub fn find_software() -> Result<Behind, ForwardError> {
    let found = beside(SOFTWARE_FILE).map(|path| Behind { path, software: true });
    found.ok_or_else(|| ForwardError::NoSoftware(std::env::current_exe().unwrap_or_default()))
}

/// A library beside this program, or where cargo builds it for tests.
pub fn beside(file: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    [folder.join(file), folder.join("deps").join(file)].iter().find_map(|path| path.canonicalize().ok())
}

/// `LD_LIBRARY_PATH` with `folder` in front.
pub fn search_path(folder: &Path) -> OsString {
    let mut search = folder.as_os_str().to_owned();
    if let Some(old) = std::env::var_os("LD_LIBRARY_PATH").filter(|old| !old.is_empty()) {
        search.push(":");
        search.push(old);
    }
    search
}

impl Forwarder {
    /// Unpacks the library into `folder`, in front of `behind`.
    ///
    /// # Errors
    /// The processor is another, the driver is none, or the folder cannot be written to.
    pub fn new(folder: &Path, behind: Behind) -> Result<Self, ForwardError> {
        if LIBRARY.is_empty() {
            return Err(ForwardError::Architecture);
        }
        let refuse = |why: &str| ForwardError::Driver { path: behind.path.clone(), reason: why.to_owned() };
        let driver = std::fs::read(&behind.path).map_err(|error| refuse(&error.to_string()))?;
        let elf = object::File::parse(&*driver).map_err(|error| refuse(&error.to_string()))?;
        if elf.architecture() != Architecture::X86_64 {
            return Err(refuse("it is no library for x86-64"));
        }
        let names = elf.dynamic_symbols().filter(|symbol| symbol.is_definition() || !symbol.is_undefined());
        let mut theirs: Vec<&[u8]> = names.filter_map(|symbol| symbol.name_bytes().ok()).collect();
        if theirs.contains(&&b"InitializeInjectionNvtx2"[..]) {
            return Err(refuse("it is the recorder itself: a trace runs inside another"));
        }
        theirs.sort_unstable();
        let (library, ours) = for_driver(&behind.path, &theirs).map_err(|why| refuse(&why))?;
        let unseen =
            theirs.iter().filter(|name| name.starts_with(b"cu") && ours.binary_search(&name.to_vec()).is_err());
        let unseen = unseen.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let fail = |path: PathBuf| move |source| ForwardError::Write { path, source };
        let file = folder.join("libcuda.so.1");
        std::fs::write(&file, library).map_err(fail(file.clone()))?;
        let link = folder.join("libcuda.so");
        std::os::unix::fs::symlink("libcuda.so.1", &link).map_err(fail(link))?;
        Ok(Self { folder: folder.to_owned(), behind, unseen })
    }

    /// The driver behind.
    pub fn behind(&self) -> &Behind {
        &self.behind
    }

    /// The library.
    pub fn file(&self) -> PathBuf {
        self.folder.join("libcuda.so.1")
    }

    /// Writes the library that answers to `libcuda.so`, where ours, which it depends on, answers to
    /// `libcuda.so.1`: a process that runs already loads it and has both.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(crate) fn write_alias(&self) -> Result<PathBuf, ForwardError> {
        let file = self.folder.join("alias.so");
        std::fs::write(&file, ALIAS).map_err(|source| ForwardError::Write { path: file.clone(), source })?;
        Ok(file)
    }

    /// The variables that put the library in front of the driver in a program, and let it write its record
    /// into `records`.
    pub fn environment(&self, records: &Path) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("LD_LIBRARY_PATH", search_path(&self.folder)),
            ("GRAPHPROOF_TRACE", records.as_os_str().to_owned()),
            ("NVTX_INJECTION64_PATH", self.file().into_os_string()),
        ];
        if self.behind.software {
            variables.push(("GRAPHPROOF_TRACE_SOFTWARE", "1".into()));
        }
        variables
    }
}

/// Bytes of a dynamic symbol (`Elf64_Sym`), and where in it its section and its value stand.
const SYMBOL_BYTES: usize = 24;
const SECTION_AT: usize = 6;
const VALUE_AT: usize = 8;

/// The library's bytes with the driver's path in them, and without the functions that the driver lacks: a
/// program that looks one up shall not find it. The second half is the names that it has.
fn for_driver(driver: &Path, theirs: &[&[u8]]) -> Result<(Vec<u8>, Vec<Vec<u8>>), String> {
    let path = driver.as_os_str().as_bytes();
    if path.len() >= PLACEHOLDER.len() {
        return Err(format!("its path is longer than {} bytes", PLACEHOLDER.len() - 1));
    }
    let mut library = LIBRARY.to_vec();
    let mut at = 0;
    while let Some(found) = library[at..].windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER.as_bytes())
    {
        let place = &mut library[at + found..at + found + PLACEHOLDER.len()];
        place.fill(0);
        place[..path.len()].copy_from_slice(path);
        at += found + PLACEHOLDER.len();
    }
    let elf = object::File::parse(LIBRARY).map_err(|error| error.to_string())?;
    let table = elf.section_by_name(".dynsym").and_then(|section| section.file_range());
    let (start, _) = table.ok_or("the recorder's own symbols cannot be read")?;
    let mut ours = Vec::new();
    for symbol in elf.dynamic_symbols().filter(|symbol| !symbol.is_undefined()) {
        let Some(name) = symbol.name_bytes().ok().filter(|name| name.starts_with(b"cu")) else { continue };
        if theirs.binary_search(&name).is_ok() {
            ours.push(name.to_vec());
        } else {
            // Of no section and without a value: the loader looks on.
            let entry = start as usize + symbol.index().0 * SYMBOL_BYTES;
            library[entry + SECTION_AT..][..2].fill(0);
            library[entry + VALUE_AT..][..8].fill(0);
        }
    }
    ours.sort_unstable();
    Ok((library, ours))
}
