//! Short runs of calls that lead to a state which single draws seldom reach: a fork and its join, a
//! graph and its twin for an update, a conditional node with a body, a capture that is invalidated.

use super::generate::end;
use super::world::{Exec, Node, State, World};

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

/// Believes that an idle stream joined a capture.
pub fn join(world: &mut World, stream: usize) {
    let origin =
        world.streams.iter().find(|other| other.state == State::Origin).map(|other| (other.thread, other.mode));
    if let Some((thread, mode)) = origin {
        let stream = &mut world.streams[stream];
        (stream.state, stream.thread, stream.mode) = (State::Fork, thread, mode);
    }
}

fn idle(world: &mut World) -> Option<usize> {
    let at = world.stream(|stream| stream.state == State::Idle && !stream.fixed(), 100)?;
    (world.streams[at].state == State::Idle).then_some(at)
}

fn begin(world: &mut World, stream: usize, to: Option<usize>) {
    let mode = ["GLOBAL", "GLOBAL", "THREAD_LOCAL", "RELAXED", "RELAXED"][world.dice.below(5)];
    let thread = world.thread_for(None);
    let name = world.streams[stream].name.clone();
    match to {
        Some(graph) => {
            let (list, _) = world.dependencies(graph);
            let graph = world.graphs[graph].name.clone();
            world.say(thread, &format!("cuStreamBeginCaptureToGraph {name} {graph} {list} {mode}"));
        }
        None => world.say(thread, &format!("cuStreamBeginCapture {name} {mode}")),
    }
    if !matches!(world.streams[stream].kind, "legacy" | "null") {
        let stream = &mut world.streams[stream];
        (stream.state, stream.thread, stream.mode, stream.to) = (State::Origin, thread, mode, to);
    }
}

fn work(world: &mut World, stream: usize) -> Option<()> {
    let name = world.streams[stream].name.clone();
    let thread = world.thread_for(Some(stream));
    let line = match world.dice.below(5) {
        0..=2 => format!("cuLaunchKernel {name} {}", node_arguments(world, "launch")?),
        3 => format!("cuMemsetD32Async {} 8 1 {name}", world.word()),
        _ => format!("cuLaunchHostFunc {name} count"),
    };
    world.say(thread, &line);
    Some(())
}

fn begin_and_work(world: &mut World) -> Option<()> {
    let stream = idle(world)?;
    begin(world, stream, None);
    for _ in 0..1 + world.dice.below(3) {
        work(world, stream)?;
    }
    Some(())
}

fn capturing(world: &mut World) -> Option<usize> {
    let at = world.stream(|stream| stream.capturing(), 100)?;
    if world.streams[at].capturing() {
        return Some(at);
    }
    let at = idle(world)?;
    begin(world, at, None);
    Some(at)
}

fn fork(world: &mut World) -> Option<()> {
    let from = capturing(world)?;
    let event = world.event(|event| !event.captured, 80)?;
    let (name, event_name) = (world.streams[from].name.clone(), world.events[event].name.clone());
    let thread = world.thread_for(Some(from));
    world.say(thread, &format!("cuEventRecord {event_name} {name}"));
    world.events[event].captured = true;
    let to = world.stream(|stream| stream.state == State::Idle, 95)?;
    let forked = world.streams[to].name.clone();
    world.say(thread, &format!("cuStreamWaitEvent {forked} {event_name}"));
    if world.streams[to].state == State::Idle {
        join(world, to);
    }
    if world.dice.chance(70) {
        work(world, to)?;
    }
    if world.dice.chance(65) {
        let back = world.event(|event| !event.captured, 80)?;
        let back_name = world.events[back].name.clone();
        world.say(thread, &format!("cuEventRecord {back_name} {forked}"));
        world.events[back].captured = true;
        world.say(thread, &format!("cuStreamWaitEvent {name} {back_name}"));
    }
    Some(())
}

