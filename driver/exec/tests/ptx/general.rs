//! Whole programs: what NVRTC makes of ordinary CUDA code, on every instruction set, number of
//! threads and seed; tensor-core products; and a kernel that never ends.
//!
//! `tests/nvrtc/general80.ptx` and `general90.ptx` are `general.cu` as NVRTC 12.8 compiles it for
//! compute_80 (with `-lineinfo`) and compute_90.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Memory, Shape, cells, kernel, launch, parameters, program, program_for};
use graphproof_exec::{FaultKind, Isa, Launch, LaunchConfig, Pool, Program, bench, run};

const GENERAL_80: &str = include_str!("../nvrtc/general80.ptx");
const GENERAL_90: &str = include_str!("../nvrtc/general90.ptx");
const COUNT: u32 = 300;

/// Outputs of `general`: floats, integers, long integers, and the counter.
fn general(text: &str, isa: Isa, threads: usize, seed: u64) -> (Vec<u32>, Vec<u32>, Vec<u64>, u32) {
    let program = program_for(text, isa);
    let mut memory = Memory::new();
    let f = memory.words(&[0; COUNT as usize]);
    let n = memory.words(&[0; COUNT as usize]);
    let u = memory.doubles(&[0; COUNT as usize]);
    let mut globals = Vec::new();
    let mut counter = 0;
    for (index, global) in program.globals.iter().enumerate() {
        let mut bytes = global.init.clone();
        bytes.resize(global.size as usize, 0);
        globals.push(memory.put(&bytes));
        if global.name == "counter" {
            counter = 3 + index;
        }
    }
    let (map, cancel) = (memory.map(), AtomicBool::new(false));
    let mut values = parameters(&[f, n, u]);
    values.extend(COUNT.to_le_bytes());
    let launch = Launch {
        kernel: program.entries[0].kernel().expect("an executed kernel"),
        config: LaunchConfig { grid: [5, 1, 1], block: [64, 1, 1], dynamic_shared_bytes: 0 },
        cluster: [1; 3],
        parameters: &values,
        globals: &globals,
        memory: &map,
        textures: &[],
        order_seed: seed,
        resident: u64::MAX,
        stack_bytes: 0,
        cancel: &cancel,
        footprint: None,
    };
    if let Err(fault) = run(&launch, &Pool::new(threads)) {
        panic!("{fault}");
    }
    (memory.read_words(0), memory.read_words(1), memory.read_doubles(2), memory.read_words(counter)[0])
}

fn choose(k: i32, x: i32) -> i32 {
    match k {
        0 => x + 1,
        1 => x * 3,
        2 => x - 7,
        3 => x ^ 0x55,
        4 => x << 3,
        5 => x / 3,
        _ => -x,
    }
}

#[test]
fn ordinary_cuda_code_gives_what_the_host_computes() {
    let (f, n, u, counter) = general(GENERAL_80, Isa::detect(), 2, 0);
    assert_eq!(counter, 7 + COUNT);
    for i in 0..COUNT as usize {
        let x = i as f32 * 1000.37;
        let table = [1f32, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
        let mut c = [0f32; 6];
        for k in 0..6 {
            c[(k + i) % 6] = table[(k * i) & 7] * 0.5;
        }
        let horner = c[..4 + (i & 1)].iter().fold(0f32, |r, c| r.mul_add(0.25 * i as f32, *c));
        let expected = f64::from(horner)
            + f64::from(x).sin()
            + f64::from(1.0 + i as f32).ln()
            + f64::from(1.01f32).powi(i as i32)
            + (0.1 * i as f64).tanh();
        let found = f64::from(f32::from_bits(f[i]));
        assert!((found - expected).abs() <= 2e-5 * expected.abs().max(1.0), "f[{i}] is {found}, not {expected}");

        let j = i as i32;
        let dot: i32 = (0..4).map(|b| i32::from((j.wrapping_mul(0x0101_0101) >> (8 * b)) as u8 as i8) * 2).sum();
        let ffs = if j == 0 { 0 } else { j.trailing_zeros() + 1 };
        let bits = x.to_bits();
        let bf = f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000);
        let mut expected = choose(j % 8, j) + (j.count_ones() + j.leading_zeros() + ffs) as i32 + dot + 5;
        expected += (2.0 * bf) as i32;
        // The half is exact to 2^-11; its square only matters to the whole number below.
        let rest = n[i] as i32 - expected;
        let square = (0.1 * i as f64).powi(2);
        assert!((f64::from(rest) - square).abs() <= 1.0 + square * 2e-3, "n[{i}]: {rest} is not the whole of {square}");

        let v = 0x0123_4567_89ab_cdefu64.wrapping_mul(i as u64 + 1);
        let high = ((u128::from(v) * u128::from(v)) >> 64) as u64;
        let root = ((i as f64).sqrt() * 1e6) as u64;
        let expected = (v / (i as u64 + 3)).wrapping_add(v % (2 * i as u64 + 1)).wrapping_add(high).wrapping_add(root);
        assert_eq!(u[i], expected, "u[{i}]");
    }
}

