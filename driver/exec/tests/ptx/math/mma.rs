//! `mma.sync` of every type and shape: matrices are laid out by the formulas of the PTX ISA,
//! multiplied by the instruction, and compared with their product.

use proptest::prelude::*;

use super::formats::{Format, format};
use super::harness::{hold, list, warp};

/// A matrix by row and column.
pub type Dense = Vec<Vec<f64>>;

/// Small numbers that every format with so many bits holds, and whose sums of products are exact.
pub fn small(format: Format, seed: u64) -> f64 {
    let x = (seed >> 5) % 16;
    match format {
        Format::Unsigned(1) => (x % 2) as f64,
        Format::Unsigned(_) => x as f64,
        Format::Signed(4) => x as f64 - 8.0,
        Format::Signed(n) if n < 32 => (seed as i8) as f64,
        Format::Signed(_) => (seed as i32 % 100_000) as f64,
        Format::Float(..) => (x as f64 - 7.0) / 2.0,
    }
}

/// A generator for the elements of a matrix.
pub fn mix(seed: u64, n: usize) -> u64 {
    let mut x = seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn matrix(rows: usize, columns: usize, seed: u64, element: impl Fn(u64) -> f64) -> Dense {
    (0..rows).map(|r| (0..columns).map(|c| element(mix(seed, r * columns + c))).collect()).collect()
}

pub fn product(a: &Dense, b: &Dense, c: &Dense) -> Dense {
    let dot = |r: usize, n: usize| (0..b.len()).map(|k| a[r][k] * b[k][n]).sum::<f64>() + c[r][n];
    (0..c.len()).map(|r| (0..c[0].len()).map(|n| dot(r, n)).collect()).collect()
}

/// Row and column of element `i` of A in `lane`; `bits` of an element.
fn place_of_a(bits: u32, rows: usize, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = (lane >> 2, lane & 3);
    let n = if bits == 64 { 1 } else { 32 / bits as usize };
    if rows == 8 {
        return (group, i / n * 4 * n + thread * n + i % n);
    }
    let row = group + i / n % 2 * 8;
    (row, i / (2 * n) * 4 * n + thread * n + i % n)
}

fn place_of_b(bits: u32, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = (lane >> 2, lane & 3);
    let n = if bits == 64 { 1 } else { 32 / bits as usize };
    (i / n * 4 * n + thread * n + i % n, group)
}

fn place_of_c(lane: usize, i: usize) -> (usize, usize) {
    (if i < 2 { lane >> 2 } else { (lane >> 2) + 8 }, (lane & 3) * 2 + (i & 1))
}

/// A lane's registers of 32 bits (two for a double), from its elements in order.
fn registers(format: Format, elements: impl Iterator<Item = f64>) -> Vec<u32> {
    let bits: Vec<u64> = elements.map(|x| format.exact(x)).collect();
    pack(format.bits(), &bits)
}

pub fn pack(width: u32, elements: &[u64]) -> Vec<u32> {
    if width == 64 {
        return elements.iter().flat_map(|b| [*b as u32, (b >> 32) as u32]).collect();
    }
    let n = 32 / width as usize;
    elements
        .chunks(n)
        .map(|c| c.iter().enumerate().fold(0, |w, (e, b)| w | (*b as u32) << (width as usize * e)))
        .collect()
}

pub fn unpack(width: u32, words: &[u32]) -> Vec<u64> {
    if width == 64 {
        return words.chunks(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32).collect();
    }
    let mask = u64::MAX >> (64 - width);
    words.iter().flat_map(|w| (0..32 / width).map(move |e| u64::from(*w) >> (width * e) & mask)).collect()
}

struct Case {
    shape: (usize, usize, usize),
    a: &'static str,
    b: &'static str,
    c: &'static str,
    d: &'static str,
    suffix: &'static str,
    saturate: bool,
}

fn text(case: &Case) -> String {
    let (m, n, k) = case.shape;
    let saturate = if case.saturate { ".satfinite" } else { "" };
    format!(
        "mma.sync.aligned.m{m}n{n}k{k}.row.col{saturate}.{}.{}.{}.{}{}",
        case.d, case.a, case.b, case.c, case.suffix
    )
}

/// The instruction with its operands: doubles travel as pairs of words.
fn body(case: &Case, words: [usize; 4]) -> String {
    let [d, a, b, c] = words;
    if case.a != "f64" {
        return format!(
            "{} {}, {}, {}, {};",
            text(case),
            list("q", 0, d),
            list("r", 0, a),
            list("r", a, b),
            list("r", a + b, c)
        );
    }
    let mut body = String::new();
    for n in 0..(a + b + c) / 2 {
        body += &format!("mov.b64 %d{}, {{%r{}, %r{}}};\n", 10 + n, 2 * n, 2 * n + 1);
    }
    let (a, b, c) = (a / 2, b / 2, c / 2);
    body += &format!(
        "{} {}, {}, {}, {};\n",
        text(case),
        list("d", 40, c),
        list("d", 10, a),
        list("d", 10 + a, b),
        list("d", 10 + a + b, c)
    );
    for n in 0..c {
        body += &format!("mov.b64 {{%q{}, %q{}}}, %d{};\n", 2 * n, 2 * n + 1, 40 + n);
    }
    body
}

fn run(case: &Case, a: &Dense, b: &Dense, c: &Dense) -> Dense {
    let (m, _, k) = case.shape;
    let (fa, fb, fc, fd) = (format(case.a), format(case.b), format(case.c), format(case.d));
    let elements = |matrix: &Dense, count: usize, format: Format, place: &dyn Fn(usize) -> (usize, usize)| {
        registers(
            format,
            (0..count).map(|i| {
                let (row, column) = place(i);
                matrix[row][column]
            }),
        )
    };
    let sums = m * 8 / 32;
    let mut words = [0; 4];
    let inputs: Vec<Vec<u32>> = (0..32)
        .map(|lane| {
            let a = elements(a, m * k / 32, fa, &|i| place_of_a(fa.bits(), m, lane, i));
            let b = elements(b, k * 8 / 32, fb, &|i| place_of_b(fb.bits(), lane, i));
            let c = elements(c, sums, fc, &|i| place_of_c(lane, i));
            words = [sums * fd.bits() as usize / 32, a.len(), b.len(), c.len()];
            [a, b, c].concat()
        })
        .collect();
    let out = warp(&body(case, words), &inputs, words[0]);
    let mut d = vec![vec![0.0; 8]; m];
    for (lane, words) in out.iter().enumerate() {
        for (i, bits) in unpack(fd.bits(), words).into_iter().enumerate() {
            let (row, column) = place_of_c(lane, i);
            d[row][column] = fd.value(bits);
        }
    }
    d
}

fn check(case: &Case) {
    let (m, n, k) = case.shape;
    hold(4, any::<u64>(), |seed| {
        let a = matrix(m, k, seed, |x| small(format(case.a), x));
        let b = matrix(k, n, seed ^ 1, |x| small(format(case.b), x));
        let c = matrix(m, n, seed ^ 2, |x| small(format(case.c), x));
        let expected = if case.a == "b1" { bits_product(case, &a, &b, &c) } else { product(&a, &b, &c) };
        assert_eq!(run(case, &a, &b, &c), expected, "{}", text(case));
    });
}

fn bits_product(case: &Case, a: &Dense, b: &Dense, c: &Dense) -> Dense {
    let both = |x: f64, y: f64| if case.suffix.contains("and") { x * y } else { (x != y) as u8 as f64 };
    let sum = |r: usize, n: usize| (0..b.len()).map(|k| both(a[r][k], b[k][n])).sum::<f64>() + c[r][n];
    (0..c.len()).map(|r| (0..8).map(|n| sum(r, n)).collect()).collect()
}

fn case(shape: (usize, usize, usize), a: &'static str, b: &'static str, c: &'static str) -> Case {
    Case { shape, a, b, c, d: c, suffix: "", saturate: false }
}

#[test]
fn floats() {
    for k in [8, 16] {
        check(&case((16, 8, k), "f16", "f16", "f32"));
        check(&case((16, 8, k), "f16", "f16", "f16"));
        check(&case((16, 8, k), "bf16", "bf16", "f32"));
    }
    check(&case((16, 8, 4), "tf32", "tf32", "f32"));
    check(&case((16, 8, 8), "tf32", "tf32", "f32"));
    check(&case((8, 8, 4), "f64", "f64", "f64"));
    for k in [4, 8, 16] {
        check(&case((16, 8, k), "f64", "f64", "f64"));
    }
    for k in [16, 32] {
        for a in ["e4m3", "e5m2"] {
            for b in ["e4m3", "e5m2"] {
                check(&case((16, 8, k), a, b, "f32"));
                check(&case((16, 8, k), a, b, "f16"));
            }
        }
    }
}

#[test]
fn integers() {
    for a in ["s8", "u8"] {
        for b in ["s8", "u8"] {
            for shape in [(8, 8, 16), (16, 8, 16), (16, 8, 32)] {
                check(&case(shape, a, b, "s32"));
                check(&Case { saturate: true, ..case(shape, a, b, "s32") });
            }
        }
    }
    for a in ["s4", "u4"] {
        for b in ["s4", "u4"] {
            for shape in [(8, 8, 32), (16, 8, 32), (16, 8, 64)] {
                check(&case(shape, a, b, "s32"));
                check(&Case { saturate: true, ..case(shape, a, b, "s32") });
            }
        }
    }
    for suffix in [".xor.popc", ".and.popc"] {
        for shape in [(8, 8, 128), (16, 8, 128), (16, 8, 256)] {
            check(&Case { suffix, ..case(shape, "b1", "b1", "s32") });
        }
    }
}

/// Sums beyond 32 bits wrap, or stop with `.satfinite`.
#[test]
fn integers_at_the_ends_of_their_range() {
    for (saturate, sign) in [(false, 1.0), (false, -1.0), (true, 1.0), (true, -1.0)] {
        let case = Case { saturate, ..case((16, 8, 32), "s8", "s8", "s32") };
        let end = if sign > 0.0 { i32::MAX } else { i32::MIN };
        let a = vec![vec![100.0; 32]; 16];
        let b = vec![vec![sign; 8]; 32];
        let c: Dense =
            (0..16).map(|r| (0..8).map(|n| f64::from(end) - sign * f64::from(r * 8 + n) * 50.0).collect()).collect();
        let exact = product(&a, &b, &c);
        let expected: Dense = exact
            .iter()
            .map(|row| row.iter().map(|&x| f64::from(if saturate { x as i32 } else { x as i64 as i32 })).collect())
            .collect();
        assert_eq!(run(&case, &a, &b, &c), expected, "{}", text(&case));
    }
}

/// Where products are not exact, the sum is within a few roundings of the exact one, and a NaN or
/// an infinity goes to the sums that it belongs to and to no other.
#[test]
fn sums_of_any_size() {
    for case in [
        case((16, 8, 8), "tf32", "tf32", "f32"),
        case((16, 8, 16), "bf16", "bf16", "f32"),
        case((16, 8, 32), "e4m3", "e5m2", "f32"),
        case((16, 8, 16), "f64", "f64", "f64"),
    ] {
        let (m, n, k) = case.shape;
        let random = |format: Format| {
            move |x: u64| {
                let bits = x & (u64::MAX >> (64 - format.bits()));
                let bits = if format == super::formats::TF32 { bits & !0x1fff } else { bits };
                Some(format.value(bits)).filter(|v| v.abs() < 1e3 && v.abs() > 1e-3).unwrap_or(1.5)
            }
        };
        hold(4, (any::<u64>(), 0..m, 0..k), |(seed, row, at)| {
            let mut a = matrix(m, k, seed, random(format(case.a)));
            let b = matrix(k, n, seed ^ 1, random(format(case.b)));
            let c = matrix(m, n, seed ^ 2, |x| (x % 1000) as f64);
            let (exact, size) = (product(&a, &b, &c), product(&absolute(&a), &absolute(&b), &absolute(&c)));
            let error = if case.c == "f64" { 1e-15 } else { 2e-7 } * (k as f64 + 1.0);
            let found = run(&case, &a, &b, &c);
            for r in 0..m {
                for col in 0..n {
                    let off = (found[r][col] - exact[r][col]).abs();
                    assert!(off <= error * size[r][col], "{}: {off} at {r},{col}", text(&case));
                }
            }
            if case.a != "e4m3" {
                a[row][at] = f64::INFINITY;
                let found = run(&case, &a, &b, &c);
                for (r, line) in found.iter().enumerate() {
                    for (col, x) in line.iter().enumerate() {
                        assert_eq!(x.is_finite(), r != row, "{}: {x} at {r},{col}", text(&case));
                    }
                }
            }
        });
    }
}

fn absolute(m: &Dense) -> Dense {
    m.iter().map(|row| row.iter().map(|x| x.abs()).collect()).collect()
}

/// `m8n8k4` of halves: four products, each of eight lanes, in any order of rows and columns.
#[test]
fn halves_in_quads() {
    for (a_order, b_order) in [("row", "col"), ("row", "row"), ("col", "col"), ("col", "row")] {
        for (d, c) in [("f32", "f32"), ("f32", "f16"), ("f16", "f16")] {
            hold(4, any::<u64>(), |seed| quads(a_order, b_order, d, c, seed));
        }
    }
}

fn quads(a_order: &str, b_order: &str, d: &str, c: &str, seed: u64) {
    let (fc, fd, f16) = (format(c), format(d), format("f16"));
    let matrices: Vec<[Dense; 3]> = (0..4)
        .map(|q| {
            let element = |x| small(f16, x);
            [
                matrix(8, 4, seed ^ q, element),
                matrix(4, 8, seed ^ q ^ 77, element),
                matrix(8, 8, seed ^ q ^ 99, element),
            ]
        })
        .collect();
    // PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f16".
    let place_a = |lane: usize, i: usize| {
        if a_order == "row" {
            (if lane < 16 { lane % 4 } else { lane % 4 + 4 }, i)
        } else {
            (if lane < 16 { i % 4 } else { i % 4 + 4 }, lane % 4)
        }
    };
    let place_b = |lane: usize, i: usize| {
        if b_order == "row" {
            (lane % 4, if lane < 16 { i } else { i + 4 })
        } else {
            (i, if lane < 16 { lane % 4 } else { lane % 4 + 4 })
        }
    };
    let place_c = |format: Format, lane: usize, i: usize| {
        if format.bits() == 16 {
            return (if lane < 16 { lane % 4 } else { lane % 4 + 4 }, i);
        }
        let x = (lane & 1) + (i & 2);
        (if lane < 16 { x } else { x + 4 }, (i & 4) + (lane & 2) + (i & 1))
    };
    let quad = |lane: usize| lane % 16 / 4;
    let inputs: Vec<Vec<u32>> = (0..32)
        .map(|lane| {
            let [a, b, c] = &matrices[quad(lane)];
            let at = |m: &Dense, (r, k): (usize, usize)| m[r][k];
            let a = registers(f16, (0..4).map(|i| at(a, place_a(lane, i))));
            let b = registers(f16, (0..4).map(|i| at(b, place_b(lane, i))));
            let c = registers(fc, (0..8).map(|i| at(c, place_c(fc, lane, i))));
            [a, b, c].concat()
        })
        .collect();
    let ends = |f: Format| 8 * f.bits() as usize / 32;
    let body = format!(
        "mma.sync.aligned.m8n8k4.{a_order}.{b_order}.{d}.f16.f16.{c} {}, {{%r0,%r1}}, {{%r2,%r3}}, {};",
        list("q", 0, ends(fd)),
        list("r", 4, ends(fc)),
    );
    let out = warp(&body, &inputs, ends(fd));
    for (lane, words) in out.iter().enumerate() {
        let [a, b, c] = &matrices[quad(lane)];
        let expected = product(a, b, c);
        for (i, bits) in unpack(fd.bits(), words).into_iter().enumerate() {
            let (r, n) = place_c(fd, lane, i);
            assert_eq!(fd.value(bits), expected[r][n], "{body} lane {lane} element {i}");
        }
    }
}

/// `mma.sp`: half of A is left out; which half, the metadata says, held as an H200 holds it.
#[test]
fn sparse() {
    let floats = [("f16", 16, "f32"), ("f16", 32, "f16"), ("bf16", 32, "f32"), ("tf32", 8, "f32"), ("tf32", 16, "f32")];
    let small = [("s8", 32, "s32"), ("u8", 64, "s32"), ("s4", 64, "s32"), ("u4", 128, "s32"), ("e4m3", 64, "f32")];
    for (ty, k, sums) in floats.into_iter().chain(small) {
        hold(4, (any::<u64>(), 0usize..4), |(seed, selector)| sparse_case(ty, k, sums, selector, seed));
    }
}

fn sparse_case(ty: &'static str, k: usize, sums: &'static str, selector: usize, seed: u64) {
    let (fa, fc) = (format(ty), format(sums));
    let bits = fa.bits() as usize;
    // Elements that are kept together, and of how many such the half is kept.
    let together = if bits == 4 { 2 } else { 1 };
    let of = if bits == 32 { 2 } else { 4 };
    let kept = matrix(16, k / 2, seed, |x| small(fa, x));
    let b = matrix(k, 8, seed ^ 1, |x| small(fa, x));
    let c = matrix(16, 8, seed ^ 2, |x| small(fc, x));
    let mut full = vec![vec![0.0; k]; 16];
    // Two-bit places of a row: which half of a single element for tf32, which of four else.
    let mut places = vec![Vec::new(); 16];
    for row in 0..16 {
        for group in 0..k / (of * together) {
            let pick = mix(seed ^ 3, row * 128 + group) as usize;
            if of == 2 {
                full[row][2 * group + pick % 2] = kept[row][group];
                places[row].extend([pick % 2 * 2, pick % 2 * 2 + 1].map(|n| n as u32));
                continue;
            }
            let pair = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)][pick % 6];
            for (n, at) in [pair.0, pair.1].into_iter().enumerate() {
                places[row].push(at as u32);
                for e in 0..together {
                    full[row][(4 * group + at) * together + e] = kept[row][(2 * group + n) * together + e];
                }
            }
        }
    }
    let holders = places[0].len() / 8;
    let selector = selector % (4 / holders);
    let mut metadata = [0u32; 32];
    for (row, places) in places.iter().enumerate() {
        for (p, place) in places.iter().enumerate() {
            let (lane, shift) =
                if bits > 8 { (p / 8, row / 8 * 16 + p % 8 * 2) } else { (row / 8 + p / 16 * 2, p % 16 * 2) };
            metadata[row % 8 * 4 + selector * holders % 4 + lane] |= place << shift;
        }
    }
    let mut counts = [0; 3];
    let inputs: Vec<Vec<u32>> = (0..32)
        .map(|lane| {
            let at = |m: &Dense, (r, n): (usize, usize)| m[r][n];
            let a = registers(fa, (0..16 * k / 2 / 32).map(|i| at(&kept, place_of_a(fa.bits(), 16, lane, i))));
            let b = registers(fa, (0..k * 8 / 32).map(|i| at(&b, place_of_b(fa.bits(), lane, i))));
            let c = registers(fc, (0..4).map(|i| at(&c, place_of_c(lane, i))));
            counts = [a.len(), b.len(), c.len()];
            [a, b, c, vec![metadata[lane]]].concat()
        })
        .collect();
    let [a_count, b_count, c_count] = counts;
    let body = format!(
        "mma.sp::ordered_metadata.sync.aligned.m16n8k{k}.row.col.{sums}.{ty}.{ty}.{sums} {}, {}, {}, {}, %r{}, {selector};",
        list("q", 0, c_count),
        list("r", 0, a_count),
        list("r", a_count, b_count),
        list("r", a_count + b_count, c_count),
        a_count + b_count + c_count
    );
    let expected = product(&full, &b, &c);
    for (lane, words) in warp(&body, &inputs, c_count).iter().enumerate() {
        for (i, bits) in unpack(fc.bits(), words).into_iter().enumerate() {
            let (row, column) = place_of_c(lane, i);
            assert_eq!(fc.value(bits), expected[row][column], "{body} at {row},{column}");
        }
    }
}
