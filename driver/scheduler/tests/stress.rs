//! The engine under random load: work with random dependencies on random streams from several
//! threads, some of it blocking, some waited for, latches among it. All of it runs, in order.
//!
//! `cargo test` runs a moment of it. Longer, with another seed:
//! `GRAPHPROOF_STRESS_SECONDS=600 GRAPHPROOF_STRESS_SEED=7 cargo test -p graphproof-scheduler --test stress -- --nocapture`

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graphproof_scheduler::order::mix;
use graphproof_scheduler::{Engine, Execute, Ticket};

/// Work: what must have run before it, and its own mark.
struct Work {
    before: Vec<Arc<AtomicBool>>,
    done: Arc<AtomicBool>,
    block: bool,
}

struct Check(Arc<AtomicU64>);

impl Execute<Work> for Check {
    fn execute(&self, engine: &Engine<Work>, _: Ticket, work: Work) {
        if work.block {
            engine.blocking(std::thread::yield_now);
        }
        if !work.before.iter().all(|before| before.load(Ordering::Acquire)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        work.done.store(true, Ordering::Release);
    }

    fn may_run_anywhere(&self, work: &Work) -> bool {
        !work.block
    }
}

type Earlier = Vec<(Ticket, Arc<AtomicBool>)>;

fn round(seed: u64, workers: usize) {
    let misplaced = Arc::new(AtomicU64::new(0));
    let engine = Engine::new(seed, NonZero::new(workers).unwrap(), Check(misplaced.clone()));
    let all: Mutex<Earlier> = Mutex::default();
    std::thread::scope(|scope| {
        for submitter in 0..4u64 {
            let (engine, all) = (&engine, &all);
            scope.spawn(move || {
                for step in 0..300 {
                    let random = mix(seed ^ mix(submitter << 32 | step));
                    let latch = (random >> 56 == 0).then(|| engine.latch());
                    let mut known = all.lock().unwrap();
                    let earlier = (!known.is_empty()).then(|| known[random as usize % known.len()].clone());
                    let done = Arc::new(AtomicBool::new(false));
                    let before = earlier.iter().map(|(_, done)| done.clone()).collect();
                    let after = earlier.iter().map(|(ticket, _)| *ticket).chain(latch).collect();
                    let work = Work { before, done: done.clone(), block: random >> 20 & 7 == 0 };
                    let ticket = engine.submit(random >> 40 & 7, work, after, &[random >> 50 & 7]);
                    known.push((ticket, done));
                    drop(known);
                    latch.into_iter().for_each(|latch| engine.signal(latch));
                    if random >> 30 & 15 == 0 {
                        engine.wait(ticket);
                    }
                }
            });
        }
    });
    for (ticket, done) in all.into_inner().unwrap() {
        engine.wait(ticket);
        assert!(done.load(Ordering::Acquire), "seed {seed}: work is lost");
    }
    engine.stop();
    assert_eq!(misplaced.load(Ordering::Relaxed), 0, "seed {seed}: work ran before what it waits for");
}

#[test]
fn random_load_runs_in_order_and_ends() {
    let setting = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(setting("GRAPHPROOF_STRESS_SECONDS").unwrap_or(1));
    let first = setting("GRAPHPROOF_STRESS_SEED").unwrap_or(1);
    let (began, mut seed) = (Instant::now(), first);
    while began.elapsed() < time || seed == first {
        round(seed, [1, 2, 3, 16][seed as usize % 4]);
        seed += 1;
    }
    println!("seeds {first} to {} in {:?}", seed - 1, began.elapsed());
}
