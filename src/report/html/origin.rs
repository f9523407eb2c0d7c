//! Where the run comes from, and what it did not look at.

use maud::{Markup, html};

use super::links;
use super::units::{count, cut, grouped, utc};
use crate::receipt::Receipt;
use crate::report::table;

/// Lines of a list.
const MOST_LINES: usize = 200;
/// Characters of one line.
const MOST_TEXT: usize = 600;

/// What could not be checked, and what was not run.
pub fn not_checked(receipt: &Receipt) -> Markup {
    let checks: Vec<(String, &String)> = receipt
        .lanes
        .iter()
        .enumerate()
        .flat_map(|(lane, report)| {
            let name = links::name(&receipt.lanes, lane);
            report.not_checked.iter().map(move |reason| (name.clone(), reason))
        })
        .collect();
    let not_run = &receipt.request.not_run;
    html! {
        @if checks.is_empty() { p { "Every check that applies to these steps was made." } }
        @if !checks.is_empty() {
            ul { @for (name, reason) in checks.iter().take(MOST_LINES) {
                li { b { (name) } ": " (cut(reason, MOST_TEXT)) }
            } }
            (more(checks.len()))
        }
        @if let Some(partition) = &receipt.request.partition { p { "This run is part " (partition) " of its suite." } }
        @if !not_run.is_empty() {
            h3 { "Jobs that were not run" }
            ul { @for job in not_run.iter().take(MOST_LINES) {
                li { b { (job.step) } ", " (job.shape) ", seed " (job.seed) ": " (cut(&job.reason, MOST_TEXT)) }
            } }
            (more(not_run.len()))
        }
    }
}

/// The modules and their hashes.
pub fn sources(receipt: &Receipt) -> Markup {
    html! {
        p { "The modules that the steps launch from, by SHA-256: " (receipt.request.kernels) "." }
        @if receipt.sources.is_empty() { p { "None." } }
        @for source in receipt.sources.iter().take(MOST_LINES) {
            dl.source {
                dt { (source.file) }
                dd {
                    span.minor { "PTX" } code.hash { (source.ptx_sha256) }
                    @if let Some(hash) = &source.source_sha256 {
                        span.minor { "CUDA sources and compiler options" } code.hash { (hash) }
                    }
                }
            }
        }
        (more(receipt.sources.len()))
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
            (fact("graphproof", html! { (made.graphproof) ", receipt format " (receipt.format) }))
            @if let Some(git) = &made.git {
                (fact("checkout", html! {
                    code.hash { (git.revision) } @if git.dirty { " with changes that are not committed" }
                }))
            }
            (fact("machine", html! { (made.host.os) ", " (made.host.arch) ", " (count(made.host.threads, "thread")) }))
            (fact("driver", html! {
                (receipt.driver.kind.name()) @if let Some(path) = &receipt.driver.path { ", " code { (path) } }
                ": " (receipt.driver.reason)
            }))
            (fact("device", html! {
                (device.name) ", sm_" (major) (minor) ", " (table::bytes(device.total_memory)) ", "
                (grouped(u64::try_from(device.multiprocessors).unwrap_or_default())) " multiprocessors"
            }))
            (fact("seal", html! { code.hash { (receipt.seal) } }))
        }
    }
}

fn fact(name: &str, content: Markup) -> Markup {
    html! { dt { (name) } dd { (content) } }
}

fn more(all: usize) -> Markup {
    html! { @if all > MOST_LINES { p.missing { (grouped((all - MOST_LINES) as u64)) " more are in the receipt." } } }
}
