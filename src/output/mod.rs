//! What commands share when they print: the log, files, and the texts of the reporters.

pub mod json;
pub mod log;

pub use graphproof::report::{finding, progress, table};
