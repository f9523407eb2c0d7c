//! What device work touches, and what orders it: for whoever looks for work that has no order.
//!
//! Off by default; then a piece of work costs one relaxed load. On, each piece leaves the bytes that it
//! touched ([`Observed`]), kernels from the addresses of their very accesses, and each submission what
//! stands before it: its stream, events, the legacy stream's rules, waits of the host.

mod conflict;
mod host;
mod order;
mod touches;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use conflict::Conflict;
pub use graphproof_exec::{Access, Span};
use host::HostImage;
pub(crate) use touches::{copy_spans, spans_of};

use graphproof_scheduler::Ticket;

use crate::driver;
use crate::record::Stack;
use crate::work::{NodeParams, Plan};
use order::Order;

/// Where in a launched graph a piece of work stands, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep {
    /// A step of a plan.
    Step(u32),
    /// A body of a conditional node.
    Body(u32),
    /// A turn of a loop's body.
    Turn(u64),
}

/// A [`PathStep`] within others, while they run.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    /// What it is within.
    pub outer: Option<&'a Path<'a>>,
    /// The step.
    pub step: PathStep,
}

impl Path<'_> {
    fn steps(path: Option<&Path<'_>>) -> Vec<PathStep> {
        let mut steps: Vec<PathStep> = std::iter::successors(path, |path| path.outer).map(|path| path.step).collect();
        steps.reverse();
        steps
    }
}

/// A piece of work that ran.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What it was: a kernel's name, `memcpy`, `memset`, ….
    pub what: String,
    /// Its node, for work of a graph: the index in the graph's order of creation. Work of a child graph or
    /// of a conditional's body has that of the node which holds it.
    pub node: Option<u32>,
    /// The bytes that it touched.
    pub spans: Vec<Span>,
    ticket: Ticket,
    path: Vec<PathStep>,
    /// Index of its submission.
    submission: Option<usize>,
    /// For a host function: how many works had ended when it was called.
    began: Option<usize>,
}

impl Observed {
    /// Whether it is a host function: its bytes are those that changed while it ran.
    pub fn is_host_function(&self) -> bool {
        self.began.is_some()
    }
}

/// A piece of work that touches what is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// What it was: `host function`, or a kernel's name.
    pub what: String,
    /// As for [`Observed::node`].
    pub node: Option<u32>,
    /// What it wrote is not seen either.
    pub writes: bool,
}

/// A piece of work, or a graph, that was put on a stream.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The engine's number of the stream.
    pub stream: u64,
    /// The handle of the executable graph, if it was one.
    pub exec: Option<u64>,
    /// Who submitted it.
    pub backtrace: Arc<Stack>,
    pub(crate) plan: Option<Arc<Plan>>,
}

/// What was observed.
#[derive(Debug, Default)]
pub struct Observation {
    /// Every piece of work that touched memory, in the order in which they ended.
    pub works: Vec<Observed>,
    /// Work of which more than [`Observation::works`] has is not known, once each.
    pub unseen: Vec<Unseen>,
    order: Order,
    /// More was touched than is kept.
    pub truncated: bool,
}

impl Observation {
    /// How a piece of work was submitted; none if that was before the observation began.
    pub fn submission(&self, work: &Observed) -> Option<&Submission> {
        self.order.submissions.get(work.submission?)
    }

    /// The number of a work's submission, as [`position`] counts.
    pub fn number_of(&self, work: &Observed) -> Option<usize> {
        work.submission
    }

    /// Pairs of work that touch the same bytes, one of them writing, and that nothing orders.
    pub fn conflicts(&self) -> Vec<Conflict> {
        conflict::find(&self.works, &self.order)
    }
}

const HOST_FUNCTION: &str = "host function";

/// Spans kept of one observation.
const MOST_SPANS: usize = 1 << 21;

/// The observation of a driver.
#[derive(Debug, Default)]
pub(crate) struct Observing {
    on: AtomicBool,
    observer: Mutex<Option<Observer>>,
}

impl Observing {
    /// Throws an observation in progress away.
    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Release);
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[derive(Debug, Default)]
struct Observer {
    works: Vec<Observed>,
    unseen: Vec<Unseen>,
    spans: usize,
    order: Order,
}

fn observer() -> MutexGuard<'static, Option<Observer>> {
    driver().observing.observer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts an observation; one in progress is thrown away.
pub fn start() {
    *observer() = Some(Observer::default());
    driver().observing.on.store(true, Ordering::Release);
}

/// Waits until the device is idle, ends the observation and hands it over; empty if none was in progress.
pub fn stop() -> Observation {
    if !is_on() {
        return Observation::default();
    }
    driver().wait_for_device();
    driver().observing.on.store(false, Ordering::Release);
    let Some(Observer { mut works, unseen, spans, order }) = observer().take() else { return Observation::default() };
    for work in &mut works {
        work.submission = order.of(work.ticket);
    }
    conflict::leave_others_their_bytes(&mut works, &order);
    Observation { works, unseen, order, truncated: spans > MOST_SPANS }
}

