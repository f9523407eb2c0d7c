//! Replays under other orders of what CUDA leaves open: ready nodes of the graph, blocks, warps and asynchronous
//! copies. Opt-in, and on the software driver only: it is its order that a seed decides.

use super::judge::Beside;
use super::{Captured, Ended, Lane};
use crate::checks::bits::Pair;
use crate::checks::{faults, orders, unordered};
use crate::context::Phase;
use crate::driver::{self, DriverKind};
use crate::finding::{Finding, Id};
use crate::observed::Watch;

impl Lane {
    /// Runs the first step eagerly, and replays it under the two extremes and each of the seeds that the
    /// configuration asks for.
    pub(super) fn try_orders(&mut self, graph: &Captured) -> Result<(), Ended> {
        let asked = self.config.orders;
        if asked == 0 || self.poisoned {
            return Ok(());
        }
        if driver::in_use() != Some(DriverKind::Software) {
            self.report.not_checked.push(format!("--orders: {}", driver::ORDER_IS_ITS_OWN));
            return Ok(());
        }
        // Without a seed it differs already, and every seed would.
        if self.findings.keys().any(|(id, ..)| matches!(id, Id::R01 | Id::V07)) {
            self.report.not_checked.push("--orders: results differ already without another order".to_owned());
            return Ok(());
        }
        let before = driver::order_seed();
        let mut seeds = driver::EXTREME_ORDERS.into_iter().chain(1..=asked);
        let tried = seeds.try_for_each(|seed| match self.try_order(graph, seed) {
            Ok(true) => Ok(()),
            Ok(false) => Err(None),
            Err(ended) => Err(Some(ended)),
        });
        driver::set_order_seed(before);
        match tried {
            Err(Some(ended)) => Err(ended),
            Ok(()) | Err(None) => Ok(()),
        }
    }

    /// One seed; false if something differed.
    fn try_order(&mut self, graph: &Captured, seed: u64) -> Result<bool, Ended> {
        const STEP: u64 = 0;
        self.heartbeat.enter("orders", STEP);
        self.fill_inputs(STEP)?;
        for (phase, order) in [(Phase::Eager, 0), (Phase::Replay, seed)] {
            self.prepare_host(STEP, phase)?;
            let set = if phase == Phase::Eager { &self.eager } else { &self.replay };
            let begun = self.begin_with_first_state(set);
            self.driver(begun, "copying the inputs in")?;
            driver::set_order_seed(order);
            match phase {
                Phase::Eager => {
                    self.run_loaded(STEP)?;
                    self.keep_eager()?;
                }
                Phase::Replay => self.launch_under_order(graph)?,
            }
        }
        let judged = self.compare(Pair::EagerReplay, Beside::Nothing, STEP, Some(&graph.topology))?;
        if judged.images.is_empty() {
            return Ok(true);
        }
        // Once more, watched: whose order is it?
        let pairs = match Watch::begin() {
            Some(watch) => {
                driver::set_order_seed(seed);
                let begun = self.begin_with_first_state(&self.replay);
                self.driver(begun, "copying the inputs in")?;
                self.launch_under_order(graph)?;
                let races = watch.end().races();
                unordered::replay(&races, graph.exec.handle(), &graph.topology, &self.replay, STEP)
            }
            None => Vec::new(),
        };
        let found: Vec<(usize, Finding)> = judged
            .images
            .into_iter()
            .map(|(buffer, finding)| (buffer, orders::finding(finding, seed, &pairs)))
            .collect();
        self.keep(found);
        Ok(false)
    }

    fn launch_under_order(&mut self, graph: &Captured) -> Result<(), Ended> {
        if let Err(error) = graph.exec.launch(&self.stream).and_then(|()| self.wait()) {
            return Err(self.stop(faults::run_failed(Id::E03, &error, &graph.enqueued, 0), error.is_sticky()));
        }
        Ok(())
    }
}
