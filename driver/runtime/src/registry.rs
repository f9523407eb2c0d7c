//! What `nvcc`'s output registers before `main`: fatbins, and the kernels and variables in them by the
//! addresses that host code knows them by. A fatbin is loaded when something of it is first needed.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::door::{self, Failure, Outcome};
use crate::driver;
use crate::types::Pointer;

/// A registered fatbin.
struct Fatbin {
    /// The address of its `__fatBinC_Wrapper_t`.
    wrapper: usize,
    /// Its `CUlibrary`.
    library: OnceLock<Outcome<usize>>,
    managed: OnceLock<Outcome>,
}

struct Kernel {
    fatbin: &'static Fatbin,
    name: CString,
    /// Its `CUkernel`.
    handle: OnceLock<Outcome<usize>>,
}

#[derive(Clone)]
struct Variable {
    fatbin: &'static Fatbin,
    name: CString,
    /// For a managed variable: where host code expects its address.
    managed: Option<usize>,
}

#[derive(Default)]
struct Registry {
    kernels: HashMap<usize, &'static Kernel>,
    variables: HashMap<usize, Variable>,
    /// Host addresses by kernel and by function: what a kernel node is told to be of.
    functions: HashMap<usize, usize>,
}

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fatbin {
    fn library(&self) -> Outcome<usize> {
        *self.library.get_or_init(|| {
            let mut library = 0usize;
            let (wrapper, none) = (std::ptr::without_provenance::<c_void>(self.wrapper), std::ptr::null());
            // SAFETY: the wrapper that the program registered, which lives as long as it does.
            unsafe { driver::cuLibraryLoadData((&raw mut library).cast(), wrapper, none, none, 0, none, none, 0) }?;
            Ok(library)
        })
    }

    fn global(&self, name: &CStr) -> Outcome<(u64, usize)> {
        let (mut address, mut size) = (0u64, 0usize);
        let library = self.library()?;
        let places = ((&raw mut address).cast::<c_void>(), (&raw mut size).cast::<c_void>());
        // SAFETY: places for the results, and a terminated name.
        unsafe { driver::cuLibraryGetGlobal(places.0, places.1, library, name.as_ptr().cast()) }
            .map_err(|failure| if failure == Failure(500) { Failure::INVALID_SYMBOL } else { failure })?;
        Ok((address, size))
    }

    /// Gives host code the addresses of the fatbin's managed variables.
    fn manage(&'static self) -> Outcome {
        *self.managed.get_or_init(|| {
            let variables: Vec<Variable> =
                registry().variables.values().filter(|variable| std::ptr::eq(variable.fatbin, self)).cloned().collect();
            for variable in variables {
                let Some(place) = variable.managed else { continue };
                let (address, _) = self.global(&variable.name)?;
                // SAFETY: the pointer that host code reads the variable through.
                unsafe { std::ptr::without_provenance_mut::<u64>(place).write(address) };
            }
            Ok(())
        })
    }
}

/// The `CUkernel` of a kernel that the program names by host address or by handle.
pub(crate) fn kernel(function: usize) -> Outcome<usize> {
    if function == 0 {
        return Err(Failure::INVALID_DEVICE_FUNCTION);
    }
    let Some(kernel) = registry().kernels.get(&function).copied() else { return Ok(function) };
    *kernel.handle.get_or_init(|| {
        let mut handle = 0usize;
        let library = kernel.fatbin.library()?;
        kernel.fatbin.manage()?;
        // SAFETY: a place for the result, and a terminated name.
        unsafe { driver::cuLibraryGetKernel((&raw mut handle).cast(), library, kernel.name.as_ptr().cast()) }
            .map_err(|failure| if failure == Failure(500) { Failure::INVALID_DEVICE_FUNCTION } else { failure })?;
        registry().functions.insert(handle, function);
        Ok(handle)
    })
}

/// The `CUfunction` of a kernel in the current context.
pub(crate) fn function(named: usize) -> Outcome<usize> {
    let kernel = kernel(named)?;
    let mut function = 0usize;
    // SAFETY: a place for the result; what is no kernel is refused.
    let found = unsafe { driver::cuKernelGetFunction((&raw mut function).cast(), kernel) };
    match found {
        Ok(()) => {
            let mut registry = registry();
            let named = registry.functions.get(&kernel).copied().unwrap_or(named);
            registry.functions.insert(function, named);
            Ok(function)
        }
        Err(Failure::INVALID_RESOURCE_HANDLE) => match is_function(named) {
            true => Ok(named),
            false => Err(Failure::INVALID_DEVICE_FUNCTION),
        },
        Err(failure) => Err(failure),
    }
}

