//! Questions that a case asks about the state it has reached.

use super::api::Entry;
use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch};
use super::{Special, host, names, specials};
use crate::conformance::expand::Step;

pub(super) const CALLS: &[Special] = specials! {
    "status" 1..=1 Nothing status;
    "nodes" 1..=1 Nothing |env, step| nodes(env, step, |_, nodes| nodes.len().to_string());
    "types" 1..=1 Nothing |env, step| nodes(env, step, types);
    "edges" 1..=1 Nothing |env, step| edges(env, step, |edges, _| edges.len().to_string());
    "edgelist" 1..=1 Nothing |env, step| edges(env, step, edge_list);
    "node" 2..=3 Value node;
    "cuGraphNodeGetType" 1..=1 Nothing node_type;
    "dependencies" 1..=1 Nothing |env, step| neighbours(env, step, "cuGraphNodeGetDependencies");
    "dependents" 1..=1 Nothing |env, step| neighbours(env, step, "cuGraphNodeGetDependentNodes");
    "read" 2..=2 Nothing read;
    "same" 2..=2 Nothing same;
    "runs" 0..=0 Nothing |_, _| Ok(Box::new(|| Answer::words(host::runs().to_string())));
    "hostresult" 0..=0 Nothing |_, _| Ok(Box::new(|| Answer::words(host::call_result())));
    "recaptured" 0..=0 Nothing |_, _| Ok(Box::new(|| Answer::words(host::recaptured())));
};

/// The capture status as one word, or the error of the question.
fn status(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream) = (env.entry("cuStreamIsCapturing")?, env.arg(step, 0)?.bits);
    let out = Scratch::new(8);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (stream, status*).
        match unsafe { entry.call(&[stream, out.address()]) } {
            0 => Answer::words(names::capture_status(out.read_u32(0))),
            code => Answer::code(code),
        }
    }))
}

/// The entry points that list a graph.
#[derive(Clone, Copy)]
struct Lister {
    nodes: Entry,
    node_type: Entry,
    edges: Entry,
    /// The second version of `cuGraphGetEdges` returns edge data too.
    with_edge_data: bool,
}

impl Lister {
    fn new(env: &Env) -> Result<Self, Problem> {
        let (version, edges) = env.any_entry(&["cuGraphGetEdges_v2", "cuGraphGetEdges"])?;
        let (nodes, node_type) = (env.entry("cuGraphGetNodes")?, env.entry("cuGraphNodeGetType")?);
        Ok(Self { nodes, node_type, edges, with_edge_data: version == 0 })
    }

    /// The nodes, in the driver's order.
    fn nodes(self, graph: u64) -> Result<Vec<u64>, i32> {
        let mut count = 0u64;
        // SAFETY: cuda.h: (graph, nodes*, count*); a null array asks for the count.
        ok(unsafe { self.nodes.call(&[graph, 0, &raw mut count as u64]) })?;
        let mut out = vec![0u64; count as usize];
        if count > 0 {
            // SAFETY: the array has as many entries as the count says.
            ok(unsafe { self.nodes.call(&[graph, out.as_mut_ptr() as u64, &raw mut count as u64]) })?;
        }
        out.truncate(count as usize);
        Ok(out)
    }

    fn node_type(self, node: u64) -> Result<u64, i32> {
        let mut out = 0u64;
        // SAFETY: cuda.h: (node, type*); 8 bytes hold the 4 that it stores.
        ok(unsafe { self.node_type.call(&[node, &raw mut out as u64]) })?;
        Ok(out)
    }

    fn edges(self, graph: u64) -> Result<Vec<(u64, u64)>, i32> {
        let ask = |from: u64, to: u64, data: u64, count: &mut u64| {
            let count = std::ptr::from_mut(count) as u64;
            let words = [graph, from, to, data, count];
            // SAFETY: cuda.h: (graph, from*, to*, [edge data*,] count*); the arrays hold `count` entries.
            ok(unsafe {
                if self.with_edge_data { self.edges.call(&words) } else { self.edges.call(&[graph, from, to, count]) }
            })
        };
        let mut count = 0u64;
        ask(0, 0, 0, &mut count)?;
        let (mut from, mut to, mut data) = (handles(count), handles(count), handles(count));
        if count > 0 {
            ask(from.as_mut_ptr() as u64, to.as_mut_ptr() as u64, data.as_mut_ptr() as u64, &mut count)?;
        }
        Ok(from.into_iter().zip(to).take(count as usize).collect())
    }
}

/// Room for `count` handles, or entries of `CUgraphEdgeData`, which has their size.
fn handles(count: u64) -> Vec<u64> {
    vec![0; count as usize]
}

fn ok(code: i32) -> Result<(), i32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

/// A list of the graph's nodes as one line, or the code of the question that failed.
fn listing(answer: Result<String, i32>) -> Answer {
    match answer {
        Ok(text) if text.is_empty() => Answer::words("NONE"),
        Ok(text) => Answer::words(text),
        Err(code) => Answer::code(code),
    }
}

