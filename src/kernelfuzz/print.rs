//! A kernel as PTX text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::inputs::CONSTANT_WORDS;
use super::ir::{Class, Kernel, Layout, Stmt, Var, named};

/// What a module of kernels begins with. sm_80 is what the software device is.
pub const HEADER: &str = ".version 8.3\n.target sm_80\n.address_size 64\n\n";

/// The first output, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The register.
    pub var: Var,
    /// Offset among a thread's outputs in bytes.
    pub offset: usize,
}

/// Bytes that each thread stores; a multiple of 16.
pub fn output_bytes(kernel: &Kernel) -> usize {
    places(kernel).last().map_or(0, |place| place.offset + 8).next_multiple_of(16)
}

/// Where each output of a thread lies.
pub fn places(kernel: &Kernel) -> Vec<Place> {
    kernel.outs.iter().enumerate().map(|(n, &var)| Place { var, offset: 8 * n }).collect()
}

/// The text of one kernel with what it needs at module scope; [`HEADER`] goes before the first.
pub fn print(kernel: &Kernel) -> String {
    let mut body = String::new();
    let mut label = 0;
    for var in kernel.unset() {
        let _ = match var.class {
            Class::Pred => writeln!(body, "\tsetp.eq.u32 {var}, {}, 1;", var.number & 1),
            class => writeln!(body, "\tmov.{} {var}, {};", class.spelling().1, var.number % 97 + 1),
        };
    }
    statements(&kernel.body, &mut body, &mut label);
    stores(kernel, &mut body);

    let mut registers: BTreeMap<Class, u32> = BTreeMap::new();
    for var in body.lines().flat_map(named) {
        let most = registers.entry(var.class).or_default();
        *most = (*most).max(var.number + 1);
    }
    let mut text = String::new();
    for function in &kernel.functions {
        text.push_str(function);
    }
    if body.contains("cst@SEED@") || body.contains("glb@SEED@") {
        let words: Vec<String> = super::inputs::constants(kernel.seed).iter().map(u32::to_string).collect();
        let words = words.join(", ");
        let _ = writeln!(text, ".const .align 16 .u32 cst@SEED@[{CONSTANT_WORDS}] = {{{words}}};");
        let _ = writeln!(text, ".global .align 16 .u32 glb@SEED@[{CONSTANT_WORDS}] = {{{words}}};");
    }
    if body.contains("dyn@SEED@") {
        text.push_str(".extern .shared .align 16 .b8 dyn@SEED@[];\n");
    }
    text.push_str(
        ".visible .entry k@SEED@(\n\t.param .u64 in,\n\t.param .u64 out,\n\t.param .u64 cells,\n\t.param .u32 p3,\n\t\
         .param .u64 p4,\n\t.param .u16 p5,\n\t.param .f32 p6,\n\t.param .align 8 .b8 p7[16]\n)\n{\n",
    );
    for (class, count) in registers {
        let (letter, ty) = class.spelling();
        let _ = writeln!(text, "\t.reg .{ty} %{letter}<{count}>;");
    }
    text.push_str("\t.reg .b32 %tx, %ty, %tz, %nx, %ny, %nz, %cx, %cy, %cz, %gx, %gy, %gz;\n");
    text.push_str("\t.reg .b32 %lin, %blk, %total, %gid, %lane, %count, %members, %first, %word;\n");
    text.push_str("\t.reg .b64 %in, %out, %cells, %at;\n");
    if body.contains("shr@SEED@") {
        text.push_str("\t.shared .align 16 .b8 shr@SEED@[@SHARED@];\n");
    }
    if body.contains("cnt@SEED@") {
        text.push_str("\t.shared .align 16 .b8 cnt@SEED@[16];\n");
    }
    for line in kernel.locals.iter().chain(&kernel.prologue) {
        let _ = writeln!(text, "\t{line}");
    }
    text.push_str(&body);
    text.push_str("\tret;\n}\n\n");
    let threads = kernel.threads();
    text.replace("@SEED@", &kernel.seed.to_string())
        .replace("@THREADS@", &threads.to_string())
        .replace("@ROUNDED@", &threads.next_multiple_of(32).to_string())
        .replace("@SHARED@", &(threads * if text.contains("wmma") { 32 } else { 16 }).to_string())
}

/// Dynamic shared memory that the kernel's text uses, in bytes.
pub fn dynamic_shared(kernel: &Kernel, text: &str) -> u32 {
    if text.contains(&format!("dyn{}", kernel.seed)) { kernel.threads() * 16 } else { 0 }
}

fn statements(stmts: &[Stmt], out: &mut String, label: &mut u32) {
    for stmt in stmts {
        match stmt {
            Stmt::Code(code) => {
                for line in &code.lines {
                    let _ = writeln!(out, "\t{line}");
                }
            }
            Stmt::If { guard, negated, then, other } => {
                let n = *label;
                *label += 1;
                let not = if *negated { "" } else { "!" };
                if other.is_empty() {
                    let _ = writeln!(out, "\t@{not}{guard} bra END{n};");
                    statements(then, out, label);
                } else {
                    let _ = writeln!(out, "\t@{not}{guard} bra ELSE{n};");
                    statements(then, out, label);
                    let _ = writeln!(out, "\tbra END{n};\nELSE{n}:");
                    statements(other, out, label);
                }
                let _ = writeln!(out, "END{n}:");
            }
            Stmt::Loop { counter, trips, again, body } => {
                let n = *label;
                *label += 1;
                let _ = writeln!(out, "\tmov.b32 {counter}, 0;\nLOOP{n}:");
                statements(body, out, label);
                let _ = writeln!(out, "\tadd.u32 {counter}, {counter}, 1;");
                let _ = writeln!(out, "\tsetp.lt.u32 {again}, {counter}, {trips};\n\t@{again} bra LOOP{n};");
            }
        }
    }
}

fn stores(kernel: &Kernel, out: &mut String) {
    let (bytes, places) = (output_bytes(kernel), places(kernel));
    let slots = kernel.layout == Layout::Slots;
    let _ = writeln!(out, "\tmad.wide.u32 %at, %gid, {}, %out;", if slots { 8 } else { bytes });
    let step = if slots { kernel.all_threads() as usize } else { 1 };
    let mut rest = places.as_slice();
    let half = places.len() / 2;
    while let [place, behind @ ..] = rest {
        if let (Some(leave), true) = (kernel.leave, rest.len() == places.len() - half) {
            let _ = writeln!(out, "\t@{leave} ret;");
        }
        let (var, at) = (place.var, place.offset * step);
        let pair = behind.first().filter(|next| {
            kernel.layout == Layout::Vectors
                && var.class == Class::Double
                && next.var.class == Class::Double
                && place.offset % 16 == 0
                && behind.len() != places.len() - half
        });
        rest = behind;
        match (var.class, pair) {
            (_, Some(next)) => {
                let _ = writeln!(out, "\tst.global.v2.b64 [%at+{at}], {{{var}, {}}};", next.var);
                rest = &behind[1..];
            }
            (Class::Pred, _) => {
                let _ = writeln!(out, "\tselp.b32 %word, 1, 0, {var};\n\tst.global.u32 [%at+{at}], %word;");
            }
            (class, _) => {
                let _ = writeln!(out, "\tst.global.{} [%at+{at}], {var};", class.spelling().1);
            }
        }
    }
}
