//! Instructions that need others about them: memory, barriers, what a warp does together, calls.

mod atomics;
mod calls;
mod matrices;
mod warps;

use atomics::{common_atomic, private_atomic, shared_count};
use calls::call;
use matrices::{matrix_load, matrix_move, mma, wmma};
use warps::{barrier_reduce, copy_async, exchange, full_shuffle, matching, meet_apart, redux, shuffle, subset, vote};

use super::forms::{Kind, Ty};
use super::generate::{Gen, word};
use super::inputs::{CELLS, CONSTANT_WORDS};
use super::ir::{Class, Stmt, Var};

fn ty(name: &str) -> Ty {
    Ty::named(name).unwrap_or_else(word)
}

/// One that may stand here.
pub(super) fn any(g: &mut Gen) -> Stmt {
    if g.function {
        return g.piece(|g| g.operation(true));
    }
    let full = !g.ragged;
    let mut choices: Vec<fn(&mut Gen)> = vec![
        special,
        vector_load,
        parameter,
        constant_array,
        local,
        private_atomic,
        common_atomic,
        call,
        pack,
        unpack,
        carry,
        table_branch,
        space_query,
        hint,
        subset,
        meet_apart,
    ];
    if g.uniform {
        choices.extend([exchange as fn(&mut Gen), exchange, barrier_reduce, copy_async, shared_count]);
    }
    if g.together {
        choices.extend([vote as fn(&mut Gen), matching, redux, shuffle, shuffle]);
        if full {
            choices.extend([matrix_load as fn(&mut Gen), matrix_move, mma, mma, wmma, full_shuffle, full_shuffle]);
        }
    }
    if g.draw.chance(5) {
        choices = vec![one_element, cache_hint, stack];
        if g.uniform {
            choices.push(phase_barrier);
        }
    }
    let write = g.draw.pick(&choices);
    g.piece(write)
}

/// Reads a special register.
fn special(g: &mut Gen) {
    let name = g.draw.pick(&[
        "tid.x",
        "tid.y",
        "tid.z",
        "tid.x",
        "tid.y",
        "tid.z",
        "ntid.x",
        "ntid.y",
        "ntid.z",
        "ctaid.x",
        "ctaid.y",
        "ctaid.z",
        "nctaid.x",
        "nctaid.y",
        "nctaid.z",
        "laneid",
        "lanemask_eq",
        "lanemask_le",
        "lanemask_lt",
        "lanemask_ge",
        "lanemask_gt",
    ]);
    let to = g.temp(Class::Word);
    g.emit(format!("mov.u32 {to}, %{name};"));
    g.keep(to, Kind::Unsigned);
}

/// `ld.global` of several.
fn vector_load(g: &mut Gen) {
    let (count, name) = g.draw.pick(&[
        (2, "b8"),
        (4, "u8"),
        (2, "s8"),
        (2, "b16"),
        (4, "u16"),
        (2, "s16"),
        (2, "u32"),
        (4, "b32"),
        (2, "f32"),
        (4, "f32"),
        (2, "b64"),
        (2, "f64"),
        (4, "s16"),
        (4, "s32"),
        (2, "u64"),
    ]);
    let ty = ty(name);
    let bytes = count * ty.bits / 8;
    let region = g.draw.below(8) as u32;
    let (address, offset) = g.input_cell(region, if bytes > 8 { CELLS - 2 } else { CELLS - 1 });
    let generic = if g.draw.chance(20) { "" } else { ".global" };
    let caching = if generic.is_empty() { "" } else { g.draw.pick(&["", ".nc", ".L1::no_allocate", ".L2::128B"]) };
    let to: Vec<Var> = (0..count).map(|_| g.temp(Class::of(ty.bits))).collect();
    let list = to.iter().map(Var::to_string).collect::<Vec<_>>().join(", ");
    g.emit(format!("ld{generic}{caching}.v{count}.{name} {{{list}}}, [{address}+{offset}];"));
    for var in to {
        g.keep(var, ty.kind);
    }
}

