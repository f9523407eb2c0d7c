//! Boxes of tensors, against a reference that goes element by element.

use graphproof_exec::tensor_map::{TensorMap, Window};
use proptest::prelude::*;

use super::{bytes, text, wait};
use crate::common::{Memory, Shape, launch, program, runner};

/// What a case is made of.
#[derive(Debug, Clone)]
struct Case {
    map: TensorMap,
    corner: Vec<i32>,
    seed: u64,
}

impl Case {
    fn rank(&self) -> usize {
        usize::from(self.map.rank)
    }

    fn boxed(&self) -> Vec<u64> {
        let Window::Tiled(sizes) = self.map.window else { unreachable!() };
        (0..self.rank())
            .map(|n| u64::from(sizes[n].div_ceil(if n == 0 { 1 } else { self.map.element_strides[n].into() })))
            .collect()
    }

    /// Bytes that are moved.
    fn box_bytes(&self) -> usize {
        (self.boxed().iter().product::<u64>() * self.map.element_bytes()) as usize
    }

    /// Distance of rows in shared memory: a swizzled row takes its whole span.
    fn pitch(&self) -> usize {
        let row = self.boxed()[0] * self.map.element_bytes();
        [row as usize, 32, 64, 128][usize::from(self.map.swizzle)]
    }

    /// Bytes of shared memory.
    fn room(&self) -> usize {
        self.boxed()[1..].iter().product::<u64>() as usize * self.pitch()
    }

    fn tensor_bytes(&self) -> usize {
        let last = self.rank() - 1;
        let row = self.map.dimensions[0] * self.map.element_bytes();
        if last == 0 { row as usize } else { (self.map.strides[last - 1] * self.map.dimensions[last]) as usize }
    }

    /// Each element of the box: its byte in shared memory (from a base that is a multiple of 1,024), and in the tensor
    /// if it lies there.
    fn elements(&self) -> Vec<(usize, Option<usize>)> {
        let (extent, size) = (self.boxed(), self.map.element_bytes());
        let total: u64 = extent.iter().product();
        (0..total)
            .map(|n| {
                let (mut rest, mut at, mut inside) = (n, 0i64, true);
                for axis in 0..self.rank() {
                    let step = if axis == 0 { 1 } else { i64::from(self.map.element_strides[axis]) };
                    let place = i64::from(self.corner[axis]) + (rest % extent[axis]) as i64 * step;
                    rest /= extent[axis];
                    inside &= place >= 0 && place < self.map.dimensions[axis] as i64;
                    at += place * if axis == 0 { size as i64 } else { self.map.strides[axis - 1] as i64 };
                }
                let dense = n / extent[0] * self.pitch() as u64 + n % extent[0] * size;
                // Rows of 128 bytes, eight of which make a pattern: the piece of 16 bytes changes with the row.
                let (line, piece, byte) = (dense / 128, dense / 16 % 8, dense % 16);
                let piece = match self.map.swizzle {
                    0 => piece,
                    1 => piece ^ (line & 1),
                    2 => piece ^ (line & 3),
                    _ => piece ^ (line & 7),
                };
                ((line * 128 + piece * 16 + byte) as usize, inside.then_some(at as usize))
            })
            .collect()
    }

    fn values(&self, tensor: u64, others: &[u64]) -> Vec<u64> {
        let map = TensorMap { address: tensor, ..self.map }.encode();
        let words = map.chunks(8).map(|c| u64::from_le_bytes(c.try_into().expect("8 bytes")));
        words.chain(others.iter().copied()).collect()
    }

    /// Fills the tile from `in`, and stores or adds it to the tensor.
    fn store(&self, adds: bool) -> String {
        let form = if adds {
            format!("cp.reduce.async.bulk.tensor.{}d.global.shared::cta.add.tile.bulk_group", self.rank())
        } else {
            format!("cp.async.bulk.tensor.{}d.global.shared::cta.bulk_group", self.rank())
        };
        format!(
            "{HEAD}ld.param.u64 %d0, [in];\n{}fence.proxy.async.shared::cta;\nbar.sync 0;\n@%p1 bra END;\n\
             {form} [%d3, {{{}}}], [%r1];\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\nEND:",
            move_tile("IN", false),
            self.coordinates(),
        )
    }

