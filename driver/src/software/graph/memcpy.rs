//! The description of a copy, as `CUDA_MEMCPY3D` gives it.

/// `CUmemorytype`: where an operand of a copy lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MemoryKind {
    /// `CU_MEMORYTYPE_HOST`.
    Host = 1,
    /// `CU_MEMORYTYPE_DEVICE`.
    Device = 2,
    /// `CU_MEMORYTYPE_ARRAY`.
    Array = 3,
    /// `CU_MEMORYTYPE_UNIFIED`: the address itself says where it lies.
    Unified = 4,
}

impl MemoryKind {
    /// The kind with that C value.
    pub fn from_raw(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::Host),
            2 => Some(Self::Device),
            3 => Some(Self::Array),
            4 => Some(Self::Unified),
            _ => None,
        }
    }
}

/// One side of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CopyOperand {
    /// Where it lives.
    pub memory: MemoryKind,
    /// The address exactly as the caller gave it: a host address for `Host`, a device address for
    /// `Device` and `Unified`, a `CUarray` handle for `Array`.
    pub address: u64,
    /// Offset in a row, in bytes.
    pub x_bytes: u64,
    /// First row.
    pub y: u64,
    /// First slice.
    pub z: u64,
    /// Level of detail of a mipmapped array.
    pub lod: u64,
    /// Bytes from row to row; 0 means "as wide as the copy".
    pub pitch: u64,
    /// Rows from slice to slice; 0 means "as high as the copy".
    pub height: u64,
}

impl CopyOperand {
    /// A one-dimensional operand.
    pub fn linear(memory: MemoryKind, address: u64) -> Self {
        Self { memory, address, x_bytes: 0, y: 0, z: 0, lod: 0, pitch: 0, height: 0 }
    }

    /// Address of the first byte copied by a copy of `width` bytes and `height` rows.
    pub fn start(&self, width: u64, height: u64) -> u64 {
        let pitch = if self.pitch == 0 { width } else { self.pitch };
        let rows = if self.height == 0 { height } else { self.height };
        let row = self.y.wrapping_add(self.z.wrapping_mul(rows));
        self.address.wrapping_add(self.x_bytes).wrapping_add(row.wrapping_mul(pitch))
    }
}

/// A copy of `depth` slices of `height` rows of `width_bytes` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Memcpy3d {
    /// Source.
    pub src: CopyOperand,
    /// Destination.
    pub dst: CopyOperand,
    /// Bytes of a row.
    pub width_bytes: u64,
    /// Rows of a slice.
    pub height: u64,
    /// Slices.
    pub depth: u64,
    /// `CUcontext` that runs the copy.
    pub context: u64,
}

impl Memcpy3d {
    /// A one-dimensional copy of `bytes` bytes.
    pub fn linear(dst: (MemoryKind, u64), src: (MemoryKind, u64), bytes: u64, context: u64) -> Self {
        Self {
            src: CopyOperand::linear(src.0, src.1),
            dst: CopyOperand::linear(dst.0, dst.1),
            width_bytes: bytes,
            height: 1,
            depth: 1,
            context,
        }
    }

    /// One row of one slice: the only shape whose addresses an executable graph lets change.
    pub fn is_one_dimensional(&self) -> bool {
        self.height <= 1 && self.depth <= 1
    }
}
