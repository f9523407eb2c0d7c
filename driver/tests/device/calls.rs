//! Devices, contexts, memory, streams and events through the C ABI.

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::abi_support::Gate;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record;
use graphproof_driver::software::Entered;
use graphproof_driver::software::fault::last_fault;

fn device() -> Entered {
    crate::abi_support::primary().0
}

fn stream(flags: u32) -> CUstream {
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, flags));
    stream
}

fn event() -> CUevent {
    let mut event = CUevent::NULL;
    ok!(cuEventCreate(&mut event, 0));
    event
}

fn allocate(bytes: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, bytes));
    address
}

#[test]
fn streams_make_progress_on_their_own_and_events_can_be_not_ready() {
    let _own = device();
    static GATE: Gate = Gate::new();
    let (held, free) = (stream(1), stream(1));
    let (late, early) = (event(), event());
    let (mut a, b) = (0u32, allocate(4));
    GATE.hold(held);
    ok!(cuEventRecord(late, held));
    ok!(cuMemsetD32Async(b, 7, 1, free));
    ok!(cuEventRecord(early, free));
    ok!(cuEventSynchronize(early));
    assert_eq!(code!(cuEventQuery(late)), CUresult::NOT_READY);
    assert_eq!(code!(cuStreamQuery(held)), CUresult::NOT_READY);
    // A third stream waits for the held one.
    let waiting = stream(1);
    ok!(cuStreamWaitEvent(waiting, late, 0));
    ok!(cuMemsetD32Async(b, 8, 1, waiting));
    assert_eq!(code!(cuStreamQuery(waiting)), CUresult::NOT_READY);
    GATE.open();
    ok!(cuStreamSynchronize(waiting));
    ok!(cuEventQuery(late));
    ok!(cuMemcpyDtoH_v2(&raw mut a as u64, b, 4));
    assert_eq!(a, 8);
    let mut milliseconds = -1.0;
    ok!(cuEventElapsedTime_v2(&mut milliseconds, early, late));
    assert!(milliseconds >= 0.0);
    ok!(cuMemFree_v2(b));
}

#[test]
fn the_legacy_stream_waits_for_blocking_streams_only() {
    let _own = device();
    static BLOCKING: Gate = Gate::new();
    static OTHER: Gate = Gate::new();
    let (blocking, other) = (stream(0), stream(1));
    let after = event();
    OTHER.hold(other);
    ok!(cuEventRecord(after, CUstream::LEGACY));
    ok!(cuEventSynchronize(after));
    BLOCKING.hold(blocking);
    ok!(cuEventRecord(after, CUstream::LEGACY));
    assert_eq!(code!(cuEventQuery(after)), CUresult::NOT_READY);
    // And blocking streams wait for the legacy one.
    let third = stream(0);
    let behind = event();
    ok!(cuEventRecord(behind, third));
    assert_eq!(code!(cuEventQuery(behind)), CUresult::NOT_READY);
    BLOCKING.open();
    ok!(cuEventSynchronize(behind));
    assert_eq!(code!(cuStreamQuery(other)), CUresult::NOT_READY);
    OTHER.open();
    ok!(cuCtxSynchronize());
}

#[test]
fn many_blocked_host_functions_do_not_hold_up_other_streams() {
    let _own = device();
    static GATE: Gate = Gate::new();
    for _ in 0..40 {
        GATE.hold(stream(1));
    }
    let free = stream(1);
    let address = allocate(4);
    ok!(cuMemsetD32Async(address, 1, 1, free));
    ok!(cuStreamSynchronize(free));
    GATE.open();
    ok!(cuCtxSynchronize());
    ok!(cuMemFree_v2(address));
}

