//! Texture and surface objects: what they name, and what kernels see of it.
//!
//! Mipmaps, views of other formats, sRGB and cubes have no model.

use super::array::Shape;
use super::space::AddressSpace;
use crate::device;
use crate::record;
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::texture::{Addressing, Channel, Sampler, Texture};

/// What an object reads or writes: `CUDA_RESOURCE_DESC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A CUDA array, by its handle.
    Array(u64),
    /// Memory as one row.
    Linear {
        /// Where it begins.
        address: u64,
        /// `CUarray_format`.
        format: u32,
        /// Components of an element.
        channels: u32,
        /// Its length.
        bytes: u64,
    },
    /// Memory as rows.
    Pitched {
        /// Where it begins.
        address: u64,
        /// `CUarray_format`.
        format: u32,
        /// Components of an element.
        channels: u32,
        /// Elements of a row, and rows.
        extents: [u64; 2],
        /// Bytes from row to row.
        pitch: u64,
    },
}

/// What the caller said of a texture: `CUDA_TEXTURE_DESC`, in its own numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampling {
    /// `CUaddress_mode`, by dimension.
    pub addressing: [u32; 3],
    /// `CUfilter_mode`.
    pub filter: u32,
    /// `CU_TRSF_…`.
    pub flags: u32,
    /// Of the border.
    pub border: [f32; 4],
}

/// An object.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    /// What it reads or writes.
    pub resource: Resource,
    /// The context in which it was made, which it goes with.
    pub(super) context: u64,
    /// What the caller said of how it is sampled, if it is a texture.
    pub sampling: Option<Sampling>,
    sampler: Option<Sampler>,
}

/// `CU_TRSF_READ_AS_INTEGER`, `CU_TRSF_NORMALIZED_COORDINATES`.
const READ_AS_INTEGER: u32 = 1;
const NORMALISED: u32 = 2;
/// `CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION`: nothing to a texture without mipmaps.
const NO_TRILINEAR: u32 = 0x20;

/// What an address and a distance of rows must be multiples of, as the device's attributes say.
pub const ALIGNMENT: u64 = device::PITCH_UNIT as u64;
const PITCH_ALIGNMENT: u64 = 32;

/// A limit of the device, by its attribute.
fn most(attribute: u32) -> u64 {
    device::extent(attribute) as u64
}

fn channel(format: u32) -> Cuda<Channel> {
    Ok(match format {
        0x01 => Channel::U8,
        0x02 => Channel::U16,
        0x03 => Channel::U32,
        0x08 => Channel::S8,
        0x09 => Channel::S16,
        0x0a => Channel::S32,
        0x10 => Channel::F16,
        0x20 => Channel::F32,
        0 => return Err(CUresult::INVALID_VALUE),
        _ => return Err(refused("packed, normalised and compressed formats have no model", CUresult::NOT_SUPPORTED)),
    })
}

impl Object {
    /// What a reference stands for now; none if what is bound to it and how it is sampled do not go together.
    pub(super) fn of_reference(resource: Resource, sampling: Option<Sampling>, space: &AddressSpace) -> Option<Self> {
        let plain = Object { resource, context: 0, sampling, sampler: None };
        let texture = space.texture(0, &plain).ok()?;
        let sampler = sampling.map(|sampling| sampling.sampler(texture.channel, texture.linear)).transpose().ok()?;
        Some(Object { sampler, ..plain })
    }
}

fn refused(why: &'static str, code: CUresult) -> CUresult {
    record::note(|| why.to_owned());
    code
}

impl Sampling {
    /// Sets `CU_TRSF_…`.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_SUPPORTED` for those without a model.
    pub fn set_flags(&mut self, flags: u32) -> Cuda {
        if flags & !(READ_AS_INTEGER | NORMALISED | NO_TRILINEAR) != 0 {
            return Err(refused("sRGB and seamless cube maps have no model", CUresult::NOT_SUPPORTED));
        }
        self.flags = flags;
        Ok(())
    }

    /// How a texture of such components is sampled; `linear`: memory as one row, which has neither modes nor filters.
    fn sampler(&self, channel: Channel, linear: bool) -> Cuda<Sampler> {
        let mut flags = Sampling::default();
        flags.set_flags(self.flags)?;
        let mode = |code: u32| match code {
            0 => Ok(Addressing::Wrap),
            1 => Ok(Addressing::Clamp),
            2 => Ok(Addressing::Mirror),
            3 => Ok(Addressing::Border),
            _ => Err(CUresult::INVALID_VALUE),
        };
        let [x, y, z] = self.addressing.map(mode);
        let as_float = self.flags & READ_AS_INTEGER == 0 && channel.size() < 4;
        let border = self.border;
        if linear {
            let addressing = [Addressing::Clamp; 3];
            return Ok(Sampler { addressing, linear: false, normalised: false, as_float, border });
        }
        if self.filter > 1 {
            return Err(CUresult::INVALID_VALUE);
        }
        if self.filter == 1 && channel.is_integer() && !as_float {
            return Err(refused("whole numbers are not filtered: read them as floats", CUresult::INVALID_VALUE));
        }
        Ok(Sampler {
            addressing: [x?, y?, z?],
            linear: self.filter == 1,
            normalised: self.flags & NORMALISED != 0,
            as_float,
            border,
        })
    }
}

