//! What the generator believes about the objects of a sequence.
//!
//! A belief only steers the choice of calls towards states that matter. The driver may disagree: what
//! a failed call did not create answers `UNSET` in the later lines, on both sides of a comparison.

use super::dice::Dice;

/// The threads of a sequence; most calls are the first one's.
pub const THREADS: [&str; 3] = ["main", "T1", "T2"];

/// What a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not capture.
    Idle,
    /// It began a capture.
    Origin,
    /// It joined one by waiting for an event.
    Fork,
    /// Its capture is invalidated and not yet ended.
    Invalid,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub name: String,
    /// As a case file declares it.
    pub kind: &'static str,
    pub state: State,
    /// The thread that began the capture.
    pub thread: usize,
    /// The mode of the capture.
    pub mode: &'static str,
    /// The graph that the capture goes to, where the caller gave one.
    pub to: Option<usize>,
    pub alive: bool,
}

impl Stream {
    pub fn capturing(&self) -> bool {
        matches!(self.state, State::Origin | State::Fork)
    }

    /// One of the handles that stand for a stream of the context.
    pub fn fixed(&self) -> bool {
        matches!(self.kind, "legacy" | "null" | "perthread")
    }
}

#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    /// Its last record is a node of a capture.
    pub captured: bool,
    /// It is the event of a node: it must outlive the graph.
    pub in_node: bool,
    pub alive: bool,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    /// As `CUgraphNodeType` names it.
    pub kind: &'static str,
    /// The arguments after graph and dependencies, and the places of its dependencies: a twin repeats them.
    pub args: String,
    pub after: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Graph {
    pub name: String,
    pub nodes: Vec<Node>,
    /// The body of a conditional node or the graph of a child node: its parent destroys it.
    pub inner: bool,
    pub alive: bool,
}

#[derive(Clone, Debug)]
pub struct Exec {
    pub name: String,
    pub graph: usize,
    pub alive: bool,
}

/// Words of 32 bits in the buffers `D` and `H`: each writer has its own, so that no order shows.
pub const WORDS: usize = 48;

/// The sequence so far.
#[derive(Debug)]
pub struct World {
    pub dice: Dice,
    pub lines: Vec<String>,
    pub streams: Vec<Stream>,
    pub events: Vec<Event>,
    pub graphs: Vec<Graph>,
    pub execs: Vec<Exec>,
    /// Nodes of captures in progress, as `lastnode` gave them.
    pub captured: Vec<String>,
    /// Conditional handles with their graph.
    pub handles: Vec<(String, usize)>,
    /// Device memory that no other call touches, to be freed, with the stream that allocated it.
    pub allocations: Vec<(String, Option<usize>)>,
    made: usize,
    words: usize,
}

impl World {
    pub fn new(dice: Dice) -> Self {
        Self {
            dice,
            lines: Vec::new(),
            streams: Vec::new(),
            events: Vec::new(),
            graphs: Vec::new(),
            execs: Vec::new(),
            captured: Vec::new(),
            handles: Vec::new(),
            allocations: Vec::new(),
            made: 0,
            words: 0,
        }
    }

    /// A variable's name that no line has used.
    pub fn name(&mut self, letter: &str) -> String {
        self.made += 1;
        format!("{letter}{}", self.made)
    }

    /// Adds a line, made by the thread at this place.
    pub fn say(&mut self, thread: usize, text: &str) {
        let line = if thread == 0 { text.to_owned() } else { format!("thread {}: {text}", THREADS[thread]) };
        self.lines.push(line);
    }

    /// The thread that a call concerning a stream most often comes from.
    pub fn thread_for(&mut self, stream: Option<usize>) -> usize {
        match stream.map(|at| &self.streams[at]) {
            Some(stream) if stream.state != State::Idle && self.dice.chance(86) => stream.thread,
            _ if self.dice.chance(80) => 0,
            _ => 1 + self.dice.below(THREADS.len() - 1),
        }
    }

    /// A live stream for which `wanted` holds, most often; any live stream where there is none.
    pub fn stream(&mut self, wanted: impl Fn(&Stream) -> bool, strict: usize) -> Option<usize> {
        let live: Vec<usize> = (0..self.streams.len()).filter(|at| self.streams[*at].alive).collect();
        let fitting: Vec<usize> = live.iter().copied().filter(|at| wanted(&self.streams[*at])).collect();
        if !fitting.is_empty() && self.dice.chance(strict) { self.dice.pick(&fitting) } else { self.dice.pick(&live) }
    }

    pub fn event(&mut self, wanted: impl Fn(&Event) -> bool, strict: usize) -> Option<usize> {
        let live: Vec<usize> = (0..self.events.len()).filter(|at| self.events[*at].alive).collect();
        let fitting: Vec<usize> = live.iter().copied().filter(|at| wanted(&self.events[*at])).collect();
        if !fitting.is_empty() && self.dice.chance(strict) { self.dice.pick(&fitting) } else { self.dice.pick(&live) }
    }

    /// A live graph, the later ones more often.
    pub fn graph(&mut self, wanted: impl Fn(&Graph) -> bool) -> Option<usize> {
        let live: Vec<usize> =
            (0..self.graphs.len()).filter(|at| self.graphs[*at].alive && wanted(&self.graphs[*at])).collect();
        match live.last() {
            Some(last) if self.dice.chance(45) => Some(*last),
            _ => self.dice.pick(&live),
        }
    }

    pub fn exec(&mut self) -> Option<usize> {
        let live: Vec<usize> = (0..self.execs.len()).filter(|at| self.execs[*at].alive).collect();
        self.dice.pick(&live)
    }

    /// A word of `D` that nothing else writes.
    pub fn word(&mut self) -> String {
        self.words += 1;
        format!("D+{}", 4 * (self.words % WORDS))
    }

    /// The same of the pinned buffer.
    pub fn host_word(&mut self) -> String {
        self.words += 1;
        format!("H+{}", 4 * (self.words % WORDS))
    }

    /// A list of up to three nodes of a graph, as text and as places.
    pub fn dependencies(&mut self, graph: usize) -> (String, Vec<usize>) {
        let count = self.graphs[graph].nodes.len();
        let most = [0, 0, 1, 1, 1, 2, 3][self.dice.below(7)];
        let mut places: Vec<usize> = Vec::new();
        for _ in 0..most.min(count) {
            let at = self.dice.below(count);
            if !places.contains(&at) {
                places.push(at);
            }
        }
        let names: Vec<&str> = places.iter().map(|at| self.graphs[graph].nodes[*at].name.as_str()).collect();
        (format!("[{}]", names.join(" ")), places)
    }

    pub fn add_graph(&mut self, name: String, nodes: Vec<Node>, inner: bool) -> usize {
        self.graphs.push(Graph { name, nodes, inner, alive: true });
        self.graphs.len() - 1
    }

    /// Believes that a call which no capture may meet was made on this thread.
    pub fn unsafe_call(&mut self, thread: usize) {
        for stream in self.streams.iter_mut().filter(|stream| stream.capturing()) {
            if stream.mode == "GLOBAL" || (stream.mode == "THREAD_LOCAL" && stream.thread == thread) {
                stream.state = State::Invalid;
            }
        }
    }
}
