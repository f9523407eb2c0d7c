//! Property test: tiles of scores, as kernels compute them: loads of a few factors for the whole warp, of several
//! words at once, among sums of products with what each lane has. In any order, with registers that are written and
//! read before, between and behind; executed with all that makes the interpreter fast and as the text says them,
//! they leave the same, count the same, and fail at the same place.

use std::fmt::Write as _;

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::{Isa, Program};
use proptest::prelude::*;

/// Registers: factors of the warp, four by four; factors of the lanes; sums.
const QUADS: usize = 6;
const KEYS: usize = 4;
const SUMS: usize = 10;
/// Words of the factors in global and in shared memory, in front of a table of places among them.
const FACTORS: usize = 32;
const TABLE: usize = 12;
const THREADS: usize = 72;
/// Words of each memory: no multiple of four.
const MEMORY: usize = FACTORS + TABLE + 2;

/// Where the factors of the warp are loaded from.
#[derive(Debug, Clone, Copy)]
enum From {
    Global,
    SharedNarrow,
    SharedWide,
}

#[derive(Debug, Clone)]
enum Statement {
    /// Four words of a quad, in this order of its registers, from a word that is a multiple of four.
    Load(From, usize, [usize; 4], usize),
    /// Four words of the table, the first of which becomes the address of what is loaded later.
    Follow(From),
    /// A factor of the lane, or one of the warp, is changed.
    Key(usize, usize),
    Scale(usize, usize),
    /// `sum += factor * key`, for each sum of a row, each of some factors and each of some keys (behind the keys of the
    /// lanes: sums). `sums`: different ones. `fresh`: each begins with a number.
    Tile {
        first: usize,
        rows: usize,
        sums: usize,
        fresh: bool,
        keys: Vec<usize>,
        factors: Vec<(usize, usize)>,
        loads: Option<From>,
        step: usize,
    },
    /// `d = d + a * b`, of sums.
    Sums(usize, usize, usize),
    /// In some lanes only.
    If(u32, Vec<Statement>),
    /// Twice.
    Loop(Vec<Statement>),
}
use Statement::*;

fn from() -> impl Strategy<Value = From> + Clone {
    prop::sample::select(vec![From::Global, From::SharedNarrow, From::SharedWide])
}

fn statement() -> BoxedStrategy<Statement> {
    let order = prop::sample::select(vec![[0, 1, 2, 3], [0, 1, 2, 3], [3, 1, 0, 2]]);
    let factors = || prop::collection::vec((0..QUADS, 0usize..4), 1..5);
    let tile = (
        (0..SUMS, 1usize..10, prop::sample::select(vec![1, 2, 3, 5, SUMS, SUMS, SUMS]), prop::bool::weighted(0.2)),
        prop::collection::vec(prop_oneof![6 => 0..KEYS, 1 => KEYS..KEYS + SUMS], 1..3),
        factors(),
        prop::option::weighted(0.7, from()),
        1usize..3,
    );
    let leaf = prop_oneof![
        3 => (from(), 0..QUADS, order, 0..FACTORS / 4).prop_map(|(f, q, o, at)| Load(f, q, o, 4 * at)),
        2 => from().prop_map(Follow),
        1 => (0..KEYS, 0..FACTORS).prop_map(|(k, at)| Key(k, at)),
        1 => (0..QUADS, 0usize..4).prop_map(|(q, n)| Scale(q, n)),
        4 => tile.prop_map(|((first, rows, sums, fresh), keys, factors, loads, step)| Tile { first, rows, sums, fresh, keys, factors, loads, step }),
        1 => (0..SUMS, 0..SUMS, 0..SUMS).prop_map(|(d, a, b)| Sums(d, a, b)),
    ];
    let inner = leaf.boxed();
    inner
        .prop_recursive(2, 16, 5, |inner| {
            let list = || prop::collection::vec(inner.clone(), 1..5);
            prop_oneof![(any::<u32>(), list()).prop_map(|(lanes, list)| If(lanes, list)), list().prop_map(Loop)]
        })
        .boxed()
}

