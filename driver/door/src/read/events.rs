//! The events of a process, merged from its threads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::segments::{Raw, Segment, raw_at};
use super::{Call, Process};
use crate::bytes::Input;
use crate::event::{Function, Kind, ProcessEvent, Range};
use crate::graph::{GraphNode, GraphPart};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in nanoseconds of the monotonic clock; of a call its end.
    pub at: u64,
    /// On which thread.
    pub thread: u32,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A call of the driver.
    Call(Box<Call>),
    /// A thread makes its first call; its name.
    Thread(String),
    /// A kernel is used for the first time.
    Function(Function),
    /// A graph, read back when it was instantiated.
    Graph(Box<GraphDump>),
    /// A node of an executable graph has other parameters: the `CUgraphExec`, and the node.
    Given(u64, Box<GraphNode>),
    /// A range that the program marked.
    Range(Range),
    /// What was not seen.
    Note(String),
    /// What became of the process.
    Process(ProcessEvent),
}

/// A graph, as the driver gave it back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphDump {
    /// `CUgraph`.
    pub graph: u64,
    /// `CUgraphExec` made of it, or 0.
    pub exec: u64,
    /// Its nodes, by index.
    pub nodes: Vec<GraphNode>,
    /// Its edges, by index of nodes.
    pub edges: Vec<(u32, u32)>,
    /// What could not be read; empty if it is whole.
    pub missing: String,
}

/// The events of one class of one thread.
struct Stream<'a> {
    segments: std::vec::IntoIter<&'a Segment>,
    at: usize,
    end: usize,
    thread: u32,
}

impl<'a> Stream<'a> {
    fn next(&mut self, record: &'a [u8]) -> Option<Raw<'a>> {
        loop {
            if self.at < self.end
                && let Some(raw) = raw_at(record, self.at)
            {
                self.at += raw.length;
                return Some(raw);
            }
            let segment = self.segments.next()?;
            (self.at, self.end) = (segment.events.start, segment.events.end);
        }
    }
}

/// Iterates over [`Event`]s in the order of their ends.
pub struct Events<'a> {
    process: &'a Process,
    streams: Vec<(Stream<'a>, Option<Raw<'a>>)>,
    /// Time of the next event of each stream, and its place in `streams`.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    graphs: HashMap<u64, (u32, GraphDump)>,
    /// Events that come when all streams have ended.
    last: std::vec::IntoIter<Event>,
    time: u64,
}

impl<'a> Events<'a> {
    pub(super) fn new(process: &'a Process) -> Self {
        let mut by_thread: BTreeMap<(u32, bool), Vec<&Segment>> = BTreeMap::new();
        for segment in &process.segments {
            by_thread.entry((segment.thread, segment.passing)).or_default().push(segment);
        }
        let mut inside = Vec::new();
        let mut streams = Vec::new();
        for ((thread, passing), segments) in by_thread {
            if !passing && let Some((function, began)) = segments.last().and_then(|segment| segment.current) {
                inside.push((thread, function, began));
            }
            streams.push((Stream { segments: segments.into_iter(), at: 0, end: 0, thread }, None));
        }
        let unfinished = |(thread, function, began): (u32, u32, u64)| {
            let function = process.name(function);
            let call = Call {
                row: graphproof_api::find(&function),
                function,
                began,
                ended: began,
                result: None,
                stack: None,
                capture: None,
                nested: false,
                values: Vec::new(),
                tags: Vec::new(),
            };
            Event { at: began, thread, kind: EventKind::Call(Box::new(call)) }
        };
        let last: Vec<Event> = inside.into_iter().map(unfinished).collect();
        let mut events = Self {
            process,
            streams,
            next: BinaryHeap::new(),
            graphs: HashMap::new(),
            last: last.into_iter(),
            time: process.started,
        };
        (0..events.streams.len()).for_each(|index| events.advance(index));
        events
    }

    fn advance(&mut self, index: usize) {
        let (stream, waiting) = &mut self.streams[index];
        *waiting = stream.next(&self.process.record);
        if let Some(raw) = waiting {
            self.next.push(Reverse((raw.time, index)));
        }
    }

    fn read(&mut self, raw: Raw<'_>, thread: u32) -> Option<EventKind> {
        let mut input = Input::new(raw.content);
        Some(match raw.kind? {
            Kind::Call => {
                let name = |function| self.process.name(function);
                EventKind::Call(Box::new(Call::read(raw.content, raw.time, raw.cut, name)?))
            }
            Kind::Thread => EventKind::Thread(input.text()?),
            Kind::Function => EventKind::Function(Function::read(&mut input)?),
            Kind::Range => EventKind::Range(Range::read(&mut input)?),
            Kind::Note => EventKind::Note(input.text()?),
            Kind::Process => EventKind::Process(ProcessEvent::read(&mut input)?),
            Kind::Graph => return self.graph(GraphPart::read(&mut input)?, thread),
            Kind::Start | Kind::Stack | Kind::Image | Kind::Name => return None,
        })
    }

    /// A graph comes when its last part does.
    fn graph(&mut self, part: GraphPart, thread: u32) -> Option<EventKind> {
        match part {
            GraphPart::Begin { id, graph, exec } => {
                self.graphs.insert(id, (thread, GraphDump { graph, exec, ..GraphDump::default() }));
            }
            GraphPart::Node(id, node) => self.graphs.get_mut(&id)?.1.nodes.push(*node),
            GraphPart::Edges(id, edges) => self.graphs.get_mut(&id)?.1.edges.extend(edges),
            GraphPart::End { id, missing } => {
                let mut dump = self.graphs.remove(&id)?.1;
                dump.missing = missing;
                return Some(EventKind::Graph(Box::new(dump)));
            }
            GraphPart::Given(exec, node) => return Some(EventKind::Given(exec, node)),
        }
        None
    }

    /// Graphs whose end never came.
    fn unfinished_graph(&mut self) -> Option<Event> {
        let id = *self.graphs.keys().min()?;
        let (thread, mut dump) = self.graphs.remove(&id)?;
        dump.missing = "the record ends before the graph does".to_owned();
        Some(Event { at: self.time, thread, kind: EventKind::Graph(Box::new(dump)) })
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while let Some(Reverse((_, index))) = self.next.pop() {
            let (stream, waiting) = &mut self.streams[index];
            let thread = stream.thread;
            let raw = waiting.take();
            self.advance(index);
            if let Some(raw) = raw {
                self.time = self.time.max(raw.time);
                if let Some(kind) = self.read(raw, thread) {
                    return Some(Event { at: raw.time, thread, kind });
                }
            }
        }
        self.unfinished_graph().or_else(|| self.last.next())
    }
}
