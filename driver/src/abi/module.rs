//! Modules.

use std::ffi::{CStr, c_char, c_uint, c_void};
use std::sync::Arc;

use super::args::{not_null, text, write, write_if};
use super::jit::Options;
use super::types::{CUdeviceptr, CUfunction, CUmodule};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::module::{ImageError, parse_image};
use graphproof_exec::{GlobalVariable, Program};

/// An image from a file.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, ImageError> {
    std::fs::read(path).map_err(|error| ImageError { code: CUresult::FILE_NOT_FOUND, text: format!("{path}: {error}") })
}

/// An image in memory: text ends with NUL, a binary says how long it is.
///
/// # Safety
/// `image` is null, NUL-terminated text, or a GPU binary.
pub(crate) unsafe fn parse_memory(image: *const c_void) -> Result<Program, ImageError> {
    if image.is_null() {
        return Err(ImageError { code: CUresult::INVALID_VALUE, text: "the image is null".to_owned() });
    }
    // SAFETY: the caller's image.
    match unsafe { graphproof_image::read_image(image) } {
        Some(bytes) => parse_image(&bytes.map_err(ImageError::from)?),
        // SAFETY: what is no binary is NUL-terminated text.
        None => parse_image(unsafe { CStr::from_ptr(image.cast()) }.to_bytes()),
    }
}

/// As [`parse_memory`], of a file's bytes.
pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Program, ImageError> {
    parse_image(bytes)
}

fn load(target: *mut CUmodule, program: Cuda<Program>) -> Cuda {
    not_null(target)?;
    let program = Arc::new(program?);
    // Loading waits for pending work, of non-blocking streams too: measured on an H200, driver
    // 580.159.04.
    driver().wait_for_device();
    let mut world = driver().world();
    let context = world.current()?.id;
    let module = world.load_module(context, program, 0)?;
    // SAFETY: the caller's pointer, not null.
    unsafe { write(target, CUmodule(module)) }
}

fn noted<T>(result: Result<T, ImageError>) -> Cuda<T> {
    result.map_err(|error| error.noted())
}

entry_points! {
    fn cuModuleLoad(module: *mut CUmodule, fname: *const c_char) {
        not_null(module)?;
        let path = unsafe { text(fname) }?;
        driver().current()?;
        load(module, noted(read_file(path).and_then(|bytes| parse_bytes(&bytes))))
    }

    fn cuModuleLoadData(module: *mut CUmodule, image: *const c_void) {
        not_null(module)?;
        driver().current()?;
        load(module, noted(unsafe { parse_memory(image) }))
    }

    fn cuModuleLoadDataEx(
        module: *mut CUmodule, image: *const c_void, numOptions: c_uint, options: *const c_uint,
        optionValues: *mut *mut c_void
    ) {
        not_null(module)?;
        driver().current()?;
        let options = unsafe { Options::read(numOptions, options, optionValues) }?;
        load(module, options.finish(unsafe { parse_memory(image) }))
    }

    fn cuModuleLoadFatBinary(module: *mut CUmodule, fatCubin: *const c_void) {
        not_null(module)?;
        driver().current()?;
        load(module, noted(unsafe { parse_memory(fatCubin) }))
    }

    fn cuModuleUnload(hmod: CUmodule) {
        let driver = driver();
        {
            let world = driver.world();
            let module = world.modules.get(hmod.0).ok_or(CUresult::INVALID_HANDLE)?;
            // A library's module goes with the library.
            if module.library != 0 {
                return Err(CUresult::NOT_PERMITTED);
            }
        }
        driver.wait_for_device();
        driver.world().unload_module(hmod.0)
    }

    fn cuModuleGetLoadingMode(mode: *mut c_uint) {
        // `CU_MODULE_EAGER_LOADING`.
        unsafe { write(mode, 1) }
    }

    fn cuModuleGetFunction(hfunc: *mut CUfunction, hmod: CUmodule, name: *const c_char) {
        not_null(hfunc)?;
        let name = unsafe { text(name) }?;
        let function = {
            let world = driver().world();
            let module = world.modules.get(hmod.0).ok_or(CUresult::INVALID_HANDLE)?;
            let position = module.program.entries.iter().position(|entry| entry.name == name);
            let handle = position.and_then(|index| module.functions.get(index)).copied();
            handle.and_then(|handle| world.functions.get(handle)).cloned().ok_or(CUresult::NOT_FOUND)?
        };
        function.kernel()?;
        unsafe { write(hfunc, CUfunction(function.handle)) }
    }

    fn cuModuleGetFunctionCount(count: *mut c_uint, r#mod: CUmodule) {
        not_null(count)?;
        let world = driver().world();
        let module = world.modules.get(r#mod.0).ok_or(CUresult::INVALID_HANDLE)?;
        unsafe { write(count, module.functions.len() as c_uint) }
    }

    fn cuModuleEnumerateFunctions(functions: *mut CUfunction, numFunctions: c_uint, r#mod: CUmodule) {
        not_null(functions)?;
        let world = driver().world();
        let module = world.modules.get(r#mod.0).ok_or(CUresult::INVALID_HANDLE)?;
        for (index, &function) in module.functions.iter().take(numFunctions as usize).enumerate() {
            unsafe { write(functions.add(index), CUfunction(function)) }?;
        }
        Ok(())
    }

    fn cuModuleGetGlobal_v2(dptr: *mut CUdeviceptr, bytes: *mut usize, hmod: CUmodule, name: *const c_char) {
        let name = unsafe { text(name) }?;
        let world = driver().world();
        let module = world.modules.get(hmod.0).ok_or(CUresult::INVALID_HANDLE)?;
        // M (H200, driver 580.159.04): a kernel's name is not unknown, it is wrong.
        let absent = || match module.program.entry(name).is_some() {
            true => CUresult::INVALID_VALUE,
            false => CUresult::NOT_FOUND,
        };
        let is_it = |global: &GlobalVariable| global.name == name && global.reference.is_none();
        let index = module.program.globals.iter().position(is_it).ok_or_else(absent)?;
        unsafe { write_if(dptr, module.globals[index]) };
        unsafe { write_if(bytes, module.program.globals[index].size as usize) };
        Ok(())
    }
}