/// The address of a factor or of the table.
fn address(from: From, word: usize) -> String {
    let (register, byte) = (["%gp", "%sn", "%sw"][from as usize], 4 * word);
    format!("[{register}+{byte}]")
}

fn space(from: From) -> &'static str {
    if matches!(from, From::Global) { "global" } else { "shared" }
}

fn load(text: &mut String, from: From, quad: usize, order: [usize; 4], word: usize) {
    let list = order.map(|n| format!("%q{}", 4 * quad + n)).join(", ");
    let _ = writeln!(text, "ld.{}.v4.f32 {{{list}}}, {};", space(from), address(from, word));
}

fn statements(text: &mut String, list: &[Statement], names: &mut usize) {
    for statement in list {
        *names += 1;
        let name = *names;
        let _ = match statement {
            Load(from, quad, order, word) => {
                load(text, *from, *quad, *order, *word);
                Ok(())
            }
            Follow(From::SharedNarrow) => {
                writeln!(text, "ld.shared.v4.u32 {{%sn, %t1, %t2, %t3}}, {};", address(From::SharedNarrow, FACTORS))
            }
            Follow(from) => writeln!(
                text,
                "ld.{}.v4.u32 {{%t0, %t1, %t2, %t3}}, {};\ncvt.u64.u32 %at, %t0;\nadd.u64 {}, %{}base, %at;",
                space(*from),
                address(*from, FACTORS),
                ["%gp", "", "%sw"][*from as usize],
                ["g", "", "w"][*from as usize]
            ),
            Key(key, word) => writeln!(
                text,
                "mul.wide.u32 %at, %lane, 4;\nadd.u64 %at, %at, %gbase;\nld.global.f32 %k{key}, [%at+{}];",
                4 * (word % (MEMORY - 31))
            ),
            Scale(quad, n) => writeln!(text, "mul.rn.f32 %q{0}, %q{0}, 0f3F000000;", 4 * quad + n),
            Tile { first, rows, sums, fresh, keys, factors, loads, step } => {
                for row in 0..*rows {
                    if let Some(from) = loads {
                        let words = 4 * (row * step % (FACTORS / 4));
                        load(text, *from, row % QUADS, [0, 1, 2, 3], words);
                    }
                    for (f, (quad, n)) in factors.iter().enumerate() {
                        // With loads of its own, a row has factors of its own.
                        let quad = if loads.is_some() { row % QUADS } else { (quad + row) % QUADS };
                        for (k, key) in keys.iter().enumerate() {
                            let sum = (first + (row * keys.len() + k) % sums) % SUMS;
                            let addend = if *fresh && f == 0 { String::from("0f3F000000") } else { format!("%s{sum}") };
                            let key = if *key < KEYS { format!("%k{key}") } else { format!("%s{}", key - KEYS) };
                            let _ = writeln!(text, "fma.rn.f32 %s{sum}, %q{}, {key}, {addend};", 4 * quad + n);
                        }
                    }
                }
                Ok(())
            }
            Sums(d, a, b) => writeln!(text, "fma.rn.f32 %s{d}, %s{a}, %s{b}, %s{d};"),
            If(lanes, list) => {
                let _ = writeln!(
                    text,
                    "shr.u32 %t0, {lanes}, %lane;\nand.b32 %t0, %t0, 1;\nsetp.eq.u32 %p, %t0, 0;\n@%p bra L{name};"
                );
                statements(text, list, names);
                writeln!(text, "L{name}:")
            }
            Loop(list) => {
                let _ = writeln!(text, ".reg .u32 %n{name};\nmov.u32 %n{name}, 0;\nL{name}:");
                statements(text, list, names);
                writeln!(text, "add.u32 %n{name}, %n{name}, 1;\nsetp.lt.u32 %p, %n{name}, 2;\n@%p bra L{name};")
            }
        };
    }
}

/// Every thread leaves its sums and all factors.
const OUT: usize = SUMS + 4 * QUADS;

