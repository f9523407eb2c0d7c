//! A recorded program as one HTML file: what `graphproof trace --html` writes.

use std::collections::HashSet;

use graphproof_harness::finding::Severity;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::MOST_BYTES;
use super::findings;
use super::page::STYLE;
use super::room::{Room, missing};
use super::units::{count, cut, grouped};
use crate::report::escape;
use crate::report::table::{bytes, time};
use graphproof_trace::report::{BurdenReport, CaptureReport, GraphReport, ProcessReport, Report, Verdict};

/// Nothing may be fetched and nothing may run, even if a text got past the escaping.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
/// Characters of one text that are shown.
const MOST_TEXT: usize = 2_000;
/// Nodes of one graph that are listed.
const MOST_NODES: usize = 400;

/// The whole page.
pub fn program(report: &Report) -> String {
    let report = &*escape::document(report);
    let (class, sign, word) = match report.verdict {
        Verdict::Clean => ("pass", "✓", "PASS"),
        Verdict::Findings => ("fail", "✗", "FAIL"),
        Verdict::NoRecord => ("other", "–", "NO RECORD"),
    };
    let found = report.findings().count() as u64;
    let title = format!("graphproof trace: {word}, {}", count(found, "finding"));
    let mut room = Room::new(MOST_BYTES * 3 / 4);
    let sections: Vec<Markup> = report
        .processes
        .iter()
        .map(|process| room.take(of_process(process)).unwrap_or_else(|| left_out(process)))
        .collect();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "graphproof " (cut(&report.graphproof, 40)) };
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header class=(class) {
                    h1 { span.sign aria-hidden="true" { (sign) } " " (word) }
                    p.line { (line(report)) }
                }
                nav aria-label="Processes" {
                    ul { @for process in &report.processes { li { a href={ "#process-" (process.pid) } { (cut(&process.name(), 80)) } } } }
                }
                main {
                    @for section in &sections { (section) }
                    @if !report.not_seen.is_empty() {
                        section id="not-seen" { h2 { "What was not seen" } (lines(&report.not_seen)) }
                    }
                }
                footer { "Made by graphproof " (cut(&report.graphproof, 40)) " from a record of driver calls" }
            }
        }
    };
    markup.0
}

fn line(report: &Report) -> String {
    let number = |severity| report.findings().filter(|(_, found)| found.severity == severity).count() as u64;
    let calls: u64 = report.processes.iter().map(|process| process.calls).sum();
    format!(
        "{}, {}, in {}",
        count(number(Severity::Error), "error"),
        count(number(Severity::Warning), "warning"),
        count(calls, "driver call")
    )
}

fn left_out(process: &ProcessReport) -> Markup {
    html! {
        section id={ "process-" (process.pid) } {
            h2 { (cut(&process.name(), 200)) }
            (missing("This process", "--json holds all."))
        }
    }
}

fn of_process(process: &ProcessReport) -> Markup {
    let mut explained = HashSet::new();
    html! {
        section id={ "process-" (process.pid) } {
            h2 { (cut(&process.name(), 200)) }
            p {
                @if process.software { "The software driver" } @else { "NVIDIA's driver, " code { (process.driver) } }
                ", CUDA " (process.driver_version / 1000) "." (process.driver_version % 1000 / 10) "; "
                (count(process.calls, "call")) " on " (count(process.threads as u64, "thread")) ". "
                @if !process.ended { "It did not come to its end by itself." }
            }
            h3 { "Findings (" (process.findings.len()) ")" }
            @if process.findings.is_empty() { p { "None." } }
            @for (at, found) in process.findings.iter().enumerate() {
                @let anchor = format!("finding-{}-{at}", process.pid);
                @let whose = html! { "process " b { (process.pid) } };
                (findings::article(&anchor, whose, found, explained.insert(found.id)))
            }
            @if !process.captures.is_empty() {
                h3 { "Captures" }
                @for one in &process.captures { (capture(one)) }
            }
            @if !process.graphs.is_empty() {
                h3 { "Graphs" }
                @for one in &process.graphs { (graph(one)) }
            }
            @if !process.loops.is_empty() {
                h3 { "Between replays" }
                @for one in &process.loops {
                    p { (one.exec) " at " code { (one.place) } ": " (grouped(one.launches)) " launches" }
                    (burdens(&one.between))
                }
            }
            h3 { "Memory" }
            p { "At most " b { (bytes(process.memory.high_water)) } " of the device at a time." }
            ul {
                @for live in &process.memory.live {
                    li { (bytes(live.bytes)) " of " (live.kind.words()) " alive at the end, in " (count(live.allocations as u64, "allocation")) }
                }
                @for pool in &process.memory.pools { li { "pool " (pool.pool) ": " (bytes(pool.bytes)) } }
                @for alive in &process.alive { li { (grouped(alive.count)) " " (alive.what) " never destroyed, made at " code { (alive.place) } } }
            }
            @if !process.disagreements.is_empty() {
                h3 { "Where driver and capture model disagree" }
                ul {
                    @for row in &process.disagreements {
                        li { code { (cut(&row.call, MOST_TEXT)) } " at " code { (row.place) } ", " (row.mode) " mode: the model expects " (row.model) ", the driver: " (row.driver) }
                    }
                }
            }
            @if !process.not_seen.is_empty() { h3 { "What was not seen" } (lines(&process.not_seen)) }
        }
    }
}

fn lines(all: &[String]) -> Markup {
    html! { ul { @for line in all { li { (cut(line, MOST_TEXT)) } } } }
}

fn burdens(all: &[BurdenReport]) -> Markup {
    html! {
        @if !all.is_empty() {
            ul { @for one in all { li { (grouped(one.count)) " " (one.what.words(one.count)) ", " code { (one.function) } " at " code { (one.place) } } } }
        }
    }
}

fn capture(one: &CaptureReport) -> Markup {
    html! {
        p {
            b { (one.number) } " at " code { (one.place) } ": " (one.mode) " mode, " (one.stream) ", "
            (one.streams) " in all; " (one.threads.join(", "))
            @if let Some(took) = one.nanoseconds { "; " (time(took)) }
            "; " (count(one.work, "piece")) " of work; " (cut(&one.end, MOST_TEXT))
            @if !one.layer.is_empty() { "; in " (cut(&one.layer, 200)) }
        }
        (burdens(&one.inside))
        @if !one.changed.is_empty() { p { "Unlike the capture before at this place: " (one.changed.join("; ")) } }
    }
}

fn graph(one: &GraphReport) -> Markup {
    html! {
        details {
            summary {
                (one.exec) " at " code { (one.place) } ": " (count(one.node_count as u64, "node")) ", "
                (count(one.launches, "time")) " launched, holds " (bytes(one.held_bytes))
                @if !one.missing.is_empty() { "; not read back: " (cut(&one.missing, MOST_TEXT)) }
            }
            ul { @for kind in &one.kinds { li { (grouped(kind.count as u64)) " × " (cut(&kind.what, 200)) } } }
            ol start="0" {
                @for node in one.nodes.iter().take(MOST_NODES) {
                    li {
                        (cut(&node.headline, 400))
                        @if !node.place.is_empty() { " at " code { (node.place) } }
                        @if !node.layer.is_empty() { ", in " (cut(&node.layer, 200)) }
                        @for pointer in &node.pointers {
                            br; (pointer.place) " " code { (pointer.address) } " in " (pointer.memory) ", made at " code { (pointer.made) }
                        }
                    }
                }
            }
            @if one.node_count > MOST_NODES { (missing(&count((one.node_count - MOST_NODES) as u64, "further node"), "--json holds more.")) }
        }
    }
}
