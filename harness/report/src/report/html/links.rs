//! Anchors, and which findings stand at which node.

use graphproof_harness::finding::{Finding, Id, Site};
use graphproof_harness::report::LaneReport;

use super::units::cut;

/// The anchor of a finding's card.
pub fn finding(lane: usize, finding: usize) -> String {
    format!("finding-{lane}-{finding}")
}

/// The anchor of a lane's graph.
pub fn graph(lane: usize) -> String {
    format!("graph-{lane}")
}

/// The anchor of a node in the picture of its graph.
pub fn node(lane: usize, node: usize) -> String {
    format!("node-{lane}-{node}")
}

/// The anchor of the explanation of an id.
pub fn explanation(id: Id) -> String {
    format!("explain-{id}")
}

/// The first node of the lane's graph that was made where the finding stands.
pub fn node_of(lane: &LaneReport, finding: &Finding) -> Option<usize> {
    let (graph, place) = (lane.graph.as_ref()?, finding.site.as_ref()?);
    let same = |site: &Site| site.line == place.line && site.file == place.file;
    graph.node_list.iter().position(|node| node.site.as_ref().is_some_and(same))
}

/// Lanes with findings first, then the others, each in the order of the run.
pub fn worst_first(lanes: &[LaneReport]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    order.sort_by_key(|&lane| lanes[lane].findings.is_empty());
    order
}

/// The lane's name; with its shape or seed where another lane has the same.
pub fn name(lanes: &[LaneReport], lane: usize) -> String {
    let report = &lanes[lane];
    let step = cut(&report.step, 60);
    let mut alike = lanes.iter().filter(|other| other.step == report.step);
    let same_shape = alike.clone().all(|other| other.shape == report.shape);
    let same_seed = alike.clone().all(|other| other.seed == report.seed);
    match (alike.nth(1).is_none(), same_shape, same_seed) {
        (true, ..) => step,
        (false, true, _) => format!("{step}, seed {}", report.seed),
        (false, false, true) => format!("{step}, {}", cut(&report.shape, 80)),
        (false, false, false) => format!("{step}, {}, seed {}", cut(&report.shape, 80), report.seed),
    }
}
