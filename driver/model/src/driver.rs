//! The state of a driver, and how work gets to a stream.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use graphproof_scheduler::{Engine, Ticket};

use super::capture::{self, Placement};
use super::context::Context;
use super::device::Capability;
use super::event::Record;
use super::execute::{Launch, Op, Task};
use super::fault::{self, FaultReport};
use super::green::QUEUES;
use super::instance::{OF_THE_PROCESS, Settings, of_the_process};
use super::link::Link;
use super::memory::{Memory, memory};
use super::version::Version;
use super::work::{NodeParams, Plan};
use super::{
    ContextId, Current, EventId, Handles, Kind, Numbers, StreamId, StreamName, ThreadId, World, device, execute,
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
            if !world.contexts.get(id.0).is_some_and(|context| context.is_working(&self.engine)) {
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
            if context.is_working(&self.engine) {
                let text = "the work in progress was cancelled".to_owned();
                fault::keep(*FaultReport::of_work(CUresult::LAUNCH_TIMEOUT, text));
                context.sticky.cancel();
            }
        }
    }

    /// Waits until all work of a context has run.
    pub fn wait_for_context(&self, id: ContextId) {
        let streams: Vec<u64> = match self.world().contexts.get(id.0) {
            Some(context) => context.working_streams().collect(),
            None => return,
        };
        for ticket in streams.iter().filter_map(|&stream| self.engine.last(stream)) {
            self.engine.wait(ticket);
        }
        observe::host_waited_for(&streams);
        if let Some(context) = self.world().contexts.get_mut(id.0) {
            context.forget_left(&self.engine);
        }
    }

    /// Asks the capture model before a potentially unsafe call.
    pub fn unsafe_call(&self) -> Cuda {
        self.world().capture.unsafe_call(ThreadId::current())
    }

    /// `cuCtxEnablePeerAccess` for the calling thread's context.
    ///
    /// # Errors
    /// `CUDA_ERROR_PEER_ACCESS_UNSUPPORTED` for a context of the same device, the thread's own among them (M: two
    /// H200; cuda.h says `INVALID_CONTEXT` of that one), `CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED`.
    pub fn enable_peer_access(&self, peer: ContextId) -> Cuda {
        let world = self.world();
        let own = world.current()?.id;
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
