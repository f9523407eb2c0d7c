//! Texture and surface references. CUDA leaves open what one means in a captured kernel; here it is what is bound when
//! the kernel runs.

use super::args::{not_null, read, text, write, write_if};
use super::array::CUDA_ARRAY_DESCRIPTOR;
use super::types::{CUarray, CUdeviceptr, CUmodule, CUsurfref, CUtexref};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::memory::{Bound, Reference, TEXTURE_ALIGNMENT, memory};
use graphproof_exec::ReferenceKind;
use std::ffi::{c_char, c_int, c_uint};

/// `CU_TRSA_OVERRIDE_FORMAT`.
const OVERRIDE_FORMAT: c_uint = 1;

/// The handle of a module's reference.
fn find(module: CUmodule, name: &str, kind: ReferenceKind) -> Cuda<u64> {
    let world = driver().world();
    let module = world.modules.get(module.0).ok_or(CUresult::INVALID_HANDLE)?;
    let is_it = |global: &graphproof_exec::GlobalVariable| global.name == name && global.reference == Some(kind);
    let index = module.program.globals.iter().position(is_it).ok_or(CUresult::NOT_FOUND)?;
    let address = module.globals[index];
    memory().space.declare_reference(address, kind);
    Ok(address)
}

/// Changes a reference. Kernels that were launched have what was bound before.
fn change(handle: u64, kind: ReferenceKind, change: impl FnOnce(&mut Reference) -> Cuda) -> Cuda {
    let driver = driver();
    driver.current()?;
    memory().space.reference(handle, kind)?;
    driver.wait_for_device();
    change(memory().space.reference(handle, kind)?)
}

fn texture(reference: CUtexref, with: impl FnOnce(&mut Reference) -> Cuda) -> Cuda {
    change(reference.0, ReferenceKind::Texture, with)
}

fn known(reference: CUtexref) -> Cuda<Reference> {
    driver().current()?;
    memory().space.reference(reference.0, ReferenceKind::Texture).copied()
}

/// A dimension of three.
fn dimension(dim: c_int) -> Cuda<usize> {
    usize::try_from(dim).ok().filter(|&dim| dim < 3).ok_or(CUresult::INVALID_VALUE)
}

fn bind_array(handle: u64, kind: ReferenceKind, array: CUarray) -> Cuda {
    memory().space.array(array.0)?;
    change(handle, kind, |reference| {
        reference.bound = Bound::Array(array.0);
        Ok(())
    })
}

