//! Property test: sums of products whose terms are added one by one, among everything that may read,
//! write or move a register between two of them, against a thread-by-thread reference; bit for bit, with
//! NaNs of any payload among the inputs.

use std::fmt::Write as _;

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::Isa;
use proptest::prelude::*;

/// Registers of a program: few, so that one statement often goes on where another ended.
const REGISTERS: usize = 5;
/// Words that each thread reads, that all threads read, and that each thread writes.
const OWN: usize = 4;
const COMMON: usize = 4;
const OUT: usize = 4;
const LANES: usize = 40;

#[derive(Debug, Clone)]
enum Statement {
    /// `d = a * b + c`
    Fma(usize, usize, usize, usize),
    /// `d = d + a * b`, for several factors, each with a temporary of its own or all in place.
    Dot(usize, Vec<(usize, usize)>, bool),
    /// The same in lanes with an odd number only.
    Guarded(usize, usize, usize, usize),
    /// `add`, `mul`, `min`, `max`, `sub`, `neg`.
    Other(u8, usize, usize, usize),
    Move(usize, usize),
    /// The bits as an integer, with some of them changed.
    Bits(usize, usize),
    /// `d = a < b ? a : c`
    Select(usize, usize, usize, usize),
    /// From the thread's words, or from those of all.
    Load(usize, usize),
    LoadCommon(usize, usize),
    Store(usize, usize),
    /// In some lanes only.
    If(u32, Vec<Statement>),
    /// Twice.
    Loop(Vec<Statement>),
}
use Statement::*;

fn statement() -> impl Strategy<Value = Statement> {
    let r = || 0..REGISTERS;
    let leaf = prop_oneof![
        4 => (r(), r(), r(), r()).prop_map(|(d, a, b, c)| Fma(d, a, b, c)),
        4 => (r(), prop::collection::vec((r(), r()), 1..12), any::<bool>()).prop_map(|(d, f, t)| Dot(d, f, t)),
        1 => (r(), r(), r(), r()).prop_map(|(d, a, b, c)| Guarded(d, a, b, c)),
        2 => (0u8..6, r(), r(), r()).prop_map(|(o, d, a, b)| Other(o, d, a, b)),
        1 => (r(), r()).prop_map(|(d, a)| Move(d, a)),
        1 => (r(), r()).prop_map(|(d, a)| Bits(d, a)),
        1 => (r(), r(), r(), r()).prop_map(|(d, a, b, c)| Select(d, a, b, c)),
        2 => (r(), 0..OWN).prop_map(|(d, k)| Load(d, k)),
        2 => (r(), 0..COMMON).prop_map(|(d, k)| LoadCommon(d, k)),
        1 => (0..OUT, r()).prop_map(|(k, a)| Store(k, a)),
    ];
    leaf.prop_recursive(2, 24, 6, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..6);
        prop_oneof![(any::<u32>(), list()).prop_map(|(lanes, list)| If(lanes, list)), list().prop_map(Loop),]
    })
}

const OTHERS: [&str; 6] = ["add.rn.f32", "mul.rn.f32", "min.f32", "max.f32", "sub.rn.f32", "neg.f32"];

#[derive(Default)]
struct Writer {
    text: String,
    names: usize,
}

