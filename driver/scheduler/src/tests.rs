//! The engine on real threads.

use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread;

use super::order::mix;
use super::{Engine, Execute, Ticket};

type Log = Arc<Mutex<Vec<u64>>>;

struct Work {
    number: u64,
    block: bool,
}

struct Recorder(Log);

impl Execute<Work> for Recorder {
    fn execute(&self, engine: &Engine<Work>, _: Ticket, work: Work) {
        if work.block {
            engine.blocking(thread::yield_now);
        }
        self.0.lock().unwrap().push(work.number);
    }

    fn may_run_anywhere(&self, work: &Work) -> bool {
        !work.block
    }
}

fn engine(workers: usize) -> (Engine<Work>, Log) {
    let log = Log::default();
    (Engine::new(1, NonZero::new(workers).unwrap(), Recorder(log.clone())), log)
}

#[test]
fn a_latch_releases_those_who_wait() {
    let (engine, log) = engine(2);
    let latch = engine.latch();
    let ticket = engine.submit(1, Work { number: 7, block: false }, vec![latch], &[]);
    assert!(!engine.is_done(ticket));
    engine.signal(latch);
    engine.wait(ticket);
    assert_eq!(*log.lock().unwrap(), [7]);
}

/// Several threads put work with random dependencies on random streams: all of it runs, each
/// after what it waits for, and nobody waits for ever.
#[test]
fn random_work_from_many_threads_all_runs_in_order() {
    for workers in [1, 3] {
        let (engine, log) = engine(workers);
        let all: Mutex<Vec<(u64, Ticket)>> = Mutex::default();
        let edges: Mutex<Vec<(u64, u64)>> = Mutex::default();
        thread::scope(|scope| {
            for submitter in 0..4u64 {
                let (engine, all, edges) = (&engine, &all, &edges);
                scope.spawn(move || {
                    for step in 0..500 {
                        let number = submitter << 32 | step;
                        let random = mix(number + 1);
                        // Submitting under the lock keeps a stream's order that of the list.
                        let mut all = all.lock().unwrap();
                        let earlier = match all.len() {
                            0 => None,
                            count => Some(all[random as usize % count]),
                        };
                        let after = earlier.iter().map(|&(before, ticket)| {
                            edges.lock().unwrap().push((before, number));
                            ticket
                        });
                        let work = Work { number, block: random >> 20 & 7 == 0 };
                        let ticket = engine.submit(random >> 40 & 7, work, after.collect(), &[random >> 50 & 7]);
                        all.push((number, ticket));
                        drop(all);
                        if random >> 30 & 15 == 0 {
                            engine.wait(ticket);
                        }
                    }
                });
            }
        });
        for &(_, ticket) in all.lock().unwrap().iter() {
            engine.wait(ticket);
        }
        let log = log.lock().unwrap();
        let place: std::collections::HashMap<u64, usize> =
            log.iter().enumerate().map(|(place, &number)| (number, place)).collect();
        assert_eq!((log.len(), place.len()), (2000, 2000));
        assert!(edges.lock().unwrap().iter().all(|(before, after)| place[before] < place[after]));
    }
}
