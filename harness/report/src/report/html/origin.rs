//! Where the run comes from, and what it did not look at.

use maud::{Markup, html};

use super::links;
use super::room::fill;
use super::units::{count, cut, grouped, utc};
use crate::receipt::Receipt;
use crate::report::table;

/// Bytes of a list.
const ROOM: usize = 70 << 10;
/// Characters of one line.
const MOST_TEXT: usize = 600;

/// What could not be checked, and what was not run.
pub fn not_checked(receipt: &Receipt) -> Markup {
    let checks = receipt.lanes.iter().enumerate().flat_map(|(lane, report)| {
        let name = links::name(&receipt.lanes, lane);
        report.not_checked.iter().map(move |reason| (name.clone(), reason))
    });
    let (checks, more_checks) =
        fill(ROOM, checks, |(name, reason)| html! { li { b { (cut(&name, 120)) } ": " (cut(reason, MOST_TEXT)) } });
    let (not_run, more_jobs) = fill(ROOM, receipt.request.not_run.iter(), |job| {
        html! {
            li { b { (cut(&job.step, 80)) } ", " (cut(&job.shape, 120)) ", seed " (job.seed) ": " (cut(&job.reason, MOST_TEXT)) }
        }
    });
    html! {
        @if checks.is_empty() { p { "Every check that applies to these steps was made." } }
        @if !checks.is_empty() {
            ul { @for line in &checks { (line) } }
            (more(more_checks))
        }
        @if let Some(partition) = &receipt.request.partition { p { "This run is part " (cut(partition, 40)) " of its suite." } }
        @if !not_run.is_empty() {
            h3 { "Jobs that were not run" }
            ul { @for line in &not_run { (line) } }
            (more(more_jobs))
        }
    }
}

/// The modules and their hashes.
pub fn sources(receipt: &Receipt) -> Markup {
    let (sources, left_out) = fill(ROOM, receipt.sources.iter(), |source| {
        html! {
            dl.source {
                dt { (cut(&source.file, 120)) }
                dd {
                    span.minor { "PTX" } code.hash { (cut(&source.ptx_sha256, 64)) }
                    @if let Some(hash) = &source.source_sha256 {
                        span.minor { "CUDA sources and compiler options" } code.hash { (cut(hash, 64)) }
                    }
                }
            }
        }
    });
    html! {
        p { "The modules that the steps launch from, by SHA-256: " (cut(&receipt.request.kernels, MOST_TEXT)) "." }
        @if sources.is_empty() { p { "None." } }
        @for source in &sources { (source) }
        (more(left_out))
    }
}

/// Who ran what, where and when.
pub fn provenance(receipt: &Receipt) -> Markup {
    let made = &receipt.provenance;
    let device = &receipt.device;
    let (major, minor) = device.compute_capability;
    html! {
        dl.facts {
            (fact("run", html! { code { "graphproof " (cut(&made.arguments.join(" "), MOST_TEXT)) } }))
            (fact("began", html! { (utc(made.began)) }))
            (fact("graphproof", html! { (cut(&made.graphproof, 40)) ", receipt format " (receipt.format) }))
            @if let Some(git) = &made.git {
                (fact("checkout", html! {
                    code.hash { (cut(&git.revision, 64)) } @if git.dirty { " with changes that are not committed" }
                }))
            }
            (fact("machine", html! { (made.host.os) ", " (made.host.arch) ", " (count(made.host.threads, "thread")) }))
            (fact("driver", html! {
                (receipt.driver.kind.name()) @if let Some(path) = &receipt.driver.path { ", " code { (cut(path, MOST_TEXT)) } }
                ": " (cut(&receipt.driver.reason, MOST_TEXT))
            }))
            (fact("device", html! {
                (cut(&device.name, 120)) ", sm_" (major) (minor) ", " (table::bytes(device.total_memory)) ", "
                (grouped(u64::try_from(device.multiprocessors).unwrap_or_default())) " multiprocessors"
            }))
            (fact("seal", html! { code.hash { (cut(&receipt.seal, 64)) } }))
        }
    }
}

fn fact(name: &str, content: Markup) -> Markup {
    html! { dt { (name) } dd { (content) } }
}

fn more(left_out: u64) -> Markup {
    html! { @if left_out > 0 { p.missing { (grouped(left_out)) " more are in the receipt (--json)." } } }
}
