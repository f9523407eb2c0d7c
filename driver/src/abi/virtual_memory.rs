//! Virtual memory management: `cuMemAddressReserve` to `cuMemUnmap`.

use std::ffi::{c_uint, c_ulonglong, c_void};

use super::args::{not_null, read, slice, write};
use super::memory::located;
use super::types::{CUdevice, CUdeviceptr, CUmemAccessDesc, CUmemAllocationProp, CUmemLocation, POSIX_FILE_DESCRIPTOR};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::memory::{Access, GRANULARITY, memory};

/// What memory of those properties is, and the device that it is of: pinned.
fn check(prop: *const CUmemAllocationProp) -> Cuda<(CUmemAllocationProp, CUdevice)> {
    // SAFETY: the caller's pointer.
    let prop = unsafe { read(prop) }?;
    let device = located(&raw const prop.location, prop.type_)?;
    // Compressed memory and memory for sparse arrays have no model.
    if prop.requestedHandleTypes & !POSIX_FILE_DESCRIPTOR != 0 || prop.compressionType != 0 || prop.usage != 0 {
        return Err(CUresult::NOT_SUPPORTED);
    }
    Ok((prop, device))
}

entry_points! {
    fn cuMemGetAllocationGranularity(granularity: *mut usize, prop: *const CUmemAllocationProp, option: c_uint) {
        not_null(granularity)?;
        check(prop)?;
        // The least and the recommended one are the same.
        if option > 1 {
            return Err(CUresult::INVALID_VALUE);
        }
        unsafe { write(granularity, GRANULARITY as usize) }
    }

    fn cuMemAddressReserve(
        ptr: *mut CUdeviceptr, size: usize, alignment: usize, addr: CUdeviceptr, flags: c_ulonglong
    ) {
        not_null(ptr)?;
        if flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        // A wish that the driver need not grant.
        let _ = addr;
        let base = memory().space.reserve_addresses(size as u64, alignment as u64)?;
        unsafe { write(ptr, base) }
    }

    fn cuMemAddressFree(ptr: CUdeviceptr, size: usize) {
        memory().space.free_addresses(ptr, size as u64)
    }

    fn cuMemCreate(handle: *mut c_ulonglong, size: usize, prop: *const CUmemAllocationProp, flags: c_ulonglong) {
        not_null(handle)?;
        let (prop, device) = check(prop)?;
        if flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let made = memory().space.create_physical(size as u64, device, prop.requestedHandleTypes)?;
        unsafe { write(handle, made) }
    }

    fn cuMemRelease(handle: c_ulonglong) {
        memory().space.release_physical(handle)
    }

    fn cuMemRetainAllocationHandle(handle: *mut c_ulonglong, addr: *mut c_void) {
        not_null(handle)?;
        let found = memory().space.retain_physical(addr as u64)?;
        unsafe { write(handle, found) }
    }

    fn cuMemGetAllocationPropertiesFromHandle(prop: *mut CUmemAllocationProp, handle: c_ulonglong) {
        not_null(prop)?;
        let (device, requested) = {
            let memory = memory();
            let found = memory.space.physical(handle)?;
            (found.device, found.handle_types)
        };
        unsafe { write(prop, CUmemAllocationProp::of_device(device, requested)) }
    }

    fn cuMemMap(ptr: CUdeviceptr, size: usize, offset: usize, handle: c_ulonglong, flags: c_ulonglong) {
        // D: both must be zero.
        if offset != 0 || flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        memory().space.map_physical(ptr, size as u64, handle)
    }

    fn cuMemUnmap(ptr: CUdeviceptr, size: usize) {
        // Work in progress may use the memory.
        driver().wait_for_device();
        memory().space.unmap(ptr, size as u64)
    }

    fn cuMemSetAccess(ptr: CUdeviceptr, size: usize, desc: *const CUmemAccessDesc, count: usize) {
        let descriptions = unsafe { slice(desc, count) }?;
        if descriptions.is_empty() {
            return Err(CUresult::INVALID_VALUE);
        }
        for description in descriptions {
            let device = located(&raw const description.location, 1)?;
            let access = match description.flags {
                0 => Access::None,
                3 => Access::ReadWrite,
                // Memory that may be read only has no model.
                1 => return Err(CUresult::NOT_SUPPORTED),
                _ => return Err(CUresult::INVALID_VALUE),
            };
            memory().space.set_access(ptr, size as u64, device, access)?;
        }
        Ok(())
    }

    fn cuMemGetAccess(flags: *mut c_ulonglong, location: *const CUmemLocation, ptr: CUdeviceptr) {
        not_null(flags)?;
        let device = located(location, 1)?;
        let access = memory().space.access(ptr, device)?;
        unsafe { write(flags, access as c_ulonglong) }
    }
}
