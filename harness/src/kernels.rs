//! The kernels of a step, by name.

use std::collections::BTreeMap;

use crate::cuda::{CudaError, Function, LoadedModule};
use crate::error::{RunError, StepError, StepResult};
use crate::step::Module;

/// Loaded modules and their kernels.
#[derive(Debug)]
pub struct Kernels {
    modules: Vec<LoadedModule>,
    by_name: BTreeMap<String, (Function, Vec<usize>)>,
}

impl Kernels {
    /// Loads every module; every kernel is resolved now, so that no launch loads lazily.
    ///
    /// # Errors
    /// PTX that the driver does not take, with its log; two kernels of one name.
    pub fn load(sources: &[Module]) -> Result<Self, RunError> {
        let mut kernels = Kernels { modules: Vec::with_capacity(sources.len()), by_name: BTreeMap::new() };
        for source in sources {
            let loaded = match &source.image {
                Some(image) => LoadedModule::load_image(image),
                None => LoadedModule::load(&source.ptx),
            };
            let module = loaded.map_err(|(error, log)| RunError::Module {
                module: source.name.to_string(),
                // The log says it all.
                error: CudaError { why: error.why.filter(|_| log.is_empty()), ..error },
                log,
            })?;
            for (name, &function) in module.functions() {
                let sizes = function.parameters().into_iter().map(|(_, size)| size).collect();
                if kernels.by_name.insert(name.clone(), (function, sizes)).is_some() {
                    return Err(RunError::Declaration(format!("two modules of the step hold a kernel '{name}'")));
                }
            }
            kernels.modules.push(module);
        }
        Ok(kernels)
    }

    /// The kernel `name` and the sizes of its parameters in bytes.
    ///
    /// # Errors
    /// No module holds it; the error lists those there are.
    pub fn get(&self, name: &str) -> StepResult<(Function, &[usize])> {
        let (function, sizes) = self.by_name.get(name).ok_or_else(|| StepError::UnknownKernel {
            name: name.to_owned(),
            known: self.by_name.keys().cloned().collect(),
        })?;
        Ok((*function, sizes))
    }
}
