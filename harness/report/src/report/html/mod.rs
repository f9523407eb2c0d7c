//! `--html`: the run as one HTML file, to be looked at, mailed and kept.
//!
//! The file needs nothing else: no network, no script to build, no font. It is drawn from the
//! receipt alone. What is drawn is bounded, so that the file stays below [`MOST_BYTES`] whatever
//! the receipt holds; what was left out is said where it would have stood.

mod cliff;
mod diff;
mod findings;
mod graph;
mod lanes;
mod links;
mod markdown;
mod memory;
mod origin;
mod page;
mod program;
mod room;
mod steps;
mod ticks;
mod timeline;
mod times;
pub(crate) mod units;

use super::{Event, Reporter};
use crate::receipt::AtomicFile;

pub use diff::diff_page;
pub use page::page;
pub use program::program;

/// A report is smaller than this.
pub const MOST_BYTES: usize = 2 << 20;

/// Writes the report when the run has ended. A run that was stopped says so in it.
pub struct HtmlReport(AtomicFile);

impl HtmlReport {
    /// Writes to `file`.
    pub fn new(file: AtomicFile) -> Self {
        HtmlReport(file)
    }
}

impl Reporter for HtmlReport {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunEnded { receipt, .. } => self.0.write(page(receipt).as_bytes()),
            _ => Ok(()),
        }
    }
}
