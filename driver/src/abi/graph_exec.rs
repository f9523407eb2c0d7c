//! Executable graphs: instantiation, launch, update.

use std::ffi::{c_char, c_uint, c_ulonglong};

use super::args::{not_null, read, write, write_if};
use super::graph::with_world;
use super::graph_types::{CUDA_GRAPH_INSTANTIATE_PARAMS, CUgraphExecUpdateResultInfo};
use super::types::{CUgraph, CUgraphExec, CUgraphNode, CUstream};
use super::{CUresult, Cuda};
use crate::software::capture::Placement;
use crate::software::execute::Op;
use crate::software::graph::{InstantiateError, UPLOAD, UpdateError};
use crate::software::work::NodeParams;
use crate::software::{World, driver};

fn instantiate(graph: CUgraph, flags: u64) -> Result<u64, InstantiateError> {
    let mut failed = None;
    let result = with_world(|world| {
        world.graphs.instantiate(graph.0, flags).map_err(|error| {
            failed = Some(error);
            error.code
        })
    });
    result.map_err(|code| failed.unwrap_or_else(|| code.into()))
}

fn update(exec: CUgraphExec, graph: CUgraph) -> Result<(), UpdateError> {
    let mut failed = None;
    let result = with_world(|world| {
        world.graphs.update(exec.0, graph.0).map_err(|error| {
            failed = Some(error);
            error.code
        })
    });
    result.map_err(|code| failed.unwrap_or_else(|| code.into()))
}

/// Launches on a stream. No capture takes it: `cuGraphAddChildGraphNode` makes the node that a
/// program may want.
fn launch(world: &mut World, exec: CUgraphExec, stream: CUstream) -> Cuda {
    let stream = world.usable_stream(stream)?;
    world.graphs.exec(exec.0)?;
    world.capture.classify_uncapturable(stream)?;
    // M (H200, driver 580.159.04): a wait node waits as cuStreamWaitEvent on the stream does, so that an
    // event of a capture in progress takes the stream into it.
    let waits = if world.capture.is_idle() { Vec::new() } else { world.graphs.exec(exec.0)?.waits() };
    for event in waits {
        if world.capture.is_captured(event) && world.capture.wait_event(stream, event)? == Placement::Eager {
            break;
        }
    }
    let launch = world.graphs.launch(exec.0)?;
    let after: Vec<_> = launch.after.into_iter().collect();
    for address in launch.free_first {
        driver().submit(world, stream, Op::Node(NodeParams::MemFree { address }), after.clone());
    }
    let ticket = driver().submit_graph(world, stream, launch.plan, after);
    world.graphs.set_ticket(exec.0, ticket);
    crate::observe::was_exec(ticket, exec.0);
    Ok(())
}

fn upload(world: &mut World, exec: CUgraphExec, stream: CUstream) -> Cuda {
    let stream = world.usable_stream(stream)?;
    world.graphs.exec(exec.0)?;
    // There is no node that uploads.
    world.capture.classify_uncapturable(stream)?;
    if let Some(previous) = world.graphs.upload(exec.0)? {
        driver().submit(world, stream, Op::Nothing, vec![previous]);
    }
    Ok(())
}

