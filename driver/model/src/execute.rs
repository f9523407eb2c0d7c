//! Executes work, on a thread of the engine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{hint, thread};

use graphproof_scheduler::order::{self, mix};
use graphproof_scheduler::{Engine, Execute, Ticket};

use super::context::Sticky;
use super::driver::Driver;
use super::event::{Completion, Publication, Record};
use super::fault::{self, FaultReport};
use super::graph_run;
use super::kernel::{self, Beside};
use super::memory::memory;
use super::params::{End, HostWork};
use super::work::{CopyWork, MemsetWork, NodeParams, Plan};
use super::{EventId, batch, early, instance};
use crate::observe::{self, Path};
use crate::record;
use graphproof_api::CUresult;

/// What the engine's queues hold.
#[derive(Debug)]
pub struct Task {
    /// The work.
    pub op: Op,
    /// The error state of the stream's context: work after an error is dropped.
    pub sticky: Sticky,
}

/// What a stream executes.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "most entries are nodes, and a queue should not allocate for each")]
pub enum Op {
    /// Work that could be a graph's node as well.
    Node(NodeParams),
    /// Completes an event's record.
    Record(Arc<Completion>),
    /// Waits for an event's record in another process.
    Await(Publication),
    /// A graph.
    Graph(Arc<Launch>),
    /// Nothing but its place in the order.
    Nothing,
}

/// One launch of a graph.
#[derive(Debug)]
pub struct Launch {
    /// The graph.
    pub plan: Arc<Plan>,
    /// The event records that this launch completes.
    pub records: Vec<(EventId, Record)>,
    /// What the events that it waits for had recorded when it was launched.
    pub awaited: Vec<(EventId, Record)>,
    /// It has no host function and waits for nothing.
    pub never_blocks: bool,
}

/// What executing a piece of work needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The engine that runs it.
    pub engine: &'a Engine<Task>,
    /// The error state of the context.
    pub sticky: &'a Sticky,
    /// The graph launch that it belongs to.
    pub events: Option<&'a Launch>,
    /// For every order that CUDA leaves open within this work.
    pub seed: u64,
    /// The stream that it runs on.
    pub stream: u64,
    /// The node of the launched graph that it belongs to.
    pub node: Option<u32>,
    /// Its submission.
    pub ticket: Ticket,
    /// Where in the launched graph it stands.
    pub path: Option<&'a Path<'a>>,
}

impl<'a> Scope<'a> {
    fn own_record(&self, event: EventId) -> Option<&'a Record> {
        let records = &self.events?.records;
        records.iter().find(|(recorded, _)| *recorded == event).map(|(_, record)| record)
    }
}

/// Runs the tasks of a driver.
#[derive(Debug, Default)]
pub struct Executor {
    /// The driver, which is made after its engine.
    pub driver: Arc<OnceLock<&'static Driver>>,
}

impl Execute<Task> for Executor {
    fn execute(&self, engine: &Engine<Task>, ticket: Ticket, task: Task) {
        // The threads of the engine enter its driver; a host thread that helps has done so.
        let _entered = self.driver.get().map(|driver| instance::within(driver));
        let seed = seed_of(engine, ticket);
        let stream = ticket.stream;
        let scope = Scope { engine, sticky: &task.sticky, events: None, seed, stream, node: None, ticket, path: None };
        // A defect of ours must not take the thread, and with it the stream, out of the world.
        let done = catch_unwind(AssertUnwindSafe(|| run_op(&task.op, scope)));
        if done.is_err() && task.sticky.set(CUresult::LAUNCH_FAILED) {
            let text = "internal error: executing the work panicked".to_owned();
            fault::keep(*FaultReport::of_work(CUresult::LAUNCH_FAILED, text));
        }
        if let Op::Graph(launch) = &task.op {
            // Whatever the graph did not come to because of an error must not hold waiters.
            launch.records.iter().for_each(|(_, record)| complete_record(record, engine));
        }
    }

    /// Host functions stay off the waiting thread, and so does what waits for others.
    fn may_run_anywhere(&self, task: &Task) -> bool {
        match &task.op {
            Op::Node(node) => node.never_blocks(),
            Op::Graph(launch) => launch.never_blocks,
            Op::Record(_) | Op::Nothing => true,
            Op::Await(_) => false,
        }
    }
}

/// For every order that CUDA leaves open within a piece of work.
pub fn seed_of(engine: &Engine<Task>, ticket: Ticket) -> u64 {
    order::part(engine.seed(), mix(ticket.stream) ^ ticket.sequence)
}

fn run_op(op: &Op, scope: Scope<'_>) {
    match op {
        Op::Node(node @ NodeParams::Kernel(_)) => early::run_eager(node, scope),
        Op::Node(node) => run_node(node, scope),
        Op::Record(completion) => completion.reached(),
        Op::Await(record) => {
            let done = || record.is_complete() || scope.sticky.check().is_err();
            scope.engine.blocking(|| poll_until(done));
        }
        Op::Graph(launch) => graph_run::run(&launch.plan, Scope { events: Some(launch), ..scope }),
        Op::Nothing => {}
    }
}

/// Runs a piece of work: the one function for eager work and for the nodes of graphs. After an
/// error of the context only what releases others is done.
pub fn run_node(node: &NodeParams, scope: Scope<'_>) {
    run_node_beside(node, scope, Beside::default());
}

