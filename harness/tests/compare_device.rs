//! The comparison on the device says what the comparison on the host says: the same differences,
//! the same digests.

mod common;

use graphproof_harness::compare::compare;
use graphproof_harness::compare::device::{Comparer, Found, Images};
use graphproof_harness::cuda::{DeviceMemory, Guard, MemoryPool, PinnedMemory, Stream};
use graphproof_harness::digest;
use graphproof_harness::step::{Agreement, BufferSpec, DType, Valid};

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        digest::mix(self.0, self.0 >> 7)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

struct Device {
    stream: Stream,
    pool: MemoryPool,
}

impl Device {
    fn put(&self, bytes: &[u8]) -> DeviceMemory {
        let mut staging = PinnedMemory::new(bytes.len()).expect("pinned memory");
        staging.bytes_mut().copy_from_slice(bytes);
        let memory = self.pool.allocate(bytes.len(), Guard::NONE, &self.stream).expect("device memory");
        memory.upload(&staging, &self.stream).and_then(|()| self.stream.synchronize()).expect("an upload");
        memory
    }
}

fn with_device(test: impl FnOnce(&Device, &mut dyn FnMut(&[u64]) -> Comparer)) {
    let _turn = common::turn();
    let session = common::session();
    let stream = Stream::blocking().expect("a stream");
    let device = Device { stream, pool: MemoryPool::new(session.device()).expect("a pool") };
    test(&device, &mut |sizes| Comparer::new(&session, &device.stream, sizes).expect("the kernels load"));
}

/// What the host says of two images.
fn on_host(spec: &BufferSpec, left: &[u8], right: &[u8], lengths: Option<&[i32]>) -> Found {
    let difference = compare(spec, left, right, lengths);
    Found {
        count: difference.as_ref().map_or(0, |difference| difference.count as u64),
        first: difference.as_ref().map(|difference| difference.index as u64),
        digest: digest::of_image(spec, left, lengths),
    }
}

#[test]
fn device_and_host_find_the_same_under_every_contract_and_element_size() {
    let dtypes = [DType::U8, DType::Bf16, DType::F32, DType::I32, DType::U64];
    let mut numbers = Numbers(1);
    let mut cases = Vec::new();
    for dtype in dtypes {
        // Rows shorter than a word, odd ones, and more than one block.
        for (rows, row) in [(1, 1), (1, 7), (3, 1), (5, 3), (13, 9), (4, 64), (1, 1023), (9, 1025), (2, 40_000)] {
            for prefix in [false, true] {
                for differing in [0, 1, 5] {
                    let valid = if prefix { Valid::RowPrefix { lengths: "n".into() } } else { Valid::All };
                    let spec = BufferSpec::output("o", dtype, [rows, row]).contract(Agreement::Bits, valid);
                    let left: Vec<u8> = (0..rows * row * dtype.size()).map(|_| numbers.next() as u8).collect();
                    let mut right = left.clone();
                    for _ in 0..differing {
                        let at = numbers.below(right.len());
                        right[at] ^= 1 << numbers.below(8);
                    }
                    let lengths: Vec<i32> = (0..rows).map(|_| numbers.below(row + 3) as i32 - 1).collect();
                    cases.push((spec, left, right, prefix.then_some(lengths)));
                }
            }
        }
    }
    with_device(|device, comparer| {
        let sizes: Vec<u64> = cases.iter().map(|(_, left, ..)| left.len() as u64).collect();
        let mut comparer = comparer(&sizes);
        let memory: Vec<_> = cases
            .iter()
            .map(|(_, left, right, lengths)| {
                let lengths = lengths.as_ref().map(|lengths| device.put(bytemuck::cast_slice(lengths)));
                (device.put(left), device.put(right), lengths)
            })
            .collect();
        let images: Vec<Images> = cases
            .iter()
            .zip(&memory)
            .map(|((spec, left, ..), (reference, other, lengths))| Images {
                reference: reference.address(),
                other: Some(other.address()),
                lengths: lengths.as_ref().map(DeviceMemory::address),
                bytes: left.len() as u64,
                row_bytes: (spec.shape[1] * spec.dtype.size()) as u64,
                element: spec.dtype.size() as u32,
            })
            .collect();
        // Twice: what the first run left in the table must not count in the second.
        for _ in 0..2 {
            let (found, _) = comparer.run(&images, &[], Guard::NONE, &device.stream).expect("the kernels run");
            for ((spec, left, right, lengths), found) in cases.iter().zip(found) {
                assert_eq!(found, on_host(spec, left, right, lengths.as_deref()), "{spec:?} {lengths:?}");
            }
        }
    });
}

#[test]
fn without_a_second_image_the_digest_alone_comes_back() {
    with_device(|device, comparer| {
        let bytes: Vec<u8> = (0..1001).map(|i| (i * 7) as u8).collect();
        let memory = device.put(&bytes);
        let images = Images {
            reference: memory.address(),
            other: None,
            lengths: None,
            bytes: 1001,
            row_bytes: 1001,
            element: 1,
        };
        let (found, _) = comparer(&[1001]).run(&[images], &[], Guard::NONE, &device.stream).expect("the kernel runs");
        assert_eq!(found, [Found { count: 0, first: None, digest: digest::of_bytes(&bytes) }]);
    });
}

#[test]
fn a_byte_written_into_a_guard_is_found_before_and_behind() {
    with_device(|device, comparer| {
        let mut comparer = comparer(&[100, 100, 100]);
        let guard = Guard { bytes: 512, value: 0xC3 };
        let guarded: Vec<_> =
            (0..3).map(|_| device.pool.allocate(100, guard, &device.stream).expect("memory")).collect();
        let ranges: Vec<(u64, u64)> = guarded.iter().map(|memory| (memory.guard_address(), 100)).collect();
        let (_, broken) = comparer.run(&[], &ranges, guard, &device.stream).expect("the kernel runs");
        assert_eq!(broken, [None, None, None]);
        for (address, at) in [(guarded[0].guard_address() + 511, 511), (guarded[2].address() + 100, 512)] {
            // SAFETY: one byte inside a guard, which belongs to the allocation.
            let written = unsafe { cudarc::driver::sys::cuMemsetD8_v2(address, 1, 1) };
            assert_eq!(written, cudarc::driver::sys::CUresult::CUDA_SUCCESS, "{at}");
        }
        let (_, broken) = comparer.run(&[], &ranges, guard, &device.stream).expect("the kernel runs");
        assert_eq!(broken, [Some(511), None, Some(512)]);
    });
}
