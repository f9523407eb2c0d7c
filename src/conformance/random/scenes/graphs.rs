//! Graphs: made by hand, twinned for an update, with conditional nodes and memory nodes, run.

use super::super::generate::end;
use super::super::world::{Exec, Node, State, World};
use super::captures::{begin, idle, work};
use super::{child, kind_of, node_arguments};

/// The calls that add a node, with the role of its arguments.
pub(super) const NODES: [(&str, &str); 9] = [
    ("cuGraphAddKernelNode", "launch"),
    ("cuGraphAddKernelNode", "launch"),
    ("cuGraphAddEmptyNode", ""),
    ("cuGraphAddMemsetNode", "memset"),
    ("cuGraphAddMemcpyNode", "memcpy"),
    ("cuGraphAddHostNode", "host"),
    ("cuGraphAddEventRecordNode", "event"),
    ("cuGraphAddEventWaitNode", "event"),
    ("cuGraphAddChildGraphNode", "child"),
];

pub(super) fn add_node(world: &mut World, graph: usize, most: usize) -> Option<()> {
    let (call, role) = NODES[world.dice.below(most.min(NODES.len()))];
    let args = match role {
        "" => String::new(),
        "child" => child(world, Some(graph))?,
        role => node_arguments(world, role)?,
    };
    let (list, after) = world.dependencies(graph);
    add(world, graph, call, &list, after, args)
}

pub(super) fn add(
    world: &mut World,
    graph: usize,
    call: &str,
    list: &str,
    after: Vec<usize>,
    args: String,
) -> Option<()> {
    let (name, to) = (world.name("N"), world.graphs[graph].name.clone());
    let line = format!("{name} = {call} {to} {list} {args}");
    world.say(0, line.trim_end());
    world.graphs[graph].nodes.push(Node { name, kind: kind_of(call)?, args, after });
    Some(())
}

pub(super) fn create(world: &mut World) -> usize {
    let name = world.name("G");
    world.say(0, &format!("{name} = cuGraphCreate"));
    world.add_graph(name, Vec::new(), false)
}

pub(super) fn build(world: &mut World) -> Option<()> {
    let graph = match world.graph(|graph| !graph.inner) {
        Some(graph) if world.dice.chance(40) => graph,
        _ => create(world),
    };
    for _ in 0..2 + world.dice.below(3) {
        add_node(world, graph, NODES.len())?;
    }
    Some(())
}

pub(super) fn instantiate(world: &mut World, graph: usize) -> usize {
    let (exec, name) = (world.name("X"), world.graphs[graph].name.clone());
    let flags = ["", "", "", "", " 1", " 4"][world.dice.below(6)];
    world.say(0, &format!("{exec} = cuGraphInstantiate {name}{flags}"));
    world.execs.push(Exec { name: exec, graph, alive: true });
    world.execs.len() - 1
}