/// The calls that add a node, with the role of its arguments.
const NODES: [(&str, &str); 9] = [
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

fn add_node(world: &mut World, graph: usize, most: usize) -> Option<()> {
    let (call, role) = NODES[world.dice.below(most.min(NODES.len()))];
    let args = match role {
        "" => String::new(),
        "child" => child(world, Some(graph))?,
        role => node_arguments(world, role)?,
    };
    let (list, after) = world.dependencies(graph);
    add(world, graph, call, &list, after, args)
}

fn add(world: &mut World, graph: usize, call: &str, list: &str, after: Vec<usize>, args: String) -> Option<()> {
    let (name, to) = (world.name("N"), world.graphs[graph].name.clone());
    let line = format!("{name} = {call} {to} {list} {args}");
    world.say(0, line.trim_end());
    world.graphs[graph].nodes.push(Node { name, kind: kind_of(call)?, args, after });
    Some(())
}

fn create(world: &mut World) -> usize {
    let name = world.name("G");
    world.say(0, &format!("{name} = cuGraphCreate"));
    world.add_graph(name, Vec::new(), false)
}

fn build(world: &mut World) -> Option<()> {
    let graph = match world.graph(|graph| !graph.inner) {
        Some(graph) if world.dice.chance(40) => graph,
        _ => create(world),
    };
    for _ in 0..2 + world.dice.below(3) {
        add_node(world, graph, NODES.len())?;
    }
    Some(())
}

fn instantiate(world: &mut World, graph: usize) -> usize {
    let (exec, name) = (world.name("X"), world.graphs[graph].name.clone());
    let flags = ["", "", "", "", " 1", " 4"][world.dice.below(6)];
    world.say(0, &format!("{exec} = cuGraphInstantiate {name}{flags}"));
    world.execs.push(Exec { name: exec, graph, alive: true });
    world.execs.len() - 1
}

/// Builds a graph like another one, in another order or with a change, and updates the other's exec with it.
fn twin(world: &mut World) -> Option<()> {
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

fn launch(world: &mut World, exec: usize) -> Option<()> {
    let stream = world.stream(|stream| stream.state == State::Idle, 92)?;
    let line = format!("cuGraphLaunch {} {}", world.execs[exec].name, world.streams[stream].name);
    let thread = world.thread_for(Some(stream));
    world.say(thread, &line);
    Some(())
}

fn conditional(world: &mut World) -> Option<()> {
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

fn allocation_in_graph(world: &mut World) -> Option<()> {
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

fn allocation_in_capture(world: &mut World) -> Option<()> {
    let stream = capturing(world)?;
    let (name, memory) = (world.streams[stream].name.clone(), world.name("M"));
    let thread = world.thread_for(Some(stream));
    world.say(thread, &format!("{memory} = cuMemAllocAsync 64 {name}"));
    if world.dice.chance(60) {
        world.say(thread, &format!("cuMemFreeAsync {memory} {name}"));
    } else {
        world.allocations.push((memory, Some(stream)));
    }
    Some(())
}

fn run(world: &mut World) -> Option<()> {
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
fn event_by_graph(world: &mut World) -> Option<()> {
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

/// Invalidates a capture and asks its streams and events what they are.
fn invalidate(world: &mut World) -> Option<()> {
    let stream = capturing(world)?;
    let name = world.streams[stream].name.clone();
    let thread = world.streams[stream].thread;
    match world.dice.below(4) {
        0 => {
            let memory = world.name("M");
            world.say(thread, &format!("{memory} = cuMemAlloc 64"));
            world.allocations.push((memory, None));
        }
        1 => world.say(thread, &format!("cuStreamQuery {name}")),
        2 => world.say(thread, &format!("cuStreamSynchronize {name}")),
        _ => world.say(thread, "cuCtxSynchronize"),
    }
    world.unsafe_call(thread);
    world.streams[stream].state = State::Invalid;
    let calls = [
        "status",
        "cuStreamQuery",
        "cuStreamSynchronize",
        "cuStreamGetFlags",
        "cuStreamGetId",
        "cuStreamGetCtx",
        "cuStreamGetPriority",
        "cuStreamAddCallback",
        "cuStreamGetCaptureInfo",
        "deps",
        "work",
        "begin",
        "event",
    ];
    for _ in 0..1 + world.dice.below(2) {
        let thread = world.thread_for(Some(stream));
        match world.dice.pick(&calls)? {
            "work" => work(world, stream)?,
            "begin" => world.say(thread, &format!("cuStreamBeginCapture {name} RELAXED")),
            "event" => {
                let at = world.event(|event| event.captured, 90)?;
                let call = world.dice.pick(&["cuEventQuery", "cuEventSynchronize"])?;
                let line = format!("{call} {}", world.events[at].name);
                world.say(thread, &line);
            }
            call => world.say(thread, &format!("{call} {name}")),
        }
    }
    if world.dice.chance(60) {
        end(world, stream);
    }
    Some(())
}

fn failed_capture_to_graph(world: &mut World) -> Option<()> {
    let stream = idle(world)?;
    let graph = match world.graph(|_| true) {
        Some(graph) if world.dice.chance(60) => graph,
        _ => create(world),
    };
    begin(world, stream, Some(graph));
    work(world, stream)?;
    if world.dice.chance(50) {
        let thread = world.streams[stream].thread;
        let memory = world.name("M");
        world.say(thread, &format!("{memory} = cuMemAlloc 64"));
        world.unsafe_call(thread);
        world.allocations.push((memory, None));
    }
    end(world, stream);
    let name = world.graphs[graph].name.clone();
    let made = world.name("G");
    let line = match world.dice.below(5) {
        0 => format!("types {name}"),
        1 => format!("{made} = cuGraphClone {name}"),
        2 => format!("{} = cuGraphAddEmptyNode {name} []", world.name("N")),
        3 => format!("{} = cuGraphInstantiate {name}", world.name("X")),
        _ => format!("cuGraphDestroy {name}"),
    };
    if line.starts_with("cuGraphDestroy") && !world.graphs[graph].inner {
        world.graphs[graph].alive = false;
    }
    world.say(0, &line);
    Some(())
}

fn instantiate_twice(world: &mut World) -> Option<()> {
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

fn captured_node(world: &mut World) -> Option<()> {
    let stream = capturing(world)?;
    let name = world.streams[stream].name.clone();
    let thread = world.thread_for(Some(stream));
    let node = world.name("C");
    work(world, stream)?;
    world.say(thread, &format!("{node} = lastnode {name}"));
    world.captured.push(node.clone());
    match world.dice.below(3) {
        0 => {
            let flags = world.dice.pick(&["ADD_CAPTURE_DEPENDENCIES", "SET_CAPTURE_DEPENDENCIES"])?;
            world.say(thread, &format!("cuStreamUpdateCaptureDependencies {name} [{node}] {flags}"));
        }
        1 => {
            let (graph, manual) = (world.name("G"), world.name("C"));
            world.say(thread, &format!("{graph} = capturegraph {name}"));
            let args = node_arguments(world, "launch")?;
            world.say(thread, &format!("{manual} = cuGraphAddKernelNode {graph} [{node}] {args}"));
            world.say(thread, &format!("cuStreamUpdateCaptureDependencies {name} [{manual}] SET_CAPTURE_DEPENDENCIES"));
            world.captured.push(manual);
        }
        _ => world.say(thread, &format!("cuGraphNodeGetType {node}")),
    }
    Some(())
}

fn clone_and_find(world: &mut World) -> Option<()> {
    let graph = world.graph(|graph| !graph.nodes.is_empty())?;
    let (clone, name) = (world.name("G"), world.graphs[graph].name.clone());
    world.say(0, &format!("{clone} = cuGraphClone {name}"));
    let of = world.dice.pick(&world.graphs[graph].nodes.clone())?;
    let found = world.name("N");
    world.say(0, &format!("{found} = cuGraphNodeFindInClone {} {clone}", of.name));
    world.add_graph(clone, vec![Node { name: found, after: Vec::new(), ..of }], false);
    Some(())
}

/// Ends a capture, asks for a node of its graph and runs it.
fn end_and_use(world: &mut World) -> Option<()> {
    let stream = world.stream(|stream| stream.state == State::Origin, 100)?;
    if world.streams[stream].state != State::Origin {
        return None;
    }
    end(world, stream);
    let graph = world.graphs.len() - 1;
    let (node, name) = (world.name("N"), world.graphs[graph].name.clone());
    let kind = ["KERNEL", "KERNEL", "KERNEL", "MEMSET", "HOST"][world.dice.below(5)];
    world.say(0, &format!("{node} = node {name} {kind}"));
    world.graphs[graph].nodes.push(Node { name: node, kind, args: String::new(), after: Vec::new() });
    let exec = instantiate(world, graph);
    if world.dice.chance(60) {
        launch(world, exec)?;
    }
    Some(())
}

fn legacy_beside_capture(world: &mut World) -> Option<()> {
    let stream = capturing(world)?;
    let legacy = world.stream(|stream| matches!(stream.kind, "legacy" | "null"), 100)?;
    let (name, own) = (world.streams[legacy].name.clone(), world.streams[stream].name.clone());
    let thread = world.thread_for(Some(stream));
    let line = match world.dice.below(9) {
        0 => format!("cuStreamGetFlags {name}"),
        1 => format!("cuStreamGetId {name}"),
        2 => format!("cuStreamGetPriority {name}"),
        3 => format!("cuStreamQuery {name}"),
        4 => format!("cuStreamCopyAttributes {name} {own}"),
        5 => format!("status {name}"),
        6 => format!("cuStreamBeginCapture {name} RELAXED"),
        7 => format!("cuEventRecord {} {name}", world.events.first()?.name.clone()),
        _ => format!("cuLaunchKernel {name} Y"),
    };
    world.say(thread, &line);
    world.say(thread, &format!("status {own}"));
    Some(())
}
