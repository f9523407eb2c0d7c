//! Executable graphs: a snapshot of a graph, checked for structure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use graphproof_scheduler::Ticket;

use super::edge::{EdgeData, Side};
use super::memory::MemoryNodes;
use super::node::{NodeInfo, NodeType, NodeWork};
use super::store::{Graphs, Owner};
use super::structure;
use crate::EventId;
use crate::work::{ConditionalKind, NodeParams, Plan};
use graphproof_api::{CUresult, Cuda};

/// `CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH`.
pub const AUTO_FREE_ON_LAUNCH: u64 = 1;
/// `CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD`.
pub const UPLOAD: u64 = 2;
/// `CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH`.
pub const DEVICE_LAUNCH: u64 = 4;
/// `CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY`.
pub const USE_NODE_PRIORITY: u64 = 8;

/// `CUgraphInstantiateResult`, without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum InstantiateResult {
    Error = 1,
    InvalidStructure = 2,
    NodeOperationNotSupported = 3,
    MultipleContextsNotSupported = 4,
    ConditionalHandleUnused = 5,
}

/// Why a graph could not be instantiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstantiateError {
    /// What the call returns.
    pub code: CUresult,
    /// `result_out`.
    pub result: InstantiateResult,
    /// `hErrNode_out`, 0 for none.
    pub node: u64,
}

impl From<CUresult> for InstantiateError {
    fn from(code: CUresult) -> Self {
        Self { code, result: InstantiateResult::Error, node: 0 }
    }
}

/// An executable graph.
#[derive(Debug)]
pub struct Exec {
    pub(super) id: u32,
    pub(super) flags: u64,
    /// The graph that can have no other instance because of this one.
    pub(super) single_of: Option<u64>,
    pub(super) body: Snapshot,
    /// Built at the first launch after a change. Launches in flight keep the one they began with.
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) memory: MemoryNodes,
    pub(super) objects: Vec<u64>,
    pub(super) ticket: Option<Ticket>,
}

impl Exec {
    /// `cuGraphExecGetId`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The events that the stream of a launch itself waits for: those of the first branch, from the first
    /// node without dependencies along first dependents. The driver runs the others on streams of its
    /// own (M, H200, driver 580.159.04).
    pub fn waits(&self) -> Vec<EventId> {
        let dependents = super::plan::dependents(&self.body);
        let mut events = Vec::new();
        let mut next = (0..self.body.nodes.len()).find(|&node| self.body.dependencies_of(node).is_empty());
        while let Some(node) = next {
            if let ExecWork::Work(NodeParams::EventWait(event)) = self.body.nodes[node].work {
                events.push(event);
            }
            next = dependents[node].iter().min().map(|&node| node as usize).filter(|&after| after > node);
        }
        events
    }

    /// `cuGraphExecGetFlags`: without `UPLOAD` (D) and `USE_NODE_PRIORITY` (M, H200, driver
    /// 580.159.04), which leave no trace.
    pub fn flags(&self) -> u64 {
        self.flags & !(UPLOAD | USE_NODE_PRIORITY)
    }
}

/// The nodes of a graph in order of creation, and their dependencies.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// The graph it was taken of.
    pub graph: u64,
    pub nodes: Vec<ExecNode>,
    /// Dependencies of all nodes, node after node.
    pub dependencies: Vec<(u32, EdgeData)>,
    /// The nodes that no node waits for, in the order in which they became that.
    pub sinks: Vec<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct ExecNode {
    pub source: u64,
    pub local_id: u32,
    pub work: ExecWork,
    pub info: NodeInfo,
    pub enabled: bool,
    /// End of its dependencies in [`Snapshot::dependencies`]; they begin where the previous
    /// node's end.
    pub dependencies_end: u32,
    pub dependents: u32,
}

#[derive(Debug, Clone)]
pub(super) enum ExecWork {
    Work(NodeParams),
    Graph(Box<Snapshot>),
    Conditional {
        handle: u64,
        /// The handle of the same node in the graph that last updated this one, whose kernels pass it:
        /// both name one value.
        twin: u64,
        /// Both are kept here, since the handle goes with the graph that it was made for.
        value: Arc<AtomicU32>,
        default: Option<u32>,
        kind: ConditionalKind,
        bodies: Vec<Snapshot>,
    },
}

impl ExecWork {
    pub fn node_type(&self) -> NodeType {
        match self {
            Self::Work(work) => NodeWork::from(work.clone()).node_type(),
            Self::Graph(_) => NodeType::Graph,
            Self::Conditional { .. } => NodeType::Conditional,
        }
    }

    pub fn graphs(&self) -> &[Snapshot] {
        match self {
            Self::Work(_) => &[],
            Self::Graph(graph) => std::slice::from_ref(graph),
            Self::Conditional { bodies, .. } => bodies,
        }
    }

