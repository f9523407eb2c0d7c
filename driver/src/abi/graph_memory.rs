//! Graph memory: its attributes, and the stream-ordered calls that become memory nodes.

use std::ffi::{c_uint, c_void};

use super::args::{not_null, read, write};
use super::device::check_device;
use super::types::CUdevice;
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::graph::MemAttribute;

fn attribute(device: CUdevice, attribute: c_uint) -> Cuda<MemAttribute> {
    check_device(device)?;
    MemAttribute::from_raw(attribute).ok_or(CUresult::INVALID_VALUE)
}

entry_points! {
    fn cuDeviceGetGraphMemAttribute(device: CUdevice, attr: c_uint, value: *mut c_void) {
        let attr = attribute(device, attr)?;
        not_null(value)?;
        let found = driver().world().graphs.memory().attribute(device, attr);
        // SAFETY: the caller's pointer; all attributes are cuuint64_t.
        unsafe { write(value.cast::<u64>(), found) }
    }

    fn cuDeviceSetGraphMemAttribute(device: CUdevice, attr: c_uint, value: *mut c_void) {
        let attr = attribute(device, attr)?;
        // SAFETY: the caller's pointer; all attributes are cuuint64_t.
        let value = unsafe { read(value.cast_const().cast::<u64>()) }?;
        driver().world().graphs.memory().reset(device, attr, value)
    }

    fn cuDeviceGraphMemTrim(device: CUdevice) {
        check_device(device)?;
        driver().world().graphs.memory().trim(device);
        Ok(())
    }
}
