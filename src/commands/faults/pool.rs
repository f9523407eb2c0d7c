//! A few children at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::output::progress::StepBar;

/// Runs `work` on every job, `width` at a time (as many as there are cores, if it is not given),
/// and gives the results in the order of the jobs. How far it is, is told under `name`.
pub fn run<J: Sync, R: Send>(name: &str, jobs: &[J], width: Option<usize>, work: impl Fn(&J) -> R + Sync) -> Vec<R> {
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
                    *result.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(work(job));
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).at(done as u64);
                }
            });
        }
    });
    let taken = |result: Mutex<Option<R>>| result.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.into_iter().filter_map(taken).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let jobs: Vec<u32> = (0..50).collect();
        assert_eq!(
            super::run("jobs", &jobs, Some(3), |job| job * 2),
            jobs.iter().map(|job| job * 2).collect::<Vec<_>>()
        );
        assert!(super::run("jobs", &[0u32; 0], None, |job| *job).is_empty());
    }
}