fn kernel(body: &str) -> String {
    let each = |count: usize, f: &dyn Fn(usize) -> String| (0..count).map(f).collect::<String>();
    let shared =
        each(MEMORY, &|n| format!("ld.global.u32 %t0, [%gbase+{0}];\nst.shared.u32 [%snbase+{0}], %t0;\n", 4 * n));
    let keys =
        each(KEYS, &|k| format!("cvt.rn.f32.u32 %k{k}, %lane;\nadd.f32 %k{k}, %k{k}, 0f{:08X};\n", 0x3f80_0000 + k));
    let sums = each(SUMS, &|n| format!("mov.f32 %s{n}, %k{};\n", n % KEYS));
    let factors = each(4 * QUADS, &|n| format!("mov.f32 %q{n}, 0f{:08X};\n", 0x4000_0000 + n));
    let stores = each(SUMS, &|n| format!("st.global.f32 [%out+{}], %s{n};\n", 4 * n))
        + &each(4 * QUADS, &|n| format!("st.global.f32 [%out+{}], %q{n};\n", 4 * (SUMS + n)));
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u64 factors)\n{{\n\
         .reg .pred %p;\n.reg .b32 %thread, %lane, %sn, %snbase, %t<4>;\n.reg .b64 %out, %at, %gp, %gbase, %sw, %wbase;\n\
         .reg .f32 %q<{}>, %k<{KEYS}>, %s<{SUMS}>;\n.shared .align 16 .b8 tile[{}];\nmov.u32 %thread, %tid.x;\nmov.u32 \
         %lane, %laneid;\nld.param.u64 %out, [out];\nld.param.u64 %gbase, [factors];\nmul.wide.u32 %at, %thread, \
         {};\nadd.u64 %out, %out, %at;\nmov.u32 %snbase, tile;\nmov.u64 %wbase, tile;\n{shared}bar.sync 0;\nmov.u64 %gp, \
         %gbase;\nmov.u64 %sw, %wbase;\nmov.u32 %sn, %snbase;\n{keys}{sums}{factors}{body}{stores}ret;\n}}\n",
        4 * QUADS,
        4 * MEMORY,
        4 * OUT
    )
}

/// What a launch leaves and how many instructions it takes, or how it fails.
fn run(program: &Program, factors: &[u32]) -> Result<(Vec<u32>, u64), String> {
    let mut memory = Memory::new();
    let values = [memory.words(&[7; THREADS * OUT]), memory.words(factors)];
    let shape = Shape { block: [THREADS as u32, 1, 1], ..Shape::default() };
    let stats = launch(program, shape, &memory, &values).map_err(|fault| fault.to_string())?;
    Ok((memory.read_words(0), stats.warp_instructions))
}

/// Factors, and behind them the table: from which byte on one goes on, once one has come there from the one before.
fn memory(numbers: &[u32]) -> Vec<u32> {
    numbers.iter().copied().chain([16, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 5, 6]).collect()
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => (-100i32..100).prop_map(|n| (n as f32 / 8.0).to_bits()),
        1 => any::<u32>(),
        1 => prop::sample::select(vec![0x8000_0000, 0x7f80_0000, 0x7fc0_1234, 0xffc0_0001, 0x0000_0007]),
    ]
}