/// As [`run_node`], for a kernel that runs beside others.
pub fn run_node_beside(node: &NodeParams, scope: Scope<'_>, beside: Beside<'_>) {
    record::work(node, scope.stream, scope.node, || run_unrecorded(node, scope, beside));
}

fn run_unrecorded(node: &NodeParams, scope: Scope<'_>, beside: Beside<'_>) {
    let healthy = scope.sticky.check();
    let result = match node {
        NodeParams::EventRecord(event) => {
            if let Some(record) = scope.own_record(*event) {
                complete_record(record, scope.engine);
            }
            Ok(())
        }
        NodeParams::Host(work) => {
            call_host(work, healthy.err(), scope);
            Ok(())
        }
        NodeParams::MemFree { address } => free(*address),
        _ if healthy.is_err() => return,
        NodeParams::Kernel(work) => return kernel::run(node, work, scope, beside),
        NodeParams::Memcpy(work) => copy(work),
        NodeParams::Memset(work) => fill(work),
        NodeParams::MemAlloc { address, .. } => allocate(*address),
        NodeParams::EventWait(event) => {
            wait_for_event(*event, scope);
            Ok(())
        }
        NodeParams::BatchMemOp(operations) => operations.iter().try_for_each(|operation| batch::run(operation, scope)),
        NodeParams::Empty => Ok(()),
    };
    if result.is_ok() && observe::is_on() {
        observe::ran(node, scope.node, observe::spans_of(node), scope.ticket, scope.path);
    }
    settle(result, scope);
}

/// Keeps what came of a piece of work; whether it went well.
pub fn settle(result: Result<(), Box<FaultReport>>, scope: Scope<'_>) -> bool {
    let Err(report) = result else { return true };
    // A stop has set the error already, but only the kernel knows where it was.
    if scope.sticky.set(report.code) || report.fault.is_some() && report.code == CUresult::LAUNCH_TIMEOUT {
        fault::keep(*report);
    }
    false
}

const _: () = assert!(order::FORWARDS == graphproof_exec::FORWARDS && order::BACKWARDS == graphproof_exec::BACKWARDS);

fn complete_record(record: &Record, engine: &Engine<Task>) {
    record.completion.reached();
    engine.signal(record.ticket);
}

fn copy(work: &CopyWork) -> Result<(), Box<FaultReport>> {
    // The lock is dropped before the bytes move.
    let checked = memory().space.copy(&work.params);
    match (checked, &work.staged) {
        (Ok(copy), Some(staged)) => copy.run_staged(staged),
        (Ok(copy), None) => copy.run(),
        (Err(_), _) => {
            let space = &memory().space;
            let p = &work.params;
            let explain = |end: &End| space.describe(if end.device == 0 { end.host } else { end.device });
            let (src, dst) = (explain(&p.src), explain(&p.dst));
            let text = format!("a copy of {} bytes when it was executed: source {src}, destination {dst}", p.extent[0]);
            return Err(FaultReport::of_work(CUresult::ILLEGAL_ADDRESS, text));
        }
    }
    Ok(())
}

fn fill(work: &MemsetWork) -> Result<(), Box<FaultReport>> {
    let checked = memory().space.fill(work);
    match checked {
        Ok(fill) => fill.run(),
        Err(_) => {
            let place = memory().space.describe(work.dst);
            let text = format!("a fill at {:#x} when it was executed: {place}", work.dst);
            return Err(FaultReport::of_work(CUresult::ILLEGAL_ADDRESS, text));
        }
    }
    Ok(())
}

fn allocate(address: u64) -> Result<(), Box<FaultReport>> {
    memory().space.make_live(address).map_err(|code| {
        FaultReport::of_work(code, format!("the allocation at {address:#x} could not be made when it was executed"))
    })
}

fn free(address: u64) -> Result<(), Box<FaultReport>> {
    let mut memory = memory();
    memory.free_executed(address).map_err(|code| {
        let place = memory.space.describe(address);
        FaultReport::of_work(code, format!("a free of {address:#x} when it was executed: {place}"))
    })
}

fn wait_for_event(event: EventId, scope: Scope<'_>) {
    // A record node of this launch that has run is what the wait means; one that comes after the
    // wait is not: waiting for it would never end.
    if scope.own_record(event).is_some_and(|own| scope.engine.is_done(own.ticket)) {
        return;
    }
    let awaited = scope.events.and_then(|launch| launch.awaited.iter().find(|(awaited, _)| *awaited == event));
    if let Some((_, record)) = awaited.filter(|(_, record)| !scope.engine.is_done(record.ticket)) {
        scope.engine.blocking(|| scope.engine.wait(record.ticket));
    }
}

/// Calls a function of the program; told is the error of its stream's context, if there is one.
pub type HostFunction = fn(&HostWork, Option<CUresult>);

fn call_host(work: &HostWork, error: Option<CUresult>, scope: Scope<'_>) {
    let call = || (work.call)(work, error);
    scope.engine.blocking(|| observe::host_function(scope.node, scope.ticket, scope.path, call));
}

/// Waits until `ready`: spins for a moment, then sleeps in growing steps of at most a
/// millisecond. For conditions in memory, which nobody announces.
pub fn poll_until(mut ready: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if ready() {
            return;
        }
        hint::spin_loop();
    }
    let mut pause = Duration::from_micros(10);
    while !ready() {
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
}
