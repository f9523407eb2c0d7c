//! What people see: the terminal, the log, and files.

pub mod finding;
pub mod json;
pub mod log;
pub mod progress;
pub mod table;
