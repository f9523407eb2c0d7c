//! Runs that exist only to be judged: second captures, the first inputs again, the held stream.

use super::{Captured, Ended, Lane, REPLAY_POISON, copy_in, copy_out};
use crate::calls;
use crate::checks::baked::Capture;
use crate::checks::bits::{Images, Pair};
use crate::checks::{baked, calls as call_checks, capture, faults, stall};
use crate::cuda::PinnedMemory;
use crate::report::RunKind;
use crate::topology::Topology;

impl Lane {
    /// Captures the step again, on the inputs of `step` and on the eager run's buffers, and
    /// compares the graphs. The second graph is not instantiated.
    pub(super) fn capture_again(&mut self, step: u64, first: &Captured) -> Result<(), Ended> {
        self.heartbeat.enter("second capture", step);
        let begun = self.stream.begin_capture();
        self.driver(begun, "beginning a second capture")?;
        let (recorded, enqueued) = self.record(&self.eager, true);
        let ended = self.stream.end_capture();
        if let Err(error) = recorded {
            return Err(self.stop(capture::from_step_error(&error).at_step(step), false));
        }
        let graph = ended.map_err(|error| self.stop(capture::from_end(&error, &enqueued).at_step(step), false))?;
        let read = Topology::read(&graph, &enqueued, &self.eager);
        let topology = self.driver(read, "reading a second graph back")?;
        self.note_numbers(&topology, step);
        let found = baked::check(
            Capture { topology: &first.topology, buffers: &self.replay, step: first.step },
            Capture { topology: &topology, buffers: &self.eager, step },
        );
        self.keep_all(found);
        Ok(())
    }

    /// Replays the inputs of step 0 after those of `step`: what was equal then must be equal now.
    /// The replay's own state goes on afterwards as if nothing had happened.
    pub(super) fn replay_first_again(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        let Some(first) = self.first_replay.take() else { return Ok(()) };
        let saved = copy_out(&self.replay, &mut self.state_before, &self.stream);
        self.driver(saved, "saving the state")?;
        self.fill_inputs(0)?;
        // The staging of state still holds the initial state.
        let initial: Vec<usize> = self.state_before.iter().map(|(index, _)| *index).collect();
        for (index, staging) in self.uploads.iter().filter(|(index, _)| initial.contains(index)) {
            let restored = self.replay.memory(*index).upload(staging, &self.stream);
            restored
                .map_err(|error| Ended::Run(crate::error::RunError::Driver { what: "restoring the state", error }))?;
        }
        self.launch_replay(0, graph)?;
        let found = self.compare(Pair::ReplayReplay, &first, step, Some(&graph.topology));
        self.keep(found);
        let restored = copy_in(&self.replay, &self.state_before, &self.stream);
        self.driver(restored, "restoring the state")
    }

    /// Keeps the outputs of the first replay.
    pub(super) fn remember_first_replay(&mut self) -> Result<(), Ended> {
        let mut buffers = Vec::with_capacity(self.other_images.buffers.len());
        for (index, image) in &self.other_images.buffers {
            let copy = PinnedMemory::new(image.bytes().len()).map(|mut copy| {
                copy.bytes_mut().copy_from_slice(image.bytes());
                (*index, copy)
            });
            buffers.push(copy);
        }
        let buffers: Result<Vec<_>, _> = buffers.into_iter().collect();
        let buffers = self.driver(buffers, "allocating pinned memory")?;
        self.first_replay = Some(Images { buffers, poison: REPLAY_POISON });
        Ok(())
    }

    /// Runs the step eagerly while its stream is held.
    pub(super) fn probe_stall(&mut self, step: u64) -> Result<(), Ended> {
        let saved = copy_out(&self.eager, &mut self.state_before, &self.stream);
        self.driver(saved, "saving the state")?;
        self.heartbeat.enter("stalled stream", step);
        let (probed, calls) =
            calls::during(|| stall::probe(&self.stream, &self.heartbeat, || self.record(&self.eager, false)));
        let ((recorded, enqueued), blocked) = match probed {
            Ok(probed) => probed,
            Err(error) => {
                let finding = faults::run_failed("E02", &error, &[], step);
                return Err(self.stop(finding, error.is_sticky()));
            }
        };
        if let Err(error) = recorded {
            return Err(self.stop(faults::eager_step(&error, &enqueued, step), error.is_sticky()));
        }
        if let Some(position) = blocked {
            self.report.timelines.extend(calls.as_ref().map(|calls| calls.timeline(RunKind::StalledStream, step)));
            let finding = stall::finding(&position, step);
            let finding = match &calls {
                Some(calls) => call_checks::explain_stall(finding, calls),
                None => finding,
            };
            self.keep_all(vec![finding]);
        }
        let restored = copy_in(&self.eager, &self.state_before, &self.stream);
        self.driver(restored, "restoring the state")
    }
}
