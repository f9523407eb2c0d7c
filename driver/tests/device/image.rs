//! Fatbins and cubins, through `cuModuleLoadData`, files, wrappers and libraries: PTX is found and executed,
//! and what has none is refused with its reason or loaded as opaque kernels.
use std::ffi::{CStr, CString, c_void};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::ptr::{null, null_mut};

use crate::abi_support::{function, primary};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

const CHILD: &str = "IMAGE_TEST_CHILD";
const OPAQUE: &str = "GRAPHPROOF_OPAQUE_KERNELS";

/// `__fatBinC_Wrapper_t` of CUDA's `fatbinary_section.h`.
#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    data: *const c_void,
    name: *const c_void,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images").join(name)
}

fn image(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("an image")
}

fn load(image: *const c_void) -> Result<CUmodule, CUresult> {
    let mut module = CUmodule::NULL;
    match code!(cuModuleLoadData(&mut module, image)) {
        CUresult::SUCCESS => Ok(module),
        error => Err(error),
    }
}

fn launch(function: CUfunction, threads: u32, parameters: &mut [*mut c_void]) {
    let parameters = parameters.as_mut_ptr();
    ok!(cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, 0, CUstream::NULL, parameters, null_mut()));
}

fn pointer<T>(value: &mut T) -> *mut c_void {
    (&raw mut *value).cast()
}

/// The target whose code the module runs.
fn target(module: CUmodule) -> u32 {
    let (mut out, mut target) = (0, 0u32);
    ok!(cuMemAlloc_v2(&mut out, 4));
    launch(function(module, c"target"), 1, &mut [pointer(&mut out)]);
    ok!(cuMemcpyDtoH_v2(pointer(&mut target) as u64, out, 4));
    ok!(cuMemFree_v2(out));
    target
}

#[test]
fn the_newest_ptx_that_the_device_runs_is_chosen_packed_or_not() {
    let _own = primary();
    for name in ["plain.fatbin", "lz4.fatbin", "zstd.fatbin"] {
        let bytes = image(name);
        let wrapper = Wrapper { magic: 0x4662_43b1, version: 1, data: bytes.as_ptr().cast(), name: null() };
        let file = CString::new(path(name).to_str().expect("UTF-8")).expect("no NUL");
        let (mut from_file, mut fat, mut library, mut of_library) =
            (CUmodule::NULL, CUmodule::NULL, CUlibrary::NULL, CUmodule::NULL);
        ok!(cuModuleLoad(&mut from_file, file.as_ptr()));
        ok!(cuModuleLoadFatBinary(&mut fat, (&raw const wrapper).cast()));
        let none = null_mut();
        ok!(cuLibraryLoadData(&mut library, bytes.as_ptr().cast(), null(), none, 0, null(), none.cast(), 0));
        ok!(cuLibraryGetModule(&mut of_library, library));
        for module in
            [load(bytes.as_ptr().cast()), load((&raw const wrapper).cast()), Ok(from_file), Ok(fat), Ok(of_library)]
        {
            assert_eq!(target(module.expect(name)), 80, "{name}");
        }
    }
}

#[test]
fn a_managed_variable_is_the_hosts_too() {
    let _own = primary();
    let module = load(image("zstd.fatbin").as_ptr().cast()).expect("a module");
    let (mut address, mut size) = (0, 0);
    ok!(cuModuleGetGlobal_v2(&mut address, &mut size, module, c"shared_with_host".as_ptr()));
    assert_eq!(size, 4);
    // `CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES`: one `__constant__ int`.
    let mut constant = 0;
    ok!(cuFuncGetAttribute(&mut constant, 2, function(module, c"many")));
    assert_eq!(constant, 4);
    let host = address as *mut i32;
    // SAFETY: managed memory, while the device is idle.
    unsafe {
        assert_eq!(host.read(), 7);
        host.write(100);
    }
    let many = function(module, c"many");
    let (mut input, mut out) = (0, 0);
    ok!(cuMemAlloc_v2(&mut input, 400));
    ok!(cuMemAlloc_v2(&mut out, 400));
    ok!(cuMemsetD32_v2(input, 1f32.to_bits(), 100));
    let (mut s, mut b, mut c, mut n) = (3i16, (0.5f64, [0u8, 0, 0, 0, 0, 0, 0, 0, 4]), 5i8, 100i32);
    launch(
        many,
        128,
        &mut [
            pointer(&mut s),
            pointer(&mut input),
            pointer(&mut b),
            pointer(&mut c),
            pointer(&mut out),
            pointer(&mut n),
        ],
    );
    let mut results = [0f32; 100];
    ok!(cuMemcpyDtoH_v2(results.as_mut_ptr() as u64, out, 400));
    assert_eq!(results, [1. * 2. + 0.5 + 4. + 5. + 3.; 100]);
    // SAFETY: as above.
    assert_eq!(unsafe { host.read() }, 200);
    ok!(cuModuleUnload(module));
}

#[test]
fn what_is_no_image_is_refused() {
    let _own = primary();
    let whole = image("plain.fatbin");
    for end in [4, 15, 16, 63, 64, 100, whole.len() - 1] {
        let directory = std::env::temp_dir().join(format!("graphproof-image-{}-{end}.fatbin", std::process::id()));
        std::fs::write(&directory, &whole[..end]).expect("written");
        let name = CString::new(directory.to_str().expect("UTF-8")).expect("no NUL");
        let mut module = CUmodule::NULL;
        assert_eq!(code!(cuModuleLoad(&mut module, name.as_ptr())), CUresult::INVALID_IMAGE, "{end}");
        std::fs::remove_file(&directory).expect("removed");
    }
    let nothing = Wrapper { magic: 0x4662_43b1, version: 1, data: null(), name: null() };
    assert_eq!(load((&raw const nothing).cast()), Err(CUresult::INVALID_IMAGE));
    let elsewhere = Wrapper { data: std::ptr::without_provenance(0x10), ..nothing };
    assert_eq!(load((&raw const elsewhere).cast()), Err(CUresult::INVALID_IMAGE));
    let mut claims = whole.clone();
    claims[8..16].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert_eq!(load(claims.as_ptr().cast()), Err(CUresult::INVALID_IMAGE));
    claims[8..16].copy_from_slice(&(1u64 << 29).to_le_bytes());
    assert_eq!(load(claims.as_ptr().cast()), Err(CUresult::INVALID_IMAGE));
}

