//! Graph memory: its attributes, and the stream-ordered calls that become memory nodes.

use std::ffi::{c_uint, c_void};

use super::args::{not_null, read, write};
use super::device::check_device;
use super::types::{CUdevice, CUdeviceptr};
use super::{CUresult, Cuda};
use crate::software::graph::{MemAttribute, NodeInfo};
use crate::software::memory::{Origin, memory};
use crate::software::work::NodeParams;
use crate::software::{CaptureId, StreamId, World, driver};

/// `cuMemAllocAsync` on a capturing stream: an allocation node. Its address is fixed here.
pub(crate) fn capture_allocation(
    world: &mut World,
    id: CaptureId,
    stream: StreamId,
    bytes: u64,
    pool: u64,
) -> Cuda<CUdeviceptr> {
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

fn attribute(device: CUdevice, attribute: c_uint) -> Cuda<MemAttribute> {
    check_device(device)?;
    MemAttribute::from_raw(attribute).ok_or(CUresult::INVALID_VALUE)
}

entry_points! {
    fn cuDeviceGetGraphMemAttribute(device: CUdevice, attr: c_uint, value: *mut c_void) {
        let attr = attribute(device, attr)?;
        not_null(value)?;
        let found = driver().world().graphs.memory().attribute(device, attr);
        // SAFETY: the caller's pointer; all attributes are cuuint64_t.
        unsafe { write(value.cast::<u64>(), found) }
    }

    fn cuDeviceSetGraphMemAttribute(device: CUdevice, attr: c_uint, value: *mut c_void) {
        let attr = attribute(device, attr)?;
        // SAFETY: the caller's pointer; all attributes are cuuint64_t.
        let value = unsafe { read(value.cast_const().cast::<u64>()) }?;
        driver().world().graphs.memory().reset(device, attr, value)
    }

    fn cuDeviceGraphMemTrim(device: CUdevice) {
        check_device(device)?;
        driver().world().graphs.memory().trim(device);
        Ok(())
    }
}
