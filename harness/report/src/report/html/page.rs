//! The page: its head, and the sections in their order.

use std::collections::HashSet;
use std::sync::LazyLock;

use graphproof_harness::driver::DriverKind;
use graphproof_harness::report::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::units::{count, cut, grouped, utc};
use super::{cliff, findings, graph, lanes, memory, origin, steps, timeline, times};
use crate::receipt::Receipt;
use crate::report::escape;

pub(super) const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Nothing may be fetched, and no script may run but ours, even if a text in the receipt got past
/// the escaping.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = base64(&Sha256::digest(SCRIPT.as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
});

/// The whole report.
pub fn page(receipt: &Receipt) -> String {
    let receipt = &*escape::receipt(receipt);
    let lanes = &receipt.lanes;
    let software = receipt.driver.kind == DriverKind::Software;
    let chosen = findings::choose(lanes);
    let graphs = graph::Pictures::draw(lanes, &chosen.iter().copied().collect());
    let drawn: HashSet<usize> = graphs.drawn().collect();
    let all: usize = receipt.findings();
    let sections: Vec<Section> = vec![
        ("lanes", "Lanes".to_owned(), lanes::section(lanes)),
        ("findings", format!("Findings ({})", grouped(all as u64)), findings::section(lanes, &chosen, &drawn)),
        ("graphs", "Graphs".to_owned(), graphs.section(lanes)),
        ("timelines", "Host calls beside device work".to_owned(), timeline::section(lanes)),
        ("memory", "Device memory".to_owned(), memory::section(lanes)),
        ("cliff", "Memory over length".to_owned(), cliff::section(&receipt.geometry)),
        ("steps", "Agreement step by step".to_owned(), steps::section(lanes)),
        ("times", "Times".to_owned(), times::section(lanes, software)),
        ("not-checked", "What was not checked".to_owned(), origin::not_checked(receipt)),
        ("sources", "Sources".to_owned(), origin::sources(receipt)),
        ("provenance", "Provenance".to_owned(), origin::provenance(receipt)),
    ];
    let (class, sign, word) = verdict(receipt.verdict);
    let title = format!("graphproof: {word}, {}", count(all as u64, "finding"));
    let head = html! {
        header class=(class) {
            h1 { span.sign aria-hidden="true" { (sign) } " " (word) }
            p.line { (line(receipt)) }
            (driver(receipt, software))
        }
    };
    let foot = html! {
        "Made by graphproof " (cut(&receipt.provenance.graphproof, 40)) " from a receipt of format " (receipt.format)
        ", seal " code.hash { (cut(&receipt.seal, 64)) }
    };
    document(&title, &head, &sections, &foot)
}

/// A section: its anchor, its heading, its content.
pub type Section = (&'static str, String, Markup);

/// A whole file: head, links to the sections, the sections, foot.
pub fn document(title: &str, head: &Markup, sections: &[Section], foot: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(*POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "graphproof " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                (definitions())
                (head)
                nav aria-label="Sections" {
                    ul { @for (id, heading, _) in sections { li { a href={ "#" (id) } { (heading) } } } }
                }
                main {
                    @for (id, heading, content) in sections {
                        section id=(id) { h2 { (heading) } (content) }
                    }
                }
                footer { (foot) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.0
}

fn verdict(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("pass", "✓", "PASS"),
        Verdict::Fail => ("fail", "✗", "FAIL"),
        Verdict::Interrupted => ("other", "‖", "INTERRUPTED"),
        Verdict::NotRun => ("other", "–", "NOT RUN"),
    }
}

/// The run in one line of numbers.
fn line(receipt: &Receipt) -> String {
    let compared: u64 = receipt.lanes.iter().map(|lane| lane.steps_compared).sum();
    let agreeing: u64 = receipt.lanes.iter().map(|lane| lane.steps_agreeing).sum();
    format!(
        "{}, {} of {} replays equal to eager bit for bit, {}",
        count(receipt.lanes.len() as u64, "step"),
        grouped(agreeing),
        grouped(compared),
        count(receipt.findings() as u64, "finding"),
    )
}

fn driver(receipt: &Receipt, software: bool) -> Markup {
    let device = &receipt.device;
    let (major, minor) = device.compute_capability;
    let version = device.driver_version;
    html! {
        p.driver {
            span.kind { @if software { "software driver" } @else { "NVIDIA's driver" } }
            " " (cut(&device.name, 120)) ", sm_" (major) (minor) ", CUDA " (version / 1000) "." (version % 1000 / 10)
        }
        @if software {
            p.minor {
                "No GPU took part: graphproof's own libcuda executed the kernels' PTX on the CPU. Sums of tensor cores "
                "and .approx instructions may differ from a GPU's in their last bits."
            }
        }
        p.minor { (utc(receipt.provenance.began)) ", exit code " (receipt.exit_code) }
    }
}

/// What all pictures share: arrow heads and the hatching of blocked time.
fn definitions() -> Markup {
    html! {
        svg.definitions aria-hidden="true" width="0" height="0" focusable="false" {
            defs {
                marker #arrow viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                    path.arrowhead d="M0 0 8 4 0 8z" {}
                }
                pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.hatch-ground width="6" height="6" {}
                    rect.hatch-line width="2.5" height="6" {}
                }
                pattern #doubt width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.doubt-ground width="5" height="5" {}
                    rect.doubt-line width="1.5" height="5" {}
                }
            }
        }
    }
}

/// Base64 with padding, as a content security policy wants its hashes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in vectors {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
