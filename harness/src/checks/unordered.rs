//! Work that touches the same bytes without an order: nodes of the graph that no path connects, and work of
//! several streams that neither an event nor the host orders.

use graphproof_driver::observe::Access;

use super::calls::at_stack;
use super::static_order::Paths;
use crate::buffers::BufferSet;
use crate::calls::Told;
use crate::finding::{Check, Finding, Id, Site};
use crate::observed::{Party, Race};
use crate::topology::{Topology, headline};

const CHECK: Check = Check::OrderOfWork;

/// The races of a replay of `exec`, whose graph is `topology`, on `buffers`.
pub fn replay(races: &[Race], exec: u64, topology: &Topology, buffers: &BufferSet, step: u64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for race in races {
        let found = match race.parties.each_ref().map(|party| party.node) {
            [Some(a), Some(b)] if race.is_within(exec) => nodes(race, [a, b], topology, buffers),
            _ => streams(race, Some((exec, topology)), buffers),
        };
        findings.extend(found.map(|finding| finding.at_step(step)));
    }
    findings
}

/// The races of an eager run on `buffers`.
pub fn eager(races: &[Race], buffers: &BufferSet, step: u64) -> Vec<Finding> {
    races.iter().filter_map(|race| streams(race, None, buffers)).map(|finding| finding.at_step(step)).collect()
}

/// Whether a race of an eager run is that of two nodes which `finding` is about: both of its lines are
/// among the callers'.
pub fn is_same(finding: &Finding, race: &Race) -> bool {
    let calls = |site: &Option<Site>| {
        let mut stacks = race.parties.iter().flat_map(|party| &party.stack);
        site.as_ref().is_some_and(|site| stacks.any(|caller| caller.file == site.file && caller.line == site.line))
    };
    finding.id == Id::L05 && calls(&finding.site) && calls(&finding.origin)
}

/// Two nodes of the graph.
fn nodes(race: &Race, [a, b]: [usize; 2], topology: &Topology, buffers: &BufferSet) -> Option<Finding> {
    // In the order of their creation, which is that of the step's own words.
    let (first, second, sides) = if a <= b { (a, b, [0, 1]) } else { (b, a, [1, 0]) };
    let node = |index: usize| topology.nodes.get(index);
    let name = |index: usize| node(index).map_or_else(String::new, |node| headline(&node.kind));
    let verb = |side: usize| does(race.parties[sides[side]].access);
    let place = bytes(race, buffers);
    let edge = Between::of(topology, first, second);
    let seen = if first == second {
        format!(
            "within node {first} ({}) two pieces of work touch {place}, and neither waits for the other",
            name(first)
        )
    } else {
        format!(
            "node {first} ({}) {} and node {second} ({}) {} {place}; {}",
            name(first),
            verb(0),
            name(second),
            verb(1),
            edge.seen(second)
        )
    };
    let finding = Finding::new(Id::L05, CHECK)
        .at(node(second).and_then(|node| node.site.clone()))
        .began(node(first).and_then(|node| node.site.clone()))
        .contrast(format!("an order between the two that touch {place}"), seen)
        .note(edge.note(first, second));
    Some(finding)
}

/// What stands between two nodes that have no order.
enum Between {
    /// No path of edges.
    Nothing,
    /// An edge by which the second may begin before the first has ended, and it does not wait.
    Programmatic,
    /// A path with such an edge.
    Path,
}

impl Between {
    fn of(topology: &Topology, first: usize, second: usize) -> Self {
        let count = topology.nodes.len();
        if topology.edges.contains(&(first, second)) {
            Self::Programmatic
        } else if first.max(second) < count && Paths::of(topology).leads(first, second) {
            Self::Path
        } else {
            Self::Nothing
        }
    }

    fn seen(&self, second: usize) -> String {
        match self {
            Self::Nothing => "no path leads from one to the other".to_owned(),
            Self::Programmatic => {
                format!("node {second} was launched to begin before the other has ended, and does not wait for that")
            }
            Self::Path => {
                "of the path between them a kernel was launched to begin before the one ahead of it has ended, and does not \
                 wait for that"
                    .to_owned()
            }
        }
    }

