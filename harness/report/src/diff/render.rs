//! A diff as text: what is around the lanes, a block for each lane, and the verdict.

use std::fmt::Write as _;

use graphproof_harness::report::{Achieved, Verdict};

use super::time::percent;
use super::{Bits, Change, Diff, FindingKey, Judgement, Kind, LaneDiff, Topology, name};
use crate::report::table::{bytes, time};

impl Diff {
    /// The diff as text, ending with the verdict line.
    pub fn render(&self, judgement: &Judgement) -> String {
        let mut text = format!("graphproof diff: {} -> {}\n", self.old, self.new);
        for field in &self.around {
            let _ = writeln!(text, "  {:<10} {} -> {}", field.name, field.old, field.new);
        }
        for source in &self.sources {
            let _ = writeln!(text, "  {:<10} {}: {}", "sources", source.file, source.change);
        }
        for lane in &self.lanes {
            let _ = write!(text, "\n{}", block(lane));
        }
        for job in &self.lost {
            let _ = writeln!(text, "\nlost: {}", name(job));
        }
        for job in &self.added {
            let _ = writeln!(text, "\nnew: {}", name(job));
        }
        let _ = writeln!(text, "\n{}", self.verdict(judgement));
        text
    }

    /// The verdict in one line.
    pub fn verdict(&self, judgement: &Judgement) -> String {
        let word = if judgement.passed() { "PASS" } else { "FAIL" };
        let s = if self.lanes.len() == 1 { "" } else { "s" };
        let mut line = format!("{word}: {} lane{s} compared", self.lanes.len());
        if judgement.passed() && judgement.allowed.is_empty() {
            line.push_str(", no difference that counts");
        }
        if !judgement.failing.is_empty() {
            let _ = write!(line, "; not allowed: {}", kinds(&judgement.failing));
        }
        if !judgement.allowed.is_empty() {
            let _ = write!(line, "; allowed: {}", kinds(&judgement.allowed));
        }
        line
    }
}

/// `bits (fused, decode), memory (fused)`.
fn kinds(changes: &[(Kind, String)]) -> String {
    let mut by_kind: Vec<(Kind, Vec<&str>)> = Vec::new();
    for (kind, lane) in changes {
        match by_kind.iter_mut().find(|(known, _)| known == kind) {
            Some((_, lanes)) if lanes.contains(&lane.as_str()) => {}
            Some((_, lanes)) => lanes.push(lane),
            None => by_kind.push((*kind, vec![lane])),
        }
    }
    by_kind.iter().map(|(kind, lanes)| format!("{kind} ({})", lanes.join(", "))).collect::<Vec<_>>().join(", ")
}

fn block(lane: &LaneDiff) -> String {
    let mut text = format!("{}  {}  seed {}\n", lane.job.step, lane.job.shape, lane.job.seed);
    for (label, words) in lane.rows() {
        let _ = writeln!(text, "  {label:<10} {words}");
        if let ("topology", Topology::Differ { lines }) = (label, &lane.topology) {
            for changed in lines {
                let _ = writeln!(text, "  {:<10} {changed}", "");
            }
        }
    }
    text
}

impl LaneDiff {
    /// What changed, in rows of a label and words; the lines of another graph aside.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        let (old, new) = self.verdict;
        if old != new {
            rows.push(("verdict", format!("{} -> {}", verdict(old), verdict(new))));
        }
        rows.push(("bits", bits(&self.bits)));
        let topology = match &self.topology {
            Topology::Same => "the same",
            Topology::Neither => "no graph in either run",
            Topology::OnlyIn { new: true } => "the old run captured no graph",
            Topology::OnlyIn { new: false } => "the new run captured no graph",
            Topology::Differ { .. } => "differs",
        };
        rows.push(("topology", topology.to_owned()));
        if let (Some(old), Some(new)) = self.launches {
            rows.push(("launches", if old == new { format!("{old}") } else { format!("{old} -> {new}") }));
        }
        rows.push(("memory", memory(self)));
        rows.push(("time", times(self)));
        if let Some(change) = &self.times.device {
            rows.push(("device", format!("replay {}", change_in_words(change, time))));
        }
        if let Some((old, new)) = &self.speed {
            rows.push(("speed", speed(old, new)));
        }
        for (word, findings) in [("gained", &self.gained), ("lost", &self.lost)] {
            rows.extend(findings.iter().map(|finding| ("findings", format!("{word} {}", words(finding)))));
        }
        rows.extend(self.no_longer_checked.iter().map(|reason| ("unchecked", reason.clone())));
        rows
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Interrupted => "interrupted",
        Verdict::NotRun => "not run",
    }
}

