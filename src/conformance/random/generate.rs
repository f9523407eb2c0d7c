//! Writes one sequence: a stage, 8 to 25 calls drawn from the rows and scenes, and closing questions.

use super::dice::Dice;
use super::rows::{Effect, ROWS, Row};
use super::scenes;
use super::world::{Event, Exec, Node, State, Stream, World};

/// The fewest calls between the stage and the closing questions, and how many more there may be.
const CALLS: (usize, usize) = (8, 18);

/// The lines of the sequence at `index` of `seed`, as a case file's body.
pub fn sequence(seed: u64, index: u64) -> Vec<String> {
    let mut world = World::new(Dice::new(seed, index));
    stage(&mut world);
    let end = world.lines.len() + CALLS.0 + world.dice.below(CALLS.1);
    while world.lines.len() < end {
        if world.dice.chance(24) {
            scenes::draw(&mut world);
        } else {
            draw(&mut world);
        }
    }
    close(&mut world);
    world.lines
}

fn stage(world: &mut World) {
    for line in ["kernel K store", "kernel Y empty", "device D 256", "device C 64", "pinned H 256"] {
        world.say(0, line);
    }
    // No stream but a blocking one would wait for it.
    world.say(0, "cuMemsetD32 C 9 16");
    world.say(0, "cuCtxSynchronize");
    // Read only: what a copy takes from the host is the same whenever it runs.
    world.say(0, "pinned Z 64");
    world.say(0, "write Z 11 11 11 11");
    world.say(0, "pageable P 256");
    world.say(0, "pageable R 64");
    let count = 2 + world.dice.below(3);
    let kinds = ["nonblocking", "nonblocking", "nonblocking", "blocking", "blocking", "perthread", "legacy", "null"];
    for at in 0..count {
        // The first can always capture.
        let kind = if at == 0 { kinds[world.dice.below(4)] } else { kinds[world.dice.below(kinds.len())] };
        let name = world.name("S");
        world.say(0, &format!("stream {name} {kind}"));
        let stream = Stream { name, kind, state: State::Idle, thread: 0, mode: "GLOBAL", to: None, alive: true };
        world.streams.push(stream);
    }
    for _ in 0..1 + world.dice.below(3) {
        let name = world.name("E");
        let flags = if world.dice.chance(40) { " EVENT_DISABLE_TIMING" } else { "" };
        world.say(0, &format!("event {name}{flags}"));
        world.events.push(Event { name, captured: false, in_node: false, alive: true });
    }
}

/// What the sequence has come to: every stream's status, the graphs, the words that ran.
fn close(world: &mut World) {
    for at in 0..world.streams.len() {
        let (name, thread) = (world.streams[at].name.clone(), world.streams[at].thread);
        if world.streams[at].alive && !matches!(world.streams[at].kind, "legacy" | "null") {
            world.say(thread, &format!("status {name}"));
        }
    }
    if world.dice.chance(75) {
        for at in 0..world.streams.len() {
            if matches!(world.streams[at].state, State::Origin | State::Invalid) && world.streams[at].alive {
                end(world, at);
            }
        }
    }
    for at in 0..world.graphs.len() {
        if world.graphs[at].alive && world.dice.chance(60) {
            let name = world.graphs[at].name.clone();
            world.say(0, &format!("types {name}"));
            world.say(0, &format!("edgelist {name}"));
        }
    }
    if let Some(graph) = world.graph(|_| true)
        && world.dice.chance(60)
    {
        let name = world.graphs[graph].name.clone();
        let exec = world.name("X");
        world.say(0, &format!("{exec} = cuGraphInstantiate {name}"));
        if let Some(stream) = world.stream(|stream| stream.state == State::Idle && !stream.fixed(), 100) {
            let stream = world.streams[stream].name.clone();
            world.say(0, &format!("cuGraphLaunch {exec} {stream}"));
        }
    }
    for line in ["cuCtxSynchronize", "read D 48", "read H 48", "runs"] {
        world.say(0, line);
    }
}

/// Ends the capture of a stream on its thread.
pub fn end(world: &mut World, stream: usize) {
    let thread = world.streams[stream].thread;
    let (name, graph) = (world.streams[stream].name.clone(), world.name("G"));
    world.say(thread, &format!("{graph} = cuStreamEndCapture {name}"));
    ended(world, stream, graph);
}

fn ended(world: &mut World, stream: usize, graph: String) {
    let was = world.streams[stream].state;
    if matches!(was, State::Origin | State::Invalid) {
        let mode = world.streams[stream].mode;
        let thread = world.streams[stream].thread;
        for other in world.streams.iter_mut().filter(|other| other.mode == mode && other.thread == thread) {
            if other.state == State::Fork {
                other.state = State::Idle;
            }
        }
        world.streams[stream].state = State::Idle;
        world.events.iter_mut().for_each(|event| event.captured = false);
        world.captured.clear();
    }
    if was != State::Invalid {
        let to = world.streams[stream].to.take();
        // The nodes of a graph that was captured to are known already; those of a new one are asked for.
        let nodes = to.map(|to| world.graphs[to].nodes.clone()).unwrap_or_default();
        world.add_graph(graph, nodes, false);
    }
}

