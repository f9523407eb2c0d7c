//! Memory outside the step, where the driver does not tell what kernels touch: the memory of the process is compared
//! with what it was before an eager run and before a replay. What a replay changes and an eager run does not is tried:
//! which node writes it, and whether the eager step's results follow it.

use super::bisect::{Images, images};
use super::{Captured, Ended, Lane, watch};
use crate::buffers::BufferSet;
use crate::calls::{self, Calls, OnStream};
use crate::checks::addresses;
use crate::checks::outside::{self, Writer};
use crate::context::Phase;
use crate::cuda::{self, CudaError};
use crate::finding::{Finding, Id};
use crate::memory_map::{Change, Changes, Image, Look, MOST_PIECES};
use crate::spans::Spans;
use crate::step::Role;

/// What the memory of the process has shown so far.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    /// What each run changed, outside its own buffers too.
    pub(super) runs: Vec<(u64, Phase, Changes)>,
    /// What the host's work before the first eager run filled by copies and fills.
    filled_first: Spans,
    /// What its work before a later one filled so, once there was one, and read.
    filled: Option<Spans>,
    read: Spans,
    /// Streams that the host's work before replays used, and before how many.
    pub(super) streams: Vec<(OnStream, u64)>,
    /// Pieces of large allocations that a replay changed: looked at byte by byte from then on.
    pieces: Vec<(u64, u64)>,
    /// Those that the last replay changed and that were not.
    unseen: Vec<(u64, u64)>,
    /// Most memory that was not looked at: allocations, and bytes.
    left: (usize, u64),
}

impl Mapped {
    /// Keeps what the host's work before an eager run touched, and the streams of that before a replay.
    pub(super) fn note_host_work(&mut self, calls: &Calls, step: u64, phase: Phase) {
        if step > watch::FIRST || calls::watched() {
            return;
        }
        if phase == Phase::Replay {
            for used in calls.streams() {
                match self.streams.iter_mut().find(|(known, _)| known.stream == used.stream) {
                    Some((_, times)) => *times += 1,
                    None => self.streams.push((used, 1)),
                }
            }
            return;
        }
        let touched = calls.touched();
        if step == 0 {
            self.filled_first = touched.written;
        } else {
            self.read = touched.read.without(&touched.written);
            self.filled = Some(touched.written);
        }
    }

    /// All that runs of a kind changed.
    fn changed_by(&self, kind: Phase) -> Spans {
        let of = self.runs.iter().filter(|(_, phase, _)| *phase == kind);
        of.fold(Spans::default(), |all, (_, _, changes)| all.with(&changes.spans))
    }
}

impl Lane {
    /// The memory of the process before a run of `step`, if that step's are compared. Waits for all work: what others
    /// enqueued before is not the run's.
    pub(super) fn map(&mut self, step: u64, phase: Phase) -> Option<Image> {
        let known = self.mapped.runs.iter().any(|(at, kind, _)| (*at, *kind) == (step, phase));
        if calls::watched() || !calls::recorded() || step > watch::FIRST || known {
            return None;
        }
        cuda::wait_for_all().ok()?;
        // The lane's own buffers are compared anyway, and may be all the memory there is.
        let beside = self.own_memory();
        let digester = self.digester.as_mut().map(|digester| (digester, &self.stream));
        // An error of the device is told by the run that follows.
        let image = Image::take(Look { beside, pieces: &self.mapped.pieces, digester }).ok()?;
        if image.left.1 > self.mapped.left.1 {
            self.mapped.left = image.left;
        }
        Some(image)
    }

    /// Keeps what changed since.
    pub(super) fn note_changes(&mut self, map: Option<Image>, step: u64, phase: Phase) {
        let digester = self.digester.as_mut().map(|digester| (digester, &self.stream));
        let Some(Ok(changes)) = map.map(|map| map.changed(digester)) else { return };
        if phase == Phase::Replay {
            // At the next step these are looked at byte by byte.
            self.mapped.unseen = changes.pieces.clone();
            let more = changes.pieces.iter().take(MOST_PIECES).filter(|piece| !self.mapped.pieces.contains(piece));
            let more: Vec<(u64, u64)> = more.copied().collect();
            self.mapped.pieces.extend(more);
        }
        self.mapped.runs.push((step, phase, changes));
    }

    /// The buffers of both sets, and what stands around them.
    pub(super) fn own_memory(&self) -> Spans {
        let guarded = |set: &BufferSet| {
            let around = 2 * set.guard().bytes as u64;
            let of = |index: usize| (set.memory(index).guard_address(), set.memory(index).len() as u64 + around);
            Spans::of((0..set.specs().len()).map(of))
        };
        guarded(&self.replay).with(&guarded(&self.eager))
    }

