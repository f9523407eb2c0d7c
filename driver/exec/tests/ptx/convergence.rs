//! Random control flow with instructions that synchronise, against lanes that each have a program
//! counter of their own: lanes exit, meet late or never, exchange values from different places,
//! and spin on each other. What ends on such lanes ends with the same values on the engine, and
//! what waits for good there is told as a fault.
//!
//! The rules of the model are PTX's for sm_70 and later, and, where PTX leaves one open, what an
//! H200 did: lanes at an aligned barrier of the block have come to what names the whole warp, and a
//! shuffle takes 0 from a lane that is not there.

use std::cell::Cell;
use std::fmt::Write as _;

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::{FaultKind, Isa};
use proptest::prelude::*;

const REGISTERS: usize = 4;
const FLAGS: u32 = 3;
/// What a lane's word holds that leaves before it writes.
const UNWRITTEN: u32 = 0xabad_1dea;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sync {
    WarpBarrier,
    Ballot,
    Any,
    Add,
    Butterfly(u32),
    Match,
}

#[derive(Debug, Clone, Copy)]
enum Mask {
    Whole,
    /// As `Whole`, in a register.
    WholeRegister,
    Half,
    Quad,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Register(usize),
    Constant(u32),
}

#[derive(Debug, Clone, Copy)]
struct Condition(u8, usize, Source);

#[derive(Debug, Clone)]
enum Statement {
    Set(usize, u8, usize, Source),
    If(Condition, Vec<Statement>, Vec<Statement>),
    /// `(r & 3) + 1` turns.
    Loop(usize, Vec<Statement>),
    ExitIf(Condition),
    /// `d = d + exchange(s)`.
    Sync(Sync, Mask, usize, usize),
    Barrier,
    Post(u32),
    Await(u32),
}

/// The same, with jumps to places in the list.
#[derive(Debug, Clone, Copy)]
enum Op {
    Set(usize, u8, usize, Source),
    Jump(usize),
    Unless(Condition, usize),
    Count(usize, usize),
    Again(usize, usize),
    Sync(Sync, Mask, usize, usize),
    Barrier,
    Post(u32),
    Await(u32),
    Exit,
}

fn flatten(list: &[Statement], ops: &mut Vec<Op>, loops: &mut usize) {
    for statement in list {
        match statement {
            &Statement::Set(d, o, a, b) => ops.push(Op::Set(d, o, a, b)),
            Statement::If(c, then, other) => {
                let branch = ops.len();
                ops.push(Op::Exit);
                flatten(then, ops, loops);
                let jump = ops.len();
                ops.push(Op::Exit);
                ops[branch] = Op::Unless(*c, ops.len());
                flatten(other, ops, loops);
                ops[jump] = Op::Jump(ops.len());
            }
            Statement::Loop(r, body) => {
                let counter = *loops;
                *loops += 1;
                ops.push(Op::Count(counter, *r));
                let start = ops.len();
                flatten(body, ops, loops);
                ops.push(Op::Again(counter, start));
            }
            Statement::ExitIf(c) => {
                ops.push(Op::Unless(*c, ops.len() + 2));
                ops.push(Op::Exit);
            }
            &Statement::Sync(kind, mask, d, s) => ops.push(Op::Sync(kind, mask, d, s)),
            Statement::Barrier => ops.push(Op::Barrier),
            &Statement::Post(f) => ops.push(Op::Post(f)),
            &Statement::Await(f) => ops.push(Op::Await(f)),
        }
    }
}

fn name(source: Source) -> String {
    match source {
        Source::Register(r) => format!("%r{r}"),
        Source::Constant(c) => c.to_string(),
    }
}

