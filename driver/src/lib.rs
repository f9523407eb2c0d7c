//! A `libcuda` for machines without a GPU: it models streams, capture and graphs as NVIDIA
//! documents them, and executes the kernels' real PTX on the CPU.
pub mod abi;
pub mod bench;
pub mod control;
pub mod loader;
pub mod observe;
pub mod record;
pub mod software;
