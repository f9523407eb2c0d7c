//! The buffers that a graph is captured on are used eagerly before, as engines warm up on their static
//! buffers: a cache that is keyed by addresses is full then, and nothing is allocated or loaded under
//! capture that would not be in production.

use super::parts::Part;
use super::{Captured, Ended, Lane, REPLAY_POISON};
use crate::checks::faults;
use crate::finding::Id;

impl Lane {
    /// Runs the step eagerly on the replay's buffers. State is as before afterwards.
    pub(super) fn warm_up(&mut self, step: u64) -> Result<(), Ended> {
        self.heartbeat.enter("warm-up", step);
        self.parts.begin_whole(Part::Control);
        let ready =
            (self.state_before.save(&self.replay, &self.stream)).and_then(|()| self.load(&self.replay, REPLAY_POISON));
        self.driver(ready, "copying the inputs in")?;
        let (recorded, enqueued) = self.record(&self.replay, false);
        self.note_eager_work(&enqueued, step);
        if let Err(error) = recorded {
            return Err(self.stop(faults::eager_step(&error, &enqueued, step), error.is_sticky()));
        }
        if let Err(error) = self.wait() {
            return Err(self.stop(faults::run_failed(Id::E02, &error, &enqueued, step), error.is_sticky()));
        }
        let restored = self.state_before.restore(&self.replay, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.parts.end_whole();
        Ok(())
    }

    /// Captures without a run before, which for a large step takes long; where that fails, with one.
    pub(super) fn capture_cold(&mut self, step: u64) -> Result<Captured, Ended> {
        match self.capture(step) {
            Err(Ended::Stop) if !self.poisoned => {
                self.take_findings();
                self.warm_up(step)?;
                self.capture(step)
            }
            captured => captured,
        }
    }
}
