//! Fundamental types and state spaces.

use std::fmt;

/// A PTX fundamental type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PTX's")]
pub enum Type {
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    U16x2,
    S16x2,
    F16,
    F16x2,
    BF16,
    BF16x2,
    TF32,
    E4M3x2,
    E5M2x2,
    F32,
    F64,
    Pred,
}

const NAMES: &[(&str, Type, u64)] = &[
    ("b8", Type::B8, 1),
    ("b16", Type::B16, 2),
    ("b32", Type::B32, 4),
    ("b64", Type::B64, 8),
    ("b128", Type::B128, 16),
    ("u8", Type::U8, 1),
    ("u16", Type::U16, 2),
    ("u32", Type::U32, 4),
    ("u64", Type::U64, 8),
    ("s8", Type::S8, 1),
    ("s16", Type::S16, 2),
    ("s32", Type::S32, 4),
    ("s64", Type::S64, 8),
    ("u16x2", Type::U16x2, 4),
    ("s16x2", Type::S16x2, 4),
    ("f16", Type::F16, 2),
    ("f16x2", Type::F16x2, 4),
    ("bf16", Type::BF16, 2),
    ("bf16x2", Type::BF16x2, 4),
    ("tf32", Type::TF32, 4),
    ("e4m3x2", Type::E4M3x2, 2),
    ("e5m2x2", Type::E5M2x2, 2),
    ("f32", Type::F32, 4),
    ("f64", Type::F64, 8),
    ("pred", Type::Pred, 1),
];

impl Type {
    /// The type that `name` (without the dot) spells.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(n, ..)| *n == name).map(|&(_, t, _)| t)
    }

    /// Its spelling, without the dot.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|&&(_, t, _)| t == self).map_or("?", |&(n, ..)| n)
    }

    /// Size in bytes.
    pub fn size(self) -> u64 {
        NAMES.iter().find(|&&(_, t, _)| t == self).map_or(0, |&(.., s)| s)
    }

    /// Whether it is a signed integer type.
    pub fn is_signed(self) -> bool {
        matches!(self, Type::S8 | Type::S16 | Type::S32 | Type::S64)
    }

    /// Whether it is a floating-point type, packed ones included.
    pub fn is_float(self) -> bool {
        matches!(self, Type::F16 | Type::F16x2 | Type::BF16 | Type::BF16x2 | Type::TF32 | Type::F32 | Type::F64)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".{}", self.name())
    }
}

/// A state space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PTX's")]
pub enum Space {
    Global,
    Const,
    Shared,
    Local,
    Param,
    /// No space given: a generic address.
    Generic,
}

impl Space {
    /// The space that `name` (without the dot) spells.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "global" => Space::Global,
            "const" => Space::Const,
            "shared" | "shared::cta" | "shared::cluster" => Space::Shared,
            "local" => Space::Local,
            "param" | "param::entry" | "param::func" => Space::Param,
            _ => return None,
        })
    }

    /// Its spelling, without the dot.
    pub fn name(self) -> &'static str {
        match self {
            Space::Global => "global",
            Space::Const => "const",
            Space::Shared => "shared",
            Space::Local => "local",
            Space::Param => "param",
            Space::Generic => "generic",
        }
    }
}
