//! What a launch is said to touch is what its instructions address: every form, lane and byte.

use std::sync::atomic::AtomicBool;

use graphproof_exec::tensor_map::{TensorMap, Window};
use graphproof_exec::texture::{Addressing, Channel, Sampler, Texture};
use graphproof_exec::{Access, Footprint, Launch, LaunchConfig, MemoryMap, MemoryRange, Pool, Span, run};

use crate::common::program;

const LEN: usize = 4096;

/// Runs `body` with a block of 32 threads; `%rd1` and `%rd2` hold the addresses of two buffers, `%r0` the
/// thread. Gives what was touched, as offsets: the second buffer begins at 4096, where the texture object 1 and the
/// surface object 2 name eight words in each of four rows.
fn touched(body: &str, grid: u32) -> Vec<Span> {
    touched_with(None, body, grid)
}

/// The same where the parameter `map` is a tensor map; its address counts from the first buffer.
fn touched_with(map: Option<TensorMap>, body: &str, grid: u32) -> Vec<Span> {
    let declared = if map.is_some() { ", .param .align 64 .b8 map[128]" } else { "" };
    let text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 a, .param .u64 b{declared})\n{{\n\
         .reg .pred %p<4>;\n.reg .b16 %rs<4>;\n.reg .b32 %r<16>;\n.reg .f32 %f<8>;\n.reg .b64 %rd<16>;\n\
         .shared .align 128 .b8 tile[512];\n.shared .align 8 .b64 bar;\nmov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\n\
         ld.param.u64 %rd1, [a];\nld.param.u64 %rd2, [b];\nmul.wide.u32 %rd3, %r0, 4;\nadd.s64 %rd4, %rd1, %rd3;\n\
         mul.wide.u32 %rd5, %r0, 16;\nadd.s64 %rd6, %rd1, %rd5;\n{body}\nret;\n}}\n"
    );
    let program = program(&text);
    let mut memory = vec![0u64; 2 * LEN / 8];
    let base = memory.as_mut_ptr().cast::<u8>();
    // Two allocations with a gap of addresses between them.
    let starts = [1u64 << 40, (1 << 40) + 2 * LEN as u64];
    let ranges = [0, 1].map(|n| MemoryRange { base: starts[n], len: LEN as u64, host: base.wrapping_add(n * LEN) });
    let mapped = MemoryMap { ranges: ranges.into() };
    let footprint = Footprint::of(&mapped);
    let textures = [1, 2].map(|handle| object(handle, base.wrapping_add(LEN), starts[1]));
    let mut parameters: Vec<u8> = starts.iter().flat_map(|address| address.to_le_bytes()).collect();
    if let Some(map) = map {
        parameters.resize(64, 0);
        parameters.extend(TensorMap { address: starts[0] + map.address, ..map }.encode());
    }
    let launch = Launch {
        kernel: program.entries[0].kernel().expect("an executed kernel"),
        config: LaunchConfig { grid: [grid, 1, 1], block: [32, 1, 1], dynamic_shared_bytes: 0 },
        parameters: &parameters,
        globals: &[],
        memory: &mapped,
        textures: &textures,
        order_seed: 7,
        resident: u64::MAX,
        stack_bytes: 0,
        cancel: &AtomicBool::new(false),
        footprint: Some(&footprint),
        cluster: [1; 3],
    };
    run(&launch, &Pool::new(2)).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    let offset = |address: u64| if address < starts[1] { address - starts[0] } else { address - starts[1] + 4096 };
    footprint.spans().into_iter().map(|span| Span { address: offset(span.address), ..span }).collect()
}

fn object(handle: u64, host: *mut u8, address: u64) -> Texture {
    let sampler = Sampler {
        addressing: [Addressing::Clamp, Addressing::Border, Addressing::Clamp],
        linear: true,
        normalised: false,
        as_float: false,
        border: [0.0; 4],
    };
    Texture {
        handle,
        host,
        address,
        linear: false,
        extents: [8, 4, 0],
        layered: false,
        pitch: [32, 128],
        channel: Channel::F32,
        channels: 1,
        sampler: (handle == 1).then_some(sampler),
    }
}

fn span(access: Access, address: u64, len: u64) -> Span {
    Span { address, len, access }
}

use Access::{Atomic, Read, Write};

