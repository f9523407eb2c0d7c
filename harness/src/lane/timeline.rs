//! Runs drawn on a line of time, for reports: host calls beside device work.

use super::parts::Part;
use super::{Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON};
use crate::calls;
use crate::checks::faults;
use crate::finding::Id;
use crate::report::RunKind;

/// The step that is drawn. Everything is warm by then, and every probe is over.
pub(super) const STEP: u64 = 3;

impl Lane {
    /// Runs `step` once more, eagerly and as a replay, with a record of calls and work. State goes
    /// on as if nothing had happened. Does nothing where the driver keeps no record.
    pub(super) fn draw_timelines(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        if !calls::recorded() {
            return Ok(());
        }
        self.heartbeat.enter("timeline", step);
        self.parts.begin_whole(Part::Timelines);
        let ready =
            (self.state_before.save(&self.eager, &self.stream)).and_then(|()| self.load(&self.eager, EAGER_POISON));
        self.driver(ready, "copying the inputs in")?;
        let ((recorded, enqueued, waited), calls) = calls::during(|| {
            let (recorded, enqueued) = self.record(&self.eager, false);
            (recorded, enqueued, self.wait())
        });
        if let Err(error) = recorded {
            return Err(self.stop(faults::eager_step(&error, &enqueued, step), error.is_sticky()));
        }
        if let Err(error) = waited {
            return Err(self.stop(faults::run_failed(Id::E02, &error, &enqueued, step), error.is_sticky()));
        }
        self.report.timelines.extend(calls.map(|calls| calls.timeline(RunKind::Eager, step)));

        let ready = (self.state_before.restore(&self.eager, &self.stream))
            .and_then(|()| self.state_before.save(&self.replay, &self.stream))
            .and_then(|()| self.load(&self.replay, REPLAY_POISON));
        self.driver(ready, "copying the inputs in")?;
        let (launched, calls) = calls::during(|| graph.exec.launch(&self.stream).and_then(|()| self.wait()));
        if let Err(error) = launched {
            return Err(self.stop(faults::run_failed(Id::E03, &error, &graph.enqueued, step), error.is_sticky()));
        }
        self.report.timelines.extend(calls.map(|calls| calls.timeline(RunKind::Replay, step)));
        let restored = self.state_before.restore(&self.replay, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.parts.end_whole();
        Ok(())
    }
}