/// Draws one row and writes its line; does nothing where the world lacks what it needs.
fn draw(world: &mut World) {
    let total: usize = ROWS.iter().map(|row| row.weight).sum();
    let mut at = world.dice.below(total);
    let row = ROWS.iter().find(|row| {
        let found = at < row.weight;
        at = at.wrapping_sub(row.weight);
        found
    });
    if let Some(row) = row {
        let _ = write(world, row);
    }
}

/// What the arguments of a row were drawn to be.
#[derive(Default)]
struct Drawn {
    text: Vec<String>,
    stream: Option<usize>,
    event: Option<usize>,
    graph: Option<usize>,
    exec: Option<usize>,
    node: Option<(usize, usize)>,
    mode: Option<&'static str>,
    places: Vec<usize>,
    allocation: Option<usize>,
}

fn write(world: &mut World, row: &Row) -> Option<()> {
    let mut drawn = Drawn::default();
    for role in row.args.split_whitespace() {
        let text = argument(world, &mut drawn, role)?;
        drawn.text.push(text);
    }
    let thread = match row.effect {
        // A capture begins on any thread, and most calls on it come from that one.
        Effect::Begin | Effect::BeginTo => world.thread_for(None),
        _ => world.thread_for(drawn.stream),
    };
    // Kernel parameters and node arguments that are several words were joined by their role.
    let call = format!("{} {}", row.call, drawn.text.join(" "));
    let call = call.trim_end();
    let made = (!row.makes.is_empty()).then(|| world.name(&row.makes[..1]));
    match &made {
        Some(name) => world.say(thread, &format!("{name} = {call}")),
        None => world.say(thread, call),
    }
    apply(world, row, &drawn, thread);
    if let Some(name) = made {
        keep(world, row, &drawn, name);
    }
    Some(())
}

fn argument(world: &mut World, drawn: &mut Drawn, role: &str) -> Option<String> {
    const STRICT: usize = 88;
    if let Some(words) = role.strip_prefix('=') {
        let words: Vec<&str> = words.split('|').collect();
        return world.dice.pick(&words).map(str::to_owned);
    }
    let (role, narrow) = role.split_once(':').unwrap_or((role, ""));
    Some(match role {
        "S" => {
            let at = world.stream(
                |stream| match narrow {
                    "idle" => stream.state == State::Idle,
                    "free" => stream.state == State::Idle && !matches!(stream.kind, "legacy" | "null"),
                    "origin" => stream.state == State::Origin,
                    "capturing" => stream.capturing(),
                    "invalid" => stream.state == State::Invalid,
                    _ => true,
                },
                STRICT,
            )?;
            drawn.stream = Some(at);
            world.streams[at].name.clone()
        }
        "E" => {
            let loose = narrow == "loose";
            let strict = if loose { 100 } else { STRICT };
            let at = world.event(
                |event| match narrow {
                    "captured" => event.captured,
                    "loose" => !event.in_node,
                    _ => true,
                },
                strict,
            )?;
            if loose && world.events[at].in_node {
                return None;
            }
            drawn.event = Some(at);
            world.events[at].name.clone()
        }
        "G" => {
            let before = drawn.graph;
            let at = world.graph(|graph| narrow != "full" || graph.nodes.len() > 1)?;
            if narrow == "other" && before == Some(at) {
                return None;
            }
            drawn.graph = Some(at);
            world.graphs[at].name.clone()
        }
        "L" => {
            let (text, places) = world.dependencies(drawn.graph?);
            drawn.places = places;
            text
        }
        "L1" => {
            let nodes = &world.graphs[drawn.graph?].nodes;
            let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
            format!("[{}]", world.dice.pick(&names)?)
        }
        "N" | "XN" => {
            let of =
                if role == "XN" && world.dice.chance(90) { drawn.exec.map(|at| world.execs[at].graph) } else { None };
            let at = node(world, of, narrow)?;
            drawn.node = Some(at);
            world.graphs[at.0].nodes[at.1].name.clone()
        }
        "X" => {
            let at = world.exec()?;
            drawn.exec = Some(at);
            world.execs[at].name.clone()
        }
        "CN" => {
            let name = world.dice.pick(&world.captured.clone());
            match name {
                Some(name) if world.dice.chance(85) => format!("[{name}]"),
                _ if world.dice.chance(50) => "[]".to_owned(),
                _ => return None,
            }
        }
        "child" => scenes::child(world, drawn.graph)?,
        "launch" | "memset" | "memcpy" | "host" | "event" => scenes::node_arguments(world, role)?,
        "D" => world.word(),
        "H" => world.host_word(),
        "C" | "Z" | "R" => format!("{role}+{}", 4 * world.dice.below(4)),
        "P" => "P".to_owned(),
        "M" => {
            let at = world.dice.below(world.allocations.len());
            drawn.allocation = Some(at);
            world.allocations.get(at)?.0.clone()
        }
        "SM" => {
            let at = match world.allocations.get(drawn.allocation?)?.1 {
                Some(at) => at,
                None => world.stream(|_| true, 0)?,
            };
            drawn.stream = Some(at);
            world.streams[at].name.clone()
        }
        "mode" => {
            let mode = world.dice.pick(&["GLOBAL", "GLOBAL", "THREAD_LOCAL", "RELAXED", "RELAXED"])?;
            drawn.mode = Some(mode);
            mode.to_owned()
        }
        _ => return None,
    })
}

