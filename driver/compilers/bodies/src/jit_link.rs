//! nvJitLink, as its header documents it: the functions of its first releases. `nvJitLinkVersion` is not among
//! them, by which programs know that there is no link-time optimisation that they could rely on: they hand
//! over PTX.

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use graphproof_link::Linker;

use crate::whoami;

/// `nvJitLinkResult`.
const SUCCESS: i32 = 0;
const MISSING_ARCH: i32 = 2;
const INVALID_INPUT: i32 = 3;
const PTX_COMPILE: i32 = 4;
const INTERNAL: i32 = 6;

/// What a `nvJitLinkHandle` points to.
struct Session {
    linker: Linker,
    target: u32,
    text: Option<String>,
    cubin: Vec<u8>,
    errors: String,
}

/// A body of an entry point: nothing unwinds into the caller.
fn guarded(body: impl FnOnce() -> Result<(), i32>) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => INTERNAL,
    }
}

/// # Safety
/// `handle` is null or a handle that `nvJitLinkCreate` gave.
unsafe fn session<'a>(handle: *mut c_void) -> Result<&'a mut Session, i32> {
    // SAFETY: as the caller vouches; the API is not for several threads at once.
    unsafe { handle.cast::<Session>().as_mut() }.ok_or(INVALID_INPUT)
}

/// # Safety
/// `name` is null or a terminated string.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: as the caller vouches.
    if name.is_null() { None } else { unsafe { CStr::from_ptr(name) }.to_str().ok() }
}

/// `nvJitLinkCreate`.
///
/// # Safety
/// As nvJitLink documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvJitLinkCreate(
    handle: *mut *mut c_void,
    count: u32,
    options: *const *const c_char,
) -> i32 {
    guarded(|| {
        if handle.is_null() || options.is_null() && count > 0 {
            return Err(INVALID_INPUT);
        }
        let mut target = None;
        for n in 0..count as usize {
            // SAFETY: one of the caller's options.
            let option = unsafe { text(options.add(n).read()) }.unwrap_or_default();
            if let Some(value) = option.strip_prefix("-arch=") {
                target = whoami::capability(value);
            }
        }
        let target = target.ok_or(MISSING_ARCH)?;
        let linker = Linker::new(target);
        let session = Session { linker, target, text: None, cubin: Vec::new(), errors: String::new() };
        // SAFETY: the caller's place for the handle.
        unsafe { handle.write(Box::into_raw(Box::new(session)).cast()) };
        Ok(())
    })
}

/// `nvJitLinkDestroy`.
///
/// # Safety
/// As nvJitLink documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvJitLinkDestroy(handle: *mut *mut c_void) -> i32 {
    guarded(|| {
        if handle.is_null() {
            return Err(INVALID_INPUT);
        }
        // SAFETY: the caller's handle, which ends here.
        let session = unsafe { handle.replace(std::ptr::null_mut()) };
        if session.is_null() {
            return Err(INVALID_INPUT);
        }
        // SAFETY: made by `nvJitLinkCreate`.
        drop(unsafe { Box::from_raw(session.cast::<Session>()) });
        Ok(())
    })
}

fn add(session: &mut Session, name: Option<&str>, bytes: &[u8]) -> Result<(), i32> {
    session.linker.add(name, bytes).map_err(|error| {
        session.errors.push_str(&format!("error: {error}\n"));
        INVALID_INPUT
    })
}

/// `nvJitLinkAddData`.
///
/// # Safety
/// As nvJitLink documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvJitLinkAddData(
    handle: *mut c_void,
    _kind: u32,
    data: *const c_void,
    size: usize,
    name: *const c_char,
) -> i32 {
    guarded(|| {
        if data.is_null() {
            return Err(INVALID_INPUT);
        }
        // SAFETY: the caller's handle, data and name.
        let (session, bytes, name) =
            unsafe { (session(handle)?, std::slice::from_raw_parts(data.cast::<u8>(), size), text(name)) };
        add(session, name, bytes)
    })
}

