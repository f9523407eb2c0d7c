//! When two pieces of work are the same, and when an executable graph may take one for the other.

use std::sync::Arc;

use super::exec::{DEVICE_LAUNCH, ExecNode, ExecWork, USE_NODE_PRIORITY};
use super::node::NodeInfo;
use super::structure::is_host_copy;
use crate::batch::MemOp;
use crate::params::{Attribute, CopyParams};
use crate::work::{KernelWork, MemsetWork, NodeParams};

/// `CUgraphExecUpdateResult`, without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum UpdateResult {
    /// The call is refused before it has a result, which reads as success.
    Untold = 0,
    Error = 1,
    TopologyChanged = 2,
    NodeTypeChanged = 3,
    FunctionChanged = 4,
    ParametersChanged = 5,
    NotSupported = 6,
    UnsupportedFunctionChange = 7,
    AttributesChanged = 8,
}

/// `CU_LAUNCH_ATTRIBUTE_PRIORITY`.
const PRIORITY: u32 = 8;

/// Whether the two do the same with the same arguments, byte for byte.
pub fn same_params(a: &NodeParams, b: &NodeParams) -> bool {
    match (a, b) {
        (NodeParams::Kernel(a), NodeParams::Kernel(b)) => {
            Arc::ptr_eq(&a.function.entry, &b.function.entry)
                && a.function.handle == b.function.handle
                && a.config == b.config
                && a.parameters == b.parameters
                && a.cooperative == b.cooperative
                && a.attributes == b.attributes
        }
        (NodeParams::Memcpy(a), NodeParams::Memcpy(b)) => a.params == b.params && a.staged == b.staged,
        (NodeParams::Memset(a), NodeParams::Memset(b)) => a == b,
        (NodeParams::Host(a), NodeParams::Host(b)) => a == b,
        (
            NodeParams::MemAlloc { address: a, size: s, pool: p, device: d },
            NodeParams::MemAlloc { address: b, size: t, pool: q, device: e },
        ) => (a, s, p, d) == (b, t, q, e),
        (NodeParams::MemFree { address: a }, NodeParams::MemFree { address: b }) => a == b,
        (NodeParams::EventRecord(a), NodeParams::EventRecord(b)) => a == b,
        (NodeParams::EventWait(a), NodeParams::EventWait(b)) => a == b,
        (NodeParams::BatchMemOp(a), NodeParams::BatchMemOp(b)) => a == b,
        (NodeParams::Empty, NodeParams::Empty) => true,
        _ => false,
    }
}

/// Whether an executable graph made with `flags` may replace `old` by `new` (D: the limitations of
/// cuGraphExecUpdate and of the cuGraphExec…NodeSetParams functions).
///
/// # Errors
/// What `cuGraphExecUpdate` reports for the node.
pub(crate) fn updatable(
    old: (&NodeParams, &NodeInfo),
    new: (&NodeParams, &NodeInfo),
    flags: u64,
) -> Result<(), UpdateResult> {
    let same_context = old.1.context == new.1.context;
    let allowed = match (old.0, new.0) {
        (NodeParams::Kernel(old), NodeParams::Kernel(new)) => return kernel(old, new, flags),
        // M (H200, driver 580.159.04): what instantiation for device launch forbids, an update does too.
        (NodeParams::Memcpy(_), NodeParams::Memcpy(_)) if flags & DEVICE_LAUNCH != 0 && is_host_copy(new.0) => false,
        (NodeParams::Memcpy(old), NodeParams::Memcpy(new)) => same_context && memcpy(&old.params, &new.params),
        (NodeParams::Memset(old), NodeParams::Memset(new)) => same_context && memset(old, new),
        (NodeParams::Host(_), NodeParams::Host(_)) | (NodeParams::EventRecord(_), NodeParams::EventRecord(_)) => {
            same_context
        }
        (NodeParams::EventWait(_), NodeParams::EventWait(_)) | (NodeParams::Empty, NodeParams::Empty) => true,
        // M (H200, driver 580.159.04): an allocation of another size too.
        (NodeParams::MemAlloc { .. }, NodeParams::MemAlloc { .. })
        | (NodeParams::MemFree { .. }, NodeParams::MemFree { .. }) => true,
        (NodeParams::BatchMemOp(old), NodeParams::BatchMemOp(new)) => {
            same_context
                && old.len() == new.len()
                && old.iter().zip(new.iter()).all(|(old, new)| same_operation(old, new))
        }
        _ => return Err(UpdateResult::NodeTypeChanged),
    };
    if allowed { Ok(()) } else { Err(UpdateResult::ParametersChanged) }
}

