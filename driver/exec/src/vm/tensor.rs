//! Copies of boxes of tensors (TMA), and tensor maps that kernels change.

use super::bulk::{
    Checked, FROM_GLOBAL, MULTICAST, PREFETCH, REDUCTION, TO_GLOBAL, aligned, combine_of, each_checked, in_block,
};
use super::bulk::{landing, reduction, shared_address};
use super::ctx::Ctx;
use super::flight::{Combine, Flight, Piece, Source};
use super::map::Step;
use super::memory::{GLOBAL, PARAM, SHARED, classify, peek, poke};
use super::tensor_box::Boxed;
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::footprint::Access;
use crate::ptx::Type;
use crate::tensor_map::{self, BYTES, Field, TensorMap, Window};

/// Types of a reduction by `CUtensorMapDataType`.
const TYPES: [Option<Type>; 13] = [
    None,
    None,
    Some(Type::U32),
    Some(Type::S32),
    Some(Type::U64),
    Some(Type::S64),
    Some(Type::F16),
    Some(Type::F32),
    Some(Type::F64),
    Some(Type::BF16),
    Some(Type::F32),
    None,
    None,
];

/// Reductions of tensors, in the order of the immediate's field, from 1.
pub(crate) const REDUCTIONS: [&str; 8] = ["add", "min", "max", "inc", "dec", "and", "or", "xor"];

impl Ctx {
    /// The 128 bytes of a tensor map at a generic address.
    fn map_bytes(&self, address: u64, spaces: &[u8], write: bool) -> Checked<*mut u8> {
        let (space, at) = classify(address);
        let name = match space {
            PARAM => "param",
            SHARED => "shared",
            _ => "global",
        };
        aligned(name, address, 64, write)?;
        let len = BYTES as u64;
        if !spaces.contains(&space) {
            return Err(FaultKind::Misuse(format!("a tensor map at {name} address {at:#x}, where it cannot lie")));
        }
        match space {
            PARAM if u64::from(self.params_len) >= at + len => Ok(self.params.cast_mut().wrapping_add(at as usize)),
            PARAM => Err(FaultKind::IllegalAddress { space: name, address: at, size: BYTES as u32, write }),
            SHARED => Ok(self.shared_bytes(shared_address(at), len, write)?.0),
            _ => self.global_bytes(at, len, if write { Access::Write } else { Access::Read }),
        }
    }

    fn boxed(&self, i: &Inst, address: u64, rank: usize, lane: usize) -> Checked<Boxed> {
        let bytes: [u8; BYTES] = peek(self.map_bytes(address, &[PARAM, GLOBAL], false)?);
        let misuse = |why: &str| FaultKind::Misuse(format!("the tensor map at {address:#x}: {why}"));
        let map = TensorMap::decode(&bytes).map_err(|refusal| misuse(refusal.why))?;
        let Window::Tiled(sizes) = map.window else { return Err(misuse("im2col mode is not executed")) };
        if usize::from(map.rank) != rank {
            return Err(misuse(&format!("it has {} dimensions, the instruction {rank}", map.rank)));
        }
        let mut corner = [0; 5];
        for (n, place) in corner.iter_mut().enumerate().take(rank) {
            *place = i64::from(self.lane::<u32>(self.extra(i.c, 4 + n), lane) as i32);
        }
        // M (H200, driver 580.159.04): an illegal instruction, of a store or a reduction, whatever the layout. A load gives what
        // fills the outside, and a store beyond the other end of a dimension nothing.
        if let Some(n) = (0..rank).find(|&n| i.imm & TO_GLOBAL != 0 && corner[n] < 0) {
            let why =
                format!("a box to be stored begins at coordinate {} of dimension {n}, below the tensor", corner[n]);
            return Err(misuse(&why));
        }
        if map.interleave != 0 {
            return Ok(Boxed::interleaved(map, sizes, corner));
        }
        // M (H200, driver 580.159.04): an illegal instruction otherwise, of a load.
        if corner[0] * map.element_bytes() as i64 % 16 != 0 {
            let why = format!("a box that begins at element {} of a row, which is no multiple of 16 bytes", corner[0]);
            return Err(misuse(&why));
        }
        Ok(Boxed::tiled(map, sizes, corner))
    }

