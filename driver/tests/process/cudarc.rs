//! cudarc on the installed stub: the binary under test is its own driver.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg, sys};
use cudarc::nvrtc::Ptx;
use graphproof_driver::loader;

/// `y[i] = a * x[i] + y[i]` for `i < n`.
const SAXPY: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry saxpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n)
{
    .reg .pred %p<2>;
    .reg .f32 %f<4>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<8>;
    ld.param.u64 %rd1, [y];
    ld.param.u64 %rd2, [x];
    ld.param.f32 %f1, [a];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    cvta.to.global.u64 %rd3, %rd1;
    cvta.to.global.u64 %rd4, %rd2;
    mul.wide.u32 %rd5, %r5, 4;
    add.s64 %rd6, %rd3, %rd5;
    add.s64 %rd7, %rd4, %rd5;
    ld.global.f32 %f2, [%rd7];
    ld.global.f32 %f3, [%rd6];
    fma.rn.f32 %f3, %f1, %f2, %f3;
    st.global.f32 [%rd6], %f3;
DONE:
    ret;
}
";

/// One test at a time: cudarc waits for the whole context when it makes a stream, and that
/// invalidates a capture on any other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn cudarc_finds_this_binary_s_driver() {
    let _turn = turn();
    loader::install_software().unwrap();
    // A second time is fine.
    loader::install_software().unwrap();
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.name().unwrap(), "graphproof software device");
    let stream = context.new_stream().unwrap();
    let data = stream.clone_htod(&[1.0f32, 2.0, 3.0]).unwrap();
    let copy = stream.clone_dtod(&data).unwrap();
    assert_eq!(stream.clone_dtoh(&copy).unwrap(), [1.0, 2.0, 3.0]);
    let event = stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT)).unwrap();
    event.synchronize().unwrap();
    assert!(event.is_complete());
    let zeros = stream.alloc_zeros::<u8>(1 << 20).unwrap();
    assert!(stream.clone_dtoh(&zeros).unwrap().iter().all(|&byte| byte == 0));
}

#[test]
fn a_kernel_runs_eagerly_and_as_a_graph() {
    let _turn = turn();
    loader::install_software().unwrap();
    let context = CudaContext::new(0).unwrap();
    // SAFETY: everything here happens on one stream.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().unwrap();
    let module = context.load_module(Ptx::from_src(SAXPY)).unwrap();
    let saxpy = module.load_function("saxpy").unwrap();
    let n = 1000u32;
    let x = stream.clone_htod(&vec![2.0f32; n as usize]).unwrap();
    let mut y = stream.clone_htod(&vec![1.0f32; n as usize]).unwrap();
    let launch = |y: &mut cudarc::driver::CudaSlice<f32>| {
        let mut builder = stream.launch_builder(&saxpy);
        builder.arg(y).arg(&x).arg(&3.0f32).arg(&n);
        // SAFETY: the arguments are those of the kernel.
        unsafe { builder.launch(LaunchConfig::for_num_elems(n)) }.unwrap();
    };
    launch(&mut y);
    assert_eq!(stream.clone_dtoh(&y).unwrap(), vec![7.0; n as usize]);

    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL).unwrap();
    launch(&mut y);
    launch(&mut y);
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags).unwrap().unwrap();
    assert_eq!(stream.clone_dtoh(&y).unwrap(), vec![7.0; n as usize]);
    graph.launch().unwrap();
    graph.launch().unwrap();
    assert_eq!(stream.clone_dtoh(&y).unwrap(), vec![31.0; n as usize]);
}
