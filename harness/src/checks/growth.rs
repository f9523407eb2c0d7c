//! Growth: what a run of many replays takes and does not give back.

use std::time::{Duration, Instant};

use super::calls::at_stack;
use super::trend::Trend;
use crate::calls::{ALLOCATIONS, Handles, PINNED};
use crate::finding::{Check, Finding, Id, Site};

const CHECK: Check = Check::Growth;

/// Fewer samples say nothing: caches fill up at first.
const FEWEST: usize = 4;

/// A process's own memory comes and goes in pages, and an allocator keeps some: what rises by less
/// than this between two samples is not counted. 64 KiB is also what Linux may be off for each
/// thread (proc(5)).
const HOST_NOISE: u64 = 64 << 10;
/// The same for the first samples: the software device's memory is the process's, and each step touches
/// new pages of it (some 120 KiB at small shapes) until its quarantine of freed ranges is full.
const HOST_NOISE_AT_FIRST: u64 = 256 << 10;
/// How long what is free is watched while the step rests, at least and at most.
const REST: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// Samples by which that has settled.
const SETTLED: usize = 32;

/// Memory in use after replays, in bytes, with the step: oldest first.
#[derive(Debug, Default)]
pub struct Samples {
    /// Device memory that is free.
    pub free: Vec<(u64, u64)>,
    /// Device memory that graphs' allocation nodes hold, where the driver counts it.
    pub graph: Vec<(u64, u64)>,
    /// Resident memory of the process.
    pub host: Vec<(u64, u64)>,
}

/// A rise that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slope {
    first: (u64, u64),
    last: u64,
    gained: u64,
    a_step: u64,
}

impl Slope {
    /// In words: `direction` is `more` or `fewer`.
    fn told(&self, direction: &str) -> String {
        let Slope { first, last, gained, a_step } = self;
        format!("{gained} bytes {direction} {} steps later: {a_step} bytes a step", last - first.0)
    }
}

/// The slope of `used`, if it rises by more than `noise` in three of four pairs of samples. A single
/// rise is a cache, or another process; a slope is a leak.
fn slope(used: &[(u64, u64)], noise: u64) -> Option<Slope> {
    if used.len() < FEWEST {
        return None;
    }
    let rises = used.windows(2).filter(|pair| pair[1].1 > pair[0].1.saturating_add(noise)).count();
    let (first, last) = (*used.first()?, *used.last()?);
    let gained = last.1.saturating_sub(first.1);
    if rises * 4 < (used.len() - 1) * 3 || gained == 0 {
        return None;
    }
    Some(Slope { first, last: last.0, gained, a_step: gained / (last.0 - first.0).max(1) })
}

/// Whether nothing but the device's free memory says that the run takes some: that counts every process's.
pub fn only_free_memory_falls(samples: &Samples) -> bool {
    slope(&samples.graph, 0).is_none() && slope(&used(samples), 0).is_some()
}

