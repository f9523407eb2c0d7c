//! Memory pools: what `cuMemAllocAsync` allocates from, and what they report.

use super::allocation::{Devices, only};
use super::shared::PoolFile;
use super::space::with;
use graphproof_api::{CUresult, Cuda};

/// `CUmemPool_attribute`.
#[allow(missing_docs, reason = "the names are CUDA's")]
pub mod attribute {
    pub const REUSE_FOLLOW_EVENT_DEPENDENCIES: u32 = 1;
    pub const REUSE_ALLOW_OPPORTUNISTIC: u32 = 2;
    pub const REUSE_ALLOW_INTERNAL_DEPENDENCIES: u32 = 3;
    pub const RELEASE_THRESHOLD: u32 = 4;
    pub const RESERVED_MEM_CURRENT: u32 = 5;
    pub const RESERVED_MEM_HIGH: u32 = 6;
    pub const USED_MEM_CURRENT: u32 = 7;
    pub const USED_MEM_HIGH: u32 = 8;
}

/// A pool. Memory that is freed into it stays reserved until the next synchronisation finds more
/// than the release threshold reserved.
#[derive(Debug, Default)]
pub struct Pool {
    /// The device whose memory it holds.
    pub device: i32,
    /// Most bytes it may reserve; 0 for no limit.
    pub max_size: u64,
    /// The file behind its memory, if that can be shared with other processes.
    pub file: Option<PoolFile>,
    /// Its handle is destroyed; it goes when its last allocation is freed.
    pub destroyed: bool,
    access: Devices,
    reuse: [bool; 3],
    threshold: u64,
    used: u64,
    used_high: u64,
    reserved: u64,
    reserved_high: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new(device: i32, max_size: u64) -> Self {
        Self { device, max_size, access: only(device), reuse: [true; 3], ..Self::default() }
    }

    /// As this pool, with a file behind its memory.
    pub fn within(self, file: Option<PoolFile>) -> Self {
        Self { file, ..self }
    }

    /// The devices that may access its memory.
    pub fn access(&self) -> Devices {
        self.access
    }

    /// Whether a device may access its memory.
    pub fn is_accessible(&self, device: i32) -> bool {
        self.access & only(device) != 0
    }

    /// Gives a device access to its memory, or takes it.
    pub(super) fn set_access(&mut self, device: i32, access: bool) {
        self.access = with(self.access, device, access);
    }

    /// Counts an allocation.
    pub fn allocated(&mut self, bytes: u64) {
        self.used += bytes;
        self.used_high = self.used_high.max(self.used);
        self.reserved = self.reserved.max(self.used);
        self.reserved_high = self.reserved_high.max(self.reserved);
    }

    /// Counts a free.
    pub fn freed(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Gives back what is unused beyond `keep` bytes.
    pub fn trim(&mut self, keep: u64) {
        self.reserved = self.reserved.min(keep.max(self.used));
    }

    /// What a synchronisation does: trims to the release threshold.
    pub fn synchronised(&mut self) {
        self.trim(self.threshold);
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Bytes reserved and not in use.
    pub fn cached(&self) -> u64 {
        self.reserved - self.used
    }

    /// `cuMemPoolGetAttribute`: an `int` or a 64-bit number.
    pub fn get(&self, attribute: u32) -> Cuda<Value> {
        Ok(match attribute {
            1..=3 => Value::Int(i32::from(self.reuse[attribute as usize - 1])),
            attribute::RELEASE_THRESHOLD => Value::Long(self.threshold),
            attribute::RESERVED_MEM_CURRENT => Value::Long(self.reserved),
            attribute::RESERVED_MEM_HIGH => Value::Long(self.reserved_high),
            attribute::USED_MEM_CURRENT => Value::Long(self.used),
            attribute::USED_MEM_HIGH => Value::Long(self.used_high),
            _ => return Err(CUresult::INVALID_VALUE),
        })
    }

    /// Whether [`Pool::set`] takes this attribute as an `int`.
    pub fn is_int(attribute: u32) -> bool {
        (1..=3).contains(&attribute)
    }

    /// `cuMemPoolSetAttribute`. The high-water marks can only be reset, to the current value.
    pub fn set(&mut self, attribute: u32, value: u64) -> Cuda {
        match attribute {
            1..=3 => self.reuse[attribute as usize - 1] = value != 0,
            attribute::RELEASE_THRESHOLD => self.threshold = value,
            attribute::RESERVED_MEM_HIGH if value == 0 => self.reserved_high = self.reserved,
            attribute::USED_MEM_HIGH if value == 0 => self.used_high = self.used,
            _ => return Err(CUresult::INVALID_VALUE),
        }
        Ok(())
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// An `int`.
    Int(i32),
    /// A `cuuint64_t`.
    Long(u64),
}
