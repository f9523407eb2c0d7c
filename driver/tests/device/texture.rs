//! Texture and surface objects through the C ABI: what kernels read and write by them, eager and replayed.

use std::ffi::c_void;
use std::ptr::{from_mut, null, null_mut};

use crate::abi_support::{Device, INVALID, function, instantiate, load, nodes};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::{control, observe, record};

/// `sample` reads a texture of two dimensions at eight places in `x`, `row` one of linear memory from element -1 on;
/// `paint` writes and `look` reads a surface's words.
const KERNELS: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry sample(.param .u64 object, .param .u64 out, .param .f32 first, .param .f32 step, .param .f32 row)
{
	.reg .b32 %r<8>;
	.reg .f32 %f<16>;
	.reg .b64 %rd<8>;
	ld.param.u64 %rd1, [object];
	ld.param.u64 %rd2, [out];
	ld.param.f32 %f1, [first];
	ld.param.f32 %f2, [step];
	ld.param.f32 %f3, [row];
	mov.u32 %r1, %tid.x;
	cvt.rn.f32.u32 %f4, %r1;
	fma.rn.f32 %f5, %f4, %f2, %f1;
	tex.2d.v4.f32.f32 {%f6, %f7, %f8, %f9}, [%rd1, {%f5, %f3}];
	mul.wide.u32 %rd3, %r1, 4;
	add.u64 %rd4, %rd2, %rd3;
	st.global.f32 [%rd4], %f6;
	ret;
}
.visible .entry row(.param .u64 object, .param .u64 out)
{
	.reg .b32 %r<8>;
	.reg .b64 %rd<8>;
	ld.param.u64 %rd1, [object];
	ld.param.u64 %rd2, [out];
	mov.u32 %r1, %tid.x;
	sub.s32 %r2, %r1, 1;
	tex.1d.v4.u32.s32 {%r3, %r4, %r5, %r6}, [%rd1, {%r2}];
	mul.wide.u32 %rd3, %r1, 4;
	add.u64 %rd4, %rd2, %rd3;
	st.global.u32 [%rd4], %r3;
	ret;
}
.visible .entry paint(.param .u64 object, .param .u32 value)
{
	.reg .b32 %r<8>;
	.reg .b64 %rd<4>;
	ld.param.u64 %rd1, [object];
	ld.param.u32 %r3, [value];
	mov.u32 %r1, %tid.x;
	add.s32 %r3, %r3, %r1;
	shl.b32 %r1, %r1, 2;
	mov.u32 %r2, 1;
	sust.b.2d.b32.trap [%rd1, {%r1, %r2}], %r3;
	ret;
}
.visible .entry look(.param .u64 object, .param .u64 out)
{
	.reg .b32 %r<8>;
	.reg .b64 %rd<8>;
	ld.param.u64 %rd1, [object];
	ld.param.u64 %rd2, [out];
	mov.u32 %r1, %tid.x;
	shl.b32 %r2, %r1, 2;
	mov.u32 %r3, 1;
	suld.b.2d.b32.zero %r4, [%rd1, {%r2, %r3}];
	mul.wide.u32 %rd3, %r1, 4;
	add.u64 %rd4, %rd2, %rd3;
	st.global.u32 [%rd4], %r4;
	ret;
}
";

/// `CU_AD_FORMAT_UNSIGNED_INT8`, `…_INT32`, `CU_AD_FORMAT_FLOAT`.
const U8: u32 = 0x01;
pub const U32: u32 = 0x03;
pub const FLOAT: u32 = 0x20;
/// `CUDA_ARRAY3D_SURFACE_LDST`.
const SURFACE: u32 = 2;
/// `CU_TRSF_READ_AS_INTEGER`, `CU_TRSF_NORMALIZED_COORDINATES`, `CU_TRSF_SRGB`.
pub const AS_INTEGER: u32 = 1;
const NORMALISED: u32 = 2;
pub const SRGB: u32 = 0x10;
const WIDTH: usize = 4;

/// An array of two rows of [`WIDTH`] elements of one component.
pub fn array(format: u32, flags: u32) -> CUarray {
    let shape =
        CUDA_ARRAY3D_DESCRIPTOR { Width: WIDTH, Height: 2, Depth: 0, Format: format, NumChannels: 1, Flags: flags };
    let mut array = CUarray::NULL;
    ok!(cuArray3DCreate_v2(&mut array, &shape));
    array
}

