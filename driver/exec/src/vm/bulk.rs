//! `cp.async.bulk`, `cp.reduce.async.bulk`, `st.async`, `red.async`, and the groups of bulk copies.

use super::atomic as at;
use super::atomic::{Update, Word};
use super::ctx::{Ctx, each_active};
use super::flight::{Combine, Flight, Group, Issuer, Piece, Source, UNFENCED};
use super::map::{Exec, Step};
use super::memory::{RANK_SHIFT, peek, poke};
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::footprint::Access;
use crate::ptx::Type;

/// Changes each word at `to` by the one at `from`, in shared memory or by `global` rules.
fn combine<U: Update, const GLOBAL: bool>(to: *mut u8, from: *const u8, len: u32) {
    let size = size_of::<U::Word>();
    for at in (0..len as usize).step_by(size) {
        let value: U::Word = peek(from.wrapping_add(at));
        let place = to.wrapping_add(at);
        if GLOBAL {
            U::Word::update(place, |old| U::global(old, value, value));
        } else {
            let old: U::Word = peek(place);
            poke(place, U::f(old, value, value));
        }
    }
}

/// A reduction: operation, types, in shared and in global memory.
type Row = (&'static str, &'static [Type], Option<Combine>, Combine);

macro_rules! row {
    ($name:literal, [$($ty:ident)*], both $u:ident) => {
        ($name, &[$(Type::$ty),*], Some(combine::<at::$u, false> as Combine), combine::<at::$u, true> as Combine)
    };
    ($name:literal, [$($ty:ident)*], global $u:ident) => {
        ($name, &[$(Type::$ty),*], None, combine::<at::$u, true> as Combine)
    };
}

/// D (PTX ISA, cp.reduce.async.bulk): the reductions of bulk copies.
const ROWS: [Row; 29] = [
    row!("add", [U32 S32], both Add32),
    row!("add", [U64], both Add64),
    row!("add", [S64], global Add64),
    row!("add", [F32], global AddF32),
    row!("add", [F64], global AddF64),
    row!("add", [F16], global AddF16),
    row!("add", [BF16], global AddBf16),
    row!("min", [U32], both MinU32),
    row!("min", [S32], both MinS32),
    row!("min", [U64], global MinU64),
    row!("min", [S64], global MinS64),
    row!("min", [F16], global MinF16),
    row!("min", [BF16], global MinBf16),
    row!("max", [U32], both MaxU32),
    row!("max", [S32], both MaxS32),
    row!("max", [U64], global MaxU64),
    row!("max", [S64], global MaxS64),
    row!("max", [F16], global MaxF16),
    row!("max", [BF16], global MaxBf16),
    row!("inc", [U32], both Inc32),
    row!("dec", [U32], both Dec32),
    row!("and", [B32], both And32),
    row!("or", [B32], both Or32),
    row!("xor", [B32], both Xor32),
    row!("and", [B64], global And64),
    row!("or", [B64], global Or64),
    row!("xor", [B64], global Xor64),
    row!("add", [F16x2], global AddF16x2),
    row!("add", [BF16x2], global AddBf16x2),
];

/// The row of a reduction, from 1, as the instruction's immediate has it.
pub(crate) fn reduction(name: &str, ty: Type, global: bool) -> Option<u64> {
    let found = ROWS.iter().position(|row| row.0 == name && row.1.contains(&ty) && (global || row.2.is_some()));
    found.map(|n| n as u64 + 1)
}

/// What carries a reduction out.
pub(crate) fn combine_of(row: u64, global: bool) -> Option<Combine> {
    let row = ROWS.get((row as usize).checked_sub(1)?)?;
    if global { Some(row.3) } else { row.2 }
}

/// The destination or source is in global memory, not in shared.
pub(crate) const TO_GLOBAL: u64 = 1;
pub(crate) const FROM_GLOBAL: u64 = 2;
/// To the blocks that a mask names.
pub(crate) const MULTICAST: u64 = 4;
/// Nothing is moved: a hint for a cache.
pub(crate) const PREFETCH: u64 = 8;
/// The reduction's row is in these bits, from this one on.
pub(crate) const REDUCTION: u32 = 8;

/// How a copy touches its destination in global memory.
///
/// D (PTX ISA, cp.reduce.async.bulk): a reduction is relaxed, each element by itself; what replaces bytes is weak.
pub(crate) fn landing(combine: Option<Combine>) -> Access {
    if combine.is_some() { Access::Atomic } else { Access::Write }
}

/// What is wrong with an instruction.
pub(crate) type Checked<T> = Result<T, FaultKind>;

