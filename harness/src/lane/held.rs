//! Work of the host on other streams before a replay, where the driver does not tell what orders work: each such
//! stream is held, and the replay launched. Where it waits, something orders the two. Where it runs all the same and
//! leaves other bytes than behind that work, nothing does.

use std::time::{Duration, Instant};

use super::{Captured, Ended, Lane};
use crate::calls::{self, OnStream};
use crate::capture_as::StreamKind;
use crate::checks::{addresses, stall, unordered};
use crate::context::Phase;
use crate::cuda::{self, CudaError, Stream};
use crate::memory_map::{Image, Look};

/// Streams that are held of one step.
const MOST: usize = 4;
/// How long the replay may take while a stream is held, beside several times what it takes otherwise.
const LEAST: Duration = Duration::from_millis(50);
/// How much longer the stream is held: whoever waits for it is ordered.
const MORE: Duration = Duration::from_millis(250);

impl Lane {
    /// Tries each stream that the host's work before replays uses. The run is over: state need not stay as it is.
    pub(super) fn hold_streams(&mut self, graph: &Captured) -> Result<(), Ended> {
        if calls::watched() || self.poisoned || self.config.stopped() {
            return Ok(());
        }
        let own = [self.stream.raw(), self.captured_stream().raw()];
        // The legacy stream and a blocking one wait for each other.
        let ordered = !matches!(self.config.stream, StreamKind::NonBlocking | StreamKind::PerThread);
        let is_legacy = |used: &OnStream| used.stream.addr() < 2;
        let mut streams = std::mem::take(&mut self.mapped.streams);
        // One that is used once may be gone.
        streams.retain(|(used, times)| *times > 1 && !own.contains(&used.stream) && !(ordered && is_legacy(used)));
        if streams.len() > MOST {
            let line =
                format!("order of work: {} of {} streams of the host's work", streams.len() - MOST, streams.len());
            self.report.not_checked.push(line);
        }
        if streams.is_empty() {
            return Ok(());
        }
        // An index that no run had: what the host's work leaves differs from what is there.
        let step = self.config.steps + STEPS_BESIDE;
        self.fill_inputs(step)?;
        self.heartbeat.enter("streams of the host's work", step);
        let Ok(()) = cuda::wait_for_all() else { return Ok(()) };
        let before = Image::take(Look::default());
        let before = self.driver(before, "copying the memory of the process")?;
        let Some(took) = self.in_order(graph, step, &before)? else { return Ok(()) };
        let usual = Image::take(Look::default());
        let usual = self.driver(usual, "copying the memory of the process")?;
        if self.in_order(graph, step, &before)?.is_none() {
            return Ok(());
        }
        // What differs from run to run says nothing.
        let unsteady = usual.changed(None);
        let unsteady = self.driver(unsteady, "comparing the memory of the process")?.spans;
        for (used, _) in streams.iter().take(MOST) {
            let patience = LEAST.max(took * 4);
            if !self.held_back(graph, step, (&before, used), patience)? {
                continue;
            }
            let now = usual.changed(None);
            let now = self.driver(now, "comparing the memory of the process")?;
            let differs = now.spans.without(&unsteady).in_words();
            if let Some(first) = differs.first() {
                let place = (&graph.topology, &self.replay);
                let found = unordered::held(&used.first, (first, differs.bytes()), place);
                self.keep_all(vec![found]);
            }
        }
        Ok(())
    }

    /// The replay behind the host's work, and its time; none if it cannot be made.
    fn in_order(&mut self, graph: &Captured, step: u64, before: &Image) -> Result<Option<Duration>, Ended> {
        if !self.begin_again(graph, step, before)? {
            return Ok(None);
        }
        let ran = (|| {
            self.begin_with_first_state(&self.replay)?;
            cuda::wait_for_all()?;
            let started = Instant::now();
            graph.exec.launch(&self.stream)?;
            self.wait()?;
            let took = started.elapsed();
            cuda::wait_for_all()?;
            Ok(took)
        })();
        self.driver(ran, "replaying behind the host's work").map(Some)
    }

    /// The memory as it was, and the host's work of a step; whether a replay may follow.
    fn begin_again(&mut self, graph: &Captured, step: u64, before: &Image) -> Result<bool, Ended> {
        let restored = before.restore();
        if !self.driver(restored, "writing memory back")? {
            self.report.not_checked.push("order of work: more memory changes than is kept".to_owned());
            return Ok(false);
        }
        let prepared = self.prepare_quietly(step, Phase::Replay).is_ok();
        Ok(prepared && addresses::check(&graph.topology, &self.replay, step).is_empty())
    }

    /// The replay while a stream of the host's work is held; whether it ended meanwhile.
    fn held_back(
        &mut self,
        graph: &Captured,
        step: u64,
        (before, used): (&Image, &OnStream),
        patience: Duration,
    ) -> Result<bool, Ended> {
        let restored = before.restore();
        if !self.driver(restored, "writing memory back")? {
            return Ok(false);
        }
        let (held, heartbeat) = (Stream::borrowed(used.stream), std::sync::Arc::clone(&self.heartbeat));
        let ran = stall::probe_for(&held, &heartbeat, patience + MORE, || -> Result<bool, CudaError> {
            let prepared = self.prepare_quietly(step, Phase::Replay).is_ok();
            if !prepared || !addresses::check(&graph.topology, &self.replay, step).is_empty() {
                return Ok(false);
            }
            self.begin_with_first_state(&self.replay)?;
            graph.exec.launch(&self.stream)?;
            self.done.record(&self.stream)?;
            let started = Instant::now();
            while started.elapsed() < patience {
                if self.done.is_done()? {
                    return Ok(true);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(false)
        });
        let idle = cuda::wait_for_all();
        let (ran, blocked) = self.driver(ran, "holding a stream of the host's work")?;
        let ended = self.driver(ran, "replaying beside the host's work")?;
        self.driver(idle, "replaying beside the host's work")?;
        Ok(ended && blocked.is_none())
    }
}

/// More than [`super::beside_host`] counts.
const STEPS_BESIDE: u64 = 8;
