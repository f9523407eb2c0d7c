//! Matrices: rows that lanes store, and products.

use super::shuffle;
use crate::kernelfuzz::forms::Kind;
use crate::kernelfuzz::generate::{Gen, word};
use crate::kernelfuzz::inputs::{CELLS, SMALL_BF16, SMALL_F16};
use crate::kernelfuzz::ir::{Class, Var};

/// `ldmatrix` of rows that the warp's lanes stored.
pub(super) fn matrix_load(g: &mut Gen) {
    if !g.uniform {
        return shuffle(g);
    }
    g.code.full_warps = true;
    let count = g.draw.pick(&[1, 2, 4]);
    let transposed = g.draw.pick(&["", ".trans"]);
    let values: Vec<Var> = (0..4).map(|_| g.source_register(word())).collect();
    let (base, at, row) = (g.temp(Class::Word), g.temp(Class::Word), g.temp(Class::Word));
    g.emit(format!("mov.u32 {base}, shr@SEED@;"));
    g.emit(format!("mad.lo.u32 {at}, %lin, 16, {base};"));
    g.emit(format!("st.shared.v4.b32 [{at}], {{{}, {}, {}, {}}};", values[0], values[1], values[2], values[3]));
    g.emit("bar.sync 0;".to_owned());
    let by = g.draw.below(32);
    g.emit(format!("xor.b32 {row}, %lin, {by};"));
    g.emit(format!("mad.lo.u32 {row}, {row}, 16, {base};"));
    let to: Vec<Var> = (0..count).map(|_| g.temp(Class::Word)).collect();
    let list = to.iter().map(Var::to_string).collect::<Vec<_>>().join(", ");
    g.emit(format!("ldmatrix.sync.aligned.m8n8.x{count}{transposed}.shared.b16 {{{list}}}, [{row}];"));
    g.emit("bar.sync 0;".to_owned());
    for var in to {
        g.keep(var, Kind::Bits);
    }
}

pub(super) fn matrix_move(g: &mut Gen) {
    g.code.full_warps = true;
    let (value, to) = (g.source_register(word()), g.temp(Class::Word));
    g.emit("bar.warp.sync -1;".to_owned());
    g.emit(format!("movmatrix.sync.aligned.m8n8.trans.b16 {to}, {value};"));
    g.keep(to, Kind::Bits);
}

/// What the elements of a matrix operand are: whatever they are, all sums are exact in any order.
#[derive(Clone, Copy, PartialEq)]
enum Elements {
    /// Pairs of small whole halves, of this region.
    Halves(u32),
    /// Small whole singles.
    Singles,
    /// Small whole doubles.
    Doubles,
    /// Integers of any bits.
    Bits,
}

