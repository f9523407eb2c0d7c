//! What a run gathers beside its results, for the checks that look at more than results.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use super::exercised::Exercised;
use super::grows::Grows;
use super::judge::Beside;
use super::parts::Part;
use super::writers::Differing;
use super::{Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON, Seen};
use crate::calls::{self, Caller, Calls, Handles, Told};
use crate::checks::baked::Numbers;
use crate::checks::bits::Pair;
use crate::checks::pools::Pools;
use crate::checks::{baked, calls as call_checks, capture, faults, growth, same_work};
use crate::context::{Enqueued, HostContext, Phase};
use crate::cuda::{self, ParameterWord};
use crate::error::{RunError, StepError};
use crate::finding::{Finding, Id, Place, Site};
use crate::resident::resident_bytes;
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
    /// The work of the eager runs before the capture.
    eager_work: Vec<Vec<Enqueued>>,
    /// The calls of the first eager run, until there is a second.
    first_run: Option<Calls>,
    /// The driver's answer behind an error that the step told in its own words.
    refused: Option<Told>,
    /// The first element that differs of each finding about an image, by id and buffer.
    pub(super) differing: BTreeMap<(Id, usize), Differing>,
    /// Words of the graph's parameters with an address that no kernel follows.
    pub(super) unread: HashSet<ParameterWord>,
    /// The numbers passed by value in each capture, with its step.
    numbers: Vec<(u64, Numbers)>,
    /// The line of each node of the first capture.
    sites: Vec<Option<Site>>,
    /// The line of the last node that uses each buffer.
    users: Vec<Option<Site>>,
    /// Which bodies of conditionals eager runs came to.
    pub(super) exercised: Exercised,
    /// Memory after replays.
    memory: growth::Samples,
    /// Memory of each pool.
    pools: Pools,
    /// When the first sample of it was taken.
    sampled: Option<Instant>,
    /// Where the step's host work was last seen.
    host_site: Option<Site>,
    /// Objects that the host's work between replays made and destroyed.
    handles: Handles,
    replays: u64,
    /// Who last freed memory in the host's work.
    last_free: Option<Caller>,
}

impl Lane {
    /// Records the step eagerly; the first two times, its calls and its work are looked at.
    pub(super) fn record_eagerly(&mut self, step: u64) -> Recorded {
        if step > 0 || self.evidence.eager_work.len() > 1 {
            return self.record(&self.eager, false);
        }
        let ((recorded, enqueued), calls) = calls::during(|| self.record(&self.eager, false));
        self.note_eager_work(&enqueued, step);
        if let Some(calls) = calls {
            self.evidence.pools.note(&calls);
            self.note_refusal(&recorded, &calls);
            match self.evidence.first_run.take() {
                Some(first) => {
                    let only_first = call_checks::first_run(&first, &calls, step);
                    self.keep_all(only_first.into_iter().collect());
                }
                None => {
                    self.keep_all(call_checks::eager(&calls, step));
                    self.evidence.first_run = Some(calls);
                }
            }
        }
        (recorded, enqueued)
    }

    /// Keeps what an eager run before the capture enqueued.
    pub(super) fn note_eager_work(&mut self, enqueued: &[Enqueued], step: u64) {
        if step == 0 {
            self.evidence.eager_work.push(enqueued.to_vec());
        }
    }

    /// Keeps the driver's answer behind an error in the step's own words.
    fn note_refusal(&mut self, result: &Result<(), StepError>, calls: &Calls) {
        let own_words = result.as_ref().is_err_and(|error| !matches!(error, StepError::Cuda { .. }));
        self.evidence.refused = own_words.then(|| calls.last_failure()).flatten();
    }

    /// Adds the driver's answer behind `error` to its finding, where it is known.
    pub(super) fn told(&self, finding: Finding, error: &StepError) -> Finding {
        match &self.evidence.refused {
            Some(failed) if !matches!(error, StepError::Cuda { .. }) => call_checks::explain_error(finding, failed),
            _ => finding,
        }
    }

