//! Texture and surface objects.

use super::args::{not_null, read, write};
use super::types::{CUsurfObject, CUtexObject};
use super::{CUresult, Cuda};
use crate::record;
use crate::software::driver;
use crate::software::memory::{Resource, Sampling, memory};

/// `CUDA_RESOURCE_DESC`: the union as the words of its longest member.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub struct CUDA_RESOURCE_DESC {
    pub resType: u32,
    pub res: [u64; 16],
    pub flags: u32,
}

/// `CUDA_TEXTURE_DESC`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub struct CUDA_TEXTURE_DESC {
    pub addressMode: [u32; 3],
    pub filterMode: u32,
    pub flags: u32,
    pub maxAnisotropy: u32,
    pub mipmapFilterMode: u32,
    pub mipmapLevelBias: f32,
    pub minMipmapLevelClamp: f32,
    pub maxMipmapLevelClamp: f32,
    pub borderColor: [f32; 4],
    pub reserved: [i32; 12],
}

/// `CUDA_RESOURCE_VIEW_DESC`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub struct CUDA_RESOURCE_VIEW_DESC {
    pub format: u32,
    pub width: usize,
    pub height: usize,
    pub depth: usize,
    pub firstMipmapLevel: u32,
    pub lastMipmapLevel: u32,
    pub firstLayer: u32,
    pub lastLayer: u32,
    pub reserved: [u32; 16],
}

/// `CU_RESOURCE_TYPE_…`.
const ARRAY: u32 = 0;
const MIPMAPPED: u32 = 1;
const LINEAR: u32 = 2;
const PITCHED: u32 = 3;

impl CUDA_RESOURCE_DESC {
    fn resource(&self) -> Cuda<Resource> {
        if self.flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let [first, second, third, fourth, fifth, ..] = self.res;
        // A format and a count of components stand in one word.
        let (format, channels) = (second as u32, (second >> 32) as u32);
        Ok(match self.resType {
            ARRAY => Resource::Array(first),
            LINEAR => Resource::Linear { address: first, format, channels, bytes: third },
            PITCHED => Resource::Pitched { address: first, format, channels, extents: [third, fourth], pitch: fifth },
            MIPMAPPED => {
                record::note(|| "mipmapped arrays have no model".to_owned());
                return Err(CUresult::NOT_SUPPORTED);
            }
            _ => return Err(CUresult::INVALID_VALUE),
        })
    }

    fn of(resource: Resource) -> Self {
        let mut res = [0; 16];
        let word = |format: u32, channels: u32| u64::from(format) | u64::from(channels) << 32;
        let kind = match resource {
            Resource::Array(array) => {
                res[0] = array;
                ARRAY
            }
            Resource::Linear { address, format, channels, bytes } => {
                res[..3].copy_from_slice(&[address, word(format, channels), bytes]);
                LINEAR
            }
            Resource::Pitched { address, format, channels, extents: [width, height], pitch } => {
                res[..5].copy_from_slice(&[address, word(format, channels), width, height, pitch]);
                PITCHED
            }
        };
        CUDA_RESOURCE_DESC { resType: kind, res, flags: 0 }
    }
}

fn described(handle: u64, texture: bool) -> Cuda<CUDA_RESOURCE_DESC> {
    driver().current()?;
    memory().space.object(handle, texture).map(|object| CUDA_RESOURCE_DESC::of(object.resource))
}

fn destroy(handle: u64, texture: bool) -> Cuda {
    let driver = driver();
    driver.current()?;
    // M (H200): a handle of nothing is no error.
    if memory().space.object(handle, texture).is_err() {
        return Ok(());
    }
    // Work that has been issued may use it still.
    driver.wait_for_device();
    memory().space.destroy_object(handle, texture)
}

entry_points! {
    fn cuTexObjectCreate(pTexObject: *mut CUtexObject, pResDesc: *const CUDA_RESOURCE_DESC, pTexDesc: *const CUDA_TEXTURE_DESC, pResViewDesc: *const CUDA_RESOURCE_VIEW_DESC) {
        not_null(pTexObject)?;
        let resource = unsafe { read(pResDesc) }?;
        let texture = unsafe { read(pTexDesc) }?;
        let context = driver().current()?.id.0;
        if !pResViewDesc.is_null() {
            // D: only of arrays.
            let array = matches!(resource.resType, ARRAY | MIPMAPPED);
            record::note(|| "views of a resource in another format have no model".to_owned());
            return Err(if array { CUresult::NOT_SUPPORTED } else { CUresult::INVALID_VALUE });
        }
        let sampling = Sampling {
            addressing: texture.addressMode,
            filter: texture.filterMode,
            flags: texture.flags,
            border: texture.borderColor,
        };
        let handle = memory().space.create_object(resource.resource()?, Some(sampling), context)?;
        unsafe { write(pTexObject, handle) }
    }

    fn cuTexObjectDestroy(texObject: CUtexObject) {
        destroy(texObject, true)
    }

    fn cuTexObjectGetResourceDesc(pResDesc: *mut CUDA_RESOURCE_DESC, texObject: CUtexObject) {
        not_null(pResDesc)?;
        let found = described(texObject, true)?;
        unsafe { write(pResDesc, found) }
    }

    fn cuTexObjectGetResourceViewDesc(pResViewDesc: *mut CUDA_RESOURCE_VIEW_DESC, texObject: CUtexObject) {
        not_null(pResViewDesc)?;
        described(texObject, true)?;
        record::note(|| "the texture object was made without a view of its resource".to_owned());
        Err(CUresult::INVALID_VALUE)
    }

    fn cuTexObjectGetTextureDesc(pTexDesc: *mut CUDA_TEXTURE_DESC, texObject: CUtexObject) {
        not_null(pTexDesc)?;
        driver().current()?;
        let found = memory().space.object(texObject, true)?.sampling.unwrap_or_default();
        unsafe { write(pTexDesc, CUDA_TEXTURE_DESC {
            addressMode: found.addressing,
            filterMode: found.filter,
            flags: found.flags,
            borderColor: found.border,
            ..Default::default()
        }) }
    }

    fn cuSurfObjectCreate(pSurfObject: *mut CUsurfObject, pResDesc: *const CUDA_RESOURCE_DESC) {
        not_null(pSurfObject)?;
        let resource = unsafe { read(pResDesc) }?;
        let context = driver().current()?.id.0;
        let handle = memory().space.create_object(resource.resource()?, None, context)?;
        unsafe { write(pSurfObject, handle) }
    }

    fn cuSurfObjectDestroy(surfObject: CUsurfObject) {
        destroy(surfObject, false)
    }

    fn cuSurfObjectGetResourceDesc(pResDesc: *mut CUDA_RESOURCE_DESC, surfObject: CUsurfObject) {
        not_null(pResDesc)?;
        let found = described(surfObject, false)?;
        unsafe { write(pResDesc, found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_described_as_it_was_named() {
        for resource in [
            Resource::Array(7),
            Resource::Linear { address: 512, format: 0x20, channels: 4, bytes: 64 },
            Resource::Pitched { address: 512, format: 1, channels: 2, extents: [3, 4], pitch: 32 },
        ] {
            assert_eq!(CUDA_RESOURCE_DESC::of(resource).resource(), Ok(resource));
        }
    }
}
