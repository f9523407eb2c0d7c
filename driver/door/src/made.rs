//! Records written by hand, for tests of what reads them.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::event::{CallParts, Capture, Function, Image, Kind, ProcessEvent, Range, Stack, Start, Tag};
use crate::graph::{GraphNode, GraphPart};
use crate::layout::{Class, Count, EVENT_HEADER, Limits, SEGMENT, SEGMENT_HEADER};
use crate::read::GraphDump;
use crate::write::{Cursor, Writer};

/// A process that never ran.
///
/// ```
/// use graphproof_door::{Trace, made::Made};
///
/// # let folder = tempfile::tempdir()?;
/// let mut made = Made::new(folder.path(), 100, 1)?;
/// let stack = made.python_stack(&[("train.py", 12, "step")]);
/// made.call(7, "cuStreamSynchronize", &[("hStream", 0x20)], 900).stack(stack).end();
/// let trace = Trace::open(folder.path())?;
/// assert_eq!(trace.processes[0].events().count(), 2, "the thread, and its call");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Made {
    writer: Writer,
    cursors: HashMap<u32, Cursor>,
    names: HashMap<String, u16>,
    time: u64,
    stacks: u64,
    graphs: u64,
}

impl Made {
    /// Begins the record of process `pid`, whose parent is `parent`, in that folder.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(folder: &Path, pid: u32, parent: u32) -> io::Result<Self> {
        let limits = Limits { kept: 16 << 20, ring: 16 << 20 };
        let writer = Writer::create(folder, pid, parent, limits)?;
        let (cursors, names) = (HashMap::new(), HashMap::new());
        let mut made = Self { writer, cursors, names, time: crate::sys::now(), stacks: 0, graphs: 0 };
        let command = vec!["python".to_owned(), "train.py".to_owned()];
        made.start(&Start { command, executable: "/usr/bin/python3".to_owned(), ..Start::default() });
        Ok(made)
    }

    /// Says what the process is; the last one counts.
    pub fn start(&mut self, start: &Start) {
        self.names.extend((0..).zip(&start.functions).map(|(index, name)| (name.clone(), index)));
        let cursor = self.cursors.entry(0).or_insert_with(|| Cursor::of(0));
        let room = SEGMENT - SEGMENT_HEADER - EVENT_HEADER;
        self.writer.append(cursor, Class::Kept, Kind::Start, self.time, room, |out| start.write(out));
    }

    /// Lets so many nanoseconds pass; each event takes one anyway.
    pub fn wait(&mut self, nanoseconds: u64) -> &mut Self {
        self.time += nanoseconds;
        self
    }

    fn write(&mut self, thread: u32, kind: Kind, content: impl FnOnce(&mut crate::Output<'_>)) {
        self.time += 1;
        let is_new = !self.cursors.contains_key(&thread);
        let cursor = self.cursors.entry(thread).or_insert_with(|| Cursor::of(thread));
        if is_new {
            let name = format!("thread {thread}");
            self.writer.append(cursor, Class::Kept, Kind::Thread, self.time, 64, |out| out.text(&name));
        }
        self.writer.append(cursor, Class::Kept, kind, self.time, 32 << 10, content);
    }

    /// A stack of Python frames, innermost first: file, line, function. Returns its id.
    pub fn python_stack(&mut self, frames: &[(&str, u32, &str)]) -> u64 {
        let frame = |&(file, line, function): &(&str, u32, &str)| crate::PythonFrame {
            file: file.to_owned(),
            line,
            function: function.to_owned(),
        };
        self.stack(Stack { id: 0, native: Vec::new(), python: frames.iter().map(frame).collect() })
    }

    /// A stack; its id is given here, and returned.
    pub fn stack(&mut self, stack: Stack) -> u64 {
        self.stacks += 1;
        let stack = Stack { id: self.stacks, ..stack };
        self.write(0, Kind::Stack, |out| stack.write(out));
        stack.id
    }

    /// A loaded image that frames may name.
    pub fn image(&mut self, image: &Image) {
        self.write(0, Kind::Image, |out| image.write(out));
    }

    /// A call of `thread`, by its exported name and the arguments that matter, by their names in cuda.h.
    ///
    /// # Panics
    /// The table has no such function or argument: the test that asks for it is wrong.
    pub fn call(&mut self, thread: u32, function: &str, arguments: &[(&str, u64)], result: u32) -> MadeCall<'_> {
        let row = graphproof_api::find(function).unwrap_or_else(|| panic!("{function} is not in the table"));
        let table = row.arguments.as_deref().unwrap_or_default();
        let mut words = vec![0; table.len()];
        for (name, word) in arguments {
            words[position(row, name)] = *word;
        }
        MadeCall {
            made: self,
            thread,
            function: function.to_owned(),
            row,
            result,
            words,
            written: Vec::new(),
            tags: Vec::new(),
            stack: 0,
            capture: None,
            took: 1,
        }
    }

    /// A kernel's name and parameters, as the driver tells them.
    pub fn function(&mut self, thread: u32, function: &Function) {
        self.write(thread, Kind::Function, |out| function.write(out));
    }

    /// A graph that was read back.
    pub fn graph(&mut self, thread: u32, dump: &GraphDump) {
        self.graphs += 1;
        let id = self.graphs;
        let begin = GraphPart::Begin { id, graph: dump.graph, exec: dump.exec };
        let nodes = dump.nodes.iter().map(|node| GraphPart::Node(id, Box::new(node.clone())));
        let edges = GraphPart::Edges(id, dump.edges.clone());
        let end = GraphPart::End { id, missing: dump.missing.clone() };
        for part in std::iter::once(begin).chain(nodes).chain([edges, end]) {
            self.write(thread, Kind::Graph, |out| part.write(out));
        }
    }

    /// A node of an executable graph that was given other parameters.
    pub fn given(&mut self, thread: u32, exec: u64, node: &GraphNode) {
        let part = GraphPart::Given(exec, Box::new(node.clone()));
        self.write(thread, Kind::Graph, |out| part.write(out));
    }

    /// A range that the program marked.
    pub fn range(&mut self, thread: u32, range: &Range) {
        self.write(thread, Kind::Range, |out| range.write(out));
    }

    /// What was not seen.
    pub fn note(&mut self, text: &str) {
        self.write(0, Kind::Note, |out| out.text(text));
    }

    /// What became of the process.
    pub fn process(&mut self, event: &ProcessEvent) {
        self.write(0, Kind::Process, |out| event.write(out));
        if matches!(event, ProcessEvent::Exit) {
            self.writer.end();
        }
    }

    /// The thread enters a call and never leaves it.
    pub fn stuck(&mut self, thread: u32, function: &str) {
        let index = self.index_of(function);
        self.write(thread, Kind::Note, |out| out.text("a long call begins"));
        self.writer.enter(&self.cursors[&thread], u32::from(index), self.time);
    }

    /// Counts, as the header does.
    pub fn count(&self, what: Count) {
        self.writer.count(what);
    }

    /// Counts an event that found no room.
    pub fn lose(&self) {
        self.writer.lose();
    }

    fn index_of(&mut self, function: &str) -> u16 {
        if let Some(index) = self.names.get(function) {
            return *index;
        }
        let index = self.names.len() as u16;
        self.names.insert(function.to_owned(), index);
        self.write(0, Kind::Name, |out| {
            out.u32(u32::from(index));
            out.text(function);
        });
        index
    }
}

