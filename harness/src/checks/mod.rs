//! The checks. Each reads evidence and returns findings; none prints.

pub mod addresses;
pub mod baked;
pub mod behind;
pub mod beside;
pub mod beside_host;
pub mod bits;
pub mod calls;
pub mod capture;
pub mod cold;
pub mod faults;
pub mod growth;
pub mod orders;
pub mod outside;
pub mod pipelined;
pub mod pools;
pub mod same_work;
pub mod stall;
pub mod static_order;
pub mod structure;
pub mod topology;
pub mod trend;
pub mod unchanged;
pub mod unordered;
pub mod unpadded;
