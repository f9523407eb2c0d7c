//! Runs one step through the gate: eager, capture, replay, checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::buffers::BufferSet;
use crate::calls;
use crate::capture_as::{self, CaptureMode, StreamKind};
use crate::checks::faults;
use crate::cuda::Session;
use crate::driver;
use crate::error::RunError;
use crate::finding::Finding;
pub use crate::lane::bisect::{Bisection, Compared, First};
pub use crate::lane::parts::{Part, Parts};
pub use crate::lane::speed::Speed;
use crate::lane::{Lane, declared};
use crate::panics;
use crate::report::{Digests, LaneReport, Times, Verdict};
use crate::step::{HostBuffers, Step};
use crate::topology::Topology;
use crate::watchdog::Heartbeat;

/// How to run a step.
#[derive(Debug, Clone)]
pub struct GateConfig {
    /// Steps to replay and compare.
    pub steps: u64,
    /// Seed of the inputs.
    pub seed: u64,
    /// The shape of the step as text, for the report.
    pub shape: String,
    /// Time without a sign of life after which a run counts as hung. While blocks of kernels end, which
    /// the software driver tells, it is ten times as long.
    pub patience: Duration,
    /// The stream that the step runs on.
    pub stream: StreamKind,
    /// The mode that it is captured in.
    pub mode: CaptureMode,
    /// Also replay several steps without a wait in between.
    pub pipelined: bool,
    /// Replays under so many seeded orders of what CUDA leaves open, on the software driver.
    pub orders: u64,
    /// Set to stop at the next step.
    pub stop: Arc<AtomicBool>,
}

impl Default for GateConfig {
    fn default() -> Self {
        GateConfig {
            steps: 64,
            seed: 0,
            shape: String::new(),
            patience: Duration::from_secs(60),
            stream: StreamKind::default(),
            mode: CaptureMode::default(),
            pipelined: false,
            orders: 0,
            stop: Arc::default(),
        }
    }
}

/// How much longer than the patience a run may go without a sign of life from the host while its
/// kernels go on: a big shape is slow, which is no hang.
const SLOWER: u32 = 10;

/// What a run tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// This many steps are compared.
    Steps(u64),
}

/// The outcome of one step, and whether the process can run another.
#[derive(Debug)]
pub struct LaneOutcome {
    /// The report.
    pub report: LaneReport,
    /// The device or the driver is unusable for the rest of the process: a sticky error or a hang.
    pub poisoned: bool,
    /// Where its time went.
    pub parts: Parts,
}

