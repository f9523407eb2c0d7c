//! Random structured programs against a thread-by-thread reference: divergence, values that all
//! lanes share, and the slots of registers must not show.
//!
//! A block of 32 x 1 threads runs the code that relies on warps along x, one of 8 x 4 the code
//! that does not.

use std::fmt::Write;

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::Isa;
use proptest::prelude::*;

const REGISTERS: usize = 6;

#[derive(Debug, Clone)]
enum Statement {
    /// `r = a op b`
    Set(usize, u8, usize, Source),
    /// Guarded: `@(c & 1) r = a op b`
    Guarded(usize, usize, u8, usize, Source),
    /// `if (a op b) … else …`
    If(usize, u8, Source, Vec<Statement>, Vec<Statement>),
    /// `(r & 3) + 1` turns; the lanes may differ in their number.
    Loop(usize, Vec<Statement>),
    /// As `Loop`, leaving early when `a op b`.
    Break(usize, usize, u8, Source, Vec<Statement>),
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Register(usize),
    Constant(u32),
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![(0..REGISTERS).prop_map(Source::Register), (0u32..40).prop_map(Source::Constant)]
}

fn statement() -> impl Strategy<Value = Statement> {
    let r = || 0..REGISTERS;
    let leaf = prop_oneof![
        4 => (r(), 0u8..6, r(), source()).prop_map(|(d, o, a, b)| Statement::Set(d, o, a, b)),
        1 => (r(), r(), 0u8..6, r(), source()).prop_map(|(c, d, o, a, b)| Statement::Guarded(c, d, o, a, b)),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let list = || proptest::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            (0..REGISTERS, 0u8..4, source(), list(), list()).prop_map(|(a, o, b, t, e)| Statement::If(a, o, b, t, e)),
            (0..REGISTERS, list()).prop_map(|(n, b)| Statement::Loop(n, b)),
            (0..REGISTERS, 0..REGISTERS, 0u8..4, source(), list())
                .prop_map(|(n, a, o, b, l)| Statement::Break(n, a, o, b, l)),
        ]
    })
}

/// Writes PTX; loop counters have registers of their own, one a loop.
struct Writer {
    text: String,
    labels: usize,
    counters: usize,
}

impl Writer {
    fn source(b: Source) -> String {
        match b {
            Source::Register(r) => format!("%r{}", r + 1),
            Source::Constant(c) => c.to_string(),
        }
    }
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }
    fn set(&mut self, guard: &str, d: usize, o: u8, a: usize, b: Source) {
        let (d, a, b) = (d + 1, a + 1, Self::source(b));
        let name = ["add.u32", "sub.u32", "mul.lo.u32", "xor.b32", "shr.u32", "mov.u32"][o as usize % 6];
        let operands = if o % 6 == 5 { b } else { format!("%r{a}, {b}") };
        self.line(&format!("{guard}{name} %r{d}, {operands};"));
    }
    fn test(&mut self, a: usize, o: u8, b: Source) {
        let name = ["lt.u32", "eq.u32", "ne.u32", "ge.s32"][o as usize % 4];
        self.line(&format!("setp.{name} %p1, %r{}, {};", a + 1, Self::source(b)));
    }
    fn all(&mut self, list: &[Statement]) {
        for s in list {
            match s {
                Statement::Set(d, o, a, b) => self.set("", *d, *o, *a, *b),
                Statement::Guarded(c, d, o, a, b) => {
                    self.line(&format!("and.b32 %r40, %r{}, 1;\nsetp.ne.u32 %p2, %r40, 0;", c + 1));
                    self.set("@%p2 ", *d, *o, *a, *b);
                }
                Statement::If(a, o, b, then, other) => {
                    let l = self.labels;
                    self.labels += 1;
                    self.test(*a, *o, *b);
                    self.line(&format!("@!%p1 bra ELSE{l};"));
                    self.all(then);
                    self.line(&format!("bra.uni END{l};\nELSE{l}:"));
                    self.all(other);
                    self.line(&format!("END{l}:"));
                }
                Statement::Loop(n, body) => self.turns(*n, None, body),
                Statement::Break(n, a, o, b, body) => self.turns(*n, Some((*a, *o, *b)), body),
            }
        }
    }
    fn turns(&mut self, n: usize, leave: Option<(usize, u8, Source)>, body: &[Statement]) {
        let (l, c) = (self.labels, 50 + self.counters);
        self.labels += 1;
        self.counters += 1;
        self.line(&format!("and.b32 %r{c}, %r{}, 3;\nadd.u32 %r{c}, %r{c}, 1;\nLOOP{l}:", n + 1));
        self.all(body);
        if let Some((a, o, b)) = leave {
            self.test(a, o, b);
            self.line(&format!("@%p1 bra OUT{l};"));
        }
        self.line(&format!("sub.u32 %r{c}, %r{c}, 1;\nsetp.ne.u32 %p1, %r{c}, 0;\n@%p1 bra LOOP{l};\nOUT{l}:"));
    }
}

