//! Functions that call themselves, directly or through others, against the same functions in Rust.

use crate::common::{Memory, Shape, launch, program, program_for, runner};
use graphproof_exec::{FaultKind, Isa, Program};
use proptest::prelude::*;

const HEADER: &str = ".version 8.0\n.target sm_90\n.address_size 64\n";

/// A kernel `k(out)` that writes what `body` leaves in `%r3`, by thread; the thread's number is in `%r0`.
fn threads(declarations: &str, body: &str) -> String {
    format!(
        "{HEADER}{declarations}\n.visible .entry k(.param .u64 out)\n{{\n\
         .reg .pred %p<8>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n.local .align 8 .b8 own[16];\n\
         mov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmad.lo.s32 %r0, %r1, %r2, %r0;\n\
         ld.param.u64 %rd1, [out];\nmul.wide.u32 %rd0, %r0, 4;\nadd.s64 %rd0, %rd0, %rd1;\n{body}\n\
         st.global.u32 [%rd0], %r3;\nret;\n}}\n"
    )
}

/// What every instruction set, and the form without what is there for its speed, give: the same.
fn words(text: &str, block: u32, grid: u32) -> Vec<u32> {
    let fast = Isa::available().into_iter().map(|isa| program_for(text, isa));
    let simple = Program::simple_from_ptx(text).unwrap_or_else(|error| panic!("{error}"));
    let mut all = Vec::new();
    for program in std::iter::once(simple).chain(fast) {
        let mut memory = Memory::new();
        let out = memory.words(&vec![0xdead_beef; (block * grid) as usize]);
        let shape = Shape { block: [block, 1, 1], grid: [grid, 1, 1], ..Shape::default() };
        if let Err(fault) = launch(&program, shape, &memory, &[out]) {
            panic!("{} of {}: {fault}\n{text}", all.len(), Isa::available().len());
        }
        all.push(memory.read_words(0));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "they differ\n{text}");
    all.remove(0)
}

/// What a function does to its value `v`, one after the other.
#[derive(Debug, Clone)]
enum Step {
    Times(u32),
    Xor(u32),
    /// Adds to the word that the caller gave.
    Give(u32),
    /// Mixes in its own word, which callees change.
    Own,
    /// Mixes in the 8-byte counter that it keeps in a register.
    Count,
    /// `v += callee(n - 1, v ^ c, &own)`.
    Call(Callee, u32),
    /// That, where `v & mask` is not 0, for half of what is left of `n`.
    CallIf(Callee, u32),
    /// Keeps whether `v` is odd across what follows, and adds that at the end.
    Odd,
}

#[derive(Debug, Clone, Copy)]
struct Callee {
    function: usize,
    by_address: bool,
}

/// `f(n, v, p)`: returns at once where `n` is 0.
#[derive(Debug, Clone)]
struct Function {
    steps: Vec<Step>,
    /// Arguments and result in `.param` space, as compilers have them, or in registers.
    in_memory: bool,
    /// Leaves before the last step where `v` is below this.
    early: u32,
    /// Takes its word from the stack.
    alloca: bool,
}

fn evaluate(functions: &[Function], f: usize, n: u32, mut v: u32, given: &mut u32) -> u32 {
    let mut own = v ^ 0x5555;
    if n == 0 {
        *given = given.wrapping_add(v);
        return v.wrapping_mul(3);
    }
    let (mut count, mut odd) = (u64::from(v) << 7, false);
    let last = functions[f].steps.len() - 1;
    for (at, step) in functions[f].steps.iter().enumerate() {
        if at == last && v < functions[f].early {
            return v;
        }
        count = count.wrapping_mul(5).wrapping_add(1);
        match *step {
            Step::Times(c) => v = v.wrapping_mul(c).wrapping_add(n),
            Step::Xor(c) => v ^= c,
            Step::Give(c) => *given = given.wrapping_add(v ^ c),
            Step::Own => v = v.wrapping_add(own),
            Step::Count => v ^= (count >> 9) as u32,
            Step::Call(to, c) => v = v.wrapping_add(evaluate(functions, to.function, n - 1, v ^ c, &mut own)),
            Step::CallIf(to, mask) if v & mask != 0 => {
                v = v.wrapping_add(evaluate(functions, to.function, n >> 1, v, &mut own));
            }
            Step::CallIf(..) => {}
            Step::Odd => odd = v & 1 != 0,
        }
    }
    v.wrapping_add(u32::from(odd))
}