/// Whether what is `free` changes while the step rests, for as long as the samples took: then somebody else takes
/// it, or may have.
pub fn changes_at_rest(sampled: Duration, mut free: impl FnMut() -> Option<u64>) -> bool {
    let (began, first) = (Instant::now(), free());
    let [least, most] = REST;
    while began.elapsed() < sampled.clamp(least, most) {
        if free() != first {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

fn used(samples: &Samples) -> Vec<(u64, u64)> {
    samples.free.iter().map(|&(step, free)| (step, u64::MAX - free)).collect()
}

/// Device memory must not shrink with each replay. `handles` knows who allocates between replays,
/// where the driver keeps a record; `work` is where the step's host work was last seen.
pub fn device(samples: &Samples, handles: &Handles, work: Option<&Site>) -> Option<Finding> {
    let graph = slope(&samples.graph, 0);
    let finding = match (slope(&used(samples), 0), graph) {
        (Some(found), _) => Finding::new(Id::L01, CHECK).at_step(found.last).contrast(
            format!("{} bytes of device memory are free, as after step {}", u64::MAX - found.first.1, found.first.0),
            found.told("fewer"),
        ),
        (None, Some(found)) => Finding::new(Id::L01, CHECK).at_step(found.last).contrast(
            format!("graphs hold {} bytes of device memory, as after step {}", found.first.1, found.first.0),
            found.told("more"),
        ),
        (None, None) => return None,
    };
    let finding = match graph {
        Some(graph) => finding.note(format!("allocations of graphs grow by {} bytes a step", graph.a_step)),
        None => finding,
    };
    Some(at_stack(finding.at(work.cloned()), handles.stack(ALLOCATIONS)))
}

/// The process's own memory must not grow with each replay.
pub fn host(samples: &Samples, handles: &Handles, work: Option<&Site>) -> Option<Finding> {
    let noise = if samples.host.len() < SETTLED { HOST_NOISE_AT_FIRST } else { HOST_NOISE };
    let found = slope(&samples.host, noise)?;
    let finding = Finding::new(Id::L04, CHECK).at_step(found.last).contrast(
        format!("the process holds {} bytes of memory, as after step {}", found.first.1, found.first.0),
        found.told("more"),
    );
    Some(at_stack(finding.at(work.cloned()), handles.stack(PINNED)))
}

/// Driver objects made and destroyed by the host's work between `replays` replays.
pub fn handles(handles: &Handles, replays: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, made, destroyed) in handles.counts().filter(|(kind, ..)| ![ALLOCATIONS, PINNED].contains(kind)) {
        // One for each replay, or fewer that go on and on; a few are kept for ever, and may be.
        let each = replays >= FEWEST as u64 && made.saturating_sub(destroyed) >= replays.saturating_sub(1);
        let trend = Trend::of(handles.alive(kind));
        if each || trend.is_some() {
            findings.push(piled_up(Id::L02, (kind, made, destroyed), (handles, replays), trend));
        }
    }
    findings
}

/// Device allocations that pile up, fewer than one a replay: what is free falls in too few samples then to be told by
/// itself, but fall it must. An allocation may have been freed where nobody counts.
pub fn allocations(samples: &Samples, handles: &Handles, replays: u64) -> Option<Finding> {
    let (first, last) = (samples.free.first()?, samples.free.last()?);
    slowly(Id::L01, ALLOCATIONS, handles, replays).filter(|_| last.1 < first.1)
}

/// Pinned allocations that pile up, fewer than one a replay.
pub fn pinned(handles: &Handles, replays: u64) -> Option<Finding> {
    slowly(Id::L04, PINNED, handles, replays)
}

fn slowly(id: Id, of: &str, handles: &Handles, replays: u64) -> Option<Finding> {
    let counted = handles.counts().find(|(kind, ..)| *kind == of)?;
    let trend = Trend::of(handles.alive(of))?;
    Some(piled_up(id, counted, (handles, replays), Some(trend)))
}

fn piled_up(
    id: Id,
    (kind, made, destroyed): (&str, u64, u64),
    (handles, replays): (&Handles, u64),
    trend: Option<Trend>,
) -> Finding {
    let finding = at_stack(Finding::new(id, CHECK), handles.stack(kind)).contrast(
        format!("as many {kind} destroyed as made"),
        format!("{made} made and {destroyed} destroyed in {replays} replays"),
    );
    match trend {
        Some(Trend { a_step, error }) => finding.note(format!(
            "{a_step:.2} ± {:.2} more after each replay, by regression over the last three quarters of the run",
            2.0 * error
        )),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
        (0..8).map(|step| (step, of(step))).collect()
    }

    #[test]
    fn a_slope_is_a_leak_and_a_step_is_not() {
        let none = Handles::default();
        let device = |free| device(&Samples { free, ..Samples::default() }, &none, None);
        let finding = device(samples(|step| 1000 - 10 * step)).unwrap();
        assert_eq!(finding.expected, "1000 bytes of device memory are free, as after step 0");
        assert_eq!(finding.seen, "70 bytes fewer 7 steps later: 10 bytes a step");
        assert!(device(samples(|step| if step < 4 { 1000 } else { 900 })).is_none());
        assert!(device(samples(|step| 1000 - 10 * step)[..3].to_vec()).is_none());
    }

    #[test]
    fn what_is_free_is_watched_at_rest() {
        let mut free = [9, 9, 9, 8].into_iter().chain(std::iter::repeat(8));
        assert!(changes_at_rest(Duration::ZERO, || free.next()));
        assert!(!changes_at_rest(Duration::ZERO, || Some(9)));
        let falls = Samples { free: samples(|step| 1000 - step), ..Samples::default() };
        assert!(only_free_memory_falls(&falls));
        // A graph's memory is the process's own.
        assert!(!only_free_memory_falls(&Samples { graph: samples(|step| step), ..falls }));
    }

    #[test]
    fn memory_of_graphs_counts_where_free_memory_stands_still() {
        let graph = samples(|step| 4096 * step);
        let finding = device(&Samples { graph, free: samples(|_| 9), ..Samples::default() }, &Handles::default(), None);
        assert!(finding.unwrap().seen.ends_with("4096 bytes a step"));
    }

    #[test]
    fn an_allocator_that_warms_up_is_no_leak() {
        let site = Site { what: "host work".into(), file: "step.rs".into(), line: 7, ..Site::default() };
        let host = |host| host_finding(host, &site);
        // Steep at first, then flat; and a few pages in each step.
        assert!(host(samples(|step| [0, 90, 160, 200, 220, 220, 221, 221][step as usize] << 20)).is_none());
        assert!(host(samples(|step| 4096 * step)).is_none());
        assert!(host(samples(|step| (118 << 10) * step)).is_none());
        let long = (0..64).map(|step| (step, (118 << 10) * step)).collect();
        assert!(host(long).is_some());
        let finding = host(samples(|step| (1 << 20) * step)).unwrap();
        assert_eq!((finding.id.as_str(), finding.site), ("L04", Some(site.clone())));
    }

    fn host_finding(samples: Vec<(u64, u64)>, site: &Site) -> Option<Finding> {
        host(&Samples { host: samples, ..Samples::default() }, &Handles::default(), Some(site))
    }
}
