//! Copies and fills of two and three dimensions.

use crate::array::element_bytes;
use crate::copy::{DEFAULT, DEVICE_TO_DEVICE, DEVICE_TO_HOST, HOST_TO_DEVICE, HOST_TO_HOST};
use crate::door::{Failure, Outcome, entry_points};
use crate::driver;
use crate::types::{Extent, Memcpy2D, Memcpy3D, Memcpy3DParms, PitchedPtr, Pointer, Pos, Side2D, Side3D, read};

/// `CUmemorytype`.
const HOST: u32 = 1;
const DEVICE: u32 = 2;
const ARRAY: u32 = 3;
const UNIFIED: u32 = 4;

/// The memory types of a copy's source and destination.
fn types(kind: u32) -> Outcome<(u32, u32)> {
    Ok(match kind {
        HOST_TO_HOST => (HOST, HOST),
        HOST_TO_DEVICE => (HOST, DEVICE),
        DEVICE_TO_HOST => (DEVICE, HOST),
        DEVICE_TO_DEVICE => (DEVICE, DEVICE),
        DEFAULT => (UNIFIED, UNIFIED),
        _ => return Err(Failure::INVALID_MEMCPY_DIRECTION),
    })
}

pub(crate) fn pitched(ptr: Pointer, pitch: usize, xsize: usize, ysize: usize) -> PitchedPtr {
    PitchedPtr { ptr, pitch, xsize, ysize }
}

fn side(array: usize, pos: Pos, memory: PitchedPtr, kind: u32, unit: usize) -> Side3D {
    let kind = if array != 0 { ARRAY } else { kind };
    Side3D {
        // Positions are in elements where an array takes part in the copy.
        XInBytes: pos.x.saturating_mul(if array != 0 { unit } else { 1 }),
        Y: pos.y,
        Z: pos.z,
        LOD: 0,
        MemoryType: kind,
        Host: if kind == HOST { memory.ptr } else { std::ptr::null_mut() },
        Device: if matches!(kind, DEVICE | UNIFIED) { memory.ptr as u64 } else { 0 },
        Array: array,
        reserved: 0,
        Pitch: memory.pitch,
        Height: memory.ysize,
    }
}

/// The driver's form of a copy.
pub(crate) fn convert(p: &Memcpy3DParms) -> Outcome<Memcpy3D> {
    let (from, to) = types(p.kind)?;
    // One of an array and a pointer on each side.
    if (p.srcArray != 0) != p.srcPtr.ptr.is_null() || (p.dstArray != 0) != p.dstPtr.ptr.is_null() {
        return Err(Failure::INVALID_VALUE);
    }
    let unit = match (p.srcArray, p.dstArray) {
        (0, 0) => 1,
        (0, array) | (array, _) => element_bytes(array)?,
    };
    Ok(Memcpy3D {
        src: side(p.srcArray, p.srcPos, p.srcPtr, from, unit),
        dst: side(p.dstArray, p.dstPos, p.dstPtr, to, unit),
        WidthInBytes: p.extent.width.checked_mul(unit).ok_or(Failure::INVALID_VALUE)?,
        Height: p.extent.height,
        Depth: p.extent.depth,
    })
}

/// The runtime's form of a copy that the driver tells of.
pub(crate) fn convert_back(p: &Memcpy3D) -> Outcome<Memcpy3DParms> {
    let unit = match (p.src.Array, p.dst.Array) {
        (0, 0) => 1,
        (0, array) | (array, _) => element_bytes(array)?.max(1),
    };
    let memory = |side: &Side3D| match side.MemoryType {
        ARRAY => pitched(std::ptr::null_mut(), 0, 0, 0),
        HOST => pitched(side.Host, side.Pitch, p.WidthInBytes, side.Height),
        _ => pitched(std::ptr::without_provenance_mut(side.Device as usize), side.Pitch, p.WidthInBytes, side.Height),
    };
    let pos = |side: &Side3D| Pos {
        x: if side.MemoryType == ARRAY { side.XInBytes / unit } else { side.XInBytes },
        y: side.Y,
        z: side.Z,
    };
    Ok(Memcpy3DParms {
        srcArray: p.src.Array,
        srcPos: pos(&p.src),
        srcPtr: memory(&p.src),
        dstArray: p.dst.Array,
        dstPos: pos(&p.dst),
        dstPtr: memory(&p.dst),
        extent: Extent { width: p.WidthInBytes / unit, height: p.Height, depth: p.Depth },
        kind: match (p.src.MemoryType, p.dst.MemoryType) {
            (HOST, HOST) => HOST_TO_HOST,
            (HOST, _) => HOST_TO_DEVICE,
            (_, HOST) => DEVICE_TO_HOST,
            (UNIFIED, _) | (_, UNIFIED) => DEFAULT,
            _ => DEVICE_TO_DEVICE,
        },
    })
}

/// A plain copy as a copy of three dimensions.
pub(crate) fn line(dst: Pointer, src: Pointer, count: usize, kind: u32) -> Memcpy3DParms {
    let zero = Pos { x: 0, y: 0, z: 0 };
    Memcpy3DParms {
        srcArray: 0,
        srcPos: zero,
        srcPtr: pitched(src, count, count, 1),
        dstArray: 0,
        dstPos: zero,
        dstPtr: pitched(dst, count, count, 1),
        extent: Extent { width: count, height: 1, depth: 1 },
        kind,
    }
}

/// A place of a copy of two dimensions.
enum Place {
    Memory(Pointer, usize),
    Array(usize, usize, usize),
}

