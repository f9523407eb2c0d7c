//! Runs an instantiated graph: ready steps in seeded order.

use std::sync::atomic::Ordering;

use graphproof_scheduler::order;

use super::early;
use super::execute::{Scope, run_node, run_node_beside};
use super::kernel::{Beside, Complete};
use super::work::{ConditionalKind, NodeParams, Plan, PlanWork};
use crate::observe::{Path, PathStep};

/// Runs every step of `plan`, in an order that keeps its edges and that the seed chooses.
pub fn run(plan: &Plan, scope: Scope<'_>) {
    let mut missing: Vec<u32> = plan.steps.iter().map(|step| step.dependencies).collect();
    let mut ready: Vec<u32> = (0..plan.steps.len() as u32).filter(|&step| missing[step as usize] == 0).collect();
    let mut draws = 0;
    let defaults = plan.steps.iter().take_while(|step| matches!(step.work, PlanWork::SetConditional { .. })).count();
    let mut draw = || {
        draws += 1;
        order::mix(scope.seed.wrapping_add(draws))
    };
    let mut ran = Vec::new();
    while let Some(index) = order::take(&mut ready, scope.seed, &mut draw) {
        ran.clear();
        Steps { plan, scope, defaults: defaults as u32, missing: &missing }.run(index, None, &mut ran);
        for &done in &ran {
            for &next in &plan.steps[done as usize].dependents {
                let missing = &mut missing[next as usize];
                *missing -= 1;
                if *missing == 0 && !ran.contains(&next) {
                    ready.push(next);
                }
            }
        }
    }
}

/// The steps of a plan while they run.
struct Steps<'a> {
    plan: &'a Plan,
    scope: Scope<'a>,
    /// Steps that give conditionals their defaults: they stand before the nodes and are none.
    defaults: u32,
    /// By step: the steps that it still waits for.
    missing: &'a [u32],
}

impl Steps<'_> {
    /// Runs a step, behind those `ahead` of it that are in flight, and with it the kernels that begin before it has ended.
    /// `ran` gets all of them.
    fn run(&self, index: u32, ahead: Option<&mut Complete<'_>>, ran: &mut Vec<u32>) {
        let Self { plan, scope, defaults, .. } = *self;
        let step = &plan.steps[index as usize];
        let node = scope.node.or_else(|| index.checked_sub(defaults));
        let here = Path { outer: scope.path, step: PathStep::Step(index) };
        let seed = order::part(scope.seed, u64::from(index) << 32);
        let scope = Scope { seed, node, path: Some(&here), ..scope };
        ran.push(index);
        let PlanWork::Node(node @ NodeParams::Kernel(_)) = &step.work else { return run_step(&step.work, scope) };
        let next = self.begins_early(index, &scope).filter(|_| ran.len() < early::MOST);
        let mut begin = |complete: &mut Complete<'_>| {
            if let Some(next) = next {
                self.run(next, Some(complete), ran);
            }
        };
        run_node_beside(node, scope, Beside::new(ahead, next.is_some().then_some(&mut begin)));
    }

    /// The step that begins before this one, a kernel, has ended, if this one lets it: one that waits for nothing else.
    fn begins_early(&self, index: u32, scope: &Scope<'_>) -> Option<u32> {
        let is = |step: u32, so: fn(&NodeParams) -> bool| match &self.plan.steps[step as usize].work {
            PlanWork::Node(node) => so(node),
            _ => false,
        };
        let triggered = &self.plan.steps[index as usize].triggered;
        if triggered.is_empty() || !early::chosen(scope) || !is(index, early::lets_begin) {
            return None;
        }
        let mut may = triggered
            .iter()
            .copied()
            .filter(|&next| self.missing[next as usize] == 1 && is(next, early::is_kernel))
            .collect();
        order::take(&mut may, scope.seed, || order::mix(scope.seed))
    }
}

fn run_step(work: &PlanWork, scope: Scope<'_>) {
    match work {
        PlanWork::Node(node) => run_node(node, scope),
        PlanWork::Graph(plan) => run(plan, scope),
        PlanWork::SetConditional { value, to } => value.store(*to, Ordering::Release),
        PlanWork::Conditional { value, kind, bodies } => {
            let read = || value.load(Ordering::Acquire);
            let body = |number: u32| {
                let here = Path { outer: scope.path, step: PathStep::Body(number) };
                bodies
                    .get(number as usize)
                    .into_iter()
                    .for_each(|body| run(body, Scope { path: Some(&here), ..scope }));
            };
            match kind {
                ConditionalKind::If => {
                    body(u32::from(read() == 0));
                }
                ConditionalKind::While => {
                    let mut turn = 0u64;
                    // An error of the context ends the loop: nothing will change the value then.
                    while read() != 0 && scope.sticky.check().is_ok() {
                        let Some(body) = bodies.first() else { break };
                        turn += 1;
                        let here = Path { outer: scope.path, step: PathStep::Turn(turn) };
                        run(body, Scope { seed: order::part(scope.seed, turn), path: Some(&here), ..scope });
                    }
                }
                ConditionalKind::Switch => {
                    body(read());
                }
            }
        }
    }
}
