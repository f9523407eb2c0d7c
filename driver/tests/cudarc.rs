//! cudarc on the installed stub: the binary under test is its own driver.

use cudarc::driver::{CudaContext, sys};
use graphproof_driver::loader;

#[test]
fn cudarc_finds_this_binary_s_driver() {
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
