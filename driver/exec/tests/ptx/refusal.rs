//! What is refused, and how much with it: a text that is no PTX as a whole, an entry without a
//! model alone; depth never takes the process down.

use crate::common::{Memory, Shape, launch_entry, runner};
use graphproof_exec::{Program, PtxErrorKind};
use proptest::prelude::*;

const HEADER: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

fn text(items: &str) -> String {
    format!("{HEADER}{items}")
}

/// What the parser says about `text`, on a thread with the stack of an ordinary one.
fn parsed(text: String) -> Result<Program, String> {
    let parse = move || Program::load(&text).map_err(|error| error.to_string());
    std::thread::Builder::new().stack_size(1 << 20).spawn(parse).expect("a thread").join().expect("no panic")
}

#[test]
fn depth_of_any_kind_is_an_error_or_nothing() {
    // Each kind of text that can lie within its like: opening, innermost, closing, around it.
    let body = |inner: String| text(&format!(".visible .entry k() {{ .reg .b32 %r<9>; .reg .pred %p; {inner} }}"));
    let kinds: &[(&str, &str, &str, &str, bool)] = &[
        ("a list", "(", "%r1", ")", true),
        ("a vector", "{", "%r1", "}", true),
        ("both", "({", "%r1", "})", true),
        ("a pair", "%r1|", "%r2", "", true),
        ("an address", "[", "%r1", "]", true),
        ("a sign", "-", "1", "", true),
    ];
    for &(kind, open, inner, close, _) in kinds {
        for depth in [0usize, 1, 2, 40, 10_000, 100_000] {
            let operand = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let result = parsed(body(format!("mov.b32 {operand}, %r1; ret;")));
            assert!(depth < 40 || result.is_err(), "{kind}, {depth} deep, is taken");
        }
    }
    for depth in [1usize, 2, 200, 10_000, 100_000] {
        let nested =
            |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        let block = parsed(body(nested("{", "ret;", "}")));
        assert_eq!(block.is_ok(), depth <= 200, "blocks, {depth} deep");
        let unclosed = parsed(body("{".repeat(depth)));
        assert!(unclosed.is_err(), "{depth} blocks that are never closed");
        let value = parsed(text(&format!(".global .b32 x[4] = {};", nested("{", "1", "}"))));
        assert_eq!(value.is_ok(), depth <= 2, "an initialiser, {depth} deep");
        // What is only skipped may be as deep as it likes.
        let section = parsed(text(&format!(".section .debug_str {{ {} }}", nested("{", ".b8 1", "}"))));
        assert!(section.is_ok(), "a section, {depth} deep");
        let refused = parsed(text(&format!(".entry k() {{ tex.2d x, [a, {}]; }}", nested("{", "%r1", "}"))));
        assert!(refused.is_err() || depth <= 200);
        let attribute = parsed(text(&format!(".global .attribute({}) .b32 x;", nested("(", "1", ")"))));
        assert!(attribute.is_ok(), "an attribute, {depth} deep");
        let comment = parsed(text(&nested("/*", "", "*/")));
        assert_eq!(comment.is_ok(), depth == 1, "comments do not nest");
    }
}

#[test]
fn deep_and_wide_calls_end_in_an_error() {
    // A chain that is too deep, and a tree whose inlining has no end.
    for (calls, levels) in [(1, 1_000), (2, 60)] {
        let mut items = String::from(".func f0() { ret; }\n");
        for n in 1..=levels {
            let call = format!("call f{};", n - 1).repeat(calls);
            items.push_str(&format!(".func f{n}() {{ {call} ret; }}\n"));
        }
        items.push_str(&format!(".entry k() {{ call f{levels}; ret; }}\n.entry good() {{ ret; }}\n"));
        let program = parsed(text(&items)).expect("PTX");
        assert!(program.entry("k").expect("k").kernel().is_err());
        assert!(program.entry("good").expect("good").kernel().is_ok());
    }
}

/// An entry, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sort {
    Runs,
    /// Refused for one of the reasons below.
    Refused(usize),
}