/// Builds a graph like another one, in another order or with a change, and updates the other's exec with it.
pub(super) fn twin(world: &mut World) -> Option<()> {
    let model = match world.graph(|graph| graph.nodes.len() > 1) {
        Some(graph) => graph,
        None => {
            let graph = create(world);
            for _ in 0..2 + world.dice.below(2) {
                add_node(world, graph, 8)?;
            }
            graph
        }
    };
    let exec = (0..world.execs.len()).find(|at| world.execs[*at].graph == model && world.execs[*at].alive);
    let exec = exec.unwrap_or_else(|| instantiate(world, model));
    let nodes = world.graphs[model].nodes.clone();
    let graph = create(world);
    let mut order: Vec<usize> = (0..nodes.len().min(5)).collect();
    let permuted = world.dice.chance(50);
    if permuted {
        for at in (1..order.len()).rev() {
            let other = world.dice.below(at + 1);
            order.swap(at, other);
        }
    }
    let mut edges = Vec::new();
    // Where a node's place in the twin is.
    let mut place: Vec<Option<usize>> = vec![None; nodes.len()];
    for (made, at) in order.iter().copied().enumerate() {
        let node = &nodes[at];
        let changed = world.dice.chance(8);
        let (call, role) = if changed {
            NODES[world.dice.below(6)]
        } else {
            let call = NODES.iter().find(|(call, _)| kind_of(call) == Some(node.kind));
            call.copied().unwrap_or(("cuGraphAddEmptyNode", ""))
        };
        // What writes gets a word of its own; an event or a child is repeated.
        let args = match role {
            "" => String::new(),
            "event" | "child" if !node.args.is_empty() => node.args.clone(),
            role => node_arguments(world, role)?,
        };
        let (mut list, mut after) = (Vec::new(), Vec::new());
        for dependency in &node.after {
            match place.get(*dependency).copied().flatten() {
                Some(known) if !world.dice.chance(8) => {
                    after.push(known);
                    list.push(world.graphs[graph].nodes[known].name.clone());
                }
                _ => edges.push((*dependency, at)),
            }
        }
        place[at] = Some(made);
        add(world, graph, call, &format!("[{}]", list.join(" ")), after, args)?;
    }
    for (from, to) in edges {
        if let (Some(from), Some(to)) = (place.get(from).copied().flatten(), place[to])
            && !world.dice.chance(15)
        {
            let nodes = &world.graphs[graph].nodes;
            let line = format!(
                "cuGraphAddDependencies {} [{}] [{}]",
                world.graphs[graph].name, nodes[from].name, nodes[to].name
            );
            world.say(0, &line);
        }
    }
    let line = format!("cuGraphExecUpdate {} {}", world.execs[exec].name, world.graphs[graph].name);
    world.say(0, &line);
    if world.dice.chance(50) {
        launch(world, exec)?;
    }
    Some(())
}

pub(super) fn launch(world: &mut World, exec: usize) -> Option<()> {
    let stream = world.stream(|stream| stream.state == State::Idle, 92)?;
    let line = format!("cuGraphLaunch {} {}", world.execs[exec].name, world.streams[stream].name);
    let thread = world.thread_for(Some(stream));
    world.say(thread, &line);
    Some(())
}

pub(super) fn conditional(world: &mut World) -> Option<()> {
    let graph = match world.graph(|_| true) {
        Some(graph) if world.dice.chance(50) => graph,
        _ => create(world),
    };
    let name = world.graphs[graph].name.clone();
    let known: Vec<String> =
        world.handles.iter().filter(|(_, of)| *of == graph).map(|(handle, _)| handle.clone()).collect();
    let handle = match world.dice.pick(&known) {
        // A WHILE whose handle is not 0 would run for ever: a known handle may be either.
        Some(handle) if world.dice.chance(30) => (handle, "IF"),
        _ => {
            let (handle, kind) = (world.name("h"), ["IF", "IF", "WHILE", "SWITCH"][world.dice.below(4)]);
            let value = if kind == "WHILE" { 0 } else { world.dice.below(3) };
            world.say(0, &format!("{handle} = cuGraphConditionalHandleCreate {name} CTX {value} 1"));
            if kind != "WHILE" {
                world.handles.push((handle.clone(), graph));
            }
            (handle, kind)
        }
    };
    let bodies = match handle.1 {
        "IF" => 1 + world.dice.below(2),
        "SWITCH" => 1 + world.dice.below(3),
        _ => 1,
    };
    let (list, after) = world.dependencies(graph);
    let array = world.name("B");
    world.say(
        0,
        &format!(
            "{array} = cuGraphAddConditionalNode {name} {list} {} GRAPH_COND_TYPE_{} {bodies}",
            handle.0, handle.1
        ),
    );
    let node = world.name("N");
    world.say(0, &format!("{node} = node {name} CONDITIONAL"));
    world.graphs[graph].nodes.push(Node { name: node, kind: "CONDITIONAL", args: String::new(), after });
    for at in 0..bodies.min(2) {
        let body = world.name("G");
        world.say(0, &format!("{body} = body {array} {at}"));
        let body = world.add_graph(body, Vec::new(), true);
        if world.dice.chance(30)
            && let Some(stream) = idle(world)
        {
            begin(world, stream, Some(body));
            work(world, stream)?;
            if world.dice.chance(80) {
                end(world, stream);
            }
        } else {
            for _ in 0..world.dice.below(3) {
                add_node(world, body, NODES.len())?;
            }
        }
    }
    Some(())
}

