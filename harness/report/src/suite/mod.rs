//! What a run judges: steps with names, and the parameters that make their shapes.

mod error;
mod parameters;

use std::sync::Arc;

use graphproof_harness::cuda::Session;
use graphproof_harness::step::Step;

pub use error::SuiteError;
pub(crate) use error::unknown_step;
pub use parameters::{Parameter, ParameterError, Parameters};

use crate::receipt::{Geometry, TreeUsed};

/// The steps of one program or file.
///
/// ```
/// use std::sync::Arc;
///
/// use graphproof_harness::context::StepContext;
/// use graphproof_harness::error::StepResult;
/// use graphproof_harness::step::{BufferSpec, DType, HostBuffers, Module, Step};
/// use graphproof_report::suite::{Listed, Parameter, Parameters, Suite, SuiteError};
///
/// /// Clears `n` numbers.
/// struct Clear {
///     n: usize,
/// }
///
/// impl Step for Clear {
///     fn name(&self) -> &str {
///         "clear"
///     }
///     fn summary(&self) -> String {
///         format!("clears {} numbers", self.n)
///     }
///     fn modules(&self) -> Vec<Module> {
///         Vec::new()
///     }
///     fn buffers(&self) -> Vec<BufferSpec> {
///         vec![BufferSpec::output("y", DType::F32, [self.n])]
///     }
///     fn fill_inputs(&self, _index: u64, _seed: u64, _inputs: &mut HostBuffers) -> StepResult<()> {
///         Ok(())
///     }
///     fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
///         cx.memset("y", 0)
///     }
/// }
///
/// struct MySuite;
///
/// impl Suite for MySuite {
///     fn name(&self) -> &str {
///         "mine"
///     }
///     fn steps(&self) -> Vec<Listed> {
///         vec![Listed::new("clear", "clears n numbers")]
///     }
///     fn parameters(&self) -> Vec<Parameter> {
///         vec![Parameter::new("n", 1000)]
///     }
///     fn step(&self, name: &str, shape: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
///         match name {
///             "clear" => Ok(Arc::new(Clear { n: shape.size("n")? })),
///             _ => Err(SuiteError::unknown_step(name, self)),
///         }
///     }
/// }
///
/// let shape = MySuite.shape("n=7").unwrap();
/// assert_eq!(MySuite.step("clear", &shape).unwrap().summary(), "clears 7 numbers");
/// assert!(MySuite.shape("m=7").unwrap_err().to_string().contains("it has n"));
/// ```
pub trait Suite: Send + Sync {
    /// Short name, as receipts show it: `indexer`.
    fn name(&self) -> &str;

    /// Every step, in the order in which a list shows them.
    fn steps(&self) -> Vec<Listed>;

    /// The parameters that make shapes, with their defaults. None by default: every step has one shape.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Reads a shape such as `n=1024,rows=3`; parameters that it does not name keep their defaults.
    ///
    /// # Errors
    /// A name that is no parameter, a value that is no number, or values that no step can have.
    fn shape(&self, text: &str) -> Result<Parameters, SuiteError> {
        Parameters::read(text, &self.parameters()).map_err(SuiteError::usage)
    }

    /// Makes a step at a shape.
    ///
    /// # Errors
    /// No step has this name, it cannot have this shape, or its kernels cannot be had.
    fn step(&self, name: &str, shape: &Parameters) -> Result<Arc<dyn Step>, SuiteError>;

    /// Where the kernels of `steps` come from, in words: `committed PTX (NVRTC 12.8)`.
    ///
    /// # Errors
    /// What would say it cannot be read.
    fn kernels(&self, steps: &[&dyn Step]) -> Result<String, SuiteError> {
        let _ = steps;
        Ok(format!("kernels of the suite '{}'", self.name()))
    }

    /// The tree that the kernels are of, where that is known.
    fn tree(&self) -> Option<TreeUsed> {
        None
    }

