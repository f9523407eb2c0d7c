//! Which CUDA runtime a machine has, found without linking to one.

use std::path::PathBuf;

use cuda_runtime_sys::cudaError_t;

/// What a `libcudart` says of itself and of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeVersions {
    /// The library's name or path as it was opened.
    pub library: PathBuf,
    /// `cudaRuntimeGetVersion`: 13000 is CUDA 13.0.
    pub runtime: Option<i32>,
    /// `cudaDriverGetVersion`: what the driver below supports; 0 without a driver.
    pub driver: Option<i32>,
    /// `cudaGetDeviceCount`; `None` if the call fails, as it does without a driver.
    pub devices: Option<i32>,
}

/// Asks the first `libcudart` that the loader finds. The three functions called are those whose
/// ABI is the same in every CUDA release.
pub fn runtime_versions() -> Option<RuntimeVersions> {
    ["libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so"].iter().find_map(|name| {
        // SAFETY: loading NVIDIA's runtime runs its initialisers, which have no preconditions.
        let library = unsafe { libloading::Library::new(*name) }.ok()?;
        let ask = |symbol: &[u8]| {
            type Query = unsafe extern "C" fn(*mut i32) -> cudaError_t;
            // SAFETY: the symbol has this signature in all releases (`cuda_runtime_sys`'s bindings).
            // The result is read as a number: the enum does not know every value.
            let query = unsafe { library.get::<unsafe extern "C" fn(*mut i32) -> u32>(symbol) }.ok()?;
            const _: () = assert!(size_of::<Query>() == size_of::<usize>() && size_of::<cudaError_t>() == 4);
            let mut value = 0;
            // SAFETY: as above; the pointer is to a local.
            (unsafe { query(&mut value) } == cudaError_t::cudaSuccess as u32).then_some(value)
        };
        Some(RuntimeVersions {
            library: PathBuf::from(name),
            runtime: ask(b"cudaRuntimeGetVersion\0"),
            driver: ask(b"cudaDriverGetVersion\0"),
            devices: ask(b"cudaGetDeviceCount\0"),
        })
    })
}
