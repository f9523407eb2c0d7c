//! All graphs of the process, and the life of a graph.

use std::collections::{BTreeMap, HashMap};

use super::conditional::Handle;
use super::edge::Edges;
use super::exec::Exec;
use super::memory::{GraphMemory, MemoryNodes};
use super::node::{Node, NodeType, NodeWork};
use super::user_object::UserObject;
use crate::params::Callback;
use crate::work::NodeParams;
use crate::{Handles, Kind};
use graphproof_api::{CUresult, Cuda};

/// Who may destroy a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The caller of the API.
    User,
    /// A capture in progress; it becomes the user's when the capture ends well.
    Capture,
    /// The child graph or conditional node with this handle.
    Node(u64),
}

/// A graph.
#[derive(Debug)]
pub struct Graph {
    pub(super) id: u32,
    pub(super) owner: Owner,
    /// In order of creation. Destroyed nodes are skipped and swept out later.
    pub(super) nodes: Vec<u64>,
    pub(super) destroyed: usize,
    pub(super) next_local_id: u32,
    /// Nodes with graphs inside.
    pub(super) compound: Vec<u64>,
    /// An allocation or a free node was asked for, here or in a child graph that was moved here. It
    /// stays, also where the node was refused (M, H200, driver 580.159.04).
    pub(super) has_memory: bool,
    /// A conditional handle or node was made for it. It stays (M, H200, driver 580.159.04).
    pub(super) has_conditional: bool,
    /// Its clones that exist, those in child graph nodes too.
    pub(super) copies: u32,
    /// What it is a clone of.
    pub(super) copy_of: Option<u64>,
    /// Captures in progress that add to this graph.
    pub(super) captures: u32,
    /// Executable graphs made from it that still exist.
    pub(super) execs: u32,
    /// Those of them that were made, or updated from it, while it could have one only.
    pub(super) single_execs: u32,
    /// How often a node of it has become a sink.
    pub(super) sinks_made: u64,
    pub(super) conditionals: Vec<u64>,
    pub(super) objects: BTreeMap<u64, u64>,
    /// Node of the original to node of this clone.
    pub(super) clone_of: HashMap<u64, u64>,
    /// Whether this graph is, or lies in, the body of a conditional node.
    pub(super) in_conditional: bool,
}

impl Graph {
    /// `cuGraphGetId`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Who may destroy it.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.destroyed
    }

    /// Whether it has no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All graphs of the process and their instances.
#[derive(Debug)]
pub struct Graphs {
    pub(super) graphs: Handles<Graph>,
    pub(super) nodes: Handles<Node>,
    pub(super) execs: Handles<Exec>,
    pub(super) edges: Edges,
    pub(super) objects: Handles<UserObject>,
    pub(super) handles: Handles<Handle>,
    pub(super) memory: GraphMemory,
    pub(super) destructors: Vec<Callback>,
    pub(super) retired: Vec<super::launch::Retired>,
    next_id: u32,
}

impl Default for Graphs {
    fn default() -> Self {
        Self {
            graphs: Handles::new(Kind::Graph),
            nodes: Handles::new(Kind::GraphNode),
            execs: Handles::new(Kind::GraphExec),
            edges: Edges::default(),
            objects: Handles::new(Kind::UserObject),
            handles: Handles::new(Kind::Conditional),
            memory: GraphMemory::default(),
            destructors: Vec::new(),
            retired: Vec::new(),
            next_id: 1,
        }
    }
}

impl Graphs {
    /// Whether a handle named something of a graph that is gone.
    pub fn was_destroyed(&self, handle: u64) -> bool {
        self.graphs.was_destroyed(handle)
            || self.nodes.was_destroyed(handle)
            || self.execs.was_destroyed(handle)
            || self.objects.was_destroyed(handle)
            || self.handles.was_destroyed(handle)
    }

    /// `cuGraphCreate`.
    pub fn create(&mut self) -> u64 {
        self.create_owned(Owner::User)
    }

    pub(crate) fn create_owned(&mut self, owner: Owner) -> u64 {
        let id = self.next_id();
        self.graphs.insert(Graph {
            id,
            owner,
            nodes: Vec::new(),
            destroyed: 0,
            next_local_id: 0,
            compound: Vec::new(),
            has_memory: false,
            has_conditional: false,
            copies: 0,
            copy_of: None,
            captures: 0,
            execs: 0,
            single_execs: 0,
            sinks_made: 0,
            conditionals: Vec::new(),
            objects: BTreeMap::new(),
            clone_of: HashMap::new(),
            in_conditional: false,
        })
    }

