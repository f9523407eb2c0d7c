//! Judges examples and texts on the software driver.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverChoice};
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::report::LaneReport;
use graphproof_report::suite::Suite as _;
use graphproof_stepfile::StepFile;

/// The examples, each with another shape.
pub const EXAMPLES: [(&str, &str); 7] = [
    ("chain.toml", "rows=3,width=43"),
    ("conditional.toml", "n=77"),
    ("fork.toml", "n=33"),
    ("grid_sync.toml", "n=100,blocks=3"),
    ("pitched.toml", "rows=3,width=33,pitch=33"),
    ("softmax.toml", "rows=1,width=1"),
    ("triton.toml", "rows=9,n=256"),
];

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/steps").join(name)
}

/// One driver for the process, and one run at a time.
static SESSION: LazyLock<Mutex<Arc<Session>>> = LazyLock::new(|| {
    let (_, session) = driver::open(DriverChoice::Software).expect("the software driver");
    Mutex::new(Arc::new(session))
});

/// Judges the first step of an example.
pub fn judge(name: &str, shape: &str) -> LaneReport {
    judge_suite(&StepFile::read(&example(name)).expect(name), shape)
}

/// Judges the first step of `text`, whose files are those of the examples.
pub fn judge_text(name: &str, text: &str, shape: &str) -> LaneReport {
    judge_suite(&StepFile::parse(&example(name), text).expect(name), shape)
}

fn judge_suite(suite: &StepFile, shape: &str) -> LaneReport {
    let session = SESSION.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let step = suite.step(&suite.steps()[0].name, &suite.shape(shape).expect(shape)).expect("a step");
    let config = GateConfig { steps: 8, ..GateConfig::default() };
    gate::run(&session, &step, &config, &mut |_| {}).expect("a run").report
}
