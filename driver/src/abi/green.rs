//! Green contexts: `cuGreenCtx*`, and events of whole contexts.
//!
//! A green context has all multiprocessors of the device or none of these calls: splitting them, and
//! making a green context current (`cuCtxFromGreenCtx`), have no model.

use std::ffi::{c_int, c_uint, c_void};

use super::args::{not_null, read, write};
use super::context::given;
use super::device::check_device;
use super::types::{CUcontext, CUdevice, CUevent, CUstream};
use super::{CUresult, Cuda};
use crate::software::device::MULTIPROCESSORS;
use crate::software::driver;
use crate::software::green::Streams;
use crate::software::stream::{GREATEST_PRIORITY, LEAST_PRIORITY, NON_BLOCKING};

/// `CU_DEV_RESOURCE_TYPE_SM`.
const SM: c_uint = 1;
/// The other members of `CUdevResourceType`: what work queues are for.
const WORK_QUEUES: [c_uint; 2] = [1000, 10000];
/// The one resource there is, as a descriptor. D: it is valid for the life of the process.
const WHOLE_DEVICE: u64 = 0x2600_0001_0000_0000;
/// `CU_GREEN_CTX_DEFAULT_STREAM`.
const DEFAULT_STREAM: c_uint = 1;

/// `CUdevResource`, version 1, of type SM.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUdevResource {
    pub type_: c_uint,
    pub padding: [u8; 92],
    pub smCount: c_uint,
    pub minSmPartitionSize: c_uint,
    pub smCoscheduledAlignment: c_uint,
    pub flags: c_uint,
    pub oversize: [u32; 6],
    pub nextResource: *mut c_void,
}

const _: () = assert!(size_of::<CUdevResource>() == 144);

fn resource(target: *mut CUdevResource, kind: c_uint, multiprocessors: c_uint) -> Cuda {
    not_null(target)?;
    if WORK_QUEUES.contains(&kind) {
        return Err(CUresult::NOT_SUPPORTED);
    }
    if kind != SM {
        return Err(CUresult::INVALID_RESOURCE_TYPE);
    }
    let found = CUdevResource {
        type_: SM,
        padding: [0; 92],
        smCount: multiprocessors,
        // No smaller part can be made.
        minSmPartitionSize: multiprocessors,
        smCoscheduledAlignment: multiprocessors,
        flags: 0,
        oversize: [0; 6],
        nextResource: std::ptr::null_mut(),
    };
    // SAFETY: the caller's pointer, not null.
    unsafe { write(target, found) }
}

/// The streams of a context that is not null.
fn of_context(context: CUcontext) -> Cuda<Streams> {
    if context.is_null() { Err(CUresult::INVALID_CONTEXT) } else { given(context).map(Streams::OfContext) }
}

entry_points! {
    fn cuDeviceGetDevResource(device: CUdevice, pResource: *mut CUdevResource, type_: c_uint) {
        check_device(device)?;
        resource(pResource, type_, MULTIPROCESSORS as c_uint)
    }

    fn cuDevResourceGenerateDesc(phDesc: *mut u64, resources: *const CUdevResource, nbResources: c_uint) {
        not_null(phDesc)?;
        if nbResources == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let given = unsafe { read(resources) }?;
        if given.type_ != SM {
            return Err(CUresult::INVALID_RESOURCE_TYPE);
        }
        // Several must come from one split, and nothing here splits.
        if nbResources > 1 || given.smCount != MULTIPROCESSORS as c_uint {
            return Err(CUresult::INVALID_RESOURCE_CONFIGURATION);
        }
        unsafe { write(phDesc, WHOLE_DEVICE) }
    }

    fn cuGreenCtxCreate(phCtx: *mut u64, desc: u64, dev: CUdevice, flags: c_uint) {
        not_null(phCtx)?;
        check_device(dev)?;
        if desc != WHOLE_DEVICE || flags & !DEFAULT_STREAM != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let driver = driver();
        let mut world = driver.world();
        world.retain_primary(dev, &driver.engine);
        let green = world.create_green(dev, MULTIPROCESSORS as u32);
        unsafe { write(phCtx, green) }
    }

    fn cuGreenCtxDestroy(hCtx: u64) {
        let driver = driver();
        let last = {
            let mut world = driver.world();
            let device = world.destroy_green(hCtx)?;
            world.release_primary(device)
        };
        last.flatten().map_or(Ok(()), |handle| driver.destroy_context(handle))
    }

    fn cuGreenCtxGetDevResource(hCtx: u64, pResource: *mut CUdevResource, type_: c_uint) {
        let multiprocessors = driver().world().green(hCtx)?.multiprocessors;
        resource(pResource, type_, multiprocessors)
    }

    fn cuGreenCtxGetId(greenCtx: u64, greenCtxId: *mut u64) {
        not_null(greenCtxId)?;
        let number = driver().world().green(greenCtx)?.number;
        unsafe { write(greenCtxId, number) }
    }

    fn cuGreenCtxStreamCreate(phStream: *mut CUstream, greenCtx: u64, flags: c_uint, priority: c_int) {
        not_null(phStream)?;
        if flags != NON_BLOCKING {
            return Err(CUresult::INVALID_VALUE);
        }
        let driver = driver();
        let priority = priority.clamp(GREATEST_PRIORITY, LEAST_PRIORITY);
        let stream = driver.world().create_green_stream(greenCtx, flags, priority, driver)?;
        unsafe { write(phStream, CUstream(stream.key)) }
    }

    fn cuGreenCtxRecordEvent(hCtx: u64, hEvent: CUevent) {
        driver().record_event_of(Streams::OfGreen(hCtx), hEvent)
    }

    fn cuGreenCtxWaitEvent(hCtx: u64, hEvent: CUevent) {
        driver().wait_event_of(Streams::OfGreen(hCtx), hEvent)
    }

    fn cuCtxRecordEvent(hCtx: CUcontext, hEvent: CUevent) {
        driver().record_event_of(of_context(hCtx)?, hEvent)
    }

    fn cuCtxWaitEvent(hCtx: CUcontext, hEvent: CUevent) {
        driver().wait_event_of(of_context(hCtx)?, hEvent)
    }
}
