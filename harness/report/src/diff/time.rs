//! Times of two runs, told apart from noise.

use graphproof_harness::report::{self, Spread};
use serde::Serialize;

/// Times of a lane in two runs.
#[derive(Debug, Clone, Serialize)]
pub struct Times {
    /// A replay, in nanoseconds; none where a run has no times or ran on another device.
    pub replay: Option<Change>,
    /// Replay over eager time of the same step, in thousandths; none where a run has no times.
    pub replay_per_eager: Option<Change>,
    /// A replay's time on the device, in nanoseconds; none where a run did not measure it or had another device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Change>,
}

/// A time in two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Medians, old and new.
    pub median: (u64, u64),
    /// Lower and upper quartile of the old run.
    pub old_spread: (u64, u64),
    /// Lower and upper quartile of the new run.
    pub new_spread: (u64, u64),
    /// Whether the spreads overlap: the runs do not tell the times apart.
    pub noise: bool,
}

impl Times {
    pub(super) fn between(old: &report::Times, new: &report::Times, same_device: bool) -> Self {
        let replay = same_device.then(|| Change::between(&old.replay, &new.replay)).flatten();
        let device = same_device.then(|| Change::between(&old.device, &new.device)).flatten();
        Times { replay, replay_per_eager: Change::between(&old.replay_per_mille, &new.replay_per_mille), device }
    }
}

impl Change {
    fn between(old: &Spread, new: &Spread) -> Option<Self> {
        (old.samples > 0 && new.samples > 0).then_some(Change {
            median: (old.median, new.median),
            old_spread: (old.low, old.high),
            new_spread: (new.low, new.high),
            noise: old.low <= new.high && new.low <= old.high,
        })
    }

    /// Growth of the median in percent; negative if it fell.
    pub fn percent(&self) -> f64 {
        percent(self.median.0, self.median.1)
    }
}

/// Growth from `old` to `new` in percent; infinite from 0.
pub(super) fn percent(old: u64, new: u64) -> f64 {
    match (old, new) {
        (0, 0) => 0.0,
        _ => (new as f64 - old as f64) / old as f64 * 100.0,
    }
}
