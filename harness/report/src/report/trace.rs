//! `--trace`: the timelines in the Trace Event Format, for Perfetto and `chrome://tracing`.
//!
//! One process for each lane, one track for each thread and stream of each of its runs. All runs
//! begin at 0, so that an eager run stands above its replay. Format: "Trace Event Format", Google,
//! the JSON object form; times in microseconds.

use graphproof_harness::report::{LaneReport, RunKind, Span, Timeline, Track};
use serde_json::{Map, Value, json};

use super::{Event, Reporter, escape};
use crate::receipt::{AtomicFile, Receipt};

/// Writes the trace when the run has ended.
pub struct TraceWriter(AtomicFile);

impl TraceWriter {
    /// Writes to `file`.
    pub fn new(file: AtomicFile) -> Self {
        TraceWriter(file)
    }
}

impl Reporter for TraceWriter {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunEnded { receipt, .. } => {
                // Compact: a trace is read by programs, and may be long.
                let text = escape::json(serde_json::to_string(&trace(receipt))?) + "\n";
                self.0.write(text.as_bytes())
            }
            _ => Ok(()),
        }
    }
}

/// The trace of a whole run.
pub fn trace(receipt: &Receipt) -> Value {
    let receipt = &*escape::receipt(receipt);
    let mut events = Vec::new();
    let mut arrows = 0;
    for (lane, report) in receipt.lanes.iter().enumerate() {
        process(&mut events, &mut arrows, lane as u64 + 1, report);
    }
    let without: Vec<&str> =
        receipt.lanes.iter().filter(|lane| lane.timelines.is_empty()).map(|lane| lane.step.as_str()).collect();
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "graphproof": receipt.provenance.graphproof,
            "driver": receipt.driver.kind.name(),
            "device": receipt.device.name,
            "verdict": receipt.verdict,
            "lanes without a timeline": without,
        },
    })
}

fn process(events: &mut Vec<Value>, arrows: &mut u64, pid: u64, lane: &LaneReport) {
    let mut metadata = |tid: u64, name: &str, args: Value| {
        events.push(json!({"ph": "M", "pid": pid, "tid": tid, "ts": 0, "name": name, "args": args}));
    };
    let shape = if lane.shape.is_empty() { String::new() } else { format!(" {}", lane.shape) };
    metadata(0, "process_name", json!({"name": format!("{}{shape}, seed {}", lane.step, lane.seed)}));
    metadata(0, "process_labels", json!({"labels": format!("{} findings", lane.findings.len())}));
    metadata(0, "process_sort_index", json!({"sort_index": pid}));
    let mut tid = 0;
    for timeline in &lane.timelines {
        let mut tracks: Vec<Track> = timeline.spans.iter().map(|span| span.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        let first = tid + 1;
        for track in &tracks {
            tid += 1;
            let name = format!("{}, step {}: {}", run_name(timeline.run), timeline.step, track_name(*track));
            events.push(
                json!({"ph": "M", "pid": pid, "tid": tid, "ts": 0, "name": "thread_name", "args": {"name": name}}),
            );
            events.push(
                json!({"ph": "M", "pid": pid, "tid": tid, "ts": 0, "name": "thread_sort_index", "args": {"sort_index": tid}}),
            );
        }
        let tid_of = |track: Track| first + tracks.iter().position(|&known| known == track).unwrap_or(0) as u64;
        for span in &timeline.spans {
            slice(events, pid, tid_of(span.track), timeline.run, span);
        }
        for (from, to) in launches(timeline) {
            *arrows += 1;
            for (phase, span) in [("s", from), ("f", to)] {
                let mut event = json!({
                    "ph": phase, "pid": pid, "tid": tid_of(span.track), "ts": micros(span.start_ns),
                    "id": *arrows, "cat": "launch", "name": "launch",
                });
                if phase == "f" {
                    event["bp"] = json!("e");
                }
                events.push(event);
            }
        }
    }
}

fn run_name(run: RunKind) -> &'static str {
    match run {
        RunKind::Eager => "eager",
        RunKind::Replay => "replay",
        RunKind::StalledStream => "held stream",
    }
}

