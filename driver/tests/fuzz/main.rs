//! Random sequences of calls through the C ABI: no crash, no hang, no leak.
//!
//! `cargo test` runs a few seconds of fixed seeds. A long run:
//! `GRAPHPROOF_FUZZ_CALLS=10000000 GRAPHPROOF_FUZZ_SEED=7 cargo test -p graphproof-driver --test fuzz -- --nocapture`

mod calls;
mod episode;
mod generator;
mod handles;
mod structures;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use calls::CALLS;
use episode::{set_up, tear_down};
use generator::Generator;
use graphproof_driver::abi::*;
use graphproof_driver::control;
use watch::{CALLED, Counting, DONE, LastCalls, crashed, heap, resident, watch};

#[global_allocator]
static HEAP: Counting = Counting;

/// Calls between two resets of the device.
const EPISODE: u64 = 4000;
/// One in this many of the calls that end what others build on, or that may hold a stream up.
const RARE: usize = 40;

static SUCCEEDED: AtomicU64 = AtomicU64::new(0);

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

/// Calls `count` functions at random. The names of the last calls go to `log` before they begin.
fn run(generator: &mut Generator, seed: u64, count: u64, resets: bool, log: &'static LastCalls) {
    generator.restart(seed);
    set_up();
    for number in 0..count {
        if resets && number % EPISODE == EPISODE - 1 {
            tear_down();
            set_up();
        }
        let mut call = &CALLS[generator.below(CALLS.len())];
        while rare(call.name) && generator.below(RARE) != 0 {
            call = &CALLS[generator.below(CALLS.len())];
        }
        log.note(call.name);
        generator.begin();
        let result = call.call(generator);
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

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_calls_neither_crash_nor_hang_nor_leak() {
    let seed = setting("GRAPHPROOF_FUZZ_SEED").unwrap_or(1);
    let calls = setting("GRAPHPROOF_FUZZ_CALLS").unwrap_or(200_000);
    let logs = [0, 1].map(LastCalls::of);
    let [mut first, mut second] = [Generator::new(), Generator::new()];
    eprintln!("seed {seed}, {calls} calls, {} MiB resident", resident());
    // SAFETY: the handler calls only what a handler may.
    unsafe { libc::signal(libc::SIGSEGV, crashed as *const () as usize) };
    let watcher = std::thread::spawn(move || watch(seed, logs));
    let (mut heaps, mut kept, began) = (Vec::new(), 0, Instant::now());
    // Each tenth: most of it by one thread, which repeats exactly, the rest by two at once.
    for tenth in 0..10u64 {
        let part = calls / 10;
        let seed = seed.wrapping_mul(1000) + tenth * 3;
        run(&mut first, seed, part * 2 / 3, true, logs[0]);
        std::thread::scope(|scope| {
            scope.spawn(|| run(&mut first, seed + 1, part / 6, true, logs[0]));
            scope.spawn(|| run(&mut second, seed + 2, part / 6, false, logs[1]));
        });
        // Work that the watcher stops puts a context in error; the next attempt resets it.
        kept = (0..10).map(|_| tear_down()).find(|&kept| kept == 0).unwrap_or(1);
        heaps.push(heap());
        let [called, succeeded] = [&CALLED, &SUCCEEDED].map(|count| count.load(Ordering::Relaxed));
        let (heap, resident, elapsed) = (heap(), resident(), began.elapsed());
        eprintln!("{called} calls, {succeeded} successful, heap {heap} bytes, {resident} MiB resident, {elapsed:.1?}");
    }
    DONE.store(true, Ordering::Release);
    watcher.join().unwrap();
    assert_eq!(kept, 0, "seed {seed}: something can no longer be destroyed");
    let left: Vec<String> = graphproof_driver::software::memory::memory()
        .space
        .allocations()
        .take(8)
        .map(|allocation| format!("{allocation:?}"))
        .collect();
    assert_eq!(control::live_bytes(), 0, "seed {seed}: device memory is left: {left:#?}");
    // The first tenths fill tables and quarantines of fixed size.
    assert!(heaps[9] <= heaps[4] + (64 << 10), "seed {seed}: memory grows: {heaps:?} bytes");
}
