//! How far a program is.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use graphproof_door::{Count, Progress};

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
