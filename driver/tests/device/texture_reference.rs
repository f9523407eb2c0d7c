//! Texture and surface references through the C ABI: what is bound to a module's variables, and what kernels read by them.

use std::ffi::c_void;
use std::ptr::{from_mut, null_mut};

use crate::abi_support::{Device, INVALID, function, load};
use crate::texture::{AS_INTEGER, FLOAT, SRGB, U32, array};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control;

const KERNELS: &str = "
.version 8.0
.target sm_80
.address_size 64
.global .texref image;
.global .surfref canvas;
.visible .entry sample(.param .u64 out)
{
	.reg .b32 %r<8>;
	.reg .f32 %f<8>;
	.reg .b64 %rd<4>;
	ld.param.u64 %rd1, [out];
	mov.u32 %r1, %tid.x;
	cvt.rn.f32.u32 %f1, %r1;
	mov.f32 %f2, 0f3FC00000;
	tex.2d.v4.f32.f32 {%f3, %f4, %f5, %f6}, [image, {%f1, %f2}];
	mul.wide.u32 %rd2, %r1, 4;
	add.u64 %rd1, %rd1, %rd2;
	st.global.f32 [%rd1], %f3;
	ret;
}
.visible .entry row(.param .u64 out)
{
	.reg .b32 %r<8>;
	.reg .b64 %rd<4>;
	ld.param.u64 %rd1, [out];
	mov.u32 %r1, %tid.x;
	tex.1d.v4.u32.s32 {%r2, %r3, %r4, %r5}, [image, {%r1}];
	mul.wide.u32 %rd2, %r1, 4;
	add.u64 %rd1, %rd1, %rd2;
	st.global.u32 [%rd1], %r2;
	ret;
}
.visible .entry paint()
{
	.reg .b32 %r<4>;
	mov.u32 %r1, %tid.x;
	shl.b32 %r2, %r1, 2;
	mov.u32 %r3, 1;
	sust.b.2d.b32.trap [canvas, {%r2, %r3}], %r1;
	ret;
}
";

/// `CU_TRSA_OVERRIDE_FORMAT`.
const OVERRIDE: u32 = 1;

/// A copy between all of an array and eight words of host memory.
fn whole(array: CUarray, words: *const u32, to_array: bool) {
    let there = |kind| if kind { CU_MEMORYTYPE_ARRAY } else { CU_MEMORYTYPE_HOST };
    let copy = CUDA_MEMCPY2D {
        srcMemoryType: there(!to_array),
        srcHost: words as u64,
        srcArray: array,
        dstMemoryType: there(to_array),
        dstHost: words as u64,
        dstArray: array,
        WidthInBytes: 16,
        Height: 2,
        ..Default::default()
    };
    ok!(cuMemcpy2D_v2(&copy));
}

/// The words that a kernel of five threads leaves.
fn run(device: &Device, module: CUmodule, name: &std::ffi::CStr) -> [u32; 5] {
    let mut out = device.buffer;
    let mut parameters = [from_mut(&mut out).cast::<c_void>()];
    let kernel = function(module, name);
    let threads = if name == c"paint" { 4 } else { 5 };
    ok!(cuLaunchKernel(kernel, 1, 1, 1, threads, 1, 1, 0, device.stream, parameters.as_mut_ptr(), null_mut()));
    ok!(cuStreamSynchronize(device.stream));
    std::array::from_fn(|n| device.words()[n])
}

fn texture(module: CUmodule) -> CUtexref {
    let mut found = CUtexref::NULL;
    ok!(cuModuleGetTexRef(&mut found, module, c"image".as_ptr()));
    found
}