/// Bytes of a row between host memory and row 1 of an array.
fn second_row(array: CUarray, host: u64, bytes: usize, to_array: bool) -> CUDA_MEMCPY2D {
    let (there, here) = (CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_HOST);
    let both = CUDA_MEMCPY2D { WidthInBytes: bytes, Height: 1, ..Default::default() };
    if to_array {
        CUDA_MEMCPY2D { srcMemoryType: here, srcHost: host, dstMemoryType: there, dstArray: array, dstY: 1, ..both }
    } else {
        CUDA_MEMCPY2D { srcMemoryType: there, srcArray: array, srcY: 1, dstMemoryType: here, dstHost: host, ..both }
    }
}

fn write<T>(array: CUarray, row: &[T]) {
    ok!(cuMemcpy2D_v2(&second_row(array, row.as_ptr() as u64, size_of_val(row), true)));
}

fn of_array(array: CUarray) -> CUDA_RESOURCE_DESC {
    let mut res = [0; 16];
    res[0] = array.0;
    CUDA_RESOURCE_DESC { resType: 0, res, flags: 0 }
}

/// Memory as one row of components.
fn linear(address: u64, format: u32, bytes: u64) -> CUDA_RESOURCE_DESC {
    let mut res = [0; 16];
    res[..3].copy_from_slice(&[address, u64::from(format) | 1 << 32, bytes]);
    CUDA_RESOURCE_DESC { resType: 2, res, flags: 0 }
}

/// Memory as rows of components.
fn pitched(address: u64, format: u32, [width, height]: [u64; 2], pitch: u64) -> CUDA_RESOURCE_DESC {
    let mut res = [0; 16];
    res[..5].copy_from_slice(&[address, u64::from(format) | 1 << 32, width, height, pitch]);
    CUDA_RESOURCE_DESC { resType: 3, res, flags: 0 }
}

fn texture(resource: &CUDA_RESOURCE_DESC, mode: u32, filter: u32, flags: u32) -> CUtexObject {
    let sampling = CUDA_TEXTURE_DESC { addressMode: [mode; 3], filterMode: filter, flags, ..Default::default() };
    let mut object = 0;
    ok!(cuTexObjectCreate(&mut object, resource, &sampling, null()));
    object
}

fn surface(array: CUarray) -> CUsurfObject {
    let mut object = 0;
    ok!(cuSurfObjectCreate(&mut object, &of_array(array)));
    object
}

/// Launches `threads` threads with parameters of up to eight bytes.
fn launch(function: CUfunction, threads: u32, stream: CUstream, mut words: Vec<u64>) {
    let mut parameters: Vec<*mut c_void> = words.iter_mut().map(|word| from_mut(word).cast()).collect();
    ok!(cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, 0, stream, parameters.as_mut_ptr(), null_mut()));
}

/// Eight places from `first` on, `step` apart, in a texture's row at `row`.
fn sampled(device: &Device, object: CUtexObject, first: f32, step: f32, row: f32) -> [f32; 8] {
    let places = [first, step, row].map(|value| u64::from(value.to_bits()));
    let words = [object, device.buffer].into_iter().chain(places).collect();
    launch(function(load(KERNELS), c"sample"), 8, device.stream, words);
    ok!(cuStreamSynchronize(device.stream));
    std::array::from_fn(|n| f32::from_bits(device.words()[n]))
}

#[test]
fn textures_of_arrays_and_of_rows_are_filtered_and_addressed() {
    let device = Device::new();
    let floats = array(FLOAT, 0);
    write(floats, &[10f32, 20.0, 30.0, 40.0]);
    let filtered = texture(&of_array(floats), 1, 1, 0);
    assert_eq!(sampled(&device, filtered, 0.5, 0.5, 1.5), [10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 40.0]);
    // Bytes become floats from 0 to 1, and coordinates go round.
    let bytes = array(U8, 0);
    write(bytes, &[0u8, 51, 102, 255]);
    let repeated = texture(&of_array(bytes), 0, 0, NORMALISED);
    let [a, b, c, d] = [0f32, 0.2, 0.4, 1.0];
    assert_eq!(sampled(&device, repeated, 0.125, 0.25, 0.75), [a, b, c, d, a, b, c, d]);
    // Rows of plain memory; a border of zeros.
    let mut memory = 0;
    ok!(cuMemAlloc_v2(&mut memory, 64));
    let rows: [f32; 16] = std::array::from_fn(|n| n as f32);
    ok!(cuMemcpyHtoD_v2(memory, rows.as_ptr() as u64, 64));
    let of_rows = texture(&pitched(memory, FLOAT, [6, 2], 32), 3, 0, 0);
    assert_eq!(sampled(&device, of_rows, -0.5, 1.0, 1.5), [0.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 0.0]);

    // An object tells what it was made with.
    let (mut resource, mut sampling) = (linear(0, 0, 0), CUDA_TEXTURE_DESC::default());
    ok!(cuTexObjectGetResourceDesc(&mut resource, of_rows));
    assert_eq!((resource.resType, &resource.res[2..5]), (3, &[6, 2, 32][..]));
    ok!(cuTexObjectGetTextureDesc(&mut sampling, repeated));
    assert_eq!((sampling.addressMode, sampling.filterMode, sampling.flags), ([0; 3], 0, NORMALISED));
    let mut view = CUDA_RESOURCE_VIEW_DESC::default();
    assert_eq!(code!(cuTexObjectGetResourceViewDesc(&mut view, repeated)), INVALID, "it has none");
    for object in [filtered, repeated, of_rows] {
        ok!(cuTexObjectDestroy(object));
        ok!(cuTexObjectDestroy(object));
        assert_eq!(code!(cuTexObjectGetResourceDesc(&mut resource, object)), INVALID);
    }
    ok!(cuArrayDestroy(floats));
    ok!(cuArrayDestroy(bytes));
    ok!(cuMemFree_v2(memory));
}

