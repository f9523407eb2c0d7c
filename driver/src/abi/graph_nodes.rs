//! Adding nodes and edges.

use std::ffi::c_uint;

use super::args::{not_null, slice, write};
use super::capture::dependencies;
use super::graph::with_world;
use super::graph_params::{self as params, Described, Requested, given};
use super::graph_types::*;
use super::types::{
    CUDA_MEMCPY3D, CUcontext, CUdeviceptr, CUevent, CUgraph, CUgraphConditionalHandle, CUgraphNode, CUkernel,
};
use super::{CUresult, Cuda};
use crate::software::graph::{EdgeData, NodeInfo, NodeType, NodeWork, Ownership};
use crate::software::memory::{Origin, memory};
use crate::software::work::NodeParams;
use crate::software::{World, driver};

/// Where a new node goes.
struct Place {
    out: *mut CUgraphNode,
    graph: CUgraph,
    dependencies: Vec<(u64, EdgeData)>,
}

impl Place {
    /// # Safety
    /// The arrays are null or valid for reads of `count` elements; `out` is null or valid for a write.
    unsafe fn new(
        out: *mut CUgraphNode,
        graph: CUgraph,
        nodes: *const CUgraphNode,
        data: *const CUgraphEdgeData,
        count: usize,
    ) -> Cuda<Self> {
        not_null(out)?;
        // SAFETY: as above.
        Ok(Self { out, graph, dependencies: unsafe { dependencies(nodes, data, count) }? })
    }

    /// Adds the node that `make` describes.
    fn add(&self, make: impl FnOnce(&mut World) -> Cuda<Described>) -> Cuda {
        let node = with_world(|world| {
            let (work, info) = make(world)?;
            world.graphs.add_node(self.graph.0, &self.dependencies, work, info)
        })?;
        self.answer(node)
    }

    /// Adds an allocation and returns its address.
    fn allocate(&self, bytes: u64, info: NodeInfo) -> Cuda<CUdeviceptr> {
        let (node, address) = with_world(|world| {
            let (device, access) = params::allocated_on(&info);
            let address = memory().space.reserve(device, bytes, Origin::Graph, access)?;
            let work = NodeParams::MemAlloc { address, size: bytes, pool: 0, device };
            let added = world.graphs.add_node(self.graph.0, &self.dependencies, work, info);
            if added.is_err() {
                // It was reserved just now.
                let _ = memory().space.unreserve(address);
            }
            added.map(|node| (node, address))
        })?;
        self.answer(node).map(|()| address)
    }

    fn child(&self, child: u64, ownership: Ownership) -> Cuda {
        let node = with_world(|world| {
            world.graphs.add_child_graph(self.graph.0, &self.dependencies, child, ownership, NodeInfo::default())
        })?;
        self.answer(node)
    }

    fn answer(&self, node: u64) -> Cuda {
        // SAFETY: `new` has the caller's word for it.
        unsafe { write(self.out, CUgraphNode(node)) }
    }
}

/// `cuGraphAddNode` in each version. Some types return something in the parameters.
///
/// # Safety
/// As for the entry points.
unsafe fn add_node(place: Place, node_params: *mut CUgraphNodeParams) -> Cuda {
    // SAFETY: as above.
    let asked = unsafe { given(node_params) }?;
    // SAFETY: as above.
    match with_world(|world| unsafe { params::node(world, &asked) })? {
        Requested::Work(described) => place.add(|_| Ok(*described)),
        Requested::ChildGraph(child, ownership) => place.child(child, ownership),
        Requested::Allocation(bytes, info) => {
            let address = place.allocate(bytes, info)?;
            // SAFETY: the member that was just read through the same pointer.
            unsafe {
                let target: *mut CUDA_MEM_ALLOC_NODE_PARAMS = (&raw mut (*node_params).member).cast();
                write(&raw mut (*target).dptr, address)
            }
        }
        Requested::Conditional { handle, kind, size, info } => {
            let (node, bodies) = with_world(|world| {
                let graphs = &mut world.graphs;
                let node = graphs.add_conditional(place.graph.0, &place.dependencies, handle, kind, size, info)?;
                let NodeWork::Conditional(conditional) = graphs.node(node)?.work() else {
                    return Err(CUresult::UNKNOWN);
                };
                Ok((node, conditional.bodies.as_ptr()))
            })?;
            // SAFETY: the member that was just read through the same pointer.
            unsafe {
                let target: *mut CUDA_CONDITIONAL_NODE_PARAMS = (&raw mut (*node_params).member).cast();
                write(&raw mut (*target).phGraph_out, bodies.cast())?;
            }
            place.answer(node)
        }
    }
}

