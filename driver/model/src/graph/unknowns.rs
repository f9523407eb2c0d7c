//! What NVIDIA does not say about graphs and nobody has published a measurement of. Each entry is
//! a guess (evidence tag G) that a run on a GPU may correct; nothing else in this folder guesses.

use graphproof_api::CUresult;

/// A kernel sets a conditional that the launched graph does not have, or runs outside such a graph:
/// the context is in error. NVIDIA says only that the handle must belong to the kernel's context
/// (cuda_device_runtime_api.h).
pub const FOREIGN_CONDITIONAL: CUresult = CUresult::LAUNCH_FAILED;
/// A node that a graph for device launch may not hold.
pub const DEVICE_LAUNCH_FORBIDDEN: CUresult = CUresult::INVALID_VALUE;
/// Parameters of a memory node in a graph cannot be set; `cuGraphNodeSetParams` lists this code.
pub const SET_MEMORY_NODE: CUresult = CUresult::NOT_SUPPORTED;
/// Bodies of a SWITCH. CUDA documents no limit; ours refuses counts that could only be an error.
pub const MAX_SWITCH_BODIES: u32 = 1 << 16;