/// Ways in which a body is PTX and not executed.
const REASONS: &[&str] = &[
    "tcgen05.wait::ld.sync.aligned;",
    "tcgen05.wait::st.sync.aligned;",
    "call missing;",
    "ld.global.u32 %r1, [elsewhere];",
    "mov.u64 %rd1, image;",
    "call through;",
    ".reg .v4 .b32 %v;",
    "multimem.red.global.add.f32 [%rd1], %f1;",
];

fn module(sorts: &[Sort]) -> String {
    let mut items = String::from(
        ".extern .global .u32 elsewhere;\n.global .samplerref image;\n.extern .func missing();\n\
         .func through() { call missing; ret; }\n",
    );
    for (n, sort) in sorts.iter().enumerate() {
        let extra = match sort {
            Sort::Runs => "",
            Sort::Refused(reason) => REASONS[*reason],
        };
        items.push_str(&format!(
            ".visible .entry k{n}(.param .u64 out)\n{{\n.reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n.reg .f32 %f<9>;\n\
             {extra}\nld.param.u64 %rd1, [out];\nmov.u32 %r1, {n};\nst.global.u32 [%rd1], %r1;\nret;\n}}\n"
        ));
    }
    text(&items)
}

#[test]
fn an_entry_without_a_model_refuses_itself_alone() {
    let sort = prop_oneof![Just(Sort::Runs), (0..REASONS.len()).prop_map(Sort::Refused)];
    runner(60)
        .run(&prop::collection::vec(sort, 1..12), |sorts| {
            let program = Program::load(&module(&sorts)).expect("PTX");
            prop_assert_eq!(program.decoded(), 0, "loading decodes nothing");
            for (n, sort) in sorts.iter().enumerate() {
                let entry = program.entry(&format!("k{n}")).expect("an entry");
                match (sort, entry.kernel()) {
                    (Sort::Runs, Ok(kernel)) => {
                        let mut memory = Memory::new();
                        let out = memory.words(&[u32::MAX]);
                        let shape = Shape { block: [1; 3], ..Shape::default() };
                        prop_assert!(launch_entry(kernel, shape, &memory, &[out]).is_ok());
                        prop_assert_eq!(memory.read_words(0)[0], n as u32);
                    }
                    (Sort::Refused(_), Err(error)) => prop_assert_eq!(error.kind, PtxErrorKind::Unsupported),
                    (sort, kernel) => prop_assert!(false, "k{n} is {sort:?} and {:?}", kernel.map(|_| ())),
                }
                prop_assert_eq!(program.decoded(), n + 1, "an entry is decoded when it is asked for");
            }
            let refused: Vec<usize> = program.refusals().into_iter().map(|(n, _)| n).collect();
            let expected: Vec<usize> = (0..sorts.len()).filter(|&n| sorts[n] != Sort::Runs).collect();
            prop_assert_eq!(refused, expected);
            Ok(())
        })
        .expect("each entry stands for itself");
}

#[test]
fn what_is_no_ptx_refuses_the_text() {
    for body in
        ["frobnicate.u32 %r1;", "mov.u32 %r1 %r1;", "mov.u32 %r1, %nothing;", "bra NOWHERE;", "mov.u32 %r1, 0f1;"]
    {
        let items = format!(".entry good() {{ ret; }}\n.entry bad() {{ .reg .b32 %r<2>; {body} ret; }}\n");
        let error = Program::load(&text(&items)).expect_err(body);
        assert_ne!(error.kind, PtxErrorKind::Unsupported, "{body}");
    }
}

#[test]
fn entries_asked_for_by_many_at_once_are_decoded_once_each() {
    let sorts = vec![Sort::Runs; 40];
    let program = Program::load(&module(&sorts)).expect("PTX");
    let kernels: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let kernels = program.entries.iter().map(|entry| entry.kernel().expect("executed"));
                    kernels.map(|kernel| std::sync::Arc::as_ptr(kernel) as usize).collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(kernels.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(program.decoded(), 40);
}