impl Writer {
    fn name(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    fn statements(&mut self, list: &[Statement]) {
        for statement in list {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let n = self.name();
        let text = &mut self.text;
        let _ = match statement {
            Fma(d, a, b, c) => writeln!(text, "fma.rn.f32 %f{d}, %f{a}, %f{b}, %f{c};"),
            Dot(d, factors, in_place) => {
                let mut sum = format!("%f{d}");
                for (k, (a, b)) in factors.iter().enumerate() {
                    let last = k + 1 == factors.len();
                    let to = if *in_place || last { format!("%f{d}") } else { format!("%t{n}_{k}") };
                    if to.starts_with("%t") {
                        let _ = writeln!(text, ".reg .f32 {to};");
                    }
                    let _ = writeln!(text, "fma.rn.f32 {to}, %f{a}, %f{b}, {sum};");
                    sum = to;
                }
                Ok(())
            }
            Guarded(d, a, b, c) => writeln!(text, "@%odd fma.rn.f32 %f{d}, %f{a}, %f{b}, %f{c};"),
            Other(5, d, a, _) => writeln!(text, "neg.f32 %f{d}, %f{a};"),
            Other(o, d, a, b) => writeln!(text, "{} %f{d}, %f{a}, %f{b};", OTHERS[*o as usize]),
            Move(d, a) => writeln!(text, "mov.f32 %f{d}, %f{a};"),
            Bits(d, a) => {
                writeln!(text, "mov.b32 %bits, %f{a};\nxor.b32 %bits, %bits, 0x80000011;\nmov.b32 %f{d}, %bits;")
            }
            Select(d, a, b, c) => {
                writeln!(text, "setp.lt.f32 %less, %f{a}, %f{b};\nselp.f32 %f{d}, %f{a}, %f{c}, %less;")
            }
            Load(d, k) => writeln!(text, "ld.global.f32 %f{d}, [%own+{}];", 4 * k),
            LoadCommon(d, k) => writeln!(text, "ld.global.f32 %f{d}, [%common+{}];", 4 * k),
            Store(k, a) => writeln!(text, "st.global.f32 [%out+{}], %f{a};", 4 * k),
            If(lanes, list) => {
                let _ = writeln!(
                    text,
                    "shr.u32 %bits, {lanes}, %lane;\nand.b32 %bits, %bits, 1;\nsetp.eq.u32 %less, %bits, 0;\n@%less \
                     bra L{n};"
                );
                self.statements(list);
                writeln!(self.text, "L{n}:")
            }
            Loop(list) => {
                let _ = writeln!(text, ".reg .u32 %n{n};\nmov.u32 %n{n}, 0;\nL{n}:");
                self.statements(list);
                writeln!(self.text, "add.u32 %n{n}, %n{n}, 1;\nsetp.lt.u32 %less, %n{n}, 2;\n@%less bra L{n};")
            }
        };
    }
}

fn kernel(list: &[Statement]) -> String {
    let mut writer = Writer::default();
    writer.statements(list);
    let registers: String = (0..REGISTERS).map(|r| format!("mov.f32 %f{r}, 0f3F800000;\n")).collect();
    let (own, out) = (4 * OWN, 4 * (OUT + REGISTERS));
    let stores: String = (0..REGISTERS).map(|r| format!("st.global.f32 [%out+{}], %f{r};\n", 4 * (OUT + r))).collect();
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u64 own, .param .u64 \
         common)\n{{\n.reg .pred %odd, %less;\n.reg .b32 %thread, %lane, %bits;\n.reg .b64 %out, %own, %common, %at;\n\
         .reg .f32 %f<{REGISTERS}>;\nmov.u32 %thread, %tid.x;\nmov.u32 %lane, %laneid;\nld.param.u64 %out, [out];\n\
         ld.param.u64 %own, [own];\nld.param.u64 %common, [common];\nmul.wide.u32 %at, %thread, {own};\nadd.u64 %own, \
         %own, %at;\nmul.wide.u32 %at, %thread, {out};\nadd.u64 %out, %out, %at;\nand.b32 %bits, %thread, 1;\nsetp.eq.u32 \
         %odd, %bits, 1;\n{registers}{}{stores}ret;\n}}\n",
        writer.text
    )
}

/// One thread, statement by statement.
struct Thread<'a> {
    number: usize,
    own: &'a [u32],
    common: &'a [u32],
    f: [u32; REGISTERS],
    out: Vec<u32>,
}

/// The bits of an arithmetic result.
fn bits(x: f32) -> u32 {
    if x.is_nan() { 0x7fff_ffff } else { x.to_bits() }
}

