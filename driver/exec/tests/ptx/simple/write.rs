//! Statements → PTX.

use std::fmt::Write as _;

use super::{COMMON, Condition, DOUBLES, Pick, Place, REALS, Source, Statement, WORDS};

pub type Block = [u32; 3];

/// Words of a thread in global, in shared and in local memory.
pub const OWN_WORDS: usize = 8;
/// Words that a thread leaves: its registers, and what it has in shared and local memory.
pub const OUT_WORDS: usize = WORDS + REALS + 2 * DOUBLES + 2 * OWN_WORDS;

pub const SPECIAL: [&str; 9] =
    ["%tid.x", "%tid.x", "%tid.x", "%tid.y", "%tid.z", "%laneid", "%ntid.x", "%ctaid.x", "%lanemask_lt"];
pub const REAL: [&str; 8] =
    ["add.rn.f32", "mul.rn.f32", "min.f32", "max.f32", "sub.rn.f32", "add.ftz.f32", "fma.rn.ftz.f32", "neg.f32"];
pub const COLLECTIVE: [&str; 6] =
    ["vote.sync.ballot.b32", "redux.sync.add.s32", "redux.sync.xor.b32", "match.any.sync.b32", "half", "any"];
/// Integer operations, and operations of 64 bits.
pub const INTEGER: u8 = 15;
pub const WIDE: u8 = 7;

/// Whether the statement is one instruction, which a guard can stand before.
pub fn single(statement: &Statement) -> bool {
    use Statement::{Fma, Integer, Mad, Real, Special};
    matches!(statement, Special(..) | Integer(..) | Mad(..) | Real(..) | Fma(..))
}

/// The kernel that runs `list` in blocks of the shape `block`, and then stores all that there is.
pub fn kernel(list: &[Statement], block: Block) -> String {
    let threads: u32 = block.iter().product();
    let mut writer = Writer { text: String::new(), names: 0, guard: String::new(), whole: threads.is_multiple_of(32) };
    writer.all(list);
    let mut start = String::new();
    // Some of them the same in all lanes, or in all of a warp.
    start.push_str("mov.u32 %w0, %thread;\nmov.u32 %w1, 5;\nmov.u32 %w2, %ctaid.x;\nmad.lo.u32 %w3, %thread, 3, 15;\n");
    start.push_str("mov.u32 %w4, %tid.x;\nshr.u32 %w4, %w4, 5;\nmul.lo.u32 %w5, %thread, 0x9e3779b1;\n");
    for n in 0..REALS {
        let _ = writeln!(start, "ld.global.f32 %f{n}, [%{}+{}];", ["own", "common"][n % 2], 4 * n);
    }
    for n in 0..DOUBLES {
        let _ = writeln!(start, "mul.wide.u32 %d{n}, %w{n}, 77;");
    }
    // All threads write the same.
    for n in 0..COMMON {
        let _ = writeln!(start, "st.shared.u32 [shared+{}], {};", 4 * n, 0x3f00_0000 + n * 0x1_2345);
    }
    for n in 0..OWN_WORDS {
        let _ = writeln!(start, "st.shared.u32 [%shared+{}], {};\nst.local.u32 [%local+{}], %w1;", 4 * n, n, 4 * n);
    }
    let mut end = String::new();
    let mut at = 0;
    let mut put = |kind: &str, register: String, bytes: usize| {
        let _ = writeln!(end, "st.global.{kind} [%out+{at}], {register};");
        at += bytes;
    };
    (0..WORDS).for_each(|n| put("u32", format!("%w{n}"), 4));
    (0..REALS).for_each(|n| put("f32", format!("%f{n}"), 4));
    (0..2 * DOUBLES).for_each(|n| put("b32", format!("%half{n}"), 4));
    for n in 0..OWN_WORDS {
        for space in ["shared", "local"] {
            let _ = writeln!(end, "ld.{space}.u32 %w0, [%{space}+{}];\nst.global.u32 [%out+{at}], %w0;", 4 * n);
            at += 4;
        }
    }
    let halves: String =
        (0..DOUBLES).map(|n| format!("mov.b64 {{%half{}, %half{}}}, %d{n};\n", 2 * n, 2 * n + 1)).collect();
    let shared = 4 * (COMMON + OWN_WORDS * threads as usize);
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u64 own, .param \
         .u64 common)\n{{\n.reg .pred %p, %guard;\n.reg .b32 %thread, %global, %x, %a, %shared, %local, %members;\n\
         .reg .b32 %w<{WORDS}>;\n.reg .f32 %f<{REALS}>;\n.reg .b32 %half<{}>;\n.reg .b64 %d<{DOUBLES}>;\n.reg .b64 \
         %out, %own, %common, %wide, %at;\n.shared .align 16 .b8 shared[{shared}];\n.local .align 16 .b8 local[{}];\n\
         mov.u32 %thread, %tid.z;\nmov.u32 %x, %ntid.y;\nmov.u32 %a, %tid.y;\nmad.lo.u32 %thread, %thread, %x, %a;\n\
         mov.u32 %x, %ntid.x;\nmov.u32 %a, %tid.x;\nmad.lo.u32 %thread, %thread, %x, %a;\nmov.u32 %a, %ctaid.x;\n\
         mad.lo.u32 %global, %a, {threads}, %thread;\nld.param.u64 %out, [out];\nmul.wide.u32 %at, %global, {};\n\
         add.u64 %out, %out, %at;\nld.param.u64 %own, [own];\nmul.wide.u32 %at, %global, {};\nadd.u64 %own, %own, %at;\n\
         ld.param.u64 %common, [common];\nmov.u32 %shared, shared;\nmad.lo.u32 %shared, %thread, {}, %shared;\nadd.u32 \
         %shared, %shared, {};\nmov.u32 %local, local;\n{start}bar.sync 0;\n{}{halves}{end}ret;\n}}\n",
        2 * DOUBLES,
        4 * OWN_WORDS,
        4 * OUT_WORDS,
        4 * OWN_WORDS,
        4 * OWN_WORDS,
        4 * COMMON,
        writer.text,
    )
}

