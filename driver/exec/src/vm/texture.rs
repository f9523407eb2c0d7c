//! `tex`, `tld4`, `txq`, and what reads, writes and asks surfaces.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::ctx::{Ctx, LANES};
use super::map::Step;
use super::memory::GLOBAL;
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::texture::{Outside, Sampler, Texture};

/// How many coordinates an access names, and whether a layer comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub dimensions: u8,
    pub layered: bool,
}

/// Names of geometries, with how many registers their coordinates take.
pub(crate) const GEOMETRIES: [(&str, Geometry, usize); 5] = [
    ("1d", Geometry { dimensions: 1, layered: false }, 1),
    ("2d", Geometry { dimensions: 2, layered: false }, 2),
    ("3d", Geometry { dimensions: 3, layered: false }, 4),
    ("a1d", Geometry { dimensions: 1, layered: true }, 2),
    ("a2d", Geometry { dimensions: 2, layered: true }, 4),
];

/// What the instructions ask of an object.
pub(crate) const QUERIES: [&str; 5] = ["width", "height", "depth", "array_size", "num_mipmap_levels"];

/// Bits of the immediate: the geometry from bit 0, then:
pub(crate) const FLOAT: u64 = 1 << 8;
pub(crate) const GATHER: u64 = 1 << 9;
/// The component that is gathered, the question, the operation of a reduction.
pub(crate) const WHICH: u32 = 12;
/// Registers of a surface access; their type's bytes.
pub(crate) const COUNT: u32 = 16;
pub(crate) const BYTES: u32 = 20;
/// 0 trap, 1 clamp, 2 zero.
pub(crate) const OUTSIDE: u32 = 28;
/// `sust`.
pub(crate) const WRITES: u64 = 1 << 32;

/// What is done to memory, by its place in the immediate.
pub(crate) const REDUCTIONS: [&str; 5] = ["add", "min", "max", "and", "or"];

fn geometry(i: &Inst) -> Geometry {
    GEOMETRIES[(i.imm & 7) as usize % GEOMETRIES.len()].1
}

fn outside(i: &Inst) -> Outside {
    match i.imm >> OUTSIDE & 3 {
        0 => Outside::Trap,
        1 => Outside::Clamp,
        _ => Outside::Zero,
    }
}

impl Ctx {
    /// The object that operand `at` of the list names for a lane.
    fn object(&self, i: &Inst, at: usize, lane: usize) -> Result<&'static Texture, FaultKind> {
        let handle: u64 = self.lane(self.extra(i.c, at), lane);
        // SAFETY: the launch's table is valid for as long as its blocks run, which is longer than this use; no reference
        // to it is kept.
        let table = unsafe { &*self.textures };
        table.binary_search_by_key(&handle, |texture| texture.handle).map(|found| &table[found]).map_err(|_| {
            FaultKind::Misuse(format!(
                "{handle:#x} is no texture or surface object, or a reference to which nothing is bound"
            ))
        })
    }

    /// The layer and the coordinates of a lane, as they stand in registers.
    fn place_in(&self, i: &Inst, from: usize, lane: usize) -> (u32, [u32; 3]) {
        let Geometry { dimensions, layered } = geometry(i);
        let word = |n: usize| self.lane::<u32>(self.extra(i.c, from + n), lane);
        let first = usize::from(layered);
        let layer = if layered { word(0) } else { 0 };
        (layer, std::array::from_fn(|n| if n < dimensions as usize { word(first + n) } else { 0 }))
    }

    /// Carries `f` out for each active lane, which says what is wrong with it.
    fn each_object(&mut self, i: &Inst, mut f: impl FnMut(&mut Self, usize) -> Result<(), FaultKind>) -> *const Inst {
        let active = self.warp.active;
        for lane in (0..LANES).filter(|lane| active >> lane & 1 != 0) {
            if let Err(kind) = f(self, lane) {
                self.fault(i, lane as u32, kind);
                return std::ptr::null();
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// What `texture` is sampled by, if there is something to sample and it has the geometry.
fn sampler<'a>(texture: &'a Texture, i: &Inst) -> Result<&'a Sampler, FaultKind> {
    let Geometry { dimensions, layered } = geometry(i);
    let wrong = |why: String| FaultKind::Misuse(format!("texture object {:#x}: {why}", texture.handle));
    let sampler = texture.sampler.as_ref().ok_or_else(|| wrong("it is a surface object".to_owned()))?;
    check(texture, dimensions, layered).map_err(wrong)?;
    Ok(sampler)
}

fn check(texture: &Texture, dimensions: u8, layered: bool) -> Result<(), String> {
    if texture.host.is_null() {
        return Err("its memory has been freed".to_owned());
    }
    let own = texture.dimensions();
    if layered != texture.layered || usize::from(dimensions) != own {
        let kind = |dimensions: usize, layered| format!("{dimensions}D{}", if layered { " in layers" } else { "" });
        let (asked, has) = (kind(dimensions.into(), layered), kind(own, texture.layered));
        return Err(format!("it is accessed as {asked} and is {has}"));
    }
    Ok(())
}

/// `tex` and `tld4`. List: four destinations, handle, coordinates.
pub(crate) struct Sample;
impl Step for Sample {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.each_object(i, |c, lane| {
            let texture = c.object(i, 4, lane)?;
            let sampler = sampler(texture, i)?;
            let (layer, words) = c.place_in(i, 5, lane);
            let floats = words.map(f32::from_bits);
            let bytes = u64::from(texture.element());
            let note: &mut dyn FnMut(u64) =
                &mut |offset| c.note_access(i, GLOBAL, texture.address + offset, bytes, false);
            let found = if i.imm & GATHER != 0 {
                texture.gather(sampler, [floats[0], floats[1]], layer, (i.imm >> WHICH & 3) as usize, note)
            } else if i.imm & FLOAT != 0 {
                texture.sample(sampler, floats, layer, note)
            } else {
                texture.fetch(sampler, words.map(|word| word as i32), layer, note)
            };
            for (n, value) in found.into_iter().enumerate() {
                c.set_lane(c.extra(i.c, n), lane, value);
            }
            Ok(())
        })
    }
}

