//! Anchors, and which findings stand at which node.

use graphproof_harness::finding::{Finding, Site};
use graphproof_harness::report::LaneReport;

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
pub fn explanation(id: &str) -> String {
    // Ids come from a file: only what is safe in an anchor stays.
    format!("explain-{}", id.chars().filter(char::is_ascii_alphanumeric).collect::<String>())
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

/// The lane's name; with its place in the run where another lane has the same.
pub fn name(lanes: &[LaneReport], lane: usize) -> String {
    let report = &lanes[lane];
    let alike: Vec<&LaneReport> = lanes.iter().filter(|other| other.step == report.step).collect();
    if alike.len() == 1 {
        return report.step.clone();
    }
    let same_shape = alike.iter().all(|other| other.shape == report.shape);
    let same_seed = alike.iter().all(|other| other.seed == report.seed);
    match (same_shape, same_seed) {
        (true, _) => format!("{}, seed {}", report.step, report.seed),
        (false, true) => format!("{}, {}", report.step, report.shape),
        (false, false) => format!("{}, {}, seed {}", report.step, report.shape, report.seed),
    }
}
