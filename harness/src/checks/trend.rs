//! Slow growth: less than one a step, told from noise by regression over the run.

/// Points that are kept at most: a run of any length needs flat memory.
const MOST: usize = 256;

/// Fewer points, without the first quarter, say nothing about a trend.
const FEWEST: usize = 7;

/// A rise by less is what a few objects that are kept for ever may do.
const LEAST_RISE: f64 = 3.0;

/// How many standard errors the slope must be away from zero: one run in some 10,000 by chance, were the
/// points independent.
const CERTAIN: f64 = 4.0;

/// A value after each replay, thinned out evenly as it gets long.
#[derive(Debug, Clone)]
pub struct Series {
    stride: u64,
    points: Vec<(u64, u64)>,
}

impl Default for Series {
    fn default() -> Self {
        Series { stride: 1, points: Vec::new() }
    }
}

impl Series {
    /// Adds the value after replay `at`; the numbers rise.
    pub fn push(&mut self, at: u64, value: u64) {
        if !at.is_multiple_of(self.stride) {
            return;
        }
        self.points.push((at, value));
        if self.points.len() > MOST {
            self.stride *= 2;
            let stride = self.stride;
            self.points.retain(|(at, _)| at.is_multiple_of(stride));
        }
    }

    /// The points.
    pub fn points(&self) -> &[(u64, u64)] {
        &self.points
    }
}

/// A rise that goes on over the whole run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// By how much a step.
    pub a_step: f64,
    /// Its standard error.
    pub error: f64,
}

impl Trend {
    /// Of values in the order of their steps. The first quarter is left out: caches fill then.
    pub fn of(points: &[(u64, u64)]) -> Option<Trend> {
        let rest = &points[points.len() / 4..];
        if rest.len() < FEWEST {
            return None;
        }
        let trend = fit(rest)?;
        let (first, last) = (rest.first()?, rest.last()?);
        let rise = trend.a_step * (last.0 - first.0) as f64;
        let certain = trend.a_step > CERTAIN * trend.error && rise >= LEAST_RISE;
        // A cache that fills late has a plateau behind it, or before it.
        let (early, late) = rest.split_at(rest.len() / 2);
        let goes_on = [early, late].into_iter().all(|half| gain(half) * 3.0 > trend.a_step * span(half));
        (certain && goes_on && last.1 > first.1).then_some(trend)
    }
}

impl Trend {
    /// Of bytes: their unit is the least by which they rose from one point to the next.
    pub fn of_bytes(points: &[(u64, u64)]) -> Option<Trend> {
        let rises = points.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1));
        let unit = rises.filter(|&rise| rise > 0).min()?;
        let lowest = points.iter().map(|point| point.1).min()?;
        let scaled: Vec<(u64, u64)> = points.iter().map(|&(step, bytes)| (step, (bytes - lowest) / unit)).collect();
        let Trend { a_step, error } = Trend::of(&scaled)?;
        Some(Trend { a_step: a_step * unit as f64, error: error * unit as f64 })
    }
}

fn gain(points: &[(u64, u64)]) -> f64 {
    points.last().map_or(0.0, |last| last.1 as f64 - points[0].1 as f64)
}

fn span(points: &[(u64, u64)]) -> f64 {
    points.last().map_or(0.0, |last| (last.0 - points[0].0) as f64)
}

/// Least squares.
fn fit(points: &[(u64, u64)]) -> Option<Trend> {
    let n = points.len() as f64;
    let mean = |of: fn(&(u64, u64)) -> u64| points.iter().map(|point| of(point) as f64).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let offsets = points.iter().map(|&(x, y)| (x as f64 - mean_x, y as f64 - mean_y));
    let (sxx, sxy) = offsets.clone().fold((0.0, 0.0), |(xx, xy), (x, y)| (xx + x * x, xy + x * y));
    if sxx == 0.0 {
        return None;
    }
    let a_step = sxy / sxx;
    let left: f64 = offsets.map(|(x, y)| (y - a_step * x).powi(2)).sum();
    Some(Trend { a_step, error: (left / (n - 2.0).max(1.0) / sxx).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::{Series, Trend};

    fn trend(steps: u64, of: impl Fn(u64) -> u64) -> Option<Trend> {
        let mut series = Series::default();
        (0..steps).for_each(|step| series.push(step, of(step)));
        Trend::of(series.points())
    }

    #[test]
    fn less_than_one_a_step_is_found_with_its_slope() {
        for period in [2, 3, 5, 8] {
            let found = trend(64, |step| 100 + step / period).unwrap_or_else(|| panic!("every {period}"));
            assert!((found.a_step * period as f64 - 1.0).abs() < 0.2, "{found:?}");
        }
        let noisy = |step: u64| 1000 + step / 4 + step.wrapping_mul(2_654_435_761) % 3;
        assert!(trend(200, noisy).is_some());
    }

    #[test]
    fn what_ends_or_comes_and_goes_is_no_trend() {
        for full in [1, 4, 7, 16] {
            assert_eq!(trend(64, |step| (step / 2).min(full)), None, "a cache of {full}");
            assert_eq!(trend(24, |step| (step / 2).min(full.min(4))), None, "a short run, a cache of {full}");
        }
        assert_eq!(trend(64, |_| 5), None);
        assert_eq!(trend(64, |step| step % 7), None);
        assert_eq!(trend(64, |step| 50 - step.min(50)), None);
        assert_eq!(trend(64, |step| u64::from(step >= 40) * 9), None, "one rise");
        assert_eq!(trend(64, |step| step.wrapping_mul(2_654_435_761) % 97), None, "noise");
        assert_eq!(trend(6, |step| step), None, "too short to tell");
    }

    #[test]
    fn a_long_run_takes_no_more_memory() {
        let mut series = Series::default();
        (0..100_000).for_each(|step| series.push(step, step / 3));
        assert!(series.points().len() <= super::MOST && series.points().last().is_some_and(|last| last.0 > 99_000));
        assert!(Trend::of(series.points()).is_some());
    }
}
