//! What the driver calls of a whole program say: `graphproof trace`, and `graphproof report` of its record.
//!
//! [`analyse`] walks over the recorded events of each process once. Beside the walk stand the capture
//! model as a shadow of the driver, a ledger of all memory, the graphs as they were read back, and the
//! driver's objects. What they find are findings of the gate's catalogue, by the check `trace`; the rest
//! of the [`Report`] are facts; `graphproof_report` tells them on a terminal and as a page.

mod analysis;
mod broken;
mod calls;
mod captures;
mod copies;
mod forks;
mod graphs;
mod memory;
mod objects;
mod place;
mod replays;
pub mod report;
mod shadow;
mod tensor_maps;
mod words;

use graphproof_door::Trace;

pub use report::{Report, Verdict};

/// Judges what was recorded of a program.
pub fn analyse(trace: &Trace) -> Report {
    let processes = trace.processes.iter().map(analysis::of_process).collect();
    let unread = trace.unread.iter().map(|(name, why)| format!("{name} could not be read: {why}"));
    Report::of(processes, unread.collect())
}
