//! What the structures that describe a node hold: those that the driver gives back, and those that a program gives.

use graphproof_door::GraphNode;

use super::functions;
use super::graphs::kind;

/// Words of `CUDA_KERNEL_NODE_PARAMS` that are looked at: func, gridDim and blockDim, sharedMemBytes, kernelParams,
/// extra, kern. The last came with CUDA 12.
pub(super) const KERNEL: usize = 8;
/// Of `CUDA_MEMCPY3D`: all.
pub(super) const COPY: usize = 25;
/// Of `CUDA_MEMSET_NODE_PARAMS`: dst, pitch, value and elementSize, width, height.
pub(super) const FILL: usize = 5;

/// A kernel node, of [`KERNEL`] words.
pub(super) fn kernel(node: &mut GraphNode, words: &[u64]) {
    let half = |word: usize, high: bool| (words[word] >> if high { 32 } else { 0 }) as u32;
    node.grid = [half(1, false), half(1, true), half(2, false)];
    node.block = [half(2, true), half(3, false), half(3, true)];
    node.shared = half(4, false);
    let (function, kernel) = (words[0], words[7]);
    node.function = if function != 0 { function } else { kernel };
    if function == 0 {
        functions::note_kernel(kernel);
    }
    node.parameters = functions::node_parameters(node.function, words[5], words[6]);
}

/// A copy, of [`COPY`] words.
pub(super) fn copy(node: &mut GraphNode, words: &[u64]) {
    let bytes = words[22].saturating_mul(words[23].max(1)).saturating_mul(words[24].max(1));
    for (end, first) in [("source", 0), ("destination", 11)] {
        // xInBytes, y, z, lod, type; then host, device, array.
        let (kind, value) = match words[first + 4] as u32 {
            1 => ("host", words[first + 5]),
            2 => ("device", words[first + 6]),
            3 => ("array", words[first + 7]),
            _ => ("unified", words[first + 6]),
        };
        let value = if kind == "array" { value } else { value.wrapping_add(words[first]) };
        node.operands.push((format!("{end} {kind}"), value, bytes));
    }
}

/// A fill, of [`FILL`] words.
pub(super) fn fill(node: &mut GraphNode, words: &[u64]) {
    let (size, width, height) = (words[2] >> 32, words[3], words[4].max(1));
    let bytes = (size * width).saturating_add(words[1].saturating_mul(height - 1));
    node.operands.push(("destination device".to_owned(), words[0], bytes));
    node.operands.push(("value".to_owned(), words[2] & 0xffff_ffff, size));
}

/// The node that a call of `cuGraphExec...NodeSetParams` describes; none of a kind whose parameters hold no address
/// that is looked at.
///
/// # Safety
/// `parameters` is what a successful call of that function was given.
pub(super) unsafe fn given(function: &str, handle: u64, parameters: u64) -> Option<GraphNode> {
    if parameters == 0 {
        return None;
    }
    let mut node = GraphNode { handle, ..GraphNode::default() };
    // SAFETY: the structure of that function has so many words.
    let words =
        |skip: usize, count: usize| unsafe { std::slice::from_raw_parts((parameters as *const u64).add(skip), count) };
    // CUgraphNodeParams: the type, and the structure of that type behind two words; that of a copy has two words of
    // its own before CUDA_MEMCPY3D.
    let (kind, skip) = match function {
        "cuGraphExecKernelNodeSetParams" | "cuGraphExecKernelNodeSetParams_v2" => (kind::KERNEL, 0),
        "cuGraphExecMemcpyNodeSetParams" => (kind::MEMCPY, 0),
        "cuGraphExecMemsetNodeSetParams" => (kind::MEMSET, 0),
        "cuGraphExecNodeSetParams" => match words(0, 1)[0] as u32 {
            kind::MEMCPY => (kind::MEMCPY, 4),
            kind => (kind, 2),
        },
        _ => return None,
    };
    node.kind = kind;
    match kind {
        // The first version of the structure ends before `kern`.
        kind::KERNEL if function == "cuGraphExecKernelNodeSetParams" => {
            let mut all = [0; KERNEL];
            all[..KERNEL - 1].copy_from_slice(words(skip, KERNEL - 1));
            kernel(&mut node, &all);
        }
        kind::KERNEL => kernel(&mut node, words(skip, KERNEL)),
        kind::MEMCPY => copy(&mut node, words(skip, COPY)),
        kind::MEMSET => fill(&mut node, words(skip, FILL)),
        _ => {}
    }
    Some(node)
}
