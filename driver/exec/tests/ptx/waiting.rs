//! Blocks that wait for each other by memory: barriers of the grid by counters of their own, flags of the block
//! before (decoupled look-back), locks. On a GPU all blocks that it holds at once make progress; those behind
//! them start when others have ended.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::common::{Memory, Shape, fewer_hosts, launch, parameters, program, waiting_blocks};
use graphproof_exec::{ExecStats, Fault, FaultKind, Launch, LaunchConfig, Pool, Program, run};

const REGISTERS: &str = ".reg .pred %p<8>;\n.reg .b32 %r<32>;\n.reg .b64 %rd<16>;\n";

/// A kernel `k(out, shared)`: the block in `%r1`, the thread in `%r2`, the blocks in `%r3`, whether it is the block's
/// first thread in `%p1`, the addresses in `%rd1` and `%rd2`, the block's own word of `out` at `%rd0`.
fn kernel(body: &str) -> Program {
    program(&format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u64 shared)\n{{\n\
         {REGISTERS}mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %tid.x;\nmov.u32 %r3, %nctaid.x;\n\
         setp.eq.u32 %p1, %r2, 0;\nld.param.u64 %rd1, [out];\nld.param.u64 %rd2, [shared];\n\
         mul.wide.u32 %rd0, %r1, 4;\nadd.u64 %rd0, %rd0, %rd1;\n{body}\nret;\n}}\n"
    ))
}

fn shape(blocks: u32, threads: u32, seed: u64, host: usize) -> Shape {
    Shape { grid: [blocks, 1, 1], block: [threads, 1, 1], seed, threads: host, ..Shape::default() }
}

/// Runs it over orders and host threads; gives `out` and `shared` of each run.
fn runs(program: &Program, blocks: u32, threads: u32, shared: usize, check: impl Fn(&[u32], &[u32], &str)) {
    for (seed, host) in [(0, 1), (1, 1), (9, 2), (0, 3)].into_iter().take(fewer_hosts(4)) {
        let mut memory = Memory::new();
        let values = [memory.words(&vec![0; blocks as usize]), memory.words(&vec![0; shared])];
        let how = format!("{blocks} blocks of {threads}, order {seed}, {host} host threads");
        if let Err(fault) = launch(program, shape(blocks, threads, seed, host), &memory, &values) {
            panic!("{how}: {fault}");
        }
        check(&memory.read_words(0), &memory.read_words(1), &how);
    }
}

/// A barrier of the grid: the block's first thread counts, and reads until all have; `load` is how.
fn grid_barrier(n: u32, load: &str) -> String {
    format!(
        "bar.sync 0;\n@!%p1 bra PASSED{n};\nmembar.gl;\natom.global.add.u32 %r10, [%rd2], 1;\n\
         mul.lo.u32 %r11, %r3, {};\nSPIN{n}:\n{load}.u32 %r12, [%rd2];\nsetp.lt.u32 %p2, %r12, %r11;\n\
         @%p2 bra SPIN{n};\nmembar.gl;\nPASSED{n}:\nbar.sync 0;\n",
        n + 1
    )
}

#[test]
fn a_grid_waits_by_a_counter_of_its_own() {
    for load in ["ld.volatile.global", "ld.acquire.gpu.global", "ld.relaxed.gpu.global", "ld.global.cg"] {
        // Each round, a block takes the word of the next one, between two barriers.
        let mut body = "add.u32 %r4, %r1, 1;\n@%p1 st.global.u32 [%rd0], %r4;\nadd.u32 %r5, %r1, 1;\n\
                        rem.u32 %r5, %r5, %r3;\nmul.wide.u32 %rd3, %r5, 4;\nadd.u64 %rd3, %rd3, %rd1;\n"
            .to_owned();
        for round in 0..3 {
            body += &grid_barrier(2 * round, load);
            body += "ld.global.cg.u32 %r6, [%rd3];\n";
            body += &grid_barrier(2 * round + 1, load);
            body += "@%p1 st.global.u32 [%rd0], %r6;\n";
        }
        let program = kernel(&body);
        for (blocks, threads) in [(2, 32), (40, 96), (132, 32)] {
            let blocks = waiting_blocks(blocks);
            runs(&program, blocks, threads, 1, |out, _, how| {
                let expected: Vec<u32> = (0..blocks).map(|block| (block + 3) % blocks + 1).collect();
                assert_eq!(out, expected, "{load}, {how}");
            });
        }
    }
}

