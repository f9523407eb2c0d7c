//! Graph memory: which allocation of which graph is live.
//!
//! The ledger follows the order of API calls: an allocation is live from the launch of the graph
//! that allocates it to the call that frees it, or to the launch of a graph that frees it. Its memory
//! stays with the executable graph after that, for the next launch: until the executable graph is
//! destroyed, or the device's graph memory is trimmed, it counts as used (measured on an H200, driver
//! 580.159.04).

use std::collections::{BTreeMap, BTreeSet};

use graphproof_api::{CUresult, Cuda};

/// Unit in which the device backs graphs with memory, in bytes: measured on an H200, driver 580.159.04,
/// where a graph with an allocation of 1 MiB uses 32 MiB.
const BACKING_UNIT: u64 = 32 << 20;

#[derive(Debug)]
struct Allocation {
    bytes: u64,
    device: i32,
    /// The graph with the allocation node.
    graph: u64,
    graph_exists: bool,
    execs: u32,
    /// An executable graph was made while the owning graph did not free it.
    escaped: bool,
    live: bool,
    /// It has memory: it is live, or an executable graph keeps the memory for its next launch.
    backed: bool,
    freed_by_owner: bool,
    freed_elsewhere: BTreeSet<u64>,
}

/// `CUgraphMem_attribute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum MemAttribute {
    UsedCurrent = 0,
    UsedHigh = 1,
    ReservedCurrent = 2,
    ReservedHigh = 3,
}

impl MemAttribute {
    /// The attribute with that C value.
    pub fn from_raw(value: u32) -> Option<Self> {
        [Self::UsedCurrent, Self::UsedHigh, Self::ReservedCurrent, Self::ReservedHigh].get(value as usize).copied()
    }
}

/// The ledger.
#[derive(Debug, Default)]
pub struct GraphMemory {
    allocations: BTreeMap<u64, Allocation>,
    released: Vec<u64>,
    devices: BTreeMap<i32, Usage>,
}

/// The graph memory of a device, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    /// Of the backed allocations.
    backed: u64,
    used_high: u64,
    reserved: u64,
    reserved_high: u64,
}

impl Usage {
    fn used(&self) -> u64 {
        self.backed.checked_next_multiple_of(BACKING_UNIT).unwrap_or(self.backed)
    }
}

/// The memory nodes of an executable graph.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryNodes {
    pub allocs: Vec<u64>,
    pub frees: Vec<u64>,
}

impl GraphMemory {
    pub(super) fn add_alloc(&mut self, graph: u64, address: u64, bytes: u64, device: i32) -> Cuda {
        if self.allocations.contains_key(&address) {
            return Err(CUresult::INVALID_VALUE);
        }
        let allocation = Allocation {
            bytes,
            device,
            graph,
            graph_exists: true,
            execs: 0,
            escaped: false,
            live: false,
            backed: false,
            freed_by_owner: false,
            freed_elsewhere: BTreeSet::new(),
        };
        self.allocations.insert(address, allocation);
        Ok(())
    }

    /// D (cuGraphAddMemAllocNode, cuGraphAddMemFreeNode): not twice in a graph, not a foreign
    /// address, not both in the owning graph and in another one. M (H200, driver 580.159.04): nor in the
    /// owning graph once that was instantiated without it.
    pub(super) fn add_free(&mut self, graph: u64, address: u64) -> Cuda {
        let allocation = self.allocations.get_mut(&address).ok_or(CUresult::INVALID_VALUE)?;
        let allowed = if allocation.graph == graph {
            !allocation.freed_by_owner && !allocation.escaped && allocation.freed_elsewhere.is_empty()
        } else {
            !allocation.freed_by_owner && !allocation.freed_elsewhere.contains(&graph)
        };
        if !allowed {
            return Err(CUresult::INVALID_VALUE);
        }
        if allocation.graph == graph {
            allocation.freed_by_owner = true;
        } else {
            allocation.freed_elsewhere.insert(graph);
        }
        Ok(())
    }

    /// D (cuGraphDestroy, cuGraphAddMemAllocNode): live allocations outlast their graph.
    pub(super) fn graph_destroyed(&mut self, graph: u64, nodes: &MemoryNodes) {
        for &address in &nodes.frees {
            if let Some(allocation) = self.allocations.get_mut(&address) {
                allocation.freed_elsewhere.remove(&graph);
            }
        }
        for &address in &nodes.allocs {
            if let Some(allocation) = self.allocations.get_mut(&address) {
                allocation.graph_exists = false;
            }
            self.sweep(address);
        }
    }

    pub(super) fn count_exec(&mut self, nodes: &MemoryNodes, begins: bool) {
        for &address in &nodes.allocs {
            if let Some(allocation) = self.allocations.get_mut(&address) {
                allocation.escaped |= begins;
                allocation.execs = if begins { allocation.execs + 1 } else { allocation.execs.saturating_sub(1) };
            }
            self.sweep(address);
        }
    }