/// As [`function`], for a launch. M (H200, runtime 13.0): what is registered nowhere is taken for a handle.
pub(crate) fn launched(named: usize) -> Outcome<usize> {
    match function(named) {
        Err(Failure::INVALID_DEVICE_FUNCTION) if named != 0 && !registry().kernels.contains_key(&named) => {
            Err(Failure::INVALID_RESOURCE_HANDLE)
        }
        found => found,
    }
}

fn is_function(handle: usize) -> bool {
    let mut module = 0usize;
    // SAFETY: a place for the result; what is no function is refused.
    unsafe { driver::cuFuncGetModule((&raw mut module).cast(), handle) }.is_ok()
}

/// How the program named a function, if it did.
pub(crate) fn named(function: usize) -> usize {
    registry().functions.get(&function).copied().unwrap_or(function)
}

/// Address and size of a variable that the program names by host address.
pub(crate) fn variable(symbol: usize) -> Outcome<(u64, usize)> {
    let variable = registry().variables.get(&symbol).cloned().ok_or(Failure::INVALID_SYMBOL)?;
    variable.fatbin.global(&variable.name)
}

fn fatbin(handle: *mut Pointer) -> Option<&'static Fatbin> {
    // SAFETY: a handle that `__cudaRegisterFatBinary` gave, or null.
    unsafe { handle.cast::<Fatbin>().as_ref() }
}

fn name(text: *const c_char) -> Option<CString> {
    // SAFETY: a string of nvcc's output.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
}

/// Called by nvcc's output for each of its fatbins.
#[unsafe(no_mangle)]
pub extern "C" fn graphproof___cudaRegisterFatBinary(wrapper: *mut c_void) -> *mut Pointer {
    let fatbin = Fatbin { wrapper: wrapper as usize, library: OnceLock::new(), managed: OnceLock::new() };
    // Host code keeps it until it ends.
    std::ptr::from_mut(Box::leak(Box::new(fatbin))).cast()
}

/// Called when all of a fatbin is registered.
#[unsafe(no_mangle)]
pub extern "C" fn graphproof___cudaRegisterFatBinaryEnd(_handle: *mut Pointer) {}

/// Called when the program, or the library that the fatbin is of, ends. What it holds stays loaded: work
/// that is still running may use it.
#[unsafe(no_mangle)]
pub extern "C" fn graphproof___cudaUnregisterFatBinary(handle: *mut Pointer) {
    let Some(fatbin) = fatbin(handle) else { return };
    let mut registry = registry();
    registry.kernels.retain(|_, kernel| !std::ptr::eq(kernel.fatbin, fatbin));
    registry.variables.retain(|_, variable| !std::ptr::eq(variable.fatbin, fatbin));
}

/// Called for each kernel.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "as nvcc calls it")]
pub extern "C" fn graphproof___cudaRegisterFunction(
    handle: *mut Pointer,
    host: *const c_char,
    _device: *mut c_char,
    device_name: *const c_char,
    _thread_limit: i32,
    _tid: Pointer,
    _bid: Pointer,
    _block: Pointer,
    _grid: Pointer,
    _warp: Pointer,
) {
    let (Some(fatbin), Some(name)) = (fatbin(handle), name(device_name)) else { return };
    let kernel = Kernel { fatbin, name, handle: OnceLock::new() };
    registry().kernels.insert(host as usize, Box::leak(Box::new(kernel)));
}

/// Called for each `__device__` and `__constant__` variable.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "as nvcc calls it")]
pub extern "C" fn graphproof___cudaRegisterVar(
    handle: *mut Pointer,
    host: *mut c_char,
    _device: *mut c_char,
    device_name: *const c_char,
    _external: i32,
    _size: usize,
    _constant: i32,
    _global: i32,
) {
    let (Some(fatbin), Some(name)) = (fatbin(handle), name(device_name)) else { return };
    registry().variables.insert(host as usize, Variable { fatbin, name, managed: None });
}

/// Called for each `__managed__` variable: host code reads it through the pointer at `host`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "as nvcc calls it")]
pub extern "C" fn graphproof___cudaRegisterManagedVar(
    handle: *mut Pointer,
    host: *mut Pointer,
    _device: *mut c_char,
    device_name: *const c_char,
    _external: i32,
    _size: usize,
    _constant: i32,
    _global: i32,
) {
    let (Some(fatbin), Some(name)) = (fatbin(handle), name(device_name)) else { return };
    registry().variables.insert(host as usize, Variable { fatbin, name, managed: Some(host as usize) });
}

/// Called before host code first reads a managed variable of the fatbin.
#[unsafe(no_mangle)]
pub extern "C" fn graphproof___cudaInitModule(handle: *mut Pointer) -> c_char {
    let Some(fatbin) = fatbin(handle) else { return 0 };
    let code = door::enter("__cudaInitModule", false, || fatbin.manage());
    c_char::from(code == 0)
}
