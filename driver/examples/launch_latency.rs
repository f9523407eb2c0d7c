//! Measures what a call costs: putting an empty kernel on a stream, and having it done.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::time::Instant;

use graphproof_driver::abi::types::{CUcontext, CUfunction, CUmodule, CUstream};
use graphproof_driver::abi::*;

const EMPTY: &str = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry empty() { ret; }\0";

fn check(result: CUresult) {
    assert_eq!(result, CUresult::SUCCESS);
}

fn main() {
    let (mut context, mut module) = (CUcontext::NULL, CUmodule::NULL);
    let (mut function, mut stream) = (CUfunction::NULL, CUstream::NULL);
    // SAFETY: valid places for the results, and a terminated image.
    unsafe {
        check(cuInit(0));
        check(cuDevicePrimaryCtxRetain(&mut context, 0));
        check(cuCtxSetCurrent(context));
        check(cuModuleLoadData(&mut module, EMPTY.as_ptr().cast::<c_void>()));
        check(cuModuleGetFunction(&mut function, module, c"empty".as_ptr()));
        check(cuStreamCreate(&mut stream, 1));
    }
    let launch = || {
        // SAFETY: the kernel has no parameters.
        check(unsafe { cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, null_mut(), null_mut()) });
    };
    // SAFETY: a live stream.
    let synchronise = || check(unsafe { cuStreamSynchronize(stream) });
    for round in 0..3 {
        const COUNT: u32 = 100_000;
        let began = Instant::now();
        (0..COUNT).for_each(|_| launch());
        let enqueued = began.elapsed() / COUNT;
        synchronise();
        let executed = began.elapsed() / COUNT;
        let began = Instant::now();
        (0..COUNT / 10).for_each(|_| {
            launch();
            synchronise();
        });
        let round_trip = began.elapsed() / (COUNT / 10);
        println!("round {round}: enqueue {enqueued:?}, execute {executed:?}, launch and wait {round_trip:?}");
    }
}
