//! Who owns which handle while a sequence runs, so that no line uses what is gone and nothing stays.
//!
//! NVIDIA's driver ends the process when it is given a stream, a node or an executable graph that was
//! destroyed. A variable whose object is gone becomes unset: a later line with it answers `UNSET` and
//! calls nothing. What the driver answers decides, not what the generator believed.

use crate::conformance::call::env::Env;
use crate::conformance::expand::{Arg, Step};

/// What a handle is, as far as its life goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Stream,
    Event,
    Graph,
    /// The graph of a capture in progress.
    CaptureGraph,
    /// A body, or the graph of a child node: it lives as long as its node.
    Inner,
    /// A node or a conditional handle: it lives as long as its graph.
    Part,
    /// The driver's array of a conditional node's bodies.
    Bodies,
    Exec,
    /// From cuMemAlloc and its kin.
    Device,
    /// From cuMemAllocAsync or an allocation node.
    Pooled,
    Host,
}

/// The owner of a node that `lastnode` gave: the graph of some capture in progress.
const SOME_CAPTURE: u64 = u64::MAX;

#[derive(Debug)]
pub struct Object {
    pub bits: u64,
    pub class: Class,
    owner: Option<u64>,
    vars: Vec<String>,
}

/// The objects of the running sequence.
#[derive(Debug, Default)]
pub struct Ledger {
    objects: Vec<Object>,
    /// Graphs that a failed capture may have destroyed. Their variables stay, because the driver answers
    /// an error to them, until a new graph could get the same address.
    doubtful: Vec<u64>,
    /// Captures that were begun: the stream, the thread, the graph that the caller gave.
    begun: Vec<(u64, String, Option<u64>)>,
}

impl Ledger {
    /// The objects of a class, the oldest first.
    pub fn of(&self, class: Class) -> impl Iterator<Item = u64> {
        self.objects.iter().filter(move |object| object.class == class).map(|object| object.bits)
    }

    /// The streams that began a capture, with the thread, the latest first.
    pub fn begun(&self) -> impl Iterator<Item = (u64, &str)> {
        self.begun.iter().rev().map(|(stream, thread, _)| (*stream, thread.as_str()))
    }

    /// True of a graph that may be gone.
    pub fn is_doubtful(&self, graph: u64) -> bool {
        self.doubtful.contains(&graph)
    }

    /// Before a call that may create a graph: what may be gone is no longer named.
    pub fn before(&mut self, env: &mut Env, step: &Step) {
        let creates = matches!(
            step.call.as_str(),
            "cuGraphCreate"
                | "cuGraphClone"
                | "cuStreamBeginCapture"
                | "cuGraphAddChildGraphNode"
                | "cuGraphAddConditionalNode"
                | "cuGraphInstantiate"
                | "cuGraphInstantiateWithParams"
        );
        if creates {
            for graph in std::mem::take(&mut self.doubtful) {
                self.drop_graph(env, graph);
            }
        }
    }

    /// True of a call that no driver could be given: it would end the process.
    ///
    /// NVIDIA's driver follows a graph that is a child of itself without an end, and survives neither a
    /// second capture with dependencies to a graph nor the loss of a body that is captured to.
    pub fn refuses(&self, env: &Env, step: &Step) -> bool {
        let captured = |graph: u64| self.begun.iter().any(|(_, _, to)| *to == Some(graph));
        let captured_inside = |graph: u64| {
            let mut targets = self.begun.iter().filter_map(|(_, _, to)| *to);
            targets.any(|to| to != graph && self.root(to) == self.root(graph))
        };
        match step.call.as_str() {
            "cuGraphAddChildGraphNode" => {
                let graphs = (argument(env, step, 0), argument(env, step, 2));
                matches!(graphs, (Some(parent), Some(child)) if self.root(parent) == self.root(child))
            }
            "cuStreamBeginCaptureToGraph" => {
                let some = matches!(step.args.get(2), Some(Arg::List(nodes)) if !nodes.is_empty());
                let in_progress = |graph| captured(graph) || self.of(Class::CaptureGraph).any(|known| known == graph);
                some && argument(env, step, 1).is_some_and(in_progress)
            }
            "cuGraphDestroy" => argument(env, step, 0).is_some_and(captured_inside),
            "cuGraphDestroyNode" => {
                argument(env, step, 0).and_then(|node| self.owner_of(node)).is_some_and(captured_inside)
            }
            _ => false,
        }
    }

