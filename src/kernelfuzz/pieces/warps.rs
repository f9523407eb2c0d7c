//! What lanes, warps and blocks do together.

use super::ty;
use crate::kernelfuzz::forms::Kind;
use crate::kernelfuzz::generate::{Gen, word};
use crate::kernelfuzz::inputs::CELLS;
use crate::kernelfuzz::ir::{Class, Var};

/// Lanes that a vote chose work together, the others go round.
pub(super) fn subset(g: &mut Gen) {
    if !g.together {
        return g.operation(true);
    }
    let end = g.label();
    let (chosen, members, leader) = (g.source_predicate(), g.temp(Class::Word), g.temp(Class::Word));
    let (value, to) = (g.source_register(word()), g.temp(Class::Word));
    let kind = g.draw.below(6);
    // What is voted on is set before the lanes part.
    let some = if kind == 5 { g.source_predicate() } else { chosen };
    g.emit(format!("vote.sync.ballot.b32 {members}, {chosen}, %members;"));
    g.emit(format!("bfind.u32 {leader}, {members};"));
    g.emit(format!("mov.b32 {to}, {value};"));
    g.emit(format!("@!{chosen} bra L{end};"));
    match kind {
        0 => g.emit(format!("shfl.sync.idx.b32 {to}, {value}, {leader}, 31, {members};")),
        1 => g.emit(format!("redux.sync.add.s32 {to}, {value}, {members};")),
        2 => g.emit(format!("match.any.sync.b32 {to}, {value}, {members};")),
        3 => g.emit(format!("redux.sync.xor.b32 {to}, {value}, {members};")),
        4 => {
            g.emit(format!("bar.warp.sync {members};"));
            g.emit(format!("add.u32 {to}, {to}, 1;"));
        }
        _ => g.emit(format!("vote.sync.ballot.b32 {to}, {some}, {members};")),
    }
    g.emit(format!("L{end}:"));
    g.keep(to, Kind::Unsigned);
}

/// Lanes meet at two places: each arm has a barrier for the whole warp.
pub(super) fn meet_apart(g: &mut Gen) {
    if !g.together {
        return g.operation(true);
    }
    let n = g.label();
    let (side, value, to) = (g.source_predicate(), g.source_register(word()), g.temp(Class::Word));
    g.emit(format!("@{side} bra L{n}a;"));
    g.emit("bar.warp.sync %members;".to_owned());
    g.emit(format!("xor.b32 {to}, {value}, 5;"));
    g.emit(format!("bra L{n}b;"));
    g.emit(format!("L{n}a:"));
    g.emit(format!("add.u32 {to}, {value}, 7;"));
    g.emit("bar.warp.sync %members;".to_owned());
    g.emit(format!("L{n}b:"));
    g.keep(to, Kind::Unsigned);
}

