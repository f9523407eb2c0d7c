//! Copies of boxes of tensors (TMA), and tensor maps that kernels change.

use super::bulk::{
    Checked, FROM_GLOBAL, MULTICAST, PREFETCH, REDUCTION, aligned, combine_of, each_checked, in_block, landing,
};
use super::bulk::{reduction, shared_address};
use super::ctx::Ctx;
use super::flight::{Combine, Flight, Piece, Source};
use super::map::Step;
use super::memory::{GLOBAL, PARAM, SHARED, classify, peek, poke};
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

/// A box: the map, where it is, and its extent.
struct Boxed {
    map: TensorMap,
    /// Elements of the box in shared memory, by dimension.
    extent: [u64; 5],
    corner: [i64; 5],
}

impl Boxed {
    /// Bytes that are moved.
    fn bytes(&self) -> u64 {
        self.extent.iter().product::<u64>() * self.map.element_bytes()
    }

    /// Distance of rows in shared memory. M (H200, driver 580.159.04): a swizzled row takes the whole span.
    fn pitch(&self) -> u64 {
        if self.map.swizzle == 0 { self.extent[0] * self.map.element_bytes() } else { 16 << self.map.swizzle }
    }

    /// Bytes of shared memory among which those of the box lie.
    fn room(&self) -> u64 {
        let bytes = self.extent[1..].iter().product::<u64>() * self.pitch();
        if self.map.swizzle == 0 { bytes } else { bytes.next_multiple_of(128) }
    }

    /// Where a byte of the box lies in shared memory, for a box at `base`. Swizzling exchanges the places of 16 bytes
    /// by the address itself, in spans of 32, 64 or 128 bytes.
    fn place(&self, base: u64, offset: u64) -> u64 {
        let address = base + offset;
        match self.map.swizzle {
            0 => address,
            mode => {
                let bits = (1u64 << mode) - 1;
                address ^ (address >> 7 & bits) << 4
            }
        }
    }

    /// Calls `f` with the offset of each row in the box, the global address of its first element, and the part of
    /// it (in elements) that lies in the tensor.
    fn rows(&self, mut f: impl FnMut(u64, u64, std::ops::Range<u64>) -> Checked<()>) -> Checked<()> {
        let TensorMap { dimensions, strides, element_strides, .. } = self.map;
        let (size, pitch) = (self.map.element_bytes(), self.pitch());
        let mut offset = 0;
        let mut at = [0u64; 5];
        loop {
            let mut address = self.map.address.wrapping_add_signed(self.corner[0].wrapping_mul(size as i64));
            let mut inside = true;
            for n in 1..5 {
                let place = self.corner[n] + (at[n] * u64::from(element_strides[n])) as i64;
                inside &= (0..dimensions[n] as i64).contains(&place);
                address = address.wrapping_add_signed(place.wrapping_mul(strides[n - 1] as i64));
            }
            let clamp = |place: i64| place.clamp(0, self.extent[0] as i64) as u64;
            let range = clamp(-self.corner[0])..clamp(dimensions[0] as i64 - self.corner[0]);
            f(offset, address, if inside && !range.is_empty() { range } else { 0..0 })?;
            offset += pitch;
            let mut n = 1;
            loop {
                at[n] += 1;
                if at[n] < self.extent[n] {
                    break;
                }
                (at[n], n) = (0, n + 1);
                if n == 5 {
                    return Ok(());
                }
            }
        }
    }

    /// What fills the elements outside the tensor: zeros, or the NaN of an H200 (M, driver 580.159.04), in every type.
    fn fill(&self) -> u32 {
        if self.map.fill == 0 { 0 } else { 0x7ff7_7ff7 }
    }
}

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
        if map.interleave != 0 {
            let why = format!(
                "it has the layout CU_TENSOR_MAP_INTERLEAVE_{}B, of the tensor at {:#x}; NVIDIA's documents do not say where \
                 the bytes of a box lie then, and it is not executed",
                16 * u32::from(map.interleave),
                map.address
            );
            return Err(misuse(&why));
        }
        if usize::from(map.rank) != rank {
            return Err(misuse(&format!("it has {} dimensions, the instruction {rank}", map.rank)));
        }
        let mut boxed = Boxed { map, extent: [1; 5], corner: [0; 5] };
        boxed.map.element_strides[0] = 1;
        for n in 0..5 {
            if n < rank {
                boxed.extent[n] = u64::from(sizes[n].div_ceil(u16::from(boxed.map.element_strides[n])));
                boxed.corner[n] = i64::from(self.lane::<u32>(self.extra(i.c, 4 + n), lane) as i32);
            } else {
                (boxed.map.dimensions[n], boxed.map.element_strides[n]) = (1, 1);
            }
            if n >= rank && n > 0 {
                boxed.map.strides[n - 1] = 0;
            }
        }
        // M (H200, driver 580.159.04): an illegal instruction otherwise, of a load.
        if boxed.corner[0] * boxed.map.element_bytes() as i64 % 16 != 0 {
            let why =
                format!("a box that begins at element {} of a row, which is no multiple of 16 bytes", boxed.corner[0]);
            return Err(misuse(&why));
        }
        Ok(boxed)
    }

    /// The pieces of a load into shared memory at `to`, which is at `host`.
    fn load_pieces(&self, boxed: &Boxed, to: u64, host: *mut u8) -> Checked<Vec<Piece>> {
        let (mut pieces, size, fill) = (Vec::new(), boxed.map.element_bytes(), boxed.fill());
        let row = boxed.extent[0] * size;
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
