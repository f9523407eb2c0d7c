//! Slots of a warp's register file, by what they hold.
//!
//! An operand of decoded code is a slot's byte offset with its kind in the low bits, which every
//! offset has to spare. Only the types here make one, and only they are written before a warp
//! starts, so that a slot cannot be taken for one of another kind; debug builds check each access
//! of a handler against the kind, and against the end of the file.

use super::vm::ctx::LANES;

/// Set in an operand that names one value for the whole warp.
pub(crate) const SCALAR: u32 = 1;
/// Set in an operand that names a predicate.
pub(crate) const PREDICATE: u32 = 2;
/// Set in an operand that names 32 lanes of 64 bits.
pub(crate) const DOUBLE: u32 = 4;
/// The bits of an operand that are not its offset.
pub(crate) const KIND: u32 = SCALAR | PREDICATE | DOUBLE;

/// Bytes of a uniform slot, and of a predicate's: uniform ones behind it stay aligned.
pub(crate) const UNIFORM_BYTES: u32 = 8;
/// Bytes of a vector slot of words.
pub(crate) const VECTOR_BYTES: u32 = 128;

/// 32 lanes of 32 or 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VectorSlot {
    offset: u32,
    double: bool,
}

impl VectorSlot {
    /// At `offset`, a multiple of [`VECTOR_BYTES`]. `double`: lanes of 64 bits.
    pub fn new(offset: u32, double: bool) -> Self {
        debug_assert!(offset.is_multiple_of(VECTOR_BYTES));
        Self { offset, double }
    }
}

/// One value of up to 64 bits for all lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UniformSlot(u32);

impl UniformSlot {
    /// At `offset`, a multiple of [`UNIFORM_BYTES`].
    pub fn new(offset: u32) -> Self {
        debug_assert!(offset.is_multiple_of(UNIFORM_BYTES));
        Self(offset)
    }

    /// Which one it is, from the start of the file on.
    pub fn index(self) -> usize {
        (self.0 / UNIFORM_BYTES) as usize
    }
}

/// One bit a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PredicateSlot(u32);

impl PredicateSlot {
    /// At `offset`, a multiple of [`UNIFORM_BYTES`].
    pub fn new(offset: u32) -> Self {
        debug_assert!(offset.is_multiple_of(UNIFORM_BYTES));
        Self(offset)
    }
}

/// A slot of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegisterSlot {
    Vector(VectorSlot),
    Uniform(UniformSlot),
    Predicate(PredicateSlot),
}

impl RegisterSlot {
    /// The slot as an operand of decoded code.
    pub fn operand(self) -> u32 {
        match self {
            Self::Vector(slot) => slot.offset | if slot.double { DOUBLE } else { 0 },
            Self::Uniform(slot) => slot.0 | SCALAR,
            Self::Predicate(slot) => slot.0 | PREDICATE,
        }
    }
}

/// A warp's registers before it starts.
pub(crate) struct RegisterFile {
    base: *mut u8,
    bytes: usize,
}

impl RegisterFile {
    /// The registers of a warp that has been prepared.
    ///
    /// # Safety
    /// As [`RegisterFile::cleared`], with bytes that have been written.
    pub unsafe fn prepared(base: *mut u8, bytes: usize) -> Self {
        Self { base, bytes }
    }

    /// The registers at `base`: the slots at its start hold `first`, the others zero.
    ///
    /// # Safety
    /// As [`RegisterFile::cleared`].
    pub unsafe fn started(base: *mut u8, bytes: usize, first: &[u64]) -> Self {
        let taken = size_of_val(first);
        assert!(taken <= bytes, "slots outside the register file");
        // SAFETY: by the caller.
        unsafe {
            std::ptr::copy_nonoverlapping(first.as_ptr(), base.cast(), first.len());
            std::ptr::write_bytes(base.add(taken), 0, bytes - taken);
        }
        Self { base, bytes }
    }

    /// The registers at `base`, all zero.
    ///
    /// # Safety
    /// `base` is aligned to [`VECTOR_BYTES`], and nothing else uses the `bytes` bytes there while
    /// this lives.
    pub unsafe fn cleared(base: *mut u8, bytes: usize) -> Self {
        // SAFETY: by the caller.
        unsafe { Self::started(base, bytes, &[]) }
    }

    fn place<T>(&self, offset: u32) -> *mut T {
        assert!(offset as usize + size_of::<T>() <= self.bytes, "a slot outside the register file");
        self.base.wrapping_add(offset as usize).cast()
    }

    pub fn set_uniform(&mut self, slot: UniformSlot, value: u64) {
        // SAFETY: `place` has checked the end, and the slot is aligned for its value.
        unsafe { self.place::<u64>(slot.0).write(value) }
    }

    /// Takes what `lanes` hold in `source` of `other`; a uniform or predicate slot is taken as it is.
    pub fn take(&mut self, slot: RegisterSlot, other: &Self, source: RegisterSlot, lanes: u32) {
        let each = (0..LANES).filter(|l| lanes >> l & 1 != 0);
        // SAFETY: `place` has checked the ends, and the slots are aligned for their values.
        unsafe {
            match (slot, source) {
                (RegisterSlot::Uniform(to), RegisterSlot::Uniform(from)) => {
                    self.place::<u64>(to.0).write(other.place::<u64>(from.0).read());
                }
                (RegisterSlot::Predicate(to), RegisterSlot::Predicate(from)) => {
                    let (to, bits) = (self.place::<u32>(to.0), other.place::<u32>(from.0).read());
                    to.write(to.read() & !lanes | bits & lanes);
                }
                (RegisterSlot::Vector(to), RegisterSlot::Uniform(from)) => {
                    let value = other.place::<u64>(from.0).read();
                    if to.double {
                        let to = self.place::<[u64; LANES]>(to.offset);
                        each.for_each(|l| (*to)[l] = value);
                    } else {
                        let to = self.place::<[u32; LANES]>(to.offset);
                        each.for_each(|l| (*to)[l] = value as u32);
                    }
                }
                (RegisterSlot::Vector(to), RegisterSlot::Vector(from)) if to.double && from.double => {
                    let (to, from) = (self.place::<[u64; LANES]>(to.offset), other.place::<[u64; LANES]>(from.offset));
                    each.for_each(|l| (*to)[l] = (*from)[l]);
                }
                (RegisterSlot::Vector(to), RegisterSlot::Vector(from)) if !to.double && !from.double => {
                    let (to, from) = (self.place::<[u32; LANES]>(to.offset), other.place::<[u32; LANES]>(from.offset));
                    each.for_each(|l| (*to)[l] = (*from)[l]);
                }
                _ => debug_assert!(false, "{source:?} does not fit {slot:?}"),
            }
        }
    }

    /// Fills a slot of words.
    pub fn set_vector(&mut self, slot: VectorSlot, lanes: &[u32; LANES]) {
        debug_assert!(!slot.double);
        // SAFETY: as above.
        unsafe { self.place::<[u32; LANES]>(slot.offset).write(*lanes) }
    }
}
