//! Executes work, on a thread of the engine.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::EventId;
use super::context::Sticky;
use super::engine::{Engine, Execute, Ticket};
use super::event::Record;
use super::work::{NodeParams, Plan};

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
pub enum Op {
    /// Work that could be a graph's node as well.
    Node(NodeParams),
    /// Sets the time of an event's record.
    Record(Arc<OnceLock<Instant>>),
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
}

/// Runs tasks.
#[derive(Debug)]
pub struct Executor;

impl Execute<Task> for Executor {
    fn execute(&self, _engine: &Engine<Task>, _ticket: Ticket, task: Task) {
        let _ = task;
    }
}
