//! What a running program has done so far.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::layout::{COUNTS, Count, PAGE};
use crate::read::header_of;
use crate::save::records_of;

/// Counts of all processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Processes with a record.
    pub processes: u64,
    counts: [u64; COUNTS],
}

impl Progress {
    /// Reads the headers of the records in `folder`; what cannot be read is left out.
    pub fn of(folder: &Path) -> Self {
        let mut progress = Self::default();
        for path in records_of(folder).unwrap_or_default() {
            let mut page = [0; PAGE];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut page));
            if let Some(header) = read.ok().and_then(|()| header_of(&page)) {
                progress.processes += 1;
                progress.counts.iter_mut().zip(header.counts).for_each(|(sum, count)| *sum += count);
            }
        }
        progress
    }

    /// How often that was done.
    pub fn count(&self, what: Count) -> u64 {
        self.counts[what as usize]
    }
}