/// `mma.sync`: shape and types, registers of A, B and C, elements of A and B, of C.
const PRODUCTS: [(&str, [usize; 3], Elements, Elements); 27] = {
    use Elements::{Bits, Doubles, Halves, Singles};
    const F16: Elements = Halves(SMALL_F16);
    const BF16: Elements = Halves(SMALL_BF16);
    [
        ("m16n8k16.row.col.f32.f16.f16.f32", [4, 2, 4], F16, Singles),
        ("m16n8k8.row.col.f32.f16.f16.f32", [2, 1, 4], F16, Singles),
        ("m16n8k16.row.col.f16.f16.f16.f16", [4, 2, 2], F16, F16),
        ("m16n8k8.row.col.f16.f16.f16.f16", [2, 1, 2], F16, F16),
        ("m16n8k16.row.col.f32.bf16.bf16.f32", [4, 2, 4], BF16, Singles),
        ("m16n8k8.row.col.f32.bf16.bf16.f32", [2, 1, 4], BF16, Singles),
        ("m16n8k4.row.col.f32.tf32.tf32.f32", [2, 1, 4], Singles, Singles),
        ("m16n8k8.row.col.f32.tf32.tf32.f32", [4, 2, 4], Singles, Singles),
        ("m8n8k4.row.col.f64.f64.f64.f64", [1, 1, 2], Doubles, Doubles),
        ("m8n8k16.row.col.s32.s8.s8.s32", [1, 1, 2], Bits, Bits),
        ("m8n8k16.row.col.satfinite.s32.u8.s8.s32", [1, 1, 2], Bits, Bits),
        ("m16n8k16.row.col.s32.s8.u8.s32", [2, 1, 4], Bits, Bits),
        ("m16n8k16.row.col.satfinite.s32.u8.u8.s32", [2, 1, 4], Bits, Bits),
        ("m16n8k32.row.col.s32.s8.s8.s32", [4, 2, 4], Bits, Bits),
        ("m16n8k32.row.col.satfinite.s32.u8.s8.s32", [4, 2, 4], Bits, Bits),
        ("m8n8k32.row.col.s32.s4.s4.s32", [1, 1, 2], Bits, Bits),
        ("m8n8k32.row.col.satfinite.s32.u4.s4.s32", [1, 1, 2], Bits, Bits),
        ("m16n8k32.row.col.s32.u4.u4.s32", [2, 1, 4], Bits, Bits),
        ("m16n8k32.row.col.satfinite.s32.s4.u4.s32", [2, 1, 4], Bits, Bits),
        ("m16n8k64.row.col.s32.s4.s4.s32", [4, 2, 4], Bits, Bits),
        ("m16n8k64.row.col.s32.u4.s4.s32", [4, 2, 4], Bits, Bits),
        ("m8n8k128.row.col.s32.b1.b1.s32.xor.popc", [1, 1, 2], Bits, Bits),
        ("m8n8k128.row.col.s32.b1.b1.s32.and.popc", [1, 1, 2], Bits, Bits),
        ("m16n8k128.row.col.s32.b1.b1.s32.xor.popc", [2, 1, 4], Bits, Bits),
        ("m16n8k128.row.col.s32.b1.b1.s32.and.popc", [2, 1, 4], Bits, Bits),
        ("m16n8k256.row.col.s32.b1.b1.s32.xor.popc", [4, 2, 4], Bits, Bits),
        ("m16n8k256.row.col.s32.b1.b1.s32.and.popc", [4, 2, 4], Bits, Bits),
    ]
};

/// So many registers of matrix elements.
fn elements(g: &mut Gen, kind: Elements, count: usize) -> Vec<Var> {
    (0..count)
        .map(|_| match kind {
            Elements::Bits => g.source_register(word()),
            Elements::Halves(region) => {
                let ((address, offset), to) = (g.input_cell(region, CELLS - 1), g.temp(Class::Word));
                g.emit(format!("ld.global.b32 {to}, [{address}+{offset}];"));
                to
            }
            Elements::Singles => {
                let (value, to) = (g.source_register(word()), g.temp(Class::Word));
                g.emit(format!("and.b32 {to}, {value}, 15;"));
                g.emit(format!("cvt.rn.f32.u32 {to}, {to};"));
                to
            }
            Elements::Doubles => {
                let (value, small, to) = (g.source_register(word()), g.temp(Class::Word), g.temp(Class::Double));
                g.emit(format!("and.b32 {small}, {value}, 255;"));
                g.emit(format!("cvt.rn.f64.u32 {to}, {small};"));
                to
            }
        })
        .collect()
}

fn listed(vars: &[Var]) -> String {
    vars.iter().map(Var::to_string).collect::<Vec<_>>().join(", ")
}

/// A matrix product.
pub(super) fn mma(g: &mut Gen) {
    g.code.full_warps = true;
    let (form, [a, b, c], factors, sums) = g.draw.pick(&PRODUCTS);
    let (left, right, accumulators) = (elements(g, factors, a), elements(g, factors, b), elements(g, sums, c));
    let to: Vec<Var> = accumulators.iter().map(|var| g.temp(var.class)).collect();
    g.emit("bar.warp.sync -1;".to_owned());
    let operands = [&to, &left, &right, &accumulators].map(|vars| format!("{{{}}}", listed(vars))).join(", ");
    // The operation of single bits comes behind the types, the layout of the others before.
    g.emit(format!("mma.sync.aligned.{form} {operands};"));
    for var in to {
        g.keep(var, Kind::Bits);
    }
}

