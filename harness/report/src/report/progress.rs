//! How far a command is: a bar on a terminal; in a pipe one line, of what takes longer than some seconds.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::notice::Notice;

/// Shows how far a count is.
pub struct StepBar {
    bar: ProgressBar,
    notice: Notice,
    total: u64,
    began: Instant,
}

impl StepBar {
    /// A bar for `total` pieces of what `name` says.
    pub fn new(name: &str, total: u64) -> Self {
        Self::on(ProgressDrawTarget::stderr(), name, total)
    }

    /// No bar, but the line in a pipe: for what prints as it goes on.
    pub fn in_pipes(name: &str, total: u64) -> Self {
        Self::on(ProgressDrawTarget::hidden(), name, total)
    }

    fn on(target: ProgressDrawTarget, name: &str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = match columns() >= 60 {
            true => "{prefix:>14} [{bar:32}] {pos}/{len}, {eta} left",
            false => "{prefix} {pos}/{len}, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        StepBar { bar, notice: Notice::new(name, format!("0 of {total}")), total, began: Instant::now() }
    }

    /// `done` pieces are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
        if done > 0 {
            let left = self.began.elapsed().as_secs_f64() / done as f64 * self.total.saturating_sub(done) as f64;
            let left =
                Duration::try_from_secs_f64(left).map_or(String::new(), |left| format!(", {} left", about(left)));
            self.notice.known(format!("{done} of {}{left}", self.total));
        }
    }
}

impl Drop for StepBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Parts of the run's bar.
const PARTS: u64 = 1000;

/// Shows how far a whole run is, and about how long it takes still.
pub struct RunBar {
    bar: ProgressBar,
    estimate: Estimate,
    steps: Vec<String>,
    lane_began: Instant,
    lane: usize,
    notice: Notice,
}

impl RunBar {
    /// A bar for jobs, each a step's name and its replays.
    pub fn new(jobs: impl IntoIterator<Item = (String, u64)>) -> Self {
        let (steps, asked) = jobs.into_iter().unzip();
        let bar = ProgressBar::with_draw_target(Some(PARTS), ProgressDrawTarget::stderr());
        let template = if columns() >= WIDE { "{prefix:>14} [{bar:24}] {wide_msg}" } else { "{prefix} {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let notice = Notice::new("gate", "no replay yet".to_owned());
        RunBar { bar, estimate: Estimate::new(asked), steps, lane_began: Instant::now(), lane: 0, notice }
    }

    /// The job at `lane` begins.
    pub fn begin(&mut self, lane: usize) {
        self.lane_began = Instant::now();
        self.lane = lane;
        self.bar.set_prefix(self.steps.get(lane).cloned().unwrap_or_default());
        self.show(0);
    }

    /// `done` replays of the job are done.
    pub fn at(&mut self, done: u64) {
        self.show(done);
    }

    /// The job ended after `done` replays.
    pub fn end(&mut self, done: u64) {
        self.estimate.end(done, self.lane_began.elapsed());
    }

    fn show(&self, done: u64) {
        let elapsed = self.lane_began.elapsed();
        self.bar.set_position(self.estimate.parts(done, elapsed));
        let jobs = self.steps.len();
        let asked = self.estimate.asked.get(self.lane).copied().unwrap_or(0);
        let left = self.estimate.left(done, elapsed);
        let words = left.map_or(String::new(), |left| format!(", {} left", about(left)));
        let message = format!("job {} of {jobs}, {done}/{asked} replays{words}", self.lane + 1);
        if left.is_some() {
            let step = self.steps.get(self.lane).map_or("", String::as_str);
            self.notice.known(format!("{step}, {message}"));
        }
        self.bar.set_message(fitting(&message, columns(), self.bar.prefix().len()));
    }
}

/// From so many columns on there is room for a bar beside the words.
const WIDE: usize = 90;

/// Columns of the terminal that shows the progress.
fn columns() -> usize {
    console::Term::stderr().size().1.into()
}

/// The message in whole words: of what does not fit beside the step's name, the last parts are left out.
fn fitting(message: &str, columns: usize, name: usize) -> String {
    let bar = if columns >= WIDE { "[] ".len() + 24 + 14_usize.saturating_sub(name) } else { 0 };
    let room = columns.saturating_sub(name + 1 + bar);
    let mut words = message;
    while words.chars().count() > room
        && let Some((shorter, _)) = words.rsplit_once(", ")
    {
        words = shorter;
    }
    words.to_owned()
}

impl Drop for RunBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How long a run takes still: the job that runs goes on at its own pace, and the others at the
/// pace of all that was measured so far.
#[derive(Debug)]
struct Estimate {
    /// Replays of each job.
    asked: Vec<u64>,
    /// Jobs that ended, their replays, and the time that they took.
    ended: usize,
    done: u64,
    took: Duration,
}

impl Estimate {
    fn new(asked: Vec<u64>) -> Self {
        Estimate { asked, ended: 0, done: 0, took: Duration::ZERO }
    }