    fn coordinates(&self) -> String {
        let numbers: Vec<String> = self.corner.iter().map(|n| n.to_string()).collect();
        numbers.join(", ")
    }
}

fn case() -> impl Strategy<Value = Case> {
    let types = prop::sample::select(vec![(0u8, 1u64), (1, 2), (2, 4), (4, 8), (6, 2), (7, 4), (9, 2)]);
    (1u8..6, types, 0u8..4, prop::array::uniform5(1u16..7), prop::array::uniform5(1u64..10), any::<u64>())
        .prop_flat_map(|(rank, (data_type, size), swizzle, boxes, dims, seed)| {
            let steps = prop::array::uniform5(prop_oneof![3 => Just(1u8), 1 => 2u8..4]);
            let corner = prop::collection::vec(-6i32..10, usize::from(rank));
            // The first coordinate is a multiple of 16 bytes.
            let corner = corner.prop_map(move |mut at| {
                at[0] = at[0] % 4 * 16 / size as i32;
                at
            });
            (steps, corner, 1u64..4).prop_map(move |(element_strides, corner, row)| {
                let span = if swizzle == 0 { 4 } else { 1 << swizzle };
                let mut sizes = boxes;
                sizes[0] = (row.min(span) * 16 / size) as u16;
                let mut dimensions = dims;
                dimensions[0] = dims[0] * 16 / size - u64::from(dims[0] > 1);
                let (mut strides, mut stride) = ([0; 4], (dimensions[0] * size).next_multiple_of(16));
                for n in 0..4 {
                    strides[n] = stride;
                    stride *= dimensions[n + 1];
                }
                let map = TensorMap {
                    data_type,
                    rank,
                    interleave: 0,
                    swizzle,
                    l2_promotion: 0,
                    fill: 0,
                    address: 0,
                    dimensions,
                    strides,
                    element_strides,
                    window: Window::Tiled(sizes),
                };
                Case { map, corner: corner.clone(), seed }
            })
        })
}

const PARAMETERS: &str = ".param .align 64 .b8 map[128], .param .u64 out, .param .u64 in, .param .u64 size";
const SHARED: &str = ".shared .align 1024 .b8 tile[65536];\n.shared .align 8 .b64 bar;";

/// All threads copy `%d4` bytes, word by word, between `tile` and the buffer at `%d0`.
fn move_tile(label: &str, store: bool) -> String {
    let step = if store {
        "ld.shared.u8 %h1, [%r5];\nst.global.u8 [%d5], %h1;"
    } else {
        "ld.global.u8 %h1, [%d5];\nst.shared.u8 [%r5], %h1;"
    };
    format!(
        "mov.u32 %r4, %r0;\n{label}:\nsetp.ge.u32 %p2, %r4, %r6;\n@%p2 bra {label}END;\nmov.u32 %r5, tile;\n\
         add.u32 %r5, %r5, %r4;\ncvt.u64.u32 %d5, %r4;\nadd.u64 %d5, %d5, %d0;\n{step}\nadd.u32 %r4, %r4, 128;\n\
         bra {label};\n{label}END:\n"
    )
}

const HEAD: &str = "mov.b64 %d3, map;\ncvta.param.u64 %d3, %d3;\nld.param.u64 %d0, [out];\nld.param.u64 %d4, [size];\n\
                    cvt.u32.u64 %r6, %d4;\nsetp.ne.u32 %p1, %r0, 0;\nmov.u32 %r1, tile;\nmov.u32 %r2, bar;\n";

