//! What is known of an address.

use std::ffi::{c_int, c_uint, c_void};

use super::args::{not_null, slice, write};
use super::types::CUdeviceptr;
use super::{CUresult, Cuda};
use crate::software::context;
use crate::software::driver;
use crate::software::memory::{HostKind, Origin, Place, memory};

/// Writes one attribute of the memory at `address`.
///
/// # Safety
/// `data` is valid for a write of the attribute's type.
unsafe fn attribute(place: Place, address: u64, attribute: u32, data: *mut c_void) -> Cuda {
    const HOST: c_uint = 1;
    const DEVICE: c_uint = 2;
    let (base, len, number, device) = match place {
        Place::Device(found) => (found.base, found.len, found.number, found.device),
        Place::Host(found) => (found.base, found.len, found.number, found.device),
    };
    let managed = matches!(place, Place::Host(found) if found.kind == HostKind::Managed);
    let on_device = matches!(place, Place::Device(_)) || managed;
    let owner = match place {
        Place::Device(found) => match found.origin {
            Origin::Plain(context) | Origin::Array(context) | Origin::Module(context) | Origin::Opened(context) => {
                context
            }
            Origin::Pool(_) | Origin::Mapping(_) => 0,
            Origin::Graph => context::current(),
        },
        Place::Host(_) => context::current(),
    };
    let pool = match place {
        Place::Device(found) => match found.origin {
            Origin::Pool(pool) => pool,
            _ => 0,
        },
        Place::Host(_) => 0,
    };
    // SAFETY: as the caller vouches, for each attribute's documented type.
    unsafe {
        match attribute {
            // Memory of a pool belongs to no context.
            1 => write(data.cast::<u64>(), owner),
            2 => write(data.cast::<c_uint>(), if on_device { DEVICE } else { HOST }),
            3 => write(data.cast::<u64>(), address),
            4 if matches!(place, Place::Host(_)) => write(data.cast::<u64>(), address),
            4 => Err(CUresult::INVALID_VALUE),
            6 => write(data.cast::<c_uint>(), 0),
            7 => write(data.cast::<u64>(), number),
            8 => write(data.cast::<c_uint>(), c_uint::from(managed)),
            9 => write(data.cast::<c_int>(), device),
            10 | 15 | 21 => write(data.cast::<c_uint>(), 0),
            11 => write(data.cast::<u64>(), base),
            12 => write(data.cast::<usize>(), len as usize),
            13 => write(data.cast::<c_uint>(), 1),
            14 => write(data.cast::<u64>(), 0),
            // `CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE`.
            16 => write(data.cast::<c_uint>(), 3),
            17 => write(data.cast::<u64>(), pool),
            18 => write(data.cast::<usize>(), len as usize),
            19 => write(data.cast::<u64>(), base),
            20 => write(data.cast::<u64>(), number),
            5 | 22 => Err(CUresult::NOT_SUPPORTED),
            _ => Err(CUresult::INVALID_VALUE),
        }
    }
}

/// What an address belongs to: mapped memory too that the device may not access.
fn known(address: u64) -> Option<Place> {
    let space = &memory().space;
    space.place(address).or_else(|| space.mapping(address).ok().map(|&found| Place::Device(found)))
}

/// Size of an attribute's type in bytes; 0 for an unknown attribute.
fn size(attribute: u32) -> usize {
    match attribute {
        2 | 6 | 8 | 9 | 10 | 13 | 15 | 16 | 21 => 4,
        1 | 3 | 4 | 7 | 11 | 12 | 14 | 17 | 18 | 19 | 20 => 8,
        _ => 0,
    }
}

entry_points! {
    fn cuPointerGetAttribute(data: *mut c_void, attribute: c_uint, ptr: CUdeviceptr) {
        not_null(data)?;
        driver().check_initialised()?;
        let place = known(ptr).ok_or(CUresult::INVALID_VALUE)?;
        unsafe { self::attribute(place, ptr, attribute, data) }
    }

    fn cuPointerGetAttributes(
        numAttributes: c_uint, attributes: *const c_uint, data: *mut *mut c_void, ptr: CUdeviceptr
    ) {
        not_null(attributes)?;
        not_null(data)?;
        let keys = unsafe { slice(attributes, numAttributes as usize) }?;
        let targets = unsafe { slice(data, numAttributes as usize) }?;
        let place = known(ptr);
        for (&key, &target) in keys.iter().zip(targets) {
            let found = match place {
                Some(place) => unsafe { attribute(place, ptr, key, target) },
                None => Err(CUresult::INVALID_VALUE),
            };
            // Documented: what cannot be told of this pointer reads as zero.
            if found.is_err() && !target.is_null() {
                unsafe { target.cast::<u8>().write_bytes(0, size(key)) };
            }
        }
        Ok(())
    }

    fn cuPointerSetAttribute(value: *const c_void, attribute: c_uint, ptr: CUdeviceptr) {
        const SYNC_MEMOPS: u32 = 6;
        not_null(value)?;
        driver().current()?;
        known(ptr).ok_or(CUresult::INVALID_VALUE)?;
        // Synchronous calls on this device always wait for what they must.
        if attribute == SYNC_MEMOPS { Ok(()) } else { Err(CUresult::INVALID_VALUE) }
    }
}
