//! The way in: what every entry point does before and after its own work.

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::{CStr, c_void};
use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::os::unix::Library;

use crate::driver;
use crate::error::Failure as F;

/// A `cudaError_t` that is not `cudaSuccess`. The driver's codes are the runtime's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) i32);

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Defines entry points of the C ABI, in front of which the device's context is made current; after
/// `without context` none is needed. `build.rs` finds them by their first line.
macro_rules! entry_points {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        #[doc = concat!("CUDA runtime API `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// Pointer arguments are null or valid for what CUDA documents.
        $(#[$meta])*
        #[unsafe(export_name = concat!("graphproof_", stringify!($name)))]
        #[allow(non_snake_case, clippy::too_many_arguments, clippy::undocumented_unsafe_blocks, reason =
            "every unsafe block hands on or reads the caller's own arguments, under the section above")]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> i32 {
            $crate::door::enter(stringify!($name), $crate::door::is_per_thread(), || $body)
        }
    )*};
}

/// As `entry_points!`, for calls that need no device.
macro_rules! plain_entry_points {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        #[doc = concat!("CUDA runtime API `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// Pointer arguments are null or valid for what CUDA documents.
        $(#[$meta])*
        #[unsafe(export_name = concat!("graphproof_", stringify!($name)))]
        #[allow(non_snake_case, clippy::undocumented_unsafe_blocks, reason =
            "every unsafe block hands on or reads the caller's own arguments, under the section above")]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> i32 {
            $crate::door::enter_plain(stringify!($name), || $body)
        }
    )*};
}
pub(crate) use {entry_points, plain_entry_points};

thread_local! {
    static LAST_ERROR: Cell<i32> = const { Cell::new(0) };
    static PER_THREAD: Cell<bool> = const { Cell::new(false) };
    static DEVICE: Cell<i32> = const { Cell::new(0) };
    /// The generation of contexts that this thread has made current.
    static BOUND: Cell<u64> = const { Cell::new(0) };
}

/// Goes up when a device is reset: every thread then makes a context current again.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Whether the null stream of the call in progress is the thread's.
pub(crate) fn is_per_thread() -> bool {
    PER_THREAD.get()
}

/// Runs `body` with the null stream meaning the thread's own.
pub(crate) fn per_thread<R>(body: impl FnOnce() -> R) -> R {
    let before = PER_THREAD.replace(true);
    let result = body();
    PER_THREAD.set(before);
    result
}

/// The device of the calling thread.
pub(crate) fn device() -> i32 {
    DEVICE.get()
}

/// Makes a device the calling thread's.
pub(crate) fn set_device(device: i32) {
    DEVICE.set(device);
    BOUND.set(0);
}

/// Forgets all contexts: a device was reset.
pub(crate) fn reset() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// Takes the thread's last error, and puts another in its place.
pub(crate) fn replace_last_error(code: i32) -> i32 {
    LAST_ERROR.replace(code)
}

/// The thread's last error.
pub(crate) fn last_error() -> i32 {
    LAST_ERROR.get()
}

/// An entry point: the context is current while `body` runs.
pub(crate) fn enter(name: &str, per_thread: bool, body: impl Fn() -> Outcome) -> i32 {
    let before = PER_THREAD.replace(per_thread);
    let code = enter_plain(name, || {
        let found = quietly(bind)?;
        match body() {
            // The program has taken its own context away since: nothing was done without one.
            Err(F::DEVICE_UNINITIALIZED) if found == Found::Before => {
                BOUND.set(0);
                quietly(bind)?;
                body()
            }
            Err(F::CONTEXT_IS_DESTROYED) => Err(F::DEVICE_UNINITIALIZED),
            outcome => outcome,
        }
    });
    PER_THREAD.set(before);
    code
}

/// Finding the context is not part of a call's meaning.
fn quietly<T>(find: impl FnOnce() -> T) -> T {
    let asked = PER_THREAD.replace(false);
    let found = find();
    PER_THREAD.set(asked);
    found
}

/// An entry point that needs no context.
pub(crate) fn enter_plain(name: &str, body: impl FnOnce() -> Outcome) -> i32 {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Failure::UNKNOWN));
    let Err(Failure(code)) = result else { return 0 };
    // That something is not done yet is an answer, and no error that a later call would ask for.
    if Failure(code) != F::NOT_READY {
        LAST_ERROR.set(code);
    }
    if Failure(code) == F::NOT_SUPPORTED {
        note(format!("{name} answers cudaErrorNotSupported: it has no model here, or what it was asked for has none"));
    }
    code
}

