//! `cuStreamWaitValue*`, `cuStreamWriteValue*` and their batches.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::execute::{Scope, poll_until};
use super::fault::FaultReport;
use super::memory::memory;
use graphproof_api::{CUresult, Cuda};

/// `CUstreamBatchMemOpType`.
#[allow(missing_docs, reason = "the names are CUDA's")]
pub mod operation {
    pub const WAIT_VALUE_32: u32 = 1;
    pub const WRITE_VALUE_32: u32 = 2;
    pub const FLUSH_REMOTE_WRITES: u32 = 3;
    pub const WAIT_VALUE_64: u32 = 4;
    pub const WRITE_VALUE_64: u32 = 5;
    pub const BARRIER: u32 = 6;
}

/// `CU_STREAM_WAIT_VALUE_FLUSH`.
const FLUSH: u32 = 1 << 30;

/// One operation of a batch, as the API packs it: operation, address, value, flags, alias. What an operation does
/// not use is kept, to be read back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct MemOp(pub [u64; 6]);

impl MemOp {
    /// A wait or a write.
    pub fn new(kind: u32, address: u64, value: u64, flags: u32) -> Self {
        Self([u64::from(kind), address, value, u64::from(flags), 0, 0])
    }

    /// One of [`operation`].
    pub fn kind(&self) -> u32 {
        self.0[0] as u32
    }

    /// The flags of a wait or a write.
    pub fn flags(&self) -> u32 {
        self.0[3] as u32
    }

    fn address(&self) -> u64 {
        self.0[1]
    }

    fn value(&self) -> u64 {
        self.0[2]
    }

    /// An unknown operation or flag is an error.
    pub fn check_kind(&self) -> Cuda {
        match self.kind() {
            operation::WAIT_VALUE_32 | operation::WAIT_VALUE_64 if self.flags() & !(FLUSH | 3) == 0 => Ok(()),
            operation::WRITE_VALUE_32 | operation::WRITE_VALUE_64 if self.flags() & !1 == 0 => Ok(()),
            operation::FLUSH_REMOTE_WRITES | operation::BARRIER => Ok(()),
            1..=6 => Err(CUresult::INVALID_VALUE),
            _ => Err(CUresult::NOT_SUPPORTED),
        }
    }

    /// The size of the value in bytes; 0 for an operation without one.
    fn size(&self) -> u64 {
        match self.kind() {
            operation::WAIT_VALUE_32 | operation::WRITE_VALUE_32 => 4,
            operation::WAIT_VALUE_64 | operation::WRITE_VALUE_64 => 8,
            _ => 0,
        }
    }

    /// The bytes that it touches, if it touches any.
    pub fn place(&self) -> Option<(u64, u64)> {
        (self.size() > 0).then_some((self.address(), self.size()))
    }

    /// Checks operation, flags and address.
    pub fn check(&self) -> Cuda {
        self.check_kind()?;
        let size = self.size();
        if size == 0 {
            return Ok(());
        }
        let found = self.address().is_multiple_of(size) && memory().space.locate(self.address(), size).is_some();
        if found { Ok(()) } else { Err(CUresult::INVALID_VALUE) }
    }

    fn met(&self, seen: u64) -> bool {
        let value = self.value();
        match (self.flags() & 3, self.size()) {
            (0, 4) => (seen as u32).wrapping_sub(value as u32) as i32 >= 0,
            (0, _) => seen.wrapping_sub(value) as i64 >= 0,
            (1, 4) => seen as u32 == value as u32,
            (1, _) => seen == value,
            (2, _) => seen & value != 0,
            (_, 4) => !(seen as u32 | value as u32) != 0,
            _ => !(seen | value) != 0,
        }
    }
}

/// Runs one operation. A wait blocks the stream, not the worker.
pub fn run(op: &MemOp, scope: Scope<'_>) -> Result<(), Box<FaultReport>> {
    op.check_kind().map_err(|code| FaultReport::of_work(code, "an unknown memory operation".to_owned()))?;
    let size = op.size();
    if size == 0 {
        return Ok(());
    }
    let place = memory().space.locate(op.address(), size);
    let Some(place) = place.filter(|place| place.cast::<u64>().align_offset(size as usize) == 0) else {
        let found = memory().space.describe(op.address());
        let text = format!("a memory operation at {:#x} when it was executed: {found}", op.address());
        return Err(FaultReport::of_work(CUresult::ILLEGAL_ADDRESS, text));
    };
    match op.kind() {
        operation::WRITE_VALUE_32 => word(place).store(op.value() as u32, Ordering::Release),
        operation::WRITE_VALUE_64 => long(place).store(op.value(), Ordering::Release),
        _ => {
            let read = || match size {
                4 => u64::from(word(place).load(Ordering::Acquire)),
                _ => long(place).load(Ordering::Acquire),
            };
            if !op.met(read()) {
                scope.engine.blocking(|| poll_until(|| op.met(read()) || scope.sticky.check().is_err()));
            }
        }
    }
    Ok(())
}

fn word<'a>(place: *mut u8) -> &'a AtomicU32 {
    // SAFETY: four aligned bytes of an allocation that stays mapped.
    unsafe { AtomicU32::from_ptr(place.cast()) }
}

fn long<'a>(place: *mut u8) -> &'a AtomicU64 {
    // SAFETY: eight aligned bytes of an allocation that stays mapped.
    unsafe { AtomicU64::from_ptr(place.cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(kind: u32, flags: u32, value: u64, seen: u64) -> bool {
        MemOp::new(kind, 0, value, flags).met(seen)
    }

    #[test]
    fn conditions_are_those_of_the_flags() {
        let wait = operation::WAIT_VALUE_32;
        assert!(met(wait, 0, 5, 5) && met(wait, 0, 5, 6) && !met(wait, 0, 5, 4));
        // Cyclic: a counter may wrap.
        assert!(met(wait, 0, 0xffff_fff0, 3));
        assert!(met(wait, 1, 5, 5) && !met(wait, 1, 5, 6));
        assert!(met(wait, 2, 6, 4) && !met(wait, 2, 6, 1));
        assert!(met(wait, 3, 6, 1) && !met(wait, 3, 0xffff_ffff, 1));
        assert!(MemOp::new(wait, 0, 0, 8).check_kind().is_err());
        assert_eq!(MemOp::new(99, 0, 0, 0).check_kind(), Err(CUresult::NOT_SUPPORTED));
    }
}
