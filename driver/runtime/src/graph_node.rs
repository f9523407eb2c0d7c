//! Graphs: copy nodes, and nodes of any kind.

use std::ffi::c_void;

use crate::copy3d::{convert, convert_back, line};
use crate::door::{Failure, Outcome, entry_points};
use crate::graph::context;
use crate::types::{DriverKernelNodeParams, KernelNodeParams, Memcpy3D, Memcpy3DParms, Pointer, read, write};
use crate::{driver, registry};

/// `CUgraphNodeParams` and `cudaGraphNodeParams`: a kind, and the same bytes for most kinds.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NodeParams {
    kind: u32,
    reserved0: [u32; 3],
    words: [u64; 29],
    reserved2: u64,
}

/// `CUgraphNodeType`.
const KERNEL: u32 = 0;
const MEMCPY: u32 = 1;
const MEMSET: u32 = 2;
const MEM_ALLOC: u32 = 10;
const CONDITIONAL: u32 = 13;

impl NodeParams {
    fn get<T: Copy>(&self, word: usize) -> T {
        assert!(word * 8 + size_of::<T>() <= size_of_val(&self.words), "within the union");
        // SAFETY: within the words; the callers' types are plain old data.
        unsafe { self.words.as_ptr().add(word).cast::<T>().read_unaligned() }
    }

    fn set<T: Copy>(&mut self, word: usize, value: T) {
        assert!(word * 8 + size_of::<T>() <= size_of_val(&self.words), "within the union");
        // SAFETY: within the words.
        unsafe { self.words.as_mut_ptr().add(word).cast::<T>().write_unaligned(value) }
    }

    /// The driver's form.
    fn converted(mut self) -> Outcome<Self> {
        match self.kind {
            KERNEL => {
                let params: KernelNodeParams = self.get(0);
                let func = registry::function(params.func)?;
                let params = KernelNodeParams { func, ..params };
                self.set(0, DriverKernelNodeParams { params, kern: 0, ctx: 0 });
            }
            MEMCPY => {
                // Flags and three reserved words; the driver has its context in the place of two.
                let copy = convert(&self.get::<Memcpy3DParms>(2))?;
                self.set(1, context()? as u64);
                self.set(2, copy);
            }
            // The context comes last: after address, pitch, value and size, width, height.
            MEMSET => self.set(5, context()? as u64),
            CONDITIONAL => self.set(3, context()? as u64),
            _ => {}
        }
        Ok(self)
    }

    /// Gives the caller what the driver has written.
    fn answer(self, given: &mut Self) {
        match self.kind {
            // The address behind properties, access list, its count and the size.
            MEM_ALLOC => *given = self,
            // Where the graphs of its bodies are.
            CONDITIONAL => given.set(2, self.get::<u64>(2)),
            _ => {}
        }
    }
}

/// # Safety
/// The pointers are null or the caller's.
unsafe fn add(
    node: *mut usize,
    graph: usize,
    params: *mut NodeParams,
    call: impl Fn(Pointer, Pointer) -> Outcome,
) -> Outcome {
    let _ = graph;
    // SAFETY: as the caller vouches.
    let mut given = unsafe { read(params) }?;
    let mut converted = given.converted()?;
    call(node.cast(), (&raw mut converted).cast())?;
    converted.answer(&mut given);
    // SAFETY: as the caller vouches.
    unsafe { write(params, given) }
}

/// A plain copy of a node.
fn plain(dst: Pointer, src: Pointer, count: usize, kind: u32) -> Outcome<Memcpy3D> {
    convert(&line(dst, src, count, kind))
}

fn of_symbol(symbol: usize, offset: usize, count: usize) -> Outcome<Pointer> {
    let (address, size) = registry::variable(symbol)?;
    let end = offset.checked_add(count).filter(|&end| end <= size);
    end.map(|_| std::ptr::without_provenance_mut(address as usize + offset)).ok_or(Failure::INVALID_VALUE)
}

/// # Safety
/// As `cuGraphAddMemcpyNode`.
unsafe fn add_copy(
    node: *mut usize,
    graph: usize,
    dependencies: *const c_void,
    count: usize,
    copy: &Memcpy3D,
) -> Outcome {
    let copy = std::ptr::from_ref(copy).cast();
    // SAFETY: as the caller vouches.
    unsafe { driver::cuGraphAddMemcpyNode(node.cast(), graph, dependencies, count, copy, context()?) }
}

/// # Safety
/// As `cuGraphMemcpyNodeSetParams`, or of an executable graph.
unsafe fn set_copy(exec: Option<usize>, node: usize, copy: &Memcpy3D) -> Outcome {
    let copy = std::ptr::from_ref(copy).cast();
    // SAFETY: as the caller vouches.
    unsafe {
        match exec {
            Some(exec) => driver::cuGraphExecMemcpyNodeSetParams(exec, node, copy, context()?),
            None => driver::cuGraphMemcpyNodeSetParams(node, copy),
        }
    }
}

