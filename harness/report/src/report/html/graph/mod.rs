//! The graph of each lane as a picture.

mod collapse;
mod compared;
mod draw;
pub mod layout;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use graphproof_harness::report::LaneReport;
use maud::{Markup, html};

use super::findings::At;
use super::links;
use super::room::{self, missing};
use super::units::{count, cut, grouped};
use collapse::{Boxes, COLLAPSE_ABOVE};
pub use compared::side_by_side;
pub use draw::role_class;

/// Bytes for all pictures.
const ROOM: usize = 400 << 10;
/// Most boxes of a lane that are listed beneath its picture.
const MOST_LISTED: usize = 20;

/// The pictures for which there is room.
pub struct Pictures {
    drawn: Vec<(usize, Markup)>,
    left_out: Vec<usize>,
}

impl Pictures {
    /// Draws the lanes' graphs, those with findings first. Only the `linked` findings have an anchor.
    pub fn draw(lanes: &[LaneReport], linked: &HashSet<At>) -> Self {
        let mut order = links::worst_first(lanes);
        order.retain(|&lane| lanes[lane].graph.as_ref().is_some_and(|graph| !graph.node_list.is_empty()));
        let (drawn, left_out) = room::draw(&order, ROOM, |lane| card(lanes, lane, linked));
        Pictures { drawn, left_out }
    }

    /// The lanes that were drawn.
    pub fn drawn(&self) -> impl Iterator<Item = usize> {
        self.drawn.iter().map(|(lane, _)| *lane)
    }

    /// The section's content.
    pub fn section(self, lanes: &[LaneReport]) -> Markup {
        let without = lanes.len() - self.drawn.len() - self.left_out.len();
        html! {
            p {
                "Each box is a node, each arrow a dependency: the lower node waits for the upper one. Beneath a node's "
                "name stand the buffers whose addresses it holds. "
                span.chips { @for role in ["input", "state", "output", "scratch"] { span class={ "chip " (role) } { (role) } } }
            }
            div.graphs { @for (_, picture) in &self.drawn { (picture) } }
            @if without > 0 {
                p { (count(without as u64, "lane")) @if without == 1 { " has" } @else { " have" } " no graph: the capture did not come to an end, or made no node." }
            }
            @if !self.left_out.is_empty() {
                (missing(&count(self.left_out.len() as u64, "graph"), "`graphproof graph STEP` prints them."))
            }
        }
    }
}

/// Words at a node, such as the ids of its findings, each with the anchor of the first such finding, if it has one.
type Marks = BTreeMap<String, Option<String>>;

/// The roles of a lane's buffers, by name.
fn roles(report: &LaneReport) -> HashMap<&str, &str> {
    let buffers = report.memory.iter().flat_map(|memory| &memory.buffers);
    buffers.map(|buffer| (buffer.name.as_str(), buffer.role.as_str())).collect()
}

fn card(lanes: &[LaneReport], lane: usize, linked: &HashSet<At>) -> Markup {
    let report = &lanes[lane];
    let Some(graph) = &report.graph else { return html! {} };
    let mut marks: HashMap<usize, Marks> = HashMap::new();
    let mut at_site: HashMap<(&str, u32), Vec<usize>> = HashMap::new();
    for (node, made) in graph.node_list.iter().enumerate() {
        if let Some(site) = &made.site {
            at_site.entry((site.file.as_str(), site.line)).or_default().push(node);
        }
    }
    for (number, finding) in report.findings.iter().enumerate() {
        let anchor = linked.contains(&(lane, number)).then(|| links::finding(lane, number));
        let Some(site) = &finding.site else { continue };
        for &node in at_site.get(&(site.file.as_str(), site.line)).into_iter().flatten() {
            marks.entry(node).or_default().entry(finding.id.to_string()).or_insert_with(|| anchor.clone());
        }
    }
    let boxes = Boxes::of(graph, |node| marks.contains_key(&node));
    let roles = roles(report);
    let name = links::name(lanes, lane);
    let (picture, wide) = draw::picture(&name, lane, graph, &boxes, &marks, &roles);
    let collapsed = boxes.boxes.iter().filter(|part| part.count > 1).count();
    let listed: BTreeSet<usize> = marks.keys().filter_map(|&node| boxes.of_node[node]).collect();
    html! {
        figure id=(links::graph(lane)) class=[wide.then_some("wide")] {
            h3 { (name) }
            p.minor {
                (count(graph.nodes as u64, "node")) ", " (count(graph.edges as u64, "edge")) ", "
                (grouped(graph.pointers as u64)) " device addresses checked before each replay"
            }
            div.scroll tabindex="0" role="region" aria-label={ "Graph of " (name) } { (picture) }
            figcaption {
                @if !listed.is_empty() {
                    p.marked {
                        "Marked with ▲: "
                        @for (at, &part) in listed.iter().take(MOST_LISTED).enumerate() {
                            @if at > 0 { "; " }
                            @let node = boxes.boxes[part].node;
                            a href={ "#" (links::node(lane, node)) } { "node " (node) }
                            @for (id, anchor) in draw::marks_of(&boxes.boxes[part], &marks) {
                                ", " @match anchor {
                                    Some(anchor) => a href={ "#" (anchor) } { (cut(id, 12)) },
                                    None => (cut(id, 12)),
                                }
                            }
                        }
                        @if listed.len() > MOST_LISTED { " and " (listed.len() - MOST_LISTED) " more" }
                    }
                }
                @if collapsed > 0 {
                    p.minor { "Above " (COLLAPSE_ABOVE) " nodes, runs of equal nodes are drawn as one box with their number." }
                }
                @if boxes.nodes_left_out > 0 { (missing(&count(boxes.nodes_left_out as u64, "node"), "")) }
                @if boxes.edges_left_out > 0 { (missing(&count(boxes.edges_left_out as u64, "edge"), "")) }
            }
        }
    }
}
