//! Copies of a graph in which words of its kernels' parameters are others.

use std::ffi::c_void;

use cudarc::driver::sys::{CUDA_KERNEL_NODE_PARAMS, CUgraphNode};

use super::{CapturedGraph, CudaError, Function, cu};

/// A word of 8 bytes in a kernel node's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParameterWord {
    /// The node, by its place in the order of creation.
    pub node: usize,
    /// The parameter's number.
    pub parameter: usize,
    /// Byte offset in the parameter.
    pub offset: usize,
}

impl CapturedGraph {
    /// A copy of the graph with other values for some words of its kernels' parameters.
    ///
    /// # Errors
    /// The driver's, as for [`duplicate`](Self::duplicate).
    pub fn with_words(&self, words: &[(ParameterWord, u64)]) -> Result<Self, CudaError> {
        let copy = self.duplicate()?;
        for (at, node) in self.nodes()?.into_iter().enumerate() {
            let own: Vec<_> = words.iter().filter(|(word, _)| word.node == at).collect();
            if !own.is_empty() {
                let mut twin = std::ptr::null_mut();
                cu!(cuGraphNodeFindInClone(&mut twin, node.raw(), copy.raw()))?;
                rewrite(twin, &own)?;
            }
        }
        Ok(copy)
    }
}

fn rewrite(node: CUgraphNode, words: &[&(ParameterWord, u64)]) -> Result<(), CudaError> {
    // SAFETY: the struct is plain data for which all zeroes is a valid value.
    let mut p: CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
    cu!(cuGraphKernelNodeGetParams_v2(node, &mut p))?;
    let mut raw = p.func;
    if raw.is_null() && !p.kern.is_null() {
        cu!(cuKernelGetFunction(&mut raw, p.kern))?;
    }
    if p.kernelParams.is_null() {
        return Ok(());
    }
    let sizes = Function::from_raw(raw).parameters().into_iter().map(|(_, size)| size).enumerate();
    // Aligned as the strictest parameter may ask for.
    let mut parameters: Vec<Vec<u128>> = Vec::new();
    for (index, size) in sizes {
        let mut own = vec![0u128; size.div_ceil(16).max(1)];
        // SAFETY: the node owns one pointer for each parameter of the kernel, each to `size` bytes.
        let before = unsafe { std::slice::from_raw_parts((*p.kernelParams.add(index)).cast::<u8>(), size) };
        let bytes = bytemuck::cast_slice_mut::<u128, u8>(&mut own);
        bytes[..size].copy_from_slice(before);
        for (word, value) in words.iter().filter(|(word, _)| word.parameter == index) {
            if let Some(place) = bytes[..size].get_mut(word.offset..word.offset + 8) {
                place.copy_from_slice(&value.to_ne_bytes());
            }
        }
        parameters.push(own);
    }
    let mut pointers: Vec<*mut c_void> = parameters.iter_mut().map(|own| own.as_mut_ptr().cast()).collect();
    p.kernelParams = pointers.as_mut_ptr();
    p.extra = std::ptr::null_mut();
    cu!(cuGraphKernelNodeSetParams_v2(node, &p))
}
