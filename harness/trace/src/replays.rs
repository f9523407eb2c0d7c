//! Replays: what is dead when a graph is launched, what the host does between two launches, and updates
//! that were refused.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use graphproof_door::{Call, GraphNode, Tag};
use graphproof_harness::finding::{Check, Finding, Id, Site};

use super::analysis::Seen;
use super::broken::{noted, warning};
use super::calls::{Burden, code_name};
use super::copies::is_pageable_copy;
use super::graphs::{Graph, Known, NodeRead, dead, read_node};
use super::memory::{AllocationId, Ledger};
use super::place::Caller;
use super::report::{BurdenReport, GraphReport, LoopReport};

/// As many gaps between launches with the same call in them are a habit.
const HABIT: u64 = 2;
/// Findings about dead memory of one graph: one for each allocation, and no more than these.
const MOST_DEAD: usize = 20;

/// `CU_GRAPH_NODE_TYPE_GRAPH`.
const CHILD_GRAPH: u32 = 4;

/// All executable graphs of a process.
#[derive(Default)]
pub struct Replays {
    execs: HashMap<u64, Exec>,
    /// Those whose handle was destroyed, or given to another.
    gone: Vec<GraphReport>,
    loops: Vec<LoopReport>,
    pub findings: Vec<Finding>,
}

#[derive(Default)]
struct Exec {
    graph: Option<Graph>,
    /// Generation of the ledger at which its addresses were last looked at.
    checked: u64,
    told_dead: BTreeSet<AllocationId>,
    launches: Launches,
    refused: Option<Refused>,
    /// The node that was given other parameters last, and by whom.
    given: Option<(u64, Caller)>,
    /// Nodes that do nothing.
    disabled: HashSet<u64>,
}

/// Launches of one executable graph.
#[derive(Default)]
struct Launches {
    count: u64,
    last: Option<Caller>,
    /// What came since the last launch, by the thread that launches.
    thread: u32,
    gap: BTreeMap<(Burden, String), (Caller, String)>,
    gaps: u64,
    between: BTreeMap<(Burden, String), (u64, Caller, String)>,
}

/// An update that the driver refused.
struct Refused {
    caller: Caller,
    seen: String,
}

impl Replays {
    /// A graph is instantiated.
    pub fn made(&mut self, exec: u64, graph: Graph) {
        self.forget(exec);
        self.execs.insert(exec, Exec { graph: Some(graph), ..Exec::default() });
    }

    /// The graph of an update that the driver took, read back.
    pub fn updated(&mut self, exec: u64, graph: Graph) {
        let known = self.execs.entry(exec).or_default();
        let launches = std::mem::take(&mut known.launches);
        // D (cuGraphExecKernelNodeSetParams): a node is named by the graph that the executable one was made of.
        let handles = known.graph.take().map(|graph| graph.handles);
        let graph = Graph { handles: handles.unwrap_or(graph.handles), ..graph };
        let disabled = std::mem::take(&mut known.disabled);
        *known = Exec { graph: Some(graph), launches, disabled, ..Exec::default() };
    }

    /// A node has the parameters that the last call gave it.
    pub fn given(&mut self, exec: u64, node: &GraphNode, known: &Known<'_>) {
        let Some(exec) = self.execs.get_mut(&exec) else { return };
        let Some(graph) = exec.graph.as_mut() else { return };
        // Nodes of another graph stand there now, and it is not read.
        if node.kind == CHILD_GRAPH {
            graph.updated = true;
            return;
        }
        let Some(index) = graph.handles.iter().position(|handle| *handle == node.handle) else { return };
        let caller = exec.given.take().filter(|(handle, _)| *handle == node.handle).map(|(_, caller)| caller);
        let caller = caller.unwrap_or_default();
        let NodeRead { headline, held, pointers, findings, .. } =
            read_node(index, node, (&caller, &caller), known, "the node is given it");
        self.findings.extend(findings);
        graph.unread.remove(&node.handle);
        graph.held.retain(|held| held.node != index);
        graph.held.extend(held);
        graph.report.pointers = graph.held.len();
        if let Some(report) = graph.report.nodes.get_mut(index) {
            (report.headline, report.pointers) = (headline, pointers);
        }
        exec.checked = 0;
    }

