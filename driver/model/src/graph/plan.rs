//! From a snapshot to what the engine executes.

use std::sync::Arc;

use super::exec::{ExecWork, Snapshot};
use crate::work::{NodeParams, Plan, PlanWork, Step};
use graphproof_exec::Conditional;

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

impl Snapshot {
    /// The plan of a whole executable graph. Its first steps give the conditionals their defaults.
    /// Nothing is asked of the graph that the snapshot was taken of: it may have changed, or be gone.
    pub fn plan(&self) -> Plan {
        let (mut defaults, mut conditionals) = (Vec::new(), Vec::new());
        self.visit(&mut |node| {
            if let ExecWork::Conditional { handle, twin, value, default, .. } = &node.work {
                conditionals.extend([handle, twin].map(|&handle| Conditional { handle, value: value.clone() }));
                if let &Some(to) = default {
                    defaults.push(PlanWork::SetConditional { value: value.clone(), to });
                }
            }
        });
        let mut plan = self.inner_plan();
        plan.conditionals = conditionals;
        if !defaults.is_empty() {
            prepend(&mut plan, defaults);
        }
        plan
    }

    fn inner_plan(&self) -> Plan {
        let dependents = dependents(self);
        let mut early: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        let mut triggered = early.clone();
        for (at, node) in self.nodes.iter().enumerate() {
            if let ExecWork::Work(NodeParams::Kernel(kernel)) = &node.work {
                let edges = self.dependencies_of(at).iter().filter(|(_, data)| data.begins_early());
                edges.filter(|_| !kernel.waits_for_grids()).for_each(|&(from, _)| early[from as usize].push(at as u32));
            }
            let edges = self.dependencies_of(at).iter().filter(|(_, data)| data.is_triggered());
            edges.for_each(|&(from, _)| triggered[from as usize].push(at as u32));
        }
        let steps = self.nodes.iter().zip(dependents).zip(early.into_iter().zip(triggered)).enumerate();
        let steps = steps.map(|(index, ((node, dependents), (early, triggered)))| Step {
            work: if node.enabled { node.work.plan() } else { PlanWork::Node(NodeParams::Empty) },
            dependents,
            early,
            triggered,
            dependencies: self.dependencies_of(index).len() as u32,
        });
        Plan { steps: steps.collect(), conditionals: Vec::new() }
    }
}

impl ExecWork {
    fn plan(&self) -> PlanWork {
        match self {
            Self::Work(work) => PlanWork::Node(work.clone()),
            Self::Graph(inner) => PlanWork::Graph(Arc::new(inner.inner_plan())),
            Self::Conditional { value, kind, bodies, .. } => PlanWork::Conditional {
                value: value.clone(),
                kind: *kind,
                bodies: bodies.iter().map(|body| Arc::new(body.inner_plan())).collect(),
            },
        }
    }
}

/// Puts steps before every other step.
fn prepend(plan: &mut Plan, first: Vec<PlanWork>) {
    let shift = first.len() as u32;
    let mut roots = Vec::new();
    for (index, step) in plan.steps.iter_mut().enumerate() {
        let dependents = step.dependents.iter_mut().chain(&mut step.early).chain(&mut step.triggered);
        dependents.for_each(|dependent| *dependent += shift);
        if step.dependencies == 0 {
            step.dependencies = shift;
            roots.push(index as u32 + shift);
        }
    }
    let first = first.into_iter();
    let steps = first.map(|work| Step {
        work,
        dependents: roots.clone(),
        early: Vec::new(),
        triggered: Vec::new(),
        dependencies: 0,
    });
    plan.steps.splice(0..0, steps);
}
