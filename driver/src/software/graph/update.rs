//! `cuGraphExecUpdate`: a whole graph's parameters into an executable graph.

use super::compare::{UpdateResult, node_updatable};
use super::exec::{ExecNode, ExecWork, Snapshot};
use super::node::NodeType;
use super::store::{Graphs, Owner};
use crate::abi::{CUresult, Cuda};

/// `CUgraphExecUpdateResultInfo` of a failed update, with what the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateError {
    /// `CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE`, or `CUDA_ERROR_INVALID_VALUE` for a bad argument.
    pub code: CUresult,
    /// Why.
    pub result: UpdateResult,
    /// `errorNode`: a node of the new graph, 0 for none.
    pub node: u64,
    /// `errorFromNode`: the dependency that does not match, 0 for none.
    pub from: u64,
}

impl UpdateError {
    fn at(result: UpdateResult, node: u64, from: u64) -> Self {
        Self { code: CUresult::GRAPH_EXEC_UPDATE_FAILURE, result, node, from }
    }
}

impl From<CUresult> for UpdateError {
    fn from(code: CUresult) -> Self {
        Self { code, result: UpdateResult::Error, node: 0, from: 0 }
    }
}

impl Graphs {
    /// `cuGraphExecUpdate`: all parameters or none.
    ///
    /// Nodes are paired in order of creation, as API calls made them ([PG], D).
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub fn update(&mut self, exec: u64, graph: u64) -> Result<(), UpdateError> {
        let (flags, counted) = {
            let exec = self.exec(exec)?;
            (exec.flags, exec.counted)
        };
        let found = self.graph(graph)?;
        // D (CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE): a child graph cannot be the argument.
        if found.owner != Owner::User || found.captures > 0 {
            return Err(CUresult::INVALID_VALUE.into());
        }
        let memory = self.has_memory_nodes(graph);
        // D (1.8): a graph with memory nodes must not be instantiated elsewhere.
        if memory && found.execs > 0 && counted != Some(graph) {
            return Err(UpdateError::at(UpdateResult::NotSupported, 0, 0));
        }
        let new = match self.snapshot(graph) {
            Ok(new) => new,
            Err(error) if error.node != 0 => {
                return Err(UpdateError::at(UpdateResult::TopologyChanged, error.node, 0));
            }
            Err(error) => return Err(error.code.into()),
        };
        matches(&self.exec(exec)?.body, &new, flags)?;
        self.apply(exec, new, memory.then_some(graph));
        Ok(())
    }

    fn apply(&mut self, exec: u64, new: Snapshot, recounted: Option<u64>) {
        let defaults = {
            let Some(found) = self.execs.get_mut(exec) else { return };
            found.plan = None;
            let mut defaults = Vec::new();
            replace(&mut found.body, new, &mut defaults);
            defaults
        };
        // D: flags and default values of conditional handles are updated too.
        for (handle, twin) in defaults {
            let default = self.handles.get(twin).and_then(|handle| handle.default);
            if let Some(handle) = self.handles.get_mut(handle) {
                handle.default = default;
            }
        }
        let Some(graph) = recounted else { return };
        let Some(found) = self.execs.get_mut(exec) else { return };
        let before = std::mem::replace(&mut found.memory, found.body.memory_nodes());
        let (now, previous) = (found.memory.clone(), found.counted.replace(graph));
        self.memory.count_exec(&now, true);
        self.memory.count_exec(&before, false);
        for (graph, begins) in [(previous, false), (Some(graph), true)] {
            if let Some(graph) = graph.and_then(|graph| self.graphs.get_mut(graph)) {
                graph.execs = if begins { graph.execs + 1 } else { graph.execs.saturating_sub(1) };
            }
        }
    }

    /// `cuGraphExecChildGraphNodeSetParams`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: not a child graph node, or the graph's topology differs.
    pub fn exec_set_child_graph(&mut self, exec: u64, node: u64, graph: u64) -> Cuda {
        let flags = self.exec(exec)?.flags;
        if self.node_of(node, NodeType::Graph).is_err() || self.has_memory_nodes(graph) {
            return Err(CUresult::INVALID_VALUE);
        }
        let new = self.snapshot(graph).map_err(|error| error.code)?;
        let ExecWork::Graph(old) = &self.exec_node(exec, node)?.work else { return Err(CUresult::INVALID_VALUE) };
        matches(old, &new, flags).map_err(|_| CUresult::INVALID_VALUE)?;
        let found = self.exec_node_mut(exec, node)?;
        let ExecWork::Graph(old) = &mut found.work else { return Err(CUresult::INVALID_VALUE) };
        replace(old, new, &mut Vec::new());
        Ok(())
    }
}

/// Whether the parameters of `new` fit into `old`, by the conditions of cuGraphExecUpdate (D).
fn matches(old: &Snapshot, new: &Snapshot, flags: u64) -> Result<(), UpdateError> {
    use UpdateResult::TopologyChanged;
    if old.nodes.len() != new.nodes.len() {
        return Err(UpdateError::at(TopologyChanged, 0, 0));
    }
    let exits = |snapshot: &Snapshot| snapshot.nodes.iter().filter(|node| node.dependents == 0).count();
    if exits(new) > exits(old) {
        let is_new_exit = |(old, new): &(&ExecNode, &ExecNode)| new.dependents == 0 && old.dependents != 0;
        let node = old.nodes.iter().zip(&new.nodes).find(is_new_exit).map_or(0, |(_, new)| new.source);
        return Err(UpdateError::at(TopologyChanged, node, 0));
    }
    for (index, (before, after)) in old.nodes.iter().zip(&new.nodes).enumerate() {
        let (expected, given) = (old.dependencies_of(index), new.dependencies_of(index));
        if expected.len() != given.len() {
            return Err(UpdateError::at(TopologyChanged, after.source, 0));
        }
        let unequal = expected.iter().zip(given).find(|(expected, given)| expected != given);
        if let Some((_, &(from, _))) = unequal {
            return Err(UpdateError::at(TopologyChanged, after.source, new.nodes[from as usize].source));
        }
        node_updatable(before, after, flags).map_err(|result| UpdateError::at(result, after.source, 0))?;
        for (before, after) in before.work.graphs().iter().zip(after.work.graphs()) {
            matches(before, after, flags)?;
        }
    }
    Ok(())
}

/// Takes over the parameters; the nodes' sources and their being enabled stay. Pairs of
/// conditional handles are noted.
fn replace(old: &mut Snapshot, new: Snapshot, handles: &mut Vec<(u64, u64)>) {
    for (old, new) in old.nodes.iter_mut().zip(new.nodes) {
        old.info = new.info;
        match (&mut old.work, new.work) {
            (ExecWork::Graph(old), ExecWork::Graph(new)) => replace(old, *new, handles),
            (
                ExecWork::Conditional { handle, twin, bodies: old, .. },
                ExecWork::Conditional { handle: given, bodies: new, .. },
            ) => {
                *twin = given;
                handles.push((*handle, given));
                old.iter_mut().zip(new).for_each(|(old, new)| replace(old, new, handles));
            }
            (old, new) => *old = new,
        }
    }
}