    /// Takes a call.
    pub fn apply(&mut self, seen: &Seen<'_>, ledger: &Ledger) {
        let call = seen.call;
        match (call.base(), call.result) {
            ("cuGraphLaunch", Some(0)) => self.launch(seen, ledger),
            ("cuGraphExecUpdate", Some(0)) => {
                if let Some(exec) = call.word("hGraphExec").and_then(|exec| self.execs.get_mut(&exec)) {
                    exec.refused = None;
                    // Its own graph may have been read back before the call returned.
                    exec.graph.iter_mut().for_each(|graph| graph.updated = true);
                }
            }
            ("cuGraphExecUpdate", Some(910)) => self.refuse(seen),
            ("cuGraphExecDestroy", Some(0)) => self.forget(call.word("hGraphExec").unwrap_or_default()),
            (name, Some(0)) if name.starts_with("cuGraphExec") && name.ends_with("SetParams") => {
                let exec = call.word("hGraphExec").and_then(|exec| self.execs.get_mut(&exec));
                // What the node holds now comes next, where it could be read.
                if let (Some(exec), Some(node)) = (exec, call.word("hNode")) {
                    exec.given = Some((node, seen.caller()));
                    if let Some(graph) = &mut exec.graph {
                        graph.unread.insert(node);
                        graph.updated |= name.contains("ChildGraph");
                    }
                }
            }
            ("cuGraphNodeSetEnabled", Some(0)) => {
                let exec = call.word("hGraphExec").and_then(|exec| self.execs.get_mut(&exec));
                if let (Some(exec), Some(node), Some(enabled)) = (exec, call.word("hNode"), call.word("isEnabled")) {
                    if enabled as u32 == 0 {
                        exec.disabled.insert(node);
                    } else {
                        exec.disabled.remove(&node);
                    }
                    exec.checked = 0;
                }
            }
            _ => self.between(seen, ledger),
        }
    }

    fn between(&mut self, seen: &Seen<'_>, ledger: &Ledger) {
        let call = seen.call;
        if !matches!(call.result, Some(0)) || call.nested {
            return;
        }
        let mut waiting =
            self.execs.values_mut().filter(|exec| exec.launches.thread == seen.thread && exec.launches.count > 0);
        let Some(first) = waiting.next() else { return };
        let burden = if is_pageable_copy(call, ledger) { Some(Burden::PageableCopy) } else { Burden::of(call) };
        let Some(burden) = burden.or_else(|| waits_as_copy(call).then_some(Burden::Synchronisation)) else { return };
        let caller = seen.caller();
        let function = call.row.map_or_else(|| call.function.to_string(), |row| row.name.to_owned());
        for exec in std::iter::once(first).chain(waiting) {
            exec.launches.gap.entry((burden, caller.place())).or_insert_with(|| (caller.clone(), function.clone()));
        }
    }

    fn launch(&mut self, seen: &Seen<'_>, ledger: &Ledger) {
        let Some(handle) = seen.call.word("hGraph") else { return };
        let exec = self.execs.entry(handle).or_default();
        exec.launches.count += 1;
        let is_new = exec.launches.last.is_none() || exec.launches.thread != seen.thread;
        let gap = std::mem::take(&mut exec.launches.gap);
        if !is_new {
            exec.launches.gaps += 1;
            for ((burden, place), (caller, function)) in gap {
                exec.launches.between.entry((burden, place)).or_insert((0, caller, function)).0 += 1;
            }
        }
        exec.launches.thread = seen.thread;
        exec.launches.last = Some(seen.caller());
        if let Some(refused) = exec.refused.take() {
            let site =
                seen.caller().site.map(|site| Site { what: "the graph as it was is launched".to_owned(), ..site });
            self.findings.push(refused.finding().began(site));
        }
        let Some(graph) = exec.graph.as_ref().filter(|graph| !graph.updated) else { return };
        if exec.checked == ledger.generation {
            return;
        }
        exec.checked = ledger.generation;
        for held in &graph.held {
            let idle = |node: &u64| graph.unread.contains(node) || exec.disabled.contains(node);
            if ledger.get(held.allocation).freed.is_none()
                || graph.handles.get(held.node).is_some_and(idle)
                || exec.told_dead.len() >= MOST_DEAD
                || !exec.told_dead.insert(held.allocation)
            {
                continue;
            }
            let holder = format!("node {} ({}), {}", held.node, held.headline, held.place);
            let when = format!("the graph is launched for the {} time", ordinal(exec.launches.count));
            let caller = seen.caller();
            let encoded = held.encoded.as_ref();
            let finding = dead(ledger, held.allocation, held.address, &holder, &when, encoded).at(caller.site.clone());
            let finding = match &held.caller.site {
                Some(site) => finding.note(format!("the node got it at {}", site.place())),
                None => finding,
            };
            self.findings.push(noted(finding, &caller));
        }
    }

