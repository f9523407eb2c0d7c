//! The DSA indexer as a [`Suite`]: its lanes, its shape, its kernels of the checkout or of a revision.

mod geometry;
mod revision;

use std::sync::Arc;

use graphproof_harness::cuda::Session;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::nvrtc::Nvrtc;
use graphproof_harness::step::Step;
use graphproof_kernels::peak::{Format, Peak};
use graphproof_kernels::shape::PAGE;
use graphproof_kernels::{KernelTree, KernelsError, Lane, Origin, PtxSource, Shape, ptx};

pub use geometry::{LANES, LENGTHS};

use crate::receipt::{Geometry, TreeUsed};
use crate::suite::{AtRevision, Ceiling, Listed, Parameter, Parameters, Suite, SuiteError};

/// The lanes of the indexer step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Indexer {
    source: PtxSource,
}

impl Suite for Indexer {
    fn name(&self) -> &str {
        "indexer"
    }

    fn steps(&self) -> Vec<Listed> {
        let listed = |lane: Lane| Listed {
            by_default: Lane::SUITE.contains(&lane),
            ..Listed::new(lane.name(), lane.description())
        };
        Lane::ALL.map(listed).into()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut all: Vec<Parameter> =
            parameters(&Shape::default()).iter().map(|(name, value)| Parameter::new(name, value)).collect();
        all.push(Parameter::new("page", u64::from(PAGE)));
        all
    }

    fn shape(&self, text: &str) -> Result<Parameters, SuiteError> {
        // Written for people who read `sq=64,sk=512`; `fixed` is what a suite without parameters prints.
        text.parse::<Shape>().map(|shape| parameters(&shape)).map_err(SuiteError::usage)
    }

    fn step(&self, name: &str, shape: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
        let shape = extents(shape)?;
        graphproof_kernels::step(name, &shape, self.source).map(Arc::from).map_err(kernels_error)
    }

    fn kernels(&self, steps: &[&dyn Step]) -> Result<String, SuiteError> {
        describe(self.source, steps).map_err(kernels_error)
    }

    fn tree(&self) -> Option<TreeUsed> {
        let tree = if let PtxSource::Tree(tree) = self.source { tree } else { KernelTree::present() };
        Some(match tree.origin() {
            Origin::BuiltIn => TreeUsed::BuiltIn,
            Origin::Checkout(_) => TreeUsed::Checkout,
            Origin::Revision(_) => TreeUsed::Revision,
        })
    }

    fn compiled(&self) -> Result<Arc<dyn Suite>, SuiteError> {
        Ok(Arc::new(Indexer { source: PtxSource::Compile }))
    }

    fn at_revision(&self, revision: &str) -> Result<AtRevision, SuiteError> {
        let tree = revision::kernels(revision)?;
        let name = tree.origin().to_string().trim_start_matches("the revision ").to_owned();
        // One tree for the process: steps may outlive a command on the thread of a lost run.
        let source = PtxSource::Tree(Box::leak(Box::new(tree)));
        Ok(AtRevision { name, suite: Arc::new(Indexer { source }) })
    }

    fn geometry(&self, session: &Session, shapes: &[Parameters]) -> Vec<Geometry> {
        let shapes: Vec<Shape> = shapes.iter().filter_map(|shape| extents(shape).ok()).collect();
        geometry::geometry(session, &shapes)
    }

    /// Multiply-adds of the scores, counted twice: 2·sq·b·sk·h·d, every key visible.
    fn flop(&self, step: &str, shape: &Parameters) -> Option<f64> {
        let shape = extents(shape).ok()?;
        let sq = if [Lane::Decode, Lane::DecodePaged].map(Lane::name).contains(&step) { 1 } else { shape.sq };
        Some(2.0 * [sq, shape.b, shape.sk, shape.h, shape.d].map(f64::from).iter().product::<f64>())
    }

    fn yardstick(&self) -> Option<&str> {
        Some(Lane::Materialized.name())
    }

    fn ceiling(&self, step: &str) -> Result<Option<Ceiling>, SuiteError> {
        let format = match Lane::HOPPER.into_iter().find(|lane| lane.name() == step) {
            Some(Lane::FusedFp8) => Format::E4m3,
            Some(_) => Format::Bf16,
            None => return Ok(None),
        };
        let peak = Peak::new(format, self.source).map_err(kernels_error)?;
        let name = format!("wgmma in {} on tiles that stay in shared memory", format.name());
        Ok(Some(Ceiling { name, flop: peak.flop(), step: Arc::new(peak) }))
    }
}

/// A shape as the suite's parameters.
fn parameters(shape: &Shape) -> Parameters {
    let Shape { sq, sk, b, h, d, topk, page } = *shape;
    let values = [("sq", sq), ("sk", sk), ("b", b), ("h", h), ("d", d), ("topk", topk)];
    // As a shape is written: most lanes ignore the page.
    let page = Some(("page", page)).filter(|_| page != PAGE);
    Parameters::new(values.into_iter().chain(page).map(|(name, value)| (name, u64::from(value))))
}

/// The suite's parameters as a shape.
fn extents(shape: &Parameters) -> Result<Shape, SuiteError> {
    shape.to_string().parse().map_err(SuiteError::usage)
}

/// Whether the committed PTX of everything that the present tree holds can be used.
pub(crate) fn check_present() -> Result<(), SuiteError> {
    let stems = Lane::ALL.iter().flat_map(|lane| lane.modules()).chain(&["faults"]);
    stems.into_iter().try_for_each(|stem| ptx::module(stem, PtxSource::Committed).map(drop)).map_err(kernels_error)
}

/// The lines of `graphproof doctor` about the kernels, as pairs of a head and a text.
pub(crate) fn doctor() -> Vec<(&'static str, String)> {
    let tree = KernelTree::present();
    let modules = Lane::ALL.iter().flat_map(|lane| lane.modules());
    let unusable: Vec<KernelsError> = modules.filter_map(|stem| tree.committed(stem).err()).collect();
    let state = match (unusable.first(), tree.nvrtc()) {
        (Some(problem), _) => problem.to_string(),
        (None, Ok(nvrtc)) => format!("their PTX is up to date, made by NVRTC {nvrtc}"),
        (None, Err(error)) => error.to_string(),
    };
    vec![("kernels", format!("of {}", tree.origin())), ("", state)]
}

fn kernels_error(error: KernelsError) -> SuiteError {
    let code = match &error {
        KernelsError::UnknownStep { .. } | KernelsError::Shape(_) => ExitCode::Usage,
        _ => ExitCode::Kernels,
    };
    SuiteError::new(code, error.into())
}

fn describe(source: PtxSource, steps: &[&dyn Step]) -> Result<String, KernelsError> {
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
            let modules = steps.iter().flat_map(|step| step.modules());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parameters_are_the_extents_of_a_shape() {
        let suite = Indexer::default();
        let shape = suite.shape("h=3").unwrap();
        assert_eq!(shape.to_string(), "sq=64,sk=512,b=1,h=3,d=64,topk=64");
        assert_eq!(suite.step("fused", &shape).unwrap().name(), "fused");
        assert_eq!(suite.shape("sk=0").unwrap_err().to_string(), "sk must be at least 1");
        assert_eq!(suite.flop("decode", &shape), Some(2.0 * 512.0 * 3.0 * 64.0));
    }
}