impl Thread<'_> {
    fn real(&self, r: usize) -> f32 {
        f32::from_bits(self.f[r])
    }

    fn fma(&self, a: usize, b: usize, c: u32) -> u32 {
        bits(self.real(a).mul_add(self.real(b), f32::from_bits(c)))
    }

    fn run(&mut self, list: &[Statement]) {
        for statement in list {
            match statement {
                Fma(d, a, b, c) => self.f[*d] = self.fma(*a, *b, self.f[*c]),
                Dot(d, factors, in_place) => {
                    let mut sum = self.f[*d];
                    for (a, b) in factors {
                        sum = self.fma(*a, *b, sum);
                        if *in_place {
                            self.f[*d] = sum;
                        }
                    }
                    self.f[*d] = sum;
                }
                Guarded(d, a, b, c) if self.number % 2 == 1 => self.f[*d] = self.fma(*a, *b, self.f[*c]),
                Guarded(..) => {}
                Other(o, d, a, b) => {
                    let (a, b) = (self.real(*a), self.real(*b));
                    let less = |a: f32, b: f32| a < b || a == b && a.is_sign_negative() && b.is_sign_positive();
                    self.f[*d] = match o {
                        0 => bits(a + b),
                        1 => bits(a * b),
                        2 | 3 if a.is_nan() => bits(b),
                        2 | 3 if b.is_nan() => bits(a),
                        2 => bits(if less(a, b) { a } else { b }),
                        3 => bits(if less(a, b) { b } else { a }),
                        4 => bits(a - b),
                        _ => bits(-a),
                    };
                }
                Move(d, a) => self.f[*d] = self.f[*a],
                Bits(d, a) => self.f[*d] = self.f[*a] ^ 0x8000_0011,
                Select(d, a, b, c) => self.f[*d] = if self.real(*a) < self.real(*b) { self.f[*a] } else { self.f[*c] },
                Load(d, k) => self.f[*d] = self.own[*k],
                LoadCommon(d, k) => self.f[*d] = self.common[*k],
                Store(k, a) => self.out[*k] = self.f[*a],
                If(lanes, list) => {
                    if lanes >> (self.number % 32) & 1 == 1 {
                        self.run(list);
                    }
                }
                Loop(list) => {
                    self.run(list);
                    self.run(list);
                }
            }
        }
    }
}

/// Bits of a number, some of them special.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => (-100i32..100).prop_map(|n| (n as f32 / 8.0).to_bits()),
        2 => any::<u32>(),
        1 => prop::sample::select(vec![
            0, 0x8000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0xffc0_0001, 0x7fff_ffff, 0x0000_0007, 0x7f7f_ffff,
        ]),
    ]
}

#[test]
fn sums_of_products_have_the_bits_of_their_single_steps() {
    let strategy = (
        prop::collection::vec(statement(), 1..24),
        prop::collection::vec(number(), LANES * OWN),
        prop::collection::vec(number(), COMMON),
    );
    for isa in Isa::available() {
        let ran = runner(400).run(&strategy, |(list, own, common)| {
            let program = program_for(&kernel(&list), isa);
            let stride = OUT + REGISTERS;
            let mut memory = Memory::new();
            let values = [memory.words(&vec![7; LANES * stride]), memory.words(&own), memory.words(&common)];
            let shape = Shape { block: [LANES as u32, 1, 1], ..Shape::default() };
            prop_assert_eq!(launch(&program, shape, &memory, &values).map(|_| ()), Ok(()));
            let found = memory.read_words(0);
            for number in 0..LANES {
                let mut thread = Thread {
                    number,
                    own: &own[number * OWN..],
                    common: &common,
                    f: [1.0f32.to_bits(); REGISTERS],
                    out: vec![7; OUT],
                };
                thread.run(&list);
                thread.out.extend(thread.f);
                prop_assert_eq!(&found[number * stride..][..stride], &thread.out[..], "thread {}", number);
            }
            Ok(())
        });
        if let Err(error) = ran {
            panic!("{isa:?}: {error}");
        }
    }
}
