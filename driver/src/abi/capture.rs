//! Stream capture.

use std::ffi::{c_uint, c_void};

use super::args::{not_null, read, slice, write, write_if};
use super::graph_types::CUgraphEdgeData;
use super::translate::recapture_callback;
use super::types::{CUgraph, CUgraphNode, CUgraphRecaptureCallback, CUstream};
use super::{CUresult, Cuda};
use crate::software::capture::{CaptureMode, DependencyUpdate};
use crate::software::graph::EdgeData;
use crate::software::{ThreadId, World, driver};

/// The caller's nodes with their annotations; without annotations all are full dependencies.
///
/// # Safety
/// Both pointers are null or valid for reads of `count` elements.
pub(super) unsafe fn dependencies(
    nodes: *const CUgraphNode,
    data: *const CUgraphEdgeData,
    count: usize,
) -> Cuda<Vec<(u64, EdgeData)>> {
    // SAFETY: as above.
    let nodes = unsafe { slice(nodes, count) }?;
    if data.is_null() {
        return Ok(nodes.iter().map(|node| (node.0, EdgeData::FULL)).collect());
    }
    // SAFETY: as above.
    let data = unsafe { slice(data, count) }?;
    Ok(nodes.iter().zip(data).map(|(node, &data)| (node.0, data)).collect())
}

/// Where `cuStreamGetCaptureInfo` writes. Null pointers are not asked for.
struct InfoOutputs {
    status: *mut c_uint,
    id: *mut u64,
    graph: *mut CUgraph,
    dependencies: *mut *const CUgraphNode,
    edge_data: *mut *const CUgraphEdgeData,
    count: *mut usize,
}

/// # Safety
/// The outputs are null or valid for writes.
unsafe fn capture_info(world: &mut World, stream: CUstream, out: InfoOutputs) -> Cuda {
    not_null(out.status)?;
    // D: with edge data, the nodes must be asked for as well.
    if !out.edge_data.is_null() && out.dependencies.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let stream = world.find_stream(stream)?;
    let (status, info) = world.capture.info(stream)?;
    // SAFETY: as above, here and below.
    unsafe { write(out.status, status as c_uint) }?;
    let Some(info) = info else { return Ok(()) };
    let lossy = info.edge_data.iter().any(|&data| data != EdgeData::FULL);
    if !out.dependencies.is_null() && out.edge_data.is_null() && lossy {
        return Err(CUresult::LOSSY_QUERY);
    }
    // SAFETY: as above.
    unsafe {
        write_if(out.id, info.id.0);
        write_if(out.graph, CUgraph(info.graph));
        write_if(out.dependencies, info.dependencies.as_ptr().cast());
        write_if(out.edge_data, info.edge_data.as_ptr());
        write_if(out.count, info.dependencies.len());
    }
    Ok(())
}

/// # Safety
/// The pointers are null or valid for reads of `count` elements.
unsafe fn update_dependencies(
    stream: CUstream,
    nodes: *const CUgraphNode,
    data: *const CUgraphEdgeData,
    count: usize,
    flags: c_uint,
) -> Cuda {
    // SAFETY: as above.
    let nodes = unsafe { dependencies(nodes, data, count) }?;
    let how = DependencyUpdate::from_raw(flags)?;
    let mut world = driver().world();
    let stream = world.stream(stream)?;
    let World { capture, graphs, .. } = &mut *world;
    capture.update_dependencies(graphs, stream, &nodes, how)
}

fn begin(stream: CUstream, mode: CaptureMode) -> Cuda {
    let mut world = driver().world();
    let stream = world.stream(stream)?;
    let World { capture, graphs, .. } = &mut *world;
    capture.begin(graphs, ThreadId::current(), stream, mode).map(|_| ())
}