    pub fn graphs_mut(&mut self) -> &mut [Snapshot] {
        match self {
            Self::Work(_) => &mut [],
            Self::Graph(graph) => std::slice::from_mut(graph),
            Self::Conditional { bodies, .. } => bodies,
        }
    }
}

impl Snapshot {
    pub fn dependencies_of(&self, node: usize) -> &[(u32, EdgeData)] {
        let begin = if node == 0 { 0 } else { self.nodes[node - 1].dependencies_end };
        &self.dependencies[begin as usize..self.nodes[node].dependencies_end as usize]
    }

    /// All nodes, those of inner graphs included.
    pub fn visit(&self, visitor: &mut impl FnMut(&ExecNode)) {
        for node in &self.nodes {
            visitor(node);
            node.work.graphs().iter().for_each(|inner| inner.visit(visitor));
        }
    }

    pub fn memory_nodes(&self) -> MemoryNodes {
        let mut found = MemoryNodes::default();
        self.visit(&mut |node| match node.work {
            ExecWork::Work(NodeParams::MemAlloc { address, .. }) => found.allocs.push(address),
            ExecWork::Work(NodeParams::MemFree { address }) => found.frees.push(address),
            _ => {}
        });
        found
    }
}

impl Graphs {
    /// `cuGraphInstantiate…`.
    ///
    /// The checks come in this order (M, H200, driver 580.159.04): the flags, unused handles, what bodies
    /// may hold, what DEVICE_LAUNCH allows, the one instance.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` with the reason and the node; `CUDA_ERROR_NOT_SUPPORTED` for a second
    /// instance of a graph that may have one.
    pub fn instantiate(&mut self, graph: u64, flags: u64) -> Result<u64, InstantiateError> {
        let found = self.graph(graph)?;
        let known = AUTO_FREE_ON_LAUNCH | UPLOAD | DEVICE_LAUNCH | USE_NODE_PRIORITY;
        let contradiction = AUTO_FREE_ON_LAUNCH | DEVICE_LAUNCH;
        if flags & !known != 0 || flags & contradiction == contradiction {
            return Err(CUresult::INVALID_VALUE.into());
        }
        // M (H200, driver 580.159.04): a graph that a capture is adding to may be instantiated, where
        // the call itself is allowed (RELAXED).
        // D (CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE): a child graph is no graph of its own. M for the code of
        // a body (H200, driver 580.159.04).
        if self.is_body(graph) {
            return Err(CUresult::NOT_SUPPORTED.into());
        }
        if matches!(found.owner, Owner::Node(_)) {
            return Err(CUresult::INVALID_VALUE.into());
        }
        if self.any_nested(graph, |inner| self.has_unused_handle(inner.conditionals.as_slice())) {
            let result = InstantiateResult::ConditionalHandleUnused;
            return Err(InstantiateError { code: CUresult::INVALID_VALUE, result, node: 0 });
        }
        self.check_bodies(graph)?;
        let body = self.snapshot(graph)?;
        if flags & DEVICE_LAUNCH != 0 {
            structure::check_device_launch(&body)?;
        }
        let conditional = self.has_conditionals(graph);
        let single = conditional || self.has_memory_nodes(graph);
        let found = self.graph_mut(graph)?;
        // M (H200, driver 580.159.04): an instance made before the first memory node does not count; one made
        // before the first conditional does, and so does a clone, one in a child graph node too, as long as
        // it exists.
        if single && found.single_execs > 0 || conditional && (found.copies > 0 || found.execs > 0) {
            return Err(CUresult::NOT_SUPPORTED.into());
        }
        found.execs += 1;
        found.single_execs += u32::from(single);
        let memory = body.memory_nodes();
        self.memory.count_exec(&memory, true);
        let objects = self.objects_of(graph);
        objects.iter().for_each(|&object| self.retain_object(object, 1));
        let id = self.next_id();
        let exec =
            Exec { id, flags, single_of: single.then_some(graph), body, plan: None, memory, objects, ticket: None };
        Ok(self.execs.insert(exec))
    }

    /// An executable graph; null, foreign and destroyed handles are `CUDA_ERROR_INVALID_VALUE`.
    pub fn exec(&self, exec: u64) -> Cuda<&Exec> {
        self.execs.get(exec).ok_or(CUresult::INVALID_VALUE)
    }

    pub(super) fn exec_mut(&mut self, exec: u64) -> Cuda<&mut Exec> {
        self.execs.get_mut(exec).ok_or(CUresult::INVALID_VALUE)
    }

    /// `cuGraphExecDestroy`. Launches in flight go on; what they need is kept until they end.
    pub fn destroy_exec(&mut self, exec: u64) -> Cuda {
        let exec = self.execs.remove(exec).ok_or(CUresult::INVALID_VALUE)?;
        if let Some(graph) = self.graphs.get_mut(exec.body.graph) {
            graph.execs -= 1;
        }
        if let Some(graph) = exec.single_of.and_then(|graph| self.graphs.get_mut(graph)) {
            graph.single_execs -= 1;
        }
        self.retire(exec);
        Ok(())
    }