fn write(ops: &[Op], loops: usize) -> String {
    let mut text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u64 flags)\n{{\n\
         .reg .pred %p, %q;\n.reg .b32 %r<{REGISTERS}>, %c<{}>, %t, %u, %x, %y, %whole, %half, %quad;\n\
         .reg .b64 %out, %flags, %at;\n\
         ld.param.u64 %out, [out];\nld.param.u64 %flags, [flags];\n\
         mov.u32 %x, %ntid.x;\nmov.u32 %y, %tid.y;\nmov.u32 %t, %tid.x;\nmad.lo.u32 %t, %x, %y, %t;\n\
         mul.wide.u32 %at, %t, 4;\nadd.u64 %out, %out, %at;\n\
         mov.u32 %r0, %t;\nmov.u32 %r1, %laneid;\nshr.u32 %r2, %t, 5;\nmov.u32 %r3, 5;\n\
         mov.u32 %whole, -1;\nsetp.lt.u32 %p, %r1, 16;\nselp.b32 %half, 0xffff, 0xffff0000, %p;\n\
         and.b32 %u, %r1, 28;\nshl.b32 %quad, 15, %u;\n",
        loops.max(1)
    );
    for (n, op) in ops.iter().enumerate() {
        let _ = writeln!(text, "L{n}:");
        let _ = match *op {
            Op::Set(d, o, a, b) => {
                let o = ["add.u32", "xor.b32", "and.b32", "min.u32"][usize::from(o)];
                writeln!(text, "{o} %r{d}, %r{a}, {};", name(b))
            }
            Op::Jump(to) => writeln!(text, "bra L{to};"),
            Op::Unless(Condition(o, a, b), to) => {
                let o = ["lt", "eq", "ge"][usize::from(o)];
                writeln!(text, "setp.{o}.u32 %p, %r{a}, {};\n@!%p bra L{to};", name(b))
            }
            Op::Count(c, r) => writeln!(text, "and.b32 %c{c}, %r{r}, 3;"),
            Op::Again(c, to) => {
                writeln!(text, "setp.ne.u32 %p, %c{c}, 0;\nsub.u32 %c{c}, %c{c}, 1;\n@%p bra L{to};")
            }
            Op::Sync(kind, mask, d, s) => {
                let mask = match mask {
                    Mask::Whole => "0xffffffff",
                    Mask::WholeRegister => "%whole",
                    Mask::Half => "%half",
                    Mask::Quad => "%quad",
                };
                let _ = match kind {
                    Sync::WarpBarrier => write!(text, "bar.warp.sync {mask};\nmov.u32 %u, 1;\n"),
                    Sync::Ballot | Sync::Any => {
                        let _ = write!(text, "and.b32 %u, %r{s}, 1;\nsetp.ne.u32 %p, %u, 0;\n");
                        if kind == Sync::Ballot {
                            writeln!(text, "vote.sync.ballot.b32 %u, %p, {mask};")
                        } else {
                            writeln!(text, "vote.sync.any.pred %q, %p, {mask};\nselp.b32 %u, 3, 1, %q;")
                        }
                    }
                    Sync::Add => writeln!(text, "redux.sync.add.u32 %u, %r{s}, {mask};"),
                    Sync::Butterfly(by) => writeln!(text, "shfl.sync.bfly.b32 %u, %r{s}, {by}, 31, {mask};"),
                    Sync::Match => writeln!(text, "match.any.sync.b32 %u, %r{s}, {mask};"),
                };
                writeln!(text, "add.u32 %r{d}, %r{d}, %u;")
            }
            Op::Barrier => writeln!(text, "bar.sync 0;"),
            Op::Post(f) => writeln!(text, "st.volatile.global.u32 [%flags+{}], 1;", 4 * f),
            Op::Await(f) => writeln!(
                text,
                "W{n}:\nld.volatile.global.u32 %u, [%flags+{}];\nsetp.eq.u32 %p, %u, 0;\n@%p bra W{n};",
                4 * f
            ),
            Op::Exit => writeln!(text, "ret;"),
        };
    }
    let _ = writeln!(text, "L{}:\nxor.b32 %u, %r0, %r3;", ops.len());
    text.push_str("add.u32 %u, %u, %r1;\nxor.b32 %u, %u, %r2;\nst.global.u32 [%out], %u;\nret;\n}\n");
    text
}

#[derive(Clone)]
struct Lane {
    number: u32,
    at: usize,
    r: [u32; REGISTERS],
    counters: Vec<u32>,
    live: bool,
}

impl Lane {
    fn value(&self, source: Source) -> u32 {
        match source {
            Source::Register(r) => self.r[r],
            Source::Constant(c) => c,
        }
    }

    /// Members of a warp-synchronous instruction, by lane of the warp.
    fn mask(&self, mask: Mask) -> u32 {
        let lane = self.number % 32;
        match mask {
            Mask::Whole | Mask::WholeRegister => u32::MAX,
            Mask::Half => {
                if lane < 16 {
                    0xffff
                } else {
                    0xffff_0000
                }
            }
            Mask::Quad => 15 << (lane / 4 * 4),
        }
    }
}

/// How a kernel ends.
#[derive(Debug, PartialEq)]
enum End {
    Words(Vec<u32>),
    Deadlock,
    /// Some lane spins for good.
    Spin,
}

