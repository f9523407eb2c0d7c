//! Receipts to draw: of real runs, and of runs that nobody wants.

use std::collections::BTreeMap;

use graphproof::receipt::{self, Geometry, Receipt};
use graphproof_harness::finding::{Check, Finding, Id, Site};
use graphproof_harness::report::{
    BufferBytes, Digests, GraphReport, LaneReport, NodeReport, RunKind, Span, Spread, Timeline, Track, Verdict,
};
use graphproof_kernels::memory::memory_story;
use graphproof_kernels::steps::Lane;
use graphproof_kernels::{Shape, memory};

use super::{graphproof, printed};

/// The four lanes, small, with the gate's own figures at other lengths.
pub fn passing() -> Receipt {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("receipt.json");
    let path = file.to_str().expect("a path in UTF-8");
    let mut arguments = vec!["gate", "--driver", "software", "--json", path, "--steps"];
    arguments.push(if std::env::var_os("GRAPHPROOF_REPORT_SHAPE").is_some() { "64" } else { "8" });
    // The default shape takes a while; it is for looking at.
    let shape = std::env::var("GRAPHPROOF_REPORT_SHAPE").unwrap_or("sq=8,sk=320,h=4,d=32,topk=32".to_owned());
    arguments.extend(["--shape", &shape]);
    let output = graphproof(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    receipt::read(&file).expect("a receipt")
}

/// [`passing`], after a change: the fused lane launches another grid, and clears a buffer more.
pub fn changed() -> Receipt {
    let mut receipt = passing();
    let lane = receipt.lanes.iter_mut().find(|lane| lane.step == "fused").expect("the lane");
    change_graph(lane);
    receipt
}

/// [`hostile`], after a change of every graph.
pub fn changed_hostile() -> Receipt {
    let mut receipt = hostile();
    receipt.lanes.iter_mut().for_each(change_graph);
    receipt
}

fn change_graph(lane: &mut LaneReport) {
    let Some(graph) = &mut lane.graph else { return };
    let at = graph.node_list.len().saturating_sub(1);
    if let Some(node) = graph.node_list.last_mut() {
        node.headline = node.headline.replace("grid ", "grid 2");
    }
    for line in graph.topology.iter_mut().filter(|line| line.starts_with(&format!("{at}: "))) {
        *line = line.replace("grid ", "grid 2");
    }
    graph.topology.push(format!("{}: memset 4096x1 elements of 1 bytes to 0x0", at + 1));
    graph.node_list.push(NodeReport {
        headline: "memset 4096x1 elements of 1 bytes to 0x0".to_owned(),
        kernel: None,
        site: None,
        buffers: vec!["bits".to_owned()],
    });
    graph.edge_list.push([at, at + 1]);
    (graph.nodes, graph.edges) = (graph.node_list.len(), graph.edge_list.len());
}

/// The closed forms of the lanes up to a million keys; the shorter lengths count as measured.
fn geometry() -> Vec<Geometry> {
    let lanes = [Lane::Materialized, Lane::Streamed, Lane::Fused, Lane::Decode];
    let row = |lane: Lane, power: u32| {
        let length = 1_u32 << power;
        let shape = Shape { sq: length, sk: length, b: 1, h: 1, d: 128, topk: 1024, ..Shape::default() };
        let story = memory_story(lane, &shape);
        let measured = (power <= 15).then(|| story.bytes() as u64);
        Geometry {
            step: lane.name().to_owned(),
            shape: shape.to_string(),
            length: u64::from(length),
            closed_form: story.bytes() as u64,
            formula: story.formula(),
            terms: Vec::new(),
            published: Vec::new(),
            measured,
            not_measured: measured.is_none().then(|| format!("more than {:.0} MiB", memory::mebibytes(1 << 36))),
        }
    };
    lanes.into_iter().flat_map(|lane| (12..=18).map(move |power| row(lane, power))).collect()
}

/// Planted faults as the lanes of one run: a moved buffer, a race, a frozen branch, an aborted
/// capture, and a lane that is in order.
pub fn failing() -> Receipt {
    let names = ["scratch-reallocated", "first-come-ties", "boolean-mask", "read-back", "unjoined-fork"];
    let mut lanes: Vec<LaneReport> = names.into_iter().flat_map(|name| fault(name, false)).collect();
    lanes.extend(fault("missing-memset", true));
    lanes[2].timelines.push(hidden_sync());
    lanes[4].not_checked.push("guards around buffers: the capture did not come to an end".to_owned());
    with_lanes(lanes)
}

fn fault(name: &str, twin: bool) -> Vec<LaneReport> {
    let mut arguments = vec!["fault-child", name, "--driver", "software"];
    if twin {
        arguments.push("--twin");
    }
    let output = graphproof(&arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", printed(&output)))
}

/// A run with two threads and two streams that stands still in its middle.
fn hidden_sync() -> Timeline {
    let mut spans = Vec::new();
    let mut add = |track, what: &str, start_ns, duration_ns, blocked_ns| {
        spans.push(Span { track, what: what.to_owned(), start_ns, duration_ns, blocked_ns, node: None });
    };
    add(Track::Host(0), "cuLaunchKernel", 0, 8_000, 0);
    add(Track::Host(0), "cuLaunchKernel", 10_000, 8_000, 0);
    add(Track::Host(0), "cuMemcpyDtoH_v2", 20_000, 400_000, 380_000);
    add(Track::Host(1), "cuEventQuery", 50_000, 90_000, 0);
    add(Track::Stream(0), "score_rows", 9_000, 200_000, 0);
    add(Track::Stream(0), "memcpy", 212_000, 190_000, 0);
    add(Track::Stream(1), "topk_rows", 30_000, 60_000, 0);
    add(Track::Host(0), "cuLaunchKernel", 440_000, 9_000, 0);
    add(Track::Stream(0), "mask_rows", 460_000, 120_000, 0);
    Timeline { run: RunKind::StalledStream, step: 3, spans, dropped: 12 }
}

/// A receipt with these lanes. Its frame is made up and its seal is none; nothing is drawn from them.
fn with_lanes(lanes: Vec<LaneReport>) -> Receipt {
    let verdict = if lanes.iter().any(LaneReport::failed) { Verdict::Fail } else { Verdict::Pass };
    let frame = serde_json::json!({
        "format": receipt::FORMAT,
        "provenance": {
            "graphproof": env!("CARGO_PKG_VERSION"), "git": {"revision": "0123456789abcdef0123456789abcdef01234567", "dirty": true},
            "host": {"os": "linux", "arch": "x86_64", "threads": 2}, "arguments": ["gate", "--html", "report.html"], "began": 1_767_225_600,
        },
        "driver": {"kind": "software", "path": null, "reason": "no GPU was found"},
        "device": {
            "name": "graphproof software device", "compute_capability": [8, 0], "driver_version": 13030,
            "total_memory": 85_899_345_920_u64, "multiprocessors": 16, "shared_memory_optin": 166_912,
        },
        "request": {"steps": 10, "kernels": "committed PTX (NVRTC 12.8)", "partition": "2/8", "not_run": [
            {"step": "fused", "shape": "sq=1,sk=2", "seed": 3, "reason": "the time was over"},
        ]},
        "sources": [{"file": "fused.ptx", "ptx_sha256": "ab".repeat(32), "source_sha256": "cd".repeat(32)}],
        "lanes": lanes, "geometry": [], "verdict": verdict, "exit_code": u8::from(verdict == Verdict::Fail), "seal": "0".repeat(64),
    });
    serde_json::from_value(frame).expect("a receipt")
}

/// No lane at all.
pub fn empty() -> Receipt {
    with_lanes(Vec::new())
}

/// A lane with `nodes` nodes, `spans` spans a timeline and `steps` steps, that passed.
fn lane(name: &str, nodes: usize, spans: u64, steps: u64) -> LaneReport {
    let node = |at: usize| NodeReport {
        headline: format!("kernel layer_{at} grid {at}x8x1 block 128x1x1 shared 25600"),
        kernel: Some(format!("layer_{at}")),
        site: Some(Site {
            what: format!("launch of layer_{at}"),
            file: "src/model.rs".to_owned(),
            line: at as u32 + 1,
            ..Site::default()
        }),
        buffers: (0..6).map(|buffer| format!("activation_{}", (at + buffer) % 40)).collect(),
    };
    let span = |at: u64| Span {
        track: if at.is_multiple_of(2) { Track::Host(at / 2 % 20) } else { Track::Stream(at / 2 % 30) },
        what: "cuLaunchKernel".to_owned(),
        start_ns: at * 2_000,
        duration_ns: 100 + at % 1_500,
        blocked_ns: if at.is_multiple_of(10) { 90 } else { 0 },
        node: Some(at as u32),
    };
    let timeline = |run| Timeline { run, step: 3, spans: (0..spans).map(span).collect(), dropped: 0 };
    let spread = || Spread { low: 900_000, median: 1_000_000, high: 1_200_000, samples: steps };
    let buffer =
        |at: u64| BufferBytes { name: format!("activation_{at}"), role: "scratch".to_owned(), bytes: at * 4096 };
    let mut report: LaneReport = fault("missing-memset", true).remove(0);
    report.step = name.to_owned();
    (report.steps_asked, report.steps_compared, report.steps_agreeing) = (steps, steps, steps);
    report.graph = Some(GraphReport {
        nodes,
        edges: nodes.saturating_sub(1),
        node_list: (0..nodes).map(node).collect(),
        // A chain, with a fork to every third node.
        edge_list: (1..nodes).flat_map(|at| [[at - 1, at], [at / 3, at]]).collect(),
        ..GraphReport::default()
    });
    report.timelines = [RunKind::Eager, RunKind::Replay].map(timeline).into();
    (report.times.eager, report.times.replay) = (spread(), spread());
    report.digests = Digests {
        inputs: "0123456789abcdef".to_owned(),
        steps: (0..steps).map(|step| format!("{step:016x}")).collect(),
        buffers: BTreeMap::new(),
    };
    if let Some(memory) = &mut report.memory {
        memory.buffers = (0..60).map(buffer).collect();
        memory.high_water = 60 * 30 * 4096;
        memory.closed_form = Some(59 * 30 * 4096);
    }
    report
}

/// Four lanes of 10,000 steps.
pub fn long() -> Receipt {
    let mut receipt = with_lanes((0..4).map(|at| lane(&format!("lane-{at}"), 12, 40, 10_000)).collect());
    receipt.geometry = geometry();
    receipt
}

/// Four lanes with all too much of everything.
pub fn huge() -> Receipt {
    let mut lanes: Vec<LaneReport> = (0..4).map(|at| lane(&format!("lane-{at}"), 3_000, 6_000, 10_000)).collect();
    for (at, report) in lanes.iter_mut().enumerate() {
        report.steps_agreeing = 7_000;
        report.verdict = Verdict::Fail;
        let finding = |number: u64| {
            let site = Site {
                what: "launch".to_owned(),
                file: "src/model.rs".to_owned(),
                line: number as u32 * 3 + 1,
                ..Site::default()
            };
            Finding::new(Id::R01, Check::Bits)
                .at_step(number * 7)
                .at(Some(site))
                .contrast("0x3f800000 ".repeat(400), "0x0")
                .note("n".repeat(500))
        };
        report.findings = (0..2_000 + at as u64).map(finding).collect();
        report.not_checked = (0..900).map(|number| format!("check {number} could not be made")).collect();
    }
    with_lanes(lanes)
}

/// A suite of 600 lanes.
pub fn many_lanes() -> Receipt {
    let one = lane("lane", 30, 60, 64);
    with_lanes((0..600).map(|seed| LaneReport { seed, ..one.clone() }).collect())
}

/// What a text of a hostile receipt says.
pub const PAYLOAD: &str = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>";

/// A receipt whose every text is markup.
pub fn hostile() -> Receipt {
    let mut value = serde_json::to_value(with_lanes({
        let mut lanes = fault("scratch-reallocated", false);
        lanes[0].not_checked.push(String::new());
        lanes[0].graph.as_mut().expect("a graph").node_list[0].kernel = None;
        lanes
    }))
    .expect("JSON");
    value["geometry"] = serde_json::to_value(geometry()).expect("JSON");
    poison(&mut value, PAYLOAD);
    serde_json::from_value::<Receipt>(value).expect("still a receipt")
}

/// Thirty lanes whose every text is long, and six times as long once it is escaped.
pub fn wordy() -> Receipt {
    let report = lane("lane", 300, 600, 64);
    let mut value = serde_json::to_value(with_lanes(vec![report; 30])).expect("JSON");
    value["geometry"] = serde_json::to_value(geometry()).expect("JSON");
    poison(&mut value, &"\"".repeat(1_000));
    serde_json::from_value(value).expect("still a receipt")
}

/// Puts the payload into every text that is free, and leaves the words of enumerations.
fn poison(value: &mut serde_json::Value, payload: &str) {
    const WORDS: [&str; 10] =
        ["id", "check", "verdict", "severity", "run", "kind", "os", "format", "track", "topology"];
    match value {
        serde_json::Value::String(text) => text.push_str(payload),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| poison(item, payload)),
        serde_json::Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(name, _)| !WORDS.contains(&name.as_str()))
                .for_each(|(_, field)| poison(field, payload));
        }
        _ => {}
    }
}