/// A vector of one.
fn one_element(g: &mut Gen) {
    let ((address, offset), to) = (g.input_cell(2, CELLS - 1), g.temp(Class::Word));
    g.emit(format!("ld.global.b32 {{ {to} }}, [ {address} + {offset} ];"));
    g.keep(to, Kind::Bits);
}

/// A load with a cache policy.
fn cache_hint(g: &mut Gen) {
    let ((address, offset), to, policy) = (g.input_cell(2, CELLS - 2), g.temp(Class::Word), g.temp(Class::Double));
    let which = g.draw.pick(&["evict_last", "evict_first", "evict_normal"]);
    g.emit(format!("createpolicy.fractional.L2::{which}.b64 {policy}, 1.0;"));
    if g.draw.chance(50) {
        g.emit(format!("ld.global.L2::cache_hint.b32 {to}, [{address}+{offset}], {policy};"));
    } else {
        let other = g.temp(Class::Word);
        g.emit(format!(
            "ld.global.L1::evict_last.L2::cache_hint.v2.b32 {{{to}, {other}}}, [{address}+{offset}], {policy};"
        ));
        g.keep(other, Kind::Bits);
    }
    g.keep(to, Kind::Bits);
}

/// `alloca`: memory of the thread's stack.
fn stack(g: &mut Gen) {
    let (at, value, to) = (g.temp(Class::Double), g.source_register(ty("b64")), g.temp(Class::Double));
    let offset = 8 * g.draw.below(4);
    g.emit(format!("alloca.u64 {at}, 32;"));
    g.emit(format!("st.local.b64 [{at}+{offset}], {value};"));
    g.emit(format!("ld.local.b64 {to}, [{at}+{offset}];"));
    g.keep(to, Kind::Bits);
}

/// A barrier in memory: all arrive, each waits for the phase.
fn phase_barrier(g: &mut Gen) {
    let (n, first, done, state) = (g.label(), g.temp(Class::Pred), g.temp(Class::Pred), g.temp(Class::Double));
    let (other, at, value) = (g.temp(Class::Word), g.temp(Class::Word), g.source_register(word()));
    let (base, to) = (g.temp(Class::Word), g.temp(Class::Word));
    g.emit(format!("setp.eq.u32 {first}, %lin, 0;"));
    g.emit(format!("@{first} mbarrier.init.shared.b64 [cnt@SEED@], @THREADS@;"));
    g.emit(format!("mov.u32 {base}, shr@SEED@;"));
    g.emit(format!("mad.lo.u32 {at}, %lin, 4, {base};"));
    g.emit("bar.sync 0;".to_owned());
    g.emit(format!("st.shared.b32 [{at}], {value};"));
    g.emit(format!("mbarrier.arrive.shared.b64 {state}, [cnt@SEED@];"));
    g.emit(format!("L{n}:"));
    g.emit(format!("mbarrier.test_wait.shared.b64 {done}, [cnt@SEED@], {state};"));
    g.emit(format!("@!{done} bra L{n};"));
    g.emit(format!("sub.u32 {other}, %total, %lin;"));
    g.emit(format!("sub.u32 {other}, {other}, 1;"));
    g.emit(format!("mad.lo.u32 {other}, {other}, 4, {base};"));
    g.emit(format!("ld.shared.b32 {to}, [{other}];"));
    g.emit("bar.sync 0;".to_owned());
    g.emit(format!("@{first} mbarrier.inval.shared.b64 [cnt@SEED@];"));
    g.emit("bar.sync 0;".to_owned());
    g.keep(to, Kind::Bits);
}

