//! Conditionals: a number on the device decides what runs.

use std::panic::Location;
use std::sync::Arc;

use super::{Enqueued, Launch, StepContext};
use crate::cuda::{Body, Condition, ConditionalHandle, GraphNode, PinnedMemory, Stream, end_body};
use crate::error::{StepError, StepResult};
use crate::finding::{Place, Site};
use crate::step::Module;

/// Turns of a `while` body that an eager run makes at most.
const MOST_TURNS: u32 = 1 << 20;

/// The kernel behind [`StepContext::conditional`].
pub(crate) const SET_CONDITIONAL: &str = "graphproof_set_conditional";

/// What a step that uses [`StepContext::conditional`] has to name among its modules: the kernel that sets
/// a graph's conditional value from a buffer.
pub fn conditional_module() -> Module {
    Module::ptx("graphproof_conditional.ptx", include_str!("conditional.ptx"))
}

/// What enqueues the body of a number of a conditional.
pub type Bodies<'a, Context> = dyn FnMut(&mut Context, u32) -> StepResult<()> + 'a;

/// What is within a conditional.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditional {
    /// Eagerly: how often each body ran.
    pub ran: Vec<u32>,
    /// Whether the body runs again and again.
    pub repeats: bool,
    /// Under capture: the graph of each body, with the work in it.
    pub bodies: Vec<(Body, Vec<Enqueued>)>,
    /// Eagerly: the conditionals in its bodies.
    pub inner: Vec<Enqueued>,
}

impl StepContext<'_> {
    /// Runs `body` once if the 32-bit number in `flag` is not 0, or as long as it is not: [`choose`](Self::choose)
    /// with one body.
    ///
    /// # Errors
    /// As for [`choose`](Self::choose).
    #[track_caller]
    pub fn conditional(
        &mut self,
        kind: Condition,
        flag: &str,
        inner: &Arc<Stream>,
        body: &mut dyn FnMut(&mut Self) -> StepResult<()>,
    ) -> StepResult<()> {
        self.choose(kind, flag, inner, 1, &mut |cx, _| body(cx))
    }

    /// Runs one of `bodies` bodies by the 32-bit number in `flag`, as `kind` says; `body` enqueues the one of a
    /// number from 0. Captured, this is a conditional node, whose value a kernel sets from `flag`: the step must
    /// have the module [`conditional_module`]. Eagerly the host reads the flag and waits for it, as an engine
    /// without graphs does. A `while` body has to set the flag anew. `inner` is a stream that the step uses for
    /// nothing else: the bodies are captured on it, one after the other.
    ///
    /// # Errors
    /// The driver's, a body's, a flag that is no buffer of 4 bytes, or more bodies than the kind has: an `if` has
    /// one or two, a `while` one, a `switch` one or more.
    #[track_caller]
    pub fn choose(
        &mut self,
        kind: Condition,
        flag: &str,
        inner: &Arc<Stream>,
        bodies: u32,
        body: &mut Bodies<'_, Self>,
    ) -> StepResult<()> {
        let at = self.here(Location::caller());
        let what = format!("conditional on '{flag}'");
        let memory = self.memory(flag).map_err(|error| error.at(&what, &at))?;
        let most = match kind {
            Condition::If => 2,
            Condition::While => 1,
            Condition::Switch => u32::MAX,
        };
        let wrong = if memory.len() != 4 {
            Some(format!("the condition '{flag}' has {} bytes; it must be one 32-bit number", memory.len()))
        } else if bodies == 0 || bodies > most {
            Some(format!("the condition '{flag}' has {bodies} bodies; a node of its kind has 1 to {most}"))
        } else {
            None
        };
        if let Some(text) = wrong {
            return Err(StepError::Other(text).at(&what, &at));
        }
        let before = self.enqueued.len();
        let mut nodes = Vec::new();
        let mut within =
            Conditional { ran: vec![0; bodies as usize], repeats: kind == Condition::While, ..Conditional::default() };
        let done = match (self.held, self.capturing) {
            // What the flag will be is not known, and the probe asks only whether the host waits.
            (true, _) => (0..bodies).try_for_each(|number| body(self, number)),
            (false, false) => self.branch_eagerly(kind, flag, &mut within.ran, body, &at),
            (false, true) => self.branch(kind, flag, inner, body, &at, (&mut nodes, &mut within)),
        };
        // The work of a body is no node of the graph, and eagerly it depends on the flag: to the checks, a
        // conditional is one piece of work.
        let inner = self.enqueued.split_off(before);
        done?;
        within.inner = inner.into_iter().filter(|work| work.conditional.is_some()).collect();
        let conditional = (!self.held).then_some(within);
        self.enqueued.push(Enqueued { site: Site::new(what, &at), kernel: None, nodes, conditional });
        Ok(())
    }

    fn branch_eagerly(
        &mut self,
        kind: Condition,
        flag: &str,
        ran: &mut [u32],
        body: &mut Bodies<'_, Self>,
        at: &Place,
    ) -> StepResult<()> {
        // Far more than a step does; a body that never clears its flag would not end.
        for _ in 0..MOST_TURNS {
            let value = self.flag(flag, at)?;
            let chosen = match kind {
                Condition::Switch => value,
                Condition::If | Condition::While => u32::from(value == 0),
            };
            let Some(turns) = ran.get_mut(chosen as usize) else { return Ok(()) };
            *turns += 1;
            body(self, chosen)?;
            if kind != Condition::While {
                return Ok(());
            }
        }
        let text = format!("the condition '{flag}' is still not 0 after {MOST_TURNS} turns of its body");
        Err(StepError::Other(text).at(format!("conditional on '{flag}'"), at))
    }

    /// The work of a conditional, and the nodes of the graph itself that it made.
    fn branch(
        &mut self,
        kind: Condition,
        flag: &str,
        inner: &Arc<Stream>,
        body: &mut Bodies<'_, Self>,
        at: &Place,
        (nodes, within): (&mut Vec<GraphNode>, &mut Conditional),
    ) -> StepResult<()> {
        let bodies = within.ran.len() as u32;
        let failed = |error| StepError::Cuda { error, place: at.clone() };
        let handle = ConditionalHandle::new(self.current()).map_err(failed)?;
        let set = Launch::new(SET_CONDITIONAL).value(handle.argument()).buffer(flag);
        self.launch_at(set.clone(), at)?;
        nodes.extend(self.enqueued.last().map(|set| set.nodes.clone()).unwrap_or_default());
        let (node, graphs) = handle.node(kind, bodies, self.current()).map_err(failed)?;
        nodes.push(node);
        for (number, graph) in (0..).zip(graphs) {
            graph.begin(inner).map_err(failed)?;
            let first = self.enqueued.len();
            let outer = self.side.replace(Arc::clone(inner));
            let mut done = body(self, number);
            if done.is_ok() && kind == Condition::While {
                self.side = Some(Arc::clone(inner));
                done = self.launch_at(set.clone(), at);
            }
            self.side = outer;
            let ended = end_body(inner);
            within.bodies.push((graph, self.enqueued.split_off(first)));
            done?;
            ended.map_err(failed)?;
        }
        Ok(())
    }

    /// The 32-bit number in a buffer, waited for.
    fn flag(&self, buffer: &str, at: &Place) -> StepResult<u32> {
        let memory = self.memory(buffer)?;
        let read = || {
            let mut host = PinnedMemory::new(4)?;
            memory.download(&mut host, self.current())?;
            self.current().synchronize()?;
            Ok(u32::from_ne_bytes(host.bytes().try_into().unwrap_or_default()))
        };
        read().map_err(|error| StepError::Cuda { error, place: at.clone() })
    }
}