    /// The same steps with kernels that are compiled now: what `--compile` asks for.
    ///
    /// # Errors
    /// The suite has no sources of its kernels.
    fn compiled(&self) -> Result<Arc<dyn Suite>, SuiteError> {
        let message = format!("--compile: the suite '{}' has no CUDA sources to choose over PTX", self.name());
        Err(SuiteError::usage(message))
    }

    /// The same steps with the kernels of a git revision: what `--against` asks for.
    ///
    /// # Errors
    /// There is no such revision, or the kernels are part of the program.
    fn at_revision(&self, revision: &str) -> Result<AtRevision, SuiteError> {
        Err(SuiteError::usage(format!(
            "--against {revision}: the steps of the suite '{}' are compiled into this program; build that revision, \
             keep its receipt with --json, and compare with `graphproof diff`",
            self.name()
        )))
    }

    /// What steps need at shapes that are worth knowing and were not run; none by default.
    fn geometry(&self, session: &Session, shapes: &[Parameters]) -> Vec<Geometry> {
        let _ = (session, shapes);
        Vec::new()
    }

    /// Floating-point operations of one step at a shape, on the inputs of step 0 under seed 0, where `bench step` and
    /// receipts of a GPU are to say TFLOP/s.
    fn flop(&self, step: &str, shape: &Parameters) -> Option<f64> {
        let _ = (step, shape);
        None
    }

    /// The step that does what others do in the plain way: `bench step` shows their times beside its own.
    fn yardstick(&self) -> Option<&str> {
        None
    }

    /// What the device does at most of the arithmetic of `step`, where `bench step` is to measure that too.
    ///
    /// # Errors
    /// Its kernels cannot be had.
    fn ceiling(&self, step: &str) -> Result<Option<Ceiling>, SuiteError> {
        let _ = step;
        Ok(None)
    }
}

/// Arithmetic and nothing else, as a step.
pub struct Ceiling {
    /// What it is, for people.
    pub name: String,
    /// The step.
    pub step: Arc<dyn Step>,
    /// Its floating-point operations.
    pub flop: f64,
}

/// A suite of another revision.
pub struct AtRevision {
    /// The revision, for people: `main (0123456789ab)`.
    pub name: String,
    /// Its steps.
    pub suite: Arc<dyn Suite>,
}

/// A step in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// One line on what it computes.
    pub summary: String,
    /// Whether it is judged where no step is named.
    pub by_default: bool,
}

impl Listed {
    /// A step that is judged by default.
    pub fn new(name: impl Into<String>, summary: impl Into<String>) -> Self {
        Listed { name: name.into(), summary: summary.into(), by_default: true }
    }
}

/// The shape with every parameter at its default, as the suite writes it: it may leave out what most steps ignore.
pub fn default_shape(suite: &dyn Suite) -> Parameters {
    suite.shape("").unwrap_or_else(|_| Parameters::defaults(&suite.parameters()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Steps that are only named.
    pub(crate) struct Lanes;

    impl Suite for Lanes {
        fn name(&self) -> &str {
            "lanes"
        }

        fn steps(&self) -> Vec<Listed> {
            ["materialized", "fused", "decode"].map(|name| Listed::new(name, "a lane")).into()
        }

        fn parameters(&self) -> Vec<Parameter> {
            vec![Parameter::new("sq", 64), Parameter::new("sk", 512)]
        }

        fn step(&self, name: &str, _: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
            Err(SuiteError::unknown_step(name, self))
        }
    }

    #[test]
    fn what_a_suite_cannot_do_says_what_to_do() {
        let error = Lanes.compiled().err().unwrap();
        assert!(error.to_string().starts_with("--compile: the suite 'lanes' has no CUDA sources"), "{error}");
        let error = Lanes.at_revision("v1").err().unwrap();
        assert!(error.to_string().contains("compare with `graphproof diff`"), "{error}");
        let error = Lanes.step("fuse", &default_shape(&Lanes)).err().unwrap();
        let expected = "no step is called 'fuse'; did you mean 'fused'? the steps are materialized, fused, decode";
        assert_eq!(error.to_string(), expected);
    }
}
