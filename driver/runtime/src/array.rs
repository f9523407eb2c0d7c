//! CUDA arrays.

use crate::door::{Failure, Outcome, entry_points};
use crate::driver;
use crate::types::{ArrayDescriptor, ChannelFormatDesc, Extent, read, write};

/// `cudaChannelFormatKind`.
const SIGNED: u32 = 0;
const UNSIGNED: u32 = 1;
const FLOAT: u32 = 2;

/// `CUarray_format` by kind and bits of a channel.
const FORMATS: [(u32, i32, u32); 8] = [
    (UNSIGNED, 8, 1),
    (UNSIGNED, 16, 2),
    (UNSIGNED, 32, 3),
    (SIGNED, 8, 8),
    (SIGNED, 16, 9),
    (SIGNED, 32, 10),
    (FLOAT, 16, 0x10),
    (FLOAT, 32, 0x20),
];

/// Flags that both APIs have: layered, surface access, cube map, gather.
const FLAGS: u32 = 1 | 2 | 4 | 8;

fn descriptor(array: usize) -> Outcome<ArrayDescriptor> {
    let mut found = ArrayDescriptor { Width: 0, Height: 0, Depth: 0, Format: 0, NumChannels: 0, Flags: 0 };
    // SAFETY: a place for the result; what is no array is refused.
    unsafe { driver::cuArray3DGetDescriptor_v2((&raw mut found).cast(), array) }?;
    Ok(found)
}

fn bits(format: u32) -> Outcome<(u32, i32)> {
    let found = FORMATS.iter().find(|(_, _, of)| *of == format);
    found.map(|(kind, bits, _)| (*kind, *bits)).ok_or(Failure::NOT_SUPPORTED)
}

/// Bytes of an array's element.
pub(crate) fn element_bytes(array: usize) -> Outcome<usize> {
    let found = descriptor(array)?;
    Ok(bits(found.Format)?.1 as usize / 8 * found.NumChannels as usize)
}

/// `CUarray_format` and the count of the components that are described.
pub(crate) fn format(desc: &ChannelFormatDesc) -> Outcome<(u32, u32)> {
    const INVALID_CHANNEL_DESCRIPTOR: Failure = Failure(20);
    let channels: Vec<i32> = [desc.x, desc.y, desc.z, desc.w].into_iter().take_while(|&bits| bits != 0).collect();
    let alike = !channels.is_empty() && channels.iter().all(|&bits| bits == channels[0]);
    let format = FORMATS.iter().find(|(kind, bits, _)| *kind == desc.f && Some(bits) == channels.first());
    let (true, Some((_, _, format))) = (alike, format) else { return Err(INVALID_CHANNEL_DESCRIPTOR) };
    Ok((*format, channels.len() as u32))
}

/// What describes components of that `CUarray_format` and count.
pub(crate) fn channel_desc(format: u32, channels: u32) -> Outcome<ChannelFormatDesc> {
    let (kind, bits) = bits(format)?;
    let channel = |n| if n < channels { bits } else { 0 };
    Ok(ChannelFormatDesc { x: channel(0), y: channel(1), z: channel(2), w: channel(3), f: kind })
}

fn allocate(array: *mut usize, desc: *const ChannelFormatDesc, extent: Extent, flags: u32) -> Outcome {
    // SAFETY: the caller's structure.
    let (format, channels) = format(&unsafe { read(desc) }?)?;
    if flags & !FLAGS != 0 {
        return Err(Failure::NOT_SUPPORTED);
    }
    let params = ArrayDescriptor {
        Width: extent.width,
        Height: extent.height,
        Depth: extent.depth,
        Format: format,
        NumChannels: channels,
        Flags: flags,
    };
    // SAFETY: the caller's place for the result.
    unsafe { driver::cuArray3DCreate_v2(array.cast(), (&raw const params).cast()) }
}

fn channels(array: usize) -> Outcome<ChannelFormatDesc> {
    let found = descriptor(array)?;
    channel_desc(found.Format, found.NumChannels)
}

entry_points! {
    fn cudaMallocArray(array: *mut usize, desc: *const ChannelFormatDesc, width: usize, height: usize, flags: u32) {
        allocate(array, desc, Extent { width, height, depth: 0 }, flags)
    }

    fn cudaMalloc3DArray(array: *mut usize, desc: *const ChannelFormatDesc, extent: Extent, flags: u32) {
        allocate(array, desc, extent, flags)
    }

    fn cudaGetChannelDesc(desc: *mut ChannelFormatDesc, array: usize) {
        unsafe { write(desc, channels(array)?) }
    }

    fn cudaArrayGetInfo(desc: *mut ChannelFormatDesc, extent: *mut Extent, flags: *mut u32, array: usize) {
        let found = descriptor(array)?;
        if !desc.is_null() {
            unsafe { write(desc, channels(array)?) }?;
        }
        if !extent.is_null() {
            unsafe { write(extent, Extent { width: found.Width, height: found.Height, depth: found.Depth }) }?;
        }
        if flags.is_null() { Ok(()) } else { unsafe { write(flags, found.Flags) } }
    }
}

/// CUDA runtime API `cudaCreateChannelDesc`.
#[unsafe(no_mangle)]
pub extern "C" fn graphproof_cudaCreateChannelDesc(x: i32, y: i32, z: i32, w: i32, f: u32) -> ChannelFormatDesc {
    ChannelFormatDesc { x, y, z, w, f }
}
