//! How the lanes of a warp hold the matrices of `mma` and `wmma`.
//!
//! All fragments but those of `mma.m8n8k4.f16` follow one rule (PTX ISA, "Matrix Fragments for
//! mma"): a register of the warp is a tile of eight lines. Lane `l` holds, of line `l / 4`, the
//! elements from `l % 4 * n` on, where `n` elements fill a register. Lines are rows of A, columns
//! of B and rows of C; a line runs along `k` in A and B, along the columns in C.
//!
//! PTX leaves the fragments of `wmma` open. Here they are those of the `mma` instructions into
//! which a `wmma` falls apart, as on an H200: A as `m16n8k*` holds it, B and C for the columns
//! 0..8 first; `m8n32k16` is the transposed `m32n8k16`. Where PTX asks for more registers than a matrix fills (f16), the
//! matrix is repeated.

/// Element type of A and B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Multiplicand {
    F16,
    BF16,
    TF32,
    F64,
    E4M3,
    E5M2,
    S8,
    U8,
    S4,
    U4,
    B1,
}

const MULTIPLICANDS: [(Multiplicand, &str, u32); 11] = [
    (Multiplicand::F16, "f16", 16),
    (Multiplicand::BF16, "bf16", 16),
    (Multiplicand::TF32, "tf32", 32),
    (Multiplicand::F64, "f64", 64),
    (Multiplicand::E4M3, "e4m3", 8),
    (Multiplicand::E5M2, "e5m2", 8),
    (Multiplicand::S8, "s8", 8),
    (Multiplicand::U8, "u8", 8),
    (Multiplicand::S4, "s4", 4),
    (Multiplicand::U4, "u4", 4),
    (Multiplicand::B1, "b1", 1),
];

impl Multiplicand {
    /// By its PTX name, without the dot.
    pub fn from_name(name: &str) -> Option<Self> {
        MULTIPLICANDS.iter().find(|m| m.1 == name).map(|m| m.0)
    }

    /// Bits of an element.
    pub fn bits(self) -> u32 {
        MULTIPLICANDS[self as usize].2
    }
}

/// Element type of C and D.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accumulator {
    F16,
    F32,
    F64,
    S32,
}

impl Accumulator {
    const ALL: [Self; 4] = [Self::F16, Self::F32, Self::F64, Self::S32];

    /// By its PTX name, without the dot.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "f16" => Self::F16,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "s32" => Self::S32,
            _ => return None,
        })
    }

    /// Bits of an element.
    pub fn bits(self) -> u32 {
        match self {
            Self::F16 => 16,
            Self::F64 => 64,
            _ => 32,
        }
    }
}

/// Rows of A, columns of B, and the length along which they are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

impl Shape {
    /// From a name such as `m16n8k16`.
    pub fn from_name(name: &str) -> Option<Self> {
        let (m, rest) = name.strip_prefix('m')?.split_once('n')?;
        let (n, k) = rest.split_once('k')?;
        let shape = Self { m: m.parse().ok()?, n: n.parse().ok()?, k: k.parse().ok()? };
        let fits = matches!((shape.m, shape.n), (8 | 16 | 32, 8 | 16 | 32)) && (4..=256).contains(&shape.k);
        fits.then_some(shape)
    }

    fn pack(self) -> u64 {
        (self.m / 8) as u64 | ((self.n / 8) as u64) << 3 | (self.k as u64) << 6
    }

    fn unpack(imm: u64) -> Self {
        Self { m: (imm & 7) as usize * 8, n: (imm >> 3 & 7) as usize * 8, k: (imm >> 6 & 511) as usize }
    }
}

/// Elements of `bits` bits in a register of a lane.
pub(crate) fn per_register(bits: u32) -> usize {
    if bits == 64 { 1 } else { 32 / bits as usize }
}

/// Tile of A's register `r`: first row, first place along `k`; `lines` rows, `depth` long.
pub(crate) fn tile_of_a(r: usize, lines: usize, depth: usize, bits: u32) -> (usize, usize) {
    let long = 4 * per_register(bits);
    let (high, deep) = ((lines / 8).min(2), depth / long);
    // Registers beyond the matrix repeat it.
    let r = r % (lines / 8 * deep);
    let (block, rest) = (r / (high * deep), r % (high * deep));
    ((block * 2 + rest % high) * 8, rest / high * long)
}

/// Tile of B's register `r`: first column, first place along `k`.
pub(crate) fn tile_of_b(r: usize, lines: usize, depth: usize, bits: u32) -> (usize, usize) {
    if lines == 32 {
        // The columns are another product's rows.
        return tile_of_a(r, lines, depth, bits);
    }
    let long = 4 * per_register(bits);
    let deep = depth / long;
    let r = r % (lines / 8 * deep);
    (r / deep * 8, r % deep * long)
}

/// Registers of a lane that A or B fills.
pub(crate) fn filled(lines: usize, depth: usize, bits: u32) -> usize {
    lines / 8 * (depth / (4 * per_register(bits)))
}

/// Registers of a lane that C or D fills.
pub(crate) fn filled_by_sums(shape: Shape, ty: Accumulator) -> usize {
    let tiles = shape.m / 8 * (shape.n / 8);
    if ty == Accumulator::F16 { tiles } else { 2 * tiles }
}

