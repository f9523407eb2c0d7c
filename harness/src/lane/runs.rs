//! The three ways to run a step: eagerly, under capture, as a replay.

use std::time::Instant;

use super::bisect::boundaries;
use super::bodies::forbidden_in_body;
use super::judge::Beside;
use super::parts::Part;
use super::{CAPTURE_REFUSES, Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON, nanoseconds};
use crate::buffers::BufferSet;
use crate::calls::Calls;
use crate::checks::behind::Behind;
use crate::checks::bits::Pair;
use crate::checks::{addresses, capture, faults, structure};
use crate::context::{AfterWork, Enqueued, Phase, StepContext};
use crate::cuda::{CapturedGraph, CudaError};
use crate::digest;
use crate::error::{RunError, StepError};
use crate::finding::{Check, Finding, Id, Site};
use crate::step::Role;
use crate::topology::Topology;

/// What the lines of a step left, each as a digest.
type Noted = Vec<(Site, u64)>;

/// How the step is asked to run.
#[derive(Default)]
struct RunAs {
    capturing: bool,
    held: bool,
    noting: bool,
}

impl Lane {
    pub(super) fn fill_inputs(&mut self, step: u64) -> Result<(), RunError> {
        self.heartbeat.enter("inputs", step);
        self.parts.switch(Part::Inputs);
        let name = || self.step.name().to_owned();
        self.step
            .fill_inputs(step, self.config.seed, &mut self.inputs)
            .map_err(|error| RunError::Inputs { step: name(), error: Box::new(error) })?;
        self.stage_inputs()
    }

