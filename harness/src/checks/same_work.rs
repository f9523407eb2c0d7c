//! The same work: what the step enqueues under capture is what it enqueues eagerly.
//!
//! A step that asks whether it is captured, and does something else then, is tested in one way and
//! replayed in another.

use crate::context::Enqueued;
use crate::finding::{Check, Finding, Id};

const CHECK: Check = Check::SameWork;

/// Compares the work enqueued by eager runs with that of the capture on the same inputs. It must be
/// that of one of them: a first run may fill a cache that later ones find full. What differs is told
/// beside the last eager run.
pub fn check(eager: &[Vec<Enqueued>], captured: &[Enqueued], step: u64) -> Option<Finding> {
    let work = |list: &[Enqueued]| list.iter().filter(|work| enqueues(&work.site.what)).cloned().collect::<Vec<_>>();
    let captured = work(captured);
    let differs = |(a, b): (&Enqueued, &Enqueued)| a.site.what != b.site.what;
    let parts = |eager: &[Enqueued]| {
        let common = eager.len().min(captured.len());
        let at = eager.iter().zip(&captured).position(differs).unwrap_or(common);
        (at < eager.len() || at < captured.len()).then_some(at)
    };
    let runs: Vec<_> = eager.iter().map(|eager| work(eager)).collect();
    if runs.iter().any(|eager| parts(eager).is_none()) {
        return None;
    }
    let eager = runs.last()?;
    let at = parts(eager)?;
    let say = |list: &[Enqueued]| list.get(at).map_or("nothing more".to_owned(), |work| work.site.what.clone());
    let site = captured.get(at).or_else(|| eager.get(at)).map(|work| work.site.clone());
    Some(
        Finding::new(Id::V04, CHECK)
            .at_step(step)
            .at(site)
            .began(eager.get(at).map(|work| work.site.clone()))
            .contrast(
                format!("call {at} eagerly: {}", say(eager)),
                format!("call {at} under capture: {}", say(&captured)),
            ),
    )
}

/// Whether a call puts work on a stream, by what a site says of it.
pub(super) fn enqueues(what: &str) -> bool {
    ["launch of ", "memset of ", "copy of ", "cuLaunchKernel", "cuMemset", "cuMemcpy"]
        .iter()
        .any(|name| what.starts_with(name))
}
