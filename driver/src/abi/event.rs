//! Events.

use std::ffi::c_uint;

use super::args::{not_null, write};
use super::types::{CUevent, CUstream};
use super::{CUresult, Cuda};
use crate::software::capture::{Placement, capture_work};
use crate::software::event::{BLOCKING_SYNC, DISABLE_TIMING, EventCell, INTERPROCESS, SharedEvent};
use crate::software::fault::explain;
use crate::software::memory::memory;
use crate::software::work::NodeParams;
use crate::software::{EventId, SyncTarget, driver};
use crate::{observe, record};

fn record(event: CUevent, stream: CUstream, flags: u32) -> Cuda {
    const EXTERNAL: u32 = 1;
    if flags & !EXTERNAL != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let driver = driver();
    let mut world = driver.world();
    let stream = world.usable_stream(stream)?;
    let cell = world.event(event)?;
    if cell.context != stream.context {
        return Err(CUresult::INVALID_HANDLE);
    }
    let id = EventId(event.0);
    if flags == EXTERNAL {
        return match world.capture.classify_enqueue(stream)? {
            Placement::Captured(capture) => capture_work(&mut world, capture, stream, NodeParams::EventRecord(id)),
            // The flag means something in a capture only; M for the code (H200, driver 580.159.04).
            Placement::Eager => Err(CUresult::ILLEGAL_STATE),
        };
    }
    if world.capture.record_event(id, stream)? == Placement::Eager {
        driver.record_event(&mut world, stream, id);
    }
    Ok(())
}

fn elapsed(milliseconds: *mut f32, start: CUevent, end: CUevent) -> Cuda {
    not_null(milliseconds)?;
    let driver = driver();
    let world = driver.world();
    let ends = [(start, world.event(start)?), (end, world.event(end)?)];
    // D (Programming Guide): not of two devices.
    let [first, second] = [0, 1].map(|end: usize| world.device_of(ends[end].1.context));
    if first? != second? {
        return Err(CUresult::INVALID_HANDLE);
    }
    // M (H200, driver 580.159.04): the start is looked at completely, then the end.
    let [from, to] = ends.map(|(handle, event)| {
        world.capture.elapsed_call(EventId(handle.0))?;
        if event.flags & DISABLE_TIMING != 0 {
            return Err(CUresult::INVALID_HANDLE);
        }
        event.last().ok_or(CUresult::INVALID_HANDLE)
    });
    let (from, to) = (from?, to?);
    let (from, to) = from.completion.time().zip(to.completion.time()).ok_or(CUresult::NOT_READY)?;
    let seconds = match to.checked_duration_since(from) {
        Some(forwards) => forwards.as_secs_f64(),
        None => -from.duration_since(to).as_secs_f64(),
    };
    // SAFETY: the caller's pointer, not null.
    unsafe { write(milliseconds, (seconds * 1e3) as f32) }
}

entry_points! {
    fn cuEventCreate(phEvent: *mut CUevent, Flags: c_uint) {
        not_null(phEvent)?;
        if Flags & !(BLOCKING_SYNC | DISABLE_TIMING | INTERPROCESS) != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        // D: an interprocess event must not time.
        let shared = match (Flags & INTERPROCESS != 0, Flags & DISABLE_TIMING != 0) {
            (true, false) => return Err(CUresult::INVALID_VALUE),
            (true, true) => Some(SharedEvent::new()?.into()),
            (false, _) => None,
        };
        let mut world = driver().world();
        let context = world.current()?.id;
        let handle = world.events.insert(EventCell::new(Flags, context, shared).into());
        unsafe { write(phEvent, CUevent(handle)) }
    }

    fn cuEventDestroy_v2(hEvent: CUevent) {
        let mut world = driver().world();
        world.events.remove(hEvent.0).ok_or(CUresult::INVALID_HANDLE)?;
        world.capture.event_destroyed(EventId(hEvent.0));
        Ok(())
    }

    fn cuEventRecord(hEvent: CUevent, hStream: CUstream) on hStream {
        record(hEvent, hStream, 0)
    }

    fn cuEventRecordWithFlags(hEvent: CUevent, hStream: CUstream, flags: c_uint) on hStream {
        record(hEvent, hStream, flags)
    }

    fn cuEventQuery(hEvent: CUevent) {
        let driver = driver();
        let mut world = driver.world();
        let event = world.event(hEvent)?;
        world.check_context(event.context)?;
        driver.learn(&mut world, EventId(hEvent.0));
        world.sync_call(SyncTarget::Event(EventId(hEvent.0)))?;
        if event.last().is_some_and(|record| !driver.engine.poll(record.ticket)) {
            return Err(CUresult::NOT_READY);
        }
        event.last().into_iter().for_each(|record| observe::host_waited(record.ticket));
        explain(world.check_context(event.context))
    }

    fn cuEventSynchronize(hEvent: CUevent) {
        let driver = driver();
        let (record, context) = {
            let mut world = driver.world();
            let event = world.event(hEvent)?;
            world.check_context(event.context)?;
            driver.learn(&mut world, EventId(hEvent.0));
            world.sync_call(SyncTarget::Event(EventId(hEvent.0)))?;
            (event.last(), event.context)
        };
        if let Some(record) = record {
            record::blocked(|| driver.engine.wait(record.ticket));
            observe::host_waited(record.ticket);
        }
        memory().synchronised();
        explain(driver.world().check_context(context))
    }

    fn cuEventElapsedTime(pMilliseconds: *mut f32, hStart: CUevent, hEnd: CUevent) {
        elapsed(pMilliseconds, hStart, hEnd)
    }

    fn cuEventElapsedTime_v2(pMilliseconds: *mut f32, hStart: CUevent, hEnd: CUevent) {
        elapsed(pMilliseconds, hStart, hEnd)
    }
}
