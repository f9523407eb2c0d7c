//! Eager runs for whoever wants to see the data: comparison with a reference of their own.

use super::{EAGER_POISON, Ended, Lane, copy_out};
use crate::context::Phase;
use crate::cuda::PinnedMemory;
use crate::error::{RunError, StepError};
use crate::finding::Finding;
use crate::step::{BufferSpec, HostBuffers, Role};

impl Lane {
    /// Runs `steps` steps eagerly. `visit` sees each step's index, its inputs with the state
    /// before it, and its outputs with the state after it.
    pub(crate) fn observe(
        &mut self,
        steps: u64,
        visit: &mut dyn FnMut(u64, &HostBuffers, &HostBuffers),
    ) -> Result<Result<(), Vec<Finding>>, RunError> {
        let specs = self.specs.clone();
        let mut before = HostBuffers::zeroed(specs.iter(), |role| matches!(role, Role::Input | Role::State));
        let mut after = HostBuffers::zeroed(specs.iter(), |role| matches!(role, Role::Output | Role::State));
        for step in 0..steps {
            match self.observe_one(step, &mut before, &mut after) {
                Ok(()) => visit(step, &before, &after),
                Err(Ended::Run(error)) => return Err(error),
                Err(Ended::Stop) => return Ok(Err(self.take_findings())),
            }
        }
        Ok(Ok(()))
    }

    fn observe_one(&mut self, step: u64, before: &mut HostBuffers, after: &mut HostBuffers) -> Result<(), Ended> {
        self.fill_inputs(step)?;
        let saved = copy_out(&self.eager, &mut self.state_before, &self.stream);
        self.driver(saved, "reading the state")?;
        let inputs = self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::Input);
        let images = inputs.chain(&self.state_before);
        copy_images(&self.specs, images, before).map_err(|error| self.inputs_error(error))?;
        self.prepare_host(step, Phase::Eager)?;
        self.record_eager(step, EAGER_POISON)?;
        let collected = copy_out(&self.eager, &mut self.eager_images.buffers, &self.stream);
        self.driver(collected, "reading the outputs back")?;
        copy_images(&self.specs, self.eager_images.buffers.iter(), after).map_err(|error| self.inputs_error(error))?;
        Ok(())
    }

    fn inputs_error(&self, error: StepError) -> Ended {
        Ended::Run(RunError::Inputs { step: self.step.name().to_owned(), error })
    }
}

fn copy_images<'a>(
    specs: &[BufferSpec],
    images: impl Iterator<Item = &'a (usize, PinnedMemory)>,
    into: &mut HostBuffers,
) -> Result<(), StepError> {
    for (index, image) in images {
        into.bytes_mut(&specs[*index].name)?.copy_from_slice(image.bytes());
    }
    Ok(())
}
