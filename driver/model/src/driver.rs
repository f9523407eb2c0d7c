//! The state of a driver, and how work gets to a stream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use graphproof_scheduler::{Engine, Ticket};

use super::capture::{self, CaptureWorld, Placement};
use super::context::{self, Context, Sticky};
use super::device::Capability;
use super::event::{EventCell, Record};
use super::execute::{Launch, Op, Task};
use super::fault::{self, FaultReport};
use super::graph::Graphs;
use super::green::{GreenContext, QUEUES};
use super::instance::{OF_THE_PROCESS, Settings, of_the_process};
use super::link::Link;
use super::memory::{Memory, memory};
use super::module::{Function, Library, LibraryKernel, Module};
use super::stream::Stream;
use super::version::Version;
use super::work::{NodeParams, Plan};
use super::{
    ContextId, EventId, Handles, Kind, StreamId, StreamKind, StreamName, SyncTarget, ThreadId, device, execute,
};
use crate::{observe, record};
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::Pool;

/// A driver: its device, memory, contexts, streams and threads. [`driver`](super::driver) is the one that a
/// call means; [`Instance`](super::Instance) makes another.
#[derive(Debug)]
pub struct Driver {
    /// Unique for the life of the process.
    pub(super) number: u64,
    pub(super) settings: Settings,
    initialised: AtomicBool,
    world: Mutex<World>,
    pub(super) memory: OnceLock<Mutex<Memory>>,
    /// The threads that execute work.
    pub engine: Engine<Task>,
    pub(super) interpreter: Mutex<Option<Arc<Pool>>>,
    pub(super) capability: OnceLock<Result<Capability, String>>,
    pub(super) devices: OnceLock<Result<i32, String>>,
    pub(super) version: OnceLock<Result<Option<Version>, String>>,
    pub(super) fault: Mutex<Option<FaultReport>>,
    pub(super) opaque: AtomicU64,
    /// What device work touched.
    pub(crate) observing: observe::Observing,
    /// What passed the door.
    pub(crate) recording: record::Recorder,
    /// Where notes go.
    pub(crate) notes: record::NoteBook,
    /// Calls without a model.
    pub(crate) unsupported: record::Counts,
    /// What `cuLink*` makes.
    pub links: Mutex<Handles<Link>>,
    /// Whether a recapture has begun: programs without one never pay for its question.
    pub recaptures: AtomicBool,
}

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

impl Driver {
    /// A driver that nobody knows yet; `executor` is to be told of it.
    pub(super) fn new(number: u64, settings: Settings, executor: execute::Executor) -> Self {
        let engine = Engine::new(settings.seed(), settings.workers(), executor);
        Self {
            number,
            settings,
            initialised: AtomicBool::new(false),
            world: Mutex::default(),
            memory: OnceLock::new(),
            engine,
            interpreter: Mutex::default(),
            capability: OnceLock::new(),
            devices: OnceLock::new(),
            version: OnceLock::new(),
            fault: Mutex::default(),
            opaque: AtomicU64::new(0),
            observing: observe::Observing::default(),
            recording: record::Recorder::default(),
            notes: record::NoteBook::default(),
            unsupported: record::Counts::default(),
            links: Mutex::new(Handles::new(Kind::Link)),
            recaptures: AtomicBool::new(false),
        }
    }

    /// The memory of the devices. Where the process has no room for any, they are devices without memory.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        let memory = self.memory.get_or_init(|| Mutex::new(Memory::of_the_devices(&self.settings)));
        memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all work, ends the threads and gives everything back that the driver holds. Calls find a driver
    /// that is not initialised from then on.
    pub(super) fn close(&self) {
        self.cancel_all();
        self.wait_for_device();
        self.initialised.store(false, Ordering::Release);
        self.engine.stop();
        self.observing.end();
        self.recording.end();
        *self.world() = World::default();
        // What a stopped program had no room for needs no device either.
        if self.memory.get().is_some() {
            *self.memory() = Memory::none();
        }
        self.interpreter.lock().unwrap_or_else(PoisonError::into_inner).take();
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = Handles::new(Kind::Link);
    }

    /// `cuInit`.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`: there is no room for the device's memory.
    pub fn initialise(&self) -> Cuda {
        extern "C" fn cancel() {
            of_the_process().cancel_all();
        }
        if self.memory().space.total() == 0 {
            return Err(CUresult::OUT_OF_MEMORY);
        }
        if !self.initialised.swap(true, Ordering::AcqRel) && self.number == OF_THE_PROCESS {
            // A destructor that waits for a stream at exit must not wait for ever. Without room for
            // the handler only that is lost.
            // SAFETY: the function lives as long as the process.
            let _ = unsafe { libc::atexit(cancel) };
        }
        Ok(())
    }

