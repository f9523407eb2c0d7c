//! The capture of a step that never ran: what its first call does beside enqueuing work.

use super::{Ended, Lane};
use crate::calls::Calls;
use crate::checks::calls::at_stack;
use crate::checks::{capture, cold};
use crate::context::Phase;
use crate::error::RunError;
use crate::finding::Finding;
use crate::topology::Topology;

impl Lane {
    /// Captures the step without a run before, then again, and tells what only the first capture did.
    /// The process must not have run the step. Also returns whether the device is unusable now.
    pub(crate) fn cold(&mut self) -> Result<(Vec<Finding>, bool), RunError> {
        match self.captured_cold() {
            Ok(()) | Err(Ended::Stop) => {}
            Err(Ended::Run(error)) => return Err(error),
        }
        Ok((self.take_findings(), self.poisoned))
    }

    fn captured_cold(&mut self) -> Result<(), Ended> {
        const STEP: u64 = 0;
        self.heartbeat.enter("cold capture", STEP);
        self.fill_inputs(STEP)?;
        self.prepare_host(STEP, Phase::Replay)?;
        let mut seen = Vec::new();
        for _ in 0..2 {
            self.begin_capture("beginning the capture")?;
            let ((recorded, enqueued), calls) = self.record_captured();
            let ended = self.end_capture();
            let failed = match (&recorded, &ended) {
                (Err(error), _) => Some(self.step_failed(error, calls.as_ref())),
                (Ok(()), Err(error)) => Some(self.explained(capture::from_end(error, &enqueued), calls.as_ref())),
                (Ok(()), Ok(_)) => None,
            };
            if let Some(failed) = failed {
                let failed = match calls.as_ref().and_then(Calls::first_failure).filter(|_| failed.site.is_none()) {
                    Some(call) => at_stack(failed, &call.stack),
                    None => failed,
                };
                self.keep_all(vec![cold::refused(failed)]);
                return Ok(());
            }
            let Ok(graph) = ended else { return Ok(()) };
            let read = Topology::read(&graph, &enqueued, &self.replay);
            seen.push((self.driver(read, "reading the graph back")?, calls));
        }
        if let [first, second] = &seen[..] {
            let found = cold::only_first((&first.0, first.1.as_ref()), (&second.0, second.1.as_ref()));
            self.keep_all(found);
        }
        Ok(())
    }
}