#[test]
fn linear_memory_is_fetched_by_element_and_a_fault_says_what_is_gone() {
    let gone = |what: &str| {
        let device = Device::new();
        let mut memory = 0;
        ok!(cuMemAlloc_v2(&mut memory, 16));
        ok!(cuMemcpyHtoD_v2(memory, [7u32, 8, 9, 10].as_ptr() as u64, 16));
        let object = texture(&linear(memory, U32, 16), 0, 1, AS_INTEGER | NORMALISED);
        let row = function(load(KERNELS), c"row");
        launch(row, 8, device.stream, vec![object, device.buffer]);
        ok!(cuStreamSynchronize(device.stream));
        assert_eq!(device.words()[..8], [0, 7, 8, 9, 10, 0, 0, 0]);
        if what == "object" {
            ok!(cuTexObjectDestroy(object))
        } else {
            ok!(cuMemFree_v2(memory))
        }
        launch(row, 8, device.stream, vec![object, device.buffer]);
        assert_eq!(code!(cuStreamSynchronize(device.stream)), CUresult::LAUNCH_FAILED);
        let explanation = control::last_fault().expect("a fault").explanation;
        ok!(cuDevicePrimaryCtxReset_v2(0));
        std::mem::forget(device);
        explanation
    };
    assert!(gone("object").contains("is no texture or surface object"));
    assert!(gone("memory").contains("its memory has been freed"));
}

#[test]
fn surfaces_are_written_and_read_eagerly_and_by_graphs() {
    let device = Device::new();
    let module = load(KERNELS);
    let (paint, look) = (function(module, c"paint"), function(module, c"look"));
    let words = array(U32, SURFACE);
    write(words, &[1u32, 2, 3, 4]);
    let object = surface(words);
    launch(look, 5, device.stream, vec![object, device.buffer]);
    ok!(cuStreamSynchronize(device.stream));
    assert_eq!(device.words()[..5], [1, 2, 3, 4, 0], "outside it is zero");
    launch(paint, 4, device.stream, vec![object, 100]);
    ok!(cuStreamSynchronize(device.stream));
    let mut row = [0u32; WIDTH];
    ok!(cuMemcpy2D_v2(&second_row(words, row.as_mut_ptr() as u64, 16, false)));
    assert_eq!(row, [100, 101, 102, 103]);

    // A graph has the objects' handles in its parameters, and sees what its arrays hold when it runs.
    device.begin();
    launch(look, 4, device.stream, vec![object, device.buffer]);
    launch(paint, 4, device.stream, vec![object, 200]);
    let graph = device.end();
    assert_eq!(nodes(graph).len(), 2);
    let exec = instantiate(graph);
    for expected in [100, 200, 7] {
        if expected == 7 {
            write(words, &[7u32, 8, 9, 10]);
        }
        device.run(exec);
        assert_eq!(device.words()[..4], [0, 1, 2, 3].map(|n| expected + n));
    }
    // What a graph still names must live.
    ok!(cuSurfObjectDestroy(object));
    ok!(cuGraphLaunch(exec, device.stream));
    assert_eq!(code!(cuStreamSynchronize(device.stream)), CUresult::LAUNCH_FAILED);
    assert!(control::last_fault().is_some_and(|fault| fault.explanation.contains("is no texture or surface object")));
    ok!(cuDevicePrimaryCtxReset_v2(0));
    std::mem::forget(device);
}

