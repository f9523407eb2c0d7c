//! The gate on the software driver: clean steps pass, and each fault is found at its place.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{TestStep, judge, only_finding};
use cudarc::driver::sys;
use graphproof_harness::context::{Launch, Phase, StepContext};
use graphproof_harness::cuda::{Session, Tiled};
use graphproof_harness::digest;
use graphproof_harness::error::StepResult;
use graphproof_harness::gate::{self, GateConfig, LaneOutcome};
use graphproof_harness::report::Verdict;
use graphproof_harness::step::{BufferSpec, DType, HostBuffers, Role, Step};

const ROWS: u32 = 32;
const COLUMNS: u32 = 37;

fn dot_buffers() -> Vec<BufferSpec> {
    vec![
        BufferSpec::input("a", DType::F32, [ROWS as usize, COLUMNS as usize]),
        BufferSpec::input("b", DType::F32, [COLUMNS as usize]),
        BufferSpec::output("out", DType::F32, [ROWS as usize]),
    ]
}

fn dot(cx: &mut StepContext<'_>, kernel: &str) -> StepResult<()> {
    cx.launch(Launch::new(kernel).block([ROWS, 1, 1]).buffer("a").buffer("b").buffer("out").value(COLUMNS))
}

#[test]
fn a_clean_step_passes_and_its_graph_is_read_back() {
    let outcome = judge(TestStep::new(dot_buffers(), |cx| dot(cx, "dot_ascending")), 20);
    let report = &outcome.report;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Pass, 0), "{:#?}", report.findings);
    assert_eq!((report.steps_agreeing, report.steps_compared), (20, 20));
    let graph = report.graph.as_ref().unwrap();
    assert_eq!((graph.nodes, graph.edges, graph.pointers), (1, 0, 3));
    let text = graph.topology.join("\n");
    assert_eq!(
        text,
        "0: kernel dot_ascending grid 1x1x1 block 32x1x1 shared 0\n      0 a\n      1 b\n      2 out\n      3 37"
    );
    let memory = report.memory.as_ref().unwrap();
    assert_eq!(memory.high_water, u64::from(4 * (ROWS * COLUMNS + COLUMNS + ROWS)));
}

#[test]
fn another_order_of_fmaf_under_capture_is_found_with_both_bit_patterns() {
    // Under capture the step takes another kernel, as capture-aware code does (catalogue V04).
    let step =
        TestStep::new(dot_buffers(), |cx| dot(cx, if capturing(cx) { "dot_descending" } else { "dot_ascending" }));
    let outcome = judge(step, 4);
    let ids: Vec<_> = outcome.report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["V04", "R01"]);
    let finding = &outcome.report.findings[1];
    assert_eq!(finding.step, Some(0));
    assert!(finding.expected.starts_with("eager: output 'out'["), "{}", finding.expected);
    assert!(finding.seen.starts_with("replay: output 'out'[") && finding.seen.contains("(0x"), "{}", finding.seen);
    let site = finding.site.as_ref().expect("the launch is named");
    assert!(site.file.ends_with("gate.rs") && site.what.contains("dot_descending"), "{site}");
    assert_eq!(outcome.report.verdict, Verdict::Fail);
}

#[test]
fn a_buffer_swapped_after_the_capture_is_found_before_the_replay() {
    let mut step = TestStep::new(dot_buffers(), |cx| dot(cx, "dot_ascending"));
    step.prepare = Box::new(|index, cx| match (cx.phase(), index) {
        (Phase::Replay, 3) => cx.reallocate("b"),
        _ => Ok(()),
    });
    let outcome = judge(step, 8);
    let finding = only_finding(&outcome);
    assert_eq!((finding.id.as_str(), finding.step), ("A08", Some(3)));
    assert!(finding.expected.contains("dot_ascending") && finding.expected.contains("parameter 1"), "{finding:?}");
    assert!(finding.site.as_ref().unwrap().what.contains("launch of dot_ascending"));
    assert!(finding.origin.as_ref().unwrap().what.contains("'b' reallocated"));
    assert_eq!(outcome.report.steps_compared, 3, "the stale graph is not replayed");
}

#[test]
fn state_is_carried_separately_and_agrees() {
    let buffers = vec![BufferSpec::input("in", DType::F32, [1]), BufferSpec::state("sum", DType::U32, [1])];
    let record = |cx: &mut StepContext<'_>| cx.launch(Launch::new("accumulate").buffer("in").buffer("sum"));
    let outcome = judge(TestStep::new(buffers, record), 40);
    assert_eq!(outcome.report.verdict, Verdict::Pass, "{:#?}", outcome.report.findings);
}

