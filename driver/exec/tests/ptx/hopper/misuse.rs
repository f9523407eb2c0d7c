//! What PTX forbids is told, with the instruction; the same without the mistake runs.

use graphproof_exec::{Fault, FaultKind, Program};

use super::{bytes, faults, run, text};
use crate::common::Shape;

const SHARED: &str = ".shared .align 1024 .b8 tile[8192];\n.shared .align 8 .b64 bar;";
const OUT: &str = ".param .u64 out";

fn one_thread() -> Shape {
    Shape { block: [1; 3], ..Shape::default() }
}

fn said(fault: &Fault, what: &str) {
    assert!(fault.to_string().contains(what), "`{what}` is not in `{fault}`");
    assert!(fault.ptx_line > 0 && fault.kernel == "k", "{fault}");
}

#[test]
fn a_misused_mbarrier_is_named() {
    let init = "mov.u32 %r1, bar;\nmbarrier.init.shared.b64 [%r1], 2;\n";
    let cases = [
        ("", "mov.u32 %r1, bar;\nmbarrier.arrive.shared.b64 _, [%r1];", "no `mbarrier.init` has made one there"),
        (init, "mbarrier.inval.shared.b64 [%r1];\nmbarrier.arrive.shared.b64 _, [%r1];", "no `mbarrier.init`"),
        (init, "mbarrier.arrive.shared.b64 _, [%r1], 3;", "3 arrivals where 2 are to come"),
        (
            init,
            "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 1048575;\n\
                mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 1;",
            "bytes to come are more than 1048575",
        ),
        (
            init,
            "mov.u32 %r2, 7;\nst.shared.u32 [%r1], %r2;\nmbarrier.arrive.shared.b64 _, [%r1];",
            "has been written by something else",
        ),
        (init, "mbarrier.arrive.noComplete.shared.b64 %d1, [%r1], 2;", "ends the phase"),
        (
            init,
            "mbarrier.arrive.shared.b64 %d1, [%r1];\nmbarrier.arrive.shared.b64 _, [%r1];\nmbarrier.arrive.shared.b64 _, [%r1];\n\
                mbarrier.arrive.shared.b64 _, [%r1];\nmbarrier.test_wait.shared.b64 %p1, [%r1], %d1;",
            "a state of phase 0 is tested in phase 2",
        ),
        ("", "mov.u32 %r1, bar;\nmbarrier.init.shared.b64 [%r1], 0;", "a count of 0"),
        (
            "",
            "mov.u32 %r1, tile;\nadd.u32 %r1, %r1, 4;\nmbarrier.init.shared.b64 [%r1], 1;",
            "misaligned write to shared address 0x4",
        ),
    ];
    for (before, after, what) in cases {
        for fault in faults(&text(OUT, SHARED, &format!("{before}{after}")), one_thread(), &[]) {
            said(&fault, what);
        }
    }
    let right = format!(
        "{init}mbarrier.arrive.shared.b64 %d1, [%r1];\nmbarrier.arrive.shared.b64 _, [%r1];\n\
                         mbarrier.test_wait.shared.b64 %p1, [%r1], %d1;\nmbarrier.inval.shared.b64 [%r1];"
    );
    assert!(run(&text(OUT, SHARED, &right), one_thread(), 1, &[]).is_ok());
}

#[test]
fn a_phase_that_nobody_ends_is_told_with_what_each_warp_waits_for() {
    for wait in ["try_wait", "test_wait"] {
        let body = format!(
            "mov.u32 %r1, bar;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra MADE;\nmbarrier.init.shared.b64 [%r1], 3;\nMADE:\nbar.sync 0;\n\
             setp.ge.u32 %p2, %r0, 32;\n@%p2 bra MEET;\nWAIT:\nmbarrier.{wait}.parity.shared.b64 %p3, [%r1], 0;\n@!%p3 bra WAIT;\n\
             MEET:\nbar.sync 1;"
        );
        for fault in faults(&text(OUT, SHARED, &body), Shape { block: [64, 1, 1], ..Shape::default() }, &[]) {
            said(
                &fault,
                "warp 0 lanes 0xffffffff wait for the mbarrier at shared address 0x2000: phase 0 awaits 3 of 3 arrivals and 0 bytes",
            );
            said(&fault, "warp 1 lanes 0xffffffff wait at barrier 1");
        }
    }
}