    fn refuse(&mut self, seen: &Seen<'_>) {
        let call = seen.call;
        let Some(exec) = call.word("hGraphExec") else { return };
        let (result, node) = refusal(call);
        let node = match node.filter(|&node| node != 0) {
            Some(node) => format!(", at node {node:#x} of the new graph"),
            None => String::new(),
        };
        let reason = result.map_or_else(
            || "for a reason that was not recorded".to_owned(),
            |code| {
                let names = [
                    "CU_GRAPH_EXEC_UPDATE_SUCCESS",
                    "CU_GRAPH_EXEC_UPDATE_ERROR",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_FUNCTION_CHANGED",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE",
                    "CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED",
                ];
                names.get(code as usize).map_or_else(|| format!("for reason {code}"), |name| format!("with {name}"))
            },
        );
        let seen_text = format!("cuGraphExecUpdate returned {} {reason}{node}", code_name(910));
        self.execs.entry(exec).or_default().refused = Some(Refused { caller: seen.caller(), seen: seen_text });
    }

    fn forget(&mut self, handle: u64) {
        if let Some(exec) = self.execs.remove(&handle) {
            self.close(handle, exec, true);
        }
    }

    fn close(&mut self, handle: u64, exec: Exec, destroyed: bool) {
        let launches = exec.launches;
        // A program that makes a new graph after a refusal has done what is to be done.
        if let Some(refused) = exec.refused.filter(|_| !destroyed) {
            self.findings.push(warning(refused.finding()));
        }
        if let Some(graph) = exec.graph {
            self.gone.push(GraphReport { launches: launches.count, destroyed, ..graph.report });
        }
        if launches.gaps == 0 {
            return;
        }
        for ((burden, _), (count, caller, function)) in &launches.between {
            if *count >= HABIT && *count * 2 >= launches.gaps {
                self.findings.extend(habit(*burden, *count, launches.gaps, caller, function));
            }
        }
        let place = launches.last.as_ref().map_or_else(String::new, Caller::place);
        let between = launches.between.into_iter().map(|((what, place), (count, _, function))| BurdenReport {
            what,
            function,
            place,
            count,
        });
        self.loops.push(LoopReport {
            exec: format!("{handle:#x}"),
            place,
            launches: launches.count,
            between: between.collect(),
        });
    }

    /// The record has ended: graphs and loops, in the order in which they were made.
    pub fn finish(&mut self) -> (Vec<GraphReport>, Vec<LoopReport>) {
        let mut left: Vec<(u64, Exec)> = self.execs.drain().collect();
        left.sort_by_key(|(handle, _)| *handle);
        left.into_iter().for_each(|(handle, exec)| self.close(handle, exec, false));
        (std::mem::take(&mut self.gone), std::mem::take(&mut self.loops))
    }
}

impl Refused {
    fn finding(&self) -> Finding {
        let finding = Finding::new(Id::V06, Check::Trace)
            .at(self.caller.site.clone())
            .contrast("the executable graph takes the update", self.seen.clone());
        noted(finding, &self.caller)
    }
}

/// What is worth a finding when it comes between most replays.
fn habit(burden: Burden, count: u64, gaps: u64, caller: &Caller, function: &str) -> Option<Finding> {
    let (id, expected) = match burden {
        Burden::Synchronisation => (Id::S14, "the host enqueues one replay after the other without waiting"),
        Burden::PageableCopy => (Id::S09, "copies between replays are from and to pinned memory"),
        Burden::ModuleLoad => (Id::S11, "every module is loaded before the replays"),
        Burden::Free => (Id::S10, "no memory is freed between replays"),
        Burden::Allocation | Burden::EscapedWork => return None,
    };
    let finding = Finding::new(id, Check::Trace).at(caller.site.clone()).contrast(
        expected,
        format!("{function} comes between {count} of {gaps} pairs of successive replays of one graph"),
    );
    Some(warning(noted(finding, caller)))
}

/// Copies that the host waits for, whatever the memory.
fn waits_as_copy(call: &Call) -> bool {
    let name = call.base();
    name.starts_with("cuMemcpyDtoH") && !name.ends_with("Async")
}

/// Why an update was refused, and at which node: `CUgraphExecUpdateResult`, `CUgraphNode`.
fn refusal(call: &Call) -> (Option<u32>, Option<u64>) {
    let first = (call.written("updateResult_out").map(|result| result as u32), call.written("hErrorNode_out"));
    if first.0.is_some() {
        return first;
    }
    // `CUgraphExecUpdateResultInfo`: result, four bytes of padding, errorNode, errorFromNode.
    let Some(info) = call.pointee("resultInfo").or_else(|| call.bytes(Tag::Pointee)) else { return (None, None) };
    let result = info.get(..4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let node = info.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    (result, node)
}

fn ordinal(number: u64) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}
