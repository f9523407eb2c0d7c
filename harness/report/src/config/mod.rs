//! What a gate run is made of: a suite of jobs and the policies on it.
//!
//! [`Settings`] start from their defaults; `graphproof.toml` changes them, and the command line
//! changes them again.

mod allow;
mod error;
mod file;
mod init;
mod partition;

use std::collections::BTreeMap;
use std::path::PathBuf;

use graphproof_harness::capture_as::{CaptureMode, StreamKind};
use graphproof_harness::driver::DriverChoice;

use crate::diff::Policy;
use crate::suite::{Parameters, Suite, default_shape};

pub use allow::{Allow, AllowList};
pub(crate) use error::did_you_mean;
pub use error::{ConfigError, Source, near};
pub use file::{FILE_NAME, diff_policy, find, find_reviewed};
pub use init::initial;
pub use partition::{Partition, PartitionError};

/// What a gate run is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The steps to judge, by name.
    pub suite: Vec<String>,
    /// The shapes to judge each at.
    pub shapes: Vec<Parameters>,
    /// The seeds to judge each with.
    pub seeds: Vec<u64>,
    /// Replays of each job.
    pub steps: u64,
    /// Which driver.
    pub driver: DriverChoice,
    /// Whether the kernels are compiled now.
    pub compile: bool,
    /// Seconds without progress after which a run counts as hung.
    pub patience: u64,
    /// The streams that steps run on, one after the other.
    pub streams: Vec<StreamKind>,
    /// The modes that they are captured in, each on each of the streams.
    pub modes: Vec<CaptureMode>,
    /// The folder above `snapshots/` with the reviewed graphs, if they are to be compared.
    pub locked: Option<PathBuf>,
    /// Whether the first failed job ends the run.
    pub fail_fast: bool,
    /// How often a failed job is run again.
    pub retries: u64,
    /// Which differences between two receipts pass.
    pub diff: Policy,
    /// What differs for single steps, by their name.
    pub of_step: BTreeMap<String, OfStep>,
    /// Findings that are known and do not fail the gate.
    pub allow: Vec<Allow>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

/// What differs for one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfStep {
    /// Its shapes.
    pub shapes: Option<Vec<Parameters>>,
    /// Its seeds.
    pub seeds: Option<Vec<u64>>,
    /// Its replays.
    pub steps: Option<u64>,
}

/// A step at a shape, with a seed and a number of replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The step's name.
    pub step: String,
    /// The shape.
    pub shape: Parameters,
    /// Seed of the inputs.
    pub seed: u64,
    /// Replays.
    pub steps: u64,
    /// The stream that it runs on.
    pub stream: StreamKind,
    /// The mode that it is captured in.
    pub mode: CaptureMode,
}

impl Job {
    /// The shape as text, with the stream and the mode where they are not the default ones: what tells jobs of
    /// one step and seed apart, such as `sk=64,stream=nonblocking`.
    pub fn shape_text(&self) -> String {
        let stream = (self.stream != StreamKind::default()).then(|| format!("stream={}", self.stream));
        let mode = (self.mode != CaptureMode::default()).then(|| format!("mode={}", self.mode));
        let shape = Some(self.shape.to_string()).filter(|shape| !shape.is_empty());
        shape.into_iter().chain(stream).chain(mode).collect::<Vec<_>>().join(",")
    }
}

impl Settings {
    /// The defaults for `suite`: each of its default steps at the default shape.
    pub fn of(suite: &dyn Suite) -> Self {
        let steps = suite.steps().into_iter().filter(|step| step.by_default);
        Settings {
            suite: steps.map(|step| step.name).collect(),
            shapes: vec![default_shape(suite)],
            seeds: vec![0],
            steps: 64,
            driver: DriverChoice::Auto,
            compile: false,
            patience: 60,
            streams: vec![StreamKind::default()],
            modes: vec![CaptureMode::default()],
            locked: None,
            fail_fast: false,
            retries: 0,
            diff: Policy::default(),
            of_step: BTreeMap::new(),
            allow: Vec::new(),
            file: None,
        }
    }

    /// Every job once: by step, then by shape, then by stream and mode, then by seed. Seeds come last because
    /// they do not change how long a job takes: the parts of a partition then take about as long as each other.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let default = OfStep::default();
        for step in distinct(&self.suite) {
            let own = self.of_step.get(step).unwrap_or(&default);
            let steps = own.steps.unwrap_or(self.steps);
            for shape in distinct(own.shapes.as_ref().unwrap_or(&self.shapes)) {
                for (&stream, &mode) in distinct(&self.streams).flat_map(|s| distinct(&self.modes).map(move |m| (s, m)))
                {
                    for &seed in distinct(own.seeds.as_ref().unwrap_or(&self.seeds)) {
                        jobs.push(Job { step: step.clone(), shape: shape.clone(), seed, steps, stream, mode });
                    }
                }
            }
        }
        jobs
    }
}

/// The values in their order, each once.
fn distinct<T: PartialEq>(values: &[T]) -> impl Iterator<Item = &T> {
    values.iter().enumerate().filter(|(index, value)| !values[..*index].contains(value)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::tests::Lanes;

    #[test]
    fn jobs_are_all_combinations_once() {
        let shapes: Vec<Parameters> = ["sk=64", "sk=128"].iter().map(|text| Lanes.shape(text).unwrap()).collect();
        let settings = Settings {
            suite: ["fused", "decode", "fused"].map(str::to_owned).to_vec(),
            shapes: shapes.clone(),
            seeds: vec![7, 8, 7],
            of_step: [("decode".to_owned(), OfStep { seeds: Some(vec![1]), steps: Some(9), shapes: None })].into(),
            ..Settings::of(&Lanes)
        };
        let job = |step: &str, shape: usize, seed, steps| {
            let shape = shapes[shape].clone();
            let (stream, mode) = (StreamKind::default(), CaptureMode::default());
            Job { step: step.to_owned(), shape, seed, steps, stream, mode }
        };
        assert_eq!(
            settings.jobs(),
            [
                job("fused", 0, 7, 64),
                job("fused", 0, 8, 64),
                job("fused", 1, 7, 64),
                job("fused", 1, 8, 64),
                job("decode", 0, 1, 9),
                job("decode", 1, 1, 9)
            ]
        );
    }

    #[test]
    fn jobs_on_several_streams_and_in_several_modes_are_told_apart_by_their_shape() {
        let settings = Settings {
            suite: vec!["fused".to_owned()],
            streams: vec![StreamKind::Blocking, StreamKind::NonBlocking],
            modes: vec![CaptureMode::Global, CaptureMode::Relaxed],
            ..Settings::of(&Lanes)
        };
        let shape = default_shape(&Lanes).to_string();
        let texts: Vec<String> = settings.jobs().iter().map(Job::shape_text).collect();
        let expected = ["", ",mode=relaxed", ",stream=nonblocking", ",stream=nonblocking,mode=relaxed"];
        assert_eq!(texts, expected.map(|suffix| format!("{shape}{suffix}")));
    }
}
