//! The record of driver calls, by the software driver itself or by a recorder in front of another: what a step
//! really called, on which stream, from which thread, and what came of it.

mod stack;
mod timeline;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::sys::CUstream;
use graphproof_driver::record::{self, Call, Options, Recording, Stack};

use crate::checks::trend::Series;
use crate::driver::{self, DriverKind};
use crate::finding::{Id, Site};

pub use stack::{frames, is_machinery};
pub use work::{OnStream, Touched};

/// Calls kept of one stretch: a step makes far fewer.
const CAPACITY: usize = 1 << 14;

/// Why there is no record after [`do_without`].
pub(crate) const NOT_WANTED: &str = "--no-record";

/// Set to do as where there is no record.
static WITHOUT: AtomicBool = AtomicBool::new(false);

/// From now on the process does as where calls are not recorded, whatever the driver. Before a driver is
/// opened, it also keeps the recorder out of NVIDIA's way.
pub fn do_without() {
    WITHOUT.store(true, Ordering::Relaxed);
}

/// Whether [`do_without`] was called.
pub(crate) fn does_without() -> bool {
    WITHOUT.load(Ordering::Relaxed)
}

/// Whether the calls of the driver in use are recorded: by the software driver itself, by a recorder in front
/// of NVIDIA's.
pub fn recorded() -> bool {
    unrecorded().is_none()
}

/// Why calls are not recorded; `None` where they are.
pub fn unrecorded() -> Option<String> {
    if does_without() {
        return Some(NOT_WANTED.to_owned());
    }
    match driver::in_use() {
        Some(_) => driver::unrecorded(),
        None => Some("no driver is open".to_owned()),
    }
}

/// Whether the driver in use tells what each kernel reads and writes, as the software driver does.
pub fn watched() -> bool {
    driver::in_use() == Some(DriverKind::Software) && !does_without()
}

/// Ids that nothing but the record of calls can tell.
pub const ONLY_RECORDED: &[Id] = &[Id::L02, Id::S11, Id::S15, Id::V06];

/// Ids that only the software driver can tell: by what each kernel read and wrote.
pub const ONLY_WATCHED: &[Id] = &[Id::A13, Id::A14, Id::L06];

/// Ids of which some are told by that alone, with what these are.
pub const PARTLY_WATCHED: &[(Id, &str)] = &[(Id::L05, "of kernels that are launched to begin early")];

/// Ids that are found without the record too, but told as these.
pub const TOLD_AS: &[(Id, Id)] =
    &[(Id::C10, Id::C04), (Id::S06, Id::S01), (Id::S07, Id::C12), (Id::S09, Id::S14), (Id::S10, Id::S14)];

/// What a report says where [`unrecorded`] gives `why`.
pub fn not_recorded(why: &str) -> String {
    format!("calls of the driver are not recorded ({why})")
}

/// What a report says where nothing is [`watched`].
pub const NOT_WATCHED: &str = "what each kernel reads and writes is seen on the software driver only";

/// What a report says is not looked for on this driver, each with the reason.
pub fn not_checked() -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(why) = unrecorded() {
        let told: Vec<String> = TOLD_AS.iter().map(|(id, other)| format!("{id} as {other}")).collect();
        reasons.push(format!(
            "{}: {} are not looked for; {} are found, but told as others ({})",
            not_recorded(&why),
            join(ONLY_RECORDED.iter().copied()),
            join(TOLD_AS.iter().map(|(id, _)| *id)),
            told.join(", ")
        ));
    }
    let partly: Vec<String> = PARTLY_WATCHED.iter().map(|(id, what)| format!("{id} {what}")).collect();
    let (all, partly) = (join(ONLY_WATCHED.iter().copied()), partly.join(", "));
    if !watched() && recorded() {
        reasons.push(format!(
            "{NOT_WATCHED}: {all} are looked for by what changes in device memory, L06 between a replay and the host's \
             work before it alone, and {partly} not at all"
        ));
    } else if !watched() {
        reasons.push(format!("{NOT_WATCHED}: {all} are not looked for, nor {partly}"));
    }
    reasons
}

fn join(ids: impl Iterator<Item = Id>) -> String {
    ids.map(Id::as_str).collect::<Vec<_>>().join(", ")
}

