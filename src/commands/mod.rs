//! One file for each command.

mod against;
pub mod bench;
pub mod bisect;
mod bless;
mod ceiling;
mod child;
pub mod cold;
#[cfg(feature = "indexer")]
pub mod conformance;
pub mod diff;

pub mod doctor;
pub mod explain;
#[cfg(feature = "indexer")]
pub mod faults;
pub mod gate;
pub mod graph;
pub mod init;
#[cfg(feature = "indexer")]
pub mod kernels;
pub mod libraries;
pub mod list;
pub mod merge;
pub mod recorded;
pub mod report;
mod settings;
mod suite;
pub mod trace;

use graphproof_harness::error::RunError;
use graphproof_harness::exit_code::ExitCode;

/// Why a command could not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What was wrong, where, and what to do.
    pub error: anyhow::Error,
}

impl Failure {
    pub fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Failure { code, error: error.into() }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Failure::new(error.exit_code(), error)
    }
}

impl From<crate::suite::SuiteError> for Failure {
    fn from(error: crate::suite::SuiteError) -> Self {
        Failure { code: error.exit_code(), error: error.into_error() }
    }
}