    /// The graph that a body or a child node's graph belongs to in the end.
    pub fn root(&self, graph: u64) -> u64 {
        let inner = self.objects.iter().find(|object| object.bits == graph && object.class == Class::Inner);
        match inner.and_then(|object| object.owner).filter(|owner| *owner != graph) {
            Some(owner) => self.root(owner),
            None => graph,
        }
    }

    /// The graph that the caller gave a stream to capture to.
    pub fn target(&self, stream: u64) -> Option<u64> {
        self.begun.iter().rev().find(|(begun, _, _)| *begun == stream).and_then(|(_, _, to)| *to)
    }

    /// Takes note of what a call did. `made` is the value that it created, under `var`.
    pub fn after(&mut self, env: &mut Env, step: &Step, answer: &str, var: Option<&str>, made: Option<u64>) {
        let ok = answer.split(' ').next() == Some("SUCCESS");
        let first = argument(env, step, 0);
        match step.call.as_str() {
            "stream" => {
                let owned =
                    matches!(step.args.get(1), Some(Arg::Word(kind)) if kind == "blocking" || kind == "nonblocking");
                if owned {
                    self.add(Class::Stream, None, var, made);
                }
            }
            "cuStreamCreate" | "cuStreamCreateWithPriority" => self.add(Class::Stream, None, var, made),
            "event" | "cuEventCreate" => self.add(Class::Event, None, var, made),
            "device" | "cuMemAlloc" | "cuMemAllocManaged" | "cuMemAllocPitch" => {
                self.add(Class::Device, None, var, made);
            }
            "cuMemAllocAsync" | "allocated" => self.add(Class::Pooled, None, var, made),
            "pinned" | "cuMemHostAlloc" | "cuMemAllocHost" => self.add(Class::Host, None, var, made),
            "cuGraphCreate" | "cuGraphClone" => self.add(Class::Graph, None, var, made),
            "capturegraph" => self.add(Class::CaptureGraph, None, var, made),
            "cuStreamEndCapture" => self.ended(env, first, var, made),
            "cuStreamBeginCapture" | "cuStreamBeginCaptureToGraph" if ok => {
                let to = (step.call == "cuStreamBeginCaptureToGraph").then(|| argument(env, step, 1)).flatten();
                if let Some(stream) = first {
                    self.begun.push((stream, step.thread.clone(), to));
                }
            }
            "cuGraphInstantiate" | "cuGraphInstantiateWithParams" => self.add(Class::Exec, None, var, made),
            "lastnode" => self.add(Class::Part, Some(SOME_CAPTURE), var, made),
            "node" => self.add(Class::Part, first, var, made),
            "cuGraphNodeFindInClone" => {
                let clone = argument(env, step, 1);
                self.add(Class::Part, clone, var, made);
            }
            "cuGraphConditionalHandleCreate" => self.add(Class::Part, first, var, made),
            "body" | "cuGraphChildGraphNodeGetGraph" => {
                let owner = first.and_then(|part| self.owner_of(part));
                self.add(Class::Inner, owner, var, made);
            }
            "cuGraphAddConditionalNode" => self.add(Class::Bodies, first, var, made),
            call if call.starts_with("cuGraphAdd") && made.is_some() => {
                self.add(Class::Part, first, var, made);
            }
            "cuStreamDestroy" if ok => {
                // A capture of its own, if any, has failed.
                self.ended(env, first, None, None);
                self.remove(env, Class::Stream, first);
            }
            "cuEventDestroy" if ok => self.remove(env, Class::Event, first),
            "cuMemFree" if ok => {
                self.remove(env, Class::Device, first);
                self.remove(env, Class::Pooled, first);
            }
            "cuGraphExecDestroy" if ok => self.remove(env, Class::Exec, first),
            "cuGraphDestroy" if ok => {
                if let Some(graph) = first {
                    self.drop_graph(env, graph);
                    self.drop_captured(env);
                }
            }
            "cuGraphDestroyNode" if ok => {
                let owner = first.and_then(|part| self.owner_of(part));
                self.remove(env, Class::Part, first);
                // The node may have been the one that held a body or a child graph.
                self.owned(owner, Class::Inner).into_iter().for_each(|graph| self.drop_graph(env, graph));
                self.owned(owner, Class::Bodies).into_iter().for_each(|array| {
                    self.remove(env, Class::Bodies, Some(array));
                });
            }
            _ => {}
        }
    }

