//! Compiles CUDA C++ at run time, with NVRTC where one is found.
//!
//! The library is opened here and not through cudarc: cudarc takes whichever `libnvrtc` the
//! loader finds first and panics without one, while the pinned compiler has to win and its
//! absence has to be told.

mod error;
mod search;

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

use libloading::os::unix;

pub use error::CompileError;
use search::{folders, open, sorted_entries};

type Program = *mut c_void;
type CreateProgram = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type CompileProgram = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type DestroyProgram = unsafe extern "C" fn(*mut Program) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Read = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Version = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
type ErrorString = unsafe extern "C" fn(c_int) -> *const c_char;

/// NVRTC, loaded.
pub struct Nvrtc {
    path: String,
    version: (c_int, c_int),
    create: CreateProgram,
    compile: CompileProgram,
    destroy: DestroyProgram,
    ptx_size: Size,
    ptx: Read,
    log_size: Size,
    log: Read,
    error_string: ErrorString,
    // Declared last: dropped after the function pointers above have had their last use.
    _library: unix::Library,
    _builtins: Vec<unix::Library>,
}

impl std::fmt::Debug for Nvrtc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nvrtc").field("path", &self.path).field("version", &self.version).finish_non_exhaustive()
    }
}

/// A function of the library. `T` must be its type.
fn symbol<T: Copy>(library: &unix::Library, path: &str, name: &'static str) -> Result<T, CompileError> {
    // SAFETY: each caller names the type that nvrtc.h gives the function.
    let found = unsafe { library.get::<T>(name.as_bytes()) };
    match found {
        Ok(function) => Ok(*function),
        Err(error) => Err(CompileError::Symbol { path: path.to_owned(), symbol: name, error: error.to_string() }),
    }
}

impl Nvrtc {
    /// Finds and loads NVRTC: `.cuda/` of the checkout, the active virtual environment of Python,
    /// `CUDA_PATH`, `CUDA_HOME`, `/usr/local/cuda`, then the loader's own search.
    ///
    /// # Errors
    /// None was found, with every place tried; or the one found is not NVRTC.
    pub fn find() -> Result<Self, CompileError> {
        let mut tried = Vec::new();
        for folder in folders() {
            let libraries = sorted_entries(&folder, "libnvrtc.so");
            if libraries.is_empty() {
                tried.push(format!("{}: no libnvrtc.so*", folder.display()));
            }
            for path in libraries {
                // NVRTC opens its builtins by bare name and has no search path of its own.
                let builtins =
                    sorted_entries(&folder, "libnvrtc-builtins.so").iter().filter_map(|path| open(path).ok()).collect();
                match open(&path) {
                    Ok(library) => return Self::load(path.display().to_string(), library, builtins),
                    Err(error) => tried.push(error),
                }
            }
        }
        for name in ["libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so"] {
            match open(Path::new(name)) {
                Ok(library) => return Self::load(name.to_owned(), library, Vec::new()),
                Err(error) => tried.push(error),
            }
        }
        Err(CompileError::NotFound { tried })
    }

    fn load(path: String, library: unix::Library, builtins: Vec<unix::Library>) -> Result<Self, CompileError> {
        let version: Version = symbol(&library, &path, "nvrtcVersion")?;
        let mut nvrtc = Nvrtc {
            create: symbol(&library, &path, "nvrtcCreateProgram")?,
            compile: symbol(&library, &path, "nvrtcCompileProgram")?,
            destroy: symbol(&library, &path, "nvrtcDestroyProgram")?,
            ptx_size: symbol(&library, &path, "nvrtcGetPTXSize")?,
            ptx: symbol(&library, &path, "nvrtcGetPTX")?,
            log_size: symbol(&library, &path, "nvrtcGetProgramLogSize")?,
            log: symbol(&library, &path, "nvrtcGetProgramLog")?,
            error_string: symbol(&library, &path, "nvrtcGetErrorString")?,
            version: (0, 0),
            path,
            _library: library,
            _builtins: builtins,
        };
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both pointers are valid for the call.
        let code = unsafe { version(&mut major, &mut minor) };
        nvrtc.check("nvrtcVersion", code)?;
        nvrtc.version = (major, minor);
        Ok(nvrtc)
    }

    /// The library's path, or the name that the loader found it by.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its version, such as `12.8`.
    pub fn version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    fn name_of(&self, code: c_int) -> String {
        // SAFETY: nvrtcGetErrorString accepts any value and returns a static string.
        let text = unsafe { (self.error_string)(code) };
        if text.is_null() {
            return format!("error {code}");
        }
        // SAFETY: not null, and NUL-terminated by nvrtc.h.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    fn check(&self, call: &'static str, code: c_int) -> Result<(), CompileError> {
        if code == 0 {
            return Ok(());
        }
        Err(CompileError::Call { call, path: self.path.clone(), code: self.name_of(code) })
    }

    fn read(&self, call: &'static str, program: Program, size: Size, read: Read) -> Result<String, CompileError> {
        let mut bytes = 0;
        // SAFETY: the program is live and the pointer valid.
        self.check(call, unsafe { size(program, &mut bytes) })?;
        let mut text = vec![0u8; bytes];
        // SAFETY: the buffer has the size that NVRTC has just asked for.
        self.check(call, unsafe { read(program, text.as_mut_ptr().cast()) })?;
        while text.last() == Some(&0) {
            text.pop();
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Compiles `file` of `sources`, whose other entries serve its `#include`s by their names.
    ///
    /// # Errors
    /// The source does not compile, with the compiler's log; or a call fails.
    pub fn compile(
        &self,
        file: &str,
        sources: &[(String, Cow<'static, str>)],
        options: &[&str],
    ) -> Result<String, CompileError> {
        let mut main = CString::default();
        let (mut names, mut texts) = (Vec::new(), Vec::new());
        for (name, text) in sources {
            let text = CString::new(text.as_bytes())?;
            if name == file {
                main = text;
            } else {
                names.push(CString::new(name.as_str())?);
                texts.push(text);
            }
        }
        let options = options.iter().map(|option| CString::new(*option)).collect::<Result<Vec<_>, _>>()?;
        let pointers = |strings: &[CString]| strings.iter().map(|string| string.as_ptr()).collect::<Vec<_>>();
        let (name, name_list, text_list, option_list) =
            (CString::new(file)?, pointers(&names), pointers(&texts), pointers(&options));

        let mut program: Program = std::ptr::null_mut();
        // SAFETY: every string lives until the end of this function; the lists have equal length.
        let code = unsafe {
            (self.create)(
                &mut program,
                main.as_ptr(),
                name.as_ptr(),
                text_list.len() as c_int,
                text_list.as_ptr(),
                name_list.as_ptr(),
            )
        };
        self.check("nvrtcCreateProgram", code)?;
        // SAFETY: the program was created above, and the list has as many entries as said.
        let code = unsafe { (self.compile)(program, option_list.len() as c_int, option_list.as_ptr()) };
        let result = if code == 0 {
            self.read("nvrtcGetPTX", program, self.ptx_size, self.ptx)
        } else {
            let log = self.read("nvrtcGetProgramLog", program, self.log_size, self.log).unwrap_or_default();
            let compiler = format!("NVRTC {} ({})", self.version(), self.path);
            Err(CompileError::Source { file: file.to_owned(), compiler, code: self.name_of(code), log })
        };
        // SAFETY: the program is live; nothing uses it after this.
        let code = unsafe { (self.destroy)(&mut program) };
        let ptx = result?;
        self.check("nvrtcDestroyProgram", code)?;
        Ok(ptx)
    }
}