#[test]
fn kernels_read_and_write_what_is_bound() {
    let device = Device::new();
    let module = load(KERNELS);
    let image = texture(module);
    // An array, filtered.
    let floats = array(FLOAT, 0);
    let words = [0.0f32, 0.0, 0.0, 0.0, 10.0, 20.0, 30.0, 40.0].map(f32::to_bits);
    whole(floats, words.as_ptr(), true);
    ok!(cuTexRefSetArray(image, floats, OVERRIDE));
    ok!(cuTexRefSetFilterMode(image, 1));
    ok!(cuTexRefSetAddressMode(image, 0, 1));
    ok!(cuTexRefSetAddressMode(image, 1, 3));
    assert_eq!(run(&device, module, c"sample").map(f32::from_bits), [10.0, 15.0, 25.0, 35.0, 40.0]);
    let (mut bound, mut mode, mut filter) = (CUarray::NULL, 9, 9);
    ok!(cuTexRefGetArray(&mut bound, image));
    ok!(cuTexRefGetAddressMode(&mut mode, image, 1));
    ok!(cuTexRefGetFilterMode(&mut filter, image));
    assert_eq!((bound, mode, filter), (floats, 3, 1));

    // Memory as one row: the binding begins at a multiple of 512, and says how far before what was named.
    let mut memory = 0;
    ok!(cuMemAlloc_v2(&mut memory, 1024));
    let rows: [u32; 256] = std::array::from_fn(|n| n as u32);
    ok!(cuMemcpyHtoD_v2(memory, rows.as_ptr() as u64, 1024));
    let (mut offset, mut address, mut format, mut channels, mut flags) = (7, 0, 0, 0, 9);
    ok!(cuTexRefSetFormat(image, U32, 1));
    ok!(cuTexRefSetFlags(image, AS_INTEGER));
    ok!(cuTexRefSetAddress_v2(&mut offset, image, memory + 8, 8));
    assert_eq!(offset, 8);
    assert_eq!(run(&device, module, c"row"), [0, 1, 2, 3, 0], "the bytes before, two elements, and zeros");
    ok!(cuTexRefGetAddress_v2(&mut address, image));
    ok!(cuTexRefGetFormat(&mut format, &mut channels, image));
    ok!(cuTexRefGetFlags(&mut flags, image));
    assert_eq!((address, format, channels, flags), (memory, U32, 1, AS_INTEGER));

    // Memory as rows.
    let shape = CUDA_ARRAY_DESCRIPTOR { Width: 4, Height: 2, Format: FLOAT, NumChannels: 1 };
    ok!(cuMemcpyHtoD_v2(memory + 32, words[4..].as_ptr() as u64, 16));
    ok!(cuTexRefSetFilterMode(image, 0));
    ok!(cuTexRefSetAddress2D_v3(image, &shape, memory, 32));
    assert_eq!(run(&device, module, c"sample").map(f32::from_bits), [10.0, 20.0, 30.0, 40.0, 40.0]);

    // A surface.
    let (drawn, mut canvas) = (array(U32, 2), CUsurfref::NULL);
    ok!(cuModuleGetSurfRef(&mut canvas, module, c"canvas".as_ptr()));
    ok!(cuSurfRefSetArray(canvas, drawn, 0));
    ok!(cuSurfRefGetArray(&mut bound, canvas));
    assert_eq!(bound, drawn);
    let mut words = [9u32; 8];
    whole(drawn, words.as_ptr(), true);
    run(&device, module, c"paint");
    whole(drawn, words.as_mut_ptr(), false);
    assert_eq!(words, [9, 9, 9, 9, 0, 1, 2, 3]);

    // A reference goes with its module.
    ok!(cuModuleUnload(module));
    assert_eq!(code!(cuTexRefSetFilterMode(image, 0)), INVALID);
    ok!(cuArrayDestroy(floats));
    ok!(cuArrayDestroy(drawn));
    ok!(cuMemFree_v2(memory));
}

#[test]
fn what_cannot_be_bound_is_refused() {
    let device = Device::new();
    let module = load(KERNELS);
    let (image, plain) = (texture(module), array(FLOAT, 0));
    let (mut other, mut canvas, mut address) = (CUtexref::NULL, CUsurfref::NULL, 0);
    ok!(cuModuleGetSurfRef(&mut canvas, module, c"canvas".as_ptr()));
    let absent = CUresult::NOT_FOUND;
    assert_eq!(code!(cuModuleGetTexRef(&mut other, module, c"canvas".as_ptr())), absent, "a surface");
    assert_eq!(code!(cuModuleGetTexRef(&mut other, module, c"nothing".as_ptr())), absent);
    assert_eq!(code!(cuModuleGetGlobal_v2(&mut address, null_mut(), module, c"image".as_ptr())), absent, "no variable");
    for result in [
        code!(cuTexRefSetArray(image, plain, 0)),
        code!(cuTexRefSetAddressMode(image, 3, 0)),
        code!(cuTexRefSetAddressMode(image, 0, 4)),
        code!(cuTexRefSetFilterMode(image, 2)),
        code!(cuTexRefSetFormat(image, U32, 3)),
        code!(cuTexRefSetAddress_v2(null_mut(), image, device.buffer + 4, 4)),
        code!(cuTexRefSetFlags(CUtexref(canvas.0), 0)),
        code!(cuTexRefSetFlags(CUtexref(device.buffer), 0)),
        code!(cuTexRefGetAddress_v2(&mut address, image)),
        code!(cuSurfRefSetArray(canvas, plain, 0)),
    ] {
        assert_eq!(result, INVALID);
    }
    assert_eq!(code!(cuTexRefSetFlags(image, SRGB)), CUresult::NOT_SUPPORTED);
    ok!(cuArrayDestroy(plain));
    // A kernel that reads by a reference to which nothing is bound.
    let mut out = device.buffer;
    let mut parameters = [from_mut(&mut out).cast::<c_void>()];
    let kernel = function(module, c"row");
    ok!(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, device.stream, parameters.as_mut_ptr(), null_mut()));
    assert_eq!(code!(cuStreamSynchronize(device.stream)), CUresult::LAUNCH_FAILED);
    assert!(control::last_fault().is_some_and(|fault| fault.explanation.contains("nothing is bound")));
    ok!(cuDevicePrimaryCtxReset_v2(0));
    std::mem::forget(device);
}