    /// The launch of a graph with these memory nodes. Returns the allocations to free first.
    ///
    /// D (cuGraphLaunch): an allocation that is still live is an error without
    /// `CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH`.
    pub(super) fn launch(&mut self, nodes: &MemoryNodes, auto_free: bool) -> Cuda<Vec<u64>> {
        let is_live = |address: &u64| self.allocations.get(address).is_some_and(|allocation| allocation.live);
        let left: Vec<u64> = nodes.allocs.iter().copied().filter(|address| is_live(address)).collect();
        if !left.is_empty() && !auto_free {
            return Err(CUresult::INVALID_VALUE);
        }
        let own: BTreeSet<u64> = nodes.allocs.iter().copied().collect();
        if nodes.frees.iter().any(|address| !own.contains(address) && !is_live(address)) {
            return Err(CUresult::INVALID_VALUE);
        }
        for address in &left {
            self.set_live(*address, false);
        }
        self.reserve(nodes);
        for &address in &nodes.allocs {
            self.set_live(address, true);
        }
        for &address in &nodes.frees {
            self.set_live(address, false);
            self.sweep(address);
        }
        Ok(left)
    }

    /// Backs the allocations of a graph with memory, as an upload and a launch do.
    pub(super) fn reserve(&mut self, nodes: &MemoryNodes) {
        for address in &nodes.allocs {
            if let Some(allocation) = self.allocations.get_mut(address).filter(|allocation| !allocation.backed) {
                allocation.backed = true;
                let usage = self.devices.entry(allocation.device).or_default();
                usage.backed = usage.backed.saturating_add(allocation.bytes);
            }
        }
        for usage in self.devices.values_mut() {
            let used = usage.used();
            usage.used_high = usage.used_high.max(used);
            usage.reserved = usage.reserved.max(used);
            usage.reserved_high = usage.reserved_high.max(usage.reserved);
        }
    }

    /// `cuMemFree` or `cuMemFreeAsync` outside a capture; `None` if the address is not a graph
    /// allocation.
    ///
    /// D: not if the owning graph frees it itself. M (CUDA.jl#1230): not if it was never launched.
    pub fn free(&mut self, address: u64) -> Option<Cuda> {
        let allocation = self.allocations.get(&address)?;
        if allocation.freed_by_owner || !allocation.live {
            return Some(Err(CUresult::INVALID_VALUE));
        }
        self.set_live(address, false);
        self.sweep(address);
        Some(Ok(()))
    }

    /// `cuDeviceGetGraphMemAttribute`, in bytes.
    pub fn attribute(&self, device: i32, attribute: MemAttribute) -> u64 {
        let usage = self.devices.get(&device).copied().unwrap_or_default();
        match attribute {
            MemAttribute::UsedCurrent => usage.used(),
            MemAttribute::UsedHigh => usage.used_high,
            MemAttribute::ReservedCurrent => usage.reserved,
            MemAttribute::ReservedHigh => usage.reserved_high,
        }
    }

    /// `cuDeviceSetGraphMemAttribute`: a high watermark can be reset to zero, nothing else (D).
    pub fn reset(&mut self, device: i32, attribute: MemAttribute, value: u64) -> Cuda {
        let usage = self.devices.entry(device).or_default();
        match (attribute, value) {
            (MemAttribute::UsedHigh, 0) => usage.used_high = 0,
            (MemAttribute::ReservedHigh, 0) => usage.reserved_high = 0,
            _ => return Err(CUresult::INVALID_VALUE),
        }
        Ok(())
    }

    /// `cuDeviceGraphMemTrim`: gives back what no allocation is live in, what executable graphs keep for
    /// their next launch too (M, H200, driver 580.159.04).
    pub fn trim(&mut self, device: i32) {
        let usage = self.devices.entry(device).or_default();
        let idle = |allocation: &&mut Allocation| allocation.device == device && !allocation.live;
        for allocation in self.allocations.values_mut().filter(idle) {
            if std::mem::take(&mut allocation.backed) {
                usage.backed = usage.backed.saturating_sub(allocation.bytes);
            }
        }
        usage.reserved = usage.used();
    }

    pub(super) fn take_released(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.released)
    }

    pub(super) fn keep_released(&mut self, address: u64) {
        self.released.push(address);
    }

    fn set_live(&mut self, address: u64, live: bool) {
        if let Some(allocation) = self.allocations.get_mut(&address) {
            allocation.live = live;
        }
    }

    /// Takes the memory from an allocation that neither an instance nor the caller can use, and
    /// releases its address when no graph is left either.
    fn sweep(&mut self, address: u64) {
        let Some(allocation) = self.allocations.get_mut(&address) else { return };
        if allocation.execs > 0 || allocation.live {
            return;
        }
        if std::mem::take(&mut allocation.backed) {
            let usage = self.devices.entry(allocation.device).or_default();
            usage.backed = usage.backed.saturating_sub(allocation.bytes);
        }
        if !allocation.graph_exists {
            self.allocations.remove(&address);
            self.released.push(address);
        }
    }
}