#[test]
fn a_copy_that_tells_nobody_who_waits_is_told() {
    // The bytes that come are fewer than those expected.
    let body = format!(
        "ld.param.u64 %d1, [in];\nmov.u32 %r1, bar;\nmov.u32 %r2, tile;\nmbarrier.init.shared.b64 [%r1], 1;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r1], 48;\n\
         cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1], 32, [%r1];\n{}",
        super::wait("%r1", 0)
    );
    for fault in faults(&text(".param .u64 out, .param .u64 in", SHARED, &body), one_thread(), &[&bytes(256, 1)]) {
        said(&fault, "phase 0 awaits 0 of 1 arrivals and 16 bytes");
    }
}

#[test]
fn a_wrong_copy_is_named_at_its_instruction() {
    let copy = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes";
    let cases = [
        (format!("{copy} [%r2], [%d1+8], 16, [%r1];"), "misaligned read of global address"),
        (format!("{copy} [%r2], [%d1], 24, [%r1];"), "24 bytes, which is no multiple of 16"),
        (format!("{copy} [%r2], [%d1+240], 32, [%r1];"), "illegal 32-byte read of global address"),
        (format!("{copy} [%r2+8192], [%d1], 32, [%r1];"), "illegal 32-byte write to shared address 0x2000"),
        (format!("{copy} [%r2], [%d1], 16, [%r1+4];"), "misaligned write to shared address"),
        ("mov.u16 %h1, 2;\ncp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r2], [%d1], 16, [%r1], %h1;".to_owned(),
         "multicast to the blocks of mask 0x0002 of a cluster of 1"),
        ("mapa.shared::cluster.u32 %r3, %r2, 1;".to_owned(), "`mapa` to block 1 of a cluster of 1"),
        ("barrier.cluster.wait;".to_owned(), "of a thread that has not arrived"),
        ("barrier.cluster.arrive;\nbarrier.cluster.arrive;".to_owned(), "has arrived and not waited since"),
        ("cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1, {%r0}], [%r1];".to_owned(),
         "the bytes are no tensor map of this driver"),
        ("cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1+16, {%r0}], [%r1];".to_owned(),
         "(must be a multiple of 64)"),
    ];
    for (form, what) in cases {
        // The mbarrier is there, and awaits nothing.
        let body = format!(
            "ld.param.u64 %d1, [in];\nmov.u32 %r1, bar;\nmov.u32 %r2, tile;\nmbarrier.init.shared.b64 [%r1], 1;\n{form}"
        );
        for fault in faults(&text(".param .u64 out, .param .u64 in", SHARED, &body), one_thread(), &[&bytes(256, 1)]) {
            said(&fault, what);
        }
    }
}

/// A product of zeros, with statements before and behind the wait.
fn product(before: &str, wait: &str, behind: &str) -> String {
    let d: Vec<String> = (0..4).map(|r| format!("%f{}", 100 + r)).collect();
    format!(
        "ld.param.u64 %d0, [out];\nmov.u32 %r1, tile;\nmov.u32 %r2, 0;\nmad.lo.u32 %r3, %r0, 16, %r1;\n\
         st.shared.v4.u32 [%r3], {{%r2, %r2, %r2, %r2}};\nst.shared.v4.u32 [%r3+2048], {{%r2, %r2, %r2, %r2}};\n\
         fence.proxy.async.shared::cta;\nbar.sync 0;\nmov.b64 %d1, {a};\nmov.b64 %d2, {b};\n\
         wgmma.fence.sync.aligned;\n\
         wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {{{}}}, %d1, %d2, 0, 1, 1, 0, 0;\n\
         wgmma.commit_group.sync.aligned;\n{before}\n{wait}\n{behind}\nmad.wide.u32 %d0, %r0, 4, %d0;\nst.global.f32 [%d0], %f100;",
        d.join(", "),
        a = (128u64 >> 4) << 16 | (256u64 >> 4) << 32,
        b = 2048u64 >> 4 | (128u64 >> 4) << 16 | (256u64 >> 4) << 32,
    )
}

