//! How far a program is, and in short what a process did.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use graphproof_door::{Count, EventKind, Process, Progress};

/// Progress in the terminal's title: the lines are the program's.
pub struct Line {
    terminal: bool,
}

impl Line {
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    pub fn show(&mut self, elapsed: Duration, records: &Path) {
        if self.terminal {
            let progress = Progress::of(records);
            let of = |what| progress.count(what);
            let text = format!(
                "graphproof trace: {} s, {} processes, {} captures, {} graphs, {} launches, {} failed calls",
                elapsed.as_secs(),
                progress.processes,
                of(Count::Captures),
                of(Count::Graphs),
                of(Count::Launches),
                of(Count::Failures)
            );
            self.title(&text);
        }
    }

    fn title(&self, text: &str) {
        // A terminal that is gone needs no title.
        let _ = write!(std::io::stderr(), "\x1b]0;{text}\x07");
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.terminal {
            self.title("");
        }
    }
}

/// One process in a few lines.
pub fn process(process: &Process) -> String {
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    let mut failed = Vec::new();
    for event in process.events() {
        let EventKind::Call(call) = event.kind else { continue };
        *calls.entry(call.base().to_owned()).or_default() += 1;
        if call.failed() && failed.len() < 5 {
            let stack = call.stack.and_then(|id| process.stack(id));
            let place = stack.and_then(|stack| stack.python.first());
            let place = place.map(|frame| format!(" at {}:{} in {}", frame.file, frame.line, frame.function));
            failed.push(format!("\n  {call} -> {}{}", call.result.unwrap_or(0), place.unwrap_or_default()));
        }
    }
    let total: u64 = calls.values().sum();
    let of = |what| process.count(what);
    format!(
        "process {} ({}): {total} calls, {} captures, {} graphs, {} launches, {} failed calls, {} lost, {} overwritten{}",
        process.pid,
        process.start.command.join(" "),
        of(Count::Captures),
        of(Count::Graphs),
        of(Count::Launches),
        of(Count::Failures),
        process.lost,
        process.overwritten,
        failed.concat()
    )
}