pub(super) fn allocation_in_graph(world: &mut World) -> Option<()> {
    let graph = match world.graph(|_| true) {
        Some(graph) if world.dice.chance(60) => graph,
        _ => create(world),
    };
    let (list, after) = world.dependencies(graph);
    add(world, graph, "cuGraphAddMemAllocNode", &list, after, "64".into())?;
    let (place, node) = (world.graphs[graph].nodes.len() - 1, world.graphs[graph].nodes.last()?.name.clone());
    let memory = world.name("M");
    world.say(0, &format!("{memory} = allocated {node}"));
    // A free that is not ordered after its allocation is undefined, so that none is made.
    if world.dice.chance(60) {
        add(world, graph, "cuGraphAddMemFreeNode", &format!("[{node}]"), vec![place], memory.clone())?;
        if world.dice.chance(8) {
            let freed = world.graphs[graph].nodes.last()?.name.clone();
            add(world, graph, "cuGraphAddMemFreeNode", &format!("[{freed}]"), vec![place + 1], memory)?;
        }
    }
    Some(())
}

pub(super) fn run(world: &mut World) -> Option<()> {
    let graph = world.graph(|_| true)?;
    let known: Vec<usize> = (0..world.execs.len()).filter(|at| world.execs[*at].alive).collect();
    let exec = match world.dice.pick(&known) {
        Some(exec) if world.dice.chance(50) => exec,
        _ => instantiate(world, graph),
    };
    for _ in 0..1 + world.dice.below(2) {
        launch(world, exec)?;
    }
    if world.dice.chance(60) {
        world.say(0, "cuCtxSynchronize");
        world.unsafe_call(0);
    }
    Some(())
}

/// Records an event by a graph that runs, then uses it.
pub(super) fn event_by_graph(world: &mut World) -> Option<()> {
    let graph = create(world);
    let event = world.event(|_| true, 0)?;
    world.events[event].in_node = true;
    let event_name = world.events[event].name.clone();
    add(world, graph, "cuGraphAddEventRecordNode", "[]", Vec::new(), event_name.clone())?;
    let exec = instantiate(world, graph);
    launch(world, exec)?;
    if world.dice.chance(70) {
        world.say(0, "cuCtxSynchronize");
        world.unsafe_call(0);
    }
    let stream = world.stream(|stream| stream.capturing(), 60)?;
    let name = world.streams[stream].name.clone();
    let line = match world.dice.below(4) {
        0 => format!("cuEventQuery {event_name}"),
        1 => format!("cuEventSynchronize {event_name}"),
        2 => format!("cuEventElapsedTime {event_name} {event_name}"),
        _ => format!("cuStreamWaitEvent {name} {event_name}"),
    };
    let thread = world.thread_for(Some(stream));
    world.say(thread, &line);
    Some(())
}

pub(super) fn instantiate_twice(world: &mut World) -> Option<()> {
    let graph = world.graph(|_| true)?;
    let first = instantiate(world, graph);
    if world.dice.chance(50) {
        match world.dice.below(3) {
            0 => allocation_in_graph(world)?,
            1 => add_node(world, graph, 8)?,
            _ => {
                world.execs[first].alive = false;
                let line = format!("cuGraphExecDestroy {}", world.execs[first].name);
                world.say(0, &line);
            }
        }
    }
    instantiate(world, graph);
    Some(())
}

pub(super) fn clone_and_find(world: &mut World) -> Option<()> {
    let graph = world.graph(|graph| !graph.nodes.is_empty())?;
    let (clone, name) = (world.name("G"), world.graphs[graph].name.clone());
    world.say(0, &format!("{clone} = cuGraphClone {name}"));
    let of = world.dice.pick(&world.graphs[graph].nodes.clone())?;
    let found = world.name("N");
    world.say(0, &format!("{found} = cuGraphNodeFindInClone {} {clone}", of.name));
    world.add_graph(clone, vec![Node { name: found, after: Vec::new(), ..of }], false);
    Some(())
}
