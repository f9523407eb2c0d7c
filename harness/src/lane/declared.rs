//! What a step declares beside itself: a reference without padding, and a step whose graph lives in the same
//! process.

use std::sync::Arc;

use super::judge::Beside;
use super::{Captured, Ended, Lane, TimesTaken};
use crate::checks::bits::Pair;
use crate::checks::{beside, unpadded};
use crate::cuda::Session;
use crate::error::RunError;
use crate::finding::{Finding, Id};
use crate::gate::{GateConfig, LaneOutcome};
use crate::observed::{Seen, Watch};
use crate::report::Verdict;
use crate::step::{HostBuffers, Step};
use crate::watchdog::Heartbeat;

/// Steps compared with the reference without padding, and interleaved with the other graph's.
const STEPS: u64 = 8;

/// Judges what `step` declares, after a run without a finding.
pub(crate) fn judge(
    session: &Session,
    step: &Arc<dyn Step>,
    config: &GateConfig,
    heartbeat: &Arc<Heartbeat>,
    outcome: &mut LaneOutcome,
) -> Result<(), RunError> {
    if outcome.poisoned || outcome.report.failed() || config.stopped() {
        return Ok(());
    }
    let mut found = Vec::new();
    if let Some(reference) = step.unpadded() {
        let users = outcome.report.graph.iter().flat_map(|graph| &graph.node_list);
        let last_user = |name: &String| {
            users.clone().filter(|node| node.buffers.contains(name)).filter_map(|node| node.site.clone()).next_back()
        };
        let differing = compare_unpadded(session, step, Arc::from(reference), config, heartbeat)?;
        found.extend(differing.into_iter().map(|(name, finding)| finding.at(last_user(&name))));
    }
    if let Some(other) = step.beside() {
        let (findings, poisoned) = interleave(session, [Arc::clone(step), Arc::from(other)], config, heartbeat)?;
        found.extend(findings);
        outcome.poisoned |= poisoned;
    }
    outcome.report.findings.extend(found);
    if outcome.report.failed() {
        outcome.report.verdict = Verdict::Fail;
    }
    Ok(())
}

/// Runs the step and its reference eagerly, and compares what both leave.
fn compare_unpadded(
    session: &Session,
    step: &Arc<dyn Step>,
    reference: Arc<dyn Step>,
    config: &GateConfig,
    heartbeat: &Arc<Heartbeat>,
) -> Result<Vec<(String, Finding)>, RunError> {
    let steps = config.steps.min(STEPS);
    let mut left: Vec<Vec<(HostBuffers, HostBuffers)>> = Vec::new();
    let specs = [step, &reference].map(|step| step.buffers());
    for step in [step, &reference] {
        let mut lane = Lane::prepare(session, Arc::clone(step), config, heartbeat)?;
        let mut images = Vec::new();
        let ran = lane.observe(steps, &mut |_, before, after| images.push((before.clone(), after.clone())))?;
        if let Err(findings) = ran {
            return Ok(findings.into_iter().map(|finding| (String::new(), finding)).collect());
        }
        left.push(images);
    }
    let pairs = left[0].iter().zip(&left[1]).enumerate();
    let found = pairs.flat_map(|(at, (padded, plain))| unpadded::check(at as u64, &specs, padded, plain));
    // The first of each buffer says it.
    let mut first: Vec<(String, Finding)> = Vec::new();
    for (name, finding) in found {
        if !first.iter().any(|(known, _)| *known == name) {
            first.push((name, finding));
        }
    }
    Ok(first)
}

/// A step's lane with its graph.
struct Living {
    lane: Lane,
    graph: Option<Captured>,
    times: TimesTaken,
}

/// Captures both steps, and replays their graphs in turn.
fn interleave(
    session: &Session,
    steps: [Arc<dyn Step>; 2],
    config: &GateConfig,
    heartbeat: &Arc<Heartbeat>,
) -> Result<(Vec<Finding>, bool), RunError> {
    let mut living = Vec::new();
    for step in steps {
        let lane = Lane::prepare(session, step, config, heartbeat)?;
        living.push(Living { lane, graph: None, times: TimesTaken::default() });
    }
    let [mut own, mut other] = <[Living; 2]>::try_from(living).unwrap_or_else(|_| unreachable!("two were made"));
    let went = turns(&mut own, &mut other, config);
    let poisoned = own.lane.poisoned || other.lane.poisoned;
    if let Err(Ended::Run(error)) = went {
        return Err(error);
    }
    let name = other.lane.step.name().to_owned();
    let told = |finding: Finding| finding.note(format!("while the graph of '{name}' is replayed in turn"));
    let mut found: Vec<Finding> = own.lane.take_findings().into_iter().map(told).collect();
    let own_name = own.lane.step.name().to_owned();
    found.extend(other.lane.take_findings().into_iter().map(|finding| {
        finding.note(format!("of step '{name}', whose graph is replayed in turn with that of '{own_name}'"))
    }));
    Ok((found, poisoned))
}

