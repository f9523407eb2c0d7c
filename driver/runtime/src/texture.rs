//! Texture and surface objects.

use std::ffi::c_void;

use crate::array;
use crate::door::{Failure, Outcome, entry_points};
use crate::driver;
use crate::types::{ChannelFormatDesc, Pointer, read, write};

/// `cudaResourceDesc` of CUDA 12, with which that of 13 begins.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct ResourceDesc {
    pub resType: u32,
    pub res: Resource,
}

/// Its union: an array's handle, or memory by address.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct Resource {
    pub devPtr: Pointer,
    pub desc: ChannelFormatDesc,
    /// Bytes of linear memory; elements of a row.
    pub width: usize,
    pub height: usize,
    pub pitchInBytes: usize,
}

/// `cudaTextureDesc`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct TextureDesc {
    pub addressMode: [u32; 3],
    pub filterMode: u32,
    pub readMode: u32,
    pub sRGB: i32,
    pub borderColor: [f32; 4],
    pub normalizedCoords: i32,
    pub maxAnisotropy: u32,
    pub mipmapFilterMode: u32,
    pub mipmapLevelBias: f32,
    pub minMipmapLevelClamp: f32,
    pub maxMipmapLevelClamp: f32,
    pub disableTrilinearOptimization: i32,
    pub seamlessCubemap: i32,
}

/// `CUDA_RESOURCE_DESC`: the union as words, in which a format and a count of components share the second.
#[repr(C)]
#[derive(Clone, Copy)]
struct DriverResource {
    kind: u32,
    res: [u64; 16],
    flags: u32,
}

/// `CUDA_TEXTURE_DESC`.
#[repr(C)]
#[derive(Clone, Copy)]
struct DriverTexture {
    address_mode: [u32; 3],
    filter_mode: u32,
    flags: u32,
    max_anisotropy: u32,
    mipmap_filter_mode: u32,
    mipmap_level_bias: f32,
    min_mipmap_level_clamp: f32,
    max_mipmap_level_clamp: f32,
    border_color: [f32; 4],
    reserved: [i32; 12],
}

/// `cudaResourceType`.
const LINEAR: u32 = 2;
const PITCHED: u32 = 3;

/// `cudaReadMode…` that keeps the element's type.
const ELEMENT_TYPE: u32 = 0;

/// `cudaTextureFilterMode`.
const NEAREST: u32 = 0;
const FILTERED: u32 = 1;

/// `CU_TRSF_…`: read as whole numbers, normalised coordinates, sRGB, no trilinear optimisation, seamless cubes.
const AS_INTEGER: u32 = 1;
const NORMALISED: u32 = 2;
const SRGB: u32 = 0x10;
const NO_TRILINEAR: u32 = 0x20;
const SEAMLESS: u32 = 0x40;

impl ResourceDesc {
    fn for_driver(&self) -> Outcome<DriverResource> {
        let Resource { devPtr: pointer, desc, width, height, pitchInBytes: pitch } = self.res;
        let mut res = [0; 16];
        res[0] = pointer as u64;
        if matches!(self.resType, LINEAR | PITCHED) {
            let (format, channels) = array::format(&desc)?;
            res[1] = u64::from(format) | u64::from(channels) << 32;
            res[2..5].copy_from_slice(&[width as u64, height as u64, pitch as u64]);
            if self.resType == LINEAR {
                res[3..5].fill(0);
            }
        }
        Ok(DriverResource { kind: self.resType, res, flags: 0 })
    }

    fn of_driver(found: &DriverResource) -> Outcome<Self> {
        let [first, word, width, height, pitch, ..] = found.res;
        let desc = match found.kind {
            LINEAR | PITCHED => array::channel_desc(word as u32, (word >> 32) as u32)?,
            _ => ChannelFormatDesc { x: 0, y: 0, z: 0, w: 0, f: 0 },
        };
        let pointer = std::ptr::without_provenance_mut(first as usize);
        let [width, height, pitch] = [width, height, pitch].map(|word| word as usize);
        let res = Resource { devPtr: pointer, desc, width, height, pitchInBytes: pitch };
        Ok(ResourceDesc { resType: found.kind, res })
    }
}

impl TextureDesc {
    fn for_driver(&self) -> Outcome<DriverTexture> {
        if self.readMode > 1 {
            return Err(Failure::INVALID_VALUE);
        }
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        Ok(DriverTexture {
            address_mode: self.addressMode,
            filter_mode: self.filterMode,
            flags: flag(self.readMode == ELEMENT_TYPE, AS_INTEGER)
                | flag(self.normalizedCoords != 0, NORMALISED)
                | flag(self.sRGB != 0, SRGB)
                | flag(self.disableTrilinearOptimization != 0, NO_TRILINEAR)
                | flag(self.seamlessCubemap != 0, SEAMLESS),
            max_anisotropy: self.maxAnisotropy,
            mipmap_filter_mode: self.mipmapFilterMode,
            mipmap_level_bias: self.mipmapLevelBias,
            min_mipmap_level_clamp: self.minMipmapLevelClamp,
            max_mipmap_level_clamp: self.maxMipmapLevelClamp,
            border_color: self.borderColor,
            reserved: [0; 12],
        })
    }

    fn of_driver(found: &DriverTexture) -> Self {
        let has = |flag: u32| i32::from(found.flags & flag != 0);
        TextureDesc {
            addressMode: found.address_mode,
            filterMode: found.filter_mode,
            readMode: if has(AS_INTEGER) != 0 { ELEMENT_TYPE } else { 1 },
            sRGB: has(SRGB),
            borderColor: found.border_color,
            normalizedCoords: has(NORMALISED),
            maxAnisotropy: found.max_anisotropy,
            mipmapFilterMode: found.mipmap_filter_mode,
            mipmapLevelBias: found.mipmap_level_bias,
            minMipmapLevelClamp: found.min_mipmap_level_clamp,
            maxMipmapLevelClamp: found.max_mipmap_level_clamp,
            disableTrilinearOptimization: has(NO_TRILINEAR),
            seamlessCubemap: has(SEAMLESS),
        }
    }
}

