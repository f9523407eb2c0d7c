//! Allocations, pointers and symbols.

use std::ffi::c_void;

use crate::copy3d::pitched;
use crate::door::{Failure, entry_points};
use crate::types::{Extent, PitchedPtr, Pointer, write};
use crate::{door, driver, registry};

/// Of `cudaMemoryType`.
const UNREGISTERED: u32 = 0;
const MANAGED: u32 = 3;

/// `CU_POINTER_ATTRIBUTE_*`.
const MEMORY_TYPE: u32 = 2;
const DEVICE_POINTER: u32 = 3;
const HOST_POINTER: u32 = 4;
const IS_MANAGED: u32 = 8;
const DEVICE_ORDINAL: u32 = 9;

/// `cudaPointerAttributes`, without what 13.0 reserved behind it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PointerAttributes {
    kind: u32,
    device: i32,
    device_pointer: u64,
    host_pointer: u64,
}

fn attribute<T: Copy>(of: u32, pointer: Pointer, mut value: T) -> Result<T, Failure> {
    // SAFETY: a place for the result, as large as the attribute's documented type.
    unsafe { driver::cuPointerGetAttribute((&raw mut value).cast(), of, pointer as u64) }?;
    Ok(value)
}

fn attributes(pointer: Pointer) -> Result<PointerAttributes, Failure> {
    let kind = match attribute(MEMORY_TYPE, pointer, 0u32) {
        Ok(kind) => kind,
        Err(Failure::INVALID_VALUE) => {
            return Ok(PointerAttributes {
                kind: UNREGISTERED,
                device: -2,
                device_pointer: 0,
                host_pointer: pointer as u64,
            });
        }
        Err(failure) => return Err(failure),
    };
    let managed = attribute(IS_MANAGED, pointer, 0u32)? != 0;
    Ok(PointerAttributes {
        kind: if managed { MANAGED } else { kind },
        device: attribute(DEVICE_ORDINAL, pointer, 0i32).unwrap_or_else(|_| door::device()),
        device_pointer: attribute(DEVICE_POINTER, pointer, 0u64).unwrap_or(0),
        host_pointer: attribute(HOST_POINTER, pointer, 0u64).unwrap_or(0),
    })
}

entry_points! {
    fn cudaMalloc(devPtr: *mut Pointer, size: usize) {
        if size == 0 {
            return unsafe { write(devPtr, std::ptr::null_mut()) };
        }
        unsafe { driver::cuMemAlloc_v2(devPtr.cast(), size) }
    }

    fn cudaFree(devPtr: Pointer) {
        // Many programs free nothing to make the context.
        if devPtr.is_null() { Ok(()) } else { unsafe { driver::cuMemFree_v2(devPtr as u64) } }
    }

    fn cudaFreeHost(ptr: Pointer) {
        if ptr.is_null() { Ok(()) } else { unsafe { driver::cuMemFreeHost(ptr) } }
    }

    fn cudaMallocPitch(devPtr: *mut Pointer, pitch: *mut usize, width: usize, height: usize) {
        unsafe { driver::cuMemAllocPitch_v2(devPtr.cast(), pitch.cast(), width, height, 4) }
    }

    fn cudaMalloc3D(pitchedDevPtr: *mut PitchedPtr, extent: Extent) {
        let (mut ptr, mut pitch) = (std::ptr::null_mut::<c_void>(), 0usize);
        let rows = extent.height.checked_mul(extent.depth).ok_or(Failure::INVALID_VALUE)?;
        let places = ((&raw mut ptr).cast(), (&raw mut pitch).cast());
        unsafe { driver::cuMemAllocPitch_v2(places.0, places.1, extent.width, rows, 4) }?;
        unsafe { write(pitchedDevPtr, pitched(ptr, pitch, extent.width, extent.height)) }
    }

    fn cudaPointerGetAttributes_v12(attributes: *mut PointerAttributes, ptr: Pointer) {
        unsafe { write(attributes, self::attributes(ptr)?) }
    }

    fn cudaPointerGetAttributes_v13(attributes: *mut PointerAttributes, ptr: Pointer) {
        unsafe { write(attributes, self::attributes(ptr)?) }?;
        unsafe { write(attributes.add(1).cast(), [0u64; 8]) }
    }

    fn cudaGetSymbolAddress(devPtr: *mut u64, symbol: usize) {
        unsafe { write(devPtr, registry::variable(symbol)?.0) }
    }

    fn cudaGetSymbolSize(size: *mut usize, symbol: usize) {
        unsafe { write(size, registry::variable(symbol)?.1) }
    }
}
