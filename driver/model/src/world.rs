//! What the one driver lock guards: contexts, handles, capture, graphs.

use std::collections::BTreeMap;
use std::sync::Arc;

use graphproof_scheduler::Engine;

use super::capture::CaptureWorld;
use super::context::{self, Context, Sticky};
use super::event::{EventCell, Record};
use super::execute::Task;
use super::graph::Graphs;
use super::green::GreenContext;
use super::memory::memory;
use super::module::{Function, Library, LibraryKernel, Module};
use super::stream::Stream;
use super::{ContextId, EventId, Handles, Kind, StreamId, StreamKind, StreamName, SyncTarget, ThreadId};
use graphproof_api::{CUresult, Cuda};

/// Everything behind the one driver lock.
#[derive(Debug)]
pub struct World {
    /// Contexts.
    pub contexts: Handles<Context>,
    /// The primary context of each device.
    primaries: Vec<Primary>,
    /// Streams, default ones included.
    pub streams: Handles<Stream>,
    /// Events.
    pub events: Handles<Arc<EventCell>>,
    /// Functions.
    pub functions: Handles<Arc<Function>>,
    /// Modules.
    pub modules: Handles<Module>,
    /// Libraries.
    pub libraries: Handles<Library>,
    /// Kernels of libraries.
    pub kernels: Handles<LibraryKernel>,
    /// Green contexts.
    pub greens: Handles<GreenContext>,
    /// Stream capture.
    pub capture: CaptureWorld,
    /// Graphs and their instances.
    pub graphs: Graphs,
    /// The numbers given so far.
    pub numbers: Numbers,
}

/// Numbers given so far: one is never given twice.
#[derive(Debug, Default)]
pub struct Numbers {
    /// To contexts.
    pub contexts: u64,
    /// To streams.
    pub streams: u64,
    /// To green contexts.
    pub greens: u64,
    /// To queues of one entry, which are no streams.
    pub queues: u64,
}

impl Numbers {
    /// The next one, from 1 on.
    pub fn next(counter: &mut u64) -> u64 {
        *counter += 1;
        *counter
    }
}

/// The state of a device's primary context.
#[derive(Debug, Clone, Default)]
pub struct Primary {
    /// Calls of `cuDevicePrimaryCtxRetain` not yet released.
    pub retained: u32,
    /// Its handle; it stays the same after a reset.
    pub handle: u64,
    /// `cuDevicePrimaryCtxSetFlags`.
    pub flags: u32,
}

/// The context that a call works in.
#[derive(Debug, Clone)]
pub struct Current {
    /// Its name.
    pub id: ContextId,
    /// Its error state.
    pub sticky: Sticky,
}
impl Default for World {
    fn default() -> Self {
        Self {
            contexts: Handles::new(Kind::Context),
            primaries: Vec::new(),
            streams: Handles::new(Kind::Stream),
            events: Handles::new(Kind::Event),
            functions: Handles::new(Kind::Function),
            modules: Handles::new(Kind::Module),
            libraries: Handles::new(Kind::Library),
            kernels: Handles::new(Kind::Kernel),
            greens: Handles::new(Kind::GreenContext),
            capture: CaptureWorld::default(),
            graphs: Graphs::default(),
            numbers: Numbers::default(),
        }
    }
}

impl World {
    /// The streams whose earlier work a stream's work waits for, by the legacy stream's rules.
    pub fn waited_by(&self, stream: StreamId) -> Vec<u64> {
        match (stream.kind, self.contexts.get(stream.context.0)) {
            (StreamKind::Legacy, Some(context)) => context.blocking_streams(),
            (StreamKind::Blocking | StreamKind::PerThread, Some(context)) => vec![context.legacy],
            _ => Vec::new(),
        }
    }

    /// The calling thread's context; an error if there is none or it is in error.
    pub fn current(&self) -> Cuda<Current> {
        let current = self.current_even_if_in_error()?;
        current.sticky.check()?;
        Ok(current)
    }

    /// The calling thread's context.
    pub fn current_even_if_in_error(&self) -> Cuda<Current> {
        let handle = context::current();
        if handle == 0 {
            return Err(CUresult::INVALID_CONTEXT);
        }
        let context = self.contexts.get(handle).ok_or(CUresult::CONTEXT_IS_DESTROYED)?;
        Ok(Current { id: ContextId(handle), sticky: context.sticky.clone() })
    }

