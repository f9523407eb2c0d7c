//! What the driver tells of a kernel's run: how long it took, and what is worth knowing of it.

use std::ffi::c_void;
use std::ptr::{from_mut, null_mut};

use crate::abi_support::{Device, function, load};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record;

const KERNELS: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry spin(.param .u64 clocks)
{
	.reg .pred %p;
	.reg .b64 %want, %first, %now;
	ld.param.u64 %want, [clocks];
	mov.u64 %first, %clock64;
AGAIN:
	mov.u64 %now, %clock64;
	sub.u64 %now, %now, %first;
	setp.lt.u64 %p, %now, %want;
	@%p bra AGAIN;
	ret;
}
.visible .entry widened(.param .u64 memory)
{
	.reg .b32 %r<4>;
	.reg .b64 %at;
	ld.param.u64 %at, [memory];
	ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%at+32];
	ret;
}
";

fn launch(function: CUfunction, stream: CUstream, mut argument: u64) {
    let mut arguments = [from_mut(&mut argument).cast::<c_void>()];
    ok!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, arguments.as_mut_ptr(), null_mut()));
}

#[test]
fn events_tell_at_least_the_time_that_a_kernel_spins_by_the_clock_rate() {
    let device = Device::new();
    let (mut kilohertz, mut before, mut after) = (0, CUevent::NULL, CUevent::NULL);
    ok!(cuDeviceGetAttribute(&mut kilohertz, 13, 0));
    ok!(cuEventCreate(&mut before, 0));
    ok!(cuEventCreate(&mut after, 0));
    let spin = function(load(KERNELS), c"spin");
    ok!(cuEventRecord(before, device.stream));
    launch(spin, device.stream, 20 * kilohertz as u64);
    ok!(cuEventRecord(after, device.stream));
    ok!(cuEventSynchronize(after));
    let mut milliseconds = 0.0;
    ok!(cuEventElapsedTime_v2(&mut milliseconds, before, after));
    assert!(milliseconds >= 20.0, "{milliseconds}");
}

#[test]
fn a_widened_read_succeeds_and_is_noted_with_its_work() {
    let device = Device::new();
    let mut memory = 0;
    ok!(cuMemAlloc_v2(&mut memory, 44));
    let widened = function(load(KERNELS), c"widened");
    record::start(record::Options::default());
    launch(widened, device.stream, memory);
    ok!(cuStreamSynchronize(device.stream));
    let recording = record::stop();
    let notes: Vec<_> = recording.work.iter().filter_map(|work| work.note.as_deref()).collect();
    assert!(matches!(notes[..], [note] if note.contains("ends 4 bytes behind") && note.contains("44")), "{notes:?}");
    ok!(cuMemFree_v2(memory));
}