entry_points! {
    fn cuGraphInstantiateWithFlags(phGraphExec: *mut CUgraphExec, hGraph: CUgraph, flags: c_ulonglong) {
        not_null(phGraphExec)?;
        // D: only cuGraphInstantiateWithParams has a stream to upload in. M (H200, driver 580.159.04): no
        // capture is invalidated.
        if flags & UPLOAD != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().unsafe_call()?;
        let exec = instantiate(hGraph, flags).map_err(|error| error.code)?;
        // SAFETY: the caller's pointer.
        unsafe { write(phGraphExec, CUgraphExec(exec)) }
    }

    fn cuGraphInstantiate_v2(
        phGraphExec: *mut CUgraphExec,
        hGraph: CUgraph,
        phErrorNode: *mut CUgraphNode,
        logBuffer: *mut c_char,
        bufferSize: usize,
    ) {
        not_null(phGraphExec)?;
        let result = instantiate(hGraph, 0);
        // SAFETY: the caller's pointers, here and below.
        unsafe { write_if(phErrorNode, CUgraphNode(result.err().map_or(0, |error| error.node))) };
        if bufferSize > 0 {
            // SAFETY: as above. The log stays empty.
            unsafe { write_if(logBuffer, 0) };
        }
        let exec = result.map_err(|error| error.code)?;
        // SAFETY: as above.
        unsafe { write(phGraphExec, CUgraphExec(exec)) }
    }

    fn cuGraphInstantiateWithParams(
        phGraphExec: *mut CUgraphExec,
        hGraph: CUgraph,
        instantiateParams: *mut CUDA_GRAPH_INSTANTIATE_PARAMS,
    ) {
        not_null(phGraphExec)?;
        // SAFETY: the caller's pointers, here and below.
        let mut params = unsafe { read(instantiateParams) }?;
        // M (H200, driver 580.159.04): the result is told of a refusal by a capture too.
        let result = driver().unsafe_call().map_err(InstantiateError::from).and_then(|()| instantiate(hGraph, params.flags));
        params.hErrNode_out = CUgraphNode(result.err().map_or(0, |error| error.node));
        params.result_out = result.err().map_or(0, |error| error.result as c_uint);
        // SAFETY: as above.
        unsafe { write(instantiateParams, params) }?;
        let exec = CUgraphExec(result.map_err(|error| error.code)?);
        if params.flags & UPLOAD != 0 {
            with_world(|world| {
                upload(world, exec, params.hUploadStream).inspect_err(|_| {
                    // It was made just now.
                    let _ = world.graphs.destroy_exec(exec.0);
                })
            })?;
        }
        // SAFETY: as above.
        unsafe { write(phGraphExec, exec) }
    }

    fn cuGraphExecGetFlags(hGraphExec: CUgraphExec, flags: *mut u64) {
        not_null(flags)?;
        let found = driver().world().graphs.exec(hGraphExec.0)?.flags();
        // SAFETY: the caller's pointer.
        unsafe { write(flags, found) }
    }

    fn cuGraphExecDestroy(hGraphExec: CUgraphExec) {
        with_world(|world| world.graphs.destroy_exec(hGraphExec.0))
    }

    fn cuGraphLaunch(hGraphExec: CUgraphExec, hStream: CUstream) on hStream {
        with_world(|world| launch(world, hGraphExec, hStream))
    }

    fn cuGraphUpload(hGraphExec: CUgraphExec, hStream: CUstream) on hStream {
        with_world(|world| upload(world, hGraphExec, hStream))
    }

    fn cuGraphExecUpdate(
        hGraphExec: CUgraphExec,
        hGraph: CUgraph,
        hErrorNode_out: *mut CUgraphNode,
        updateResult_out: *mut c_uint,
    ) {
        not_null(updateResult_out)?;
        let result = update(hGraphExec, hGraph);
        // SAFETY: the caller's pointers.
        unsafe {
            write_if(hErrorNode_out, CUgraphNode(result.err().map_or(0, |error| error.node)));
            write(updateResult_out, result.err().map_or(0, |error| error.result as c_uint))?;
        }
        result.map_err(|error| error.code)
    }

    fn cuGraphExecUpdate_v2(hGraphExec: CUgraphExec, hGraph: CUgraph, resultInfo: *mut CUgraphExecUpdateResultInfo) {
        not_null(resultInfo)?;
        let result = update(hGraphExec, hGraph);
        let info = result.err().map_or_else(Default::default, |error| CUgraphExecUpdateResultInfo {
            result: error.result as c_uint,
            errorNode: CUgraphNode(error.node),
            errorFromNode: CUgraphNode(error.from),
        });
        // SAFETY: the caller's pointer.
        unsafe { write(resultInfo, info) }?;
        result.map_err(|error| error.code)
    }
}
