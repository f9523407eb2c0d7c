//! One step on its way through the gate: eager runs, capture, replays, comparison.

mod beside_host;
pub(crate) mod bisect;
mod bodies;
mod cold;
mod confirm;
pub(crate) mod declared;
mod device_time;
mod edges;
mod evidence;
mod exercised;
mod grows;
mod held;
mod images;
mod judge;
mod mapped;
mod observe;
mod orders;
pub(crate) mod parts;
mod pipelined;
mod plain;
mod poison;
mod probes;
mod runs;
mod setup;
mod shared;
pub(crate) mod speed;
mod timeline;
mod unread;
mod unsteady;
mod warm;
mod watch;
mod writers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::buffers::BufferSet;
use crate::calls;
use crate::checks::behind::Behind;
use crate::checks::bits::Pair;
use crate::checks::{capture, faults};
use crate::compare::device::Comparer;
use crate::context::{Enqueued, Phase};
use crate::cuda::{CapturedGraph, CudaError, Event, GraphExec, PinnedMemory, Stream};
use crate::error::RunError;
use crate::finding::{Finding, Id};
use crate::gate::{GateConfig, LaneOutcome};
use crate::kernels::Kernels;
use crate::memory_map::Digester;
use crate::report::{LaneReport, MOST_DIFFERING, Samples, Verdict};
use crate::step::{BufferSpec, HostBuffers, Step};
use crate::topology::Topology;
use crate::watchdog::Heartbeat;
use images::{DeviceImages, HostImages, Levelled, RowLengths};
use judge::Beside;
use parts::{Part, Parts};

/// Outputs and scratch are filled with these before each run. They differ, so that an element
/// that a step leaves unwritten differs between the runs too.
const EAGER_POISON: u8 = 0xA5;
const REPLAY_POISON: u8 = 0x5A;

/// What the guards of the two sets hold: a value that a step reads beside a buffer differs too.
const EAGER_GUARD: u8 = 0x3C;
const REPLAY_GUARD: u8 = 0xC3;

/// Every step below `CONTROL_HEAD` and every `CONTROL_EVERY`-th after it runs eagerly twice.
const CONTROL_HEAD: u64 = 8;
const CONTROL_EVERY: u64 = 16;

