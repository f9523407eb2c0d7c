//! Devices, contexts, memory, modules and launches through the C ABI, each test with a driver of its own.
#![allow(missing_docs, reason = "tests")]

#[macro_use]
#[path = "../abi_support/mod.rs"]
mod abi_support;
mod api_table;
mod array;
mod calls;
mod cancel;
mod capability;
mod context_events;
mod copies_and_maps;
mod devices;
mod early;
mod fuzz_found;
mod image;
mod instances;
mod kernel;
mod leaving;
mod link;
mod runtime;
mod stale;
mod texture;
mod texture_reference;
mod version;
