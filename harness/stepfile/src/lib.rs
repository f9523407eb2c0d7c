//! Steps without Rust: a page of TOML that names modules, buffers and work, as a
//! [`Suite`](graphproof_report::suite::Suite).
//!
//! `docs/own-step.md` tells what a file may say; [`INITIAL`] is one with comments.

mod arrays;
mod check;
mod expression;
mod files;
mod fill;
mod modules;
mod number;
mod raw;
mod step;
mod strides;
mod suite;
mod work;

pub use suite::StepFile;

/// What `graphproof init --step` writes: a step that can be judged as it stands.
pub const INITIAL: &str = include_str!("initial.toml");