/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`.
const CAPTURE_REFUSES: u32 = 900;

/// The step at which the stream is held and the first inputs are replayed again. Not the first:
/// everything is warm by then.
const PROBE_STEP: u64 = 1;

/// Everything that one step's run owns. Buffers are declared before the stream they use.
pub(crate) struct Lane {
    step: Arc<dyn Step>,
    config: GateConfig,
    heartbeat: Arc<Heartbeat>,
    specs: Arc<[BufferSpec]>,
    kernels: Kernels,
    /// Largest dynamic shared memory of a block, in bytes.
    most_shared: u32,
    inputs: HostBuffers,
    uploads: HostImages,
    /// Of the inputs in `uploads`.
    input_digests: Vec<(usize, u64)>,
    eager: BufferSet,
    replay: BufferSet,
    /// What the reference run left, of every compared buffer.
    kept: DeviceImages,
    state_before: DeviceImages,
    row_lengths: RowLengths,
    levelled: Levelled,
    comparer: Comparer,
    /// Where no driver tells what kernels touch.
    digester: Option<Digester>,
    /// Host memory for images that differ, or that have no order.
    fetched: BTreeMap<usize, [PinnedMemory; 2]>,
    first_replay: Option<HostImages>,
    digests: judge::Sums,
    parts: Parts,
    done: Event,
    stream: Stream,
    /// The stream that is captured, where the step's own cannot be.
    captures: Option<Stream>,
    report: LaneReport,
    findings: HashMap<FindingKey, Seen>,
    finding_order: Vec<FindingKey>,
    evidence: evidence::Evidence,
    watched: watch::Watched,
    mapped: mapped::Mapped,
    /// Parameters of opaque kernels that differ from capture to capture: told if results differ too.
    suspects: Vec<Finding>,
    /// What is gone behind pointers in memory, before the last replay: told if that differs.
    gone: Vec<Finding>,
    /// Whether the step is known to have no work of other host threads.
    no_host_threads: bool,
    poisoned: bool,
}

/// Findings of one id, buffer and line of the step are one finding, seen several times.
type FindingKey = (Id, usize, Option<u32>);

/// A finding, and in how many steps it was made.
struct Seen {
    finding: Finding,
    steps: u64,
    last: Option<u64>,
}

/// The captured graph, ready to replay.
struct Captured {
    exec: GraphExec,
    topology: Topology,
    enqueued: Vec<Enqueued>,
    /// How many nodes there are after each piece of work.
    boundaries: Vec<usize>,
    /// The step whose inputs were in place.
    step: u64,
    /// What stands in the memory that the graph points at.
    behind: Behind,
    /// A copy of the graph to take nodes from; none where the driver clones no such graph.
    spare: Option<CapturedGraph>,
}

/// Times of the steps so far.
#[derive(Default)]
struct TimesTaken {
    eager: Samples,
    replay: Samples,
    replay_per_mille: Samples,
}

/// Why the run of a step ended early.
enum Ended {
    /// Because of a finding, which is kept already.
    Stop,
    /// The run could not go on; nothing is said about the step.
    Run(RunError),
}

impl From<RunError> for Ended {
    fn from(error: RunError) -> Self {
        Ended::Run(error)
    }
}

/// What a report says of a parameter that differs and changes no result.
fn unread(finding: &Finding) -> String {
    let at = finding.site.as_ref().map(|site| format!(" at {}:{}", site.file, site.line)).unwrap_or_default();
    format!("whether a kernel{at} reads what differs and changes no result: {}; {}", finding.expected, finding.seen)
}

impl Lane {
    /// Runs every step and returns the report.
    pub(crate) fn run(&mut self, progress: &mut dyn FnMut(u64)) -> Result<LaneOutcome, RunError> {
        let mut times = TimesTaken::default();
        let mut captured: Option<Captured> = None;
        let mut verdict = None;
        for step in 0..self.config.steps {
            if self.config.stopped() {
                verdict = Some(Verdict::Interrupted);
                break;
            }
            let outcome = self.one_step(step, &mut captured, &mut times);
            match outcome {
                Ok(()) => progress(step + 1),
                Err(Ended::Stop) => break,
                Err(Ended::Run(error)) => return Err(error),
            }
        }
        if let Some(graph) = captured.as_ref().filter(|_| verdict.is_none()) {
            self.place_results(graph);
            let more = self.judge_map(graph).and_then(|()| self.pipelined(graph));
            let more = more.and_then(|()| self.beside_host_threads(graph)).and_then(|()| self.hold_streams(graph));
            let more = more.and_then(|()| self.try_edges(graph)).and_then(|()| self.try_orders(graph));
            match more.and_then(|()| self.time_replays(graph, times.replay.spread().median)) {
                Ok(device) => self.report.times.device = device,
                Err(Ended::Stop) => {}
                Err(Ended::Run(error)) => return Err(error),
            }
        }
        if verdict.is_none() {
            self.place_unsteady();
        }
        self.finish(captured, verdict, &times)
    }

    fn one_step(&mut self, step: u64, captured: &mut Option<Captured>, times: &mut TimesTaken) -> Result<(), Ended> {
        self.fill_inputs(step)?;
        let controlled = step < CONTROL_HEAD || step.is_multiple_of(CONTROL_EVERY);
        let eager = self.run_eager(step, controlled)?;
        times.eager.push(eager);
        self.host_threads(step, Phase::Eager)?;
        if captured.is_none() {
            // The host prepares the graph's buffers before they are used: it may fill a cache for them.
            self.prepare_host(step, Phase::Replay)?;
            self.warm_up(step)?;
            *captured = Some(self.capture(step)?);
        }
        let graph = captured.as_ref().expect("captured above");
        if step > 0 && step < CONTROL_HEAD {
            self.capture_again(step, graph)?;
        }
        if step == PROBE_STEP {
            self.probe_stall(step)?;
        }
        let watch = self.watch(step);
        if graph.step < step {
            self.prepare_host(step, Phase::Replay)?;
        }
        let replay = self.launch_replay(step, graph)?;
        self.judge_watched(watch, graph, step);
        times.replay.push(replay);
        times.replay_per_mille.push(replay.saturating_mul(1000) / eager.max(1));
        self.compare_with_replay(step, graph)?;
        self.host_threads(step, Phase::Replay)?;
        self.sample_memory(step)?;
        if step == timeline::STEP.min(self.config.steps - 1) {
            self.draw_timelines(step, graph)?;
        }
        match step {
            evidence::DUMMY_STEP => self.probe_dummy(step, graph),
            0 => self.remember_first_replay(),
            PROBE_STEP => self.replay_first_again(step, graph),
            _ => Ok(()),
        }
    }

    fn compare_with_replay(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        self.heartbeat.enter("compare", step);
        self.parts.switch(Part::Comparison);
        let judged = self.compare(Pair::EagerReplay, Beside::All, step, Some(&graph.topology))?;
        let gone = std::mem::take(&mut self.gone);
        if !judged.images.is_empty() {
            self.keep_all(gone);
        }
        self.report.steps_compared += 1;
        self.report.steps_agreeing += u64::from(judged.images.is_empty());
        if !judged.images.is_empty() && self.report.steps_differing.len() < MOST_DIFFERING {
            self.report.steps_differing.push(step);
        }
        self.keep(judged.images);
        self.keep(judged.inputs);
        self.parts.switch(Part::Rest);
        Ok(())
    }

    /// The stream that is captured.
    fn captured_stream(&self) -> &Stream {
        self.captures.as_ref().unwrap_or(&self.stream)
    }

    /// A failure of the harness's own driver calls: after a fault it is the step's doing.
    fn driver<T>(&mut self, result: Result<T, CudaError>, what: &'static str) -> Result<T, Ended> {
        result.map_err(|error| {
            if error.code == CAPTURE_REFUSES {
                // None of the harness's captures is open where it makes such a call.
                self.stop(capture::left_open(&error, &[], self.heartbeat.position().step), true)
            } else if error.is_sticky() {
                self.stop(faults::run_failed(Id::E02, &error, &[], self.heartbeat.position().step), true)
            } else {
                Ended::Run(RunError::Driver { what, error })
            }
        })
    }

    fn stop(&mut self, finding: Finding, poisoned: bool) -> Ended {
        self.poisoned |= poisoned;
        self.keep_all(vec![finding]);
        Ended::Stop
    }

    /// Keeps findings that belong to no buffer; of several of one id and line, the first.
    fn keep_all(&mut self, found: Vec<Finding>) {
        self.keep(found.into_iter().map(|finding| (usize::MAX, finding)).collect());
    }

    /// Keeps the first finding of each kind and buffer, and counts the others: memory stays flat
    /// over any number of steps.
    fn keep(&mut self, found: Vec<(usize, Finding)>) {
        for (buffer, mut finding) in found {
            if finding.site.is_none() {
                finding.site = self.user_of(buffer);
            }
            // A buffer says it all; where there is none, the line does.
            let line = finding.site.as_ref().filter(|_| buffer == usize::MAX).map(|site| site.line);
            let key = (finding.id, buffer, line);
            if let Some(seen) = self.findings.get_mut(&key) {
                // The control run and the replay of one step count once.
                seen.steps += u64::from(finding.step.is_none() || finding.step != seen.last);
                seen.last = finding.step;
            } else {
                self.finding_order.push(key);
                let last = finding.step;
                self.findings.insert(key, Seen { finding, steps: 1, last });
            }
        }
    }

    /// Whether a finding that belongs to no buffer was made before, at the same line.
    fn is_known(&self, finding: &Finding) -> bool {
        let line = finding.site.as_ref().map(|site| site.line);
        self.findings.contains_key(&(finding.id, usize::MAX, line))
    }

    /// Captures the step on the inputs of step 0 and shows the graph.
    pub(crate) fn inspect<R>(
        &mut self,
        look: impl FnOnce(&Topology, &BufferSet, &HostBuffers) -> R,
    ) -> Result<Result<R, Vec<Finding>>, RunError> {
        match self.fill_inputs(0).map_err(Ended::from).and_then(|()| self.capture_cold(0)) {
            Ok(graph) => Ok(Ok(look(&graph.topology, &self.replay, &self.inputs))),
            Err(Ended::Run(error)) => Err(error),
            Err(Ended::Stop) => Ok(Err(self.take_findings())),
        }
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        let suspects = std::mem::take(&mut self.suspects);
        if self.findings.keys().any(|(id, ..)| matches!(id, Id::R01 | Id::R03 | Id::V07)) {
            self.keep_all(suspects);
        } else {
            self.report.not_checked.extend(suspects.iter().map(unread));
        }
        let findings = &mut self.findings;
        let in_order = self.finding_order.drain(..).filter_map(|key| findings.remove(&key));
        let told = in_order.map(|Seen { finding, steps, .. }| match steps {
            1 => finding,
            _ => finding.note(format!("and in {} later steps", steps - 1)),
        });
        watch::point_from_results(told.collect())
    }

    fn finish(
        &mut self,
        captured: Option<Captured>,
        verdict: Option<Verdict>,
        times: &TimesTaken,
    ) -> Result<LaneOutcome, RunError> {
        // Before the graph goes: what that gives back would be taken for another's.
        self.keep_trends(captured.as_ref());
        drop(captured);
        // First: it may add to what the report says was not checked.
        let findings = self.take_findings();
        let mut report = self.report.clone();
        report.times.eager = times.eager.spread();
        report.times.replay = times.replay.spread();
        report.times.replay_per_mille = times.replay_per_mille.spread();
        if !self.poisoned
            && let (Some(memory), Ok(high)) = (&mut report.memory, self.replay.used_high())
        {
            memory.high_water = high;
        }
        report.digests = self.digests.report(&self.specs);
        report.not_checked.extend(calls::not_checked());
        report.findings = findings;
        if report.failed() {
            report.verdict = Verdict::Fail;
        } else if let Some(verdict) = verdict {
            report.verdict = verdict;
        }
        self.parts.switch(Part::Rest);
        Ok(LaneOutcome { report, poisoned: self.poisoned, parts: self.parts.clone() })
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