/// An address of a kind of memory, of this alignment.
pub(crate) fn aligned(space: &'static str, address: u64, align: u32, write: bool) -> Checked<()> {
    if address.is_multiple_of(align.into()) {
        return Ok(());
    }
    Err(FaultKind::MisalignedAddress { space, address, align, write })
}

/// The part of an address that shared memory knows: a generic one says so in its upper half.
pub(crate) fn shared_address(address: u64) -> u64 {
    address & 0xffff_ffff
}

impl Ctx {
    /// The lane `lane` of the instruction `i`, as the issuer of a copy.
    pub(crate) fn issuer(&self, i: &Inst, lane: usize) -> Issuer {
        Issuer { warp: self.warp_number(), lane: lane as u32, pc: self.pc_of(i) }
    }

    /// Number of the running warp in the cluster.
    fn warp_number(&self) -> u32 {
        self.rank * self.block_warps + self.warp.index
    }

    /// The open group of a lane.
    pub(crate) fn open_group(&self, lane: usize) -> Group {
        Group { thread: (self.warp_number(), lane as u8), number: None }
    }

    /// Bytes of the shared memory of the cluster: place and rank.
    pub(crate) fn shared_bytes(&self, address: u64, len: u64, write: bool) -> Checked<(*mut u8, u32)> {
        let size = len.min(u64::from(u32::MAX)) as u32;
        let illegal = FaultKind::IllegalAddress { space: "shared", address, size, write };
        self.shared_place(address, len).ok_or(illegal)
    }

    /// Bytes of global memory, which a copy will touch in this way.
    pub(crate) fn global_bytes(&self, address: u64, len: u64, access: Access) -> Checked<*mut u8> {
        let size = len.min(u64::from(u32::MAX)) as u32;
        let place = self.global_place(address).filter(|&(_, left)| left >= len).map(|(place, _)| place);
        let write = access != Access::Read;
        let place = place.ok_or(FaultKind::IllegalAddress { space: "global", address, size, write })?;
        if let Some(footprint) = self.footprint() {
            footprint.touch(address, [(0, len)], access);
        }
        Ok(place)
    }

    /// The mbarrier of a copy: it lies in the shared memory of block `rank`.
    pub(crate) fn signal_place(&self, address: u64, rank: u32) -> Checked<*mut u8> {
        aligned("shared", address, 8, true)?;
        let (place, owner) = self.shared_bytes(address, 8, true)?;
        if owner != rank {
            let why = format!("the mbarrier of block {owner} is to be told of a copy into the memory of block {rank}");
            return Err(FaultKind::Misuse(why));
        }
        Ok(place)
    }

    /// Takes a copy on its way, if it sees what is in its source.
    pub(crate) fn issue_seen(&mut self, flight: Flight) -> Checked<()> {
        if !self.flights.sees(&flight) {
            return Err(FaultKind::Misuse(UNFENCED.to_owned()));
        }
        self.flights.issue(flight);
        Ok(())
    }

    /// The blocks of a multicast.
    pub(crate) fn multicast(&self, mask: u32) -> Checked<impl Iterator<Item = u32> + use<>> {
        if mask & 0xffff == 0 || (mask & 0xffff) >> self.ranks != 0 {
            let why = format!("multicast to the blocks of mask {mask:#06x} of a cluster of {}", self.ranks);
            return Err(FaultKind::Misuse(why));
        }
        Ok((0..16).filter(move |rank| mask >> rank & 1 != 0))
    }
}

/// The address of the same place in another block's shared memory.
pub(crate) fn in_block(address: u64, rank: u32) -> u64 {
    address & ((1 << RANK_SHIFT) - 1) | u64::from(rank + 1) << RANK_SHIFT
}

/// Runs `f` for each active lane until one is wrong.
pub(crate) fn each_checked(c: &mut Ctx, i: &Inst, mut f: impl FnMut(&mut Ctx, usize) -> Checked<()>) -> *const Inst {
    let mut wrong = None;
    each_active(c, |c, lane| {
        if wrong.is_none()
            && let Err(kind) = f(c, lane)
        {
            wrong = Some((lane as u32, kind));
        }
    });
    match wrong {
        Some((lane, kind)) => {
            c.fault(i, lane, kind);
            std::ptr::null()
        }
        None => std::ptr::from_ref(i).wrapping_add(1),
    }
}

