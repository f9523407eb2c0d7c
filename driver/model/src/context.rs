//! Contexts: the primary one of each device, and created ones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use graphproof_scheduler::{Engine, Ticket};

use super::execute::Task;
use super::per_thread::PerThread;
use super::{StreamKind, limits, observe, version};
use graphproof_api::{CUresult, Cuda};

/// An error that a context cannot recover from: every later call in it answers the same.
#[derive(Debug, Clone, Default)]
pub struct Sticky(Arc<Health>);

#[derive(Debug, Default)]
struct Health {
    code: AtomicU32,
    cancel: AtomicBool,
}

impl Sticky {
    /// The error, if there is one.
    pub fn check(&self) -> Cuda {
        match self.0.code.load(Ordering::Acquire) {
            0 => Ok(()),
            code => Err(CUresult(code)),
        }
    }

    /// Sets the error, unless there is one already; whether it was the first.
    pub fn set(&self, code: CUresult) -> bool {
        self.0.code.compare_exchange(0, code.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Stops the context's work: running kernels and waits end, and what is behind them is
    /// dropped, as after `CUDA_ERROR_LAUNCH_TIMEOUT`.
    pub fn cancel(&self) {
        self.set(CUresult::LAUNCH_TIMEOUT);
        self.0.cancel.store(true, Ordering::Release);
    }

    /// What running kernels watch.
    pub fn cancelled(&self) -> &AtomicBool {
        &self.0.cancel
    }
}

/// A stream that is destroyed.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    key: u64,
    kind: StreamKind,
    /// Its green context, 0 for none.
    green: u64,
}

/// A context.
#[derive(Debug)]
pub struct Context {
    /// What `cuCtxGetId` answers.
    pub number: u64,
    /// Its device.
    pub device: i32,
    /// The primary context of its device.
    pub primary: bool,
    /// `CUctx_flags`.
    pub flags: u32,
    /// What `cuCtxGetApiVersion` answers.
    pub api_version: u32,
    /// Limits that differ from the device's defaults.
    pub limits: BTreeMap<u32, usize>,
    /// `CUfunc_cache`.
    pub cache_config: u32,
    /// `CUsharedconfig`.
    pub shared_config: u32,
    /// Its error state.
    pub sticky: Sticky,
    /// The legacy default stream.
    pub legacy: u64,
    /// Per-thread default streams.
    pub per_thread: PerThread,
    /// All its streams with their kinds, default ones included.
    pub streams: BTreeMap<u64, StreamKind>,
    /// Streams that are destroyed and whose work is not known to have run.
    leaving: Vec<Leaving>,
    /// What all its work waits for: `cuCtxWaitEvent`.
    pub waits: Vec<Ticket>,
}

impl Context {
    /// A context without streams yet.
    pub fn new(number: u64, device: i32, primary: bool, flags: u32) -> Self {
        Self {
            number,
            device,
            primary,
            flags,
            api_version: version::answered().number,
            limits: BTreeMap::new(),
            cache_config: 0,
            shared_config: 0,
            sticky: Sticky::default(),
            legacy: 0,
            per_thread: PerThread::default(),
            streams: BTreeMap::new(),
            leaving: Vec::new(),
            waits: Vec::new(),
        }
    }

    /// What a limit is, as `cuCtxGetLimit` answers.
    ///
    /// # Errors
    /// As [`limits::check`].
    pub fn limit(&self, limit: u32) -> Cuda<usize> {
        let default = limits::check(limit)?;
        Ok(self.limits.get(&limit).copied().unwrap_or(default))
    }

    /// Keys of the streams that synchronise with the legacy one.
    pub fn blocking_streams(&self) -> Vec<u64> {
        let blocking = |kind: StreamKind| matches!(kind, StreamKind::Blocking | StreamKind::PerThread);
        let live = self.streams.iter().map(|(&key, &kind)| (key, kind));
        let leaving = self.leaving.iter().map(|stream| (stream.key, stream.kind));
        live.chain(leaving).filter(|&(_, kind)| blocking(kind)).map(|(key, _)| key).collect()
    }

    /// Keys of the streams that may have work: its own, and those that left it with work.
    pub fn working_streams(&self) -> impl Iterator<Item = u64> {
        self.streams.keys().copied().chain(self.leaving.iter().map(|stream| stream.key))
    }

    /// Keys of the streams that left a green context of it with work.
    pub fn left_green(&self, green: u64) -> impl Iterator<Item = u64> {
        self.leaving.iter().filter(move |stream| stream.green == green).map(|stream| stream.key)
    }

    /// Whether a stream of it has work that has not run; asking hurries nobody.
    pub fn is_working(&self, engine: &Engine<Task>) -> bool {
        self.working_streams().any(|stream| !engine.is_drained(stream))
    }

    /// A stream is destroyed.
    ///
    /// D (cuStreamDestroy): its resources go once the device has completed all its work. Until then who waits for
    /// the context waits for that work too, and so does, if it was blocking, the legacy stream, whose queries tell of it
    /// (M: H200, driver 580.159.04).
    pub fn leave(&mut self, key: u64, green: u64, engine: &Engine<Task>) {
        if let Some(kind) = self.streams.remove(&key) {
            self.leaving.push(Leaving { key, kind, green });
        }
        // An observer asks for the order of work that has run, too.
        if !observe::is_on() {
            self.forget_left(engine);
        }
    }

    /// Forgets the streams that have left and whose work has run.
    pub fn forget_left(&mut self, engine: &Engine<Task>) {
        self.leaving.retain(|stream| !engine.is_drained(stream.key));
    }
}

thread_local! {
    static STACK: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread's stack of current contexts, top last, of the driver that its calls mean.
pub fn with_stack<R>(change: impl FnOnce(&mut Vec<u64>) -> R) -> R {
    let mut change = Some(change);
    let done = STACK.try_with(|stack| change.take().map(|change| change(&mut stack.borrow_mut())));
    match (done, change) {
        (Ok(Some(result)), _) => result,
        // The thread is being torn down: it has no context.
        (_, Some(change)) => change(&mut Vec::new()),
        (_, None) => unreachable!("the closure is taken only to be called"),
    }
}

/// The calling thread's current context, 0 for none.
pub fn current() -> u64 {
    with_stack(|stack| stack.last().copied().unwrap_or(0))
}
