//! `wgmma.mma_async` in every type, order and layout, against a reference that goes element by element. Elements are
//! small whole numbers, so that every sum is exact however it is taken.

use proptest::prelude::*;

use super::{run_program, text};
use crate::common::{Shape, program_for, runner};
use graphproof_exec::Isa;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    F16,
    Bf16,
    Tf32,
    E4m3,
    E5m2,
    S8,
    U8,
}
use Number::*;

impl Number {
    fn name(self) -> &'static str {
        ["f16", "bf16", "tf32", "e4m3", "e5m2", "s8", "u8"][self as usize]
    }
    fn bytes(self) -> usize {
        [2, 2, 4, 1, 1, 1, 1][self as usize]
    }
    fn depth(self) -> usize {
        32 / self.bytes()
    }
    /// The bytes of a whole number from -4 to 4 (`u8`: from 0).
    fn encode(self, n: i32) -> Vec<u8> {
        // Sign, exponent and one bit of fraction of the magnitude.
        let (sign, size) = (u32::from(n < 0), n.unsigned_abs());
        let (e, f) = [(0, 0), (0, 0), (1, 0), (1, 1), (2, 0)][size as usize];
        let float = |exponent: u32, fraction: u32, bias: u32| {
            let magnitude = if size == 0 { 0 } else { (e + bias) << fraction | f << (fraction - 1) };
            sign << (exponent + fraction) | magnitude
        };
        let bits = match self {
            F16 => float(5, 10, 15),
            Bf16 => float(8, 7, 127),
            Tf32 => (n as f32).to_bits(),
            E4m3 => float(4, 3, 7),
            E5m2 => float(5, 2, 15),
            S8 | U8 => n as u32 & 0xff,
        };
        bits.to_le_bytes()[..self.bytes()].to_vec()
    }
}

/// How a matrix lies in shared memory.
#[derive(Debug, Clone, Copy)]
struct Layout {
    start: usize,
    /// 0, 1, 2, 3: bits 62 and 63 of the descriptor.
    swizzle: usize,
    lead: usize,
    stride: usize,
    transposed: bool,
}

impl Layout {
    fn descriptor(self) -> u64 {
        (self.start as u64 >> 4)
            | (self.lead as u64 >> 4) << 16
            | (self.stride as u64 >> 4) << 32
            | (self.swizzle as u64) << 62
    }

    /// The byte of element (`line`, `k`) of `size` bytes: the layouts of CUTLASS (mma_sm90_desc.hpp), in units of T = 16
    /// bytes: without swizzle ((8,m),(T,2)):((T,SBO),(1,LBO)), transposed ((T,1,m),(8,k)):((1,T,SBO),(T,LBO)), with W pieces
    /// ((8,m),(T,2)):((WT,SBO),(1,T)), transposed ((T,W,m),(8,k)):((1,T,LBO),(WT,SBO)).
    fn place(self, line: usize, k: usize, size: usize) -> usize {
        let pieces = [1, 8, 4, 2][self.swizzle];
        let per = 16 / size;
        let at = match (self.transposed, pieces) {
            (false, 1) => line % 8 * 16 + line / 8 * self.stride + k % per * size + k / per * self.lead,
            (false, w) => line % 8 * 16 * w + line / 8 * self.stride + k * size,
            (true, 1) => line % per * size + line / per * self.stride + k % 8 * 16 + k / 8 * self.lead,
            (true, w) => {
                line % per * size
                    + line / per % w * 16
                    + line / (per * w) * self.lead
                    + k % 8 * 16 * w
                    + k / 8 * self.stride
            }
        };
        let at = self.start + at;
        // Swizzle<B, 4, 3>: the lowest bits above 128 bytes go into those above 16.
        let mut swizzled = at;
        for bit in 0..pieces.trailing_zeros() {
            swizzled ^= (at >> (7 + bit) & 1) << (4 + bit);
        }
        swizzled
    }

