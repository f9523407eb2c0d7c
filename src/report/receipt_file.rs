//! The receipt as a reporter.

use graphproof_harness::report::Verdict;

use super::{Event, Reporter};
use crate::receipt::AtomicFile;

/// Writes the receipt when the run has ended. A run that was stopped leaves none.
pub struct ReceiptWriter(AtomicFile);

impl ReceiptWriter {
    /// Writes to `file`.
    pub fn new(file: AtomicFile) -> Self {
        ReceiptWriter(file)
    }
}

impl Reporter for ReceiptWriter {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunEnded { receipt, verdict, .. } if *verdict != Verdict::Interrupted => self.0.write_json(receipt),
            Event::RunEnded { .. } => {
                eprintln!("interrupted: no receipt was written to {}", self.0.path().display());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
