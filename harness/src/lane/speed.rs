//! How fast a step is: eager recordings and replays on one set of inputs, nothing checked.

use std::time::{Duration, Instant};

use super::{Ended, Lane, nanoseconds};
use crate::cuda::PinnedMemory;
use crate::error::RunError;
use crate::finding::Finding;
use crate::report::{Samples, Spread};
use crate::step::Role;

/// Times of one step in nanoseconds; by the host's clock, from the first enqueue to the end of the work, unless said
/// otherwise.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Speed {
    /// Recorded eagerly and waited for.
    pub eager: Spread,
    /// Replayed and waited for.
    pub replay: Spread,
    /// A replay among several enqueued behind one another: its device time, by events.
    pub replay_back_to_back: Spread,
    /// Capture of the step.
    pub capture: u64,
    /// Instantiation of the graph.
    pub instantiate: u64,
}

/// Sees an input or an output of the measured step: name, bytes.
pub type Visit<'a> = &'a mut dyn FnMut(&str, &[u8]);

impl Lane {
    /// Measures for about `budget`, at least three runs of each kind, on the inputs of step 0.
    /// `visit` sees the inputs, then the outputs of one eager run.
    pub(crate) fn measure(
        &mut self,
        budget: Duration,
        visit: Visit<'_>,
    ) -> Result<Result<Speed, Vec<Finding>>, RunError> {
        match self.measured(budget, visit) {
            Ok(speed) => Ok(Ok(speed)),
            Err(Ended::Run(error)) => Err(error),
            Err(Ended::Stop) => Ok(Err(self.take_findings())),
        }
    }

    fn measured(&mut self, budget: Duration, visit: Visit<'_>) -> Result<Speed, Ended> {
        self.fill_inputs(0)?;
        for (index, image) in self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::Input) {
            visit(&self.specs[*index].name, image.bytes());
        }
        // Loads the inputs, and warms up.
        self.record_eager(0, super::EAGER_POISON)?;
        for index in self.eager.with_role(|role| matches!(role, Role::Output)) {
            let read = PinnedMemory::new(self.eager.memory(index).len()).and_then(|mut image| {
                self.eager.memory(index).download(&mut image, &self.stream)?;
                self.stream.synchronize()?;
                Ok(image)
            });
            let image = self.driver(read, "reading the outputs back")?;
            visit(&self.specs[index].name, image.bytes());
        }
        self.warm_up(0)?;
        let loaded = self.load(&self.replay, super::REPLAY_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let graph = self.capture(0)?;
        let warm = graph.exec.launch(&self.stream).and_then(|()| self.wait());
        self.driver(warm, "replaying the graph")?;

        let saved = self.state_before.save(&self.replay, &self.stream);
        self.driver(saved, "saving the state")?;
        let (mut eager, mut replay, mut behind) = (Samples::default(), Samples::default(), Samples::default());
        let began = Instant::now();
        let mut rounds = 0;
        // Eager and replayed in turn: whatever slows the machine down slows both.
        while rounds < 3 || began.elapsed() < budget {
            rounds += 1;
            self.heartbeat.enter("measure", rounds);
            // Whatever a step keeps does not fill up with what the same inputs leave over and over.
            let restored = (self.state_before.restore(&self.eager, &self.stream))
                .and_then(|()| self.state_before.restore(&self.replay, &self.stream))
                .and_then(|()| self.wait());
            self.driver(restored, "restoring the state")?;
            let started = Instant::now();
            let recorded = self.record(&self.eager, false).0;
            recorded
                .map_err(|error| self.stop(crate::checks::faults::eager_step(&error, &[], 0), error.is_sticky()))?;
            let waited = self.wait();
            self.driver(waited, "running the step eagerly")?;
            eager.push(nanoseconds(started));

            let started = Instant::now();
            let replayed = graph.exec.launch(&self.stream).and_then(|()| self.wait());
            self.driver(replayed, "replaying the graph")?;
            let one = nanoseconds(started);
            replay.push(one);

            behind.push(self.device_time(&graph, Self::together(one))?);
        }
        Ok(Speed {
            eager: eager.spread(),
            replay: replay.spread(),
            replay_back_to_back: behind.spread(),
            capture: self.report.times.capture,
            instantiate: self.report.times.instantiate,
        })
    }
}