#[test]
fn bits_depend_on_no_thread_seed_target_or_instruction_set() {
    let first = general(GENERAL_80, Isa::Baseline, 1, 0);
    for isa in Isa::available() {
        for (threads, seed) in [(1, 5), (2, 0), (4, 77)] {
            assert!(general(GENERAL_80, isa, threads, seed) == first, "{isa:?}, {threads} threads, seed {seed}");
        }
    }
    assert!(general(GENERAL_90, Isa::detect(), 1, 0) == first, "compute_90");
}

#[test]
fn a_fault_names_the_line_of_the_cuda_source() {
    let program = program(GENERAL_80);
    let mut memory = Memory::new();
    let f = memory.words(&[0; 4]);
    let n = memory.words(&[0; 64]);
    let u = memory.doubles(&[0; 64]);
    let table = memory.put(&[0; 64]);
    let (map, cancel) = (memory.map(), AtomicBool::new(false));
    let mut values = parameters(&[f, n, u]);
    values.extend(32u32.to_le_bytes());
    let launch = Launch {
        kernel: program.entries[0].kernel().expect("an executed kernel"),
        config: LaunchConfig { grid: [1; 3], block: [32, 1, 1], dynamic_shared_bytes: 0 },
        cluster: [1; 3],
        parameters: &values,
        globals: &[table, table],
        memory: &map,
        textures: &[],
        order_seed: 0,
        resident: u64::MAX,
        stack_bytes: 0,
        cancel: &cancel,
        footprint: None,
    };
    let Err(fault) = run(&launch, &Pool::new(1)) else { panic!("no fault") };
    assert!(matches!(fault.kind, FaultKind::IllegalAddress { space: "global", size: 4, write: true, .. }), "{fault}");
    assert_eq!(fault.thread, [4, 0, 0]);
    let Some((file, line)) = fault.source else { panic!("no source line") };
    assert!(file.ends_with("general.cu"), "{file}");
    let source = include_str!("../nvrtc/general.cu").lines().nth(line as usize - 1).unwrap_or_default();
    assert!(source.contains("f[i] ="), "line {line} is `{source}`");
}

#[test]
fn a_kernel_that_never_ends_is_stopped() {
    let program = program(&kernel("LOOP:\nbra LOOP;\n"));
    let (map, cancel) = (Memory::new().map(), AtomicBool::new(false));
    let values = parameters(&[0; 4]);
    let launch = Launch {
        kernel: program.entries[0].kernel().expect("an executed kernel"),
        config: LaunchConfig { grid: [4, 1, 1], block: [128, 1, 1], dynamic_shared_bytes: 0 },
        cluster: [1; 3],
        parameters: &values,
        globals: &[],
        memory: &map,
        textures: &[],
        order_seed: 0,
        resident: u64::MAX,
        stack_bytes: 0,
        cancel: &cancel,
        footprint: None,
    };
    let result = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&launch, &Pool::new(2)));
        cancel.store(true, Ordering::Relaxed);
        running.join()
    });
    let Ok(Err(fault)) = result else { panic!("it ended") };
    assert_eq!(fault.kind, FaultKind::Cancelled);
}

#[test]
fn several_launches_share_a_pool() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{\n\
        .reg .b32 %r<4>;\n.reg .b64 %rd<4>;\nld.param.u64 %rd1, [out];\nred.global.add.u32 [%rd1], 1;\nret;\n}\n";
    let program: Program = program(text);
    let pool = Pool::new(3);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut memory = Memory::new();
                let out = memory.words(&[0]);
                let (map, cancel, values) = (memory.map(), AtomicBool::new(false), parameters(&[out]));
                let launch = Launch {
                    kernel: program.entries[0].kernel().expect("an executed kernel"),
                    config: LaunchConfig { grid: [50, 2, 1], block: [64, 1, 1], dynamic_shared_bytes: 0 },
                    cluster: [1; 3],
                    parameters: &values,
                    globals: &[],
                    memory: &map,
                    textures: &[],
                    order_seed: 9,
                    resident: u64::MAX,
                    stack_bytes: 0,
                    cancel: &cancel,
                    footprint: None,
                };
                for _ in 0..5 {
                    let stats = run(&launch, &pool).unwrap_or_else(|fault| panic!("{fault}"));
                    assert_eq!(stats.warp_instructions, 100 * 2 * 3);
                    assert_eq!(stats.lane_instructions, 100 * 64 * 3);
                }
                assert_eq!(memory.read_words(0)[0], 100 * 64 * 5);
            });
        }
    });
}

