//! Runs a kernel: whole, or beside one ahead of it that has not ended, or one behind it that begins early.

use graphproof_exec::{ExecStats, Fault, Footprint, Launch, Running};

use super::execute::{Scope, settle};
use super::fault::FaultReport;
use super::memory::memory;
use super::work::{KernelWork, NodeParams};
use super::{driver, interpreter, launch, limits, opaque};
use crate::observe;
use crate::record;

/// Completes kernels that are in flight, the first time that it is called; whether all went well.
pub type Complete<'c> = dyn FnMut() -> bool + 'c;

/// Begins a kernel, and runs it to its end behind those that it is given to complete.
pub type Begin<'b> = dyn FnMut(&mut Complete<'_>) + 'b;

/// How a kernel stands to those around it (programmatic dependent launch). By default it begins when all before it
/// have ended, and ends before anything behind it begins.
#[derive(Default)]
pub struct Beside<'b> {
    /// Completes those ahead of it, which are in flight.
    pub ahead: Option<&'b mut Complete<'b>>,
    /// Begins the one behind it, which may begin before this one has ended. Called only where this one lets it.
    pub behind: Option<&'b mut Begin<'b>>,
}

impl<'b> Beside<'b> {
    /// Between two others; see the fields.
    pub fn new(ahead: Option<&'b mut Complete<'_>>, behind: Option<&'b mut Begin<'_>>) -> Self {
        Self {
            ahead: ahead.map(|ahead| -> &mut Complete<'b> { ahead }),
            behind: behind.map(|behind| -> &mut Begin<'b> { behind }),
        }
    }
}

/// `CU_LIMIT_STACK_SIZE` of a context; a change waits for the work before it.
fn stack_bytes(context: u64) -> u32 {
    let world = driver().world();
    world.contexts.get(context).map_or(0, |context| context.limit(limits::STACK_SIZE).unwrap_or(0)) as u32
}

/// Runs a kernel, and keeps what comes of it.
pub fn run(node: &NodeParams, work: &KernelWork, scope: Scope<'_>, beside: Beside<'_>) {
    if work.function.opaque {
        opaque::run(work);
        if observe::is_on() {
            observe::ran_opaque(&work.function.entry.name, scope.node);
        }
        return;
    }
    // The call has decoded it already, or there would be no launch.
    let kernel = match work.function.kernel() {
        Ok(kernel) => kernel,
        Err(code) => {
            let text = format!("kernel `{}` cannot run", work.function.entry.name);
            settle(Err(FaultReport::of_work(code, text)), scope);
            return;
        }
    };
    let context = work.function.context.0;
    let (map, textures, footprint) = {
        let space = &mut memory().space;
        let footprint = observe::is_on().then(|| Footprint::of(&space.map_with_arrays(context)));
        (space.map(context), space.objects(), footprint)
    };
    let launch = Launch {
        kernel,
        config: work.config,
        cluster: launch::cluster(work, kernel),
        parameters: &work.parameters,
        globals: &work.function.globals,
        memory: &map,
        textures: &textures,
        order_seed: scope.seed,
        resident: launch::resident(work, kernel),
        stack_bytes: if kernel.stack { stack_bytes(context) } else { 0 },
        cancel: scope.sticky.cancelled(),
        footprint: footprint.as_ref(),
    };
    let conditionals = scope.events.map_or(&[][..], |launch| &launch.plan.conditionals);
    let mut note = None;
    let mut ended = |result: Result<ExecStats, Fault>| {
        let stats = result.map_err(FaultReport::of_kernel);
        if let Ok(stats) = &stats {
            note = stats.widened;
            if let Some(footprint) = &footprint {
                observe::ran(node, scope.node, footprint.spans(), scope.ticket, scope.path);
            }
        }
        settle(stats.map(|_| ()), scope)
    };
    interpreter::run_in_parts(&launch, conditionals, |running| in_parts(running, beside, &mut ended));
    // Behind whatever has run beside it on this thread, so that it stays with this work.
    if let Some(read) = note {
        record::note_work(|| match read.space {
            "global" => format!("{read}; {}", memory().space.describe(read.address)),
            _ => read.to_string(),
        });
    }
}

/// Runs a launch as far as those around it need, and tells what came of it when it has ended.
fn in_parts(
    running: &mut Running<'_>,
    Beside { mut ahead, behind }: Beside<'_>,
    ended: &mut dyn FnMut(Result<ExecStats, Fault>) -> bool,
) {
    if ahead.is_some() {
        running.until_wait();
    }
    if behind.is_some() && !running.has_triggered() {
        // It may let the one behind begin after it has waited.
        if ahead.take().is_some_and(|complete| !complete()) {
            return;
        }
        running.until_triggered();
    }
    let triggered = running.has_triggered();
    let mut went_well = None;
    let mut complete = || {
        *went_well.get_or_insert_with(|| {
            // What those ahead should have left is not there: it does not go on.
            let goes_on = ahead.take().is_none_or(|complete| complete());
            goes_on && ended(running.finish())
        })
    };
    if let Some(begin) = behind.filter(|_| triggered) {
        begin(&mut complete);
    }
    complete();
}
