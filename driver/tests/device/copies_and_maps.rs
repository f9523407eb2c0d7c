//! Batches of copies, tensor maps, empty allocations and occupancy through the C ABI.

use std::ffi::c_void;
use std::ptr::null_mut;

use crate::abi_support::{Device, Gate, INVALID, function, load, nodes};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_exec::tensor_map::{TensorMap, Window};

fn attributes(order: u32) -> CUmemcpyAttributes {
    let nowhere = CUmemLocation { type_: 0, id: 0 };
    CUmemcpyAttributes { srcAccessOrder: order, srcLocHint: nowhere, dstLocHint: nowhere, flags: 0 }
}

/// The copies from `from` to `to` in words of the buffer, of these sizes in words.
fn batch(device: &Device, copies: &[(u64, u64, usize)], order: u32, fail: &mut usize, stream: CUstream) -> CUresult {
    let address = |word: u64| device.buffer + 4 * word;
    let mut dsts: Vec<u64> = copies.iter().map(|copy| address(copy.1)).collect();
    let mut srcs: Vec<u64> = copies.iter().map(|copy| address(copy.0)).collect();
    let mut sizes: Vec<usize> = copies.iter().map(|copy| 4 * copy.2).collect();
    let (mut attributes, mut first) = (attributes(order), 0);
    code!(cuMemcpyBatchAsync(
        dsts.as_mut_ptr(),
        srcs.as_mut_ptr(),
        sizes.as_mut_ptr(),
        copies.len(),
        &mut attributes,
        &mut first,
        1,
        fail,
        stream
    ))
}

#[test]
fn a_batch_copies_all_or_nothing() {
    let device = Device::new();
    let mut fail = 0;
    device.fill(0, 5);
    device.fill(1, 6);
    assert_eq!(batch(&device, &[(0, 10, 2), (1, 20, 1)], 1, &mut fail, device.stream), CUresult::SUCCESS);
    ok!(cuStreamSynchronize(device.stream));
    let words = device.words();
    assert_eq!((words[10], words[11], words[20]), (5, 6, 6));
    // The second copy leaves the buffer: nothing of the batch runs, and the place is told.
    assert_eq!(batch(&device, &[(0, 30, 1), (0, 1 << 20, 1)], 1, &mut fail, device.stream), INVALID);
    assert_eq!(fail, 1);
    assert_eq!(batch(&device, &[(0, 30, 1), (0, 31, 0)], 1, &mut fail, device.stream), INVALID);
    assert_eq!(fail, 1);
    for (order, stream) in [(1, CUstream::NULL), (1, CUstream::LEGACY), (0, device.stream), (4, device.stream)] {
        assert_eq!(batch(&device, &[(0, 30, 1)], order, &mut fail, stream), INVALID);
        assert_eq!(fail, usize::MAX);
    }
    ok!(cuStreamSynchronize(device.stream));
    assert_eq!(device.words()[30], 0);
    // No model in a capture: said, and the capture goes on.
    device.begin();
    assert_eq!(batch(&device, &[(0, 30, 1)], 1, &mut fail, device.stream), CUresult::NOT_SUPPORTED);
    assert!(nodes(device.end()).is_empty());
}

/// `DURING_API_CALL` reads the source before the call returns, `STREAM` when its turn has come.
#[test]
fn the_order_of_access_to_the_source_is_kept() {
    static GATES: [Gate; 2] = [Gate::new(), Gate::new()];
    for (order, gate, expected) in [(2, &GATES[0], 1u32), (1, &GATES[1], 2)] {
        let device = Device::new();
        let mut other = CUstream::NULL;
        ok!(cuStreamCreate(&mut other, 1));
        ok!(cuMemsetD32Async(device.buffer, 1, 1, other));
        ok!(cuStreamSynchronize(other));
        gate.hold(device.stream);
        let mut fail = 0;
        assert_eq!(batch(&device, &[(0, 8, 1)], order, &mut fail, device.stream), CUresult::SUCCESS);
        ok!(cuMemsetD32Async(device.buffer, 2, 1, other));
        ok!(cuStreamSynchronize(other));
        gate.open();
        ok!(cuStreamSynchronize(device.stream));
        assert_eq!(device.words()[8], expected);
        ok!(cuStreamDestroy_v2(other));
    }
}

