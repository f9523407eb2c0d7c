//! Findings that are known: they are shown, and do not fail the gate.

use graphproof_harness::finding::{Id, Severity};
use graphproof_harness::report::{LaneReport, Verdict};

/// One `[[allow]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// Id of the finding.
    pub id: Id,
    /// The step; every step, if none is named.
    pub step: Option<String>,
    /// Why it is allowed.
    pub reason: String,
    /// Where the entry stands: `graphproof.toml:12`.
    pub place: String,
}

/// The entries, and which of them were of use.
#[derive(Debug, Default)]
pub struct AllowList {
    entries: Vec<Allow>,
    used: Vec<bool>,
    /// Whether a step that the entry is about ran to its end.
    tried: Vec<bool>,
}

impl AllowList {
    /// Of which none was used so far.
    pub fn new(entries: Vec<Allow>) -> Self {
        let fresh = vec![false; entries.len()];
        AllowList { entries, used: fresh.clone(), tried: fresh }
    }

    /// Turns the allowed findings of `report` into warnings with their reason.
    pub fn apply(&mut self, report: &mut LaneReport) {
        if matches!(report.verdict, Verdict::NotRun | Verdict::Interrupted) {
            return;
        }
        let failed = report.failed();
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.step.as_ref().is_some_and(|step| *step != report.step) {
                continue;
            }
            self.tried[index] = true;
            let matching = report.findings.iter_mut().filter(|finding| finding.id == entry.id);
            for finding in matching {
                self.used[index] = true;
                finding.severity = Severity::Warning;
                finding.allowed.get_or_insert_with(|| format!("{} ({})", entry.reason, entry.place));
            }
        }
        if failed && !report.failed() {
            report.verdict = Verdict::Pass;
            if report.steps_compared < report.steps_asked {
                report.not_checked.push(format!(
                    "the run ended after {} of {} replays: nothing is known of the others",
                    report.steps_compared, report.steps_asked
                ));
            }
        }
    }

    /// One line for each entry that matched nothing, though a step that it is about ran.
    pub fn unused(&self) -> Vec<String> {
        let about = |entry: &Allow| match &entry.step {
            Some(step) => format!("no finding {} in step '{step}'", entry.id),
            None => format!("no finding {} in any step", entry.id),
        };
        self.entries
            .iter()
            .enumerate()
            .filter(|(index, _)| self.tried[*index] && !self.used[*index])
            .map(|(_, entry)| format!("{}: unused allow: {}; remove the entry", entry.place, about(entry)))
            .collect()
    }
}
