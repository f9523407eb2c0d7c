//! Stand-ins for two documented libraries of NVIDIA's, for programs that run in front of the software driver.
//!
//! * `libnvJitLink.so.12/.13` (`bodies/src/jit_link.rs`): links PTX, and calls the result a cubin.
//! * `libnvrtc.so.12/.13` (`bodies/src/nvrtc.rs`): stands in front of the real one, which compiles. Asked for machine code
//!   it has the real one make PTX, and calls that a cubin.
//!
//! Both hand the PTX over in the container that the software driver knows. One file is all four libraries:
//! it goes by the name that it was loaded under (`bodies/src/whoami.rs`). In front of another driver the real libraries do
//! this work; the folder with these stand-ins is only for the software driver.

use graphproof_compiler_bodies as _;

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