/// A name without an entry point.
pub(crate) fn unsupported(name: &str) -> i32 {
    enter_plain(name, || Err(Failure::NOT_SUPPORTED))
}

/// The driver, initialised.
pub(crate) fn ready() -> Outcome {
    static READY: OnceLock<Outcome> = OnceLock::new();
    *READY.get_or_init(|| {
        library().as_ref().map_err(|failure| *failure)?;
        // SAFETY: the documented first call.
        unsafe { driver::cuInit(0) }
    })
}

/// When the context of a call was found.
#[derive(PartialEq, Eq)]
enum Found {
    /// By an earlier call of the thread, and it may have gone since.
    Before,
    Now,
}

/// Makes the primary context of the thread's device current, unless the program has made one current itself.
fn bind() -> Outcome<Found> {
    let generation = GENERATION.load(Ordering::Acquire);
    if BOUND.get() == generation {
        return Ok(Found::Before);
    }
    ready()?;
    let mut context = 0usize;
    // SAFETY: a place for the result; a device that exists or is refused; a context that was retained.
    unsafe {
        driver::cuCtxGetCurrent((&raw mut context).cast())?;
        if context == 0 || BOUND.get() == 0 && is_primary(context)? {
            driver::cuCtxSetCurrent(primary(device())?)?;
        }
    }
    BOUND.set(generation);
    Ok(Found::Now)
}

/// The primary contexts that are retained: one for each device, for as long as the process lives.
static PRIMARY: Mutex<Vec<(i32, usize)>> = Mutex::new(Vec::new());

/// The primary context of a device, retained once.
pub(crate) fn primary(device: i32) -> Outcome<usize> {
    let mut retained = PRIMARY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, context)) = retained.iter().find(|(of, _)| *of == device) {
        return Ok(*context);
    }
    let mut context = 0usize;
    // SAFETY: a place for the result.
    unsafe { driver::cuDevicePrimaryCtxRetain((&raw mut context).cast(), device) }?;
    retained.push((device, context));
    Ok(context)
}

fn is_primary(context: usize) -> Outcome<bool> {
    let retained = PRIMARY.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(retained.iter().any(|(_, of)| *of == context))
}

/// What our driver exports and NVIDIA's does not.
const MARK: &CStr = c"graphproof_driver_mark";

/// Set where what stands in front of the software driver is `graphproof trace`.
const RECORDED: &str = "GRAPHPROOF_TRACE_SOFTWARE";

/// The process's libcuda, if it is ours.
fn library() -> &'static Outcome<Library> {
    static LIBRARY: OnceLock<Outcome<Library>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let opened = ["libcuda.so.1", "libcuda.so"].iter().find_map(|name| {
            // SAFETY: a driver's initialisers do nothing but make it ready.
            unsafe { Library::open(Some(*name), libc::RTLD_NOW | libc::RTLD_GLOBAL) }.ok()
        });
        let Some(library) = opened else {
            note(
                "no libcuda.so.1 was found: put the folder with graphproof's libraries first in LD_LIBRARY_PATH".into(),
            );
            return Err(Failure::INSUFFICIENT_DRIVER);
        };
        // A recorder in front of the software driver has the driver's names and no other.
        let recorded = std::env::var_os(RECORDED).is_some();
        // SAFETY: only the address is asked for.
        if !recorded && unsafe { library.get::<*const c_void>(MARK.to_bytes_with_nul()) }.is_err() {
            note(
                "this libcudart belongs in front of graphproof's driver, and libcuda.so.1 is another: use its own"
                    .into(),
            );
            return Err(Failure::INSUFFICIENT_DRIVER);
        }
        Ok(library)
    })
}

/// The address of a driver's function.
pub(crate) fn symbol(name: &CStr) -> Option<usize> {
    let library = library().as_ref().ok()?;
    // SAFETY: only the address is taken.
    let symbol = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) }.ok()?;
    Some(symbol.into_raw() as usize)
}

/// Tells a person something, once; `GRAPHPROOF_NOTES` says where, as for the driver.
pub(crate) fn note(text: String) {
    static TOLD: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let sink = std::env::var("GRAPHPROOF_NOTES").ok().filter(|value| !value.trim().is_empty());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if sink.as_deref() == Some("off") || !told.get_or_insert_default().insert(text.clone()) {
        return;
    }
    let file = sink.and_then(|path| File::options().create(true).append(true).open(path).ok());
    // A note that cannot be written must not stop the program that it is about.
    let _ = match file {
        Some(mut file) => writeln!(file, "{text}"),
        None => writeln!(std::io::stderr(), "graphproof: {text}"),
    };
}
