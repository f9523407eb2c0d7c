//! The checks that look beyond a replay that happens to agree: each finds its fault, with its
//! place. The clean twin of all of them is `a_clean_step_passes…` in `gate.rs`.

mod common;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{TestStep, judge};
use cudarc::driver::sys;
use graphproof_harness::context::{Launch, StepContext};
use graphproof_harness::error::StepResult;
use graphproof_harness::finding::Finding;
use graphproof_harness::gate::LaneOutcome;
use graphproof_harness::step::{BufferSpec, DType};

const ROWS: u32 = 32;
const COLUMNS: u32 = 37;

fn dot_buffers() -> Vec<BufferSpec> {
    vec![
        BufferSpec::input("a", DType::F32, [ROWS as usize, COLUMNS as usize]),
        BufferSpec::input("b", DType::F32, [COLUMNS as usize]),
        BufferSpec::output("out", DType::F32, [ROWS as usize]),
    ]
}

fn dot(kernel: &str, columns: u32) -> Launch {
    Launch::new(kernel).block([ROWS, 1, 1]).buffer("a").buffer("b").buffer("out").value(columns)
}

fn find<'a>(outcome: &'a LaneOutcome, id: &str) -> &'a Finding {
    let findings = &outcome.report.findings;
    findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id} in {findings:#?}"))
}

fn site_is_here(finding: &Finding) {
    assert!(finding.site.as_ref().is_some_and(|site| site.file.ends_with("checks.rs")), "{finding:#?}");
}

fn capturing(cx: &StepContext<'_>) -> bool {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    // SAFETY: the stream is the harness's, and the status is written to a local.
    let result = unsafe { sys::cuStreamIsCapturing(cx.stream(), &mut status) };
    assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
    status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE
}

#[test]
fn a_scalar_that_the_host_changes_is_baked() {
    let calls = AtomicU32::new(0);
    let step = TestStep::new(dot_buffers(), move |cx| {
        cx.launch(dot("dot_ascending", COLUMNS - calls.fetch_add(1, Ordering::Relaxed) % 3))
    });
    let outcome = judge(step, 6);
    let finding = find(&outcome, "V01");
    assert!(finding.expected.contains("kernel dot_ascending, parameter 3 = "), "{}", finding.expected);
    assert!(finding.expected.contains("at step 0"), "{}", finding.expected);
    site_is_here(finding);
}

#[test]
fn a_grid_that_the_host_changes_is_baked() {
    let calls = AtomicU32::new(0);
    let step = TestStep::new(dot_buffers(), move |cx| {
        let blocks = 1 + calls.fetch_add(1, Ordering::Relaxed) % 2;
        cx.launch(dot("dot_ascending", COLUMNS).grid([blocks, 1, 1]))
    });
    let finding = find(&judge(step, 6), "V01").clone();
    assert!(finding.expected.contains("grid 1x1x1") || finding.seen.contains("grid 1x1x1"), "{finding:#?}");
}

#[test]
fn a_branch_that_the_host_takes_is_frozen() {
    let calls = AtomicU32::new(0);
    let step = TestStep::new(dot_buffers(), move |cx| {
        let forward = calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        cx.launch(dot(if forward { "dot_ascending" } else { "dot_descending" }, COLUMNS))
    });
    site_is_here(find(&judge(step, 6), "V02"));
}

#[test]
fn a_node_that_comes_and_goes_changes_the_structure() {
    let calls = AtomicU32::new(0);
    let step = TestStep::new(dot_buffers(), move |cx| {
        if calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            cx.memset("out", 0)?;
        }
        cx.launch(dot("dot_ascending", COLUMNS))
    });
    let outcome = judge(step, 6);
    let finding = find(&outcome, "V05");
    assert!(finding.notes[0].contains("memset") && finding.notes[0].contains("dot_ascending"), "{finding:#?}");
}

#[test]
fn an_address_that_the_step_remembers_does_not_follow_its_buffer() {
    let remembered = OnceLock::new();
    let step = TestStep::new(dot_buffers(), move |cx| {
        let address = cx.address("b")?;
        let address = *remembered.get_or_init(|| address);
        let launch = Launch::new("dot_ascending").block([ROWS, 1, 1]);
        cx.launch(launch.buffer("a").value(address).buffer("out").value(COLUMNS))
    });
    let outcome = judge(step, 6);
    let finding = find(&outcome, "A09");
    assert!(finding.expected.contains("parameter 1") && finding.seen.contains("address b+0"), "{finding:#?}");
    site_is_here(finding);
}

