//! What instantiation checks of a graph's structure.

use super::exec::{ExecWork, InstantiateError, InstantiateResult, Snapshot};
use super::node::NodeType;
use super::unknowns;
use crate::abi::CUresult;
use crate::software::work::NodeParams;

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

/// D (cuGraphInstantiate): only kernel, memcpy, memset and child graph nodes, and at least one of
/// the first three.
pub(super) fn check_device_launch(snapshot: &Snapshot) -> Result<(), InstantiateError> {
    let result = InstantiateResult::NodeOperationNotSupported;
    let (mut forbidden, mut useful, mut contexts) = (None, false, Vec::new());
    snapshot.visit(&mut |node| {
        match node.work.node_type() {
            NodeType::Kernel | NodeType::Memcpy | NodeType::Memset => useful = true,
            NodeType::Graph => return,
            _ => forbidden = forbidden.or(Some(node.source)),
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
    if let Some(node) = forbidden {
        return Err(InstantiateError { code, result, node });
    }
    if let Some(&(_, node)) = contexts.get(1) {
        return Err(InstantiateError { code, result: InstantiateResult::MultipleContextsNotSupported, node });
    }
    if useful { Ok(()) } else { Err(CUresult::INVALID_VALUE.into()) }
}
