//! Random sequences of calls on graphs, with handles that are valid, destroyed, or of another kind:
//! no panic, and the structure stays sound.

use std::collections::HashMap;

use graphproof_driver::software::graph::{ASSIGN_DEFAULT, EdgeData, Graphs, NodeInfo, Ownership};
use graphproof_driver::software::work::{ConditionalKind, MemsetWork, NodeParams};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Call {
    Create,
    Destroy,
    Add,
    Alloc,
    Free,
    Child,
    Move,
    Conditional,
    AddEdge,
    RemoveEdge,
    DestroyNode,
    Clone,
    FindInClone,
    SetParams,
    Instantiate,
    DestroyExec,
    Launch,
    Upload,
    Update,
    ExecSetParams,
    Enable,
    Dot,
    FreeEagerly,
}

const CALLS: [Call; 23] = [
    Call::Create,
    Call::Destroy,
    Call::Add,
    Call::Alloc,
    Call::Free,
    Call::Child,
    Call::Move,
    Call::Conditional,
    Call::AddEdge,
    Call::RemoveEdge,
    Call::DestroyNode,
    Call::Clone,
    Call::FindInClone,
    Call::SetParams,
    Call::Instantiate,
    Call::DestroyExec,
    Call::Launch,
    Call::Upload,
    Call::Update,
    Call::ExecSetParams,
    Call::Enable,
    Call::Dot,
    Call::FreeEagerly,
];

#[derive(Default)]
struct Run {
    graphs: Graphs,
    /// Every handle that was ever returned, whatever it names now.
    known: Vec<u64>,
    addresses: u64,
}

impl Run {
    fn pick(&self, number: usize) -> u64 {
        match number % 16 {
            0 => [0, 1, u64::MAX, 0x2100_0001_0000_0001][number / 16 % 4],
            _ if self.known.is_empty() => 0,
            _ => self.known[number % self.known.len()],
        }
    }

    fn fill(number: usize) -> NodeParams {
        let value = number as u32;
        NodeParams::Memset(MemsetWork { dst: 0x1000, pitch: 0, value, element_size: 4, width: 1, height: 1 })
    }

    fn step(&mut self, call: Call, a: usize, b: usize, c: usize) {
        let (x, y, z) = (self.pick(a), self.pick(b), self.pick(c));
        let info = NodeInfo::default;
        let after: Vec<_> = if c.is_multiple_of(3) { vec![] } else { vec![(y, EdgeData::FULL)] };
        let graphs = &mut self.graphs;
        let made = match call {
            Call::Create => Ok(graphs.create()),
            Call::Destroy => graphs.destroy(x).map(|()| 0),
            Call::Add => graphs.add_node(x, &after, Self::fill(c), info()),
            Call::Alloc => {
                self.addresses += 0x1000;
                graphs.add_node(
                    x,
                    &after,
                    NodeParams::MemAlloc { address: self.addresses, size: 8, pool: 0, device: 0 },
                    info(),
                )
            }
            Call::Free => {
                let address = self.addresses.saturating_sub(c as u64 % 3 * 0x1000);
                graphs.add_node(x, &after, NodeParams::MemFree { address }, info())
            }
            Call::Child => graphs.add_child_graph(x, &after, z, Ownership::Clone, info()),
            Call::Move => graphs.add_child_graph(x, &after, z, Ownership::Move, info()),
            Call::Conditional => graphs.create_conditional_handle(x, 0, 1, ASSIGN_DEFAULT).and_then(|handle| {
                let node = graphs.add_conditional(x, &after, handle, ConditionalKind::If, 2, info())?;
                self.known.extend_from_slice(graphs.node(node)?.work().graphs());
                Ok(node)
            }),
            Call::AddEdge => graphs.add_dependencies(x, &[(y, z, EdgeData::FULL)]).map(|()| 0),
            Call::RemoveEdge => graphs.remove_dependencies(x, &[(y, z, EdgeData::FULL)]).map(|()| 0),
            Call::DestroyNode => graphs.destroy_node(x).map(|()| 0),
            Call::Clone => graphs.clone_graph(x),
            Call::FindInClone => graphs.find_in_clone(x, y),
            Call::SetParams => graphs.set_params(x, Self::fill(c), info()).map(|()| 0),
            Call::Instantiate => graphs.instantiate(x, c as u64 % 16).map_err(|error| error.code),
            Call::DestroyExec => graphs.destroy_exec(x).map(|()| 0),
            Call::Launch => graphs.launch(x).map(|launch| {
                let edges: usize = launch.plan.steps.iter().map(|step| step.dependents.len()).sum();
                let waits: u32 = launch.plan.steps.iter().map(|step| step.dependencies).sum();
                assert_eq!(edges, waits as usize);
                0
            }),
            Call::Upload => graphs.upload(x).map(|_| 0),
            Call::Update => graphs.update(x, y).map(|()| 0).map_err(|error| error.code),
            Call::ExecSetParams => graphs.exec_set_params(x, y, Self::fill(c), info()).map(|()| 0),
            Call::Enable => graphs.set_enabled(x, y, c.is_multiple_of(2)).map(|()| 0),
            Call::Dot => graphs.dot(x, c as u32).map(|_| 0),
            Call::FreeEagerly => graphs.memory().free(self.addresses).unwrap_or(Ok(())).map(|()| 0),
        };
        self.known.extend(made.ok().filter(|&handle| handle != 0));
        self.graphs.take_released();
        assert!(self.graphs.take_destructors().is_empty());
    }

    /// Both directions of every edge agree, and each node is in the graph that lists it.
    fn check(&self) {
        for &graph in &self.known {
            let Ok(nodes) = self.graphs.nodes(graph) else { continue };
            let nodes: Vec<u64> = nodes.map(|(node, _)| node).collect();
            assert_eq!(nodes.len(), self.graphs.graph(graph).unwrap().len());
            let mut balance: HashMap<(u64, u64), i32> = HashMap::new();
            for &node in &nodes {
                assert_eq!(self.graphs.node(node).unwrap().graph(), graph);
                let (incoming, outgoing) = (self.graphs.dependencies(node), self.graphs.dependents(node));
                incoming.unwrap().iter().for_each(|&(from, to, _)| *balance.entry((from, to)).or_default() += 1);
                outgoing.unwrap().iter().for_each(|&(from, to, _)| *balance.entry((from, to)).or_default() -= 1);
            }
            assert!(balance.values().all(|&balance| balance == 0));
            assert!(balance.keys().all(|(from, to)| nodes.contains(from) && nodes.contains(to)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_leaves_sound_graphs(
        calls in prop::collection::vec((0..CALLS.len(), 0..400usize, 0..400usize, 0..400usize), 1..120)
    ) {
        let mut run = Run::default();
        let first = run.graphs.create();
        run.known.push(first);
        for (call, a, b, c) in calls {
            run.step(CALLS[call], a, b, c);
        }
        run.check();
    }
}
