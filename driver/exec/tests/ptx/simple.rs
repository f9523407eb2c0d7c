//! Property test: random kernels, executed with all that makes the interpreter fast and as the text says them
//! ([`Program::simple_from_ptx`]), leave the same in every register and byte of memory, on every instruction
//! set of the host, in blocks of any shape.
//!
//! The two share the functions of single lanes, which have references of their own; what only one of them does
//! (values that a warp has once, chains, accesses of several words, exchanges of alike lanes, meeting points) is
//! held against the other. Threads touch memory of their own or what nobody writes, so that no order of theirs
//! shows.

mod write;

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::{Isa, Program};
use proptest::prelude::*;
use write::{Block, OUT_WORDS, OWN_WORDS, kernel};

/// Registers of 32 bits, of `f32`, of 64 bits.
const WORDS: usize = 6;
const REALS: usize = 5;
const DOUBLES: usize = 3;
/// Words that all threads read, in global and in shared memory.
const COMMON: usize = 16;

/// An operand of integer arithmetic.
#[derive(Debug, Clone, Copy)]
enum Source {
    Register(usize),
    Constant(u32),
}

/// An operand of a [`Statement::Straight`] piece: a result of it, a register, a number, a special register.
#[derive(Debug, Clone, Copy)]
enum Pick {
    Result(usize),
    Register(usize),
    Constant(u32),
    Special(usize),
}

/// What decides a branch.
#[derive(Debug, Clone, Copy)]
enum Condition {
    /// The lane's bit.
    Lanes(u32),
    Compare(u8, usize, Source),
    /// The number of the warp is odd.
    Warp,
}

/// A state space, and whose memory there. Shared addresses have 32 or 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Global,
    GlobalCommon,
    SharedNarrow,
    SharedWide,
    SharedCommon,
    Local,
}

#[derive(Debug, Clone)]
enum Statement {
    Special(usize, usize),
    Integer(u8, usize, usize, Source),
    Mad(usize, usize, usize, Source),
    Wide(u8, usize, usize, usize),
    Real(u8, usize, usize, usize),
    Fma(usize, usize, usize, usize),
    /// `d = d + a * b` for each pair; each sum with a register of its own, or in place.
    Dot(usize, Vec<(usize, usize)>, bool),
    /// Two dot products with a factor in common, and single instructions before the last link.
    Dots(usize, usize, Vec<[usize; 3]>, Vec<Statement>),
    /// Between integers and reals, by the bits or by the value.
    Cast(u8, usize, usize),
    Select(usize, Condition, usize, Source),
    /// Integer arithmetic whose results have one definition each; the last is added to a register.
    Straight(usize, Vec<(u8, Pick, Pick)>),
    /// Of 1, 2 or 4 words, where the register says.
    Load(Place, usize, usize, Source),
    Store(Place, usize, usize, Source),
    Guarded(Condition, Box<Statement>),
    If(Condition, Vec<Statement>, Vec<Statement>),
    /// So many turns, from 1 to 4.
    Loop(Source, Vec<Statement>),
    /// `shfl.sync`: mode, destination, source, lane, bound.
    Shuffle(u8, usize, usize, Source, u32),
    /// `vote`, `redux` and `match` of a register.
    Collect(u8, usize, usize),
    Barrier,
    Exit(Condition),
}
use Statement::*;

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![(0..WORDS).prop_map(Source::Register), (0u32..40).prop_map(Source::Constant)]
}

fn condition() -> BoxedStrategy<Condition> {
    prop_oneof![
        2 => any::<u32>().prop_map(Condition::Lanes),
        1 => (0u32..32).prop_map(|lane| Condition::Lanes(1 << lane)),
        3 => (0u8..4, 0..WORDS, source()).prop_map(|(o, a, b)| Condition::Compare(o, a, b)),
        1 => Just(Condition::Warp),
    ]
    .boxed()
}

