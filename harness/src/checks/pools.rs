//! Growth of memory pools, each by itself: what a pool holds is this process's alone, so that less than an allocation
//! a replay can be told.

use super::trend::{Series, Trend};
use crate::calls::Calls;
use crate::cuda::{self, PoolBytes};
use crate::finding::{Check, Finding, Id, Site};

const CHECK: Check = Check::Growth;

/// Pools of the step's own that are followed.
const MOST: usize = 64;

/// The pools of a run.
#[derive(Debug, Default)]
pub struct Pools {
    pools: Vec<Pool>,
    made: usize,
}

#[derive(Debug)]
struct Pool {
    handle: u64,
    name: String,
    /// Where the step made it.
    made: Option<Site>,
    used: Series,
    reserved: Series,
}

impl Pool {
    fn new(handle: u64, name: String, made: Option<Site>) -> Self {
        Pool { handle, name, made, used: Series::default(), reserved: Series::default() }
    }

    /// What rises in it, with its trend.
    fn rises(&self) -> Option<(&'static str, Trend)> {
        let used = Trend::of_bytes(self.used.points()).map(|trend| ("in use", trend));
        used.or_else(|| Trend::of_bytes(self.reserved.points()).map(|trend| ("reserved", trend)))
    }

    fn told(&self, what: &str, Trend { a_step, error }: Trend) -> String {
        let margin = 2.0 * error;
        format!("{a_step:.0} \u{b1} {margin:.0} bytes more {what} in {} after each replay", self.name)
    }
}

impl Pools {
    /// Follows the pools that the step makes, until it destroys them.
    pub fn note(&mut self, calls: &Calls) {
        for (handle, made) in calls.pools_made() {
            self.made += 1;
            if self.pools.len() < MOST {
                self.pools.push(Pool::new(handle, format!("pool {} of the step's", self.made), made));
            }
        }
        for handle in calls.pools_destroyed() {
            self.pools.retain(|pool| pool.handle != handle);
        }
    }

    /// Asks every pool after replay `step`.
    pub fn sample(&mut self, step: u64) {
        if self.pools.iter().all(|pool| pool.made.is_some()) {
            // A device without pools has none to follow.
            let [default, current] = cuda::pools_of_device().unwrap_or_default();
            for (handle, name) in [(default, "the device's default pool"), (current, "the device's current pool")] {
                if handle != 0 && !self.pools.iter().any(|pool| pool.handle == handle) {
                    self.pools.push(Pool::new(handle, name.to_owned(), None));
                }
            }
        }
        self.pools.retain_mut(|pool| {
            let Ok(PoolBytes { used, reserved }) = cuda::pool_bytes(pool.handle) else { return false };
            pool.used.push(step, used);
            pool.reserved.push(step, reserved);
            true
        });
    }

    /// Adds the pools that rise to what was found about device memory; where nothing was, each is a finding.
    /// `work` is where the step's host work was last seen.
    pub fn add_to(&self, found: Option<Finding>, work: Option<&Site>) -> Vec<Finding> {
        let rising = || self.pools.iter().filter_map(|pool| pool.rises().map(|(what, trend)| (pool, what, trend)));
        if let Some(finding) = found {
            return vec![rising().fold(finding, |finding, (pool, what, trend)| finding.note(pool.told(what, trend)))];
        }
        let findings = rising().map(|(pool, what, trend)| {
            let mut points = pool.used.points().iter().zip(pool.reserved.points());
            let told = |(used, reserved): (&(u64, u64), &(u64, u64))| {
                (used.0, format!("{} bytes in use and {} reserved after step {}", used.1, reserved.1, used.0))
            };
            let ((_, first), (step, now)) =
                (points.next().map(told).unwrap_or_default(), points.next_back().map(told).unwrap_or_default());
            let finding = Finding::new(Id::L01, CHECK).at_step(step).at(work.cloned()).began(pool.made.clone());
            finding
                .contrast(
                    format!("{} stays as it is: {}", pool.name, first),
                    format!("{}; {now}", pool.told(what, trend)),
                )
                .note("by regression over the last three quarters of the run")
        });
        findings.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(used: impl Fn(u64) -> u64, reserved: impl Fn(u64) -> u64) -> Pools {
        let mut pool = Pool::new(7, "the device's default pool".into(), None);
        for step in 0..40 {
            pool.used.push(step, used(step));
            pool.reserved.push(step, reserved(step));
        }
        Pools { pools: vec![pool], made: 0 }
    }

    #[test]
    fn a_pool_that_rises_every_third_step_is_told_with_its_slope() {
        let found = pool(|step| 4096 + step / 3 * 512, |_| 1 << 21).add_to(None, None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, Id::L01);
        let slope: f64 = found[0].seen.split(' ').next().unwrap().parse().unwrap();
        assert!((slope - 512.0 / 3.0).abs() < 20.0, "{}", found[0].seen);
        assert!(found[0].seen.contains("bytes more in use in the device's default pool"), "{}", found[0].seen);
        let reserved = pool(|step| step % 5 * 512, |step| (1 << 21) * (1 + step / 4)).add_to(None, None);
        assert!(reserved[0].seen.contains("bytes more reserved in"), "{}", reserved[0].seen);
    }

    #[test]
    fn a_pool_that_fills_or_comes_and_goes_is_none() {
        assert!(pool(|step| step.min(12) * 512, |_| 1 << 21).add_to(None, None).is_empty());
        assert!(pool(|step| step % 4 * 512, |step| (1 << 21) * (1 + step.min(6))).add_to(None, None).is_empty());
    }

    #[test]
    fn what_was_found_already_is_told_once() {
        let known = Finding::new(Id::L01, CHECK).contrast("less", "more");
        let found = pool(|step| step * 512, |_| 1 << 21).add_to(Some(known), None);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].notes[0].starts_with("512 \u{b1} 0 bytes more in use in the device's default pool"),
            "{found:?}"
        );
    }
}
