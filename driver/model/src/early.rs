//! Which kernels begin before the ones ahead of them have ended: under a seed, where CUDA leaves it open.

use graphproof_scheduler::Engine;
use graphproof_scheduler::order::{self, mix};

use super::execute::{Op, Scope, Task, run_node_beside};
use super::kernel::{Beside, Complete};
use super::module::Function;
use super::work::NodeParams;

/// Kernels that are in flight at once.
pub const MOST: usize = 4;

/// Whether one behind the work of `scope` begins early, if it may. Without a seed none does; of the extremes, where
/// what could run last does so.
pub fn chosen(scope: &Scope<'_>) -> bool {
    const EARLY: u64 = 0x6561_726c;
    if scope.engine.seed() == 0 {
        return false;
    }
    match scope.seed {
        order::FORWARDS => false,
        order::BACKWARDS => true,
        seed => mix(seed ^ EARLY) & 1 == 0,
    }
}

/// Whether it is a kernel that is executed.
pub fn is_kernel(node: &NodeParams) -> bool {
    matches!(node, NodeParams::Kernel(work) if !work.function.opaque)
}

/// Whether it is a kernel that may let others begin before it has ended.
pub fn lets_begin(node: &NodeParams) -> bool {
    let lets = |function: &Function| function.kernel().is_ok_and(|kernel| kernel.lets_begin());
    matches!(node, NodeParams::Kernel(work) if !work.function.opaque && lets(&work.function))
}

/// Runs an eager kernel, and, if it is chosen, the kernel behind it on its stream that was launched to begin early. As on
/// a GPU it has to be enqueued by then.
pub fn run_eager(node: &NodeParams, scope: Scope<'_>) {
    run_chain(node, scope, None, 1);
}

fn run_chain(node: &NodeParams, scope: Scope<'_>, ahead: Option<&mut Complete<'_>>, length: usize) {
    let fits = |task: &Task| match &task.op {
        Op::Node(node @ NodeParams::Kernel(work)) => work.begins_early() && is_kernel(node),
        _ => false,
    };
    let mut begin = |complete: &mut Complete<'_>| {
        let Some((ticket, task)) = scope.engine.take_behind(scope.ticket.stream, fits) else { return };
        let Op::Node(node) = &task.op else { return };
        let mut first = First { engine: scope.engine, stream: ticket.stream, told: false };
        let mut complete = || {
            let went_well = complete();
            first.has_run();
            went_well
        };
        let seed = super::execute::seed_of(scope.engine, ticket);
        run_chain(node, Scope { ticket, seed, sticky: &task.sticky, ..scope }, Some(&mut complete), length + 1);
        // Where it was dropped it has completed nothing.
        complete();
    };
    let begins = length < MOST && chosen(&scope) && lets_begin(node);
    run_node_beside(node, scope, Beside::new(ahead, begins.then_some(&mut begin)));
}

/// The first of the pieces of work of a stream that this thread runs: told to have run once, also where what runs
/// panics.
struct First<'e> {
    engine: &'e Engine<Task>,
    stream: u64,
    told: bool,
}

impl First<'_> {
    fn has_run(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            self.engine.complete_first(self.stream);
        }
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.has_run();
    }
}
