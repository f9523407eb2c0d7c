//! Finds the system's own driver, without initialising it.

use std::ffi::c_int;
use std::path::PathBuf;

use super::dl::{Library, file_of};

/// What was found under the names of NVIDIA's driver.
#[derive(Debug, Clone)]
pub enum System {
    /// A driver.
    Found {
        /// Its file.
        path: PathBuf,
        /// `cuDriverGetVersion`, such as 13030; `None` if it does not say.
        version: Option<i32>,
    },
    /// None.
    NotFound {
        /// What was tried, in order.
        tried: Vec<Tried>,
    },
}

/// A name that was tried, and why it did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The name given to the dynamic linker.
    pub name: String,
    /// Its answer.
    pub reason: String,
}

/// Looks for a driver as cudarc would. It is loaded (a driver cannot be looked at otherwise) but
/// not initialised. Once the software driver is installed, only NVIDIA's own name is asked for.
pub fn find_system() -> System {
    let mut tried = Vec::new();
    // The versioned name first: the other one is ours once the software driver is installed.
    for name in ["libcuda.so.1", "libcuda.so"] {
        match look(name) {
            Ok(found) => return found,
            Err(reason) => tried.push(Tried { name: name.to_owned(), reason }),
        }
    }
    System::NotFound { tried }
}

fn look(name: &str) -> Result<System, String> {
    let library = Library::open(name, libc::RTLD_LAZY | libc::RTLD_LOCAL)?;
    let init = library.symbol(c"cuInit").ok_or("it does not export cuInit")?;
    if library.symbol(c"graphproof_stub_install").is_some() {
        return Err("it is this program's own software driver".to_owned());
    }
    let version = library.symbol(c"cuDriverGetVersion").and_then(|function| {
        // SAFETY: the documented type of this function, which needs no initialisation.
        let function: unsafe extern "C" fn(*mut c_int) -> u32 = unsafe { std::mem::transmute(function.as_ptr()) };
        let mut version = 0;
        // SAFETY: a valid place for the result.
        (unsafe { function(&raw mut version) } == 0 && version > 0).then_some(version)
    });
    Ok(System::Found { path: file_of(init).unwrap_or_else(|| name.into()), version })
}
