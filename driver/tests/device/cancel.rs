//! A kernel that never ends is stopped by what ends its context.

use std::ffi::c_void;
use std::ptr::null_mut;

use crate::abi_support::primary;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control;

const ENDLESS: &str =
    ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry endless() { AGAIN: bra AGAIN; }\0";

fn launch_endless(stream: CUstream) {
    let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
    ok!(cuModuleLoadData(&mut module, ENDLESS.as_ptr().cast::<c_void>()));
    ok!(cuModuleGetFunction(&mut function, module, c"endless".as_ptr()));
    ok!(cuLaunchKernel(function, 4, 1, 1, 64, 1, 1, 0, stream, null_mut(), null_mut()));
}

#[test]
fn an_endless_kernel_ends_with_its_context() {
    let (own, context) = primary();

    // A reset of the primary context; its handle is good for new work.
    launch_endless(CUstream::NULL);
    ok!(cuDevicePrimaryCtxReset_v2(0));
    ok!(cuCtxSynchronize());

    // A stop from another thread while one waits: the error is that of a kernel that ran too long.
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, 1));
    launch_endless(stream);
    let instance = own.instance().clone();
    let waiter = std::thread::spawn(move || {
        let _own = instance.enter();
        // SAFETY: live handles.
        unsafe {
            cuCtxSetCurrent(context);
            cuStreamSynchronize(stream)
        }
    });
    control::cancel_all();
    assert_eq!(waiter.join().unwrap(), CUresult::LAUNCH_TIMEOUT);
    ok!(cuDevicePrimaryCtxReset_v2(0));
    assert_eq!(control::last_fault().map(|fault| fault.code), Some(CUresult::LAUNCH_TIMEOUT));
    ok!(cuCtxSynchronize());

    // A wait for a value that never comes, in a context of its own that is destroyed.
    let (mut own, mut word) = (CUcontext::NULL, 0);
    ok!(cuCtxCreate_v2(&mut own, 0, 0));
    ok!(cuMemAlloc_v2(&mut word, 4));
    ok!(cuMemsetD32_v2(word, 0, 1));
    ok!(cuStreamWaitValue32_v2(CUstream::NULL, word, 1, 1));
    ok!(cuCtxDestroy_v2(own));
}