    /// Graphs and executable graphs take their ids from one sequence, as CUPTI reports them.
    pub(super) fn next_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        id
    }

    /// A graph; null, foreign and destroyed handles are `CUDA_ERROR_INVALID_VALUE`.
    pub fn graph(&self, graph: u64) -> Cuda<&Graph> {
        self.graphs.get(graph).ok_or(CUresult::INVALID_VALUE)
    }

    pub(super) fn graph_mut(&mut self, graph: u64) -> Cuda<&mut Graph> {
        self.graphs.get_mut(graph).ok_or(CUresult::INVALID_VALUE)
    }

    /// A node; null, foreign and destroyed handles are `CUDA_ERROR_INVALID_VALUE`.
    pub fn node(&self, node: u64) -> Cuda<&Node> {
        self.nodes.get(node).ok_or(CUresult::INVALID_VALUE)
    }

    pub(super) fn node_mut(&mut self, node: u64) -> Cuda<&mut Node> {
        self.nodes.get_mut(node).ok_or(CUresult::INVALID_VALUE)
    }

    /// A node of that type.
    pub fn node_of(&self, node: u64, kind: NodeType) -> Cuda<&Node> {
        self.node(node).and_then(
            |found| {
                if found.work.node_type() == kind { Ok(found) } else { Err(CUresult::INVALID_VALUE) }
            },
        )
    }

    /// `cuGraphDestroy`. A graph that a node owns, or that a capture is adding to, stays.
    pub fn destroy(&mut self, graph: u64) -> Cuda {
        let found = self.graph(graph)?;
        // D (cuda.h, cuStreamGetCaptureInfo): destroy is not permitted during the capture; M for the
        // code and that it comes first (H200, driver 580.159.04).
        if found.owner == Owner::Capture || self.any_nested(graph, |inner| inner.captures > 0) {
            return Err(CUresult::ILLEGAL_STATE);
        }
        // A child graph belongs to its node (D, CUgraphChildGraphNodeOwnership).
        if matches!(found.owner, Owner::Node(_)) {
            return Err(CUresult::INVALID_VALUE);
        }
        self.remove_graph(graph);
        Ok(())
    }

    /// Removes a graph with everything in it, whoever owns it.
    pub(crate) fn remove_graph(&mut self, graph: u64) {
        let mut pending = vec![graph];
        while let Some(handle) = pending.pop() {
            let Some(graph) = self.graphs.remove(handle) else { continue };
            let mut memory = MemoryNodes::default();
            for node in graph.nodes {
                let Some(node) = self.nodes.remove(node) else { continue };
                match node.work {
                    NodeWork::Work(NodeParams::MemAlloc { address, .. }) => memory.allocs.push(address),
                    NodeWork::Work(NodeParams::MemFree { address }) => memory.frees.push(address),
                    _ => {}
                }
                let mut next = Vec::with_capacity(node.outgoing.len());
                next.extend(self.edges.iter(node.outgoing, super::edge::Side::Outgoing).map(|(index, _)| index));
                // Both ends of every edge go with the graph, so only the slots need giving back.
                next.into_iter().for_each(|edge| self.edges.release(edge));
                pending.extend_from_slice(node.work.graphs());
            }
            if let Some(original) = graph.copy_of.and_then(|original| self.graphs.get_mut(original)) {
                original.copies = original.copies.saturating_sub(1);
            }
            for conditional in graph.conditionals {
                self.handles.remove(conditional);
            }
            self.memory.graph_destroyed(handle, &memory);
            for (object, count) in graph.objects {
                self.release_object(object, count);
            }
        }
    }

    /// The graph's nodes in order of creation.
    pub fn nodes(&self, graph: u64) -> Cuda<impl Iterator<Item = (u64, &Node)>> {
        let graph = self.graph(graph)?;
        Ok(graph.nodes.iter().filter_map(|&handle| Some((handle, self.nodes.get(handle)?))))
    }

    /// Whether a conditional node owns the graph.
    pub(super) fn is_body(&self, graph: u64) -> bool {
        let Some(Owner::Node(node)) = self.graphs.get(graph).map(|graph| graph.owner) else { return false };
        matches!(self.nodes.get(node).map(|node| &node.work), Some(NodeWork::Conditional(_)))
    }

    /// Whether the graph, or a graph inside it, satisfies `test`.
    pub(super) fn any_nested(&self, graph: u64, test: impl Fn(&Graph) -> bool) -> bool {
        let mut pending = vec![graph];
        while let Some(handle) = pending.pop() {
            let Some(graph) = self.graphs.get(handle) else { continue };
            if test(graph) {
                return true;
            }
            for node in graph.compound.iter().filter_map(|&node| self.nodes.get(node)) {
                pending.extend_from_slice(node.work.graphs());
            }
        }
        false
    }

    /// The graph is restricted as one with allocation or free nodes, at any depth.
    pub fn has_memory_nodes(&self, graph: u64) -> bool {
        self.graphs.get(graph).is_some_and(|graph| graph.has_memory)
    }

    /// The graph is restricted as one with conditional nodes, at any depth.
    pub fn has_conditionals(&self, graph: u64) -> bool {
        self.any_nested(graph, |graph| graph.has_conditional)
    }

    /// A capture begins to add to the graph, or has ended.
    pub(crate) fn count_capture(&mut self, graph: u64, begins: bool) {
        if let Some(graph) = self.graphs.get_mut(graph) {
            graph.captures = if begins { graph.captures + 1 } else { graph.captures.saturating_sub(1) };
        }
    }

    /// A capture is adding to the graph.
    pub(crate) fn has_capture(&self, graph: u64) -> bool {
        self.graphs.get(graph).is_some_and(|graph| graph.captures > 0)
    }

    /// A capture ended well: its graph is the user's now.
    pub(crate) fn hand_over(&mut self, graph: u64) {
        if let Some(graph) = self.graphs.get_mut(graph) {
            graph.owner = Owner::User;
        }
    }

    /// Addresses of graph allocations that nothing can reach any more: the device may use them
    /// again. Call it after each call that changes graphs.
    pub fn take_released(&mut self) -> Vec<u64> {
        self.memory.take_released()
    }

    /// Hands a released address back: work that was put on a stream before still uses it.
    pub fn keep_released(&mut self, address: u64) {
        self.memory.keep_released(address);
    }

    /// Destructors of user objects that are due. Call them with no lock held.
    pub fn take_destructors(&mut self) -> Vec<Callback> {
        self.sweep_retired();
        std::mem::take(&mut self.destructors)
    }
}
