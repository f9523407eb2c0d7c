//! The options of `cuModuleLoadDataEx` and `cuLibraryLoadData`: log buffers are filled, a target
//! is checked, and hints about compilation are accepted because nothing is compiled.

use std::ffi::{c_uint, c_void};
use std::ptr;

use super::args::slice;
use super::{CUresult, Cuda};
use crate::software::module::ImageError;
use graphproof_exec::Program;

const WALL_TIME: u32 = 2;
const INFO_LOG: u32 = 3;
const INFO_LOG_SIZE: u32 = 4;
const ERROR_LOG: u32 = 5;
const ERROR_LOG_SIZE: u32 = 6;
const GREATEST: u32 = 35;

/// Bytes of PTX text up to which a load with a log decodes every entry.
const DECODED_FOR_LOG: usize = 1 << 20;

/// A caller's log buffer.
#[derive(Debug)]
struct Log {
    buffer: *mut u8,
    size: usize,
    /// Where the size stands: the number of bytes written goes there.
    size_slot: *mut *mut c_void,
}

/// What a load needs of its options.
#[derive(Debug)]
pub(crate) struct Options {
    info: Log,
    error: Log,
}

impl Options {
    /// Reads the options.
    ///
    /// # Safety
    /// Both arrays are valid for `count` elements, the second for writes too.
    pub(crate) unsafe fn read(count: c_uint, options: *const c_uint, values: *mut *mut c_void) -> Cuda<Self> {
        let none = || Log { buffer: ptr::null_mut(), size: 0, size_slot: ptr::null_mut() };
        let mut read = Self { info: none(), error: none() };
        // SAFETY: as the caller vouches.
        let (keys, given) = unsafe { (slice(options, count as usize)?, slice(values, count as usize)?) };
        for (index, (&key, &value)) in keys.iter().zip(given).enumerate() {
            // SAFETY: within the array.
            let slot = unsafe { values.add(index) };
            match key {
                INFO_LOG => read.info.buffer = value.cast(),
                ERROR_LOG => read.error.buffer = value.cast(),
                // Small numbers are passed as the pointer itself.
                INFO_LOG_SIZE => (read.info.size, read.info.size_slot) = (value as usize, slot),
                ERROR_LOG_SIZE => (read.error.size, read.error.size_slot) = (value as usize, slot),
                // SAFETY: within the array, and the documented place of a float.
                WALL_TIME => unsafe { slot.cast::<f32>().write(0.0) },
                0..=GREATEST => {}
                _ => return Err(CUresult::INVALID_VALUE),
            }
        }
        Ok(read)
    }

    /// Writes both logs.
    pub(crate) fn write(&self, info: &str, error: &str) {
        self.info.write(info);
        self.error.write(error);
    }

    /// Writes the logs; the result of the load.
    pub(crate) fn finish(self, result: Result<Program, ImageError>) -> Cuda<Program> {
        match result {
            Ok(program) => {
                let text = self.refusals(&program);
                self.info.write(&text);
                self.error.write(&text);
                Ok(program)
            }
            Err(error) => {
                self.info.write("");
                self.error.write(&error.text);
                Err(error.noted())
            }
        }
    }
}

impl Options {
    /// For the logs of a module that is loaded: which of its entries cannot run. To know that, all
    /// are decoded, which is not done to a big module: its entries say it when they are asked for.
    fn refusals(&self, program: &Program) -> String {
        if self.info.buffer.is_null() && self.error.buffer.is_null() || program.text_bytes() > DECODED_FOR_LOG {
            return String::new();
        }
        let refused = program.refusals();
        let lines = refused.iter().map(|(n, error)| {
            format!("warning: kernel `{}` cannot run: {}\n", program.entries[*n].name, error.brief())
        });
        lines.collect()
    }
}

impl Log {
    fn write(&self, text: &str) {
        let mut written = 0;
        if !self.buffer.is_null() && self.size > 0 {
            written = text.len().min(self.size - 1);
            // SAFETY: the caller's buffer has `size` bytes.
            unsafe {
                self.buffer.copy_from_nonoverlapping(text.as_ptr(), written);
                self.buffer.add(written).write(0);
            }
        }
        if !self.size_slot.is_null() {
            // SAFETY: an element of the caller's array of values.
            unsafe { self.size_slot.write(ptr::without_provenance_mut(written)) };
        }
    }
}
