//! One walk over the events of a process, with everything that looks on.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, VecDeque};

use graphproof_door::{Call, Count, EventKind, Function, GraphDump, GraphNode, Process, Range};
use graphproof_harness::finding::Finding;

use super::captures::Captures;
use super::graphs::{self, Known, Shape};
use super::memory::{Kind, Ledger, Made};
use super::objects::Objects;
use super::place::{Caller, Places};
use super::replays::Replays;
use super::report::{LiveReport, MemoryReport, PoolReport, ProcessReport};
use super::shadow::Shadow;
use super::tensor_maps::TensorMaps;

/// A call, with what is known around it.
pub struct Seen<'a> {
    pub call: &'a Call,
    pub thread: u32,
    pub driver_version: u32,
    places: &'a Places<'a>,
    names: &'a HashMap<u32, String>,
    layers: &'a HashMap<u32, Vec<String>>,
    caller: OnceCell<Caller>,
}

impl Seen<'_> {
    /// Who made it. Stacks are resolved only for calls that somebody asks about.
    pub fn caller(&self) -> Caller {
        let function = self.call.row.map_or(&*self.call.function, |row| row.name);
        self.caller.get_or_init(|| self.places.caller(self.call.stack, function)).clone()
    }

    /// The thread in words.
    pub fn thread_name(&self) -> String {
        match self.names.get(&self.thread).map(String::as_str) {
            None | Some("") => format!("thread {}", self.thread),
            Some(name) => format!("thread {} ({name})", self.thread),
        }
    }

    /// The ranges that the program has marked around it, outermost first.
    pub fn layer(&self) -> String {
        self.layers.get(&self.thread).map(|ranges| ranges.join(" / ")).unwrap_or_default()
    }

    fn made(&self) -> Made {
        let function = self.call.row.map_or_else(|| self.call.function.to_string(), |row| row.name.to_owned());
        Made { function, caller: self.caller(), at: self.call.ended }
    }
}

/// Everything that looks on.
#[derive(Default)]
struct Analysis {
    shadow: Shadow,
    captures: Captures,
    ledger: Ledger,
    objects: Objects,
    replays: Replays,
    maps: TensorMaps,
    functions: HashMap<u64, Function>,
    names: HashMap<u32, String>,
    layers: HashMap<u32, Vec<String>>,
    /// The last capture of each place.
    shapes: HashMap<(String, u32), Vec<Shape>>,
    changed: BTreeMap<usize, Vec<String>>,
    /// Executable graphs whose graph has not been read back yet, and graphs whose call has not returned.
    made: HashMap<u64, (Caller, bool)>,
    waiting: Vec<GraphDump>,
    findings: Vec<Finding>,
    notes: Vec<String>,
    calls: u64,
}

/// What one process did.
pub fn of_process(process: &Process) -> ProcessReport {
    let places = Places::of(process);
    // What was only counted are calls too.
    let calls = process.count(Count::Unwritten);
    let mut analysis = Analysis { shadow: Shadow::with_modes(modes(process)), calls, ..Analysis::default() };
    for event in process.events() {
        match event.kind {
            EventKind::Thread(name) => drop(analysis.names.insert(event.thread, name)),
            EventKind::Function(function) => drop(analysis.functions.insert(function.handle, function)),
            EventKind::Range(range) => analysis.range(event.thread, range),
            EventKind::Note(note) => analysis.notes.push(note),
            EventKind::Process(_) => {}
            EventKind::Graph(dump) => analysis.dump(*dump),
            EventKind::Given(exec, node) => analysis.given(exec, &node),
            EventKind::Call(call) => analysis.call(process, &places, event.thread, &call),
        }
    }
    analysis.report(process)
}

