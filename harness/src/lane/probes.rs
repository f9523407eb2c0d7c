//! Runs that exist only to be judged: second captures, the first inputs again, the held stream.

use super::images::{copy_out, pinned};
use super::judge::Beside;
use super::parts::Part;
use super::{Captured, Ended, Lane};
use crate::buffers::BufferSet;
use crate::calls;
use crate::checks::baked::{Capture, Difference, Place};
use crate::checks::bits::Pair;
use crate::checks::{baked, calls as call_checks, capture, faults, stall};
use crate::context::Phase;
use crate::cuda::ParameterWord;
use crate::finding::Id;
use crate::report::RunKind;
use crate::step::Role;
use crate::topology::Topology;

/// One of the two sets of buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// That of the eager runs.
    Eager,
    /// That of the graph.
    Replay,
}

impl Lane {
    /// Captures the step again, on the inputs of `step` and on the eager run's buffers, and
    /// compares the graphs. The second graph is not instantiated.
    pub(super) fn capture_again(&mut self, step: u64, first: &Captured) -> Result<(), Ended> {
        self.heartbeat.enter("second capture", step);
        self.parts.switch(Part::SecondCaptures);
        let topology = self.capture_on(On::Eager, step)?;
        self.note_numbers(&topology, step);
        let mut differs = baked::check(
            Capture { topology: &first.topology, buffers: &self.replay, step: first.step },
            Capture { topology: &topology, buffers: &self.eager, step },
        );
        let word_of = |place: Place| match place {
            Place::Word(node, parameter, offset) => Some(ParameterWord { node, parameter, offset }),
            Place::Graph | Place::Node(_) => None,
        };
        let unread = |place: Place| word_of(place).is_some_and(|word| self.evidence.unread.contains(&word));
        differs.retain(|difference| !unread(difference.place));
        let found = self.not_by_buffers(differs, first, &topology, step)?;
        // Kernels of a framework, on a driver that does not say what they read.
        let opaque = self.step.modules().is_empty() && !calls::watched();
        let (suspects, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| opaque && found.plain);
        suspects.into_iter().for_each(|difference| self.suspect(difference.finding));
        let word = |difference: &Difference| {
            let word = word_of(difference.place).filter(|_| difference.finding.id == Id::A09)?;
            first.topology.nodes[word.node].address_word(word, &self.replay)
        };
        let words: Vec<_> = found.iter().filter(|found| !self.is_known(&found.finding)).filter_map(word).collect();
        let (doubtful, certain): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| word(found).is_some());
        let findings = |found: Vec<Difference>| found.into_iter().map(|difference| difference.finding).collect();
        self.keep_all(findings(certain));
        if !doubtful.is_empty() {
            self.keep_if_read(findings(doubtful), &words, first, step)?;
        }
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// Captures the step on one of the sets and reads the graph back; it is not instantiated.
    pub(super) fn capture_on(&mut self, on: On, step: u64) -> Result<Topology, Ended> {
        self.begin_capture("beginning a second capture")?;
        let (recorded, enqueued) = self.record(self.set(on), true);
        let ended = self.end_capture();
        if let Err(error) = recorded {
            return Err(self.stop(capture::from_step_error(&error).at_step(step), false));
        }
        let graph = ended.map_err(|error| self.stop(capture::from_end(&error, &enqueued).at_step(step), false))?;
        let read = Topology::read(&graph, &enqueued, self.set(on));
        self.driver(read, "reading a second graph back")
    }

    pub(super) fn set(&self, on: On) -> &BufferSet {
        match on {
            On::Eager => &self.eager,
            On::Replay => &self.replay,
        }
    }

    /// Replays the inputs of step 0 after those of `step`: what was equal then must be equal now.
    /// The replay's own state goes on afterwards as if nothing had happened.
    pub(super) fn replay_first_again(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        let Some(first) = self.first_replay.take() else { return Ok(()) };
        self.parts.begin_whole(Part::FirstAgain);
        let saved = self.state_before.save(&self.replay, &self.stream);
        let kept = saved.and_then(|()| self.kept.upload(&first, &self.stream));
        self.driver(kept, "saving the state")?;
        self.fill_inputs(0)?;
        // The staging of state still holds the initial state.
        for (index, staging) in self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::State) {
            let restored = self.replay.memory(*index).upload(staging, &self.stream);
            restored
                .map_err(|error| Ended::Run(crate::error::RunError::Driver { what: "restoring the state", error }))?;
        }
        self.prepare_host(0, Phase::Replay)?;
        self.launch_replay(0, graph)?;
        let judged = self.compare(Pair::ReplayReplay, Beside::Guards, step, Some(&graph.topology))?;
        self.keep(judged.images);
        let restored = self.state_before.restore(&self.replay, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.parts.end_whole();
        Ok(())
    }

    /// Keeps what the first replay left: on the host, so that it takes no device memory.
    pub(super) fn remember_first_replay(&mut self) -> Result<(), Ended> {
        self.parts.switch(Part::FirstAgain);
        let remembered =
            pinned(&self.specs, |role| matches!(role, Role::Output | Role::State)).and_then(|mut images| {
                copy_out(&self.replay, &mut images, &self.stream)?;
                Ok(images)
            });
        self.first_replay = Some(self.driver(remembered, "keeping the outputs of the first replay")?);
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// Runs the step eagerly while its stream is held.
    pub(super) fn probe_stall(&mut self, step: u64) -> Result<(), Ended> {
        self.parts.switch(Part::StalledStream);
        let saved = self.state_before.save(&self.eager, &self.stream).and_then(|()| self.stream.synchronize());
        self.driver(saved, "saving the state")?;
        self.heartbeat.enter("stalled stream", step);
        let (probed, calls) =
            calls::during(|| stall::probe(&self.stream, &self.heartbeat, || self.record_held(&self.eager)));
        let ((recorded, enqueued), blocked) = match probed {
            Ok(probed) => probed,
            Err(error) => {
                let finding = faults::run_failed(Id::E02, &error, &[], step);
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
        let restored = self.state_before.restore(&self.eager, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.parts.switch(Part::Rest);
        Ok(())
    }
}
