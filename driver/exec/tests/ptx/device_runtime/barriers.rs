//! Barriers that count, and a grid that waits for itself.

use graphproof_exec::FaultKind;
use proptest::prelude::*;

use super::{threads, words};
use crate::common::{Memory, Shape, fewer, launch, program, runner};

#[test]
fn an_mbarrier_counts_as_its_definition_says() {
    /// One operation of one thread, and the model's answer.
    #[derive(Debug, Clone, Copy)]
    enum Op {
        Arrive(u32),
        Drop,
        Expect(u32),
        Complete(u32),
        Test,
        Parity(u32),
    }
    let op = prop_oneof![
        4 => (1u32..4).prop_map(Op::Arrive),
        1 => Just(Op::Drop),
        2 => (1u32..100).prop_map(Op::Expect),
        2 => (1u32..100).prop_map(Op::Complete),
        2 => Just(Op::Test),
        2 => (0u32..2).prop_map(Op::Parity),
    ];
    let result = runner(60).run(&(4u32..9, prop::collection::vec(op, 1..40)), |(count, ops)| {
        let (mut pending, mut expected, mut bytes, mut phase) = (count, count, 0i64, 0u32);
        let mut body = format!("mov.u32 %r3, bar;\nmbarrier.init.shared.b64 [%r3], {count};\nmov.b64 %rd5, 0;\n");
        let (mut answers, mut state_phase) = (Vec::new(), 0u32);
        let mut emit = |body: &mut String, register: &str, answer: u32| {
            body.push_str(&format!("st.global.u32 [%rd1+{}], {register};\n", 4 * answers.len()));
            answers.push(answer);
        };
        for op in ops {
            match op {
                Op::Arrive(n) if n <= pending => {
                    state_phase = phase;
                    body += &format!("mov.u32 %r4, {n};\nmbarrier.arrive.shared::cta.b64 %rd5, [%r3], %r4;\n");
                    body += "mbarrier.pending_count.b64 %r5, %rd5;\n";
                    emit(&mut body, "%r5", pending);
                    pending -= n;
                }
                Op::Drop if pending > 0 && expected > 1 => {
                    body += "mbarrier.arrive_drop.shared.b64 _, [bar];\n";
                    (pending, expected) = (pending - 1, expected - 1);
                }
                Op::Expect(n) => {
                    body += &format!("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r3], {n};\n");
                    bytes += i64::from(n);
                }
                Op::Complete(n) if i64::from(n) <= bytes => {
                    body += &format!("mbarrier.complete_tx.shared::cta.b64 [%r3], {n};\n");
                    bytes -= i64::from(n);
                }
                // Of phases before the last one a state does not tell (D, PTX ISA).
                Op::Test if phase - state_phase < 2 => {
                    body += "mbarrier.test_wait.shared.b64 %p1, [%r3], %rd5;\nselp.u32 %r5, 1, 0, %p1;\n";
                    emit(&mut body, "%r5", u32::from(state_phase != phase));
                    continue;
                }
                Op::Parity(parity) => {
                    body += &format!("mbarrier.try_wait.parity.shared.b64 %p1, [%r3], {parity}, 20;\n");
                    body += "selp.u32 %r5, 1, 0, %p1;\n";
                    emit(&mut body, "%r5", u32::from(phase % 2 != parity));
                    continue;
                }
                _ => continue,
            }
            if pending == 0 && bytes == 0 {
                (pending, phase) = (expected, phase + 1);
            }
        }
        let count = answers.len();
        let text = threads("", &format!(".shared .align 8 .b64 bar;\n{body}"));
        let seen = words(&text, Shape { block: [1; 3], ..Shape::default() }, count.max(1), &[]);
        prop_assert_eq!(&seen[..count], &answers[..]);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn threads_wait_at_an_mbarrier_for_each_other_and_for_copies() {
    // Every thread copies a word, arrives when it is there, and reads its neighbour's.
    for warps in [1u32, 2, 5, 32] {
        let count = 32 * warps;
        let body = format!(
            ".shared .align 16 .b8 tile[{}];\n.shared .align 8 .b64 bar;\n\
             setp.eq.u32 %p1, %r0, 0;\n@%p1 mbarrier.init.shared.b64 [bar], {count};\n\
             mul.lo.u32 %r3, %r0, 3;\nst.global.u32 [%rd0], %r3;\nbar.sync 0;\n\
             mov.u32 %r4, tile;\nmad.lo.u32 %r4, %r0, 4, %r4;\n\
             cp.async.ca.shared.global [%r4], [%rd0], 4;\ncp.async.mbarrier.arrive.noinc.shared.b64 [bar];\n\
             WAIT:\nmbarrier.test_wait.parity.shared.b64 %p2, [bar], 0;\n@!%p2 bra WAIT;\n\
             add.u32 %r5, %r0, 1;\nrem.u32 %r5, %r5, {count};\nmov.u32 %r6, tile;\nmad.lo.u32 %r6, %r5, 4, %r6;\n\
             ld.shared.u32 %r7, [%r6];\nst.global.u32 [%rd0], %r7;",
            4 * count
        );
        let shape = Shape { block: [count, 1, 1], seed: 7, ..Shape::default() };
        let seen = words(&threads("", &body), shape, count as usize, &[]);
        let expected: Vec<u32> = (0..count).map(|n| (n + 1) % count * 3).collect();
        assert_eq!(seen, expected, "{warps} warps");
    }
}

#[test]
fn too_many_arrivals_are_a_fault() {
    let body = ".shared .align 8 .b64 bar;\nmbarrier.init.shared.b64 [bar], 1;\n\
                mbarrier.expect_tx.shared::cta.b64 [bar], 4;\n\
                mbarrier.arrive.shared.b64 %rd5, [bar];\nmbarrier.arrive.shared.b64 %rd5, [bar];";
    let mut memory = Memory::new();
    let out = memory.words(&[0]);
    let shape = Shape { block: [1; 3], ..Shape::default() };
    let fault = launch(&program(&threads("", body)), shape, &memory, &[out]).expect_err("a fault");
    assert!(matches!(&fault.kind, FaultKind::Misuse(why) if why.contains("1 arrivals where 0 are to come")), "{fault}");
}

#[test]
fn a_grid_waits_for_itself() {
    // What cooperative groups' `grid.sync()` does with the counters: one thread of each block adds, the
    // last one's sum flips the top bit, and all wait for that.
    let sync = |n: u32| {
        format!(
            "bar.sync 0;\n@!%p1 bra DONE{n};\nmov.u32 %r20, %nctaid.x;\nsub.u32 %r21, %r20, 1;\n\
             setp.eq.u32 %p4, %r1, 0;\nsub.u32 %r22, 0x80000000, %r21;\nselp.u32 %r22, %r22, 1, %p4;\n\
             membar.gl;\natom.global.add.u32 %r23, [%rd10+4], %r22;\n\
             SPIN{n}:\nld.volatile.global.u32 %r24, [%rd10+4];\nxor.b32 %r25, %r24, %r23;\nsetp.ge.s32 %p5, %r25, 0;\n\
             @%p5 bra SPIN{n};\nmembar.gl;\nDONE{n}:\nbar.sync 0;\n"
        )
    };
    let body = format!(
        "mov.u32 %r3, %tid.x;\nsetp.eq.u32 %p1, %r3, 0;\nmov.u32 %r4, %envreg1;\nmov.u32 %r5, %envreg2;\n\
         mov.b64 %rd10, {{%r5, %r4}};\nmul.lo.u32 %r6, %r0, 7;\nst.global.u32 [%rd0], %r6;\n{}\
         mov.u32 %r7, %nctaid.x;\nmul.lo.u32 %r7, %r7, %r2;\nadd.u32 %r8, %r0, %r2;\nrem.u32 %r8, %r8, %r7;\n\
         mul.wide.u32 %rd3, %r8, 4;\nadd.u64 %rd3, %rd3, %rd1;\nld.volatile.global.u32 %r9, [%rd3];\n{}\
         st.global.u32 [%rd0], %r9;",
        sync(1),
        sync(2)
    );
    for (blocks, threads) in [(7u32, 96u32), (1, 64), (2, 32), (24, 128)].into_iter().filter(|_| fewer(1) > 0) {
        let shape = Shape { grid: [blocks, 1, 1], block: [threads, 1, 1], threads: 2, ..Shape::default() };
        let total = blocks * threads;
        let seen = words(&self::threads("", &body), shape, total as usize, &[]);
        let expected: Vec<u32> = (0..total).map(|n| (n + threads) % total * 7).collect();
        assert_eq!(seen, expected, "{blocks} blocks of {threads}");
    }
    // A block that fails stops those that wait for it.
    let trap = format!("{}\n", body.replace("mul.lo.u32 %r6", "setp.eq.u32 %p7, %r0, 33;\n@%p7 trap;\nmul.lo.u32 %r6"));
    let mut memory = Memory::new();
    let out = memory.words(&[0; 128]);
    let shape = Shape { grid: [4, 1, 1], block: [32, 1, 1], ..Shape::default() };
    let fault = launch(&program(&self::threads("", &trap)), shape, &memory, &[out]).expect_err("a fault");
    assert_eq!((fault.kind, fault.block[0], fault.thread[0]), (FaultKind::Trap, 1, 1));
}
