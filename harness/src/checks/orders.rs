//! Results that depend on an order which CUDA leaves open.

use crate::driver::EXTREME_ORDERS;
use crate::finding::{Check, Finding, Id};

/// The finding for a result under the order of `seed` that differs, as `difference` tells it; `pairs` are the
/// races that a watched replay under that order has shown.
pub fn finding(difference: Finding, seed: u64, pairs: &[Finding]) -> Finding {
    let found = Finding::new(Id::V15, Check::Orders)
        .contrast(difference.expected, difference.seen)
        .at(difference.site)
        .note(order(seed));
    let found = difference.notes.into_iter().fold(found, Finding::note);
    match pairs.first() {
        Some(pair) => {
            let found = found.note(format!("the two whose order matters: {}", pair.seen));
            Finding { origin: pair.origin.clone(), ..found.at(pair.site.clone()) }
        }
        None => found.note(
            "no two pieces of work touch the same bytes without an order: it is the order of blocks or warps within one, \
             or what a kernel that begins early does before it waits",
        ),
    }
}

fn order(seed: u64) -> String {
    let extreme = |what| format!("in the order in which what could run {what} does; `--orders 1` comes to it again");
    match EXTREME_ORDERS {
        [first, _] if seed == first => extreme("first"),
        [_, last] if seed == last => extreme("last"),
        _ => format!("under the order of seed {seed}; `--orders {seed}` comes to it again"),
    }
}