fn turns(own: &mut Living, other: &mut Living, config: &GateConfig) -> Result<(), Ended> {
    let steps = config.steps.min(STEPS);
    let mut seen: [Option<Seen>; 2] = [None, None];
    for step in 0..steps {
        for (at, living) in [&mut *own, &mut *other].into_iter().enumerate() {
            let Living { lane, graph, times } = living;
            lane.one_step(step, graph, times)?;
            // Once more, watched: what each graph touches.
            if step + 1 == steps
                && let Some(graph) = graph.as_ref()
            {
                seen[at] = lane.watched_replay(graph, step)?;
            }
        }
    }
    let (Some(graph), Some(beside)) = (&own.graph, &other.graph) else { return Ok(()) };
    if let [Some(mine), Some(theirs)] = &seen {
        let found = beside::check(
            (mine, graph.exec.handle(), &graph.topology, &own.lane.replay),
            (theirs, beside.exec.handle(), &beside.topology, other.lane.step.name()),
            steps - 1,
        );
        own.lane.keep_all(found.into_iter().collect());
        let found = beside::check(
            (theirs, beside.exec.handle(), &beside.topology, &other.lane.replay),
            (mine, graph.exec.handle(), &graph.topology, own.lane.step.name()),
            steps - 1,
        );
        other.lane.keep_all(found.into_iter().collect());
    }
    let names = [own.lane.step.name().to_owned(), other.lane.step.name().to_owned()];
    own.lane.judge_shared((graph, &names[0]), &mut other.lane, (beside, &names[1]))?;
    other.lane.judge_shared((beside, &names[1]), &mut own.lane, (graph, &names[0]))?;
    // A, B, A on the same inputs.
    let first = own.lane.replay_from_start(graph, true)?;
    other.lane.replay_from_start(beside, true)?;
    own.lane.judge_again(graph, first)?;
    // One is gone while the other lives.
    other.graph = None;
    let first = own.lane.replay_from_start(graph, true)?;
    own.lane.judge_again(graph, first)
}

/// Whether the replay was made.
pub(super) struct Replayed(pub(super) bool);

impl Lane {
    /// Replays a step once more, watched. State goes on as if nothing had happened.
    fn watched_replay(&mut self, graph: &Captured, step: u64) -> Result<Option<Seen>, Ended> {
        let saved = self.state_before.save(&self.replay, &self.stream);
        self.driver(saved, "saving the state")?;
        let loaded = self.load(&self.replay, super::REPLAY_POISON);
        self.driver(loaded, "copying the inputs in")?;
        let watch = Watch::begin();
        let launched = graph.exec.launch(&self.stream).and_then(|()| self.wait());
        if let Err(error) = launched {
            let failed = crate::checks::faults::run_failed(Id::E03, &error, &graph.enqueued, step);
            return Err(self.stop(failed, error.is_sticky()));
        }
        let seen = watch.map(Watch::end);
        let restored = self.state_before.restore(&self.replay, &self.stream);
        self.driver(restored, "restoring the state")?;
        Ok(seen)
    }

    /// Replays step 0 from the first state; `keep`: its results are what later replays are compared with.
    pub(super) fn replay_from_start(&mut self, graph: &Captured, keep: bool) -> Result<Replayed, Ended> {
        self.fill_inputs(0)?;
        if !crate::checks::addresses::check(&graph.topology, &self.replay, 0).is_empty() {
            return Ok(Replayed(false));
        }
        let begun = self.begin_with_first_state(&self.replay);
        self.driver(begun, "copying the inputs in")?;
        let launched = graph.exec.launch(&self.stream).and_then(|()| self.wait());
        if let Err(error) = launched {
            let failed = crate::checks::faults::run_failed(Id::E03, &error, &graph.enqueued, 0);
            return Err(self.stop(failed, error.is_sticky()));
        }
        if keep {
            let kept = self.kept.save(&self.replay, &self.stream).and_then(|()| self.stream.synchronize());
            self.driver(kept, "keeping the outputs")?;
        }
        Ok(Replayed(true))
    }

    /// Replays step 0 from the first state again: it must leave what it left before.
    fn judge_again(&mut self, graph: &Captured, Replayed(before): Replayed) -> Result<(), Ended> {
        let Replayed(again) = self.replay_from_start(graph, false)?;
        if before && again {
            let judged = self.compare(Pair::ReplayReplay, Beside::Nothing, 0, Some(&graph.topology))?;
            let found = judged.images.into_iter().map(|(buffer, finding)| (buffer, beside::disturbed(finding)));
            let found: Vec<(usize, Finding)> = found.collect();
            self.keep(found);
        }
        Ok(())
    }
}