/// How many submissions the observation in progress has seen: a mark between them.
pub fn position() -> usize {
    observer().as_ref().map_or(0, |observer| observer.order.submissions.len())
}

/// Ends an observation without waiting for anything; what was observed is lost.
pub fn abandon() {
    driver().observing.end();
}

/// Whether work is observed.
pub fn is_on() -> bool {
    driver().observing.on.load(Ordering::Relaxed)
}

fn with_order(change: impl FnOnce(&mut Order)) {
    if is_on()
        && let Some(observer) = observer().as_mut()
    {
        change(&mut observer.order);
    }
}

/// Work was put on a stream, behind `after` and all work so far of the streams `behind`.
pub(crate) fn submitted(ticket: Ticket, after: &[Ticket], behind: &[u64]) {
    with_order(|order| order.submitted(ticket, after, behind));
}

/// The submission with this ticket was a graph, which waits within for `awaited` and completes `records`.
pub(crate) fn was_graph(ticket: Ticket, plan: &Arc<Plan>, awaited: &[Ticket], records: &[Ticket]) {
    with_order(|order| order.was_graph(ticket, plan, awaited, records));
}

/// The submission with this ticket launched the executable graph `exec`.
pub fn was_exec(ticket: Ticket, exec: u64) {
    with_order(|order| order.was_exec(ticket, exec));
}

/// The host has waited for work, or has been told that it is done.
pub fn host_waited(ticket: Ticket) {
    with_order(|order| order.host_waited(ticket));
}

/// The host has waited for all work so far of these streams.
pub fn host_waited_for(streams: &[u64]) {
    with_order(|order| streams.iter().for_each(|&stream| order.host_waited_for(stream)));
}

/// The host has waited for all work so far.
pub(crate) fn host_waited_for_all() {
    with_order(Order::host_waited_for_all);
}

/// The host copied at once, on `stream`, behind the streams `behind`.
pub(crate) fn copied_at_once(stream: u64, behind: &[u64], spans: Vec<Span>) {
    if !is_on() {
        return;
    }
    let mut guard = observer();
    let Some(observer) = guard.as_mut() else { return };
    let ticket = observer.order.at_once(stream, behind);
    observer.keep(Observed {
        what: "memcpy".to_owned(),
        node: None,
        spans,
        ticket,
        path: Vec::new(),
        submission: None,
        began: None,
    });
}

impl Observer {
    fn keep(&mut self, work: Observed) {
        self.spans += work.spans.len();
        if self.spans <= MOST_SPANS && !work.spans.is_empty() {
            self.works.push(work);
        }
    }

    fn cannot_see(&mut self, unseen: Unseen) {
        if !self.unseen.contains(&unseen) {
            self.unseen.push(unseen);
        }
    }
}

/// A piece of work has run and touched these bytes.
pub(crate) fn ran(params: &NodeParams, node: Option<u32>, spans: Vec<Span>, ticket: Ticket, path: Option<&Path<'_>>) {
    let what = match params {
        NodeParams::Kernel(work) => work.function.entry.name.clone(),
        NodeParams::Memcpy(_) => "memcpy".to_owned(),
        NodeParams::Memset(_) => "memset".to_owned(),
        NodeParams::BatchMemOp(_) => "batch memory operation".to_owned(),
        _ => return,
    };
    if let Some(observer) = observer().as_mut() {
        let path = Path::steps(path);
        observer.keep(Observed { what, node, spans, ticket, path, submission: None, began: None });
    }
}

/// A kernel has run without being executed: nothing of what it touches is seen.
pub(crate) fn ran_opaque(kernel: &str, node: Option<u32>) {
    if let Some(observer) = observer().as_mut() {
        observer.cannot_see(Unseen { what: kernel.to_owned(), node, writes: true });
    }
}

/// Calls a host function, which is work of a graph where `path` is given, and notes what changed meanwhile.
///
/// What an eager one changes is not told apart from what the thread that enqueued it goes on to write.
pub(crate) fn host_function(node: Option<u32>, ticket: Ticket, path: Option<&Path<'_>>, call: impl FnOnce()) {
    if !is_on() {
        return call();
    }
    let began = observer().as_ref().map(|observer| observer.works.len());
    let image = path.and_then(|_| HostImage::take());
    call();
    let spans = image.as_ref().map(HostImage::changed);
    let mut guard = observer();
    let (Some(observer), Some(began)) = (guard.as_mut(), began) else { return };
    observer.cannot_see(Unseen { what: HOST_FUNCTION.to_owned(), node, writes: spans.is_none() });
    observer.keep(Observed {
        what: HOST_FUNCTION.to_owned(),
        node,
        spans: spans.unwrap_or_default(),
        ticket,
        path: Path::steps(path),
        submission: None,
        began: Some(began),
    });
}