fn bound_array(handle: u64, kind: ReferenceKind) -> Cuda<CUarray> {
    driver().current()?;
    match memory().space.reference(handle, kind)?.bound {
        Bound::Array(array) => Ok(CUarray(array)),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

fn bind_rows(reference: CUtexref, desc: *const CUDA_ARRAY_DESCRIPTOR, dptr: CUdeviceptr, pitch: usize) -> Cuda {
    // SAFETY: the caller's structure, or null.
    let desc = unsafe { read(desc) }?;
    if !dptr.is_multiple_of(TEXTURE_ALIGNMENT) {
        return Err(CUresult::INVALID_VALUE);
    }
    texture(reference, |reference| {
        reference.format = (desc.Format, desc.NumChannels);
        reference.bound = Bound::Rows(dptr, [desc.Width as u64, desc.Height as u64], pitch as u64);
        Ok(())
    })
}

entry_points! {
    fn cuModuleGetTexRef(pTexRef: *mut CUtexref, hmod: CUmodule, name: *const c_char) {
        not_null(pTexRef)?;
        let found = find(hmod, unsafe { text(name) }?, ReferenceKind::Texture)?;
        unsafe { write(pTexRef, CUtexref(found)) }
    }

    fn cuModuleGetSurfRef(pSurfRef: *mut CUsurfref, hmod: CUmodule, name: *const c_char) {
        not_null(pSurfRef)?;
        let found = find(hmod, unsafe { text(name) }?, ReferenceKind::Surface)?;
        unsafe { write(pSurfRef, CUsurfref(found)) }
    }

    fn cuTexRefSetArray(hTexRef: CUtexref, hArray: CUarray, Flags: c_uint) {
        if Flags != OVERRIDE_FORMAT {
            return Err(CUresult::INVALID_VALUE);
        }
        bind_array(hTexRef.0, ReferenceKind::Texture, hArray)
    }

    fn cuTexRefSetAddress_v2(ByteOffset: *mut usize, hTexRef: CUtexref, dptr: CUdeviceptr, bytes: usize) {
        let offset = dptr % TEXTURE_ALIGNMENT;
        // An offset that cannot be told must be none.
        if ByteOffset.is_null() && offset != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        texture(hTexRef, |reference| {
            reference.bound = Bound::Linear(dptr - offset, bytes as u64 + offset);
            Ok(())
        })?;
        unsafe { write_if(ByteOffset, offset as usize) };
        Ok(())
    }

    fn cuTexRefSetAddress2D_v2(hTexRef: CUtexref, desc: *const CUDA_ARRAY_DESCRIPTOR, dptr: CUdeviceptr, Pitch: usize) {
        bind_rows(hTexRef, desc, dptr, Pitch)
    }

    fn cuTexRefSetAddress2D_v3(hTexRef: CUtexref, desc: *const CUDA_ARRAY_DESCRIPTOR, dptr: CUdeviceptr, Pitch: usize) {
        bind_rows(hTexRef, desc, dptr, Pitch)
    }

    fn cuTexRefSetFormat(hTexRef: CUtexref, fmt: u32, NumPackedComponents: c_int) {
        let channels = u32::try_from(NumPackedComponents).map_err(|_| CUresult::INVALID_VALUE)?;
        if !matches!(channels, 1 | 2 | 4) {
            return Err(CUresult::INVALID_VALUE);
        }
        texture(hTexRef, |reference| {
            reference.format = (fmt, channels);
            Ok(())
        })
    }

    fn cuTexRefSetAddressMode(hTexRef: CUtexref, dim: c_int, am: u32) {
        let dim = dimension(dim)?;
        texture(hTexRef, |reference| {
            reference.sampling.addressing[dim] = if am < 4 { am } else { return Err(CUresult::INVALID_VALUE) };
            Ok(())
        })
    }

    fn cuTexRefSetFilterMode(hTexRef: CUtexref, fm: u32) {
        texture(hTexRef, |reference| {
            reference.sampling.filter = if fm < 2 { fm } else { return Err(CUresult::INVALID_VALUE) };
            Ok(())
        })
    }

    fn cuTexRefSetFlags(hTexRef: CUtexref, Flags: c_uint) {
        texture(hTexRef, |reference| reference.sampling.set_flags(Flags))
    }

    fn cuTexRefSetBorderColor(hTexRef: CUtexref, pBorderColor: *mut f32) {
        let border = unsafe { read(pBorderColor.cast_const().cast::<[f32; 4]>()) }?;
        texture(hTexRef, |reference| {
            reference.sampling.border = border;
            Ok(())
        })
    }

    fn cuTexRefGetArray(phArray: *mut CUarray, hTexRef: CUtexref) {
        not_null(phArray)?;
        let found = bound_array(hTexRef.0, ReferenceKind::Texture)?;
        unsafe { write(phArray, found) }
    }

    fn cuTexRefGetAddress_v2(pdptr: *mut CUdeviceptr, hTexRef: CUtexref) {
        not_null(pdptr)?;
        let (Bound::Linear(address, _) | Bound::Rows(address, ..)) = known(hTexRef)?.bound else {
            return Err(CUresult::INVALID_VALUE);
        };
        unsafe { write(pdptr, address) }
    }

    fn cuTexRefGetAddressMode(pam: *mut u32, hTexRef: CUtexref, dim: c_int) {
        not_null(pam)?;
        let found = known(hTexRef)?.sampling.addressing[dimension(dim)?];
        unsafe { write(pam, found) }
    }

    fn cuTexRefGetFilterMode(pfm: *mut u32, hTexRef: CUtexref) {
        not_null(pfm)?;
        let found = known(hTexRef)?.sampling.filter;
        unsafe { write(pfm, found) }
    }

    fn cuTexRefGetFlags(pFlags: *mut c_uint, hTexRef: CUtexref) {
        not_null(pFlags)?;
        let found = known(hTexRef)?.sampling.flags;
        unsafe { write(pFlags, found) }
    }

    fn cuTexRefGetFormat(pFormat: *mut u32, pNumChannels: *mut c_int, hTexRef: CUtexref) {
        let (format, channels) = known(hTexRef)?.format;
        unsafe { write_if(pFormat, format) };
        unsafe { write_if(pNumChannels, channels as c_int) };
        Ok(())
    }

    fn cuTexRefGetBorderColor(pBorderColor: *mut f32, hTexRef: CUtexref) {
        not_null(pBorderColor)?;
        let found = known(hTexRef)?.sampling.border;
        unsafe { write(pBorderColor.cast::<[f32; 4]>(), found) }
    }

    fn cuSurfRefSetArray(hSurfRef: CUsurfref, hArray: CUarray, Flags: c_uint) {
        if Flags != 0 || !memory().space.array(hArray.0)?.shape.is_surface() {
            return Err(CUresult::INVALID_VALUE);
        }
        bind_array(hSurfRef.0, ReferenceKind::Surface, hArray)
    }

    fn cuSurfRefGetArray(phArray: *mut CUarray, hSurfRef: CUsurfref) {
        not_null(phArray)?;
        let found = bound_array(hSurfRef.0, ReferenceKind::Surface)?;
        unsafe { write(phArray, found) }
    }
}