#[test]
fn a_block_waits_for_those_before_it() {
    // Inclusive sums over blocks: each waits for the flagged sum of the block before, whatever the order of blocks.
    let body = "@!%p1 bra DONE;\nmad.lo.u32 %r4, %r1, 3, 1;\nsetp.eq.u32 %p3, %r1, 0;\n@%p3 bra FIRST;\n\
                WAIT:\nld.acquire.gpu.global.u32 %r5, [%rd0+-4];\nsetp.eq.u32 %p2, %r5, 0;\n@%p2 bra WAIT;\n\
                add.u32 %r4, %r4, %r5;\nFIRST:\nst.release.gpu.global.u32 [%rd0], %r4;\nDONE:\n";
    let program = kernel(body);
    for blocks in [3, 40, 132].map(waiting_blocks) {
        runs(&program, blocks, 64, 1, |out, _, how| {
            let sums = (0..blocks).scan(0, |sum, block| {
                *sum += 3 * block + 1;
                Some(*sum)
            });
            assert_eq!(out, sums.collect::<Vec<_>>(), "{how}");
        });
    }
}

#[test]
fn the_last_block_may_be_waited_for_by_reads_of_any_kind() {
    // The block's threads ask together, with a barrier in each turn; then one thread by a plain load.
    let together = "AGAIN:\nbar.sync 0;\nld.volatile.global.u32 %r4, [%rd2];\nsetp.eq.u32 %p2, %r4, 0;\nbar.sync 0;\n";
    let plain = "bar.sync 0;\n@!%p1 bra GO;\nAGAIN:\nld.global.u32 %r4, [%rd2];\nsetp.eq.u32 %p2, %r4, 0;\n";
    let ends = "@%p2 bra AGAIN;\nGO:\nbar.sync 0;\n@%p1 st.global.u32 [%rd0], 7;\n";
    let last = "sub.u32 %r5, %r3, 1;\nsetp.eq.u32 %p3, %r1, %r5;\n@%p3 st.volatile.global.u32 [%rd2], 1;\n";
    for body in [together, plain] {
        runs(&kernel(&format!("{last}{body}{ends}")), 5, 64, 1, |out, _, how| assert_eq!(out, [7; 5], "{how}\n{body}"));
    }
}

#[test]
fn locks_keep_blocks_apart() {
    // What is counted is counted without atomics, each with a lock: by tickets, and by exchange.
    let tickets = "atom.global.add.u32 %r4, [%rd2], 1;\nWAIT:\nld.acquire.gpu.global.u32 %r5, [%rd2+4];\n\
                   setp.ne.u32 %p2, %r4, %r5;\n@%p2 bra WAIT;\n";
    let next = "membar.gl;\nadd.u32 %r5, %r4, 1;\nst.release.gpu.global.u32 [%rd2+4], %r5;\n";
    let exchange =
        "WAIT:\natom.acquire.gpu.global.exch.b32 %r4, [%rd2], 1;\nsetp.ne.u32 %p2, %r4, 0;\n@%p2 bra WAIT;\n";
    let free = "membar.gl;\natom.release.gpu.global.exch.b32 %r4, [%rd2], 0;\n";
    // Long enough in there for the block to be set aside while it holds the lock.
    let count = "ld.volatile.global.u32 %r6, [%rd2+8];\nmov.u32 %r7, 0;\nHOLD:\nadd.u32 %r7, %r7, 1;\n\
                 setp.lt.u32 %p4, %r7, 2000;\n@%p4 bra HOLD;\nadd.u32 %r6, %r6, 1;\nst.volatile.global.u32 [%rd2+8], %r6;\n";
    for (take, give) in [(tickets, next), (exchange, free)] {
        let body = format!("@!%p1 bra DONE;\n{take}{count}{give}DONE:\nbar.sync 0;\n@%p1 st.global.u32 [%rd0], 1;\n");
        let blocks = waiting_blocks(60);
        runs(&kernel(&body), blocks, 64, 3, |out, shared, how| {
            assert_eq!((shared[2], out.iter().sum::<u32>()), (blocks, blocks), "{how}");
        });
    }
}