    /// A layout of `lines` lines from `start` on, with its end.
    fn new(
        start: usize,
        lines: usize,
        depth: usize,
        size: usize,
        swizzle: usize,
        transposed: bool,
        gap: usize,
    ) -> (Self, usize) {
        let span = [16, 128, 64, 32][swizzle];
        let (bytes, row) = (lines * size, depth * size);
        let (lead, stride) = match (transposed, swizzle) {
            (false, 0) => (lines * 16 + gap, 128),
            (false, _) => (16, 8 * span),
            (true, 0) => (bytes * 8 + gap, 128),
            (true, _) => (depth / 8 * 8 * span, 8 * span),
        };
        let extent = match (transposed, swizzle) {
            (false, 0) => 2 * lead,
            (false, _) => lines * span,
            (true, 0) => depth / 8 * lead,
            (true, _) => bytes.div_ceil(span) * lead,
        };
        let _ = row;
        (Self { start, swizzle, lead, stride, transposed }, (start + extent).next_multiple_of(1024))
    }
}

#[derive(Debug, Clone)]
struct Case {
    a: Number,
    b: Number,
    half: bool,
    n: usize,
    registers: bool,
    swizzles: [usize; 2],
    transposed: [bool; 2],
    negated: [bool; 2],
    adds: bool,
    gap: usize,
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let numbers = prop::sample::select(vec![
        (F16, F16),
        (F16, F16),
        (Bf16, Bf16),
        (Tf32, Tf32),
        (E4m3, E5m2),
        (E5m2, E4m3),
        (S8, U8),
        (U8, U8),
    ]);
    let flags = (any::<[bool; 2]>(), any::<[bool; 2]>(), any::<[bool; 3]>());
    (numbers, 1usize..33, [0usize..4, 0..4], flags, 0usize..3, any::<u64>()).prop_map(
        |((a, b), eights, swizzles, (transposed, negated, [half, registers, adds]), gap, seed)| {
            let integers = matches!(a, S8 | U8);
            let n = if integers && eights > 3 { eights / 2 * 16 } else { eights * 8 };
            let both = matches!(a, F16 | Bf16);
            let transposed = transposed.map(|t| t && both);
            // Where the other dimension is contiguous it fills whole spans.
            let fits = |lines: usize, swizzle: usize| (lines * 2).is_multiple_of([16, 128, 64, 32][swizzle]);
            Case {
                half: half && !matches!(a, Bf16 | Tf32 | S8 | U8),
                transposed: [transposed[0] && !registers, transposed[1] && fits(n, swizzles[1])],
                negated: if integers { [false; 2] } else { negated },
                gap: gap * 128,
                a,
                b,
                n,
                registers,
                swizzles,
                adds,
                seed,
            }
        },
    )
}

fn elements(count: usize, seed: u64, ty: Number) -> Vec<i32> {
    let low = if ty == U8 { 0 } else { -4 };
    super::bytes(count, seed).into_iter().map(|b| low + i32::from(b) % (5 - low)).collect()
}

