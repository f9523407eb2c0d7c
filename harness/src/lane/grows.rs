//! Whose it is that less and less device memory is free: the driver counts every process's. The step is run again
//! and rests in turn. What it takes itself is taken while it runs, each time, and never while it rests.

use std::time::{Duration, Instant};

use super::{Captured, EAGER_POISON, Ended, Lane};
use crate::checks::growth;
use crate::context::Phase;
use crate::cuda;

/// Turns of work and rest.
const TURNS: u64 = 4;
/// Steps of a turn: what falls after most steps falls in each.
const STEPS: u64 = 4;

/// What the turns showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grows {
    /// Memory is taken by the step.
    WithTheStep,
    /// No more is taken, turn after turn: what was taken at first was a cache's, or another's.
    NotAnyMore,
    /// It changes while the step rests.
    CannotTell,
}

impl Lane {
    /// Takes turns. Findings of theirs are not told: the step's run is over.
    pub(super) fn grows(&mut self, graph: Option<&Captured>, sampled: Duration) -> Grows {
        let Some(graph) = graph.filter(|_| !self.config.stopped()) else {
            let others = growth::changes_at_rest(sampled, || cuda::free_memory().ok());
            return if others { Grows::CannotTell } else { Grows::WithTheStep };
        };
        let told = (std::mem::take(&mut self.findings), std::mem::take(&mut self.finding_order));
        let mut shown = Grows::WithTheStep;
        for turn in 0..TURNS {
            let (began, before) = (Instant::now(), cuda::free_memory().ok());
            let ran = (turn * STEPS..(turn + 1) * STEPS).try_for_each(|at| self.again(at % self.config.steps, graph));
            let after = cuda::free_memory().ok();
            let others = growth::changes_at_rest(began.elapsed(), || cuda::free_memory().ok());
            if others {
                shown = Grows::CannotTell;
                break;
            }
            // A step that cannot be run again shows nothing more.
            if ran.is_err() {
                break;
            }
            if after >= before {
                shown = Grows::NotAnyMore;
                break;
            }
        }
        (self.findings, self.finding_order) = told;
        shown
    }

    /// A step as in the run, eagerly and as a replay.
    fn again(&mut self, step: u64, graph: &Captured) -> Result<(), Ended> {
        self.fill_inputs(step)?;
        self.prepare_host(step, Phase::Eager)?;
        self.record_eager(step, EAGER_POISON)?;
        self.prepare_host(step, Phase::Replay)?;
        self.launch_replay(step, graph).map(|_| ())
    }
}