/// `wmma`: loads from inputs, the product, and a store to shared memory that the lanes read.
pub(super) fn wmma(g: &mut Gen) {
    if !g.uniform {
        return shuffle(g);
    }
    g.code.full_warps = true;
    let (shape, columns, f16, bf16, bytes) = g.draw.pick(&[
        ("m16n16k16", 16, [8, 8], [4, 4], [2, 2]),
        ("m32n8k16", 8, [8, 8], [8, 2], [4, 1]),
        ("m8n32k16", 32, [8, 8], [2, 8], [1, 4]),
    ]);
    let (ty, sum) = g.draw.pick(&[("f16", "f16"), ("f16", "f32"), ("bf16", "f32"), ("s8", "s32"), ("u8", "s32")]);
    let ([a, b], region) = match ty {
        "f16" => (f16, SMALL_F16),
        "bf16" => (bf16, SMALL_BF16),
        _ => (bytes, 0),
    };
    let (first, second) = (g.draw.pick(&["row", "col"]), g.draw.pick(&["row", "col"]));
    let load = |g: &mut Gen, which: &str, layout: &str, count: usize| {
        let to: Vec<Var> = (0..count).map(|_| g.temp(Class::Word)).collect();
        // 32 rows of 32 elements at most.
        let offset = region * CELLS * 8 + 32 * g.draw.below(32) as u32;
        let at = g.temp(Class::Double);
        g.emit(format!("add.u64 {at}, %in, {offset};"));
        let list = listed(&to);
        g.emit(format!("wmma.load.{which}.sync.aligned.{layout}.{shape}.global.{ty} {{{list}}}, [{at}], 32;"));
        to
    };
    g.emit("bar.warp.sync -1;".to_owned());
    let (left, right) = (load(g, "a", first, a), load(g, "b", second, b));
    let count = if sum == "f16" { 4 } else { 8 };
    let accumulators = match sum {
        "f16" => elements(g, Elements::Halves(SMALL_F16), count),
        "f32" => elements(g, Elements::Singles, count),
        _ => elements(g, Elements::Bits, count),
    };
    let to: Vec<Var> = (0..count).map(|_| g.temp(Class::Word)).collect();
    let types = if ty == "f16" { format!("{sum}.{sum}") } else { format!("{sum}.{ty}.{ty}.{sum}") };
    let operands = [&to, &left, &right, &accumulators].map(|vars| format!("{{{}}}", listed(vars))).join(", ");
    g.emit("bar.warp.sync -1;".to_owned());
    g.emit(format!("wmma.mma.sync.aligned.{first}.{second}.{shape}.{types} {operands};"));
    let (base, at) = (g.temp(Class::Word), g.temp(Class::Word));
    g.emit(format!("mov.u32 {base}, shr@SEED@;"));
    g.emit(format!("shr.u32 {at}, %lin, 5;"));
    g.emit(format!("mad.lo.u32 {at}, {at}, 1024, {base};"));
    let list = listed(&to);
    g.emit(format!("wmma.store.d.sync.aligned.row.{shape}.shared.{sum} [{at}], {{{list}}}, {columns};"));
    g.emit("bar.sync 0;".to_owned());
    g.emit(format!("mad.lo.u32 {at}, %lane, {}, {at};", 4 * count));
    for half in 0..count / 4 {
        let read: Vec<Var> = (0..4).map(|_| g.temp(Class::Word)).collect();
        g.emit(format!("ld.shared.v4.b32 {{{}}}, [{at}+{}];", listed(&read), 16 * half));
        for var in read {
            g.keep(var, Kind::Bits);
        }
    }
    g.emit("bar.sync 0;".to_owned());
}