    fn ended(&mut self, env: &mut Env, stream: Option<u64>, var: Option<&str>, made: Option<u64>) {
        let to = stream.and_then(|stream| self.target(stream));
        match made {
            Some(graph) => {
                // The graph of the capture is the caller's now.
                if let Some(known) =
                    self.objects.iter_mut().find(|object| object.bits == graph && object.class == Class::CaptureGraph)
                {
                    known.class = Class::Graph;
                }
                self.add(Class::Graph, None, var, made);
                self.begun.retain(|(begun, _, _)| Some(*begun) != stream);
            }
            None => {
                // A body that is gone takes the graph with it: NVIDIA's driver does not survive its use.
                if let Some(graph) = to.filter(|graph| self.root(*graph) != *graph) {
                    self.drop_graph(env, self.root(graph));
                } else if let Some(graph) = to {
                    self.owned(Some(graph), Class::Part).into_iter().for_each(|part| {
                        self.remove(env, Class::Part, Some(part));
                    });
                    self.owned(Some(graph), Class::Inner).into_iter().for_each(|inner| self.drop_graph(env, inner));
                    self.doubtful.push(graph);
                }
                self.drop_captured(env);
            }
        }
    }

    /// Forgets the graphs of captures in progress and their nodes: one of them may be gone.
    fn drop_captured(&mut self, env: &mut Env) {
        let graphs: Vec<u64> = self.of(Class::CaptureGraph).collect();
        graphs.into_iter().for_each(|graph| self.drop_graph(env, graph));
        self.owned(Some(SOME_CAPTURE), Class::Part).into_iter().for_each(|part| {
            self.remove(env, Class::Part, Some(part));
        });
    }

    fn owner_of(&self, part: u64) -> Option<u64> {
        self.objects
            .iter()
            .find(|object| object.bits == part && matches!(object.class, Class::Part | Class::Bodies))?
            .owner
    }

    fn owned(&self, owner: Option<u64>, class: Class) -> Vec<u64> {
        let owned =
            self.objects.iter().filter(|object| owner.is_some() && object.owner == owner && object.class == class);
        owned.map(|object| object.bits).collect()
    }

    fn add(&mut self, class: Class, owner: Option<u64>, var: Option<&str>, made: Option<u64>) {
        let (Some(bits), vars) = (made.filter(|bits| *bits != 0), var.map(str::to_owned)) else { return };
        let graphs = [Class::Graph, Class::CaptureGraph, Class::Inner];
        let same = |object: &&mut Object| {
            object.bits == bits
                && (object.class == class || (graphs.contains(&object.class) && graphs.contains(&class)))
        };
        match self.objects.iter_mut().find(same) {
            Some(known) => known.vars.extend(vars),
            None => self.objects.push(Object { bits, class, owner, vars: vars.into_iter().collect() }),
        }
    }

    fn remove(&mut self, env: &mut Env, class: Class, bits: Option<u64>) {
        let Some(bits) = bits else { return };
        self.objects.retain(|object| {
            let gone = object.class == class && object.bits == bits;
            if gone {
                object.vars.iter().for_each(|var| env.set(var, None));
            }
            !gone
        });
    }

    /// Removes a graph with everything that lives in it.
    fn drop_graph(&mut self, env: &mut Env, graph: u64) {
        for class in [Class::Graph, Class::CaptureGraph, Class::Inner] {
            self.remove(env, class, Some(graph));
        }
        for class in [Class::Part, Class::Bodies, Class::Inner] {
            for part in self.owned(Some(graph), class) {
                match class {
                    Class::Inner => self.drop_graph(env, part),
                    class => self.remove(env, class, Some(part)),
                }
            }
        }
    }
}

fn argument(env: &Env, step: &Step, at: usize) -> Option<u64> {
    match step.args.get(at) {
        Some(Arg::Word(word)) => env.value(word).ok().map(|value| value.bits),
        _ => None,
    }
}