/// The same on every instruction set as the simple form of the text has it.
fn agree(text: &str, factors: &[u32]) -> Result<Result<(Vec<u32>, u64), String>, TestCaseError> {
    let simple = Program::simple_from_ptx(text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
    let expected = run(&simple, factors);
    for isa in Isa::available() {
        let found = run(&program_for(text, isa), factors);
        prop_assert!(found == expected, "{:?}: {:?} instead of {:?}\n{}", isa, found, expected, text);
    }
    Ok(expected)
}

#[test]
fn tiles_leave_what_their_single_instructions_do() {
    let strategy = (prop::collection::vec(statement(), 1..10), prop::collection::vec(number(), FACTORS));
    let result = runner(400).run(&strategy, |(list, numbers)| {
        let mut text = String::new();
        statements(&mut text, &list, &mut 0);
        let text = kernel(&text);
        let expected = agree(&text, &memory(&numbers))?;
        prop_assert!(expected.is_ok(), "{:?}\n{}", expected, text);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Eight rows of a tile, twice, the second time a few words further on; `at` gives the words that their factors are
/// loaded from.
fn rows(from: From, at: impl Fn(usize) -> usize) -> String {
    let mut text = String::from("mov.u32 %t1, 0;\nAGAIN:\n");
    for row in 0..8 {
        load(&mut text, from, row % QUADS, [0, 1, 2, 3], at(row));
        for n in 0..4 {
            let _ = writeln!(text, "fma.rn.f32 %s{row}, %q{}, %k0, %s{row};", 4 * (row % QUADS) + n);
        }
    }
    let step = 4 * FURTHER;
    let _ = writeln!(
        text,
        "add.u64 %gp, %gp, {step};\nadd.u64 %sw, %sw, {step};\nadd.u32 %sn, %sn, {step};\nadd.u32 %t1, %t1, 1;\n\
         setp.lt.u32 %p, %t1, 2;\n@%p bra AGAIN;"
    );
    text
}

/// Words between the first time and the second.
const FURTHER: usize = 12;

/// The one of several loads that lies outside, or is not aligned, is told by its line, in the first turn or when the
/// memory is known; before it nothing is.
#[test]
fn a_load_among_others_fails_by_itself() {
    let numbers: Vec<u32> = (0..FACTORS as u32).map(|n| (n as f32).to_bits()).collect();
    let fits = |row: usize| 4 * (row % 4);
    let run = |from, bad: usize, place: usize| {
        let text = kernel(&rows(from, |row| if row == bad { place } else { fits(row) }));
        let line = text.lines().position(|line| line.contains(&address(from, place))).expect("written") + 1;
        (agree(&text, &memory(&numbers)).expect("the same"), line)
    };
    for from in [From::Global, From::SharedNarrow, From::SharedWide] {
        for bad in 0..8 {
            // What ends behind its memory is no fault: compilers read so.
            let partly = FACTORS + TABLE;
            assert!(run(from, bad, fits(bad)).0.is_ok());
            assert!(run(from, bad, partly - FURTHER).0.is_ok());
            for place in [1 << 16, partly + 60, partly + 4 - FURTHER, 2] {
                let (found, line) = run(from, bad, place);
                let fault = found.expect_err("a load outside");
                assert!(fault.contains(&format!("line {line}")), "{line}: {fault}");
            }
        }
    }
}

/// A kernel that goes straight on for long: handlers that call each other return to their loop in time.
#[test]
fn a_long_straight_kernel_ends() {
    let mut body = String::new();
    for n in 0..40_000 {
        let _ = writeln!(body, "fma.rn.f32 %s{}, %k{}, 0f3F000000, %s{};", n % SUMS, n % KEYS, (n + 1) % SUMS);
        if n % 7 == 0 {
            let _ = writeln!(body, "shfl.sync.bfly.b32 %t0, %t{}, {}, 31, -1;", n % 3 + 1, n % 32);
        }
        if n % 50 == 0 {
            let _ = writeln!(body, "setp.lt.f32 %p, %s{}, 0fFF800000;\n@%p bra END;", n % SUMS);
        }
    }
    body += "END:\n";
    let text = kernel(&body);
    let small = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        let numbers = vec![0x3f80_0000; FACTORS];
        Isa::available().into_iter().all(|isa| run(&program_for(&text, isa), &memory(&numbers)).is_ok())
    });
    assert!(small.expect("a thread").join().expect("it ends"));
}

/// One of several loads from an address writes that address.
#[test]
fn loads_behind_the_one_that_changes_their_address_follow_it() {
    let numbers: Vec<u32> = (0..FACTORS as u32).map(|n| (n as f32).to_bits()).collect();
    for before in 0..3 {
        let mut list: Vec<Statement> = (0..before).map(|n| Load(From::SharedNarrow, n, [0, 1, 2, 3], 4 * n)).collect();
        list.push(Follow(From::SharedNarrow));
        list.extend((3..6).map(|n| Load(From::SharedNarrow, n, [0, 1, 2, 3], 4 * n)));
        let mut text = String::new();
        statements(&mut text, &list, &mut 0);
        let (found, _) = agree(&kernel(&text), &memory(&numbers)).expect("the same").expect("no fault");
        assert_eq!(found[SUMS + 12], ((12 + 4) as f32).to_bits());
    }
}
