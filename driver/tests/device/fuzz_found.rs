//! What random sequences of calls (`driver/tests/fuzz`) have found, each as a test of its own.

use crate::abi_support::{Device, Gate, INVALID};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control;
use graphproof_driver::software::driver;

/// The copy read or wrote a few bytes behind address 0.
#[test]
fn a_null_host_pointer_is_not_made_good_by_an_offset() {
    let device = Device::new();
    for kind in [CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_UNIFIED] {
        for (x, y) in [(0, 0), (4, 0), (0, 2), (4, 2)] {
            let to_device = CUDA_MEMCPY2D {
                srcMemoryType: kind,
                srcXInBytes: x,
                srcY: y,
                srcPitch: 4096,
                dstMemoryType: CU_MEMORYTYPE_DEVICE,
                dstDevice: device.buffer,
                WidthInBytes: 4,
                Height: 1,
                ..Default::default()
            };
            let to_host = CUDA_MEMCPY2D {
                srcMemoryType: CU_MEMORYTYPE_DEVICE,
                srcDevice: device.buffer,
                dstMemoryType: kind,
                dstXInBytes: x,
                dstY: y,
                dstPitch: 4096,
                WidthInBytes: 4,
                Height: 1,
                ..Default::default()
            };
            for params in [to_device, to_host] {
                assert_eq!(code!(cuMemcpy2D_v2(&params)), INVALID, "{kind} {x} {y}");
                assert_eq!(code!(cuMemcpy2DAsync_v2(&params, device.stream)), INVALID, "{kind} {x} {y}");
                assert_eq!(code!(cuMemcpy2DUnaligned_v2(&params)), INVALID, "{kind} {x} {y}");
            }
        }
    }
    ok!(cuStreamSynchronize(device.stream));
}

/// As above, for addresses that no process has.
#[test]
fn a_host_pointer_that_no_process_has_is_refused() {
    let device = Device::new();
    for host in [1, 8, 4095, u64::MAX, u64::MAX - 3, 1 << 63, device.buffer] {
        assert_eq!(code!(cuMemcpyHtoD_v2(device.buffer, host, 4)), INVALID, "{host:#x}");
        assert_eq!(code!(cuMemcpyDtoH_v2(host, device.buffer, 4)), INVALID, "{host:#x}");
        assert_eq!(code!(cuMemcpyHtoDAsync_v2(device.buffer, host, 4, device.stream)), INVALID, "{host:#x}");
    }
}

/// A reset waited, then threw streams away that another thread's reset had made and given work to
/// meanwhile: nothing could stop that work any more, and a wait for the device was without end.
#[test]
fn resets_by_two_threads_leave_no_work_behind() {
    let (own, context) = crate::abi_support::primary();
    let instance = own.instance();
    let reset = || {
        let _own = instance.enter();
        ok!(cuCtxSetCurrent(context));
        for _ in 0..2000 {
            // Any of these may fail: the other thread resets the context between them.
            let mut word = 0;
            code!(cuMemAlloc_v2(&mut word, 4));
            code!(cuMemsetD32Async(word, 0, 1, CUstream::NULL));
            code!(cuStreamWaitValue32_v2(CUstream::NULL, word, 1, 1));
            ok!(cuDevicePrimaryCtxReset_v2(0));
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(reset);
        reset();
        other.join().unwrap();
    });
    ok!(cuDevicePrimaryCtxReset_v2(0));
    assert_eq!(driver().engine.pending(), 0);
}

/// The free ran first, and the memory that the launch then allocated outlived its graph.
#[test]
fn graph_memory_freed_before_it_is_allocated_goes_with_its_graph() {
    let (_own, primary) = crate::abi_support::primary();
    static GATE: Gate = Gate::new();
    // Two contexts: the free that comes too early is an error of one.
    let (mut context, mut held) = (CUcontext::NULL, CUstream::NULL);
    ok!(cuCtxCreate_v2(&mut context, 0, 0));
    ok!(cuStreamCreate(&mut held, 1));
    let (before, mut address, mut graph) = (control::live_bytes(), 0, CUgraph::NULL);
    ok!(cuStreamBeginCapture_v2(held, crate::abi_support::THREAD_LOCAL));
    ok!(cuMemAllocAsync(&mut address, 64, held));
    ok!(cuStreamEndCapture(held, &mut graph));
    let exec = crate::abi_support::instantiate(graph);
    GATE.hold(held);
    ok!(cuGraphLaunch(exec, held));
    ok!(cuCtxSetCurrent(primary));
    ok!(cuMemFreeAsync(address, CUstream::NULL));
    assert_eq!(code!(cuStreamSynchronize(CUstream::NULL)), INVALID);
    GATE.open();
    ok!(cuCtxSetCurrent(context));
    ok!(cuStreamSynchronize(held));
    assert_eq!(control::live_bytes(), before + 64);
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
    assert_eq!(control::live_bytes(), before);
    ok!(cuCtxDestroy_v2(context));
    ok!(cuDevicePrimaryCtxReset_v2(0));
}
