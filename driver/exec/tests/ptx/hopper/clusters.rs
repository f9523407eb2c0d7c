//! Clusters: who is where, each other's shared memory, and the barrier.

use proptest::prelude::*;

use super::{bytes, run, run_program, text, wait};
use crate::common::{Shape, program, runner};

const OUT: &str = ".param .u64 out";

#[test]
fn every_block_knows_its_place() {
    let names = [
        "%cluster_ctarank",
        "%cluster_nctarank",
        "%cluster_ctaid.x",
        "%cluster_ctaid.y",
        "%cluster_ctaid.z",
        "%cluster_nctaid.x",
        "%clusterid.x",
        "%clusterid.y",
        "%nclusterid.y",
    ];
    let mut body = String::from(
        "ld.param.u64 %d0, [out];\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ctaid.y;\nmov.u32 %r3, %ctaid.z;\n\
         mov.u32 %r4, %nctaid.x;\nmov.u32 %r5, %nctaid.y;\nmad.lo.u32 %r3, %r3, %r5, %r2;\nmad.lo.u32 %r3, %r3, %r4, %r1;\n",
    );
    body += &format!("mad.wide.u32 %d0, %r3, {}, %d0;\n", 4 * names.len());
    for (n, name) in names.iter().enumerate() {
        body += &format!("mov.u32 %r6, {name};\nst.global.u32 [%d0+{}], %r6;\n", 4 * n);
    }
    let program = program(&text(OUT, "", &body));
    runner(40)
        .run(&([1u32..4, 1..3, 1..3], [1u32..4, 1..3, 1..2], any::<u64>()), |(cluster, counts, seed)| {
            let grid: [u32; 3] = std::array::from_fn(|axis| cluster[axis] * counts[axis]);
            let shape =
                Shape { grid, cluster, block: [1; 3], seed, threads: 1 + (seed % 3) as usize, ..Shape::default() };
            let blocks = grid.iter().product::<u32>() as usize;
            let found = run_program(&program, shape, blocks * names.len(), &[]).expect("no fault");
            for (n, seen) in found.chunks(names.len()).enumerate() {
                let n = n as u32;
                let at = [n % grid[0], n / grid[0] % grid[1], n / grid[0] / grid[1]];
                let [x, y, z]: [u32; 3] = std::array::from_fn(|axis| at[axis] % cluster[axis]);
                let expected = [
                    x + cluster[0] * (y + cluster[1] * z),
                    cluster.iter().product(),
                    x,
                    y,
                    z,
                    cluster[0],
                    at[0] / cluster[0],
                    at[1] / cluster[1],
                    counts[1],
                ];
                prop_assert_eq!(seen, expected);
            }
            Ok(())
        })
        .unwrap();
}

/// The whole cluster meets.
const MEET: &str = "barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;\n";

#[test]
fn blocks_read_write_and_count_in_each_others_memory() {
    // Every thread writes its word into the next block, adds to a counter of block 0, and reads the block before by a
    // generic address.
    let body = format!(
        "ld.param.u64 %d0, [out];\nmov.u32 %r1, tile;\nmov.u32 %r2, %cluster_ctarank;\nmov.u32 %r3, %cluster_nctarank;\n\
         mov.u32 %r20, count;\nmov.u32 %r21, 0;\nst.shared.u32 [%r20], %r21;\n{MEET}\
         add.u32 %r4, %r2, 1;\nrem.u32 %r4, %r4, %r3;\nmapa.shared::cluster.u32 %r5, %r1, %r4;\n\
         mad.lo.u32 %r6, %r0, 4, %r5;\nmad.lo.u32 %r7, %r2, 1000, %r0;\nst.shared::cluster.u32 [%r6], %r7;\n\
         mapa.shared::cluster.u32 %r8, %r20, 0;\natom.shared::cluster.add.u32 %r9, [%r8], 1;\n{MEET}\
         add.u32 %r10, %r2, %r3;\nsub.u32 %r10, %r10, 1;\nrem.u32 %r10, %r10, %r3;\ncvta.shared.u64 %d1, tile;\n\
         mapa.u64 %d2, %d1, %r10;\nmad.wide.u32 %d2, %r0, 4, %d2;\nld.u32 %r11, [%d2];\n\
         getctarank.u64 %r12, %d2;\nmapa.shared::cluster.u32 %r13, %r20, 0;\nld.shared::cluster.u32 %r14, [%r13];\n{MEET}\
         mov.u32 %r15, %ctaid.x;\nmov.u32 %r16, %ntid.x;\nmad.lo.u32 %r15, %r15, %r16, %r0;\nmad.wide.u32 %d0, %r15, 12, %d0;\n\
         st.global.u32 [%d0], %r11;\nst.global.u32 [%d0+4], %r12;\nst.global.u32 [%d0+8], %r14;"
    );
    let program = program(&text(OUT, ".shared .b32 tile[96];\n.shared .b32 count;", &body));
    for blocks in [1u32, 2, 3, 8, 16] {
        for seed in 0..4 {
            let shape = Shape {
                grid: [2 * blocks, 1, 1],
                cluster: [blocks, 1, 1],
                block: [96, 1, 1],
                seed,
                threads: 2,
                ..Shape::default()
            };
            let found = run_program(&program, shape, (blocks * 2 * 96 * 3) as usize, &[]).expect("no fault");
            for (n, seen) in found.chunks(3).enumerate() {
                let (thread, rank) = (n as u32 % 96, n as u32 / 96 % blocks);
                let before = (rank + blocks - 1) % blocks;
                let writer = (before + blocks - 1) % blocks;
                assert_eq!(seen, [writer * 1000 + thread, before, blocks * 96], "{blocks} blocks, seed {seed}, {n}");
            }
        }
    }
}