#[test]
fn registers_and_memory_of_a_product_under_way_are_left_alone() {
    const WAIT: &str = "wgmma.wait_group.sync.aligned 0;";
    const USED: &str = "a register of a `wgmma.mma_async` under way is used";
    let shape = Shape { block: [128, 1, 1], ..Shape::default() };
    let right = [
        product("", WAIT, ""),
        product("mov.f32 %f50, %f100;", WAIT, "add.f32 %f100, %f50, %f101;"),
        product(
            "",
            "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 1;",
            "add.f32 %f100, %f100, %f101;",
        ),
    ];
    for body in right {
        let found = run(&text(OUT, SHARED, &body), shape, 128, &[]);
        assert!(found.is_ok_and(|found| found == [0; 128]), "{body}");
    }
    let wrong = [
        (product("", "", ""), USED),
        (product("add.f32 %f1, %f101, %f101;", WAIT, ""), USED),
        (product("mov.f32 %f50, %f100;\nmul.f32 %f51, %f50, %f50;", WAIT, ""), USED),
        (product("mov.f32 %f2, 0f00000000;\nfma.rn.f32 %f103, %f2, %f2, %f2;", WAIT, ""), USED),
        (product("", "wgmma.wait_group.sync.aligned 1;", ""), USED),
        (product("st.shared.u32 [%r3], %r0;", WAIT, ""), "was written before `wgmma.wait_group`"),
    ];
    for (body, what) in wrong {
        for fault in faults(&text(OUT, SHARED, &body), shape, &[]) {
            assert!(matches!(fault.kind, FaultKind::Misuse(_)), "{fault}");
            said(&fault, what);
        }
    }
}

#[test]
fn a_product_of_unfenced_memory_is_told() {
    let body = product("", "wgmma.wait_group.sync.aligned 0;", "").replace("fence.proxy.async.shared::cta;\n", "");
    for fault in faults(&text(OUT, SHARED, &body), Shape { block: [128, 1, 1], ..Shape::default() }, &[]) {
        said(&fault, "since the last `fence.proxy.async`");
        assert!(fault.ptx_text.starts_with("wgmma.mma_async"), "{fault}");
    }
}

/// What stands before a product, between it and one of `columns` columns with the same sums, and behind.
fn products(before: &str, between: &str, columns: usize) -> String {
    let list = |n: usize| (0..n / 2).map(|r| format!("%f{}", 100 + r)).collect::<Vec<_>>().join(", ");
    let second = format!(
        "wgmma.mma_async.sync.aligned.m64n{columns}k16.f32.bf16.bf16 {{{}}}, %d1, %d2, 1, 1, 1, 0, 0;\n",
        list(columns)
    );
    let first = "wgmma.commit_group.sync.aligned;\n";
    let wait = "wgmma.wait_group.sync.aligned 0;";
    product("", wait, "").replace("wgmma.fence.sync.aligned;\n", before).replacen(
        first,
        &format!("{between}{second}{first}"),
        1,
    )
}

#[test]
fn a_product_without_a_fence_before_it_is_told() {
    const FENCE: &str = "wgmma.fence.sync.aligned;\n";
    const GROUP: &str = "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n";
    const USED: &str = "is used before it, and no `wgmma.fence` stands between";
    let shape = Shape { block: [128, 1, 1], ..Shape::default() };
    let zero = "mov.f32 %f100, 0f00000000;\n";
    // A loop whose first turn begins the sums, and those that follow use them.
    let turns = |fence: &str| {
        format!(
            "{FENCE}mov.u32 %r5, 0;\nTURN:\n{fence}setp.ne.u32 %p5, %r5, 0;\n@%p5 bra NEXT;\nadd.u32 %r5, %r5, 1;\n\
             wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {{%f100, %f101, %f102, %f103}}, %d1, %d2, 0, 1, 1, 0, 0;\n\
             {GROUP}add.f32 %f100, %f100, %f101;\nbra TURN;\nNEXT:\n"
        )
    };
    let right = [
        products(FENCE, "", 8),
        products(&format!("{zero}{FENCE}"), "", 8),
        products(FENCE, &format!("{GROUP}add.f32 %f100, %f100, %f101;\n{FENCE}"), 8),
        // Copies of sums are no instructions of the device's; what they are copied to is none of the product's.
        products(FENCE, &format!("{GROUP}mov.f32 %f50, %f100;\nadd.f32 %f51, %f50, %f50;\n"), 8),
        products(&format!("{FENCE}mov.f32 %f50, %f100;\nmov.f32 %f100, %f50;\n"), "", 8),
        // The way on which the sums are changed has a fence of its own.
        products(&format!("{FENCE}setp.ne.u32 %p5, %r0, %r0;\n@!%p5 bra KEPT;\n{zero}KEPT:\n"), "", 8),
        products(&turns(FENCE), "", 8),
        products(FENCE, FENCE, 16),
    ];
    for body in right {
        let found = run(&text(OUT, SHARED, &body), shape, 128, &[]);
        assert!(found.as_ref().is_ok_and(|found| *found == [0; 128]), "{found:?}\n{body}");
    }
    let wrong = [
        (products("", "", 8), "no `wgmma.fence` stands before the first product of this warp"),
        (products(&format!("{FENCE}{zero}"), "", 8), USED),
        (products(&format!("{FENCE}mov.f32 %f50, 0f00000000;\nmov.f32 %f100, %f50;\n"), "", 8), USED),
        (products(FENCE, &format!("{GROUP}add.f32 %f100, %f100, %f101;\n"), 8), USED),
        (products(FENCE, &format!("{GROUP}add.f32 %f50, %f103, %f103;\n"), 8), USED),
        (products(&turns(""), "", 8), USED),
        (products(FENCE, "", 16), "a product of another shape has the same sums"),
    ];
    for (body, what) in wrong {
        for fault in faults(&text(OUT, SHARED, &body), shape, &[]) {
            said(&fault, what);
            assert!(fault.ptx_text.starts_with("wgmma.mma_async"), "{fault}");
        }
    }
}

