//! Streams.

use std::ffi::{c_int, c_uint, c_void};

use super::args::{not_null, read, slice, write, write_if};
use super::translate::{host_work, stream_callback};
use super::types::{
    CUcontext, CUdevice, CUdeviceptr, CUevent, CUhostFn, CUlaunchAttributeValue, CUstream, CUstreamBatchMemOpParams,
    CUstreamCallback,
};
use super::{CUresult, Cuda};
use crate::software::batch::{MemOp, operation};
use crate::software::capture::{Placement, capture_work};
use crate::software::execute::Op;
use crate::software::fault::explain;
use crate::software::memory::{HostKind, Place, memory};
use crate::software::params::AttributeValue;
use crate::software::stream::{GREATEST_PRIORITY, LEAST_PRIORITY, NON_BLOCKING};
use crate::software::work::NodeParams;
use crate::software::{EventId, StreamId, StreamKind, SyncTarget, ThreadId, World, driver};
use crate::{observe, record};

fn create(target: *mut CUstream, flags: u32, priority: c_int) -> Cuda {
    not_null(target)?;
    let kind = match flags {
        0 => StreamKind::Blocking,
        NON_BLOCKING => StreamKind::NonBlocking,
        _ => return Err(CUresult::INVALID_VALUE),
    };
    let driver = driver();
    let mut world = driver.world();
    let context = world.current()?.id;
    let priority = priority.clamp(GREATEST_PRIORITY, LEAST_PRIORITY);
    let stream = world.create_stream(context, kind, flags, priority, &driver.engine);
    // SAFETY: the caller's pointer, not null.
    unsafe { write(target, CUstream(stream.key)) }
}

/// The stream of a call that reads or sets what it is made with.
fn property_of(world: &mut World, stream: CUstream) -> Cuda<StreamId> {
    let stream = world.stream(stream)?;
    world.capture.property_call(stream)?;
    Ok(stream)
}

/// Puts memory operations on a stream.
fn batch(stream: CUstream, operations: Box<[MemOp]>) -> Cuda {
    for operation in &operations {
        operation.check()?;
    }
    driver().enqueue(stream, NodeParams::BatchMemOp(operations)).map(|_| ())
}

fn one_operation(stream: CUstream, kind: u32, address: u64, value: u64, flags: u32) -> Cuda {
    batch(stream, Box::new([MemOp::new(kind, address, value, flags)]))
}

