//! Whether two captures differ for another reason than the buffers that they stand on.
//!
//! A number may be made from an address in any way: shifted into a descriptor, split, tagged, taken as a
//! distance, looked up in a table of the step's own. No list of encodings would be complete. But a graph
//! is replayed on the buffers that it was captured on, so what follows from them alone is right: a
//! difference counts only if captures on the *same* buffers differ too.

use std::collections::HashSet;

use super::probes::On;
use super::{Captured, Ended, Lane};
use crate::checks::baked::{self, Capture, Difference, Place};
use crate::topology::Topology;

/// Two on the graph's buffers, then two on the eager ones. After the first capture on the former and
/// the second on the latter the order is a b a a b b: what only alternates from call to call is not
/// taken for an address.
const ORDER: [On; 4] = [On::Replay, On::Replay, On::Eager, On::Eager];

impl Lane {
    /// Those of `differs` that the buffers do not explain. `first` stands on the graph's
    /// buffers, `second` on the eager ones, captured at `step`.
    pub(super) fn not_by_buffers(
        &mut self,
        differs: Vec<Difference>,
        first: &Captured,
        second: &Topology,
        step: u64,
    ) -> Result<Vec<Difference>, Ended> {
        let mut varies: HashSet<Place> = HashSet::new();
        if differs.iter().any(|difference| difference.by_buffers && !self.is_known(&difference.finding)) {
            for on in ORDER {
                let again = self.capture_on(on, step)?;
                let (then, at) = match on {
                    On::Replay => (&first.topology, first.step),
                    On::Eager => (second, step),
                };
                let buffers = self.set(on);
                let then = Capture { topology: then, buffers, step: at };
                let found = baked::check(then, Capture { topology: &again, buffers, step });
                varies.extend(found.iter().map(|difference| difference.place));
            }
        } else {
            varies.extend(differs.iter().map(|difference| difference.place));
        }
        // Where the number of nodes varies, no place within it can be compared.
        let counts = |difference: &Difference| {
            !difference.by_buffers || varies.contains(&difference.place) || varies.contains(&Place::Graph)
        };
        Ok(differs.into_iter().filter(counts).collect())
    }
}