/// The modes that each thread gives itself, call by call. Where a call's own argument was not kept, what the
/// next such call of the thread finds tells it; the last one of a pair gives back what the first one took.
fn modes(process: &Process) -> HashMap<u32, VecDeque<u32>> {
    let mut found: HashMap<u32, Vec<(Option<u32>, u32)>> = HashMap::new();
    for event in process.events() {
        let EventKind::Call(call) = event.kind else { continue };
        if call.base() != "cuThreadExchangeStreamCaptureMode" || call.result != Some(0) {
            continue;
        }
        let asked = call.pointee("mode").and_then(|bytes| bytes.get(..4)?.try_into().ok()).map(u32::from_le_bytes);
        let before = call.written("mode").unwrap_or_default() as u32;
        found.entry(event.thread).or_default().push((asked, before));
    }
    let after = |all: &[(Option<u32>, u32)], at: usize| {
        let next = all.get(at + 1).map(|(_, before)| *before);
        let pair = at.checked_sub(1).map(|first| all[first].1);
        let (asked, before) = all[at];
        asked.or(next).or(pair).unwrap_or(if before == 0 { RELAXED } else { 0 })
    };
    let modes = |all: Vec<(Option<u32>, u32)>| (0..all.len()).map(|at| after(&all, at)).collect();
    found.into_iter().map(|(thread, all)| (thread, modes(all))).collect()
}

/// `CU_STREAM_CAPTURE_MODE_RELAXED`.
const RELAXED: u32 = 2;

impl Analysis {
    fn range(&mut self, thread: u32, range: Range) {
        let ranges = self.layers.entry(thread).or_default();
        match range {
            Range::Push(name) => ranges.push(name),
            Range::Pop => drop(ranges.pop()),
            Range::Mark(_) => {}
        }
    }

    fn call(&mut self, process: &Process, places: &Places<'_>, thread: u32, call: &Call) {
        self.calls += 1;
        let seen = Seen {
            call,
            thread,
            driver_version: process.start.driver_version,
            places,
            names: &self.names,
            layers: &self.layers,
            caller: OnceCell::new(),
        };
        if call.result.is_none() {
            self.notes.push(format!(
                "how {} ends: {} was inside it when the record ended",
                call.function,
                seen.thread_name()
            ));
        }
        let said = self.shadow.apply(call, thread);
        self.captures.apply(&seen, &said, &mut self.shadow, &self.ledger);
        self.ledger.apply(call, said.part_of.is_some(), || seen.made());
        self.objects.apply(call, || seen.made());
        self.replays.apply(&seen, &self.ledger);
        self.maps.apply(&seen);
        let update = call.base() == "cuGraphExecUpdate";
        let made = match call.base() {
            "cuGraphExecUpdate" => call.word("hGraphExec"),
            name if name.starts_with("cuGraphInstantiate") => call.written("phGraphExec"),
            _ => None,
        };
        if let Some(exec) = made.filter(|_| call.result == Some(0)) {
            let caller = seen.caller();
            match self.waiting.iter().position(|dump| dump.exec == exec) {
                Some(at) => {
                    let dump = self.waiting.swap_remove(at);
                    self.graph(&dump, &caller, update);
                }
                None => drop(self.made.insert(exec, (caller, update))),
            }
        }
    }

