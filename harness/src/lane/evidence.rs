//! What a run gathers beside its results, for the checks that look at more than results.

use super::{Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON, copy_in, copy_out};
use crate::buffers::BufferSet;
use crate::calls::{self, Caller, Calls, Handles};
use crate::checks::baked::Numbers;
use crate::checks::bits::Pair;
use crate::checks::{baked, calls as call_checks, faults, growth, same_work, unchanged};
use crate::context::{Enqueued, HostContext, Phase};
use crate::cuda::{self, PinnedMemory};
use crate::error::{RunError, StepError};
use crate::finding::{Finding, Site};
use crate::step::Role;
use crate::topology::Topology;

/// Free memory is sampled after each of the first replays, then seldom.
const SAMPLED_HEAD: u64 = 32;
const SAMPLED_EVERY: u64 = 16;

/// The step whose dummy inputs are tried. Everything is warm and captured by then.
pub(super) const DUMMY_STEP: u64 = 2;

/// What the step said when it was recorded, and the work that it enqueued.
pub(super) type Recorded = (Result<(), StepError>, Vec<Enqueued>);

/// Evidence of one run.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The work of the first eager run, once there was one.
    eager_work: Option<Vec<Enqueued>>,
    /// The numbers passed by value in each capture, with its step.
    numbers: Vec<(u64, Numbers)>,
    /// The line of each node of the first capture.
    sites: Vec<Option<Site>>,
    /// The line of the last node that uses each buffer.
    users: Vec<Option<Site>>,
    /// Free device memory in bytes after a replay, with its step.
    free: Vec<(u64, u64)>,
    /// Objects that the host's work between replays made and destroyed.
    handles: Handles,
    replays: u64,
    /// Who last freed memory in the host's work.
    last_free: Option<Caller>,
}

impl Lane {
    /// Records the step eagerly; the first time, its calls and its work are looked at.
    pub(super) fn record_eagerly(&mut self, step: u64) -> Recorded {
        if self.evidence.eager_work.is_some() || step > 0 {
            return self.record(&self.eager, false);
        }
        let ((recorded, enqueued), calls) = calls::during(|| self.record(&self.eager, false));
        self.evidence.eager_work = Some(enqueued.clone());
        if let Some(calls) = calls {
            self.keep_all(call_checks::eager(&calls, step));
        }
        (recorded, enqueued)
    }

    /// Records the step under capture, with its calls where the driver keeps a record.
    pub(super) fn record_captured(&self) -> (Recorded, Option<Calls>) {
        calls::during(|| self.record(&self.replay, true))
    }

    /// Makes the finding of a failed capture exact.
    pub(super) fn explained(&self, finding: Finding, calls: Option<&Calls>) -> Finding {
        match calls {
            Some(calls) => call_checks::explain_capture(finding, calls, self.stream.raw()),
            None => finding,
        }
    }

    /// Compares the work of the capture with that of the eager run, and keeps its numbers.
    pub(super) fn note_capture(&mut self, enqueued: &[Enqueued], topology: &Topology, step: u64) {
        let eager = self.evidence.eager_work.as_deref();
        let differs = eager.and_then(|eager| same_work::check(eager, enqueued, step));
        self.keep_all(differs.into_iter().collect());
        self.note_numbers(topology, step);
        self.evidence.sites = topology.nodes.iter().map(|node| node.site.clone()).collect();
        let user = |buffer| topology.last_user_of(buffer).and_then(|(_, node)| node.site.clone());
        self.evidence.users = (0..self.specs.len()).map(user).collect();
        // What was found before there was a graph can be placed now.
        for ((_, buffer, _), (finding, _)) in &mut self.findings {
            if finding.site.is_none() && *buffer != usize::MAX {
                finding.site = self.evidence.users.get(*buffer).cloned().flatten();
            }
            if finding.site.is_none() && topology.nodes.is_empty() {
                finding.site = self.evidence.eager_work.iter().flatten().next().map(|work| work.site.clone());
            }
        }
    }

    /// Keeps the numbers that a capture passes by value.
    pub(super) fn note_numbers(&mut self, topology: &Topology, step: u64) {
        self.evidence.numbers.push((step, baked::numbers(topology)));
    }

    /// The line of the last node that uses a buffer, once there is a graph.
    pub(super) fn user_of(&self, buffer: usize) -> Option<Site> {
        self.evidence.users.get(buffer).cloned().flatten()
    }

    /// Adds, to findings about memory that is gone, where the host last freed some.
    pub(super) fn with_free(&self, found: Vec<Finding>) -> Vec<Finding> {
        let stack = self.evidence.last_free.as_ref().map(Caller::stack).unwrap_or_default();
        let mut freed = found;
        for finding in freed.iter_mut().filter(|finding| finding.origin.is_none()) {
            let Some(site) = stack.first() else { continue };
            finding.origin = Some(Site { what: format!("{}, the host's last free", site.what), ..site.clone() });
            finding.notes.extend(stack.iter().skip(1).map(|caller| format!("freed from {caller}")));
        }
        freed
    }