fn reference(ops: &[Op], loops: usize, threads: u32) -> End {
    let mut lanes: Vec<Lane> = (0..threads)
        .map(|t| Lane { number: t, at: 0, r: [t, t % 32, t / 32, 5], counters: vec![0; loops], live: true })
        .collect();
    let mut words = vec![UNWRITTEN; threads as usize];
    let mut flags = [false; FLAGS as usize];
    loop {
        let mut moved = false;
        for n in 0..lanes.len() {
            // Until it waits or ends.
            loop {
                let lane = &mut lanes[n];
                if !lane.live {
                    break;
                }
                let Some(&op) = ops.get(lane.at) else {
                    let r = lane.r;
                    words[n] = (r[0] ^ r[3]).wrapping_add(r[1]) ^ r[2];
                    lane.live = false;
                    moved = true;
                    break;
                };
                let mut next = lane.at + 1;
                match op {
                    Op::Set(d, o, a, b) => {
                        let (a, b) = (lane.r[a], lane.value(b));
                        lane.r[d] = [a.wrapping_add(b), a ^ b, a & b, a.min(b)][usize::from(o)];
                    }
                    Op::Jump(to) => next = to,
                    Op::Unless(Condition(o, a, b), to) => {
                        let (a, b) = (lane.r[a], lane.value(b));
                        if ![a < b, a == b, a >= b][usize::from(o)] {
                            next = to;
                        }
                    }
                    Op::Count(c, r) => lane.counters[c] = lane.r[r] & 3,
                    Op::Again(c, to) => {
                        if lane.counters[c] != 0 {
                            next = to;
                        }
                        lane.counters[c] = lane.counters[c].wrapping_sub(1);
                    }
                    Op::Post(f) => flags[f as usize] = true,
                    Op::Await(f) if flags[f as usize] => {}
                    Op::Exit => lane.live = false,
                    Op::Sync(..) | Op::Barrier | Op::Await(_) => break,
                }
                lane.at = next;
                moved = true;
            }
        }
        moved |= exchange(ops, &mut lanes) || barrier(ops, &mut lanes);
        if moved {
            continue;
        }
        if lanes.iter().all(|lane| !lane.live) {
            return End::Words(words);
        }
        let spins = |lane: &Lane| lane.live && matches!(ops.get(lane.at), Some(Op::Await(_)));
        return if lanes.iter().any(spins) { End::Spin } else { End::Deadlock };
    }
}

/// Opens the block's barrier if all live lanes stand at it.
fn barrier(ops: &[Op], lanes: &mut [Lane]) -> bool {
    let live = || lanes.iter().filter(|lane| lane.live);
    if live().count() == 0 || !live().all(|lane| matches!(ops.get(lane.at), Some(Op::Barrier))) {
        return false;
    }
    lanes.iter_mut().filter(|lane| lane.live).for_each(|lane| lane.at += 1);
    true
}

/// Carries out one exchange that is complete.
fn exchange(ops: &[Op], lanes: &mut [Lane]) -> bool {
    // What a lane waits at: kind and members.
    let waits = |lane: &Lane| match ops.get(lane.at) {
        Some(&Op::Sync(kind, mask, d, s)) if lane.live => Some((kind, lane.mask(mask), d, s)),
        _ => None,
    };
    for warp in 0..lanes.len().div_ceil(32) {
        let all: Vec<usize> = (32 * warp..lanes.len().min(32 * warp + 32)).collect();
        for &first in &all {
            let Some((kind, members, ..)) = waits(&lanes[first]) else { continue };
            // The distance of a shuffle is an operand, no qualifier.
            let same = |other: Sync| std::mem::discriminant(&other) == std::mem::discriminant(&kind);
            let joins = |lane: &Lane| waits(lane).is_some_and(|(k, m, ..)| same(k) && m == members);
            let comes = |lane: &Lane| {
                !lane.live
                    || members >> (lane.number % 32) & 1 == 0
                    || joins(lane)
                    || (members == u32::MAX && matches!(ops.get(lane.at), Some(Op::Barrier)))
            };
            if !all.iter().all(|&n| comes(&lanes[n])) {
                continue;
            }
            let group: Vec<usize> = all.into_iter().filter(|&n| joins(&lanes[n])).collect();
            let offers: Vec<(u32, u32)> =
                group.iter().filter_map(|&n| Some((lanes[n].number % 32, lanes[n].r[waits(&lanes[n])?.3]))).collect();
            for &n in &group {
                let Some((kind, _, d, s)) = waits(&lanes[n]) else { continue };
                let own = (lanes[n].number % 32, lanes[n].r[s]);
                let bits = |holds: &dyn Fn(u32) -> bool| {
                    offers.iter().filter(|offer| holds(offer.1)).map(|offer| 1u32 << offer.0).sum::<u32>()
                };
                let value = match kind {
                    Sync::WarpBarrier => 1,
                    Sync::Ballot => bits(&|v| v & 1 != 0),
                    Sync::Any => {
                        if bits(&|v| v & 1 != 0) != 0 {
                            3
                        } else {
                            1
                        }
                    }
                    Sync::Add => offers.iter().fold(0, |sum: u32, offer| sum.wrapping_add(offer.1)),
                    Sync::Butterfly(by) => offers.iter().find(|o| o.0 == own.0 ^ by).map_or(0, |o| o.1),
                    Sync::Match => bits(&|v| v == own.1),
                };
                lanes[n].r[d] = lanes[n].r[d].wrapping_add(value);
            }
            group.iter().for_each(|&n| lanes[n].at += 1);
            return true;
        }
    }
    false
}