entry_points! {
    fn cuStreamBeginCapture(hStream: CUstream) on hStream {
        // The form of CUDA 10.0 had one mode.
        begin(hStream, CaptureMode::Global)
    }

    fn cuStreamBeginCapture_v2(hStream: CUstream, mode: c_uint) on hStream {
        begin(hStream, CaptureMode::from_raw(mode)?)
    }

    fn cuStreamBeginCaptureToGraph(
        hStream: CUstream,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        mode: c_uint,
    ) on hStream {
        let mode = CaptureMode::from_raw(mode)?;
        // SAFETY: the caller's arrays.
        let nodes = unsafe { self::dependencies(dependencies, dependencyData, numDependencies) }?;
        let mut world = driver().world();
        let stream = world.stream(hStream)?;
        let World { capture, graphs, .. } = &mut *world;
        capture.begin_to_graph(graphs, ThreadId::current(), stream, hGraph.0, &nodes, mode).map(|_| ())
    }

    fn cuStreamBeginRecaptureToGraph(
        hStream: CUstream,
        mode: c_uint,
        hGraph: CUgraph,
        callbackFunc: Option<CUgraphRecaptureCallback>,
        userData: *mut c_void,
    ) on hStream {
        let mode = CaptureMode::from_raw(mode)?;
        let callback = callbackFunc.map(|function| recapture_callback(function, userData));
        super::graph::with_world(|world| {
            let stream = world.stream(hStream)?;
            let World { capture, graphs, .. } = world;
            capture.begin_recapture(graphs, ThreadId::current(), stream, mode, hGraph.0, callback)
        })?;
        super::graph_recapture::begins();
        Ok(())
    }

    fn cuStreamEndCapture(hStream: CUstream, phGraph: *mut CUgraph) on hStream {
        not_null(phGraph)?;
        // SAFETY: the caller's pointer. A failed end gives a null graph.
        unsafe { write(phGraph, CUgraph::NULL) }?;
        let graph = super::graph::with_world(|world| {
            let stream = world.stream(hStream)?;
            let World { capture, graphs, .. } = world;
            capture.end(graphs, ThreadId::current(), stream)
        })?;
        // SAFETY: the caller's pointer.
        unsafe { write(phGraph, CUgraph(graph)) }
    }

    fn cuStreamIsCapturing(hStream: CUstream, captureStatus: *mut c_uint) on hStream {
        not_null(captureStatus)?;
        let mut world = driver().world();
        let stream = world.find_stream(hStream)?;
        let status = world.capture.is_capturing(stream)?;
        // SAFETY: the caller's pointer.
        unsafe { write(captureStatus, status as c_uint) }
    }

    fn cuStreamGetCaptureInfo(hStream: CUstream, captureStatus_out: *mut c_uint, id_out: *mut u64) on hStream {
        let out = InfoOutputs {
            status: captureStatus_out,
            id: id_out,
            graph: std::ptr::null_mut(),
            dependencies: std::ptr::null_mut(),
            edge_data: std::ptr::null_mut(),
            count: std::ptr::null_mut(),
        };
        // SAFETY: the caller's pointers.
        unsafe { capture_info(&mut driver().world(), hStream, out) }
    }

    fn cuStreamGetCaptureInfo_v2(
        hStream: CUstream,
        captureStatus_out: *mut c_uint,
        id_out: *mut u64,
        graph_out: *mut CUgraph,
        dependencies_out: *mut *const CUgraphNode,
        numDependencies_out: *mut usize,
    ) on hStream {
        let out = InfoOutputs {
            status: captureStatus_out,
            id: id_out,
            graph: graph_out,
            dependencies: dependencies_out,
            edge_data: std::ptr::null_mut(),
            count: numDependencies_out,
        };
        // SAFETY: the caller's pointers.
        unsafe { capture_info(&mut driver().world(), hStream, out) }
    }

    fn cuStreamGetCaptureInfo_v3(
        hStream: CUstream,
        captureStatus_out: *mut c_uint,
        id_out: *mut u64,
        graph_out: *mut CUgraph,
        dependencies_out: *mut *const CUgraphNode,
        edgeData_out: *mut *const CUgraphEdgeData,
        numDependencies_out: *mut usize,
    ) on hStream {
        let out = InfoOutputs {
            status: captureStatus_out,
            id: id_out,
            graph: graph_out,
            dependencies: dependencies_out,
            edge_data: edgeData_out,
            count: numDependencies_out,
        };
        // SAFETY: the caller's pointers.
        unsafe { capture_info(&mut driver().world(), hStream, out) }
    }

    fn cuStreamUpdateCaptureDependencies(
        hStream: CUstream,
        dependencies: *mut CUgraphNode,
        numDependencies: usize,
        flags: c_uint,
    ) on hStream {
        // SAFETY: the caller's array.
        unsafe { update_dependencies(hStream, dependencies, std::ptr::null(), numDependencies, flags) }
    }

    fn cuStreamUpdateCaptureDependencies_v2(
        hStream: CUstream,
        dependencies: *mut CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        flags: c_uint,
    ) on hStream {
        // SAFETY: the caller's arrays.
        unsafe { update_dependencies(hStream, dependencies, dependencyData, numDependencies, flags) }
    }

    fn cuThreadExchangeStreamCaptureMode(mode: *mut c_uint) {
        // SAFETY: the caller's pointer.
        let wanted = unsafe { read(mode) }?;
        let previous = driver().world().capture.exchange_mode(ThreadId::current(), wanted);
        // SAFETY: the caller's pointer.
        unsafe { write(mode, previous) }
    }
}