/// The function's head.
fn head(function: &Function, f: usize) -> String {
    match function.in_memory {
        true => format!(".func (.param .b32 result) f{f}(.param .b32 n, .param .b32 v, .param .b64 p)"),
        false => format!(".func (.reg .b32 result) f{f}(.reg .b32 n, .reg .b32 v, .reg .b64 p)"),
    }
}

/// A call of `to` with `%r{n}`, `%r{v}` and `%rd{p}`, which leaves its result in `%r{d}`.
fn call(functions: &[Function], to: Callee, [n, v, p, d]: [u32; 4], number: usize) -> String {
    let f = to.function;
    let (target, more, before) = match (to.by_address, functions[f].in_memory) {
        (false, _) => (format!("f{f}"), String::new(), String::new()),
        (true, memory) => {
            let prototype = match memory {
                true => "(.param .b32 _) _ (.param .b32 _, .param .b32 _, .param .b64 _)",
                false => "(.reg .b32 _) _ (.reg .b32 _, .reg .b32 _, .reg .b64 _)",
            };
            let name = format!("shape{number}");
            ("%rd9".into(), format!(", {name}"), format!("mov.u64 %rd9, f{f};\n{name}: .callprototype {prototype};\n"))
        }
    };
    match functions[f].in_memory {
        true => format!(
            "{{\n.param .b32 an;\n.param .b32 av;\n.param .b64 ap;\n.param .b32 back;\n{before}\
             st.param.b32 [an], %r{n};\nst.param.b32 [av], %r{v};\nst.param.b64 [ap], %rd{p};\n\
             call (back), {target}, (an, av, ap){more};\nld.param.b32 %r{d}, [back];\n}}\n"
        ),
        false => format!("{before}call (%r{d}), {target}, (%r{n}, %r{v}, %rd{p}){more};\n"),
    }
}