#[test]
fn refused_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let _own = primary();
    for name in ["sm_80.cubin", "sm_90.cubin", "newer.fatbin"] {
        assert_eq!(load(image(name).as_ptr().cast()), Err(CUresult::NO_BINARY_FOR_GPU), "{name}");
    }
}

fn child(name: &str, opaque: bool) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").env_remove("GRAPHPROOF_NOTES").env_remove(OPAQUE);
    if opaque {
        command.env(OPAQUE, "1");
    }
    let output = command.output().expect("a child");
    assert!(output.status.success(), "{output:#?}");
    output
}

#[test]
fn machine_code_is_refused_with_the_reason_and_what_to_do() {
    let told = String::from_utf8(child("image::refused_child", false).stderr).expect("UTF-8");
    for words in [
        &["NO_BINARY_FOR_GPU", "machine code for sm_80", OPAQUE][..],
        &["NO_BINARY_FOR_GPU", "machine code for sm_90", OPAQUE],
        &["PTX for sm_90, machine code for sm_90", "code=compute_80"],
    ] {
        assert!(told.lines().any(|line| words.iter().all(|word| line.contains(word))), "{words:?} in {told}");
    }
}

#[test]
fn opaque_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (_own, _) = primary();
    assert_eq!(load(image("sm_90.cubin").as_ptr().cast()), Err(CUresult::NO_BINARY_FOR_GPU));
    // PTX is executed wherever there is some.
    assert_eq!(target(load(image("lz4.fatbin").as_ptr().cast()).expect("PTX")), 80);
    assert_eq!(graphproof_driver::control::opaque_launches(), 0);

    let module = load(image("sm_80.cubin").as_ptr().cast()).expect("opaque kernels");
    let many = function(module, c"many");
    let parameters: Vec<(usize, usize)> = (0..6)
        .map(|n| {
            let (mut offset, mut size) = (0, 0);
            ok!(cuFuncGetParamInfo(many, n, &mut offset, &mut size));
            (offset, size)
        })
        .collect();
    // As C++ lays out `short, const float *, Block, char, float *, int`.
    assert_eq!(parameters, [(0, 2), (8, 8), (16, 24), (40, 1), (48, 8), (56, 4)]);
    let mut most = 0;
    ok!(cuFuncGetAttribute(&mut most, 0, many));
    assert_eq!(most, 256);
    let mut variable = 0;
    ok!(cuModuleGetGlobal_v2(&mut variable, null_mut(), module, c"counter".as_ptr()));

    let (mut out, mut other, mut stream) = (0, 0, CUstream::NULL);
    ok!(cuMemAlloc_v2(&mut out, 64));
    ok!(cuMemAlloc_v2(&mut other, 64));
    ok!(cuMemsetD32_v2(out, 1, 16));
    ok!(cuMemsetD32_v2(other, 1, 16));
    // The fill is asynchronous, and a non-blocking stream does not wait for it.
    ok!(cuCtxSynchronize());
    ok!(cuStreamCreate(&mut stream, 1));
    ok!(cuStreamBeginCapture_v2(stream, 0));
    let mut parameter = out + 16;
    let pointers = &mut [pointer(&mut parameter)];
    let target = function(module, c"target");
    ok!(cuLaunchKernel(target, 1, 1, 1, 1, 1, 1, 0, stream, pointers.as_mut_ptr(), null_mut()));
    let mut graph = CUgraph::NULL;
    ok!(cuStreamEndCapture(stream, &mut graph));
    assert_eq!(crate::abi_support::nodes(graph).len(), 1);
    let exec = crate::abi_support::instantiate(graph);
    ok!(cuGraphLaunch(exec, stream));
    ok!(cuStreamSynchronize(stream));
    assert_eq!(graphproof_driver::control::opaque_launches(), 1);
    let mut words = [[0u32; 16]; 2];
    ok!(cuMemcpyDtoH_v2(words[0].as_mut_ptr() as u64, out, 64));
    ok!(cuMemcpyDtoH_v2(words[1].as_mut_ptr() as u64, other, 64));
    assert_eq!((&words[0][..4], words[1]), (&[1; 4][..], [1; 16]));
    assert!(words[0][4..].iter().all(|&word| f32::from_bits(word).is_nan()), "{words:x?}");
}

#[test]
fn opaque_kernels_are_captured_and_poison_what_they_are_given() {
    let told = String::from_utf8(child("image::opaque_child", true).stderr).expect("UTF-8");
    assert!(told.contains("2 kernels are recorded and captured, and NOT executed"), "{told}");
}

#[test]
fn the_container_of_linked_ptx_is_loaded() {
    let _own = primary();
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry only() { ret; }\n";
    let packed = graphproof_image::container::pack(text, 80);
    let module = load(packed.as_ptr().cast()).expect("a module");
    launch(function(module, c"only"), 1, &mut []);
    ok!(cuCtxSynchronize());
    let name: &CStr = c"other";
    let mut missing = CUfunction::NULL;
    assert_eq!(code!(cuModuleGetFunction(&mut missing, module, name.as_ptr())), CUresult::NOT_FOUND);
}
