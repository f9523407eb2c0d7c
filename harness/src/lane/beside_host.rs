//! What another host thread does while a replay is in flight, for steps that declare such work: the stream is
//! held until the thread is done, so that what it overwrites is overwritten before the replay reads it. It needs
//! no unlucky timing.

use std::panic::Location;
use std::time::Duration;

use super::judge::Beside;
use super::{Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON};
use crate::buffers::BufferSet;
use crate::checks::bits::Pair;
use crate::checks::{addresses, beside_host, faults, stall, unordered};
use crate::context::{HostContext, Phase};
use crate::cuda::{CudaError, CurrentContext, Stream};
use crate::error::{StepError, StepResult};
use crate::finding::{Finding, Id, Severity, Site};
use crate::observed::Watch;
use crate::step::Step;

/// Steps whose replays are judged so.
const STEPS: u64 = 4;
/// How long the thread may wait for the stream before that is released. Who waits is ordered.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the thread said: whether the step has such work at all.
type Said = (StepResult<bool>, Option<&'static Location<'static>>);

/// Runs the work on a thread of its own, and waits for it.
fn on_a_thread(
    step: &dyn Step,
    index: u64,
    (phase, stream, buffers): (Phase, &Stream, &mut BufferSet),
) -> Result<Said, CudaError> {
    let context = CurrentContext::get()?;
    let work = move || {
        context.bind()?;
        let mut cx = HostContext::new(phase, stream, buffers);
        let said = step.beside_replay(index, &mut cx);
        Ok((said, cx.last.get()))
    };
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(said) => said,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

impl Lane {
    /// The work of the step's other host threads behind a run that has ended; whether there is any.
    pub(super) fn host_threads(&mut self, step: u64, phase: Phase) -> Result<bool, Ended> {
        if self.no_host_threads {
            return Ok(false);
        }
        let buffers = match phase {
            Phase::Eager => &mut self.eager,
            Phase::Replay => &mut self.replay,
        };
        let ran = on_a_thread(self.step.as_ref(), step, (phase, &self.stream, buffers));
        let (said, _) = self.driver(ran, "running the step's other host thread")?;
        match said {
            Ok(has) => {
                self.no_host_threads = !has;
                Ok(has)
            }
            Err(error) => Err(self.host_thread_failed(&error, step)),
        }
    }

    fn host_thread_failed(&mut self, error: &StepError, step: u64) -> Ended {
        self.stop(faults::host_work(error, step), error.is_sticky())
    }

    /// Replays the next steps with the step's other host threads at work, and compares.
    pub(super) fn beside_host_threads(&mut self, graph: &Captured) -> Result<(), Ended> {
        // Results that differ already say nothing here.
        if self.no_host_threads || self.failed() || self.poisoned || self.config.stopped() {
            return Ok(());
        }
        for step in self.config.steps..self.config.steps + STEPS {
            self.one_beside(graph, step)?;
        }
        Ok(())
    }

    fn one_beside(&mut self, graph: &Captured, step: u64) -> Result<(), Ended> {
        self.fill_inputs(step)?;
        self.prepare_host(step, Phase::Eager)?;
        self.record_eager(step, EAGER_POISON)?;
        self.keep_eager()?;
        self.host_threads(step, Phase::Eager)?;
        self.prepare_host(step, Phase::Replay)?;
        self.heartbeat.enter("beside host threads", step);
        let unstable = addresses::check(&graph.topology, &self.replay, step);
        if !unstable.is_empty() {
            self.keep_all(unstable);
            return Err(Ended::Stop);
        }
        let watch = (step == self.config.steps).then(Watch::begin).flatten();
        let loaded = self.load(&self.replay, REPLAY_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let ran = stall::probe_for(&self.stream, &self.heartbeat, PATIENCE, || {
            graph.exec.launch(&self.stream)?;
            on_a_thread(self.step.as_ref(), step, (Phase::Replay, &self.stream, &mut self.replay))
        });
        let (said, at) = match ran.and_then(|(ran, _)| ran) {
            Ok(said) => said,
            Err(error) => {
                let failed = faults::run_failed(Id::E03, &error, &graph.enqueued, step);
                return Err(self.stop(failed, error.is_sticky()));
            }
        };
        if let Err(error) = said {
            return Err(self.host_thread_failed(&error, step));
        }
        let races = watch.map(|watch| watch.end().races()).unwrap_or_default();
        let site = at.map(|at| Site::new("work of another host thread", at));
        let judged = self.compare(Pair::EagerReplay, Beside::Nothing, step, Some(&graph.topology))?;
        let pairs = unordered::replay(&races, graph.exec.handle(), &graph.topology, &self.replay, step);
        let told = |(buffer, found): (usize, Finding)| (buffer, beside_host::finding(found, site.clone(), &pairs));
        let found: Vec<(usize, Finding)> = judged.images.into_iter().map(told).collect();
        if found.is_empty() {
            // No byte differs this time; without an order it may the next.
            self.keep_all(pairs);
        }
        self.keep(found);
        Ok(())
    }

    /// Whether a finding of severity error was made so far.
    fn failed(&self) -> bool {
        self.findings.values().any(|seen| seen.finding.severity == Severity::Error)
    }
}