fn position(row: &graphproof_api::Function, name: &str) -> usize {
    let found = row.arguments.iter().flatten().position(|argument| argument.name == name);
    found.unwrap_or_else(|| panic!("{} has no argument {name}", row.name))
}

/// A call that is being put together.
#[must_use = "MadeCall::end writes it"]
#[derive(Debug)]
pub struct MadeCall<'a> {
    made: &'a mut Made,
    thread: u32,
    function: String,
    row: &'static graphproof_api::Function,
    result: u32,
    words: Vec<u64>,
    written: Vec<(u8, u64)>,
    tags: Vec<(Tag, u8, Vec<u8>)>,
    stack: u64,
    capture: Option<Capture>,
    took: u64,
}

impl MadeCall<'_> {
    /// What it wrote through that argument.
    pub fn wrote(mut self, name: &str, value: u64) -> Self {
        self.written.push((position(self.row, name) as u8, value));
        self.written.sort_unstable_by_key(|(at, _)| *at);
        self
    }

    /// What that argument pointed to.
    pub fn pointee(mut self, name: &str, bytes: &[u8]) -> Self {
        self.tags.push((Tag::Pointee, position(self.row, name) as u8, bytes.to_vec()));
        self
    }

    /// More bytes.
    pub fn tag(mut self, tag: Tag, bytes: &[u8]) -> Self {
        self.tags.push((tag, 0, bytes.to_vec()));
        self
    }

    /// Its stack.
    pub fn stack(mut self, id: u64) -> Self {
        self.stack = id;
        self
    }

    /// Capture status of its stream after it.
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }

    /// It made the capture that began on that stream invalid.
    pub fn invalidated(self, stream: u64) -> Self {
        self.tag(Tag::Invalidated, &stream.to_le_bytes())
    }

    /// How long it took, in nanoseconds.
    pub fn took(mut self, nanoseconds: u64) -> Self {
        self.took = nanoseconds;
        self
    }

    /// Writes it.
    pub fn end(self) {
        let function = self.made.index_of(&self.function);
        let tags: Vec<(Tag, u8, &[u8])> = self.tags.iter().map(|(tag, at, bytes)| (*tag, *at, &bytes[..])).collect();
        let began = self.made.time;
        self.made.time += self.took;
        let parts = CallParts {
            function,
            result: self.result,
            began,
            stack: self.stack,
            capture: self.capture,
            nested: false,
            words: &self.words,
            written: &self.written,
            tags: &tags,
        };
        self.made.write(self.thread, Kind::Call, |out| parts.write(out));
    }
}
