//! What is wrong: a card for each finding.

use std::collections::HashSet;

use graphproof_harness::finding::{Finding, Id, Severity, Site};
use graphproof_harness::report::LaneReport;
use maud::{Markup, html};

use super::room::{Room, missing};
use super::units::{count, cut};
use super::{links, markdown};

/// Bytes for the cards and their explanations.
const ROOM: usize = 420 << 10;
/// Characters of one text of a finding.
const MOST_TEXT: usize = 2_000;
/// Notes of one finding.
const MOST_NOTES: usize = 20;

/// A finding by the place of its lane and its place in the lane.
pub type At = (usize, usize);

/// The findings for which there is room, in order.
pub fn choose(lanes: &[LaneReport]) -> Vec<At> {
    let (mut room, mut explained) = (Room::new(ROOM), HashSet::new());
    let every = |at: usize| (0..lanes[at].findings.len()).map(move |number| (at, number));
    (0..lanes.len())
        .flat_map(every)
        .take_while(|&at| {
            let finding = &lanes[at.0].findings[at.1];
            let first = explained.insert(finding.id);
            room.take(card(lanes, at, first, true)).is_some()
        })
        .collect()
}

/// The section's content: `chosen` findings, which link to the graphs of `drawn` lanes.
pub fn section(lanes: &[LaneReport], chosen: &[At], drawn: &HashSet<usize>) -> Markup {
    let all: usize = lanes.iter().map(|lane| lane.findings.len()).sum();
    let mut explained = HashSet::new();
    html! {
        @if all == 0 {
            p { "None. What could not be checked is said " a href="#not-checked" { "below" } "." }
        }
        @for &at in chosen {
            (card(lanes, at, explained.insert(lanes[at.0].findings[at.1].id), drawn.contains(&at.0)))
        }
        @if all > chosen.len() {
            (missing(&count((all - chosen.len()) as u64, "further finding"), "The receipt (--json) holds all."))
        }
    }
}

/// A card; `first` of its id carries the explanation, and it links to its graph if that is drawn.
fn card(lanes: &[LaneReport], (lane, number): At, first: bool, graph_is_drawn: bool) -> Markup {
    let finding: &Finding = &lanes[lane].findings[number];
    let whose = html! {
        "step " b { (links::name(lanes, lane)) }
        @if let Some(step) = finding.step { ", replay " b { (step) } }
    };
    let node = links::node_of(&lanes[lane], finding).filter(|_| graph_is_drawn);
    let node = node.map(|node| html! { a href={ "#" (links::graph(lane)) } { "node " (node) } });
    with_node(&links::finding(lane, number), whose, finding, first, node)
}

/// A card under the anchor `id`, of what `whose` says; `first` of its id carries the explanation.
pub fn article(id: &str, whose: Markup, finding: &Finding, first: bool) -> Markup {
    with_node(id, whose, finding, first, None)
}

fn with_node(id: &str, whose: Markup, finding: &Finding, first: bool, node: Option<Markup>) -> Markup {
    let (class, severity) = match finding.severity {
        Severity::Error => ("error", "✗ error"),
        Severity::Warning => ("warning", "! warning"),
    };
    html! {
        article id=(id) class={ "finding " (class) } {
            h3 { span.badge { (severity) " " (finding.id) } " " (cut(&finding.title, MOST_TEXT)) }
            p.where { (whose) ", check " b { (finding.check) } }
            dl {
                @if let Some(site) = &finding.site { (place("where", site)) }
                @if let Some(site) = &finding.origin { (place("began", site)) }
                @if let Some(node) = node {
                    dt { "in the graph" }
                    dd { (node) }
                }
                (row("expected", &finding.expected))
                (row("seen", &finding.seen))
                @if is_diff(finding) {
                    dt { "difference" }
                    dd { (difference(&finding.notes, "Difference from the reviewed graph")) }
                } @else {
                    @for note in finding.notes.iter().take(MOST_NOTES) { (row("note", note)) }
                }
                @if !is_diff(finding) && finding.notes.len() > MOST_NOTES {
                    (row("note", &count((finding.notes.len() - MOST_NOTES) as u64, "further note")))
                }
                @if !finding.help.is_empty() {
                    dt { "help" }
                    dd.help { (cut(&finding.help, MOST_TEXT)) }
                }
            }
            (explanation(finding.id, first))
        }
    }
}

fn place(label: &str, site: &Site) -> Markup {
    html! {
        dt { (label) }
        dd { code { (site.place()) } br; (cut(&site.what, MOST_TEXT)) }
    }
}

fn row(label: &str, text: &str) -> Markup {
    html! {
        @if !text.is_empty() {
            dt { (label) }
            dd { (cut(text, MOST_TEXT)) }
        }
    }
}

/// The notes of a reviewed graph's drift are the lines of a unified diff.
fn is_diff(finding: &Finding) -> bool {
    finding.id == Id::T01 && !finding.notes.is_empty()
}

/// Lines of a unified diff, whole: those added and removed marked by sign and by colour.
pub fn difference(lines: &[String], label: &str) -> Markup {
    let class = |line: &str| match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") || line.starts_with("@@") => "place",
        Some(b'+') => "added",
        Some(b'-') => "removed",
        _ => "kept",
    };
    html! {
        pre.difference tabindex="0" role="region" aria-label=(label) {
            @for line in lines { span class=(class(line)) { (line) "\n" } }
        }
    }
}

fn explanation(id: Id, first: bool) -> Markup {
    html! {
        @if first {
            details id=(links::explanation(id)) {
                summary { "What " (id) " means, why CUDA behaves so, and how to fix it" }
                (markdown::explanation(id.explanation()))
            }
        } @else {
            p { a href={ "#" (links::explanation(id)) } { "What " (id) " means" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_of_a_graph_is_a_diff_with_every_line() {
        let lines: Vec<String> = (0..60).map(|n| format!("+{n}: kernel <k>")).collect();
        let lines = [vec!["--- reviewed".to_owned(), "-0: memset".to_owned()], lines].concat();
        let text = difference(&lines, "Difference").0;
        assert_eq!(text.matches("class=\"added\"").count(), 60);
        assert_eq!(text.matches("class=\"removed\"").count(), 1);
        assert!(
            text.contains("+59: kernel &lt;k&gt;\n") && text.contains("<span class=\"place\">--- reviewed"),
            "{text}"
        );
    }
}
