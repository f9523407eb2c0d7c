//! From jobs to steps, a driver and kernels.

use std::sync::Arc;

use graphproof::config::{Job, Settings};
use graphproof::receipt::{SourceHash, TreeUsed};
use graphproof::report::notice::Notice;
use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverChoice, Selected};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::step::Step;
use graphproof_kernels::compile::Nvrtc;
use graphproof_kernels::{KernelTree, KernelsError, Lane, Origin, PtxSource, ptx};

use super::{Failure, settings};
use crate::args::TargetArgs;

/// What a command that runs steps needs, resolved once.
pub struct Suite {
    pub selected: Selected,
    pub session: Arc<Session>,
    pub jobs: Vec<Planned>,
    /// Where the kernels come from, in words.
    pub kernels: String,
    /// The tree that they are of.
    pub tree: TreeUsed,
}

/// A job with its step.
pub struct Planned {
    pub step: Arc<dyn Step>,
    pub job: Job,
}

impl Suite {
    /// Makes the steps of `jobs` with the kernels of `source`, and opens the driver.
    pub fn open(driver: DriverChoice, source: PtxSource, jobs: Vec<Job>) -> Result<Self, Failure> {
        // Before a driver is opened: a typing error should not cost a device.
        let compiling = (source != PtxSource::Committed)
            .then(|| Notice::of_known_length("--compile", "the kernels are compiled with NVRTC, about 10 s in all"));
        let jobs = plan(jobs, source).map_err(kernels_failure)?;
        drop(compiling);
        let kernels = describe(source, &jobs).map_err(kernels_failure)?;
        let (selected, session) = driver::open(driver)?;
        tracing::info!(driver = selected.kind.name(), reason = selected.reason, "driver selected");
        Ok(Suite { selected, session: Arc::new(session), jobs, kernels, tree: tree(source) })
    }

    /// Steps by name (the default suite if none is named), on the driver and at the shape asked for,
    /// each once.
    pub fn of_steps(target: &TargetArgs, names: &[impl AsRef<str>]) -> Result<Self, Failure> {
        let shape = target.shape.as_deref().map(settings::shape).transpose()?.unwrap_or_default();
        let mut settings = Settings { shapes: vec![shape], ..Settings::default() };
        if !names.is_empty() {
            settings.suite = names.iter().map(|name| name.as_ref().to_owned()).collect();
        }
        let jobs = settings.jobs();
        Suite::open(target.driver, source(target.compile), jobs)
    }

    /// The steps, each once for each shape.
    pub fn steps(&self) -> impl Iterator<Item = &Arc<dyn Step>> {
        self.jobs.iter().map(|planned| &planned.step)
    }
}

/// Whether the committed PTX of everything that the present tree holds can be used.
pub fn check_present() -> Result<(), Failure> {
    let stems = Lane::ALL.iter().flat_map(|lane| lane.modules()).chain(&["faults"]);
    stems.into_iter().try_for_each(|stem| ptx::module(stem, PtxSource::Committed).map(drop)).map_err(kernels_failure)
}

/// The present kernels: as committed, or compiled now.
pub fn source(compile: bool) -> PtxSource {
    if compile { PtxSource::Compile } else { PtxSource::Committed }
}

/// The jobs with their steps. Jobs that differ in their seed alone share one.
fn plan(jobs: Vec<Job>, source: PtxSource) -> Result<Vec<Planned>, KernelsError> {
    let mut planned: Vec<Planned> = Vec::with_capacity(jobs.len());
    for job in jobs {
        let step = match planned.last() {
            Some(last) if last.job.step == job.step && last.job.shape == job.shape => Arc::clone(&last.step),
            _ => Arc::from(graphproof_kernels::step(&job.step, &job.shape, source)?),
        };
        planned.push(Planned { step, job });
    }
    Ok(planned)
}

fn kernels_failure(error: KernelsError) -> Failure {
    let code = match &error {
        KernelsError::UnknownStep { .. } | KernelsError::Shape(_) => ExitCode::Usage,
        _ => ExitCode::Kernels,
    };
    Failure::new(code, error)
}

fn tree(source: PtxSource) -> TreeUsed {
    let tree = if let PtxSource::Tree(tree) = source { tree } else { KernelTree::present() };
    match tree.origin() {
        Origin::BuiltIn => TreeUsed::BuiltIn,
        Origin::Checkout(_) => TreeUsed::Checkout,
        Origin::Revision(_) => TreeUsed::Revision,
    }
}

fn describe(source: PtxSource, jobs: &[Planned]) -> Result<String, KernelsError> {
    let present = KernelTree::present();
    let built_in = *present.origin() == Origin::BuiltIn;
    match source {
        PtxSource::Committed => {
            Ok(format!("{} PTX (NVRTC {})", if built_in { "built-in" } else { "committed" }, present.nvrtc()?))
        }
        PtxSource::Compile => {
            let what = if built_in { "built-in kernels" } else { "kernels" };
            Ok(format!("{what} compiled now (NVRTC {})", Nvrtc::find()?.version()))
        }
        PtxSource::Tree(tree) => {
            let modules = jobs.iter().flat_map(|planned| planned.step.modules());
            let compilers: Vec<Option<&str>> =
                modules.map(|module| tree.committed_with(module.name.trim_end_matches(".ptx"))).collect();
            let how = match compilers.iter().flatten().next() {
                Some(nvrtc) if compilers.iter().all(Option::is_some) => format!("committed PTX (NVRTC {nvrtc})"),
                Some(_) => format!("partly committed PTX, partly compiled now (NVRTC {})", Nvrtc::find()?.version()),
                None => format!("compiled now (NVRTC {})", Nvrtc::find()?.version()),
            };
            let name = tree.origin().to_string();
            Ok(format!("kernels of {}, {how}", name.trim_start_matches("the revision ")))
        }
    }
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
            ptx_sha256: ptx::sha256(module.ptx.as_bytes()),
            source_sha256: module.source_sha256,
        });
    }
    hashes
}
