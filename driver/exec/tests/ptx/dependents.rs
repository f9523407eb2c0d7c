//! Programmatic dependent launch: a kernel that begins when all blocks of the one ahead have let it, or have ended, and
//! that waits for the end of that one itself, or does not.

use std::sync::atomic::AtomicBool;

use crate::common::{Memory, fewer, parameters, program};
use graphproof_exec::{
    BACKWARDS, ExecStats, FORWARDS, Fault, FaultKind, Launch, LaunchConfig, Pool, Program, run, run_in_parts,
};

const TRIGGER: &str = "griddepcontrol.launch_dependents;\n";
const WAIT: &str = "griddepcontrol.wait;\n";

/// Two kernels: `a(data, out)` with the body `first`, and `b(data, out)` with `second`. In each `%r1` is the thread's
/// number in the grid, `%rd1` and `%rd2` are its words of `data` and `out`, `%rd3` is all of `data`, `%p1` holds in the
/// block's first thread, `%r2` is the block and `%r3` the blocks.
fn pair(first: &str, second: &str) -> Program {
    let entry = |name: &str, body: &str| {
        format!(
            ".visible .entry {name}(.param .u64 data, .param .u64 out)\n{{\n.reg .pred %p<8>;\n.reg .b32 %r<32>;\n\
             .reg .b64 %rd<16>;\nmov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %nctaid.x;\nmov.u32 %r4, %tid.x;\n\
             mov.u32 %r5, %ntid.x;\nmad.lo.u32 %r1, %r2, %r5, %r4;\nsetp.eq.u32 %p1, %r4, 0;\n\
             ld.param.u64 %rd3, [data];\nld.param.u64 %rd4, [out];\nmul.wide.u32 %rd0, %r1, 4;\n\
             add.u64 %rd1, %rd3, %rd0;\nadd.u64 %rd2, %rd4, %rd0;\n{body}\nret;\n}}\n"
        )
    };
    let header = ".version 8.0\n.target sm_90\n.address_size 64\n";
    program(&format!("{header}{}{}", entry("a", first), entry("b", second)))
}

/// What the first writes for others: 100 and the thread's number.
const WRITES: &str = "add.u32 %r10, %r1, 100;\nst.global.u32 [%rd1], %r10;\n";
/// What the second makes of it.
const READS: &str = "ld.global.u32 %r10, [%rd1];\nadd.u32 %r10, %r10, 1000;\nst.global.u32 [%rd2], %r10;\n";

#[derive(Clone, Copy)]
struct How {
    blocks: u32,
    threads: u32,
    cluster: u32,
    resident: u64,
    seed: u64,
    host: usize,
}

const PLAIN: How = How { blocks: 8, threads: 64, cluster: 1, resident: 1024, seed: BACKWARDS, host: 1 };

/// What came of both: `out`, and whether the second began early.
struct Ran {
    out: Vec<u32>,
    early: bool,
    results: [Result<ExecStats, Fault>; 2],
}

/// Runs both, the second early if the first lets it.
fn both(program: &Program, how: How) -> Ran {
    let mut memory = Memory::new();
    let words = (how.blocks * how.threads) as usize;
    let parameters = parameters(&[memory.words(&vec![0; words]), memory.words(&vec![7; words])]);
    let (map, cancel, pool) = (memory.map(), AtomicBool::new(false), Pool::new(how.host));
    let kernels = [0, 1].map(|entry| program.entries[entry].kernel().expect("an executed kernel"));
    let [first, second] = kernels.map(|kernel| Launch {
        kernel,
        config: LaunchConfig { grid: [how.blocks, 1, 1], block: [how.threads, 1, 1], dynamic_shared_bytes: 0 },
        cluster: [how.cluster, 1, 1],
        parameters: &parameters,
        globals: &[],
        memory: &map,
        textures: &[],
        order_seed: how.seed,
        resident: how.resident,
        stack_bytes: 0,
        cancel: &cancel,
        footprint: None,
    });
    let (early, results) = run_in_parts(&first, &[], &pool, |ahead| {
        ahead.until_triggered();
        let early = ahead.has_triggered();
        let results = if early {
            run_in_parts(&second, &[], &pool, |behind| {
                behind.until_wait();
                [ahead.finish(), behind.finish()]
            })
        } else {
            [ahead.finish(), run(&second, &pool)]
        };
        (early, results)
    });
    Ran { out: memory.read_words(1), early, results }
}

