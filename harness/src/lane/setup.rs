//! Before the first step: buffers, staging, kernels, initial state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::images::{DeviceImages, Levelled, RowLengths, pinned};
use super::parts::Parts;
use super::{EAGER_GUARD, Lane, REPLAY_GUARD};
use crate::buffers::BufferSet;
use crate::calls;
use crate::capture_as::StreamKind;
use crate::compare::device::Comparer;
use crate::cuda::{Event, Session, Stream};
use crate::error::RunError;
use crate::gate::{GateConfig, blank_report};
use crate::kernels::Kernels;
use crate::memory_map::Digester;
use crate::plan::check_specs;
use crate::report::{BufferBytes, MemoryReceipt, Verdict};
use crate::step::{HostBuffers, Role, Step};
use crate::watchdog::Heartbeat;

fn compared(role: Role) -> bool {
    matches!(role, Role::Output | Role::State)
}

fn state(role: Role) -> bool {
    role == Role::State
}

impl Lane {
    pub(crate) fn prepare(
        session: &Session,
        step: Arc<dyn Step>,
        config: &GateConfig,
        heartbeat: &Arc<Heartbeat>,
    ) -> Result<Self, RunError> {
        heartbeat.enter("prepare", 0);
        let parts = Parts::default();
        let (specs, needed) = check_specs(step.as_ref())?;
        let driver = |what| move |error| RunError::Driver { what, error };
        let (free, total) = session.memory_info().map_err(driver("asking for free memory"))?;
        let size = |keep: fn(Role) -> bool| -> u64 {
            specs.iter().filter(|spec| keep(spec.role)).map(|spec| spec.bytes().unwrap_or(0) as u64).sum()
        };
        let images = size(compared).saturating_add(size(state));
        let memory =
            |buffer| RunError::OutOfMemory { step: step.name().to_owned(), needed, images, free, total, buffer };
        if needed.saturating_mul(2).saturating_add(images) > free {
            return Err(memory(None));
        }
        let kernels = Kernels::load(&step.modules())?;
        let stream = Stream::of(config.stream).map_err(driver("creating a stream"))?;
        let captures = (config.stream == StreamKind::Legacy).then(Stream::blocking).transpose();
        let captures = captures.map_err(driver("creating a stream"))?;
        let allocate = |guard| {
            BufferSet::allocate(session, &specs, guard, &stream).map_err(|(index, error)| match (index, error.code) {
                (Some(index), 2) => memory(Some(specs[index].name.to_string())),
                (_, _) => RunError::Driver { what: "allocating the step's buffers", error },
            })
        };
        let free_before = session.memory_info().map_err(driver("asking for free memory"))?.0;
        let replay = allocate(REPLAY_GUARD)?;
        let free_after = session.memory_info().map_err(driver("asking for free memory"))?.0;
        let eager = allocate(EAGER_GUARD)?;
        let images_of = |keep| DeviceImages::new(session, &specs, keep, &stream);
        let kept = images_of(compared).map_err(driver("allocating memory for images"))?;
        let state_before = images_of(state).map_err(driver("allocating memory for images"))?;
        let row_lengths = RowLengths::new(session, &specs, &stream).map_err(driver("allocating memory for images"))?;
        let levelled = Levelled::new(session, &specs, &stream).map_err(driver("allocating memory for images"))?;
        let sizes: Vec<u64> = specs.iter().map(|spec| spec.bytes().unwrap_or(0) as u64).collect();
        let comparer = Comparer::new(session, &stream, &sizes)?;
        let compares = calls::recorded() && !calls::watched();
        let digester = compares.then(|| Digester::new(session, &stream)).transpose()?;
        let uploads = pinned(&specs, |role| matches!(role, Role::Input | Role::State))
            .map_err(driver("allocating pinned memory"))?;
        let mut report = blank_report(step.as_ref(), config, Verdict::Pass);
        let closed_form = step.closed_form();
        report.memory = Some(MemoryReceipt {
            high_water: 0,
            device_delta: free_before.saturating_sub(free_after),
            closed_form: closed_form.as_ref().map(|form| form.bytes),
            formula: closed_form.map(|form| form.formula),
            buffers: specs
                .iter()
                .map(|spec| BufferBytes {
                    name: spec.name.to_string(),
                    role: spec.role.to_string(),
                    bytes: spec.bytes().unwrap_or(0) as u64,
                })
                .collect(),
        });
        let mut lane = Lane {
            inputs: HostBuffers::zeroed(specs.iter(), |role| role == Role::Input),
            uploads,
            input_digests: Vec::new(),
            kept,
            state_before,
            row_lengths,
            levelled,
            comparer,
            digester,
            fetched: BTreeMap::new(),
            first_replay: None,
            digests: Default::default(),
            parts,
            done: Event::new().map_err(driver("creating an event"))?,
            step,
            config: config.clone(),
            heartbeat: Arc::clone(heartbeat),
            specs,
            kernels,
            most_shared: u32::try_from(session.facts().shared_memory_optin).unwrap_or(0),
            eager,
            replay,
            stream,
            captures,
            report,
            findings: HashMap::new(),
            finding_order: Vec::new(),
            evidence: Default::default(),
            watched: Default::default(),
            mapped: Default::default(),
            suspects: Vec::new(),
            gone: Vec::new(),
            no_host_threads: false,
            poisoned: false,
        };
        lane.init_state()?;
        Ok(lane)
    }

    fn init_state(&mut self) -> Result<(), RunError> {
        let mut state = HostBuffers::zeroed(self.specs.iter(), |role| role == Role::State);
        let step_error = |error| RunError::Inputs { step: self.step.name().to_owned(), error: Box::new(error) };
        self.step.init_state(self.config.seed, &mut state).map_err(step_error)?;
        for (index, staging) in &mut self.uploads {
            let spec = &self.specs[*index];
            if spec.role == Role::State {
                staging.bytes_mut().copy_from_slice(state.bytes(&spec.name).map_err(step_error)?);
                for set in [&self.eager, &self.replay] {
                    set.memory(*index)
                        .upload(staging, &self.stream)
                        .map_err(|error| RunError::Driver { what: "writing the initial state", error })?;
                }
            }
        }
        self.stream.synchronize().map_err(|error| RunError::Driver { what: "writing the initial state", error })?;
        Ok(())
    }
}
