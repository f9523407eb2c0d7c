//! Kernel launches.

use std::ffi::{c_uint, c_void};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::args::{not_null, read, slice};
use super::types::{CUfunction, CUlaunchAttribute, CUlaunchConfig, CUstream};
use super::{CUresult, Cuda};
use crate::record;
use crate::software::device::capability;
use crate::software::driver;
use crate::software::launch::{self, CLUSTER_DIMENSION};
use crate::software::params::Attribute;
use crate::software::work::{KernelWork, NodeParams};
use graphproof_exec::{Entry, LaunchConfig};

/// `CU_LAUNCH_PARAM_BUFFER_POINTER`.
const BUFFER_POINTER: usize = 1;
/// `CU_LAUNCH_PARAM_BUFFER_SIZE`.
const BUFFER_SIZE: usize = 2;

const IGNORE: u32 = 0;
const ACCESS_POLICY_WINDOW: u32 = 1;
const COOPERATIVE: u32 = 2;
const CLUSTER_SCHEDULING: u32 = 5;
/// Of a kernel that may begin before the one ahead of it has ended; here it never does.
const PROGRAMMATIC_STREAM_SERIALIZATION: u32 = 6;
const PRIORITY: u32 = 8;
const MEM_SYNC_DOMAIN_MAP: u32 = 9;
const MEM_SYNC_DOMAIN: u32 = 10;
const SHARED_MEMORY_CARVEOUT: u32 = 14;

/// Copies the parameters from either of the two forms a caller may use.
///
/// # Safety
/// `params` is null or has a valid pointer for each parameter of `kernel`; `extra` is null or a
/// terminated list as `cuLaunchKernel` documents.
pub(crate) unsafe fn parameters(kernel: &Entry, params: *mut *mut c_void, extra: *mut *mut c_void) -> Cuda<Arc<[u8]>> {
    let size = kernel.parameters.iter().map(|parameter| parameter.offset + parameter.size).max().unwrap_or(0);
    if !params.is_null() && !extra.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    if size == 0 {
        return Ok(Arc::from([]));
    }
    let mut bytes = vec![0u8; size];
    if !extra.is_null() {
        // SAFETY: as the caller vouches.
        let given = unsafe { packed(extra) }?;
        let kept = given.len().min(size);
        let last = kernel.parameters.iter().map(|parameter| parameter.offset).max().unwrap_or(0);
        if given.len() <= last {
            record::note(|| format!("a parameter buffer of {} bytes; {} needs {size}", given.len(), kernel.name));
            return Err(CUresult::INVALID_VALUE);
        }
        bytes[..kept].copy_from_slice(&given[..kept]);
        return Ok(bytes.into());
    }
    if params.is_null() {
        record::note(|| format!("{} has {} parameters and none was given", kernel.name, kernel.parameters.len()));
        return Err(CUresult::INVALID_VALUE);
    }
    for (index, parameter) in kernel.parameters.iter().enumerate() {
        // SAFETY: as the caller vouches, one pointer for each parameter.
        let source = unsafe { params.add(index).read_unaligned() };
        if source.is_null() {
            record::note(|| format!("parameter {index} of {} is a null pointer", kernel.name));
            return Err(CUresult::INVALID_VALUE);
        }
        let target = &mut bytes[parameter.offset..parameter.offset + parameter.size];
        // SAFETY: as the caller vouches, each points to a value of the parameter's size.
        unsafe { source.cast::<u8>().copy_to_nonoverlapping(target.as_mut_ptr(), parameter.size) };
    }
    Ok(bytes.into())
}

/// # Safety
/// `extra` is a terminated list of keys and values.
unsafe fn packed<'a>(extra: *mut *mut c_void) -> Cuda<&'a [u8]> {
    let (mut buffer, mut size) = (std::ptr::null::<u8>(), None);
    // No list has more than both keys; a longer one has lost its terminator.
    for pair in 0..3 {
        // SAFETY: the list is not terminated yet.
        let key = unsafe { extra.add(2 * pair).read_unaligned() } as usize;
        if key == 0 {
            let size = size.ok_or(CUresult::INVALID_VALUE)?;
            // SAFETY: the caller's buffer.
            return unsafe { slice(buffer, size) };
        }
        // SAFETY: a key has a value behind it.
        let value = unsafe { extra.add(2 * pair + 1).read_unaligned() };
        match key {
            BUFFER_POINTER => buffer = value.cast(),
            // SAFETY: the value points to the size.
            BUFFER_SIZE => size = Some(unsafe { read(value.cast::<usize>()) }?),
            _ => return Err(CUresult::INVALID_VALUE),
        }
    }
    Err(CUresult::INVALID_VALUE)
}

