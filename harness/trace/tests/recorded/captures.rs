//! Captures: what broke them, and what was in them.

use graphproof_harness::finding::Id;

use crate::program::{GLOBAL, INVALIDATED, LOADER, Program, RELAXED, S, U, UNSUPPORTED};

#[test]
fn the_first_call_that_broke_a_capture_is_told_with_its_line() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.fails(13, "cuStreamSynchronize", &[("hStream", S)], UNSUPPORTED);
    program.fails(14, "cuLaunchKernel", &[("hStream", S)], INVALIDATED);
    let finding = program.end_fails(15, INVALIDATED).finds(Id::S01, 13);
    assert_eq!(finding.origin.as_ref().map(|site| site.line), Some(11));
    assert!(finding.seen.contains("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)"), "{finding:#?}");
    assert!(finding.seen.contains("cuStreamEndCapture returned CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"), "{finding:#?}");
    assert!(finding.notes.iter().any(|note| note.contains("torch/cuda/__init__.py:900")), "{finding:#?}");

    let mut twin = Program::new();
    twin.streams().begin(11, GLOBAL).launch(12, S).end(14, 0x10);
    let process = twin.ok(15, "cuStreamSynchronize", &[("hStream", S)], &[]).is_clean();
    let [capture] = &process.captures[..] else { panic!("{process:#?}") };
    assert_eq!((capture.place.as_str(), capture.mode.as_str(), capture.work), ("train.py:11", "global", 1));
    assert!(capture.succeeded && capture.nanoseconds.is_some());
}

#[test]
fn a_call_of_another_thread_is_told_by_its_thread_and_stack() {
    let breaks = |mode: u64| {
        let mut program = Program::new();
        program.streams().begin(11, mode).launch(12, S);
        program
    };
    let mut program = breaks(GLOBAL);
    program.call(LOADER, 40, "cuMemAlloc_v2", &[("bytesize", 64)], &[], UNSUPPORTED);
    let finding = program.end_fails(15, INVALIDATED).finds(Id::S07, 40);
    assert!(finding.notes.iter().any(|note| note.contains("thread 8")), "{finding:#?}");

    let mut twin = breaks(RELAXED);
    twin.call(LOADER, 40, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x7000)], 0);
    twin.end(15, 0x10).is_clean();
}

#[test]
fn the_mode_of_a_thread_is_followed() {
    // As PyTorch's allocator does: it gives itself the relaxed mode for one call.
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.ok(13, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 0)]);
    program.ok(14, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x7000)]);
    program.ok(15, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 2)]);
    let process = program.end(16, 0x10).is_clean();
    assert_eq!(process.captures[0].inside[0].function, "cuMemAlloc_v2");

    // After the guard the mode is the old one again.
    let mut late = Program::new();
    late.streams().begin(11, GLOBAL).launch(12, S);
    late.ok(13, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 0)]);
    late.ok(14, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 2)]);
    late.fails(15, "cuMemAlloc_v2", &[("bytesize", 64)], UNSUPPORTED);
    late.end_fails(16, INVALIDATED).finds(Id::A01, 15);
}

#[test]
fn a_call_that_succeeds_and_dooms_the_capture_is_told() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    let stack = program.stack(40);
    // As an older driver did for warp#1714: success, and the capture is lost.
    program.made.call(LOADER, "cuMemFreeAsync", &[("dptr", 0x9000)], 0).stack(stack).invalidated(S).end();
    program.end_fails(15, INVALIDATED);
    let report = program.told();
    let finding = report.findings().next().expect("a finding").1;
    assert_eq!((finding.id, finding.site.as_ref().map(|site| site.line)), (Id::S07, Some(40)), "{finding:#?}");
    assert!(finding.seen.contains("CUDA_SUCCESS, and the capture was invalid from there on"), "{finding:#?}");
    let [row] = &report.processes[0].disagreements[..] else { panic!("{:#?}", report.processes[0].disagreements) };
    assert!(row.model.contains("(906)") && row.driver.contains("CUDA_SUCCESS"), "{row:#?}");
}

