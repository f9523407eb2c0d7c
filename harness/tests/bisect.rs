//! A replay that differs is taken apart to the first node whose result differs, wherever that is.

mod common;

use std::sync::Arc;

use common::{TestStep, judge, session, turn};
use cudarc::driver::sys;
use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::finding::Id;
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::step::{BufferSpec, DType, Step};

const N: usize = 32;
const LONG: usize = 6;

fn capturing(cx: &StepContext<'_>) -> bool {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    // SAFETY: the stream is the harness's, and the status is written to a local.
    let result = unsafe { sys::cuStreamIsCapturing(cx.stream(), &mut status) };
    assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
    status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE
}

/// A chain of copies through scratch buffers. Under capture the link `wrong` copies half of its elements
/// only; every link behind it hands that on.
fn chain(wrong: Option<usize>) -> TestStep {
    let mut buffers = vec![BufferSpec::input("in", DType::F32, [N]), BufferSpec::output("out", DType::F32, [N])];
    buffers.extend((1..LONG).map(|link| BufferSpec::scratch(format!("t{link}"), DType::F32, [N])));
    TestStep::new(buffers, move |cx| {
        let half = capturing(cx);
        for link in 0..LONG {
            let from = if link == 0 { "in".to_owned() } else { format!("t{link}") };
            let to = if link + 1 == LONG { "out".to_owned() } else { format!("t{}", link + 1) };
            let count = if half && wrong == Some(link) { N / 2 } else { N };
            let copy = Launch::new("copy_elements").block([N as u32, 1, 1]);
            cx.launch(copy.buffer(from).buffer(to).value(count as u32))?;
        }
        Ok(())
    })
}

#[test]
fn the_first_link_that_differs_is_named_wherever_it_is() {
    for wrong in 0..LONG {
        let outcome = judge(chain(Some(wrong)), 3);
        let result = outcome.report.findings.iter().find(|finding| matches!(finding.id, Id::R01 | Id::R02));
        let result = result.unwrap_or_else(|| panic!("{wrong}: {:#?}", outcome.report.findings));
        if result.id == Id::R01 {
            let note = result.notes.iter().find(|note| note.contains("the first node whose result differs"));
            let note = note.unwrap_or_else(|| panic!("{wrong}: {result:#?}"));
            assert!(note.contains(&format!("is node {wrong} (kernel copy_elements")), "{wrong}: {note}");
        }
    }
}

#[test]
fn what_comes_before_the_first_difference_is_said_to_be_equal() {
    for wrong in [1, 3, 5] {
        let _turn = turn();
        let step: Arc<dyn Step> = Arc::new(chain(Some(wrong)));
        let config = GateConfig { steps: 3, ..GateConfig::default() };
        let Ok(found) = gate::bisect(&session(), &step, &config).expect("it runs") else { continue };
        let Some(first) = &found.first else { continue };
        assert_eq!(first.node, wrong);
        let agrees: Vec<bool> = found.compared.iter().map(|work| work.agrees).collect();
        let expected: Vec<bool> = (0..=wrong).map(|link| link != wrong).collect();
        assert_eq!(agrees, expected);
    }
}

#[test]
fn a_step_that_agrees_has_nothing_to_take_apart() {
    let _turn = turn();
    let step: Arc<dyn Step> = Arc::new(chain(None));
    let config = GateConfig { steps: 3, ..GateConfig::default() };
    let found = gate::bisect(&session(), &step, &config).expect("it runs").expect("no finding");
    assert!(found.first.is_none() && found.stopped.is_none() && found.compared.is_empty(), "{found:#?}");
}