    /// A graph is read back inside or right after the call that instantiates it.
    fn dump(&mut self, dump: GraphDump) {
        let mut dump = dump;
        if dump.exec != 0 {
            // Graphs inside it were read back while it was.
            let (children, waiting): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.waiting).into_iter().partition(|other| other.exec == 0);
            self.waiting = waiting;
            dump.nodes.extend(children.into_iter().flat_map(|child| child.nodes));
        }
        match self.made.remove(&dump.exec) {
            Some((caller, update)) => self.graph(&dump, &caller, update),
            None => self.waiting.push(dump),
        }
    }

    /// A node of an executable graph was given other parameters.
    fn given(&mut self, exec: u64, node: &GraphNode) {
        let known = Known { functions: &self.functions, ledger: &self.ledger, maps: &self.maps, captured: None };
        self.replays.given(exec, node, &known);
    }

    fn graph(&mut self, dump: &GraphDump, made: &Caller, update: bool) {
        let captured = self.captures.of_graph.get(&dump.graph);
        let known = Known { functions: &self.functions, ledger: &self.ledger, maps: &self.maps, captured };
        let (graph, findings) = graphs::read(dump, made, &known);
        self.findings.extend(findings);
        if let (Some(place), Some(captured)) = (graph.place.clone(), captured) {
            if let Some(before) = self.shapes.get(&place) {
                let changes = graphs::changes(before, &graph.shape);
                self.changed.insert(captured.number, changes);
            }
            self.shapes.insert(place, graph.shape.clone());
        }
        match update {
            true => self.replays.updated(dump.exec, graph),
            false => self.replays.made(dump.exec, graph),
        }
    }

    fn report(mut self, process: &Process) -> ProcessReport {
        self.captures.finish(process.ended.is_none());
        let (graphs, loops) = self.replays.finish();
        let mut captures = std::mem::take(&mut self.captures.done);
        for capture in &mut captures {
            capture.changed = self.changed.remove(&capture.number).unwrap_or_default();
        }
        let mut findings = std::mem::take(&mut self.captures.findings);
        findings.append(&mut self.findings);
        findings.append(&mut self.replays.findings);
        findings.append(&mut self.objects.leaks());
        ProcessReport {
            pid: process.pid,
            parent: process.parent,
            command: process.start.command.clone(),
            driver: process.start.driver.clone(),
            driver_version: process.start.driver_version,
            software: process.start.software,
            ended: process.ended.is_some(),
            calls: self.calls,
            threads: self.names.len(),
            findings: told_once(findings),
            captures,
            graphs,
            loops,
            memory: self.memory(),
            alive: self.objects.alive(),
            disagreements: std::mem::take(&mut self.captures.disagreements),
            not_seen: not_seen(process, self.notes),
        }
    }

    fn memory(&self) -> MemoryReport {
        let mut kinds: BTreeMap<Kind, (usize, u64)> = BTreeMap::new();
        let mut pools: BTreeMap<u64, u64> = BTreeMap::new();
        for allocation in self.ledger.live() {
            let (count, bytes) = kinds.entry(allocation.kind).or_default();
            (*count, *bytes) = (*count + 1, *bytes + allocation.bytes);
            if allocation.kind == Kind::Pool {
                *pools.entry(allocation.pool).or_default() += allocation.bytes;
            }
        }
        let live = kinds.into_iter().map(|(kind, (allocations, bytes))| LiveReport { kind, allocations, bytes });
        let pools = pools.into_iter().map(|(pool, bytes)| PoolReport { pool: format!("{pool:#x}"), bytes });
        MemoryReport { high_water: self.ledger.high_water, live: live.collect(), pools: pools.collect() }
    }
}

/// Findings of one id and place once, with how often they were made.
fn told_once(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<(Finding, u64)> = Vec::new();
    for finding in findings {
        let line = |finding: &Finding| finding.site.as_ref().map(|site| (site.file.clone(), site.line));
        let same = |other: &&mut (Finding, u64)| (other.0.id, line(&other.0)) == (finding.id, line(&finding));
        match kept.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => kept.push((finding, 1)),
        }
    }
    let told = kept.into_iter().map(|(finding, count)| match count {
        1 => finding,
        _ => finding.note(format!("the same was found {count} times here")),
    });
    told.collect()
}

/// What the record does not hold.
fn not_seen(process: &Process, notes: Vec<String>) -> Vec<String> {
    let mut told = notes;
    let damage = process.damage;
    let mut tell = |count: u64, what: &str| {
        if count > 0 {
            told.push(format!("{count} {what}"));
        }
    };
    tell(process.lost, "events found no room in the record and are lost");
    tell(process.overwritten, "copies and queries gave way to newer ones; captures, allocations and failures did not");
    tell(damage.torn_events, "events were being written when the process ended");
    tell(damage.broken_segments, "parts of the record are damaged");
    tell(damage.missing_segments, "parts of the record are missing");
    tell(damage.unknown_events, "events are of a kind that this version does not know");
    told
}
