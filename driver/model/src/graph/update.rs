//! `cuGraphExecUpdate`: a whole graph's parameters into an executable graph.

use std::collections::VecDeque;

use super::compare::{UpdateResult, node_updatable};
use super::exec::{ExecNode, ExecWork, Snapshot};
use super::node::NodeType;
use super::store::{Graphs, Owner};
use graphproof_api::{CUresult, Cuda};

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
    /// Nodes are paired as `pair` tells.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub fn update(&mut self, exec: u64, graph: u64) -> Result<(), UpdateError> {
        let (flags, single_of) = {
            let exec = self.exec(exec)?;
            (exec.flags, exec.single_of)
        };
        let found = self.graph(graph)?;
        let refused = |code| UpdateError { code, result: UpdateResult::Untold, node: 0, from: 0 };
        // D (CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE): a child graph cannot be the argument. M (H200, driver
        // 580.159.04): a graph that a capture is adding to can.
        if matches!(found.owner, Owner::Node(_)) {
            return Err(refused(CUresult::INVALID_VALUE));
        }
        let memory = self.has_memory_nodes(graph);
        // D (1.8): a graph with memory nodes must not be instantiated elsewhere; M for the code (H200,
        // driver 580.159.04).
        if memory && found.single_execs > 0 && single_of != Some(graph) {
            return Err(refused(CUresult::NOT_SUPPORTED));
        }
        let new = match self.snapshot(graph) {
            Ok(new) => new,
            Err(error) if error.node != 0 => {
                return Err(UpdateError::at(UpdateResult::TopologyChanged, error.node, 0));
            }
            Err(error) => return Err(error.code.into()),
        };
        let new = fit(&self.exec(exec)?.body, new, flags)?;
        self.apply(exec, new, memory.then_some(graph));
        Ok(())
    }

    fn apply(&mut self, exec: u64, new: Snapshot, recounted: Option<u64>) {
        let Some(found) = self.execs.get_mut(exec) else { return };
        found.plan = None;
        replace(&mut found.body, new);
        let Some(graph) = recounted else { return };
        let before = std::mem::replace(&mut found.memory, found.body.memory_nodes());
        let (now, previous) = (found.memory.clone(), found.single_of.replace(graph));
        self.memory.count_exec(&now, true);
        self.memory.count_exec(&before, false);
        for (graph, begins) in [(previous, false), (Some(graph), true)] {
            if let Some(graph) = graph.and_then(|graph| self.graphs.get_mut(graph)) {
                graph.single_execs = if begins { graph.single_execs + 1 } else { graph.single_execs.saturating_sub(1) };
            }
        }
    }

    /// `cuGraphExecChildGraphNodeSetParams`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: not a child graph node; `CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE`: the
    /// graph does not fit. Unlike for `cuGraphExecUpdate` its nodes are paired in order of creation (M,
    /// H200, driver 580.159.04).
    pub fn exec_set_child_graph(&mut self, exec: u64, node: u64, graph: u64) -> Cuda {
        let flags = self.exec(exec)?.flags;
        if self.node_of(node, NodeType::Graph).is_err() || self.has_memory_nodes(graph) {
            return Err(CUresult::INVALID_VALUE);
        }
        let new = self.snapshot(graph).map_err(|error| error.code)?;
        let ExecWork::Graph(old) = &self.exec_node(exec, node)?.work else { return Err(CUresult::INVALID_VALUE) };
        in_order(old, &new, flags).map_err(|error| error.code)?;
        let found = self.exec_node_mut(exec, node)?;
        let ExecWork::Graph(old) = &mut found.work else { return Err(CUresult::INVALID_VALUE) };
        replace(old, new);
        Ok(())
    }
}

/// Whether the parameters of `new` fit into `old`, by the conditions of cuGraphExecUpdate (D): `new` with
/// its nodes in the places of those of `old` that they are paired with.
fn fit(old: &Snapshot, mut new: Snapshot, flags: u64) -> Result<Snapshot, UpdateError> {
    let pairs = pair(old, &mut new, flags)?;
    let mut given: Vec<Option<ExecNode>> = std::mem::take(&mut new.nodes).into_iter().map(Some).collect();
    for after in pairs {
        let Some(after) = given.get_mut(after as usize).and_then(Option::take) else {
            return Err(UpdateError::at(UpdateResult::TopologyChanged, 0, 0));
        };
        new.nodes.push(after);
    }
    Ok(new)
}

