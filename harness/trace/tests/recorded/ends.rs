//! How a program ends, and what it calls itself.

use graphproof_door::{Range, Trace};
use graphproof_harness::finding::Id;
use graphproof_trace::{Verdict, analyse};

use crate::program::{GLOBAL, MAIN, Program, S};

#[test]
fn a_killed_program_and_one_without_calls_are_told_as_that() {
    let mut killed = Program::new();
    killed.streams().begin(11, GLOBAL).launch(12, S);
    let report = analyse(&Trace::open(killed.folder.path()).expect("a trace"));
    let finding = &report.processes[0].findings[0];
    assert!(finding.id == Id::C09 && finding.notes.iter().any(|note| note.contains("by itself")), "{finding:#?}");

    let report = Program::new().told();
    assert_eq!((report.verdict, report.exit_code), (Verdict::NoRecord, 16));
    let text = graphproof_report::report::program(&report, graphproof_report::report::look::Look::PLAIN);
    assert!(text.ends_with("that it is given?\n") && text.contains("NO RECORD"), "{text}");
}

#[test]
fn hostile_text_gets_into_no_sink() {
    let mut program = Program::new();
    let evil = "<script>x</script>\u{1b}[2J\n::error::forged";
    program.streams();
    let stack = program.made.python_stack(&[(evil, 3, evil)]);
    program.made.range(MAIN, &Range::Push(evil.to_owned()));
    program.made.call(MAIN, "cuStreamBeginCapture_v2", &[("hStream", S)], 0).stack(stack).end();
    program.made.call(MAIN, "cuStreamSynchronize", &[("hStream", S)], 900).stack(stack).end();
    program.made.note(evil);
    let report = program.told();
    let text = graphproof_report::report::program(&report, graphproof_report::report::look::Look::PLAIN);
    // `:::` stands before a second place, and begins no command.
    let command = |line: &str| line.trim_start().strip_prefix("::").is_some_and(|rest| !rest.starts_with(':'));
    assert!(!text.contains('\u{1b}') && !text.lines().any(command), "{text}");
    let page = graphproof_report::report::html::program(&report);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
}
