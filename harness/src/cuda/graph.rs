//! Captured graphs, their nodes as the driver reads them back, and executable graphs.

use std::sync::Arc;

use cudarc::driver::sys::{
    CUDA_HOST_NODE_PARAMS, CUDA_KERNEL_NODE_PARAMS, CUDA_MEM_ALLOC_NODE_PARAMS, CUDA_MEMCPY3D, CUDA_MEMSET_NODE_PARAMS,
    CUgraph, CUgraphExec, CUgraphNode, CUgraphNodeType, CUmemorytype,
};

use super::{CudaError, Function, Stream, cu};
use crate::framework::FrameworkGraph;

/// A graph that a capture gave, destroyed with this value.
#[derive(Debug)]
pub struct CapturedGraph {
    raw: CUgraph,
    /// Whose graph it is, if a framework captured it: that destroys it.
    owner: Option<Arc<dyn FrameworkGraph>>,
}

// SAFETY: graph objects are not thread-safe (CUDA driver API, "Graph management"), but may move.
unsafe impl Send for CapturedGraph {}

/// A node of a captured graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GraphNode(CUgraphNode);

impl GraphNode {
    pub(super) fn from_raw(raw: CUgraphNode) -> Self {
        GraphNode(raw)
    }

    pub(super) fn raw(self) -> CUgraphNode {
        self.0
    }
}

/// One end of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEnd {
    /// Device address.
    Device(u64),
    /// Host address.
    Host(u64),
    /// A CUDA array, which has no address.
    Array,
}

/// What a node does, with its parameters as the driver holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// Kernel launch.
    Kernel {
        /// Kernel name.
        name: String,
        /// Blocks in x, y, z.
        grid: [u32; 3],
        /// Threads of a block in x, y, z.
        block: [u32; 3],
        /// Dynamic shared memory in bytes.
        shared_bytes: u32,
        /// The bytes of each parameter, with its offset.
        parameters: Vec<(usize, Vec<u8>)>,
    },
    /// Copy of `width`×`height`×`depth` bytes, rows and slices.
    Memcpy {
        /// Destination.
        destination: CopyEnd,
        /// Source.
        source: CopyEnd,
        /// Bytes in all.
        bytes: usize,
    },
    /// Fill.
    Memset {
        /// Device address.
        destination: u64,
        /// Value of each element.
        value: u32,
        /// Bytes of an element.
        element_size: u32,
        /// Elements a row, and rows.
        extent: (usize, usize),
    },
    /// Host function.
    Host {
        /// Address of the function.
        function: u64,
        /// Its argument.
        user_data: u64,
    },
    /// Memory allocation owned by the graph.
    MemAlloc {
        /// Device address.
        address: u64,
        /// Bytes.
        bytes: usize,
    },
    /// Free of a graph's allocation.
    MemFree {
        /// Device address.
        address: u64,
    },
    /// Any other type, by the driver's name for it.
    Other(String),
}

impl NodeKind {
    /// The address and length in bytes of what the node allocates, if it does.
    pub fn allocates(&self) -> Option<(u64, u64)> {
        match *self {
            NodeKind::MemAlloc { address, bytes } => Some((address, bytes as u64)),
            _ => None,
        }
    }
}

impl CapturedGraph {
    pub(super) fn from_raw(raw: CUgraph) -> Self {
        CapturedGraph { raw, owner: None }
    }

    pub(super) fn raw(&self) -> CUgraph {
        self.raw
    }

    /// A graph that a framework captured.
    pub(crate) fn of_framework(owner: Arc<dyn FrameworkGraph>) -> Self {
        CapturedGraph { raw: owner.graph(), owner: Some(owner) }
    }

