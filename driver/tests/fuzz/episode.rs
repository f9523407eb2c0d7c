//! What lies between two stretches of random calls: destroying all that they left, and a context.

use std::ffi::c_void;

use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

use super::handles::HANDLES;

/// Makes the primary context current and gives the generator something to work with.
pub fn set_up() {
    let mut context = CUcontext::NULL;
    // SAFETY: valid places for the results.
    unsafe {
        cuInit(0);
        while cuCtxPopCurrent_v2(&mut context) == CUresult::SUCCESS {}
        cuDevicePrimaryCtxRetain(&mut context, 0);
        cuCtxSetCurrent(context);
    }
}

fn primary() -> CUcontext {
    let mut context = CUcontext::NULL;
    // SAFETY: a valid place for the result. The reference is given back by `tear_down`.
    unsafe { cuDevicePrimaryCtxRetain(&mut context, 0) };
    context
}

/// Destroys whatever the calls have left behind. What another thread's capture forbids to destroy
/// now is kept for the next time; their number.
pub fn tear_down() -> usize {
    let mut owned: Vec<u64> = HANDLES.lock().unwrap().take_owned().collect();
    // Contexts with their captures first, memory last: no capture may forbid freeing it.
    let order = |handle: &u64| match handle >> 56 {
        0 => 3,
        0x11 => 0,
        0x23 => 1,
        _ => 2,
    };
    owned.sort_by_key(order);
    // SAFETY: a number.
    unsafe { cuDevicePrimaryCtxReset_v2(0) };
    set_up();
    let mut kept = 0;
    // SAFETY: handles and addresses, alive or not.
    unsafe {
        cuCtxSynchronize();
        for handle in owned {
            let result = match handle >> 56 {
                0x11 => cuCtxDestroy_v2(CUcontext(handle)),
                0x16 => cuLibraryUnload(CUlibrary(handle)),
                0x18 => cuMemPoolDestroy(CUmemoryPool(handle)),
                0x19 => cuGreenCtxDestroy(handle),
                0x1a => cuArrayDestroy(CUarray(handle)),
                0x1c => cuTexObjectDestroy(handle),
                0x1d => cuSurfObjectDestroy(handle),
                0x21 => cuGraphDestroy(CUgraph(handle)),
                0x23 => cuGraphExecDestroy(CUgraphExec(handle)),
                0x24 => {
                    // A reference count may be anything.
                    for power in (0..32).rev() {
                        while cuUserObjectRelease(CUuserObject(handle), 1 << power) == CUresult::SUCCESS {}
                    }
                    CUresult::SUCCESS
                }
                // Memory of pools and graphs outlives contexts.
                _ => {
                    cuCtxSetCurrent(primary());
                    match cuMemFree_v2(handle) {
                        CUresult::INVALID_VALUE => cuMemFreeHost(handle as *mut c_void),
                        result => result,
                    }
                }
            };
            use CUresult as R;
            let gone = [R::INVALID_VALUE, R::INVALID_HANDLE, R::INVALID_CONTEXT, R::CONTEXT_IS_DESTROYED];
            if result != R::SUCCESS && !gone.contains(&result) {
                kept += 1;
                HANDLES.lock().unwrap().keep_owned(handle);
            }
        }
        while cuDevicePrimaryCtxRelease_v2(0) == CUresult::SUCCESS {}
    }
    kept
}