    pub(super) fn was_destroyed(&self, handle: u64) -> bool {
        self.contexts.was_destroyed(handle)
            || self.streams.was_destroyed(handle)
            || self.events.was_destroyed(handle)
            || self.functions.was_destroyed(handle)
            || self.modules.was_destroyed(handle)
            || self.libraries.was_destroyed(handle)
            || self.kernels.was_destroyed(handle)
            || self.greens.was_destroyed(handle)
            || self.graphs.was_destroyed(handle)
    }

    /// The primary context of a device that exists.
    pub fn primary(&mut self, device: i32) -> &mut Primary {
        let place = device as usize;
        if self.primaries.len() <= place {
            self.primaries.resize(place + 1, Primary::default());
        }
        &mut self.primaries[place]
    }

    /// Retains the primary context of a device, and creates it if it does not exist: its handle.
    pub fn retain_primary(&mut self, device: i32, engine: &Engine<Task>) -> u64 {
        let Primary { handle, flags, .. } = *self.primary(device);
        if self.contexts.get(handle).is_none() {
            self.primary(device).handle = self.create_context(device, true, flags, engine);
        }
        let primary = self.primary(device);
        primary.retained += 1;
        primary.handle
    }

    /// Gives one reference to the primary context of a device back: its handle if that was the last, for
    /// the caller to destroy without the lock; `None` if there was no reference.
    pub fn release_primary(&mut self, device: i32) -> Option<Option<u64>> {
        let primary = self.primary(device);
        primary.retained = primary.retained.checked_sub(1)?;
        Some((primary.retained == 0).then_some(primary.handle))
    }

    /// The device of a context.
    pub fn device_of(&self, context: ContextId) -> Cuda<i32> {
        self.contexts.get(context.0).map(|context| context.device).ok_or(CUresult::CONTEXT_IS_DESTROYED)
    }

    /// Adds a context with its legacy stream.
    pub fn create_context(&mut self, device: i32, primary: bool, flags: u32, engine: &Engine<Task>) -> u64 {
        let number = Numbers::next(&mut self.numbers.contexts);
        let handle = self.contexts.insert(Context::new(number, device, primary, flags));
        memory().space.add_context(handle, device);
        self.create_legacy_stream(handle, engine);
        handle
    }

    pub(super) fn create_legacy_stream(&mut self, context: u64, engine: &Engine<Task>) {
        let legacy = self.create_stream(ContextId(context), StreamKind::Legacy, 0, 0, engine);
        if let Some(context) = self.contexts.get_mut(context) {
            context.legacy = legacy.key;
        }
    }

    /// Destroys the streams, events and modules of a context that is gone.
    pub(super) fn forget_contents(&mut self, id: ContextId, context: &Context, engine: &Engine<Task>) {
        for (&key, &kind) in &context.streams {
            self.capture.stream_destroyed(StreamId { key, kind, context: id });
            self.streams.remove(key);
            engine.close(key);
        }
        self.forget_greens(id);
        let events = self.events.iter().filter(|(_, event)| event.context == id).map(|(handle, _)| handle);
        for event in events.collect::<Vec<_>>() {
            self.events.remove(event);
            self.capture.event_destroyed(EventId(event));
        }
        let modules = self.modules.iter().filter(|(_, module)| module.context == id).map(|(handle, _)| handle);
        for module in modules.collect::<Vec<_>>() {
            let _ = self.unload_module(module);
        }
        memory().space.free_context(id.0);
        let libraries: Vec<u64> = self.libraries.iter().map(|(handle, _)| handle).collect();
        for library in libraries {
            if let Some(library) = self.libraries.get_mut(library) {
                library.modules.remove(&id);
            }
        }
    }

    /// An error of a context, if it exists and is in error.
    pub fn check_context(&self, id: ContextId) -> Cuda {
        self.contexts.get(id.0).ok_or(CUresult::CONTEXT_IS_DESTROYED)?.sticky.check()
    }

