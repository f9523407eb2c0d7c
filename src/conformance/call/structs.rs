//! The parameter structures of cuda.h, laid out by offset.
//!
//! Written by hand and not through bindings, so that the suite depends on no one version of the
//! header. NVIDIA does not change the layout of a published structure.

use super::env::{Env, Kind, Problem, Scratch, Value};
use crate::conformance::expand::Step;

/// The array of pointers to parameters that a launch takes, from the arguments `from..` of a line.
///
/// # Errors
/// A kernel variable that is none, a wrong count of parameters, or an argument that does not resolve.
pub fn kernel_params(env: &Env, step: &Step, kernel: Value, from: usize) -> Result<u64, Problem> {
    let Kind::Kernel(sizes) = kernel.kind else {
        return Err(Problem::Script(format!("`{}`: no kernel; declare one with `kernel K store`", step.text)));
    };
    if step.args.len() != from + sizes.len() {
        return Err(Problem::Script(format!("`{}`: this kernel takes {} parameters", step.text, sizes.len())));
    }
    let pointers = Scratch::new(8 * sizes.len());
    for at in 0..sizes.len() {
        let value = env.arg(step, from + at)?.bits;
        pointers.u64(8 * at, Scratch::new(8).u64(0, value).address());
    }
    Ok(pointers.address())
}

/// `CUDA_KERNEL_NODE_PARAMS_v2` of one thread in one block.
pub fn kernel_node(function: u64, params: u64) -> u64 {
    let one = [8, 12, 16, 20, 24, 28].into_iter().fold(Scratch::new(72), |out, offset| out.u32(offset, 1));
    one.u64(0, function).u64(40, params).address()
}

/// `CUDA_MEMSET_NODE_PARAMS`: `count` elements of 4 bytes in one row.
pub fn memset_node(destination: u64, value: u64, count: u64) -> u64 {
    Scratch::new(48).u64(0, destination).u32(16, value).u32(20, 4).u64(24, count).u64(32, 1).address()
}

const MEMORY_TYPE_HOST: u64 = 1;
const MEMORY_TYPE_DEVICE: u64 = 2;

/// `CUDA_MEMCPY3D` of `bytes` in one row; the memory types are the variables' kinds.
pub fn memcpy_node(destination: Value, source: Value, bytes: u64) -> u64 {
    let side = |out: Scratch, at: usize, value: Value| match value.kind {
        Kind::Host => out.u32(at + 32, MEMORY_TYPE_HOST).u64(at + 40, value.bits),
        _ => out.u32(at + 32, MEMORY_TYPE_DEVICE).u64(at + 48, value.bits),
    };
    let out = side(side(Scratch::new(200), 0, source), 88, destination);
    out.u64(72, bytes).u64(160, bytes).u64(176, bytes).u64(184, 1).u64(192, 1).address()
}

const ALLOCATION_TYPE_PINNED: u64 = 1;
const LOCATION_TYPE_DEVICE: u64 = 1;

/// `CUmemPoolProps` of pinned device memory, at `offset` of a block.
fn pool_props(out: Scratch) -> Scratch {
    out.u32(0, ALLOCATION_TYPE_PINNED).u32(8, LOCATION_TYPE_DEVICE)
}

/// `CUmemPoolProps` of a pool on the device.
pub fn pool() -> u64 {
    pool_props(Scratch::new(88)).address()
}

/// `CUDA_MEM_ALLOC_NODE_PARAMS`; the driver stores the address at offset 112.
pub fn mem_alloc_node(bytes: u64) -> Scratch {
    pool_props(Scratch::new(120)).u64(104, bytes)
}

/// `CUmemAllocationProp` of device memory.
pub fn allocation_prop() -> u64 {
    Scratch::new(32).u32(0, ALLOCATION_TYPE_PINNED).u32(8, LOCATION_TYPE_DEVICE).address()
}

/// `CUmemAccessDesc`: the device may read and write.
pub fn access_desc() -> u64 {
    Scratch::new(16).u32(0, LOCATION_TYPE_DEVICE).u32(8, 3).address()
}

const ARRAY_FORMAT_UNSIGNED_INT32: u64 = 3;

/// `CUDA_ARRAY_DESCRIPTOR` of a row of 32-bit elements.
pub fn array(width: u64) -> u64 {
    Scratch::new(24).u64(0, width).u32(16, ARRAY_FORMAT_UNSIGNED_INT32).u32(20, 1).address()
}

const NODE_TYPE_CONDITIONAL: u64 = 13;

/// `CUgraphNodeParams` of a conditional node; the driver stores a pointer to its bodies at offset 32.
pub fn conditional_node(handle: u64, kind: u64, bodies: u64, context: u64) -> Scratch {
    Scratch::new(256).u32(0, NODE_TYPE_CONDITIONAL).u64(16, handle).u32(24, kind).u32(28, bodies).u64(40, context)
}

/// `CUDA_GRAPH_INSTANTIATE_PARAMS`; the driver stores the failing node at 16 and the result at 24.
pub fn instantiate(flags: u64, upload_stream: u64) -> Scratch {
    Scratch::new(32).u64(0, flags).u64(8, upload_stream)
}

/// `CUlaunchConfig` of one thread in one block.
pub fn launch_config(stream: u64) -> u64 {
    let one = [0, 4, 8, 12, 16, 20].into_iter().fold(Scratch::new(56), |out, offset| out.u32(offset, 1));
    one.u64(32, stream).address()
}

const MEM_OP_WRITE_VALUE_32: u64 = 2;

/// One `CUstreamBatchMemOpParams` that writes 32 bits.
pub fn write_value(address: u64, value: u64) -> u64 {
    Scratch::new(48).u32(0, MEM_OP_WRITE_VALUE_32).u64(8, address).u32(16, value).address()
}