#[test]
fn a_step_that_disagrees_with_itself_is_no_graph_fault() {
    let buffers = vec![BufferSpec::output("now", DType::U64, [1])];
    let outcome = judge(TestStep::new(buffers, |cx| cx.launch(Launch::new("stamp").buffer("now"))), 3);
    assert_eq!(outcome.report.findings[0].id, "V07");
}

#[test]
fn an_element_that_is_never_written_is_found_by_its_poison() {
    let buffers = vec![BufferSpec::input("in", DType::F32, [32]), BufferSpec::output("out", DType::F32, [32])];
    let record = |cx: &mut StepContext<'_>| {
        cx.launch(Launch::new("copy_elements").block([32, 1, 1]).buffer("in").buffer("out").value(31u32))
    };
    let outcome = judge(TestStep::new(buffers, record), 3);
    let ids: Vec<_> = outcome.report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["R02"]);
    assert!(outcome.report.findings[0].expected.contains("'out'[31]"));
}

#[test]
fn a_synchronisation_inside_the_step_is_named_with_its_line() {
    let step = TestStep::new(dot_buffers(), |cx| {
        dot(cx, "dot_ascending")?;
        // SAFETY: the stream is the harness's.
        let result = unsafe { sys::cuStreamSynchronize(cx.stream()) };
        cx.check("cuStreamSynchronize", result)
    });
    let outcome = judge(step, 2);
    let finding = only_finding(&outcome);
    assert_eq!(finding.id, "S01");
    assert!(finding.seen.contains("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"), "{}", finding.seen);
    assert!(finding.seen.contains("cudaErrorStreamCaptureUnsupported"), "{}", finding.seen);
    assert!(finding.site.as_ref().unwrap().file.ends_with("gate.rs"));
    assert!(!outcome.poisoned, "the capture is ended and the next step can run");
}

#[test]
fn an_empty_graph_is_found() {
    let step = TestStep::new(dot_buffers(), |cx| if capturing(cx) { Ok(()) } else { dot(cx, "dot_ascending") });
    let outcome = judge(step, 1);
    assert_eq!(outcome.report.findings[0].id, "V13");
}

fn capturing(cx: &StepContext<'_>) -> bool {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    // SAFETY: the stream is the harness's, and the status is written to a local.
    let result = unsafe { sys::cuStreamIsCapturing(cx.stream(), &mut status) };
    assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
    status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE
}

#[test]
fn a_panic_in_the_step_becomes_a_finding() {
    let outcome = judge(TestStep::new(dot_buffers(), |_| panic!("out of cheese")), 1);
    let finding = only_finding(&outcome);
    assert_eq!((finding.id.as_str(), finding.seen.as_str()), ("E06", "out of cheese"));
}

#[test]
fn a_launch_with_the_wrong_arguments_is_refused_before_the_driver_sees_it() {
    let outcome = judge(TestStep::new(dot_buffers(), |cx| cx.launch(Launch::new("accumulate").buffer("a"))), 1);
    let finding = only_finding(&outcome);
    assert_eq!(finding.id, "E02");
    assert!(finding.seen.contains("takes parameters of [8, 8] bytes, but the launch gives [8]"), "{}", finding.seen);
}

#[test]
fn a_tensor_map_beyond_its_buffer_or_that_no_device_takes_is_refused_in_words() {
    let seen = |tiled: Tiled| {
        let step = TestStep::new(dot_buffers(), move |cx| {
            cx.launch(
                Launch::new("dot_ascending").buffer("a").tensor_map("b", tiled.clone()).buffer("out").value(COLUMNS),
            )
        });
        only_finding(&judge(step, 1)).seen.clone()
    };
    let beyond = seen(Tiled::new(DType::F32, [16, 3], [16, 1]));
    assert!(beyond.contains("a tensor map of buffer 'b' beyond its 148 bytes"), "{beyond}");
    let overflowing = seen(Tiled::new(DType::F32, [u64::MAX, 2], [16, 1]));
    assert!(overflowing.contains("a tensor map of buffer 'b' beyond its 148 bytes"), "{overflowing}");
    let wide = seen(Tiled::new(DType::F32, [16, 2], [64, 1]).swizzled_by_128());
    assert!(wide.contains("cuTensorMapEncodeTiled returned CUDA_ERROR_INVALID_VALUE"), "{wide}");
    let fits = seen(Tiled::new(DType::F32, [16, 2], [16, 1]));
    assert!(fits.contains("takes parameters of [8, 8, 8, 4] bytes, but the launch gives [8, 128, 8, 4]"), "{fits}");
}

fn copy_step() -> TestStep {
    let buffers = vec![BufferSpec::input("in", DType::F32, [32]), BufferSpec::output("out", DType::F32, [32])];
    TestStep::new(buffers, |cx| {
        cx.launch(Launch::new("copy_elements").block([32, 1, 1]).buffer("in").buffer("out").value(32u32))
    })
}

