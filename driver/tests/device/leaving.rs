//! Work of a stream that is destroyed before it has run is work all the same.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::abi_support::{Device, Gate};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

fn event() -> CUevent {
    let mut event = CUevent::NULL;
    ok!(cuEventCreate(&mut event, 0));
    event
}

/// Destroys a stream whose work `gate` holds: then a host function that sets `done`, and a write of 9 to the
/// device's second word.
fn leave(device: &Device, flags: u32, gate: &'static Gate, done: &'static AtomicBool) {
    extern "C" fn set(done: *mut c_void) {
        // SAFETY: it is the flag below, which lives as long as the process.
        unsafe { &*done.cast::<AtomicBool>() }.store(true, Ordering::Release);
    }
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, flags));
    gate.hold(stream);
    ok!(cuLaunchHostFunc(stream, Some(set), std::ptr::from_ref(done) as *mut c_void));
    ok!(cuMemsetD32Async(device.buffer + 4, 9, 1, stream));
    ok!(cuStreamDestroy_v2(stream));
}

#[test]
fn the_legacy_stream_and_events_of_the_context_wait_for_it() {
    static GATE: Gate = Gate::new();
    static DONE: AtomicBool = AtomicBool::new(false);
    let device = Device::new();
    leave(&device, 0, &GATE, &DONE);
    let (whole, legacy) = (event(), event());
    ok!(cuCtxRecordEvent(device.context, whole));
    assert_eq!(code!(cuStreamQuery(CUstream::LEGACY)), CUresult::NOT_READY);
    ok!(cuEventRecord(legacy, CUstream::LEGACY));
    ok!(cuMemcpyDtoDAsync_v2(device.buffer, device.buffer + 4, 4, CUstream::LEGACY));
    for event in [whole, legacy] {
        assert_eq!(code!(cuEventQuery(event)), CUresult::NOT_READY);
    }
    GATE.open();
    ok!(cuStreamSynchronize(CUstream::LEGACY));
    assert!(DONE.load(Ordering::Acquire));
    assert_eq!(device.words()[..2], [9, 9]);
    for event in [whole, legacy] {
        ok!(cuEventSynchronize(event));
    }
    // What has run holds nobody up.
    ok!(cuStreamQuery(CUstream::LEGACY));
}

#[test]
fn a_stream_that_was_not_blocking_still_is_not() {
    static GATE: Gate = Gate::new();
    static DONE: AtomicBool = AtomicBool::new(false);
    let device = Device::new();
    leave(&device, 1, &GATE, &DONE);
    let whole = event();
    ok!(cuCtxRecordEvent(device.context, whole));
    ok!(cuStreamQuery(CUstream::LEGACY));
    assert_eq!(code!(cuEventQuery(whole)), CUresult::NOT_READY);
    GATE.open();
    ok!(cuCtxSynchronize());
    assert!(DONE.load(Ordering::Acquire));
}

/// Several times, since a driver that does not wait may be late by chance.
#[test]
fn a_context_is_synchronised_when_it_has_run() {
    static GATES: [Gate; 20] = [const { Gate::new() }; 20];
    static DONE: [AtomicBool; 20] = [const { AtomicBool::new(false) }; 20];
    let device = Device::new();
    for (at, (gate, done)) in GATES.iter().zip(&DONE).enumerate() {
        leave(&device, u32::from(at % 2 == 1), gate, done);
        let opener = std::thread::spawn(|| gate.open());
        ok!(cuCtxSynchronize());
        assert!(done.load(Ordering::Acquire), "{at}");
        opener.join().unwrap();
    }
}

#[test]
fn a_green_context_waits_for_its_own() {
    static GATE: Gate = Gate::new();
    let device = Device::new();
    let mut resource = std::mem::MaybeUninit::uninit();
    let (mut description, mut green, mut stream, mut other) = (0, 0, CUstream::NULL, 0);
    ok!(cuDeviceGetDevResource(0, resource.as_mut_ptr(), 1));
    ok!(cuDevResourceGenerateDesc(&mut description, resource.as_ptr(), 1));
    ok!(cuGreenCtxCreate(&mut green, description, 0, 1));
    ok!(cuGreenCtxCreate(&mut other, description, 0, 1));
    ok!(cuGreenCtxStreamCreate(&mut stream, green, 1, 0));
    GATE.hold(stream);
    ok!(cuStreamDestroy_v2(stream));
    let (own, others) = (event(), event());
    ok!(cuGreenCtxRecordEvent(green, own));
    ok!(cuGreenCtxRecordEvent(other, others));
    ok!(cuEventSynchronize(others));
    assert_eq!(code!(cuEventQuery(own)), CUresult::NOT_READY);
    GATE.open();
    ok!(cuEventSynchronize(own));
    ok!(cuCtxSynchronize());
    let _ = device;
}
