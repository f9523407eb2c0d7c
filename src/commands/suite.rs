//! From jobs to steps and a driver.

use std::sync::Arc;

use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverChoice, Selected};
use graphproof_harness::step::Step;

use super::Failure;
use crate::args::{SuiteArgs, TargetArgs};
use crate::config::{Job, Settings};
use crate::receipt::{SourceHash, TreeUsed, sha256};
use crate::report::notice::Notice;
use crate::suite::{Suite, default_shape};

/// What a command that runs steps needs, resolved once.
pub struct Planned {
    pub suite: Arc<dyn Suite>,
    pub selected: Selected,
    pub session: Arc<Session>,
    pub jobs: Vec<PlannedJob>,
    /// Where the kernels come from, in words.
    pub kernels: String,
    /// The tree that they are of.
    pub tree: Option<TreeUsed>,
}

/// A job with its step.
pub struct PlannedJob {
    pub step: Arc<dyn Step>,
    pub job: Job,
}

/// The suite that the command line names, or else the program's own.
pub fn chosen(args: &SuiteArgs, own: Arc<dyn Suite>) -> Result<Arc<dyn Suite>, Failure> {
    let _ = args;
    Ok(own)
}

/// With `compile`, the same steps with kernels that are compiled now.
pub fn kernels_of(suite: Arc<dyn Suite>, compile: bool) -> Result<Arc<dyn Suite>, Failure> {
    Ok(if compile { suite.compiled()? } else { suite })
}

impl Planned {
    /// Makes the steps of `jobs` and opens the driver. `compiling` says that kernels may be compiled.
    pub fn open(driver: DriverChoice, suite: Arc<dyn Suite>, jobs: Vec<Job>, compiling: bool) -> Result<Self, Failure> {
        // Before a driver is opened: a typing error should not cost a device.
        let notice = compiling
            .then(|| Notice::of_known_length("--compile", "the kernels are compiled with NVRTC, about 10 s in all"));
        let jobs = plan(jobs, suite.as_ref())?;
        drop(notice);
        let steps: Vec<&dyn Step> = jobs.iter().map(|planned| planned.step.as_ref()).collect();
        let kernels = suite.kernels(&steps)?;
        let (selected, session) = driver::open(driver)?;
        tracing::info!(driver = selected.kind.name(), reason = selected.reason, "driver selected");
        Ok(Planned { tree: suite.tree(), suite, selected, session: Arc::new(session), jobs, kernels })
    }

    /// Steps by name (the default ones if none is named), on the driver and at the shape asked for,
    /// each once.
    pub fn of_steps(target: &TargetArgs, own: Arc<dyn Suite>, names: &[impl AsRef<str>]) -> Result<Self, Failure> {
        let suite = chosen(&target.suite, own)?;
        let shape = match &target.shape {
            Some(text) => super::settings::shape(suite.as_ref(), text)?,
            None => default_shape(suite.as_ref()),
        };
        let mut settings = Settings { shapes: vec![shape], ..Settings::of(suite.as_ref()) };
        if !names.is_empty() {
            settings.suite = names.iter().map(|name| name.as_ref().to_owned()).collect();
        }
        let jobs = settings.jobs();
        Planned::open(target.driver, kernels_of(suite, target.compile)?, jobs, target.compile)
    }

    /// The steps, each once for each shape.
    pub fn steps(&self) -> impl Iterator<Item = &Arc<dyn Step>> {
        self.jobs.iter().map(|planned| &planned.step)
    }
}

/// The jobs with their steps. Jobs that differ in their seed alone share one.
fn plan(jobs: Vec<Job>, suite: &dyn Suite) -> Result<Vec<PlannedJob>, Failure> {
    let mut planned: Vec<PlannedJob> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let step = match planned.last() {
            Some(last) if last.job.step == job.step && last.job.shape == job.shape => Arc::clone(&last.step),
            _ => suite.step(&job.step, &job.shape)?,
        };
        planned.push(PlannedJob { step, job });
    }
    Ok(planned)
}

/// SHA-256 of every module that the steps launch from, and of the sources behind it.
pub fn hashes<'a>(steps: impl IntoIterator<Item = &'a Arc<dyn Step>>) -> Vec<SourceHash> {
    let mut hashes: Vec<SourceHash> = Vec::new();
    for module in steps.into_iter().flat_map(|step| step.modules()) {
        if hashes.iter().any(|hash| hash.file == module.name) {
            continue;
        }
        hashes.push(SourceHash {
            file: module.name.to_string(),
            ptx_sha256: sha256(module.ptx.as_bytes()),
            source_sha256: module.source_sha256,
        });
    }
    hashes
}
