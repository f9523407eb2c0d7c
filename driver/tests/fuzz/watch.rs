//! Watches a run: what is being called when it crashes or hangs, and what memory it holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graphproof_driver::control;

/// Calls made so far.
pub static CALLED: AtomicU64 = AtomicU64::new(0);
/// The run has ended: nothing can hang any more.
pub static DONE: AtomicBool = AtomicBool::new(false);

/// What a thread called last, for the report of a crash or a hang.
#[derive(Debug, Default)]
pub struct LastCalls {
    names: Mutex<VecDeque<&'static str>>,
    thread: usize,
}

impl LastCalls {
    /// For the thread with that number, 0 or 1. It lives for ever: a signal handler may read it.
    pub fn of(thread: usize) -> &'static Self {
        Box::leak(Box::new(Self { thread, ..Self::default() }))
    }

    /// A call is about to begin.
    pub fn note(&self, name: &'static str) {
        let (pointer, length) = &NOW[self.thread];
        length.store(0, Ordering::Relaxed);
        pointer.store(name.as_ptr() as u64, Ordering::Relaxed);
        length.store(name.len() as u64, Ordering::Relaxed);
        let mut names = self.names.lock().unwrap();
        names.truncate(11);
        names.push_front(name);
    }
}

/// What is being called, for the report of a crash: a name and its length.
static NOW: [(AtomicU64, AtomicU64); 2] = [const { (AtomicU64::new(0), AtomicU64::new(0)) }; 2];

/// Says which calls were in progress, and lets the process die.
pub extern "C" fn crashed(signal: libc::c_int) {
    let say = |pointer: *const u8, length: usize| {
        // SAFETY: writing a string to the standard error is allowed in a signal handler.
        unsafe { libc::write(2, pointer.cast(), length) };
    };
    let title = b"crashed; calls in progress:";
    say(title.as_ptr(), title.len());
    for (pointer, length) in &NOW {
        say(b" ".as_ptr(), 1);
        say(pointer.load(Ordering::Relaxed) as *const u8, length.load(Ordering::Relaxed) as usize);
    }
    say(b"\n".as_ptr(), 1);
    // SAFETY: as above; the fault comes again and ends the process.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Stops work that waits for ever (a random wait for a value may), and reports calls that hang.
pub fn watch(seed: u64, logs: [&'static LastCalls; 2]) {
    let (mut seen, mut since) = (0, Instant::now());
    while !DONE.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(20));
        let called = CALLED.load(Ordering::Relaxed);
        if called != seen {
            (seen, since) = (called, Instant::now());
        } else if since.elapsed() > Duration::from_secs(60) {
            eprintln!("seed {seed}: no call has returned for a minute, after {called} calls");
            for log in logs {
                eprintln!("  last calls, newest first: {:?}", log.names.lock().unwrap());
            }
            std::process::abort();
        } else if since.elapsed() > Duration::from_millis(100) {
            control::cancel_all();
        }
    }
}

/// Resident memory of this process in MiB.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4 / 1024
}

/// Counts the bytes of the heap: unlike resident memory exact, and free of what pages hold by chance.
#[derive(Debug)]
pub struct Counting;

static HEAP: AtomicI64 = AtomicI64::new(0);

/// Bytes of the heap in use.
pub fn heap() -> i64 {
    HEAP.load(Ordering::Relaxed)
}

// SAFETY: the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}