/// Each thread stores to shared memory, all meet, each reads what another stored.
pub(super) fn exchange(g: &mut Gen) {
    let (name, count) = g.draw.pick(&[
        ("b8", 1),
        ("u8", 1),
        ("s8", 1),
        ("b16", 1),
        ("s16", 1),
        ("b32", 1),
        ("u32", 1),
        ("f32", 1),
        ("b64", 1),
        ("f64", 1),
        ("b32", 2),
        ("b32", 4),
        ("b64", 2),
        ("b16", 2),
        ("b16", 4),
        ("b8", 4),
        ("f32", 4),
    ]);
    let ty = ty(name);
    let width = count * ty.bits / 8;
    let array = g.draw.pick(&["shr@SEED@", "shr@SEED@", "dyn@SEED@"]);
    let way = g.draw.below(3);
    let values: Vec<Var> = (0..count).map(|_| g.source_register(ty)).collect();
    let (from, other) = (g.temp(Class::Word), g.temp(Class::Word));
    let by = g.draw.below(70);
    if g.draw.chance(50) {
        g.emit(format!("add.u32 {other}, %lin, {by};"));
        g.emit(format!("rem.u32 {other}, {other}, %total;"));
    } else {
        g.emit(format!("sub.u32 {other}, %total, %lin;"));
        g.emit(format!("sub.u32 {other}, {other}, 1;"));
    }
    let space = if way == 2 { "" } else { ".shared" };
    let (mine, theirs) = if way == 0 {
        let (a, b) = (g.temp(Class::Word), g.temp(Class::Word));
        g.emit(format!("mov.u32 {from}, {array};"));
        g.emit(format!("mad.lo.u32 {a}, %lin, {width}, {from};"));
        g.emit(format!("mad.lo.u32 {b}, {other}, {width}, {from};"));
        (a, b)
    } else {
        let (base, a, b) = (g.temp(Class::Double), g.temp(Class::Double), g.temp(Class::Double));
        g.emit(format!("mov.u64 {base}, {array};"));
        if way == 2 {
            g.emit(format!("cvta.shared.u64 {base}, {base};"));
        }
        g.emit(format!("mad.wide.u32 {a}, %lin, {width}, {base};"));
        g.emit(format!("mad.wide.u32 {b}, {other}, {width}, {base};"));
        (a, b)
    };
    let to: Vec<Var> = (0..count).map(|_| g.temp(Class::of(ty.bits))).collect();
    let list = |vars: &[Var]| vars.iter().map(Var::to_string).collect::<Vec<_>>().join(", ");
    let (vector, stored, loaded) = if count == 1 {
        (String::new(), list(&values), list(&to))
    } else {
        (format!(".v{count}"), format!("{{{}}}", list(&values)), format!("{{{}}}", list(&to)))
    };
    let volatile = if g.draw.chance(15) { ".volatile" } else { "" };
    let barrier = g.draw.pick(&[
        "bar.sync 0;",
        "barrier.sync 0;",
        "bar.sync 1;",
        "barrier.sync.aligned 0;",
        "bar.sync 2, @ROUNDED@;",
        "barrier.cta.sync 3;",
    ]);
    g.emit(format!("st{volatile}{space}{vector}.{name} [{mine}], {stored};"));
    g.emit(barrier.to_owned());
    g.emit(format!("ld{volatile}{space}{vector}.{name} {loaded}, [{theirs}];"));
    g.emit("bar.sync 0;".to_owned());
    for var in to {
        g.keep(var, ty.kind);
    }
}

/// `bar.red`.
pub(super) fn barrier_reduce(g: &mut Gen) {
    let (p, not) = (g.source_predicate(), if g.draw.chance(30) { "!" } else { "" });
    match g.draw.pick(&["popc.u32", "and.pred", "or.pred"]) {
        "popc.u32" => {
            let to = g.temp(Class::Word);
            g.emit(format!("bar.red.popc.u32 {to}, 0, {not}{p};"));
            g.keep(to, Kind::Unsigned);
        }
        kind => {
            let to = g.temp(Class::Pred);
            g.emit(format!("barrier.red.{kind} {to}, 1, {not}{p};"));
            g.keep(to, Kind::Pred);
        }
    }
}

/// `cp.async`, awaited.
pub(super) fn copy_async(g: &mut Gen) {
    let bytes = g.draw.pick(&[4u32, 8, 16]);
    let region = g.draw.below(8) as u32;
    let (from, offset) = g.input_cell(region, if bytes == 16 { CELLS - 2 } else { CELLS - 1 });
    let (base, at, wide) = (g.temp(Class::Word), g.temp(Class::Word), g.draw.chance(30));
    g.emit(format!("mov.u32 {base}, shr@SEED@;"));
    g.emit(format!("mad.lo.u32 {at}, %lin, 16, {base};"));
    let caching = if bytes == 16 && wide { "cg" } else { "ca" };
    let (part, size) = (g.draw.chance(30), g.draw.below(bytes as usize + 1));
    let less = if part { format!(", {size}") } else { String::new() };
    g.emit(format!("cp.async.{caching}.shared.global [{at}], [{from}+{offset}], {bytes}{less};"));
    if g.draw.chance(50) {
        g.emit("cp.async.commit_group;".to_owned());
        g.emit("cp.async.wait_group 0;".to_owned());
    } else {
        g.emit("cp.async.wait_all;".to_owned());
    }
    for n in 0..bytes / 4 {
        let to = g.temp(Class::Word);
        g.emit(format!("ld.shared.b32 {to}, [{at}+{}];", 4 * n));
        g.keep(to, Kind::Bits);
    }
    g.emit("bar.sync 0;".to_owned());
}