#[test]
fn a_tensor_map_holds_what_it_was_given() {
    let _device = Device::new();
    let mut map = CUtensorMap([0; 128]);
    let (sizes, strides, boxes, steps) = ([1024u64, 512], [2048u64], [64u32, 32], [1u32, 1]);
    let encode = |map: &mut CUtensorMap, address: u64, data_type, rank, swizzle| {
        code!(cuTensorMapEncodeTiled(
            map,
            data_type,
            rank,
            address as *mut c_void,
            sizes.as_ptr(),
            strides.as_ptr(),
            boxes.as_ptr(),
            steps.as_ptr(),
            0,
            swizzle,
            0,
            0
        ))
    };
    assert_eq!(encode(&mut map, 0x1000, 9, 2, 3), CUresult::SUCCESS);
    let found = TensorMap::decode(&map.0).unwrap();
    assert_eq!((found.address, found.rank, found.data_type, found.swizzle), (0x1000, 2, 9, 3));
    assert_eq!((found.dimensions[..2].to_vec(), found.strides[0]), (sizes.to_vec(), 2048));
    assert_eq!(found.window, Window::Tiled([64, 32, 1, 1, 1]));
    ok!(cuTensorMapReplaceAddress(&mut map, 0x2000 as *mut c_void));
    assert_eq!(TensorMap::decode(&map.0), Ok(TensorMap { address: 0x2000, ..found }));
    // Refused, and the map stays as it was.
    let before = map.0;
    assert_eq!(code!(cuTensorMapReplaceAddress(&mut map, 0x2008 as *mut c_void)), INVALID);
    for (address, data_type, rank, swizzle) in
        [(0x1004, 9, 2, 3), (0x1000, 99, 2, 3), (0x1000, 9, 0, 3), (0x1000, 9, 2, 1)]
    {
        assert_eq!(encode(&mut map, address, data_type, rank, swizzle), INVALID);
    }
    assert_eq!(map.0, before);
    assert_eq!(code!(cuTensorMapReplaceAddress(&mut CUtensorMap([0; 128]), null_mut())), INVALID);
}

/// M (H200, driver 580.159.04): 32 bytes go with every swizzle, not the one that cuda.h names alone; rows have whole 16 bytes.
#[test]
fn an_interleaved_tensor_map_is_encoded_as_on_an_h200() {
    let _device = Device::new();
    let (sizes, strides, steps) = ([64u64, 16, 8], [1024u64, 65536], [1u32; 3]);
    for (interleave, swizzle) in (1..3).flat_map(|interleave| (0..4).map(move |swizzle| (interleave, swizzle))) {
        for (row, right) in [(8, true), (12, false), (64, true)] {
            let (mut map, boxes) = (CUtensorMap([0; 128]), [row, 4, 2]);
            let result = code!(cuTensorMapEncodeTiled(
                &mut map,
                1,
                3,
                0x1000 as *mut c_void,
                sizes.as_ptr(),
                strides.as_ptr(),
                boxes.as_ptr(),
                steps.as_ptr(),
                interleave,
                swizzle,
                0,
                0
            ));
            assert_eq!(result == CUresult::SUCCESS, right, "{interleave} {swizzle} {row}");
            assert!(right || result == INVALID && map.0 == [0; 128]);
        }
    }
}

/// M (H200, driver 580.159.04).
#[test]
fn an_allocation_of_nothing_is_no_node() {
    let device = Device::new();
    for capture in [false, true] {
        if capture {
            device.begin();
        }
        let mut address = 7;
        ok!(cuMemAllocAsync(&mut address, 0, device.stream));
        assert_eq!(address, 0);
        if capture {
            assert!(nodes(device.end()).is_empty());
        }
    }
    let mut address = 7;
    assert_eq!(code!(cuMemAlloc_v2(&mut address, 0)), INVALID);
}

/// M (H200, driver 580.159.04): 49,136 beside 16 static bytes, as much as its multiprocessor has left, until
/// a function opts in to more.
#[test]
fn available_shared_memory_stays_within_what_a_launch_may_have() {
    let _device = Device::new();
    let module =
        load(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry shared() { .shared .b8 own[16]; ret; }\n");
    let kernel = function(module, c"shared");
    let available = |blocks, threads| {
        let mut bytes = 0;
        ok!(cuOccupancyAvailableDynamicSMemPerBlock(&mut bytes, kernel, blocks, threads));
        bytes
    };
    assert_eq!(available(1, 32), 49_136);
    // A quarter of this device's 164 KiB, without what is reserved.
    assert_eq!(available(4, 128), 41 * 1024 - 1024 - 16);
    ok!(cuFuncSetAttribute(kernel, 8, 100_000));
    assert_eq!(available(1, 32), 100_000);
    ok!(cuModuleUnload(module));
}

#[test]
fn pools_without_a_model_say_so() {
    let _device = Device::new();
    let mut pool = CUmemoryPool::NULL;
    // Managed memory with and without a place, and the host's.
    for (location, kind) in [((0, 0), 2), ((1, 0), 2), ((2, 0), 1), ((3, 0), 1)] {
        let location = CUmemLocation { type_: location.0, id: location.1 };
        assert_eq!(code!(cuMemGetDefaultMemPool(&mut pool, &location, kind)), CUresult::NOT_SUPPORTED);
    }
    let nowhere = CUmemLocation { type_: 0, id: 0 };
    assert_eq!(code!(cuMemGetDefaultMemPool(&mut pool, &nowhere, 1)), INVALID);
}