#[test]
fn a_reset_that_is_missing_from_the_graph_shows_when_the_first_inputs_come_again() {
    let buffers = vec![
        BufferSpec::input("in", DType::F32, [1]),
        BufferSpec::input("zero", DType::U32, [1]),
        BufferSpec::output("sum", DType::U32, [1]),
    ];
    // Memory that the step owns and that the harness does not know.
    let hidden = OnceLock::new();
    let step = TestStep::new(buffers, move |cx| {
        let accumulator = *hidden.get_or_init(|| {
            let mut address = 0;
            // SAFETY: an allocation whose address is written to a local.
            assert_eq!(unsafe { sys::cuMemAlloc_v2(&mut address, 4) }, sys::CUresult::CUDA_SUCCESS);
            address
        });
        if !capturing(cx) {
            // SAFETY: the allocation above, of 4 bytes.
            let result = unsafe { sys::cuMemsetD8Async(accumulator, 0, 4, cx.stream()) };
            cx.check("cuMemsetD8Async", result)?;
        }
        cx.launch(Launch::new("accumulate").buffer("in").value(accumulator))?;
        let (sum, stream) = (cx.address("sum")?, cx.stream());
        // SAFETY: two live allocations of 4 bytes.
        let result = unsafe { sys::cuMemcpyDtoDAsync_v2(sum, accumulator, 4, stream) };
        cx.check("cuMemcpyDtoDAsync_v2", result)
    });
    let outcome = judge(step, 3);
    assert_eq!(find(&outcome, "R03").step, Some(1));
    find(&outcome, "R01");
}

fn synchronise_unless_capturing(cx: &mut StepContext<'_>) -> StepResult<()> {
    cx.launch(dot("dot_ascending", COLUMNS))?;
    if capturing(cx) {
        return Ok(());
    }
    // SAFETY: the stream is the harness's.
    let result = unsafe { sys::cuStreamSynchronize(cx.stream()) };
    cx.check("cuStreamSynchronize", result)
}

#[test]
fn a_synchronisation_that_hides_from_the_capture_is_caught_with_the_stream_held() {
    let outcome = judge(TestStep::new(dot_buffers(), synchronise_unless_capturing), 3);
    let finding = find(&outcome, "S14");
    assert!(finding.seen.contains("launch of dot_ascending"), "{finding:#?}");
    site_is_here(finding);
}

#[test]
fn memory_that_another_takes_is_no_growth_of_the_step() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    let (taken, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let other = {
        let (taken, ends, session) = (Arc::clone(&taken), Arc::clone(&ends), common::session());
        std::thread::spawn(move || {
            session.bind().expect("the context binds");
            let mut mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
            // SAFETY: the mode is a local. As another process, this thread is none of the capture's business.
            let result = unsafe { sys::cuThreadExchangeStreamCaptureMode(&mut mode) };
            assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
            let mut held = Vec::new();
            while !ends.load(Ordering::Acquire) {
                let mut address = 0;
                // SAFETY: the address is written to a local.
                let result = unsafe { sys::cuMemAlloc_v2(&mut address, 4096) };
                assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
                held.push(address);
                taken.fetch_add(1, Ordering::Release);
                // Not to fill the memory: nobody relies on the time.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            for address in held {
                // SAFETY: allocated above, and used by nobody.
                assert_eq!(unsafe { sys::cuMemFree_v2(address) }, sys::CUresult::CUDA_SUCCESS);
            }
        })
    };
    // Between two samples there is an eager run: each waits for one more allocation.
    let step = TestStep::new(dot_buffers(), move |cx| {
        let before = taken.load(Ordering::Acquire);
        while taken.load(Ordering::Acquire) == before {
            std::thread::yield_now();
        }
        cx.launch(dot("dot_ascending", COLUMNS))
    });
    let outcome = judge(step, 10);
    ends.store(true, Ordering::Release);
    other.join().expect("the other thread ends");
    let report = &outcome.report;
    assert!(!report.findings.iter().any(|finding| finding.id == "L01"), "{:#?}", report.findings);
    assert!(
        report.not_checked.iter().any(|why| why.starts_with("growth of device memory: what is free changes")),
        "{:#?}",
        report.not_checked
    );
}

/// Memory that the step's owner takes before each run of the step, up to a number of times.
fn takes(most: u64) -> LaneOutcome {
    use std::sync::atomic::AtomicU64;

    let taken = AtomicU64::new(0);
    let mut step = TestStep::new(dot_buffers(), |cx| cx.launch(dot("dot_ascending", COLUMNS)));
    step.prepare = Box::new(move |_, _| {
        if taken.fetch_add(1, Ordering::Relaxed) < most {
            let mut address = 0;
            // SAFETY: the address is written to a local.
            assert_eq!(unsafe { sys::cuMemAlloc_v2(&mut address, 4096) }, sys::CUresult::CUDA_SUCCESS);
        }
        Ok(())
    });
    judge(step, 10)
}

#[test]
fn a_cache_that_fills_over_the_whole_run_is_no_leak_and_what_goes_on_is() {
    let told = |outcome: LaneOutcome| outcome.report.findings.iter().any(|finding| finding.id == "L01");
    assert!(!told(takes(26)), "a cache");
    assert!(told(takes(u64::MAX)), "a leak");
}
