//! `wmma`: matrices in memory, loaded, multiplied and stored in every type, shape and order.

use graphproof_exec::Isa;
use proptest::prelude::*;

use super::formats::{Format, format};
use super::harness::{hold, list};
use super::mma::{Dense, matrix, pack, product, small};
use crate::common::{Memory, Shape, launch, program_for};

/// Elements of a matrix as bytes, lines `stride` elements apart, with other bits between them.
fn bytes(m: &Dense, format: Format, row_major: bool, stride: usize) -> Vec<u8> {
    let (rows, columns) = (m.len(), m[0].len());
    let (lines, length) = if row_major { (rows, columns) } else { (columns, rows) };
    let mut elements = vec![u64::MAX >> (64 - format.bits()); (lines - 1) * stride + length];
    for (r, row) in m.iter().enumerate() {
        for (c, &x) in row.iter().enumerate() {
            elements[if row_major { r * stride + c } else { c * stride + r }] = format.exact(x);
        }
    }
    let n = (32 / format.bits()).max(1) as usize;
    elements.resize(elements.len().next_multiple_of(n), 0);
    pack(format.bits(), &elements).iter().flat_map(|w| w.to_le_bytes()).collect()
}

struct Case {
    shape: (usize, usize, usize),
    a: &'static str,
    b: &'static str,
    c: &'static str,
    d: &'static str,
    /// A, B, C, D in row order.
    rows: [bool; 4],
    /// Elements between lines beyond the least.
    gap: usize,
    space: &'static str,
    options: &'static str,
}

/// Registers that PTX asks for.
fn count(ty: &str, what: char, (m, n, k): (usize, usize, usize)) -> usize {
    let bits = format(ty).bits() as usize;
    match what {
        _ if ty == "f16" && what != 'c' => 8,
        'a' => (m * k * bits / 32 / 32).max(1),
        'b' => (k * n * bits / 32 / 32).max(1),
        _ => (m * n * bits / 32 / 32).max(1),
    }
}

fn order(row: bool) -> &'static str {
    if row { "row" } else { "col" }
}

