//! Why a suite cannot give a step.

use graphproof_harness::exit_code::ExitCode;

use super::Suite;
use crate::config::did_you_mean;

/// What was wrong, where, and what to do, with the exit code that it becomes.
#[derive(Debug)]
pub struct SuiteError {
    code: ExitCode,
    error: anyhow::Error,
}

impl SuiteError {
    /// With any exit code.
    pub fn new(code: ExitCode, error: anyhow::Error) -> Self {
        SuiteError { code, error }
    }

    /// The command line, the configuration or the suite's file asks for what cannot be.
    pub fn usage(what: impl std::fmt::Display + Send + Sync + 'static) -> Self {
        SuiteError::new(ExitCode::Usage, anyhow::anyhow!("{what}"))
    }

    /// Kernels cannot be had.
    pub fn kernels(what: impl std::fmt::Display + Send + Sync + 'static) -> Self {
        SuiteError::new(ExitCode::Kernels, anyhow::anyhow!("{what}"))
    }

    /// A file cannot be read or written.
    pub fn io(what: impl std::fmt::Display + Send + Sync + 'static) -> Self {
        SuiteError::new(ExitCode::Io, anyhow::anyhow!("{what}"))
    }

    /// No step of `suite` is called `name`.
    pub fn unknown_step(name: &str, suite: &(impl Suite + ?Sized)) -> Self {
        Self::usage(unknown_step(name, suite))
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        self.code
    }

    /// The error itself.
    pub fn into_error(self) -> anyhow::Error {
        self.error
    }
}

impl std::fmt::Display for SuiteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for SuiteError {}

impl From<super::ParameterError> for SuiteError {
    fn from(error: super::ParameterError) -> Self {
        SuiteError::usage(error)
    }
}

/// That no step is called `name`, with the near name and all names.
pub(crate) fn unknown_step(name: &str, suite: &(impl Suite + ?Sized)) -> String {
    let steps = suite.steps();
    let known: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    let near = did_you_mean(name, &known);
    format!("no step is called '{name}'; {near}the steps are {}", known.join(", "))
}
