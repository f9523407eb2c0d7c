//! A kernel that never ends. The run is lost with its thread, so this test has a process of its own.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{TestStep, session};
use graphproof_harness::context::Launch;
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::step::{BufferSpec, DType, Step};

#[test]
fn a_kernel_that_never_ends_becomes_a_finding() {
    let buffers = vec![BufferSpec::output("out", DType::U32, [1])];
    let step: Arc<dyn Step> = Arc::new(TestStep::new(buffers, |cx| cx.launch(Launch::new("forever").buffer("out"))));
    let config = GateConfig { steps: 1, patience: Duration::from_secs(1), ..GateConfig::default() };
    let outcome = gate::run(&session(), &step, &config, &mut |_| {}).expect("the run takes place");
    let finding = common::only_finding(&outcome);
    assert_eq!(finding.id, "E04");
    assert!(finding.site.as_ref().unwrap().what.contains("launch of forever"));
    assert!(outcome.poisoned);
}