fn node(world: &mut World, of: Option<usize>, kind: &str) -> Option<(usize, usize)> {
    let graphs = 0..world.graphs.len();
    let fitting: Vec<(usize, usize)> = graphs
        .filter(|graph| of.is_none_or(|of| of == *graph) && world.graphs[*graph].alive)
        .flat_map(|graph| (0..world.graphs[graph].nodes.len()).map(move |at| (graph, at)))
        .filter(|(graph, at)| kind.is_empty() || world.graphs[*graph].nodes[*at].kind == kind)
        .collect();
    world.dice.pick(&fitting)
}

fn apply(world: &mut World, row: &Row, drawn: &Drawn, thread: usize) {
    match row.effect {
        Effect::None | Effect::Allocate => {}
        Effect::Begin | Effect::BeginTo => {
            if let Some(at) = drawn.stream
                && world.streams[at].state == State::Idle
                && !matches!(world.streams[at].kind, "legacy" | "null")
            {
                let to = (row.effect == Effect::BeginTo).then_some(drawn.graph).flatten();
                let stream = &mut world.streams[at];
                (stream.state, stream.thread, stream.to) = (State::Origin, thread, to);
                stream.mode = drawn.mode.unwrap_or("GLOBAL");
            }
        }
        Effect::End => {}
        Effect::DestroyStream => {
            if let Some(at) = drawn.stream.filter(|at| !world.streams[*at].fixed()) {
                world.streams[at].alive = false;
            }
        }
        Effect::Record => {
            if let (Some(event), Some(stream)) = (drawn.event, drawn.stream) {
                world.events[event].captured = world.streams[stream].capturing();
            }
        }
        Effect::Wait => {
            if let (Some(event), Some(stream)) = (drawn.event, drawn.stream)
                && world.events[event].captured
                && world.streams[stream].state == State::Idle
            {
                scenes::join(world, stream);
            }
        }
        Effect::DestroyEvent => {
            if let Some(at) = drawn.event {
                world.events[at].alive = false;
            }
        }
        Effect::DestroyGraph => {
            if let Some(at) = drawn.graph.filter(|at| !world.graphs[*at].inner) {
                world.graphs[at].alive = false;
            }
        }
        Effect::DestroyExec => {
            if let Some(at) = drawn.exec {
                world.execs[at].alive = false;
            }
        }
        Effect::External => {
            if let Some(at) = drawn.event {
                world.events[at].in_node = true;
            }
        }
        Effect::Unsafe => world.unsafe_call(thread),
        Effect::Query => {
            if let Some(at) = drawn.stream.filter(|at| world.streams[*at].capturing()) {
                world.streams[at].state = State::Invalid;
            } else {
                world.unsafe_call(thread);
            }
        }
        Effect::Free => {
            if let Some(at) = drawn.allocation {
                world.allocations.remove(at);
            }
            world.unsafe_call(thread);
        }
    }
}

/// Notes the variable that a row's line made.
fn keep(world: &mut World, row: &Row, drawn: &Drawn, name: String) {
    match row.makes {
        "G" if row.effect == Effect::End => {
            if let Some(stream) = drawn.stream {
                ended(world, stream, name);
            }
        }
        "G" => {
            // A clone's nodes have handles of their own.
            world.add_graph(name, Vec::new(), false);
        }
        "CG" | "IG" => {
            world.add_graph(name, Vec::new(), true);
        }
        "N" => {
            if let (Some(graph), Some(kind)) = (drawn.graph, scenes::kind_of(row.call)) {
                let args = drawn.text.get(2).cloned().unwrap_or_default();
                world.graphs[graph].nodes.push(Node { name, kind, args, after: drawn.places.clone() });
            }
        }
        "CN" => world.captured.push(name),
        "X" => {
            if let Some(graph) = drawn.graph {
                world.execs.push(Exec { name, graph, alive: true });
            }
        }
        "M" => world.allocations.push((name, drawn.stream)),
        "E" => world.events.push(Event { name, captured: false, in_node: false, alive: true }),
        "S" => world.streams.push(Stream {
            name,
            kind: if drawn.text.first().is_some_and(|flags| flags == "0") { "blocking" } else { "nonblocking" },
            state: State::Idle,
            thread: 0,
            mode: "GLOBAL",
            to: None,
            alive: true,
        }),
        "handle" => {
            if let Some(graph) = drawn.graph {
                world.handles.push((name, graph));
            }
        }
        _ => {}
    }
}