/// Runs `step` on a thread of its own and watches over it.
///
/// # Errors
/// The run could not take place; nothing is said about the step.
pub fn run(
    session: &Arc<Session>,
    step: &Arc<dyn Step>,
    config: &GateConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<LaneOutcome, RunError> {
    let heartbeat = Arc::new(Heartbeat::default());
    let (sender, receiver) = mpsc::channel();
    let thread = {
        let (session, step, config, heartbeat) =
            (Arc::clone(session), Arc::clone(step), config.clone(), Arc::clone(&heartbeat));
        std::thread::Builder::new()
            .name(format!("gate {}", step.name()))
            .spawn(move || {
                let steps = sender.clone();
                let work = || {
                    session.bind().map_err(|error| RunError::Driver { what: "binding the context", error })?;
                    let declaring = Arc::clone(&step);
                    let mut lane = Lane::prepare(&session, step, &config, &heartbeat)?;
                    let mut outcome = lane.run(&mut |done| {
                        // Nobody listens any more after a hang was reported.
                        let _ = steps.send(Message::Steps(done));
                    })?;
                    // Its memory goes back before other lanes of the same step are made.
                    drop(lane);
                    declared::judge(&session, &declaring, &config, &heartbeat, &mut outcome)?;
                    Ok(outcome)
                };
                let result = panics::watched(work);
                let _ = sender.send(Message::Ended(Box::new(result)));
            })
            .expect("the system can start a thread")
    };
    let mut last = (heartbeat.count(), Instant::now());
    let mut stopped = None;
    // Kernels that go on are a sign of life too, but not for ever: launches may be without end.
    let (mut blocks, mut beat) = (driver::blocks_ended(), (last.1, driver::blocks_ended()));
    loop {
        match receiver.recv_timeout(Duration::from_millis(50).min(config.patience)) {
            Ok(Message::Steps(done)) => progress(Progress::Steps(done)),
            Ok(Message::Ended(result)) => {
                // The thread sent its last message; joining only lets its locals go.
                let _ = thread.join();
                return match *result {
                    Ok(outcome) => outcome,
                    Err(panic) => {
                        let finding = faults::panicked(&panic.message, panic.at, &heartbeat.position());
                        Ok(lost(step, config, finding))
                    }
                };
            }
            Err(RecvTimeoutError::Disconnected) => {
                let finding = faults::panicked("its thread ended early", None, &heartbeat.position());
                return Ok(lost(step, config, finding));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if config.stop.load(Ordering::Relaxed) && stopped.get_or_insert_with(Instant::now).elapsed() >= GRACE {
            return Ok(given_up(step, config));
        }
        let (count, ended) = (heartbeat.count(), driver::blocks_ended());
        if count != last.0 {
            last = (count, Instant::now());
            beat = (last.1, ended);
            blocks = ended;
        } else if ended != blocks && beat.0.elapsed() < config.patience * SLOWER {
            last.1 = Instant::now();
            blocks = ended;
        } else if last.1.elapsed() >= config.patience {
            let progress = ended.zip(beat.1).map(|(now, then)| now - then);
            let seconds = beat.0.elapsed().as_secs();
            return Ok(lost(step, config, faults::hang(&heartbeat.position(), seconds, progress)));
        }
    }
}

/// How long a step may go on after the run was asked to stop. Whoever ends a cancelled job waits for
/// some seconds before it kills, and the reports have to be written by then.
const GRACE: Duration = Duration::from_secs(2);

/// The outcome of a run that was stopped in a step which did not end.
fn given_up(step: &Arc<dyn Step>, config: &GateConfig) -> LaneOutcome {
    let mut report = blank_report(step.as_ref(), config, Verdict::Interrupted);
    report.not_checked.push("the run was stopped within a step, which was not waited for".to_owned());
    LaneOutcome { report, poisoned: true, parts: Parts::default() }
}

enum Message {
    Steps(u64),
    Ended(Box<Result<Result<LaneOutcome, RunError>, panics::Panic>>),
}

/// The outcome of a run whose thread did not come back with one.
fn lost(step: &Arc<dyn Step>, config: &GateConfig, finding: Finding) -> LaneOutcome {
    let mut report = blank_report(step.as_ref(), config, Verdict::Fail);
    report.findings.push(finding);
    report.not_checked.extend(calls::not_checked());
    LaneOutcome { report, poisoned: true, parts: Parts::default() }
}

/// A report of a step of which nothing is known yet.
pub fn blank_report(step: &dyn Step, config: &GateConfig, verdict: Verdict) -> LaneReport {
    LaneReport {
        step: step.name().to_owned(),
        summary: step.summary(),
        shape: config.shape.clone(),
        seed: config.seed,
        verdict,
        steps_asked: config.steps,
        steps_compared: 0,
        steps_agreeing: 0,
        steps_differing: Vec::new(),
        steps_controlled: 0,
        findings: Vec::new(),
        graph: None,
        memory: None,
        times: Times::default(),
        speed: None,
        digests: Digests::default(),
        timelines: Vec::new(),
        not_checked: capture_as::not_default(config.stream, config.mode).into_iter().collect(),
    }
}

impl GateConfig {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs `steps` steps eagerly and as replays, and checks nothing: what checks are measured against.
/// Inputs are made and copied in for each run, as [`run`] does. Gives where the time went.
///
/// # Errors
/// The run could not take place. The inner error holds the findings of a step that failed.
pub fn plain(
    session: &Session,
    step: &Arc<dyn Step>,
    steps: u64,
    seed: u64,
) -> Result<Result<Parts, Vec<Finding>>, RunError> {
    let config = GateConfig { steps, seed, ..GateConfig::default() };
    Lane::prepare(session, Arc::clone(step), &config, &Arc::default())?.plain()
}

/// Captures `step` once, on the inputs of step 0, and shows `look` the graph, the buffers that it
/// stands on and the images of the inputs. Nothing is replayed.
///
/// # Errors
/// The run could not take place. The inner error holds the findings of a capture that failed.
pub fn inspect<R>(
    session: &Session,
    step: &Arc<dyn Step>,
    look: impl FnOnce(&Topology, &BufferSet, &HostBuffers) -> R,
) -> Result<Result<R, Vec<Finding>>, RunError> {
    let config = GateConfig { steps: 0, ..GateConfig::default() };
    Lane::prepare(session, Arc::clone(step), &config, &Arc::default())?.inspect(look)
}

/// Runs `step` eagerly `steps` times, to compare it with a reference of one's own. `visit` sees
/// each step's index, its inputs with the state before it, and its outputs with the state after.
///
/// # Errors
/// The run could not take place. The inner error holds the findings of a run that failed.
pub fn observe(
    session: &Session,
    step: &Arc<dyn Step>,
    steps: u64,
    seed: u64,
    visit: &mut dyn FnMut(u64, &HostBuffers, &HostBuffers),
) -> Result<Result<(), Vec<Finding>>, RunError> {
    let config = GateConfig { steps, seed, ..GateConfig::default() };
    Lane::prepare(session, Arc::clone(step), &config, &Arc::default())?.observe(steps, visit)
}

/// Measures `step` on the inputs of step 0 for about `budget`, and checks nothing. `visit` sees
/// the bytes of each input, then of each output of one eager run, by name.
///
/// # Errors
/// The run could not take place. The inner error holds the findings of a step that failed.
pub fn measure(
    session: &Session,
    step: &Arc<dyn Step>,
    budget: Duration,
    visit: &mut dyn FnMut(&str, &[u8]),
) -> Result<Result<Speed, Vec<Finding>>, RunError> {
    let config = GateConfig { steps: 1, ..GateConfig::default() };
    Lane::prepare(session, Arc::clone(step), &config, &Arc::default())?.measure(budget, visit)
}

/// Runs `step` until a replay differs from eager execution, and takes the graph apart there: node by node,
/// beside the eager step. Nothing is in the outcome where no step differs.
///
/// # Errors
/// The run could not take place. The inner error holds the findings of a step that failed otherwise.
pub fn bisect(
    session: &Session,
    step: &Arc<dyn Step>,
    config: &GateConfig,
) -> Result<Result<Bisection, Vec<Finding>>, RunError> {
    Lane::prepare(session, Arc::clone(step), config, &Arc::default())?.bisected()
}

/// Captures `step` in a process that has not run it, and again, and tells what only the first capture does:
/// allocate, load, tune, wait. Then the same for `then`, the step at another shape, or for what the step itself
/// declares as such: a first call after a change of shape.
///
/// # Errors
/// The run could not take place.
pub fn cold(
    session: &Session,
    step: &Arc<dyn Step>,
    then: Option<&Arc<dyn Step>>,
    config: &GateConfig,
) -> Result<Vec<Finding>, RunError> {
    let prepare = |step: &Arc<dyn Step>| Lane::prepare(session, Arc::clone(step), config, &Arc::default());
    // It lives on: what it keeps is what an engine would still have when the shape changes.
    let mut first = prepare(step)?;
    let (mut found, broken) = first.cold()?;
    let then = then.cloned().or_else(|| step.reshaped().map(Arc::from));
    if let Some(then) = then.filter(|_| !broken) {
        let summary = then.summary();
        let (after, _) = prepare(&then)?.cold()?;
        found.extend(after.into_iter().map(|finding| finding.note(format!("after a change of shape: {summary}"))));
    }
    Ok(found)
}
