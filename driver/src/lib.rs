//! A `libcuda` for machines without a GPU: it models streams, capture and graphs as NVIDIA
//! documents them, and executes the kernels' real PTX on the CPU.
pub mod abi;
pub mod bench;
pub mod control;
pub mod loader;

pub use graphproof_model as software;
pub use graphproof_model::{observe, record};

pub use graphproof_exec::tensor_map;

/// Tells the libraries that stand in front of the driver (the runtime, the linker) that it is this one.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "a name for the dynamic linker")]
pub static graphproof_driver_mark: u32 = 1;
