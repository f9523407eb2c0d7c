//! Graph memory: its attributes, and the stream-ordered calls that become memory nodes.

use std::ffi::{c_uint, c_void};

use super::args::{not_null, read, write};
use super::types::CUdevice;
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::graph::MemAttribute;

fn attribute(device: CUdevice, attribute: c_uint) -> Cuda<MemAttribute> {
    if device != 0 {
        return Err(CUresult::INVALID_DEVICE);
    }
    MemAttribute::from_raw(attribute).ok_or(CUresult::INVALID_VALUE)
}

entry_points! {
    fn cuDeviceGetGraphMemAttribute(device: CUdevice, attr: c_uint, value: *mut c_void) {
        let attr = attribute(device, attr)?;
        not_null(value)?;
        let found = driver().world().graphs.memory().attribute(attr);
        // SAFETY: the caller's pointer; all attributes are cuuint64_t.
        unsafe { write(value.cast::<u64>(), found) }
    }

    fn cuDeviceSetGraphMemAttribute(device: CUdevice, attr: c_uint, value: *mut c_void) {
        let attr = attribute(device, attr)?;
        // SAFETY: the caller's pointer; all attributes are cuuint64_t.
        let value = unsafe { read(value.cast_const().cast::<u64>()) }?;
        driver().world().graphs.memory().reset(attr, value)
    }

    fn cuDeviceGraphMemTrim(device: CUdevice) {
        if device != 0 {
            return Err(CUresult::INVALID_DEVICE);
        }
        driver().world().graphs.memory().trim();
        Ok(())
    }
}
