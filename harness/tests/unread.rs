//! Words of a kernel's parameters that hold an address and that no kernel reads: what compilers leave between the
//! fields of a structure. They are no finding, whatever stands there; the same words where they are read are.

mod common;

use std::sync::{Arc, Mutex};

use common::{TestStep, judge};
use cudarc::driver::sys;
use graphproof_harness::context::{Launch, Phase, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::gate::LaneOutcome;
use graphproof_harness::step::{BufferSpec, DType};

const N: usize = 32;

fn buffers() -> Vec<BufferSpec> {
    vec![
        BufferSpec::input("in", DType::F32, [N]),
        BufferSpec::input("w", DType::F32, [N]),
        BufferSpec::output("out", DType::F32, [N]),
    ]
}

/// Where the doubtful address stands.
#[derive(Clone, Copy, PartialEq)]
enum Stands {
    InPadding,
    InTheField,
}

fn launch(cx: &mut StepContext<'_>, doubtful: u64, stands: Stands) -> StepResult<()> {
    let right = cx.address("w")?;
    let described = if stands == Stands::InPadding { [doubtful, right] } else { [right, doubtful] };
    let launch = Launch::new("add_padded").block([32, 1, 1]).buffer("in").buffer("out");
    cx.launch(launch.value(N as u32).value(described))
}

fn memory_of(value: f32) -> u64 {
    let mut address = 0;
    // SAFETY: the address is written to a local.
    assert_eq!(unsafe { sys::cuMemAlloc_v2(&mut address, 4 * N) }, sys::CUresult::CUDA_SUCCESS);
    // SAFETY: as many words as were allocated.
    assert_eq!(unsafe { sys::cuMemsetD32_v2(address, value.to_bits(), N) }, sys::CUresult::CUDA_SUCCESS);
    address
}

/// The address of `w` at the third call, which is that before the capture, for ever: the graph's own.
fn remembered(stands: Stands) -> TestStep {
    let seen: Mutex<Vec<u64>> = Mutex::default();
    TestStep::new(buffers(), move |cx| {
        let w = cx.address("w")?;
        let mut seen = seen.lock().unwrap();
        seen.push(w);
        launch(cx, if seen.len() < 3 { w } else { seen[2] }, stands)
    })
}

/// Memory of the step's own, other at each second call.
fn changing(stands: Stands) -> TestStep {
    let memory: Mutex<(Vec<u64>, usize)> = Mutex::default();
    TestStep::new(buffers(), move |cx| {
        let mut memory = memory.lock().unwrap();
        memory.1 += 1;
        // Made before the capture, which takes no allocation.
        while memory.0.len() < 64 && memory.1 == 1 {
            memory.0.push(memory_of(3.0));
        }
        launch(cx, memory.0[memory.1 / 2 % 64], stands)
    })
}

/// Memory of the step's own that is freed after some replays.
fn freed(stands: Stands) -> TestStep {
    let memory: Arc<Mutex<u64>> = Arc::default();
    let owner = Arc::clone(&memory);
    let mut step = TestStep::new(buffers(), move |cx| {
        let address = *memory.lock().unwrap();
        launch(cx, address, stands)
    });
    step.prepare = Box::new(move |index, cx| {
        let mut memory = owner.lock().unwrap();
        if *memory == 0 {
            *memory = memory_of(3.0);
        }
        if index == 9 && cx.phase() == Phase::Replay {
            // SAFETY: allocated above.
            assert_eq!(unsafe { sys::cuMemFree_v2(*memory) }, sys::CUresult::CUDA_SUCCESS);
            *memory = memory_of(3.0);
        }
        Ok(())
    });
    step
}

fn ids(outcome: &LaneOutcome) -> Vec<&str> {
    outcome.report.findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn silent(step: TestStep, id: &str) {
    let outcome = judge(step, 12);
    assert!(outcome.report.findings.is_empty(), "{:#?}", outcome.report.findings);
    assert_eq!(outcome.report.steps_agreeing, 12);
    // What was seen and not told is said.
    assert!(
        outcome.report.not_checked.iter().any(|line| line.contains("changes no result")),
        "{id}: {:?}",
        outcome.report.not_checked
    );
}

fn told(step: TestStep, id: &str) {
    let outcome = judge(step, 12);
    assert!(ids(&outcome).contains(&id), "{:#?}", outcome.report.findings);
    let found = outcome.report.findings.iter().find(|finding| finding.id == id).unwrap();
    assert!(found.site.as_ref().is_some_and(|site| site.file.ends_with("unread.rs")), "{found:#?}");
}

#[test]
fn a_buffers_address_that_is_remembered_in_padding_is_no_finding() {
    silent(remembered(Stands::InPadding), "A09");
}

#[test]
fn a_buffers_address_that_is_remembered_and_read_is_told() {
    told(remembered(Stands::InTheField), "A09");
}

#[test]
fn addresses_that_change_from_capture_to_capture_in_padding_are_no_finding() {
    silent(changing(Stands::InPadding), "A09");
}

#[test]
fn addresses_that_change_from_capture_to_capture_and_are_read_are_told() {
    told(changing(Stands::InTheField), "A09");
}

#[test]
fn a_dead_address_in_padding_is_no_finding() {
    silent(freed(Stands::InPadding), "A07");
}

#[test]
fn a_dead_address_that_is_read_is_told() {
    told(freed(Stands::InTheField), "A07");
}