/// The mask of the warp's threads.
fn members(g: &mut Gen) -> &'static str {
    if !g.ragged && g.draw.chance(60) {
        g.code.full_warps = true;
        g.draw.pick(&["-1", "0xffffffff"])
    } else {
        "%members"
    }
}

pub(super) fn vote(g: &mut Gen) {
    let (p, not) = (g.source_predicate(), if g.draw.chance(30) { "!" } else { "" });
    let members = members(g);
    if g.draw.chance(40) {
        let to = g.temp(Class::Word);
        g.emit(format!("vote.sync.ballot.b32 {to}, {not}{p}, {members};"));
        g.keep(to, Kind::Unsigned);
    } else {
        let (to, kind) = (g.temp(Class::Pred), g.draw.pick(&["all", "any", "uni"]));
        g.emit(format!("vote.sync.{kind}.pred {to}, {not}{p}, {members};"));
        g.keep(to, Kind::Pred);
    }
}

pub(super) fn matching(g: &mut Gen) {
    let ty = ty(g.draw.pick(&["b32", "b64"]));
    let mut value = g.source_register(ty);
    let members = members(g);
    // Values that some lanes share.
    let few = g.temp(value.class);
    if g.draw.chance(60) {
        g.emit(format!("and.{} {few}, {value}, 3;", ty.name));
        value = few;
    }
    let to = g.temp(Class::Word);
    if g.draw.chance(50) {
        g.emit(format!("match.any.sync.{} {to}, {value}, {members};", ty.name));
    } else {
        let p = g.temp(Class::Pred);
        g.emit(format!("match.all.sync.{} {to}|{p}, {value}, {members};", ty.name));
        g.keep(p, Kind::Pred);
    }
    g.keep(to, Kind::Unsigned);
}

pub(super) fn redux(g: &mut Gen) {
    let form = g
        .draw
        .pick(&["add.u32", "add.s32", "min.u32", "max.u32", "min.s32", "max.s32", "and.b32", "or.b32", "xor.b32"]);
    let (value, members, to) = (g.source_register(word()), members(g), g.temp(Class::Word));
    g.emit(format!("redux.sync.{form} {to}, {value}, {members};"));
    g.keep(to, Kind::Unsigned);
}

/// A shuffle that reads only lanes that exist.
pub(super) fn shuffle(g: &mut Gen) {
    let name = g.draw.pick(&["b32", "f32", "u32"]);
    let value = g.source_register(ty(name));
    let (members, to, p) = (members(g), g.temp(Class::Word), g.temp(Class::Pred));
    if g.draw.chance(50) {
        let (by, segment) = (g.draw.below(32), g.draw.pick(&[0, 0x1000, 0x1800, 0x1c00, 0x1e00]));
        g.emit(format!("shfl.sync.up.b32 {to}|{p}, {value}, {by}, {segment}, {members};"));
    } else {
        let (by, lane) = (g.source_register(word()), g.temp(Class::Word));
        g.emit(format!("rem.u32 {lane}, {by}, %count;"));
        g.emit(format!("shfl.sync.idx.b32 {to}|{p}, {value}, {lane}, 31, {members};"));
    }
    g.keep(to, Kind::Bits);
    g.keep(p, Kind::Pred);
}

/// Any shuffle, where every lane exists.
pub(super) fn full_shuffle(g: &mut Gen) {
    g.code.full_warps = true;
    let mode = g.draw.pick(&["up", "down", "bfly", "idx"]);
    let (value, to, p) = (g.source_register(word()), g.temp(Class::Word), g.temp(Class::Pred));
    let lane = if g.draw.chance(60) { g.draw.below(32).to_string() } else { g.source_register(word()).to_string() };
    let clamp = match g.draw.below(4) {
        0 => g.draw.below(0x2000) as u32,
        _ => (if mode == "up" { 0 } else { 31 }) | g.draw.pick(&[0, 0x1000, 0x1800, 0x1c00, 0x1e00]),
    };
    if g.draw.chance(70) {
        g.emit(format!("shfl.sync.{mode}.b32 {to}|{p}, {value}, {lane}, {clamp}, -1;"));
        g.keep(p, Kind::Pred);
    } else {
        g.emit(format!("shfl.sync.{mode}.b32 {to}, {value}, {lane}, {clamp}, %members;"));
    }
    g.keep(to, Kind::Bits);
}
