//! Calls by address, the stack and the heap.

use graphproof_exec::FaultKind;
use proptest::prelude::*;

use super::{LANES, threads, words};
use crate::common::{Memory, Shape, fewer, launch, program, runner};

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
