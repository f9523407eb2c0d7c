//! Memory, events and pools between processes.

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

use super::args::{not_null, read, write};
use super::types::{
    CUdeviceptr, CUevent, CUipcEventHandle, CUipcMemHandle, CUmemPoolPtrExportData, CUmemoryPool, POSIX_FILE_DESCRIPTOR,
};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::event::{DISABLE_TIMING, EventCell, INTERPROCESS, SharedEvent};
use crate::software::memory::{Pool, PoolFile, memory};
use crate::software::share::{Handle, Kind};

/// `CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS`, the one flag: devices that are peers reach the memory anyhow.
const LAZY_ENABLE_PEER_ACCESS: c_uint = 1;

/// Which process a handle may be opened in: any but the one that it is of, as NVIDIA's driver has it.
fn of_another(handle: Handle) -> Cuda<Handle> {
    if handle.is_own() { Err(CUresult::INVALID_CONTEXT) } else { Ok(handle) }
}

/// The descriptor that a caller passes in place of a pointer.
fn descriptor(handle: *const c_void, kind: c_uint) -> Cuda<c_int> {
    match kind {
        POSIX_FILE_DESCRIPTOR => c_int::try_from(handle as usize).map_err(|_| CUresult::INVALID_VALUE),
        // Windows' handles, and fabric handles.
        2 | 4 | 8 => Err(CUresult::NOT_SUPPORTED),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// The type of handle that is exported to: descriptors alone.
fn exported(kind: c_uint, flags: c_ulonglong) -> Cuda {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    descriptor(std::ptr::null(), kind).map(|_| ())
}

entry_points! {
    fn cuIpcGetMemHandle(pHandle: *mut CUipcMemHandle, dptr: CUdeviceptr) {
        not_null(pHandle)?;
        let driver = driver();
        driver.current()?;
        // The bytes move, once, to where another process can reach them.
        driver.wait_for_device();
        let handle = memory().space.share(dptr)?;
        unsafe { write(pHandle, CUipcMemHandle::from_words(handle.words())) }
    }

    fn cuIpcOpenMemHandle_v2(pdptr: *mut CUdeviceptr, handle: CUipcMemHandle, Flags: c_uint) {
        not_null(pdptr)?;
        if Flags != LAZY_ENABLE_PEER_ACCESS {
            return Err(CUresult::INVALID_VALUE);
        }
        let driver = driver();
        let context = driver.current()?.id;
        let device = driver.current_device()?;
        let handle = of_another(Handle::from_words(handle.words(), Kind::Memory)?)?;
        unsafe { write(pdptr, memory().space.open(handle, context.0, device)?) }
    }

    fn cuIpcCloseMemHandle(dptr: CUdeviceptr) {
        let driver = driver();
        driver.current()?;
        if !memory().space.is_opened(dptr) {
            return Err(CUresult::INVALID_VALUE);
        }
        // Work in progress may use the memory.
        driver.wait_for_device();
        memory().space.close(dptr)
    }

    fn cuIpcGetEventHandle(pHandle: *mut CUipcEventHandle, event: CUevent) {
        not_null(pHandle)?;
        let event = driver().world().event(event)?;
        // D: made with CU_EVENT_INTERPROCESS.
        let handle = event.shared.as_ref().ok_or(CUresult::INVALID_HANDLE)?.handle()?;
        unsafe { write(pHandle, CUipcEventHandle::from_words(handle.words())) }
    }

    fn cuIpcOpenEventHandle(phEvent: *mut CUevent, handle: CUipcEventHandle) {
        not_null(phEvent)?;
        let handle = of_another(Handle::from_words(handle.words(), Kind::Event)?)?;
        let shared = SharedEvent::open(&handle)?;
        let mut world = driver().world();
        let context = world.current()?.id;
        let cell = EventCell::new(INTERPROCESS | DISABLE_TIMING, context, Some(shared.into()));
        let event = world.events.insert(cell.into());
        unsafe { write(phEvent, CUevent(event)) }
    }

    fn cuMemExportToShareableHandle(
        shareableHandle: *mut c_void, handle: c_ulonglong, handleType: c_uint, flags: c_ulonglong
    ) {
        not_null(shareableHandle)?;
        exported(handleType, flags)?;
        let descriptor = memory().space.export_physical(handle, handleType)?;
        unsafe { write(shareableHandle.cast::<c_int>(), descriptor) }
    }

    fn cuMemImportFromShareableHandle(handle: *mut c_ulonglong, osHandle: *mut c_void, shHandleType: c_uint) {
        not_null(handle)?;
        let descriptor = descriptor(osHandle, shHandleType)?;
        unsafe { write(handle, memory().space.import_physical(descriptor, shHandleType)?) }
    }

    fn cuMemPoolExportToShareableHandle(
        handle_out: *mut c_void, pool: CUmemoryPool, handleType: c_uint, flags: c_ulonglong
    ) {
        not_null(handle_out)?;
        exported(handleType, flags)?;
        let descriptor = memory().pool(pool.0)?.shared()?.export()?;
        unsafe { write(handle_out.cast::<c_int>(), descriptor) }
    }

    fn cuMemPoolImportFromShareableHandle(
        pool_out: *mut CUmemoryPool, handle: *mut c_void, handleType: c_uint, flags: c_ulonglong
    ) {
        not_null(pool_out)?;
        if flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let (file, device) = PoolFile::import(descriptor(handle, handleType)?)?;
        let mut memory = memory();
        // A process may have fewer devices than the one that exported.
        let device = if device < memory.space.devices() { device } else { 0 };
        let pool = Pool::new(device, 0).within(Some(file));
        unsafe { write(pool_out, CUmemoryPool(memory.pools.insert(pool))) }
    }

    fn cuMemPoolExportPointer(shareData_out: *mut CUmemPoolPtrExportData, ptr: CUdeviceptr) {
        not_null(shareData_out)?;
        let pointer = memory().export_pointer(ptr)?;
        unsafe { write(shareData_out, CUmemPoolPtrExportData::from_words(pointer.words())) }
    }

    fn cuMemPoolImportPointer(ptr_out: *mut CUdeviceptr, pool: CUmemoryPool, shareData: *mut CUmemPoolPtrExportData) {
        not_null(ptr_out)?;
        let pointer = Handle::from_words(unsafe { read(shareData) }?.words(), Kind::Pointer)?;
        unsafe { write(ptr_out, memory().import_pointer(pool.0, pointer)?) }
    }
}