    /// Records the step under capture, with its calls where the driver keeps a record.
    pub(super) fn record_captured(&self) -> (Recorded, Option<Calls>) {
        calls::during(|| self.record(&self.replay, true))
    }

    /// Makes the finding of a failed capture exact.
    pub(super) fn explained(&self, finding: Finding, calls: Option<&Calls>) -> Finding {
        match calls {
            Some(calls) => call_checks::explain_capture(finding, calls, self.captured_stream().raw()),
            None => finding,
        }
    }

    /// The finding for an error of the step while it was captured.
    pub(super) fn step_failed(&self, error: &StepError, calls: Option<&Calls>) -> Finding {
        match calls.and_then(|calls| call_checks::named(error, calls)) {
            Some(named) => self.explained(capture::from_step_error(&named), calls),
            None => self.explained(capture::from_step_error(error), calls),
        }
    }

    /// Compares the work of the capture with that of the eager run, and keeps its numbers.
    pub(super) fn note_capture(&mut self, enqueued: &[Enqueued], topology: &Topology, step: u64) {
        let differs = same_work::check(&self.evidence.eager_work, enqueued, step);
        self.keep_all(differs.into_iter().collect());
        self.note_numbers(topology, step);
        self.evidence.sites = topology.nodes.iter().map(|node| node.site.clone()).collect();
        let user = |buffer| topology.last_user_of(buffer).and_then(|(_, node)| node.site.clone());
        self.evidence.users = (0..self.specs.len()).map(user).collect();
        // What was found before there was a graph can be placed now.
        for ((_, buffer, _), Seen { finding, .. }) in &mut self.findings {
            if finding.site.is_none() && *buffer != usize::MAX {
                finding.site = self.evidence.users.get(*buffer).cloned().flatten();
            }
            if finding.site.is_none() && topology.nodes.is_empty() {
                finding.site = self.evidence.eager_work.iter().flatten().next().map(|work| work.site.clone());
            }
        }
    }

    /// Where the step's host work was last seen.
    pub(super) fn host_site(&self) -> Option<Site> {
        self.evidence.host_site.clone()
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
        let mut cx = HostContext::new(phase, &self.stream, buffers);
        let (prepared, calls) = calls::during(|| self.step.prepare(step, &mut cx));
        let at = cx.place.or_else(|| cx.last.get().map(Place::from)).filter(|_| phase == Phase::Replay);
        if let Some(at) = at {
            self.evidence.host_site = Some(Site::new("host work of the step", at));
        }
        let Some(calls) = calls else { return prepared };
        self.evidence.pools.note(&calls);
        self.mapped.note_host_work(&calls, step, phase);
        self.note_refusal(&prepared, &calls);
        if let Some(free) = calls.last_caller(&["cuMemFree"]) {
            self.evidence.last_free = Some(free);
        }
        if phase == Phase::Replay {
            self.evidence.handles.add(&calls);
            self.evidence.handles.note_alive(self.evidence.replays);
            self.evidence.replays += 1;
            self.keep_all(call_checks::host_work(&calls, step));
        }
        prepared
    }

