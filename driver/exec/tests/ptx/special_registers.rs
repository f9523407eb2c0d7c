//! Property test: special registers, read in any order and used in any way, hold in every thread
//! of a block of any shape what PTX says, as nested loops over the grid count it.

use std::fmt::Write as _;

use crate::common::{Memory, Shape, launch, program_for, runner};
use graphproof_exec::Isa;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Bytes of static shared memory in every kernel here.
const STATIC_SHARED: u32 = 48;

/// One thread of a launch, as loops over blocks and threads meet it.
#[derive(Clone, Copy)]
struct Thread {
    thread: [u32; 3],
    block: [u32; 3],
    /// Its number in the block.
    number: u32,
    shape: Shape,
}

type Reference = fn(&Thread) -> u32;

/// The 32-bit special registers whose value PTX, or one device with one multiprocessor, determines.
const REGISTERS: [(&str, Reference); 28] = [
    ("%tid.x", |t| t.thread[0]),
    ("%tid.y", |t| t.thread[1]),
    ("%tid.z", |t| t.thread[2]),
    ("%ntid.x", |t| t.shape.block[0]),
    ("%ntid.y", |t| t.shape.block[1]),
    ("%ntid.z", |t| t.shape.block[2]),
    ("%ctaid.x", |t| t.block[0]),
    ("%ctaid.y", |t| t.block[1]),
    ("%ctaid.z", |t| t.block[2]),
    ("%nctaid.x", |t| t.shape.grid[0]),
    ("%nctaid.y", |t| t.shape.grid[1]),
    ("%nctaid.z", |t| t.shape.grid[2]),
    ("%laneid", |t| t.number % 32),
    ("%warpid", |t| t.number / 32),
    ("%nwarpid", |t| t.shape.block.iter().product::<u32>().div_ceil(32)),
    ("%lanemask_eq", |t| mask(t, |lane, own| lane == own)),
    ("%lanemask_le", |t| mask(t, |lane, own| lane <= own)),
    ("%lanemask_lt", |t| mask(t, |lane, own| lane < own)),
    ("%lanemask_ge", |t| mask(t, |lane, own| lane >= own)),
    ("%lanemask_gt", |t| mask(t, |lane, own| lane > own)),
    ("%smid", |_| 0),
    ("%nsmid", |_| 1),
    ("%dynamic_smem_size", |t| t.shape.shared),
    ("%total_smem_size", |t| t.shape.shared + STATIC_SHARED),
    ("%clusterid.y", |t| t.block[1]),
    ("%nclusterid.x", |t| t.shape.grid[0]),
    ("%cluster_ctarank", |_| 0),
    ("%cluster_nctarank", |_| 1),
];

fn mask(t: &Thread, holds: fn(u32, u32) -> bool) -> u32 {
    (0..32).filter(|&lane| holds(lane, t.number % 32)).map(|lane| 1 << lane).sum()
}

/// One value of a kernel: a register and what is made of it with constant `k`.
#[derive(Debug, Clone, Copy)]
struct Use {
    register: usize,
    way: u32,
    k: u32,
}

/// Statements that leave the value of use `n` in `%v<n>`, and what it is in a thread; `before` is
/// the value of the use before it.
fn apply(u: Use, n: usize, text: &mut String) -> impl Fn(&Thread, u32) -> u32 + use<> {
    let (name, reference) = REGISTERS[u.register];
    let Use { way, k, .. } = u;
    let before = n.checked_sub(1).map_or("0".to_owned(), |b| format!("%v{b}"));
    let _ = match way {
        0 => writeln!(text, "mov.u32 %v{n}, {name};"),
        1 => writeln!(text, "add.u32 %v{n}, {name}, {k};"),
        2 => writeln!(text, "mad.lo.u32 %v{n}, {name}, {k}, {before};"),
        // Kept from an earlier value where a predicate of the lane does not hold.
        3 => write!(
            text,
            "mov.u32 %v{n}, {k};\nmov.u32 %t, %laneid;\nand.b32 %t, %t, 1;\nsetp.eq.u32 %p, %t, 0;\n\
             @%p mov.u32 %v{n}, {name};\n"
        ),
        4 => write!(text, "shr.u32 %t, {name}, 5;\nsetp.eq.u32 %p, %t, 1;\nselp.b32 %v{n}, {name}, %t, %p;\n"),
        // Two ways by the value itself, with the register read on both.
        5 => write!(
            text,
            "setp.lt.u32 %p, {name}, {k};\n@%p bra L{n};\nadd.u32 %v{n}, {name}, 1;\nbra.uni M{n};\n\
             L{n}:\nmul.lo.u32 %v{n}, {name}, 3;\nM{n}:\n"
        ),
        // A loop of as many turns.
        6 => write!(
            text,
            "and.b32 %t, {name}, 3;\nmov.u32 %v{n}, {k};\nL{n}:\nadd.u32 %v{n}, %v{n}, {name};\n\
             sub.u32 %t, %t, 1;\nsetp.ge.s32 %p, %t, 0;\n@%p bra L{n};\n"
        ),
        // Widened, halved, and taken by a predicate that the whole warp shares or does not.
        _ => write!(
            text,
            "mul.wide.u32 %w, {name}, {k};\nshr.u64 %w, %w, 1;\ncvt.u32.u64 %v{n}, %w;\n\
             mov.u32 %t, {name};\nsetp.gt.u32 %p, %t, {before};\n@!%p mov.u32 %v{n}, %t;\n"
        ),
    };
    move |t, before| {
        let v = reference(t);
        match way {
            0 => v,
            1 => v.wrapping_add(k),
            2 => v.wrapping_mul(k).wrapping_add(before),
            3 => {
                if t.number.is_multiple_of(2) {
                    v
                } else {
                    k
                }
            }
            4 => {
                if v >> 5 == 1 {
                    v
                } else {
                    v >> 5
                }
            }
            5 => {
                if v < k {
                    v.wrapping_mul(3)
                } else {
                    v.wrapping_add(1)
                }
            }
            6 => k.wrapping_add(v.wrapping_mul((v & 3) + 1)),
            _ => {
                if v > before {
                    (u64::from(v) * u64::from(k) / 2) as u32
                } else {
                    v
                }
            }
        }
    }
}

