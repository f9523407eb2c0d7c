//! `libcudart.so.12` and `.13` over the CUDA driver API.
//!
//! NVIDIA's own runtime reaches private tables of NVIDIA's driver before it does any work, so it cannot run
//! in front of another driver. This one needs nothing but the documented driver API: a C++ program built with
//! `nvcc -cudart shared` runs unchanged when the folder with this library is first in `LD_LIBRARY_PATH`.
//!
//! * `functions.txt` is the table of its names. Those whose arguments are the driver's are handed on by
//!   generated code; the others have an entry point here.
//! * `door` is the one way in: it finds the driver, makes the context current, keeps the thread's last error
//!   and lets no panic cross the C boundary.
//! * `registry` is what `nvcc`'s output calls before `main`: fatbins, kernels and variables.
//!
//! It is used in front of graphproof's driver only; in front of another it says so and does nothing.
#![allow(missing_docs, reason = "the entry points are CUDA's, documented by NVIDIA")]

mod array;
mod copy;
mod copy3d;
mod device;
mod door;
mod driver;
mod error;
mod function;
mod graph;
mod graph_node;
mod launch;
mod library;
mod memory;
mod properties;
mod registry;
mod stream;
mod texture;
mod types;

/// The exported names.
mod exports {
    #![allow(unused_imports, reason = "what the generated code may name")]
    use std::ffi::{c_char, c_void};

    use crate::types::*;
    use crate::{array::*, copy::*, copy3d::*, device::*, error::*, function::*, graph::*, graph_node::*};
    use crate::{door, driver, launch::*, library::*, memory::*, registry::*, stream::*, texture::*};

    include!(concat!(env!("OUT_DIR"), "/exports.rs"));
}