/// Bytes of CUDA 13's `cudaResourceDesc` behind what CUDA 12's has: reserved ones, and flags, which are zero.
const ADDED_IN_13: usize = 80;

/// What an object of the driver names, in the form of that version.
///
/// # Safety
/// `target` is null or a `cudaResourceDesc` of that version.
unsafe fn describe(target: *mut ResourceDesc, object: u64, texture: bool, version: u32) -> Outcome {
    let mut found = DriverResource { kind: 0, res: [0; 16], flags: 0 };
    let place: *const c_void = (&raw mut found).cast();
    // SAFETY: a place for the result; what is no object is refused. Then the caller's structure.
    unsafe {
        if texture {
            driver::cuTexObjectGetResourceDesc(place, object)?;
        } else {
            driver::cuSurfObjectGetResourceDesc(place, object)?;
        }
        write(target, ResourceDesc::of_driver(&found)?)?;
        if version >= 13 {
            target.add(1).cast::<u8>().write_bytes(0, ADDED_IN_13);
        }
    }
    Ok(())
}

entry_points! {
    fn cudaCreateTextureObject(
        pTexObject: *mut u64, pResDesc: *const ResourceDesc, pTexDesc: *const TextureDesc, pResViewDesc: *const c_void
    ) {
        let resource = unsafe { read(pResDesc) }?.for_driver()?;
        let texture = unsafe { read(pTexDesc) }?.for_driver()?;
        let resource = (&raw const resource).cast();
        // A view has the same fields in both APIs.
        let create = |texture: &DriverTexture| unsafe {
            driver::cuTexObjectCreate(pTexObject.cast(), resource, std::ptr::from_ref(texture).cast(), pResViewDesc)
        };
        match create(&texture) {
            Err(Failure::INVALID_VALUE) if texture.filter_mode == FILTERED => {
                // The runtime tells a filter that the format does not have from other wrong arguments.
                create(&DriverTexture { filter_mode: NEAREST, ..texture })?;
                unsafe { driver::cuTexObjectDestroy(read(pTexObject)?) }?;
                Err(Failure::INVALID_FILTER_SETTING)
            }
            outcome => outcome,
        }
    }

    fn cudaGetTextureObjectResourceDesc_v12(pResDesc: *mut ResourceDesc, texObject: u64) {
        unsafe { describe(pResDesc, texObject, true, 12) }
    }

    fn cudaGetTextureObjectResourceDesc_v13(pResDesc: *mut ResourceDesc, texObject: u64) {
        unsafe { describe(pResDesc, texObject, true, 13) }
    }

    fn cudaGetTextureObjectTextureDesc(pTexDesc: *mut TextureDesc, texObject: u64) {
        let mut found = std::mem::MaybeUninit::<DriverTexture>::zeroed();
        // SAFETY: a place for the result, for which zeros are good too. Then the caller's structure.
        let found = unsafe {
            driver::cuTexObjectGetTextureDesc(found.as_mut_ptr().cast(), texObject)?;
            found.assume_init()
        };
        unsafe { write(pTexDesc, TextureDesc::of_driver(&found)) }
    }

    fn cudaCreateSurfaceObject(pSurfObject: *mut u64, pResDesc: *const ResourceDesc) {
        let resource = unsafe { read(pResDesc) }?.for_driver()?;
        unsafe { driver::cuSurfObjectCreate(pSurfObject.cast(), (&raw const resource).cast()) }
    }

    fn cudaGetSurfaceObjectResourceDesc_v12(pResDesc: *mut ResourceDesc, surfObject: u64) {
        unsafe { describe(pResDesc, surfObject, false, 12) }
    }

    fn cudaGetSurfaceObjectResourceDesc_v13(pResDesc: *mut ResourceDesc, surfObject: u64) {
        unsafe { describe(pResDesc, surfObject, false, 13) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_go_to_the_driver_and_back() {
        // Sizes of the headers of CUDA 12.8 and 13.0.
        assert_eq!((size_of::<ResourceDesc>(), size_of::<ResourceDesc>() + ADDED_IN_13), (64, 144));
        assert_eq!((size_of::<TextureDesc>(), size_of::<DriverResource>(), size_of::<DriverTexture>()), (72, 144, 104));
        let desc = ChannelFormatDesc { x: 16, y: 16, z: 0, w: 0, f: 1 };
        let pointer = std::ptr::without_provenance_mut(512);
        let res = Resource { devPtr: pointer, desc, width: 3, height: 2, pitchInBytes: 32 };
        let pitched = ResourceDesc { resType: PITCHED, res };
        let there = pitched.for_driver().unwrap();
        assert_eq!(there.res[..5], [512, 2 | 2 << 32, 3, 2, 32]);
        let back = ResourceDesc::of_driver(&there).unwrap();
        assert_eq!((back.res.desc, back.res.width, back.res.pitchInBytes), (desc, 3, 32));
        let wrong = ChannelFormatDesc { y: 8, ..desc };
        assert!(ResourceDesc { resType: LINEAR, res: Resource { desc: wrong, ..pitched.res } }.for_driver().is_err());
        let linear = ResourceDesc { resType: LINEAR, ..pitched };
        assert_eq!(linear.for_driver().unwrap().res[2..5], [3, 0, 0]);
    }
}