/// Loads of one address for the whole warp, which are executed together where nobody asks.
#[test]
fn each_of_several_loads_of_the_warp_is_noted() {
    let loads: String = (0..8)
        .map(|n| {
            let at = 64 * n;
            format!("ld.global.v4.f32 {{%f0, %f1, %f2, %f3}}, [%rd1+{at}];\n")
        })
        .collect();
    // The second time, each finds the memory where it was the first time.
    let body = format!(
        "AGAIN:\n{loads}add.u64 %rd1, %rd1, 1024;\nsetp.lt.u64 %p0, %rd1, %rd10;\nmov.u64 %rd10, 0;\n@%p0 bra AGAIN;"
    );
    let body = format!("add.u64 %rd10, %rd1, 4096;\n{body}");
    let expected: Vec<(u64, u64)> = (0..16).map(|n| (64 * (n % 8) + 1024 * (n / 8), 16)).collect();
    let found: Vec<(u64, u64)> = touched(&body, 1).iter().map(|span| (span.address, span.len)).collect();
    assert_eq!(found, expected);
}

#[test]
fn loads_and_stores_of_every_width_touch_their_bytes() {
    assert_eq!(touched("ld.global.u32 %r2, [%rd4];", 1), [span(Read, 0, 128)]);
    assert_eq!(touched("st.global.u8 [%rd4+2], %r0;", 1).len(), 32);
    assert_eq!(touched("st.global.v4.u32 [%rd6], {%r0,%r0,%r0,%r0};", 1), [span(Write, 0, 512)]);
    assert_eq!(
        touched("st.u32 [%rd4+8], %r0; ld.v2.u32 {%r2,%r3}, [%rd1+1024];", 1),
        [span(Read, 1024, 8), span(Write, 8, 128)]
    );
    assert_eq!(touched("st.global.u64 [%rd2+64], %rd1;", 1), [span(Write, 4096 + 64, 8)]);
}

#[test]
fn only_active_lanes_and_taken_branches_touch() {
    let body = "setp.lt.u32 %p1, %r0, 5;\n@%p1 st.global.u32 [%rd4], %r0;\n@!%p1 bra DONE;\nld.global.u32 %r2, [%rd4+256];\nDONE:";
    assert_eq!(touched(body, 1), [span(Read, 256, 20), span(Write, 0, 20)]);
}

#[test]
fn every_block_counts() {
    let body = "mul.wide.u32 %rd7, %r1, 256;\nadd.s64 %rd7, %rd7, %rd4;\nst.global.f32 [%rd7], %f1;";
    let expected: Vec<Span> = (0..8).map(|block| span(Write, block * 256, 128)).collect();
    assert_eq!(touched(body, 8), expected);
}

#[test]
fn atomic_and_strong_accesses_are_told_apart() {
    assert_eq!(touched("red.global.add.u32 [%rd1+16], 1;", 1), [span(Atomic, 16, 4)]);
    assert_eq!(touched("atom.add.u32 %r2, [%rd4], 1;", 1), [span(Atomic, 0, 128)]);
    assert_eq!(
        touched("ld.volatile.global.u32 %r2, [%rd1]; st.release.gpu.global.u32 [%rd1+4], %r0;", 1),
        [span(Atomic, 0, 8)]
    );
    assert_eq!(
        touched("setp.eq.u32 %p1, %r0, 0;\n@%p1 atom.global.cas.b32 %r2, [%rd1], 0, 1;", 1),
        [span(Atomic, 0, 4)]
    );
}

#[test]
fn shared_memory_and_parameters_are_nobody_else_s() {
    let body = "mov.u32 %r5, tile;\nst.shared.u32 [%r5], %r0;\ncvta.shared.u64 %rd8, %rd9;\nmov.u64 %rd9, tile;\n\
                cvta.shared.u64 %rd8, %rd9;\nst.u32 [%rd8+4], %r0;\natom.u32.add %r6, [%rd8+8], 1;";
    let body = body.replace("atom.u32.add", "atom.add.u32");
    assert_eq!(touched(&body, 1), []);
}

#[test]
fn asynchronous_copies_read_their_source() {
    let body = "mov.u32 %r5, tile;\nshl.b32 %r6, %r0, 4;\nadd.u32 %r5, %r5, %r6;\n\
                cp.async.cg.shared.global [%r5], [%rd6], 16;\ncp.async.wait_all;";
    assert_eq!(touched(body, 1), [span(Read, 0, 512)]);
}

/// Thread 0 carries `body` out, with the barrier at `%r7`, the tile at `%r5` and the map at `%rd9`, and waits for it.
fn bulk(map: Option<TensorMap>, body: &str) -> Vec<Span> {
    let address = if map.is_some() { "mov.b64 %rd9, map;\ncvta.param.u64 %rd9, %rd9;\n" } else { "" };
    let body = format!(
        "mov.u32 %r5, tile;\nmov.u32 %r7, bar;\n{address}setp.ne.u32 %p1, %r0, 0;\n@%p1 bra END;\n\
         mbarrier.init.shared.b64 [%r7], 1;\nfence.proxy.async.shared::cta;\n{body}\nEND:"
    );
    touched_with(map, &body, 1)
}

