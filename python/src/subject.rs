//! A suite of one step that Python describes.

use std::sync::Arc;

use graphproof::prelude::*;
use pyo3::prelude::*;

use crate::error::Refused;
use crate::step::PythonStep;

/// The step, as the gate finds it.
pub struct OneStep {
    step: Arc<PythonStep>,
}

impl OneStep {
    /// Reads the declaration of a `graphproof._subject.Subject`.
    pub fn of(py: Python<'_>, subject: Py<PyAny>) -> PyResult<Self> {
        Ok(OneStep { step: Arc::new(PythonStep::of(py, subject)?) })
    }
}

/// (name, role, dtype, shape, agreement, lengths).
type Declared = (String, String, String, Vec<usize>, String, Option<String>);

/// The buffers that a subject declares.
pub fn buffers(subject: &Bound<'_, PyAny>) -> PyResult<Vec<BufferSpec>> {
    let declared: Vec<Declared> = subject.getattr("buffers")?.extract()?;
    let spec = |(name, role, dtype, shape, agreement, lengths): Declared| {
        let role = match role.as_str() {
            "input" => Role::Input,
            "state" => Role::State,
            "output" => Role::Output,
            "scratch" => Role::Scratch,
            other => return Err(Refused::new_err(format!("'{other}' is no role of a buffer"))),
        };
        let Ok(dtype) = dtype.parse::<DType>() else {
            return Err(Refused::new_err(format!(
                "'{name}' has elements of type {dtype}, which the gate does not know"
            )));
        };
        let agreement = match agreement.as_str() {
            "bits" => Agreement::Bits,
            "index-set" => Agreement::IndexSet,
            "sorted-values" => Agreement::SortedValues,
            other => {
                return Err(Refused::new_err(format!(
                    "the contract of '{name}' is '{other}'; it may be bits, index-set or sorted-values"
                )));
            }
        };
        let valid = lengths.map_or(Valid::All, |lengths| Valid::RowPrefix { lengths });
        Ok(BufferSpec::new(name, role, dtype, shape).contract(agreement, valid))
    };
    declared.into_iter().map(spec).collect()
}

impl Suite for OneStep {
    fn name(&self) -> &str {
        "python"
    }

    fn steps(&self) -> Vec<Listed> {
        vec![Listed::new(self.step.name(), self.step.summary())]
    }

    fn step(&self, name: &str, _: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
        if name == self.step.name() {
            return Ok(Arc::clone(&self.step) as Arc<dyn Step>);
        }
        Err(SuiteError::unknown_step(name, self))
    }

    fn kernels(&self, _: &[&dyn Step]) -> Result<String, SuiteError> {
        Ok("whatever the step launches".to_owned())
    }
}