#[test]
fn wrong_handles_get_cuda_s_codes() {
    let _own = device();
    let (dead_stream, dead_event) = (stream(0), event());
    ok!(cuStreamDestroy_v2(dead_stream));
    ok!(cuEventDestroy_v2(dead_event));
    assert_eq!(code!(cuStreamDestroy_v2(dead_stream)), CUresult::CONTEXT_IS_DESTROYED);
    assert_eq!(code!(cuEventDestroy_v2(dead_event)), CUresult::INVALID_HANDLE);
    for foreign in [3, 64, 0x7fff_1234_5670, u64::MAX, dead_event.0] {
        assert_eq!(code!(cuStreamSynchronize(CUstream(foreign))), CUresult::INVALID_HANDLE);
        assert_eq!(code!(cuEventQuery(CUevent(foreign))), CUresult::INVALID_HANDLE);
        assert_eq!(code!(cuModuleUnload(CUmodule(foreign))), CUresult::INVALID_HANDLE);
        assert_eq!(code!(cuMemFree_v2(foreign)), CUresult::INVALID_VALUE);
        assert_eq!(code!(cuFuncLoad(CUfunction(foreign))), CUresult::INVALID_HANDLE);
        assert_eq!(code!(cuMemPoolDestroy(CUmemoryPool(foreign))), CUresult::INVALID_VALUE);
        assert_eq!(code!(cuCtxDestroy_v2(CUcontext(foreign))), CUresult::INVALID_CONTEXT);
    }
    assert_eq!(code!(cuStreamCreate(null_mut(), 0)), CUresult::INVALID_VALUE);
    assert_eq!(code!(cuEventRecord(CUevent::NULL, CUstream::NULL)), CUresult::INVALID_HANDLE);
    let mut count = 0;
    assert_eq!(code!(cuDeviceGetAttribute(&mut count, 75, 1)), CUresult::INVALID_DEVICE);
    let mut name = null();
    ok!(cuGetErrorName(CUresult(900), &mut name));
    // SAFETY: a static string.
    assert_eq!(unsafe { CStr::from_ptr(name) }, c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED");
    assert_eq!(code!(cuGetErrorName(CUresult(12345), &mut name)), CUresult::INVALID_VALUE);
}

#[test]
fn memory_is_counted_and_bounds_are_exact() {
    let _own = device();
    let (mut before, mut after, mut total) = (0, 0, 0);
    ok!(cuMemGetInfo_v2(&mut before, &mut total));
    let address = allocate(1000);
    ok!(cuMemGetInfo_v2(&mut after, &mut total));
    assert_eq!(before - after, 1000);
    let mut bytes = [0u8; 1001];
    let host = bytes.as_mut_ptr() as u64;
    ok!(cuMemsetD8_v2(address, 0xab, 1000));
    ok!(cuMemcpyDtoH_v2(host, address, 1000));
    assert_eq!((bytes[999], bytes[1000]), (0xab, 0));
    assert_eq!(code!(cuMemcpyDtoH_v2(host, address, 1001)), CUresult::INVALID_VALUE);
    assert_eq!(code!(cuMemcpyHtoD_v2(address + 1, host, 1000)), CUresult::INVALID_VALUE);
    assert_eq!(code!(cuMemsetD8_v2(address + 999, 0, 2)), CUresult::INVALID_VALUE);
    // A device address is no host address.
    assert_eq!(code!(cuMemcpyHtoD_v2(address, address, 4)), CUresult::INVALID_VALUE);
    let (mut base, mut size) = (0, 0);
    ok!(cuMemGetAddressRange_v2(&mut base, &mut size, address + 500));
    assert_eq!((base, size), (address, 1000));
    assert_eq!(code!(cuMemFree_v2(address + 1)), CUresult::INVALID_VALUE);
    ok!(cuMemFree_v2(address));
    assert_eq!(code!(cuMemFree_v2(address)), CUresult::INVALID_VALUE);
    let mut none = 0;
    assert_eq!(code!(cuMemAlloc_v2(&mut none, total + 1)), CUresult::OUT_OF_MEMORY);
    assert_eq!(code!(cuMemAlloc_v2(&mut none, 0)), CUresult::INVALID_VALUE);
}

#[test]
fn stream_ordered_memory_is_freed_once() {
    let _own = device();
    let stream = stream(1);
    let mut address = 0;
    ok!(cuMemAllocAsync(&mut address, 4096, stream));
    ok!(cuMemsetD8Async(address, 1, 4096, stream));
    ok!(cuMemFreeAsync(address, stream));
    assert_eq!(code!(cuMemFreeAsync(address, stream)), CUresult::INVALID_VALUE);
    ok!(cuStreamSynchronize(stream));
    let (mut pool, mut used) = (CUmemoryPool::NULL, 1u64);
    ok!(cuDeviceGetDefaultMemPool(&mut pool, 0));
    ok!(cuMemPoolGetAttribute(pool, 7, (&raw mut used).cast()));
    assert_eq!(used, 0);
}

#[test]
fn rows_are_copied_with_their_pitches() {
    let _own = device();
    let (mut address, mut pitch) = (0, 0);
    ok!(cuMemAllocPitch_v2(&mut address, &mut pitch, 12, 3, 4));
    let source: Vec<u8> = (0..48).collect();
    let copy = CUDA_MEMCPY2D {
        srcMemoryType: CU_MEMORYTYPE_HOST,
        srcHost: source.as_ptr() as u64,
        srcPitch: 16,
        dstMemoryType: CU_MEMORYTYPE_DEVICE,
        dstDevice: address,
        dstPitch: pitch,
        WidthInBytes: 12,
        Height: 3,
        ..Default::default()
    };
    ok!(cuMemcpy2D_v2(&copy));
    let mut row = [0u8; 12];
    ok!(cuMemcpyDtoH_v2(row.as_mut_ptr() as u64, address + 2 * pitch as u64, 12));
    assert_eq!(row[..], source[32..44]);
    let narrow = CUDA_MEMCPY2D { dstPitch: 8, ..copy };
    assert_eq!(code!(cuMemcpy2D_v2(&narrow)), CUresult::INVALID_VALUE);
    ok!(cuMemFree_v2(address));
}

#[test]
fn small_pageable_copies_are_staged_and_large_ones_are_waited_for() {
    let _own = device();
    static GATE: Gate = Gate::new();
    let stream = stream(1);
    let address = allocate(4);
    GATE.hold(stream);
    let mut source = 5u32;
    ok!(cuMemcpyHtoDAsync_v2(address, &raw const source as u64, 4, stream));
    source = 6;
    GATE.open();
    ok!(cuStreamSynchronize(stream));
    let mut seen = 0u32;
    ok!(cuMemcpyDtoH_v2(&raw mut seen as u64, address, 4));
    assert_eq!((seen, source), (5, 6));
    ok!(cuMemFree_v2(address));
}

#[test]
fn a_stream_waits_for_a_value_in_memory() {
    let _own = device();
    let (waiting, writing) = (stream(1), stream(1));
    let address = allocate(8);
    ok!(cuMemsetD32_v2(address, 0, 2));
    // The fill is asynchronous, and non-blocking streams do not wait for it.
    ok!(cuCtxSynchronize());
    ok!(cuStreamWaitValue32_v2(waiting, address, 3, 0));
    ok!(cuMemsetD32Async(address + 4, 9, 1, waiting));
    assert_eq!(code!(cuStreamQuery(waiting)), CUresult::NOT_READY);
    ok!(cuStreamWriteValue32_v2(writing, address, 3, 0));
    ok!(cuStreamSynchronize(waiting));
    let mut words = [0u32; 2];
    ok!(cuMemcpyDtoH_v2(words.as_mut_ptr() as u64, address, 8));
    assert_eq!(words, [3, 9]);
    assert_eq!(code!(cuStreamWaitValue32_v2(waiting, address + 2, 3, 0)), CUresult::INVALID_VALUE);
    ok!(cuMemFree_v2(address));
}

const STORE: &str = ".version 8.0
.target sm_80
.address_size 64
.visible .entry store(.param .u64 out, .param .u32 value)
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [value];
    st.global.u32 [%rd1], %r1;
    ret;
}
\0";