#[test]
fn what_the_driver_lets_pass_is_a_row_and_no_fault() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.ok(13, "cuMemPoolTrimTo", &[("pool", 1)], &[]);
    let process = program.end(15, 0x10).process();
    assert!(process.findings.is_empty(), "{:#?}", process.findings);
    let [row] = &process.disagreements[..] else { panic!("{:#?}", process.disagreements) };
    assert_eq!((row.place.as_str(), row.mode.as_str(), row.driver_version), ("train.py:13", "global", 13000));
}

#[test]
fn the_work_that_nothing_joins_is_told() {
    let forked = || {
        let mut program = Program::new();
        program.streams().begin(11, GLOBAL).launch(12, S);
        program.ok(13, "cuEventRecord", &[("hEvent", 0xe1), ("hStream", S)], &[]);
        program.ok(14, "cuStreamWaitEvent", &[("hEvent", 0xe1), ("hStream", U)], &[]);
        program.launch(15, U);
        program
    };
    let mut program = forked();
    let finding = program.end_fails(20, 904).finds(Id::C04, 15);
    assert!(finding.notes.iter().any(|note| note.contains("train.py:14")), "{finding:#?}");

    let mut destroyed = forked();
    destroyed.ok(16, "cuStreamDestroy_v2", &[("hStream", U)], &[]);
    destroyed.end_fails(20, 904).finds(Id::C10, 16);

    let mut twin = forked();
    twin.ok(16, "cuEventRecord", &[("hEvent", 0xe2), ("hStream", U)], &[]);
    twin.ok(17, "cuStreamWaitEvent", &[("hEvent", 0xe2), ("hStream", S)], &[]);
    assert_eq!(twin.end(20, 0x10).is_clean().captures[0].streams, 2);
}

#[test]
fn legacy_work_beside_a_capture_is_told_by_what_became_of_it() {
    let mut refused = Program::new();
    refused.streams().begin(11, RELAXED);
    refused.fails(13, "cuMemsetD8_v2", &[("dstDevice", 0x7000)], 906);
    refused.end_fails(15, INVALIDATED).finds(Id::C01, 13);

    let beside = |stream: u64| {
        let mut program = Program::new();
        program.ok(1, "cuStreamCreate", &[("Flags", 1)], &[("phStream", S)]);
        program.begin(11, GLOBAL).launch(12, S).launch(13, stream).end(15, 0x10);
        program
    };
    beside(0).finds(Id::C02, 13);
    let mut other = beside(U);
    let finding = other.finds(Id::C03, 13);
    assert!(finding.seen.contains("runs now"), "{finding:#?}");
    beside(S).is_clean();
}

#[test]
fn a_capture_that_another_thread_ends_or_nobody_is_told() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.call(LOADER, 30, "cuStreamEndCapture", &[("hStream", S)], &[], 908).finds(Id::C07, 30);

    let mut open = Program::new();
    open.streams().begin(11, GLOBAL).launch(12, S).finds(Id::C09, 11);

    let mut broken = Program::new();
    broken.streams().begin(11, GLOBAL).fails(13, "cuStreamQuery", &[("hStream", S)], UNSUPPORTED);
    broken.finds(Id::S02, 13);
}

#[test]
fn a_pageable_copy_in_a_capture_is_told() {
    let copies = |pinned: bool| {
        let mut program = Program::new();
        program.streams();
        if pinned {
            program.ok(3, "cuMemHostAlloc", &[("bytesize", 4096), ("Flags", 0)], &[("pp", 0x7fff_0000)]);
        }
        program.begin(11, GLOBAL);
        let copy = [("dstDevice", 0x7000), ("srcHost", 0x7fff_0040), ("ByteCount", 64), ("hStream", S)];
        program.ok(12, "cuMemcpyHtoDAsync_v2", &copy, &[]).end(15, 0x10);
        program
    };
    copies(false).finds(Id::A11, 12);
    copies(true).is_clean();
}
