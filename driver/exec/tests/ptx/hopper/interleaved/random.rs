//! Against a reference that goes channel by channel.

use graphproof_exec::tensor_map::{TensorMap, Window};
use proptest::prelude::*;

use super::super::bytes;
use super::{Case, ROOM, Way};
use crate::common::runner;

impl Case {
    fn tensor(&self) -> Vec<u8> {
        let last = usize::from(self.map.rank) - 1;
        bytes((self.map.address + self.map.strides[last - 1] * self.map.dimensions[last]) as usize, self.seed)
    }

    fn tile(&self) -> Vec<u8> {
        bytes((self.box_bytes().next_multiple_of(128) + 128).min(ROOM), self.seed ^ 1)
    }

    /// Each element of the box: its byte in shared memory (from a base that is a multiple of 1,024), and in the tensor
    /// if it lies there. In NC/8DHWC8 (the channels in slices of 8, or as many as 16 or 32 bytes are) element `c` of the
    /// pixel `w`, `h`, `d` of a slice of image `n` is at `n * N + slice * C + d * D + h * H + w * pixel + c`.
    fn elements(&self) -> Vec<(usize, Option<usize>)> {
        let TensorMap { dimensions, strides, swizzle, .. } = self.map;
        let (size, slices) = (self.map.element_bytes() as usize, self.slices());
        let stride = |n: usize| if n == 0 { self.pixel() as i64 } else { strides[n - 1] as i64 };
        let axis = |n: usize| (self.places(n), 0..dimensions[n] as i64, stride(n));
        // A tensor of fewer dimensions is one pixel high and deep.
        let spatial = |n: usize| if n < slices { axis(n) } else { (vec![0], 0..1, 0) };
        let axes = [axis(slices + 1), axis(slices), spatial(2), spatial(1), spatial(0)];
        let mut pixels = vec![Some(0)];
        for (places, inside, stride) in axes {
            let step =
                |at: Option<i64>, place: i64| at.filter(|_| inside.contains(&place)).map(|at| at + place * stride);
            pixels = pixels.iter().flat_map(|&at| places.iter().map(move |&place| step(at, place))).collect();
        }
        let channels = self.pixel() / size;
        let elements = pixels.iter().flat_map(|&at| (0..channels).map(move |c| at.map(|at| at as usize + c * size)));
        let place = |n: usize| {
            let (line, piece, byte) = (n * size / 128, n * size / 16 % 8, n * size % 16);
            line * 128 + (piece ^ line & [0, 1, 3, 7][usize::from(swizzle)]) * 16 + byte
        };
        elements.enumerate().map(|(n, from)| (place(n), from)).collect()
    }
}

fn case() -> impl Strategy<Value = Case> {
    let types = prop::sample::select(vec![(0u8, 1u16), (1, 2), (2, 4), (4, 8), (6, 2), (7, 4), (9, 2)]);
    let steps = prop::array::uniform5(prop_oneof![3 => Just(1u8), 1 => 2u8..5]);
    let windows = (1u16..3, prop::array::uniform4(1u16..4), 1u16..257);
    let tensor = (prop::array::uniform5(1u64..10), prop::array::uniform5(0u64..3));
    let corner = prop::array::uniform5(-4i32..9);
    (3u8..6, 1u8..3, 0u8..4, types, steps, windows, tensor, corner, any::<u64>()).prop_map(
        |(rank, interleave, swizzle, (data_type, size), element_strides, windows, (dimensions, gaps), corner, seed)| {
            let (row, others, ignored) = windows;
            let (pixel, slices) = (16 * u64::from(interleave), usize::from(rank) - 2);
            let mut sizes = [row * 16 / size, others[0], others[1], others[2], others[3]];
            sizes[slices] = ignored;
            let mut strides = [0; 4];
            let mut stride = pixel;
            for n in 0..4 {
                stride = stride * dimensions[n] + gaps[n] * pixel;
                strides[n] = stride;
            }
            let map = TensorMap {
                data_type,
                rank,
                interleave,
                swizzle,
                l2_promotion: 0,
                fill: u8::from(data_type > 5 && seed % 2 == 0),
                address: gaps[4] * pixel,
                dimensions,
                strides,
                element_strides,
                window: Window::Tiled(sizes),
            };
            Case { map, corner: corner[..rank.into()].to_vec(), seed }
        },
    )
}

#[test]
fn a_load_gives_the_pixels_of_a_slice_swizzled_and_filled() {
    let fill = [[0; 4], [0xf7, 0x7f, 0xf7, 0x7f]];
    runner(120)
        .run(&(case(), any::<bool>()), |(case, made)| {
            prop_assume!(case.box_bytes() <= ROOM);
            let (tensor, tile, size) = (case.tensor(), case.tile(), case.map.element_bytes() as usize);
            let mut expected = tile.clone();
            for (to, from) in case.elements() {
                for byte in 0..size {
                    let outside = fill[usize::from(case.map.fill)][(to + byte) % 4];
                    let address = case.map.address as usize;
                    expected[to + byte] = from.map_or(outside, |from| tensor[address + from + byte]);
                }
            }
            let ran = case.run(Way::Load, made, &tile, &[(0, tensor)]);
            prop_assert!(ran.is_ok(), "{:?}", ran.map_err(|fault| fault.to_string()));
            prop_assert_eq!(ran.expect("it ran").0, expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_store_and_an_addition_change_the_pixels_of_a_slice_and_nothing_else() {
    runner(120)
        .run(&(case(), any::<bool>()), |(mut case, adds)| {
            prop_assume!(case.box_bytes() <= ROOM);
            // M (H200, driver 580.159.04): below the tensor a store is an illegal instruction.
            case.corner.iter_mut().for_each(|place| *place = place.abs());
            let way = if adds && case.map.data_type == 2 { Way::Add } else { Way::Store };
            let (tensor, tile, size) = (case.tensor(), case.tile(), case.map.element_bytes() as usize);
            let mut expected = tensor.clone();
            for (from, to) in case.elements() {
                let Some(to) = to.map(|to| case.map.address as usize + to) else { continue };
                let new = &tile[from..from + size];
                if way == Way::Add {
                    let word = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("4 bytes"));
                    let sum = word(&expected[to..to + 4]).wrapping_add(word(new));
                    expected[to..to + 4].copy_from_slice(&sum.to_le_bytes());
                } else {
                    expected[to..to + size].copy_from_slice(new);
                }
            }
            let ran = case.run(way, false, &tile, &[(0, tensor)]);
            prop_assert!(ran.is_ok(), "{:?}", ran.map_err(|fault| fault.to_string()));
            let (there, stored) = ran.expect("it ran");
            prop_assert_eq!(&stored[0], &expected);
            prop_assert_eq!(there, tile);
            Ok(())
        })
        .unwrap();
}