/// A load of `bytes` bytes, with its wait.
fn load(copy: &str, bytes: u32) -> String {
    format!(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r7], {bytes};\n{copy}, [%r7];\nWAIT:\n\
         mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r7], 0;\n@!%p2 bra WAIT;"
    )
}

const GROUP: &str = "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;";

#[test]
fn bulk_copies_touch_what_they_move() {
    let copy = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5], [%rd1+128], 96";
    assert_eq!(bulk(None, &load(copy, 96)), [span(Read, 128, 96)]);
    let store = format!("cp.async.bulk.global.shared::cta.bulk_group [%rd2+16], [%r5], 64;\n{GROUP}");
    assert_eq!(bulk(None, &store), [span(Write, 4096 + 16, 64)]);
    let add = format!("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd1+32], [%r5], 48;\n{GROUP}");
    assert_eq!(bulk(None, &add), [span(Atomic, 32, 48)]);
    assert_eq!(bulk(None, "cp.async.bulk.prefetch.L2.global [%rd1], 64;"), []);
}

#[test]
fn boxes_of_tensors_touch_the_elements_that_lie_in_the_tensor() {
    // 12 × 6 words, rows 64 bytes apart, from byte 256 on; boxes of 8 × 4.
    let map = TensorMap {
        data_type: 2,
        rank: 2,
        interleave: 0,
        swizzle: 1,
        l2_promotion: 0,
        fill: 0,
        address: 256,
        dimensions: [12, 6, 1, 1, 1],
        strides: [64, 0, 0, 0],
        element_strides: [1; 5],
        window: Window::Tiled([8, 4, 1, 1, 1]),
    };
    let rows = |access, rows: std::ops::Range<u64>, from: u64, len: u64| {
        rows.map(|row| span(access, 256 + row * 64 + from, len)).collect::<Vec<_>>()
    };
    let form = "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r5]";
    assert_eq!(bulk(Some(map), &load(&format!("{form}, [%rd9, {{4, 1}}]"), 128)), rows(Read, 1..5, 16, 32));
    // Of a box that leaves the tensor to the right and below there are four columns and two rows.
    assert_eq!(bulk(Some(map), &load(&format!("{form}, [%rd9, {{8, 4}}]"), 128)), rows(Read, 4..6, 32, 16));
    let store = format!("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%rd9, {{8, 4}}], [%r5];\n{GROUP}");
    assert_eq!(bulk(Some(map), &store), rows(Write, 4..6, 32, 16));
    let add =
        format!("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%rd9, {{0, 3}}], [%r5];\n{GROUP}");
    assert_eq!(bulk(Some(map), &add), rows(Atomic, 3..6, 0, 32));
}

#[test]
fn boxes_of_interleaved_tensors_touch_the_pixels_of_one_slice() {
    // 12 × 4 × 2 pixels of 16 bytes, in rows 256 bytes apart, slices 1,024 and images 2,048.
    let map = TensorMap {
        data_type: 2,
        rank: 4,
        interleave: 1,
        swizzle: 3,
        l2_promotion: 0,
        fill: 0,
        address: 0,
        dimensions: [12, 4, 2, 2, 1],
        strides: [256, 1024, 2048, 0],
        element_strides: [2, 1, 1, 1, 1],
        window: Window::Tiled([8, 2, 2, 1, 1]),
    };
    let pixels = |access, rows: std::ops::Range<u64>, columns: &[u64]| {
        let pixel = |row: u64, column: &u64| span(access, 2048 + 1024 + row * 256 + column * 16, 16);
        rows.flat_map(|row| columns.iter().map(move |column| pixel(row, column))).collect::<Vec<_>>()
    };
    let form = "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%r5]";
    let copy = format!("{form}, [%rd9, {{3, 1, 1, 1}}]");
    assert_eq!(bulk(Some(map), &load(&copy, 128)), pixels(Read, 1..3, &[3, 5, 7, 9]));
    let copy = format!("{form}, [%rd9, {{3, 1, 2, 1}}]");
    assert_eq!(bulk(Some(map), &load(&copy, 128)), [], "there is no third slice");
    let to = "[%rd9, {9, 3, 1, 1}], [%r5]";
    let store = format!("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group {to};\n{GROUP}");
    assert_eq!(bulk(Some(map), &store), pixels(Write, 3..4, &[9, 11]));
    let add = format!("cp.reduce.async.bulk.tensor.4d.global.shared::cta.add.bulk_group {to};\n{GROUP}");
    assert_eq!(bulk(Some(map), &add), pixels(Atomic, 3..4, &[9, 11]));
}