#[test]
fn what_no_object_is_made_of_is_refused_with_the_reason() {
    let device = Device::new();
    let (plain, drawn) = (array(U32, 0), array(FLOAT, SURFACE));
    let destroyed = array(FLOAT, SURFACE);
    ok!(cuArrayDestroy(destroyed));
    let good = CUDA_TEXTURE_DESC::default();
    let (mut object, view) = (0, CUDA_RESOURCE_VIEW_DESC { format: 1, width: 4, ..Default::default() });
    let reason = || record::last_reason().map_or_else(String::new, |reason| reason.text);
    let create = |resource: CUDA_RESOURCE_DESC, sampling: CUDA_TEXTURE_DESC, view: *const CUDA_RESOURCE_VIEW_DESC| {
        let mut object = 0;
        (code!(cuTexObjectCreate(&mut object, &resource, &sampling, view)), reason())
    };
    let sampled = |filter, flags| CUDA_TEXTURE_DESC { filterMode: filter, flags, ..good };
    let refused = [
        (create(CUDA_RESOURCE_DESC { resType: 1, ..of_array(plain) }, good, null()), false, "mipmapped arrays"),
        (create(of_array(drawn), sampled(0, SRGB), null()), false, "sRGB"),
        (create(of_array(drawn), good, &view), false, "views of a resource"),
        (create(of_array(plain), sampled(1, 0), null()), true, "whole numbers are not filtered"),
        (create(of_array(drawn), sampled(2, 0), null()), true, ""),
        (create(of_array(drawn), CUDA_TEXTURE_DESC { addressMode: [4; 3], ..good }, null()), true, ""),
        (create(of_array(destroyed), good, null()), true, "no live memory"),
        (create(CUDA_RESOURCE_DESC { flags: 1, ..of_array(drawn) }, good, null()), true, ""),
        (create(linear(device.buffer + 4, FLOAT, 16), good, null()), true, "a multiple of 512"),
        (create(linear(device.buffer, FLOAT, 4096), good, null()), true, "no live memory"),
        (create(linear(device.buffer, FLOAT, 16), good, &view), true, ""),
        (create(linear(device.buffer, 0x91, 16), good, null()), false, "formats have no model"),
        (create(pitched(device.buffer, FLOAT, [4, 2], 20), good, null()), true, "a multiple of 32"),
    ];
    for ((code, why), invalid, part) in refused {
        assert_eq!(code, if invalid { INVALID } else { CUresult::NOT_SUPPORTED }, "{part}: {why}");
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(code!(cuSurfObjectCreate(&mut object, &of_array(plain))), INVALID);
    assert!(reason().contains("CUDA_ARRAY3D_SURFACE_LDST"), "{}", reason());
    assert_eq!(code!(cuSurfObjectCreate(&mut object, &linear(device.buffer, FLOAT, 16))), INVALID);
    ok!(cuSurfObjectCreate(&mut object, &of_array(drawn)));
    // A surface object is no texture object: nothing is destroyed.
    ok!(cuTexObjectDestroy(object));
    ok!(cuSurfObjectDestroy(object));
    ok!(cuArrayDestroy(plain));
    ok!(cuArrayDestroy(drawn));
}

#[test]
fn races_in_arrays_are_seen() {
    let device = Device::new();
    let module = load(KERNELS);
    let (paint, look) = (function(module, c"paint"), function(module, c"look"));
    let words = array(U32, SURFACE);
    let object = surface(words);
    let (mut other, mut event) = (CUstream::NULL, CUevent::NULL);
    ok!(cuStreamCreate(&mut other, 1));
    ok!(cuEventCreate(&mut event, 2));
    let row = [1u32; WIDTH];
    let conflicts = |writes: &str, ordered: bool| {
        observe::start();
        if writes == "kernel" {
            launch(paint, 4, other, vec![object, 5]);
        } else {
            ok!(cuMemcpy2DAsync_v2(&second_row(words, row.as_ptr() as u64, 16, true), other));
        }
        if ordered {
            ok!(cuEventRecord(event, other));
            ok!(cuStreamWaitEvent(device.stream, event, 0));
        }
        launch(look, 4, device.stream, vec![object, device.buffer]);
        let found = observe::stop().conflicts();
        found.iter().map(|conflict| conflict.bytes).collect::<Vec<_>>()
    };
    for writes in ["kernel", "copy"] {
        assert_eq!(conflicts(writes, true), [], "{writes}");
        assert_eq!(conflicts(writes, false), [16], "{writes}");
    }
    ok!(cuSurfObjectDestroy(object));
    ok!(cuArrayDestroy(words));
    ok!(cuStreamDestroy_v2(other));
    ok!(cuEventDestroy_v2(event));
}
