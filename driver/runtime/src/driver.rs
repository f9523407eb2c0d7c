//! The driver API: one function for each of its functions, found by name when it is first called.
#![allow(dead_code, non_snake_case, clippy::too_many_arguments, reason = "generated from the whole table")]

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use crate::door::{self, Failure, Outcome};

/// An entry point of the driver, in both of its forms.
struct Entry {
    names: [&'static CStr; 2],
    found: [OnceLock<Option<usize>>; 2],
}

impl Entry {
    const fn new(legacy: &'static CStr, per_thread: &'static CStr) -> Self {
        Self { names: [legacy, per_thread], found: [OnceLock::new(), OnceLock::new()] }
    }

    /// The form that the call in progress asks for.
    fn address(&self) -> Result<*const c_void, Failure> {
        let form = usize::from(door::is_per_thread());
        let found = *self.found[form].get_or_init(|| door::symbol(self.names[form]));
        match found {
            Some(address) => Ok(std::ptr::without_provenance(address)),
            None => Err(Failure::NOT_SUPPORTED),
        }
    }
}

fn outcome(code: i32) -> Outcome {
    if code == 0 { Ok(()) } else { Err(Failure(code)) }
}

include!(concat!(env!("OUT_DIR"), "/driver.rs"));
