//! The lanes: ways to compute one indexer step, by the buffers that they need.

use std::fmt;
use std::str::FromStr;

use graphproof_harness::step::{BufferSpec, DType};

use super::{decode, fp8, fused, materialized, streamed};
use crate::error::KernelsError;
use crate::shape::Shape;

/// A way to compute the indexer step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Every head's dot products in device memory.
    Materialized,
    /// One score matrix, one launch a head.
    Streamed,
    /// No score buffer.
    Fused,
    /// One query row against a growing index cache.
    Decode,
    /// One query row against a growing index cache in pages.
    DecodePaged,
    /// The fused lane on tensor cores.
    FusedMma,
    /// The fused lane on Hopper's tensor cores (sm_90a).
    FusedWgmma,
    /// The fused lane on Hopper's tensor cores in e4m3 with a scale a vector (sm_90a).
    FusedFp8,
}

impl Lane {
    /// The lanes of the default suite.
    pub const SUITE: [Lane; 4] = [Lane::Materialized, Lane::Streamed, Lane::Fused, Lane::Decode];
    /// All lanes.
    pub const ALL: [Lane; 8] = [
        Lane::Materialized,
        Lane::Streamed,
        Lane::Fused,
        Lane::Decode,
        Lane::FusedMma,
        Lane::FusedWgmma,
        Lane::FusedFp8,
        Lane::DecodePaged,
    ];
    /// The lanes that need a device of sm_90, and have room for 64 heads.
    pub const HOPPER: [Lane; 2] = [Lane::FusedWgmma, Lane::FusedFp8];

    /// Whether it has one query row and a cache that grows.
    pub const fn decodes(self) -> bool {
        matches!(self, Lane::Decode | Lane::DecodePaged)
    }

    /// The name of the lane's step.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Materialized => "materialized",
            Lane::Streamed => "streamed",
            Lane::Fused => "fused",
            Lane::Decode => "decode",
            Lane::DecodePaged => "decode-paged",
            Lane::FusedMma => "fused-mma",
            Lane::FusedWgmma => "fused-wgmma",
            Lane::FusedFp8 => "fused-fp8",
        }
    }

    /// One line on what the step does.
    pub const fn description(self) -> &'static str {
        match self {
            Lane::Materialized => "fp32 slab [sq,b,h,sk], head sum, top-k, additive mask",
            Lane::Streamed => "one fp32 [b,sq,sk], heads accumulated launch by launch, top-k, additive mask",
            Lane::Fused => "streaming top-k and softmax statistics without a score buffer, bit mask",
            Lane::DecodePaged => "decode on an index cache in pages, which a block table on the device names",
            Lane::Decode => "one token appended to an index cache on the device, then the fused lane over it",
            Lane::FusedMma => "the fused lane on tensor cores: cp.async, ldmatrix, mma.sync",
            Lane::FusedWgmma => {
                "the fused lane on Hopper's tensor cores: wgmma, at most 64 heads; needs a GPU of sm_90"
            }
            Lane::FusedFp8 => {
                "q and k turned into e4m3 with a scale a vector, then the fused lane on wgmma; needs a GPU of sm_90"
            }
        }
    }

    /// Stems of the PTX modules that the lane launches kernels from.
    pub const fn modules(self) -> &'static [&'static str] {
        match self {
            Lane::Materialized => &["materialized", "select"],
            Lane::Streamed => &["streamed", "select"],
            Lane::Fused => &["fused"],
            Lane::Decode => &["decode"],
            Lane::DecodePaged => &["decode_paged", "decode"],
            Lane::FusedMma => &["fused_mma"],
            Lane::FusedWgmma => &["fused_wgmma"],
            Lane::FusedFp8 => &["fused_fp8"],
        }
    }

    /// The lane's buffers at `shape`.
    pub fn buffers(self, shape: &Shape) -> Vec<BufferSpec> {
        match self {
            Lane::Materialized => materialized::buffers(shape),
            Lane::Streamed => streamed::buffers(shape),
            Lane::Fused | Lane::FusedMma | Lane::FusedWgmma => fused::buffers(shape),
            Lane::FusedFp8 => fp8::buffers(shape),
            Lane::Decode | Lane::DecodePaged => decode::buffers(self, shape),
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Lane {
    type Err = KernelsError;

    fn from_str(name: &str) -> Result<Self, KernelsError> {
        Lane::ALL.into_iter().find(|lane| lane.name() == name).ok_or_else(|| KernelsError::UnknownStep {
            name: name.to_owned(),
            known: Lane::ALL.iter().map(|lane| lane.name()).collect(),
        })
    }
}

/// The extents as `usize`, in the order sq, sk, b, h, d, topk.
pub(super) fn extents(shape: &Shape) -> [usize; 6] {
    [shape.sq, shape.sk, shape.b, shape.h, shape.d, shape.topk].map(|extent| extent as usize)
}

/// The inputs and kept outputs of every lane but decode.
pub(super) fn common_buffers(shape: &Shape) -> Vec<BufferSpec> {
    let [sq, sk, b, h, d, topk] = extents(shape);
    vec![
        BufferSpec::input("q", DType::Bf16, [sq, b, h, d]),
        BufferSpec::input("k", DType::Bf16, [sk, b, d]),
        BufferSpec::input("w", DType::F32, [sq, b, h]),
        BufferSpec::input("start", DType::I32, [b, sq]),
        BufferSpec::input("end", DType::I32, [b, sq]),
        BufferSpec::output("index", DType::I32, [b, sq, topk]),
        BufferSpec::output("score", DType::Bf16, [b, sq, topk]),
    ]
}