/// Runs `work` and gives the calls that were made meanwhile, by any thread; none where the driver
/// keeps no record.
pub fn during<T>(work: impl FnOnce() -> T) -> (T, Option<Calls>) {
    if !recorded() {
        return (work(), None);
    }
    // A backtrace is cheap until it is shown; the queries that the harness makes itself need none.
    let backtraces =
        |name: &str| !name.starts_with("cuStreamGetCaptureInfo") && !name.starts_with("cuStreamIsCapturing");
    record::start(Options { capacity: CAPACITY, keep_newest: false, backtraces });
    let result = work();
    (result, Some(Calls { recording: record::stop() }))
}

/// The calls of a stretch.
#[derive(Debug, Clone)]
pub struct Calls {
    recording: Recording,
}

/// One call, as findings tell it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The exported name.
    pub function: &'static str,
    /// `CUresult` as a number.
    pub code: u32,
    /// Whether it was made on the thread that asks.
    pub own_thread: bool,
    /// The stream argument as a number; `None` if the call has none.
    pub stream: Option<u64>,
    /// Time that the host waited for the device, in nanoseconds.
    pub blocked_ns: u64,
    /// What the driver knows about the result.
    pub note: Option<String>,
    /// The stack of the caller, innermost first, without the driver's and the harness's frames.
    pub stack: Vec<Site>,
}

/// Who made a call. The stack is resolved only when it is asked for: that takes its time.
#[derive(Debug, Clone)]
pub struct Caller {
    function: &'static str,
    backtrace: Option<Arc<Stack>>,
}

impl Caller {
    /// The stack of the caller, innermost first, without the driver's and the harness's frames.
    pub fn stack(&self) -> Vec<Site> {
        self.backtrace.as_ref().map(|trace| frames(&trace.to_string(), self.function)).unwrap_or_default()
    }
}

impl Calls {
    /// The first call that failed.
    pub fn first_failure(&self) -> Option<Told> {
        self.recording.first_failure().map(tell)
    }

    /// How many calls succeeded of functions whose names start with one of `names`, on any thread.
    pub fn count(&self, names: &[&str]) -> usize {
        let made = self.recording.calls.iter().filter(|call| !call.failed());
        made.filter(|call| names.iter().any(|name| call.function.starts_with(name))).count()
    }

    /// The last call that failed.
    pub fn last_failure(&self) -> Option<Told> {
        self.recording.calls.iter().rev().find(|call| call.failed()).map(tell)
    }

    /// The first call of a function whose name starts with one of `names`.
    pub fn first_of(&self, names: &[&str]) -> Option<Told> {
        self.recording.calls.iter().find(|call| names.iter().any(|name| call.function.starts_with(name))).map(tell)
    }

    /// The handles of memory pools that were made, and where.
    pub fn pools_made(&self) -> Vec<(u64, Option<Site>)> {
        let made = self.recording.calls.iter().filter(|call| call.function.starts_with("cuMemPoolCreate"));
        let handle = |call: &Call| Some((call.arguments.get("pool")?.written?, tell(call).stack.into_iter().next()));
        made.filter(|call| !call.failed()).filter_map(handle).collect()
    }

    /// The handles of memory pools that were destroyed.
    pub fn pools_destroyed(&self) -> Vec<u64> {
        let destroyed = self.recording.calls.iter().filter(|call| call.function.starts_with("cuMemPoolDestroy"));
        destroyed.filter(|call| !call.failed()).filter_map(|call| Some(call.arguments.get("pool")?.word)).collect()
    }

    /// Who made the last call that succeeded of a function whose name starts with one of `names`.
    pub fn last_caller(&self, names: &[&str]) -> Option<Caller> {
        let mut calls = self.recording.calls.iter().rev().filter(|call| !call.failed());
        let last = calls.find(|call| names.iter().any(|name| call.function.starts_with(name)))?;
        Some(Caller { function: last.function, backtrace: last.backtrace.clone() })
    }

    /// Who put captured work on a stream, call by call: as many as there are nodes, where no call made
    /// several and none made one that is not here.
    pub fn captured(&self) -> Vec<Caller> {
        let captured = |call: &&Call| !call.failed() && call.capture_before == record::Capture::Active;
        let calls = self.recording.calls.iter().filter(captured);
        let enqueues = calls.filter(|call| ENQUEUES.iter().any(|name| call.function.starts_with(name)));
        enqueues.map(|call| Caller { function: call.function, backtrace: call.backtrace.clone() }).collect()
    }

    /// The first call that returned `code`.
    pub fn first_with(&self, code: u32) -> Option<Told> {
        self.recording.calls.iter().find(|call| code_of(call) == code).map(tell)
    }