fn pick() -> BoxedStrategy<Pick> {
    prop_oneof![
        4 => (0usize..8).prop_map(Pick::Result),
        1 => (0..WORDS).prop_map(Pick::Register),
        2 => (0u32..9).prop_map(Pick::Constant),
        2 => (0..write::SPECIAL.len()).prop_map(Pick::Special),
    ]
    .boxed()
}

/// Single instructions on reals.
fn between() -> BoxedStrategy<Statement> {
    let r = || 0..REALS;
    prop_oneof![
        (0..write::REAL.len() as u8, r(), r(), r()).prop_map(|(o, d, a, b)| Real(o, d, a, b)),
        (r(), r(), r(), r()).prop_map(|(d, a, b, c)| Fma(d, a, b, c)),
    ]
    .boxed()
}

fn leaf() -> BoxedStrategy<Statement> {
    let (w, r, d) = (|| 0..WORDS, || 0..REALS, || 0..DOUBLES);
    let place = || {
        prop::sample::select(vec![
            Place::Global,
            Place::GlobalCommon,
            Place::SharedNarrow,
            Place::SharedWide,
            Place::SharedCommon,
            Place::Local,
        ])
    };
    let count = || prop::sample::select(vec![1usize, 2, 4, 4]);
    prop_oneof![
        2 => (w(), 0..write::SPECIAL.len()).prop_map(|(d, s)| Special(d, s)),
        4 => (0..write::INTEGER, w(), w(), source()).prop_map(|(o, d, a, b)| Integer(o, d, a, b)),
        1 => (w(), w(), w(), source()).prop_map(|(d, a, b, c)| Mad(d, a, b, c)),
        2 => (0..write::WIDE, d(), d(), w()).prop_map(|(o, d, a, b)| Wide(o, d, a, b)),
        2 => (0..write::REAL.len() as u8, r(), r(), r()).prop_map(|(o, d, a, b)| Real(o, d, a, b)),
        2 => (r(), r(), r(), r()).prop_map(|(d, a, b, c)| Fma(d, a, b, c)),
        2 => (r(), prop::collection::vec((r(), r()), 1..10), any::<bool>()).prop_map(|(d, f, t)| Dot(d, f, t)),
        2 => (r(), r(), prop::collection::vec([r(), r(), r()], 1..6), prop::collection::vec(between(), 0..4))
            .prop_map(|(d, e, f, l)| Dots(d, e, f, l)),
        1 => (0u8..4, w(), r()).prop_map(|(o, a, b)| Cast(o, a, b)),
        1 => (w(), condition(), w(), source()).prop_map(|(d, c, a, b)| Select(d, c, a, b)),
        4 => (w(), prop::collection::vec((0..write::INTEGER, pick(), pick()), 1..7)).prop_map(|(d, l)| Straight(d, l)),
        4 => (place(), count(), r(), source()).prop_map(|(p, n, d, at)| Load(p, n, d, at)),
        4 => (place(), count(), r(), source()).prop_map(|(p, n, s, at)| Store(p, n, s, at)),
    ]
    .boxed()
}

/// What may stand anywhere.
fn statement() -> BoxedStrategy<Statement> {
    let guarded = (condition(), leaf().prop_filter("one instruction", write::single));
    let leaf = prop_oneof![12 => leaf(), 1 => guarded.prop_map(|(c, s)| Guarded(c, Box::new(s)))];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let list = |least| prop::collection::vec(inner.clone(), least..6);
        prop_oneof![
            3 => (condition(), list(1), list(0)).prop_map(|(c, t, e)| If(c, t, e)),
            2 => (source(), list(1)).prop_map(|(n, list)| Loop(n, list)),
        ]
    })
    .boxed()
}