/// `ld.param`.
fn parameter(g: &mut Gen) {
    let (name, place) = g.draw.pick(&[
        ("u32", "p3"),
        ("s32", "p3"),
        ("u64", "p4"),
        ("b64", "p4"),
        ("u16", "p5"),
        ("s16", "p5"),
        ("f32", "p6"),
        ("u8", "p7+3"),
        ("s8", "p7+5"),
        ("u32", "p7+4"),
        ("f64", "p7+8"),
        ("u16", "p7+10"),
    ]);
    let ty = ty(name);
    let class = if ty.kind.is_float() || g.draw.chance(60) { Class::of(ty.bits) } else { Class::Double };
    let to = g.temp(class);
    g.emit(format!("ld.param.{name} {to}, [{place}];"));
    g.keep(to, ty.kind);
}

/// Arrays at module scope with initial values.
fn constant_array(g: &mut Gen) {
    let (address, index) = (g.temp(Class::Double), g.source_register(word()));
    let (offset, to) = (g.temp(Class::Word), g.temp(Class::Word));
    let (array, space) = g.draw.pick(&[("cst@SEED@", ".const"), ("glb@SEED@", ".global"), ("glb@SEED@", "")]);
    g.emit(format!("and.b32 {offset}, {index}, {};", CONSTANT_WORDS - 1));
    g.emit(format!("mov.u64 {address}, {array};"));
    if space.is_empty() {
        g.emit(format!("cvta.global.u64 {address}, {address};"));
    }
    g.emit(format!("mad.wide.u32 {address}, {offset}, 4, {address};"));
    g.emit(format!("ld{space}.u32 {to}, [{address}];"));
    g.keep(to, Kind::Unsigned);
}

/// A local array: written whole, read where a value says.
fn local(g: &mut Gen) {
    let name = format!("loc{}", g.label());
    let ty = ty(g.draw.pick(&["b16", "u32", "f32", "b64", "u8", "s8"]));
    let bytes = ty.bits / 8;
    g.locals.push(format!(".local .align 16 .b8 {name}[{}];", 4 * bytes));
    let base = g.temp(Class::Double);
    g.emit(format!("mov.u64 {base}, {name};"));
    let space = if g.draw.chance(30) {
        g.emit(format!("cvta.local.u64 {base}, {base};"));
        ""
    } else {
        ".local"
    };
    for n in 0..4 {
        let value = g.source_register(ty);
        g.emit(format!(
            "st{space}.{} [{base}+{}], {value};",
            ty.raw().name.replace("b16", if bytes == 1 { "b8" } else { "b16" }),
            n * bytes
        ));
    }
    let (by, index, to) = (g.source_register(word()), g.temp(Class::Word), g.temp(Class::of(ty.bits)));
    let at = g.temp(Class::Double);
    g.emit(format!("and.b32 {index}, {by}, 3;"));
    g.emit(format!("mad.wide.u32 {at}, {index}, {bytes}, {base};"));
    g.emit(format!("ld{space}.{} {to}, [{at}];", ty.name));
    g.keep(to, ty.kind);
}

/// `mov` to a wider register.
fn pack(g: &mut Gen) {
    let (to, parts) = g.draw.pick(&[
        ("b32", ["b16", "b16"].as_slice()),
        ("b64", &["b32", "b32"]),
        ("b64", &["b16", "b16", "b16", "b16"]),
    ]);
    let (from, to_ty): (Vec<Var>, Ty) = (parts.iter().map(|part| g.source_register(ty(part))).collect(), ty(to));
    let var = g.temp(Class::of(to_ty.bits));
    let list = from.iter().map(Var::to_string).collect::<Vec<_>>().join(", ");
    g.emit(format!("mov.{to} {var}, {{{list}}};"));
    g.keep(var, Kind::Bits);
}