#[test]
fn digests_are_the_same_for_the_same_inputs_and_tell_steps_and_seeds_apart() {
    let run = |seed| {
        let _turn = common::turn();
        let step: Arc<dyn Step> = Arc::new(copy_step());
        let config = GateConfig { steps: 20, seed, ..GateConfig::default() };
        gate::run(&common::session(), &step, &config, &mut |_| {}).expect("the run takes place").report.digests
    };
    let digests = run(0);
    assert_eq!(digests, run(0));
    assert_ne!(digests.inputs, run(1).inputs);
    assert_eq!(digests.steps.len(), 20);
    assert!(digests.steps.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", digests.steps);
    assert_eq!(digests.buffers.keys().collect::<Vec<_>>(), ["out"]);
    // What is copied has the digest of what it is copied from.
    let mut inputs = HostBuffers::zeroed(&copy_step().buffers, |role| role == Role::Input);
    copy_step().fill_inputs(3, 0, &mut inputs).unwrap();
    let digest = digest::of_bytes(inputs.bytes("in").unwrap());
    assert_eq!(digests.steps[3], digest::hex(digest::join([(1, digest)])));
}

#[test]
fn an_input_that_only_a_late_step_changes_is_found() {
    let buffers = vec![
        BufferSpec::input("in", DType::F32, [32]),
        BufferSpec::input("late", DType::F32, [32]),
        BufferSpec::output("out", DType::F32, [32]),
    ];
    let prepared = Arc::new(AtomicU64::new(0));
    let present = Arc::clone(&prepared);
    let mut step = TestStep::new(buffers, move |cx| {
        cx.launch(Launch::new("copy_elements").block([32, 1, 1]).buffer("in").buffer("out").value(32u32))?;
        // A step without a control run.
        if !capturing(cx) && present.load(Ordering::Relaxed) == 11 {
            cx.memset("late", 7)?;
        }
        Ok(())
    });
    step.prepare = Box::new(move |index, _| {
        prepared.store(index, Ordering::Relaxed);
        Ok(())
    });
    let outcome = judge(step, 16);
    let finding = only_finding(&outcome);
    assert_eq!((finding.id.as_str(), finding.step), ("V08", Some(11)), "{finding:#?}");
    assert!(finding.seen.contains("after the eager run 32 of its elements differ"), "{}", finding.seen);
}

/// As on a GPU, where the driver does not say that an access lies beside a buffer.
fn judge_unchecked(step: TestStep) -> LaneOutcome {
    let _turn = common::turn();
    drop(common::session());
    let session = Arc::new(Session::open(0, false).expect("the device opens"));
    let config = GateConfig { steps: 3, ..GateConfig::default() };
    let step: Arc<dyn Step> = Arc::new(step);
    gate::run(&session, &step, &config, &mut |_| {}).expect("the run takes place")
}

#[test]
fn a_write_beside_a_buffer_is_found_by_its_guard_where_the_driver_does_not_check_bounds() {
    let buffers = vec![BufferSpec::input("in", DType::F32, [33]), BufferSpec::output("out", DType::F32, [32])];
    let outcome = judge_unchecked(TestStep::new(buffers, |cx| {
        cx.launch(Launch::new("copy_elements").block([64, 1, 1]).buffer("in").buffer("out").value(33u32))
    }));
    let finding = only_finding(&outcome);
    assert_eq!((finding.id.as_str(), finding.step), ("R04", Some(0)), "{finding:#?}");
    assert!(finding.seen.starts_with("byte 128 of output 'out' of 128 bytes"), "{}", finding.seen);
    assert!(finding.notes.iter().any(|note| note == "and in 2 later steps"), "{:?}", finding.notes);
}

/// Nothing faults, and eager run and replay agree on whatever lies behind the buffer,
/// unless the harness sees to it that they do not.
#[test]
fn a_value_read_beside_a_buffer_is_found_where_the_driver_does_not_check_bounds() {
    let judge = |elements: usize| {
        let buffers =
            vec![BufferSpec::input("in", DType::F32, [elements]), BufferSpec::output("out", DType::F32, [32])];
        judge_unchecked(TestStep::new(buffers, |cx| {
            cx.launch(Launch::new("shift_elements").block([32, 1, 1]).buffer("in").buffer("out").value(32u32))
        }))
    };
    let outcome = judge(32);
    let finding = only_finding(&outcome);
    assert_eq!((finding.id.as_str(), finding.step), ("R01", Some(0)), "{finding:#?}");
    assert!(finding.seen.contains("output 'out'[31]"), "{}", finding.seen);
    assert!(finding.notes.iter().any(|note| note.ends_with("the step reads beside one")), "{:?}", finding.notes);
    let clean = judge(33);
    assert!(clean.report.findings.is_empty(), "{:#?}", clean.report.findings);
}