fn kernel(old: &KernelWork, new: &KernelWork, flags: u64) -> Result<(), UpdateResult> {
    if old.function.context != new.function.context {
        return Err(UpdateResult::UnsupportedFunctionChange);
    }
    if old.cooperative != new.cooperative {
        // M (H200, driver 580.159.04).
        return Err(UpdateResult::AttributesChanged);
    }
    if flags & USE_NODE_PRIORITY != 0 && priority(&old.attributes) != priority(&new.attributes) {
        return Err(UpdateResult::AttributesChanged);
    }
    Ok(())
}

fn priority(attributes: &[Attribute]) -> u32 {
    attributes.iter().rfind(|attribute| attribute.id == PRIORITY).map_or(0, |attribute| attribute.value.word(0))
}

/// Memory types are fixed; a copy of more than one row may not change at all.
fn memcpy(old: &CopyParams, new: &CopyParams) -> bool {
    let linear = |copy: &CopyParams| copy.extent[1] <= 1 && copy.extent[2] <= 1;
    let types = |copy: &CopyParams| (copy.src.memory_type, copy.dst.memory_type);
    old == new || (types(old) == types(new) && linear(old) && linear(new))
}

/// Address and value are free; of the dimensions only the width of a single row.
fn memset(old: &MemsetWork, new: &MemsetWork) -> bool {
    let same_shape = old.width == new.width && old.pitch == new.pitch && old.element_size == new.element_size;
    old.height == new.height && (old.height <= 1 || same_shape)
}

/// Kind and flags of an operation are fixed; addresses and values are free. The kind is the first
/// word; a wait's or write's flags are the first word of the fourth unit, the others' flags follow
/// the kind.
fn same_operation(old: &MemOp, new: &MemOp) -> bool {
    const WAIT_OR_WRITE: [u32; 4] = [1, 2, 4, 5];
    const WAIT_KIND: u32 = 0x3;
    let (kind, other) = (old.kind(), new.kind());
    if kind != other {
        return false;
    }
    if !WAIT_OR_WRITE.contains(&kind) {
        return old == new;
    }
    let (flags, others) = (old.flags(), new.flags());
    if kind == 1 || kind == 4 { flags & !WAIT_KIND == others & !WAIT_KIND } else { flags == others }
}

/// [`updatable`] for a node of an executable graph, without its inner graphs.
pub(super) fn node_updatable(old: &ExecNode, new: &ExecNode, flags: u64) -> Result<(), UpdateResult> {
    match (&old.work, &new.work) {
        (ExecWork::Work(a), ExecWork::Work(b)) => updatable((a, &old.info), (b, &new.info), flags),
        (ExecWork::Graph(_), ExecWork::Graph(_)) => Ok(()),
        (ExecWork::Conditional { kind: a, bodies: x, .. }, ExecWork::Conditional { kind: b, bodies: y, .. }) => {
            if a != b {
                // M (H200, driver 580.159.04): from IF to WHILE.
                Err(UpdateResult::NotSupported)
            } else if x.len() == y.len() && old.info.context == new.info.context {
                Ok(())
            } else {
                Err(UpdateResult::ParametersChanged)
            }
        }
        _ => Err(UpdateResult::NodeTypeChanged),
    }
}