    /// The pieces of a load into shared memory at `to`, which is at `host`.
    fn load_pieces(&self, boxed: &Boxed, to: u64, host: *mut u8) -> Checked<Vec<Piece>> {
        let (mut pieces, size, fill) = (Vec::new(), boxed.map.element_bytes(), boxed.fill());
        let row = boxed.row();
        boxed.rows(|offset, address, inside| {
            let inside = inside.start * size..inside.end * size;
            let from = if inside.is_empty() {
                std::ptr::null_mut()
            } else {
                self.global_bytes(address.wrapping_add(inside.start), inside.end - inside.start, Access::Read)?
            };
            // In units that swizzling leaves together, and where the tensor begins and ends.
            let mut at = 0;
            while at < row {
                let unit = if boxed.map.swizzle == 0 { row } else { (at + 16) / 16 * 16 };
                let (end, source) = if at < inside.start {
                    (unit.min(inside.start), Source::Fill(fill))
                } else if at < inside.end {
                    let ahead = (at - inside.start) as usize;
                    (unit.min(inside.end), Source::Memory(from.wrapping_add(ahead)))
                } else {
                    (unit.min(row), Source::Fill(fill))
                };
                let place = host.wrapping_add((boxed.place(to, offset + at).wrapping_sub(to)) as usize);
                pieces.push(Piece { from: source, to: place, len: (end - at) as u32 });
                at = end;
            }
            Ok(())
        })?;
        Ok(pieces)
    }

    /// The pieces of a store from shared memory at `from`, which is at `host`.
    fn store_pieces(&self, boxed: &Boxed, from: u64, host: *mut u8, access: Access) -> Checked<Vec<Piece>> {
        let (mut pieces, size) = (Vec::new(), boxed.map.element_bytes());
        boxed.rows(|offset, address, inside| {
            let (mut at, end) = (inside.start * size, inside.end * size);
            if at >= end {
                return Ok(());
            }
            let to = self.global_bytes(address.wrapping_add(at), end - at, access)?;
            let first = at;
            while at < end {
                let unit = if boxed.map.swizzle == 0 { end } else { end.min((at + 16) / 16 * 16) };
                let place = host.wrapping_add((boxed.place(from, offset + at).wrapping_sub(from)) as usize);
                let to = to.wrapping_add((at - first) as usize);
                pieces.push(Piece { from: Source::Memory(place), to, len: (unit - at) as u32 });
                at = unit;
            }
            Ok(())
        })?;
        Ok(pieces)
    }
}

/// A copy of a box. List at `c`: address in shared memory, map, mbarrier, mask of blocks, coordinates. `imm`: flags,
/// rank in bits 4 to 6, reduction.
pub(crate) struct TensorCopy;
impl Step for TensorCopy {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [shared, map, barrier, mask] = std::array::from_fn(|n| c.extra(i.c, n));
        let rank = (i.imm >> 4 & 7) as usize;
        each_checked(c, i, |c, lane| {
            let boxed = c.boxed(i, c.lane(map, lane), rank, lane)?;
            if i.imm & PREFETCH != 0 {
                return Ok(());
            }
            let (shared, bytes, room) = (shared_address(c.lane(shared, lane)), boxed.bytes(), boxed.room());
            aligned("shared", shared, 128, i.imm & FROM_GLOBAL != 0)?;
            let issuer = c.issuer(i, lane);
            if i.imm & FROM_GLOBAL == 0 {
                let (host, rank) = c.shared_bytes(shared, room, false)?;
                let combine = tensor_combine(&boxed.map, i.imm >> REDUCTION)?;
                let pieces = c.store_pieces(&boxed, shared, host, landing(combine))?;
                let flight = Flight { combine, reads: Some(rank), ..Flight::new(pieces, issuer) };
                return c.issue_seen(Flight { group: Some(c.open_group(lane)), ..flight });
            }
            let barrier = shared_address(c.lane(barrier, lane));
            let land = |c: &mut Ctx, to: u64, barrier: u64| {
                let (host, rank) = c.shared_bytes(to, room, true)?;
                let signal = Some((c.signal_place(barrier, rank)?, bytes as u32));
                let pieces = c.load_pieces(&boxed, to, host)?;
                c.flights.issue(Flight { signal, writes: Some(rank), ..Flight::new(pieces, issuer) });
                Ok(())
            };
            if i.imm & MULTICAST == 0 {
                return land(c, shared, barrier);
            }
            for rank in c.multicast(c.lane(mask, lane))? {
                land(c, in_block(shared, rank), in_block(barrier, rank))?;
            }
            Ok(())
        })
    }
}

