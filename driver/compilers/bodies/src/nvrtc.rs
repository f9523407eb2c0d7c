//! NVRTC: the real one compiles; what it is asked for is PTX, and what it is thought to have made is a cubin.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::os::unix::Library;

use crate::whoami;

/// Says where the real library is.
const VARIABLE: &str = "GRAPHPROOF_NVRTC";
/// `nvrtcResult`.
const SUCCESS: i32 = 0;
const INVALID_INPUT: i32 = 3;
const INTERNAL: i32 = 11;

/// Targets of the programs that were compiled for a real architecture: 10 × major + minor.
fn targets() -> MutexGuard<'static, HashMap<usize, u32>> {
    static TARGETS: OnceLock<Mutex<HashMap<usize, u32>>> = OnceLock::new();
    TARGETS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// The real library.
fn real() -> Option<&'static Library> {
    static REAL: OnceLock<Option<Library>> = OnceLock::new();
    REAL.get_or_init(|| {
        let name = format!("libnvrtc.so.{}", whoami::major());
        for path in whoami::candidates(&name, VARIABLE) {
            load_builtins(&path);
            // SAFETY: NVIDIA's library, as any program would load it.
            if let Ok(library) = unsafe { Library::open(Some(&path), libc::RTLD_NOW | libc::RTLD_LOCAL) } {
                return Some(library);
            }
        }
        eprintln!("graphproof: the real {name} was not found: set {VARIABLE} to its path");
        None
    })
    .as_ref()
}

/// Loads what the real library loads by name from the folder that it lies in: it looks for that where the
/// library called libnvrtc lies, which is this one.
fn load_builtins(nvrtc: &Path) {
    let entries = nvrtc.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("libnvrtc-builtins.so") {
            // SAFETY: NVIDIA's library, as NVRTC would load it. It stays loaded.
            if let Ok(library) = unsafe { Library::open(Some(&path), libc::RTLD_NOW | libc::RTLD_GLOBAL) } {
                std::mem::forget(library);
            }
        }
    }
}

/// Calls a function of the real library; its arguments are integers and pointers.
///
/// # Safety
/// As NVRTC documents.
unsafe fn call(name: &CStr, arguments: [usize; 6]) -> i32 {
    let Some(library) = real() else { return INTERNAL };
    type Function = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize) -> i32;
    // SAFETY: a function of fewer arguments does not look at the others' registers.
    match unsafe { library.get::<Function>(name.to_bytes_with_nul()) } {
        // SAFETY: as the caller vouches.
        Ok(function) => unsafe {
            let [a, b, c, d, e, f] = arguments;
            function(a, b, c, d, e, f)
        },
        Err(_) => INTERNAL,
    }
}

/// Entry points that hand everything on.
macro_rules! forwarded {
    ($($entry:ident $name:literal;)*) => {$(
        /// As NVRTC documents.
        ///
        /// # Safety
        /// As NVRTC documents.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $entry(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> i32 {
            // SAFETY: the caller's arguments, handed on.
            unsafe { call($name, [a, b, c, d, e, f]) }
        }
    )*};
}

forwarded! {
    graphproof_nvrtcAddNameExpression c"nvrtcAddNameExpression";
    graphproof_nvrtcCreateProgram c"nvrtcCreateProgram";
    graphproof_nvrtcGetLoweredName c"nvrtcGetLoweredName";
    graphproof_nvrtcGetNVVM c"nvrtcGetNVVM";
    graphproof_nvrtcGetNVVMSize c"nvrtcGetNVVMSize";
    graphproof_nvrtcGetNumSupportedArchs c"nvrtcGetNumSupportedArchs";
    graphproof_nvrtcGetOptiXIR c"nvrtcGetOptiXIR";
    graphproof_nvrtcGetOptiXIRSize c"nvrtcGetOptiXIRSize";
    graphproof_nvrtcGetPCHCreateStatus c"nvrtcGetPCHCreateStatus";
    graphproof_nvrtcGetPCHHeapSize c"nvrtcGetPCHHeapSize";
    graphproof_nvrtcGetPCHHeapSizeRequired c"nvrtcGetPCHHeapSizeRequired";
    graphproof_nvrtcGetPTX c"nvrtcGetPTX";
    graphproof_nvrtcGetPTXSize c"nvrtcGetPTXSize";
    graphproof_nvrtcGetProgramLog c"nvrtcGetProgramLog";
    graphproof_nvrtcGetProgramLogSize c"nvrtcGetProgramLogSize";
    graphproof_nvrtcGetSupportedArchs c"nvrtcGetSupportedArchs";
    graphproof_nvrtcSetFlowCallback c"nvrtcSetFlowCallback";
    graphproof_nvrtcSetPCHHeapSize c"nvrtcSetPCHHeapSize";
    graphproof_nvrtcVersion c"nvrtcVersion";
}

/// `nvrtcGetErrorString`.
#[unsafe(no_mangle)]
pub extern "C" fn graphproof_nvrtcGetErrorString(result: i32) -> *const c_char {
    let unknown = c"NVRTC_ERROR unknown".as_ptr();
    let Some(library) = real() else { return unknown };
    type Function = unsafe extern "C" fn(i32) -> *const c_char;
    // SAFETY: the documented type.
    let function = unsafe { library.get::<Function>(b"nvrtcGetErrorString\0") };
    // SAFETY: any number may be asked for.
    function.map_or(unknown, |function| unsafe { function(result) })
}

