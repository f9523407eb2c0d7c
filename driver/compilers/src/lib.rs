//! Stand-ins for two documented libraries of NVIDIA's, for programs that run in front of the software driver.
//!
//! * `libnvJitLink.so.12/.13` ([`jit_link`]): links PTX, and calls the result a cubin.
//! * `libnvrtc.so.12/.13` ([`nvrtc`]): stands in front of the real one, which compiles. Asked for machine code
//!   it has the real one make PTX, and calls that a cubin.
//!
//! Both hand the PTX over in the container that the software driver knows. One file is all four libraries:
//! it goes by the name that it was loaded under ([`whoami`]). In front of another driver the real libraries do
//! this work; the folder with these stand-ins is only for the software driver.

mod jit_link;
mod nvrtc;
mod whoami;

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
