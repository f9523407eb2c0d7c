//! Runs an instantiated graph: ready steps in seeded order.

use std::sync::atomic::Ordering;

use graphproof_scheduler::order;

use super::execute::{Scope, run_node};
use super::work::{ConditionalKind, Plan, PlanWork};
use crate::observe::{Path, PathStep};

/// Runs every step of `plan`, in an order that keeps its edges and that the seed chooses.
pub fn run(plan: &Plan, scope: Scope<'_>) {
    let mut missing: Vec<u32> = plan.steps.iter().map(|step| step.dependencies).collect();
    let mut ready: Vec<u32> = (0..plan.steps.len() as u32).filter(|&step| missing[step as usize] == 0).collect();
    let mut draws = 0;
    // The defaults of conditionals stand before the nodes and are none.
    let defaults = plan.steps.iter().take_while(|step| matches!(step.work, PlanWork::SetConditional { .. })).count();
    let mut draw = || {
        draws += 1;
        order::mix(scope.seed.wrapping_add(draws))
    };
    while let Some(index) = order::take(&mut ready, scope.seed, &mut draw) {
        let step = &plan.steps[index as usize];
        let node = scope.node.or_else(|| index.checked_sub(defaults as u32));
        let here = Path { outer: scope.path, step: PathStep::Step(index) };
        let seed = order::part(scope.seed, u64::from(index) << 32);
        run_step(&step.work, Scope { seed, node, path: Some(&here), ..scope });
        for &next in &step.dependents {
            let missing = &mut missing[next as usize];
            *missing -= 1;
            if *missing == 0 {
                ready.push(next);
            }
        }
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