    /// The finding for a replay that writes outside the step what eager execution uses and leaves alone. The run is
    /// over: state and inputs need not stay as they are.
    pub(super) fn judge_map(&mut self, graph: &Captured) -> Result<(), Ended> {
        if self.mapped.left.0 > 0 {
            let (count, bytes) = self.mapped.left;
            let line = format!("memory outside: {bytes} bytes in {count} allocations that cannot be read");
            self.report.not_checked.push(line);
        }
        // A piece that no replay changed again, or that had no room.
        let last = self.mapped.runs.iter().rev().find(|(_, phase, _)| *phase == Phase::Replay);
        let again = last.map(|(_, _, changes)| changes.spans.clone()).unwrap_or_default();
        let looked = self.mapped.pieces.iter().filter(|piece| Spans::of([**piece]).common(&again).is_empty());
        let unseen = Spans::of(looked.chain(&self.mapped.unseen).copied());
        if let Some((address, _)) = unseen.first() {
            self.report.not_checked.push(format!(
                "memory outside: which bytes of {} at {address:#x} and behind a replay changed: it was seen by digests alone",
                unseen.bytes()
            ));
        }
        let own = self.own_memory();
        let eager = self.mapped.changed_by(Phase::Eager);
        // What the host fills again before each step is not kept.
        let filled = self.mapped.filled.as_ref();
        let kept = filled.map(|filled| self.mapped.filled_first.without(filled)).unwrap_or_default();
        let used = kept.with(&self.mapped.read);
        for at in 0..self.mapped.runs.len() {
            if self.poisoned || self.config.stopped() {
                return Ok(());
            }
            let (step, phase, changes) = &self.mapped.runs[at];
            let outside = changes.spans.without(&own).without(&eager);
            if *phase == Phase::Eager || outside.is_empty() {
                continue;
            }
            let (step, truncated) = (*step, changes.truncated);
            let mut harmed = outside.common(&used);
            let mut fresh = if kept.common(&harmed).is_empty() { outside::READ } else { outside::KEPT };
            let tried = changes.within(&outside);
            if harmed.is_empty() && !tried.is_empty() {
                if self.eager_follows(step, &tried)? {
                    harmed = Spans::of(tried.iter().map(Change::span));
                    fresh = outside::READ;
                }
                if truncated {
                    let line = format!("memory outside in step {step}: more changed than is kept");
                    self.report.not_checked.push(line);
                }
            }
            let change = self.mapped.runs[at].2.within(&harmed);
            let harmed = harmed.in_words();
            let Some(first) = harmed.first() else { continue };
            let Some(writer) = self.writer_outside(graph, step, change.first())? else {
                self.report.not_checked.push(format!(
                    "memory outside: {} bytes at {:#x} changed with the replay of step {step}, and not with another",
                    first.1, first.0
                ));
                continue;
            };
            let sets = (&self.replay, &self.eager);
            let found = outside::finding((first, harmed.bytes()), fresh, &writer, &graph.topology, sets, step);
            self.keep_all(vec![allocation(found, first.0)]);
            return Ok(());
        }
        Ok(())
    }

    /// Whether results of the eager step follow these bytes: it is run with what was there and with what came there.
    fn eager_follows(&mut self, step: u64, changes: &[Change]) -> Result<bool, Ended> {
        if self.findings.keys().any(|(id, ..)| *id == Id::V07) {
            return Ok(false);
        }
        let mut left: Vec<Images> = Vec::new();
        // With the same bytes twice: a step that does not agree with itself shows nothing.
        for put in [Change::undo, Change::undo, Change::redo] {
            match self.run_eager_with(step, changes, put) {
                Some(images) => left.push(images),
                None => return Ok(false),
            }
            if let [first, second] = &left[..]
                && self.first_difference(first, second).is_some()
            {
                return Ok(false);
            }
        }
        Ok(self.first_difference(&left[0], &left[2]).is_some())
    }

    /// The eager step's results with these bytes in place; none if it does not run.
    fn run_eager_with(
        &mut self,
        step: u64,
        changes: &[Change],
        put: fn(&Change) -> Result<(), CudaError>,
    ) -> Option<Images> {
        self.heartbeat.enter("memory outside", step);
        self.fill_inputs(step).ok()?;
        self.prepare_quietly(step, Phase::Eager).ok()?;
        changes.iter().try_for_each(put).ok()?;
        self.begin_with_first_state(&self.eager).ok()?;
        self.record(&self.eager, false).0.ok()?;
        self.wait().ok()?;
        let judged = self.eager.with_role(|role| matches!(role, Role::Output | Role::State));
        images(&self.eager, &judged, &self.stream).ok()
    }

    /// The node that makes this change, found by replays of the graph's first nodes; none if no replay makes it again.
    pub(super) fn writer_outside(
        &mut self,
        graph: &Captured,
        step: u64,
        change: Option<&Change>,
    ) -> Result<Option<Writer>, Ended> {
        let Some(change) = change else { return Ok(Some(Writer::Graph)) };
        self.fill_inputs(step)?;
        if !addresses::check(&graph.topology, &self.replay, step).is_empty() {
            return Ok(None);
        }
        let nodes = graph.topology.nodes.len();
        let changes = |count: usize| -> Result<bool, CudaError> {
            self.heartbeat.enter("looking for a writer", step);
            change.undo()?;
            self.begin_with_first_state(&self.replay)?;
            match &graph.spare {
                Some(spare) if count < nodes => spare.first_nodes(count)?.instantiate()?.launch(&self.stream)?,
                _ => graph.exec.launch(&self.stream)?,
            }
            self.wait()?;
            let mut now = vec![0; change.before.len()];
            cuda::read(change.address, &mut now)?;
            Ok(now != change.before)
        };
        let found = (|| {
            if !changes(nodes)? {
                return Ok(None);
            }
            if graph.spare.is_none() || nodes == 0 {
                return Ok(Some(Writer::Graph));
            }
            // What no node was needed for is another's.
            if changes(0)? {
                return Ok(None);
            }
            let (mut without, mut with) = (0, nodes);
            while with - without > 1 {
                let middle = without + (with - without) / 2;
                if changes(middle)? { with = middle } else { without = middle }
            }
            Ok(Some(Writer::Node(with - 1)))
        })();
        let found = found.and_then(|writer| change.redo().map(|()| writer));
        found.map_err(|error: CudaError| {
            self.poisoned |= error.is_sticky();
            Ended::Stop
        })
    }
}

/// Says of which allocation an address is.
pub(super) fn allocation(finding: Finding, address: u64) -> Finding {
    match cuda::extent(address) {
        Some((base, len)) => {
            let at = address - base;
            finding.note(format!("they begin at byte {at} of an allocation of {len} bytes at {base:#x}"))
        }
        None => finding,
    }
}