fn right(how: How) -> Vec<u32> {
    (0..how.blocks * how.threads).map(|thread| thread + 1100).collect()
}

/// Sixty-four seeds and the two extremes, on one thread of the host and on three.
fn all() -> impl Iterator<Item = How> {
    let seeds = (1..=u64::from(fewer(64).max(2))).chain([FORWARDS, BACKWARDS]);
    seeds.flat_map(|seed| [1, 3].map(|host| How { seed, host, ..PLAIN }))
}

#[test]
fn a_kernel_begins_where_all_blocks_of_the_one_ahead_have_let_it() {
    let hasty = pair(&format!("{TRIGGER}{WRITES}"), READS);
    let ran = both(&hasty, PLAIN);
    assert!(ran.early);
    // It read what was not written yet, all of it.
    assert_eq!(ran.out, vec![1000; 512]);
    // Under a seed as many blocks as it chooses have begun, and as many were held: each of the words is the one or the
    // other.
    let mut seen = [0, 0];
    for how in all() {
        for (word, right) in both(&hasty, how).out.into_iter().zip(right(how)) {
            assert!(word == right || word == 1000, "seed {}: {word}", how.seed);
            seen[usize::from(word == right)] += 1;
        }
    }
    assert!(seen[0] > 1000 && seen[1] > 1000, "{seen:?}");
}

#[test]
fn one_that_waits_reads_what_was_written_under_every_order() {
    for how in all() {
        for (first, second) in [
            (format!("{TRIGGER}{WRITES}"), format!("{WAIT}{READS}")),
            // One thread lets them begin, one waits for all.
            (format!("@%p1 {TRIGGER}bar.sync 0;\n{WRITES}"), format!("@%p1 {WAIT}bar.sync 0;\n{READS}")),
            (format!("{TRIGGER}bar.sync 0;\n{TRIGGER}{WRITES}"), format!("bar.sync 0;\n{WAIT}{WAIT}{READS}")),
            // Some threads end, some of a warp wait elsewhere.
            (
                format!("{TRIGGER}{WRITES}"),
                format!(
                    "and.b32 %r11, %r4, 1;\nsetp.eq.u32 %p2, %r11, 0;\n@%p2 bra ODD;\n{WAIT}bra MET;\nODD:\n{WAIT}MET:\n{READS}"
                ),
            ),
        ] {
            let ran = both(&pair(&first, &second), how);
            assert!(ran.early, "seed {}:\n{first}", how.seed);
            assert_eq!(ran.out, right(how), "seed {}:\n{first}{second}", how.seed);
        }
    }
}

#[test]
fn what_comes_before_the_wait_is_early() {
    let second =
        format!("ld.global.u32 %r11, [%rd1];\n{WAIT}{READS}add.u32 %r10, %r10, %r11;\nst.global.u32 [%rd2], %r10;\n");
    let program = pair(&format!("{TRIGGER}{WRITES}"), &second);
    assert_eq!(both(&program, PLAIN).out, right(PLAIN));
    let twice: Vec<u32> = right(PLAIN).iter().map(|word| 2 * word - 1000).collect();
    let whole = pair(WRITES, &second);
    assert_eq!(both(&whole, PLAIN).out, twice);
}