#[test]
fn every_product_is_that_of_its_matrices() {
    runner(250)
        .run(&case(), |case| {
            let Case { a, b, n, registers, negated, transposed, .. } = case;
            let depth = a.depth();
            let (of_a, of_b) = (elements(64 * depth, case.seed, a), elements(n * depth, case.seed ^ 9, b));
            let (layout_a, end) = Layout::new(0, 64, depth, a.bytes(), case.swizzles[0], transposed[0], case.gap);
            let (layout_b, end) = Layout::new(end, n, depth, b.bytes(), case.swizzles[1], transposed[1], case.gap);
            prop_assume!(end <= 64 << 10);
            let mut image = vec![0x7b; end];
            let mut put = |layout: Layout, ty: Number, lines: usize, values: &[i32]| {
                for line in 0..lines {
                    for k in 0..depth {
                        let at = layout.place(line, k, ty.bytes());
                        image[at..at + ty.bytes()].copy_from_slice(&ty.encode(values[line * depth + k]));
                    }
                }
            };
            if !registers {
                put(layout_a, a, 64, &of_a);
            }
            put(layout_b, b, n, &of_b);
            // Fragments of A: lane l of warp w has rows 16w + l/4 and that + 8, words l%4 and that + 4 of the 32 bytes.
            let mut fragments = Vec::new();
            for thread in 0..128 {
                for register in 0..4 {
                    let row = thread / 32 * 16 + thread % 32 / 4 + register % 2 * 8;
                    let first = (thread % 4 * 4 + register / 2 * 16) / a.bytes();
                    for k in first..first + 4 / a.bytes() {
                        fragments.extend(a.encode(of_a[row * depth + k]));
                    }
                }
            }
            let integers = matches!(a, S8 | U8);
            let sums = if case.half { n / 4 } else { n / 2 };
            let family = if integers || case.half { "r" } else { "f" };
            let list: Vec<String> = (0..sums).map(|r| format!("%{family}{}", 100 + r)).collect();
            let start = match (integers, case.half) {
                (true, _) => "3",
                (_, true) => "0x42004200",
                _ => "0f40400000",
            };
            let sign = |negated: bool| if negated { "-1" } else { "1" };
            let mut tail = format!(", {}", if case.adds { "%p1" } else { "0" });
            if !integers {
                tail += &format!(", {}, {}", sign(negated[0]), sign(negated[1]));
            }
            if matches!(a, F16 | Bf16) {
                if !registers {
                    tail += &format!(", {}", u8::from(transposed[0]));
                }
                tail += &format!(", {}", u8::from(transposed[1]));
            }
            let sum_type = if integers { "s32" } else if case.half { "f16" } else { "f32" };
            let mut body = format!(
                "ld.param.u64 %d0, [out];\nld.param.u64 %d1, [image];\nld.param.u64 %d2, [fragments];\nsetp.eq.u32 %p1, 0, 0;\n\
                 mul.lo.u32 %r1, %r0, 16;\nCOPY:\nsetp.ge.u32 %p2, %r1, {end};\n@%p2 bra COPIED;\ncvt.u64.u32 %d4, %r1;\n\
                 add.u64 %d4, %d4, %d1;\nld.global.v4.u32 {{%r3, %r4, %r5, %r6}}, [%d4];\nmov.u32 %r2, tile;\n\
                 add.u32 %r2, %r2, %r1;\nst.shared.v4.u32 [%r2], {{%r3, %r4, %r5, %r6}};\nadd.u32 %r1, %r1, 2048;\nbra COPY;\n\
                 COPIED:\nfence.proxy.async.shared::cta;\nbar.sync 0;\n\
                 mad.wide.u32 %d2, %r0, 16, %d2;\nld.global.v4.u32 {{%r10, %r11, %r12, %r13}}, [%d2];\n\
                 mov.b64 %d5, {};\nmov.b64 %d6, {};\n",
                layout_a.descriptor(),
                layout_b.descriptor(),
            );
            for register in &list {
                body += &format!("mov.b32 {register}, {start};\n");
            }
            let from = if registers { "{%r10, %r11, %r12, %r13}" } else { "%d5" };
            body += &format!(
                "wgmma.fence.sync.aligned;\n\
                 wgmma.mma_async.sync.aligned.m64n{n}k{depth}.{sum_type}.{}.{} {{{}}}, {from}, %d6{tail};\n\
                 wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\nmad.wide.u32 %d0, %r0, {}, %d0;\n",
                a.name(),
                b.name(),
                list.join(", "),
                4 * sums
            );
            for (r, register) in list.iter().enumerate() {
                body += &format!("st.global.b32 [%d0+{}], {register};\n", 4 * r);
            }
            let text = text(
                ".param .u64 out, .param .u64 image, .param .u64 fragments",
                ".shared .align 1024 .b8 tile[65536];",
                &body,
            );
            let isas = Isa::available();
            let isa = isas[case.seed as usize % isas.len()];
            let shape = Shape { block: [128, 1, 1], seed: case.seed, ..Shape::default() };
            let found = run_program(&program_for(&text, isa), shape, 128 * sums, &[&image, &fragments]);
            let found = found.unwrap_or_else(|fault| panic!("{fault}"));
            let sign = if negated[0] != negated[1] { -1 } else { 1 };
            for row in 0..64 {
                for column in 0..n {
                    let dot: i32 = (0..depth).map(|k| of_a[row * depth + k] * of_b[column * depth + k]).sum();
                    let expected = if case.adds { 3 } else { 0 } + sign * dot;
                    let thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
                    let place = column / 8 * 4 + row / 8 % 2 * 2 + column % 2;
                    let value = if case.half {
                        half(found[thread * sums + place / 2] >> (16 * (place % 2)))
                    } else if integers {
                        f64::from(found[thread * sums + place] as i32)
                    } else {
                        f64::from(f32::from_bits(found[thread * sums + place]))
                    };
                    prop_assert_eq!(value, f64::from(expected), "row {}, column {}", row, column);
                }
            }
            Ok(())
        })
        .unwrap();
}