/// Sorts out the attributes of a launch: whether it is cooperative, and those to keep.
pub(crate) fn attributes(given: &[CUlaunchAttribute]) -> Cuda<(bool, Arc<[Attribute]>)> {
    let mut cooperative = false;
    let mut kept = Vec::new();
    for attribute in given.iter().map(Attribute::from) {
        match attribute.id {
            IGNORE => {}
            COOPERATIVE => cooperative = attribute.value.word(0) != 0,
            // A cluster of one block is what every launch has.
            CLUSTER_DIMENSION if capability().cluster == 0 && (0..3).all(|word| attribute.value.word(word) <= 1) => {}
            CLUSTER_DIMENSION if capability().cluster > 0 => kept.push(attribute),
            ACCESS_POLICY_WINDOW
            | CLUSTER_SCHEDULING
            | PROGRAMMATIC_STREAM_SERIALIZATION
            | PRIORITY
            | MEM_SYNC_DOMAIN_MAP
            | MEM_SYNC_DOMAIN
            | SHARED_MEMORY_CARVEOUT => kept.push(attribute),
            1..=18 => {
                record::note(|| format!("launch attribute {} has no model in the software driver", attribute.id));
                return Err(CUresult::NOT_SUPPORTED);
            }
            _ => return Err(CUresult::INVALID_VALUE),
        }
    }
    Ok((cooperative, kept.into()))
}

/// # Safety
/// As [`parameters`].
unsafe fn enqueue(
    function: CUfunction,
    config: LaunchConfig,
    stream: CUstream,
    (cooperative, attributes): (bool, Arc<[Attribute]>),
    (params, extra): (*mut *mut c_void, *mut *mut c_void),
) -> Cuda {
    let driver = driver();
    let function = driver.world().launched(function, stream)?;
    // SAFETY: as the caller vouches.
    let parameters = unsafe { parameters(&function.entry, params, extra) }?;
    let work = KernelWork { function, config, parameters, cooperative, attributes };
    launch::check(&work)?;
    work.function.settings.loaded.store(true, Ordering::Relaxed);
    driver.enqueue(stream, NodeParams::Kernel(work)).map(|_| ())
}

entry_points! {
    fn cuLaunchKernel(
        f: CUfunction, gridDimX: c_uint, gridDimY: c_uint, gridDimZ: c_uint, blockDimX: c_uint, blockDimY: c_uint,
        blockDimZ: c_uint, sharedMemBytes: c_uint, hStream: CUstream, kernelParams: *mut *mut c_void,
        extra: *mut *mut c_void
    ) on hStream {
        let config = LaunchConfig {
            grid: [gridDimX, gridDimY, gridDimZ],
            block: [blockDimX, blockDimY, blockDimZ],
            dynamic_shared_bytes: sharedMemBytes,
        };
        unsafe { enqueue(f, config, hStream, (false, Arc::from([])), (kernelParams, extra)) }
    }

    fn cuLaunchCooperativeKernel(
        f: CUfunction, gridDimX: c_uint, gridDimY: c_uint, gridDimZ: c_uint, blockDimX: c_uint, blockDimY: c_uint,
        blockDimZ: c_uint, sharedMemBytes: c_uint, hStream: CUstream, kernelParams: *mut *mut c_void
    ) on hStream {
        let config = LaunchConfig {
            grid: [gridDimX, gridDimY, gridDimZ],
            block: [blockDimX, blockDimY, blockDimZ],
            dynamic_shared_bytes: sharedMemBytes,
        };
        unsafe { enqueue(f, config, hStream, (true, Arc::from([])), (kernelParams, std::ptr::null_mut())) }
    }

    fn cuLaunchKernelEx(
        config: *const CUlaunchConfig, f: CUfunction, kernelParams: *mut *mut c_void, extra: *mut *mut c_void
    ) on stream_of(config) {
        not_null(config)?;
        let config = unsafe { read(config) }?;
        let attributes = attributes(unsafe { slice(config.attrs, config.numAttrs as usize) }?)?;
        let launch = LaunchConfig {
            grid: [config.gridDimX, config.gridDimY, config.gridDimZ],
            block: [config.blockDimX, config.blockDimY, config.blockDimZ],
            dynamic_shared_bytes: config.sharedMemBytes,
        };
        unsafe { enqueue(f, launch, config.hStream, attributes, (kernelParams, extra)) }
    }
}

/// The stream of a launch configuration, for the record.
fn stream_of(config: *const CUlaunchConfig) -> CUstream {
    // SAFETY: the caller's pointer; null reads as an error.
    unsafe { read(config) }.map_or(CUstream::NULL, |config| config.hStream)
}