fn run(case: &Case, seed: u64) {
    let (m, n, k) = case.shape;
    let [fa, fb, fc, fd] = [case.a, case.b, case.c, case.d].map(format);
    let a = matrix(m, k, seed, |x| small(fa, x));
    let b = matrix(k, n, seed ^ 1, |x| small(fb, x));
    let c = matrix(m, n, seed ^ 2, |x| small(fc, x));
    let least = |rows: usize, columns: usize, row: bool| if row { columns } else { rows };
    let strides = [
        least(m, k, case.rows[0]) + case.gap,
        least(k, n, case.rows[1]) + case.gap,
        least(m, n, case.rows[2]) + case.gap,
        least(m, n, case.rows[3]) + case.gap,
    ];
    let blank: Dense = vec![vec![0.0; n]; m];
    let buffers = [
        bytes(&a, fa, case.rows[0], strides[0]),
        bytes(&b, fb, case.rows[1], strides[1]),
        bytes(&c, fc, case.rows[2], strides[2]),
        bytes(&blank, fd, case.rows[3], strides[3]),
    ];
    let shape = format!("m{m}n{n}k{k}");
    let wide = |ty: &str| if ty == "f64" { "d" } else { "r" };
    let scale = |ty: &str| if ty == "f64" { 2 } else { 1 };
    let counts = [
        count(case.a, 'a', case.shape) / scale(case.a),
        count(case.b, 'b', case.shape) / scale(case.b),
        count(case.c, 'c', case.shape) / scale(case.c),
        count(case.d, 'c', case.shape) / scale(case.d),
    ];
    let firsts = [0, 1, 2, 3].map(|n| 10 + counts[..n].iter().sum::<usize>());
    let names = [0, 1, 2, 3].map(|n| list(wide([case.a, case.b, case.c, case.d][n]), firsts[n], counts[n]));
    let mut text = String::from(
        ".version 8.7\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d)\n{\n\
         .reg .b32 %r<64>, %s<8>;\n.reg .b64 %d<64>, %p<8>;\n.reg .pred %q<4>;\n.shared .align 32 .b8 room[32768];\n",
    );
    let shared = case.space.starts_with("shared");
    for (i, name) in ["a", "b", "c", "d"].iter().enumerate() {
        text += &format!("ld.param.u64 %p{i}, [{name}];\n");
    }
    let place = |i: usize| if shared { format!("[%s{i}]") } else { format!("[%p{i}]") };
    if shared || case.space == "generic-shared" {
        // One lane's copy of everything into shared memory.
        text += "mov.u32 %r0, room;\n";
        for (i, buffer) in buffers.iter().enumerate() {
            text += &format!(
                "add.u32 %s{i}, %r0, {};\nmov.u64 %p5, %p{i};\nmov.u32 %r1, %s{i};\nmov.u32 %r2, 0;\n",
                8192 * i
            );
            text += &format!(
                "L{i}: ld.global.u32 %r3, [%p5];\nst.shared.u32 [%r1], %r3;\nadd.u64 %p5, %p5, 4;\nadd.u32 %r1, %r1, 4;\n\
                 add.u32 %r2, %r2, 4;\nsetp.lt.u32 %q0, %r2, {};\n@%q0 bra L{i};\n",
                buffer.len()
            );
        }
        if !shared {
            for i in 0..4 {
                text += &format!("mov.u64 %p6, %p{i};\ncvt.u64.u32 %p{i}, %s{i};\ncvta.shared.u64 %p{i}, %p{i};\n");
                if i == 3 {
                    text += "mov.u64 %p7, %p6;\n";
                }
            }
        }
    }
    let dot_space = match case.space {
        "global" => ".global",
        "shared" => ".shared",
        "shared::cta" => ".shared::cta",
        _ => "",
    };
    let stride = |i: usize| if case.gap == 0 { String::new() } else { format!(", {}", strides[i]) };
    for (i, (what, ty)) in [("a", case.a), ("b", case.b), ("c", case.c)].iter().enumerate() {
        let row = order(case.rows[i]);
        text += &format!(
            "wmma.load.{what}.sync.aligned.{row}.{shape}{dot_space}.{ty} {}, {}{};\n",
            names[i],
            place(i),
            stride(i)
        );
    }
    let types = if case.a == "f16" {
        format!("{}.{}", case.d, case.c)
    } else {
        format!("{}.{}.{}.{}", case.d, case.a, case.b, case.c)
    };
    let (before, after) = if case.a == "b1" { (case.options, "") } else { ("", case.options) };
    text += &format!(
        "wmma.mma{before}.sync.aligned.{}.{}.{shape}.{types}{after} {}, {}, {}, {};\n",
        order(case.rows[0]),
        order(case.rows[1]),
        names[3],
        names[0],
        names[1],
        names[2]
    );
    text += &format!(
        "wmma.store.d.sync.aligned.{}.{shape}{dot_space}.{} {}, {}{};\n",
        order(case.rows[3]),
        case.d,
        place(3),
        names[3],
        stride(3)
    );
    if shared || case.space == "generic-shared" {
        let back = if shared { "%p3" } else { "%p7" };
        text += &format!("mov.u64 %p5, {back};\nmov.u32 %r1, %s3;\nmov.u32 %r2, 0;\n");
        text += &format!(
            "B: ld.shared.u32 %r3, [%r1];\nst.global.u32 [%p5], %r3;\nadd.u64 %p5, %p5, 4;\nadd.u32 %r1, %r1, 4;\n\
             add.u32 %r2, %r2, 4;\nsetp.lt.u32 %q0, %r2, {};\n@%q0 bra B;\n",
            buffers[3].len()
        );
    }
    text += "ret;\n}\n";
    let expected = if case.a == "b1" {
        let both = |x: f64, y: f64| if case.options.contains("and") { x * y } else { f64::from(u8::from(x != y)) };
        let sum = |r: usize, col: usize| (0..k).map(|j| both(a[r][j], b[j][col])).sum::<f64>() + c[r][col];
        (0..m).map(|r| (0..n).map(|col| sum(r, col)).collect()).collect()
    } else {
        product(&a, &b, &c)
    };
    let expected = bytes(&expected, fd, case.rows[3], strides[3]);
    for isa in Isa::available() {
        let program = program_for(&text, isa);
        let mut memory = Memory::new();
        let values: Vec<u64> = buffers.iter().map(|b| memory.put(b)).collect();
        launch(&program, Shape::default(), &memory, &values).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        let out: Vec<u8> = memory.read_words(3).iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(out == expected, "{isa:?}\n{text}\nfound    {out:?}\nexpected {expected:?}");
    }
}

