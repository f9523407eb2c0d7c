//! The detection matrix.

use std::fmt::Write as _;

use graphproof_harness::calls;
use graphproof_harness::driver::{DriverKind, ORDER_IS_ITS_OWN};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::{Check, Finding, Id, Site};
use graphproof_kernels::faults::{Evidence, Fault};

use super::Outcome;
use super::told;

/// What was found, fault by fault.
#[derive(Debug, serde::Serialize)]
pub struct Matrix {
    pub driver: DriverKind,
    pub rows: Vec<Row>,
    pub not_planted: Vec<NotPlanted>,
    /// Faults that a run which was stopped did not come to.
    pub not_run: Vec<&'static str>,
}

/// What children have to tell faults by.
#[derive(Debug)]
pub struct Evidences {
    /// Why calls are not recorded, where they are not.
    pub no_calls: Option<String>,
    /// Whether what kernels read and write is seen.
    pub accesses: bool,
}

impl Evidences {
    /// Why there is none of a kind; `None` where there is.
    fn why_not(&self, evidence: Evidence) -> Option<String> {
        match evidence {
            Evidence::Calls => self.no_calls.as_deref().map(calls::not_recorded),
            Evidence::Memory => (!self.accesses && self.no_calls.is_some()).then(|| calls::NOT_WATCHED.to_owned()),
            Evidence::Accesses => (!self.accesses).then(|| calls::NOT_WATCHED.to_owned()),
            // The driver that tells what kernels touch is the one whose order can be chosen.
            Evidence::Order => (!self.accesses).then(|| ORDER_IS_ITS_OWN.to_owned()),
        }
    }
}

/// A row of the catalogue without a planted fault.
#[derive(Debug, serde::Serialize)]
pub struct NotPlanted {
    pub row: String,
    pub reason: String,
}

/// One planted fault and its twin.
#[derive(Debug, serde::Serialize)]
pub struct Row {
    pub row: &'static str,
    pub name: &'static str,
    pub group: &'static str,
    pub title: &'static str,
    pub stands_for: &'static str,
    pub file: &'static str,
    /// Why it cannot share a process with other steps, if it cannot.
    pub sticky: Option<&'static str>,
    /// Id that must be found.
    pub expected: Id,
    /// The check that must find it.
    pub expected_check: Check,
    /// Ids found, the first of each kind.
    pub found: Vec<String>,
    /// The finding that counts.
    pub finding: Option<Finding>,
    /// Whether the finding names a place in the fault's own file, or in the lane that it is planted in.
    pub place_named: bool,
    /// Why it counts as missed, if it does.
    pub missed: Option<String>,
    /// Whether nothing here can tell it at all.
    pub untold: bool,
    /// Why not, then.
    #[serde(skip)]
    why_untold: String,
    /// Ids found in the clean twin; there should be none.
    pub twin: Vec<String>,
    /// How the twin died, if it did.
    pub twin_died: Option<String>,
    /// The twin's findings.
    pub twin_findings: Vec<Finding>,
}

const NEEDS_HOPPER: &str = "its kernels need a device of sm_90";

impl Row {
    /// Judges what became of a fault and its twin, where a child has the evidence `has`.
    pub fn judge(fault: &Fault, planted: &Outcome, twin: &Outcome, has: &Evidences) -> Self {
        let recorded = has.why_not(Evidence::Calls).is_none();
        let mut found = told(planted);
        found.dedup();
        let expected = &fault.expected;
        let counts = |id: Id| id == expected.id || (!recorded && expected.without_record.contains(&id));
        let findings: &[Finding] = match planted {
            Outcome::Answer(reports) => reports.first().map_or(&[], |report| report.findings.as_slice()),
            Outcome::Died(_) => &[],
        };
        let exact = findings.iter().find(|finding| finding.id == expected.id);
        let finding = exact.or_else(|| findings.iter().find(|finding| counts(finding.id))).cloned();
        let missed = match (planted, &finding) {
            (_, Some(finding)) if recorded && finding.check != expected.check => {
                Some(format!("found by '{}' instead of '{}'", finding.check, expected.check))
            }
            (_, Some(_)) => None,
            (Outcome::Died(how), None) => Some(format!("the child died: {how}")),
            (Outcome::Answer(_), None) if expected.needs.is_some_and(|needs| has.why_not(needs).is_some()) => None,
            (Outcome::Answer(reports), None) if reports.is_empty() => None,
            (Outcome::Answer(_), None) if found.is_empty() => Some("nothing was found".to_owned()),
            (Outcome::Answer(_), None) => Some(format!("found as {} instead", found.join(", "))),
        };
        let untold = finding.is_none() && missed.is_none();
        let place_named = finding.as_ref().is_some_and(|finding| names_place(finding, fault.file));
        let (twin_died, twin_findings) = match twin {
            Outcome::Died(how) => (Some(how.clone()), Vec::new()),
            Outcome::Answer(reports) => (None, reports.iter().flat_map(|report| report.findings.clone()).collect()),
        };
        Row {
            row: fault.row,
            name: fault.name,
            group: fault.group.name(),
            title: fault.title,
            stands_for: fault.stands_for,
            file: fault.file,
            sticky: fault.sticky,
            expected: expected.id,
            expected_check: expected.check,
            found,
            finding,
            place_named,
            missed,
            untold,
            why_untold: match planted {
                Outcome::Answer(reports) if reports.is_empty() => NEEDS_HOPPER.to_owned(),
                _ => expected.needs.and_then(|needs| has.why_not(needs)).unwrap_or_default(),
            },
            twin: told(twin),
            twin_died,
            twin_findings,
        }
    }