/// `nvJitLinkAddFile`.
///
/// # Safety
/// As nvJitLink documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvJitLinkAddFile(handle: *mut c_void, _kind: u32, name: *const c_char) -> i32 {
    guarded(|| {
        // SAFETY: the caller's handle and name.
        let (session, name) = unsafe { (session(handle)?, text(name).ok_or(INVALID_INPUT)?) };
        match std::fs::read(name) {
            Ok(bytes) => add(session, Some(name), &bytes),
            Err(error) => {
                session.errors.push_str(&format!("error: {name}: {error}\n"));
                Err(INVALID_INPUT)
            }
        }
    })
}

/// `nvJitLinkComplete`.
///
/// # Safety
/// As nvJitLink documents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn graphproof_nvJitLinkComplete(handle: *mut c_void) -> i32 {
    guarded(|| {
        // SAFETY: the caller's handle.
        let session = unsafe { session(handle)? };
        match session.linker.link() {
            Ok(text) => {
                session.cubin = graphproof_image::container::pack(&text, session.target);
                session.text = Some(text);
                Ok(())
            }
            Err(error) => {
                session.errors.push_str(&format!("error: {error}\n"));
                Err(PTX_COMPILE)
            }
        }
    })
}

/// What a session has to give, with the NUL that texts end with.
fn result(session: &Session, what: What) -> Result<Vec<u8>, i32> {
    let terminated = |text: &str| [text.as_bytes(), &[0]].concat();
    Ok(match what {
        What::Cubin if !session.cubin.is_empty() => session.cubin.clone(),
        What::Ptx => terminated(session.text.as_deref().ok_or(INVALID_INPUT)?),
        What::Errors => terminated(&session.errors),
        What::Info => terminated(""),
        What::Cubin | What::Lto => return Err(INVALID_INPUT),
    })
}

#[derive(Clone, Copy)]
enum What {
    Cubin,
    Ptx,
    Lto,
    Errors,
    Info,
}

/// Defines the pair of entry points that give a result's size and bytes.
macro_rules! results {
    ($($size:ident $bytes:ident $what:ident;)*) => {$(
        /// The size of a result, as nvJitLink documents.
        ///
        /// # Safety
        /// As nvJitLink documents.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $size(handle: *mut c_void, size: *mut usize) -> i32 {
            guarded(|| {
                // SAFETY: the caller's handle.
                let bytes = result(unsafe { session(handle)? }, What::$what)?;
                if size.is_null() {
                    return Err(INVALID_INPUT);
                }
                // SAFETY: the caller's place for the size.
                unsafe { size.write(bytes.len()) };
                Ok(())
            })
        }

        /// The bytes of a result, as nvJitLink documents.
        ///
        /// # Safety
        /// As nvJitLink documents.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        pub unsafe extern "C" fn $bytes(handle: *mut c_void, target: *mut u8) -> i32 {
            guarded(|| {
                // SAFETY: the caller's handle.
                let bytes = result(unsafe { session(handle)? }, What::$what)?;
                if target.is_null() {
                    return Err(INVALID_INPUT);
                }
                // SAFETY: the caller's buffer, of the size that was told.
                unsafe { target.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                Ok(())
            })
        }
    )*};
}

results! {
    graphproof_nvJitLinkGetLinkedCubinSize graphproof_nvJitLinkGetLinkedCubin Cubin;
    graphproof_nvJitLinkGetLinkedPtxSize graphproof_nvJitLinkGetLinkedPtx Ptx;
    graphproof_nvJitLinkGetLinkedLTOIRSize graphproof_nvJitLinkGetLinkedLTOIR Lto;
    graphproof_nvJitLinkGetErrorLogSize graphproof_nvJitLinkGetErrorLog Errors;
    graphproof_nvJitLinkGetInfoLogSize graphproof_nvJitLinkGetInfoLog Info;
}