fn launch(function: CUfunction, stream: CUstream, mut address: u64, mut value: u32) -> CUresult {
    let mut params = [(&raw mut address).cast::<c_void>(), (&raw mut value).cast()];
    code!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, params.as_mut_ptr(), null_mut()))
}

#[test]
fn a_fault_sticks_to_its_context_and_is_explained() {
    let _own = device();
    let mut own = CUcontext::NULL;
    ok!(cuCtxCreate_v2(&mut own, 0, 0));
    let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
    ok!(cuModuleLoadData(&mut module, STORE.as_ptr().cast()));
    ok!(cuModuleGetFunction(&mut function, module, c"store".as_ptr()));
    let stream = stream(0);
    let address = allocate(6);
    assert_eq!(launch(function, stream, address, 42), CUresult::SUCCESS);
    ok!(cuStreamSynchronize(stream));
    assert_eq!(launch(function, stream, address + 4, 42), CUresult::SUCCESS);
    assert_eq!(code!(cuStreamSynchronize(stream)), CUresult::ILLEGAL_ADDRESS);
    assert_eq!(launch(function, stream, address, 42), CUresult::ILLEGAL_ADDRESS);
    let mut none = 0;
    assert_eq!(code!(cuMemAlloc_v2(&mut none, 4)), CUresult::ILLEGAL_ADDRESS);
    let report = last_fault().unwrap().to_string();
    assert!(report.contains("store") && report.contains("4 bytes into allocation"), "{report}");
    ok!(cuCtxDestroy_v2(own));
    // The primary context is not concerned.
    let mut primary = CUcontext::NULL;
    ok!(cuDevicePrimaryCtxRetain(&mut primary, 0));
    ok!(cuCtxSetCurrent(primary));
    ok!(cuCtxSynchronize());
}

