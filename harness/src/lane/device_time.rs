//! What a replay takes on the device: events around several that are enqueued behind one another.

use super::{Captured, Ended, Lane};
use crate::cuda::Event;
use crate::driver::{self, DriverKind};
use crate::report::{Samples, Spread};

/// Most replays between two events: each goes on from the state that the one before it left, on the same inputs.
const MOST: u64 = 16;
/// Enough device time, in nanoseconds, that a round of fewer replays is told well too.
const LONG_ENOUGH: u64 = 50_000_000;
/// Rounds of a gate.
const ROUNDS: u64 = 9;

impl Lane {
    /// How many replays of `one` nanoseconds each are measured together.
    pub(super) fn together(one: u64) -> u64 {
        (LONG_ENOUGH / one.max(1)).clamp(1, MOST)
    }

    /// Nanoseconds of one of `several` replays on the device.
    pub(super) fn device_time(&mut self, graph: &Captured, several: u64) -> Result<u64, Ended> {
        let measured = (|| {
            let (begin, end) = (Event::new()?, Event::new()?);
            // The device is at work when the first event comes, so that no launch is waited for.
            if several > 1 {
                graph.exec.launch(&self.stream)?;
            }
            begin.record(&self.stream)?;
            (0..several).try_for_each(|_| graph.exec.launch(&self.stream))?;
            end.record(&self.stream)?;
            self.wait()?;
            end.since(&begin)
        })();
        Ok(self.driver(measured, "replaying the graph")? / several)
    }

    /// The device time of a replay on the inputs of step 0, for the report, where the device is a GPU and nothing is
    /// wrong. The state is as it was afterwards; the outputs are not.
    pub(super) fn time_replays(&mut self, graph: &Captured, one: u64) -> Result<Spread, Ended> {
        if driver::in_use() != Some(DriverKind::System) || !self.findings.is_empty() {
            return Ok(Spread::default());
        }
        self.heartbeat.enter("measure", self.config.steps);
        let several = Self::together(one);
        self.fill_inputs(0)?;
        let ready = (self.state_before.save(&self.replay, &self.stream))
            .and_then(|()| self.load(&self.replay, super::REPLAY_POISON));
        self.driver(ready, "copying the inputs in")?;
        let mut samples = Samples::default();
        for round in 0..=ROUNDS {
            let time = self.device_time(graph, several)?;
            let restored = self.state_before.restore(&self.replay, &self.stream);
            self.driver(restored, "restoring the state")?;
            // The first one warms up.
            if round > 0 {
                samples.push(time);
            }
        }
        Ok(samples.spread())
    }
}
