//! Green contexts, and events of whole contexts.
//!
//! A green context is a part of the primary context: its streams are the primary context's
//! non-blocking ones, with the same memory, modules and error state. What it adds here is the set:
//! events are recorded for all of its streams, and all of its streams wait. Its share of the
//! multiprocessors changes no result, so it is kept to be read back and nothing else.

use std::collections::BTreeSet;

use graphproof_scheduler::Ticket;

use super::Numbers;
use super::event::Record;
use super::execute::{Op, Task};
use super::{ContextId, Driver, EventId, StreamId, StreamKind, World};
use crate::observe;
use graphproof_api::{CUresult, Cuda};

/// Keys of queues that are no streams.
pub(super) const QUEUES: u64 = 0xfe << 56;

/// A green context.
#[derive(Debug)]
pub struct GreenContext {
    /// The primary context that it is a part of.
    pub parent: ContextId,
    /// Its device.
    pub device: i32,
    /// What `cuGreenCtxGetId` answers.
    pub number: u64,
    /// Multiprocessors that it was made with.
    pub multiprocessors: u32,
    /// Its streams that exist.
    pub streams: BTreeSet<u64>,
    /// What its work waits for: `cuGreenCtxWaitEvent`.
    pub waits: Vec<Ticket>,
}

/// The streams that a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// All of a context, those of its green contexts included.
    OfContext(ContextId),
    /// All of the green context with this handle.
    OfGreen(u64),
}

impl World {
    /// A green context; null and foreign handles are `CUDA_ERROR_INVALID_CONTEXT`.
    pub fn green(&self, handle: u64) -> Cuda<&GreenContext> {
        match self.greens.get(handle) {
            Some(green) => Ok(green),
            None if self.greens.was_destroyed(handle) => Err(CUresult::CONTEXT_IS_DESTROYED),
            None => Err(CUresult::INVALID_CONTEXT),
        }
    }

    /// `cuGreenCtxCreate`, in the primary context of a device, which the caller has retained for it.
    pub fn create_green(&mut self, device: i32, multiprocessors: u32) -> u64 {
        let number = Numbers::next(&mut self.numbers.greens);
        let parent = ContextId(self.primary(device).handle);
        self.greens.insert(GreenContext {
            parent,
            device,
            number,
            multiprocessors,
            streams: BTreeSet::new(),
            waits: Vec::new(),
        })
    }

    /// `cuGreenCtxStreamCreate`.
    pub fn create_green_stream(&mut self, green: u64, flags: u32, priority: i32, driver: &Driver) -> Cuda<StreamId> {
        let context = self.green(green)?.parent;
        self.check_context(context)?;
        let stream = self.create_stream(context, StreamKind::NonBlocking, flags, priority, &driver.engine);
        if let Some(found) = self.streams.get_mut(stream.key) {
            found.green = green;
        }
        if let Some(green) = self.greens.get_mut(green) {
            green.streams.insert(stream.key);
        }
        Ok(stream)
    }

    /// Removes a green context: the device of it. D (cuGreenCtxDestroy): its streams stay, detached, and
    /// captures on them are invalidated.
    pub fn destroy_green(&mut self, handle: u64) -> Cuda<i32> {
        self.green(handle)?;
        let green = self.greens.remove(handle).ok_or(CUresult::INVALID_CONTEXT)?;
        for key in green.streams {
            self.capture.detached(key);
            if let Some(stream) = self.streams.get_mut(key) {
                stream.detached = true;
            }
        }
        Ok(green.device)
    }

    /// The green contexts of a context that is gone: each gives its reference to it back.
    pub fn forget_greens(&mut self, parent: ContextId) {
        let own: Vec<u64> =
            self.greens.iter().filter(|(_, green)| green.parent == parent).map(|(handle, _)| handle).collect();
        for green in own.into_iter().filter_map(|handle| self.greens.remove(handle)).collect::<Vec<_>>() {
            let primary = self.primary(green.device);
            primary.retained = primary.retained.saturating_sub(1);
        }
    }

