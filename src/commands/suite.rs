//! From the command line's words to steps, a driver and kernels.

use std::sync::Arc;

use anyhow::anyhow;
use graphproof::receipt::SourceHash;
use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, Selected};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::step::Step;
use graphproof_kernels::compile::Nvrtc;
use graphproof_kernels::{KernelsError, Lane, PtxSource, Shape, ptx};

use super::Failure;
use crate::args::TargetArgs;

/// What a command that runs steps needs, resolved once.
pub struct Suite {
    pub selected: Selected,
    pub session: Arc<Session>,
    pub shape: Shape,
    pub steps: Vec<Arc<dyn Step>>,
    /// Where the kernels come from, in words.
    pub kernels: String,
}

impl Suite {
    /// Steps by name (the default suite if none is named), on the driver and shape asked for.
    pub fn resolve(target: &TargetArgs, names: &[String]) -> Result<Self, Failure> {
        let source = if target.compile { PtxSource::Compile } else { PtxSource::Committed };
        Suite::resolve_from(target, names, source)
    }

    /// As [`resolve`](Self::resolve), with the kernels of `source`.
    pub fn resolve_from(target: &TargetArgs, names: &[String], source: PtxSource) -> Result<Self, Failure> {
        let shape = match &target.shape {
            Some(text) => text
                .parse::<Shape>()
                .map_err(|error| Failure::new(ExitCode::Usage, anyhow!("--shape {text}: {error}")))?,
            None => Shape::default(),
        };
        let names: Vec<&str> = if names.is_empty() {
            Lane::SUITE.iter().map(|lane| lane.name()).collect()
        } else {
            names.iter().map(String::as_str).collect()
        };
        // Before a driver is opened: a typing error should not cost a device.
        let steps = names
            .iter()
            .map(|name| graphproof_kernels::step(name, &shape, source).map(Arc::from))
            .collect::<Result<Vec<Arc<dyn Step>>, _>>()
            .map_err(kernels_failure)?;
        let kernels = describe(source, &steps).map_err(kernels_failure)?;
        let (selected, session) = driver::open(target.driver)?;
        tracing::info!(driver = selected.kind.name(), reason = selected.reason, "driver selected");
        Ok(Suite { selected, session: Arc::new(session), shape, steps, kernels })
    }
}

pub(super) fn kernels_failure(error: KernelsError) -> Failure {
    let code = match &error {
        KernelsError::UnknownStep { .. } | KernelsError::Shape(_) => ExitCode::Usage,
        _ => ExitCode::Kernels,
    };
    Failure::new(code, error)
}

fn describe(source: PtxSource, steps: &[Arc<dyn Step>]) -> Result<String, KernelsError> {
    match source {
        PtxSource::Committed => Ok(format!("committed PTX (NVRTC {})", ptx::manifest()?.nvrtc)),
        PtxSource::Compile => Ok(format!("kernels compiled now (NVRTC {})", Nvrtc::find()?.version())),
        PtxSource::Tree(tree) => {
            let modules = steps.iter().flat_map(|step| step.modules());
            let compilers: Vec<Option<&str>> =
                modules.map(|module| tree.committed_with(module.name.trim_end_matches(".ptx"))).collect();
            let how = match compilers.iter().flatten().next() {
                Some(nvrtc) if compilers.iter().all(Option::is_some) => format!("committed PTX (NVRTC {nvrtc})"),
                Some(_) => format!("partly committed PTX, partly compiled now (NVRTC {})", Nvrtc::find()?.version()),
                None => format!("compiled now (NVRTC {})", Nvrtc::find()?.version()),
            };
            Ok(format!("kernels of {}, {how}", tree.revision()))
        }
    }
}

/// SHA-256 of every module that the steps launch from, and of the sources behind it.
pub fn hashes(steps: &[Arc<dyn Step>]) -> Vec<SourceHash> {
    let mut hashes: Vec<SourceHash> = Vec::new();
    for module in steps.iter().flat_map(|step| step.modules()) {
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