/// `mov` to narrower registers.
fn unpack(g: &mut Gen) {
    let (from, part, count) = g.draw.pick(&[("b32", "b16", 2), ("b64", "b32", 2), ("b64", "b16", 4)]);
    let (source, part) = (g.source_register(ty(from)), ty(part));
    let to: Vec<Var> = (0..count).map(|_| g.temp(Class::of(part.bits))).collect();
    let skipped = if g.draw.chance(25) { g.draw.below(count) } else { count };
    let list: Vec<String> =
        to.iter().enumerate().map(|(n, var)| if n == skipped { "_".to_owned() } else { var.to_string() }).collect();
    g.emit(format!("mov.{from} {{{}}}, {source};", list.join(", ")));
    for (n, var) in to.into_iter().enumerate() {
        if n != skipped {
            g.keep(var, Kind::Bits);
        }
    }
}

/// A chain of instructions that hand a carry on.
fn carry(g: &mut Gen) {
    let wide = g.draw.chance(50);
    let ty = ty(if wide { "u64" } else { "u32" });
    let name = g.draw.pick(&["add", "sub", "mad.lo", "mad.hi"]);
    for n in 0..2 + g.draw.below(2) {
        let last = n == 3;
        let operands: Vec<Var> =
            (0..if name.starts_with("mad") { 3 } else { 2 }).map(|_| g.source_register(ty)).collect();
        let to = g.temp(Class::of(ty.bits));
        let list = operands.iter().map(Var::to_string).collect::<Vec<_>>().join(", ");
        let (opcode, part) = name.split_once('.').map_or((name, String::new()), |(a, b)| (a, format!(".{b}")));
        let with = if n == 0 { "" } else { "c" };
        let out = if last { "" } else { ".cc" };
        g.emit(format!("{opcode}{with}{part}{out}.{} {to}, {list};", ty.name));
        g.keep(to, ty.kind);
    }
}

/// `brx.idx`.
fn table_branch(g: &mut Gen) {
    let n = g.label();
    let (by, index, to) = (g.source_register(word()), g.temp(Class::Word), g.temp(Class::Word));
    let values: Vec<Var> = (0..3).map(|_| g.source_register(word())).collect();
    g.emit(format!("and.b32 {index}, {by}, 3;"));
    g.emit(format!("mov.b32 {to}, {index};"));
    g.emit(format!("min.u32 {index}, {index}, 2;"));
    g.emit(format!("T{n}: .branchtargets T{n}a, T{n}b, T{n}c;"));
    g.emit(format!("brx.idx {index}, T{n};"));
    for (letter, value) in ["a", "b", "c"].iter().zip(values) {
        g.emit(format!("T{n}{letter}:"));
        g.emit(format!("mad.lo.u32 {to}, {to}, 3, {value};"));
        if *letter != "c" && g.draw.chance(60) {
            g.emit(format!("bra T{n}e;"));
        }
    }
    g.emit(format!("T{n}e:"));
    g.keep(to, Kind::Unsigned);
}

/// `isspacep` of generic addresses.
fn space_query(g: &mut Gen) {
    let (address, to) = (g.temp(Class::Double), g.temp(Class::Pred));
    match g.draw.below(3) {
        0 => {
            g.emit(format!("mov.u64 {address}, shr@SEED@;"));
            g.emit(format!("cvta.shared.u64 {address}, {address};"));
        }
        1 => {
            g.emit(format!("mov.u64 {address}, glb@SEED@;"));
            g.emit(format!("cvta.global.u64 {address}, {address};"));
        }
        _ => g.emit(format!("mov.u64 {address}, %in;")),
    }
    let space = g.draw.pick(&["global", "shared", "local"]);
    g.emit(format!("isspacep.{space} {to}, {address};"));
    g.keep(to, Kind::Pred);
}

/// What changes nothing.
fn hint(g: &mut Gen) {
    let line = g.draw.pick(&[
        "membar.cta;",
        "membar.gl;",
        "fence.acq_rel.gpu;",
        "fence.sc.cta;",
        "prefetch.global.L1 [%in+128];",
        "prefetch.global.L2 [%in];",
        "nanosleep.u32 20;",
        "membar.sys;",
        "fence.acq_rel.sys;",
    ]);
    g.emit(line.to_owned());
}
