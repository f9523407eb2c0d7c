//! Asynchronous copies, spaces of addresses, and hints.

use graphproof_exec::{Isa, Program};

use super::{LANES, threads, words};
use crate::common::{Memory, Shape, cells, kernel, program};

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