impl AddressSpace {
    /// Makes an object of a resource in the context with that handle: a texture, or, without sampling, a surface.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for what is no resource, or does not go with the sampling;
    /// `CUDA_ERROR_NOT_SUPPORTED` for what has no model.
    pub fn create_object(&mut self, resource: Resource, sampling: Option<Sampling>, context: u64) -> Cuda<u64> {
        let texture = self.texture(0, &Object { resource, context, sampling: None, sampler: None })?;
        if texture.host.is_null() {
            return Err(refused("the resource of the object is no live memory", CUresult::INVALID_VALUE));
        }
        let sampler = match (sampling, resource) {
            (Some(sampling), _) => Some(sampling.sampler(texture.channel, texture.linear)?),
            (None, Resource::Array(array)) if self.array(array).is_ok_and(|array| array.shape.is_surface()) => None,
            (None, Resource::Array(_)) => {
                return Err(refused("the array was made without CUDA_ARRAY3D_SURFACE_LDST", CUresult::INVALID_VALUE));
            }
            (None, _) => return Err(refused("a surface object is of an array", CUresult::INVALID_VALUE)),
        };
        let object = Object { resource, context, sampling, sampler };
        Ok(if sampler.is_some() { self.textures.insert(object) } else { self.surfaces.insert(object) })
    }

    /// The texture object of a handle, or the surface object.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: it is none.
    pub fn object(&self, handle: u64, texture: bool) -> Cuda<&Object> {
        let table = if texture { &self.textures } else { &self.surfaces };
        table.get(handle).ok_or(CUresult::INVALID_VALUE)
    }

    /// Ends an object.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub fn destroy_object(&mut self, handle: u64, texture: bool) -> Cuda {
        let table = if texture { &mut self.textures } else { &mut self.surfaces };
        table.remove(handle).map(drop).ok_or(CUresult::INVALID_VALUE)
    }

    /// Ends the objects of a context that is gone.
    pub(super) fn destroy_objects(&mut self, context: u64) {
        for table in [&mut self.textures, &mut self.surfaces] {
            let own = table.iter().filter(|(_, object)| object.context == context).map(|(handle, _)| handle);
            for handle in own.collect::<Vec<_>>() {
                table.remove(handle);
            }
        }
    }

    /// All objects and references as kernels see them, by handle.
    pub fn objects(&self) -> Vec<Texture> {
        let all = self.textures.iter().chain(self.surfaces.iter());
        let all = all.filter_map(|(handle, object)| self.texture(handle, object).ok());
        let mut found: Vec<Texture> = all.chain(self.bound_references()).collect();
        found.sort_unstable_by_key(|texture| texture.handle);
        found
    }

    /// An object as kernels see it. Its memory may have gone since it was made.
    pub(super) fn texture(&self, handle: u64, object: &Object) -> Cuda<Texture> {
        let sampler = object.sampler;
        match object.resource {
            Resource::Array(array) => {
                let Ok(array) = self.array(array) else {
                    return Ok(Texture {
                        handle,
                        host: std::ptr::null_mut(),
                        address: 0,
                        linear: false,
                        extents: [1, 0, 0],
                        layered: false,
                        pitch: [0; 2],
                        channel: Channel::U8,
                        channels: 1,
                        sampler,
                    });
                };
                let Shape { extents, format, channels, .. } = array.shape;
                let [row, rows, _] = array.shape.layout()?;
                Ok(Texture {
                    handle,
                    host: self.window.host(array.base),
                    address: array.base,
                    linear: false,
                    extents: extents.map(|extent| extent as u32),
                    layered: array.shape.is_layered(),
                    pitch: [row as u64, (row * rows) as u64],
                    channel: channel(format)?,
                    channels,
                    sampler,
                })
            }
            Resource::Linear { address, format, channels, bytes } => {
                let element = element(format, channels)?;
                let count = bytes / element;
                if count == 0 || count > most(69) || !address.is_multiple_of(ALIGNMENT) {
                    let why = "linear memory of a texture begins at a multiple of 512 and has 1 to 2^28 elements";
                    return Err(refused(why, CUresult::INVALID_VALUE));
                }
                Ok(Texture {
                    handle,
                    host: self.host_of(address, count * element),
                    address,
                    linear: true,
                    extents: [count as u32, 0, 0],
                    layered: false,
                    pitch: [bytes; 2],
                    channel: channel(format)?,
                    channels,
                    sampler,
                })
            }
            Resource::Pitched { address, format, channels, extents: [width, height], pitch } => {
                let row = width.saturating_mul(element(format, channels)?);
                let fits = (1..=most(70)).contains(&width) && (1..=most(71)).contains(&height);
                let spaced = row <= pitch && pitch <= most(72);
                if !fits || !spaced || !pitch.is_multiple_of(PITCH_ALIGNMENT) || !address.is_multiple_of(ALIGNMENT) {
                    let why = "rows of a texture begin at a multiple of 512 and lie a multiple of 32 bytes apart";
                    return Err(refused(why, CUresult::INVALID_VALUE));
                }
                let bytes = pitch * (height - 1) + row;
                Ok(Texture {
                    handle,
                    host: self.host_of(address, bytes),
                    address,
                    linear: false,
                    extents: [width as u32, height as u32, 0],
                    layered: false,
                    pitch: [pitch, pitch * height],
                    channel: channel(format)?,
                    channels,
                    sampler,
                })
            }
        }
    }

    /// The host's place of device memory; null if it is not live in one piece.
    fn host_of(&self, address: u64, bytes: u64) -> *mut u8 {
        self.locate(address, bytes).unwrap_or(std::ptr::null_mut())
    }
}

/// Bytes of an element.
fn element(format: u32, channels: u32) -> Cuda<u64> {
    if !matches!(channels, 1 | 2 | 4) {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(u64::from(channel(format)?.size() * channels))
}
