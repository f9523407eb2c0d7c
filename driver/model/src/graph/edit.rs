//! Adding and removing nodes and edges.

use std::collections::HashSet;

use super::edge::{EdgeData, EdgeList, Side};
use super::node::{Node, NodeInfo, NodeType, NodeWork};
use super::store::{Graph, Graphs, Owner};
use crate::work::NodeParams;
use graphproof_api::{CUresult, Cuda};

/// How deep child graphs and conditional bodies may be nested. CUDA documents no limit; ours keeps
/// every walk of a graph within the stack of a thread.
pub(super) const MAX_NESTING: usize = 64;

impl Graphs {
    /// Adds a node behind `dependencies` and returns its handle.
    ///
    /// Child graphs and conditional nodes have functions of their own: [`Graphs::add_child_graph`],
    /// [`Graphs::add_conditional`].
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: a dependency is not in the graph or comes twice, an annotation
    /// does not fit, or a memory node breaks a rule of graph memory. `CUDA_ERROR_NOT_SUPPORTED`:
    /// the node's type may not be in the body of a conditional node.
    pub fn add_node(
        &mut self,
        graph: u64,
        dependencies: &[(u64, EdgeData)],
        work: NodeParams,
        info: NodeInfo,
    ) -> Cuda<u64> {
        let work = NodeWork::Work(work);
        self.check_addition(graph, dependencies, &work)?;
        if matches!(work.node_type(), NodeType::MemAlloc | NodeType::MemFree) {
            self.graph_mut(graph)?.has_memory = true;
        }
        match work {
            NodeWork::Work(NodeParams::MemAlloc { address, size, device, .. }) => {
                self.memory.add_alloc(graph, address, size, device)?
            }
            NodeWork::Work(NodeParams::MemFree { address }) => self.memory.add_free(graph, address)?,
            _ => {}
        }
        Ok(self.insert_node(graph, dependencies, work, info))
    }

    /// What every new node must satisfy.
    pub(super) fn check_addition(&self, graph: u64, dependencies: &[(u64, EdgeData)], work: &NodeWork) -> Cuda {
        let target = self.graph(graph)?;
        let kind = work.node_type();
        let memory = matches!(kind, NodeType::MemAlloc | NodeType::MemFree);
        // D (cuGraphChildGraphNodeGetGraph): no memory nodes into an embedded graph.
        let holder = match target.owner {
            Owner::Node(node) => self.nodes.get(node),
            _ => None,
        };
        if memory && holder.is_some_and(|node| matches!(node.work, NodeWork::ChildGraph(_))) {
            return Err(CUresult::INVALID_VALUE);
        }
        let to_kernel = kind == NodeType::Kernel;
        let mut seen = HashSet::new();
        for (place, &(from, data)) in dependencies.iter().enumerate() {
            let from_kernel = self.member(graph, from)?.work.node_type() == NodeType::Kernel;
            let repeated = if dependencies.len() <= 8 {
                dependencies[..place].iter().any(|&(earlier, _)| earlier == from)
            } else {
                !seen.insert(from)
            };
            if repeated || !data.fits(from_kernel, to_kernel) {
                return Err(CUresult::INVALID_VALUE);
            }
        }
        Ok(())
    }

    /// Adds a node that was checked.
    pub(super) fn insert_node(
        &mut self,
        graph: u64,
        dependencies: &[(u64, EdgeData)],
        work: NodeWork,
        info: NodeInfo,
    ) -> u64 {
        let Self { graphs, nodes, edges, .. } = self;
        let Some(target) = graphs.get_mut(graph) else { return 0 };
        let local_id = target.next_local_id;
        target.next_local_id += 1;
        let sink = target.next_sink();
        let kind = work.node_type();
        let mut incoming = EdgeList::default();
        let node = nodes.insert_with(|handle| {
            target.nodes.push(handle);
            if matches!(kind, NodeType::Graph | NodeType::Conditional) {
                target.compound.push(handle);
            }
            Node {
                graph,
                local_id,
                work,
                info,
                parameter_addresses: None,
                incoming: EdgeList::default(),
                outgoing: EdgeList::default(),
                sink,
            }
        });
        for &(from, data) in dependencies {
            let Some(upstream) = nodes.get_mut(from) else { continue };
            edges.insert(from, node, data, &mut upstream.outgoing, &mut incoming);
        }
        if let Some(added) = nodes.get_mut(node) {
            added.incoming = incoming;
        }
        node
    }

    /// A node of that graph.
    pub(super) fn member(&self, graph: u64, node: u64) -> Cuda<&Node> {
        self.node(node).and_then(|found| if found.graph == graph { Ok(found) } else { Err(CUresult::INVALID_VALUE) })
    }

    /// `cuGraphAddDependencies`: all edges or none. A cycle is found at instantiation.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: an edge exists, is given twice, joins a node to itself, or has
    /// an end outside the graph.
    pub fn add_dependencies(&mut self, graph: u64, edges: &[(u64, u64, EdgeData)]) -> Cuda {
        self.graph(graph)?;
        let mut given = HashSet::with_capacity(edges.len());
        for &(from, to, data) in edges {
            let from_kernel = self.member(graph, from)?.work.node_type() == NodeType::Kernel;
            let to_kernel = self.member(graph, to)?.work.node_type() == NodeType::Kernel;
            if from == to
                || !data.fits(from_kernel, to_kernel)
                || !given.insert((from, to))
                || self.find_edge(from, to).is_some()
            {
                return Err(CUresult::INVALID_VALUE);
            }
        }
        for &(from, to, data) in edges {
            self.link(from, to, data);
        }
        Ok(())
    }