    /// Samples memory after replay `step`: free on the device, held by graphs, of the process.
    pub(super) fn sample_memory(&mut self, step: u64) -> Result<(), Ended> {
        self.parts.switch(Part::Growth);
        if step < SAMPLED_HEAD || step.is_multiple_of(SAMPLED_EVERY) {
            let free = self.driver(cuda::free_memory(), "asking for free memory")?;
            self.evidence.pools.sample(step);
            // The first replays may still fill caches.
            if step > 1 {
                self.evidence.sampled.get_or_insert_with(Instant::now);
                let memory = &mut self.evidence.memory;
                memory.free.push((step, free));
                memory.graph.extend(cuda::graph_memory().ok().map(|used| (step, used)));
                memory.host.extend(resident_bytes().map(|used| (step, used)));
            }
        }
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// Runs the step, eagerly and as a replay, on the dummy inputs that it says engines give it.
    pub(super) fn probe_dummy(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        self.heartbeat.enter("dummy inputs", step);
        let given = self.step.fill_dummy(&mut self.inputs);
        let inputs_error =
            |error| Ended::Run(RunError::Inputs { step: self.step.name().to_owned(), error: Box::new(error) });
        if !given.map_err(inputs_error)? {
            return Ok(());
        }
        self.parts.begin_whole(Part::DummyInputs);
        self.stage_inputs()?;
        let saved = self.state_before.save(&self.eager, &self.stream);
        self.driver(saved, "saving the state")?;
        let loaded = self.load(&self.eager, EAGER_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let (recorded, enqueued) = self.record(&self.eager, false);
        if let Err(error) = recorded {
            return Err(self.stop(faults::dummy_inputs(faults::eager_step(&error, &enqueued, step)), error.is_sticky()));
        }
        if let Err(error) = self.wait() {
            let failed = faults::run_failed(Id::E02, &error, &enqueued, step);
            return Err(self.stop(faults::dummy_inputs(failed), error.is_sticky()));
        }
        self.keep_eager()?;
        let loaded = (self.state_before.restore(&self.eager, &self.stream))
            .and_then(|()| self.state_before.save(&self.replay, &self.stream))
            .and_then(|()| self.load(&self.replay, REPLAY_POISON));
        self.driver(loaded, "copying the inputs in")?;
        if let Err(error) = graph.exec.launch(&self.stream).and_then(|()| self.wait()) {
            let failed = faults::run_failed(Id::E03, &error, &graph.enqueued, step);
            return Err(self.stop(faults::dummy_inputs(failed), error.is_sticky()));
        }
        let judged = self.compare(Pair::EagerReplay, Beside::Nothing, step, Some(&graph.topology))?;
        let on_dummy = |(buffer, finding): (usize, Finding)| {
            let before = self.findings.keys().any(|&(_, seen, _)| seen == buffer);
            let finding = if before { finding } else { faults::dummy_inputs(finding) };
            (buffer, finding.note("on the step's dummy inputs"))
        };
        let found = judged.images.into_iter().map(on_dummy).collect();
        self.keep(found);
        let restored = self.state_before.restore(&self.replay, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.parts.end_whole();
        Ok(())
    }

    /// Findings that only the whole run gives.
    pub(super) fn keep_trends(&mut self, graph: Option<&Captured>) {
        if growth::only_free_memory_falls(&self.evidence.memory)
            && !self.poisoned
            && let Some(sampled) = self.evidence.sampled
        {
            let shown = self.grows(graph, sampled.elapsed());
            if shown != Grows::WithTheStep {
                self.evidence.memory.free.clear();
            }
            if shown == Grows::CannotTell {
                let why =
                    "what is free changes while the step rests: another process, or a thread of this one, takes it";
                self.report.not_checked.push(format!("growth of device memory: {why}"));
            }
        }
        let evidence = std::mem::take(&mut self.evidence);
        let mut found = baked::advancing(&evidence.numbers, &evidence.sites);
        self.report.not_checked.extend(evidence.exercised.missing());
        let work = evidence.host_site.as_ref();
        let device = growth::device(&evidence.memory, &evidence.handles, work);
        let device = device.or_else(|| growth::allocations(&evidence.memory, &evidence.handles, evidence.replays));
        found.extend(evidence.pools.add_to(device, work));
        found.extend(
            growth::host(&evidence.memory, &evidence.handles, work)
                .or_else(|| growth::pinned(&evidence.handles, evidence.replays)),
        );
        found.extend(growth::handles(&evidence.handles, evidence.replays));
        self.keep_all(found);
    }
}
