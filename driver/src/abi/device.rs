//! Initialisation, errors, and the device.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::args::{not_null, read, text, write, write_if};
use super::types::{CUdevice, CUdevprop, CUmemoryPool, CUuuid};
use super::{CUresult, Cuda};
use crate::record;
use crate::software::device::{self, MAX_BLOCK, MAX_GRID};
use crate::software::memory::memory;
use crate::software::{driver, version};

/// Refuses an ordinal that is no device's.
pub(crate) fn check_device(device: CUdevice) -> Cuda {
    if (0..device::count()).contains(&device) { Ok(()) } else { Err(CUresult::INVALID_DEVICE) }
}

entry_points! {
    fn cuInit(Flags: c_uint) {
        if Flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if let Some(why) = device::refusal() {
            // The program that meets this need not know of the record.
            eprintln!("graphproof: {why}");
            record::note(|| why.to_owned());
            return Err(CUresult::INVALID_VALUE);
        }
        driver().initialise()?;
        crate::loader::tell_of_others();
        Ok(())
    }

    fn cuDriverGetVersion(driverVersion: *mut c_int) {
        unsafe { write(driverVersion, version::answered().number as c_int) }
    }

    fn cuGetErrorName(error: CUresult, pStr: *mut *const c_char) {
        not_null(pStr)?;
        let name = error.c_name();
        unsafe { write(pStr, name.map_or(std::ptr::null(), |name| name.as_ptr().cast())) }?;
        name.map(|_| ()).ok_or(CUresult::INVALID_VALUE)
    }

    fn cuGetErrorString(error: CUresult, pStr: *mut *const c_char) {
        not_null(pStr)?;
        let text = error.c_description();
        unsafe { write(pStr, text.map_or(std::ptr::null(), |text| text.as_ptr().cast())) }?;
        text.map(|_| ()).ok_or(CUresult::INVALID_VALUE)
    }

    fn cuDeviceGet(device: *mut CUdevice, ordinal: c_int) {
        not_null(device)?;
        check_device(ordinal)?;
        unsafe { write(device, ordinal) }
    }

    fn cuDeviceGetCount(count: *mut c_int) {
        unsafe { write(count, device::count()) }
    }

    fn cuDeviceGetName(name: *mut c_char, len: c_int, dev: CUdevice) {
        not_null(name)?;
        check_device(dev)?;
        unsafe { write_text(name, len, device::NAME) }
    }

    fn cuDeviceGetUuid(uuid: *mut CUuuid, dev: CUdevice) {
        not_null(uuid)?;
        check_device(dev)?;
        unsafe { write(uuid, CUuuid { bytes: device::uuid(dev).map(|byte| byte as c_char) }) }
    }

    fn cuDeviceGetUuid_v2(uuid: *mut CUuuid, dev: CUdevice) {
        not_null(uuid)?;
        check_device(dev)?;
        unsafe { write(uuid, CUuuid { bytes: device::uuid(dev).map(|byte| byte as c_char) }) }
    }

    fn cuDeviceGetLuid(luid: *mut c_char, deviceNodeMask: *mut c_uint, dev: CUdevice) {
        not_null(luid)?;
        not_null(deviceNodeMask)?;
        check_device(dev)?;
        // Locally unique ids exist on Windows only.
        unsafe { write(luid.cast::<[u8; 8]>(), [0; 8]) }?;
        unsafe { write(deviceNodeMask, 0) }
    }

    fn cuDeviceTotalMem_v2(bytes: *mut usize, dev: CUdevice) {
        not_null(bytes)?;
        check_device(dev)?;
        unsafe { write(bytes, memory().space.total() as usize) }
    }

    fn cuDeviceGetAttribute(pi: *mut c_int, attrib: c_uint, dev: CUdevice) {
        not_null(pi)?;
        check_device(dev)?;
        unsafe { write(pi, device::attribute(attrib, dev)?) }
    }

    fn cuDeviceGetProperties(prop: *mut CUdevprop, dev: CUdevice) {
        not_null(prop)?;
        check_device(dev)?;
        let attribute = |id| device::attribute(id, dev).unwrap_or(0);
        unsafe {
            write(prop, CUdevprop {
                maxThreadsPerBlock: attribute(1),
                maxThreadsDim: MAX_BLOCK.map(|extent| extent as c_int),
                maxGridSize: MAX_GRID.map(|extent| extent as c_int),
                sharedMemPerBlock: attribute(8),
                totalConstantMemory: attribute(9),
                SIMDWidth: attribute(10),
                memPitch: attribute(11),
                regsPerBlock: attribute(12),
                clockRate: attribute(13),
                textureAlign: attribute(14),
            })
        }
    }

    fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, dev: CUdevice) {
        not_null(major)?;
        not_null(minor)?;
        check_device(dev)?;
        unsafe { write(major, device::capability().version.0) }?;
        unsafe { write(minor, device::capability().version.1) }
    }

    fn cuDeviceGetPCIBusId(pciBusId: *mut c_char, len: c_int, dev: CUdevice) {
        not_null(pciBusId)?;
        check_device(dev)?;
        unsafe { write_text(pciBusId, len, &device::bus_id(dev)) }
    }

    fn cuDeviceGetByPCIBusId(dev: *mut CUdevice, pciBusId: *const c_char) {
        not_null(dev)?;
        let id = unsafe { text(pciBusId) }?;
        let named = |device: &CUdevice| {
            let full = device::bus_id(*device);
            let short = full.trim_start_matches("0000:");
            [full.as_str(), short, short.trim_end_matches(".0")].iter().any(|name| name.eq_ignore_ascii_case(id))
        };
        let found = (0..device::count()).find(named).ok_or(CUresult::INVALID_DEVICE)?;
        unsafe { write(dev, found) }
    }

    fn cuDeviceCanAccessPeer(canAccessPeer: *mut c_int, dev: CUdevice, peerDev: CUdevice) {
        not_null(canAccessPeer)?;
        check_device(dev)?;
        check_device(peerDev)?;
        unsafe { write(canAccessPeer, c_int::from(device::is_peer(dev, peerDev))) }
    }

    fn cuDeviceGetP2PAttribute(value: *mut c_int, attrib: c_uint, srcDevice: CUdevice, dstDevice: CUdevice) {
        not_null(value)?;
        check_device(srcDevice)?;
        check_device(dstDevice)?;
        // D: of two different devices only.
        if srcDevice == dstDevice {
            return Err(CUresult::INVALID_DEVICE);
        }
        unsafe { write(value, device::p2p_attribute(attrib)?) }
    }

    fn cuDeviceGetExecAffinitySupport(pi: *mut c_int, r#type: c_uint, dev: CUdevice) {
        not_null(pi)?;
        check_device(dev)?;
        if r#type != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        unsafe { write(pi, 0) }
    }

    fn cuDeviceGetDefaultMemPool(pool_out: *mut CUmemoryPool, dev: CUdevice) {
        not_null(pool_out)?;
        check_device(dev)?;
        unsafe { write(pool_out, CUmemoryPool(memory().pools_of(dev).default)) }
    }

    fn cuDeviceGetMemPool(pool: *mut CUmemoryPool, dev: CUdevice) {
        not_null(pool)?;
        check_device(dev)?;
        unsafe { write(pool, CUmemoryPool(memory().pools_of(dev).current)) }
    }

    fn cuDeviceSetMemPool(dev: CUdevice, pool: CUmemoryPool) {
        check_device(dev)?;
        memory().set_current_pool(dev, pool.0)
    }

    fn cuGetExportTable(ppExportTable: *mut *const c_void, pExportTableId: *const CUuuid) {
        let _ = unsafe { read(pExportTableId) }?;
        unsafe { write_if(ppExportTable, std::ptr::null()) };
        record::note(|| {
            "a library asks for private tables of NVIDIA's driver, which are not imitated: a program that holds \
             NVIDIA's CUDA runtime in itself does not start here; build it with `nvcc -cudart shared`, or take a \
             package that is built so"
                .to_owned()
        });
        Err(CUresult::NOT_SUPPORTED)
    }

    fn cuProfilerStart() {
        driver().current().map(|_| ())
    }

    fn cuProfilerStop() {
        driver().current().map(|_| ())
    }
}

/// Writes as much of `text` as fits, always terminated.
///
/// # Safety
/// `target` is valid for writes of `len` bytes.
unsafe fn write_text(target: *mut c_char, len: c_int, text: &str) -> Cuda {
    let Ok(len @ 1..) = usize::try_from(len) else { return Err(CUresult::INVALID_VALUE) };
    let kept = text.len().min(len - 1);
    // SAFETY: at most `len` bytes.
    unsafe {
        target.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), kept);
        target.add(kept).write(0);
    }
    Ok(())
}