    /// D (`CUDA_CONDITIONAL_NODE_PARAMS::phGraph_out`): what a body may hold. M (H200, driver
    /// 580.159.04): the node may be added, and instantiation fails.
    fn check_bodies(&self, graph: u64) -> Result<(), InstantiateError> {
        let mut pending = vec![graph];
        while let Some(graph) = pending.pop() {
            let in_conditional = self.graph(graph).inspect_err(|_| structure::explain_lost_body())?.in_conditional;
            // A search of every node would make each instantiation slower; most graphs have no bodies.
            if in_conditional {
                for (node, found) in self.nodes(graph)? {
                    let code = CUresult::INVALID_VALUE;
                    if !allowed_in_conditional(found.work.node_type()) {
                        // M (H200, driver 580.159.04).
                        let result = InstantiateResult::NodeOperationNotSupported;
                        return Err(InstantiateError { code, result, node });
                    }
                    if let NodeWork::Work(work) = &found.work
                        && structure::is_host_copy(work)
                    {
                        let result = InstantiateResult::MultipleContextsNotSupported;
                        return Err(InstantiateError { code, result, node });
                    }
                }
            }
            let compound = self.graph(graph)?.compound.iter().filter_map(|&node| self.nodes.get(node));
            pending.extend(compound.flat_map(|node| node.work.graphs().iter().copied()));
        }
        Ok(())
    }

    fn has_unused_handle(&self, handles: &[u64]) -> bool {
        handles.iter().any(|&handle| self.handles.get(handle).is_some_and(|handle| handle.node.is_none()))
    }

    fn objects_of(&self, graph: u64) -> Vec<u64> {
        let objects = std::cell::RefCell::new(Vec::new());
        self.any_nested(graph, |graph| {
            objects.borrow_mut().extend(graph.objects.keys().copied());
            false
        });
        objects.into_inner()
    }

    /// Copies a graph as it is now and finds cycles.
    pub(super) fn snapshot(&self, graph: u64) -> Result<Snapshot, InstantiateError> {
        let size = self.graph(graph)?.len();
        let mut snapshot = Snapshot {
            graph,
            nodes: Vec::with_capacity(size),
            dependencies: Vec::with_capacity(size),
            sinks: Vec::new(),
        };
        let mut sinks = Vec::new();
        let order: Vec<u32> = self.nodes(graph)?.map(|(_, node)| node.local_id).collect();
        for (source, node) in self.nodes(graph)? {
            let work = match &node.work {
                NodeWork::Work(work) => {
                    if let NodeParams::Kernel(kernel) = work {
                        kernel.function.settings.loaded.store(true, Ordering::Relaxed);
                    }
                    ExecWork::Work(work.clone())
                }
                NodeWork::ChildGraph(inner) => ExecWork::Graph(Box::new(self.snapshot(*inner)?)),
                NodeWork::Conditional(conditional) => {
                    let (value, default) = self.conditional_value(conditional.handle).unwrap_or_default();
                    ExecWork::Conditional {
                        handle: conditional.handle,
                        twin: conditional.handle,
                        value,
                        default,
                        kind: conditional.kind,
                        bodies: conditional.bodies.iter().map(|&body| self.snapshot(body)).collect::<Result<_, _>>()?,
                    }
                }
            };
            if node.dependents() == 0 {
                sinks.push((node.sink, snapshot.nodes.len() as u32));
            }
            for (_, edge) in self.edges.iter(node.incoming, Side::Incoming) {
                let from = self.node(edge.from)?.local_id;
                // Local ids ascend in order of creation.
                let from = order.binary_search(&from).map_err(|_| CUresult::INVALID_VALUE)?;
                snapshot.dependencies.push((from as u32, edge.data));
            }
            snapshot.nodes.push(ExecNode {
                source,
                local_id: node.local_id,
                work,
                info: node.info.clone(),
                enabled: true,
                dependencies_end: snapshot.dependencies.len() as u32,
                dependents: node.dependents() as u32,
            });
        }
        sinks.sort_unstable();
        snapshot.sinks = sinks.into_iter().map(|(_, node)| node).collect();
        match structure::first_in_cycle(&snapshot) {
            None => Ok(snapshot),
            Some(node) => Err(InstantiateError {
                code: CUresult::INVALID_VALUE,
                result: InstantiateResult::InvalidStructure,
                node: snapshot.nodes[node].source,
            }),
        }
    }
}

/// D (`CUDA_CONDITIONAL_NODE_PARAMS::phGraph_out`).
fn allowed_in_conditional(kind: NodeType) -> bool {
    matches!(
        kind,
        NodeType::Kernel
            | NodeType::Empty
            | NodeType::Graph
            | NodeType::Memset
            | NodeType::Memcpy
            | NodeType::Conditional
    )
}