#[test]
fn fragments_touch_their_elements() {
    let body = "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r2,%r3,%r4,%r5,%r6,%r7,%r8,%r9}, [%rd1], %r10;";
    let body = format!("mov.u32 %r10, 32;\n{body}");
    // 16 rows of 32 bytes, 64 bytes apart.
    let expected: Vec<Span> = (0..16).map(|row| span(Read, row * 64, 32)).collect();
    assert_eq!(touched(&body, 1), expected);
}

#[test]
fn textures_and_surfaces_touch_the_elements_that_they_use() {
    let at = |x: f32, y: f32| {
        let bits = [x, y].map(f32::to_bits);
        format!(
            "mov.u64 %rd8, 1;\ntex.2d.v4.f32.f32 {{%f1,%f2,%f3,%f4}}, [%rd8, {{0f{:08x}, 0f{:08x}}}];",
            bits[0], bits[1]
        )
    };
    let second = |row: u64, column: u64, words: u64| span(Read, 4096 + row * 32 + column * 4, words * 4);
    assert_eq!(touched(&at(2.5, 1.5), 1), [second(1, 2, 1)], "the middle of an element");
    assert_eq!(touched(&at(3.0, 2.0), 1), [second(1, 2, 2), second(2, 2, 2)], "between four");
    assert_eq!(touched(&at(8.25, 1.5), 1), [second(1, 7, 1)], "clamped");
    assert_eq!(touched(&at(2.5, 9.0), 1), [], "the border's colour is no memory");
    let surface = |body: &str| touched(&format!("mov.u64 %rd8, 2;\nmov.u32 %r2, 8;\nmov.u32 %r3, 3;\n{body}"), 1);
    let place = 4096 + 3 * 32 + 8;
    assert_eq!(surface("suld.b.2d.v2.b32.trap {%r4,%r5}, [%rd8, {%r2,%r3}];"), [span(Read, place, 8)]);
    assert_eq!(surface("sust.b.2d.b16.trap [%rd8, {%r2,%r3}], %rs1;"), [span(Write, place, 2)]);
    assert_eq!(surface("sust.b.2d.b32.zero [%rd8, {%r2,%r2}], %r0;"), [], "outside nothing is written");
    assert_eq!(surface("sured.b.add.2d.u32.trap [%rd8, {%r2,%r3}], %r0;"), [span(Atomic, place, 4)]);
}

fn map(lens: &[(u64, u64)]) -> MemoryMap {
    let ranges = lens.iter().map(|&(base, len)| MemoryRange { base, len, host: std::ptr::null_mut() });
    MemoryMap { ranges: ranges.collect() }
}

#[test]
fn accesses_conflict_unless_both_read_or_both_are_atomic() {
    use Access::{Atomic, Read, Write};
    assert!(!Read.conflicts(Read) && !Atomic.conflicts(Atomic));
    assert!([(Read, Write), (Write, Write), (Atomic, Write), (Atomic, Read)].iter().all(|(a, b)| a.conflicts(*b)));
}

proptest::proptest! {
    /// The spans are the union of what was touched, byte by byte, whatever the order and overlap.
    #[test]
    fn spans_are_the_union(touches in proptest::collection::vec((0u64..2, 0u64..200_000, 1u64..300, 0usize..3), 0..40)) {
        let (bases, len) = ([1u64 << 40, (1 << 40) + 150_001], [150_001u64, 70_000]);
        let print = Footprint::of(&map(&[(bases[0], len[0]), (bases[1], len[1])]));
        let mut model = std::collections::BTreeSet::new();
        for (range, at, bytes, access) in touches {
            let access = [Access::Read, Access::Write, Access::Atomic][access];
            let range = range as usize;
            print.touch(bases[range] + at % len[range], [(0, bytes)], access);
            let first = at % len[range];
            model.extend((first..(first + bytes).min(len[range])).map(|at| (access, bases[range] + at)));
        }
        let mut seen = std::collections::BTreeSet::new();
        for span in print.spans() {
            for at in span.address..span.address + span.len {
                proptest::prop_assert!(seen.insert((span.access, at)));
            }
        }
        proptest::prop_assert_eq!(seen, model);
    }
}