/// A copy of bytes. List at `c`: destination, source, size, mbarrier, mask of blocks. `imm`: flags.
pub(crate) struct Bulk;
impl Step for Bulk {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [to, from, size, barrier, mask] = std::array::from_fn(|n| c.extra(i.c, n));
        each_checked(c, i, |c, lane| {
            let (to, from): (u64, u64) = (c.lane(to, lane), c.lane(from, lane));
            let size = u64::from(c.lane::<u32>(size, lane));
            if size % 16 != 0 {
                return Err(FaultKind::Misuse(format!("a bulk copy of {size} bytes, which is no multiple of 16")));
            }
            let (to_global, from_global) = (i.imm & TO_GLOBAL != 0, i.imm & FROM_GLOBAL != 0);
            let name = |global: bool| if global { "global" } else { "shared" };
            aligned(name(to_global), to, if i.imm & PREFETCH != 0 { 1 } else { 16 }, true)?;
            aligned(name(from_global), from, 16, false)?;
            if i.imm & PREFETCH != 0 || size == 0 {
                return Ok(());
            }
            let (source, reads) = if from_global {
                (c.global_bytes(from, size, Access::Read)?, None)
            } else {
                let (place, rank) = c.shared_bytes(shared_address(from), size, false)?;
                (place, Some(rank))
            };
            let combine = combine_of(i.imm >> REDUCTION, to_global);
            let issuer = c.issuer(i, lane);
            let flight = |to: *mut u8| {
                let piece = Piece { from: Source::Memory(source), to, len: size as u32 };
                Flight { combine, reads, ..Flight::new(vec![piece], issuer) }
            };
            if to_global {
                let place = c.global_bytes(to, size, landing(combine))?;
                let flight = Flight { group: Some(c.open_group(lane)), ..flight(place) };
                return c.issue_seen(flight);
            }
            let (to, barrier) = (shared_address(to), shared_address(c.lane(barrier, lane)));
            let land = |c: &mut Ctx, to: u64, barrier: u64| {
                let (place, rank) = c.shared_bytes(to, size, true)?;
                let signal = c.signal_place(barrier, rank)?;
                c.issue_seen(Flight { writes: Some(rank), signal: Some((signal, size as u32)), ..flight(place) })
            };
            if i.imm & MULTICAST == 0 {
                return land(c, to, barrier);
            }
            for rank in c.multicast(c.lane(mask, lane))? {
                land(c, in_block(to, rank), in_block(barrier, rank))?;
            }
            Ok(())
        })
    }
}

/// `st.async` and `red.async`. List at `c`: address, mbarrier, values; `d`: how many, `a`: bytes of each; `imm`: the
/// reduction's row, or 0.
pub(crate) struct StoreAsync;
impl Step for StoreAsync {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let (count, size) = ((i.imm & 15) as usize, i.imm >> 4 & 15);
        let (to, barrier) = (c.extra(i.c, 0), c.extra(i.c, 1));
        each_checked(c, i, |c, lane| {
            let (to, barrier) = (shared_address(c.lane(to, lane)), shared_address(c.lane(barrier, lane)));
            let mut bytes = Vec::with_capacity(32);
            for n in 0..count {
                let value = c.extra(i.c, 2 + n);
                if size == 8 {
                    bytes.extend(c.lane::<u64>(value, lane).to_le_bytes());
                } else {
                    bytes.extend(c.lane::<u32>(value, lane).to_le_bytes());
                }
            }
            let len = bytes.len() as u32;
            aligned("shared", to, len, true)?;
            let (place, rank) = c.shared_bytes(to, len.into(), true)?;
            let signal = Some((c.signal_place(barrier, rank)?, len));
            let flight = Flight::of_bytes(bytes, place, c.issuer(i, lane));
            let combine = combine_of(i.imm >> REDUCTION, false);
            c.flights.issue(Flight { combine, signal, writes: Some(rank), ..flight });
            Ok(())
        })
    }
}

/// `cp.async.bulk.commit_group`.
pub(crate) struct CommitBulk;
impl Exec for CommitBulk {
    fn exec(c: &mut Ctx, _: &Inst) {
        each_active(c, |c, lane| {
            let Group { thread, .. } = c.open_group(lane);
            c.flights.commit(thread);
        });
    }
}

/// `cp.async.bulk.wait_group`. `imm`: groups that may stay open; bit 32: `.read`.
pub(crate) struct WaitBulk;
impl Exec for WaitBulk {
    fn exec(c: &mut Ctx, i: &Inst) {
        each_active(c, |c, lane| {
            let Group { thread, .. } = c.open_group(lane);
            c.flights.wait(thread, i.imm as u32, i.imm >> 32 != 0);
        });
    }
}
