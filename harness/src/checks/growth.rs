//! Growth: what a run of many replays takes and does not give back.

use super::calls::at_stack;
use crate::calls::{ALLOCATIONS, Handles};
use crate::finding::Finding;

const CHECK: &str = "growth";

/// Fewer samples say nothing: caches fill up at first.
const FEWEST: usize = 4;

/// Free device memory after replays, in bytes, oldest first: it must not fall with each of them.
/// `handles` knows who allocates between replays, where the driver keeps a record.
pub fn memory(free: &[(u64, u64)], handles: &Handles) -> Option<Finding> {
    if free.len() < FEWEST {
        return None;
    }
    let falls = free.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    let (first, last) = (free.first()?, free.last()?);
    let lost = first.1.saturating_sub(last.1);
    // A single step is a cache, or another process; a slope is a leak.
    if falls * 4 < (free.len() - 1) * 3 || lost == 0 {
        return None;
    }
    let steps = (last.0 - first.0).max(1);
    let finding = Finding::new("L01", CHECK).at_step(last.0).contrast(
        format!("{} bytes of device memory are free, as after step {}", first.1, first.0),
        format!("{lost} bytes fewer {steps} steps later: {} bytes a step", lost / steps),
    );
    Some(at_stack(finding, handles.stack(ALLOCATIONS)))
}

/// Driver objects made and destroyed by the host's work between `replays` replays.
pub fn handles(handles: &Handles, replays: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, made, destroyed) in handles.counts().filter(|(kind, ..)| *kind != ALLOCATIONS) {
        // One for each replay; a few are kept for ever, and may be.
        if replays >= FEWEST as u64 && made.saturating_sub(destroyed) >= replays.saturating_sub(1) {
            findings.push(at_stack(Finding::new("L02", CHECK), handles.stack(kind)).contrast(
                format!("as many {kind} destroyed as made"),
                format!("{made} made and {destroyed} destroyed in {replays} replays"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_a_leak_and_a_step_is_not() {
        let falling: Vec<_> = (0..8).map(|step| (step, 1000 - 10 * step)).collect();
        let none = Handles::default();
        let finding = memory(&falling, &none).unwrap();
        assert!(finding.seen.contains("10 bytes a step"), "{}", finding.seen);
        let once: Vec<_> = (0..8).map(|step| (step, if step < 4 { 1000 } else { 900 })).collect();
        assert!(memory(&once, &none).is_none());
        assert!(memory(&falling[..3], &none).is_none());
    }
}
