//! An executable graph needs nothing of the graph that it was made from: it runs alike whether that one
//! is alive, was edited since, or is destroyed.

use std::ptr::null;

use crate::abi_support::{Device, WORDS, instantiate, nodes};
use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use proptest::prelude::*;

/// A fill of one word.
type Fill = (usize, u32);

#[derive(Debug, Clone)]
enum Item {
    Fill(Fill),
    Child(Vec<Fill>),
    /// IF with or without ELSE, or SWITCH: the kind, the default and the bodies.
    Conditional(u64, u32, Vec<Vec<Fill>>),
    /// Memory of the graph's own, filled and copied to a word.
    Memory(Fill),
}

fn item() -> impl Strategy<Value = Item> {
    let fill = || (0..WORDS, 1..1000u32);
    let fills = move || prop::collection::vec(fill(), 1..4);
    prop_oneof![
        fill().prop_map(Item::Fill),
        fills().prop_map(Item::Child),
        (0..3u32, prop::collection::vec(fills(), 1..3))
            .prop_map(|(default, bodies)| { Item::Conditional(0, default, bodies) }),
        (0..4u32, prop::collection::vec(fills(), 1..4))
            .prop_map(|(default, bodies)| { Item::Conditional(2, default, bodies) }),
        fill().prop_map(Item::Memory),
    ]
}

/// What happens to the graph between its instantiation and the launches.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Kept,
    Edited,
    Destroyed,
    DestroyedAfterUpload,
    DestroyedBehindAnother,
    Updated,
}

fn create() -> CUgraph {
    let mut graph = CUgraph::NULL;
    ok!(cuGraphCreate(&mut graph, 0));
    graph
}

fn capture(device: &Device, graph: CUgraph, work: impl FnOnce()) {
    let after = nodes(graph);
    ok!(cuStreamBeginCaptureToGraph(device.stream, graph, after.as_ptr(), null(), after.len(), 2));
    work();
    assert_eq!(device.end(), graph);
}

fn fills(device: &Device, graph: CUgraph, fills: &[Fill]) {
    capture(device, graph, || fills.iter().for_each(|&(place, value)| device.fill(place, value)));
}

fn conditional(graph: CUgraph, kind: u64, default: u32, size: u64) -> Vec<CUgraph> {
    let mut handle = 0;
    ok!(cuGraphConditionalHandleCreate(&mut handle, graph, CUcontext::NULL, default, 1));
    let after = nodes(graph);
    let mut params = CUgraphNodeParams { type_: 13, reserved0: [0; 3], member: [0; 29], reserved2: 0 };
    params.member[0] = handle;
    params.member[1] = size << 32 | kind;
    let mut node = CUgraphNode::NULL;
    ok!(cuGraphAddNode_v2(&mut node, graph, after.as_ptr(), null(), after.len(), &mut params));
    let bodies = params.member[2] as *const CUgraph;
    // SAFETY: the array belongs to the node and has one entry a body.
    (0..size as usize).map(|body| unsafe { *bodies.add(body) }).collect()
}

fn build(device: &Device, items: &[Item]) -> CUgraph {
    let graph = create();
    for item in items {
        match item {
            Item::Fill(fill) => fills(device, graph, &[*fill]),
            Item::Child(inner) => {
                let child = create();
                fills(device, child, inner);
                let after = nodes(graph);
                let mut node = CUgraphNode::NULL;
                ok!(cuGraphAddChildGraphNode(&mut node, graph, after.as_ptr(), after.len(), child));
                ok!(cuGraphDestroy(child));
            }
            Item::Conditional(kind, default, bodies) => {
                let graphs = conditional(graph, *kind, *default, bodies.len() as u64);
                bodies.iter().zip(graphs).for_each(|(body, graph)| fills(device, graph, body));
            }
            Item::Memory((place, value)) => capture(device, graph, || {
                let mut own = 0;
                ok!(cuMemAllocAsync(&mut own, 64, device.stream));
                ok!(cuMemsetD32Async(own, *value, 16, device.stream));
                ok!(cuMemcpyDtoDAsync_v2(device.buffer + 4 * *place as u64, own + 60, 4, device.stream));
                ok!(cuMemFreeAsync(own, device.stream));
            }),
        }
    }
    graph
}

/// The words after each of two launches.
fn run(device: &Device, items: &[Item], fate: Fate) -> Vec<[u32; WORDS]> {
    let graph = build(device, items);
    let exec = instantiate(graph);
    match fate {
        Fate::Kept => {}
        Fate::Edited => {
            fills(device, graph, &[(0, 77_777)]);
            for node in nodes(graph) {
                // Not in a graph with memory nodes.
                code!(cuGraphDestroyNode(node));
            }
        }
        Fate::Destroyed => ok!(cuGraphDestroy(graph)),
        Fate::DestroyedAfterUpload => {
            ok!(cuGraphUpload(exec, device.stream));
            ok!(cuGraphDestroy(graph));
        }
        Fate::DestroyedBehindAnother => {
            let other = build(device, items);
            ok!(cuGraphDestroy(graph));
            ok!(cuGraphDestroy(build(device, items)));
            ok!(cuGraphDestroy(other));
        }
        Fate::Updated => {
            let other = build(device, items);
            let mut info = CUgraphExecUpdateResultInfo::default();
            ok!(cuGraphExecUpdate_v2(exec, other, &mut info));
            ok!(cuGraphDestroy(graph));
            ok!(cuGraphDestroy(other));
        }
    }
    let launch = |_| {
        ok!(cuMemsetD32_v2(device.buffer, 0, WORDS));
        device.run(exec);
        device.words()
    };
    let words = (0..2).map(launch).collect();
    ok!(cuGraphExecDestroy(exec));
    if matches!(fate, Fate::Kept | Fate::Edited) {
        ok!(cuGraphDestroy(graph));
    }
    words
}

/// What two launches leave, by the meaning of the items.
fn expected(items: &[Item]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    let mut apply = |fills: &[Fill]| fills.iter().for_each(|&(place, value)| words[place] = value);
    for item in items {
        match item {
            Item::Fill(fill) | Item::Memory(fill) => apply(&[*fill]),
            Item::Child(fills) => apply(fills),
            Item::Conditional(0, default, bodies) => {
                let body = if *default != 0 { bodies.first() } else { bodies.get(1) };
                body.into_iter().for_each(|body| apply(body));
            }
            Item::Conditional(_, default, bodies) => {
                bodies.get(*default as usize).into_iter().for_each(|body| apply(body));
            }
        }
    }
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn an_exec_runs_alike_whatever_became_of_its_graph(items in prop::collection::vec(item(), 1..6)) {
        let device = Device::new();
        let words = expected(&items);
        let has_memory = items.iter().any(|item| matches!(item, Item::Memory(_)));
        for fate in [
            Fate::Kept,
            Fate::Edited,
            Fate::Destroyed,
            Fate::DestroyedAfterUpload,
            Fate::DestroyedBehindAnother,
            Fate::Updated,
        ] {
            // An update may not bring other addresses of the graph's own memory to an exec that keeps its own.
            if fate == Fate::Updated && has_memory {
                continue;
            }
            for launch in run(&device, &items, fate) {
                prop_assert_eq!(launch, words, "{:?}", fate);
            }
        }
    }
}
