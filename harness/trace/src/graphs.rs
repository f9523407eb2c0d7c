//! Graphs as they were read back: nodes, parameters, and every address in them beside the ledger.

use std::collections::{BTreeMap, HashMap, HashSet};

use graphproof_door::{Function, GraphDump, GraphNode};
use graphproof_harness::finding::{Check, Finding, Id, Site};

use super::broken::noted;
use super::captures::Captured;
use super::memory::{AllocationId, Ledger};
use super::place::Caller;
use super::report::{GraphReport, NodeKindReport, NodeReport, PointerReport};
use super::tensor_maps::TensorMaps;
use super::words::words;

/// Nodes that a report lists of one graph; all are counted and checked.
const MOST_NODES: usize = 2_000;
/// Differences between two captures that are told.
const MOST_CHANGES: usize = 8;

/// An executable graph and what it holds.
pub struct Graph {
    pub report: GraphReport,
    /// Every address of known memory in it.
    pub held: Vec<Held>,
    /// What its nodes are, to be compared with another capture's.
    pub shape: Vec<Shape>,
    /// Handles of the nodes, by index: those of the graph that it was made of.
    pub handles: Vec<u64>,
    pub place: Option<(String, u32)>,
    /// An update changed it since: its addresses are not known any more.
    pub updated: bool,
    /// Nodes that were given parameters which could not be read.
    pub unread: HashSet<u64>,
}

/// An address in a node.
pub struct Held {
    pub node: usize,
    /// What the node does.
    pub headline: String,
    pub place: String,
    pub address: u64,
    pub allocation: AllocationId,
    /// Who enqueued the node.
    pub caller: Caller,
    /// Of an address in a tensor map: who encoded that.
    pub encoded: Option<Caller>,
}

/// What is compared of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub what: String,
    pub geometry: [u32; 7],
    pub parameters: Vec<u8>,
}

/// What a node is read with.
pub struct Known<'a> {
    pub functions: &'a HashMap<u64, Function>,
    pub ledger: &'a Ledger,
    pub maps: &'a TensorMaps,
    pub captured: Option<&'a Captured>,
}

