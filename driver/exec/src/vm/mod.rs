//! The warp-wide interpreter.
//!
//! A warp's register file is one block of memory: scalar slots of 8 bytes (constants, and
//! values that all lanes share), predicates as 32-bit masks, and vector slots of 32 lanes.
//! A handler is one function per instruction form; it is compiled once per host instruction
//! set and called through the pointer in the decoded instruction.
//!
//! A hot handler is made of plain loops and `#[inline(always)]` functions: it has to become vector code
//! for its instruction set without help from another unit of the crate, where `array::from_fn`,
//! `<[T; N]>::map` and `copy_from_slice` stay calls. What is rare is compiled once and called.

#![allow(clippy::needless_range_loop, reason = "one index over the lanes of several arrays becomes vector code")]

pub(crate) mod atomic;
pub(crate) mod batch;
pub(crate) mod bits;
pub(crate) mod bulk;
pub(crate) mod chain;
pub(crate) mod cluster;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod copy;
pub(crate) mod ctx;
pub(crate) mod dependence;
pub(crate) mod fence;
pub(crate) mod flight;
pub(crate) mod flow;
pub(crate) mod fp8;
pub(crate) mod fragment;
pub(crate) mod half;
pub(crate) mod heap;
pub(crate) mod integer;
pub(crate) mod lane;
pub(crate) mod load;
pub(crate) mod map;
pub(crate) mod math;
pub(crate) mod matrix;
pub(crate) mod mbarrier;
pub(crate) mod memory;
mod noted;
pub(crate) mod packed;
pub(crate) mod predicate;
pub(crate) mod printf;
pub(crate) mod product;
pub(crate) mod quad;
pub(crate) mod real;
pub(crate) mod rounding;
pub(crate) mod shuffle;
pub(crate) mod sparse;
pub(crate) mod split;
pub(crate) mod store;
pub(crate) mod tensor;
mod tensor_box;
pub(crate) mod tensor_sum;
pub(crate) mod texture;
pub(crate) mod video;
pub(crate) mod warp_ops;
pub(crate) mod wgmma;
pub(crate) mod wmma;
pub(crate) mod word;

pub(crate) use ctx::Ctx;