    /// Adds a stream.
    pub fn create_stream(
        &mut self,
        context: ContextId,
        kind: StreamKind,
        flags: u32,
        priority: i32,
        engine: &Engine<Task>,
    ) -> StreamId {
        let number = Numbers::next(&mut self.numbers.streams);
        let key = self.streams.insert_with(|key| Stream {
            id: StreamId { key, kind, context },
            flags,
            priority,
            number,
            green: 0,
            detached: false,
            attributes: BTreeMap::new(),
        });
        if let Some(context) = self.contexts.get_mut(context.0) {
            context.streams.insert(key, kind);
        }
        engine.open(key);
        StreamId { key, kind, context }
    }

    /// The stream that a call names by its handle.
    ///
    /// # Errors
    /// As [`World::find_stream`]; 906 as [`CaptureWorld::name_stream`].
    pub fn stream(&mut self, name: impl Into<StreamName>) -> Cuda<StreamId> {
        let stream = self.find_stream(name)?;
        self.capture.name_stream(stream)?;
        Ok(stream)
    }

    /// The stream of a name. Only to look at its capture: a call that is given a stream uses
    /// [`World::stream`].
    pub fn find_stream(&mut self, name: impl Into<StreamName>) -> Cuda<StreamId> {
        match name.into() {
            StreamName::Legacy => {
                let id = self.current_even_if_in_error()?.id;
                let context = self.contexts.get(id.0).ok_or(CUresult::CONTEXT_IS_DESTROYED)?;
                Ok(StreamId { key: context.legacy, kind: StreamKind::Legacy, context: id })
            }
            StreamName::PerThread => self.per_thread_stream(),
            StreamName::Handle(handle) => match self.streams.get(handle) {
                Some(stream) if stream.detached => Err(CUresult::STREAM_DETACHED),
                Some(stream) => Ok(stream.id),
                None if self.streams.was_destroyed(handle) => Err(CUresult::CONTEXT_IS_DESTROYED),
                None => Err(CUresult::INVALID_HANDLE),
            },
        }
    }

    /// As [`World::stream`]; an error also if its context is in error.
    pub fn usable_stream(&mut self, name: impl Into<StreamName>) -> Cuda<StreamId> {
        let stream = self.stream(name)?;
        let context = self.contexts.get(stream.context.0).ok_or(CUresult::CONTEXT_IS_DESTROYED)?;
        context.sticky.check()?;
        Ok(stream)
    }

    /// The event of a handle.
    pub fn event(&self, handle: impl Into<u64>) -> Cuda<Arc<EventCell>> {
        self.events.get(handle.into()).cloned().ok_or(CUresult::INVALID_HANDLE)
    }

    /// The function of a handle that is launched on a stream. D (cuLaunchKernel): a library's kernel stands
    /// for its function in the stream's context.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`: no function, or one of another context than the stream's.
    pub fn launched(&mut self, handle: impl Into<u64>, stream: impl Into<StreamName>) -> Cuda<Arc<Function>> {
        let handle = handle.into();
        let context = self.usable_stream(stream)?.context;
        let function = match self.functions.get(handle) {
            Some(function) => function.clone(),
            None => self.kernel_function(handle, context)?,
        };
        if function.context == context { Ok(function) } else { Err(CUresult::INVALID_HANDLE) }
    }

    /// The function of a handle. A library's kernel stands for its function in the current context.
    pub fn function(&mut self, handle: impl Into<u64>) -> Cuda<Arc<Function>> {
        let handle = handle.into();
        if let Some(function) = self.functions.get(handle) {
            return Ok(function.clone());
        }
        if self.kernels.get(handle).is_none() {
            return Err(CUresult::INVALID_HANDLE);
        }
        let context = self.current()?.id;
        self.kernel_function(handle, context)
    }

    /// Asks the capture model before the host waits for or queries something.
    pub fn sync_call(&mut self, target: SyncTarget) -> Cuda {
        self.capture.sync_call(ThreadId::current(), target)
    }

    /// The one way for every record that is no part of a capture, by a stream, a context or the launch of
    /// a graph: it is the event's state from here on, whatever a capture recorded before.
    pub fn event_recorded(&mut self, event: EventId, record: Record) {
        if let Some(cell) = self.events.get(event.0) {
            cell.set(record);
            self.capture.recorded_eagerly(event);
        }
    }

    /// The name that the capture model knows an event by.
    pub fn event_id(&self, handle: impl Into<u64>) -> Cuda<EventId> {
        let handle = handle.into();
        self.event(handle).map(|_| EventId(handle))
    }
}
