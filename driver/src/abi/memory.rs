//! Allocations: device, host and managed memory, and pools.

use std::ffi::{c_int, c_uint, c_ushort, c_void};

use super::args::{not_null, read, slice, write, write_if};
use super::types::{CUdeviceptr, CUmemAccessDesc, CUmemLocation, CUmemPoolProps, CUmemoryPool, CUstream};
use super::{CUresult, Cuda};
use crate::software::device::PITCH_UNIT;
use crate::software::driver;
use crate::software::execute::Op;
use crate::software::memory::pool::Value;
use crate::software::memory::{HostKind, Place, Pool, memory};

/// `CU_MEM_LOCATION_TYPE_DEVICE`.
const DEVICE: u32 = 1;
/// `CU_MEM_ALLOCATION_TYPE_MANAGED`.
const MANAGED: u32 = 2;
/// `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`.
const READ_WRITE: u32 = 3;

fn allocate_host(target: *mut *mut c_void, bytes: usize, kind: HostKind, flags: u32) -> Cuda {
    not_null(target)?;
    driver().current()?;
    let address = memory().space.allocate_host(bytes as u64, kind, flags)?;
    // SAFETY: the caller's pointer, not null.
    unsafe { write(target, address as *mut c_void) }
}

/// Host memory that the device knows, containing `address`.
fn host(address: u64) -> Cuda<crate::software::memory::HostAllocation> {
    match memory().space.place(address) {
        Some(Place::Host(found)) if found.kind != HostKind::Managed => Ok(found),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// The pool that a location and an allocation type name: the device's, of pinned memory.
pub(super) fn located(location: *const CUmemLocation, kind: u32) -> Cuda {
    // SAFETY: the caller's pointer.
    let location = unsafe { read(location) }?;
    match (location.type_, location.id, kind) {
        (DEVICE, 0, 1) => Ok(()),
        // Managed memory, whose location may be left open, and every place but the device.
        (_, _, MANAGED) | (2..=6, _, _) => Err(CUresult::NOT_SUPPORTED),
        (DEVICE, _, _) => Err(CUresult::INVALID_DEVICE),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Checks that a range is managed memory.
fn managed(address: u64, bytes: usize) -> Cuda {
    match memory().space.place(address) {
        Some(Place::Host(found)) if found.kind == HostKind::Managed => {
            let inside = bytes as u64 <= found.len - (address - found.base);
            if inside { Ok(()) } else { Err(CUresult::INVALID_VALUE) }
        }
        _ => Err(CUresult::INVALID_VALUE),
    }
}

fn prefetch(address: u64, bytes: usize, stream: CUstream) -> Cuda {
    if bytes == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    managed(address, bytes)?;
    let driver = driver();
    let mut world = driver.world();
    let stream = world.usable_stream(stream)?;
    world.capture.classify_uncapturable(stream)?;
    // Host and device share the memory here: nothing moves.
    driver.submit(&world, stream, Op::Nothing, Vec::new());
    Ok(())
}

fn advise(address: u64, bytes: usize, advice: u32) -> Cuda {
    if !(1..=6).contains(&advice) || bytes == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    driver().current()?;
    managed(address, bytes)
}

entry_points! {
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        not_null(free)?;
        not_null(total)?;
        driver().current()?;
        let memory = memory();
        unsafe { write(free, memory.space.free_bytes() as usize) }?;
        unsafe { write(total, memory.space.total() as usize) }
    }

    fn cuMemAlloc_v2(dptr: *mut CUdeviceptr, bytesize: usize) {
        not_null(dptr)?;
        unsafe { write(dptr, driver().allocate(bytesize as u64)?) }
    }

    fn cuMemAllocPitch_v2(
        dptr: *mut CUdeviceptr, pPitch: *mut usize, WidthInBytes: usize, Height: usize, ElementSizeBytes: c_uint
    ) {
        not_null(dptr)?;
        not_null(pPitch)?;
        if !matches!(ElementSizeBytes, 4 | 8 | 16) || WidthInBytes == 0 || Height == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let pitch = WidthInBytes.checked_next_multiple_of(PITCH_UNIT).ok_or(CUresult::OUT_OF_MEMORY)?;
        let bytes = pitch.checked_mul(Height).ok_or(CUresult::OUT_OF_MEMORY)?;
        unsafe { write(dptr, driver().allocate(bytes as u64)?) }?;
        unsafe { write(pPitch, pitch) }
    }

    fn cuMemFree_v2(dptr: CUdeviceptr) {
        driver().free(dptr)
    }

    fn cuMemGetAddressRange_v2(pbase: *mut CUdeviceptr, psize: *mut usize, dptr: CUdeviceptr) {
        driver().current()?;
        let (base, len) = match memory().space.place(dptr) {
            Some(Place::Device(found)) => (found.base, found.len),
            Some(Place::Host(found)) => (found.base, found.len),
            None => return Err(CUresult::NOT_FOUND),
        };
        unsafe { write_if(pbase, base) };
        unsafe { write_if(psize, len as usize) };
        Ok(())
    }

    fn cuMemAllocHost_v2(pp: *mut *mut c_void, bytesize: usize) {
        allocate_host(pp, bytesize, HostKind::Pinned, 0)
    }

    fn cuMemHostAlloc(pp: *mut *mut c_void, bytesize: usize, Flags: c_uint) {
        // Portable, device map, write combined.
        if Flags & !7 != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        allocate_host(pp, bytesize, HostKind::Pinned, Flags)
    }

    fn cuMemFreeHost(p: *mut c_void) {
        driver().current()?;
        let address = p as u64;
        if host(address)?.base != address {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().wait_for_device();
        memory().space.free_host(address, HostKind::Pinned)
    }

    fn cuMemHostRegister_v2(p: *mut c_void, bytesize: usize, Flags: c_uint) {
        // Portable, device map, I/O memory, read only.
        if Flags & !15 != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().current()?;
        memory().space.register(p as u64, bytesize as u64, Flags)
    }

    fn cuMemHostUnregister(p: *mut c_void) {
        driver().current()?;
        if p.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().wait_for_device();
        memory().space.unregister(p as u64)
    }

    fn cuMemHostGetDevicePointer_v2(pdptr: *mut CUdeviceptr, p: *mut c_void, Flags: c_uint) {
        not_null(pdptr)?;
        if Flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().current()?;
        host(p as u64)?;
        // One address space for host and device.
        unsafe { write(pdptr, p as u64) }
    }

    fn cuMemHostGetFlags(pFlags: *mut c_uint, p: *mut c_void) {
        not_null(pFlags)?;
        driver().current()?;
        let found = host(p as u64)?;
        if found.kind != HostKind::Pinned {
            return Err(CUresult::INVALID_VALUE);
        }
        // With one address space, all host memory is portable and mapped.
        unsafe { write(pFlags, found.flags | 3) }
    }

    fn cuMemAllocManaged(dptr: *mut CUdeviceptr, bytesize: usize, flags: c_uint) {
        // Attached globally or to the host.
        if !matches!(flags, 1 | 2) {
            return Err(CUresult::INVALID_VALUE);
        }
        allocate_host(dptr.cast(), bytesize, HostKind::Managed, flags)
    }

    fn cuMemPrefetchAsync(devPtr: CUdeviceptr, count: usize, dstDevice: c_int, hStream: CUstream) on hStream {
        // -1 is the host.
        if !matches!(dstDevice, -1 | 0) {
            return Err(CUresult::INVALID_DEVICE);
        }
        prefetch(devPtr, count, hStream)
    }

    fn cuMemPrefetchAsync_v2(
        devPtr: CUdeviceptr, count: usize, location: CUmemLocation, flags: c_uint, hStream: CUstream
    ) on hStream {
        if flags != 0 || !(1..=4).contains(&location.type_) {
            return Err(CUresult::INVALID_VALUE);
        }
        if location.type_ == DEVICE && location.id != 0 {
            return Err(CUresult::INVALID_DEVICE);
        }
        prefetch(devPtr, count, hStream)
    }

    fn cuMemAdvise(devPtr: CUdeviceptr, count: usize, advice: c_uint, device: c_int) {
        let _ = device;
        advise(devPtr, count, advice)
    }

    fn cuMemAdvise_v2(devPtr: CUdeviceptr, count: usize, advice: c_uint, location: CUmemLocation) {
        let _ = location;
        advise(devPtr, count, advice)
    }

    fn cuMemAllocAsync(dptr: *mut CUdeviceptr, bytesize: usize, hStream: CUstream) on hStream {
        not_null(dptr)?;
        unsafe { write(dptr, driver().allocate_on(hStream, bytesize as u64, 0)?) }
    }

    fn cuMemAllocFromPoolAsync(
        dptr: *mut CUdeviceptr, bytesize: usize, pool: CUmemoryPool, hStream: CUstream
    ) on hStream {
        not_null(dptr)?;
        memory().pool(pool.0)?;
        unsafe { write(dptr, driver().allocate_on(hStream, bytesize as u64, pool.0)?) }
    }

    fn cuMemFreeAsync(dptr: CUdeviceptr, hStream: CUstream) on hStream {
        driver().free_on(hStream, dptr)
    }

    fn cuMemPoolCreate(pool: *mut CUmemoryPool, poolProps: *const CUmemPoolProps) {
        not_null(pool)?;
        let props = unsafe { read(poolProps) }?;
        driver().current()?;
        located(&raw const props.location, props.allocType)?;
        if props.handleTypes != 0 {
            return Err(CUresult::NOT_SUPPORTED);
        }
        let _: c_ushort = props.usage;
        let handle = memory().pools.insert(Pool::new(props.maxSize as u64));
        unsafe { write(pool, CUmemoryPool(handle)) }
    }

    fn cuMemPoolDestroy(pool: CUmemoryPool) {
        memory().destroy_pool(pool.0)
    }

    fn cuMemPoolTrimTo(pool: CUmemoryPool, minBytesToKeep: usize) {
        memory().trim(pool.0, minBytesToKeep as u64)
    }

    fn cuMemPoolGetAttribute(pool: CUmemoryPool, attr: c_uint, value: *mut c_void) {
        not_null(value)?;
        let found = memory().pool(pool.0)?.get(attr)?;
        match found {
            Value::Int(found) => unsafe { write(value.cast::<c_int>(), found) },
            Value::Long(found) => unsafe { write(value.cast::<u64>(), found) },
        }
    }

    fn cuMemPoolSetAttribute(pool: CUmemoryPool, attr: c_uint, value: *const c_void) {
        let value = if Pool::is_int(attr) {
            unsafe { read(value.cast::<c_int>()) }? as u64
        } else {
            unsafe { read(value.cast::<u64>()) }?
        };
        memory().pool(pool.0)?.set(attr, value)
    }

    fn cuMemPoolSetAccess(pool: CUmemoryPool, map: *const CUmemAccessDesc, count: usize) {
        let descriptions = unsafe { slice(map, count) }?;
        memory().pool(pool.0)?;
        for description in descriptions {
            if (description.location.type_, description.location.id) != (DEVICE, 0) {
                return Err(CUresult::INVALID_DEVICE);
            }
            // The device that owns the memory cannot lose access to it.
            if description.flags != READ_WRITE {
                return Err(CUresult::INVALID_VALUE);
            }
        }
        Ok(())
    }

    fn cuMemPoolGetAccess(flags: *mut c_uint, memPool: CUmemoryPool, location: *const CUmemLocation) {
        not_null(flags)?;
        located(location, 1)?;
        memory().pool(memPool.0)?;
        unsafe { write(flags, READ_WRITE) }
    }

    fn cuMemGetDefaultMemPool(pool_out: *mut CUmemoryPool, location: *const CUmemLocation, r#type: c_uint) {
        not_null(pool_out)?;
        located(location, r#type)?;
        unsafe { write(pool_out, CUmemoryPool(memory().default_pool)) }
    }

    fn cuMemGetMemPool(pool: *mut CUmemoryPool, location: *const CUmemLocation, r#type: c_uint) {
        not_null(pool)?;
        located(location, r#type)?;
        unsafe { write(pool, CUmemoryPool(memory().current_pool)) }
    }

    fn cuMemSetMemPool(location: *const CUmemLocation, r#type: c_uint, pool: CUmemoryPool) {
        located(location, r#type)?;
        let mut memory = memory();
        memory.pool(pool.0)?;
        memory.current_pool = pool.0;
        Ok(())
    }
}
