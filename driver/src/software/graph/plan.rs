//! From a snapshot to what the engine executes.

use std::sync::Arc;

use super::exec::{ExecWork, Snapshot};
use super::store::Graphs;
use crate::exec::Conditional;
use crate::software::work::{NodeParams, Plan, PlanWork, Step};

/// For each node, the nodes that wait for it.
pub(super) fn dependents(snapshot: &Snapshot) -> Vec<Vec<u32>> {
    let mut dependents: Vec<Vec<u32>> =
        snapshot.nodes.iter().map(|node| Vec::with_capacity(node.dependents as usize)).collect();
    for node in 0..snapshot.nodes.len() {
        for &(from, _) in snapshot.dependencies_of(node) {
            dependents[from as usize].push(node as u32);
        }
    }
    dependents
}

impl Graphs {
    /// The plan of a whole executable graph. Its first steps give the conditionals their defaults.
    pub(super) fn plan(&self, snapshot: &Snapshot) -> Plan {
        let (mut defaults, mut conditionals) = (Vec::new(), Vec::new());
        snapshot.visit(&mut |node| {
            if let ExecWork::Conditional { handle, twin, .. } = node.work
                && let Some(found) = self.handles.get(handle)
            {
                let value = || found.value.clone();
                conditionals.extend([handle, twin].map(|handle| Conditional { handle, value: value() }));
                if let Some(to) = found.default {
                    defaults.push(PlanWork::SetConditional { value: value(), to });
                }
            }
        });
        let mut plan = self.inner_plan(snapshot);
        plan.conditionals = conditionals;
        if !defaults.is_empty() {
            prepend(&mut plan, defaults);
        }
        plan
    }

    fn inner_plan(&self, snapshot: &Snapshot) -> Plan {
        let dependents = dependents(snapshot);
        let steps = snapshot.nodes.iter().zip(dependents).enumerate().map(|(index, (node, dependents))| Step {
            work: if node.enabled { self.plan_work(&node.work) } else { PlanWork::Node(NodeParams::Empty) },
            dependents,
            dependencies: snapshot.dependencies_of(index).len() as u32,
        });
        Plan { steps: steps.collect(), conditionals: Vec::new() }
    }

    fn plan_work(&self, work: &ExecWork) -> PlanWork {
        match work {
            ExecWork::Work(work) => PlanWork::Node(work.clone()),
            ExecWork::Graph(inner) => PlanWork::Graph(Arc::new(self.inner_plan(inner))),
            ExecWork::Conditional { handle, kind, bodies, .. } => PlanWork::Conditional {
                value: self.conditional_value(*handle).unwrap_or_default(),
                kind: *kind,
                bodies: bodies.iter().map(|body| Arc::new(self.inner_plan(body))).collect(),
            },
        }
    }
}

/// Puts steps before every other step.
fn prepend(plan: &mut Plan, first: Vec<PlanWork>) {
    let shift = first.len() as u32;
    let mut roots = Vec::new();
    for (index, step) in plan.steps.iter_mut().enumerate() {
        step.dependents.iter_mut().for_each(|dependent| *dependent += shift);
        if step.dependencies == 0 {
            step.dependencies = shift;
            roots.push(index as u32 + shift);
        }
    }
    let steps = first.into_iter().map(|work| Step { work, dependents: roots.clone(), dependencies: 0 });
    plan.steps.splice(0..0, steps);
}
