//! The ground that faults are planted in: a step made of closures, on a small step of its own or
//! on a lane of the indexer.

use std::sync::{Arc, OnceLock};

use graphproof_harness::context::{HostContext, Launch, StepContext};
use graphproof_harness::cuda::{Condition, Stream};
use graphproof_harness::error::{StepError, StepResult};
use graphproof_harness::step::{BufferSpec, DType, HostBuffers, Module, Step};

use super::prelude::once;
use crate::error::KernelsError;
use crate::ptx::{self, PtxSource};
use crate::shape::Shape;
use crate::steps::{IndexerStep, Lane};

type Record = dyn Fn(&mut StepContext<'_>) -> StepResult<()> + Send + Sync;
type Prepare = dyn Fn(u64, &mut HostContext<'_>) -> StepResult<()> + Send + Sync;
type Dummy = dyn Fn(&mut HostBuffers) -> StepResult<()> + Send + Sync;
type Other = dyn Fn() -> Result<Box<dyn Step>, KernelsError> + Send + Sync;
type Threads = dyn Fn(u64, &mut HostContext<'_>) -> StepResult<()> + Send + Sync;
type Fill = dyn Fn(u64, &mut HostBuffers) -> StepResult<()> + Send + Sync;

/// Elements of the small step's buffers.
pub const N: u32 = 64;

/// A step put together from closures. See [`Plant::small`] and [`Plant::indexer`].
pub struct Plant {
    name: &'static str,
    summary: String,
    modules: Vec<Module>,
    buffers: Vec<BufferSpec>,
    ground: Option<Arc<IndexerStep>>,
    record: Box<Record>,
    prepare: Box<Prepare>,
    fill: Box<Fill>,
    dummy: Option<Box<Dummy>>,
    unpadded: Option<Box<Other>>,
    beside: Option<Box<Other>>,
    reshaped: Option<Box<Other>>,
    threads: Option<Box<Threads>>,
}

impl Plant {
    /// A step of one launch: y = 3·x over `N` fp32 elements, x new in each step.
    ///
    /// # Errors
    /// Stale PTX.
    pub fn small(name: &'static str) -> Result<Self, KernelsError> {
        let buffers =
            vec![BufferSpec::input("x", DType::F32, [N as usize]), BufferSpec::output("y", DType::F32, [N as usize])];
        Ok(Plant {
            name,
            summary: format!("y = 3 x over {N} elements"),
            modules: vec![ptx::module("faults", PtxSource::Committed)?],
            buffers,
            ground: None,
            record: Box::new(|cx| cx.launch(scale(3.0))),
            prepare: Box::new(|_, _| Ok(())),
            fill: Box::new(|_, _| Ok(())),
            dummy: None,
            unpadded: None,
            beside: None,
            reshaped: None,
            threads: None,
        })
    }

    /// A lane of the indexer at a small shape, which a closure may add to.
    ///
    /// # Errors
    /// Stale PTX.
    pub fn indexer(name: &'static str, lane: Lane) -> Result<Self, KernelsError> {
        let shape = Shape { sq: 4, sk: 320, b: 1, h: 4, d: 32, topk: 32, ..Shape::default() };
        let ground = Arc::new(IndexerStep::new(lane, &shape, PtxSource::Committed)?);
        let mut modules = ground.modules();
        modules.push(ptx::module("faults", PtxSource::Committed)?);
        let lane = Arc::clone(&ground);
        Ok(Plant {
            name,
            summary: ground.summary(),
            modules,
            buffers: ground.buffers(),
            ground: Some(ground),
            record: Box::new(move |cx| lane.record(cx)),
            prepare: Box::new(|_, _| Ok(())),
            fill: Box::new(|_, _| Ok(())),
            dummy: None,
            unpadded: None,
            beside: None,
            reshaped: None,
            threads: None,
        })
    }

    /// The lane under this step, for closures that record it between other work.
    ///
    /// # Panics
    /// If the step is none of [`Plant::indexer`].
    pub fn ground(&self) -> Arc<IndexerStep> {
        Arc::clone(self.ground.as_ref().expect("only steps on a lane of the indexer ask for it"))
    }

    /// Declares further buffers.
    pub fn with(mut self, buffers: impl IntoIterator<Item = BufferSpec>) -> Self {
        self.buffers.extend(buffers);
        self
    }

    /// Declares these buffers instead of the small step's.
    pub fn buffers(mut self, buffers: impl IntoIterator<Item = BufferSpec>) -> Self {
        self.buffers = buffers.into_iter().collect();
        self
    }

    /// Adds a module of a hand-written kernel.
    pub fn module(mut self, name: &'static str, ptx: &'static str) -> Self {
        self.modules.push(Module::ptx(name, ptx));
        self
    }

    /// Instead of the ground's own work: `y` is three times `x`, and in two of three steps an IF node runs `body`
    /// behind it, which has the scratch `t`.
    pub fn with_body(mut self, body: impl Fn(&mut StepContext<'_>) -> StepResult<()> + Send + Sync + 'static) -> Self {
        self.modules.push(graphproof_harness::context::conditional_module());
        let inner = OnceLock::new();
        self.with([BufferSpec::input("go", DType::U32, [1]), BufferSpec::scratch("t", DType::F32, [N as usize])])
            .fill(|index, inputs| {
                inputs.slice_mut::<u32>("go")?[0] = u32::from(!index.is_multiple_of(3));
                Ok(())
            })
            .record(move |cx| {
                let inner = once(&inner, || {
                    let stream = Stream::blocking().map_err(|error| StepError::other(error.to_string()))?;
                    Ok(Arc::new(stream))
                })?;
                cx.launch(scale(3.0))?;
                cx.conditional(Condition::If, "go", inner, &mut |cx| body(cx))
            })
    }

    /// What the step enqueues, instead of the ground's own work.
    pub fn record(mut self, record: impl Fn(&mut StepContext<'_>) -> StepResult<()> + Send + Sync + 'static) -> Self {
        self.record = Box::new(record);
        self
    }

    /// What the host does before each step.
    pub fn prepare(
        mut self,
        prepare: impl Fn(u64, &mut HostContext<'_>) -> StepResult<()> + Send + Sync + 'static,
    ) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// Writes inputs after the ground's own: those that the fault needs.
    pub fn fill(mut self, fill: impl Fn(u64, &mut HostBuffers) -> StepResult<()> + Send + Sync + 'static) -> Self {
        self.fill = Box::new(fill);
        self
    }

    /// Overwrites inputs with those that an engine captures with before real ones are there.
    pub fn dummy(mut self, dummy: impl Fn(&mut HostBuffers) -> StepResult<()> + Send + Sync + 'static) -> Self {
        self.dummy = Some(Box::new(dummy));
        self
    }

    /// The same step without padding.
    pub fn unpadded(mut self, other: impl Fn() -> Result<Box<dyn Step>, KernelsError> + Send + Sync + 'static) -> Self {
        self.unpadded = Some(Box::new(other));
        self
    }

    /// A step whose graph lives in the same process.
    pub fn beside(mut self, other: impl Fn() -> Result<Box<dyn Step>, KernelsError> + Send + Sync + 'static) -> Self {
        self.beside = Some(Box::new(other));
        self
    }

    /// The same step at another shape, which a process meets later.
    pub fn reshaped(mut self, other: impl Fn() -> Result<Box<dyn Step>, KernelsError> + Send + Sync + 'static) -> Self {
        self.reshaped = Some(Box::new(other));
        self
    }

    /// What another host thread does while the step is replayed.
    pub fn beside_replay(
        mut self,
        work: impl Fn(u64, &mut HostContext<'_>) -> StepResult<()> + Send + Sync + 'static,
    ) -> Self {
        self.threads = Some(Box::new(work));
        self
    }

    /// The finished step.
    ///
    /// # Errors
    /// None; so that a fault's function can end with it.
    pub fn step(self) -> Result<Box<dyn Step>, KernelsError> {
        Ok(Box::new(self))
    }
}

/// The small step's launch: y = `factor`·x.
pub fn scale(factor: f32) -> Launch {
    Launch::new("scale").block([N, 1, 1]).buffer("x").buffer("y").value(factor).value(N)
}

/// Numbers without a pattern, in [0, 1), for element `i` of step `index`.
pub fn varied(index: u64, seed: u64, i: u64) -> f32 {
    let mixed = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (index + 1).wrapping_mul(0xC2B2_AE3D_27D4_EB4F) ^ seed;
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1u64 << 24) as f32
}

impl Step for Plant {
    fn name(&self) -> &str {
        self.name
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn modules(&self) -> Vec<Module> {
        self.modules.clone()
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        self.buffers.clone()
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        match &self.ground {
            Some(ground) => ground.fill_inputs(index, seed, inputs)?,
            None => {
                let names: Vec<String> = inputs.names().map(str::to_owned).collect();
                for name in names {
                    // Inputs of other types are the fault's own to fill.
                    let declared = self.buffers.iter().find(|spec| spec.name == name).map(|spec| spec.dtype);
                    if declared == Some(DType::F32) {
                        for (i, x) in inputs.slice_mut::<f32>(&name)?.iter_mut().enumerate() {
                            *x = varied(index, seed, i as u64);
                        }
                    }
                }
            }
        }
        (self.fill)(index, inputs)
    }

    fn fill_dummy(&self, inputs: &mut HostBuffers) -> StepResult<bool> {
        self.dummy.as_ref().map_or(Ok(false), |dummy| dummy(inputs).map(|()| true))
    }

    fn init_state(&self, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
        self.ground.as_ref().map_or(Ok(()), |ground| ground.init_state(seed, state))
    }

    fn unpadded(&self) -> Option<Box<dyn Step>> {
        self.unpadded.as_ref().and_then(|other| other().ok())
    }

    fn beside(&self) -> Option<Box<dyn Step>> {
        self.beside.as_ref().and_then(|other| other().ok())
    }

    fn reshaped(&self) -> Option<Box<dyn Step>> {
        self.reshaped.as_ref().and_then(|other| other().ok())
    }

    fn beside_replay(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<bool> {
        self.threads.as_ref().map_or(Ok(false), |work| work(index, cx).map(|()| true))
    }

    fn prepare(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<()> {
        (self.prepare)(index, cx)
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        (self.record)(cx)
    }
}