    /// The call that made the host wait longest.
    pub fn longest_wait(&self) -> Option<Told> {
        self.recording.calls.iter().filter(|call| call.blocked()).max_by_key(|call| call.blocked_ns).map(tell)
    }

    /// The calls that destroyed a stream which was part of a capture.
    pub fn destroyed_fork(&self) -> Option<Told> {
        let destroyed = |call: &&Call| {
            call.function.starts_with("cuStreamDestroy") && call.capture_before == record::Capture::Active
        };
        self.recording.calls.iter().find(destroyed).map(tell)
    }
}

/// Calls that put work on the stream that they are given.
const ENQUEUES: &[&str] = &[
    "cuLaunch",
    "cuMemcpy",
    "cuMemset",
    "cuMemAllocAsync",
    "cuMemAllocFromPoolAsync",
    "cuMemFreeAsync",
    "cuStreamWaitValue",
    "cuStreamWriteValue",
    "cuStreamBatchMemOp",
];

fn code_of(call: &Call) -> u32 {
    call.result.0
}

fn tell(call: &Call) -> Told {
    Told {
        function: call.function,
        code: code_of(call),
        own_thread: call.thread == record_thread(),
        stream: call.stream,
        blocked_ns: call.blocked_ns,
        note: call.note.clone(),
        stack: Caller { function: call.function, backtrace: call.backtrace.clone() }.stack(),
    }
}

fn record_thread() -> graphproof_driver::software::ThreadId {
    graphproof_driver::software::ThreadId::current()
}

/// A stream handle as the record has it.
pub fn stream_number(stream: CUstream) -> u64 {
    stream.addr() as u64
}

/// Driver objects made and destroyed, by kind.
#[derive(Debug, Clone, Default)]
pub struct Handles {
    counts: BTreeMap<&'static str, (u64, u64)>,
    stacks: BTreeMap<&'static str, Vec<Site>>,
    alive: BTreeMap<&'static str, Series>,
}

/// The kind of device memory: its bytes are what counts, and they are measured.
pub const ALLOCATIONS: &str = "device allocations";

/// The kind of pinned host memory.
pub const PINNED: &str = "pinned host allocations";

/// (kind, calls that make one, calls that destroy one).
const KINDS: &[(&str, &[&str], &[&str])] = &[
    ("executable graphs", &["cuGraphInstantiate"], &["cuGraphExecDestroy"]),
    ("graphs", &["cuStreamEndCapture", "cuGraphCreate", "cuGraphClone"], &["cuGraphDestroy"]),
    ("streams", &["cuStreamCreate"], &["cuStreamDestroy"]),
    ("events", &["cuEventCreate"], &["cuEventDestroy"]),
    (ALLOCATIONS, &["cuMemAlloc_v2", "cuMemAllocAsync", "cuMemAllocFromPool", "cuMemAllocPitch"], &["cuMemFree"]),
    (PINNED, &["cuMemHostAlloc", "cuMemAllocHost"], &["cuMemFreeHost"]),
    ("modules", &["cuModuleLoad", "cuLibraryLoad"], &["cuModuleUnload", "cuLibraryUnload"]),
];

impl Handles {
    /// Adds the calls of a stretch.
    pub fn add(&mut self, calls: &Calls) {
        for call in calls.recording.calls.iter().filter(|call| !call.failed()) {
            let is = |names: &[&str]| names.iter().any(|name| call.function.starts_with(name));
            for &(kind, make, destroy) in KINDS {
                let (made, destroyed) = self.counts.entry(kind).or_default();
                *made += u64::from(is(make));
                *destroyed += u64::from(is(destroy));
                if is(make) && !self.stacks.contains_key(kind) {
                    self.stacks.insert(kind, tell(call).stack);
                }
            }
        }
    }

    /// Notes how many of each kind are alive after the host's work before replay `replay`.
    pub fn note_alive(&mut self, replay: u64) {
        for (&kind, &(made, destroyed)) in &self.counts {
            self.alive.entry(kind).or_default().push(replay, made.saturating_sub(destroyed));
        }
    }

    /// How many of a kind were alive, replay by replay.
    pub fn alive(&self, kind: &str) -> &[(u64, u64)] {
        self.alive.get(kind).map_or(&[], Series::points)
    }

    /// (kind, made, destroyed).
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        self.counts.iter().map(|(&kind, &(made, destroyed))| (kind, made, destroyed))
    }

    /// Who made the first object of a kind, innermost frame first.
    pub fn stack(&self, kind: &str) -> &[Site] {
        self.stacks.get(kind).map_or(&[], Vec::as_slice)
    }
}
