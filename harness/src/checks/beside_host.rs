//! Work of another host thread beside a replay.

use crate::finding::{Check, Finding, Id, Site};

const CHECK: Check = Check::HostThreads;

/// The finding for a result that `differs` from the eager one where another host thread was at work, whose last
/// call stood at `site`. `pairs` are the races that were seen.
pub fn finding(differs: Finding, site: Option<Site>, pairs: &[Finding]) -> Finding {
    let found = Finding { step: differs.step, ..Finding::new(Id::L07, CHECK) }
        .contrast(differs.expected, differs.seen)
        .at(site.or(differs.site))
        .note("the replay had not run when the other thread did its work");
    match pairs.first() {
        Some(pair) => Finding { origin: pair.origin.clone(), ..found.at(pair.site.clone()) }
            .note(format!("the two: {}", pair.seen)),
        None => found,
    }
}
