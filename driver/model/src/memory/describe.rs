//! Explains an address: what it lies in, or what it just misses.

use std::fmt;

use super::allocation::{Allocation, HostAllocation, Origin};
use super::space::AddressSpace;

/// How far from an allocation an address may be to be explained by it.
const NEAR: u64 = 1 << 20;

/// What an address is.
#[derive(Debug, Clone, Copy)]
pub enum Description {
    /// In a live allocation, at this offset.
    Inside(Allocation, u64),
    /// In host memory that the device knows, at this offset.
    InsideHost(HostAllocation, u64),
    /// In an allocation that was freed.
    Freed(Allocation, u64),
    /// Behind an allocation, by this many bytes: 0 is the first byte past its end.
    Past(Allocation, u64),
    /// Before an allocation, by this many bytes.
    Before(Allocation, u64),
    /// In the range of device addresses, but near no allocation.
    Device,
    /// No device address at all.
    Foreign,
}

impl AddressSpace {
    /// Explains an address.
    pub fn describe(&self, address: u64) -> Description {
        if !self.in_window(address) {
            return match self.host.range(..=address).next_back() {
                Some((_, found)) if address - found.base < found.len => {
                    Description::InsideHost(*found, address - found.base)
                }
                _ => Description::Foreign,
            };
        }
        let before = self.allocations_before(address);
        if let Some(found) = before.filter(|found| address - found.base < found.len) {
            return Description::Inside(found, address - found.base);
        }
        let freed = self.freed.iter().rev().map(|freed| freed.allocation);
        if let Some(found) = freed.into_iter().find(|found| address.wrapping_sub(found.base) < found.len) {
            return Description::Freed(found, address - found.base);
        }
        let behind = before.map(|found| (found, address - found.base - found.len)).filter(|&(_, gap)| gap < NEAR);
        let ahead = self.allocations_from(address).map(|found| (found, found.base - address));
        match (behind, ahead.filter(|&(_, gap)| gap < NEAR)) {
            (Some((_, past)), Some((found, gap))) if gap < past => Description::Before(found, gap),
            (Some((found, past)), _) => Description::Past(found, past),
            (None, Some((found, gap))) => Description::Before(found, gap),
            (None, None) => Description::Device,
        }
    }

    fn allocations_before(&self, address: u64) -> Option<Allocation> {
        let mut candidates = self.device.range(..=address).rev().map(|(_, found)| *found);
        candidates.find(|found| found.state != super::allocation::State::Reserved)
    }

    fn allocations_from(&self, address: u64) -> Option<Allocation> {
        let mut candidates = self.device.range(address..).map(|(_, found)| *found);
        candidates.find(|found| found.state != super::allocation::State::Reserved)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside(found, offset) => write!(f, "{offset} bytes into {}", Named(found)),
            Self::InsideHost(found, offset) => {
                write!(f, "{offset} bytes into the {} bytes of host memory at {:#x}", found.len, found.base)
            }
            Self::Freed(found, offset) => write!(f, "{offset} bytes into {}, which has been freed", Named(found)),
            Self::Past(found, gap) => write!(f, "{gap} bytes past the end of {}", Named(found)),
            Self::Before(found, gap) => write!(f, "{gap} bytes before {}", Named(found)),
            Self::Device => f.write_str("a device address near no allocation"),
            Self::Foreign => f.write_str("not a device address"),
        }
    }
}

struct Named<'a>(&'a Allocation);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Allocation { base, len, number, origin, .. } = self.0;
        let origin = match origin {
            Origin::Plain(_) | Origin::Pool(_) => "",
            Origin::Graph => " of a graph",
            Origin::Module(_) => " of a module's global variable",
            Origin::Array(_) => " of an array",
            Origin::Mapping(_) => " of mapped memory",
            Origin::Opened(_) => " of another process",
        };
        write!(f, "allocation {number}{origin} ({len} bytes at {base:#x})")
    }
}