#[test]
fn nobody_begins_early_behind_one_that_does_not_let_it() {
    for how in all() {
        let ran = both(&pair(WRITES, READS), how);
        assert!(!ran.early);
        assert_eq!(ran.out, right(how));
    }
    // A block that has ended counts as one that has let it: what the fourth writes is there.
    let ran = both(&pair(&format!("setp.eq.u32 %p2, %r2, 3;\n@!%p2 {TRIGGER}{WRITES}"), READS), PLAIN);
    assert!(ran.early);
    let block = |at: usize| ran.out[64 * at..64 * (at + 1)].to_vec();
    assert_eq!([block(2), block(3), block(4)], [vec![1000; 64], right(PLAIN)[192..256].to_vec(), vec![1000; 64]]);
}

#[test]
fn the_blocks_of_a_cluster_let_it_one_by_one() {
    // The second block of each cluster does so behind a barrier of the cluster, to which the first comes behind it.
    let first = format!(
        "mov.u32 %r11, %cluster_ctarank;\nsetp.eq.u32 %p2, %r11, 0;\n@!%p2 bra OTHER;\n{TRIGGER}OTHER:\n\
         barrier.cluster.arrive;\nbarrier.cluster.wait;\n@%p2 bra GO;\n{TRIGGER}GO:\n{WRITES}"
    );
    for (wait, expected) in [("", vec![1000; 512]), (WAIT, right(PLAIN))] {
        let ran = both(&pair(&first, &format!("{wait}{READS}")), How { cluster: 2, ..PLAIN });
        assert!(ran.early);
        if wait.is_empty() {
            // The first block of a cluster runs on while the second comes to where it lets them.
            assert!(ran.out.iter().all(|word| *word == 1000 || *word >= 1100) && ran.out.contains(&1000));
        } else {
            assert_eq!(ran.out, expected);
        }
    }
}

#[test]
fn of_more_blocks_than_the_device_holds_the_last_are_early() {
    for resident in [1, 3, 7] {
        let how = How { resident, ..PLAIN };
        let ran = both(&pair(&format!("{TRIGGER}{WRITES}"), READS), how);
        assert!(ran.early);
        // The order is backwards: the last to run of the first are its first blocks, the first of the second its last.
        let threads = how.threads as usize;
        let late = ran.out.chunks(threads).filter(|block| block.iter().all(|&word| word >= 1100)).count();
        assert!(late >= 8 - resident as usize, "{resident}: {late}");
        let ran = both(&pair(&format!("{TRIGGER}{WRITES}"), &format!("{WAIT}{READS}")), how);
        assert_eq!(ran.out, right(how));
    }
}

/// Sets the first word of `data` to 1, by block `block`.
fn sets(block: &str) -> String {
    format!("setp.eq.u32 %p2, %r2, {block};\nand.pred %p2, %p2, %p1;\n@%p2 st.release.gpu.global.u32 [%rd3], 1;\n")
}

/// Reads the first word of `data` until it is set.
fn spins(load: &str) -> String {
    format!("SPIN:\n{load}.u32 %r12, [%rd3];\nsetp.eq.u32 %p3, %r12, 0;\n@%p3 bra SPIN;\n")
}

#[test]
fn blocks_that_wait_for_what_is_held_are_not_waited_for() {
    let done = "mov.u32 %r10, 5;\nst.global.u32 [%rd2], %r10;\n";
    let how = How { blocks: 4, threads: 32, ..PLAIN };
    for load in ["ld.acquire.gpu.global", "ld.global"] {
        // Block 0 lets them begin before it sets what the others wait for before they do.
        let first = format!(
            "setp.eq.u32 %p4, %r2, 0;\n@!%p4 bra OTHERS;\n{TRIGGER}OTHERS:\n{}@%p4 bra DONE;\n{}{TRIGGER}DONE:\n",
            sets("0"),
            spins(load)
        );
        // Of a loop that does not say that it waits, a part is long.
        let runs: &[(u64, usize)] = if load == "ld.global" {
            &[(BACKWARDS, 1)]
        } else {
            &[(1, 1), (2, 2), (FORWARDS, 1), (BACKWARDS, 1), (BACKWARDS, 2)]
        };
        for &(seed, host) in runs {
            let ran = both(&pair(&first, done), How { seed, host, ..how });
            assert!(ran.results.iter().all(Result::is_ok), "{:?}", ran.results);
            assert_eq!(ran.out, vec![5; 128]);
        }
        // The second waits, before its wait, for what the first sets behind its trigger.
        let (first, second) = (format!("{TRIGGER}{}", sets("1")), format!("{}{WAIT}{done}", spins(load)));
        for &(seed, host) in runs {
            let ran = both(&pair(&first, &second), How { seed, host, ..how });
            assert!(ran.early && ran.results.iter().all(Result::is_ok), "{:?}", ran.results);
            assert_eq!(ran.out, vec![5; 128]);
        }
    }
}

