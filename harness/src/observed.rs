//! What device work touched and what ordered it, where the driver in use can tell.

use graphproof_driver::observe::{self, Access, Conflict, Observation, Observed};

use crate::calls::{self, frames};
use crate::finding::Site;
use crate::spans::Spans;

/// An observation in progress. Dropped before its end, it is thrown away.
#[derive(Debug)]
pub struct Watch(());

impl Watch {
    /// Begins; none where the driver cannot tell.
    pub fn begin() -> Option<Self> {
        calls::watched().then(|| {
            observe::start();
            Watch(())
        })
    }

    /// A mark between what came before and what comes now.
    pub fn mark(&self) -> Mark {
        Mark(observe::position())
    }

    /// Waits until the device is idle and gives what was seen.
    pub fn end(self) -> Seen {
        Seen(observe::stop())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // After `end` there is nothing left to throw away.
        observe::abandon();
    }
}

/// A place between the submissions of a stretch.
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize);

/// What was seen of a stretch.
#[derive(Debug, Default)]
pub struct Seen(Observation);

/// One of two pieces of work, as a finding tells it.
#[derive(Debug, Clone)]
pub struct Party {
    /// A kernel's name, `memcpy`, ….
    pub what: String,
    /// Its node in the launched graph.
    pub node: Option<usize>,
    /// The handle of the executable graph, if it was one's.
    pub exec: Option<u64>,
    /// How it touches the bytes.
    pub access: Access,
    /// The caller's stack, innermost first, without the driver's and the harness's frames.
    pub stack: Vec<Site>,
    submission: usize,
}

/// Two pieces of work that touch the same bytes without an order.
#[derive(Debug, Clone)]
pub struct Race {
    /// The two, in the order in which they happened to run.
    pub parties: [Party; 2],
    /// The first address that both touch, and bytes from there on.
    pub first: (u64, u64),
    /// Bytes in all that both touch.
    pub bytes: u64,
}

impl Race {
    /// Whether both are of one launch of the executable graph `exec`.
    pub fn is_within(&self, exec: u64) -> bool {
        let [a, b] = &self.parties;
        a.submission == b.submission && a.exec == Some(exec)
    }
}

const HOST_FUNCTION: &str = "host function";

const WRITES: [Access; 2] = [Access::Write, Access::Atomic];

/// Pairs told of one stretch; each has a stack to be resolved.
const MOST: usize = 16;

impl Seen {
    /// The races of the stretch.
    pub fn races(&self) -> Vec<Race> {
        let party = |conflict: &Conflict, side: usize| {
            let work = &self.0.works[conflict.works[side]];
            let submission = self.0.submission(work);
            let stack = submission.map(|submission| frames(&submission.backtrace.to_string(), &told(work)));
            Party {
                what: work.what.clone(),
                node: work.node.map(|node| node as usize),
                exec: submission.and_then(|submission| submission.exec),
                access: conflict.accesses[side],
                stack: stack.unwrap_or_default(),
                submission: submission.map_or(0, |submission| std::ptr::from_ref(submission).addr()),
            }
        };
        let conflicts = self.0.conflicts();
        let told = conflicts.iter().take(MOST);
        told.map(|conflict| Race {
            parties: [party(conflict, 0), party(conflict, 1)],
            first: (conflict.address, conflict.len),
            bytes: conflict.bytes,
        })
        .collect()
    }

    /// Whether more was touched than was kept.
    pub fn truncated(&self) -> bool {
        self.0.truncated
    }

    /// What work that `keep` selects touched in the ways of `accesses`.
    fn touched(&self, accesses: &[Access], keep: impl Fn(&Observed) -> bool) -> Spans {
        let works = self.0.works.iter().filter(|work| keep(work));
        let spans = works.flat_map(|work| &work.spans).filter(|span| accesses.contains(&span.access));
        Spans::of(spans.map(|span| (span.address, span.len)))
    }

    fn exec_of(&self, work: &Observed) -> Option<u64> {
        self.0.submission(work).and_then(|submission| submission.exec)
    }

    /// What was written, by any work.
    pub fn written(&self) -> Spans {
        self.touched(&WRITES, |_| true)
    }

    /// What was written by work that was submitted before a mark.
    pub fn written_before(&self, Mark(mark): Mark) -> Spans {
        self.touched(&WRITES, |work| self.0.number_of(work).is_some_and(|number| number < mark))
    }

    /// What was written by work that was submitted after a mark.
    pub fn written_after(&self, Mark(mark): Mark) -> Spans {
        self.touched(&WRITES, |work| self.0.number_of(work).is_some_and(|number| number >= mark))
    }

    /// What was read, by any work.
    pub fn read(&self) -> Spans {
        self.touched(&[Access::Read, Access::Atomic], |_| true)
    }

    /// What launches of the executable graph `exec` wrote, but for host functions: what their eager runs write is not
    /// known, so that there is nothing to compare it with.
    pub fn written_by(&self, exec: u64) -> Spans {
        self.touched(&WRITES, |work| self.exec_of(work) == Some(exec) && !work.is_host_function())
    }

    /// Work of which not all is seen, in words.
    pub fn unseen(&self) -> Vec<String> {
        let told = self.0.unseen.iter().map(|unseen| {
            let work = match unseen.node {
                Some(node) => format!("node {node} ({})", unseen.what),
                None => unseen.what.clone(),
            };
            let what = match (unseen.what.as_str(), unseen.writes) {
                (HOST_FUNCTION, false) => "reads is not seen, and what it writes is what changed while it ran",
                (HOST_FUNCTION, true) => "reads and writes is not seen: it is the host's own code",
                _ => "reads and writes is not seen: it is machine code",
            };
            format!("what {work} {what}")
        });
        told.collect()
    }

    /// What launches of the executable graph `exec` read.
    pub fn read_by(&self, exec: u64) -> Spans {
        self.touched(&[Access::Read, Access::Atomic], |work| self.exec_of(work) == Some(exec))
    }

    /// The node of `exec` that first read at `address`.
    pub fn reader_of(&self, exec: u64, address: u64) -> Option<usize> {
        let reads = |work: &&Observed| {
            let holds = |span: &observe::Span| address >= span.address && address - span.address < span.len;
            self.exec_of(work) == Some(exec)
                && work.spans.iter().any(|span| span.access != Access::Write && holds(span))
        };
        Some(self.0.works.iter().find(reads)?.node? as usize)
    }

    /// The node of `exec` that wrote at `address` last.
    pub fn writer_of(&self, exec: u64, address: u64) -> Option<(usize, String)> {
        let writes = |work: &&Observed| {
            let holds = |span: &observe::Span| address >= span.address && address - span.address < span.len;
            self.exec_of(work) == Some(exec) && work.spans.iter().any(|span| span.access != Access::Read && holds(span))
        };
        let work = self.0.works.iter().rev().find(writes)?;
        Some((work.node? as usize, work.what.clone()))
    }
}

fn told(work: &Observed) -> String {
    match work.what.as_str() {
        "memcpy" | "memset" | HOST_FUNCTION => work.what.clone(),
        kernel => format!("launch of {kernel}"),
    }
}
