//! How programs get a driver.
//!
//! **The running binary is its own driver.** cudarc (and anything else that asks the dynamic
//! linker for `libcuda.so`) must find a shared library, but a library beside the binary can be
//! missing, stale, or left behind by `cargo install`. So the rlib embeds a *stub*: a library of a
//! few kilobytes whose SONAME is `libcuda.so` and whose every exported name jumps through a table.
//! [`install_software`] loads it from memory and fills the table with the entry points linked into
//! this very program. glibc then answers `dlopen("libcuda.so")` with the library already loaded.
//!
//! **The seam for NVIDIA's driver.** The same table forwards to another driver: load NVIDIA's
//! library under its own name (`libcuda.so.1`), and put an entry point in the table that records
//! the call and then calls the address that `dlsym` gave for the same name. The door
//! ([`crate::abi`]) stays the same; only what is behind it changes.
//!
//! **Other programs** (C, Python, cudarc's own tests) use the cdylib of this crate, whose SONAME
//! is `libcuda.so` too, by the usual means of the dynamic linker.

mod dl;
mod others;
mod stub;
mod system;

pub use others::tell_of_others;
pub use stub::{LoadError, install_for_others, install_software, install_stub};
pub use system::{System, Tried, find_system};