/// Each thread takes a ticket and writes its values to that row, so that no register is read but
/// those of the uses.
fn kernel(uses: &[Use]) -> (String, Vec<impl Fn(&Thread, u32) -> u32 + use<>>) {
    let mut body = String::new();
    let references = uses.iter().enumerate().map(|(n, &u)| apply(u, n, &mut body)).collect();
    let row = uses.len() * 4;
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 out, .param .u64 next)\n{{\n\
         .shared .align 16 .b8 room[{STATIC_SHARED}];\n\
         .reg .pred %p;\n.reg .b32 %t, %ticket;\n.reg .b32 %v<{}>;\n.reg .b64 %w, %out, %next, %row;\n\
         {body}ld.param.u64 %next, [next];\natom.global.add.u32 %ticket, [%next], 1;\n\
         ld.param.u64 %out, [out];\nmul.wide.u32 %row, %ticket, {row};\nadd.u64 %out, %out, %row;\n",
        uses.len()
    );
    for n in 0..uses.len() {
        let _ = writeln!(text, "st.global.u32 [%out+{}], %v{n};", 4 * n);
    }
    text.push_str("ret;\n}\n");
    (text, references)
}

fn check(shape: Shape, isa: Isa, uses: &[Use]) -> Result<(), TestCaseError> {
    let (text, references) = kernel(uses);
    let mut expected = Vec::new();
    for bz in 0..shape.grid[2] {
        for by in 0..shape.grid[1] {
            for bx in 0..shape.grid[0] {
                let mut number = 0;
                for z in 0..shape.block[2] {
                    for y in 0..shape.block[1] {
                        for x in 0..shape.block[0] {
                            let t = Thread { thread: [x, y, z], block: [bx, by, bz], number, shape };
                            let mut row = Vec::new();
                            for reference in &references {
                                row.push(reference(&t, row.last().copied().unwrap_or(0)));
                            }
                            expected.push(row);
                            number += 1;
                        }
                    }
                }
            }
        }
    }
    let mut memory = Memory::new();
    let out = memory.words(&vec![0; expected.len() * uses.len()]);
    let next = memory.words(&[0]);
    let ran = launch(&program_for(&text, isa), shape, &memory, &[out, next]);
    prop_assert!(ran.is_ok(), "{:?}\n{text}", ran);
    let mut found: Vec<Vec<u32>> = memory.read_words(0).chunks(uses.len()).map(<[u32]>::to_vec).collect();
    found.sort_unstable();
    expected.sort_unstable();
    prop_assert!(found == expected, "block {:?} grid {:?}\n{text}", shape.block, shape.grid);
    Ok(())
}

/// Shapes of up to 1,024 threads: whole rows of warps, parts of them, and odd ones.
fn blocks() -> impl Strategy<Value = [u32; 3]> {
    let x = prop_oneof![(1u32..=32).prop_map(|n| 32 * n), 1u32..=64, 1u32..=1024];
    (x, any::<u32>(), any::<u32>(), any::<bool>()).prop_map(|(x, y, z, flat)| {
        let y = 1 + y % (1024 / x);
        let z = if flat { 1 } else { 1 + z % (1024 / (x * y)).min(64) };
        [x, y, z]
    })
}

#[test]
fn special_registers_hold_what_ptx_says_in_any_order_of_use_and_shape_of_block() {
    let isas = Isa::available();
    let uses = prop::collection::vec((0..REGISTERS.len(), 0u32..8, 0u32..70), 1..7);
    // Thread numbers as often as all the others.
    let threads = prop::collection::vec((0usize..3, 0u32..8, 0u32..70), 1..5);
    let inputs = (
        blocks(),
        [1u32..=2, 1u32..=2, 1u32..=2],
        prop_oneof![uses, threads],
        (0..isas.len(), any::<u64>(), prop_oneof![Just(0), 1u32..=3000]),
    );
    runner(600)
        .run(&inputs, |(block, grid, uses, (isa, seed, shared))| {
            let uses: Vec<Use> = uses.iter().map(|&(register, way, k)| Use { register, way, k }).collect();
            // Dynamic memory begins at a multiple of 16, where the static one ends.
            check(Shape { block, grid, shared, seed, threads: 1, ..Shape::default() }, isas[isa], &uses)
        })
        .unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn thread_numbers_alone_in_every_order_and_row_shape() {
    let orders: [&[usize]; 9] =
        [&[0, 1, 2], &[0, 2, 1], &[1, 0, 2], &[1, 2, 0], &[2, 0, 1], &[2, 1, 0], &[1, 2], &[1], &[2]];
    let isa = Isa::detect();
    for block in
        [[32, 1, 1], [32, 2, 1], [32, 8, 1], [32, 4, 8], [64, 3, 2], [96, 2, 5], [16, 2, 1], [1, 1, 33], [33, 1, 1]]
    {
        for order in orders {
            let uses: Vec<Use> = order.iter().map(|&register| Use { register, way: 0, k: 0 }).collect();
            let shape = Shape { block, ..Shape::default() };
            check(shape, isa, &uses).unwrap_or_else(|failed| panic!("{failed}"));
        }
    }
}