#[test]
fn a_multicast_reaches_the_blocks_of_its_mask_and_their_mbarriers() {
    let input = bytes(512, 5);
    // Block 0 copies to the blocks of mask 0b1011; each of these waits at its own mbarrier.
    let body = format!(
        "ld.param.u64 %d0, [out];\nld.param.u64 %d1, [in];\nmov.u32 %r1, tile;\nmov.u32 %r2, bar;\nmov.u32 %r3, %cluster_ctarank;\n\
         mad.lo.u32 %r4, %r0, 4, %r1;\nmov.u32 %r5, 0;\nst.shared.u32 [%r4], %r5;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra MADE;\n\
         mbarrier.init.shared.b64 [%r2], 1;\nfence.mbarrier_init.release.cluster;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 512;\nMADE:\nbar.sync 0;\n{MEET}\
         setp.ne.or.u32 %p2, %r3, 0, %p1;\n@%p2 bra SENT;\nmov.u16 %h1, 11;\n\
         cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%d1], 512, [%r2], %h1;\n\
         SENT:\nsetp.eq.u32 %p3, %r3, 2;\n@%p3 bra OUT;\n{}OUT:\nld.shared.u32 %r6, [%r4];\nmov.u32 %r7, %ctaid.x;\n\
         mad.lo.u32 %r7, %r7, 128, %r0;\nmad.wide.u32 %d0, %r7, 4, %d0;\nst.global.u32 [%d0], %r6;\n{MEET}",
        wait("%r2", 0)
    );
    let shared = ".shared .align 128 .b8 tile[512];\n.shared .align 8 .b64 bar;";
    for seed in 0..8 {
        let shape = Shape { grid: [4, 1, 1], cluster: [4, 1, 1], block: [128, 1, 1], seed, ..Shape::default() };
        let found =
            run(&text(".param .u64 out, .param .u64 in", shared, &body), shape, 512, &[&input]).expect("no fault");
        let words: Vec<u32> = input.chunks(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        for (rank, seen) in found.chunks(128).enumerate() {
            assert_eq!(seen, if rank == 2 { vec![0; 128] } else { words.clone() }, "block {rank}, seed {seed}");
        }
    }
}

#[test]
fn stores_and_sums_go_to_another_block_and_tell_its_mbarrier() {
    // Each thread of block 1 stores a pair into block 0 and adds to a word there; block 0 waits for the bytes.
    let body = format!(
        "ld.param.u64 %d0, [out];\nmov.u32 %r1, tile;\nmov.u32 %r2, bar;\nmov.u32 %r3, %cluster_ctarank;\nmov.u32 %r4, sum;\n\
         mov.u32 %r5, 5;\nst.shared.u32 [%r4], %r5;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra MADE;\n\
         mbarrier.init.shared.b64 [%r2], 1;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 768;\nMADE:\n{MEET}\
         setp.eq.u32 %p2, %r3, 0;\n@%p2 bra WAITS;\nmapa.shared::cluster.u32 %r6, %r1, 0;\nmapa.shared::cluster.u32 %r7, %r2, 0;\n\
         mapa.shared::cluster.u32 %r8, %r4, 0;\nmad.lo.u32 %r6, %r0, 8, %r6;\nmul.lo.u32 %r9, %r0, 3;\n\
         st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.u32 [%r6], {{%r0, %r9}}, [%r7];\n\
         red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r8], %r0, [%r7];\nbra OUT;\nWAITS:\n\
         {}mad.lo.u32 %r10, %r0, 8, %r1;\nld.shared.v2.u32 {{%r11, %r12}}, [%r10];\nld.shared.u32 %r13, [%r4];\n\
         mad.wide.u32 %d0, %r0, 12, %d0;\nst.global.u32 [%d0], %r11;\nst.global.u32 [%d0+4], %r12;\nst.global.u32 [%d0+8], %r13;\n\
         OUT:\n{MEET}",
        wait("%r2", 0)
    );
    let shared = ".shared .align 16 .b32 tile[128];\n.shared .b32 sum;\n.shared .align 8 .b64 bar;";
    for seed in 0..8 {
        let shape = Shape { grid: [2, 1, 1], cluster: [2, 1, 1], block: [64, 1, 1], seed, ..Shape::default() };
        let found = run(&text(OUT, shared, &body), shape, 192, &[]).expect("no fault");
        for (n, seen) in found.chunks(3).enumerate() {
            let n = n as u32;
            assert_eq!(seen, [n, 3 * n, 5 + 63 * 64 / 2], "seed {seed}");
        }
    }
}