fn check(shape: (usize, usize, usize), types: [&'static str; 4], options: &'static str) {
    let [a, b, c, d] = types;
    let fixed = format(a).bits() < 8;
    let spaces = prop::sample::select(vec!["global", "shared", "shared::cta", "generic", "generic-shared"]);
    // Gaps keep lines at multiples of 16 bytes.
    let step = (128 / format(a).bits().min(format(d).bits())) as usize;
    let strategy = (any::<u64>(), any::<[bool; 4]>(), 0usize..3, spaces);
    hold(6, strategy, |(seed, mut rows, gap, space)| {
        if fixed {
            (rows[0], rows[1]) = (true, false);
        }
        run(&Case { shape, a, b, c, d, rows, gap: gap * step, space, options }, seed);
    });
}

const LARGE: [(usize, usize, usize); 3] = [(16, 16, 16), (8, 32, 16), (32, 8, 16)];

#[test]
fn halves() {
    for shape in LARGE {
        for (c, d) in [("f32", "f32"), ("f16", "f16"), ("f16", "f32"), ("f32", "f16")] {
            check(shape, ["f16", "f16", c, d], "");
        }
        check(shape, ["bf16", "bf16", "f32", "f32"], "");
    }
}

#[test]
fn other_floats() {
    check((16, 16, 8), ["tf32", "tf32", "f32", "f32"], "");
    check((8, 8, 4), ["f64", "f64", "f64", "f64"], "");
}

#[test]
fn integers() {
    for shape in LARGE {
        for ty in ["s8", "u8"] {
            check(shape, [ty, ty, "s32", "s32"], "");
            check(shape, [ty, ty, "s32", "s32"], ".satfinite");
        }
    }
    for ty in ["s4", "u4"] {
        check((8, 8, 32), [ty, ty, "s32", "s32"], "");
        check((8, 8, 32), [ty, ty, "s32", "s32"], ".satfinite");
    }
    check((8, 8, 128), ["b1", "b1", "s32", "s32"], ".xor.popc");
    check((8, 8, 128), ["b1", "b1", "s32", "s32"], ".and.popc");
}

/// A fragment is what `mma` takes: two `mma.m16n8k16` on the registers of `wmma.load` give the
/// accumulators of one `wmma.mma.m16n16k16`.
#[test]
fn fragments_are_those_of_mma() {
    let text = format!(
        ".version 8.7\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 x, .param .u64 y, .param .u64 o)\n{{\n\
         .reg .b32 %r<80>;\n.reg .b64 %d<8>;\nld.param.u64 %d0, [x];\nld.param.u64 %d1, [y];\nld.param.u64 %d2, [o];\n\
         wmma.load.a.sync.aligned.row.m16n16k16.global.bf16 {a}, [%d0];\n\
         wmma.load.b.sync.aligned.col.m16n16k16.global.bf16 {b}, [%d1];\n\
         mov.b32 %r0, 0;\n\
         wmma.mma.sync.aligned.row.col.m16n16k16.f32.bf16.bf16.f32 {w}, {a}, {b}, {{%r0,%r0,%r0,%r0,%r0,%r0,%r0,%r0}};\n\
         mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {low}, {a}, {{%r14,%r15}}, {{%r0,%r0,%r0,%r0}};\n\
         mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {high}, {a}, {{%r16,%r17}}, {{%r0,%r0,%r0,%r0}};\n\
         mov.u32 %r1, %tid.x;\nmad.wide.u32 %d2, %r1, 64, %d2;\n{stores}ret;\n}}\n",
        a = list("r", 10, 4),
        b = list("r", 14, 4),
        w = list("r", 20, 8),
        low = list("r", 28, 4),
        high = list("r", 32, 4),
        stores = (0..16).map(|n| format!("st.global.u32 [%d2+{}], %r{};\n", 4 * n, 20 + n)).collect::<String>(),
    );
    let program = program_for(&text, Isa::detect());
    let mut memory = Memory::new();
    let bf16 = format("bf16");
    let side = |seed| bytes(&matrix(16, 16, seed, |x| small(bf16, x)), bf16, true, 16);
    let values = [memory.put(&side(1)), memory.put(&side(2)), memory.words(&[0; 512])];
    launch(&program, Shape::default(), &memory, &values).unwrap_or_else(|fault| panic!("{fault}"));
    for (lane, words) in memory.read_words(2).chunks(16).enumerate() {
        assert_eq!(words[..8], words[8..], "lane {lane}");
        assert!(words[..8].iter().any(|w| *w != 0));
    }
}

/// A fragment that leaves its buffer faults, named by the first lane that reaches beyond; a
/// buffer that is exactly large enough does not.
#[test]
fn ends_of_buffers() {
    let text = |op: &str| {
        format!(
            ".version 8.7\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 x)\n{{\n\
             .reg .b32 %r<16>;\n.reg .b64 %d<2>;\nld.param.u64 %d0, [x];\nmov.b32 %r0, 0;\n{op}\nret;\n}}\n"
        )
    };
    let load = text(&format!("wmma.load.c.sync.aligned.row.m16n16k16.f32 {}, [%d0], 20;", list("r", 1, 8)));
    let store =
        text("wmma.store.d.sync.aligned.col.m16n16k16.global.f32 [%d0], {%r0,%r0,%r0,%r0,%r0,%r0,%r0,%r0}, 20;");
    for (text, what) in [(load, "read"), (store, "write")] {
        let program = program_for(&text, Isa::detect());
        for (words, fits) in [(15 * 20 + 16, true), (15 * 20 + 15, false), (8, false)] {
            let mut memory = Memory::new();
            let at = memory.words(&vec![0; words]);
            match launch(&program, Shape::default(), &memory, &[at]) {
                Ok(_) => assert!(fits, "{what} beyond {words} words"),
                Err(fault) => {
                    assert!(!fits && fault.to_string().contains("wmma"), "{fault}");
                }
            }
        }
    }
}
