//! Captures: forks and joins, allocations, what invalidates them, and what is done with their graphs.

use super::super::generate::end;
use super::super::world::{Node, State, World};
use super::graphs::*;
use super::node_arguments;

pub(super) fn idle(world: &mut World) -> Option<usize> {
    let at = world.stream(|stream| stream.state == State::Idle && !stream.fixed(), 100)?;
    (world.streams[at].state == State::Idle).then_some(at)
}

pub(super) fn begin(world: &mut World, stream: usize, to: Option<usize>) {
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

pub(super) fn work(world: &mut World, stream: usize) -> Option<()> {
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

pub(super) fn begin_and_work(world: &mut World) -> Option<()> {
    let stream = idle(world)?;
    begin(world, stream, None);
    for _ in 0..1 + world.dice.below(3) {
        work(world, stream)?;
    }
    Some(())
}

pub(super) fn capturing(world: &mut World) -> Option<usize> {
    let at = world.stream(|stream| stream.capturing(), 100)?;
    if world.streams[at].capturing() {
        return Some(at);
    }
    let at = idle(world)?;
    begin(world, at, None);
    Some(at)
}

pub(super) fn fork(world: &mut World) -> Option<()> {
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

pub(super) fn allocation_in_capture(world: &mut World) -> Option<()> {
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

/// Invalidates a capture and asks its streams and events what they are.
pub(super) fn invalidate(world: &mut World) -> Option<()> {
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

pub(super) fn failed_capture_to_graph(world: &mut World) -> Option<()> {
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

pub(super) fn captured_node(world: &mut World) -> Option<()> {
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

/// Ends a capture, asks for a node of its graph and runs it.
pub(super) fn end_and_use(world: &mut World) -> Option<()> {
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

pub(super) fn legacy_beside_capture(world: &mut World) -> Option<()> {
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

/// Believes that an idle stream joined a capture.
pub fn join(world: &mut World, stream: usize) {
    let origin =
        world.streams.iter().find(|other| other.state == State::Origin).map(|other| (other.thread, other.mode));
    if let Some((thread, mode)) = origin {
        let stream = &mut world.streams[stream];
        (stream.state, stream.thread, stream.mode) = (State::Fork, thread, mode);
    }
}
