//! Allocations as calls: eager or captured, at once or in the order of a stream.

use super::capture::{Placement, capture_work};
use super::execute::Op;
use super::graph::NodeInfo;
use super::memory::{HostKind, Origin, Place, State, memory};
use super::work::NodeParams;
use super::{CaptureId, Driver, StreamId, StreamName, ThreadId, World};
use graphproof_api::{CUresult, Cuda};

impl Driver {
    /// `cuMemAlloc`.
    pub fn allocate(&self, bytes: u64) -> Cuda<u64> {
        let origin = Origin::Plain(self.current()?.id.0);
        let first = memory().space.allocate(bytes, origin);
        if first != Err(CUresult::OUT_OF_MEMORY) || self.engine.pending() == 0 {
            return first;
        }
        // Frees on their way through streams, and what pools keep, count before memory runs out.
        self.wait_for_device();
        memory().synchronised();
        memory().space.allocate(bytes, origin)
    }

    /// `cuMemFree`: of anything that was allocated on the device, and of managed memory. Waits for
    /// the device first.
    pub fn free(&self, address: u64) -> Cuda {
        self.current()?;
        if address == 0 {
            return Ok(());
        }
        let graph = self.world().graphs.memory().free(address);
        if let Some(result) = graph {
            result?;
            self.wait_for_device();
            let freed = memory().free_executed(address);
            self.world().release_graph_addresses();
            return freed;
        }
        match memory().space.place(address) {
            Some(Place::Device(found)) if found.base == address && found.origin.can_be_freed() => {}
            Some(Place::Host(found)) if found.base == address && found.kind == HostKind::Managed => {}
            _ => return Err(CUresult::INVALID_VALUE),
        }
        self.wait_for_device();
        let mut memory = memory();
        if memory.space.in_window(address) {
            memory.free(address)
        } else {
            memory.space.free_host(address, HostKind::Managed)
        }
    }

    /// `cuMemAllocAsync`: from `pool`, or from the current pool for 0. Of 0 bytes it succeeds with a null
    /// address, and a capture gets no node (M, H200, driver 580.159.04).
    pub fn allocate_on(&self, stream: impl Into<StreamName>, bytes: u64, pool: u64) -> Cuda<u64> {
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        let device = world.device_of(stream.context)?;
        let pool = if pool == 0 { memory().pools_of(device).current } else { pool };
        memory().pool(pool)?;
        let placement = world.capture.classify_stream_ordered(ThreadId::current(), stream)?;
        if bytes == 0 {
            return Ok(0);
        }
        if let Placement::Captured(id) = placement {
            return capture_allocation(&mut world, id, stream, bytes, pool);
        }
        let first = memory().allocate_from(pool, bytes);
        if first != Err(CUresult::OUT_OF_MEMORY) || self.engine.pending() == 0 {
            return first;
        }
        drop(world);
        self.wait_for_device();
        memory().synchronised();
        memory().allocate_from(pool, bytes)
    }

    /// `cuMemFreeAsync`.
    pub fn free_on(&self, stream: impl Into<StreamName>, address: u64) -> Cuda {
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        let work = NodeParams::MemFree { address };
        if let Placement::Captured(id) = world.capture.classify_stream_ordered(ThreadId::current(), stream)? {
            return capture_work(&mut world, id, stream, work);
        }
        let graph = world.graphs.memory().free(address);
        if let Some(result) = graph {
            result?;
        } else {
            let mut memory = memory();
            match memory.space.place(address) {
                Some(Place::Device(found)) if found.base == address && found.origin.can_be_freed() => {
                    memory.space.begin_free(address)?;
                }
                // M (H200, driver 580.159.04).
                Some(Place::Host(found)) if found.base == address && found.kind == HostKind::Managed => {
                    return Err(CUresult::NOT_SUPPORTED);
                }
                _ => return Err(CUresult::INVALID_VALUE),
            }
        }
        self.submit(&world, stream, Op::Node(work), Vec::new());
        Ok(())
    }
}

/// `cuMemAllocAsync` on a capturing stream: an allocation node. Its address is fixed here.
fn capture_allocation(world: &mut World, id: CaptureId, stream: StreamId, bytes: u64, pool: u64) -> Cuda<u64> {
    // D (cuMemAllocAsync): the allocation has the access of its pool at the time of the capture.
    let (device, access) = {
        let mut memory = memory();
        let pool = memory.pool(pool)?;
        (pool.device, pool.access())
    };
    // A recapture compares with the node that is there: same size, same address.
    let known = world.capture.recaptured_address(&world.graphs, stream);
    let address = match known {
        Some(address) => address,
        None => memory().space.reserve(device, bytes, Origin::Graph, access)?,
    };
    let work = NodeParams::MemAlloc { address, size: bytes, pool, device };
    let info = NodeInfo { context: stream.context.0, ..NodeInfo::default() };
    let World { capture, graphs, .. } = world;
    let captured = capture.capture_node(graphs, id, stream, work, info);
    if captured.is_err() && known.is_none() {
        // It was reserved just now.
        let _ = memory().space.unreserve(address);
    }
    captured.map(|_| address)
}

impl World {
    /// Gives back the addresses of graph allocations that nothing can reach any more, once the work
    /// that frees their memory has run, or none is left. Call it after each call that changes graphs.
    pub fn release_graph_addresses(&mut self) {
        let released = self.graphs.take_released();
        if released.is_empty() {
            return;
        }
        // Memory that was freed before the work that allocates it had run has nobody to free it.
        let idle = super::driver().engine.pending() == 0;
        let mut memory = memory();
        for address in released {
            match memory.space.place(address) {
                Some(Place::Device(found)) if !idle && found.base == address && found.state != State::Reserved => {
                    self.graphs.keep_released(address);
                }
                // An address that is gone already needs nothing.
                _ => {
                    let _ = memory.space.unreserve(address);
                }
            }
        }
    }
}