entry_points! {
    fn cudaGraphAddMemcpyNode(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize,
        pCopyParams: *const Memcpy3DParms
    ) {
        let copy = convert(&unsafe { read(pCopyParams) }?)?;
        unsafe { add_copy(pGraphNode, graph, pDependencies, numDependencies, &copy) }
    }

    fn cudaGraphAddMemcpyNode1D(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize, dst: Pointer,
        src: Pointer, count: usize, kind: u32
    ) {
        let copy = plain(dst, src, count, kind)?;
        unsafe { add_copy(pGraphNode, graph, pDependencies, numDependencies, &copy) }
    }

    fn cudaGraphAddMemcpyNodeToSymbol(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize, symbol: usize,
        src: Pointer, count: usize, offset: usize, kind: u32
    ) {
        let copy = plain(of_symbol(symbol, offset, count)?, src, count, kind)?;
        unsafe { add_copy(pGraphNode, graph, pDependencies, numDependencies, &copy) }
    }

    fn cudaGraphAddMemcpyNodeFromSymbol(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize, dst: Pointer,
        symbol: usize, count: usize, offset: usize, kind: u32
    ) {
        let copy = plain(dst, of_symbol(symbol, offset, count)?, count, kind)?;
        unsafe { add_copy(pGraphNode, graph, pDependencies, numDependencies, &copy) }
    }

    fn cudaGraphMemcpyNodeGetParams(node: usize, pNodeParams: *mut Memcpy3DParms) {
        // SAFETY: plain old data, for which zero is a value.
        let mut copy: Memcpy3D = unsafe { std::mem::zeroed() };
        unsafe { driver::cuGraphMemcpyNodeGetParams(node, (&raw mut copy).cast()) }?;
        unsafe { write(pNodeParams, convert_back(&copy)?) }
    }

    fn cudaGraphMemcpyNodeSetParams(node: usize, pNodeParams: *const Memcpy3DParms) {
        unsafe { set_copy(None, node, &convert(&read(pNodeParams)?)?) }
    }

    fn cudaGraphMemcpyNodeSetParams1D(node: usize, dst: Pointer, src: Pointer, count: usize, kind: u32) {
        unsafe { set_copy(None, node, &plain(dst, src, count, kind)?) }
    }

    fn cudaGraphMemcpyNodeSetParamsToSymbol(
        node: usize, symbol: usize, src: Pointer, count: usize, offset: usize, kind: u32
    ) {
        unsafe { set_copy(None, node, &plain(of_symbol(symbol, offset, count)?, src, count, kind)?) }
    }

    fn cudaGraphMemcpyNodeSetParamsFromSymbol(
        node: usize, dst: Pointer, symbol: usize, count: usize, offset: usize, kind: u32
    ) {
        unsafe { set_copy(None, node, &plain(dst, of_symbol(symbol, offset, count)?, count, kind)?) }
    }

    fn cudaGraphExecMemcpyNodeSetParams(hGraphExec: usize, node: usize, pNodeParams: *const Memcpy3DParms) {
        unsafe { set_copy(Some(hGraphExec), node, &convert(&read(pNodeParams)?)?) }
    }

    fn cudaGraphExecMemcpyNodeSetParams1D(
        hGraphExec: usize, node: usize, dst: Pointer, src: Pointer, count: usize, kind: u32
    ) {
        unsafe { set_copy(Some(hGraphExec), node, &plain(dst, src, count, kind)?) }
    }

    fn cudaGraphExecMemcpyNodeSetParamsToSymbol(
        hGraphExec: usize, node: usize, symbol: usize, src: Pointer, count: usize, offset: usize, kind: u32
    ) {
        unsafe { set_copy(Some(hGraphExec), node, &plain(of_symbol(symbol, offset, count)?, src, count, kind)?) }
    }

    fn cudaGraphExecMemcpyNodeSetParamsFromSymbol(
        hGraphExec: usize, node: usize, dst: Pointer, symbol: usize, count: usize, offset: usize, kind: u32
    ) {
        unsafe { set_copy(Some(hGraphExec), node, &plain(dst, of_symbol(symbol, offset, count)?, count, kind)?) }
    }

    fn cudaGraphAddNode_v1(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, numDependencies: usize,
        nodeParams: *mut NodeParams
    ) {
        unsafe {
            add(pGraphNode, graph, nodeParams, |node, params| {
                driver::cuGraphAddNode(node, graph, pDependencies, numDependencies, params)
            })
        }
    }

    fn cudaGraphAddNode_v2(
        pGraphNode: *mut usize, graph: usize, pDependencies: *const c_void, dependencyData: *const c_void,
        numDependencies: usize, nodeParams: *mut NodeParams
    ) {
        unsafe {
            add(pGraphNode, graph, nodeParams, |node, params| {
                driver::cuGraphAddNode_v2(node, graph, pDependencies, dependencyData, numDependencies, params)
            })
        }
    }

    fn cudaGraphNodeSetParams(node: usize, nodeParams: *mut NodeParams) {
        let params = unsafe { read(nodeParams) }?.converted()?;
        unsafe { driver::cuGraphNodeSetParams(node, (&raw const params).cast()) }
    }

    fn cudaGraphExecNodeSetParams(graphExec: usize, node: usize, nodeParams: *mut NodeParams) {
        let params = unsafe { read(nodeParams) }?.converted()?;
        unsafe { driver::cuGraphExecNodeSetParams(graphExec, node, (&raw const params).cast()) }
    }
}
