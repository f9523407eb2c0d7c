//! Random sequences of calls through the C ABI: no crash, no hang, no leak.
//!
//! `cargo test` runs a few seconds of fixed seeds. A long run:
//! `GRAPHPROOF_FUZZ_CALLS=10000000 GRAPHPROOF_FUZZ_SEED=7 cargo test -p graphproof-driver --test fuzz_abi -- --nocapture`

mod fuzz_support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fuzz_support::calls::CALLS;
use fuzz_support::generator::{Generator, HANDLES};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control;

/// Calls between two resets of the device.
const EPISODE: u64 = 4000;
/// One in this many of the calls that end what others build on, or that may hold a stream up.
const RARE: usize = 40;

static CALLED: AtomicU64 = AtomicU64::new(0);
static SUCCEEDED: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

fn rare(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "cuDevicePrimaryCtx",
        "cuCtxCreate",
        "cuCtxDestroy",
        "cuCtxDetach",
        "cuCtxPopCurrent",
        "cuCtxSetCurrent",
        "cuStreamWaitValue",
        "cuProfiler",
        "cuCtxPushCurrent",
    ];
    NAMES.iter().any(|rare| name.starts_with(rare))
}

/// Makes the primary context current and gives the generator something to work with.
fn set_up() {
    let mut context = CUcontext::NULL;
    // SAFETY: valid places for the results.
    unsafe {
        cuInit(0);
        while cuCtxPopCurrent_v2(&mut context) == CUresult::SUCCESS {}
        cuDevicePrimaryCtxRetain(&mut context, 0);
        cuCtxSetCurrent(context);
    }
}

fn primary() -> CUcontext {
    let mut context = CUcontext::NULL;
    // SAFETY: a valid place for the result. The reference is given back by `tear_down`.
    unsafe { cuDevicePrimaryCtxRetain(&mut context, 0) };
    context
}

/// Destroys whatever the calls have left behind.
fn tear_down() {
    let mut owned: Vec<u64> = HANDLES.lock().unwrap().take_owned().collect();
    // Contexts with their captures first, memory last: no capture may forbid freeing it.
    let order = |handle: &u64| match handle >> 56 {
        0 => 3,
        0x11 => 0,
        0x23 => 1,
        _ => 2,
    };
    owned.sort_by_key(order);
    // SAFETY: a number.
    unsafe { cuDevicePrimaryCtxReset_v2(0) };
    set_up();
    // SAFETY: handles and addresses, alive or not.
    unsafe {
        cuCtxSynchronize();
        for handle in owned {
            match handle >> 56 {
                0x11 => drop(cuCtxDestroy_v2(CUcontext(handle))),
                0x16 => drop(cuLibraryUnload(CUlibrary(handle))),
                0x18 => drop(cuMemPoolDestroy(CUmemoryPool(handle))),
                0x21 => drop(cuGraphDestroy(CUgraph(handle))),
                0x23 => drop(cuGraphExecDestroy(CUgraphExec(handle))),
                0x24 => {
                    // A reference count may be anything.
                    for power in (0..32).rev() {
                        while cuUserObjectRelease(CUuserObject(handle), 1 << power) == CUresult::SUCCESS {}
                    }
                }
                // Memory of pools and graphs outlives contexts.
                _ => {
                    cuCtxSetCurrent(primary());
                    cuMemFree_v2(handle);
                }
            }
        }
        while cuDevicePrimaryCtxRelease_v2(0) == CUresult::SUCCESS {}
    }
}

/// Calls `count` functions at random. The names of the last calls go to `log` before they begin.
fn run(seed: u64, count: u64, resets: bool, log: &'static LastCalls) {
    let mut generator = Generator::new(seed);
    set_up();
    for number in 0..count {
        if resets && number % EPISODE == EPISODE - 1 {
            tear_down();
            set_up();
        }
        let mut call = &CALLS[generator.below(CALLS.len())];
        while rare(call.0) && generator.below(RARE) != 0 {
            call = &CALLS[generator.below(CALLS.len())];
        }
        log.note(call.0);
        generator.begin();
        let result = call.1(&mut generator);
        if result == CUresult::SUCCESS {
            SUCCEEDED.fetch_add(1, Ordering::Relaxed);
            generator.harvest();
        }
        // An error that sticks would answer every later call.
        let stuck = matches!(result.0, 700 | 702 | 710 | 716 | 719 | 201 | 709);
        if stuck && generator.below(4) == 0 {
            set_up();
            // SAFETY: a number.
            unsafe { cuDevicePrimaryCtxReset_v2(0) };
        }
        CALLED.fetch_add(1, Ordering::Relaxed);
    }
    if resets {
        tear_down();
    }
}

/// What a thread called last, for the report of a crash or a hang.
#[derive(Default)]
struct LastCalls {
    names: std::sync::Mutex<std::collections::VecDeque<&'static str>>,
    thread: usize,
}

impl LastCalls {
    fn note(&self, name: &'static str) {
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
extern "C" fn crashed(signal: libc::c_int) {
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
fn watch(seed: u64, logs: &'static [LastCalls]) {
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
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4 / 1024
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_calls_neither_crash_nor_hang_nor_leak() {
    let seed = setting("GRAPHPROOF_FUZZ_SEED").unwrap_or(1);
    let calls = setting("GRAPHPROOF_FUZZ_CALLS").unwrap_or(200_000);
    let logs: &'static [LastCalls] =
        Box::leak(Box::new([0, 1].map(|thread| LastCalls { thread, ..LastCalls::default() })));
    eprintln!("seed {seed}, {calls} calls");
    // SAFETY: the handler calls only what a handler may.
    unsafe { libc::signal(libc::SIGSEGV, crashed as *const () as usize) };
    let watcher = std::thread::spawn(move || watch(seed, logs));
    let mut sizes = Vec::new();
    // Each tenth: most of it by one thread, which repeats exactly, the rest by two at once.
    for tenth in 0..10u64 {
        let part = calls / 10;
        let seed = seed.wrapping_mul(1000) + tenth * 3;
        run(seed, part * 2 / 3, true, &logs[0]);
        std::thread::scope(|scope| {
            scope.spawn(|| run(seed + 1, part / 6, true, &logs[0]));
            scope.spawn(|| run(seed + 2, part / 6, false, &logs[1]));
        });
        tear_down();
        sizes.push(resident());
        let [called, succeeded] = [&CALLED, &SUCCEEDED].map(|count| count.load(Ordering::Relaxed));
        eprintln!("{called} calls, {succeeded} of them successful, {} MiB resident", resident());
    }
    DONE.store(true, Ordering::Release);
    watcher.join().unwrap();
    let left: Vec<String> = graphproof_driver::software::memory::memory()
        .space
        .allocations()
        .take(8)
        .map(|allocation| format!("{allocation:?}"))
        .collect();
    assert_eq!(control::live_bytes(), 0, "device memory is left: {left:#?}");
    // The first tenths fill tables and quarantines of fixed size.
    assert!(sizes[9] <= sizes[4] * 5 / 4 + 64, "memory grows: {sizes:?} MiB");
}
