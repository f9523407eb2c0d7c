//! A recorded program on a terminal or in a pipe.

use std::fmt::Write as _;

use graphproof_harness::finding::Severity;

use super::html::units::{count, grouped};
use super::look::Look;
use super::table::{bytes, time};
use super::{escape, finding};
use graphproof_trace::report::{BurdenReport, CaptureReport, GraphReport, LoopReport, ProcessReport, Report, Verdict};

/// Graphs, captures and places of one process that are listed each; `--json` and `--html` have more.
const MOST: usize = 20;

/// The whole report, ending with a newline. Text from outside is escaped.
pub fn program(report: &Report, look: Look) -> String {
    let report = &*escape::document(report);
    let mut out = String::new();
    let calls: u64 = report.processes.iter().map(|process| process.calls).sum();
    let processes = count(report.processes.len() as u64, "process").replace("processs", "processes");
    let _ = writeln!(out, "graphproof {}: {processes}, {}", report.graphproof, count(calls, "driver call"));
    for process in &report.processes {
        of_process(&mut out, process, look);
    }
    for line in &report.not_seen {
        let _ = writeln!(out, "\nnot seen: {line}");
    }
    let _ = write!(out, "\n{}", verdict(report, look));
    escape::defused(&out).into_owned()
}

fn of_process(out: &mut String, process: &ProcessReport, look: Look) {
    let _ = writeln!(out, "\n{}", process.name());
    if process.calls == 0 {
        let _ = writeln!(out, "  no call of the driver was recorded");
    } else {
        let version = process.driver_version;
        let kind = if process.software { "software driver" } else { "NVIDIA's driver" };
        let _ = writeln!(
            out,
            "  {kind}, CUDA {}.{}; {} on {}",
            version / 1000,
            version % 1000 / 10,
            count(process.calls, "call"),
            count(process.threads as u64, "thread")
        );
    }
    if !process.ended {
        let _ = writeln!(
            out,
            "  it did not come to its end by itself: killed, crashed, replaced by exec, or still running"
        );
    }
    listed(out, "captures", &process.captures, capture);
    listed(out, "graphs", &process.graphs, graph);
    listed(out, "replays", &process.loops, replays);
    memory(out, process);
    listed(out, "never destroyed", &process.alive, |out, alive| {
        let _ = writeln!(
            out,
            "    {} {}, made at {}",
            grouped(alive.count),
            one_or_all(alive.count, &alive.what),
            alive.place
        );
    });
    for found in &process.findings {
        let place = format!("process {}", process.pid);
        let _ = write!(out, "\n{}", look.finding(found, &finding::render_at(&place, found)));
    }
    for row in &process.disagreements {
        let _ = writeln!(
            out,
            "\nnote: driver {} and the capture model disagree at {}: {} in a {} capture: the model expects {}, the driver: {}",
            row.driver_version, row.place, row.call, row.mode, row.model, row.driver
        );
    }
    for line in &process.not_seen {
        let _ = writeln!(out, "\nnot seen: {line}");
    }
}

/// `1 stream`, `2 streams`.
fn one_or_all(count: u64, what: &str) -> &str {
    if count == 1 { what.trim_end_matches('s') } else { what }
}

fn listed<T>(out: &mut String, heading: &str, all: &[T], tell: impl Fn(&mut String, &T)) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {heading}:");
    all.iter().take(MOST).for_each(|one| tell(out, one));
    if all.len() > MOST {
        let _ = writeln!(out, "    … and {} more", grouped((all.len() - MOST) as u64));
    }
}

fn capture(out: &mut String, capture: &CaptureReport) {
    let took = capture.nanoseconds.map(|took| format!(", {}", time(took))).unwrap_or_default();
    let _ = writeln!(
        out,
        "    {} at {}: {} mode, {}{}, {}{took}",
        capture.number,
        capture.place,
        capture.mode,
        capture.stream,
        if capture.streams > 1 { format!(" and {} more", capture.streams - 1) } else { String::new() },
        capture.threads.join(", "),
    );
    let work = count(capture.work, "piece") + " of work";
    let _ = writeln!(out, "      {work}; {}", if capture.succeeded { "gave a graph" } else { capture.end.as_str() });
    if !capture.layer.is_empty() {
        let _ = writeln!(out, "      in {}", capture.layer);
    }
    burdens(out, "inside", &capture.inside);
    if !capture.changed.is_empty() {
        let _ = writeln!(out, "      unlike the capture before at this place: {}", capture.changed.join("; "));
    }
}

fn burdens(out: &mut String, heading: &str, all: &[BurdenReport]) {
    for burden in all.iter().take(MOST) {
        let what = burden.what.words(burden.count);
        let _ =
            writeln!(out, "      {heading}: {} {what}, {} at {}", grouped(burden.count), burden.function, burden.place);
    }
}

fn graph(out: &mut String, graph: &GraphReport) {
    let of = graph.capture.map(|number| format!(" of capture {number}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "    {}{of}, instantiated at {}: {}, {} of known memory ({}), {}{}",
        graph.exec,
        graph.place,
        count(graph.node_count as u64, "node"),
        count(graph.pointers as u64, "address").replace("addresss", "addresses"),
        bytes(graph.held_bytes),
        count(graph.launches, "launch").replace("launchs", "launches"),
        if graph.destroyed { "" } else { ", never destroyed" },
    );
    for kind in graph.kinds.iter().take(MOST) {
        let _ = writeln!(out, "      {} x {}", grouped(kind.count as u64), kind.what);
    }
    if !graph.missing.is_empty() {
        let _ = writeln!(out, "      not read back: {}", graph.missing);
    }
}

fn replays(out: &mut String, all: &LoopReport) {
    let _ = writeln!(out, "    {} at {}: {} launches", all.exec, all.place, grouped(all.launches));
    burdens(out, "between", &all.between);
}

fn memory(out: &mut String, process: &ProcessReport) {
    if process.memory.live.is_empty() && process.memory.high_water == 0 {
        return;
    }
    let _ = writeln!(out, "  memory: at most {} of the device at a time", bytes(process.memory.high_water));
    for live in &process.memory.live {
        let _ = writeln!(
            out,
            "    alive at the end: {} in {} of {}",
            bytes(live.bytes),
            count(live.allocations as u64, "allocation"),
            live.kind.words()
        );
    }
    for pool in &process.memory.pools {
        let _ = writeln!(out, "    pool {}: {}", pool.pool, bytes(pool.bytes));
    }
}

/// The last line: what comes of it.
fn verdict(report: &Report, look: Look) -> String {
    let number = |severity| report.findings().filter(|(_, found)| found.severity == severity).count() as u64;
    let told = format!("{}, {}", count(number(Severity::Error), "error"), count(number(Severity::Warning), "warning"));
    let captures: u64 = report.processes.iter().map(|process| process.captures.len() as u64).sum();
    let graphs: u64 = report.processes.iter().map(|process| process.graphs.len() as u64).sum();
    let seen = format!("{}, {}", count(captures, "capture"), count(graphs, "graph"));
    match report.verdict {
        Verdict::Clean => format!("{}: {seen}, {told}\n", look.word("PASS")),
        Verdict::Findings => format!("{}: {seen}, {told}\n", look.word("FAIL")),
        Verdict::NoRecord => format!(
            "{}: no call of the driver was recorded, so nothing is known. Does the program use CUDA, load libcuda.so.1 \
             at run time, and keep the environment that it is given?\n",
            look.word("NO RECORD")
        ),
    }
}