    /// Whether an address lies in memory that belongs to this graph alone.
    pub fn owns(&self, address: u64) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.owns(address))
    }

    /// Whether an address lies in memory that its framework handed out while it was captured.
    pub fn handed_out(&self, address: u64) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.handed_out(address))
    }

    /// Leaves the graph to whoever owns it.
    pub(super) fn forget(self) {
        std::mem::forget(self);
    }

    /// The nodes, in the driver's order, which is that of their creation.
    ///
    /// # Errors
    /// The driver's.
    pub fn nodes(&self) -> Result<Vec<GraphNode>, CudaError> {
        let mut count = 0;
        cu!(cuGraphGetNodes(self.raw, std::ptr::null_mut(), &mut count))?;
        let mut nodes = vec![std::ptr::null_mut(); count];
        if count > 0 {
            cu!(cuGraphGetNodes(self.raw, nodes.as_mut_ptr(), &mut count))?;
        }
        nodes.truncate(count);
        Ok(nodes.into_iter().map(GraphNode).collect())
    }

    /// The edges, as pairs of nodes: the second depends on the first.
    ///
    /// # Errors
    /// The driver's.
    pub fn edges(&self) -> Result<Vec<(GraphNode, GraphNode)>, CudaError> {
        let none = std::ptr::null_mut::<CUgraphNode>;
        let mut count = 0;
        cu!(cuGraphGetEdges_v2(self.raw, none(), none(), std::ptr::null_mut(), &mut count))?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let null: CUgraphNode = std::ptr::null_mut();
        let (mut from, mut to) = (vec![null; count], vec![null; count]);
        // SAFETY: the struct is plain data for which all zeroes is a valid value.
        let mut data = vec![unsafe { std::mem::zeroed() }; count];
        cu!(cuGraphGetEdges_v2(self.raw, from.as_mut_ptr(), to.as_mut_ptr(), data.as_mut_ptr(), &mut count))?;
        Ok(from.into_iter().map(GraphNode).zip(to.into_iter().map(GraphNode)).take(count).collect())
    }

    /// Reads a node back.
    ///
    /// # Errors
    /// The driver's.
    pub fn node(&self, GraphNode(node): GraphNode) -> Result<NodeKind, CudaError> {
        let mut kind = CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
        cu!(cuGraphNodeGetType(node, &mut kind))?;
        match kind {
            CUgraphNodeType::CU_GRAPH_NODE_TYPE_KERNEL => read_kernel(node),
            CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEMCPY => read_memcpy(node),
            CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEMSET => {
                // SAFETY: the struct is plain data for which all zeroes is a valid value.
                let mut p: CUDA_MEMSET_NODE_PARAMS = unsafe { std::mem::zeroed() };
                cu!(cuGraphMemsetNodeGetParams(node, &mut p))?;
                Ok(NodeKind::Memset {
                    destination: p.dst,
                    value: p.value,
                    element_size: p.elementSize,
                    extent: (p.width, p.height),
                })
            }
            CUgraphNodeType::CU_GRAPH_NODE_TYPE_HOST => {
                // SAFETY: the struct is plain data for which all zeroes is a valid value.
                let mut p: CUDA_HOST_NODE_PARAMS = unsafe { std::mem::zeroed() };
                cu!(cuGraphHostNodeGetParams(node, &mut p))?;
                let function = p.fn_.map_or(0, |function| function as usize as u64);
                Ok(NodeKind::Host { function, user_data: p.userData as u64 })
            }
            CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEM_ALLOC => {
                // SAFETY: the struct is plain data for which all zeroes is a valid value.
                let mut p: CUDA_MEM_ALLOC_NODE_PARAMS = unsafe { std::mem::zeroed() };
                cu!(cuGraphMemAllocNodeGetParams(node, &mut p))?;
                Ok(NodeKind::MemAlloc { address: p.dptr, bytes: p.bytesize })
            }
            CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEM_FREE => {
                let mut address = 0;
                cu!(cuGraphMemFreeNodeGetParams(node, &mut address))?;
                Ok(NodeKind::MemFree { address })
            }
            other => {
                let name = format!("{other:?}");
                Ok(NodeKind::Other(name.trim_start_matches("CU_GRAPH_NODE_TYPE_").to_ascii_lowercase()))
            }
        }
    }

    /// A copy of the graph (`cuGraphClone`).
    ///
    /// # Errors
    /// The driver's; it copies no graph that allocates memory, and none with conditional nodes.
    pub fn duplicate(&self) -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        cu!(cuGraphClone(&mut raw, self.raw))?;
        Ok(CapturedGraph::from_raw(raw))
    }

    /// A copy of the graph's first `count` nodes, in the order of their creation. A node depends only
    /// on nodes before it.
    ///
    /// # Errors
    /// The driver's, as for [`duplicate`](Self::duplicate).
    pub fn first_nodes(&self, count: usize) -> Result<Self, CudaError> {
        let copy = self.duplicate()?;
        for GraphNode(node) in self.nodes()?.into_iter().skip(count) {
            let mut twin = std::ptr::null_mut();
            cu!(cuGraphNodeFindInClone(&mut twin, node, copy.raw))?;
            cu!(cuGraphDestroyNode(twin))?;
        }
        Ok(copy)
    }

    /// A copy of the nodes in `range` alone, in the order of their creation, with the edges between them.
    ///
    /// # Errors
    /// The driver's, as for [`duplicate`](Self::duplicate).
    pub fn only_nodes(&self, range: std::ops::Range<usize>) -> Result<Self, CudaError> {
        let copy = self.duplicate()?;
        for (at, GraphNode(node)) in self.nodes()?.into_iter().enumerate() {
            if !range.contains(&at) {
                let mut twin = std::ptr::null_mut();
                cu!(cuGraphNodeFindInClone(&mut twin, node, copy.raw))?;
                cu!(cuGraphDestroyNode(twin))?;
            }
        }
        Ok(copy)
    }

    /// A copy of the graph whose nodes, given by their places in the order of creation, run one after the other.
    /// `order` must not contradict the edges that there are.
    ///
    /// # Errors
    /// The driver's, as for [`duplicate`](Self::duplicate).
    pub fn one_after_the_other(&self, order: &[usize]) -> Result<Self, CudaError> {
        let copy = self.duplicate()?;
        let nodes = copy.nodes()?;
        let edges = copy.edges()?;
        for pair in order.windows(2) {
            let (Some(&from), Some(&to)) = (nodes.get(pair[0]), nodes.get(pair[1])) else { continue };
            if !edges.contains(&(from, to)) {
                let none = std::ptr::null();
                cu!(cuGraphAddDependencies_v2(copy.raw, &from.raw(), &to.raw(), none, 1))?;
            }
        }
        Ok(copy)
    }

    /// Instantiates the graph.
    ///
    /// # Errors
    /// The driver's, or the framework's.
    pub fn instantiate(&self) -> Result<GraphExec, CudaError> {
        if let Some(owner) = &self.owner {
            let raw = owner.instantiate().map_err(|error| error.told_by("cuGraphInstantiate"))?;
            return Ok(GraphExec { raw, owner: Some(Arc::clone(owner)) });
        }
        let mut raw = std::ptr::null_mut();
        cu!(cuGraphInstantiateWithFlags(&mut raw, self.raw, 0))?;
        Ok(GraphExec { raw, owner: None })
    }
}

