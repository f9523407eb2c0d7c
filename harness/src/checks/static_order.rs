//! Nodes that no path connects and that hold addresses in the same memory: what can be said of the order of work
//! where the driver does not tell which bytes were touched.

use crate::buffers::BufferSet;
use crate::finding::{Check, Finding, Id};
use crate::step::Role;
use crate::topology::{Node, Topology, headline};

const CHECK: Check = Check::OrderOfWork;

/// Graphs with more nodes are not looked through: their paths would take long.
const MOST_NODES: usize = 1 << 12;

/// Two nodes without an order that may touch the same memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// In the order of their creation.
    nodes: [usize; 2],
    /// The memory, in words.
    memory: String,
}

/// Which nodes stand before which: `behind[a]` holds the nodes that a path leads to from `a`.
pub(super) struct Paths(Vec<Vec<u64>>);

impl Paths {
    pub(super) fn of(topology: &Topology) -> Self {
        let count = topology.nodes.len();
        let mut behind = vec![vec![0u64; count.div_ceil(64)]; count];
        // A node depends only on nodes that were made before it, and edges are sorted.
        for &(from, to) in topology.edges.iter().rev() {
            let theirs = behind[to].clone();
            let own = &mut behind[from];
            own[to / 64] |= 1 << (to % 64);
            own.iter_mut().zip(theirs).for_each(|(word, theirs)| *word |= theirs);
        }
        Paths(behind)
    }

    pub(super) fn leads(&self, from: usize, to: usize) -> bool {
        self.0[from][to / 64] >> (to % 64) & 1 != 0
    }
}

/// The pairs of nodes that no path connects and that hold addresses in one buffer which is no input, or in one
/// allocation of the step's own.
pub fn suspects(topology: &Topology, buffers: &BufferSet) -> Vec<Suspect> {
    let count = topology.nodes.len();
    if count > MOST_NODES {
        return Vec::new();
    }
    let paths = Paths::of(topology);
    let mut found = Vec::new();
    for second in 1..count {
        for first in 0..second {
            if paths.leads(first, second) || paths.leads(second, first) {
                continue;
            }
            let shared = shared(&topology.nodes[first], &topology.nodes[second], buffers);
            found.extend(shared.map(|memory| Suspect { nodes: [first, second], memory }));
        }
    }
    found
}

/// The memory that both nodes hold addresses in, if one of them may write there.
fn shared(a: &Node, b: &Node, buffers: &BufferSet) -> Option<String> {
    let writes = |place: &str| place != "source";
    for pointer in &a.pointers {
        let spec = &buffers.specs()[pointer.target.buffer];
        let other = b.pointers.iter().find(|other| other.target.buffer == pointer.target.buffer);
        if let Some(other) = other
            && spec.role != Role::Input
            && (writes(&pointer.place) || writes(&other.place))
        {
            return Some(format!("'{}'", spec.name));
        }
    }
    for foreign in &a.foreign {
        let other = b.foreign.iter().find(|other| other.allocation == foreign.allocation);
        if let Some(other) = other
            && (writes(&foreign.place) || writes(&other.place))
        {
            return Some(format!("one allocation of the step's own, at {:#x}", foreign.address.min(other.address)));
        }
    }
    None
}

impl Suspect {
    /// An order of all nodes in which the second of the two, with what it depends on, comes before the first.
    pub fn turned(&self, topology: &Topology) -> Vec<usize> {
        let [_, second] = self.nodes;
        let paths = Paths::of(topology);
        let early = |node: &usize| *node == second || paths.leads(*node, second);
        let (mut order, rest): (Vec<usize>, Vec<usize>) = (0..topology.nodes.len()).partition(early);
        order.extend(rest);
        order
    }

    /// The finding, where the result in this order `differs` from that in the order of creation.
    pub fn finding(&self, differs: Finding, topology: &Topology) -> Finding {
        let [first, second] = self.nodes;
        let node = |at: usize| &topology.nodes[at];
        let name = |at: usize| headline(&node(at).kind);
        Finding::new(Id::L05, CHECK)
            .at(node(second).site.clone())
            .began(node(first).site.clone())
            .contrast(
                format!("an order between the two that use {}", self.memory),
                format!(
                    "node {first} ({}) and node {second} ({}) use {}; no path leads from one to the other, and the \
                     result depends on which comes first",
                    name(first),
                    name(second),
                    self.memory
                ),
            )
            .note(format!("with {first} before {second}: {}", differs.expected))
            .note(format!("with {second} before {first}: {}", differs.seen))
            .note(format!("the missing edge: {first} -> {second}, in the order in which they were captured"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::NodeKind;

    fn graph(count: usize, edges: &[(usize, usize)]) -> Topology {
        let node = || Node {
            kind: NodeKind::Other("empty".to_owned()),
            site: None,
            pointers: Vec::new(),
            foreign: Vec::new(),
        };
        Topology { nodes: (0..count).map(|_| node()).collect(), edges: edges.to_vec(), bodies: Vec::new() }
    }

    #[test]
    fn a_pair_is_turned_with_all_that_the_second_depends_on() {
        let topology = graph(5, &[(0, 1), (0, 2), (2, 3), (1, 4), (3, 4)]);
        let paths = Paths::of(&topology);
        assert!(paths.leads(0, 4) && paths.leads(2, 4) && !paths.leads(1, 3) && !paths.leads(3, 1));
        let suspect = Suspect { nodes: [1, 3], memory: String::new() };
        assert_eq!(suspect.turned(&topology), [0, 2, 3, 1, 4]);
    }
}
