//! The command line of graphproof as a library: every command, for any `Suite`.
//!
//! A program of your own has all of it for its own steps:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use graphproof::prelude::*;
//!
//! struct Clear {
//!     n: usize,
//! }
//!
//! impl Step for Clear {
//!     fn name(&self) -> &str {
//!         "clear"
//!     }
//!     fn summary(&self) -> String {
//!         format!("clears {} numbers", self.n)
//!     }
//!     fn modules(&self) -> Vec<Module> {
//!         Vec::new()
//!     }
//!     fn buffers(&self) -> Vec<BufferSpec> {
//!         vec![BufferSpec::output("y", DType::F32, [self.n])]
//!     }
//!     fn fill_inputs(&self, _index: u64, _seed: u64, _inputs: &mut HostBuffers) -> StepResult<()> {
//!         Ok(())
//!     }
//!     fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
//!         cx.memset("y", 0)
//!     }
//! }
//!
//! struct MySuite;
//!
//! impl Suite for MySuite {
//!     fn name(&self) -> &str {
//!         "mine"
//!     }
//!     fn steps(&self) -> Vec<Listed> {
//!         vec![Listed::new("clear", "clears n numbers")]
//!     }
//!     fn parameters(&self) -> Vec<Parameter> {
//!         vec![Parameter::new("n", 1000)]
//!     }
//!     fn step(&self, name: &str, shape: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
//!         match name {
//!             "clear" => Ok(Arc::new(Clear { n: shape.size("n")? })),
//!             _ => Err(SuiteError::unknown_step(name, self)),
//!         }
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     graphproof::cli(MySuite)
//! }
//! ```

mod args;
mod cli;
mod commands;
#[cfg(feature = "indexer")]
pub mod conformance;
#[cfg(feature = "indexer")]
pub mod indexer;
mod interrupt;
pub mod judge;
#[cfg(feature = "indexer")]
pub mod kernelfuzz;
mod output;
pub mod prelude;

pub use cli::{cli, run};
/// The judge.
pub use graphproof_harness as harness;
/// The CUDA driver API that steps speak, in the version that the harness was built with.
pub use graphproof_harness::cudarc;
pub use graphproof_report::{config, diff, receipt, report, suite};
