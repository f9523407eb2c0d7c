//! Several devices through the C ABI: what `tests/conformance/devices` cannot say.

use std::ffi::{c_int, c_uint};
use std::ptr::null_mut;

use crate::abi_support::{INVALID, function, load, primary, primary_of};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::record::last_reason;
use graphproof_driver::software::{Entered, Instance, Settings};

const SETTING: &str = "GRAPHPROOF_DEVICES";
const BAD_DEVICE: CUresult = CUresult::INVALID_DEVICE;

const STORE: &str = ".version 7.8\n.target sm_80\n.address_size 64\n\
    .visible .entry store(.param .u64 to, .param .u32 what) {\n.reg .b64 %d<2>;\n.reg .b32 %r<2>;\n\
    ld.param.u64 %d1, [to];\nld.param.u32 %r1, [what];\nst.global.u32 [%d1], %r1;\nret;\n}\n";

/// Two devices, their primary contexts, the first one current.
fn two() -> (Entered, [CUcontext; 2]) {
    let (own, first) = primary_of(Settings::default().with(SETTING, "2"));
    let mut second = CUcontext::NULL;
    ok!(cuDevicePrimaryCtxRetain(&mut second, 1));
    (own, [first, second])
}

fn store(to: CUdeviceptr, what: u32) -> CUresult {
    let (kernel, mut to, mut what) = (function(load(STORE), c"store"), to, what);
    let mut parameters = [(&raw mut to).cast(), (&raw mut what).cast()];
    let stream = CUstream::NULL;
    ok!(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters.as_mut_ptr(), null_mut()));
    code!(cuCtxSynchronize())
}

fn word(at: CUdeviceptr) -> u32 {
    let mut word = 0u32;
    ok!(cuMemcpyDtoH_v2((&raw mut word) as u64, at, 4));
    word
}

fn located(device: c_int) -> CUmemLocation {
    CUmemLocation { type_: 1, id: device }
}

fn access(device: c_int, flags: c_uint) -> CUmemAccessDesc {
    CUmemAccessDesc { location: located(device), flags }
}

#[test]
fn devices_are_counted_named_and_told_apart() {
    let _own = two();
    let mut count = 0;
    ok!(cuDeviceGetCount(&mut count));
    assert_eq!(count, 2);
    let (mut device, mut ids) = (0, Vec::new());
    for ordinal in 0..2 {
        ok!(cuDeviceGet(&mut device, ordinal));
        assert_eq!(device, ordinal);
        let mut uuid = CUuuid { bytes: [0; 16] };
        ok!(cuDeviceGetUuid_v2(&mut uuid, device));
        let mut bus = [0; 16];
        ok!(cuDeviceGetPCIBusId(bus.as_mut_ptr(), 16, device));
        let mut found = -1;
        ok!(cuDeviceGetByPCIBusId(&mut found, bus.as_ptr()));
        assert_eq!(found, device);
        ids.push((uuid.bytes, bus));
    }
    assert!(ids[0].0 != ids[1].0 && ids[0].1 != ids[1].1);
    assert_eq!(code!(cuDeviceGet(&mut device, 2)), BAD_DEVICE);
    assert_eq!(code!(cuDeviceGet(&mut device, -1)), BAD_DEVICE);
}

#[test]
fn memory_belongs_to_the_device_of_its_context() {
    let (_own, [first, second]) = two();
    let free = || {
        let (mut free, mut total) = (0, 0);
        ok!(cuMemGetInfo_v2(&mut free, &mut total));
        free
    };
    let before = free();
    ok!(cuCtxSetCurrent(second));
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, 1 << 20));
    assert_eq!(free(), before - (1 << 20));
    let mut ordinal = -1i32;
    ok!(cuPointerGetAttribute((&raw mut ordinal).cast(), 9, address));
    assert_eq!(ordinal, 1);
    ok!(cuCtxSetCurrent(first));
    assert_eq!(free(), before, "the other device has what it had");
    // D: once its context has access to the other one's memory, and not before.
    ok!(cuCtxEnablePeerAccess(second, 0));
    assert_eq!(store(address, 5), CUresult::SUCCESS);
    assert_eq!(word(address), 5);
    // What is allocated later is reached too; what the other context is reset with is gone.
    ok!(cuCtxSetCurrent(second));
    let mut later = 0;
    ok!(cuMemAlloc_v2(&mut later, 64));
    ok!(cuCtxSetCurrent(first));
    assert_eq!(store(later, 6), CUresult::SUCCESS);
    ok!(cuCtxDisablePeerAccess(second));
    assert_eq!(store(later, 7), CUresult::ILLEGAL_ADDRESS);
}

