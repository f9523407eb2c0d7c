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

fn pointer(address: u64, row: u64, layer: u64) -> CUmemcpy3DOperand {
    CUmemcpy3DOperand { type_: 1, op: [address, row, layer, 0] }
}

fn operation(src: CUmemcpy3DOperand, dst: CUmemcpy3DOperand, extent: [usize; 3]) -> CUDA_MEMCPY3D_BATCH_OP {
    let [width, height, depth] = extent;
    CUDA_MEMCPY3D_BATCH_OP { src, dst, extent: CUextent3D { width, height, depth }, srcAccessOrder: 1, flags: 0 }
}

#[test]
fn a_batch_copies_boxes_between_pointers_and_arrays() {
    let device = Device::new();
    let (array, other) = (array(4, 4, 2), array(2, 2, 0));
    for place in 0..16 {
        device.fill(place, 100 + place as u32);
    }
    ok!(cuStreamSynchronize(device.stream));
    let in_array = |array: CUarray, at: [u64; 3]| CUmemcpy3DOperand { type_: 2, op: [array.0, at[0], at[1], at[2]] };
    // To an array the extent counts elements, between pointers bytes; a row of the source has four words.
    let mut batch = [
        operation(pointer(device.buffer, 4, 0), in_array(array, [1, 1, 1]), [2, 2, 1]),
        operation(pointer(device.buffer, 16, 0), pointer(device.buffer + 128, 8, 0), [8, 2, 1]),
    ];
    let mut fail = 7;
    ok!(cuMemcpy3DBatchAsync(2, batch.as_mut_ptr(), &mut fail, 0, device.stream));
    ok!(cuStreamSynchronize(device.stream));
    let words = read(array, [4, 4, 2]);
    let at = |x: usize, y: usize, z: usize| words[(z * 4 + y) * 4 + x];
    assert_eq!([at(1, 1, 1), at(2, 1, 1), at(1, 2, 1), at(2, 2, 1)], [100, 101, 104, 105]);
    assert_eq!(device.words()[32..36], [100, 101, 104, 105]);
    // Array to array, then out again by the calls of one dimension.
    let mut copy = operation(in_array(array, [1, 1, 1]), in_array(other, [0, 0, 0]), [2, 2, 1]);
    ok!(cuMemcpy3DWithAttributesAsync(&mut copy, 0, device.stream));
    ok!(cuStreamSynchronize(device.stream));
    assert_eq!(read(other, [2, 2, 1]), [100, 101, 104, 105]);
    // Refused as a whole, and the copy told.
    let good = batch[1];
    for (wrong, place) in [
        (operation(pointer(device.buffer, 1, 0), good.dst, [8, 2, 1]), 1),
        (operation(good.src, good.dst, [8, 0, 1]), 1),
        (operation(good.src, in_array(array, [3, 0, 0]), [2, 1, 1]), 1),
        (CUDA_MEMCPY3D_BATCH_OP { srcAccessOrder: 4, ..good }, 1),
    ] {
        let mut batch = [good, wrong];
        assert_eq!(code!(cuMemcpy3DBatchAsync(2, batch.as_mut_ptr(), &mut fail, 0, device.stream)), INVALID);
        assert_eq!(fail, place);
    }
    assert_eq!(code!(cuMemcpy3DBatchAsync(2, batch.as_mut_ptr(), &mut fail, 1, device.stream)), INVALID);
    assert_eq!(fail, usize::MAX);
    assert_eq!(code!(cuMemcpy3DBatchAsync_v2(2, batch.as_mut_ptr(), 0, CUstream::NULL)), INVALID);
    ok!(cuArrayDestroy(array));
    ok!(cuArrayDestroy(other));
}

#[test]
fn bytes_of_an_array_of_one_dimension_are_copied() {
    let device = Device::new();
    let (one, two) = (array(8, 0, 0), array(8, 0, 0));
    let (words, mut back) = ([1u32, 2, 3, 4], [0u32; 4]);
    ok!(cuMemcpyHtoA_v2(one, 4, words.as_ptr() as u64, 16));
    ok!(cuMemcpyAtoA_v2(two, 8, one, 4, 16));
    ok!(cuMemcpyAtoD_v2(device.buffer, two, 8, 16));
    assert_eq!(device.words()[..4], words);
    ok!(cuMemcpyDtoA_v2(one, 0, device.buffer + 4, 8));
    ok!(cuMemcpyAtoH_v2(back.as_mut_ptr() as u64, one, 0, 16));
    assert_eq!(back, [2, 3, 2, 3]);
    ok!(cuMemcpyHtoAAsync_v2(one, 0, words.as_ptr() as u64, 16, device.stream));
    ok!(cuMemcpyAtoHAsync_v2(back.as_mut_ptr() as u64, one, 0, 16, device.stream));
    ok!(cuStreamSynchronize(device.stream));
    assert_eq!(back, words);
    assert_eq!(code!(cuMemcpyAtoD_v2(device.buffer, one, 24, 16)), INVALID, "beyond its end");
    ok!(cuArrayDestroy(one));
    ok!(cuArrayDestroy(two));
}
