//! The reviewed topology: the graph is what somebody looked at and accepted.

use similar::TextDiff;

use crate::finding::{Check, Finding, Id};
use crate::report::GraphReport;

const CHECK: Check = Check::Topology;

/// Compares the captured graph with the reviewed text, if there is one. `place` is its file.
pub fn check(graph: &GraphReport, reviewed: Option<&str>, place: &str) -> Option<Finding> {
    let Some(reviewed) = reviewed else {
        return Some(
            Finding::new(Id::T02, CHECK).contrast(format!("a reviewed graph in {place}"), "there is no such file"),
        );
    };
    let (reviewed, seen) = (reviewed.trim().to_owned() + "\n", graph.topology.join("\n") + "\n");
    if reviewed == seen {
        return None;
    }
    let diff = TextDiff::from_lines(&reviewed, &seen);
    let finding = Finding::new(Id::T01, CHECK).contrast(format!("the graph reviewed in {place}"), "another graph");
    let unified = diff.unified_diff().context_radius(1).header("reviewed", "captured").to_string();
    Some(unified.lines().fold(finding, |finding, line| finding.note(line)))
}

/// The text of an insta snapshot file, without its header.
pub fn snapshot_text(file: &str) -> &str {
    match file.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")) {
        Some((_, text)) => text,
        None => file,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, snapshot_text};
    use crate::report::GraphReport;

    fn graph(lines: &[&str]) -> GraphReport {
        let topology = lines.iter().map(|&line| line.to_owned()).collect();
        GraphReport { nodes: 1, topology, ..GraphReport::default() }
    }

    #[test]
    fn a_graph_that_was_reviewed_is_silent() {
        let file = "---\nsource: tests/cli.rs\n---\n0: memset\n     destination bits\n";
        let seen = graph(&["0: memset", "     destination bits"]);
        assert_eq!(check(&seen, Some(snapshot_text(file)), "f"), None);
    }

    #[test]
    fn drift_is_shown_as_a_diff() {
        let finding = check(&graph(&["0: memset", "1: kernel k"]), Some("0: memset\n"), "f").unwrap();
        assert_eq!(finding.id, "T01");
        assert!(finding.notes.iter().any(|line| line == "+1: kernel k"), "{:?}", finding.notes);
    }

    #[test]
    fn a_graph_that_nobody_reviewed_is_a_finding() {
        assert_eq!(check(&graph(&["0: memset"]), None, "f").unwrap().id, "T02");
    }
}
