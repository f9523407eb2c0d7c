//! `--trace`, as Perfetto and chrome://tracing read it.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use graphproof::receipt::{self, Receipt};
use graphproof::report::trace::trace;
use graphproof_harness::report::{RunKind, Span, Timeline, Track};
use serde_json::Value;

/// A run of two lanes: its receipt, and the trace that it wrote.
fn run() -> (Receipt, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let (json, file) = (at("receipt.json"), at("trace.json"));
    let arguments = ["gate", "--driver", "software", "--step", "streamed", "--step", "decode", "--steps", "4"];
    let output = Command::new(env!("CARGO_BIN_EXE_graphproof"))
        .args(arguments)
        .args(["--shape", "sq=4,sk=64,h=2,d=32,topk=8", "--json", &json, "--trace", &file])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let written = serde_json::from_slice(&std::fs::read(&file).expect("written")).expect("JSON");
    (receipt::read(json.as_ref()).expect("a receipt"), written)
}

fn events(trace: &Value) -> &[Value] {
    trace["traceEvents"].as_array().expect("a list of events")
}

/// What the format asks of each event.
fn check(trace: &Value) {
    let mut names: HashMap<(u64, u64), String> = HashMap::new();
    let mut processes = HashSet::new();
    for event in events(trace) {
        let (pid, tid) = (event["pid"].as_u64().expect("pid"), event["tid"].as_u64().expect("tid"));
        let name = event["name"].as_str().expect("name");
        assert!(event["ts"].as_f64().is_some_and(|ts| ts >= 0.0), "{event}");
        match event["ph"].as_str().expect("ph") {
            "M" => match name {
                "process_name" => {
                    assert!(processes.insert(pid), "a process is named twice");
                }
                "thread_name" => {
                    let text = event["args"]["name"].as_str().expect("a name").to_owned();
                    assert!(names.insert((pid, tid), text).is_none(), "a track is named twice");
                }
                _ => assert!(!event["args"].is_null(), "{event}"),
            },
            "X" => {
                assert!(event["dur"].as_f64().is_some_and(|dur| dur >= 0.0), "{event}");
                assert!(!name.is_empty() && event["cat"].is_string(), "{event}");
                assert!(names.contains_key(&(pid, tid)) && processes.contains(&pid), "{event}");
            }
            "s" | "f" => assert!(event["id"].is_u64() && event["cat"].is_string(), "{event}"),
            other => panic!("{other}: {event}"),
        }
    }
    let ids = |phase: &str| -> Vec<u64> {
        events(trace).iter().filter(|event| event["ph"] == phase).filter_map(|event| event["id"].as_u64()).collect()
    };
    let (starts, ends) = (ids("s"), ids("f"));
    assert_eq!(starts, ends, "each arrow has a start and an end");
    assert_eq!(starts.iter().collect::<HashSet<_>>().len(), starts.len(), "no arrow's number is used twice");
}

#[test]
fn a_trace_holds_every_span_on_a_named_track() {
    let (receipt, written) = run();
    check(&written);
    assert_eq!(written, trace(&receipt), "the file is what the receipt gives");
    let slices = events(&written).iter().filter(|event| event["ph"] == "X" && event["cat"] != "blocked").count();
    let spans: usize = receipt.lanes.iter().flat_map(|lane| &lane.timelines).map(|timeline| timeline.spans.len()).sum();
    assert_eq!(slices, spans);
    let names: Vec<&str> = events(&written)
        .iter()
        .filter(|event| event["name"] == "thread_name" && event["pid"] == 1)
        .filter_map(|event| event["args"]["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "eager, step 3: host thread 0",
            "eager, step 3: stream 0",
            "replay, step 3: host thread 0",
            "replay, step 3: stream 0"
        ]
    );
    // Every launch of the eager run, and every node of the replay, is led to by an arrow.
    let work = receipt.lanes.iter().flat_map(|lane| &lane.timelines).flat_map(|timeline| &timeline.spans);
    let work = work.filter(|span| matches!(span.track, Track::Stream(_))).count();
    assert_eq!(events(&written).iter().filter(|event| event["ph"] == "f").count(), work);
    let replayed = events(&written).iter().filter(|event| event["args"]["node"].is_u64());
    assert!(replayed.clone().count() > 0 && replayed.clone().all(|event| event["cat"] == "device work"));
}

/// The lane with one timeline of these spans.
fn with(receipt: &Receipt, spans: Vec<Span>) -> Value {
    let mut receipt = receipt.clone();
    receipt.lanes.truncate(1);
    receipt.lanes[0].timelines = vec![Timeline { run: RunKind::StalledStream, step: 3, spans, dropped: 0 }];
    trace(&receipt)
}

fn span(track: Track, what: &str, start_ns: u64, duration_ns: u64, blocked_ns: u64) -> Span {
    Span { track, what: what.to_owned(), start_ns, duration_ns, blocked_ns, node: None }
}

#[test]
fn waits_are_nested_and_doubtful_launches_have_no_arrow() {
    let (receipt, _) = run();
    let host = |what, at, blocked| span(Track::Host(0), what, at, 1_000, blocked);
    let wait = with(&receipt, vec![host("cuStreamSynchronize", 500, 400), host("cuCtxSynchronize", 5_000, u64::MAX)]);
    check(&wait);
    let blocked: Vec<(f64, f64)> = events(&wait)
        .iter()
        .filter(|event| event["cat"] == "blocked")
        .map(|event| (event["ts"].as_f64().expect("ts"), event["dur"].as_f64().expect("dur")))
        .collect();
    // At the end of its call, and never longer than it.
    assert_eq!(blocked, [(1.1, 0.4), (5.0, 1.0)]);

    let arrows = |spans| {
        let trace = with(&receipt, spans);
        check(&trace);
        events(&trace).iter().filter(|event| event["ph"] == "s").count()
    };
    let launches = || vec![host("cuLaunchKernel", 0, 0), host("cuMemcpyDtoHAsync_v2", 2_000, 0)];
    let work = |stream, what, at| span(Track::Stream(stream), what, at, 100, 0);
    let mut matched = launches();
    matched.extend([work(0, "score", 1_500), work(0, "memcpy", 2_500)]);
    assert_eq!(arrows(matched), 2);
    let mut swapped = launches();
    swapped.extend([work(0, "memcpy", 1_500), work(0, "score", 2_500)]);
    assert_eq!(arrows(swapped), 0, "the kinds do not fit");
    let mut two_streams = launches();
    two_streams.extend([work(0, "score", 1_500), work(1, "memcpy", 2_500)]);
    assert_eq!(arrows(two_streams), 0, "which call started what is not known");
    let mut early = launches();
    early.extend([work(0, "score", 1_500), work(0, "memcpy", 1_900)]);
    assert_eq!(arrows(early), 0, "work cannot begin before its call");
}

#[test]
fn a_lane_without_a_timeline_is_named() {
    let (mut receipt, _) = run();
    receipt.lanes[1].timelines.clear();
    let trace = trace(&receipt);
    check(&trace);
    assert_eq!(trace["otherData"]["lanes without a timeline"], serde_json::json!(["decode"]));
    assert_eq!(trace["otherData"]["driver"], "software");
}
