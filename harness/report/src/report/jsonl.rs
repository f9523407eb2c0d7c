//! Events as JSON, one a line.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Event, Reporter, escape};

/// Progress is told at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Writes each event as one line of JSON, at once.
pub struct JsonLines<W> {
    out: W,
    name: String,
    last_progress: Option<Instant>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`, which errors call `name`.
    pub fn new(out: W, name: impl Into<String>) -> Self {
        JsonLines { out, name: name.into(), last_progress: None }
    }
}

impl<W: Write> Reporter for JsonLines<W> {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        if let Event::Progress { done, asked, .. } = event {
            let soon = self.last_progress.is_some_and(|last| last.elapsed() < PROGRESS_EVERY);
            if soon && done < asked {
                return Ok(());
            }
            self.last_progress = Some(Instant::now());
        }
        let line = escape::json(serde_json::to_string(event)?) + "\n";
        self.out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.flush())
            .with_context(|| format!("events cannot be written to {}", self.name))
    }
}
