//! What NVIDIA does not say about graphs and nobody has published a measurement of. Each entry is
//! a guess (evidence tag G) that a run on a GPU may correct; nothing else in this folder guesses.

use crate::abi::CUresult;

/// A node type that may not be in the body of a conditional node. The rule is documented, the
/// code is not; `cuGraphAddNode` lists this one.
pub const FORBIDDEN_BODY_NODE: CUresult = CUresult::NOT_SUPPORTED;
/// Instantiating a graph to which a capture is adding. "Will not be instantiable" is documented,
/// the code is not.
pub const INSTANTIATE_DURING_CAPTURE: CUresult = CUresult::INVALID_VALUE;
/// A second executable graph of a graph with memory or conditional nodes.
pub const SECOND_INSTANCE: CUresult = CUresult::INVALID_VALUE;
/// A node that a graph for device launch may not hold.
pub const DEVICE_LAUNCH_FORBIDDEN: CUresult = CUresult::INVALID_VALUE;
/// Parameters of a memory node cannot be set; `cuGraphNodeSetParams` lists this code.
pub const SET_MEMORY_NODE: CUresult = CUresult::NOT_SUPPORTED;
/// Unit in which the device reserves memory for graphs, in bytes.
pub const RESERVE_UNIT: u64 = 2 << 20;
/// Bodies of a SWITCH. CUDA documents no limit; ours refuses counts that could only be an error.
pub const MAX_SWITCH_BODIES: u32 = 1 << 16;
/// What `cuGraphExecUpdate` reports when a kernel becomes cooperative or stops being so:
/// `CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED`, because cooperative is a launch attribute.
pub const COOPERATIVE_CHANGED: super::UpdateResult = super::UpdateResult::AttributesChanged;