/// A half's value; no infinity or NaN comes here.
fn half(bits: u32) -> f64 {
    let (sign, e, f) = (bits >> 15 & 1, bits >> 10 & 31, bits & 1023);
    let magnitude = if e == 0 {
        f64::from(f) / 1024.0 * 2f64.powi(-14)
    } else {
        (1.0 + f64::from(f) / 1024.0) * 2f64.powi(e as i32 - 15)
    };
    if sign != 0 { -magnitude } else { magnitude }
}

/// One factor: a whole number and the exponent of its last bit, with the exponent of its first.
fn factor(ty: Number, bits: u32) -> (i128, i32, i32) {
    let (exponents, fractions, bias) = match ty {
        F16 => (5, 10, 15),
        Bf16 => (8, 7, 127),
        Tf32 => (8, 10, 127),
        E4m3 => (4, 3, 7),
        _ => (5, 2, 15),
    };
    let (e, f) = (bits >> fractions & ((1 << exponents) - 1), bits & ((1 << fractions) - 1));
    let first = e.max(1) as i32 - bias;
    let whole = i128::from(f) + if e > 0 { 1 << fractions } else { 0 };
    (if bits >> (exponents + fractions) & 1 != 0 { -whole } else { whole }, first - fractions, first)
}

/// `whole * 2^e` towards zero, in units of 2^unit.
fn cut(whole: i128, e: i32, unit: i32) -> i128 {
    let by = e - unit;
    if by >= 0 { whole << by } else { whole / (1i128 << (-by).min(126)) }
}

/// What an H200 makes of an old sum and products: see `vm/tensor_sum.rs`.
fn h200(a: Number, b: Number, products: &[(u32, u32)], old: f32) -> f32 {
    let kept = if matches!(a, E4m3 | E5m2) { 13 } else { 25 };
    let mut terms: Vec<(i128, i32, i32)> = products
        .iter()
        .map(|&(x, y)| (factor(a, x), factor(b, y)))
        .map(|((m, e, first), (n, g, second))| (m * n, e + g, first + second))
        .collect();
    let bits = old.to_bits();
    let e = (bits >> 23 & 255).max(1) as i32 - 127;
    let whole = i128::from(bits & 0x7f_ffff) + if bits >> 23 & 255 > 0 { 1 << 23 } else { 0 };
    terms.push((if old.is_sign_negative() { -whole } else { whole }, e - 23, e));
    terms.retain(|term| term.0 != 0);
    let Some(top) = terms.iter().map(|term| term.2).max() else { return 0.0 };
    let sum: i128 = terms.iter().map(|&(whole, e, _)| cut(whole, e, top - kept)).sum();
    // The bits behind the first that are left of it.
    let left = if kept == 13 { 13 } else { 23 };
    let size = 127 - sum.unsigned_abs().leading_zeros() as i32;
    let short = cut(sum, 0, (size - left).max(0));
    (short as f64 * 2f64.powi((size - left).max(0) + top - kept)) as f32
}