fn nodes(env: &mut Env, step: &Step, show: fn(Lister, &[u64]) -> String) -> Result<Prepared, Problem> {
    let (lister, graph) = (Lister::new(env)?, env.arg(step, 0)?.bits);
    Ok(Box::new(move || listing(lister.nodes(graph).map(|nodes| show(lister, &nodes)))))
}

/// The types in alphabetical order, `TYPE` or `TYPE*count`.
fn types(lister: Lister, nodes: &[u64]) -> String {
    let mut names: Vec<String> =
        nodes.iter().map(|node| lister.node_type(*node).map_or_else(names::result_name, names::node_type)).collect();
    names.sort();
    let groups = names.chunk_by(|left, right| left == right);
    let words =
        groups.map(|group| if group.len() == 1 { group[0].clone() } else { format!("{}*{}", group[0], group.len()) });
    words.collect::<Vec<_>>().join(" ")
}

type Edges = [(u64, u64)];

fn edges(env: &mut Env, step: &Step, show: fn(&Edges, &[u64]) -> String) -> Result<Prepared, Problem> {
    let (lister, graph) = (Lister::new(env)?, env.arg(step, 0)?.bits);
    Ok(Box::new(move || listing(lister.nodes(graph).and_then(|nodes| Ok(show(&lister.edges(graph)?, &nodes))))))
}

/// `from>to` by place in the driver's list of nodes, sorted.
fn edge_list(edges: &Edges, nodes: &[u64]) -> String {
    let place =
        |wanted: u64| nodes.iter().position(|node| *node == wanted).map_or_else(|| "?".into(), |at| at.to_string());
    let mut words: Vec<String> = edges.iter().map(|(from, to)| format!("{}>{}", place(*from), place(*to))).collect();
    words.sort();
    words.join(" ")
}

/// `N = node GRAPH TYPE [INDEX]`: a node of that type, in the driver's order.
fn node(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (lister, graph) = (Lister::new(env)?, env.arg(step, 0)?.bits);
    let wanted = env.word(step, 1)?.to_owned();
    let at = env.arg_or(step, 2, 0)? as usize;
    Ok(Box::new(move || match lister.nodes(graph) {
        Ok(nodes) => {
            let is_wanted = |node: &u64| lister.node_type(*node).is_ok_and(|kind| names::node_type(kind) == wanted);
            match nodes.into_iter().filter(is_wanted).nth(at) {
                Some(node) => Answer::created(0, node, Kind::Other),
                None => Answer::words("NONE"),
            }
        }
        Err(code) => Answer::code(code),
    }))
}

fn node_type(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, node) = (env.entry("cuGraphNodeGetType")?, env.arg(step, 0)?.bits);
    let out = Scratch::new(8);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (node, type*).
        let code = unsafe { entry.call(&[node, out.address()]) };
        Answer::with(code, || names::node_type(out.read_u32(0)))
    }))
}

/// The count of a node's dependencies or dependents.
fn neighbours(env: &mut Env, step: &Step, name: &str) -> Result<Prepared, Problem> {
    let (version, entry) = env.any_entry(&[&format!("{name}_v2"), name])?;
    let node = env.arg(step, 0)?.bits;
    let count = Scratch::new(8);
    let words = if version == 0 { vec![node, 0, 0, count.address()] } else { vec![node, 0, count.address()] };
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (node, nodes*, [edge data*,] count*); null arrays ask for the count.
        match unsafe { entry.call(&words) } {
            0 => Answer::words(count.read(0).to_string()),
            code => Answer::code(code),
        }
    }))
}

/// The first 32-bit words of a buffer: of device memory after a context synchronisation, of host
/// memory as the host sees it now.
fn read(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (memory, count) = (env.arg(step, 0)?, env.arg(step, 1)?.bits as usize);
    let (synchronize, copy) = (env.entry("cuCtxSynchronize")?, env.entry("cuMemcpyDtoH_v2")?);
    Ok(Box::new(move || {
        let mut words = vec![0u32; count];
        if memory.kind == Kind::Host {
            for (at, word) in words.iter_mut().enumerate() {
                // SAFETY: host memory that the case declared with at least this many bytes.
                *word = unsafe { (memory.bits as *const u32).add(at).read_volatile() };
            }
        } else {
            // SAFETY: cuda.h: ().
            let mut code = unsafe { synchronize.call(&[]) };
            if code == 0 {
                // SAFETY: cuda.h: (host, device, bytes); the array has that many bytes.
                code = unsafe { copy.call(&[words.as_mut_ptr() as u64, memory.bits, 4 * count as u64]) };
            }
            if code != 0 {
                return Answer::code(code);
            }
        }
        Answer::words(words.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
    }))
}

/// Whether two variables hold the same handle, address or identifier.
fn same(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let equal = env.arg(step, 0)?.bits == env.arg(step, 1)?.bits;
    Ok(Box::new(move || Answer::words(if equal { "yes" } else { "no" })))
}
