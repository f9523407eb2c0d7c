//! Clones and child graphs.

use std::collections::HashMap;

use super::edge::{EdgeData, Side};
use super::edit::MAX_NESTING;
use super::node::{NodeInfo, NodeWork};
use super::store::{Graphs, Owner};
use graphproof_api::{CUresult, Cuda};

/// `CUgraphChildGraphNodeOwnership`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The node gets a clone.
    Clone,
    /// The graph becomes the node's.
    Move,
}

impl Graphs {
    /// `cuGraphClone`.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_SUPPORTED`: the graph is restricted as one with memory or conditional nodes.
    pub fn clone_graph(&mut self, graph: u64) -> Cuda<u64> {
        self.graph(graph)?;
        // D: cuGraphClone; M for the code (H200, driver 580.159.04).
        if self.has_memory_nodes(graph) || self.has_conditionals(graph) {
            return Err(CUresult::NOT_SUPPORTED);
        }
        Ok(self.copy_graph(graph, Owner::User))
    }

    /// Copies a graph without memory or conditional nodes.
    pub(super) fn copy_graph(&mut self, graph: u64, owner: Owner) -> u64 {
        let copy = self.create_owned(owner);
        if let Some(original) = self.graphs.get_mut(graph) {
            original.copies += 1;
        }
        if let Some(copy) = self.graphs.get_mut(copy) {
            copy.copy_of = Some(graph);
        }
        let Ok(nodes) = self.nodes(graph) else { return copy };
        let nodes: Vec<u64> = nodes.map(|(handle, _)| handle).collect();
        let mut map = HashMap::with_capacity(nodes.len());
        for &node in &nodes {
            let Some(found) = self.nodes.get(node) else { continue };
            let (work, info) = (found.work.clone(), found.info.clone());
            let twin = self.insert_node(copy, &[], work, info);
            if let Some(NodeWork::ChildGraph(inner)) = self.nodes.get(twin).map(|node| node.work.clone()) {
                let inner = self.copy_graph(inner, Owner::Node(twin));
                if let Some(node) = self.nodes.get_mut(twin) {
                    node.work = NodeWork::ChildGraph(inner);
                }
            }
            map.insert(node, twin);
        }
        for &node in &nodes {
            let Some(found) = self.nodes.get(node) else { continue };
            let sink = found.sink;
            let mut list = super::edge::EdgeList::default();
            let incoming: Vec<(u64, EdgeData)> =
                self.edges.iter(found.incoming, Side::Incoming).map(|(_, edge)| (edge.from, edge.data)).collect();
            let to = map[&node];
            for (from, data) in incoming {
                let from = map[&from];
                if let Some(upstream) = self.nodes.get_mut(from) {
                    self.edges.insert(from, to, data, &mut upstream.outgoing, &mut list);
                }
            }
            if let Some(twin) = self.nodes.get_mut(to) {
                twin.incoming = list;
                twin.sink = sink;
            }
        }
        let (objects, sinks_made) =
            self.graphs.get(graph).map(|graph| (graph.objects.clone(), graph.sinks_made)).unwrap_or_default();
        for (&object, &count) in &objects {
            self.retain_object(object, count);
        }
        if let Some(copy) = self.graphs.get_mut(copy) {
            copy.clone_of = map;
            copy.objects = objects;
            copy.sinks_made = sinks_made;
        }
        copy
    }

    /// `cuGraphNodeFindInClone`.
    pub fn find_in_clone(&self, original: u64, clone: u64) -> Cuda<u64> {
        let twin = self.graph(clone)?.clone_of.get(&original).copied().ok_or(CUresult::INVALID_VALUE)?;
        self.node(twin).map(|_| twin)
    }

    /// Adds a child graph node.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the child is not the caller's to move, or contains this graph.
    /// `CUDA_ERROR_NOT_SUPPORTED`: the child has conditional nodes, or memory nodes and is to be cloned,
    /// or is nested too deeply for this driver.
    pub fn add_child_graph(
        &mut self,
        graph: u64,
        dependencies: &[(u64, EdgeData)],
        child: u64,
        ownership: Ownership,
        info: NodeInfo,
    ) -> Cuda<u64> {
        self.check_addition(graph, dependencies, &NodeWork::ChildGraph(child))?;
        let found = self.graph(child)?;
        let (owner, captures, execs) = (found.owner, found.captures, found.execs);
        // D (CUDA_CHILD_GRAPH_NODE_PARAMS): never conditional nodes; memory nodes only with a move. M
        // for the code (H200, driver 580.159.04).
        if self.has_conditionals(child) {
            return Err(CUresult::NOT_SUPPORTED);
        }
        match ownership {
            Ownership::Clone if self.has_memory_nodes(child) => return Err(CUresult::NOT_SUPPORTED),
            Ownership::Move => {
                let in_use = owner != Owner::User || captures > 0 || execs > 0;
                if in_use || self.ancestors(graph).any(|ancestor| ancestor == child) {
                    return Err(CUresult::INVALID_VALUE);
                }
            }
            Ownership::Clone => {}
        }
        if self.ancestors(graph).count() + self.height(child) > MAX_NESTING {
            return Err(CUresult::NOT_SUPPORTED);
        }
        let inner = match ownership {
            Ownership::Clone => self.copy_graph(child, Owner::Capture),
            Ownership::Move => child,
        };
        let node = self.insert_node(graph, dependencies, NodeWork::ChildGraph(inner), info);
        self.settle(inner, node);
        Ok(node)
    }

    /// Gives a graph to the node that holds it.
    pub(super) fn settle(&mut self, inner: u64, node: u64) {
        let in_conditional =
            self.nodes.get(node).and_then(|node| self.graphs.get(node.graph)).is_some_and(|graph| graph.in_conditional);
        let Some(found) = self.graphs.get_mut(inner) else { return };
        found.owner = Owner::Node(node);
        found.in_conditional |= in_conditional;
        if found.has_memory {
            let outer: Vec<u64> = self.ancestors(inner).skip(1).collect();
            for graph in outer {
                if let Some(graph) = self.graphs.get_mut(graph) {
                    graph.has_memory = true;
                }
            }
        }
    }

    /// The graph, the graph that contains it, and so on.
    pub(super) fn ancestors(&self, graph: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(graph), |&graph| match self.graphs.get(graph)?.owner {
            Owner::Node(node) => Some(self.nodes.get(node)?.graph),
            _ => None,
        })
    }

    /// Levels of graphs in the graph, itself included.
    pub(super) fn height(&self, graph: u64) -> usize {
        let (mut level, mut height) = (vec![graph], 0);
        while !level.is_empty() {
            height += 1;
            level = level
                .iter()
                .filter_map(|&graph| self.graphs.get(graph))
                .flat_map(|graph| &graph.compound)
                .filter_map(|&node| self.nodes.get(node))
                .flat_map(|node| node.work.graphs().iter().copied())
                .collect();
        }
        height
    }
}
