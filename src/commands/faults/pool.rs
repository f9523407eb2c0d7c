//! A few children at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::output::progress::StepBar;

/// Runs `work` on every job, `width` at a time (as many as there are cores, if it is not given),
/// and gives the results in the order of the jobs, none for those that it did not come to before it was
/// asked to stop. What was under way then does not count: it was stopped too. How far it is, is told
/// under `name`.
pub fn run<J: Sync, R: Send>(
    name: &str,
    jobs: &[J],
    width: Option<usize>,
    stop: &AtomicBool,
    work: impl Fn(&J) -> R + Sync,
) -> Vec<Option<R>> {
    let bar = Mutex::new(StepBar::new(name, jobs.len() as u64));
    let done = AtomicUsize::new(0);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let width = width.unwrap_or_else(cores).clamp(1, jobs.len().max(1));
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                while let Some((job, result)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(index).zip(results.get(index))
                } {
                    let came = (!stop.load(Ordering::Relaxed)).then(|| work(job));
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    *result.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = came;
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).at(done as u64);
                }
            });
        }
    });
    let taken = |result: Mutex<Option<R>>| result.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.into_iter().map(taken).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let go = AtomicBool::new(false);
        let jobs: Vec<u32> = (0..50).collect();
        let wanted: Vec<Option<u32>> = jobs.iter().map(|job| Some(job * 2)).collect();
        assert_eq!(super::run("jobs", &jobs, Some(3), &go, |job| job * 2), wanted);
        assert!(super::run("jobs", &[0u32; 0], None, &go, |job| *job).is_empty());
    }

    #[test]
    fn what_was_under_way_when_it_was_stopped_does_not_count() {
        let stop = AtomicBool::new(false);
        let jobs: Vec<u32> = (0..50).collect();
        let results = super::run("jobs", &jobs, Some(1), &stop, |&job| {
            stop.fetch_or(job == 20, Ordering::Relaxed);
            job
        });
        assert_eq!(results.len(), 50);
        assert_eq!(results.into_iter().flatten().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    }
}