fn value(b: Source, r: &[u32; REGISTERS]) -> u32 {
    match b {
        Source::Register(n) => r[n],
        Source::Constant(c) => c,
    }
}

fn operate(o: u8, a: u32, b: u32) -> u32 {
    match o % 6 {
        0 => a.wrapping_add(b),
        1 => a.wrapping_sub(b),
        2 => a.wrapping_mul(b),
        3 => a ^ b,
        4 => a.checked_shr(b).unwrap_or(0),
        _ => b,
    }
}

fn holds(o: u8, a: u32, b: u32) -> bool {
    match o % 4 {
        0 => a < b,
        1 => a == b,
        2 => a != b,
        _ => a as i32 >= b as i32,
    }
}

fn reference(list: &[Statement], r: &mut [u32; REGISTERS]) {
    for s in list {
        match s {
            Statement::Set(d, o, a, b) => r[*d] = operate(*o, r[*a], value(*b, r)),
            Statement::Guarded(c, d, o, a, b) => {
                if r[*c] & 1 != 0 {
                    r[*d] = operate(*o, r[*a], value(*b, r));
                }
            }
            Statement::If(a, o, b, then, other) => {
                let side = if holds(*o, r[*a], value(*b, r)) { then } else { other };
                reference(side, r);
            }
            Statement::Loop(n, body) => {
                for _ in 0..(r[*n] & 3) + 1 {
                    reference(body, r);
                }
            }
            Statement::Break(n, a, o, b, body) => {
                for _ in 0..(r[*n] & 3) + 1 {
                    reference(body, r);
                    if holds(*o, r[*a], value(*b, r)) {
                        break;
                    }
                }
            }
        }
    }
}

fn start(lane: u32) -> [u32; REGISTERS] {
    // Three registers differ from lane to lane, three do not.
    [lane, lane & 3, lane >> 4, 5, 12, 3]
}

#[test]
fn random_programs_do_what_each_thread_says() {
    let mut runner = runner(400);
    let result = runner.run(&proptest::collection::vec(statement(), 1..8), |list| {
        let mut writer = Writer { text: String::new(), labels: 0, counters: 0 };
        writer.all(&list);
        let mut text = format!(
            ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{{\n.reg .pred %p<4>;\n\
             .reg .b32 %r<{}>;\n.reg .b64 %rd<4>;\nmov.u32 %r41, %tid.y;\nmov.u32 %r42, %ntid.x;\nmov.u32 %r43, %tid.x;\n\
             mad.lo.u32 %r1, %r41, %r42, %r43;\nmul.wide.u32 %rd1, %r1, 32;\nld.param.u64 %rd2, [out];\nadd.s64 %rd2, %rd2, %rd1;\n\
             and.b32 %r2, %r1, 3;\nshr.u32 %r3, %r1, 4;\nmov.u32 %r4, 5;\nmov.u32 %r5, 12;\nmov.u32 %r6, 3;\n{}",
            60 + writer.counters,
            writer.text
        );
        for n in 0..REGISTERS {
            let _ = writeln!(text, "st.global.u32 [%rd2+{}], %r{};", 4 * n, n + 1);
        }
        text.push_str("ret;\n}\n");
        let program = program_for(&text, Isa::detect());
        for block in [[32, 1, 1], [8, 4, 1]] {
            let mut memory = Memory::new();
            let out = memory.words(&[0; 8 * 32]);
            if let Err(fault) = launch(&program, Shape { block, ..Shape::default() }, &memory, &[out]) {
                return Err(TestCaseError::fail(format!("{fault}\n{text}")));
            }
            let words = memory.read_words(0);
            for lane in 0..32 {
                let mut r = start(lane);
                reference(&list, &mut r);
                let found = &words[8 * lane as usize..][..REGISTERS];
                prop_assert_eq!(found, &r[..], "lane {} of block {:?}\n{}", lane, block, text);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