/// Row and column in C of the first (`second`: 0) or second sum of tile `t` that a lane holds.
#[inline(always)]
pub(crate) fn sum_at(t: usize, lane: usize, second: usize, shape: Shape) -> (usize, usize) {
    let (line, along) = (lane / 4, lane % 4 * 2 + second);
    if shape.n == 32 {
        return (along, t * 8 + line);
    }
    let high = shape.m / 8;
    (t % high * 8 + line, t / high * 8 + along)
}

/// What a matrix multiplication does, as an instruction's immediate holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Product {
    pub shape: Shape,
    pub a: Multiplicand,
    pub b: Multiplicand,
    pub c: Accumulator,
    pub d: Accumulator,
    /// Registers of A and B in the operand list.
    pub registers: (usize, usize),
    /// Integer sums are clamped.
    pub saturate: bool,
    /// Single bits are combined by `and`, not by `xor`.
    pub and: bool,
    /// Rounding of double-precision sums, as a mode.
    pub rounding: u32,
    /// A holds half of its elements; metadata says which. The lanes of a quad that hold the
    /// metadata, by number.
    pub sparse: Option<u32>,
}

impl Product {
    pub fn pack(self) -> u64 {
        self.shape.pack()
            | (self.a as u64) << 15
            | (self.b as u64) << 19
            | (self.c as u64) << 23
            | (self.d as u64) << 25
            | u64::from(self.saturate) << 27
            | u64::from(self.and) << 28
            | u64::from(self.rounding & 7) << 29
            | (self.registers.0 as u64) << 32
            | (self.registers.1 as u64) << 36
            | self.sparse.map_or(0, |s| 1 << 40 | u64::from(s & 3) << 41)
    }

    pub fn unpack(imm: u64) -> Self {
        let multiplicand = |at: u32| MULTIPLICANDS[(imm >> at & 15) as usize % MULTIPLICANDS.len()].0;
        let accumulator = |at: u32| Accumulator::ALL[(imm >> at & 3) as usize];
        Self {
            shape: Shape::unpack(imm),
            a: multiplicand(15),
            b: multiplicand(19),
            c: accumulator(23),
            d: accumulator(25),
            registers: ((imm >> 32 & 15) as usize, (imm >> 36 & 15) as usize),
            saturate: imm >> 27 & 1 != 0,
            and: imm >> 28 & 1 != 0,
            rounding: (imm >> 29 & 7) as u32,
            sparse: (imm >> 40 & 1 != 0).then_some((imm >> 41 & 3) as u32),
        }
    }
}

/// Which matrix a `wmma.load` or `wmma.store` moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matrix {
    A,
    B,
    Sums,
}

/// A fragment in memory, as the low 32 bits of an instruction's immediate hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fragment {
    pub matrix: Matrix,
    pub shape: Shape,
    /// Bits of an element.
    pub bits: u32,
    /// Registers in the operand list.
    pub registers: usize,
    /// Rows are contiguous, not columns.
    pub row_major: bool,
    /// The address has 64 bits.
    pub wide: bool,
    /// State space, as handlers number them.
    pub space: u8,
}

impl Fragment {
    pub fn pack(self) -> u64 {
        self.shape.pack()
            | (self.matrix as u64) << 15
            | u64::from(self.bits.ilog2()) << 17
            | (self.registers as u64) << 20
            | u64::from(self.row_major) << 24
            | u64::from(self.wide) << 25
            | u64::from(self.space) << 26
    }

    pub fn unpack(imm: u64) -> Self {
        Self {
            matrix: match imm >> 15 & 3 {
                0 => Matrix::A,
                1 => Matrix::B,
                _ => Matrix::Sums,
            },
            shape: Shape::unpack(imm),
            bits: 1 << (imm >> 17 & 7),
            registers: (imm >> 20 & 15) as usize,
            row_major: imm >> 24 & 1 != 0,
            wide: imm >> 25 & 1 != 0,
            space: (imm >> 26 & 7) as u8,
        }
    }

    /// Elements that a register holds.
    pub fn per_register(&self) -> usize {
        per_register(self.bits)
    }

    /// Whether a register's elements lie one after the other in memory.
    pub fn contiguous(&self) -> bool {
        // Those of B lie along its columns, and so do C's where the product is a transposed one.
        let down = self.matrix == Matrix::B || (self.matrix == Matrix::Sums && self.shape.n == 32);
        self.per_register() == 1 || down != self.row_major
    }

    /// Row and column of element `e` of register `r` of a lane.
    pub fn element(&self, r: usize, lane: usize, e: usize) -> (usize, usize) {
        let Shape { m, n, k } = self.shape;
        let per = self.per_register();
        let (line, along) = (lane / 4, lane % 4 * per + e);
        match self.matrix {
            Matrix::A => {
                let (row, depth) = tile_of_a(r, m, k, self.bits);
                (row + line, depth + along)
            }
            Matrix::B => {
                let (column, depth) = tile_of_b(r, n, k, self.bits);
                (depth + along, column + line)
            }
            Matrix::Sums => {
                // A tile is eight columns wide: two registers where an element fills one.
                let (tile, second) = if per == 2 { (r, e) } else { (r / 2, r % 2) };
                sum_at(tile, lane, second, self.shape)
            }
        }
    }

    /// Elements from one row (or column) to the next, where the program gives no stride.
    pub fn default_stride(&self) -> usize {
        let Shape { m, n, k } = self.shape;
        match (self.matrix, self.row_major) {
            (Matrix::A, true) | (Matrix::B, false) => k,
            (Matrix::A, false) | (Matrix::Sums, false) => m,
            (Matrix::B, true) | (Matrix::Sums, true) => n,
        }
    }
}
