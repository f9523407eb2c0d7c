//! What the body of a conditional node may hold.

use crate::cuda::NodeKind;
use crate::finding::{Check, Finding, Id};
use crate::topology::{Node, Topology, headline};

/// The finding for a graph that does not instantiate because a body of a conditional node holds what no body may:
/// with its line. NVIDIA's guide allows kernels, copies, fills, empty nodes, child graphs and conditional nodes.
pub(super) fn forbidden_in_body(topology: &Topology, answer: &str) -> Option<Finding> {
    topology.bodies.iter().find_map(|body| {
        let allowed = |node: &Node| match &node.kind {
            NodeKind::Kernel { .. } | NodeKind::Memcpy { .. } | NodeKind::Memset { .. } => true,
            NodeKind::Other(name) => ["empty", "graph", "conditional"].contains(&name.as_str()),
            _ => false,
        };
        let nodes = &body.topology.nodes;
        let Some(at) = nodes.iter().position(|node| !allowed(node)) else {
            return forbidden_in_body(&body.topology, answer);
        };
        let seen = format!(
            "body {} of node {} holds node {at} ({}); the driver: {answer}",
            body.number,
            body.node,
            headline(&nodes[at].kind)
        );
        let expected =
            "the body of a conditional node holds kernels, copies, fills, child graphs and conditional nodes";
        Some(Finding::new(Id::E05, Check::Capture).at(nodes[at].site.clone()).contrast(expected, seen))
    })
}