fn track_name(track: Track) -> String {
    match track {
        Track::Host(thread) => format!("host thread {thread}"),
        Track::Stream(stream) => format!("stream {stream}"),
    }
}

fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

/// The span, and in it the time that it waited, which is drawn at its end: when in the call it
/// waited is not known, but that a call returns soon after its wait is.
fn slice(events: &mut Vec<Value>, pid: u64, tid: u64, run: RunKind, span: &Span) {
    let category = if matches!(span.track, Track::Host(_)) { "driver call" } else { "device work" };
    let mut args = Map::new();
    args.insert("run".to_owned(), json!(run));
    if let Some(node) = span.node {
        args.insert("node".to_owned(), json!(node));
    }
    if span.blocked_ns > 0 {
        args.insert("blocked_ns".to_owned(), json!(span.blocked_ns));
    }
    events.push(json!({
        "ph": "X", "pid": pid, "tid": tid, "ts": micros(span.start_ns), "dur": micros(span.duration_ns),
        "name": span.what, "cat": category, "args": args,
    }));
    let blocked = span.blocked_ns.min(span.duration_ns);
    if blocked > 0 {
        let start = span.start_ns.saturating_add(span.duration_ns - blocked);
        events.push(json!({
            "ph": "X", "pid": pid, "tid": tid, "ts": micros(start), "dur": micros(blocked),
            "name": "waits for the device", "cat": "blocked", "args": {},
        }));
    }
}

/// Which host call started which work, where that is certain: a single launch of a graph started
/// every node's work; calls that start work on the only stream do so in their order.
fn launches(timeline: &Timeline) -> Vec<(&Span, &Span)> {
    let host = || timeline.spans.iter().filter(|span| matches!(span.track, Track::Host(_)));
    let work: Vec<&Span> = timeline.spans.iter().filter(|span| matches!(span.track, Track::Stream(_))).collect();
    let graphs: Vec<&Span> = host().filter(|span| span.what.starts_with("cuGraphLaunch")).collect();
    let starts: Vec<(&Span, Work)> = host().filter_map(|span| Some((span, Work::of_call(&span.what)?))).collect();
    if let [launch] = graphs.as_slice() {
        if !starts.is_empty() {
            return Vec::new();
        }
        let nodes = work.into_iter().filter(|span| span.node.is_some() && span.start_ns >= launch.start_ns);
        return nodes.map(|span| (*launch, span)).collect();
    }
    let one_stream = work.windows(2).all(|pair| pair[0].track == pair[1].track);
    let fit = starts.len() == work.len()
        && starts
            .iter()
            .zip(&work)
            .all(|((call, kind), span)| *kind == Work::of_span(&span.what) && call.start_ns <= span.start_ns);
    if graphs.is_empty() && one_stream && fit {
        starts.into_iter().map(|(call, _)| call).zip(work).collect()
    } else {
        Vec::new()
    }
}

/// What a call starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Kernel,
    Copy,
    Set,
    Host,
    /// Of which no call is known.
    Other,
}

impl Work {
    fn of_call(name: &str) -> Option<Self> {
        const STARTS: [(&str, Work); 5] = [
            ("cuLaunchKernel", Work::Kernel),
            ("cuLaunchCooperativeKernel", Work::Kernel),
            ("cuLaunchHostFunc", Work::Host),
            ("cuMemcpy", Work::Copy),
            ("cuMemset", Work::Set),
        ];
        STARTS.into_iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, work)| work)
    }

    fn of_span(what: &str) -> Self {
        match what {
            "memory allocation" | "memory free" | "batch memory operation" => Work::Other,
            "memcpy" => Work::Copy,
            "memset" => Work::Set,
            "host function" => Work::Host,
            _ => Work::Kernel,
        }
    }
}
