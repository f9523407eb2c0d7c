//! The one place that calls a driver: symbols looked up by name, arguments passed as words.
//!
//! Every argument of the driver API that the cases use is an integer, an enumeration or a pointer,
//! so one word per argument carries it: a 64-bit C calling convention passes each of them in one
//! register or one 8-byte stack slot, and the callee reads the low half where its type is narrower.

use std::collections::HashMap;
use std::ffi::{CString, OsStr, c_void};
use std::sync::Mutex;

/// How symbols of the driver under test are found.
pub struct Driver {
    /// Keeps the library loaded.
    library: libloading::Library,
    /// The version that it answers as, where that is not its own: it has no function of a newer one.
    version: Option<u32>,
    found: Mutex<HashMap<String, Option<usize>>>,
}

impl Driver {
    /// Wraps a loaded libcuda.
    pub fn new(library: libloading::Library) -> Self {
        Self { library, version: None, found: Mutex::new(HashMap::new()) }
    }

    /// Loads the driver of this machine, `libcuda.so.1`.
    ///
    /// # Errors
    /// The loader's message where there is none.
    pub fn system() -> anyhow::Result<Self> {
        Self::open("libcuda.so.1")
    }

    /// Loads the libcuda with this file name or path.
    ///
    /// # Errors
    /// The loader's message.
    pub fn open(name: impl AsRef<OsStr>) -> anyhow::Result<Self> {
        let name = name.as_ref();
        // SAFETY: a libcuda's initialisers may run in any process; its symbols are used as cuda.h declares them.
        let library = unsafe { libloading::Library::new(name) }
            .map_err(|error| anyhow::anyhow!("cannot load the driver {}: {error}", name.display()))?;
        Ok(Self::new(library))
    }

    /// The same driver as one of this version, as `cuDriverGetVersion` numbers it.
    pub fn of_version(self, number: u32) -> Self {
        Self { version: Some(number), ..self }
    }

    /// The entry point with this exact name, or `None` where the driver does not export it.
    pub fn symbol(&self, name: &str) -> Option<Entry> {
        let mut found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let address = found.entry(name.to_owned()).or_insert_with(|| {
            let since = graphproof_api::find(name).map_or(0, |function| function.since);
            if self.version.is_some_and(|version| since > version) {
                return None;
            }
            let name = CString::new(name).ok()?;
            // SAFETY: only the address is taken; `Entry::call` states what its caller must know.
            let symbol = unsafe { self.library.get::<*const c_void>(name.as_bytes_with_nul()) }.ok()?;
            Some(*symbol as usize)
        });
        address.filter(|address| *address != 0).map(Entry)
    }
}

/// The address of an entry point.
#[derive(Clone, Copy, Debug)]
pub struct Entry(usize);

/// Calls `$address` as a function of as many words as there are names.
macro_rules! call_words {
    ($address:expr, $words:expr; $($count:literal => ($($name:ident),*)),* $(,)?) => {
        match *$words {
            $([$($name),*] => {
                type Function = unsafe extern "C" fn($(call_words!(@word $name)),*) -> i32;
                // SAFETY: the address is an entry point with this many arguments, see `Entry::call`.
                unsafe { std::mem::transmute::<usize, Function>($address)($($name),*) }
            })*
            _ => TOO_MANY_ARGUMENTS,
        }
    };
    (@word $name:ident) => { u64 };
}

/// Answered for a call with more arguments than any entry point has; no driver uses it.
const TOO_MANY_ARGUMENTS: i32 = -1;

impl Entry {
    /// Calls the entry point and returns its `CUresult`.
    ///
    /// # Safety
    /// The entry point takes exactly these arguments, each an integer, an enumeration or a pointer,
    /// and every pointer among them is valid for what the function does with it.
    pub unsafe fn call(self, words: &[u64]) -> i32 {
        call_words!(self.0, words;
            0 => (),
            1 => (a),
            2 => (a, b),
            3 => (a, b, c),
            4 => (a, b, c, d),
            5 => (a, b, c, d, e),
            6 => (a, b, c, d, e, f),
            7 => (a, b, c, d, e, f, g),
            8 => (a, b, c, d, e, f, g, h),
            9 => (a, b, c, d, e, f, g, h, i),
            10 => (a, b, c, d, e, f, g, h, i, j),
            11 => (a, b, c, d, e, f, g, h, i, j, k),
        )
    }
}
