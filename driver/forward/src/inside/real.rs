//! The driver behind this one.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use graphproof_door::sys;

include!(env!("FORWARD_PLACEHOLDER"));

/// Overwritten in the file when the library is unpacked.
static DRIVER: [u8; PLACEHOLDER.len()] = {
    let mut bytes = [0; PLACEHOLDER.len()];
    let mut index = 0;
    while index < bytes.len() {
        bytes[index] = PLACEHOLDER.as_bytes()[index];
        index += 1;
    }
    bytes
};

static HANDLE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

const RTLD_NOW: i32 = 2;

/// The real driver's file.
pub(super) fn path() -> String {
    // SAFETY: a static; volatile, because the compiler must not know its bytes.
    let bytes = unsafe { std::ptr::read_volatile(&raw const DRIVER) };
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The loaded driver: a dependency of this library, so it is there already.
pub(super) fn open() -> Option<()> {
    let path = CString::new(path()).ok()?;
    // SAFETY: a terminated string; the library's initialisers have run.
    let handle = unsafe { sys::dlopen(path.as_ptr(), RTLD_NOW) };
    HANDLE.store(handle, Ordering::Release);
    (!handle.is_null()).then_some(())
}

/// The address of `name` in the real driver; never one of ours.
pub(super) fn symbol(name: &CStr) -> Option<*const c_void> {
    let handle = HANDLE.load(Ordering::Acquire);
    if handle.is_null() {
        return None;
    }
    // SAFETY: a live handle and a terminated string.
    let address = unsafe { sys::dlsym(handle, name.as_ptr()) };
    (!address.is_null() && !super::table::is_ours(address)).then_some(address.cast_const())
}

/// Declares functions of the real driver that this library calls itself: none of them waits, and none is
/// refused or noticed in a capture.
macro_rules! real {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        /// The function of that name, if the driver has it; its result, or `None`.
        ///
        /// # Safety
        /// As cuda.h says.
        #[allow(non_snake_case, clippy::too_many_arguments)]
        pub(super) unsafe fn $name($($argument: $type),*) -> Option<u32> {
            static ADDRESS: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
            const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            };
            let mut address = ADDRESS.load(Ordering::Relaxed);
            if address.is_null() {
                address = symbol(NAME)?.cast_mut();
                ADDRESS.store(address, Ordering::Relaxed);
            }
            // SAFETY: the driver's function of that name, with the types of cuda.h.
            let function: unsafe extern "C" fn($($type),*) -> u32 = unsafe { std::mem::transmute(address) };
            // SAFETY: the caller's.
            Some(unsafe { function($($argument),*) })
        }
    )*};
}

real! {
    cuDriverGetVersion(version: *mut i32);
    cuStreamIsCapturing(stream: u64, status: *mut u32);
    cuFuncGetName(name: *mut *const c_char, function: u64);
    cuKernelGetName(name: *mut *const c_char, kernel: u64);
    cuFuncGetModule(module: *mut u64, function: u64);
    cuFuncGetParamInfo(function: u64, index: usize, offset: *mut usize, size: *mut usize);
    cuKernelGetParamInfo(kernel: u64, index: usize, offset: *mut usize, size: *mut usize);
    cuGraphGetNodes(graph: u64, nodes: *mut u64, count: *mut usize);
    cuGraphGetEdges(graph: u64, from: *mut u64, to: *mut u64, count: *mut usize);
    cuGraphGetEdges_v2(graph: u64, from: *mut u64, to: *mut u64, data: *mut [u8; 8], count: *mut usize);
    cuGraphNodeGetType(node: u64, kind: *mut u32);
    cuGraphKernelNodeGetParams_v2(node: u64, parameters: *mut [u64; 16]);
    cuGraphMemcpyNodeGetParams(node: u64, parameters: *mut [u64; 32]);
    cuGraphMemsetNodeGetParams(node: u64, parameters: *mut [u64; 8]);
    cuGraphHostNodeGetParams(node: u64, parameters: *mut [u64; 4]);
    cuGraphChildGraphNodeGetGraph(node: u64, graph: *mut u64);
    cuGraphEventRecordNodeGetEvent(node: u64, event: *mut u64);
    cuGraphEventWaitNodeGetEvent(node: u64, event: *mut u64);
    cuGraphMemAllocNodeGetParams(node: u64, parameters: *mut [u64; 32]);
    cuGraphMemFreeNodeGetParams(node: u64, pointer: *mut u64);
}
