//! What kernels ask of more than one instruction: barriers that count, asynchronous copies, atomics of
//! vectors and of 128 bits, calls by address, the stack, the heap, printing, and a grid that waits for
//! itself. Each against a scalar reference.

use std::sync::Mutex;

use crate::common::{Memory, Shape, cells, fewer, kernel, launch, program, program_for, runner};
use graphproof_exec::{FaultKind, Isa, Program, take_output};
use proptest::prelude::*;

const LANES: usize = 32;

/// Printed text belongs to the process: one test of it at a time.
static OUTPUT: Mutex<()> = Mutex::new(());

fn words(text: &str, shape: Shape, count: usize, inputs: &[u64]) -> Vec<u32> {
    let mut all = Vec::new();
    for isa in Isa::available() {
        let mut memory = Memory::new();
        let mut values = vec![memory.words(&vec![0xdead_beef; count])];
        values.extend(inputs);
        if let Err(fault) = launch(&program_for(text, isa), shape, &memory, &values) {
            panic!("{isa:?}: {fault}\n{text}");
        }
        all.push(memory.read_words(0));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "the instruction sets differ");
    all.remove(0)
}

const HEADER: &str = ".version 8.0\n.target sm_90\n.address_size 64\n";
const REGISTERS: &str = ".reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<64>;\n.reg .f32 %f<32>;\n.reg .b64 %rd<64>;\n.reg .b128 %q<8>;\n";

/// A kernel `k(out)` with the thread's number in `%r0` and the address of its word in `%rd0`.
fn threads(declarations: &str, body: &str) -> String {
    format!(
        "{HEADER}{declarations}\n.visible .entry k(.param .u64 out)\n{{\n{REGISTERS}\
         mov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmad.lo.s32 %r0, %r1, %r2, %r0;\n\
         ld.param.u64 %rd1, [out];\nmul.wide.u32 %rd0, %r0, 4;\nadd.s64 %rd0, %rd0, %rd1;\n{body}\nret;\n}}\n"
    )
}

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
fn a_copy_that_ignores_its_source_writes_zeros_and_reads_nothing() {
    for (guard, negated) in [("%p1", false), ("!%p1", true)] {
        // Ignoring lanes have a source that is nowhere.
        let ignore = |lane: u32| lane.is_multiple_of(3) != negated;
        let body = format!(
            ".shared .align 16 .b8 tile[512];\nrem.u32 %r3, %r0, 3;\nsetp.eq.u32 %p1, %r3, 0;\nmov.pred %p3, %p1;\n\
             {}\nselp.b64 %rd3, 0, %rd0, %p3;\n\
             add.u32 %r6, %r0, 100;\nst.global.u32 [%rd0], %r6;\nmov.u32 %r4, tile;\nmad.lo.u32 %r4, %r0, 4, %r4;\n\
             createpolicy.fractional.L2::evict_last.b64 %rd4;\n\
             cp.async.ca.shared.global.L2::cache_hint [%r4], [%rd3], 4, {guard}, %rd4;\ncp.async.wait_all;\n\
             ld.shared.u32 %r5, [%r4];\nst.global.u32 [%rd0], %r5;",
            if negated { "not.pred %p3, %p1;" } else { "" }
        );
        let seen = words(&threads("", &body), Shape::default(), LANES, &[]);
        let expected: Vec<u32> = (0..LANES as u32).map(|l| if ignore(l) { 0 } else { 100 + l }).collect();
        assert_eq!(seen, expected);
    }
}

/// The reference of `min` and `max`: a number rather than a NaN, and -0 below +0.
fn pick(a: f32, b: f32, greater: bool) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ if (a.total_cmp(&b) == std::cmp::Ordering::Greater) == greater => a,
        _ => b,
    }
}

