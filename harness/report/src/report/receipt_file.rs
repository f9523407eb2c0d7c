//! The receipt as a reporter.

use super::{Event, Reporter};
use crate::receipt::AtomicFile;

/// Writes the receipt when the run has ended. That of a run which was stopped says so.
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
            Event::RunEnded { receipt, .. } => self.0.write_json(receipt),
            _ => Ok(()),
        }
    }
}
