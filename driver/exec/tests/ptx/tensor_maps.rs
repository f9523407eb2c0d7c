//! Tensor maps: encoded, decoded, and refused as CUDA refuses them.

use graphproof_exec::tensor_map::*;
use proptest::prelude::*;

fn map() -> TensorMap {
    TensorMap {
        data_type: 9,
        rank: 2,
        interleave: 0,
        swizzle: 3,
        l2_promotion: 2,
        fill: 1,
        address: 0x7000_0000_1000,
        dimensions: [4096, 1 << 32, 1, 1, 1],
        strides: [8192, 0, 0, 0],
        element_strides: [1; 5],
        window: Window::Tiled([64, 128, 1, 1, 1]),
    }
}

proptest! {
    #[test]
    fn a_valid_map_comes_back_as_it_was(
        rank in 1..6u8, data_type in 0..13u8, address: u64, dimensions: [u32; 5], strides: [u32; 4],
        box_rest in prop::array::uniform4(1..257u16), element_strides in prop::array::uniform5(1..9u8),
        im2col: bool, corners: [i8; 6],
    ) {
        let window = if im2col && rank >= 3 {
            let edge = |at: usize| i16::from(corners[at] >> 4);
            let (lower, upper) = ([edge(0), edge(1), edge(2)], [edge(3), edge(4), edge(5)]);
            Window::Im2col { channels: 64, pixels: 1024, lower, upper }
        } else {
            Window::Tiled([64, box_rest[0], box_rest[1], box_rest[2], box_rest[3]])
        };
        let given = TensorMap {
            data_type, rank, swizzle: 0, fill: 0, element_strides, window,
            address: address & !15,
            dimensions: dimensions.map(|size| u64::from(size) + 1),
            strides: strides.map(|stride| u64::from(stride) << 4),
            ..map()
        };
        prop_assert_eq!(given.check(), Ok(()));
        prop_assert_eq!(TensorMap::decode(&given.encode()), Ok(given));
    }
}

#[test]
fn what_cuda_forbids_is_refused() {
    assert_eq!(map().check(), Ok(()));
    let tiled = |first| Window::Tiled([first, 128, 1, 1, 1]);
    let cases = [
        ("rank", TensorMap { rank: 0, ..map() }),
        ("rank", TensorMap { rank: 6, ..map() }),
        ("interleaved rank", TensorMap { interleave: 1, ..map() }),
        ("address", TensorMap { address: 8, ..map() }),
        ("dimension", TensorMap { dimensions: [0; 5], ..map() }),
        ("dimension", TensorMap { dimensions: [(1 << 32) + 1; 5], ..map() }),
        ("stride", TensorMap { strides: [8; 4], ..map() }),
        ("stride", TensorMap { strides: [1 << 40; 4], ..map() }),
        ("element stride", TensorMap { element_strides: [9; 5], ..map() }),
        ("row of 8 bytes", TensorMap { window: tiled(4), ..map() }),
        ("interleaved row of 24 bytes", TensorMap { interleave: 1, rank: 3, window: tiled(12), ..map() }),
        ("interleaved stride", TensorMap { interleave: 2, rank: 3, strides: [16; 4], ..map() }),
        ("row beyond the swizzle", TensorMap { window: tiled(72), ..map() }),
        ("box", TensorMap { window: Window::Tiled([64, 257, 1, 1, 1]), ..map() }),
        ("fill of integers", TensorMap { data_type: 2, ..map() }),
        ("data type", TensorMap { data_type: 16, ..map() }),
    ];
    for (what, case) in cases {
        assert!(case.check().is_err_and(|refusal| !refusal.unsupported), "{what}");
    }
    assert!(TensorMap { data_type: 13, ..map() }.check().is_err_and(|refusal| refusal.unsupported));
    assert!(TensorMap::decode(&[0; BYTES]).is_err());
}

/// M (H200, driver 580.159.04): whatever the swizzle, and rows that are longer than its span.
#[test]
fn an_interleaved_map_is_taken_with_every_swizzle() {
    for (interleave, swizzle, first) in (1..3).flat_map(|i| (0..4).flat_map(move |s| [8, 64, 256].map(|f| (i, s, f)))) {
        let window = Window::Tiled([first, 128, 1, 1, 1]);
        let given = TensorMap { rank: 3, interleave, swizzle, window, ..map() };
        assert_eq!(TensorMap::decode(&given.encode()), Ok(given));
    }
}