    /// The green context that a stream belongs to, 0 for none.
    pub fn green_of(&self, stream: StreamId) -> u64 {
        self.streams.get(stream.key).map_or(0, |stream| stream.green)
    }

    /// A stream is destroyed.
    pub fn forget_green_stream(&mut self, key: u64) {
        let green = self.streams.get(key).map_or(0, |stream| stream.green);
        if let Some(green) = self.greens.get_mut(green) {
            green.streams.remove(&key);
        }
    }

    /// What work on a stream waits for beside its own earlier work.
    pub fn awaited(&self, stream: StreamId) -> Vec<Ticket> {
        let context = self.contexts.get(stream.context.0).map_or(&[][..], |context| &context.waits);
        let green = match self.greens.is_empty() {
            true => None,
            false => self.greens.get(self.green_of(stream)),
        };
        let green = green.map_or(&[][..], |green| &green.waits);
        context.iter().chain(green).copied().collect()
    }

    /// The context of some streams, and their keys.
    fn streams_of(&self, streams: Streams) -> Cuda<(ContextId, Vec<u64>)> {
        match streams {
            Streams::OfContext(id) => {
                let context = self.contexts.get(id.0).ok_or(CUresult::INVALID_CONTEXT)?;
                Ok((id, context.working_streams().collect()))
            }
            Streams::OfGreen(handle) => {
                let green = self.green(handle)?;
                let parent = self.contexts.get(green.parent.0);
                let left = parent.into_iter().flat_map(|context| context.left_green(handle));
                Ok((green.parent, green.streams.iter().copied().chain(left).collect()))
            }
        }
    }
}

impl Driver {
    /// `cuCtxRecordEvent`, `cuGreenCtxRecordEvent`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` for an event of another context; 900 where one of the streams
    /// captures, and all those captures are invalidated (D, M: H200, driver 580.159.04).
    pub fn record_event_of(&self, streams: Streams, event: impl Into<u64>) -> Cuda {
        let event = EventId(event.into());
        let mut world = self.world();
        let (context, keys) = world.streams_of(streams)?;
        world.check_context(context)?;
        let cell = world.event(event.0)?;
        if cell.context != context {
            return Err(CUresult::INVALID_HANDLE);
        }
        world.capture.whole_context_call(&keys)?;
        // A queue of its own, which goes with this entry.
        let queue = QUEUES + Numbers::next(&mut world.numbers.queues);
        let sticky = world.contexts.get(context.0).map(|context| context.sticky.clone()).unwrap_or_default();
        let record = Record::new(Ticket { stream: queue, sequence: 1 });
        let task = Task { op: Op::Record(record.completion.clone()), sticky };
        observe::submitted(self.engine.submit(queue, task, Vec::new(), &keys), &[], &keys);
        self.engine.close(queue);
        world.event_recorded(event, record);
        Ok(())
    }

    /// `cuCtxWaitEvent`, `cuGreenCtxWaitEvent`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` for no event; 900 for an event of a capture in progress, which is
    /// invalidated, and as [`Driver::record_event_of`].
    pub fn wait_event_of(&self, streams: Streams, event: impl Into<u64>) -> Cuda {
        let event = EventId(event.into());
        let mut world = self.world();
        let (context, keys) = world.streams_of(streams)?;
        world.check_context(context)?;
        let cell = world.event(event.0)?;
        self.learn(&mut world, event);
        let captured = world.capture.captured_event_call(event);
        world.capture.whole_context_call(&keys).and(captured)?;
        let open = |record: &Record| observe::is_on() || !self.engine.is_done(record.ticket);
        let Some(record) = cell.last().filter(open) else { return Ok(()) };
        let waits = match streams {
            Streams::OfContext(id) => world.contexts.get_mut(id.0).map(|context| &mut context.waits),
            Streams::OfGreen(handle) => world.greens.get_mut(handle).map(|green| &mut green.waits),
        };
        if let Some(waits) = waits {
            waits.retain(|ticket| !self.engine.is_done(*ticket));
            waits.push(record.ticket);
        }
        Ok(())
    }
}
