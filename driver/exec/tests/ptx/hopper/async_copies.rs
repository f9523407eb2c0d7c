//! Bulk copies, their mbarriers and groups, and what a missing wait does.

use graphproof_exec::FaultKind;
use proptest::prelude::*;

use super::{bytes, run, run_program, text, wait};
use crate::common::{Shape, program, runner};

const OUT_IN: &str = ".param .u64 out, .param .u64 in";
const SHARED: &str = ".shared .align 128 .b8 tile[8192];\n.shared .align 8 .b64 bar;";

/// Thread 0 makes the mbarrier and copies `size` bytes to `tile`; what comes then is `then`.
fn load(size: usize, then: &str) -> String {
    format!(
        "ld.param.u64 %d0, [out];\nld.param.u64 %d1, [in];\nmov.u32 %r1, tile;\nmov.u32 %r2, bar;\n\
         setp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\nmbarrier.init.shared.b64 [%r2], 1;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], {size};\n\
         cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1], {size}, [%r2];\n\
         READY:\nbar.sync 0;\n{then}\
         mad.lo.u32 %r3, %r0, 4, %r1;\nld.shared.u32 %r4, [%r3];\nmul.wide.u32 %d2, %r0, 4;\n\
         add.u64 %d0, %d0, %d2;\nst.global.u32 [%d0], %r4;"
    )
}

#[test]
fn a_bulk_copy_is_there_after_its_phase_whatever_the_seed() {
    runner(20)
        .run(&(1usize..64, any::<u64>()), |(sixteens, seed)| {
            let size = 16 * sixteens;
            let input = bytes(size, seed);
            let program = program(&text(OUT_IN, SHARED, &load(size, &wait("%r2", 0))));
            let shape = Shape { block: [size as u32 / 4, 1, 1], seed, ..Shape::default() };
            let found = run_program(&program, shape, size / 4, &[&input]).expect("no fault");
            let found: Vec<u8> = found.into_iter().flat_map(u32::to_le_bytes).collect();
            prop_assert_eq!(found, input);
            Ok(())
        })
        .unwrap();
}