fn statement() -> impl Strategy<Value = Statement> {
    let r = || 0..REGISTERS;
    let source = move || prop_oneof![r().prop_map(Source::Register), (0u32..34).prop_map(Source::Constant)];
    let condition = move || (0u8..3, r(), source()).prop_map(|(o, a, b)| Condition(o, a, b));
    let sync = prop_oneof![
        2 => Just(Sync::WarpBarrier), 1 => Just(Sync::Ballot), 1 => Just(Sync::Any), 1 => Just(Sync::Add),
        // Within the quad, whatever the mask.
        1 => (1u32..4).prop_map(Sync::Butterfly), 1 => Just(Sync::Match),
    ];
    let mask = prop_oneof![3 => Just(Mask::Whole), 1 => Just(Mask::WholeRegister), 1 => Just(Mask::Half), 1 => Just(Mask::Quad)];
    let leaf = prop_oneof![
        4 => (r(), 0u8..4, r(), source()).prop_map(|(d, o, a, b)| Statement::Set(d, o, a, b)),
        5 => (sync, mask, r(), r()).prop_map(|(kind, mask, d, s)| Statement::Sync(kind, mask, d, s)),
        2 => condition().prop_map(Statement::ExitIf),
        1 => Just(Statement::Barrier),
        1 => (0..FLAGS).prop_map(Statement::Post),
        1 => (0..FLAGS).prop_map(Statement::Await),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            3 => (condition(), list(), list()).prop_map(|(c, t, e)| Statement::If(c, t, e)),
            1 => (r(), list()).prop_map(|(n, b)| Statement::Loop(n, b)),
        ]
    })
}

#[test]
fn lanes_wait_for_each_other_as_lanes_with_a_counter_of_their_own_do() {
    const BLOCKS: [[u32; 3]; 6] = [[32, 1, 1], [64, 1, 1], [40, 1, 1], [7, 1, 1], [8, 4, 1], [16, 6, 1]];
    let isas = Isa::available();
    let inputs = (prop::collection::vec(statement(), 1..9), 0..BLOCKS.len(), 0..isas.len(), any::<u64>());
    let (all, ended, stuck) = (Cell::new(0), Cell::new(0), Cell::new(0));
    runner(1500)
        .run(&inputs, |(program, block, isa, seed)| {
            let (mut ops, mut loops) = (Vec::new(), 0);
            flatten(&program, &mut ops, &mut loops);
            let block = BLOCKS[block];
            let expected = reference(&ops, loops, block.iter().product());
            if expected == End::Spin {
                return Ok(());
            }
            let text = write(&ops, loops);
            let mut memory = Memory::new();
            let out = memory.words(&vec![UNWRITTEN; block.iter().product::<u32>() as usize]);
            let flags = memory.words(&[0; FLAGS as usize]);
            let shape = Shape { block, seed, ..Shape::default() };
            let found = match launch(&program_for(&text, isas[isa]), shape, &memory, &[out, flags]) {
                Ok(_) => End::Words(memory.read_words(0)),
                Err(fault) if matches!(fault.kind, FaultKind::Barrier(_)) => End::Deadlock,
                Err(fault) => return Err(TestCaseError::fail(format!("{fault}\n{text}"))),
            };
            all.set(all.get() + 1);
            let syncs = ops.iter().any(|op| matches!(op, Op::Sync(..)));
            match expected {
                End::Words(_) if syncs => ended.set(ended.get() + 1),
                End::Deadlock => stuck.set(stuck.get() + 1),
                _ => {}
            }
            prop_assert!(found == expected, "block {block:?}: {found:?}, expected {expected:?}\n{text}");
            Ok(())
        })
        .unwrap_or_else(|failed| panic!("{failed}"));
    let (all, ended, stuck) = (all.get(), ended.get(), stuck.get());
    assert!(
        all < 100 || 6 * ended > all && 40 * stuck > all,
        "too few of a kind: of {all}, {ended} ended and {stuck} did not"
    );
}
