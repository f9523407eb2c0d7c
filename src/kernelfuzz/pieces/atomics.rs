//! Atomics: on cells of one thread, of all, and of a block.

use super::ty;
use crate::kernelfuzz::generate::Gen;
use crate::kernelfuzz::inputs::COMMON_CELLS;
use crate::kernelfuzz::ir::Class;

/// Order, scope.
fn order(g: &mut Gen) -> &'static str {
    g.draw.pick(&[
        "",
        "",
        "",
        ".relaxed.gpu",
        ".acquire.gpu",
        ".release.gpu",
        ".acq_rel.gpu",
        ".relaxed.cta",
        ".acq_rel.sys",
        ".gpu",
        ".cta",
    ])
}

/// An atomic on a cell that no other thread has: its answer is defined.
pub(super) fn private_atomic(g: &mut Gen) {
    let (operation, set, kind) = g.draw.pick(&[
        ("add.u32", 0, "u32"),
        ("add.s32", 0, "s32"),
        ("add.u64", 0, "u64"),
        ("min.u32", 0, "u32"),
        ("max.u32", 0, "u32"),
        ("min.s32", 0, "s32"),
        ("max.s32", 0, "s32"),
        ("min.u64", 0, "u64"),
        ("max.u64", 0, "u64"),
        ("min.s64", 0, "s64"),
        ("max.s64", 0, "s64"),
        ("and.b32", 0, "b32"),
        ("or.b32", 0, "b32"),
        ("xor.b32", 0, "b32"),
        ("and.b64", 0, "b64"),
        ("or.b64", 0, "b64"),
        ("xor.b64", 0, "b64"),
        ("exch.b32", 0, "b32"),
        ("exch.b64", 0, "b64"),
        ("inc.u32", 0, "u32"),
        ("dec.u32", 0, "u32"),
        ("cas.b32", 0, "b32"),
        ("cas.b64", 0, "b64"),
        ("cas.b16", 0, "b16"),
        ("add.f32", 1, "f32"),
        ("add.f64", 2, "f64"),
        ("add.noftz.f16x2", 3, "f16x2"),
        ("add.noftz.f16", 3, "f16"),
    ]);
    let ty = ty(kind);
    // The set's first cell, by bytes, in units of a thread's cells.
    let shared = g.uniform && set == 0 && g.draw.chance(40);
    let at = g.temp(Class::Double);
    let space = if shared {
        let (value, narrow) = (g.source_register(self::ty("b64")), g.temp(Class::Double));
        g.emit(format!("mov.u64 {narrow}, shr@SEED@;"));
        g.emit(format!("mad.wide.u32 {at}, %lin, 16, {narrow};"));
        g.emit(format!("st.shared.b64 [{at}], {value};"));
        ".shared"
    } else {
        let count = g.temp(Class::Word);
        let blocks = g.temp(Class::Word);
        g.emit(format!("mov.u32 {count}, %nctaid.x;"));
        g.emit(format!("mov.u32 {blocks}, %nctaid.y;"));
        g.emit(format!("mul.lo.u32 {count}, {count}, {blocks};"));
        g.emit(format!("mov.u32 {blocks}, %nctaid.z;"));
        g.emit(format!("mul.lo.u32 {count}, {count}, {blocks};"));
        g.emit(format!("mul.lo.u32 {count}, {count}, %total;"));
        g.emit(format!("mad.lo.u32 {count}, {count}, {set}, %gid;"));
        g.emit(format!("mad.wide.u32 {at}, {count}, 8, %cells;"));
        g.emit(format!("add.u64 {at}, {at}, {};", COMMON_CELLS * 8));
        g.draw.pick(&[".global", ".global", ""])
    };
    let class = Class::of(ty.bits);
    let order = order(g);
    let value = g.source_register(ty);
    let to = g.temp(class);
    if operation.starts_with("cas") {
        // Half of the comparisons hold.
        let (other, equal) = (g.source_register(ty), g.temp(class));
        if g.draw.chance(50) {
            g.emit(format!("ld{space}.{} {equal}, [{at}];", ty.name));
        } else {
            g.emit(format!("mov.{} {equal}, {other};", ty.name));
        }
        g.emit(format!("atom{order}{space}.{operation} {to}, [{at}], {equal}, {value};"));
    } else if g.draw.chance(25) && !operation.starts_with("exch") {
        g.emit(format!("red{}{space}.{operation} [{at}], {value};", if order.contains("acq") { "" } else { order }));
        g.emit(format!("ld{space}.{} {to}, [{at}];", ty.raw().name));
    } else {
        g.emit(format!("atom{order}{space}.{operation} {to}, [{at}], {value};"));
    }
    g.keep(to, ty.kind);
    let after = g.temp(class);
    g.emit(format!("ld{space}.{} {after}, [{at}];", ty.raw().name));
    g.keep(after, ty.kind);
    if shared {
        g.emit("bar.sync 0;".to_owned());
    }
    g.canonical(to, ty.kind);
    g.canonical(after, ty.kind);
}

/// Operations whose result does not depend on the order, each with its cell.
const COMMON: [(&str, &str); 13] = [
    ("add.u32", "u32"),
    ("min.u32", "u32"),
    ("max.u32", "u32"),
    ("min.s32", "s32"),
    ("max.s32", "s32"),
    ("and.b32", "b32"),
    ("or.b32", "b32"),
    ("xor.b32", "b32"),
    ("add.u64", "u64"),
    ("max.u64", "u64"),
    ("min.s64", "s64"),
    ("or.b64", "b64"),
    ("xor.b64", "b64"),
];

/// An atomic on a cell that all threads have; what it answers depends on the order and is not used.
pub(super) fn common_atomic(g: &mut Gen) {
    let n = g.draw.below(COMMON.len());
    let (operation, kind) = COMMON[n];
    let ty = ty(kind);
    let value = g.source_register(ty);
    let space = g.draw.pick(&[".global", ".global", ""]);
    if g.draw.chance(70) {
        g.emit(format!("red{space}.{operation} [%cells+{}], {value};", 8 * n));
    } else {
        let to = g.temp(Class::of(ty.bits));
        g.emit(format!("atom{space}.{operation} {to}, [%cells+{}], {value};", 8 * n));
    }
}

/// The same in shared memory, with barriers before and behind.
pub(super) fn shared_count(g: &mut Gen) {
    let n = g.draw.below(COMMON.len());
    let (operation, kind) = COMMON[n];
    let ty = ty(kind);
    let first = g.temp(Class::Pred);
    let (value, to, start) = (g.source_register(ty), g.temp(Class::of(ty.bits)), g.draw.below(1000));
    let name = ty.raw().name;
    let begin = g.temp(Class::of(ty.bits));
    g.emit(format!("setp.eq.u32 {first}, %lin, 0;"));
    g.emit(format!("mov.{name} {begin}, {start};"));
    g.emit(format!("@{first} st.shared.{name} [cnt@SEED@], {begin};"));
    g.emit("bar.sync 0;".to_owned());
    g.emit(format!("red.shared.{operation} [cnt@SEED@], {value};"));
    g.emit("bar.sync 0;".to_owned());
    g.emit(format!("ld.shared.{name} {to}, [cnt@SEED@];"));
    g.emit("bar.sync 0;".to_owned());
    g.keep(to, ty.kind);
}
