//! The bodies of the stand-ins for libnvJitLink and libnvrtc. The library `graphproof-compilers` exports them under
//! NVIDIA's names; a program that carries them hands their addresses to stubs ([`entries`]).

pub mod jit_link;
pub mod nvrtc;
mod whoami;

pub use whoami::look_in;

use std::ffi::c_void;

include!(concat!(env!("OUT_DIR"), "/entries.rs"));