    /// Copies the inputs to where they are uploaded from.
    pub(super) fn stage_inputs(&mut self) -> Result<(), RunError> {
        self.input_digests.clear();
        for (index, staging) in &mut self.uploads {
            let spec = &self.specs[*index];
            if spec.role == Role::Input {
                let image = self.inputs.bytes(&spec.name);
                let image = image
                    .map_err(|error| RunError::Inputs { step: self.step.name().to_owned(), error: Box::new(error) })?;
                staging.bytes_mut().copy_from_slice(image);
                self.parts.switch(Part::Comparison);
                self.input_digests.push((*index, digest::of_bytes(image)));
                self.parts.switch(Part::Inputs);
            }
        }
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// Poisons what the step has to write and copies the inputs in.
    pub(super) fn load(&self, set: &BufferSet, poison: u8) -> Result<(), CudaError> {
        self.parts.switch(Part::Poison);
        for index in set.with_role(|role| matches!(role, Role::Output | Role::Scratch)) {
            set.memory(index).fill(poison, &self.stream)?;
        }
        self.stream.synchronize()?;
        self.load_inputs(set)
    }

    /// Copies the inputs in.
    pub(super) fn load_inputs(&self, set: &BufferSet) -> Result<(), CudaError> {
        self.parts.switch(Part::Load);
        for (index, staging) in &self.uploads {
            if self.specs[*index].role == Role::Input {
                set.memory(*index).upload(staging, &self.stream)?;
            }
        }
        self.stream.synchronize()?;
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// The eager reference, and its control where `controlled`; the reference's time in nanoseconds.
    pub(super) fn run_eager(&mut self, step: u64, controlled: bool) -> Result<u64, Ended> {
        // State that the host writes belongs to the step: it is saved with it.
        let first = self.watch_first_host_work(step);
        let watch = self.watch(step);
        self.prepare_host(step, Phase::Eager)?;
        self.note_first_host_work(first);
        let watch = watch.map(|watch| {
            let mark = watch.mark();
            (watch, mark)
        });
        if controlled {
            self.heartbeat.enter("eager", step);
            self.parts.switch(Part::Control);
            let saved = self.state_before.save(&self.eager, &self.stream);
            self.driver(saved, "saving the state")?;
        }
        let map = self.map(step, Phase::Eager);
        let time = self.record_eager(step, EAGER_POISON)?;
        self.note_changes(map, step, Phase::Eager);
        self.note_eager(watch);
        self.keep_eager()?;
        if !controlled {
            return Ok(time);
        }
        self.parts.begin_whole(Part::Control);
        let restored = self.state_before.restore(&self.eager, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.record_eager(step, REPLAY_POISON)?;
        self.report.steps_controlled += 1;
        let judged = self.compare(Pair::EagerEager, Beside::Inputs, step, None)?;
        self.keep(judged.inputs);
        let images = self.trace_poison(step, judged.images)?;
        self.keep(images);
        self.parts.end_whole();
        Ok(time)
    }

    /// Keeps what the eager run left, where no later run can reach it.
    pub(super) fn keep_eager(&mut self) -> Result<(), Ended> {
        self.parts.switch(Part::Comparison);
        let kept = self.kept.save(&self.eager, &self.stream).and_then(|()| self.stream.synchronize());
        self.driver(kept, "keeping the outputs")?;
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// One eager run; its time in nanoseconds.
    pub(super) fn record_eager(&mut self, step: u64, poison: u8) -> Result<u64, Ended> {
        self.heartbeat.enter("eager", step);
        let loaded = self.load(&self.eager, poison);
        self.driver(loaded, "copying the inputs in")?;
        self.run_loaded(step)
    }

    /// One eager run on buffers that are filled already; its time in nanoseconds.
    pub(super) fn run_loaded(&mut self, step: u64) -> Result<u64, Ended> {
        self.parts.switch(Part::Eager);
        let started = Instant::now();
        let (recorded, enqueued) = self.record_eagerly(step);
        self.evidence.exercised.note(&enqueued);
        if let Err(error) = recorded {
            let finding = self.told(faults::eager_step(&error, &enqueued, step), &error);
            return Err(self.stop(finding, error.is_sticky()));
        }
        if let Err(error) = self.wait() {
            if error.code == CAPTURE_REFUSES {
                return Err(self.stop(capture::left_open(&error, &enqueued, step), true));
            }
            return Err(self.stop(faults::run_failed(Id::E02, &error, &enqueued, step), error.is_sticky()));
        }
        self.parts.switch(Part::Rest);
        Ok(nanoseconds(started))
    }

    pub(super) fn record(&self, buffers: &BufferSet, capturing: bool) -> (Result<(), StepError>, Vec<Enqueued>) {
        let (recorded, enqueued, _) = self.record_as(buffers, RunAs { capturing, ..RunAs::default() }, None);
        (recorded, enqueued)
    }

    /// An eager run on a stream that is held.
    pub(super) fn record_held(&self, buffers: &BufferSet) -> (Result<(), StepError>, Vec<Enqueued>) {
        let (recorded, enqueued, _) = self.record_as(buffers, RunAs { held: true, ..RunAs::default() }, None);
        (recorded, enqueued)
    }

    /// Records the step eagerly; `after` is done behind each piece of work.
    pub(super) fn record_with<'a>(
        &'a self,
        buffers: &'a BufferSet,
        after: &'a mut AfterWork<'a>,
    ) -> (Result<(), StepError>, Vec<Enqueued>) {
        let (recorded, enqueued, _) = self.record_as(buffers, RunAs::default(), Some(after));
        (recorded, enqueued)
    }

    /// As [`record_with`](Self::record_with), with what the lines of the step note.
    pub(super) fn record_noting<'a>(
        &'a self,
        buffers: &'a BufferSet,
        after: &'a mut AfterWork<'a>,
    ) -> (Result<(), StepError>, Vec<Enqueued>, Noted) {
        self.record_as(buffers, RunAs { noting: true, ..RunAs::default() }, Some(after))
    }

    fn record_as<'a>(
        &'a self,
        buffers: &'a BufferSet,
        RunAs { capturing, held, noting }: RunAs,
        after: Option<&'a mut AfterWork<'a>>,
    ) -> (Result<(), StepError>, Vec<Enqueued>, Noted) {
        let mut cx = StepContext {
            stream: if capturing { self.captured_stream() } else { &self.stream },
            buffers,
            kernels: &self.kernels,
            heartbeat: &self.heartbeat,
            most_shared: self.most_shared,
            capturing,
            held,
            enqueued: Vec::new(),
            side: None,
            place: None,
            noted: noting.then(Vec::new),
            after,
        };
        let result = self.step.record(&mut cx);
        (result, cx.enqueued, cx.noted.unwrap_or_default())
    }

    pub(super) fn capture(&mut self, step: u64) -> Result<Captured, Ended> {
        self.heartbeat.enter("capture", step);
        self.parts.switch(Part::Capture);
        let started = Instant::now();
        self.begin_capture("beginning the capture")?;
        let ((recorded, enqueued), calls) = self.record_captured();
        // Ended whatever happened: a capture left open makes the stream unusable.
        let ended = self.end_capture();
        self.report.times.capture = nanoseconds(started);
        if let Err(error) = recorded {
            let finding = self.step_failed(&error, calls.as_ref());
            return Err(self.stop(finding, false));
        }
        let graph = match ended {
            Ok(graph) => graph,
            Err(error) => {
                let finding = self.explained(capture::from_end(&error, &enqueued), calls.as_ref());
                return Err(self.stop(finding, false));
            }
        };
        let handles = graph.nodes();
        let boundaries = boundaries(&self.driver(handles, "reading the graph back")?, &enqueued);
        let read = Topology::read(&graph, &enqueued, &self.replay);
        let mut topology = self.driver(read, "reading the graph back")?;
        topology.place_forked(&calls.as_ref().map(Calls::captured).unwrap_or_default());
        let behind = Behind::read(&topology, &self.replay, &self.eager);
        self.report.graph = Some(topology.report(&self.replay));
        let found = structure::check(&topology, &enqueued, structure::stack());
        let dangling = found.iter().any(structure::is_dangling);
        self.keep_all(found);
        self.note_capture(&enqueued, &topology, step);
        if dangling {
            // A replay would read or write the stack of whoever runs then.
            return Err(Ended::Stop);
        }
        let started = Instant::now();
        match graph.instantiate() {
            Ok(exec) => {
                self.report.times.instantiate = nanoseconds(started);
                self.parts.switch(Part::Rest);
                // The graph itself is destroyed, as most engines do.
                Ok(Captured { exec, topology, enqueued, boundaries, step, behind, spare: graph.duplicate().ok() })
            }
            Err(error) => {
                let forbidden = forbidden_in_body(&topology, &error.to_string());
                let plain =
                    || Finding::new(Id::E05, Check::Capture).contrast("the graph instantiates", error.to_string());
                Err(self.stop(forbidden.unwrap_or_else(plain), error.is_sticky()))
            }
        }
    }

    /// Begins a capture, by the step's framework where that has a way of its own.
    pub(super) fn begin_capture(&mut self, what: &'static str) -> Result<(), Ended> {
        let begun = match self.step.capturer() {
            Some(capturer) => capturer.begin(self.captured_stream().raw(), self.config.mode),
            None => {
                let begun = self.captured_stream().begin_capture(self.config.mode);
                return self.driver(begun, what);
            }
        };
        begun.map_err(|error| self.stop(capture::from_step_error(&error), error.is_sticky()))
    }

    /// Ends the capture that [`begin_capture`](Self::begin_capture) began.
    pub(super) fn end_capture(&self) -> Result<CapturedGraph, CudaError> {
        match self.step.capturer() {
            Some(capturer) => {
                let ended = capturer.end().map(CapturedGraph::of_framework);
                ended.map_err(|error| error.told_by("cuStreamEndCapture"))
            }
            None => self.captured_stream().end_capture(),
        }
    }

    /// One replay, for which the host has prepared; its time in nanoseconds.
    pub(super) fn launch_replay(&mut self, step: u64, graph: &Captured) -> Result<u64, Ended> {
        self.heartbeat.enter("replay", step);
        self.parts.switch(Part::Addresses);
        let mut unstable = addresses::check(&graph.topology, &self.replay, step);
        let addresses = addresses::of_framework(&graph.topology);
        let lost = if addresses.is_empty() { Vec::new() } else { self.step.lost(&addresses) };
        unstable.extend(addresses::taken_back(&graph.topology, &lost, step));
        if !unstable.is_empty() {
            let unstable = self.with_free(unstable);
            let words = addresses::words(&graph.topology, &self.replay, &lost);
            if !self.keep_if_read(unstable, &words, graph, step)? {
                // Replaying would read or write memory that is not the step's any more.
                return Err(Ended::Stop);
            }
            self.heartbeat.enter("replay", step);
        }
        let gone = graph.behind.gone(&graph.topology, &self.replay, step);
        self.gone = self.with_free(gone);
        let loaded = self.load(&self.replay, REPLAY_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let map = self.map(step, Phase::Replay);
        self.parts.switch(Part::Replay);
        let started = Instant::now();
        let launched = graph.exec.launch(&self.stream).and_then(|()| self.wait());
        let time = nanoseconds(started);
        if let Err(error) = launched {
            let gone = std::mem::take(&mut self.gone);
            self.keep_all(gone);
            return Err(self.stop(faults::run_failed(Id::E03, &error, &graph.enqueued, step), error.is_sticky()));
        }
        self.note_changes(map, step, Phase::Replay);
        self.parts.switch(Part::Rest);
        Ok(time)
    }

    /// Host work of the step's owner, outside the captured region.
    pub(super) fn prepare_host(&mut self, step: u64, phase: Phase) -> Result<(), Ended> {
        self.heartbeat.enter("prepare", step);
        self.parts.switch(Part::HostWork);
        match self.prepare_recorded(step, phase) {
            Ok(()) => Ok(()),
            Err(error) if phase == Phase::Replay && capture::event_outside(&error, step).is_some() => {
                let finding = capture::event_outside(&error, step).into_iter();
                self.keep_all(finding.collect());
                Err(Ended::Stop)
            }
            Err(error) => Err(self.stop(self.told(faults::host_work(&error, step), &error), error.is_sticky())),
        }
    }

    /// Waits for the stream. The watchdog's patience runs from the last sign of life.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        self.done.record(&self.stream)?;
        self.stream.synchronize()
    }
}
