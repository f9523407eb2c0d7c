//! Structure of the captured graph: is the step's work in it, and nothing else?

use crate::context::Enqueued;
use crate::cuda::{CopyEnd, NodeKind};
use crate::finding::Finding;
use crate::topology::Topology;

const CHECK: &str = "structure";

/// Compares the graph with what the step enqueued through its context.
pub fn check(topology: &Topology, enqueued: &[Enqueued]) -> Vec<Finding> {
    if topology.nodes.is_empty() {
        let seen = format!("0 nodes; the step enqueued {} pieces of work through its context", enqueued.len());
        return vec![Finding::new("V13", CHECK).contrast("at least one node", seen)];
    }
    let mut findings = Vec::new();
    findings.extend(escaped_launches(topology, enqueued));
    for (index, node) in topology.nodes.iter().enumerate() {
        if let NodeKind::MemAlloc { address, bytes } = node.kind {
            let freed =
                topology.nodes.iter().any(|n| matches!(n.kind, NodeKind::MemFree { address: a } if a == address));
            if !freed {
                let seen = format!("node {index} allocates {bytes} bytes at {address:#x}, and no node frees them");
                findings.push(Finding::new("A05", CHECK).at(node.site.clone()).contrast("no allocation is left", seen));
            }
        }
        if let NodeKind::Memcpy { destination, source, .. } = node.kind {
            for end in [destination, source] {
                if let CopyEnd::Host(address) = end
                    && !crate::cuda::is_pinned(address)
                {
                    let seen = format!("node {index} holds the pageable host address {address:#x}");
                    findings.push(Finding::new("A11", CHECK).at(node.site.clone()).contrast("pinned memory", seen));
                }
            }
        }
    }
    findings
}

/// Kernels that were launched more often than the graph has nodes for them.
fn escaped_launches(topology: &Topology, enqueued: &[Enqueued]) -> Vec<Finding> {
    let nodes = |wanted: &str| {
        topology
            .nodes
            .iter()
            .filter(|node| matches!(&node.kind, NodeKind::Kernel { name, .. } if name == wanted))
            .count()
    };
    let mut seen: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for work in enqueued {
        let Some(kernel) = work.kernel.as_deref().filter(|kernel| !seen.contains(kernel)) else { continue };
        seen.push(kernel);
        let launched = enqueued.iter().filter(|other| other.kernel.as_deref() == Some(kernel)).count();
        let present = nodes(kernel);
        if present < launched {
            findings.push(
                Finding::new("C03", CHECK)
                    .at(Some(work.site.clone()))
                    .contrast(format!("{launched} nodes of kernel {kernel}"), format!("{present} nodes")),
            );
        }
    }
    findings
}
