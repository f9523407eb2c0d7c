//! Textures and surfaces: what an object names, and what a fetch gives.
//!
//! Addressing, filtering and reading follow the CUDA C++ Programming Guide, "Texture Fetching". What it leaves open
//! is as an H200 has it.

use super::vm::half::Half;
use super::vm::lane::F16;

/// Type of an element's components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of PTX")]
pub enum Channel {
    U8,
    U16,
    U32,
    S8,
    S16,
    S32,
    F16,
    F32,
}

impl Channel {
    /// Bytes of a component.
    pub fn size(self) -> u32 {
        match self {
            Self::U8 | Self::S8 => 1,
            Self::U16 | Self::S16 | Self::F16 => 2,
            Self::U32 | Self::S32 | Self::F32 => 4,
        }
    }

    /// Whether it holds whole numbers.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F16 | Self::F32)
    }

    /// The component as a 32-bit register has it. `normalised`: whole numbers of up to 16 bits become floats from 0,
    /// or -1, to 1.
    fn read(self, bits: u32, normalised: bool) -> u32 {
        let signed = |value: i32, most: f32| (value as f32 / most).max(-1.0).to_bits();
        match (self, normalised) {
            (Self::U8, true) => (bits as f32 / 255.0).to_bits(),
            (Self::U16, true) => (bits as f32 / 65535.0).to_bits(),
            (Self::S8, true) => signed(i32::from(bits as i8), 127.0),
            (Self::S16, true) => signed(i32::from(bits as i16), 32767.0),
            (Self::S8, false) => i32::from(bits as i8) as u32,
            (Self::S16, false) => i32::from(bits as i16) as u32,
            (Self::F16, _) => (F16(bits as u16).value() as f32).to_bits(),
            (Self::U8 | Self::U16 | Self::U32 | Self::S32 | Self::F32, _) => bits,
        }
    }
}

/// What becomes of a coordinate outside the texture: `CUaddress_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of CUDA")]
pub enum Addressing {
    Wrap,
    Clamp,
    Mirror,
    Border,
}

impl Addressing {
    /// The element for the place `at` of `count`; none: the border's colour.
    fn place(self, at: i64, count: u32) -> Option<u32> {
        let count = i64::from(count);
        let found = match self {
            Self::Wrap => at.rem_euclid(count),
            Self::Clamp => at.clamp(0, count - 1),
            Self::Mirror => {
                let at = at.rem_euclid(2 * count);
                if at < count { at } else { 2 * count - 1 - at }
            }
            Self::Border => return u32::try_from(at).ok().filter(|&at| i64::from(at) < count),
        };
        Some(found as u32)
    }
}

/// How a texture is sampled: `CUDA_TEXTURE_DESC`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// By dimension.
    pub addressing: [Addressing; 3],
    /// `CU_TR_FILTER_MODE_LINEAR`.
    pub linear: bool,
    /// `CU_TRSF_NORMALIZED_COORDINATES`.
    pub normalised: bool,
    /// Whole numbers of up to 16 bits are read as floats: the object lacks `CU_TRSF_READ_AS_INTEGER`.
    pub as_float: bool,
    /// What lies outside, for [`Addressing::Border`].
    pub border: [f32; 4],
}

/// A texture object, or a surface object, as kernels see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Texture {
    /// What kernels name it by.
    pub handle: u64,
    /// Its first element; null if the memory is gone.
    pub host: *mut u8,
    /// Device address of its first element; 0 for an array, which has none.
    pub address: u64,
    /// Width, height and depth in elements; 0 for a dimension that it lacks. The depth of a layered one counts layers.
    pub extents: [u32; 3],
    /// It is layered.
    pub layered: bool,
    /// Bytes from row to row, and from slice to slice.
    pub pitch: [u64; 2],
    /// Type of the components.
    pub channel: Channel,
    /// Components of an element: 1, 2 or 4.
    pub channels: u32,
    /// How it is sampled; a surface is not.
    pub sampler: Option<Sampler>,
}

// SAFETY: it only names memory, as `MemoryRange` does.
unsafe impl Send for Texture {}
// SAFETY: as above.
unsafe impl Sync for Texture {}

/// Steps between two elements in which a filter weighs them (CUDA C++ Programming Guide, "Linear Filtering": 8 bits of
/// fraction).
const STEPS: f32 = 256.0;

/// Coordinates beyond this are as far outside as can be.
const FAR: f32 = (1u32 << 30) as f32;

/// Two elements side by side, and the weight of the second.
#[derive(Clone, Copy)]
struct Between {
    places: [Option<u32>; 2],
    weight: f64,
}

