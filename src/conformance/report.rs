//! What a person reads of a run.

use std::collections::BTreeMap;
use std::fmt;

use super::format::Evidence;
use super::judge::{CaseResult, Kind};
use super::suite::Outcome;

impl fmt::Display for CaseResult {
    /// The cell, its result, and where it failed each differing call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<22} {} ({})", self.kind.name(), self.id, self.evidence.name())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if self.kind != Kind::Skip {
            for mismatch in &self.mismatches {
                let golden = if mismatch.from_golden { ", as the golden file records" } else { "" };
                write!(f, "\n    line {}: {}", mismatch.line, mismatch.call)?;
                write!(f, "\n        expected {}{golden}", mismatch.expected)?;
                write!(f, "\n        saw      {}", mismatch.saw)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    /// The unexpected cells, what contradicts the golden file, then the counts by evidence tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in self.results.iter().filter(|result| result.unexpected) {
            writeln!(f, "{result}")?;
        }
        for id in &self.stale {
            writeln!(f, "stale baseline         {id}: no such cell")?;
        }
        for found in &self.contradictions {
            let (id, line, evidence) = (&found.id, found.line, found.evidence.name());
            writeln!(f, "contradicted           {id} ({evidence}), line {line}: {}", found.call)?;
            writeln!(f, "        the case says    {}", found.expected)?;
            writeln!(f, "        NVIDIA's driver  {}", found.golden)?;
        }
        let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
        for result in self.results.iter().filter(|result| result.kind == Kind::Skip) {
            *skipped.entry(&result.detail).or_default() += 1;
        }
        for (reason, cells) in skipped {
            writeln!(f, "skip {cells:>17} {}: {reason}", if cells == 1 { "cell" } else { "cells" })?;
        }
        let counts = self.counts_by_evidence();
        let shown: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| *kind == Kind::Pass || self.results.iter().any(|result| result.kind == *kind))
            .collect();
        write!(f, "{:<12}{:>7}", "evidence", "cells")?;
        shown.iter().try_for_each(|kind| write!(f, "  {}", kind.name()))?;
        writeln!(f)?;
        for tag in Evidence::ALL {
            let of_tag = counts.get(&tag);
            let count = |kind: &Kind| of_tag.and_then(|counts| counts.get(kind)).copied().unwrap_or(0);
            let total: usize = Kind::ALL.iter().map(count).sum();
            write!(f, "{:<12}{total:>7}", tag.name())?;
            shown.iter().try_for_each(|kind| write!(f, "  {:>width$}", count(kind), width = kind.name().len()))?;
            writeln!(f)?;
        }
        write!(f, "{:<12}{:>7}", "all", self.results.len())?;
        let all = self.counts();
        shown.iter().try_for_each(|kind| {
            write!(f, "  {:>width$}", all.get(kind).copied().unwrap_or(0), width = kind.name().len())
        })?;
        writeln!(f)?;
        let unexpected = self.results.iter().filter(|result| result.unexpected).count();
        let (major, minor) = (self.driver / 1000, self.driver % 1000 / 10);
        write!(f, "driver {major}.{minor}, golden file with {} cells, ", self.golden_cells)?;
        if self.not_run > 0 {
            write!(f, "INTERRUPTED: {} cells not run, ", self.not_run)?;
        }
        match (unexpected, self.stale.len()) {
            (0, 0) => write!(f, "no unexpected row"),
            (rows, 0) => write!(f, "{rows} unexpected rows"),
            (rows, stale) => write!(f, "{rows} unexpected rows, {stale} stale lines in the baseline"),
        }
    }
}