/// Runs with a `resident` of its own; once `begun` blocks have counted in word 0 of `shared` it may be cancelled.
fn cancelled_after(program: &Program, blocks: u32, resident: u64, begun: u32) -> Result<ExecStats, Fault> {
    let mut memory = Memory::new();
    let out = memory.words(&vec![0; blocks as usize]);
    let shared = memory.words(&[0; 4]);
    let (map, cancel, parameters) = (memory.map(), AtomicBool::new(false), parameters(&[out, shared]));
    // SAFETY: the buffer lives as long as the memory, is aligned, and the kernel counts in it by atomics.
    let counter = unsafe { AtomicU32::from_ptr(map.ranges[1].host.cast()) };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while counter.load(Ordering::Acquire) < begun && !over.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            cancel.store(true, Ordering::Release);
        });
        let launch = Launch {
            kernel: program.entries[0].kernel().expect("an executed kernel"),
            config: LaunchConfig { grid: [blocks, 1, 1], block: [32, 1, 1], dynamic_shared_bytes: 0 },
            cluster: [1; 3],
            parameters: &parameters,
            globals: &[],
            memory: &map,
            textures: &[],
            order_seed: 0,
            resident,
            stack_bytes: 0,
            cancel: &cancel,
            footprint: None,
        };
        let ran = run(&launch, &Pool::new(2));
        over.store(true, Ordering::Release);
        ran
    })
}

#[test]
fn blocks_that_wait_in_a_circle_are_stopped() {
    // Each takes its own lock, counts, and waits for the next one's to be free, which none gives back.
    let body = "@!%p1 bra DONE;\nst.volatile.global.u32 [%rd0], 1;\natom.global.add.u32 %r4, [%rd2], 1;\n\
                add.u32 %r5, %r1, 1;\nrem.u32 %r5, %r5, %r3;\nmul.wide.u32 %rd3, %r5, 4;\nadd.u64 %rd3, %rd3, %rd1;\n\
                WAIT:\nld.volatile.global.u32 %r6, [%rd3];\nsetp.ne.u32 %p2, %r6, 2;\n@%p2 bra WAIT;\n\
                st.volatile.global.u32 [%rd0], 2;\nDONE:\n";
    let fault = cancelled_after(&kernel(body), 8, 8, 8).expect_err("nobody begins");
    assert_eq!(fault.kind, FaultKind::Cancelled);
}

#[test]
fn a_block_that_the_device_does_not_hold_is_not_waited_for() {
    // All wait for the last block, as a barrier of the grid does.
    let body = "@!%p1 bra DONE;\natom.global.add.u32 %r4, [%rd2], 1;\n\
                WAIT:\nld.volatile.global.u32 %r6, [%rd2];\nsetp.lt.u32 %p2, %r6, %r3;\n@%p2 bra WAIT;\nDONE:\n";
    let program = kernel(body);
    let fault = cancelled_after(&program, 12, 8, 8).expect_err("four have no place");
    assert_eq!(fault.kind, FaultKind::Cancelled);
    cancelled_after(&program, 12, 12, 12).expect("all have");
}

#[test]
fn no_more_blocks_are_under_way_than_the_device_holds() {
    // Counts blocks under way and keeps the most, with a long loop between.
    let body = "@!%p1 bra DONE;\natom.global.add.u32 %r4, [%rd2], 1;\nadd.u32 %r4, %r4, 1;\n\
                atom.global.max.u32 %r5, [%rd2+4], %r4;\nmov.u32 %r7, 0;\nHOLD:\nld.volatile.global.u32 %r6, [%rd2+8];\n\
                add.u32 %r7, %r7, 1;\nsetp.lt.u32 %p4, %r7, 40000;\n@%p4 bra HOLD;\n\
                atom.global.add.u32 %r4, [%rd2], -1;\nst.global.u32 [%rd0], 1;\nDONE:\n";
    let program = kernel(body);
    let mut memory = Memory::new();
    let values = [memory.words(&[0; 20]), memory.words(&[0; 3])];
    launch(&program, Shape { resident: 6, ..shape(20, 32, 3, 2) }, &memory, &values).expect("no fault");
    let shared = memory.read_words(1);
    assert_eq!((shared[0], memory.read_words(0)), (0, vec![1; 20]));
    assert!((3..=6).contains(&shared[1]), "{} blocks were under way at once", shared[1]);
}
