//! Several replays in flight: the host prepares the next step while the last one has not run. What it then
//! overwrites shows as results of another step.
//!
//! The stream is held until every replay is enqueued, so that the host is as far ahead as it can be; it needs
//! no unlucky timing.

use std::time::Duration;

use super::images::{HostImages, copy_out, pinned};
use super::parts::Part;
use super::{Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON};
use crate::checks::pipelined::{self, Source};
use crate::checks::{addresses, faults, stall};
use crate::compare::compare;
use crate::context::{HostContext, Phase};
use crate::cuda::{CudaError, PinnedMemory};
use crate::error::StepError;
use crate::finding::Id;
use crate::step::Role;

/// Replays in flight.
const DEPTH: u64 = 4;
/// Bytes kept on the host for it.
const MOST_BYTES: usize = 256 << 20;
/// How long the host may wait in its work before the stream is released. Who waits is not overtaken.
const PATIENCE: Duration = Duration::from_millis(100);

/// One of the replays.
struct Slot {
    inputs: HostImages,
    eager: HostImages,
    replay: HostImages,
}

/// Why the replays could not all be enqueued.
enum Failed {
    Host(StepError),
    Driver(CudaError),
    Moved,
}

impl From<CudaError> for Failed {
    fn from(error: CudaError) -> Self {
        Failed::Driver(error)
    }
}

impl Lane {
    /// Runs the next steps eagerly, one by one, then replays them without a wait in between.
    pub(super) fn pipelined(&mut self, graph: &Captured) -> Result<(), Ended> {
        let left = |role| matches!(role, Role::Output | Role::State);
        let bytes: usize = self.specs.iter().map(|spec| spec.bytes().unwrap_or(usize::MAX / 64)).sum();
        // Results that differ already say nothing here.
        if !self.config.pipelined || !self.findings.is_empty() || self.poisoned || self.config.stopped() {
            return Ok(());
        }
        if bytes.saturating_mul(2 * DEPTH as usize) > MOST_BYTES {
            self.report.not_checked.push(format!("replays in flight: {bytes} bytes of buffers are too many to keep"));
            return Ok(());
        }
        self.parts.begin_whole(Part::Pipelined);
        let mut slots = Vec::new();
        for step in self.config.steps..self.config.steps + DEPTH {
            let room = || -> Result<Slot, CudaError> {
                Ok(Slot {
                    inputs: pinned(&self.specs, |role| role == Role::Input)?,
                    eager: pinned(&self.specs, left)?,
                    replay: pinned(&self.specs, left)?,
                })
            };
            let mut slot = self.driver(room(), "allocating pinned memory")?;
            self.fill_inputs(step)?;
            for (index, image) in &mut slot.inputs {
                if let Some((_, staging)) = self.uploads.iter().find(|(of, _)| of == index) {
                    image.bytes_mut().copy_from_slice(staging.bytes());
                }
            }
            self.prepare_host(step, Phase::Eager)?;
            self.record_eager(step, EAGER_POISON)?;
            let copied = copy_out(&self.eager, &mut slot.eager, &self.stream);
            self.driver(copied, "keeping the outputs")?;
            slots.push(slot);
        }
        let sources = self.fly(graph, &mut slots)?;
        self.judge_flight(graph, &slots, &sources)?;
        self.parts.end_whole();
        Ok(())
    }

    /// Enqueues all replays while the stream is held; what of the host's memory each found.
    fn fly(&mut self, graph: &Captured, slots: &mut [Slot]) -> Result<Vec<Vec<Source>>, Ended> {
        let first = self.config.steps;
        let mut sources = Vec::new();
        let flown = stall::probe_for(&self.stream, &self.heartbeat, PATIENCE, || -> Result<(), Failed> {
            for (step, slot) in (first..).zip(slots.iter_mut()) {
                self.heartbeat.enter("replays in flight", step);
                let buffers = &mut self.replay;
                let mut cx = HostContext::new(Phase::Replay, &self.stream, buffers);
                self.step.prepare(step, &mut cx).map_err(Failed::Host)?;
                if !addresses::check(&graph.topology, &self.replay, step).is_empty() {
                    return Err(Failed::Moved);
                }
                sources.push(pipelined::sources(&graph.topology));
                for index in self.replay.with_role(|role| matches!(role, Role::Output | Role::Scratch)) {
                    self.replay.memory(index).fill(REPLAY_POISON, &self.stream)?;
                }
                let upload =
                    |(index, image): &(usize, PinnedMemory)| self.replay.memory(*index).upload(image, &self.stream);
                slot.inputs.iter().try_for_each(upload)?;
                graph.exec.launch(&self.stream)?;
                for (index, image) in &mut slot.replay {
                    self.replay.memory(*index).download(image, &self.stream)?;
                }
            }
            Ok(())
        });
        let failed = match flown {
            Ok((Ok(()), _)) => return Ok(sources),
            Ok((Err(failed), _)) => failed,
            Err(error) => Failed::Driver(error),
        };
        match failed {
            Failed::Host(error) => Err(self.stop(faults::host_work(&error, first), error.is_sticky())),
            Failed::Driver(error) => {
                Err(self.stop(faults::run_failed(Id::E03, &error, &graph.enqueued, first), error.is_sticky()))
            }
            Failed::Moved => {
                let unstable = addresses::check(&graph.topology, &self.replay, first);
                self.keep_all(unstable);
                Err(Ended::Stop)
            }
        }
    }

    fn judge_flight(&mut self, graph: &Captured, slots: &[Slot], sources: &[Vec<Source>]) -> Result<(), Ended> {
        let mut found = Vec::new();
        for (at, slot) in slots.iter().enumerate() {
            let step = self.config.steps + at as u64;
            self.fill_inputs(step)?;
            let images: Vec<(usize, Vec<u8>)> =
                slot.eager.iter().map(|(index, image)| (*index, image.bytes().to_vec())).collect();
            for ((index, eager), (_, replay)) in slot.eager.iter().zip(&slot.replay) {
                let spec = &self.specs[*index];
                let lengths = self.lengths_in(spec, &images);
                let Some(difference) = compare(spec, eager.bytes(), replay.bytes(), lengths.as_deref()) else {
                    continue;
                };
                // Whose value is it?
                let of = |slot: &Slot| {
                    let image = slot.eager.iter().find(|(of, _)| of == index).map(|(_, image)| image.bytes());
                    image.is_some_and(|image| {
                        let at = difference.index * spec.dtype.size();
                        image.get(at..at + difference.right.len()) == Some(difference.right.as_slice())
                    })
                };
                let whose = slots.iter().position(of).map(|at| self.config.steps + at as u64);
                let changed = pipelined::rewritten(sources, at);
                let host = self.host_site();
                let finding = pipelined::finding(spec, &difference, step, whose, changed, &graph.topology, host);
                found.push((*index, finding));
            }
        }
        self.keep(found);
        Ok(())
    }
}