#[test]
fn modules_say_what_is_wrong_with_them() {
    let _own = device();
    let mut module = CUmodule::NULL;
    let mut log = [1u8; 256];
    let options = [5u32, 6];
    let mut values = [log.as_mut_ptr().cast::<c_void>(), std::ptr::without_provenance_mut(log.len())];
    let wrong = c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { frobnicate.u32 %r1; }";
    let result =
        code!(cuModuleLoadDataEx(&mut module, wrong.as_ptr().cast(), 2, options.as_ptr(), values.as_mut_ptr()));
    assert_eq!(result, CUresult::INVALID_PTX);
    let text = CStr::from_bytes_until_nul(&log).unwrap().to_str().unwrap();
    assert!(text.contains("frobnicate"), "{text}");
    assert_eq!(values[1] as usize, text.len());
    assert_eq!(code!(cuModuleLoadData(&mut module, c"no ptx".as_ptr().cast())), CUresult::INVALID_IMAGE);
    let elf = c"\x7fELF\x02\x01";
    assert_eq!(code!(cuModuleLoadData(&mut module, elf.as_ptr().cast())), CUresult::INVALID_IMAGE);
    let newer = c".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() { ret; }";
    assert_eq!(code!(cuModuleLoadData(&mut module, newer.as_ptr().cast())), CUresult::NO_BINARY_FOR_GPU);
    let newer = c".version 99.0\n.target sm_80\n.address_size 64\n.visible .entry k() { tomorrow.u32 ; }";
    assert_eq!(code!(cuModuleLoadData(&mut module, newer.as_ptr().cast())), CUresult::UNSUPPORTED_PTX_VERSION);
    let narrow = c".version 8.0\n.target sm_80\n.address_size 32\n.visible .entry k() { ret; }";
    assert_eq!(code!(cuModuleLoadData(&mut module, narrow.as_ptr().cast())), CUresult::NOT_SUPPORTED);
    assert_eq!(code!(cuModuleLoad(&mut module, c"/nowhere/k.ptx".as_ptr())), CUresult::FILE_NOT_FOUND);
    ok!(cuModuleLoadData(&mut module, STORE.as_ptr().cast()));
    let mut function = CUfunction::NULL;
    assert_eq!(code!(cuModuleGetFunction(&mut function, module, c"load".as_ptr())), CUresult::NOT_FOUND);
    ok!(cuModuleGetFunction(&mut function, module, c"store".as_ptr()));
    let (mut offset, mut size, mut count) = (0, 0, 0);
    ok!(cuFuncGetParamInfo(function, 1, &mut offset, &mut size));
    assert_eq!((offset, size), (8, 4));
    ok!(cuFuncGetParamCount(function, &mut count));
    assert_eq!(count, 2);
    assert_eq!(code!(cuFuncGetParamInfo(function, 2, &mut offset, &mut size)), CUresult::INVALID_VALUE);
    let bad = code!(cuLaunchKernel(function, 1, 1, 1, 1025, 1, 1, 0, CUstream::NULL, null_mut(), null_mut()));
    assert_eq!(bad, CUresult::INVALID_VALUE);
    ok!(cuModuleUnload(module));
    assert_eq!(launch(function, CUstream::NULL, 0, 0), CUresult::INVALID_HANDLE);
}