    /// `CUDA_ERROR_NOT_INITIALIZED` before `cuInit`.
    pub fn check_initialised(&self) -> Cuda {
        if self.initialised.load(Ordering::Acquire) { Ok(()) } else { Err(CUresult::NOT_INITIALIZED) }
    }

    /// Takes the driver lock. A poisoned lock is taken all the same: refusing every later call
    /// would help nobody.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restarts every choice that CUDA leaves open from `seed`.
    pub fn set_seed(&self, seed: u64) {
        self.engine.set_seed(seed);
    }

    /// Puts captured or eager work on a stream: the one way for all of it. For eager work the
    /// ticket of it.
    pub fn enqueue(&self, stream: impl Into<StreamName>, work: NodeParams) -> Cuda<Option<Ticket>> {
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        match world.capture.classify_enqueue(stream)? {
            Placement::Captured(id) => capture::capture_work(&mut world, id, stream, work).map(|()| None),
            Placement::Eager => Ok(Some(self.submit(&world, stream, Op::Node(work), Vec::new()))),
        }
    }

    /// Puts eager work on a stream, behind `after` and what the legacy stream's rules demand.
    /// The caller holds the driver lock, so that calls of several threads keep their order.
    pub fn submit(&self, world: &World, stream: StreamId, op: Op, mut after: Vec<Ticket>) -> Ticket {
        after.extend(world.awaited(stream));
        let sticky = world.contexts.get(stream.context.0).map(|context| context.sticky.clone()).unwrap_or_default();
        let behind = world.waited_by(stream);
        // The engine forgets what is done already; an observer must not.
        let observed = if observe::is_on() { after.clone() } else { Vec::new() };
        let ticket = self.engine.submit(stream.key, Task { op, sticky }, after, &behind);
        observe::submitted(ticket, &observed, &behind);
        ticket
    }

    /// Puts a graph launch on a stream, behind `after` (earlier launches of the same instance).
    /// Each event that the graph records is, from here on, the record of this launch.
    pub fn submit_graph(&self, world: &mut World, stream: StreamId, plan: Arc<Plan>, after: Vec<Ticket>) -> Ticket {
        let survey = plan.survey();
        survey.awaited.iter().for_each(|&event| self.learn(world, event));
        // What an awaited event has recorded is settled now, as for cuStreamWaitEvent: a record
        // behind this launch is not waited for.
        let last = |event: EventId| Some((event, world.events.get(event.0)?.last()?));
        let awaited: Vec<(EventId, Record)> = survey.awaited.into_iter().filter_map(last).collect();
        let mut records = Vec::new();
        for event in survey.recorded {
            if world.events.get(event.0).is_some() {
                let record = Record::new(self.engine.latch());
                world.event_recorded(event, record.clone());
                records.push((event, record));
            }
        }
        let tickets = |records: &[(EventId, Record)]| records.iter().map(|(_, record)| record.ticket).collect();
        let (awaited_by, completed): (Vec<Ticket>, Vec<Ticket>) = (tickets(&awaited), tickets(&records));
        let launch = Launch { plan: Arc::clone(&plan), records, awaited, never_blocks: survey.never_blocks };
        let ticket = self.submit(world, stream, Op::Graph(Arc::new(launch)), after);
        observe::was_graph(ticket, &plan, &awaited_by, &completed);
        ticket
    }

    /// Takes note of what another process has recorded in an event that it shares. Call it before a call
    /// that looks at the event's last record.
    pub fn learn(&self, world: &mut World, event: EventId) {
        let Some(cell) = world.events.get(event.0).filter(|cell| cell.shared.is_some()).cloned() else { return };
        let Some(record) = cell.unknown() else { return };
        let sticky = world.contexts.get(cell.context.0).map(|context| context.sticky.clone()).unwrap_or_default();
        // A queue of its own, which goes with this entry.
        let queue = QUEUES + Numbers::next(&mut world.numbers.queues);
        let task = Task { op: Op::Await(record.clone()), sticky };
        let ticket = self.engine.submit(queue, task, Vec::new(), &[]);
        observe::submitted(ticket, &[], &[]);
        self.engine.close(queue);
        cell.learn(record, ticket);
        world.capture.recorded_eagerly(event);
    }

    /// Records an event behind all earlier work of a stream.
    pub fn record_event(&self, world: &mut World, stream: StreamId, event: EventId) {
        let completion = Arc::default();
        let ticket = self.submit(world, stream, Op::Record(Arc::clone(&completion)), Vec::new());
        world.event_recorded(event, Record { ticket, completion });
    }

    /// Destroys a context: streams, events, modules and all. Work that has not run is stopped: a
    /// kernel that never ends must not keep the context, and with it the process, alive.
    pub fn destroy_context(&self, handle: u64) -> Cuda {
        let mut world = self.drain_context(ContextId(handle));
        let context = world.contexts.remove(handle).ok_or(CUresult::INVALID_CONTEXT)?;
        world.forget_contents(ContextId(handle), &context, &self.engine);
        Ok(())
    }

