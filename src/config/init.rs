//! The file that `graphproof init` writes.

/// Every key with its default.
pub const INITIAL: &str = include_str!("initial.toml");