/// Whether the parameters of `new` fit into `old` node by node.
fn in_order(old: &Snapshot, new: &Snapshot, flags: u64) -> Result<(), UpdateError> {
    use UpdateResult::TopologyChanged;
    if old.nodes.len() != new.nodes.len() {
        return Err(UpdateError::at(TopologyChanged, 0, 0));
    }
    for (index, (before, after)) in old.nodes.iter().zip(&new.nodes).enumerate() {
        if old.dependencies_of(index) != new.dependencies_of(index) {
            return Err(UpdateError::at(TopologyChanged, after.source, 0));
        }
        node_updatable(before, after, flags).map_err(|result| UpdateError::at(result, after.source, 0))?;
        for (before, after) in before.work.graphs().iter().zip(after.work.graphs()) {
            in_order(before, after, flags)?;
        }
    }
    Ok(())
}

/// For each node of `old` the node of `new` that it is paired with; the graphs inside `new` are put in the
/// order of those inside `old`.
///
/// M (H200, driver 580.159.04, some 2,000 updates): the sinks are paired in the order in which they became
/// sinks, and from each pair its dependencies in the order of the edges. The last sink is looked at first, then
/// the others, then what they depend on in the order in which it was met, level by level; of a pair the counts of
/// dependencies, then types, then parameters. The order of creation plays no part.
///
/// # Errors
/// The topology, a node's type or a parameter that cannot change differs.
fn pair(old: &Snapshot, new: &mut Snapshot, flags: u64) -> Result<Vec<u32>, UpdateError> {
    use UpdateResult::TopologyChanged;
    if old.nodes.len() != new.nodes.len() {
        return Err(UpdateError::at(TopologyChanged, 0, 0));
    }
    if let Some(&extra) = new.sinks.get(old.sinks.len()) {
        return Err(UpdateError::at(TopologyChanged, new.nodes[extra as usize].source, 0));
    }
    if new.sinks.len() < old.sinks.len() {
        return Err(UpdateError::at(TopologyChanged, 0, 0));
    }
    let mut pairs = Pairs::new(old.nodes.len());
    let sinks = old.sinks.iter().copied().zip(new.sinks.iter().copied());
    let mut pending: VecDeque<(u32, u32)> = sinks.rev().collect();
    pending.iter().for_each(|&(expected, given)| pairs.join(expected, given));
    while let Some((expected, given)) = pending.pop_front() {
        let (before, after) = (&old.nodes[expected as usize], &new.nodes[given as usize]);
        let dependencies = (old.dependencies_of(expected as usize), new.dependencies_of(given as usize));
        if dependencies.0.len() != dependencies.1.len() {
            return Err(UpdateError::at(TopologyChanged, after.source, 0));
        }
        node_updatable(before, after, flags).map_err(|result| UpdateError::at(result, after.source, 0))?;
        for (&(left, edge), &(right, annotation)) in dependencies.0.iter().zip(dependencies.1) {
            match pairs.are(left, right) {
                _ if edge != annotation => Err(()),
                Pairing::Open => {
                    pairs.join(left, right);
                    pending.push_back((left, right));
                    Ok(())
                }
                Pairing::Joined => Ok(()),
                Pairing::Conflict => Err(()),
            }
            .map_err(|()| UpdateError::at(TopologyChanged, after.source, new.nodes[right as usize].source))?;
        }
        for (before, after) in before.work.graphs().iter().zip(new.nodes[given as usize].work.graphs_mut()) {
            *after = fit(before, std::mem::take(after), flags)?;
        }
    }
    Ok(pairs.old)
}

const OPEN: u32 = u32::MAX;

/// Which node is paired with which, both ways.
struct Pairs {
    old: Vec<u32>,
    new: Vec<u32>,
}

enum Pairing {
    Open,
    Joined,
    Conflict,
}

impl Pairs {
    fn new(count: usize) -> Self {
        Self { old: vec![OPEN; count], new: vec![OPEN; count] }
    }

    fn join(&mut self, old: u32, new: u32) {
        self.old[old as usize] = new;
        self.new[new as usize] = old;
    }

    fn are(&self, old: u32, new: u32) -> Pairing {
        match (self.old[old as usize], self.new[new as usize]) {
            (OPEN, OPEN) => Pairing::Open,
            (right, left) if right == new && left == old => Pairing::Joined,
            _ => Pairing::Conflict,
        }
    }
}

/// Takes over the parameters of a snapshot that fits; the nodes' sources and their being enabled stay.
fn replace(old: &mut Snapshot, new: Snapshot) {
    for (old, new) in old.nodes.iter_mut().zip(new.nodes) {
        old.info = new.info;
        match (&mut old.work, new.work) {
            (ExecWork::Graph(old), ExecWork::Graph(new)) => replace(old, *new),
            (
                ExecWork::Conditional { twin, default, bodies: old, .. },
                ExecWork::Conditional { handle: given, default: updated, bodies: new, .. },
            ) => {
                *twin = given;
                // D: flags and default values of conditional handles are updated too.
                *default = updated;
                old.iter_mut().zip(new).for_each(|(old, new)| replace(old, new));
            }
            (old, new) => *old = new,
        }
    }
}