/// `txq` and `suq`. List: destination, handle.
pub(crate) struct Query;
impl Step for Query {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.each_object(i, |c, lane| {
            let texture = c.object(i, 1, lane)?;
            let [width, height, depth] = texture.extents;
            let value = match QUERIES[(i.imm >> WHICH & 7) as usize % QUERIES.len()] {
                "width" => width,
                "height" => height,
                "depth" if !texture.layered => depth,
                "array_size" if texture.layered => depth,
                "num_mipmap_levels" => 1,
                _ => 0,
            };
            c.set_lane(c.extra(i.c, 0), lane, value);
            Ok(())
        })
    }
}

/// Where a lane's access to a surface lies, which is noted.
fn surface(c: &Ctx, i: &Inst, from: usize, lane: usize, bytes: u32) -> Result<Option<*mut u8>, FaultKind> {
    let texture = c.object(i, from, lane)?;
    let wrong = |why: String| FaultKind::Misuse(format!("surface object {:#x}: {why}", texture.handle));
    if texture.sampler.is_some() {
        return Err(wrong("it is a texture object".to_owned()));
    }
    let Geometry { dimensions, layered } = geometry(i);
    check(texture, dimensions, layered).map_err(wrong)?;
    let (layer, words) = c.place_in(i, from + 1, lane);
    let at = words.map(|word| word as i32);
    let found = texture.surface(at, layer, bytes, outside(i)).map_err(|why| wrong(format!("{why} (at {at:?})")))?;
    Ok(found.map(|(place, address)| {
        c.note_access(i, GLOBAL, address, bytes.into(), i.imm & WRITES != 0);
        place
    }))
}

/// `suld.b` and `sust.b`. List: values (destinations first), handle, coordinates.
pub(crate) struct Surface;
impl Step for Surface {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let count = (i.imm >> COUNT & 7) as usize;
        let size = (i.imm >> BYTES & 15) as usize;
        c.each_object(i, |c, lane| {
            let place = surface(c, i, count, lane, (count * size) as u32)?;
            for n in 0..count {
                let register = c.extra(i.c, n);
                let at = place.map(|place| place.wrapping_add(n * size));
                let mut bytes = [0u8; 8];
                if i.imm & WRITES != 0 {
                    bytes =
                        if size == 8 { c.lane::<u64>(register, lane) } else { c.lane::<u32>(register, lane).into() }
                            .to_le_bytes();
                    if let Some(at) = at {
                        // SAFETY: `Texture::surface` has found the bytes within the surface.
                        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, size) };
                    }
                    continue;
                }
                if let Some(at) = at {
                    // SAFETY: as above.
                    unsafe { std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), size) };
                }
                let value = u64::from_le_bytes(bytes);
                if size == 8 {
                    c.set_lane(register, lane, value);
                } else {
                    c.set_lane(register, lane, value as u32);
                }
            }
            Ok(())
        })
    }
}

/// `sured.b`. List: value, handle, coordinates; type `u32` (4 bytes), `s32` (4, with `FLOAT` for signed), `u64` (8).
pub(crate) struct SurfaceReduction;
impl Step for SurfaceReduction {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let size = (i.imm >> BYTES & 15) as u32;
        let signed = i.imm & FLOAT != 0;
        let operation = REDUCTIONS[(i.imm >> WHICH & 7) as usize % REDUCTIONS.len()];
        c.each_object(i, |c, lane| {
            let Some(place) = surface(c, i, 1, lane, size)? else { return Ok(()) };
            let register = c.extra(i.c, 0);
            if size == 8 {
                let value: u64 = c.lane(register, lane);
                // SAFETY: the place lies within the surface, aligned by its access size from an aligned start; what
                // others do to it meanwhile they do by atomics or race as on a GPU.
                let cell = unsafe { AtomicU64::from_ptr(place.cast()) };
                // Of 64 bits there is only the sum.
                cell.fetch_add(value, Ordering::Relaxed);
                return Ok(());
            }
            let value: u32 = c.lane(register, lane);
            // SAFETY: as above.
            let cell = unsafe { AtomicU32::from_ptr(place.cast()) };
            let change = |old: u32| match (operation, signed) {
                ("add", _) => old.wrapping_add(value),
                ("min", false) => old.min(value),
                ("max", false) => old.max(value),
                ("min", true) => (old as i32).min(value as i32) as u32,
                ("max", true) => (old as i32).max(value as i32) as u32,
                ("and", _) => old & value,
                _ => old | value,
            };
            let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(change(old)));
            Ok(())
        })
    }
}
