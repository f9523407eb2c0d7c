//! Why two eager runs differ: the second found another poison in what the step has to write. Where the
//! difference follows the poison, run after run, the step reads memory that nobody initialised.

use std::collections::BTreeSet;

use super::judge::Beside;
use super::{EAGER_POISON, Ended, Lane, REPLAY_POISON};
use crate::checks::bits::Pair;
use crate::finding::{Finding, Id};
use crate::step::Role;

/// Runs with each poison that must give the same bits: that much chance is left to a step that is not
/// deterministic for another reason.
const RUNS: usize = 3;

/// A step with more buffers is told without their names.
const MOST_BUFFERS: usize = 32;

impl Lane {
    /// Looks at the buffers that differed between the reference and its control for the first time, and
    /// says of those that read uninitialised memory that they do. The reference is made again at the end.
    pub(super) fn trace_poison(
        &mut self,
        step: u64,
        images: Vec<(usize, Finding)>,
    ) -> Result<Vec<(usize, Finding)>, Ended> {
        let fresh = |(buffer, finding): &(usize, Finding)| {
            let key = (finding.id, *buffer, None);
            (finding.id == Id::V07 && !self.findings.contains_key(&key)).then_some(*buffer)
        };
        let mut follow: BTreeSet<usize> = images.iter().filter_map(fresh).collect();
        if follow.is_empty() {
            return Ok(images);
        }
        for _ in 0..RUNS {
            self.run_poisoned(step, EAGER_POISON, None)?;
            let others = self.differing_images(step)?;
            follow.retain(|buffer| !others.contains(buffer));
        }
        let mut read: Vec<(usize, BTreeSet<usize>)> = Vec::new();
        if !follow.is_empty() {
            self.run_poisoned(step, REPLAY_POISON, None)?;
            self.keep_eager()?;
            for _ in 1..RUNS {
                self.run_poisoned(step, REPLAY_POISON, None)?;
                let others = self.differing_images(step)?;
                follow.retain(|buffer| !others.contains(buffer));
            }
            let poisoned = self.eager.with_role(|role| matches!(role, Role::Output | Role::Scratch));
            for buffer in poisoned.into_iter().take(MOST_BUFFERS).filter(|_| !follow.is_empty()) {
                self.run_poisoned(step, REPLAY_POISON, Some(buffer))?;
                read.push((buffer, self.differing_images(step)?));
            }
        }
        self.run_poisoned(step, EAGER_POISON, None)?;
        self.keep_eager()?;
        let explain = |(buffer, finding): (usize, Finding)| {
            let finding = if finding.id == Id::V07 && follow.contains(&buffer) {
                let sources = read.iter().filter(|(_, differ)| differ.contains(&buffer)).map(|(source, _)| *source);
                self.uninitialised(finding, &sources.collect::<Vec<_>>())
            } else {
                finding
            };
            (buffer, finding)
        };
        Ok(images.into_iter().map(explain).collect())
    }

    /// The finding of a difference that follows the poison in the buffers `sources`.
    fn uninitialised(&self, finding: Finding, sources: &[usize]) -> Finding {
        let names: Vec<String> = sources.iter().map(|&source| format!("'{}'", self.specs[source].name)).collect();
        let what = if names.is_empty() { "a buffer".to_owned() } else { names.join(", ") };
        let finding = Finding {
            help: format!("write {what} in the step before it is read, or clear it there; this is no graph fault"),
            ..finding
        };
        finding.note(format!(
            "it is uninitialised memory: the difference follows what the harness wrote into {what} before the run, \
             {RUNS} runs of {RUNS}"
        ))
    }

    /// An eager run from the state before the step; `odd` starts with the other poison than the rest.
    fn run_poisoned(&mut self, step: u64, poison: u8, odd: Option<usize>) -> Result<(), Ended> {
        let ready =
            (self.state_before.restore(&self.eager, &self.stream)).and_then(|()| self.load(&self.eager, poison));
        self.driver(ready, "copying the inputs in")?;
        if let Some(buffer) = odd {
            let other = if poison == EAGER_POISON { REPLAY_POISON } else { EAGER_POISON };
            let filled = self.eager.memory(buffer).fill(other, &self.stream).and_then(|()| self.stream.synchronize());
            self.driver(filled, "filling a buffer")?;
        }
        self.run_loaded(step).map(|_| ())
    }

    /// The compared buffers in which the eager run that was last differs from what is kept.
    fn differing_images(&mut self, step: u64) -> Result<BTreeSet<usize>, Ended> {
        let judged = self.compare(Pair::EagerEager, Beside::Nothing, step, None)?;
        Ok(judged.images.into_iter().map(|(buffer, _)| buffer).collect())
    }
}