#[test]
fn a_matrix_in_registers_may_be_read_and_not_written_before_its_product_without_a_fence() {
    let body = |between: &str| {
        product("", "wgmma.wait_group.sync.aligned 0;", "").replace(
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f100, %f101, %f102, %f103}, %d1, %d2, 0, 1, 1, 0, 0;\n",
            &format!(
                "mov.u32 %r20, 0;\nmov.u32 %r21, 0;\nmov.u32 %r22, 0;\nmov.u32 %r23, 0;\nwgmma.fence.sync.aligned;\n{between}\n\
                 wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {{%f100, %f101, %f102, %f103}}, \
                 {{%r20, %r21, %r22, %r23}}, %d2, 0, 1, 1, 0;\n"
            ),
        )
    };
    let shape = Shape { block: [128, 1, 1], ..Shape::default() };
    let found = run(&text(OUT, SHARED, &body("add.u32 %r24, %r20, %r21;")), shape, 128, &[]);
    assert!(found.as_ref().is_ok_and(|found| *found == [0; 128]), "{found:?}");
    for fault in faults(&text(OUT, SHARED, &body("and.b32 %r23, %r23, %r0;")), shape, &[]) {
        said(&fault, "is used before it, and no `wgmma.fence` stands between");
    }
}

#[test]
fn a_warpgroup_has_four_warps() {
    for fault in faults(
        &text(OUT, SHARED, &product("", "wgmma.wait_group.sync.aligned 0;", "")),
        Shape { block: [96, 1, 1], ..Shape::default() },
        &[],
    ) {
        said(&fault, "in no warpgroup of four");
    }
}

#[test]
fn memory_of_a_block_that_has_ended_is_gone() {
    let body = "mov.u32 %r1, tile;\nmov.u32 %r2, %cluster_ctarank;\nsetp.eq.u32 %p1, %r2, 1;\n@%p1 exit;\nmapa.shared::cluster.u32 %r3, %r1, 1;\n\
                mov.u32 %r5, 0;\nAGAIN:\nld.shared::cluster.u32 %r4, [%r3];\nadd.u32 %r5, %r5, 1;\nsetp.lt.u32 %p2, %r5, 100000;\n@%p2 bra AGAIN;";
    let shape = Shape { grid: [2, 1, 1], cluster: [2, 1, 1], block: [1; 3], ..Shape::default() };
    for fault in faults(&text(OUT, SHARED, body), shape, &[]) {
        said(&fault, "illegal 4-byte read of shared address 0x2000000");
    }
}

#[test]
fn what_needs_hopper_is_refused_for_an_earlier_target() {
    let forms = [
        ("wgmma.fence.sync.aligned;", "needs the target sm_90a"),
        ("setmaxnreg.inc.sync.aligned.u32 232;", "needs the target sm_90a"),
        ("cp.async.bulk.commit_group;", "needs the target sm_90"),
        ("barrier.cluster.arrive;", "needs the target sm_90"),
        ("mapa.shared::cluster.u32 %r1, %r2, 0;", "needs the target sm_90"),
    ];
    for (form, why) in forms {
        let text = text(OUT, SHARED, form).replace("sm_90a", "sm_80");
        let error = Program::from_ptx(&text).expect_err("refused").to_string();
        assert!(error.contains(why), "{error}");
    }
}