    fn twin_silent(&self) -> bool {
        self.twin.is_empty() && self.twin_died.is_none()
    }

    fn place(&self) -> String {
        let Some(finding) = &self.finding else { return "-".to_owned() };
        let site = finding.site.as_ref().map(Site::place);
        // A call made through a helper has its place in the helper; who called stands in the notes.
        let caller = finding.notes.iter().find_map(|note| {
            let (_, place) = note.split_once("called from ")?;
            let (place, _) = place.split_once(": ")?;
            place.contains(self.file).then(|| place.to_owned())
        });
        let own = site.as_ref().is_some_and(|site| site.contains(self.file));
        let place = if own { site } else { caller.or(site) };
        place.map_or("-".to_owned(), |place| place.rsplit('/').next().unwrap_or(&place).to_owned())
    }

    fn cells(&self) -> [String; 7] {
        let found = if self.found.is_empty() { "-".to_owned() } else { self.found.join(" ") };
        let check = self.finding.as_ref().map_or("-".to_owned(), |finding| finding.check.to_string());
        let verdict = match (self.missed.is_some(), self.twin_silent()) {
            (false, true) if self.untold => "not checked",
            (true, _) => "MISSED",
            (false, false) => "NOISY",
            (false, true) => "caught",
        };
        let twin = match (&self.twin_died, self.twin.is_empty()) {
            (Some(_), _) => "died".to_owned(),
            (None, true) => "silent".to_owned(),
            (None, false) => self.twin.join(" "),
        };
        [
            format!("{} {}", self.row, self.name),
            self.expected.to_string(),
            found,
            check,
            self.place(),
            twin,
            verdict.to_owned(),
        ]
    }
}

/// The place is the fault's own: its file, or a line of the lane that it is planted in.
fn names_place(finding: &Finding, file: &str) -> bool {
    let own = |place: &str| place.contains(file) || place.contains("kernels/src/steps/");
    let site = finding.site.as_ref().is_some_and(|site| own(&site.file));
    site || finding.notes.iter().any(|note| own(note))
}

impl Matrix {
    /// How the command ends.
    pub fn exit_code(&self) -> ExitCode {
        match (self.passed(), self.not_run.is_empty()) {
            (_, false) => ExitCode::Interrupted,
            (true, true) => ExitCode::Passed,
            (false, true) => ExitCode::Findings,
        }
    }

    /// Whether every fault that was tried is caught and every twin is silent.
    fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.missed.is_none() && row.twin_silent())
    }

    fn word(&self) -> &'static str {
        match self.exit_code() {
            ExitCode::Interrupted => "INTERRUPTED",
            ExitCode::Passed => "PASS",
            _ => "FAIL",
        }
    }

    /// The matrix as a table, then what is missed, noisy or not planted, with the reasons.
    pub fn render(&self) -> String {
        let header = ["fault", "expected", "found", "check", "place", "clean twin", "verdict"].map(str::to_owned);
        let mut lines = vec![header];
        lines.extend(self.rows.iter().map(Row::cells));
        let widths: Vec<usize> =
            (0..7).map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for line in &lines {
            let mut row = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(row, "{cell:<width$}  ");
            }
            let _ = writeln!(text, "{}", row.trim_end());
        }
        for row in self.rows.iter().filter(|row| row.missed.is_some()) {
            let reason = row.missed.as_deref().unwrap_or_default();
            let _ = writeln!(text, "\nmissed: {} {} ({})\n  {reason}", row.row, row.name, row.title);
        }
        for row in self.rows.iter().filter(|row| !row.twin_silent()) {
            let _ = writeln!(text, "\nfalse alarm: the clean twin of {} {}", row.row, row.name);
            if let Some(how) = &row.twin_died {
                let _ = writeln!(text, "  it died: {how}");
            }
            for finding in &row.twin_findings {
                let _ = writeln!(text, "  {} {}: {} / {}", finding.id, finding.title, finding.expected, finding.seen);
            }
        }
        for row in self.rows.iter().filter(|row| row.untold) {
            let _ =
                writeln!(text, "\nnot checked: {}, and nothing else tells {} {}", row.why_untold, row.row, row.name);
        }
        if !self.not_planted.is_empty() {
            text.push_str("\nnot planted:\n");
            for not_planted in &self.not_planted {
                let _ = writeln!(text, "  {}  {}", not_planted.row, not_planted.reason);
            }
        }
        let caught = self.rows.iter().filter(|row| row.missed.is_none() && !row.untold).count();
        let placed = self.rows.iter().filter(|row| row.place_named).count();
        let silent = self.rows.iter().filter(|row| row.twin_silent()).count();
        let untold = self.rows.iter().filter(|row| row.untold).count();
        let unchecked = if untold > 0 { format!(", {untold} not checked") } else { String::new() };
        let not_run = match self.not_run.len() {
            0 => String::new(),
            left => format!("; {left} not run"),
        };
        let _ = writeln!(
            text,
            "\n{}: {caught} of {} faults caught under their ids{unchecked}, {placed} with their place named; {silent} of \
             {} clean twins silent{not_run}",
            self.word(),
            self.rows.len(),
            self.rows.len(),
        );
        text
    }
}
