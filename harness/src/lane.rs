//! One step on its way through the gate: eager runs, capture, replays, comparison.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::buffers::BufferSet;
use crate::checks::bits::{Evidence, Images, Pair};
use crate::checks::{addresses, bits, capture, faults, structure};
use crate::context::{Enqueued, HostContext, Phase, StepContext};
use crate::cuda::{CudaError, Event, GraphExec, PinnedMemory, Session, Stream};
use crate::error::{RunError, StepError};
use crate::finding::Finding;
use crate::gate::{GateConfig, LaneOutcome, blank_report};
use crate::kernels::Kernels;
use crate::plan::check_specs;
use crate::report::{GraphReport, LaneReport, MemoryReceipt, Samples, Verdict};
use crate::step::{BufferSpec, HostBuffers, Role, Step};
use crate::topology::Topology;
use crate::watchdog::Heartbeat;

/// Outputs and scratch are filled with these before each run. They differ, so that an element
/// that a step leaves unwritten differs between the runs too.
const EAGER_POISON: u8 = 0xA5;
const REPLAY_POISON: u8 = 0x5A;

/// Every step below `CONTROL_HEAD` and every `CONTROL_EVERY`-th after it runs eagerly twice.
const CONTROL_HEAD: u64 = 8;
const CONTROL_EVERY: u64 = 16;

/// Everything that one step's run owns. Buffers are declared before the stream they use.
pub(crate) struct Lane {
    step: Arc<dyn Step>,
    config: GateConfig,
    heartbeat: Arc<Heartbeat>,
    specs: Arc<[BufferSpec]>,
    kernels: Kernels,
    inputs: HostBuffers,
    uploads: Vec<(usize, PinnedMemory)>,
    eager: BufferSet,
    replay: BufferSet,
    eager_images: Images,
    other_images: Images,
    state_before: Vec<(usize, PinnedMemory)>,
    done: Event,
    stream: Stream,
    report: LaneReport,
    findings: HashMap<(String, Option<usize>), (Finding, u64)>,
    finding_order: Vec<(String, Option<usize>)>,
    poisoned: bool,
}

/// The captured graph, ready to replay.
struct Captured {
    exec: GraphExec,
    topology: Topology,
    enqueued: Vec<Enqueued>,
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

impl Lane {
    pub(crate) fn prepare(
        session: &Session,
        step: Arc<dyn Step>,
        config: &GateConfig,
        heartbeat: &Arc<Heartbeat>,
    ) -> Result<Self, RunError> {
        heartbeat.enter("prepare", 0);
        let (specs, needed) = check_specs(step.as_ref())?;
        let driver = |what| move |error| RunError::Driver { what, error };
        let (free, total) = session.memory_info().map_err(driver("asking for free memory"))?;
        let memory = |buffer| RunError::OutOfMemory { step: step.name().to_owned(), needed, free, total, buffer };
        if needed.saturating_mul(2) > free {
            return Err(memory(None));
        }
        let kernels = Kernels::load(&step.modules())?;
        let stream = Stream::blocking().map_err(driver("creating a stream"))?;
        let allocate = || {
            BufferSet::allocate(session, &specs, &stream).map_err(|(index, error)| match (index, error.code) {
                (Some(index), 2) => memory(Some(specs[index].name.to_string())),
                (_, _) => RunError::Driver { what: "allocating the step's buffers", error },
            })
        };
        let free_before = session.memory_info().map_err(driver("asking for free memory"))?.0;
        let replay = allocate()?;
        let free_after = session.memory_info().map_err(driver("asking for free memory"))?.0;
        let eager = allocate()?;
        let pinned = |keep: &dyn Fn(Role) -> bool| {
            let buffers = eager.with_role(keep).into_iter();
            buffers
                .map(|index| Ok((index, PinnedMemory::new(specs[index].bytes().unwrap_or(0))?)))
                .collect::<Result<Vec<_>, CudaError>>()
                .map_err(driver("allocating pinned memory"))
        };
        let compared = |role| matches!(role, Role::Output | Role::State);
        let mut report = blank_report(step.as_ref(), config, Verdict::Pass);
        let closed_form = step.closed_form();
        report.memory = Some(MemoryReceipt {
            high_water: 0,
            device_delta: free_before.saturating_sub(free_after),
            closed_form: closed_form.as_ref().map(|form| form.bytes),
            formula: closed_form.map(|form| form.formula),
        });
        let mut lane = Lane {
            inputs: HostBuffers::zeroed(specs.iter(), |role| role == Role::Input),
            uploads: pinned(&|role| matches!(role, Role::Input | Role::State))?,
            eager_images: Images { buffers: pinned(&compared)?, poison: EAGER_POISON },
            other_images: Images { buffers: pinned(&compared)?, poison: REPLAY_POISON },
            state_before: pinned(&|role| role == Role::State)?,
            done: Event::new().map_err(driver("creating an event"))?,
            step,
            config: config.clone(),
            heartbeat: Arc::clone(heartbeat),
            specs,
            kernels,
            eager,
            replay,
            stream,
            report,
            findings: HashMap::new(),
            finding_order: Vec::new(),
            poisoned: false,
        };
        lane.init_state()?;
        Ok(lane)
    }