/// Options for the real compiler, and the architecture that the program thinks it gets machine code for.
fn options(given: &[&str]) -> (Vec<CString>, Option<u32>) {
    let (mut out, mut target) = (Vec::new(), None);
    let mut rest = given.iter();
    while let Some(&option) = rest.next() {
        let (name, mut value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let option = match name {
            "-arch" | "--gpu-architecture" => {
                if value.is_none() {
                    value = rest.next().copied();
                }
                let value = value.unwrap_or_default();
                target = value.strip_prefix("sm_").and_then(|_| whoami::capability(value));
                // What is for one architecture alone stays so: the driver says what it makes of it.
                format!("{name}={}", value.replacen("sm_", "compute_", 1))
            }
            // Code for link-time optimisation is for NVIDIA's linker alone; ours links PTX.
            "-dlto" | "--dlink-time-opt" => "--relocatable-device-code=true".to_owned(),
            _ => option.to_owned(),
        };
        out.extend(CString::new(option));
    }
    (out, target)
}

/// `nvrtcCompileProgram`.
///
/// # Safety
/// As NVRTC documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvrtcCompileProgram(
    program: usize,
    count: i32,
    given: *const *const c_char,
) -> i32 {
    let count = usize::try_from(count).unwrap_or(0);
    if given.is_null() && count > 0 {
        return INVALID_INPUT;
    }
    let mut texts = Vec::new();
    for n in 0..count {
        // SAFETY: one of the caller's options, a terminated string.
        let option = unsafe { CStr::from_ptr(given.add(n).read()) };
        let Ok(option) = option.to_str() else { return INVALID_INPUT };
        texts.push(option);
    }
    let lto = texts.iter().any(|option| matches!(*option, "-dlto" | "--dlink-time-opt"));
    let (options, target) = options(&texts);
    match target.or(lto.then_some(0)) {
        Some(target) => targets().insert(program, target),
        None => targets().remove(&program),
    };
    let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    // SAFETY: the caller's program, and options that live until the call has returned.
    unsafe { call(c"nvrtcCompileProgram", [program, pointers.len(), pointers.as_ptr() as usize, 0, 0, 0]) }
}

/// `nvrtcDestroyProgram`.
///
/// # Safety
/// As NVRTC documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvrtcDestroyProgram(program: *mut usize) -> i32 {
    if !program.is_null() {
        // SAFETY: the caller's place, which holds a program.
        targets().remove(&unsafe { program.read() });
    }
    // SAFETY: the caller's arguments.
    unsafe { call(c"nvrtcDestroyProgram", [program as usize, 0, 0, 0, 0, 0]) }
}

/// What the program takes for machine code, or for code for link-time optimisation.
///
/// # Safety
/// `program` is one that NVRTC knows, or null.
unsafe fn container(program: usize) -> Result<Vec<u8>, i32> {
    let target = targets().get(&program).copied().ok_or(INVALID_INPUT)?;
    let mut size = 0usize;
    // SAFETY: a place for the size.
    match unsafe { call(c"nvrtcGetPTXSize", [program, &raw mut size as usize, 0, 0, 0, 0]) } {
        SUCCESS => {}
        error => return Err(error),
    }
    let mut text = vec![0u8; size];
    // SAFETY: a buffer of that size.
    match unsafe { call(c"nvrtcGetPTX", [program, text.as_mut_ptr() as usize, 0, 0, 0, 0]) } {
        SUCCESS => {}
        error => return Err(error),
    }
    let text = CStr::from_bytes_until_nul(&text).ok().and_then(|text| text.to_str().ok()).ok_or(INTERNAL)?;
    Ok(graphproof_image::container::pack(text, target))
}

/// Entry points that give the container's size and bytes.
macro_rules! containers {
    ($($size:ident $bytes:ident;)*) => {$(
        /// As NVRTC documents.
        ///
        /// # Safety
        /// As NVRTC documents.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $size(program: usize, size: *mut usize) -> i32 {
            if size.is_null() {
                return INVALID_INPUT;
            }
            // A program that was compiled for a virtual architecture has none: the size is 0.
            // SAFETY: the caller's program.
            let bytes = match unsafe { container(program) } {
                Ok(bytes) => bytes.len(),
                Err(INVALID_INPUT) => 0,
                Err(error) => return error,
            };
            // SAFETY: the caller's place.
            unsafe { size.write(bytes) };
            SUCCESS
        }

        /// As NVRTC documents.
        ///
        /// # Safety
        /// As NVRTC documents.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $bytes(program: usize, target: *mut c_void) -> i32 {
            if target.is_null() {
                return INVALID_INPUT;
            }
            // SAFETY: the caller's program.
            match unsafe { container(program) } {
                Ok(bytes) => {
                    // SAFETY: the caller's buffer, of the size that was told.
                    unsafe { target.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                    SUCCESS
                }
                Err(error) => error,
            }
        }
    )*};
}

containers! {
    graphproof_nvrtcGetCUBINSize graphproof_nvrtcGetCUBIN;
    graphproof_nvrtcGetLTOIRSize graphproof_nvrtcGetLTOIR;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_code_becomes_ptx_of_the_same_capability() {
        let text = |given: &[&str]| {
            let (out, target) = options(given);
            (out.into_iter().map(|option| option.into_string().expect("UTF-8")).collect::<Vec<_>>(), target)
        };
        assert_eq!(text(&["-arch=sm_80", "-G"]), (vec!["-arch=compute_80".into(), "-G".into()], Some(80)));
        let separate = text(&["--gpu-architecture", "sm_90a"]);
        assert_eq!(separate, (vec!["--gpu-architecture=compute_90a".into()], Some(90)));
        assert_eq!(text(&["-arch=compute_75"]), (vec!["-arch=compute_75".into()], None));
        assert_eq!(text(&["-dlto"]), (vec!["--relocatable-device-code=true".into()], None));
    }
}
