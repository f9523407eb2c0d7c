//! The table of lanes.

use graphproof_harness::report::{LaneReport, Verdict};
use maud::{Markup, html};

use super::links;
use super::room::{self, missing};
use super::units::{count, cut, grouped};
use crate::report::table;

/// Bytes for the table.
const ROOM: usize = 200 << 10;

/// A verdict as a sign and a word.
pub fn verdict(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("pass", "✓", "pass"),
        Verdict::Fail => ("fail", "✗", "FAIL"),
        Verdict::Interrupted => ("other", "‖", "interrupted"),
        Verdict::NotRun => ("other", "–", "not run"),
    }
}

/// The section's content.
pub fn section(lanes: &[LaneReport]) -> Markup {
    let (rows, left_out) = room::draw(&links::worst_first(lanes), ROOM, |lane| row(lanes, lane));
    html! {
        table.lanes role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    @for heading in HEADINGS { th scope="col" role="columnheader" { (heading) } }
                }
            }
            tbody role="rowgroup" { @for (_, row) in &rows { (row) } }
        }
        @if !left_out.is_empty() {
            (missing(&count(left_out.len() as u64, "further lane"), "The receipt (--json) holds all."))
        }
    }
}

const HEADINGS: [&str; 8] =
    ["Step", "Verdict", "Replays equal", "Findings", "Graph", "Device memory", "Eager", "Replay"];

fn row(lanes: &[LaneReport], lane: usize) -> Markup {
    let report = &lanes[lane];
    let (class, sign, word) = verdict(report.verdict);
    let memory = report.memory.as_ref().filter(|memory| memory.high_water > 0);
    let cell = |heading: usize, content: Markup| {
        html! { td role="cell" data-label=(HEADINGS[heading]) { span { (content) } } }
    };
    html! {
        tr role="row" {
            th scope="row" role="rowheader" { (links::name(lanes, lane)) span.summary { (cut(&report.summary, 300)) } }
            (cell(1, html! { span class={ "verdict " (class) } { (sign) " " (word) } }))
            (cell(2, html! { (grouped(report.steps_agreeing)) " of " (grouped(report.steps_compared))
                @if report.steps_compared < report.steps_asked {
                    span.minor { (grouped(report.steps_asked)) " asked for" }
                }
            }))
            (cell(3, html! { (grouped(report.findings.len() as u64)) }))
            (cell(4, html! {
                @match &report.graph {
                    Some(graph) => {
                        (count(graph.nodes as u64, "node"))
                        span.minor { (grouped(graph.pointers as u64)) " addresses" }
                    }
                    None => "–",
                }
            }))
            (cell(5, html! {
                @match memory {
                    Some(memory) => {
                        (table::bytes(memory.high_water))
                        @if let Some(ratio) = memory.ratio() { span.minor { "×" (format!("{ratio:.3}")) " of closed form" } }
                    }
                    None => "–",
                }
            }))
            (cell(6, html! { (time(report.times.eager.median)) }))
            (cell(7, html! { (time(report.times.replay.median)) }))
        }
    }
}

/// A time, with the sign for micro and a dash for none.
pub fn time(nanoseconds: u64) -> String {
    match table::time(nanoseconds) {
        none if none == "-" => "–".to_owned(),
        text => text.replace(" us", " µs"),
    }
}