impl Texture {
    /// Bytes of an element.
    pub fn element(&self) -> u32 {
        self.channel.size() * self.channels
    }

    /// Where an element lies, from the first one on.
    pub fn offset(&self, [x, y, z]: [u32; 3]) -> u64 {
        u64::from(x) * u64::from(self.element()) + u64::from(y) * self.pitch[0] + u64::from(z) * self.pitch[1]
    }

    /// Extents with at least 1 in each dimension.
    fn full(&self) -> [u32; 3] {
        self.extents.map(|extent| extent.max(1))
    }

    /// Whether a fetch gives floats.
    fn gives_floats(&self, sampler: &Sampler) -> bool {
        !self.channel.is_integer() || sampler.as_float && self.channel.size() < 4
    }

    /// An element as four registers. What it lacks is 0, and 1 for the fourth.
    fn element_at(&self, sampler: &Sampler, place: [u32; 3]) -> [u32; 4] {
        let floats = self.gives_floats(sampler);
        let one = if floats { 1f32.to_bits() } else { 1 };
        let mut found = [0, 0, 0, one];
        let size = self.channel.size();
        for (n, component) in found.iter_mut().enumerate().take(self.channels as usize) {
            let mut bytes = [0u8; 4];
            // SAFETY: the place lies within the extents, and the owner of the memory keeps it for the launch.
            unsafe {
                let from = self.host.add(self.offset(place) as usize + n * size as usize);
                std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), size as usize);
            }
            *component = self.channel.read(u32::from_le_bytes(bytes), floats);
        }
        found
    }

    /// An element, or the border's colour.
    fn colour(&self, sampler: &Sampler, places: [Option<u32>; 3]) -> [u32; 4] {
        match places {
            [Some(x), Some(y), Some(z)] => self.element_at(sampler, [x, y, z]),
            _ if self.gives_floats(sampler) => sampler.border.map(f32::to_bits),
            _ => sampler.border.map(|value| if self.channel.is_signed() { value as i32 as u32 } else { value as u32 }),
        }
    }

    /// How the coordinates of a dimension are addressed: to repeat needs normalised ones.
    fn addressing(sampler: &Sampler, dimension: usize) -> Addressing {
        match sampler.addressing[dimension] {
            Addressing::Wrap | Addressing::Mirror if !sampler.normalised => Addressing::Clamp,
            mode => mode,
        }
    }

    /// A coordinate in elements.
    fn scaled(sampler: &Sampler, dimension: usize, coordinate: f32, count: u32) -> f32 {
        let coordinate = if coordinate.is_nan() { 0.0 } else { coordinate };
        if !sampler.normalised {
            return coordinate.clamp(-FAR, FAR);
        }
        let within = match sampler.addressing[dimension] {
            Addressing::Wrap => coordinate - coordinate.floor(),
            Addressing::Mirror => {
                let floor = coordinate.floor();
                let fraction = coordinate - floor;
                if floor.rem_euclid(2.0) == 0.0 { fraction } else { 1.0 - fraction }
            }
            Addressing::Clamp | Addressing::Border => coordinate,
        };
        let within = if within.is_nan() { 0.0 } else { within };
        (within * count as f32).clamp(-FAR, FAR)
    }

    fn between(&self, sampler: &Sampler, dimension: usize, coordinate: f32) -> Between {
        let count = self.full()[dimension];
        let mode = Self::addressing(sampler, dimension);
        let steps = ((Self::scaled(sampler, dimension, coordinate, count) - 0.5) * STEPS).round_ties_even() as i64;
        let first = steps.div_euclid(STEPS as i64);
        let places = [mode.place(first, count), mode.place(first + 1, count)];
        Between { places, weight: steps.rem_euclid(STEPS as i64) as f64 / f64::from(STEPS) }
    }

    /// The dimensions that are addressed and filtered, and the place in each other one.
    pub(crate) fn dimensions(&self) -> usize {
        match self.extents {
            [_, 0, _] => 1,
            [_, _, 0] => 2,
            _ if self.layered => 2,
            _ => 3,
        }
    }

    /// The layer of that number.
    fn layer(&self, layer: u32) -> u32 {
        if self.layered { (layer as i32).clamp(0, self.extents[2] as i32 - 1) as u32 } else { 0 }
    }

    /// `tex` with whole coordinates, which are elements'.
    pub fn fetch(&self, sampler: &Sampler, at: [i32; 3], layer: u32) -> [u32; 4] {
        let dimensions = self.dimensions();
        let full = self.full();
        let places = std::array::from_fn(|n| match n {
            n if n < dimensions => Self::addressing(sampler, n).place(at[n].into(), full[n]),
            2 => Some(self.layer(layer)),
            _ => Some(0),
        });
        // Outside memory that is read by its address, there are zeros.
        if self.address != 0 && self.extents[1] == 0 && u32::try_from(at[0]).map_or(true, |x| x >= full[0]) {
            return [0; 4];
        }
        self.colour(sampler, places)
    }

    /// `tex` with coordinates between elements.
    pub fn sample(&self, sampler: &Sampler, at: [f32; 3], layer: u32) -> [u32; 4] {
        let dimensions = self.dimensions();
        let layer = self.layer(layer);
        if !sampler.linear || !self.gives_floats(sampler) {
            let full = self.full();
            let places = std::array::from_fn(|n| match n {
                n if n < dimensions => {
                    let place = Self::scaled(sampler, n, at[n], full[n]).floor() as i64;
                    Self::addressing(sampler, n).place(place, full[n])
                }
                2 => Some(layer),
                _ => Some(0),
            });
            return self.colour(sampler, places);
        }
        let between: [Between; 3] = std::array::from_fn(|n| match n {
            n if n < dimensions => self.between(sampler, n, at[n]),
            2 => Between { places: [Some(layer); 2], weight: 0.0 },
            _ => Between { places: [Some(0); 2], weight: 0.0 },
        });
        let mut sum = [0f64; 4];
        for corner in 0..1usize << dimensions {
            let chosen = |n: usize| corner >> n & 1;
            let weight: f64 = (0..dimensions)
                .map(|n| if chosen(n) == 1 { between[n].weight } else { 1.0 - between[n].weight })
                .product();
            let colour = self.colour(sampler, std::array::from_fn(|n| between[n].places[chosen(n)]));
            if weight != 0.0 {
                for (sum, value) in sum.iter_mut().zip(colour) {
                    *sum += weight * f64::from(f32::from_bits(value));
                }
            }
        }
        sum.map(|value| (value as f32).to_bits())
    }

    /// `tld4`: one component of the four elements that a linear filter would weigh.
    pub fn gather(&self, sampler: &Sampler, at: [f32; 2], layer: u32, component: usize) -> [u32; 4] {
        let [x, y] = [0, 1].map(|n| self.between(sampler, n, at[n]));
        let layer = Some(self.layer(layer));
        [(0, 1), (1, 1), (1, 0), (0, 0)]
            .map(|(i, j)| self.colour(sampler, [x.places[i], y.places[j], layer])[component & 3])
    }
}