#[test]
fn sums_are_rounded_as_those_of_an_h200() {
    let numbers =
        prop::sample::select(vec![(F16, F16), (Bf16, Bf16), (Tf32, Tf32), (E4m3, E5m2), (E5m2, E5m2), (E4m3, E4m3)]);
    runner(60)
        .run(&(numbers, 0i32..14, any::<u64>()), |((a, b), spread, seed)| {
            let (size, depth) = (a.bytes(), a.depth());
            // Singles of many sizes, cut to the type by their first bits.
            let noise = super::bytes(8 * 72 * depth + 8 * 512, seed);
            let number = |n: usize| {
                let noise = &noise[8 * n..8 * n + 8];
                let fraction = f32::from_bits(0x3f80_0000 | u32::from_le_bytes([noise[0], noise[1], noise[2] & 0x7f, 0]));
                let e = i32::from(noise[3]) % (2 * spread + 1) - spread;
                let sign = if noise[4] & 1 != 0 { -1.0 } else { 1.0 };
                if noise[5] < 12 { 0.0 } else { sign * fraction * 2f32.powi(e) }
            };
            let encode = |x: f32, ty: Number| -> u32 {
                let bits = x.to_bits();
                let (sign, e, f) = (bits >> 31, (bits >> 23 & 255) as i32 - 127, bits & 0x7f_ffff);
                let small = |exponents: u32, fractions: u32, bias: i32| {
                    let e = (e + bias).clamp(0, (1 << exponents) - 2) as u32;
                    let kept = if x == 0.0 { 0 } else { e << fractions | f >> (23 - fractions) };
                    sign << (exponents + fractions) | kept
                };
                match ty {
                    F16 => small(5, 10, 15),
                    Bf16 => bits >> 16,
                    Tf32 => bits >> 13,
                    E4m3 => small(4, 3, 7),
                    _ => small(5, 2, 15),
                }
            };
            let of_a: Vec<u32> = (0..64 * depth).map(|n| encode(number(n), a)).collect();
            let of_b: Vec<u32> = (0..8 * depth).map(|n| encode(number(64 * depth + n), b)).collect();
            let old: Vec<f32> = (0..512).map(|n| number(72 * depth + n) * 2f32.powi(spread / 2)).collect();
            let layout = |start, lines: usize| Layout { start, swizzle: 0, lead: lines * 16, stride: 128, transposed: false };
            let mut image = vec![0; 2304];
            for (layout, lines, values) in [(layout(0, 64), 64, &of_a), (layout(2048, 8), 8, &of_b)] {
                for line in 0..lines {
                    for k in 0..depth {
                        let bits = values[line * depth + k] << if size == 4 { 13 } else { 0 };
                        let at = layout.place(line, k, size);
                        image[at..at + size].copy_from_slice(&bits.to_le_bytes()[..size]);
                    }
                }
            }
            // Sums lie thread by thread, four a thread.
            let starts: Vec<u8> = old.iter().flat_map(|x| x.to_bits().to_le_bytes()).collect();
            let tail = if matches!(a, F16 | Bf16) { ", 1, 1, 0, 0" } else { ", 1, 1" };
            let body = format!(
                "ld.param.u64 %d0, [out];\nld.param.u64 %d1, [image];\nld.param.u64 %d2, [starts];\nsetp.eq.u32 %p1, 0, 0;\n\
                 mov.u32 %r1, tile;\nmad.lo.u32 %r2, %r0, 16, %r1;\nmad.wide.u32 %d1, %r0, 16, %d1;\n\
                 ld.global.v4.u32 {{%r3, %r4, %r5, %r6}}, [%d1];\nst.shared.v4.u32 [%r2], {{%r3, %r4, %r5, %r6}};\n\
                 setp.ge.u32 %p2, %r0, 16;\n@%p2 bra COPIED;\nld.global.v4.u32 {{%r3, %r4, %r5, %r6}}, [%d1+2048];\n\
                 st.shared.v4.u32 [%r2+2048], {{%r3, %r4, %r5, %r6}};\nCOPIED:\nfence.proxy.async.shared::cta;\nbar.sync 0;\n\
                 mad.wide.u32 %d2, %r0, 16, %d2;\nld.global.v4.f32 {{%f1, %f2, %f3, %f4}}, [%d2];\n\
                 mov.b64 %d5, {};\nmov.b64 %d6, {};\nwgmma.fence.sync.aligned;\n\
                 wgmma.mma_async.sync.aligned.m64n8k{depth}.f32.{}.{} {{%f1, %f2, %f3, %f4}}, %d5, %d6, %p1{tail};\n\
                 wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\nmad.wide.u32 %d0, %r0, 16, %d0;\n\
                 st.global.v4.f32 [%d0], {{%f1, %f2, %f3, %f4}};",
                layout(0, 64).descriptor(),
                layout(2048, 8).descriptor(),
                a.name(),
                b.name(),
            );
            let text = text(
                ".param .u64 out, .param .u64 image, .param .u64 starts",
                ".shared .align 1024 .b8 tile[4096];",
                &body,
            );
            let isas = Isa::available();
            let program = program_for(&text, isas[seed as usize % isas.len()]);
            let shape = Shape { block: [128, 1, 1], ..Shape::default() };
            let found = run_program(&program, shape, 512, &[&image, &starts]).unwrap_or_else(|fault| panic!("{fault}"));
            for row in 0..64 {
                for column in 0..8 {
                    let place = (row / 16 * 32 + row % 8 * 4 + column / 2) * 4 + row / 8 % 2 * 2 + column % 2;
                    let products: Vec<(u32, u32)> =
                        (0..depth).map(|k| (of_a[row * depth + k], of_b[column * depth + k])).collect();
                    let expected = h200(a, b, &products, old[place]);
                    let seen = f32::from_bits(found[place]);
                    prop_assert_eq!(seen, expected, "{:?} {:?}, row {}, column {}", a, b, row, column);
                }
            }
            Ok(())
        })
        .unwrap();
}
