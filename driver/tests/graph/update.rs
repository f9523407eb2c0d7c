//! `cuGraphExecUpdate` pairs nodes by sinks and edges, whatever the order of creation.

use graphproof_driver::software::graph::{EdgeData, Graphs, NodeInfo, Ownership, UpdateResult};
use graphproof_driver::software::work::{MemsetWork, NodeParams, Plan, PlanWork};
use proptest::prelude::*;

/// Edges of an acyclic graph, from the lower to the higher number, without repeats.
#[derive(Debug, Clone)]
struct Shape {
    count: usize,
    edges: Vec<(usize, usize)>,
    /// Orders the creation of the nodes.
    keys: Vec<u32>,
}

fn shape() -> impl Strategy<Value = Shape> {
    (1..14usize).prop_flat_map(|count| {
        let edges = prop::collection::vec((0..count, 0..count), 0..24);
        (Just(count), edges, prop::collection::vec(any::<u32>(), count)).prop_map(|(count, edges, keys)| {
            let mut kept: Vec<(usize, usize)> = Vec::new();
            for (a, b) in edges {
                let edge = (a.min(b), a.max(b));
                if a != b && !kept.contains(&edge) {
                    kept.push(edge);
                }
            }
            Shape { count, edges: kept, keys }
        })
    })
}

impl Shape {
    fn is_sink(&self, node: usize) -> bool {
        self.edges.iter().all(|&(from, _)| from != node)
    }

    /// The nodes in an order of creation that leaves the sinks in their order.
    fn shuffled(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.count).collect();
        order.sort_by_key(|&node| self.keys[node]);
        let mut sinks = (0..self.count).filter(|&node| self.is_sink(node));
        for place in &mut order {
            if self.is_sink(*place) {
                *place = sinks.next().expect("as many sinks as before");
            }
        }
        order
    }

    /// A graph of fills, node `i` with the value `base + i`, created in that order.
    fn build(&self, graphs: &mut Graphs, order: &[usize], base: u32) -> u64 {
        let graph = graphs.create();
        let mut nodes = vec![0; self.count];
        for &node in order {
            nodes[node] = graphs.add_node(graph, &[], fill(base + node as u32), NodeInfo::default()).unwrap();
        }
        for &(from, to) in &self.edges {
            graphs.add_dependencies(graph, &[(nodes[from], nodes[to], EdgeData::FULL)]).unwrap();
        }
        graph
    }
}

fn fill(value: u32) -> NodeParams {
    NodeParams::Memset(MemsetWork { dst: 0x1000, pitch: 0, value, element_size: 4, width: 1, height: 1 })
}

fn values(plan: &Plan) -> Vec<u32> {
    let value = |work: &PlanWork| match work {
        PlanWork::Node(NodeParams::Memset(fill)) => vec![fill.value],
        PlanWork::Graph(plan) => values(plan),
        other => panic!("a fill or a child graph, not {other:?}"),
    };
    plan.steps.iter().flat_map(|step| value(&step.work)).collect()
}

fn parent_of(graphs: &mut Graphs, child: u64) -> u64 {
    let graph = graphs.create();
    graphs.add_child_graph(graph, &[], child, Ownership::Clone, NodeInfo::default()).unwrap();
    graph
}

proptest! {
    /// Each node gets the parameters of the node in its place, at the top and in a child graph (a clone,
    /// which keeps the order of the sinks).
    #[test]
    fn the_order_of_creation_plays_no_part(shape in shape(), nested: bool) {
        let mut graphs = Graphs::default();
        let plain: Vec<usize> = (0..shape.count).collect();
        let mut before = shape.build(&mut graphs, &plain, 100);
        let mut after = shape.build(&mut graphs, &shape.shuffled(), 200);
        if nested {
            (before, after) = (parent_of(&mut graphs, before), parent_of(&mut graphs, after));
        }
        let exec = graphs.instantiate(before, 0).unwrap();
        prop_assert_eq!(graphs.update(exec, after), Ok(()));
        let expected: Vec<u32> = (0..shape.count as u32).map(|node| 200 + node).collect();
        prop_assert_eq!(values(&graphs.launch(exec).unwrap().plan), expected);
    }

    /// One edge more or less is another topology, and nothing has arrived.
    #[test]
    fn an_edge_more_or_less_is_refused(shape in shape(), extra in (0..14usize, 0..14usize), child: bool) {
        let edge = (extra.0.min(extra.1) % shape.count, extra.0.max(extra.1) % shape.count);
        prop_assume!(edge.0 < edge.1);
        let mut other = shape.clone();
        match shape.edges.iter().position(|&known| known == edge) {
            Some(place) => drop(other.edges.remove(place)),
            None => other.edges.push(edge),
        }
        let mut graphs = Graphs::default();
        let plain: Vec<usize> = (0..shape.count).collect();
        let mut before = shape.build(&mut graphs, &plain, 100);
        let mut after = other.build(&mut graphs, &plain, 200);
        if child {
            (before, after) = (parent_of(&mut graphs, before), parent_of(&mut graphs, after));
        }
        let exec = graphs.instantiate(before, 0).unwrap();
        let failed = graphs.update(exec, after).unwrap_err();
        prop_assert_eq!(failed.result, UpdateResult::TopologyChanged);
        let expected: Vec<u32> = (0..shape.count as u32).map(|node| 100 + node).collect();
        prop_assert_eq!(values(&graphs.launch(exec).unwrap().plan), expected);
    }
}

/// A node that loses its last dependent becomes the last sink.
#[test]
fn a_node_that_becomes_a_sink_again_comes_last() {
    for destroy in [true, false] {
        let mut graphs = Graphs::default();
        let graph = graphs.create();
        let add = |graphs: &mut Graphs, after: &[u64], work| {
            let after: Vec<_> = after.iter().map(|&node| (node, EdgeData::FULL)).collect();
            graphs.add_node(graph, &after, work, NodeInfo::default()).unwrap()
        };
        let first = add(&mut graphs, &[], fill(1));
        let second = add(&mut graphs, &[], NodeParams::Empty);
        let third = add(&mut graphs, &[first], NodeParams::Empty);
        if destroy {
            graphs.destroy_node(third).unwrap();
        } else {
            graphs.remove_dependencies(graph, &[(first, third, EdgeData::FULL)]).unwrap();
        }
        // The sinks are now `second`, `third` where it is there, `first`.
        let other = graphs.create();
        for work in [NodeParams::Empty, NodeParams::Empty, fill(2)].into_iter().skip(usize::from(destroy)) {
            graphs.add_node(other, &[], work, NodeInfo::default()).unwrap();
        }
        let exec = graphs.instantiate(graph, 0).unwrap();
        assert_eq!(graphs.update(exec, other), Ok(()), "destroyed: {destroy}");
        let _ = second;
    }
}