    fn init_state(&mut self) -> Result<(), RunError> {
        let mut state = HostBuffers::zeroed(self.specs.iter(), |role| role == Role::State);
        let step_error = |error| RunError::Inputs { step: self.step.name().to_owned(), error };
        self.step.init_state(self.config.seed, &mut state).map_err(step_error)?;
        for (index, staging) in &mut self.uploads {
            let spec = &self.specs[*index];
            if spec.role == Role::State {
                staging.bytes_mut().copy_from_slice(state.bytes(&spec.name).map_err(step_error)?);
                for set in [&self.eager, &self.replay] {
                    set.memory(*index)
                        .upload(staging, &self.stream)
                        .map_err(|error| RunError::Driver { what: "writing the initial state", error })?;
                }
            }
        }
        self.stream.synchronize().map_err(|error| RunError::Driver { what: "writing the initial state", error })?;
        Ok(())
    }

    /// Runs every step and returns the report.
    pub(crate) fn run(&mut self, progress: &mut dyn FnMut(u64)) -> Result<LaneOutcome, RunError> {
        let mut eager_times = Samples::new();
        let mut replay_times = Samples::new();
        let mut captured: Option<Captured> = None;
        let mut verdict = None;
        for step in 0..self.config.steps {
            if self.config.stopped() {
                verdict = Some(Verdict::Interrupted);
                break;
            }
            let outcome = self.one_step(step, &mut captured, &mut eager_times, &mut replay_times);
            match outcome {
                Ok(()) => progress(step + 1),
                Err(Ended::Stop) => break,
                Err(Ended::Run(error)) => return Err(error),
            }
        }
        self.finish(captured, verdict, &eager_times, &replay_times)
    }

    fn one_step(
        &mut self,
        step: u64,
        captured: &mut Option<Captured>,
        eager_times: &mut Samples,
        replay_times: &mut Samples,
    ) -> Result<(), Ended> {
        self.fill_inputs(step)?;
        let controlled = step < CONTROL_HEAD || step.is_multiple_of(CONTROL_EVERY);
        self.run_eager(step, controlled, eager_times)?;
        if captured.is_none() {
            *captured = Some(self.capture(step)?);
        }
        let graph = captured.as_ref().expect("captured above");
        self.run_replay(step, graph, replay_times)?;
        self.compare_with_replay(step, graph);
        Ok(())
    }

    fn fill_inputs(&mut self, step: u64) -> Result<(), RunError> {
        self.heartbeat.enter("inputs", step);
        let name = || self.step.name().to_owned();
        self.step
            .fill_inputs(step, self.config.seed, &mut self.inputs)
            .map_err(|error| RunError::Inputs { step: name(), error })?;
        for (index, staging) in &mut self.uploads {
            let spec = &self.specs[*index];
            if spec.role == Role::Input {
                let image = self.inputs.bytes(&spec.name).map_err(|error| RunError::Inputs { step: name(), error })?;
                staging.bytes_mut().copy_from_slice(image);
            }
        }
        Ok(())
    }

    /// Copies the inputs in and poisons what the step has to write.
    fn load(&self, set: &BufferSet, poison: u8) -> Result<(), CudaError> {
        for (index, staging) in &self.uploads {
            if self.specs[*index].role == Role::Input {
                set.memory(*index).upload(staging, &self.stream)?;
            }
        }
        for index in set.with_role(|role| matches!(role, Role::Output | Role::Scratch)) {
            set.memory(index).fill(poison, &self.stream)?;
        }
        self.stream.synchronize()
    }

