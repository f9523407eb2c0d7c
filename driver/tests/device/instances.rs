//! Several drivers in one process: each has a device, handles, memory, threads and a record of its own.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi_support::{Device, INVALID, primary, primary_of};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::software::{Instance, Settings};
use graphproof_driver::{control, record};

/// The current context, or none.
fn current() -> CUcontext {
    let mut context = CUcontext::NULL;
    ok!(cuCtxGetCurrent(&mut context));
    context
}

#[test]
fn what_one_driver_has_is_nothing_to_another() {
    let outer = Device::new();
    let before = control::live_bytes();
    record::start(record::Options::default());
    {
        let inner = Device::new();
        assert_eq!(code!(cuMemsetD32_v2(outer.buffer, 6, 1)), INVALID);
        let mut more = 0;
        ok!(cuMemAlloc_v2(&mut more, 1 << 20));
        assert!(control::live_bytes() > before);
        assert!(!record::is_on());
        // Work that is stopped is an error of this driver alone.
        let mut own = CUcontext::NULL;
        ok!(cuCtxCreate_v2(&mut own, 0, 0));
        ok!(cuStreamWaitValue32_v2(CUstream::NULL, inner.buffer, 1, 0));
        control::cancel_all();
        assert_eq!(code!(cuCtxSynchronize()), CUresult::LAUNCH_TIMEOUT);
        assert!(control::last_fault().is_some());
        ok!(cuCtxDestroy_v2(own));
        ok!(cuCtxSetCurrent(inner.context));
    }
    assert_eq!(control::live_bytes(), before);
    assert_eq!(control::last_fault().map(|fault| fault.to_string()), None);
    assert_eq!(record::stop().calls.len(), 0, "calls of another driver");
    outer.fill(0, 7);
    ok!(cuStreamSynchronize(outer.stream));
    assert_eq!(outer.words()[0], 7);
}

#[test]
fn a_thread_finds_its_context_again_in_the_driver_that_it_left() {
    let (first, context) = primary();
    let second = Instance::new(Settings::default());
    for _ in 0..2 {
        let _own = second.enter();
        if code!(cuCtxGetCurrent(&mut CUcontext(7))) == CUresult::NOT_INITIALIZED {
            ok!(cuInit(0));
            assert_eq!(current(), CUcontext::NULL);
            let mut other = CUcontext::NULL;
            ok!(cuCtxCreate_v2(&mut other, 0, 0));
        }
        assert_ne!(current(), CUcontext::NULL);
    }
    assert_eq!(current(), context);
    let first = first.instance();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _own = first.enter();
            assert_eq!(current(), CUcontext::NULL, "another thread has contexts of its own");
        });
    });
}

#[test]
fn work_and_host_functions_are_in_the_driver_that_they_were_given_to() {
    unsafe extern "C" fn look(seen: *mut c_void) {
        // SAFETY: the test's own counter.
        unsafe { &*seen.cast::<AtomicU64>() }.store(control::live_bytes(), Ordering::Release);
    }
    let device = Device::new();
    let mut more = 0;
    ok!(cuMemAlloc_v2(&mut more, 12345));
    let seen = AtomicU64::new(0);
    ok!(cuLaunchHostFunc(device.stream, Some(look), (&raw const seen).cast_mut().cast()));
    ok!(cuStreamSynchronize(device.stream));
    assert_eq!(seen.load(Ordering::Acquire), control::live_bytes());
    ok!(cuMemFree_v2(more));
}

#[test]
fn settings_are_those_of_the_driver() {
    let (_small, _) =
        primary_of(Settings::default().with("GRAPHPROOF_DEVICE_MEMORY", "64MiB").with("GRAPHPROOF_SEED", "9"));
    let mut total = 0;
    ok!(cuDeviceTotalMem_v2(&mut total, 0));
    assert_eq!((total, control::seed()), (64 << 20, 9));
}

/// A process has address space for about sixteen devices at once.
#[test]
fn a_driver_that_is_gone_leaves_its_address_space_and_stops_its_work() {
    const FOREIGN: u64 = 1 << 48;
    for _ in 0..64 {
        let (_own, _) = primary();
        let (mut word, mut pinned) = (0, std::ptr::null_mut());
        ok!(cuMemAlloc_v2(&mut word, 4));
        ok!(cuMemAllocHost_v2(&mut pinned, 1 << 20));
        assert!(word < FOREIGN, "no room for a window: {word:#x}");
        // Left in a wait that nothing ends.
        ok!(cuMemsetD32_v2(word, 0, 1));
        ok!(cuStreamWaitValue32_v2(CUstream::NULL, word, 1, 0));
    }
}
