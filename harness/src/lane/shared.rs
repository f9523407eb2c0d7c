//! Memory that two graphs of a process share, where the driver does not tell what kernels touch: what the runs of one
//! changed is put back and put there again, and the other is replayed with either.

use super::judge::Beside;
use super::mapped::allocation;
use super::{Captured, Ended, Lane};
use crate::checks::bits::Pair;
use crate::checks::{beside, outside};
use crate::memory_map::Change;
use crate::spans::Spans;

impl Lane {
    /// The finding for another graph of the process that changes what this one's results follow. Both have been
    /// replayed in turn.
    pub(super) fn judge_shared(
        &mut self,
        (graph, _): (&Captured, &str),
        theirs: &mut Lane,
        (other, name): (&Captured, &str),
    ) -> Result<(), Ended> {
        let buffers = outside::declared(&self.replay);
        for at in 0..theirs.mapped.runs.len() {
            let (step, _, changes) = &theirs.mapped.runs[at];
            let outside = changes.spans.without(&theirs.own_memory());
            let direct = outside.common(&buffers);
            let tried = changes.within(if direct.is_empty() { &outside } else { &direct });
            if tried.is_empty() {
                continue;
            }
            let step = *step;
            let reader = if direct.is_empty() { self.replay_follows(graph, &tried)? } else { Some(None) };
            let Some(reader) = reader else { continue };
            // What only their eager run changes is no fault of graphs.
            let Some(writer) = theirs.writer_outside(other, step, tried.first())? else { continue };
            let spans = Spans::of(tried.iter().map(Change::span)).in_words();
            let Some(first) = spans.first() else { continue };
            let site = reader.and_then(|buffer| self.user_of(buffer));
            let harmed = ((first, spans.bytes()), &self.replay);
            let found = beside::changed(harmed, (&writer, &other.topology, name), site, step);
            self.keep_all(vec![allocation(found, first.0)]);
            return Ok(());
        }
        Ok(())
    }

    /// Whether results of the graph follow these bytes, and the buffer that differs.
    fn replay_follows(&mut self, graph: &Captured, changes: &[Change]) -> Result<Option<Option<usize>>, Ended> {
        let mut follows = None;
        for (at, put) in [Change::undo, Change::undo, Change::redo].into_iter().enumerate() {
            let written = changes.iter().try_for_each(put);
            self.driver(written, "writing memory outside the step")?;
            if !self.replay_from_start(graph, at == 0)?.0 {
                return Ok(None);
            }
            if at > 0 {
                let differing = self.evidence.differing.clone();
                let judged = self.compare(Pair::ReplayReplay, Beside::Nothing, 0, Some(&graph.topology))?;
                self.evidence.differing = differing;
                match judged.images.first() {
                    // It does not agree with itself: this shows nothing.
                    Some(_) if at == 1 => break,
                    Some((buffer, _)) => follows = Some(Some(*buffer)),
                    None => {}
                }
            }
        }
        let written = changes.iter().try_for_each(Change::redo);
        self.driver(written, "writing memory outside the step")?;
        Ok(follows)
    }
}