fn read_kernel(node: CUgraphNode) -> Result<NodeKind, CudaError> {
    // SAFETY: the struct is plain data for which all zeroes is a valid value.
    let mut p: CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
    cu!(cuGraphKernelNodeGetParams_v2(node, &mut p))?;
    let mut raw = p.func;
    if raw.is_null() && !p.kern.is_null() {
        cu!(cuKernelGetFunction(&mut raw, p.kern))?;
    }
    let function = Function::from_raw(raw);
    let mut parameters = Vec::new();
    if !p.kernelParams.is_null() {
        for (index, (offset, size)) in function.parameters().into_iter().enumerate() {
            // SAFETY: the node owns one pointer for each parameter of the kernel, each to `size` bytes.
            let bytes = unsafe { std::slice::from_raw_parts((*p.kernelParams.add(index)).cast::<u8>(), size) };
            parameters.push((offset, bytes.to_vec()));
        }
    }
    Ok(NodeKind::Kernel {
        name: function.name()?,
        grid: [p.gridDimX, p.gridDimY, p.gridDimZ],
        block: [p.blockDimX, p.blockDimY, p.blockDimZ],
        shared_bytes: p.sharedMemBytes,
        parameters,
    })
}

fn read_memcpy(node: CUgraphNode) -> Result<NodeKind, CudaError> {
    // SAFETY: the struct is plain data; `CU_MEMORYTYPE_HOST` stands for the zero that its enums lack.
    let mut p: CUDA_MEMCPY3D = unsafe {
        let mut p = std::mem::MaybeUninit::<CUDA_MEMCPY3D>::zeroed();
        (&raw mut (*p.as_mut_ptr()).srcMemoryType).write(CUmemorytype::CU_MEMORYTYPE_HOST);
        (&raw mut (*p.as_mut_ptr()).dstMemoryType).write(CUmemorytype::CU_MEMORYTYPE_HOST);
        p.assume_init()
    };
    cu!(cuGraphMemcpyNodeGetParams(node, &mut p))?;
    let end = |kind, host: u64, device: u64| match kind {
        CUmemorytype::CU_MEMORYTYPE_HOST => CopyEnd::Host(host),
        CUmemorytype::CU_MEMORYTYPE_ARRAY => CopyEnd::Array,
        _ => CopyEnd::Device(device),
    };
    Ok(NodeKind::Memcpy {
        destination: end(p.dstMemoryType, p.dstHost as u64 + p.dstXInBytes as u64, p.dstDevice + p.dstXInBytes as u64),
        source: end(p.srcMemoryType, p.srcHost as u64 + p.srcXInBytes as u64, p.srcDevice + p.srcXInBytes as u64),
        bytes: p.WidthInBytes * p.Height.max(1) * p.Depth.max(1),
    })
}

impl Drop for CapturedGraph {
    fn drop(&mut self) {
        if self.raw.is_null() || self.owner.is_some() {
            return;
        }
        if let Err(error) = cu!(cuGraphDestroy(self.raw)) {
            tracing::debug!(%error, "destroying a graph");
        }
    }
}

/// An executable graph, destroyed with this value.
#[derive(Debug)]
pub struct GraphExec {
    raw: CUgraphExec,
    /// Whose it is, if a framework captured the graph.
    owner: Option<Arc<dyn FrameworkGraph>>,
}

// SAFETY: as for `CapturedGraph`.
unsafe impl Send for GraphExec {}

impl GraphExec {
    /// The handle as a number.
    pub fn handle(&self) -> u64 {
        self.raw.addr() as u64
    }

    /// Enqueues one replay.
    ///
    /// # Errors
    /// The driver's, or the framework's.
    pub fn launch(&self, stream: &Stream) -> Result<(), CudaError> {
        if let Some(owner) = &self.owner {
            return owner.replay(stream.raw()).map_err(|error| error.told_by("cuGraphLaunch"));
        }
        cu!(cuGraphLaunch(self.raw, stream.raw()))
    }
}

impl Drop for GraphExec {
    fn drop(&mut self) {
        if self.owner.is_some() {
            return;
        }
        if let Err(error) = cu!(cuGraphExecDestroy(self.raw)) {
            tracing::debug!(%error, "destroying an executable graph");
        }
    }
}
