//! What instantiation checks of a graph's structure.

use super::exec::{ExecWork, InstantiateError, InstantiateResult, Snapshot};
use super::node::NodeType;
use super::unknowns;
use crate::memory::{Side, memory};
use crate::record;
use crate::work::NodeParams;
use graphproof_api::CUresult;

/// A node on a cycle or behind one, by removing nodes whose dependencies are all removed.
pub(super) fn first_in_cycle(snapshot: &Snapshot) -> Option<usize> {
    // A captured graph, and most others, only point backwards.
    let forward = (0..snapshot.nodes.len())
        .any(|node| snapshot.dependencies_of(node).iter().any(|&(from, _)| from as usize >= node));
    if !forward {
        return None;
    }
    let dependents = super::plan::dependents(snapshot);
    let mut waiting: Vec<usize> = (0..snapshot.nodes.len()).map(|node| snapshot.dependencies_of(node).len()).collect();
    let mut ready: Vec<usize> = (0..waiting.len()).filter(|&node| waiting[node] == 0).collect();
    while let Some(node) = ready.pop() {
        for &next in &dependents[node] {
            waiting[next as usize] -= 1;
            if waiting[next as usize] == 0 {
                ready.push(next as usize);
            }
        }
    }
    waiting.iter().position(|&left| left > 0)
}

/// A copy that touches pageable memory, as its addresses are now: neither a conditional body nor a graph
/// for device launch may hold one (M, H200, driver 580.159.04).
pub(super) fn is_host_copy(work: &NodeParams) -> bool {
    let NodeParams::Memcpy(copy) = work else { return false };
    memory().space.copy_at_call(&copy.params).is_ok_and(|copy| {
        let (src, dst) = copy.sides();
        src == Side::Pageable || dst == Side::Pageable
    })
}

/// A failed capture takes the graph that it added to with it, the body of a conditional node too.
pub(super) fn explain_lost_body() {
    record::note(|| {
        "the body of a conditional node was destroyed by a failed capture; NVIDIA's driver crashes here".to_owned()
    });
}

/// D (cuGraphInstantiate): only kernel, memcpy, memset and child graph nodes, and at least one of
/// the first three. The first node that may not be there decides the result (M, H200, driver 580.159.04).
pub(super) fn check_device_launch(snapshot: &Snapshot) -> Result<(), InstantiateError> {
    let (mut forbidden, mut useful, mut contexts) = (None, false, Vec::new());
    snapshot.visit(&mut |node| {
        let mut forbid = |result| _ = forbidden.get_or_insert((result, node.source));
        match node.work.node_type() {
            NodeType::Kernel | NodeType::Memcpy | NodeType::Memset => useful = true,
            NodeType::Graph => return,
            _ => forbid(InstantiateResult::NodeOperationNotSupported),
        }
        if let ExecWork::Work(work) = &node.work
            && is_host_copy(work)
        {
            forbid(InstantiateResult::MultipleContextsNotSupported);
        }
        let context = match &node.work {
            ExecWork::Work(NodeParams::Kernel(kernel)) => kernel.function.context.0,
            _ => node.info.context,
        };
        if context != 0 && contexts.first().is_none_or(|&(first, _)| first != context) {
            contexts.push((context, node.source));
        }
    });
    let code = unknowns::DEVICE_LAUNCH_FORBIDDEN;
    let mixed = || contexts.get(1).map(|&(_, node)| (InstantiateResult::MultipleContextsNotSupported, node));
    if let Some((result, node)) = forbidden.or_else(mixed) {
        return Err(InstantiateError { code, result, node });
    }
    if useful { Ok(()) } else { Err(CUresult::INVALID_VALUE.into()) }
}