#[test]
fn shared_memory_that_was_not_written_depends_on_the_seed() {
    let body = ".shared .align 4 .u32 cell;\nld.shared.u32 %r1, [cell];\nst.global.u32 [%rd0], %r1;\n";
    let program = program(&kernel(body));
    let read = |seed| {
        let mut memory = Memory::new();
        let values = [memory.doubles(&[0; 32]), 0, 0, 0];
        launch(&program, Shape { seed, ..Shape::default() }, &memory, &values).unwrap_or_else(|f| panic!("{f}"));
        memory.read_words(0)[0]
    };
    assert_eq!(read(1), read(1));
    assert_ne!(read(1), read(2));
}

/// `mma.sync` against sums of products taken element by element, by the layout PTX gives.
#[test]
fn tensor_core_products() {
    for (ty, k, one) in [("bf16", 16, 0x3f80u64), ("bf16", 8, 0x3f80), ("f16", 16, 0x3c00), ("f16", 8, 0x3c00)] {
        // Small integers: every order of adding them is exact.
        let integer = |n: usize| -> (u64, f32) {
            let v = (n * 7 % 5) as i32 - 2;
            let bits = match (ty, v.unsigned_abs()) {
                (_, 0) => 0,
                (_, 1) => one,
                ("bf16", _) => 0x4000,
                _ => 0x4000,
            };
            (bits | u64::from(v < 0) << 15, v as f32)
        };
        let a = |row: usize, col: usize| integer(row * 3 + col * 5 + row * col);
        let b = |row: usize, col: usize| integer(row + col * 11 + 1);
        let mut inputs = [vec![0u64; 32], vec![0u64; 32], vec![0u64; 32]];
        for l in 0..32 {
            let (g, t) = (l / 4, l % 4);
            let pair = |f: &dyn Fn(usize) -> (u64, f32)| f(0).0 | f(1).0 << 16;
            inputs[0][l] = pair(&|n| a(g, 2 * t + n)) | pair(&|n| a(g + 8, 2 * t + n)) << 32;
            inputs[1][l] = pair(&|n| a(g, 2 * t + 8 + n)) | pair(&|n| a(g + 8, 2 * t + 8 + n)) << 32;
            inputs[2][l] = pair(&|n| b(2 * t + n, g)) | pair(&|n| b(2 * t + 8 + n, g)) << 32;
        }
        let (ra, rb) = if k == 16 { ("{%r1,%r2,%r3,%r4}", "{%r5,%r6}") } else { ("{%r1,%r2}", "{%r5}") };
        for which in 0..4 {
            let body = format!(
                "ld.global.v2.u32 {{%r1,%r2}}, [%rd1];\nld.global.v2.u32 {{%r3,%r4}}, [%rd2];\nld.global.v2.u32 {{%r5,%r6}}, [%rd3];\n\
                 cvt.rn.f32.u32 %f1, %r0;\nmov.f32 %f2, 0f3F800000;\n\
                 mma.sync.aligned.m16n8k{k}.row.col.f32.{ty}.{ty}.f32 {{%f10,%f11,%f12,%f13}}, {ra}, {rb}, {{%f1,%f2,%f1,%f2}};\n\
                 st.global.f32 [%rd0], %f1{which};\n"
            );
            for isa in Isa::available() {
                let out = cells(&kernel(&body), isa, [&inputs[0], &inputs[1], &inputs[2]]);
                let out = out.unwrap_or_else(|fault| panic!("{fault}"));
                for (l, found) in out.iter().enumerate() {
                    let (row, col) = (l / 4 + which / 2 * 8, l % 4 * 2 + which % 2);
                    let start = if which % 2 == 0 { l as f32 } else { 1.0 };
                    let expected = (0..k).fold(start, |s, n| s + a(row, n).1 * b(n, col).1);
                    assert_eq!(f32::from_bits(*found as u32), expected, "{ty} k{k} lane {l} c{which} on {isa:?}");
                }
            }
        }
    }
}

#[test]
fn the_measurements_measure() {
    let overhead = bench::launch_overhead(&Pool::new(1)).unwrap_or_else(|f| panic!("{f}"));
    assert!(!overhead.is_zero());
}