fn words(finding: &FindingKey) -> String {
    let FindingKey { id, severity, title, what } = finding;
    let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
    format!("{severity}[{id}]: {title}{what}")
}

fn bits(bits: &Bits) -> String {
    match bits {
        Bits::Same { steps } => format!("the same in {steps} steps"),
        Bits::Differ { first, differing, steps, buffers } => {
            let buffers = if buffers.is_empty() { String::new() } else { format!(": {}", buffers.join(", ")) };
            format!("differ from step {first} on, in {differing} of {steps} steps{buffers}")
        }
        Bits::OtherInputs => "not compared: the inputs differ".to_owned(),
        Bits::NotCompared { reason } => format!("not compared: {reason}"),
    }
}

fn memory(lane: &LaneDiff) -> String {
    let Some(memory) = &lane.memory else { return "not measured in both runs".to_owned() };
    let change = |old: u64, new: u64| {
        if old == new {
            return bytes(old);
        }
        // Two sizes that print alike are told apart by their bytes.
        let (a, b) = (bytes(old), bytes(new));
        let (a, b) = if a == b { (format!("{old} B"), format!("{new} B")) } else { (a, b) };
        format!("{a} -> {b} ({:+.2} %)", percent(old, new))
    };
    let mut words = change(memory.high_water.0, memory.high_water.1);
    if let (Some(old), Some(new)) = memory.closed_form {
        let _ = write!(words, ", closed form {}", if old == new { "the same".to_owned() } else { change(old, new) });
    }
    for buffer in &memory.buffers {
        let _ = write!(words, "; {} {} -> {}", buffer.name, bytes(buffer.old), bytes(buffer.new));
    }
    words
}

fn times(lane: &LaneDiff) -> String {
    let ratio = |value: u64| format!("x{:.3}", value as f64 / 1000.0);
    let replay = match &lane.times.replay {
        Some(change) => format!("replay {}", change_in_words(change, time)),
        None => "replays not compared (another device, or no times)".to_owned(),
    };
    match &lane.times.replay_per_eager {
        Some(change) => format!("{replay}; of eager {}", change_in_words(change, ratio)),
        None => replay,
    }
}

/// What a lane achieved in both runs, and beside what.
fn speed(old: &Achieved, new: &Achieved) -> String {
    let mut words = format!("{:.1} -> {:.1} TFLOP/s", old.tflops, new.tflops);
    if let (Some(old), Some(new)) = (&old.ceiling, &new.ceiling) {
        let _ = write!(words, "; {:.1} % -> {:.1} % of {}", old.share * 100.0, new.share * 100.0, new.what);
    }
    if let (Some(old), Some(new)) = (&old.beside, &new.beside) {
        let _ = write!(words, "; {:.2} -> {:.2} times as fast as {}", old.times_as_fast, new.times_as_fast, new.step);
    }
    words
}

fn change_in_words(change: &Change, unit: impl Fn(u64) -> String) -> String {
    let verdict = if change.noise { "within the spread: noise" } else { "beyond the spread" };
    format!("{} -> {} ({:+.1} %, {verdict})", unit(change.median.0), unit(change.median.1), change.percent())
}