/// # Safety
/// `operations` is valid for `count` reads.
unsafe fn operations(count: c_uint, operations: *const CUstreamBatchMemOpParams, flags: c_uint) -> Cuda<Box<[MemOp]>> {
    // The documented limit of a batch.
    if flags != 0 || count > 256 {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: as the caller vouches.
    Ok(unsafe { slice(operations, count as usize) }?.iter().map(MemOp::from).collect())
}

/// The streams that a host wait for a stream waits for: with the legacy stream the blocking ones too.
fn waited_for(world: &World, stream: StreamId) -> Vec<u64> {
    let others = if stream.kind == StreamKind::Legacy { world.waited_by(stream) } else { Vec::new() };
    std::iter::once(stream.key).chain(others).collect()
}

fn host_function(stream: CUstream, function: CUhostFn, data: *mut c_void) -> Cuda {
    let function = function.ok_or(CUresult::INVALID_VALUE)?;
    let work = host_work(function, data);
    driver().enqueue(stream, NodeParams::Host(work)).map(|_| ())
}

entry_points! {
    fn cuStreamCreate(phStream: *mut CUstream, Flags: c_uint) {
        create(phStream, Flags, LEAST_PRIORITY)
    }

    fn cuStreamCreateWithPriority(phStream: *mut CUstream, flags: c_uint, priority: c_int) {
        create(phStream, flags, priority)
    }

    fn cuStreamDestroy_v2(hStream: CUstream) on hStream {
        let driver = driver();
        let mut world = driver.world();
        if matches!(hStream, CUstream::NULL | CUstream::LEGACY | CUstream::PER_THREAD) {
            // M (H200, driver 580.159.04): null is refused before it is resolved.
            if hStream != CUstream::NULL {
                world.stream(hStream)?;
            }
            return Err(CUresult::INVALID_HANDLE);
        }
        // A stream whose green context is gone can still be destroyed.
        let stream = match world.streams.get(hStream.0) {
            Some(found) => found.id,
            None => world.stream(hStream)?,
        };
        if matches!(stream.kind, StreamKind::Legacy | StreamKind::PerThread) {
            return Err(CUresult::INVALID_HANDLE);
        }
        let green = world.green_of(stream);
        world.forget_green_stream(stream.key);
        world.capture.stream_destroyed(stream);
        let World { capture, graphs, .. } = &mut *world;
        capture.reap(graphs);
        world.streams.remove(hStream.0);
        if let Some(context) = world.contexts.get_mut(stream.context.0) {
            context.leave(hStream.0, green, &driver.engine);
        }
        // Its work goes on; the queue goes when it is drained.
        driver.engine.close(stream.key);
        Ok(())
    }

    fn cuStreamSynchronize(hStream: CUstream) on hStream {
        let driver = driver();
        let (last, streams, sticky) = {
            let mut world = driver.world();
            let stream = world.usable_stream(hStream)?;
            world.sync_call(SyncTarget::Stream(stream))?;
            let sticky = world.contexts.get(stream.context.0).map(|context| context.sticky.clone());
            let streams = waited_for(&world, stream);
            let last: Vec<_> = streams.iter().filter_map(|&stream| driver.engine.last(stream)).collect();
            (last, streams, sticky.unwrap_or_default())
        };
        record::blocked(|| last.into_iter().for_each(|ticket| driver.engine.wait(ticket)));
        observe::host_waited_for(&streams);
        memory().synchronised();
        explain(sticky.check())
    }

    fn cuStreamQuery(hStream: CUstream) on hStream {
        let driver = driver();
        let mut world = driver.world();
        let stream = world.usable_stream(hStream)?;
        world.sync_call(SyncTarget::Stream(stream))?;
        let streams = waited_for(&world, stream);
        if streams.iter().any(|&stream| driver.engine.has_work(stream)) {
            return Err(CUresult::NOT_READY);
        }
        observe::host_waited_for(&streams);
        explain(world.usable_stream(hStream).map(|_| ()))
    }

    fn cuStreamWaitEvent(hStream: CUstream, hEvent: CUevent, Flags: c_uint) on hStream {
        const EXTERNAL: u32 = 1;
        if Flags & !EXTERNAL != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let driver = driver();
        let mut world = driver.world();
        let stream = world.usable_stream(hStream)?;
        let event = world.event(hEvent).inspect_err(|_| world.capture.refused_wait(stream))?;
        let id = EventId(hEvent.0);
        driver.learn(&mut world, id);
        if Flags == EXTERNAL {
            return match world.capture.wait_external(stream, id)? {
                Placement::Captured(capture) => capture_work(&mut world, capture, stream, NodeParams::EventWait(id)),
                // The flag means something in a capture only; M for the code (H200, driver 580.159.04).
                Placement::Eager => Err(CUresult::ILLEGAL_STATE),
            };
        }
        if world.capture.wait_event(stream, id)? == Placement::Eager
            && let Some(record) = event.last()
            // An observer wants the order also where it costs nothing.
            && (observe::is_on() || !driver.engine.is_done(record.ticket))
        {
            driver.submit(&world, stream, Op::Nothing, vec![record.ticket]);
        }
        Ok(())
    }

    fn cuStreamGetPriority(hStream: CUstream, priority: *mut c_int) on hStream {
        not_null(priority)?;
        let mut world = driver().world();
        let stream = property_of(&mut world, hStream)?;
        let found = world.streams.get(stream.key).ok_or(CUresult::INVALID_HANDLE)?.priority;
        unsafe { write(priority, found) }
    }

    fn cuStreamGetFlags(hStream: CUstream, flags: *mut c_uint) on hStream {
        not_null(flags)?;
        let mut world = driver().world();
        let stream = world.stream(hStream)?;
        world.capture.conflicting_call(stream)?;
        let found = world.streams.get(stream.key).ok_or(CUresult::INVALID_HANDLE)?.flags;
        unsafe { write(flags, found) }
    }

    fn cuStreamGetId(hStream: CUstream, streamId: *mut u64) on hStream {
        not_null(streamId)?;
        let mut world = driver().world();
        let stream = world.stream(hStream)?;
        world.capture.conflicting_call(stream)?;
        let found = world.streams.get(stream.key).ok_or(CUresult::INVALID_HANDLE)?.number;
        unsafe { write(streamId, found) }
    }

    fn cuStreamGetCtx(hStream: CUstream, pctx: *mut CUcontext) on hStream {
        not_null(pctx)?;
        let mut world = driver().world();
        let stream = property_of(&mut world, hStream)?;
        // D: the green context, as a context. It is none here.
        if world.green_of(stream) != 0 {
            return Err(CUresult::NOT_SUPPORTED);
        }
        unsafe { write(pctx, CUcontext(stream.context.0)) }
    }

    fn cuStreamGetCtx_v2(hStream: CUstream, pCtx: *mut CUcontext, pGreenCtx: *mut u64) on hStream {
        not_null(pCtx)?;
        let mut world = driver().world();
        let stream = property_of(&mut world, hStream)?;
        unsafe { write_if(pGreenCtx, world.green_of(stream)) };
        unsafe { write(pCtx, CUcontext(stream.context.0)) }
    }

    fn cuStreamGetGreenCtx(hStream: CUstream, phCtx: *mut u64) on hStream {
        not_null(phCtx)?;
        let mut world = driver().world();
        let stream = world.stream(hStream)?;
        unsafe { write(phCtx, world.green_of(stream)) }
    }

    fn cuStreamGetDevice(hStream: CUstream, device: *mut CUdevice) on hStream {
        not_null(device)?;
        let mut world = driver().world();
        let context = world.stream(hStream)?.context;
        unsafe { write(device, world.device_of(context)?) }
    }

    fn cuStreamCopyAttributes(dst: CUstream, src: CUstream) on dst {
        let mut world = driver().world();
        let (dst, src) = (property_of(&mut world, dst)?, property_of(&mut world, src)?);
        let attributes = world.streams.get(src.key).map(|stream| stream.attributes.clone());
        let target = world.streams.get_mut(dst.key).ok_or(CUresult::INVALID_HANDLE)?;
        target.attributes = attributes.ok_or(CUresult::INVALID_HANDLE)?;
        Ok(())
    }

    fn cuStreamGetAttribute(hStream: CUstream, attr: c_uint, value_out: *mut CUlaunchAttributeValue) on hStream {
        not_null(value_out)?;
        check_attribute(attr)?;
        let mut world = driver().world();
        let stream = property_of(&mut world, hStream)?;
        let stream = world.streams.get(stream.key).ok_or(CUresult::INVALID_HANDLE)?;
        let mut value = CUlaunchAttributeValue::from(stream.attributes.get(&attr).copied().unwrap_or_default());
        if attr == PRIORITY {
            value.0[..4].copy_from_slice(&stream.priority.to_ne_bytes());
        }
        unsafe { write(value_out, value) }
    }

    fn cuStreamSetAttribute(hStream: CUstream, attr: c_uint, value: *const CUlaunchAttributeValue) on hStream {
        let value = AttributeValue::from(unsafe { read(value) }?);
        check_attribute(attr)?;
        let mut world = driver().world();
        let stream = property_of(&mut world, hStream)?;
        let stream = world.streams.get_mut(stream.key).ok_or(CUresult::INVALID_HANDLE)?;
        if attr == PRIORITY {
            stream.priority = (value.word(0) as i32).clamp(GREATEST_PRIORITY, LEAST_PRIORITY);
        }
        stream.attributes.insert(attr, value);
        Ok(())
    }

    fn cuLaunchHostFunc(hStream: CUstream, r#fn: CUhostFn, userData: *mut c_void) on hStream {
        host_function(hStream, r#fn, userData)
    }

    fn cuLaunchHostFunc_v2(
        hStream: CUstream, r#fn: CUhostFn, userData: *mut c_void, syncMode: c_uint
    ) on hStream {
        if syncMode > 1 {
            return Err(CUresult::INVALID_VALUE);
        }
        host_function(hStream, r#fn, userData)
    }

    fn cuStreamAddCallback(
        hStream: CUstream, callback: CUstreamCallback, userData: *mut c_void, flags: c_uint
    ) on hStream {
        let callback = callback.ok_or(CUresult::INVALID_VALUE)?;
        if flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let driver = driver();
        let mut world = driver.world();
        let stream = world.usable_stream(hStream)?;
        world.capture.classify_uncapturable(stream)?;
        let work = stream_callback(callback, hStream, userData);
        driver.submit(&world, stream, Op::Node(NodeParams::Host(work)), Vec::new());
        Ok(())
    }

    fn cuStreamAttachMemAsync(
        hStream: CUstream, dptr: CUdeviceptr, length: usize, flags: c_uint
    ) on hStream {
        // Exactly one of global, host and single.
        if !matches!(flags, 1 | 2 | 4) {
            return Err(CUresult::INVALID_VALUE);
        }
        // M (H200, driver 580.159.04): before the memory is looked at.
        let driver = driver();
        let mut world = driver.world();
        let stream = world.usable_stream(hStream)?;
        world.capture.classify_uncapturable(stream)?;
        world.capture.unsafe_call(ThreadId::current())?;
        let managed = match memory().space.place(dptr) {
            Some(Place::Host(found)) if found.kind == HostKind::Managed => Some(found),
            _ => None,
        };
        let managed = managed.filter(|found| length == 0 || length as u64 == found.len).ok_or(CUresult::INVALID_VALUE)?;
        if dptr != managed.base {
            return Err(CUresult::INVALID_VALUE);
        }
        // Host and device always see the same bytes here, whatever the attachment.
        driver.submit(&world, stream, Op::Nothing, Vec::new());
        Ok(())
    }

    fn cuStreamWaitValue32(stream: CUstream, addr: CUdeviceptr, value: u32, flags: c_uint) on stream {
        one_operation(stream, operation::WAIT_VALUE_32, addr, u64::from(value), flags)
    }

    fn cuStreamWaitValue32_v2(stream: CUstream, addr: CUdeviceptr, value: u32, flags: c_uint) on stream {
        one_operation(stream, operation::WAIT_VALUE_32, addr, u64::from(value), flags)
    }

    fn cuStreamWaitValue64(stream: CUstream, addr: CUdeviceptr, value: u64, flags: c_uint) on stream {
        one_operation(stream, operation::WAIT_VALUE_64, addr, value, flags)
    }

    fn cuStreamWaitValue64_v2(stream: CUstream, addr: CUdeviceptr, value: u64, flags: c_uint) on stream {
        one_operation(stream, operation::WAIT_VALUE_64, addr, value, flags)
    }

    fn cuStreamWriteValue32(stream: CUstream, addr: CUdeviceptr, value: u32, flags: c_uint) on stream {
        one_operation(stream, operation::WRITE_VALUE_32, addr, u64::from(value), flags)
    }

    fn cuStreamWriteValue32_v2(stream: CUstream, addr: CUdeviceptr, value: u32, flags: c_uint) on stream {
        one_operation(stream, operation::WRITE_VALUE_32, addr, u64::from(value), flags)
    }

    fn cuStreamWriteValue64(stream: CUstream, addr: CUdeviceptr, value: u64, flags: c_uint) on stream {
        one_operation(stream, operation::WRITE_VALUE_64, addr, value, flags)
    }

    fn cuStreamWriteValue64_v2(stream: CUstream, addr: CUdeviceptr, value: u64, flags: c_uint) on stream {
        one_operation(stream, operation::WRITE_VALUE_64, addr, value, flags)
    }

    fn cuStreamBatchMemOp(
        stream: CUstream, count: c_uint, paramArray: *const CUstreamBatchMemOpParams, flags: c_uint
    ) on stream {
        batch(stream, unsafe { operations(count, paramArray, flags) }?)
    }

    fn cuStreamBatchMemOp_v2(
        stream: CUstream, count: c_uint, paramArray: *const CUstreamBatchMemOpParams, flags: c_uint
    ) on stream {
        batch(stream, unsafe { operations(count, paramArray, flags) }?)
    }
}

const PRIORITY: u32 = 8;

/// Attributes that streams have: access window, synchronisation policy, priority, memory
/// synchronisation domain and its map.
fn check_attribute(attribute: u32) -> Cuda {
    if matches!(attribute, 1 | 3 | PRIORITY | 9 | 10) { Ok(()) } else { Err(CUresult::INVALID_VALUE) }
}