#[test]
fn the_record_tells_what_blocked_and_what_failed() {
    let _own = device();
    let stream = stream(0);
    record::start(record::Options { backtraces: |name| name == "cuStreamSynchronize", ..Default::default() });
    ok!(cuStreamSynchronize(stream));
    let mut address = 0;
    assert_eq!(code!(cuMemAlloc_v2(&mut address, 0)), CUresult::INVALID_VALUE);
    let mut array = CUarray::NULL;
    let symbol = find("cuMipmappedArrayCreate").unwrap();
    assert!(!symbol.modelled);
    // SAFETY: the C prototype of the name, which takes two pointers.
    let create: unsafe extern "C" fn(*mut CUarray, *const c_void) -> CUresult =
        unsafe { std::mem::transmute(symbol.function) };
    assert_eq!(code!(create(&mut array, null())), CUresult::NOT_SUPPORTED);
    let recording = record::stop();
    let names: Vec<_> = recording.calls.iter().map(|call| call.function).collect();
    assert_eq!(names, ["cuStreamSynchronize", "cuMemAlloc_v2", "cuMipmappedArrayCreate"]);
    assert!(recording.calls[0].blocked() && recording.calls[0].backtrace.is_some());
    assert_eq!(recording.first_failure().unwrap().function, "cuMemAlloc_v2");
    assert!(recording.calls[2].unsupported && recording.calls[2].note.is_some());
    assert!(record::unsupported_calls().iter().any(|call| call.function == "cuMipmappedArrayCreate"));
}

#[test]
fn a_host_function_may_not_call_the_driver() {
    let _own = device();
    static RESULT: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn call(_: *mut c_void) {
        RESULT.store(code!(cuCtxSynchronize()).0, Ordering::Release);
    }
    ok!(cuLaunchHostFunc(CUstream::NULL, Some(call), null_mut()));
    ok!(cuCtxSynchronize());
    assert_eq!(RESULT.load(Ordering::Acquire), CUresult::NOT_PERMITTED.0);
}

#[test]
fn pinned_memory_has_one_address_everywhere() {
    let _own = device();
    let mut pinned = null_mut();
    ok!(cuMemHostAlloc(&mut pinned, 64, 0));
    let mut device = 0;
    ok!(cuMemHostGetDevicePointer_v2(&mut device, pinned, 0));
    assert_eq!(device, pinned as u64);
    ok!(cuMemsetD8_v2(device, 3, 64));
    // SAFETY: 64 bytes of pinned memory, and the device is idle.
    assert_eq!(unsafe { pinned.cast::<u8>().add(63).read() }, 3);
    let mut kind = 0u32;
    ok!(cuPointerGetAttribute((&raw mut kind).cast(), 2, device));
    assert_eq!(kind, CU_MEMORYTYPE_HOST);
    ok!(cuMemFreeHost(pinned));
    assert_eq!(code!(cuMemFreeHost(pinned)), CUresult::INVALID_VALUE);
    let mut own = [0u8; 32];
    ok!(cuMemHostRegister_v2(own.as_mut_ptr().cast(), 32, 0));
    let twice = code!(cuMemHostRegister_v2(own.as_mut_ptr().cast(), 32, 0));
    assert_eq!(twice, CUresult::HOST_MEMORY_ALREADY_REGISTERED);
    ok!(cuMemHostUnregister(own.as_mut_ptr().cast()));
    assert_eq!(code!(cuMemHostUnregister(own.as_mut_ptr().cast())), CUresult::HOST_MEMORY_NOT_REGISTERED);
}