    fn end(&mut self, done: u64, took: Duration) {
        self.ended += 1;
        self.done += done;
        self.took += took;
    }

    /// The time left, `done` replays and `elapsed` after the start of the job that runs; none
    /// before there is anything to go by.
    fn left(&self, done: u64, elapsed: Duration) -> Option<Duration> {
        let rate = |replays: u64, time: Duration| (replays > 0).then(|| time.as_secs_f64() / replays as f64);
        let all = rate(self.done + done, self.took + elapsed)?;
        let own = rate(done, elapsed).unwrap_or(all);
        let asked = self.asked.get(self.ended).copied().unwrap_or(0);
        let others: u64 = self.asked.iter().skip(self.ended + 1).sum();
        let seconds = asked.saturating_sub(done) as f64 * own + others as f64 * all;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// How much of the run's time is over, in [`PARTS`].
    fn parts(&self, done: u64, elapsed: Duration) -> u64 {
        let Some(left) = self.left(done, elapsed) else { return 0 };
        let over = (self.took + elapsed).as_secs_f64();
        (over / (over + left.as_secs_f64()).max(f64::MIN_POSITIVE) * PARTS as f64) as u64
    }
}

/// A time that is not known better: `about 40 s`.
fn about(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..10 => "a few seconds".to_owned(),
        10..90 => format!("about {} s", (seconds + 5) / 10 * 10),
        90..5400 => format!("about {} min", (seconds + 30) / 60),
        _ => format!("about {} h", (seconds + 1800) / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_estimated_before_anything_was_measured() {
        let estimate = Estimate::new(vec![10, 10]);
        assert_eq!((estimate.left(0, s(5)), estimate.parts(0, s(5))), (None, 0));
    }

    #[test]
    fn the_job_that_runs_goes_on_at_its_own_pace_and_the_others_at_the_pace_of_all() {
        let mut estimate = Estimate::new(vec![10, 10, 20]);
        estimate.end(10, s(10));
        // 5 of 10 replays in 20 s: 20 s more; all made 15 replays in 30 s, so that 20 take 40 s.
        assert_eq!(estimate.left(5, s(20)), Some(s(60)));
        assert_eq!(estimate.parts(5, s(20)), PARTS / 3);
        // Before its first replay it is taken to be like the others.
        assert_eq!(estimate.left(0, s(0)), Some(s(30)));
    }

    #[test]
    fn a_job_that_ended_early_counts_for_what_it_did() {
        let mut estimate = Estimate::new(vec![100, 10]);
        estimate.end(1, s(1));
        assert_eq!(estimate.left(0, s(0)), Some(s(10)));
    }

    #[test]
    fn a_narrow_terminal_gets_whole_words() {
        let message = "job 1 of 4, 0/64 replays, a few seconds left";
        assert_eq!(fitting(message, 60, "materialized".len()), message);
        assert_eq!(fitting(message, 40, "materialized".len()), "job 1 of 4, 0/64 replays");
        assert_eq!(fitting(message, 12, "materialized".len()), "job 1 of 4");
        assert_eq!(fitting(message, 120, "materialized".len()), message);
    }

    #[test]
    fn times_are_told_no_better_than_they_are_known() {
        for (seconds, text) in
            [(3, "a few seconds"), (44, "about 40 s"), (89, "about 90 s"), (100, "about 2 min"), (6000, "about 2 h")]
        {
            assert_eq!(about(s(seconds)), text);
        }
    }
}
