//! Conditional handles and nodes.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::edge::EdgeData;
use super::edit::MAX_NESTING;
use super::node::{Conditional, NodeInfo, NodeWork};
use super::store::{Graphs, Owner};
use crate::work::ConditionalKind;
use graphproof_api::{CUresult, Cuda};

/// What a `CUgraphConditionalHandle` names.
#[derive(Debug)]
pub(super) struct Handle {
    pub graph: u64,
    pub context: u64,
    /// The value that each launch begins with, where `CU_GRAPH_COND_ASSIGN_DEFAULT` was given.
    pub default: Option<u32>,
    /// The node that uses it.
    pub node: Option<u64>,
    /// The value itself; only one executable graph of a graph with conditional nodes may exist.
    pub value: Arc<AtomicU32>,
}

/// `CU_GRAPH_COND_ASSIGN_DEFAULT`.
pub const ASSIGN_DEFAULT: u32 = 1;

impl Graphs {
    /// `cuGraphConditionalHandleCreate`.
    pub fn create_conditional_handle(&mut self, graph: u64, context: u64, default: u32, flags: u32) -> Cuda<u64> {
        self.graph(graph)?;
        if flags & !ASSIGN_DEFAULT != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let default = (flags & ASSIGN_DEFAULT != 0).then_some(default);
        // Without a default the value is undefined at each launch (D): the last one stays here.
        let value = Arc::new(AtomicU32::new(default.unwrap_or(0)));
        let handle = self.handles.insert(Handle { graph, context, default, node: None, value });
        let graph = self.graph_mut(graph)?;
        graph.conditionals.push(handle);
        graph.has_conditional = true;
        Ok(handle)
    }

    /// Where the value of a conditional is, and its default at a launch.
    pub fn conditional_value(&self, handle: u64) -> Option<(Arc<AtomicU32>, Option<u32>)> {
        self.handles.get(handle).map(|handle| (handle.value.clone(), handle.default))
    }

    /// Adds a conditional node with `size` empty body graphs.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the handle is foreign, is in use, or was made for a graph that
    /// does not contain this one; `size` does not fit the kind; the context is another one.
    pub fn add_conditional(
        &mut self,
        graph: u64,
        dependencies: &[(u64, EdgeData)],
        handle: u64,
        kind: ConditionalKind,
        size: u32,
        info: NodeInfo,
    ) -> Cuda<u64> {
        let found = self.handles.get(handle).ok_or(CUresult::INVALID_VALUE)?;
        let (home, context, used) = (found.graph, found.context, found.node.is_some());
        let size_fits = match kind {
            ConditionalKind::If => (1..=2).contains(&size),
            ConditionalKind::While => size == 1,
            ConditionalKind::Switch => size >= 1,
        };
        // D (cuGraphConditionalHandleCreate): in this graph or one of its children.
        let at_home = self.ancestors(graph).any(|ancestor| ancestor == home);
        let other_context = info.context != 0 && context != 0 && info.context != context;
        if used || !size_fits || !at_home || other_context {
            return Err(CUresult::INVALID_VALUE);
        }
        if size > super::unknowns::MAX_SWITCH_BODIES || self.ancestors(graph).count() >= MAX_NESTING {
            return Err(CUresult::NOT_SUPPORTED);
        }
        let probe = NodeWork::Conditional(Conditional { handle, kind, bodies: Arc::default() });
        self.check_addition(graph, dependencies, &probe)?;
        // D (CU_GRAPH_NODE_TYPE_CONDITIONAL): such a graph cannot be a child graph.
        let root = self.ancestors(graph).any(|ancestor| {
            matches!(self.graphs.get(ancestor).map(|graph| graph.owner), Some(Owner::Node(node))
                if matches!(self.nodes.get(node).map(|node| &node.work), Some(NodeWork::ChildGraph(_))))
        });
        if root {
            return Err(CUresult::INVALID_VALUE);
        }
        let bodies: Arc<[u64]> = (0..size).map(|_| self.create_owned(Owner::Capture)).collect();
        let work = NodeWork::Conditional(Conditional { handle, kind, bodies: bodies.clone() });
        let node = self.insert_node(graph, dependencies, work, info);
        self.graph_mut(graph)?.has_conditional = true;
        for &body in bodies.iter() {
            self.settle(body, node);
            if let Some(body) = self.graphs.get_mut(body) {
                body.in_conditional = true;
                // M (H200, driver 580.159.04): a body can be cloned or be a child as little as its graph.
                body.has_conditional = true;
            }
        }
        if let Some(found) = self.handles.get_mut(handle) {
            found.node = Some(node);
        }
        Ok(node)
    }
}