fn text(functions: &[Function], depth: u32) -> String {
    let mut declarations = String::new();
    for (f, function) in functions.iter().enumerate() {
        declarations += &format!("{};\n", head(function, f));
    }
    let mut number = 0;
    for (f, function) in functions.iter().enumerate() {
        let (load, store) = match function.in_memory {
            true => (
                "ld.param.b32 %r1, [n];\nld.param.b32 %r2, [v];\nld.param.b64 %rd1, [p];\n",
                "st.param.b32 [result], %r2;\n",
            ),
            false => ("mov.b32 %r1, n;\nmov.b32 %r2, v;\nmov.b64 %rd1, p;\n", "mov.b32 result, %r2;\n"),
        };
        let place = match function.alloca {
            true => "alloca.u64 %rd2, 24, 32;\n",
            false => "mov.u64 %rd2, own;\n",
        };
        let mut body = format!(
            "{load}{place}xor.b32 %r3, %r2, 0x5555;\nst.local.u32 [%rd2+4], %r3;\nsetp.eq.u32 %p1, %r1, 0;\n@!%p1 bra GO;\n\
             ld.local.u32 %r4, [%rd1+4];\nadd.u32 %r4, %r4, %r2;\nst.local.u32 [%rd1+4], %r4;\nmul.lo.u32 %r2, %r2, 3;\n\
             {store}ret;\nGO:\ncvt.u64.u32 %rd3, %r2;\nshl.b64 %rd3, %rd3, 7;\nsetp.ne.u32 %p2, 0, 0;\n"
        );
        for (at, step) in function.steps.iter().enumerate() {
            if at + 1 == function.steps.len() {
                body += &format!("setp.lt.u32 %p3, %r2, {};\n@%p3 bra EARLY;\n", function.early);
            }
            number += 1;
            body += "mad.lo.u64 %rd3, %rd3, 5, 1;\n";
            body += &match *step {
                Step::Times(c) => format!("mad.lo.u32 %r2, %r2, {c}, %r1;\n"),
                Step::Xor(c) => format!("xor.b32 %r2, %r2, {c};\n"),
                Step::Give(c) => format!(
                    "xor.b32 %r4, %r2, {c};\nld.local.u32 %r5, [%rd1+4];\nadd.u32 %r5, %r5, %r4;\n\
                     st.local.u32 [%rd1+4], %r5;\n"
                ),
                Step::Own => "ld.local.u32 %r4, [%rd2+4];\nadd.u32 %r2, %r2, %r4;\n".into(),
                Step::Count => "shr.u64 %rd4, %rd3, 9;\ncvt.u32.u64 %r4, %rd4;\nxor.b32 %r2, %r2, %r4;\n".into(),
                Step::Call(to, c) => format!(
                    "sub.u32 %r4, %r1, 1;\nxor.b32 %r5, %r2, {c};\n{}add.u32 %r2, %r2, %r6;\n",
                    call(functions, to, [4, 5, 2, 6], number)
                ),
                Step::CallIf(to, mask) => format!(
                    "and.b32 %r4, %r2, {mask};\nsetp.eq.u32 %p4, %r4, 0;\n@%p4 bra PAST{at};\nshr.u32 %r4, %r1, 1;\n\
                     {}add.u32 %r2, %r2, %r6;\nPAST{at}:\n",
                    call(functions, to, [4, 2, 2, 6], number)
                ),
                Step::Odd => "and.b32 %r4, %r2, 1;\nsetp.ne.u32 %p2, %r4, 0;\n".into(),
            };
        }
        body += &format!("@%p2 add.u32 %r2, %r2, 1;\nEARLY:\n{store}ret;\n");
        declarations += &format!(
            "{}\n{{\n.reg .pred %p<8>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n.local .align 8 .b8 own[16];\n{body}}}\n",
            head(function, f)
        );
    }
    let first = Callee { function: 0, by_address: false };
    let body = format!(
        "mov.u64 %rd2, own;\nst.local.u32 [%rd2+4], 17;\nrem.u32 %r4, %r0, {};\n{}\
         ld.local.u32 %r4, [%rd2+4];\nxor.b32 %r3, %r6, %r4;\n",
        depth + 1,
        call(functions, first, [4, 0, 2, 6], 0)
    );
    threads(&declarations, &body)
}

fn functions() -> impl Strategy<Value = Vec<Function>> {
    let callee =
        (0usize..3, prop::bool::weighted(0.3)).prop_map(|(function, by_address)| Callee { function, by_address });
    let step = prop_oneof![
        2 => (1u32..1000).prop_map(Step::Times),
        1 => any::<u32>().prop_map(Step::Xor),
        2 => (0u32..64).prop_map(Step::Give),
        2 => Just(Step::Own),
        1 => Just(Step::Count),
        2 => (callee.clone(), 0u32..64).prop_map(|(to, c)| Step::Call(to, c)),
        2 => (callee, 1u32..16).prop_map(|(to, mask)| Step::CallIf(to, mask)),
        1 => Just(Step::Odd),
    ];
    let function =
        (prop::collection::vec(step, 2..6), any::<bool>(), prop_oneof![Just(0u32), Just(1 << 31)], any::<bool>())
            .prop_map(|(steps, in_memory, early, alloca)| Function { steps, in_memory, early, alloca });
    prop::collection::vec(function, 3)
}