/// What carries out the reduction `code`, of the map's type.
fn tensor_combine(map: &TensorMap, code: u64) -> Checked<Option<Combine>> {
    let Some(name) = (code as usize).checked_sub(1).and_then(|n| REDUCTIONS.get(n)) else { return Ok(None) };
    let ty = TYPES.get(usize::from(map.data_type)).copied().flatten();
    let bits = |ty: Type| match (*name, ty.size()) {
        ("and" | "or" | "xor", 4) => Type::B32,
        ("and" | "or" | "xor", 8) => Type::B64,
        _ => ty,
    };
    let row = ty.and_then(|ty| reduction(name, bits(ty), true));
    let combine = row.and_then(|row| combine_of(row, true));
    let why = || FaultKind::Misuse(format!("there is no reduction `.{name}` of the tensor map's data type"));
    combine.map(Some).ok_or_else(why)
}

/// `tensormap.replace`. List at `c`: address, value; `imm`: field, its dimension in bits 8 on; bit 16: in shared memory.
pub(crate) struct ReplaceField;
impl Step for ReplaceField {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let (address, value) = (c.extra(i.c, 0), c.extra(i.c, 1));
        let dimension = (i.imm >> 8 & 7) as u8;
        let field = match i.imm & 15 {
            0 => Field::GlobalAddress,
            1 => Field::Rank,
            2 => Field::BoxDim(dimension),
            3 => Field::GlobalDim(dimension),
            4 => Field::GlobalStride(dimension),
            5 => Field::ElementStride(dimension),
            6 => Field::ElementType,
            7 => Field::Interleave,
            8 => Field::Swizzle,
            _ => Field::Fill,
        };
        each_checked(c, i, |c, lane| {
            let mut at: u64 = c.lane(address, lane);
            if i.imm >> 16 & 1 != 0 {
                at = shared_address(at) | super::memory::SHARED_WINDOW;
            }
            let place = c.map_bytes(at, &[SHARED, GLOBAL], true)?;
            let mut bytes: [u8; BYTES] = peek(place);
            let replaced = tensor_map::replace(&mut bytes, field, c.lane(value, lane));
            replaced
                .map_err(|refusal| FaultKind::Misuse(format!("tensormap.replace of {field:?}: {}", refusal.why)))?;
            poke(place, bytes);
            Ok(())
        })
    }
}

/// `tensormap.cp_fenceproxy`. List at `c`: destination, source.
pub(crate) struct CopyMap;
impl Step for CopyMap {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let (to, from) = (c.extra(i.c, 0), c.extra(i.c, 1));
        each_checked(c, i, |c, lane| {
            let from = shared_address(c.lane(from, lane)) | super::memory::SHARED_WINDOW;
            let bytes: [u8; BYTES] = peek(c.map_bytes(from, &[SHARED], false)?);
            let to = c.map_bytes(c.lane(to, lane), &[GLOBAL], true)?;
            poke(to, bytes);
            Ok(())
        })
    }
}
