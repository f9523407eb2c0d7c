//! Libraries: modules that belong to no context, and their kernels.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use super::args::{not_null, text, write, write_if};
use super::device::check_device;
use super::function::{attribute, parameter, set_attribute};
use super::jit::Options;
use super::module::{parse_bytes, parse_memory, read_file};
use super::types::{CUdevice, CUdeviceptr, CUfunction, CUkernel, CUlibrary, CUmodule};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::memory::{Place, memory};
use crate::software::module::{Settings, kernel_of};
use graphproof_exec::{Entry, GlobalVariable};

/// The global of a library in the current context.
fn global(library: CUlibrary, name: &str) -> Cuda<(u64, u64)> {
    let mut world = driver().world();
    let context = world.current()?.id;
    let module = world.library_module(library.0, context)?;
    let module = world.modules.get(module).ok_or(CUresult::INVALID_HANDLE)?;
    let is_it = |global: &GlobalVariable| global.name == name && global.reference.is_none();
    let index = module.program.globals.iter().position(is_it).ok_or(CUresult::NOT_FOUND)?;
    Ok((module.globals[index], module.program.globals[index].size))
}

/// What a kernel is of, its settings and its constant memory in bytes. Decoding it does not hold the world.
fn entry(kernel: CUkernel) -> Cuda<(Arc<Entry>, Arc<Settings>, u64)> {
    let world = driver().world();
    let found = world.kernels.get(kernel.0).ok_or(CUresult::INVALID_HANDLE)?;
    let library = world.libraries.get(found.library).ok_or(CUresult::INVALID_HANDLE)?;
    Ok((found.entry.clone(), found.settings.clone(), library.program.constant_bytes()))
}