#[test]
fn without_the_wait_the_bytes_are_not_there() {
    let input = bytes(1024, 3);
    let program = program(&text(OUT_IN, SHARED, &(load(1024, "") + &wait("%r2", 0))));
    let right: Vec<u32> = input.chunks(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    let wrong = (0..20).filter(|&seed| {
        let shape = Shape { block: [256, 1, 1], seed, ..Shape::default() };
        run_program(&program, shape, 256, &[&input]).expect("no fault") != right
    });
    assert!(wrong.count() > 10, "a kernel that reads too early must not agree with itself");
}

/// Thread 0 stores `tile` to the output and `then` follows; before it all threads write the tile.
fn store(form: &str, then: &str) -> String {
    format!(
        "ld.param.u64 %d0, [out];\nmov.u32 %r1, tile;\nmad.lo.u32 %r3, %r0, 4, %r1;\nmul.lo.u32 %r4, %r0, 7;\n\
         st.shared.u32 [%r3], %r4;\nfence.proxy.async.shared::cta;\nbar.sync 0;\nsetp.ne.u32 %p1, %r0, 0;\n\
         @%p1 bra END;\n{form} [%d0], [%r1], 512;\ncp.async.bulk.commit_group;\n{then}\nEND:"
    )
}

/// What a store makes of 0xdeadbeef, given the new word.
type Change = fn(u32) -> u32;

#[test]
fn a_bulk_store_and_its_reductions_are_there_after_the_wait() {
    let forms: [(&str, Change); 5] = [
        ("cp.async.bulk.global.shared::cta.bulk_group", |new| new),
        ("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32", |new| 0xdead_beefu32.wrapping_add(new)),
        ("cp.reduce.async.bulk.global.shared::cta.bulk_group.max.s32", |new| {
            (0xdead_beefu32 as i32).max(new as i32) as u32
        }),
        ("cp.reduce.async.bulk.global.shared::cta.bulk_group.xor.b32", |new| 0xdead_beef ^ new),
        ("cp.reduce.async.bulk.global.shared::cta.bulk_group.inc.u32", |new| {
            if 0xdead_beef >= new { 0 } else { 0xdead_bef0 }
        }),
    ];
    for (form, reference) in forms {
        for waits in ["cp.async.bulk.wait_group 0;", "cp.async.bulk.wait_group.read 0;"] {
            for seed in 0..8 {
                let shape = Shape { block: [128, 1, 1], seed, ..Shape::default() };
                let found = run(&text(OUT_IN, SHARED, &store(form, waits)), shape, 128, &[&[]]).expect("no fault");
                let expected: Vec<u32> = (0..128).map(|n| reference(n * 7)).collect();
                assert_eq!(found, expected, "{form} {waits} seed {seed}");
            }
        }
    }
}

#[test]
fn a_source_that_changes_before_the_wait_shows() {
    let change = "mov.u32 %r5, 0;\nst.shared.u32 [%r1], %r5;\nst.shared.u32 [%r1+4], %r5;\n\
                  cp.async.bulk.wait_group 0;";
    let program = program(&text(OUT_IN, SHARED, &store("cp.async.bulk.global.shared::cta.bulk_group", change)));
    let shape = Shape { block: [128, 1, 1], ..Shape::default() };
    let found = run_program(&program, shape, 128, &[&[]]).expect("no fault");
    assert_eq!(found[1], 0, "the copy reads what its source holds when it is waited for");
}

#[test]
fn a_store_without_its_fence_is_told() {
    let form = "cp.async.bulk.global.shared::cta.bulk_group";
    let body = store(form, "cp.async.bulk.wait_group 0;").replace("fence.proxy.async.shared::cta;\n", "");
    for fault in super::faults(&text(OUT_IN, SHARED, &body), Shape { block: [128, 1, 1], ..Shape::default() }, &[&[]]) {
        assert!(fault.to_string().contains("since the last `fence.proxy.async`"), "{fault}");
        assert!(fault.ptx_text.starts_with(form), "{fault}");
    }
}

#[test]
fn a_block_that_ends_before_its_copies_have_read_is_told() {
    let form = "cp.async.bulk.global.shared::cta.bulk_group";
    for fault in
        super::faults(&text(OUT_IN, SHARED, &store(form, "")), Shape { block: [128, 1, 1], ..Shape::default() }, &[&[]])
    {
        assert!(matches!(&fault.kind, FaultKind::Misuse(why) if why.contains("a wait is missing")), "{fault}");
        assert!(fault.ptx_text.starts_with(form), "{fault}");
    }
}

#[test]
fn groups_are_waited_for_from_the_oldest() {
    // Two stores of one tile, which changes in between; only the first one has to be over by then.
    let form = "cp.async.bulk.global.shared::cta.bulk_group";
    let then = format!(
        "cp.async.bulk.wait_group.read 0;\nmov.u32 %r5, 77;\nst.shared.u32 [%r1+512], %r5;\nst.shared.u32 [%r1+516], %r5;\n\
         st.shared.u32 [%r1+520], %r5;\nst.shared.u32 [%r1+524], %r5;\nfence.proxy.async.shared::cta;\nadd.u32 %r6, %r1, 512;\n\
         {form} [%d0+512], [%r6], 16;\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 1;\n\
         ld.global.u32 %r7, [%d0+4];\nst.shared.u32 [%r1+4], %r5;\ncp.async.bulk.wait_group 0;\n\
         st.global.u32 [%d0+8], %r7;"
    );
    for seed in 0..20 {
        let shape = Shape { block: [128, 1, 1], seed, ..Shape::default() };
        let found = run(&text(OUT_IN, SHARED, &store(form, &then)), shape, 132, &[&[]]).expect("no fault");
        assert_eq!((found[1], found[2], found[128]), (7, 7, 77), "seed {seed}");
    }
}
