//! Calls of functions.

use super::ty;
use crate::kernelfuzz::forms::Ty;
use crate::kernelfuzz::generate::Gen;
use crate::kernelfuzz::ir::{Class, Var, named};

/// A call of a device function of its own.
pub(super) fn call(g: &mut Gen) {
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