entry_points! {
    fn cuLibraryLoadData(
        library: *mut CUlibrary, code: *const c_void, jitOptions: *const c_uint, jitOptionsValues: *mut *mut c_void,
        numJitOptions: c_uint, libraryOptions: *const c_uint, libraryOptionValues: *mut *mut c_void,
        numLibraryOptions: c_uint
    ) {
        not_null(library)?;
        let _ = (libraryOptions, libraryOptionValues, numLibraryOptions);
        let options = unsafe { Options::read(numJitOptions, jitOptions, jitOptionsValues) }?;
        let program = options.finish(unsafe { parse_memory(code) })?;
        let handle = driver().world().load_library(Arc::new(program));
        unsafe { write(library, CUlibrary(handle)) }
    }

    fn cuLibraryLoadFromFile(
        library: *mut CUlibrary, fileName: *const c_char, jitOptions: *const c_uint,
        jitOptionsValues: *mut *mut c_void, numJitOptions: c_uint, libraryOptions: *const c_uint,
        libraryOptionValues: *mut *mut c_void, numLibraryOptions: c_uint
    ) {
        not_null(library)?;
        let _ = (libraryOptions, libraryOptionValues, numLibraryOptions);
        let path = unsafe { text(fileName) }?;
        let options = unsafe { Options::read(numJitOptions, jitOptions, jitOptionsValues) }?;
        let program = options.finish(read_file(path).and_then(|bytes| parse_bytes(&bytes)))?;
        let handle = driver().world().load_library(Arc::new(program));
        unsafe { write(library, CUlibrary(handle)) }
    }

    fn cuLibraryUnload(library: CUlibrary) {
        let driver = driver();
        driver.world().libraries.get(library.0).map(|_| ()).ok_or(CUresult::INVALID_HANDLE)?;
        driver.wait_for_device();
        driver.world().unload_library(library.0)
    }

    fn cuLibraryGetKernel(pKernel: *mut CUkernel, library: CUlibrary, name: *const c_char) {
        not_null(pKernel)?;
        let name = unsafe { text(name) }?;
        let (kernel, entry) = {
            let world = driver().world();
            let found = world.libraries.get(library.0).ok_or(CUresult::INVALID_HANDLE)?;
            let index = found.program.entries.iter().position(|entry| entry.name == name).ok_or(CUresult::NOT_FOUND)?;
            (found.kernels[index], found.program.entries[index].clone())
        };
        kernel_of(&entry)?;
        unsafe { write(pKernel, CUkernel(kernel)) }
    }

    fn cuLibraryGetKernelCount(count: *mut c_uint, lib: CUlibrary) {
        not_null(count)?;
        let world = driver().world();
        let found = world.libraries.get(lib.0).ok_or(CUresult::INVALID_HANDLE)?;
        unsafe { write(count, found.kernels.len() as c_uint) }
    }

    fn cuLibraryEnumerateKernels(kernels: *mut CUkernel, numKernels: c_uint, lib: CUlibrary) {
        not_null(kernels)?;
        let world = driver().world();
        let found = world.libraries.get(lib.0).ok_or(CUresult::INVALID_HANDLE)?;
        for (index, &kernel) in found.kernels.iter().take(numKernels as usize).enumerate() {
            unsafe { write(kernels.add(index), CUkernel(kernel)) }?;
        }
        Ok(())
    }

    fn cuLibraryGetModule(pMod: *mut CUmodule, library: CUlibrary) {
        not_null(pMod)?;
        let mut world = driver().world();
        let context = world.current()?.id;
        unsafe { write(pMod, CUmodule(world.library_module(library.0, context)?)) }
    }

    fn cuLibraryGetGlobal(dptr: *mut CUdeviceptr, bytes: *mut usize, library: CUlibrary, name: *const c_char) {
        let (address, size) = global(library, unsafe { text(name) }?)?;
        unsafe { write_if(dptr, address) };
        unsafe { write_if(bytes, size as usize) };
        Ok(())
    }

    fn cuLibraryGetManaged(dptr: *mut CUdeviceptr, bytes: *mut usize, library: CUlibrary, name: *const c_char) {
        let name = unsafe { text(name) }?;
        let (address, size) = global(library, name)?;
        // A variable that only the device reaches is not found here.
        let is_managed = matches!(memory().space.place(address), Some(Place::Host(_)));
        is_managed.then_some(()).ok_or(CUresult::NOT_FOUND)?;
        unsafe { write_if(dptr, address) };
        unsafe { write_if(bytes, size as usize) };
        Ok(())
    }

    fn cuKernelGetFunction(pFunc: *mut CUfunction, kernel: CUkernel) {
        not_null(pFunc)?;
        let mut world = driver().world();
        let context = world.current()?.id;
        unsafe { write(pFunc, CUfunction(world.kernel_function(kernel.0, context)?.handle)) }
    }

    fn cuKernelGetLibrary(pLib: *mut CUlibrary, kernel: CUkernel) {
        not_null(pLib)?;
        let world = driver().world();
        let found = world.kernels.get(kernel.0).ok_or(CUresult::INVALID_HANDLE)?;
        unsafe { write(pLib, CUlibrary(found.library)) }
    }

    fn cuKernelGetName(name: *mut *const c_char, hfunc: CUkernel) {
        not_null(name)?;
        let world = driver().world();
        let found = world.kernels.get(hfunc.0).ok_or(CUresult::INVALID_HANDLE)?;
        unsafe { write(name, found.name().as_ptr()) }
    }

    fn cuKernelGetAttribute(pi: *mut c_int, attrib: c_uint, kernel: CUkernel, dev: CUdevice) {
        not_null(pi)?;
        check_device(dev)?;
        let (entry, settings, constant) = entry(kernel)?;
        let (major, minor) = entry.version();
        unsafe { write(pi, attribute(kernel_of(&entry)?, &settings, constant, major * 10 + minor, attrib)?) }
    }

    fn cuKernelSetAttribute(attrib: c_uint, val: c_int, kernel: CUkernel, dev: CUdevice) {
        check_device(dev)?;
        let world = driver().world();
        let found = world.kernels.get(kernel.0).ok_or(CUresult::INVALID_HANDLE)?;
        set_attribute(kernel_of(&found.entry)?, &found.settings, attrib, val)
    }

    fn cuKernelSetCacheConfig(kernel: CUkernel, config: c_uint, dev: CUdevice) {
        check_device(dev)?;
        if config > 3 {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().world().kernels.get(kernel.0).map(|_| ()).ok_or(CUresult::INVALID_HANDLE)
    }

    fn cuKernelGetParamInfo(kernel: CUkernel, paramIndex: usize, paramOffset: *mut usize, paramSize: *mut usize) {
        not_null(paramOffset)?;
        let world = driver().world();
        let found = world.kernels.get(kernel.0).ok_or(CUresult::INVALID_HANDLE)?;
        let (offset, size) = parameter(&found.entry, paramIndex)?;
        unsafe { write_if(paramSize, size) };
        unsafe { write(paramOffset, offset) }
    }

    fn cuKernelGetParamCount(kernel: CUkernel, paramCount: *mut usize) {
        not_null(paramCount)?;
        let world = driver().world();
        let found = world.kernels.get(kernel.0).ok_or(CUresult::INVALID_HANDLE)?;
        unsafe { write(paramCount, found.entry.parameters.len()) }
    }
}
