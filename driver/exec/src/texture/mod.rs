//! Textures and surfaces: what an object names, and what a fetch gives.
//!
//! Addressing, filtering and reading follow the CUDA C++ Programming Guide, "Texture Fetching". What it leaves open,
//! the rounding of a weight and of a sum above all, is rounded to the nearest once: a GPU's bits may differ in the last
//! places.

mod fetch;

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
    /// Device address of its first element. That of an array is known to footprints alone: no pointer leads there.
    pub address: u64,
    /// It is memory as one row, outside which there are zeros.
    pub linear: bool,
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
    /// The place of `bytes` bytes that a surface access names by bytes in x, and its address; `Ok(None)`: none.
    ///
    /// # Errors
    /// It is outside, or not aligned, and traps.
    pub(crate) fn surface(
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
        let z = if self.layered {
            layer as i32
        } else if dimensions > 2 {
            z
        } else {
            0
        };
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
        Ok(Some((self.host.wrapping_add(offset as usize), self.address + offset)))
    }
}