#[test]
fn a_load_gives_the_box_swizzled_and_zeros_outside() {
    runner(150)
        .run(&case(), |case| {
            prop_assume!(case.room() <= 65536);
            let body = format!(
                "{HEAD}@%p1 bra READY;\nmbarrier.init.shared.b64 [%r2], 1;\n\
                 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], {size};\n\
                 cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r1], \
                 [%d3, {{{at}}}], [%r2];\nREADY:\nbar.sync 0;\n{}{}",
                wait("%r2", 0),
                move_tile("OUT", true),
                size = case.box_bytes(),
                rank = case.rank(),
                at = case.coordinates(),
            );
            let tensor = bytes(case.tensor_bytes(), case.seed);
            let mut memory = Memory::new();
            let out = memory.put(&vec![0x55; case.room()]);
            let input = memory.put(&tensor);
            let shape = Shape { block: [128, 1, 1], seed: case.seed, ..Shape::default() };
            let values = case.values(input, &[out, input, case.room() as u64]);
            let ran = launch(&program(&text(PARAMETERS, SHARED, &body)), shape, &memory, &values);
            prop_assert!(ran.is_ok(), "{:?}", ran.map_err(|fault| fault.to_string()));
            let found: Vec<u8> = memory.read_words(0).into_iter().flat_map(u32::to_le_bytes).collect();
            let size = case.map.element_bytes() as usize;
            let mut expected = found.clone();
            for (to, from) in case.elements() {
                for byte in 0..size {
                    expected[to + byte] = from.map_or(0, |from| tensor[from + byte]);
                }
            }
            prop_assert_eq!(found, expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_store_and_an_addition_change_the_box_and_nothing_else() {
    runner(150)
        .run(&(case(), any::<bool>()), |(mut case, adds)| {
            prop_assume!(case.room() <= 65536);
            case.corner.iter_mut().for_each(|place| *place = place.abs());
            let adds = adds && case.map.data_type == 2;
            let body = case.store(adds);
            let (old, tile) = (bytes(case.tensor_bytes(), case.seed), bytes(case.room(), case.seed ^ 1));
            let mut memory = Memory::new();
            let (out, input) = (memory.put(&old), memory.put(&tile));
            let shape = Shape { block: [128, 1, 1], seed: case.seed, ..Shape::default() };
            let values = case.values(out, &[out, input, case.room() as u64]);
            let ran = launch(&program(&text(PARAMETERS, SHARED, &body)), shape, &memory, &values);
            prop_assert!(ran.is_ok(), "{:?}", ran.map_err(|fault| fault.to_string()));
            let size = case.map.element_bytes() as usize;
            let mut expected = old.clone();
            for (from, to) in case.elements() {
                let Some(to) = to else { continue };
                let new = &tile[from..from + size];
                if adds {
                    let word = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("4 bytes"));
                    let sum = word(&expected[to..to + 4]).wrapping_add(word(new));
                    expected[to..to + 4].copy_from_slice(&sum.to_le_bytes());
                } else {
                    expected[to..to + size].copy_from_slice(new);
                }
            }
            let found: Vec<u8> = memory.read_doubles(0).into_iter().flat_map(u64::to_le_bytes).collect();
            prop_assert_eq!(&found[..old.len()], &expected[..]);
            Ok(())
        })
        .unwrap();
}

/// M (H200, driver 580.159.04): an illegal instruction, of a store that any coordinate of which is negative.
#[test]
fn a_store_below_the_tensor_is_told() {
    runner(30)
        .run(&(case(), any::<bool>()), |(case, adds)| {
            prop_assume!(case.room() <= 65536 && case.corner.iter().any(|place| *place < 0));
            let tensor = vec![0; case.tensor_bytes().max(case.room())];
            let mut memory = Memory::new();
            let out = memory.put(&tensor);
            let values = case.values(out, &[out, out, case.room() as u64]);
            let text = text(PARAMETERS, SHARED, &case.store(adds && case.map.data_type == 2));
            let shape = Shape { block: [128, 1, 1], seed: case.seed, ..Shape::default() };
            let fault = launch(&program(&text), shape, &memory, &values).expect_err("it is told").to_string();
            prop_assert!(fault.contains("a box to be stored begins at coordinate -"), "{}", fault);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_box_that_begins_within_16_bytes_is_told() {
    let map = TensorMap {
        data_type: 7,
        rank: 2,
        interleave: 0,
        swizzle: 0,
        l2_promotion: 0,
        fill: 0,
        address: 0,
        dimensions: [64, 4, 1, 1, 1],
        strides: [256, 0, 0, 0],
        element_strides: [1; 5],
        window: Window::Tiled([16, 2, 1, 1, 1]),
    };
    for (x, right) in [(-4, true), (-1, false), (3, false), (8, true)] {
        let case = Case { map, corner: vec![x, 0], seed: 0 };
        let body = format!(
            "{HEAD}@%p1 bra READY;\nmbarrier.init.shared.b64 [%r2], 1;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 128;\n\
             cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d3, {{{x}, 0}}], [%r2];\n\
             READY:\nbar.sync 0;\n{}",
            wait("%r2", 0)
        );
        let mut memory = Memory::new();
        let input = memory.put(&[0; 1024]);
        let values = case.values(input, &[input, input, 0]);
        let ran = launch(&program(&text(PARAMETERS, SHARED, &body)), Shape::default(), &memory, &values);
        assert_eq!(ran.is_ok(), right, "{x}");
        if let Err(fault) = ran {
            assert!(fault.to_string().contains("which is no multiple of 16 bytes"), "{fault}");
        }
    }
}

/// A map that a kernel makes field by field is the one that `cuTensorMapEncodeTiled` makes.
#[test]
fn fields_are_replaced_one_by_one() {
    runner(60)
        .run(&case(), |case| {
            let TensorMap { data_type, rank, swizzle, dimensions, strides, element_strides, window, .. } = case.map;
            let Window::Tiled(sizes) = window else { unreachable!() };
            // D (PTX ISA, tensormap.replace): the order of element types.
            let ty = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10][usize::from(data_type)];
            let field = |name: &str, rest: &str| {
                let b = if name.contains("address") || name.contains("stride") && name.contains("global") { 64 } else { 32 };
                format!("tensormap.replace.tile.{name}.shared::cta.b1024.b{b} [%r1], {rest};\n")
            };
            let mut body = String::from(
                "ld.param.u64 %d0, [out];\nmov.u32 %r1, tile;\nmad.lo.u32 %r2, %r0, 4, %r1;\nmov.u32 %r3, 0;\n\
                 st.shared.u32 [%r2], %r3;\nbar.warp.sync -1;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\n",
            );
            body += &format!("mov.b64 %d3, 0x70001000;\n{}", field("global_address", "%d3"));
            body += &field("rank", &(rank - 1).to_string());
            body += &field("elemtype", &ty.to_string());
            body += &field("swizzle_mode", &swizzle.to_string());
            body += &field("interleave_layout", "0");
            body += &field("fill_mode", "0");
            for n in 0..5 {
                body += &format!("mov.u32 %r4, {};\n{}", sizes[n], field("box_dim", &format!("{n}, %r4")));
                body += &format!("mov.u32 %r4, {};\n{}", dimensions[n], field("global_dim", &format!("{n}, %r4")));
                body += &format!("mov.u32 %r4, {};\n{}", element_strides[n], field("element_stride", &format!("{n}, %r4")));
                if n < 4 {
                    body += &format!("mov.b64 %d4, {};\n{}", strides[n], field("global_stride", &format!("{n}, %d4")));
                }
            }
            body += "READY:\nbar.warp.sync -1;\n\
                     tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%d0], [%r1], 128;";
            let text = text(".param .u64 out", ".shared .align 128 .b8 tile[128];", &body);
            let found = super::run(&text, Shape::default(), 32, &[]).expect("no fault");
            let found: Vec<u8> = found.into_iter().flat_map(u32::to_le_bytes).collect();
            let expected = TensorMap { address: 0x7000_1000, ..case.map }.encode();
            prop_assert_eq!(&found[..], &expected[..]);
            Ok(())
        })
        .unwrap();
}
