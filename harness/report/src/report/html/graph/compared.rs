//! One lane's graph in two runs, side by side.

use std::collections::{BTreeMap, HashMap};

use graphproof_harness::report::{GraphReport, LaneReport};
use maud::{Markup, html};
use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::collapse::Boxes;
use super::{Marks, draw, roles};
use crate::report::html::room::missing;
use crate::report::html::units::count;

/// Both graphs as pictures. A node is marked `gone` or `new` where the other graph has none like it in
/// its place, and `differs` where what stands in its place is another. `at` tells the lanes of one page
/// apart.
pub fn side_by_side(at: usize, old: &LaneReport, new: &LaneReport) -> Markup {
    let (Some(before), Some(after)) = (&old.graph, &new.graph) else { return html! {} };
    let [gone, come] = marks(before, after);
    html! {
        div.sides {
            (side("old", 2 * at, old, before, &gone))
            (side("new", 2 * at + 1, new, after, &come))
        }
    }
}

fn side(word: &str, anchor: usize, lane: &LaneReport, graph: &GraphReport, marks: &HashMap<usize, Marks>) -> Markup {
    let boxes = Boxes::of(graph, |node| marks.contains_key(&node));
    let (picture, _) = draw::picture(&format!("{}, {word}", lane.step), anchor, graph, &boxes, marks, &roles(lane));
    html! {
        figure {
            h4 { (word) }
            p.minor { (count(graph.nodes as u64, "node")) ", " (count(graph.edges as u64, "edge")) }
            div.scroll tabindex="0" role="region" aria-label={ "Graph of " (lane.step) ", " (word) } { (picture) }
            @if boxes.nodes_left_out > 0 { (missing(&count(boxes.nodes_left_out as u64, "node"), "")) }
        }
    }
}

/// The nodes of a reviewed graph's text, each with its arguments and without its number.
fn nodes(graph: &GraphReport) -> Vec<String> {
    let mut nodes: Vec<String> = Vec::new();
    for line in &graph.topology {
        let number = line.split_once(": ").filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
        match (number, nodes.last_mut()) {
            (Some((_, headline)), _) => nodes.push(headline.to_owned()),
            (None, Some(node)) if line.starts_with(' ') => {
                node.push('\n');
                node.push_str(line);
            }
            _ => {}
        }
    }
    nodes
}

/// What differs, by node, in the old graph and in the new one.
fn marks(old: &GraphReport, new: &GraphReport) -> [HashMap<usize, Marks>; 2] {
    let mut marks = [HashMap::new(), HashMap::new()];
    for change in capture_diff_slices(Algorithm::Myers, &nodes(old), &nodes(new)) {
        if change.tag() == DiffTag::Equal {
            continue;
        }
        let ranges = [change.old_range(), change.new_range()];
        // Of a run of nodes in place of another, as many are pairs as the shorter of the two has.
        let pairs = ranges[0].len().min(ranges[1].len());
        for (side, (range, alone)) in ranges.into_iter().zip(["gone", "new"]).enumerate() {
            marks[side].extend(range.enumerate().map(|(place, node)| {
                let word = if place < pairs { "differs" } else { alone };
                (node, BTreeMap::from([(word.to_owned(), None)]))
            }));
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(lines: &[&str]) -> GraphReport {
        GraphReport { topology: lines.iter().map(|line| (*line).to_owned()).collect(), ..GraphReport::default() }
    }

    #[test]
    fn nodes_are_paired_whatever_their_numbers() {
        let old = graph(&["0: memset", "      0 bits", "1: kernel f", "      0 q", "2: kernel g", "0 -> 1", "1 -> 2"]);
        let new = graph(&["0: kernel f", "      0 k", "1: kernel g", "2: kernel h", "0 -> 1", "1 -> 2"]);
        let [gone, come] = marks(&old, &new);
        let words = |marks: &HashMap<usize, Marks>| {
            let mut all: Vec<(usize, String)> =
                marks.iter().map(|(node, words)| (*node, words.keys().cloned().collect())).collect();
            all.sort();
            all
        };
        assert_eq!(words(&gone), [(0, "differs".to_owned()), (1, "gone".to_owned())]);
        assert_eq!(words(&come), [(0, "differs".to_owned()), (2, "new".to_owned())]);
        assert!(marks(&old, &old).iter().all(HashMap::is_empty));
    }
}
