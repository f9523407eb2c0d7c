//! Short runs of calls that lead to a state which single draws seldom reach: a fork and its join, a
//! graph and its twin for an update, a conditional node with a body, a capture that is invalidated.

mod captures;
mod graphs;

use super::world::World;

use captures::*;
use graphs::*;

pub(super) use captures::join;

/// Writes its lines; `None` where the world lacks what it needs.
type Scene = fn(&mut World) -> Option<()>;

/// The scenes with their weights.
const SCENES: &[(usize, Scene)] = &[
    (16, begin_and_work),
    (12, fork),
    (12, build),
    (10, twin),
    (7, conditional),
    (7, allocation_in_graph),
    (5, allocation_in_capture),
    (10, run),
    (6, event_by_graph),
    (9, invalidate),
    (7, failed_capture_to_graph),
    (6, instantiate_twice),
    (5, captured_node),
    (5, clone_and_find),
    (5, end_and_use),
    (4, legacy_beside_capture),
];

/// Draws a scene; it writes nothing where the world lacks what it needs.
pub fn draw(world: &mut World) {
    let total: usize = SCENES.iter().map(|(weight, _)| weight).sum();
    let mut at = world.dice.below(total);
    for (weight, scene) in SCENES {
        if at < *weight {
            let _ = scene(world);
            return;
        }
        at -= weight;
    }
}

/// The node type that a call adds.
pub fn kind_of(call: &str) -> Option<&'static str> {
    Some(match call {
        "cuGraphAddKernelNode" => "KERNEL",
        "cuGraphAddEmptyNode" => "EMPTY",
        "cuGraphAddMemsetNode" => "MEMSET",
        "cuGraphAddMemcpyNode" => "MEMCPY",
        "cuGraphAddHostNode" => "HOST",
        "cuGraphAddEventRecordNode" => "EVENT_RECORD",
        "cuGraphAddEventWaitNode" => "WAIT_EVENT",
        "cuGraphAddChildGraphNode" => "GRAPH",
        "cuGraphAddMemAllocNode" => "MEM_ALLOC",
        "cuGraphAddMemFreeNode" => "MEM_FREE",
        _ => return None,
    })
}

/// The arguments of a node, or of a launch, after graph and dependencies.
pub fn node_arguments(world: &mut World, role: &str) -> Option<String> {
    Some(match role {
        "launch" if world.dice.chance(15) => "Y".into(),
        "launch" => format!("K {} {}", world.word(), 1 + world.dice.below(7)),
        "memset" => format!("{} 4 {}", world.word(), usize::from(!world.dice.chance(6))),
        "memcpy" => {
            let from = ["C", "C", "C", "Z", "R"][world.dice.below(5)];
            let to = match world.dice.below(6) {
                0 => world.host_word(),
                1 => "P".into(),
                _ => world.word(),
            };
            format!("{to} {from} {}", if world.dice.chance(6) { 0 } else { 4 })
        }
        "host" => "count".into(),
        "event" => {
            let at = world.event(|_| true, 0)?;
            world.events[at].in_node = true;
            world.events[at].name.clone()
        }
        "child" => child(world, None)?,
        _ => return None,
    })
}

/// A graph for a child node of another one.
pub fn child(world: &mut World, parent: Option<usize>) -> Option<String> {
    let parent = parent.map(|at| world.graphs[at].name.clone());
    let at = world.graph(|graph| Some(&graph.name) != parent.as_ref())?;
    Some(world.graphs[at].name.clone())
}