    /// Destroys what a context holds and clears its error; its handle stays good.
    pub fn reset_context(&self, handle: u64) -> Cuda {
        let mut world = self.drain_context(ContextId(handle));
        let World { contexts, numbers, .. } = &mut *world;
        let Some(context) = contexts.get_mut(handle) else { return Ok(()) };
        let (device, flags) = (context.device, context.flags);
        let new = Context::new(Numbers::next(&mut numbers.contexts), device, true, flags);
        let old = std::mem::replace(context, new);
        world.forget_contents(ContextId(handle), &old, &self.engine);
        memory().space.add_context(handle, device);
        world.create_legacy_stream(handle, &self.engine);
        Ok(())
    }

    /// Stops the work of a context and waits until there is none. Another thread may reset the
    /// context and give it work meanwhile: under the lock that this returns it has none.
    fn drain_context(&self, id: ContextId) -> MutexGuard<'_, World> {
        loop {
            self.cancel_context(id);
            self.wait_for_context(id);
            let world = self.world();
            let pending = |context: &Context| context.streams.keys().any(|&stream| self.engine.last(stream).is_some());
            if !world.contexts.get(id.0).is_some_and(pending) {
                return world;
            }
        }
    }

    /// Stops the work of a context.
    fn cancel_context(&self, id: ContextId) {
        if let Some(context) = self.world().contexts.get(id.0) {
            context.sticky.cancel();
        }
    }

    /// Stops the work of every context that has any; such a context is in error from now on, as
    /// after a kernel that ran for too long.
    pub fn cancel_all(&self) {
        let world = self.world();
        for (_, context) in world.contexts.iter() {
            if context.streams.keys().any(|&stream| self.engine.last(stream).is_some()) {
                let text = "the work in progress was cancelled".to_owned();
                fault::keep(*FaultReport::of_work(CUresult::LAUNCH_TIMEOUT, text));
                context.sticky.cancel();
            }
        }
    }

    /// Waits until all work of a context has run.
    pub fn wait_for_context(&self, id: ContextId) {
        let streams: Vec<u64> = match self.world().contexts.get(id.0) {
            Some(context) => context.streams.keys().copied().collect(),
            None => return,
        };
        for ticket in streams.iter().filter_map(|&stream| self.engine.last(stream)) {
            self.engine.wait(ticket);
        }
        observe::host_waited_for(&streams);
    }

    /// Asks the capture model before a potentially unsafe call.
    pub fn unsafe_call(&self) -> Cuda {
        self.world().capture.unsafe_call(ThreadId::current())
    }

    /// `cuCtxEnablePeerAccess` for the calling thread's context.
    ///
    /// # Errors
    /// D: `CUDA_ERROR_INVALID_CONTEXT` for the thread's own context, `CUDA_ERROR_PEER_ACCESS_UNSUPPORTED` for
    /// one of the same device, `CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED`.
    pub fn enable_peer_access(&self, peer: ContextId) -> Cuda {
        let world = self.world();
        let own = world.current()?.id;
        if own == peer {
            return Err(CUresult::INVALID_CONTEXT);
        }
        if !device::is_peer(world.device_of(own)?, world.device_of(peer)?) {
            return Err(CUresult::PEER_ACCESS_UNSUPPORTED);
        }
        memory().space.set_peer(own.0, peer.0, true)
    }

    /// `cuCtxDisablePeerAccess`. Work in progress may use the memory, so this waits for it.
    ///
    /// # Errors
    /// `CUDA_ERROR_PEER_ACCESS_NOT_ENABLED`.
    pub fn disable_peer_access(&self, peer: ContextId) -> Cuda {
        let own = self.world().current()?.id;
        self.wait_for_context(own);
        memory().space.set_peer(own.0, peer.0, false)
    }

    /// Whether a handle named something that is gone.
    pub fn was_destroyed(&self, handle: u64) -> bool {
        self.world().was_destroyed(handle) || self.memory().was_destroyed(handle)
    }

    /// The device of the calling thread's context, healthy.
    pub fn current_device(&self) -> Cuda<i32> {
        let world = self.world();
        world.device_of(world.current()?.id)
    }

    /// The calling thread's context, healthy.
    pub fn current(&self) -> Cuda<Current> {
        self.world().current()
    }
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

    fn was_destroyed(&self, handle: u64) -> bool {
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

    fn create_legacy_stream(&mut self, context: u64, engine: &Engine<Task>) {
        let legacy = self.create_stream(ContextId(context), StreamKind::Legacy, 0, 0, engine);
        if let Some(context) = self.contexts.get_mut(context) {
            context.legacy = legacy.key;
        }
    }

    /// Destroys the streams, events and modules of a context that is gone.
    fn forget_contents(&mut self, id: ContextId, context: &Context, engine: &Engine<Task>) {
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