#[test]
fn functions_that_call_each_other_do_what_they_do_in_rust() {
    let result = runner(300).run(&(functions(), 1u32..5, 1u32..70), |(functions, depth, block)| {
        let seen = words(&text(&functions, depth), block, 2);
        let wanted: Vec<u32> = (0..block * 2)
            .map(|thread| {
                let mut own = 17;
                evaluate(&functions, 0, thread % (depth + 1), thread, &mut own) ^ own
            })
            .collect();
        prop_assert_eq!(seen, wanted);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}

/// The numbers of Fibonacci as nvcc writes them.
const FIB: &str = ".func (.param .b32 result) fib(.param .b32 n)\n{\n.reg .pred %p<2>;\n.reg .b32 %r<8>;\n\
    ld.param.b32 %r1, [n];\nsetp.lt.u32 %p1, %r1, 2;\nmov.b32 %r5, %r1;\n@%p1 bra DONE;\nadd.s32 %r2, %r1, -1;\n\
    {\n.param .b32 a;\n.param .b32 b;\nst.param.b32 [a], %r2;\ncall.uni (b), fib, (a);\nld.param.b32 %r3, [b];\n}\n\
    add.s32 %r4, %r1, -2;\n\
    {\n.param .b32 a;\n.param .b32 b;\nst.param.b32 [a], %r4;\ncall.uni (b), fib, (a);\nld.param.b32 %r6, [b];\n}\n\
    add.s32 %r5, %r3, %r6;\nDONE:\nst.param.b32 [result], %r5;\nret;\n}\n";

fn call_once(name: &str, argument: &str) -> String {
    format!(
        "{{\n.param .b32 a;\n.param .b32 b;\nst.param.b32 [a], {argument};\ncall.uni (b), {name}, (a);\n\
         ld.param.b32 %r3, [b];\n}}\n"
    )
}

#[test]
fn lanes_at_different_depths_each_come_back_to_their_caller() {
    fn fib(n: u32) -> u32 {
        if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
    }
    let text = threads(FIB, &format!("rem.u32 %r4, %r0, 13;\n{}", call_once("fib", "%r4")));
    assert_eq!(words(&text, 96, 3), (0..288).map(|n| fib(n % 13)).collect::<Vec<_>>());
    // Two calls from one kernel share the routine.
    let twice =
        format!("{}mov.b32 %r5, %r3;\n{}add.u32 %r3, %r3, %r5;\n", call_once("fib", "7"), call_once("fib", "5"));
    assert_eq!(words(&threads(FIB, &twice), 32, 1), vec![13 + 5; 32]);
}

#[test]
fn a_stack_that_is_too_small_is_a_fault_of_local_memory() {
    let down = ".func (.param .b32 result) down(.param .b32 n)\n{\n.reg .pred %p<2>;\n.reg .b32 %r<8>;\n\
        .local .align 8 .b8 own[64];\nld.param.b32 %r1, [n];\nst.local.u32 [own+60], %r1;\nmov.b32 %r3, 0;\n\
        setp.eq.u32 %p1, %r1, 0;\n@%p1 bra DONE;\nadd.s32 %r2, %r1, -1;\n\
        {\n.param .b32 a;\n.param .b32 b;\nst.param.b32 [a], %r2;\ncall.uni (b), down, (a);\nld.param.b32 %r3, [b];\n}\n\
        ld.local.u32 %r4, [own+60];\nadd.u32 %r3, %r3, %r4;\nDONE:\nst.param.b32 [result], %r3;\nret;\n}\n";
    let text = threads(down, &call_once("down", "100"));
    assert_eq!(words(&text, 32, 1), vec![5050; 32]);
    let mut memory = Memory::new();
    let out = memory.words(&[0; 32]);
    let deep = program(&threads(down, &call_once("down", "100000")));
    let fault = launch(&deep, Shape::default(), &memory, &[out]).expect_err("a fault");
    assert!(matches!(fault.kind, FaultKind::IllegalAddress { space: "local", .. }), "{fault}");
    // So is what never comes back.
    let again = ".func again()\n{\ncall again;\nret;\n}\n";
    let endless = program(&threads(again, "mov.b32 %r3, 0;\ncall again;\n"));
    let fault = launch(&endless, Shape::default(), &memory, &[out]).expect_err("a fault");
    assert!(matches!(fault.kind, FaultKind::IllegalAddress { space: "local", .. }), "{fault}");
}