    fn run_eager(&mut self, step: u64, controlled: bool, times: &mut Samples) -> Result<(), Ended> {
        if controlled {
            self.heartbeat.enter("eager", step);
            let saved = copy_out(&self.eager, &mut self.state_before, &self.stream);
            self.driver(saved, "saving the state")?;
        }
        self.prepare_host(step, Phase::Eager)?;
        times.push(self.record_eager(step, EAGER_POISON)?);
        let collected = copy_out(&self.eager, &mut self.eager_images.buffers, &self.stream);
        self.driver(collected, "reading the outputs back")?;
        if !controlled {
            return Ok(());
        }
        let restored = copy_in(&self.eager, &self.state_before, &self.stream);
        self.driver(restored, "restoring the state")?;
        self.record_eager(step, REPLAY_POISON)?;
        let collected = copy_out(&self.eager, &mut self.other_images.buffers, &self.stream);
        self.driver(collected, "reading the outputs back")?;
        self.report.steps_controlled += 1;
        let found = self.compare(Pair::EagerEager, step, None);
        self.keep(found);
        Ok(())
    }

    /// One eager run; its time in nanoseconds.
    fn record_eager(&mut self, step: u64, poison: u8) -> Result<u64, Ended> {
        self.heartbeat.enter("eager", step);
        let loaded = self.load(&self.eager, poison);
        self.driver(loaded, "copying the inputs in")?;
        let started = Instant::now();
        let (recorded, enqueued) = self.record(&self.eager, false);
        if let Err(error) = recorded {
            let sticky = matches!(&error, StepError::Cuda { error, .. } if error.is_sticky());
            return Err(self.stop(faults::eager_step(&error, &enqueued, step), sticky));
        }
        if let Err(error) = self.wait() {
            return Err(self.stop(faults::run_failed("E02", &error, &enqueued, step), error.is_sticky()));
        }
        Ok(nanoseconds(started))
    }

    fn record(&self, buffers: &BufferSet, capturing: bool) -> (Result<(), StepError>, Vec<Enqueued>) {
        let mut cx = StepContext {
            stream: &self.stream,
            buffers,
            kernels: &self.kernels,
            heartbeat: &self.heartbeat,
            capturing,
            enqueued: Vec::new(),
        };
        let result = self.step.record(&mut cx);
        (result, cx.enqueued)
    }

    fn capture(&mut self, step: u64) -> Result<Captured, Ended> {
        self.heartbeat.enter("capture", step);
        let started = Instant::now();
        let begun = self.stream.begin_capture();
        self.driver(begun, "beginning the capture")?;
        let (recorded, enqueued) = self.record(&self.replay, true);
        // Ended whatever happened: a capture left open makes the stream unusable.
        let ended = self.stream.end_capture();
        self.report.times.capture = nanoseconds(started);
        if let Err(error) = recorded {
            return Err(self.stop(capture::from_step_error(&error), false));
        }
        let graph = match ended {
            Ok(graph) => graph,
            Err(error) => return Err(self.stop(capture::from_end(&error), false)),
        };
        let read = Topology::read(&graph, &enqueued, &self.replay);
        let topology = self.driver(read, "reading the graph back")?;
        self.report.graph = Some(GraphReport {
            nodes: topology.nodes.len(),
            edges: topology.edges.len(),
            pointers: topology.nodes.iter().map(|node| node.pointers.len()).sum(),
            topology: topology.to_text(&self.replay).lines().map(str::to_owned).collect(),
        });
        let found = structure::check(&topology, &enqueued);
        self.keep(found.into_iter().map(|finding| (usize::MAX, finding)).collect());
        let started = Instant::now();
        match graph.instantiate() {
            Ok(exec) => {
                self.report.times.instantiate = nanoseconds(started);
                Ok(Captured { exec, topology, enqueued })
            }
            Err(error) => Err(self.stop(
                Finding::new("E05", "capture").contrast("the graph instantiates", error.to_string()),
                error.is_sticky(),
            )),
        }
    }