/// # Safety
/// The arrays are null or valid for reads of `count` elements.
unsafe fn edge_list(
    from: *const CUgraphNode,
    to: *const CUgraphNode,
    data: *const CUgraphEdgeData,
    count: usize,
) -> Cuda<Vec<(u64, u64, EdgeData)>> {
    // SAFETY: as above.
    let (from, to) = unsafe { (dependencies(from, data, count)?, slice(to, count)?) };
    Ok(from.into_iter().zip(to).map(|((from, data), to)| (from, to.0, data)).collect())
}

entry_points! {
    fn cuGraphAddKernelNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        nodeParams: *const CUDA_KERNEL_NODE_PARAMS_v1,
    ) {
        // SAFETY: the caller's pointers.
        let (place, launch) = unsafe {
            (Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?, given(nodeParams)?)
        };
        let asked = CUDA_KERNEL_NODE_PARAMS { launch, kern: CUkernel::NULL, ctx: CUcontext::NULL };
        // SAFETY: the caller's parameters.
        place.add(|world| unsafe { params::kernel(world, &asked) })
    }

    fn cuGraphAddKernelNode_v2(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    ) {
        // SAFETY: the caller's pointers.
        let (place, asked) = unsafe {
            (Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?, given(nodeParams)?)
        };
        // SAFETY: the caller's parameters.
        place.add(|world| unsafe { params::kernel(world, &asked) })
    }

    fn cuGraphAddMemcpyNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        copyParams: *const CUDA_MEMCPY3D,
        ctx: CUcontext,
    ) {
        // SAFETY: the caller's pointers.
        let (place, copy) = unsafe {
            (Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?, given(copyParams)?)
        };
        place.add(|world| params::memcpy(world, copy, ctx))
    }

    fn cuGraphAddMemsetNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        memsetParams: *const CUDA_MEMSET_NODE_PARAMS,
        ctx: CUcontext,
    ) {
        // SAFETY: the caller's pointers.
        let (place, fill) = unsafe {
            (Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?, given(memsetParams)?)
        };
        place.add(|world| params::memset(world, &fill, ctx))
    }

    fn cuGraphAddHostNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        nodeParams: *const CUDA_HOST_NODE_PARAMS,
    ) {
        // SAFETY: the caller's pointers.
        let (place, host) = unsafe {
            (Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?, given(nodeParams)?)
        };
        place.add(|_| params::host(&host, 0, 0))
    }

    fn cuGraphAddChildGraphNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        childGraph: CUgraph,
    ) {
        // SAFETY: the caller's pointers.
        let place = unsafe { Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies) }?;
        place.child(childGraph.0, Ownership::Clone)
    }

    fn cuGraphAddEmptyNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
    ) {
        // SAFETY: the caller's pointers.
        let place = unsafe { Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies) }?;
        place.add(|_| Ok((NodeParams::Empty, NodeInfo::default())))
    }

    fn cuGraphAddEventRecordNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        event: CUevent,
    ) {
        // SAFETY: the caller's pointers.
        let place = unsafe { Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies) }?;
        place.add(|world| Ok((NodeParams::EventRecord(params::event(world, event)?), NodeInfo::default())))
    }

    fn cuGraphAddEventWaitNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        event: CUevent,
    ) {
        // SAFETY: the caller's pointers.
        let place = unsafe { Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies) }?;
        place.add(|world| Ok((NodeParams::EventWait(params::event(world, event)?), NodeInfo::default())))
    }

    fn cuGraphAddBatchMemOpNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        nodeParams: *const CUDA_BATCH_MEM_OP_NODE_PARAMS,
    ) {
        // SAFETY: the caller's pointers.
        let (place, batch) = unsafe {
            (Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?, given(nodeParams)?)
        };
        // SAFETY: the caller's parameters.
        place.add(|world| unsafe { params::batch(world, &batch) })
    }

    fn cuGraphAddMemAllocNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        nodeParams: *mut CUDA_MEM_ALLOC_NODE_PARAMS,
    ) {
        // SAFETY: the caller's pointers.
        let place = unsafe { Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies) }?;
        // SAFETY: the caller's parameters.
        let (bytes, info) = unsafe { params::allocation(&given(nodeParams)?) }?;
        let address = place.allocate(bytes, info)?;
        // SAFETY: the structure that was just read.
        unsafe { write(&raw mut (*nodeParams).dptr, address) }
    }

    fn cuGraphAddMemFreeNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        dptr: CUdeviceptr,
    ) {
        // SAFETY: the caller's pointers.
        let place = unsafe { Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies) }?;
        place.add(|_| Ok((NodeParams::MemFree { address: dptr }, NodeInfo::default())))
    }

    fn cuGraphAddNode(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        nodeParams: *mut CUgraphNodeParams,
    ) {
        // SAFETY: the caller's pointers.
        unsafe {
            let place = Place::new(phGraphNode, hGraph, dependencies, std::ptr::null(), numDependencies)?;
            add_node(place, nodeParams)
        }
    }

    fn cuGraphAddNode_v2(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        nodeParams: *mut CUgraphNodeParams,
    ) {
        // SAFETY: the caller's pointers.
        unsafe { add_node(Place::new(phGraphNode, hGraph, dependencies, dependencyData, numDependencies)?, nodeParams) }
    }

    fn cuGraphAddNode_v3(
        phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        nodeParams: *mut CUgraphNodeParams,
    ) {
        // SAFETY: the caller's pointers.
        unsafe {
            check_kernel_context(nodeParams)?;
            add_node(Place::new(phGraphNode, hGraph, dependencies, dependencyData, numDependencies)?, nodeParams)
        }
    }

    fn cuGraphAddDependencies(
        hGraph: CUgraph,
        from: *const CUgraphNode,
        to: *const CUgraphNode,
        numDependencies: usize,
    ) {
        // SAFETY: the caller's arrays.
        let edges = unsafe { edge_list(from, to, std::ptr::null(), numDependencies) }?;
        driver().world().graphs.add_dependencies(hGraph.0, &edges)
    }

    fn cuGraphAddDependencies_v2(
        hGraph: CUgraph,
        from: *const CUgraphNode,
        to: *const CUgraphNode,
        edgeData: *const CUgraphEdgeData,
        numDependencies: usize,
    ) {
        // SAFETY: the caller's arrays.
        let edges = unsafe { edge_list(from, to, edgeData, numDependencies) }?;
        driver().world().graphs.add_dependencies(hGraph.0, &edges)
    }

    fn cuGraphRemoveDependencies(
        hGraph: CUgraph,
        from: *const CUgraphNode,
        to: *const CUgraphNode,
        numDependencies: usize,
    ) {
        // SAFETY: the caller's arrays.
        let edges = unsafe { edge_list(from, to, std::ptr::null(), numDependencies) }?;
        driver().world().graphs.remove_dependencies(hGraph.0, &edges)
    }

    fn cuGraphRemoveDependencies_v2(
        hGraph: CUgraph,
        from: *const CUgraphNode,
        to: *const CUgraphNode,
        edgeData: *const CUgraphEdgeData,
        numDependencies: usize,
    ) {
        // SAFETY: the caller's arrays.
        let edges = unsafe { edge_list(from, to, edgeData, numDependencies) }?;
        driver().world().graphs.remove_dependencies(hGraph.0, &edges)
    }

    fn cuGraphConditionalHandleCreate(
        pHandle_out: *mut CUgraphConditionalHandle,
        hGraph: CUgraph,
        ctx: CUcontext,
        defaultLaunchValue: c_uint,
        flags: c_uint,
    ) {
        not_null(pHandle_out)?;
        let mut world = driver().world();
        let context = params::context(&world, ctx)?;
        let handle = world.graphs.create_conditional_handle(hGraph.0, context, defaultLaunchValue, flags)?;
        // SAFETY: the caller's pointer.
        unsafe { write(pHandle_out, handle) }
    }
}

/// D (cuGraphAddNode_v3, cuGraphNodeSetParams_v2): a kernel's function and its context must agree.
///
/// # Safety
/// `node_params` is null or valid for a read.
pub(super) unsafe fn check_kernel_context(node_params: *const CUgraphNodeParams) -> Cuda {
    // SAFETY: as above.
    let asked = unsafe { given(node_params) }?;
    if asked.type_ != NodeType::Kernel as u32 {
        return Ok(());
    }
    // SAFETY: the member has room for it, and any bytes are a value of it.
    let kernel: CUDA_KERNEL_NODE_PARAMS = unsafe { asked.member.as_ptr().cast::<CUDA_KERNEL_NODE_PARAMS>().read() };
    if kernel.launch.func.is_null() || kernel.ctx.is_null() {
        return Ok(());
    }
    let owner = driver().world().function(kernel.launch.func)?.context;
    if owner.0 == kernel.ctx.0 { Ok(()) } else { Err(CUresult::INVALID_CONTEXT) }
}
