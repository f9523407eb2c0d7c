//! The checks. Each reads evidence and returns findings; none prints.

pub mod addresses;
pub mod baked;
pub mod bits;
pub mod capture;
pub mod faults;
pub mod stall;
pub mod structure;
pub mod topology;
