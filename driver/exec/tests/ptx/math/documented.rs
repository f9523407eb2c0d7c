//! `docs/ptx.md`, which is written from the decoder's own table, and the truth of that table.

use std::collections::HashSet;
use std::fmt::Write;

use graphproof_exec::Program;
use graphproof_exec::forms::{Forms, executed, expand, refused};
use graphproof_exec::ptx::{PtxError, PtxErrorKind};

/// A module with one instruction, for a target that has every form.
fn decode(instruction: &str) -> Result<Program, PtxError> {
    Program::from_ptx(&format!(
        ".version 9.0\n.target sm_90a\n.address_size 64\n.func function() {{ ret; }}\n.visible .entry k(.param .u64 x)\n{{\n\
         .reg .pred p, q;\n.reg .b16 h;\n.reg .b32 r;\n.reg .b64 d;\n.reg .f32 f;\n.reg .f64 g;\n.reg .b128 w;\n.shared .b8 s[16];\n\
         L:\n{instruction};\nret;\n}}\n"
    ))
}

/// What the decoder says of an instruction: nothing, or why not.
fn refusal(instruction: &str) -> Option<PtxError> {
    decode(instruction).err()
}

fn page() -> String {
    let mut page = String::from(
        "# PTX that is executed\n\n\
         Written from the decoder's table by `UPDATE_DOCS=1 cargo test -p graphproof-exec --test ptx`; a test \
         compares the two, decodes every form below, and tries neighbours that must be refused.\n\n\
         A pattern stands for instructions: `{.x|.y}` is one of its members or nothing, `(.x|.y)` one of its members. \
         Operands are named by type: `h` has 16 bits, `r` 32, `d` 64, `w` 128, `f` is single precision, `g` double, `p` and `q` are \
         predicates. A source may be a constant, any instruction may have a guard, and a predicate source may have `!`. \
         Some forms need a later target than sm_80, as in PTX; those are refused for an earlier one.\n\n\
         An instruction of another form is refused with its line and the reason, and with it the kernel that needs it.\n",
    );
    let mut subject = "";
    let mut seen: Vec<&str> = Vec::new();
    let all = executed();
    for family in &all {
        if seen.contains(&family.subject) {
            continue;
        }
        subject = family.subject;
        seen.push(subject);
        let _ = writeln!(page, "\n## {subject}");
        for part in all.iter().filter(|f| f.subject == subject) {
            if !part.note.is_empty() {
                let _ = writeln!(page, "\n{}", part.note);
            }
            page.push_str("\n```\n");
            for form in part.forms {
                let _ = writeln!(page, "{form}");
            }
            page.push_str("```\n");
        }
    }
    let _ = subject;
    page.push_str("\n## Refused by name\n\n| form | what has it |\n|---|---|\n");
    for (form, why) in refused() {
        let _ = writeln!(page, "| `{}` | {why} |", form.replace('|', "\\|"));
    }
    page
}

#[test]
fn the_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ptx.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("docs/ptx.md can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/ptx.md is not what the table says: run this test with UPDATE_DOCS=1");
}

#[test]
fn every_form_is_executed() {
    let mut wrong = Vec::new();
    for family in executed() {
        for pattern in family.forms {
            for form in expand(pattern) {
                let opcode = form.split(['.', ' ']).next().unwrap_or_default();
                assert!(family.opcodes.contains(&opcode), "`{opcode}` is not among the opcodes of {}", family.subject);
                if let Some(error) = refusal(&form) {
                    wrong.push(format!("{form}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} forms are refused:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

#[test]
fn every_opcode_has_a_form() {
    for family in executed() {
        let named: HashSet<String> = family
            .forms
            .iter()
            .flat_map(|p| expand(p))
            .map(|f| f.split(['.', ' ']).next().unwrap_or_default().to_owned())
            .collect();
        // These need a table, a function or a later system to stand in one instruction.
        let alone = ["brx", "call", "pmevent"];
        for opcode in family.opcodes {
            assert!(named.contains(*opcode) || alone.contains(opcode), "`{opcode}` has no form");
        }
    }
}

#[test]
fn what_is_refused_is_refused_by_name() {
    for (pattern, _) in refused() {
        for form in expand(pattern) {
            let Some(error) = refusal(&form) else { panic!("`{form}` is executed") };
            assert_eq!(error.kind, PtxErrorKind::Unsupported, "{form}: {error}");
        }
    }
}

const TYPES: [&str; 23] = [
    "b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "u16x2", "s16x2", "f16", "f16x2",
    "bf16", "bf16x2", "tf32", "f32", "f64", "e4m3x2", "pred",
];

/// Neighbours of a form: each type replaced by each other type.
fn neighbours(form: &str) -> Vec<String> {
    let (head, operands) = form.split_once(' ').unwrap_or((form, ""));
    let words: Vec<&str> = head.split('.').collect();
    let mut found = Vec::new();
    for (n, word) in words.iter().enumerate().skip(1) {
        if TYPES.contains(word) {
            for ty in TYPES.iter().filter(|t| *t != word) {
                let mut other = words.clone();
                other[n] = ty;
                found.push(format!("{} {operands}", other.join(".")));
            }
        }
    }
    found
}

/// Where the table claims to be complete, a form with another type of the same width is listed, or
/// is refused.
#[test]
fn neighbours_are_listed_or_refused() {
    let mut wrong = Vec::new();
    for family in executed().into_iter().filter(|f: &Forms| f.complete) {
        let head = |f: &str| f.split(' ').next().unwrap_or_default().to_owned();
        let listed: HashSet<String> = family.forms.iter().flat_map(|p| expand(p)).map(|f| head(&f)).collect();
        let mut tried = HashSet::new();
        for form in family.forms.iter().flat_map(|p| expand(p)) {
            for other in neighbours(&form) {
                if !listed.contains(&head(&other)) && tried.insert(other.clone()) && decode(&other).is_ok() {
                    wrong.push(other);
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} forms are executed but not listed:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}
