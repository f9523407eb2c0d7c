//! Instructions that need others about them: memory, barriers, what a warp does together, calls.

use super::forms::{Kind, Ty};
use super::generate::{Gen, word};
use super::inputs::{CELLS, COMMON_CELLS, CONSTANT_WORDS, SMALL_BF16, SMALL_F16};
use super::ir::{Class, Stmt, Var, named};

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
fn private_atomic(g: &mut Gen) {
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
fn common_atomic(g: &mut Gen) {
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
fn shared_count(g: &mut Gen) {
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

/// A call of a device function of its own.
fn call(g: &mut Gen) {
    let in_registers = g.draw.chance(40);
    let name = format!("fn@SEED@_{}", g.label());
    let types: Vec<Ty> =
        (0..1 + g.draw.below(3)).map(|_| ty(g.draw.pick(&["b32", "b64", "f32", "u32", "b16", "f64"]))).collect();
    // Parameters of 16 bits are those of memory only.
    let types: Vec<Ty> = types.into_iter().filter(|ty| !in_registers || ty.bits > 16).collect();
    let result = ty(g.draw.pick(&["b32", "b64", "u32"]));
    let arguments: Vec<Var> = types.iter().map(|ty| g.source_register(*ty)).collect();

    // The function, written where nothing of the kernel is in scope.
    let outer = (std::mem::take(&mut g.values), std::mem::take(&mut g.code), g.function, g.uniform, g.together);
    (g.function, g.uniform, g.together) = (true, false, false);
    let parameters: Vec<Var> = types.iter().map(|ty| g.temp(Class::of(ty.bits))).collect();
    for (n, (var, ty)) in parameters.iter().zip(&types).enumerate() {
        if !in_registers {
            g.emit(format!("ld.param.{} {var}, [a{n}];", ty.raw().name));
        }
        g.keep(*var, ty.kind);
    }
    for _ in 0..1 + g.draw.below(4) {
        g.operation(true);
    }
    if g.draw.chance(40) {
        let end = g.label();
        let (guard, value) = (g.source_predicate(), g.source_register(result));
        g.emit(format!("@{guard} bra L{end};"));
        g.emit(give(in_registers, result, &value.to_string()));
        g.emit("ret;".to_owned());
        g.emit(format!("L{end}:"));
    }
    let value = g.source_register(result);
    g.emit(give(in_registers, result, &value.to_string()));
    g.emit("ret;".to_owned());
    let lines = std::mem::take(&mut g.code).lines;
    (g.values, g.code, g.function, g.uniform, g.together) = outer;
    let list: Vec<String> = types
        .iter()
        .zip(&parameters)
        .enumerate()
        .map(|(n, (ty, var))| {
            if in_registers {
                format!(".reg .{} {var}", ty.raw().name)
            } else {
                format!(".param .{} a{n}", ty.raw().name)
            }
        })
        .collect();
    let kind = if in_registers { "reg" } else { "param" };
    let given = if in_registers { "%result" } else { "result" };
    let mut text = format!(".func (.{kind} .{} {given}) {name}({})\n{{\n", result.raw().name, list.join(", "));
    let mut declared: Vec<Var> = lines.iter().flat_map(|line| named(line)).collect();
    declared.sort_unstable();
    declared.dedup();
    for var in declared.iter().filter(|var| !in_registers || !parameters.contains(var)) {
        text.push_str(&format!("\t.reg .{} {var};\n", var.class.spelling().1));
    }
    for line in lines {
        text.push_str(&format!("\t{line}\n"));
    }
    text.push_str("}\n");
    g.functions.push(text);

    let to = g.temp(Class::of(result.bits));
    let names: Vec<String> = arguments.iter().map(Var::to_string).collect();
    if in_registers {
        g.emit(format!("call ({to}), {name}, ({});", names.join(", ")));
    } else {
        g.emit("{".to_owned());
        for (n, (var, ty)) in arguments.iter().zip(&types).enumerate() {
            g.emit(format!(".param .{} a{n};", ty.raw().name));
            g.emit(format!("st.param.{} [a{n}], {var};", ty.raw().name));
        }
        g.emit(format!(".param .{} result;", result.raw().name));
        let places: Vec<String> = (0..arguments.len()).map(|n| format!("a{n}")).collect();
        g.emit(
            format!("call.uni (result), {name}, ({});", places.join(", "))
                .replace("call.uni", if g.together { "call.uni" } else { "call" }),
        );
        g.emit(format!("ld.param.{} {to}, [result];", result.raw().name));
        g.emit("}".to_owned());
    }
    g.keep(to, result.kind);
}

/// Gives `value` as a function's result.
fn give(in_registers: bool, ty: Ty, value: &str) -> String {
    let raw = ty.raw().name;
    if in_registers { format!("mov.{raw} %result, {value};") } else { format!("st.param.{raw} [result], {value};") }
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

/// Lanes that a vote chose work together, the others go round.
fn subset(g: &mut Gen) {
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
fn meet_apart(g: &mut Gen) {
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
fn exchange(g: &mut Gen) {
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
fn barrier_reduce(g: &mut Gen) {
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
fn copy_async(g: &mut Gen) {
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

fn vote(g: &mut Gen) {
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

fn matching(g: &mut Gen) {
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

fn redux(g: &mut Gen) {
    let form = g
        .draw
        .pick(&["add.u32", "add.s32", "min.u32", "max.u32", "min.s32", "max.s32", "and.b32", "or.b32", "xor.b32"]);
    let (value, members, to) = (g.source_register(word()), members(g), g.temp(Class::Word));
    g.emit(format!("redux.sync.{form} {to}, {value}, {members};"));
    g.keep(to, Kind::Unsigned);
}

/// A shuffle that reads only lanes that exist.
fn shuffle(g: &mut Gen) {
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
fn full_shuffle(g: &mut Gen) {
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

/// `ldmatrix` of rows that the warp's lanes stored.
fn matrix_load(g: &mut Gen) {
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

fn matrix_move(g: &mut Gen) {
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
fn mma(g: &mut Gen) {
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
fn wmma(g: &mut Gen) {
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