    fn note(&self, first: usize, second: usize) -> String {
        match self {
            Self::Nothing => {
                format!("the missing edge: {first} -> {second}, in the order in which they were captured")
            }
            Self::Programmatic | Self::Path => "the missing wait: `griddepcontrol.wait` \
                                                (`cudaGridDependencySynchronize`) before the kernel's first access, or \
                                                a launch without the attribute for programmatic serialization"
                .to_owned(),
        }
    }
}

/// Two pieces of work of different streams, or of different launches.
fn streams(race: &Race, graph: Option<(u64, &Topology)>, buffers: &BufferSet) -> Option<Finding> {
    let site = |party: &Party| match (graph, party.node) {
        (Some((exec, topology)), Some(node)) if party.exec == Some(exec) => {
            topology.nodes.get(node).and_then(|node| node.site.clone())
        }
        _ => party.stack.first().cloned(),
    };
    let [first, second] = &race.parties;
    let (from, to) = (site(first), site(second));
    // Both are the harness's own, or of a driver's thread: nobody's lines.
    if from.is_none() && to.is_none() {
        return None;
    }
    let place = bytes(race, buffers);
    let told = |party: &Party| match (graph, party.node) {
        (Some((exec, _)), Some(node)) if party.exec == Some(exec) => {
            format!("node {node} of the graph ({})", party.what)
        }
        (_, Some(node)) => format!("node {node} of another graph ({})", party.what),
        _ => party.what.clone(),
    };
    let seen = format!(
        "{} {} and {} {} {place}; neither an event, nor a stream, nor the host orders them",
        told(first),
        does(first.access),
        told(second),
        does(second.access)
    );
    // The place is the later one, and its stack says who called.
    let finding = Finding::new(Id::L06, CHECK).contrast(format!("an order between the two that touch {place}"), seen);
    let finding = match &to {
        Some(_) if second.node.is_none() => at_stack(finding, &second.stack).began(from.clone()),
        Some(site) => finding.at(Some(site.clone())).began(from.clone()),
        None => at_stack(finding, &first.stack)
            .at(from.clone())
            .note("the other is the harness's own copy of inputs or outputs"),
    };
    Some(match first.stack.get(1).filter(|_| to.is_some() && first.node.is_none()) {
        Some(caller) => finding.note(format!("the first called from {caller}")),
        None => finding,
    })
}

/// The finding for work that the host enqueued by `call` before a replay: the replay ran while the work's stream was
/// held, and other bytes came of it, of which `first` is the first range.
pub fn held(call: &Told, (first, bytes): ((u64, u64), u64), (topology, buffers): (&Topology, &BufferSet)) -> Finding {
    let place = named(first, bytes, buffers);
    let user = buffers.locate(first.0).and_then(|target| topology.last_user_of(target.buffer));
    let finding = Finding::new(Id::L06, CHECK).contrast(
        "an order between the replay and the work that the host enqueued before it on another stream",
        format!(
            "the replay ran while the stream of {} was held, and {place} came out different; neither an event, nor a \
             stream, nor the host orders them",
            call.function
        ),
    );
    at_stack(finding, &call.stack).began(user.and_then(|(_, node)| node.site.clone()))
}

fn does(access: Access) -> &'static str {
    match access {
        Access::Read => "reads",
        Access::Write => "writes",
        Access::Atomic => "changes atomically",
    }
}

/// The bytes of a race, by the name of their buffer where they have one.
fn bytes(race: &Race, buffers: &BufferSet) -> String {
    named(race.first, race.bytes, buffers)
}

/// Bytes by the name of their buffer, where they have one: the first range of all `bytes`.
pub(super) fn named((address, len): (u64, u64), bytes: u64, buffers: &BufferSet) -> String {
    let more = if bytes > len { format!(" ({bytes} bytes in all)") } else { String::new() };
    match buffers.locate(address) {
        Some(target) => {
            let name = &buffers.specs()[target.buffer].name;
            format!("bytes {}..{} of '{name}'{more}", target.offset, target.offset + len)
        }
        None => format!("{len} bytes at {address:#x}, memory of the step's own{more}"),
    }
}
