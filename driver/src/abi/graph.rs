//! Graphs: their life, identity and description, and user objects.

use std::ffi::{c_char, c_uint, c_void};

use super::args::{not_null, text, write};
use super::translate::{call, callback};
use super::types::{CUgraph, CUgraphExec, CUgraphNode, CUhostFn, CUuserObject};
use super::{CUresult, Cuda};
use crate::software::{World, driver};

/// Runs `body` with the driver lock, then gives back addresses of graph memory that nothing uses any
/// more, and calls the destructors that became due, without the lock.
pub(crate) fn with_world<R>(body: impl FnOnce(&mut World) -> Cuda<R>) -> Cuda<R> {
    let mut world = driver().world();
    let result = body(&mut world);
    world.release_graph_addresses();
    let destructors = world.graphs.take_destructors();
    drop(world);
    for destructor in destructors {
        // SAFETY: the caller of cuUserObjectCreate vouches for its function; each is called once.
        unsafe { call(destructor) };
    }
    result
}

entry_points! {
    fn cuGraphCreate(phGraph: *mut CUgraph, flags: c_uint) {
        not_null(phGraph)?;
        if flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let graph = driver().world().graphs.create();
        // SAFETY: the caller's pointer.
        unsafe { write(phGraph, CUgraph(graph)) }
    }

    fn cuGraphDestroy(hGraph: CUgraph) {
        with_world(|world| world.graphs.destroy(hGraph.0))
    }

    fn cuGraphClone(phGraphClone: *mut CUgraph, originalGraph: CUgraph) {
        not_null(phGraphClone)?;
        let clone = with_world(|world| world.graphs.clone_graph(originalGraph.0))?;
        // SAFETY: the caller's pointer.
        unsafe { write(phGraphClone, CUgraph(clone)) }
    }

    fn cuGraphNodeFindInClone(phNode: *mut CUgraphNode, hOriginalNode: CUgraphNode, hClonedGraph: CUgraph) {
        not_null(phNode)?;
        let node = driver().world().graphs.find_in_clone(hOriginalNode.0, hClonedGraph.0)?;
        // SAFETY: the caller's pointer.
        unsafe { write(phNode, CUgraphNode(node)) }
    }

    fn cuGraphDestroyNode(hNode: CUgraphNode) {
        with_world(|world| world.graphs.destroy_node(hNode.0))
    }

    fn cuGraphGetId(hGraph: CUgraph, graphId: *mut c_uint) {
        not_null(graphId)?;
        let id = driver().world().graphs.graph(hGraph.0)?.id();
        // SAFETY: the caller's pointer.
        unsafe { write(graphId, id) }
    }

    fn cuGraphExecGetId(hGraphExec: CUgraphExec, graphId: *mut c_uint) {
        not_null(graphId)?;
        let id = driver().world().graphs.exec(hGraphExec.0)?.id();
        // SAFETY: the caller's pointer.
        unsafe { write(graphId, id) }
    }

    fn cuGraphDebugDotPrint(hGraph: CUgraph, path: *const c_char, flags: c_uint) {
        // SAFETY: the caller's string.
        let path = unsafe { text(path) }?;
        let description = driver().world().graphs.dot(hGraph.0, flags)?;
        std::fs::write(path, description).map_err(|_| CUresult::OPERATING_SYSTEM)
    }

    fn cuUserObjectCreate(
        object_out: *mut CUuserObject,
        ptr: *mut c_void,
        destroy: CUhostFn,
        initialRefcount: c_uint,
        flags: c_uint,
    ) {
        not_null(object_out)?;
        let destroy = destroy.ok_or(CUresult::INVALID_VALUE)?;
        let object = driver().world().graphs.create_object(callback(destroy, ptr), initialRefcount, flags)?;
        // SAFETY: the caller's pointer.
        unsafe { write(object_out, CUuserObject(object)) }
    }

    fn cuUserObjectRetain(object: CUuserObject, count: c_uint) {
        driver().world().graphs.user_retain(object.0, count)
    }

    fn cuUserObjectRelease(object: CUuserObject, count: c_uint) {
        with_world(|world| world.graphs.user_release(object.0, count))
    }

    fn cuGraphRetainUserObject(graph: CUgraph, object: CUuserObject, count: c_uint, flags: c_uint) {
        driver().world().graphs.graph_retain(graph.0, object.0, count, flags)
    }

    fn cuGraphReleaseUserObject(graph: CUgraph, object: CUuserObject, count: c_uint) {
        with_world(|world| world.graphs.graph_release(graph.0, object.0, count))
    }
}
