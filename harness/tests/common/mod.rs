//! What the tests of the harness share: the software driver, one at a time, and a step made of
//! closures.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use graphproof_harness::context::{HostContext, StepContext};
use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverChoice};
use graphproof_harness::error::StepResult;
use graphproof_harness::finding::Finding;
use graphproof_harness::gate::{self, GateConfig, LaneOutcome};
use graphproof_harness::step::{BufferSpec, HostBuffers, Module, Step};

pub type Record = dyn Fn(&mut StepContext<'_>) -> StepResult<()> + Send + Sync;
pub type Prepare = dyn Fn(u64, &mut HostContext<'_>) -> StepResult<()> + Send + Sync;

/// A step whose parts a test gives as closures. Inputs are small integers that change per step.
pub struct TestStep {
    pub buffers: Vec<BufferSpec>,
    pub record: Box<Record>,
    pub prepare: Box<Prepare>,
}

impl TestStep {
    pub fn new(
        buffers: Vec<BufferSpec>,
        record: impl Fn(&mut StepContext<'_>) -> StepResult<()> + Send + Sync + 'static,
    ) -> Self {
        TestStep { buffers, record: Box::new(record), prepare: Box::new(|_, _| Ok(())) }
    }
}

impl Step for TestStep {
    fn name(&self) -> &str {
        "test"
    }

    fn summary(&self) -> String {
        "a step of the tests".into()
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module::ptx("kernels.ptx", include_str!("kernels.ptx"))]
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        self.buffers.clone()
    }

    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()> {
        let names: Vec<String> = inputs.names().map(str::to_owned).collect();
        for name in names {
            for (i, x) in inputs.slice_mut::<f32>(&name)?.iter_mut().enumerate() {
                let n = (i as u64).wrapping_mul(2654435761).wrapping_add(index * 97 + seed);
                *x = (n % 1021) as f32 / 7.0;
            }
        }
        Ok(())
    }

    fn prepare(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<()> {
        (self.prepare)(index, cx)
    }

    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        (self.record)(cx)
    }
}

/// One test at a time: a GLOBAL capture makes other threads' calls illegal, as CUDA says.
static TURN: Mutex<()> = Mutex::new(());

pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn session() -> Arc<Session> {
    static SESSION: OnceLock<Arc<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(|| {
        // On a machine with a GPU, GRAPHPROOF_TEST_DRIVER=system runs the same tests on it.
        let choice = std::env::var("GRAPHPROOF_TEST_DRIVER").map_or(Ok(DriverChoice::Software), |text| text.parse());
        let (_, session) = driver::open(choice.expect("auto, system or software")).expect("the driver opens");
        Arc::new(session)
    });
    session.bind().expect("the context binds");
    Arc::clone(session)
}

/// Runs a step through the gate on the software driver.
pub fn judge(step: TestStep, steps: u64) -> LaneOutcome {
    let _turn = turn();
    let step: Arc<dyn Step> = Arc::new(step);
    let config = GateConfig { steps, patience: Duration::from_secs(20), ..GateConfig::default() };
    gate::run(&session(), &step, &config, &mut |_| {}).expect("the run takes place")
}

/// The only finding of an outcome.
pub fn only_finding(outcome: &LaneOutcome) -> &Finding {
    match outcome.report.findings.as_slice() {
        [finding] => finding,
        other => panic!("expected one finding, got {other:#?}"),
    }
}