    fn run_replay(&mut self, step: u64, graph: &Captured, times: &mut Samples) -> Result<(), Ended> {
        self.prepare_host(step, Phase::Replay)?;
        self.heartbeat.enter("replay", step);
        let unstable = addresses::check(&graph.topology, &self.replay, step);
        if !unstable.is_empty() {
            // Replaying would read or write memory that is not the step's any more.
            self.keep(unstable.into_iter().enumerate().collect());
            return Err(Ended::Stop);
        }
        let loaded = self.load(&self.replay, REPLAY_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let started = Instant::now();
        let launched = graph.exec.launch(&self.stream).and_then(|()| self.wait());
        if let Err(error) = launched {
            return Err(self.stop(faults::run_failed("E03", &error, &graph.enqueued, step), error.is_sticky()));
        }
        times.push(nanoseconds(started));
        let collected = copy_out(&self.replay, &mut self.other_images.buffers, &self.stream);
        self.driver(collected, "reading the outputs back")?;
        Ok(())
    }

    fn compare_with_replay(&mut self, step: u64, graph: &Captured) {
        self.heartbeat.enter("compare", step);
        let found = self.compare(Pair::EagerReplay, step, Some(&graph.topology));
        self.report.steps_compared += 1;
        self.report.steps_agreeing += u64::from(found.is_empty());
        self.keep(found);
    }

    fn compare(&self, pair: Pair, step: u64, topology: Option<&Topology>) -> Vec<(usize, Finding)> {
        bits::check(&Evidence {
            pair,
            step,
            reference: &self.eager_images,
            other: &self.other_images,
            inputs: &self.uploads,
            buffers: if pair == Pair::EagerEager { &self.eager } else { &self.replay },
            topology,
        })
    }

    /// Host work of the step's owner, outside the captured region.
    fn prepare_host(&mut self, step: u64, phase: Phase) -> Result<(), Ended> {
        self.heartbeat.enter("prepare", step);
        let buffers = match phase {
            Phase::Eager => &mut self.eager,
            Phase::Replay => &mut self.replay,
        };
        let mut cx = HostContext { phase, stream: &self.stream, buffers };
        match self.step.prepare(step, &mut cx) {
            Ok(()) => Ok(()),
            Err(error) => {
                let sticky = matches!(&error, StepError::Cuda { error, .. } if error.is_sticky());
                Err(self.stop(faults::eager_step(&error, &[], step), sticky))
            }
        }
    }

    /// Waits for the stream. The watchdog's patience runs from the last sign of life.
    fn wait(&self) -> Result<(), CudaError> {
        self.done.record(&self.stream)?;
        self.stream.synchronize()
    }

    /// A failure of the harness's own driver calls: after a fault it is the step's doing.
    fn driver<T>(&mut self, result: Result<T, CudaError>, what: &'static str) -> Result<T, Ended> {
        result.map_err(|error| {
            if error.is_sticky() {
                self.stop(faults::run_failed("E02", &error, &[], self.heartbeat.position().step), true)
            } else {
                Ended::Run(RunError::Driver { what, error })
            }
        })
    }

    fn stop(&mut self, finding: Finding, poisoned: bool) -> Ended {
        self.poisoned |= poisoned;
        self.keep(vec![(usize::MAX, finding)]);
        Ended::Stop
    }

    /// Keeps the first finding of each kind and buffer, and counts the others: memory stays flat
    /// over any number of steps.
    fn keep(&mut self, found: Vec<(usize, Finding)>) {
        for (buffer, finding) in found {
            let key = (finding.id.clone(), Some(buffer));
            if let Some((_, count)) = self.findings.get_mut(&key) {
                *count += 1;
            } else {
                self.finding_order.push(key.clone());
                self.findings.insert(key, (finding, 1));
            }
        }
    }

    fn finish(
        &mut self,
        captured: Option<Captured>,
        verdict: Option<Verdict>,
        eager: &Samples,
        replay: &Samples,
    ) -> Result<LaneOutcome, RunError> {
        drop(captured);
        let mut report = self.report.clone();
        report.times.eager = eager.spread();
        report.times.replay = replay.spread();
        if !self.poisoned
            && let (Some(memory), Ok(high)) = (&mut report.memory, self.replay.used_high())
        {
            memory.high_water = high;
        }
        for key in &self.finding_order {
            let Some((finding, count)) = self.findings.remove(key) else { continue };
            let finding = if count > 1 { finding.note(format!("and in {} later steps", count - 1)) } else { finding };
            report.findings.push(finding);
        }
        if report.failed() {
            report.verdict = Verdict::Fail;
        } else if let Some(verdict) = verdict {
            report.verdict = verdict;
        }
        Ok(LaneOutcome { report, poisoned: self.poisoned })
    }
}

fn copy_out(set: &BufferSet, images: &mut [(usize, PinnedMemory)], stream: &Stream) -> Result<(), CudaError> {
    for (index, image) in images {
        set.memory(*index).download(image, stream)?;
    }
    stream.synchronize()
}

fn copy_in(set: &BufferSet, images: &[(usize, PinnedMemory)], stream: &Stream) -> Result<(), CudaError> {
    for (index, image) in images {
        set.memory(*index).upload(image, stream)?;
    }
    stream.synchronize()
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