fn side2d(place: &Place, kind: u32) -> Side2D {
    let none = std::ptr::null_mut();
    match *place {
        Place::Memory(ptr, pitch) => Side2D {
            XInBytes: 0,
            Y: 0,
            MemoryType: kind,
            Host: if kind == HOST { ptr } else { none },
            Device: if kind == HOST { 0 } else { ptr as u64 },
            Array: 0,
            Pitch: pitch,
        },
        Place::Array(array, x, y) => {
            Side2D { XInBytes: x, Y: y, MemoryType: ARRAY, Host: none, Device: 0, Array: array, Pitch: 0 }
        }
    }
}

/// # Safety
/// Both places are valid for what the kind says, until the copy is done.
unsafe fn copy(to: Place, from: Place, width: usize, height: usize, kind: u32, stream: Option<usize>) -> Outcome {
    for place in [&to, &from] {
        if let Place::Memory(_, pitch) = place
            && width > *pitch
        {
            const INVALID_PITCH_VALUE: Failure = Failure(12);
            return Err(INVALID_PITCH_VALUE);
        }
    }
    let (of_source, of_destination) = types(kind)?;
    if width == 0 || height == 0 {
        return Ok(());
    }
    let (src, dst) = (side2d(&from, of_source), side2d(&to, of_destination));
    let params = Memcpy2D { src, dst, WidthInBytes: width, Height: height };
    // SAFETY: as the caller vouches.
    unsafe {
        match stream {
            None => driver::cuMemcpy2DUnaligned_v2((&raw const params).cast()),
            Some(stream) => driver::cuMemcpy2DAsync_v2((&raw const params).cast(), stream),
        }
    }
}

entry_points! {
    fn cudaMemcpy3D(p: *const Memcpy3DParms) {
        let params = convert(&unsafe { read(p) }?)?;
        unsafe { driver::cuMemcpy3D_v2((&raw const params).cast()) }
    }

    fn cudaMemcpy3DAsync(p: *const Memcpy3DParms, stream: usize) {
        let params = convert(&unsafe { read(p) }?)?;
        unsafe { driver::cuMemcpy3DAsync_v2((&raw const params).cast(), stream) }
    }

    fn cudaMemcpy2D(dst: Pointer, dpitch: usize, src: Pointer, spitch: usize, width: usize, height: usize, kind: u32) {
        unsafe { copy(Place::Memory(dst, dpitch), Place::Memory(src, spitch), width, height, kind, None) }
    }

    fn cudaMemcpy2DAsync(
        dst: Pointer, dpitch: usize, src: Pointer, spitch: usize, width: usize, height: usize, kind: u32, stream: usize
    ) {
        unsafe { copy(Place::Memory(dst, dpitch), Place::Memory(src, spitch), width, height, kind, Some(stream)) }
    }

    fn cudaMemcpy2DToArray(
        dst: usize, wOffset: usize, hOffset: usize, src: Pointer, spitch: usize, width: usize, height: usize, kind: u32
    ) {
        let to = Place::Array(dst, wOffset, hOffset);
        unsafe { copy(to, Place::Memory(src, spitch), width, height, kind, None) }
    }

    fn cudaMemcpy2DToArrayAsync(
        dst: usize, wOffset: usize, hOffset: usize, src: Pointer, spitch: usize, width: usize, height: usize, kind: u32,
        stream: usize
    ) {
        let to = Place::Array(dst, wOffset, hOffset);
        unsafe { copy(to, Place::Memory(src, spitch), width, height, kind, Some(stream)) }
    }

    fn cudaMemcpy2DFromArray(
        dst: Pointer, dpitch: usize, src: usize, wOffset: usize, hOffset: usize, width: usize, height: usize, kind: u32
    ) {
        let from = Place::Array(src, wOffset, hOffset);
        unsafe { copy(Place::Memory(dst, dpitch), from, width, height, kind, None) }
    }

    fn cudaMemcpy2DFromArrayAsync(
        dst: Pointer, dpitch: usize, src: usize, wOffset: usize, hOffset: usize, width: usize, height: usize, kind: u32,
        stream: usize
    ) {
        let from = Place::Array(src, wOffset, hOffset);
        unsafe { copy(Place::Memory(dst, dpitch), from, width, height, kind, Some(stream)) }
    }

    fn cudaMemset3D(pitchedDevPtr: PitchedPtr, value: i32, extent: Extent) {
        slices(pitchedDevPtr, extent, |dst, pitch| unsafe {
            driver::cuMemsetD2D8_v2(dst, pitch, value as u8, extent.width, extent.height)
        })
    }

    fn cudaMemset3DAsync(pitchedDevPtr: PitchedPtr, value: i32, extent: Extent, stream: usize) {
        slices(pitchedDevPtr, extent, |dst, pitch| unsafe {
            driver::cuMemsetD2D8Async(dst, pitch, value as u8, extent.width, extent.height, stream)
        })
    }
}

/// Runs `fill` on each slice of a volume.
fn slices(memory: PitchedPtr, extent: Extent, fill: impl Fn(u64, usize) -> Outcome) -> Outcome {
    if extent.width == 0 || extent.height == 0 || extent.depth == 0 {
        return Ok(());
    }
    let slice = memory.pitch.checked_mul(memory.ysize).ok_or(Failure::INVALID_VALUE)? as u64;
    (0..extent.depth as u64)
        .try_for_each(|z| fill((memory.ptr as u64).wrapping_add(z.wrapping_mul(slice)), memory.pitch))
}