/// What may stand where all lanes come.
fn outermost() -> BoxedStrategy<Statement> {
    let bound = prop::sample::select(vec![0u32, 31, 0x1c1f, 0x181f, 0x1800, 0x101f, 0x0f0a, 0x0703]);
    prop_oneof![
        12 => statement(),
        2 => (0u8..4, 0..WORDS, 0..WORDS, source(), bound).prop_map(|(m, d, a, b, c)| Shuffle(m, d, a, b, c)),
        1 => (0..write::COLLECTIVE.len() as u8, 0..WORDS, 0..WORDS).prop_map(|(o, d, a)| Collect(o, d, a)),
        1 => Just(Barrier),
        1 => condition().prop_map(Exit),
    ]
    .boxed()
}

/// Bits of a number, some of them special.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => (-100i32..100).prop_map(|n| (n as f32 / 8.0).to_bits()),
        2 => any::<u32>(),
        1 => prop::sample::select(vec![0x8000_0000, 0x7f80_0000, 0x7fc0_1234, 0xffc0_0001, 0x0000_0007]),
    ]
}

fn shapes() -> impl Strategy<Value = Block> {
    let fixed = [
        [32, 1, 1],
        [32, 1, 1],
        [64, 1, 1],
        [96, 2, 1],
        [1024, 1, 1],
        [32, 8, 2],
        [8, 4, 1],
        [40, 1, 1],
        [16, 6, 1],
        [1, 1, 33],
        [5, 1, 1],
    ];
    prop::sample::select(fixed.to_vec())
}

/// Everything that a launch leaves: the threads' output, their own memory, and the number of instructions.
fn run(program: &Program, block: Block, seed: u64, own: &[u32], common: &[u32]) -> Result<[Vec<u32>; 2], String> {
    let threads: usize = block.iter().map(|&n| n as usize).product::<usize>() * GRID as usize;
    let mut memory = Memory::new();
    let own: Vec<u32> = own.iter().copied().cycle().take(threads * OWN_WORDS).collect();
    let values = [memory.words(&vec![0x5a5a_5a5a; threads * OUT_WORDS]), memory.words(&own), memory.words(common)];
    let shape = Shape { grid: [GRID, 1, 1], block, seed, ..Shape::default() };
    launch(program, shape, &memory, &values).map_err(|fault| fault.to_string())?;
    Ok([memory.read_words(0), memory.read_words(1)])
}

/// Blocks of a launch: the second finds what the first has left.
const GRID: u32 = 2;

#[test]
fn fast_forms_leave_what_simple_ones_do() {
    let strategy = (
        prop::collection::vec(outermost(), 1..14),
        shapes(),
        0u64..3,
        prop::collection::vec(number(), 61),
        prop::collection::vec(number(), COMMON),
    );
    let result = runner(300).run(&strategy, |(list, block, seed, own, common)| {
        let text = kernel(&list, block);
        let simple = Program::simple_from_ptx(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let expected = run(&simple, block, seed, &own, &common);
        prop_assert!(expected.is_ok(), "{:?}\n{}", expected, text);
        for isa in Isa::available() {
            let found = run(&program_for(&text, isa), block, seed, &own, &common);
            if found != expected {
                let place = difference(&found, &expected);
                return Err(TestCaseError::fail(format!("{isa:?}, block {block:?}: {place}\n{text}")));
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

type Left = Result<[Vec<u32>; 2], String>;

/// The first word that differs, as a reader wants it.
fn difference(found: &Left, expected: &Left) -> String {
    let (Ok(found), Ok(expected)) = (found, expected) else { return format!("{:?}", found.as_ref().err()) };
    let names = ["output", "own memory"].iter().zip([OUT_WORDS, OWN_WORDS]);
    let first = names.zip(found.iter().zip(expected)).find_map(|((name, stride), (found, expected))| {
        let at = found.iter().zip(expected).position(|(a, b)| a != b)?;
        Some(format!(
            "{name} word {} of thread {} is {:#010x} instead of {:#010x}",
            at % stride,
            at / stride,
            found[at],
            expected[at]
        ))
    });
    first.unwrap_or_default()
}
