//! Devices.

use crate::door::{self, Failure, Outcome, entry_points, plain_entry_points};
use crate::driver;
use crate::properties::{self, Layout};
use crate::types::write;

fn count() -> Outcome<i32> {
    door::ready()?;
    let mut count = 0i32;
    // SAFETY: a place for the result.
    unsafe { driver::cuDeviceGetCount((&raw mut count).cast()) }?;
    if count == 0 { Err(Failure::NO_DEVICE) } else { Ok(count) }
}

fn exists(device: i32) -> Outcome {
    if (0..count()?).contains(&device) { Ok(()) } else { Err(Failure::INVALID_DEVICE) }
}

/// `cudaDeviceScheduleMask` and `cudaDeviceMapHost`, `cudaDeviceLmemResizeToMax`, `cudaDeviceSyncMemops`.
const FLAGS: u32 = 0xff;

plain_entry_points! {
    fn cudaGetDeviceCount(count: *mut i32) {
        let found = self::count();
        // Programs read the number without looking at the error.
        unsafe { write(count, found.unwrap_or(0)) }?;
        found.map(|_| ())
    }

    fn cudaGetDevice(device: *mut i32) {
        count()?;
        unsafe { write(device, door::device()) }
    }

    fn cudaDriverGetVersion(driverVersion: *mut i32) {
        // Without a driver it is 0, and no error.
        unsafe { write(driverVersion, 0) }?;
        match door::ready() {
            Err(Failure::INSUFFICIENT_DRIVER) => Ok(()),
            _ => unsafe { driver::cuDriverGetVersion(driverVersion.cast()) },
        }
    }

    fn cudaRuntimeGetVersion_v12(runtimeVersion: *mut i32) {
        unsafe { write(runtimeVersion, 12_090) }
    }

    fn cudaRuntimeGetVersion_v13(runtimeVersion: *mut i32) {
        unsafe { write(runtimeVersion, 13_000) }
    }

    fn cudaGetDeviceProperties_v11(prop: *mut u8, device: i32) {
        exists(device)?;
        unsafe { properties::fill(prop, device, Layout::V11) }
    }

    fn cudaGetDeviceProperties_v12(prop: *mut u8, device: i32) {
        exists(device)?;
        unsafe { properties::fill(prop, device, Layout::V12) }
    }

    fn cudaGetDeviceProperties_v13(prop: *mut u8, device: i32) {
        exists(device)?;
        unsafe { properties::fill(prop, device, Layout::V13) }
    }

    fn cudaSetValidDevices(device_arr: *const i32, len: i32) {
        let _ = device_arr;
        // The order of the devices: with one there is no other.
        if len < 0 { Err(Failure::INVALID_VALUE) } else { count().map(|_| ()) }
    }

    fn cudaChooseDevice(device: *mut i32, prop: *const u8) {
        let _ = prop;
        count()?;
        unsafe { write(device, 0) }
    }

    fn cudaSetDeviceFlags(flags: u32) {
        if flags & !FLAGS != 0 {
            return Err(Failure::INVALID_VALUE);
        }
        exists(door::device())?;
        unsafe { driver::cuDevicePrimaryCtxSetFlags_v2(door::device(), flags & !8) }
    }

    fn cudaGetDeviceFlags(flags: *mut u32) {
        exists(door::device())?;
        let (mut found, mut active) = (0u32, 0i32);
        let places = ((&raw mut found).cast(), (&raw mut active).cast());
        unsafe { driver::cuDevicePrimaryCtxGetState(door::device(), places.0, places.1) }?;
        // The runtime always maps host memory.
        unsafe { write(flags, found | 8) }
    }
}

/// Makes a device the thread's, and its primary context current.
fn set(device: i32) -> Outcome {
    exists(device)?;
    door::set_device(device);
    let context = door::primary(device)?;
    // SAFETY: a context that is retained.
    unsafe { driver::cuCtxSetCurrent(context) }
}

plain_entry_points! {
    fn cudaSetDevice(device: i32) {
        set(device)
    }

    fn cudaInitDevice(device: i32, deviceFlags: u32, flags: u32) {
        let _ = (deviceFlags, flags);
        exists(device)?;
        door::primary(device).map(|_| ())
    }

    fn cudaDeviceReset() {
        exists(door::device())?;
        let reset = unsafe { driver::cuDevicePrimaryCtxReset_v2(door::device()) };
        door::reset();
        reset
    }
}

entry_points! {
    fn cudaDeviceEnablePeerAccess(peerDevice: i32, flags: u32) {
        exists(peerDevice)?;
        unsafe { driver::cuCtxEnablePeerAccess(door::primary(peerDevice)?, flags) }
    }

    fn cudaDeviceDisablePeerAccess(peerDevice: i32) {
        exists(peerDevice)?;
        unsafe { driver::cuCtxDisablePeerAccess(door::primary(peerDevice)?) }
    }
}
