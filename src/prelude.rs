//! What a program with steps of its own needs.

pub use graphproof_harness::context::{HostContext, Launch, Phase, StepContext};
pub use graphproof_harness::error::{StepError, StepResult};
pub use graphproof_harness::step::{
    Agreement, BufferSpec, ClosedForm, Contract, DType, HostBuffers, Module, Role, Step, Valid,
};
pub use graphproof_report::suite::{Listed, Parameter, ParameterError, Parameters, Suite, SuiteError};
