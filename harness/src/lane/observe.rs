//! Eager runs for whoever wants to see the data: comparison with a reference of their own.

use super::images::{HostImages, copy_out, pinned};
use super::{EAGER_POISON, Ended, Lane};
use crate::context::Phase;
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
        let pinned = |keep: fn(Role) -> bool| {
            pinned(&specs, keep).map_err(|error| RunError::Driver { what: "allocating pinned memory", error })
        };
        let mut state = pinned(|role| role == Role::State)?;
        let mut left = pinned(|role| matches!(role, Role::Output | Role::State))?;
        for step in 0..steps {
            match self.observe_one(step, &mut state, &mut left, &mut before, &mut after) {
                Ok(()) => visit(step, &before, &after),
                Err(Ended::Run(error)) => return Err(error),
                Err(Ended::Stop) => return Ok(Err(self.take_findings())),
            }
        }
        Ok(Ok(()))
    }

    fn observe_one(
        &mut self,
        step: u64,
        state: &mut HostImages,
        left: &mut HostImages,
        before: &mut HostBuffers,
        after: &mut HostBuffers,
    ) -> Result<(), Ended> {
        self.fill_inputs(step)?;
        let saved = copy_out(&self.eager, state, &self.stream);
        self.driver(saved, "reading the state")?;
        let inputs = self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::Input);
        let images = inputs.chain(&*state);
        copy_images(&self.specs, images, before).map_err(|error| self.inputs_error(error))?;
        self.prepare_host(step, Phase::Eager)?;
        self.record_eager(step, EAGER_POISON)?;
        let collected = copy_out(&self.eager, left, &self.stream);
        self.driver(collected, "reading the outputs back")?;
        copy_images(&self.specs, left.iter(), after).map_err(|error| self.inputs_error(error))?;
        Ok(())
    }

    fn inputs_error(&self, error: StepError) -> Ended {
        Ended::Run(RunError::Inputs { step: self.step.name().to_owned(), error: Box::new(error) })
    }
}

fn copy_images<'a>(
    specs: &[BufferSpec],
    images: impl Iterator<Item = &'a (usize, crate::cuda::PinnedMemory)>,
    into: &mut HostBuffers,
) -> Result<(), StepError> {
    for (index, image) in images {
        into.bytes_mut(&specs[*index].name)?.copy_from_slice(image.bytes());
    }
    Ok(())
}