/// Reads a graph. Findings: addresses that are dead when it is made.
pub fn read(dump: &GraphDump, made: &Caller, known: &Known<'_>) -> (Graph, Vec<Finding>) {
    let mut findings = Vec::new();
    let (mut held, mut shape, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut work = Pieces::of(known);
    for (index, node) in dump.nodes.iter().enumerate() {
        let (caller, layer) = work.of_node(node, known.functions);
        let read = read_node(index, node, (&caller, made), known, "the graph is made");
        let place = caller.site.as_ref().map(Site::place).unwrap_or_default();
        findings.extend(read.findings);
        held.extend(read.held);
        *kinds.entry(read.shape.what.clone()).or_default() += 1;
        if nodes.len() < MOST_NODES {
            nodes.push(NodeReport { headline: read.headline, place, layer, pointers: read.pointers });
        }
        shape.push(read.shape);
    }
    let distinct: HashSet<AllocationId> = held.iter().map(|held: &Held| held.allocation).collect();
    let report = GraphReport {
        exec: format!("{:#x}", dump.exec),
        place: made.place(),
        capture: known.captured.map(|captured| captured.number),
        kinds: kinds.into_iter().map(|(what, count)| NodeKindReport { what, count }).collect(),
        nodes,
        node_count: dump.nodes.len(),
        pointers: held.len(),
        held_bytes: distinct.iter().map(|&id| known.ledger.get(id).bytes).sum(),
        missing: dump.missing.clone(),
        ..GraphReport::default()
    };
    let place = known.captured.and_then(|captured| captured.place.clone());
    let handles = dump.nodes.iter().map(|node| node.handle).collect();
    (Graph { report, held, shape, handles, place, updated: false, unread: HashSet::new() }, findings)
}

/// What is read of one node.
pub struct NodeRead {
    pub headline: String,
    pub held: Vec<Held>,
    pub pointers: Vec<PointerReport>,
    pub shape: Shape,
    /// Addresses that are dead at that time.
    pub findings: Vec<Finding>,
}

/// Reads a node that `caller` enqueued, or gave new parameters, and that `made` made part of an executable graph;
/// `when` says when.
pub fn read_node(
    index: usize,
    node: &GraphNode,
    (caller, made): (&Caller, &Caller),
    known: &Known<'_>,
    when: &str,
) -> NodeRead {
    let what = what(node, known.functions);
    let headline = headline(node, &what);
    let (mut held, mut pointers, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for word in words(node, known.functions, known.maps) {
        let found = known.ledger.find(word.value);
        if let Some(id) = found {
            let memory = known.ledger.get(id);
            pointers.push(PointerReport {
                place: word.place.clone(),
                address: format!("{:#x}", word.value),
                memory: memory.told(),
                made: memory.made.caller.place(),
            });
            let (headline, place) = (headline.clone(), word.place);
            held.push(Held {
                node: index,
                headline,
                place,
                address: word.value,
                allocation: id,
                caller: caller.clone(),
                encoded: word.encoded,
            });
        } else if let Some(id) = known.ledger.find_freed(word.value).filter(|_| word.is_pointer) {
            let text = format!("node {index} ({headline}), {}", word.place);
            let finding = dead(known.ledger, id, word.value, &text, when, word.encoded.as_ref());
            findings.push(noted(finding.at(caller.site.clone().or_else(|| made.site.clone())), caller));
        }
    }
    let [x, y, z] = node.grid;
    let [a, b, c] = node.block;
    let shape = Shape { what, geometry: [x, y, z, a, b, c, node.shared], parameters: node.parameters.clone() };
    NodeRead { headline, held, pointers, shape, findings }
}

/// A finding for memory that is no more; `encoded`: by whom, where a tensor map holds the address.
pub fn dead(
    ledger: &Ledger,
    id: AllocationId,
    address: u64,
    holder: &str,
    when: &str,
    encoded: Option<&Caller>,
) -> Finding {
    let memory = ledger.get(id);
    let now = ledger.find(address).map(|now| ledger.get(now));
    let kind = match (now, memory.kind.is_host()) {
        (Some(_), _) => Id::A08,
        (None, true) => Id::A10,
        (None, false) => Id::A07,
    };
    let origin = memory.freed.as_ref().and_then(|freed| {
        let what = format!("{} gives back {}", freed.function, memory.told());
        freed.caller.site.clone().map(|site| Site { what, ..site })
    });
    let seen = match now {
        Some(now) => format!(
            "{address:#x} was given back, and belongs to {} now, made by {} at {}",
            now.told(),
            now.made.function,
            now.made.caller.place()
        ),
        None => format!("{address:#x} is not allocated any more"),
    };
    let finding = Finding::new(kind, Check::Trace)
        .began(origin)
        .contrast(format!("{holder}, points at memory that is alive when {when}: {}", memory.told()), seen)
        .note(format!("it was made by {} at {}", memory.made.function, memory.made.caller.place()));
    match encoded {
        Some(caller) => finding.note(format!("the tensor map got the address at {}", caller.place())),
        None => finding,
    }
}

/// What differs between two captures of one place; empty if nothing does.
pub fn changes(before: &[Shape], now: &[Shape]) -> Vec<String> {
    let mut told = Vec::new();
    if before.len() != now.len() {
        told.push(format!("{} nodes, before {}", now.len(), before.len()));
        let count = |all: &[Shape]| {
            let mut kinds: BTreeMap<String, i64> = BTreeMap::new();
            all.iter().for_each(|node| *kinds.entry(node.what.clone()).or_default() += 1);
            kinds
        };
        let (old, mut new) = (count(before), count(now));
        old.into_iter().for_each(|(what, number)| *new.entry(what).or_default() -= number);
        told.extend(new.into_iter().filter(|(_, by)| *by != 0).map(|(what, by)| format!("{by:+} {what}")));
    } else {
        for (index, (old, new)) in before.iter().zip(now).enumerate() {
            if old.what != new.what {
                told.push(format!("node {index}: {}, before {}", new.what, old.what));
            } else if old.geometry != new.geometry {
                told.push(format!("node {index} ({}): another grid, block or shared memory", new.what));
            } else if old.parameters != new.parameters {
                let words = old.parameters.chunks(8).zip(new.parameters.chunks(8)).filter(|(a, b)| a != b).count();
                told.push(format!("node {index} ({}): {words} parameter words differ", new.what));
            }
        }
    }
    let more = told.len().saturating_sub(MOST_CHANGES);
    told.truncate(MOST_CHANGES);
    if more > 0 {
        told.push(format!("{more} further differences"));
    }
    told
}

/// What a node is, without what changes from launch to launch.
fn what(node: &GraphNode, functions: &HashMap<u64, Function>) -> String {
    let kinds = [
        "kernel",
        "memcpy",
        "memset",
        "host function",
        "child graph",
        "empty",
        "wait for an event",
        "record of an event",
        "semaphore signal",
        "semaphore wait",
        "memory allocation",
        "memory free",
        "batch memory operation",
        "conditional",
    ];
    match (node.kind, functions.get(&node.function)) {
        (0, Some(function)) => format!("kernel {}", kernel_name(&function.name)),
        (0, None) => "kernel of unknown name".to_owned(),
        (kind, _) => kinds.get(kind as usize).map_or_else(|| format!("node of type {kind}"), |kind| (*kind).to_owned()),
    }
}

/// A mangled name as a person writes it, without its arguments.
fn kernel_name(mangled: &str) -> String {
    let whole = addr2line::demangle_auto(mangled.into(), None);
    // The arguments begin at the last `(` that no template holds.
    let (mut depth, mut end) = (0i32, whole.len());
    for (at, c) in whole.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' if depth == 0 && at > 0 && !whole[at..].starts_with("(anonymous") => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    whole[..end].trim_start_matches("void ").to_owned()
}

fn headline(node: &GraphNode, what: &str) -> String {
    let join = |extents: [u32; 3]| extents.map(|extent| extent.to_string()).join("x");
    match node.kind {
        0 => format!("{what} grid {} block {} shared {}", join(node.grid), join(node.block), node.shared),
        _ => {
            let operands = node.operands.iter().map(|(name, value, bytes)| match bytes {
                0 => format!(" {name} {value:#x}"),
                bytes => format!(" {name} {value:#x} ({bytes} bytes)"),
            });
            std::iter::once(what.to_owned()).chain(operands).collect()
        }
    }
}

/// Which piece of captured work made which node: a capture's nodes come in the order of their calls.
struct Pieces<'a> {
    captured: Option<&'a Captured>,
    next: usize,
}

impl<'a> Pieces<'a> {
    fn of(known: &Known<'a>) -> Self {
        Pieces { captured: known.captured, next: 0 }
    }

    fn of_node(&mut self, node: &GraphNode, functions: &HashMap<u64, Function>) -> (Caller, String) {
        let Some(captured) = self.captured else { return Default::default() };
        let name = |handle: u64| functions.get(&handle).map(|function| function.name.as_str());
        let is_it = |work: &super::captures::Work| match (node.kind == 0, work.function) {
            (true, Some(function)) => function == node.function || name(function) == name(node.function),
            (false, None) => true,
            _ => false,
        };
        // Where a call was not recorded, its node is passed over.
        let found = captured.work.get(self.next..).and_then(|rest| rest.iter().take(64).position(is_it));
        match found.map(|at| self.next + at) {
            Some(at) => {
                self.next = at + 1;
                (captured.work[at].caller.clone(), captured.work[at].layer.clone())
            }
            None => Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_lose_their_arguments_and_keep_their_templates() {
        assert_eq!(kernel_name("add_f32"), "add_f32");
        assert_eq!(kernel_name("_Z3addPKfPfi"), "add");
        assert_eq!(kernel_name("_ZN2at6native4copyIfEEvPKf"), "at::native::copy<float>");
    }

    #[test]
    fn two_captures_are_compared_node_by_node() {
        let node = |what: &str, word: u8| Shape { what: what.to_owned(), geometry: [1; 7], parameters: vec![word; 8] };
        let (a, b) = (node("kernel a", 0), node("kernel b", 0));
        let one = std::slice::from_ref(&a);
        assert!(changes(one, one).is_empty());
        assert_eq!(changes(one, std::slice::from_ref(&b)), ["node 0: kernel b, before kernel a"]);
        assert_eq!(changes(one, &[node("kernel a", 1)]), ["node 0 (kernel a): 1 parameter words differ"]);
        assert_eq!(changes(one, &[a.clone(), b.clone(), b]), ["3 nodes, before 1", "+2 kernel b"]);
    }
}