impl Channel {
    fn is_signed(self) -> bool {
        matches!(self, Self::S8 | Self::S16 | Self::S32)
    }
}

/// What a surface access does outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Stops the kernel.
    Trap,
    /// Takes the nearest place inside.
    Clamp,
    /// Reads zeros, writes nothing.
    Zero,
}

impl Texture {
    /// The place of `bytes` bytes that a surface access names by bytes in x; `Ok(None)`: none.
    ///
    /// # Errors
    /// It is outside, or not aligned, and traps.
    pub fn surface(
        &self,
        [x, y, z]: [i32; 3],
        layer: u32,
        bytes: u32,
        outside: Outside,
    ) -> Result<Option<(*mut u8, u64)>, &'static str> {
        let dimensions = self.dimensions();
        let [width, height, depth] = self.full();
        let row = width * self.element();
        if row < bytes {
            return if outside == Outside::Zero { Ok(None) } else { Err("a surface access wider than the surface") };
        }
        if x.rem_euclid(bytes as i32) != 0 {
            return Err("a surface access at a byte that is no multiple of its size");
        }
        let y = if dimensions > 1 { y } else { 0 };
        let z = if self.layered { layer as i32 } else if dimensions > 2 { z } else { 0 };
        let most = [row - bytes, height - 1, depth - 1];
        let at = [x, y, z];
        let inside = at.iter().zip(most).all(|(&at, most)| u32::try_from(at).is_ok_and(|at| at <= most));
        let at: [u32; 3] = match (inside, outside) {
            (true, _) => at.map(|at| at as u32),
            (false, Outside::Zero) => return Ok(None),
            (false, Outside::Trap) => return Err("a surface access outside the surface"),
            (false, Outside::Clamp) => std::array::from_fn(|n| at[n].clamp(0, most[n] as i32) as u32),
        };
        let offset = u64::from(at[0]) + u64::from(at[1]) * self.pitch[0] + u64::from(at[2]) * self.pitch[1];
        Ok(Some((self.host.wrapping_add(offset as usize), offset)))
    }
}