#[test]
fn a_long_part_is_no_waiting() {
    let long = "ld.acquire.gpu.global.u32 %r14, [%rd1];\nmov.u32 %r11, 0;\nLONG:\nadd.u32 %r11, %r11, 1;\nmul.lo.u32 %r12, %r11, 7;\nxor.b32 %r12, %r12, %r11;\n\
                add.u32 %r13, %r12, 1;\nmul.lo.u32 %r13, %r13, %r12;\nadd.u32 %r13, %r13, %r12;\nxor.b32 %r13, %r13, 5;\n\
                add.u32 %r13, %r13, 9;\nsetp.lt.u32 %p5, %r11, 100000;\n@%p5 bra LONG;\n";
    let how = How { blocks: 2, threads: 32, ..PLAIN };
    let ran = both(&pair(&format!("{long}{TRIGGER}{WRITES}"), &format!("{long}{READS}")), how);
    assert!(ran.early);
    assert_eq!(ran.out, vec![1000; 64]);
}

#[test]
fn each_of_them_has_its_own_faults() {
    let bad = "mov.u64 %rd9, 64;\nst.global.u32 [%rd9], %r1;\n";
    let faulty = |ran: &Result<ExecStats, Fault>| matches!(ran, Err(fault) if matches!(fault.kind, FaultKind::IllegalAddress { .. }));
    let ran = both(&pair(&format!("{TRIGGER}{bad}"), READS), PLAIN);
    assert!(ran.early && faulty(&ran.results[0]) && ran.results[1].is_ok());
    let ran = both(&pair(&format!("{TRIGGER}{WRITES}"), bad), PLAIN);
    assert!(ran.early && ran.results[0].is_ok() && faulty(&ran.results[1]));
    let ran = both(&pair(&format!("{bad}{TRIGGER}{WRITES}"), &format!("{WAIT}{bad}")), PLAIN);
    assert!(!ran.early && faulty(&ran.results[0]) && faulty(&ran.results[1]));
}

#[test]
fn a_barrier_to_which_not_all_come_is_one_before_a_wait_as_behind_it() {
    // Half of the block waits at a barrier of 96 threads that 64 have: found once the grids ahead have ended.
    let second = format!("setp.lt.u32 %p2, %r4, 32;\n@%p2 bra WAITS;\nbar.sync 1, 96;\nWAITS:\n{WAIT}");
    let ran = both(&pair(&format!("{TRIGGER}{WRITES}"), &second), PLAIN);
    assert!(ran.early && ran.results[0].is_ok());
    assert!(matches!(&ran.results[1], Err(Fault { kind: FaultKind::Barrier(_), .. })), "{:?}", ran.results[1]);
}

/// Without anybody beside it the instruction is one of those that do nothing.
#[test]
fn alone_a_kernel_neither_waits_nor_lets_begin() {
    let program = pair(&format!("{TRIGGER}{WRITES}{WAIT}"), READS);
    let mut memory = Memory::new();
    let values = [memory.words(&[0; 64]), memory.words(&[0; 64])];
    let shape = crate::common::Shape { grid: [2, 1, 1], ..Default::default() };
    crate::common::launch(&program, shape, &memory, &values).expect("it ends");
    assert_eq!(memory.read_words(0), (100..164).collect::<Vec<u32>>());
}
