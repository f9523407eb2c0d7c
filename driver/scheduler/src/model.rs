//! A model check of the engine: loom runs each case in every order of its threads' steps (up to a
//! bound on preemptions) and reports a deadlock or a lost wake-up.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib -p graphproof-scheduler --target-dir target/loom`

use std::num::NonZero;
use std::sync::{Arc, Mutex};

use super::sync::thread;
use super::{Engine, Execute, Ticket};

/// Work that is logged when it runs. Odd numbers block, even ones may run anywhere.
struct Recorder(Arc<Mutex<Vec<u64>>>);

impl Execute<u64> for Recorder {
    fn execute(&self, engine: &Engine<u64>, _: Ticket, work: u64) {
        if work % 2 == 1 {
            engine.blocking(thread::yield_now);
        }
        self.0.lock().unwrap().push(work);
    }

    fn may_run_anywhere(&self, work: &u64) -> bool {
        work.is_multiple_of(2)
    }
}

/// Explores `case`; the engine has two workers, so that waiting threads may help.
fn explore(case: fn(&Engine<u64>), expected: &'static [u64]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    // Not loom's: it counts across the executions.
    let orders = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = orders.clone();
    model.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = Arc::default();
        let engine = Engine::new(1, NonZero::new(2).unwrap(), Recorder(Arc::clone(&log)));
        case(&engine);
        engine.stop();
        let mut ran = log.lock().unwrap().clone();
        ran.sort_unstable();
        assert_eq!(ran, expected);
    });
    println!("{} orders", orders.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn one_stream_and_a_thread_that_waits_for_it() {
    explore(
        |engine| {
            engine.submit(1, 2, vec![], &[]);
            let last = engine.submit(1, 4, vec![], &[]);
            engine.wait(last);
        },
        &[2, 4],
    );
}

#[test]
fn work_that_blocks_gives_its_place_away() {
    explore(
        |engine| {
            let blocked = engine.submit(1, 1, vec![], &[]);
            let free = engine.submit(2, 2, vec![], &[]);
            engine.wait(free);
            engine.wait(blocked);
        },
        &[1, 2],
    );
}

#[test]
fn a_stream_waits_for_an_event_of_another() {
    explore(
        |engine| {
            let event = engine.submit(1, 2, vec![], &[]);
            let behind = engine.submit(2, 4, vec![event], &[]);
            engine.wait(behind);
            assert!(engine.is_done(event));
        },
        &[2, 4],
    );
}

#[test]
fn a_latch_that_another_thread_signals() {
    explore(
        |engine| {
            let latch = engine.latch();
            let behind = engine.submit(1, 2, vec![latch], &[]);
            let other = engine.clone();
            let signaller = thread::spawn(move || other.signal(latch));
            engine.wait(behind);
            signaller.join().unwrap();
        },
        &[2],
    );
}

#[test]
fn two_threads_wait_for_the_same_work() {
    explore(
        |engine| {
            let ticket = engine.submit(1, 2, vec![], &[]);
            let other = engine.clone();
            let waiter = thread::spawn(move || other.wait(ticket));
            engine.wait(ticket);
            waiter.join().unwrap();
        },
        &[2],
    );
}
