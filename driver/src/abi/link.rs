//! Linking: `cuLink*` makes one module of several. The result is called a cubin and is PTX, in the container
//! that loading knows.

use std::ffi::{c_char, c_uint, c_void};
use std::sync::{MutexGuard, PoisonError};

use graphproof_link::{LinkError, Linker};

use super::args::{not_null, slice, text, write, write_if};
use super::jit::Options;
use super::{CUresult, Cuda};
use crate::record;
use crate::software::device::capability;
use crate::software::link::{Link, LinkLog};
use crate::software::{Handles, driver};

/// The links by handle.
fn links() -> MutexGuard<'static, Handles<Link>> {
    driver().links.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LinkLog for Options {
    fn write(&self, info: &str, error: &str) {
        Options::write(self, info, error);
    }
}

// SAFETY: the log buffers are the caller's, who vouches for them as long as the state lives; they are written
// with the table locked.
unsafe impl Send for Options {}

fn refused(state: &Link, error: &LinkError) -> CUresult {
    state.log.write("", &format!("error: {error}"));
    record::note(|| error.to_string());
    match error {
        LinkError::Input { .. } => CUresult::NO_BINARY_FOR_GPU,
        LinkError::Twice { .. } => CUresult::INVALID_PTX,
    }
}

fn add(handle: *mut c_void, name: Option<&str>, bytes: &[u8]) -> Cuda {
    let mut links = links();
    let state = links.get_mut(handle.addr() as u64).ok_or(CUresult::INVALID_HANDLE)?;
    match state.linker.add(name, bytes) {
        Ok(()) => Ok(()),
        Err(error) => Err(refused(state, &error)),
    }
}

entry_points! {
    fn cuLinkCreate_v2(
        numOptions: c_uint, options: *const c_uint, optionValues: *mut *mut c_void, stateOut: *mut *mut c_void
    ) {
        not_null(stateOut)?;
        driver().current()?;
        let logs = unsafe { Options::read(numOptions, options, optionValues) }?;
        logs.write("", "");
        let linker = Linker::new(capability().number().unsigned_abs());
        let link = Link { linker, log: Box::new(logs), image: Vec::new() };
        let handle = links().insert(link) as usize;
        unsafe { write(stateOut, std::ptr::without_provenance_mut(handle)) }
    }

    fn cuLinkAddData_v2(
        state: *mut c_void, r#type: c_uint, data: *const c_void, size: usize, name: *const c_char, numOptions: c_uint,
        options: *const c_uint, optionValues: *mut *mut c_void
    ) {
        let _ = (r#type, unsafe { Options::read(numOptions, options, optionValues) }?);
        not_null(data)?;
        let name = if name.is_null() { None } else { Some(unsafe { text(name) }?) };
        add(state, name, unsafe { slice(data.cast::<u8>(), size) }?)
    }

    fn cuLinkAddFile_v2(
        state: *mut c_void, r#type: c_uint, path: *const c_char, numOptions: c_uint, options: *const c_uint,
        optionValues: *mut *mut c_void
    ) {
        let _ = (r#type, unsafe { Options::read(numOptions, options, optionValues) }?);
        let path = unsafe { text(path) }?;
        let bytes = std::fs::read(path).map_err(|error| {
            record::note(|| format!("{path}: {error}"));
            CUresult::FILE_NOT_FOUND
        })?;
        add(state, Some(path), &bytes)
    }

    fn cuLinkComplete(state: *mut c_void, cubinOut: *mut *mut c_void, sizeOut: *mut usize) {
        not_null(cubinOut)?;
        let mut links = links();
        let state = links.get_mut(state.addr() as u64).ok_or(CUresult::INVALID_HANDLE)?;
        state.image = match state.linker.image() {
            Ok(image) => image,
            Err(error) => return Err(refused(state, &error)),
        };
        unsafe { write_if(sizeOut, state.image.len()) };
        unsafe { write(cubinOut, state.image.as_mut_ptr().cast()) }
    }

    fn cuLinkDestroy(state: *mut c_void) {
        links().remove(state.addr() as u64).map(drop).ok_or(CUresult::INVALID_HANDLE)
    }
}
