//! The same steps without a check, for the time that the checks are measured against.

use super::parts::{Part, Parts};
use super::{Ended, Lane};
use crate::checks::faults;
use crate::context::{HostContext, Phase};
use crate::error::RunError;
use crate::finding::Finding;

impl Lane {
    /// Eager run and replay of every step, each on inputs copied in for it.
    pub(crate) fn plain(&mut self) -> Result<Result<Parts, Vec<Finding>>, RunError> {
        match self.plain_steps() {
            Ok(()) => Ok(Ok(self.parts.clone())),
            Err(Ended::Run(error)) => Err(error),
            Err(Ended::Stop) => Ok(Err(self.take_findings())),
        }
    }

    fn plain_steps(&mut self) -> Result<(), Ended> {
        let mut captured = None;
        for step in 0..self.config.steps {
            self.fill_inputs(step)?;
            self.plain_host_work(step, Phase::Eager)?;
            let loaded = self.load_inputs(&self.eager);
            self.driver(loaded, "copying the inputs in")?;
            self.parts.switch(Part::Eager);
            let (recorded, enqueued) = self.record(&self.eager, false);
            if let Err(error) = recorded {
                return Err(self.stop(faults::eager_step(&error, &enqueued, step), error.is_sticky()));
            }
            let waited = self.wait();
            self.driver(waited, "running the step eagerly")?;
            if captured.is_none() {
                self.plain_host_work(step, Phase::Replay)?;
                self.warm_up(step)?;
                captured = Some(self.capture(step)?);
            }
            let graph = captured.as_ref().expect("captured above");
            if graph.step < step {
                self.plain_host_work(step, Phase::Replay)?;
            }
            let loaded = self.load_inputs(&self.replay);
            self.driver(loaded, "copying the inputs in")?;
            self.parts.switch(Part::Replay);
            let replayed = graph.exec.launch(&self.stream).and_then(|()| self.wait());
            self.driver(replayed, "replaying the graph")?;
            self.parts.switch(Part::Rest);
        }
        Ok(())
    }

    fn plain_host_work(&mut self, step: u64, phase: Phase) -> Result<(), Ended> {
        self.parts.switch(Part::HostWork);
        let buffers = match phase {
            Phase::Eager => &mut self.eager,
            Phase::Replay => &mut self.replay,
        };
        let prepared = self.step.prepare(step, &mut HostContext::new(phase, &self.stream, buffers));
        prepared.map_err(|error| self.stop(faults::host_work(&error, step), error.is_sticky()))
    }
}
