//! Streams and modes as users have them: a clean step passes on each, and what a mode allows is allowed.

mod common;

use std::sync::{Arc, OnceLock};

use common::TestStep;
use cudarc::driver::sys;
use graphproof_harness::capture_as::{CaptureMode, StreamKind};
use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::gate::{self, GateConfig, LaneOutcome};
use graphproof_harness::step::{BufferSpec, DType, Step};

const N: usize = 32;

fn buffers() -> Vec<BufferSpec> {
    vec![
        BufferSpec::input("in", DType::F32, [N]),
        BufferSpec::state("sum", DType::U32, [1]),
        BufferSpec::output("out", DType::F32, [N]),
    ]
}

fn work(cx: &mut StepContext<'_>) -> StepResult<()> {
    cx.memset("out", 0)?;
    cx.launch(Launch::new("copy_elements").block([32, 1, 1]).buffer("in").buffer("out").value(N as u32))?;
    cx.launch(Launch::new("accumulate").buffer("in").buffer("sum"))
}

fn judge_on(step: TestStep, stream: StreamKind, mode: CaptureMode) -> LaneOutcome {
    let _turn = common::turn();
    let step: Arc<dyn Step> = Arc::new(step);
    let config = GateConfig { steps: 12, stream, mode, ..GateConfig::default() };
    gate::run(&common::session(), &step, &config, &mut |_| {}).expect("the run takes place")
}

#[test]
fn a_clean_step_passes_on_every_stream_in_every_mode() {
    for stream in StreamKind::ALL {
        for mode in CaptureMode::ALL {
            let report = judge_on(TestStep::new(buffers(), work), stream, mode).report;
            assert!(report.findings.is_empty(), "{stream}, {mode}: {:#?}", report.findings);
            assert_eq!((report.steps_agreeing, report.steps_compared), (12, 12), "{stream}, {mode}");
            let said = report.not_checked.iter().any(|text| text.contains(stream.name()) && text.contains(mode.name()));
            assert_eq!(said, (stream, mode) != (StreamKind::Blocking, CaptureMode::Global), "{stream}, {mode}");
        }
    }
}

/// A step beside which another thread makes a call that only GLOBAL mode forbids.
fn beside_a_thread() -> TestStep {
    let beside = OnceLock::new();
    TestStep::new(buffers(), move |cx| {
        work(cx)?;
        let event = *beside.get_or_init(|| {
            let mut event = std::ptr::null_mut();
            // SAFETY: the handle is written to a local.
            assert_eq!(unsafe { sys::cuEventCreate(&mut event, 2) }, sys::CUresult::CUDA_SUCCESS);
            event.addr()
        });
        let mut context = std::ptr::null_mut();
        // SAFETY: the handle is written to a local.
        let result = unsafe { sys::cuCtxGetCurrent(&mut context) };
        cx.check("cuCtxGetCurrent", result)?;
        let context = context.addr();
        std::thread::spawn(move || {
            // SAFETY: handles that live as long as the process.
            unsafe {
                sys::cuCtxSetCurrent(std::ptr::with_exposed_provenance_mut(context));
                sys::cuEventSynchronize(std::ptr::with_exposed_provenance_mut(event));
            }
        })
        .join()
        .expect("the thread ends");
        work(cx)
    })
}

#[test]
fn another_threads_call_is_a_fault_in_global_mode_only() {
    let ids = |mode| {
        let report = judge_on(beside_a_thread(), StreamKind::Blocking, mode).report;
        report.findings.iter().map(|finding| finding.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(CaptureMode::Global), ["S07"]);
    assert_eq!(ids(CaptureMode::ThreadLocal), Vec::<String>::new());
    assert_eq!(ids(CaptureMode::Relaxed), Vec::<String>::new());
}

#[test]
fn names_are_read_as_they_are_written() {
    for kind in StreamKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    for mode in CaptureMode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert_eq!("wide".parse::<CaptureMode>().unwrap_err(), "'wide' is none of global, thread-local, relaxed");
    assert!("wide".parse::<StreamKind>().unwrap_err().contains("blocking, nonblocking, per-thread, legacy"));
}
