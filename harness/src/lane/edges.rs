//! Nodes without an order where the driver cannot tell what they touch: pairs that hold addresses in the same
//! memory are suspects. Each is tried: the same inputs are replayed with all nodes one after the other, in the
//! order of their creation and with the second of the pair before the first. Only bits that differ are told.

use super::judge::Beside;
use super::{Captured, Ended, Lane};
use crate::calls;
use crate::checks::bits::Pair;
use crate::checks::{addresses, faults, static_order};
use crate::context::Phase;
use crate::cuda::{CapturedGraph, CudaError, GraphExec};
use crate::finding::Id;

/// Pairs that are tried of one graph.
const MOST: usize = 16;

impl Lane {
    /// Tries the suspects of the graph, where no observation tells more.
    pub(super) fn try_edges(&mut self, graph: &Captured) -> Result<(), Ended> {
        if calls::watched() || self.poisoned || self.config.stopped() {
            return Ok(());
        }
        let suspects = static_order::suspects(&graph.topology, &self.replay);
        if suspects.is_empty() {
            return Ok(());
        }
        let Some(spare) = &graph.spare else {
            let why = "the driver copies no graph that allocates memory or has conditional nodes";
            self.report.not_checked.push(format!("order of {} pairs of nodes without one: {why}", suspects.len()));
            return Ok(());
        };
        if suspects.len() > MOST {
            let left = suspects.len() - MOST;
            self.report.not_checked.push(format!("order of {left} of {} pairs of nodes without one", suspects.len()));
        }
        const STEP: u64 = 0;
        self.heartbeat.enter("order of nodes", STEP);
        self.fill_inputs(STEP)?;
        self.prepare_host(STEP, Phase::Replay)?;
        if !addresses::check(&graph.topology, &self.replay, STEP).is_empty() {
            return Ok(());
        }
        let created: Vec<usize> = (0..graph.topology.nodes.len()).collect();
        let made = spare.one_after_the_other(&created).and_then(|graph| graph.instantiate());
        let in_order = self.driver(made, "ordering the nodes of a graph")?;
        for suspect in suspects.iter().take(MOST) {
            self.try_pair(graph, spare, &in_order, suspect)?;
        }
        Ok(())
    }

    fn try_pair(
        &mut self,
        graph: &Captured,
        spare: &CapturedGraph,
        in_order: &GraphExec,
        suspect: &static_order::Suspect,
    ) -> Result<(), Ended> {
        let made = spare.one_after_the_other(&suspect.turned(&graph.topology)).and_then(|graph| graph.instantiate());
        let turned = self.driver(made, "ordering the nodes of a graph")?;
        for (exec, first) in [(in_order, true), (&turned, false)] {
            let ran = self.run_ordered(exec);
            if let Err(error) = ran {
                return Err(self.stop(faults::run_failed(Id::E03, &error, &graph.enqueued, 0), error.is_sticky()));
            }
            if first {
                let kept = self.kept.save(&self.replay, &self.stream).and_then(|()| self.stream.synchronize());
                self.driver(kept, "keeping the outputs")?;
            }
        }
        let judged = self.compare(Pair::ReplayReplay, Beside::Nothing, 0, Some(&graph.topology))?;
        let differs = judged.images.into_iter().next().map(|(_, finding)| finding);
        self.keep_all(differs.map(|differs| suspect.finding(differs, &graph.topology)).into_iter().collect());
        Ok(())
    }

    fn run_ordered(&self, exec: &GraphExec) -> Result<(), CudaError> {
        self.begin_with_first_state(&self.replay)?;
        exec.launch(&self.stream)?;
        self.wait()
    }
}
