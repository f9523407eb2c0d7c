//! `diff --html`: two runs beside each other as one HTML file.

use std::collections::HashMap;

use graphproof_harness::report::LaneReport;
use maud::{Markup, html};

use super::findings::difference;
use super::graph::side_by_side;
use super::page::{Section, document};
use super::room::{fill, missing};
use super::units::{count, cut, utc};
use crate::diff::{Diff, Judgement, LaneDiff, Topology};
use crate::receipt::Receipt;
use crate::report::JobName;

/// Bytes for the lanes, their pictures included.
const ROOM: usize = 1200 << 10;
/// Rows of what is around the lanes.
const MOST_ROWS: usize = 200;

/// The page. The diff and both receipts are those that [`Diff::between`] compared, escaped.
pub fn diff_page(diff: &Diff, judgement: &Judgement, old: &Receipt, new: &Receipt) -> String {
    let (class, sign, word) = if judgement.passed() { ("pass", "✓", "PASS") } else { ("fail", "✗", "FAIL") };
    let head = html! {
        header class=(class) {
            h1 { span.sign aria-hidden="true" { (sign) } " " (word) }
            p.line { (cut(diff.verdict(judgement).trim_start_matches(word).trim_start_matches(": "), 1_000)) }
            p.minor { "old: " (cut(&diff.old, 200)) ", " (utc(old.provenance.began)) }
            p.minor { "new: " (cut(&diff.new, 200)) ", " (utc(new.provenance.began)) }
        }
    };
    let (of_old, of_new) = (by_job(old), by_job(new));
    let (lanes, left_out) = fill(ROOM, diff.lanes.iter().enumerate(), |(at, lane)| {
        let find = |lanes: &HashMap<String, &LaneReport>| lanes.get(&key(&lane.job)).copied().cloned();
        card(at, lane, find(&of_old).zip(find(&of_new)).as_ref())
    });
    let lanes = html! {
        @for lane in &lanes { (lane) }
        @if left_out > 0 { (missing(&count(left_out, "lane"), "`graphproof diff` without --html prints all.")) }
        @for (word, jobs) in [("lost", &diff.lost), ("new", &diff.added)] {
            @for job in jobs.iter().take(MOST_ROWS) { p { b { (word) } ": " (name(job)) } }
        }
    };
    let sections: Vec<Section> =
        vec![("lanes", "Lanes".to_owned(), lanes), ("around", "Around the lanes".to_owned(), around(diff))];
    let foot = html! { "Made by graphproof " (env!("CARGO_PKG_VERSION")) " from two receipts" };
    document(&format!("graphproof diff: {word}"), &head, &sections, &foot)
}

fn key(job: &JobName) -> String {
    format!("{}\n{}\n{}", job.step, job.shape, job.seed)
}

fn by_job(receipt: &Receipt) -> HashMap<String, &LaneReport> {
    receipt.lanes.iter().map(|lane| (key(&JobName::of(lane)), lane)).collect()
}

fn name(job: &JobName) -> String {
    format!("{} ({}, seed {})", cut(&job.step, 60), cut(&job.shape, 120), job.seed)
}

fn card(at: usize, lane: &LaneDiff, reports: Option<&(LaneReport, LaneReport)>) -> Markup {
    html! {
        article.lane {
            h3 { (cut(&lane.job.step, 60)) }
            p.minor { (cut(&lane.job.shape, 120)) ", seed " (lane.job.seed) }
            dl {
                @for (label, words) in lane.rows() {
                    dt { (label) }
                    dd { (cut(&words, 2_000)) }
                }
            }
            @if let Topology::Differ { lines } = &lane.topology {
                @if let Some((old, new)) = reports { (side_by_side(at, old, new)) }
                details open { summary { "The graphs as text" } (difference(lines, "Difference of the graphs")) }
            }
        }
    }
}

/// What differs around the lanes: program, checkout, driver, device, kernels, modules.
fn around(diff: &Diff) -> Markup {
    html! {
        @if diff.around.is_empty() && diff.sources.is_empty() {
            p { "Program, checkout, driver, device and kernels are the same." }
        } @else {
            dl.facts {
                @for field in diff.around.iter().take(MOST_ROWS) {
                    dt { (cut(&field.name, 40)) }
                    dd { (cut(&field.old, 200)) " → " (cut(&field.new, 200)) }
                }
                @for source in diff.sources.iter().take(MOST_ROWS) {
                    dt { (cut(&source.file, 80)) }
                    dd { (cut(&source.change, 200)) }
                }
            }
        }
    }
}
