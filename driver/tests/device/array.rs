//! CUDA arrays through the C ABI: copies to and from them, eager and captured.

use crate::abi_support::{Device, INVALID, instantiate};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control;

const FLOAT: u32 = 0x20;

/// An array of one 32-bit word an element.
fn array(width: usize, height: usize, depth: usize) -> CUarray {
    let shape =
        CUDA_ARRAY3D_DESCRIPTOR { Width: width, Height: height, Depth: depth, Format: FLOAT, NumChannels: 1, Flags: 0 };
    let mut array = CUarray::NULL;
    ok!(cuArray3DCreate_v2(&mut array, &shape));
    array
}

/// A copy of `extent` (bytes, rows, slices) from dense host words to a place of an array.
fn to_array(words: &[u32], array: CUarray, at: [usize; 3], extent: [usize; 3]) -> CUDA_MEMCPY3D {
    CUDA_MEMCPY3D {
        srcMemoryType: CU_MEMORYTYPE_HOST,
        srcHost: words.as_ptr() as u64,
        srcPitch: extent[0],
        srcHeight: extent[1],
        dstMemoryType: CU_MEMORYTYPE_ARRAY,
        dstArray: array,
        dstXInBytes: at[0],
        dstY: at[1],
        dstZ: at[2],
        WidthInBytes: extent[0],
        Height: extent[1],
        Depth: extent[2],
        ..Default::default()
    }
}

/// All words of an array.
fn read(array: CUarray, [width, height, depth]: [usize; 3]) -> Vec<u32> {
    let mut words = vec![0u32; width * height * depth];
    let copy = CUDA_MEMCPY3D {
        srcMemoryType: CU_MEMORYTYPE_ARRAY,
        srcArray: array,
        dstMemoryType: CU_MEMORYTYPE_HOST,
        dstHost: words.as_mut_ptr() as u64,
        dstPitch: width * 4,
        dstHeight: height,
        WidthInBytes: width * 4,
        Height: height,
        Depth: depth,
        ..Default::default()
    };
    ok!(cuMemcpy3D_v2(&copy));
    words
}

#[test]
fn parts_of_arrays_are_copied() {
    let device = Device::new();
    let before = control::live_bytes();
    let (a, b) = (array(4, 3, 2), array(4, 3, 2));
    assert_eq!(control::live_bytes() - before, 2 * 4 * 3 * 2 * 4);
    let all: Vec<u32> = (0..24).collect();
    ok!(cuMemcpy3D_v2(&to_array(&all, a, [0; 3], [16, 3, 2])));
    assert_eq!(read(a, [4, 3, 2]), all);
    ok!(cuMemcpy3D_v2(&to_array(&[0; 24], b, [0; 3], [16, 3, 2])));
    // Two words of two rows of the second slice, to another place.
    let part = CUDA_MEMCPY3D {
        srcMemoryType: CU_MEMORYTYPE_ARRAY,
        srcArray: a,
        srcXInBytes: 4,
        srcY: 1,
        srcZ: 1,
        dstMemoryType: CU_MEMORYTYPE_ARRAY,
        dstArray: b,
        dstXInBytes: 8,
        WidthInBytes: 8,
        Height: 2,
        Depth: 1,
        ..Default::default()
    };
    ok!(cuMemcpy3DAsync_v2(&part, device.stream));
    let mut expected = [0; 24];
    (expected[2], expected[3], expected[6], expected[7]) = (17, 18, 21, 22);
    assert_eq!(read(b, [4, 3, 2]), expected);
    // A row to device memory, by the call for two dimensions, whose pitch of the array means nothing.
    let row = CUDA_MEMCPY2D {
        srcMemoryType: CU_MEMORYTYPE_ARRAY,
        srcArray: a,
        srcY: 2,
        srcPitch: 1,
        dstMemoryType: CU_MEMORYTYPE_DEVICE,
        dstDevice: device.buffer,
        WidthInBytes: 16,
        Height: 1,
        ..Default::default()
    };
    ok!(cuMemcpy2D_v2(&row));
    assert_eq!(device.words()[..5], [8, 9, 10, 11, 0]);
    ok!(cuArrayDestroy(a));
    ok!(cuArrayDestroy(b));
    assert_eq!(control::live_bytes(), before);
}

#[test]
fn what_does_not_lie_in_an_array_is_refused() {
    let device = Device::new();
    let a = array(4, 3, 0);
    let words = [0; 24];
    for (at, extent) in
        [([4, 0, 0], [16, 1, 1]), ([0, 3, 0], [4, 1, 1]), ([0, 0, 1], [4, 1, 1]), ([2, 0, 0], [4, 1, 1])]
    {
        let copy = to_array(&words, a, at, extent);
        assert_eq!(code!(cuMemcpy3D_v2(&copy)), INVALID, "{at:?} {extent:?}");
        assert_eq!(code!(cuMemcpy3DAsync_v2(&copy, device.stream)), INVALID, "{at:?} {extent:?}");
    }
    let mut shape = CUDA_ARRAY_DESCRIPTOR::default();
    ok!(cuArrayGetDescriptor_v2(&mut shape, a));
    assert_eq!(shape, CUDA_ARRAY_DESCRIPTOR { Width: 4, Height: 3, Format: FLOAT, NumChannels: 1 });
    ok!(cuArrayDestroy(a));
    assert_eq!(code!(cuArrayDestroy(a)), CUresult::INVALID_HANDLE);
    assert_eq!(code!(cuArrayGetDescriptor_v2(&mut shape, a)), CUresult::INVALID_HANDLE);
    assert_eq!(code!(cuMemcpy3D_v2(&to_array(&words, a, [0; 3], [4, 1, 1]))), INVALID);
    let mut none = CUarray::NULL;
    assert_eq!(code!(cuArrayCreate_v2(&mut none, &CUDA_ARRAY_DESCRIPTOR { Width: 0, ..shape })), INVALID);
    let compressed = CUDA_ARRAY_DESCRIPTOR { Format: 0x91, ..shape };
    assert_eq!(code!(cuArrayCreate_v2(&mut none, &compressed)), CUresult::NOT_SUPPORTED);
}

#[test]
fn a_captured_copy_to_an_array_replays() {
    let device = Device::new();
    let a = array(4, 0, 0);
    let mut words = [1, 2, 3, 4];
    device.begin();
    ok!(cuMemcpy3DAsync_v2(&to_array(&words, a, [0; 3], [16, 1, 1]), device.stream));
    let graph = device.end();
    let exec = instantiate(graph);
    for turn in 0..3 {
        words[3] = turn;
        device.run(exec);
        assert_eq!(read(a, [4, 1, 1]), [1, 2, 3, turn]);
    }
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
    ok!(cuArrayDestroy(a));
}