#[test]
fn a_pool_is_of_a_device_and_gives_access_to_others() {
    let (_own, [_, second]) = two();
    let (mut pool, mut other, mut address) = (CUmemoryPool::NULL, CUmemoryPool::NULL, 0);
    ok!(cuDeviceGetDefaultMemPool(&mut pool, 0));
    ok!(cuDeviceGetDefaultMemPool(&mut other, 1));
    assert_ne!(pool.0, other.0);
    assert_eq!(code!(cuDeviceSetMemPool(0, other)), BAD_DEVICE);
    ok!(cuMemAllocFromPoolAsync(&mut address, 64, other, CUstream::NULL));
    ok!(cuCtxSynchronize());
    let mut flags = 9;
    ok!(cuMemPoolGetAccess(&mut flags, other, &located(0)));
    assert_eq!(flags, 0);
    for (wrong, code) in [(access(2, 3), BAD_DEVICE), (access(1, 0), INVALID), (access(0, 2), INVALID)] {
        assert_eq!(code!(cuMemPoolSetAccess(other, &wrong, 1)), code);
    }
    ok!(cuMemPoolSetAccess(other, &access(0, 3), 1));
    ok!(cuMemPoolGetAccess(&mut flags, other, &located(0)));
    assert_eq!(flags, 3);
    assert_eq!(store(address, 8), CUresult::SUCCESS, "an allocation made before is reached too");
    assert_eq!(word(address), 8);
    ok!(cuMemPoolSetAccess(other, &access(0, 0), 1));
    assert_eq!(store(address, 9), CUresult::ILLEGAL_ADDRESS);
    // A stream allocates from the pool of its own device.
    ok!(cuCtxSetCurrent(second));
    ok!(cuMemAllocAsync(&mut address, 64, CUstream::NULL));
    let mut of = 0u64;
    ok!(cuPointerGetAttribute((&raw mut of).cast(), 17, address));
    assert_eq!(of, other.0);
}

#[test]
fn mapped_memory_is_accessed_by_the_devices_it_was_set_for() {
    let (_own, _) = two();
    const LEN: usize = 2 << 20;
    let prop = CUmemAllocationProp::of_device(1, 0);
    let (mut handle, mut base) = (0, 0);
    ok!(cuMemCreate(&mut handle, LEN, &prop, 0));
    let mut told = CUmemAllocationProp::of_device(0, 0);
    ok!(cuMemGetAllocationPropertiesFromHandle(&mut told, handle));
    assert_eq!(told.location.id, 1);
    ok!(cuMemAddressReserve(&mut base, LEN, 0, 0, 0));
    ok!(cuMemMap(base, LEN, 0, handle, 0));
    ok!(cuMemSetAccess(base, LEN, &access(1, 3), 1));
    let flags = |device| {
        let mut flags = 9;
        ok!(cuMemGetAccess(&mut flags, &located(device), base));
        flags
    };
    assert_eq!([0, 1].map(flags), [0, 3]);
    ok!(cuMemSetAccess(base, LEN, [access(0, 3), access(1, 0)].as_ptr(), 2));
    assert_eq!([0, 1].map(flags), [3, 0]);
    assert_eq!(store(base, 3), CUresult::SUCCESS);
    ok!(cuMemSetAccess(base, LEN, [access(0, 0), access(1, 3)].as_ptr(), 2));
    assert_eq!(store(base, 3), CUresult::ILLEGAL_ADDRESS);
}

#[test]
fn one_device_has_no_peer() {
    let (_own, context) = primary();
    let mut value = 9;
    ok!(cuDeviceCanAccessPeer(&mut value, 0, 0));
    assert_eq!(value, 0);
    assert_eq!(code!(cuDeviceCanAccessPeer(&mut value, 0, 1)), BAD_DEVICE);
    assert_eq!(code!(cuCtxEnablePeerAccess(context, 0)), CUresult::PEER_ACCESS_UNSUPPORTED);
    let mut other = CUcontext::NULL;
    ok!(cuCtxCreate_v2(&mut other, 0, 0));
    assert_eq!(code!(cuCtxEnablePeerAccess(context, 0)), CUresult::PEER_ACCESS_UNSUPPORTED);
    ok!(cuCtxDestroy_v2(other));
}

#[test]
fn a_number_of_devices_that_cannot_be_is_refused_by_name() {
    for wrong in ["0", "17", "many"] {
        let _own = Instance::new(Settings::default().with(SETTING, wrong)).enter();
        assert_eq!(code!(cuInit(0)), INVALID);
        let reason = last_reason().expect("a reason").text;
        assert!(reason.contains(&format!("{SETTING}={wrong}")) && reason.contains("1 to 16"), "{reason}");
    }
}
