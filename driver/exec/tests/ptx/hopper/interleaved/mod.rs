//! Boxes of interleaved tensors.

mod h200;
mod random;

use graphproof_exec::Fault;
use graphproof_exec::tensor_map::{TensorMap, Window};

use super::{text, wait};
use crate::common::{Memory, Shape, launch, program};

/// Bytes of the box's shared memory.
const ROOM: usize = 49_152;
/// Where the tensor lies.
const TENSOR: u64 = 0x8_0000_0000;

/// A box of a tensor.
#[derive(Debug, Clone)]
struct Case {
    map: TensorMap,
    corner: Vec<i32>,
    seed: u64,
}

/// What a case does with its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Load,
    Store,
    Add,
}

impl Case {
    /// Bytes of the channels of a pixel.
    fn pixel(&self) -> usize {
        16 * usize::from(self.map.interleave)
    }

    /// The dimension of the slices of channels.
    fn slices(&self) -> usize {
        usize::from(self.map.rank) - 2
    }

    /// Coordinates that the box takes of a dimension.
    fn places(&self, axis: usize) -> Vec<i64> {
        let Window::Tiled(sizes) = self.map.window else { unreachable!() };
        let from = i64::from(self.corner[axis]);
        let taken = if axis == self.slices() { 1 } else { i64::from(sizes[axis]) };
        (from..from + taken).step_by(self.map.element_strides[axis].into()).collect()
    }

    /// Bytes that are moved.
    fn box_bytes(&self) -> usize {
        (0..self.corner.len()).map(|axis| self.places(axis).len()).product::<usize>() * self.pixel()
    }

    fn kernel(&self, way: Way, made: bool) -> String {
        let rank = self.corner.len();
        let at = self.corner.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let copy = match way {
            Way::Load => format!(
                "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], {};\n\
                 cp.async.bulk.prefetch.tensor.{rank}d.L2.global.tile [%d3, {{{at}}}];\n\
                 cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r1], \
                 [%d3, {{{at}}}], [%r2];\n{}",
                self.box_bytes(),
                wait("%r2", 0)
            ),
            Way::Store | Way::Add => {
                let form = if way == Way::Add { "reduce.async.bulk" } else { "async.bulk" };
                let add = if way == Way::Add { ".add" } else { "" };
                format!(
                    "cp.{form}.tensor.{rank}d.global.shared::cta{add}.tile.bulk_group [%d3, {{{at}}}], [%r1];\n\
                     cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n"
                )
            }
        };
        // The map of a kernel that makes it lies in global memory.
        let map = if made {
            format!(
                "ld.param.u64 %d3, [made];\n@%p1 bra BEFORE;\n\
                 tensormap.replace.tile.interleave_layout.global.b1024.b32 [%d3], {};\n\
                 fence.proxy.tensormap::generic.acquire.gpu [%d3], 128;\nBEFORE:\n",
                self.map.interleave
            )
        } else {
            String::from("mov.b64 %d3, map;\ncvta.param.u64 %d3, %d3;\n")
        };
        let each = |label: &str, step: &str| {
            format!(
                "mov.u32 %r4, %r7;\n{label}:\nsetp.ge.u32 %p2, %r4, %r6;\n@%p2 bra {label}END;\nadd.u32 %r5, %r4, %r1;\n\
                 cvt.u64.u32 %d5, %r4;\nadd.u64 %d5, %d5, %d0;\n{step}\nadd.u32 %r4, %r4, 2048;\nbra {label};\n{label}END:\n"
            )
        };
        let body = format!(
            "ld.param.u64 %d0, [tile];\nld.param.u64 %d4, [size];\ncvt.u32.u64 %r6, %d4;\nshl.b32 %r7, %r0, 4;\n\
             setp.ne.u32 %p1, %r0, 0;\nmov.u32 %r1, room;\nmov.u32 %r2, bar;\n{map}{}\
             @%p1 bra INIT;\nmbarrier.init.shared.b64 [%r2], 1;\nINIT:\nfence.proxy.async.shared::cta;\nbar.sync 0;\n\
             @%p1 bra READY;\n{copy}READY:\nbar.sync 0;\n{}",
            each(
                "IN",
                "ld.global.v4.u32 {%r10,%r11,%r12,%r13}, [%d5];\nst.shared.v4.u32 [%r5], {%r10,%r11,%r12,%r13};"
            ),
            each(
                "OUT",
                "ld.shared.v4.u32 {%r10,%r11,%r12,%r13}, [%r5];\nst.global.v4.u32 [%d5], {%r10,%r11,%r12,%r13};"
            ),
        );
        let parameters = ".param .align 64 .b8 map[128], .param .u64 tile, .param .u64 size, .param .u64 made";
        text(parameters, &format!(".shared .align 1024 .b8 room[{ROOM}];\n.shared .align 8 .b64 bar;"), &body)
    }

    /// Carries the case out with `tile` in shared memory: what is there afterwards, and in the parts of the tensor, which
    /// are given with the bytes at which they begin. `made`: the kernel itself makes the map an interleaved one.
    fn run(
        &self,
        way: Way,
        made: bool,
        tile: &[u8],
        tensor: &[(u64, Vec<u8>)],
    ) -> Result<(Vec<u8>, Vec<Vec<u8>>), Fault> {
        let mut memory = Memory::new();
        let map = TensorMap { address: TENSOR + self.map.address, ..self.map };
        let given = memory.put(tile);
        let plain = memory.put(&TensorMap { interleave: 0, ..map }.encode());
        tensor.iter().for_each(|(at, bytes)| memory.put_at(TENSOR + at, bytes));
        let words = map.encode();
        let words = words.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
        let values: Vec<u64> = words.chain([given, tile.len() as u64, plain]).collect();
        let shape = Shape { block: [128, 1, 1], seed: self.seed, ..Shape::default() };
        launch(&program(&self.kernel(way, made)), shape, &memory, &values)?;
        let found = |n| memory.read_words(n).into_iter().flat_map(u32::to_le_bytes).collect();
        Ok((found(0), (0..tensor.len()).map(|n| found(n + 2)).collect()))
    }
}
