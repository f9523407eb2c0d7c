//! Arithmetic, conversions and matrix products: every form, and the page that lists them.

mod documented;
mod fields;
mod formats;
mod fp8;
mod halves;
mod harness;
mod mma;
mod tiny;
mod video;
mod wmma;