#[test]
fn vector_and_float_atomics_work_on_each_element() {
    let float = || prop_oneof![any::<f32>(), Just(-0.0f32), Just(0.0), Just(f32::INFINITY), -9.0f32..9.0];
    let cases = (prop::collection::vec(float(), 8), prop::collection::vec(float(), 8), 0..4usize);
    let result = runner(80).run(&cases, |(old, by, form)| {
        let (instruction, count): (&str, usize) = [
            ("atom.global.add.v2.f32 {%f0,%f1}, [%rd1], {%f2,%f3}", 2),
            ("atom.global.add.v4.f32 {%f0,_,%f2,%f1}, [%rd1], {%f2,%f3,%f4,%f5}", 4),
            ("atom.global.min.f32 %f0, [%rd1], {%f2}", 1),
            ("atom.global.max.f32 {%f0}, [%rd1], %f2", 1),
        ][form];
        let mut body = String::new();
        for n in 0..4 {
            body += &format!("st.global.b32 [%rd1+{}], {};\n", 4 * n, old[n].to_bits());
            body += &format!("mov.b32 %f{}, 0f{:08x};\n", 2 + n, by[n].to_bits());
        }
        body += &format!("mov.b32 %f0, 0f00000000;\nmov.b32 %f1, 0f00000000;\n{instruction};\n");
        for n in 0..3 {
            body += &format!("st.global.f32 [%rd1+{}], %f{n};\n", 16 + 4 * n);
        }
        let seen = words(&threads("", &body), Shape { block: [1; 3], ..Shape::default() }, 8, &[]);
        let flush = |x: f32| if x.is_subnormal() { 0f32.copysign(x) } else { x };
        let same = |bits: u32, value: f32| bits == value.to_bits() || value.is_nan() && f32::from_bits(bits).is_nan();
        for n in 0..4 {
            let new = match form {
                _ if n >= count => old[n],
                // PTX ISA, `atom`: `.add` of f32 in global memory flushes subnormals, operands and result.
                0 | 1 => flush(flush(old[n]) + flush(by[n])),
                2 => pick(old[n], by[n], false),
                _ => pick(old[n], by[n], true),
            };
            prop_assert!(same(seen[n], new), "element {n}: {:#x}, not {new}", seen[n]);
        }
        let returned = [[old[0], old[1], by[0]], [old[0], old[3], old[2]], [old[0], 0.0, by[0]], [old[0], 0.0, by[0]]];
        for n in 0..3 {
            prop_assert_eq!(seen[4 + n], returned[form][n].to_bits(), "register {}", n);
        }
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    // Halves: every lane raises the same four.
    let text = threads(
        "",
        "cvt.rn.f32.u32 %f1, %r0;\ncvt.rn.bf16.f32 %h1, %f1;\nmov.b16 %h2, 0;\n\
         setp.eq.u32 %p1, %r0, 0;\n@%p1 st.global.v4.b32 [%rd1], {0, 0, 0, 0};\nbar.warp.sync -1;\n\
         red.global.max.noftz.v4.bf16 [%rd1], {%h1, %h2, %h1, %h1};",
    );
    let seen = words(&text, Shape::default(), LANES, &[]);
    // 31 as bf16 is 0x41f8.
    assert_eq!(&seen[..2], &[0x0000_41f8, 0x41f8_41f8]);
}

#[test]
fn values_of_128_bits_move_whole() {
    let result = runner(40).run(&(any::<[u64; 6]>(), any::<bool>()), |(v, equal)| {
        let (old, compare) = ([v[0], v[1]], if equal { [v[0], v[1]] } else { [v[2], v[1]] });
        let body = format!(
            ".shared .align 16 .b8 s[16];\n\
             mov.b64 %rd2, {};\nmov.b64 %rd3, {};\nmov.b128 %q0, {{%rd2, %rd3}};\nst.global.b128 [%rd1], %q0;\n\
             ld.global.b128 %q1, [%rd1];\nst.shared.b128 [s], %q1;\n\
             mov.b64 %rd4, {};\nmov.b64 %rd5, {};\nmov.b128 %q2, {{%rd4, %rd5}};\n\
             mov.b64 %rd6, {};\nmov.b64 %rd7, {};\nmov.b128 %q3, {{%rd6, %rd7}};\n\
             atom.shared.cas.b128 %q4, [s], %q2, %q3;\nst.global.b128 [%rd1+16], %q4;\n\
             ld.shared.b128 %q5, [s];\nst.global.b128 [%rd1+32], %q5;\n\
             atom.global.exch.b128 %q6, [%rd1], %q3;\nmov.b128 {{%rd8, %rd9}}, %q6;\nmov.b128 {{%rd9, %rd8}}, %q6;\n\
             st.global.v2.b64 [%rd1+48], {{%rd8, %rd9}};",
            v[0], v[1], compare[0], compare[1], v[4], v[5]
        );
        let seen = words(&threads("", &body), Shape { block: [1; 3], ..Shape::default() }, 16, &[]);
        let pair = |n: usize| -> [u64; 2] {
            std::array::from_fn(|k| u64::from(seen[4 * n + 2 * k]) | u64::from(seen[4 * n + 2 * k + 1]) << 32)
        };
        let after = if compare == old { [v[4], v[5]] } else { old };
        prop_assert_eq!([pair(0), pair(1), pair(2), pair(3)], [[v[4], v[5]], old, after, [v[1], v[0]]]);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn a_call_by_address_reaches_the_function_that_each_lane_means() {
    let function = |name: &str, body: &str| {
        format!(
            ".func (.param .b32 result) {name}(.param .b32 x)\n{{\n.reg .b32 %r<4>;\n.reg .pred %p<2>;\n\
             ld.param.b32 %r1, [x];\n{body}\nst.param.b32 [result], %r1;\nret;\n}}\n"
        )
    };
    let declarations = format!(
        "{}{}{}.func unlike(.param .b32 x) {{ ret; }}\n.alias other, twice;\n\
         .global .align 8 .u64 table[4] = {{plus, twice, generic(plus), odd}};\n",
        function("plus", "add.u32 %r1, %r1, 5;"),
        function("twice", "shl.b32 %r1, %r1, 1;"),
        function("odd", "and.b32 %r2, %r1, 1;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 mov.u32 %r1, 9;")
    );
    let body = |address: &str| {
        format!(
            "{address}\n{{\n.param .b32 x;\n.param .b32 y;\nst.param.b32 [x], %r0;\n\
             shape: .callprototype (.param .b32 _) _ (.param .b32 _);\ncall (y), %rd5, (x), shape;\n\
             ld.param.b32 %r5, [y];\n}}\nst.global.u32 [%rd0], %r5;"
        )
    };
    let chosen = "rem.u32 %r3, %r0, 3;\nsetp.eq.u32 %p1, %r3, 0;\nsetp.eq.u32 %p2, %r3, 1;\n\
                  mov.u64 %rd5, odd;\n@%p1 mov.u64 %rd5, plus;\n@%p2 mov.u64 %rd5, twice;";
    let seen = words(&threads(&declarations, &body(chosen)), Shape::default(), LANES, &[]);
    let expected: Vec<u32> = (0..LANES as u32)
        .map(|x| match x % 3 {
            0 => x + 5,
            1 => 2 * x,
            _ if x % 2 == 0 => 9,
            _ => x,
        })
        .collect();
    assert_eq!(seen, expected);
    // Loading stores the addresses that `mov` gives.
    let program = program(&threads(&declarations, &body(chosen)));
    let table = program.globals.iter().find(|global| global.name == "table").expect("the table");
    let mut bytes = vec![0u8; 32];
    table.addresses.iter().for_each(|value| value.store(&mut bytes, &[0]));
    let entries: Vec<u64> = bytes.chunks(8).map(|b| u64::from_le_bytes(b.try_into().expect("8 bytes"))).collect();
    assert!(entries[0] == entries[2] && entries[0] != entries[1] && entries[1] != entries[3] && entries[3] != 0);
    let text = threads(&declarations, "mov.u64 %rd5, plus;\nst.global.b64 [%rd1], %rd5;");
    let seen = words(&text, Shape { block: [1; 3], ..Shape::default() }, 2, &[]);
    assert_eq!(u64::from(seen[0]) | u64::from(seen[1]) << 32, entries[0]);
    // What is no function of that shape is a fault that names it.
    let mut memory = Memory::new();
    let out = memory.words(&[0; LANES]);
    for (address, wanted) in [("mov.u64 %rd5, 4096;", 4096), ("mov.u64 %rd5, 0;", 0)] {
        let program = self::program(&threads(&declarations, &body(address)));
        let fault = launch(&program, Shape::default(), &memory, &[out]).expect_err("a fault");
        assert_eq!(fault.kind, FaultKind::Call { address: wanted });
    }
}

#[test]
fn the_stack_gives_each_thread_room_of_its_own_until_the_function_returns() {
    let declarations = ".func (.reg .b64 where) inner(.reg .b64 size)\n{\n.reg .b64 %rd<4>;\nalloca.u64 %rd1, size;\n\
                        mov.u64 where, %rd1;\nret;\n}\n";
    let result = runner(30).run(&(1u64..200, 1u64..200, 0u32..8), |(a, b, align)| {
        let align = 8u64 << align;
        let body = format!(
            "stacksave.u64 %rd2;\nalloca.u64 %rd3, {a}, {align};\nalloca.u64 %rd4, {b};\n\
             call (%rd5), inner, ({b});\ncall (%rd6), inner, ({a});\nst.local.u8 [%rd3], %r0;\nst.local.u8 [%rd4], 7;\n\
             ld.local.u8 %r3, [%rd3];\nstackrestore.u64 %rd2;\nalloca.u64 %rd7, 1;\n\
             sub.u64 %rd8, %rd4, %rd3;\nsub.u64 %rd9, %rd5, %rd6;\nsub.u64 %rd10, %rd7, %rd2;\nrem.u64 %rd11, %rd3, {align};\n\
             setp.lt.u64 %p1, %rd8, {a};\nselp.u32 %r4, 1, 0, %p1;\ncvt.u32.u64 %r5, %rd9;\ncvt.u32.u64 %r6, %rd10;\n\
             cvt.u32.u64 %r7, %rd11;\nadd.u32 %r8, %r4, %r5;\nadd.u32 %r8, %r8, %r7;\nshl.b32 %r8, %r8, 8;\n\
             setp.ge.u32 %p2, %r6, 8;\nselp.u32 %r9, 65536, 0, %p2;\nor.b32 %r8, %r8, %r9;\n\
             or.b32 %r8, %r8, %r3;\nst.global.u32 [%rd0], %r8;"
        );
        let seen = words(&threads(declarations, &body), Shape { block: [64, 1, 1], ..Shape::default() }, 64, &[]);
        prop_assert_eq!(seen, (0..64).collect::<Vec<u32>>());
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn the_heap_gives_blocks_that_do_not_overlap_and_takes_them_back() {
    let declarations = ".extern .func (.param .b64 p) malloc (.param .b64 n);\n.extern .func free (.param .b64 p);\n";
    let call = |size: &str, to: &str| {
        format!(
            "{{\n.param .b64 n;\n.param .b64 p;\nst.param.b64 [n], {size};\ncall.uni (p), malloc, (n);\n\
             ld.param.b64 {to}, [p];\n}}\n"
        )
    };
    let free = |what: &str| format!("{{\n.param .b64 p;\nst.param.b64 [p], {what};\ncall.uni free, (p);\n}}\n");
    let times = fewer(50);
    // Each thread takes a block of its own size many times, fills it, lets others run, and looks. Three blocks' fit.
    let body = format!(
        "mov.u32 %r10, 0;\nmov.u32 %r11, 0;\nAGAIN:\nmad.lo.u32 %r3, %r0, 24, 40;\ncvt.u64.u32 %rd3, %r3;\n{}\
         setp.eq.u64 %p1, %rd4, 0;\n@%p1 bra NONE;\nshr.u32 %r4, %r3, 2;\nmov.u64 %rd5, %rd4;\nmov.u32 %r5, 0;\n\
         FILL:\nst.u32 [%rd5], %r0;\nadd.u64 %rd5, %rd5, 4;\nadd.u32 %r5, %r5, 1;\nsetp.lt.u32 %p2, %r5, %r4;\n@%p2 bra FILL;\n\
         mov.u64 %rd5, %rd4;\nmov.u32 %r5, 0;\n\
         LOOK:\nld.u32 %r6, [%rd5];\nsetp.ne.u32 %p3, %r6, %r0;\n@%p3 add.u32 %r11, %r11, 1;\nadd.u64 %rd5, %rd5, 4;\n\
         add.u32 %r5, %r5, 1;\nsetp.lt.u32 %p2, %r5, %r4;\n@%p2 bra LOOK;\n{}\
         add.u32 %r10, %r10, 1;\nsetp.lt.u32 %p4, %r10, {times};\n@%p4 bra AGAIN;\nst.global.u32 [%rd0], %r11;\nbra OUT;\n\
         NONE:\nst.global.u32 [%rd0], 77;\nOUT:",
        call("%rd3", "%rd4"),
        free("%rd4")
    );
    let heap = vec![0u8; 8 << 20];
    let run = |body: &str, threads: u32, blocks: u32| {
        let program = program(&self::threads(declarations, body));
        let mut memory = Memory::new();
        let out = memory.words(&vec![5; (threads * blocks) as usize]);
        let heap = memory.put(&heap);
        let shape = Shape { grid: [blocks, 1, 1], block: [threads, 1, 1], threads: 3, resident: 3, ..Shape::default() };
        let result = crate::common::launch_with_globals(&program, shape, &memory, &[out], &[heap]);
        result.map(|_| memory.read_words(0))
    };
    assert_eq!(run(&body, 128, 8).expect("no fault"), vec![0; 1024]);
    // More than there is, nothing, and what was never taken.
    let none = format!(
        "mov.u64 %rd3, 0x7fffffffffffffff;\n{}{}cvt.u32.u64 %r3, %rd4;\nst.global.u32 [%rd0], %r3;",
        call("%rd3", "%rd4"),
        free("%rd4")
    );
    assert_eq!(run(&none, 1, 1).expect("no fault"), [0]);
    let twice = format!("mov.u64 %rd3, 100;\n{}{}{}", call("%rd3", "%rd4"), free("%rd4"), free("%rd4"));
    let fault = run(&twice, 1, 1).expect_err("a fault");
    assert!(matches!(fault.kind, FaultKind::IllegalAddress { space: "heap", .. }), "{fault}");
}

#[test]
fn printing_formats_as_c_does() {
    let _one = OUTPUT.lock().expect("one at a time");
    drop(take_output());
    /// Format, arguments as 8-byte cells (true: of 8 bytes), what C prints.
    type Line<'a> = (&'a str, &'a [(u64, bool)], &'a str);
    let pi = std::f64::consts::PI.to_bits();
    let lines: &[Line<'_>] = &[
        ("plain 100%%\n", &[], "plain 100%\n"),
        (
            "[%d|%5d|%-5d|%05d|%+d|% d]",
            &[(42, false), (42, false), (42, false), (42, false), (42, false), (42, false)],
            "[42|   42|42   |00042|+42| 42]",
        ),
        (
            "[%d %u %x %X %o %#x %#o]",
            &[(u64::MAX, false), (u64::MAX, false), (255, false), (255, false), (8, false), (255, false), (8, false)],
            "[-1 4294967295 ff FF 10 0xff 010]",
        ),
        (
            "[%lld %llu %lx %zu]",
            &[(u64::MAX, true), (u64::MAX, true), (1 << 40, true), (7, true)],
            "[-1 18446744073709551615 10000000000 7]",
        ),
        ("[%.3d|%8.3d|%.0d]", &[(7, false), (7, false), (0, false)], "[007|     007|]"),
        ("[%c%c|%3c]", &[(65, false), (66, false), (67, false)], "[AB|  C]"),
        (
            "[%*d|%-*d|%.*f]",
            &[(6, false), (42, false), (4, false), (9, false), (2, false), (pi, true)],
            "[    42|9   |3.14]",
        ),
        (
            "[%f %.2f %9.3f %-9.1f| %e %.0e %E]",
            &[(pi, true), (pi, true), (pi, true), (pi, true), (pi, true), (pi, true), (pi, true)],
            "[3.141593 3.14     3.142 3.1      | 3.141593e+00 3e+00 3.141593E+00]",
        ),
        (
            "[%g %g %g %g]",
            &[
                (1e-5f64.to_bits(), true),
                (123_456_789f64.to_bits(), true),
                (0.5f64.to_bits(), true),
                (100f64.to_bits(), true),
            ],
            "[1e-05 1.23457e+08 0.5 100]",
        ),
        (
            "[%f %F %+f %08.1f]",
            &[
                (f64::NAN.to_bits(), true),
                (f64::INFINITY.to_bits(), true),
                (1f64.to_bits(), true),
                ((-2.5f64).to_bits(), true),
            ],
            "[nan INF +1.000000 -00002.5]",
        ),
        ("[%a %.2a]", &[(1f64.to_bits(), true), (pi, true)], "[0x1p+0 0x1.92p+1]"),
        ("[%p]", &[(0x1234, true)], "[0x1234]"),
        ("100%", &[], "100%"),
        ("%q", &[], "%q"),
    ];
    for (format, arguments, expected) in lines {
        let (mut at, mut stores) = (0u64, String::new());
        for (value, wide) in *arguments {
            let size = if *wide { 8 } else { 4 };
            at = at.next_multiple_of(size);
            let value = if *wide { *value } else { *value & 0xffff_ffff };
            stores += &format!("st.local.b{} [args+{at}], {value};\n", 8 * size);
            at += size;
        }
        let bytes: Vec<String> = format.bytes().chain([0]).map(|byte| byte.to_string()).collect();
        let text = threads(
            ".extern .func (.param .b32 n) vprintf (.param .b64 format, .param .b64 arguments);\n",
            &format!(
                ".local .align 8 .b8 args[128];\n.shared .align 1 .b8 text[{}];\n{}{stores}\
                 mov.u64 %rd2, text;\ncvta.shared.u64 %rd2, %rd2;\nmov.u64 %rd3, args;\ncvta.local.u64 %rd3, %rd3;\n\
                 {{\n.param .b64 f;\n.param .b64 a;\n.param .b32 n;\nst.param.b64 [f], %rd2;\nst.param.b64 [a], %rd3;\n\
                 call.uni (n), vprintf, (f, a);\nld.param.b32 %r5, [n];\n}}\nst.global.u32 [%rd0], %r5;",
                bytes.len(),
                bytes.iter().enumerate().map(|(n, b)| format!("st.shared.u8 [text+{n}], {b};\n")).collect::<String>(),
            ),
        );
        let mut memory = Memory::new();
        let out = memory.words(&[9]);
        let shape = Shape { block: [1; 3], ..Shape::default() };
        launch(&program(&text), shape, &memory, &[out]).expect("no fault");
        assert_eq!(String::from_utf8(take_output()).expect("UTF-8"), *expected, "{format}");
        // A `*` is no argument of its own in what is returned.
        let stars = format.matches('*').count();
        assert_eq!(memory.read_words(0)[0] as usize, arguments.len() - stars, "{format}");
    }
}

#[test]
fn every_lane_prints_and_the_newest_megabyte_is_kept() {
    let _one = OUTPUT.lock().expect("one at a time");
    drop(take_output());
    // `%99d`: long lines, so that few threads print more than is kept.
    let body = ".shared .align 1 .b8 text[8];\nst.shared.u8 [text], 37;\nst.shared.u8 [text+1], 57;\n\
                st.shared.u8 [text+2], 57;\nst.shared.u8 [text+3], 100;\nst.shared.u8 [text+4], 10;\nst.shared.u8 [text+5], 0;\n.local .align 8 .b8 args[8];\nst.local.u32 [args], %r0;\n\
                mov.u64 %rd2, text;\ncvta.shared.u64 %rd2, %rd2;\nmov.u64 %rd3, args;\ncvta.local.u64 %rd3, %rd3;\n\
                call (%r5), vprintf, (%rd2, %rd3);";
    let declarations = ".extern .func (.reg .b32 n) vprintf (.reg .b64 format, .reg .b64 arguments);\n";
    let program = program(&threads(declarations, body));
    let mut memory = Memory::new();
    let out = memory.words(&[9]);
    launch(&program, Shape { block: [70, 1, 1], ..Shape::default() }, &memory, &[out]).expect("no fault");
    let text = String::from_utf8(take_output()).expect("UTF-8");
    let mut numbers: Vec<u32> = text.lines().map(|line| line.trim().parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..70).collect::<Vec<_>>());
    assert_eq!(take_output(), Vec::<u8>::new());
    let shape = Shape { grid: [11, 1, 1], block: [1024, 1, 1], ..Shape::default() };
    launch(&program, shape, &memory, &[out]).expect("no fault");
    assert_eq!(take_output().len(), 1 << 20);
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

#[test]
fn the_systems_shared_memory_is_apart_and_zero() {
    let body = ".shared .align 4 .b8 own[64];\nmov.u32 %r3, %reserved_smem_offset_begin;\n\
                mov.u32 %r4, %reserved_smem_offset_1;\nmov.u32 %r5, %reserved_smem_offset_end;\n\
                sub.u32 %r6, %r5, %r3;\nmov.u32 %r7, %reserved_smem_offset_cap;\nsub.u32 %r6, %r6, %r7;\n\
                ld.shared.u32 %r8, [%r4];\nor.b32 %r6, %r6, %r8;\nld.shared.u32 %r8, [%r5+-4];\nor.b32 %r6, %r6, %r8;\n\
                mov.u32 %r9, own;\nsub.u32 %r10, %r9, %r3;\nsetp.lt.u32 %p1, %r10, %r7;\n@%p1 or.b32 %r6, %r6, 1;\n\
                st.shared.u32 [%r4], 5;\nst.global.u32 [%rd0], %r6;";
    let shape = Shape { grid: [3, 1, 1], block: [1, 1, 1], seed: 5, ..Shape::default() };
    assert_eq!(words(&threads("", body), shape, 3, &[]), [0, 0, 0]);
}

#[test]
fn an_address_is_in_one_space_only() {
    let declarations = ".const .align 4 .b32 fixed[4];\n.global .align 4 .b32 free;\n";
    let spaces = ["global", "const", "shared", "local", "param"];
    let mut body = String::from(
        ".shared .b32 s;\n.local .b32 l;\nmov.u64 %rd2, free;\nmov.u64 %rd3, fixed;\nadd.u64 %rd3, %rd3, 15;\n\
         mov.u64 %rd4, s;\ncvta.shared.u64 %rd4, %rd4;\nmov.u64 %rd5, l;\ncvta.local.u64 %rd5, %rd5;\n\
         mov.u64 %rd6, out;\ncvta.param.u64 %rd6, %rd6;\n",
    );
    for register in 2..7 {
        body += "mov.u32 %r3, 0;\n";
        for (bit, space) in spaces.iter().enumerate() {
            body += &format!("isspacep.{space} %p1, %rd{register};\n@%p1 or.b32 %r3, %r3, {};\n", 1 << bit);
        }
        body += &format!("isspacep.shared::cluster %p1, %rd{register};\n@%p1 or.b32 %r3, %r3, 32;\n");
        body += &format!("st.global.u32 [%rd1+{}], %r3;\n", 4 * (register - 2));
    }
    let program = program(&threads(declarations, &body));
    let mut memory = Memory::new();
    let out = memory.words(&[0; 5]);
    let globals = [memory.words(&[0; 4]), memory.words(&[0])];
    let shape = Shape { block: [1; 3], ..Shape::default() };
    crate::common::launch_with_globals(&program, shape, &memory, &[out], &globals).expect("no fault");
    assert_eq!(memory.read_words(0), [1, 2, 4 | 32, 8, 16]);
}

#[test]
fn what_only_hints_changes_nothing() {
    let text = kernel(
        "griddepcontrol.wait;\nld.global.L2::evict_last.u64 %rd10, [%rd1];\nfence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;\n\
         mov.u32 %r5, %pm3;\nmov.u64 %rd11, %pm3_64;\nmov.u32 %r6, %envreg7;\ngriddepcontrol.launch_dependents;\n\
         st.global.L2::evict_first.u64 [%rd0], %rd10;",
    );
    let input: Vec<u64> = (0..LANES as u64).map(|n| n * 0x0101_0101_0101).collect();
    for isa in Isa::available() {
        assert_eq!(cells(&text, isa, [&input, &input, &input]).expect("no fault"), input);
    }
    assert!(Program::from_ptx(&text).is_ok());
}
