//! From what a child saw to a result.

use super::baseline::{GoldenEntry, Listed};
use super::child::{End, Report};
use super::expand::Script;
use super::expect::Expect;
use super::format::Evidence;

/// The result of a cell against its expectations and the driver's baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every call answered as expected.
    Pass,
    /// It failed as the baseline says.
    ExpectedFail,
    /// The baseline says that it fails, and it passed: the baseline must be cleared.
    UnexpectedImprovement,
    /// It failed once and passed when run again.
    Flake,
    /// A call answered something else.
    Fail,
    /// The process died.
    Crash,
    /// The process did not end in time.
    Timeout,
    /// The driver lacks what the case needs.
    Skip,
    /// The case could not be run at all.
    Error,
}

impl Kind {
    /// All results, in the order in which a summary counts them.
    pub const ALL: [Self; 9] = [
        Self::Pass,
        Self::ExpectedFail,
        Self::UnexpectedImprovement,
        Self::Flake,
        Self::Fail,
        Self::Crash,
        Self::Timeout,
        Self::Skip,
        Self::Error,
    ];

    /// The result as reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::ExpectedFail => "expected-fail",
            Self::UnexpectedImprovement => "unexpected-improvement",
            Self::Flake => "flake",
            Self::Fail => "fail",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::Skip => "skip",
            Self::Error => "error",
        }
    }
}

/// A call that answered something else than was expected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// The line in the case file.
    pub line: usize,
    /// The call.
    pub call: String,
    /// The expectation, as the case file or the golden file spells it.
    pub expected: String,
    /// The answer.
    pub saw: String,
    /// True where the expectation is a golden file's.
    pub from_golden: bool,
}

/// What one run of a cell came to, before the baseline is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `Pass`, `Fail`, `Crash`, `Timeout`, `Skip` or `Error`.
    pub kind: Kind,
    /// Why it was skipped, how it crashed, what went wrong.
    pub detail: String,
    /// The calls that answered something else, the first being the cause of the others.
    pub mismatches: Vec<Mismatch>,
}

/// A cell with its result.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CaseResult {
    /// `case@cell`.
    pub id: String,
    /// The evidence tag of the cell.
    pub evidence: Evidence,
    /// The result.
    pub kind: Kind,
    /// True where the run must fail because of this cell.
    pub unexpected: bool,
    /// Why it was skipped, how it crashed, what went wrong; empty otherwise.
    pub detail: String,
    /// The calls that answered something else.
    pub mismatches: Vec<Mismatch>,
    /// What the calls answered.
    pub seen: Vec<super::run::Observation>,
}

/// The answer of a driver that does not model a call.
const UNSUPPORTED: &str = "NOT_SUPPORTED";

/// Compares what a child saw with the script, and where the script leaves it open with the golden file.
pub fn verdict(script: &Script, report: &Report, golden: Option<&GoldenEntry>) -> Verdict {
    let mut mismatches = Vec::new();
    let mut unmodelled = None;
    for (at, (step, seen)) in script.steps.iter().zip(&report.seen).enumerate() {
        let (expected, from_golden) = match &step.expect {
            Expect::OneOf(_) if step.expect.accepts(&seen.saw) => continue,
            Expect::OneOf(_) => (step.expect.text(), false),
            Expect::Calibrate => match golden.and_then(|golden| golden.answer(at, &step.text)) {
                Some(answer) if answer == seen.saw => continue,
                Some(answer) => (answer.to_owned(), true),
                None => {
                    if is_unsupported(&seen.saw) {
                        unmodelled.get_or_insert(step.line);
                    }
                    continue;
                }
            },
        };
        let (call, saw) = (step.text.clone(), seen.saw.clone());
        mismatches.push(Mismatch { line: step.line, call, expected, saw, from_golden });
    }
    // An unmodelled call is named and the case skipped: it says nothing about the rest.
    let unmodelled = match mismatches.first() {
        Some(first) => is_unsupported(&first.saw).then_some(first.line),
        None => unmodelled,
    };
    if let (Some(line), false) = (unmodelled, matches!(report.end, End::Skip(_) | End::Error(_))) {
        let detail = format!("the driver does not model {}", called(script, line));
        return Verdict { kind: Kind::Skip, detail, mismatches };
    }
    let (kind, detail) = match (&report.end, mismatches.first()) {
        (End::Skip(reason), _) => (Kind::Skip, reason.clone()),
        (End::Error(what), _) => (Kind::Error, what.clone()),
        (End::Crash(how), _) => (Kind::Crash, format!("in {}: {how}", next_call(script, report))),
        (End::Timeout, _) => (Kind::Timeout, format!("in {}", next_call(script, report))),
        (End::Done, None) => (Kind::Pass, String::new()),
        (End::Done, Some(_)) => (Kind::Fail, String::new()),
    };
    Verdict { kind, detail, mismatches }
}

fn is_unsupported(saw: &str) -> bool {
    saw.split(' ').next() == Some(UNSUPPORTED)
}

/// The function that a line calls.
fn called(script: &Script, line: usize) -> &str {
    script.steps.iter().find(|step| step.line == line).map_or("?", |step| step.call.as_str())
}

/// The call that a child had begun when it ended.
fn next_call(script: &Script, report: &Report) -> String {
    match script.steps.get(report.seen.len()) {
        Some(step) => format!("line {}, {}", step.line, step.text),
        None => "the end of the process".into(),
    }
}

/// The result of a cell: its verdict against the baseline, and against a second run where it had one.
pub fn judge(verdict: &Verdict, again: Option<&Verdict>, listed: Option<Listed>) -> (Kind, bool) {
    let passed_again = again.is_some_and(|again| again.kind == Kind::Pass);
    match (verdict.kind, listed) {
        (Kind::Skip, _) => (Kind::Skip, false),
        (Kind::Error, _) => (Kind::Error, true),
        (Kind::Pass, None) => (Kind::Pass, false),
        (_, Some(Listed::Flake)) => (Kind::Flake, false),
        (Kind::Pass, Some(_)) => (Kind::UnexpectedImprovement, true),
        (Kind::Fail, Some(Listed::Fail))
        | (Kind::Crash, Some(Listed::Crash))
        | (Kind::Timeout, Some(Listed::Timeout)) => (Kind::ExpectedFail, false),
        _ if passed_again => (Kind::Flake, true),
        (kind, _) => (kind, true),
    }
}