    /// `cuGraphRemoveDependencies`: all edges or none.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: an edge does not exist with that annotation.
    /// `CUDA_ERROR_NOT_SUPPORTED`: the graph has memory nodes (M, H200, driver 580.159.04).
    pub fn remove_dependencies(&mut self, graph: u64, edges: &[(u64, u64, EdgeData)]) -> Cuda {
        self.graph(graph)?;
        if !edges.is_empty() && self.has_memory_nodes(graph) {
            return Err(CUresult::NOT_SUPPORTED);
        }
        let (mut found, mut seen) = (Vec::with_capacity(edges.len()), HashSet::with_capacity(edges.len()));
        for &(from, to, data) in edges {
            self.member(graph, from)?;
            self.member(graph, to)?;
            let edge = self.find_edge(from, to).ok_or(CUresult::INVALID_VALUE)?;
            if self.edges.get(edge).data != data || !seen.insert(edge) {
                return Err(CUresult::INVALID_VALUE);
            }
            found.push(edge);
        }
        found.into_iter().for_each(|edge| self.unlink(edge));
        Ok(())
    }

    /// `cuGraphDestroyNode`.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_SUPPORTED`: the graph has memory nodes. `CUDA_ERROR_ILLEGAL_STATE`: a capture is
    /// adding to it.
    pub fn destroy_node(&mut self, node: u64) -> Cuda {
        let graph = self.node(node)?.graph;
        // D: cuGraphAddMemAllocNode (no node of such a graph can be deleted);
        // cuStreamGetCaptureInfo (no node removal during the capture). M for both codes (H200, driver
        // 580.159.04).
        if self.has_memory_nodes(graph) {
            return Err(CUresult::NOT_SUPPORTED);
        }
        let found = self.node(node)?;
        let inside = found.work.graphs().iter().any(|&inner| self.any_nested(inner, |inner| inner.captures > 0));
        if self.graph(graph)?.captures > 0 || inside {
            return Err(CUresult::ILLEGAL_STATE);
        }
        let touching: Vec<u32> = self
            .edges
            .iter(found.incoming, Side::Incoming)
            .chain(self.edges.iter(found.outgoing, Side::Outgoing))
            .map(|(edge, _)| edge)
            .collect();
        touching.into_iter().for_each(|edge| self.unlink(edge));
        let Some(removed) = self.nodes.remove(node) else { return Err(CUresult::INVALID_VALUE) };
        if let NodeWork::Conditional(conditional) = &removed.work
            && let Some(handle) = self.handles.get_mut(conditional.handle)
        {
            handle.node = None;
        }
        let nodes = &self.nodes;
        if let Some(graph) = self.graphs.get_mut(graph) {
            graph.forget(|handle| nodes.get(handle).is_some());
        }
        removed.work.graphs().iter().for_each(|&inner| self.remove_graph(inner));
        Ok(())
    }

    pub(super) fn link(&mut self, from: u64, to: u64, data: EdgeData) {
        let (Some(mut out), Some(mut incoming)) =
            (self.nodes.get(from).map(|node| node.outgoing), self.nodes.get(to).map(|node| node.incoming))
        else {
            return;
        };
        self.edges.insert(from, to, data, &mut out, &mut incoming);
        if let Some(node) = self.nodes.get_mut(from) {
            node.outgoing = out;
        }
        if let Some(node) = self.nodes.get_mut(to) {
            node.incoming = incoming;
        }
    }

    fn unlink(&mut self, edge: u32) {
        let (from, to) = (self.edges.get(edge).from, self.edges.get(edge).to);
        if let Some(node) = self.nodes.get_mut(from) {
            self.edges.unlink(edge, Side::Outgoing, &mut node.outgoing);
            if node.outgoing.len() == 0
                && let Some(graph) = self.graphs.get_mut(node.graph)
            {
                node.sink = graph.next_sink();
            }
        }
        if let Some(node) = self.nodes.get_mut(to) {
            self.edges.unlink(edge, Side::Incoming, &mut node.incoming);
        }
        self.edges.release(edge);
    }

    /// Looks at the shorter of the two lists, so that neither a fan-out nor a join is slow.
    pub(super) fn find_edge(&self, from: u64, to: u64) -> Option<u32> {
        let (upstream, downstream) = (self.nodes.get(from)?, self.nodes.get(to)?);
        let (list, side) = if upstream.outgoing.len() < downstream.incoming.len() {
            (upstream.outgoing, Side::Outgoing)
        } else {
            (downstream.incoming, Side::Incoming)
        };
        self.edges.iter(list, side).find(|(_, edge)| edge.from == from && edge.to == to).map(|(index, _)| index)
    }
}

impl Graph {
    /// The place of a node that becomes a sink now.
    fn next_sink(&mut self) -> u64 {
        self.sinks_made += 1;
        self.sinks_made
    }

    /// A node of this graph was destroyed. The lists are swept when half of the nodes are gone.
    fn forget(&mut self, alive: impl Fn(u64) -> bool) {
        self.destroyed += 1;
        if self.destroyed * 2 > self.nodes.len() {
            self.nodes.retain(|&handle| alive(handle));
            self.compound.retain(|&handle| alive(handle));
            self.destroyed = 0;
        }
    }
}
