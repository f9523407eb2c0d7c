//! Launching and uploading executable graphs, and their end.

use std::sync::Arc;

use graphproof_scheduler::Ticket;

use super::exec::{AUTO_FREE_ON_LAUNCH, Exec};
use super::memory::{GraphMemory, MemoryNodes};
use super::store::Graphs;
use crate::work::Plan;
use graphproof_api::{CUresult, Cuda};

/// One launch, for the engine.
#[derive(Debug)]
pub struct Launch {
    /// What to execute. Later changes of the executable graph do not reach it (D).
    pub plan: Arc<Plan>,
    /// Allocations of an earlier launch to free first
    /// (`CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH`).
    pub free_first: Vec<u64>,
    /// The earlier launch to wait for: launches of one executable graph never overlap (D,
    /// cuGraphLaunch). It is what [`Graphs::set_ticket`] was last given.
    pub after: Option<Ticket>,
}

/// What a destroyed executable graph leaves behind until its last launch has ended.
#[derive(Debug)]
pub(super) struct Retired {
    plan: Arc<Plan>,
    memory: MemoryNodes,
    objects: Vec<u64>,
}

impl Graphs {
    /// `cuGraphLaunch` outside a capture.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: an allocation of an earlier launch is not freed, or one to be
    /// freed is not live.
    pub fn launch(&mut self, exec: u64) -> Cuda<Launch> {
        self.sweep_retired();
        let found = self.execs.get(exec).ok_or(CUresult::INVALID_VALUE)?;
        let plan = match &found.plan {
            Some(plan) => plan.clone(),
            None => Arc::new(found.body.plan()),
        };
        let auto_free = found.flags & AUTO_FREE_ON_LAUNCH != 0;
        let found = self.execs.get_mut(exec).ok_or(CUresult::INVALID_VALUE)?;
        let free_first = self.memory.launch(&found.memory, auto_free)?;
        found.plan = Some(plan.clone());
        Ok(Launch { plan, free_first, after: found.ticket })
    }

    /// The engine's ticket of the launch that just began: the next one waits for it.
    pub fn set_ticket(&mut self, exec: u64, ticket: Ticket) {
        if let Some(exec) = self.execs.get_mut(exec) {
            exec.ticket = Some(ticket);
        }
    }

    /// `cuGraphUpload`: builds the plan and backs the graph's allocations. Returns the launch to
    /// wait for.
    pub fn upload(&mut self, exec: u64) -> Cuda<Option<Ticket>> {
        let found = self.exec(exec)?;
        let plan = found.plan.clone().unwrap_or_else(|| Arc::new(found.body.plan()));
        let Self { execs, memory, .. } = self;
        let found = execs.get_mut(exec).ok_or(CUresult::INVALID_VALUE)?;
        memory.reserve(&found.memory);
        found.plan = Some(plan);
        Ok(found.ticket)
    }

    /// Graph memory, for its attributes and for frees outside graphs.
    pub fn memory(&mut self) -> &mut GraphMemory {
        &mut self.memory
    }

    pub(super) fn retire(&mut self, exec: Exec) {
        let plan = exec.plan.unwrap_or_default();
        self.retired.push(Retired { plan, memory: exec.memory, objects: exec.objects });
        self.sweep_retired();
    }

    /// Lets go of what destroyed executable graphs kept for launches that have ended since.
    pub fn sweep_retired(&mut self) {
        let done: Vec<Retired> = self.retired.extract_if(.., |retired| Arc::strong_count(&retired.plan) == 1).collect();
        for retired in done {
            self.memory.count_exec(&retired.memory, false);
            retired.objects.into_iter().for_each(|object| self.release_object(object, 1));
        }
    }
}
