//! Structure of the captured graph: is the step's work in it, and nothing else?

use std::ops::Range;

use crate::context::Enqueued;
use crate::cuda::{CopyEnd, GraphNode, NodeKind};
use crate::finding::{Check, Finding, Id};
use crate::topology::Topology;

const CHECK: Check = Check::Structure;

/// Compares the graph with what the step enqueued through its context.
pub fn check(topology: &Topology, enqueued: &[Enqueued], stack: Range<u64>) -> Vec<Finding> {
    if topology.nodes.is_empty() {
        let seen = format!("0 nodes; the step enqueued {} pieces of work through its context", enqueued.len());
        return vec![Finding::new(Id::V13, CHECK).contrast("at least one node", seen)];
    }
    let mut findings = Vec::new();
    findings.extend(escaped_launches(topology, enqueued));
    findings.extend(escaped_calls(topology, enqueued));
    for (index, node) in topology.nodes.iter().enumerate() {
        if let NodeKind::MemAlloc { address, bytes } = node.kind {
            let freed =
                topology.nodes.iter().any(|n| matches!(n.kind, NodeKind::MemFree { address: a } if a == address));
            if !freed {
                let seen = format!("node {index} allocates {bytes} bytes at {address:#x}, and no node frees them");
                findings
                    .push(Finding::new(Id::A05, CHECK).at(node.site.clone()).contrast("no allocation is left", seen));
            }
        }
        if let NodeKind::Host { user_data, .. } = node.kind
            && stack.contains(&user_data)
        {
            let seen = format!("node {index} gives its function the stack address {user_data:#x}");
            findings
                .push(Finding::new(Id::A12, CHECK).at(node.site.clone()).contrast("an argument that lives on", seen));
        }
        if let NodeKind::Memcpy { destination, source, .. } = node.kind {
            for end in [destination, source] {
                if let CopyEnd::Host(address) = end
                    && !crate::cuda::is_pinned(address)
                {
                    // A local that the device is to write: the host means to read it there and then.
                    let read_back = end == destination && stack.contains(&address);
                    let (id, what) = if read_back { (Id::S08, "stack") } else { (Id::A11, "pageable host") };
                    let seen = format!("node {index} holds the {what} address {address:#x}");
                    findings.push(Finding::new(id, CHECK).at(node.site.clone()).contrast("pinned memory", seen));
                }
            }
        }
    }
    findings
}

/// The calling thread's stack below the caller, as a range of addresses: no more than its own mapping, since what lies
/// below that may be anybody's, such as pinned memory.
pub fn stack() -> Range<u64> {
    /// The size of a thread's stack in Rust's standard library.
    const STACK: u64 = 2 << 20;
    let here = 0u8;
    let top = (&raw const here).addr() as u64;
    let lowest = top.saturating_sub(STACK);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    lowest.max(begin_of_mapping(&maps, top).unwrap_or(lowest))..top
}

/// Where the mapping begins that holds `address`, by the lines of `/proc/self/maps`.
fn begin_of_mapping(maps: &str, address: u64) -> Option<u64> {
    let ranges = maps.lines().filter_map(|line| line.split_whitespace().next()?.split_once('-'));
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut mappings = ranges.filter_map(|(begin, end)| Some(number(begin)?..number(end)?));
    mappings.find(|mapping| mapping.contains(&address)).map(|mapping| mapping.start)
}

/// Whether a finding means that the graph holds an address of the step's stack: it must not run.
pub fn is_dangling(finding: &Finding) -> bool {
    finding.check == CHECK && matches!(finding.id, Id::S08 | Id::A12)
}

/// Calls that put work on some stream, more than the graph has nodes for them.
fn escaped_calls(topology: &Topology, enqueued: &[Enqueued]) -> Vec<Finding> {
    type Kind = (&'static str, &'static [&'static str], fn(&NodeKind) -> bool);
    const KINDS: [Kind; 3] = [
        ("kernel", &["cuLaunchKernel", "launch of "], |kind| matches!(kind, NodeKind::Kernel { .. })),
        ("memset", &["cuMemset", "memset of "], |kind| matches!(kind, NodeKind::Memset { .. })),
        ("memcpy", &["cuMemcpy", "copy of "], |kind| matches!(kind, NodeKind::Memcpy { .. })),
    ];
    let mut findings = Vec::new();
    for (kind, names, is) in KINDS {
        let made = |work: &&Enqueued| names.iter().any(|name| work.site.what.starts_with(name));
        let raw = |work: &Enqueued| work.kernel.is_none() && work.site.what.starts_with(names[0]);
        let calls = enqueued.iter().filter(made).count();
        let nodes = topology.nodes.iter().filter(|node| is(&node.kind)).count();
        if nodes >= calls || !enqueued.iter().any(raw) {
            continue;
        }
        // The call after which the stream's last nodes were those of before.
        let mut before: &[GraphNode] = &[];
        let mut lost = None;
        for work in enqueued {
            if raw(work) && work.nodes == before && lost.is_none() {
                lost = Some(work);
            }
            before = &work.nodes;
        }
        let site = lost.or_else(|| enqueued.iter().find(|work| raw(work))).map(|work| work.site.clone());
        findings.push(
            Finding::new(Id::C03, CHECK)
                .at(site)
                .contrast(format!("{calls} {kind} nodes, one for each call"), format!("{nodes} {kind} nodes")),
        );
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
                Finding::new(Id::C03, CHECK)
                    .at(Some(work.site.clone()))
                    .contrast(format!("{launched} nodes of kernel {kernel}"), format!("{present} nodes")),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_threads_stack_is_none_of_it() {
        const SMALL: usize = 128 << 10;
        let ranges = |size: usize| std::thread::Builder::new().stack_size(size).spawn(stack).expect("a thread").join();
        let small = ranges(SMALL).expect("its stack");
        assert!(small.end - small.start <= SMALL as u64 + (64 << 10), "{small:x?}");
        let large = ranges(16 << 20).expect("its stack");
        assert_eq!(large.end - large.start, 2 << 20);
        let maps = "1000-2000 rw-p 00000000 00:00 0\n2000-3000 ---p 00000000 00:00 0 \n3000-9000 rw-p 00000000 00:00 0 [stack]\n";
        assert_eq!([0x1fff, 0x3000, 0x9000].map(|at| begin_of_mapping(maps, at)), [Some(0x1000), Some(0x3000), None]);
    }
}