struct Writer {
    text: String,
    names: usize,
    guard: String,
    /// All lanes of every warp are there.
    whole: bool,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}{line}", self.guard);
    }

    fn name(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    fn source(source: Source) -> String {
        match source {
            Source::Register(n) => format!("%w{n}"),
            Source::Constant(value) => value.to_string(),
        }
    }

    /// Leaves whether it holds in `p`.
    fn condition(&mut self, condition: Condition, p: &str) {
        match condition {
            Condition::Lanes(lanes) => {
                self.line("mov.u32 %x, %laneid;");
                self.line(&format!("shr.b32 %x, {lanes}, %x;"));
                self.line("and.b32 %x, %x, 1;");
                self.line(&format!("setp.ne.u32 {p}, %x, 0;"));
            }
            Condition::Compare(o, a, b) => {
                let name = ["lt.u32", "eq.u32", "ne.u32", "ge.s32"][o as usize % 4];
                self.line(&format!("setp.{name} {p}, %w{a}, {};", Self::source(b)));
            }
            Condition::Warp => {
                let n = self.name();
                self.line(&format!(".reg .b32 %c{n}, %s{n}, %o{n};"));
                self.line(&format!("mov.u32 %c{n}, %tid.x;"));
                self.line(&format!("shr.u32 %s{n}, %c{n}, 5;"));
                self.line(&format!("and.b32 %o{n}, %s{n}, 1;"));
                self.line(&format!("setp.ne.u32 {p}, %o{n}, 0;"));
            }
        }
    }

    fn integer(&mut self, o: u8, d: &str, a: &str, b: &str) {
        let line = match o {
            0 => format!("add.u32 {d}, {a}, {b};"),
            1 => format!("sub.u32 {d}, {a}, {b};"),
            2 => format!("mul.lo.u32 {d}, {a}, {b};"),
            3 => format!("xor.b32 {d}, {a}, {b};"),
            4 => format!("shr.u32 {d}, {a}, {b};"),
            5 => format!("shr.u32 {d}, {a}, 5;"),
            6 => format!("shr.s32 {d}, {a}, 6;"),
            7 => format!("min.s32 {d}, {a}, {b};"),
            8 => format!("max.u32 {d}, {a}, {b};"),
            9 => format!("and.b32 {d}, {a}, {b};"),
            10 => format!("shl.b32 {d}, {a}, {b};"),
            11 => format!("lop3.b32 {d}, {a}, {b}, {a}, 0x6a;"),
            12 => format!("mov.b32 {d}, {a};"),
            13 => format!("popc.b32 {d}, {a};"),
            _ => format!("prmt.b32 {d}, {a}, {b}, 0x3715;"),
        };
        self.line(&line);
    }

    fn wide(&mut self, o: u8, d: usize, a: usize, b: usize) {
        let line = match o {
            0 => format!("add.u64 %d{d}, %d{a}, %d{d};"),
            1 => format!("mul.lo.u64 %d{d}, %d{a}, %d{d};"),
            2 => format!("mul.wide.u32 %d{d}, %w{b}, %w{b};"),
            3 => format!("cvt.u64.u32 %d{d}, %w{b};"),
            4 => format!("cvt.u32.u64 %w{b}, %d{a};"),
            5 => format!("shl.b64 %d{d}, %d{a}, %w{b};"),
            _ => format!("sub.s64 %d{d}, %d{a}, %d{d};"),
        };
        self.line(&line);
    }

    fn real(&mut self, o: u8, d: usize, a: usize, b: usize) {
        let name = REAL[o as usize];
        let operands = match name {
            _ if name.starts_with("fma") => format!("%f{a}, %f{b}, %f{d}"),
            "neg.f32" => format!("%f{a}"),
            _ => format!("%f{a}, %f{b}"),
        };
        self.line(&format!("{name} %f{d}, {operands};"));
    }

    fn pick(&mut self, n: usize, done: usize, pick: Pick) -> String {
        match pick {
            Pick::Result(k) if done > 0 => format!("%t{n}_{}", k % done),
            Pick::Result(_) => "%thread".into(),
            Pick::Register(r) => format!("%w{r}"),
            Pick::Constant(value) => value.to_string(),
            Pick::Special(s) => {
                let copy = format!("%u{}", self.name());
                self.line(&format!(".reg .b32 {copy};"));
                self.line(&format!("mov.u32 {copy}, {};", SPECIAL[s]));
                copy
            }
        }
    }

    /// The address of an access of `count` words, which lies in what is the thread's own or everybody's.
    fn address(&mut self, place: Place, count: usize, at: Source) -> String {
        let words = if matches!(place, Place::GlobalCommon | Place::SharedCommon) { COMMON } else { OWN_WORDS };
        let (most, bytes) = (words / count - 1, 4 * count);
        if let Source::Constant(n) = at {
            self.line(&format!("mov.u32 %a, {};", (n as usize & most) * bytes));
        } else {
            self.line(&format!("and.b32 %a, {}, {most};", Self::source(at)));
            self.line(&format!("mul.lo.u32 %a, %a, {bytes};"));
        }
        match place {
            Place::Global | Place::GlobalCommon => {
                let base = if place == Place::Global { "own" } else { "common" };
                self.line("cvt.u64.u32 %wide, %a;");
                self.line(&format!("add.u64 %wide, %{base}, %wide;"));
                "%wide".into()
            }
            Place::SharedCommon => {
                self.line("mov.u32 %x, shared;");
                self.line("add.u32 %a, %a, %x;");
                "%a".into()
            }
            Place::SharedNarrow => {
                self.line("add.u32 %a, %a, %shared;");
                "%a".into()
            }
            Place::SharedWide => {
                self.line("add.u32 %a, %a, %shared;");
                self.line("cvt.u64.u32 %wide, %a;");
                "%wide".into()
            }
            Place::Local => {
                self.line("add.u32 %a, %a, %local;");
                "%a".into()
            }
        }
    }

    fn access(&mut self, store: bool, place: Place, count: usize, first: usize, at: Source) {
        let address = self.address(place, count, at);
        let space = match place {
            Place::Global | Place::GlobalCommon => "global",
            Place::Local => "local",
            _ => "shared",
        };
        let list: Vec<String> = (0..count).map(|n| format!("%f{}", (first + n) % REALS)).collect();
        let (vector, list) = match count {
            1 => (String::new(), list[0].clone()),
            _ => (format!(".v{count}"), format!("{{{}}}", list.join(", "))),
        };
        if store {
            self.line(&format!("st.{space}{vector}.f32 [{address}], {list};"));
        } else {
            self.line(&format!("ld.{space}{vector}.f32 {list}, [{address}];"));
        }
    }

    fn collect(&mut self, o: u8, d: usize, a: usize) {
        match COLLECTIVE[o as usize] {
            "half" => {
                // Each half of the warp for itself.
                self.line("mov.u32 %x, %laneid;");
                self.line("and.b32 %x, %x, 16;");
                self.line("shl.b32 %members, 0xffff, %x;");
                self.line(&format!("redux.sync.add.s32 %w{d}, %w{a}, %members;"));
            }
            "any" => {
                self.line(&format!("setp.gt.u32 %p, %w{a}, 9;"));
                self.line("vote.sync.any.pred %guard, %p, -1;");
                self.line(&format!("selp.u32 %w{d}, %w{a}, 3, %guard;"));
            }
            "vote.sync.ballot.b32" => {
                self.line(&format!("setp.gt.u32 %p, %w{a}, 9;"));
                self.line(&format!("vote.sync.ballot.b32 %w{d}, %p, -1;"));
            }
            name => self.line(&format!("{name} %w{d}, %w{a}, -1;")),
        }
    }

    fn all(&mut self, list: &[Statement]) {
        for statement in list {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Special(d, s) => self.line(&format!("mov.u32 %w{d}, {};", SPECIAL[*s])),
            Statement::Integer(o, d, a, b) => {
                self.integer(*o, &format!("%w{d}"), &format!("%w{a}"), &Self::source(*b));
            }
            Statement::Mad(d, a, b, c) => self.line(&format!("mad.lo.u32 %w{d}, %w{a}, %w{b}, {};", Self::source(*c))),
            Statement::Wide(o, d, a, b) => self.wide(*o, *d, *a, *b),
            Statement::Real(o, d, a, b) => self.real(*o, *d, *a, *b),
            Statement::Fma(d, a, b, c) => self.line(&format!("fma.rn.f32 %f{d}, %f{a}, %f{b}, %f{c};")),
            Statement::Dot(d, factors, in_place) => {
                let (n, mut sum) = (self.name(), format!("%f{d}"));
                for (k, (a, b)) in factors.iter().enumerate() {
                    let mut to = format!("%f{d}");
                    if !in_place && k + 1 < factors.len() {
                        to = format!("%sum{n}_{k}");
                        self.line(&format!(".reg .f32 {to};"));
                    }
                    self.line(&format!("fma.rn.f32 {to}, %f{a}, %f{b}, {sum};"));
                    sum = to;
                }
            }
            Statement::Dots(d, e, factors, between) => {
                for (k, [same, a, b]) in factors.iter().enumerate() {
                    self.line(&format!("fma.rn.f32 %f{d}, %f{same}, %f{a}, %f{d};"));
                    if k + 1 == factors.len() {
                        self.all(between);
                    }
                    self.line(&format!("fma.rn.f32 %f{e}, %f{b}, %f{same}, %f{e};"));
                }
            }
            Statement::Cast(0, w, r) => self.line(&format!("mov.b32 %f{r}, %w{w};")),
            Statement::Cast(1, w, r) => self.line(&format!("mov.b32 %w{w}, %f{r};")),
            Statement::Cast(2, w, r) => self.line(&format!("cvt.rn.f32.u32 %f{r}, %w{w};")),
            Statement::Cast(_, w, r) => self.line(&format!("cvt.rzi.s32.f32 %w{w}, %f{r};")),
            Statement::Select(d, condition, a, b) => {
                self.condition(*condition, "%p");
                self.line(&format!("selp.u32 %w{d}, %w{a}, {}, %p;", Self::source(*b)));
            }
            Statement::Straight(d, list) => {
                let n = self.name();
                for (k, (o, a, b)) in list.iter().enumerate() {
                    let (a, b) = (self.pick(n, k, *a), self.pick(n, k, *b));
                    self.line(&format!(".reg .b32 %t{n}_{k};"));
                    self.integer(*o, &format!("%t{n}_{k}"), &a, &b);
                }
                self.line(&format!("add.u32 %w{d}, %w{d}, %t{n}_{};", list.len() - 1));
            }
            Statement::Load(place, count, d, at) => self.access(false, *place, *count, *d, *at),
            // What all read, nobody writes.
            Statement::Store(Place::GlobalCommon | Place::SharedCommon, ..) => {}
            Statement::Store(place, count, s, at) => self.access(true, *place, *count, *s, *at),
            Statement::Guarded(condition, inner) => {
                self.condition(*condition, "%guard");
                self.guard = "@%guard ".into();
                self.statement(inner);
                self.guard.clear();
            }
            Statement::If(condition, then, other) => {
                let n = self.name();
                self.condition(*condition, "%p");
                self.line(&format!("@!%p bra ELSE{n};"));
                self.all(then);
                if !other.is_empty() {
                    self.line(&format!("bra END{n};"));
                }
                self.line(&format!("ELSE{n}:"));
                self.all(other);
                self.line(&format!("END{n}:"));
            }
            Statement::Loop(turns, list) => {
                let n = self.name();
                self.line(&format!(".reg .b32 %n{n};"));
                self.line(&format!("and.b32 %n{n}, {}, 3;", Self::source(*turns)));
                self.line(&format!("LOOP{n}:"));
                self.all(list);
                self.line(&format!("sub.u32 %n{n}, %n{n}, 1;"));
                self.line(&format!("setp.ge.s32 %p, %n{n}, 0;"));
                self.line(&format!("@%p bra LOOP{n};"));
            }
            Statement::Shuffle(mode, d, a, by, bound) if self.whole => {
                let mode = ["up", "down", "bfly", "idx"][*mode as usize];
                let by = Self::source(*by);
                self.line(&format!("shfl.sync.{mode}.b32 %w{d}|%p, %w{a}, {by}, {bound}, -1;"));
                self.line(&format!("selp.u32 %w{a}, %w{a}, 7, %p;"));
            }
            Statement::Collect(o, d, a) if self.whole => self.collect(*o, *d, *a),
            Statement::Shuffle(..) | Statement::Collect(..) => {}
            Statement::Barrier => self.line("bar.sync 0;"),
            Statement::Exit(condition) => {
                // From here on not all lanes are there.
                self.whole = false;
                self.condition(*condition, "%p");
                self.line("@%p st.global.u32 [%out], %w1;");
                self.line("@%p exit;");
            }
        }
    }
}