    /// The host's work before a step, with its calls.
    pub(super) fn prepare_recorded(&mut self, step: u64, phase: Phase) -> Result<(), StepError> {
        let buffers = match phase {
            Phase::Eager => &mut self.eager,
            Phase::Replay => &mut self.replay,
        };
        let mut cx = HostContext { phase, stream: &self.stream, buffers };
        let (prepared, calls) = calls::during(|| self.step.prepare(step, &mut cx));
        let Some(calls) = calls else { return prepared };
        if let Some(free) = calls.last_caller(&["cuMemFree"]) {
            self.evidence.last_free = Some(free);
        }
        if phase == Phase::Replay {
            self.evidence.handles.add(&calls);
            self.evidence.replays += 1;
            self.keep_all(call_checks::host_work(&calls, step));
        }
        prepared
    }

    /// Samples free memory after replay `step`.
    pub(super) fn sample_memory(&mut self, step: u64) -> Result<(), Ended> {
        if step < SAMPLED_HEAD || step.is_multiple_of(SAMPLED_EVERY) {
            let free = self.driver(cuda::free_memory(), "asking for free memory")?;
            // The first replays may still fill caches.
            if step > 1 {
                self.evidence.free.push((step, free));
            }
        }
        Ok(())
    }

    /// Inputs after the first run of each kind must be what was copied in.
    pub(super) fn check_inputs(&mut self, phase: Phase, step: u64, topology: Option<&Topology>) -> Result<(), Ended> {
        if step > 0 {
            return Ok(());
        }
        let (set, run) = match phase {
            Phase::Eager => (&self.eager, "eager"),
            Phase::Replay => (&self.replay, "replay"),
        };
        let mut changed = Vec::new();
        let mut failed = None;
        for (index, before) in self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::Input) {
            match read_back(set, *index, &self.stream) {
                Ok(after) => {
                    let input = unchanged::Input { buffer: *index, before: before.bytes(), after: after.bytes() };
                    changed.extend(unchanged::check(&input, run, step, set, topology).map(|finding| (*index, finding)));
                }
                Err(error) => failed = Some(error),
            }
        }
        self.keep(changed);
        failed.map_or(Ok(()), |error| self.driver(Err(error), "reading the inputs back"))
    }

    /// Runs the step, eagerly and as a replay, on the dummy inputs that it says engines give it.
    pub(super) fn probe_dummy(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        self.heartbeat.enter("dummy inputs", step);
        let given = self.step.fill_dummy(&mut self.inputs);
        let inputs_error = |error| Ended::Run(RunError::Inputs { step: self.step.name().to_owned(), error });
        if !given.map_err(inputs_error)? {
            return Ok(());
        }
        for (index, staging) in &mut self.uploads {
            let spec = &self.specs[*index];
            if spec.role == Role::Input {
                let image = self
                    .inputs
                    .bytes(&spec.name)
                    .map_err(|error| Ended::Run(RunError::Inputs { step: self.step.name().to_owned(), error }))?;
                staging.bytes_mut().copy_from_slice(image);
            }
        }
        let saved = copy_out(&self.eager, &mut self.state_before, &self.stream);
        self.driver(saved, "saving the state")?;
        let loaded = self.load(&self.eager, EAGER_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let (recorded, enqueued) = self.record(&self.eager, false);
        if let Err(error) = recorded {
            return Err(self.stop(faults::dummy_inputs(faults::eager_step(&error, &enqueued, step)), error.is_sticky()));
        }
        if let Err(error) = self.wait() {
            let failed = faults::run_failed("E02", &error, &enqueued, step);
            return Err(self.stop(faults::dummy_inputs(failed), error.is_sticky()));
        }
        let collected = copy_out(&self.eager, &mut self.eager_images.buffers, &self.stream)
            .and_then(|()| copy_in(&self.eager, &self.state_before, &self.stream))
            .and_then(|()| copy_out(&self.replay, &mut self.state_before, &self.stream))
            .and_then(|()| self.load(&self.replay, REPLAY_POISON));
        self.driver(collected, "reading the outputs back")?;
        if let Err(error) = graph.exec.launch(&self.stream).and_then(|()| self.wait()) {
            let failed = faults::run_failed("E03", &error, &graph.enqueued, step);
            return Err(self.stop(faults::dummy_inputs(failed), error.is_sticky()));
        }
        let collected = copy_out(&self.replay, &mut self.other_images.buffers, &self.stream)
            .and_then(|()| copy_in(&self.replay, &self.state_before, &self.stream));
        self.driver(collected, "reading the outputs back")?;
        let found = self.compare(Pair::EagerReplay, &self.eager_images, step, Some(&graph.topology));
        self.keep(found.into_iter().map(|(buffer, f)| (buffer, f.note("on the step's dummy inputs"))).collect());
        Ok(())
    }

    /// Findings that only the whole run gives.
    pub(super) fn keep_trends(&mut self) {
        let evidence = std::mem::take(&mut self.evidence);
        let mut found = baked::advancing(&evidence.numbers, &evidence.sites);
        found.extend(growth::memory(&evidence.free, &evidence.handles));
        found.extend(growth::handles(&evidence.handles, evidence.replays));
        self.keep_all(found);
    }
}

fn read_back(set: &BufferSet, index: usize, stream: &cuda::Stream) -> Result<PinnedMemory, cuda::CudaError> {
    let mut image = PinnedMemory::new(set.memory(index).len())?;
    set.memory(index).download(&mut image, stream)?;
    stream.synchronize()?;
    Ok(image)
}
