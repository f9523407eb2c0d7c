//! `cuGraphDebugDotPrint`.

use std::fmt::{self, Write as _};

use super::edge::EdgeData;
use super::node::{Node, NodeWork};
use super::store::Graphs;
use crate::work::NodeParams;
use graphproof_api::Cuda;

/// `CUgraphDebugDot_flags`.
pub mod flags {
    #![allow(missing_docs, reason = "the names are CUDA's")]
    pub const VERBOSE: u32 = 1 << 0;
    pub const RUNTIME_TYPES: u32 = 1 << 1;
    pub const KERNEL_NODE_PARAMS: u32 = 1 << 2;
    pub const MEMCPY_NODE_PARAMS: u32 = 1 << 3;
    pub const MEMSET_NODE_PARAMS: u32 = 1 << 4;
    pub const HOST_NODE_PARAMS: u32 = 1 << 5;
    pub const EVENT_NODE_PARAMS: u32 = 1 << 6;
    pub const KERNEL_NODE_ATTRIBUTES: u32 = 1 << 9;
    pub const HANDLES: u32 = 1 << 10;
    pub const MEM_ALLOC_NODE_PARAMS: u32 = 1 << 11;
    pub const MEM_FREE_NODE_PARAMS: u32 = 1 << 12;
    pub const BATCH_MEM_OP_NODE_PARAMS: u32 = 1 << 13;
    pub const EXTRA_TOPO_INFO: u32 = 1 << 14;
    pub const CONDITIONAL_NODE_PARAMS: u32 = 1 << 15;
    /// All that cuda.h 13.5 defines.
    pub const ALL: u32 = (1 << 18) - 1;
}

impl Graphs {
    /// The graph in the DOT language: topology, node types and ids, kernel names and directions of
    /// copies, and what `wanted` adds to them.
    pub fn dot(&self, graph: u64, wanted: u32) -> Cuda<String> {
        let wanted = if wanted & flags::VERBOSE != 0 { flags::ALL & !flags::RUNTIME_TYPES } else { wanted };
        let mut text = String::from("digraph dot {\n");
        self.subgraph(graph, wanted, &mut text)?;
        text.push_str("}\n");
        Ok(text)
    }

    fn subgraph(&self, graph: u64, wanted: u32, text: &mut String) -> Cuda {
        let id = self.graph(graph)?.id();
        // Writing to a string does not fail.
        let _ = writeln!(text, "subgraph cluster_{id} {{\nlabel=\"graph_{id}\" graph[style=\"dashed\"];");
        for (handle, node) in self.nodes(graph)? {
            let mut label = format!("{}\\n{}", node.local_id(), node.work().node_type().name());
            let _ = describe(node, wanted, &mut label);
            if wanted & flags::HANDLES != 0 {
                let _ = write!(label, "\\nnode handle: {handle:#x}");
            }
            let _ =
                writeln!(text, "\"graph_{id}_node_{}\"[shape=\"box\" label=\"{}\"];", node.local_id(), quoted(&label));
        }
        for (number, (from, to, data)) in self.edges(graph)?.into_iter().enumerate() {
            let (from, to) = (self.node(from)?.local_id(), self.node(to)?.local_id());
            let _ = write!(text, "\"graph_{id}_node_{from}\" -> \"graph_{id}_node_{to}\"");
            let extra = wanted & flags::EXTRA_TOPO_INFO != 0;
            if extra || data != EdgeData::FULL {
                let ports = format!("from_port={} to_port={} type={}", data.from_port, data.to_port, data.kind);
                let _ = write!(text, "[label=\"{number}: {ports}\"]");
            }
            text.push_str(";\n");
        }
        text.push_str("}\n");
        for (_, node) in self.nodes(graph)? {
            for &inner in node.work().graphs() {
                let (inner_id, outer) = (self.graph(inner)?.id(), node.local_id());
                self.subgraph(inner, wanted, text)?;
                let first = self.nodes(inner)?.next().map(|(_, first)| first.local_id());
                if let Some(first) = first {
                    let ends = format!("\"graph_{id}_node_{outer}\" -> \"graph_{inner_id}_node_{first}\"");
                    let _ = writeln!(text, "{ends}[style=\"dotted\" lhead=\"cluster_{inner_id}\"];");
                }
            }
        }
        Ok(())
    }
}

/// Labels are quoted strings of the DOT language; `\n` is left as it is.
fn quoted(label: &str) -> String {
    label.replace('"', "\\\"")
}

fn describe(node: &Node, wanted: u32, label: &mut String) -> fmt::Result {
    let has = |flag: u32| wanted & flag != 0;
    match node.work() {
        NodeWork::ChildGraph(_) => Ok(()),
        NodeWork::Conditional(conditional) => {
            if has(flags::CONDITIONAL_NODE_PARAMS) {
                let bodies = conditional.bodies.len();
                write!(label, "\\n{:?} handle: {:#x} bodies: {bodies}", conditional.kind, conditional.handle)?;
            }
            Ok(())
        }
        NodeWork::Work(work) => describe_work(work, has, label),
    }
}

fn describe_work(work: &NodeParams, has: impl Fn(u32) -> bool, label: &mut String) -> fmt::Result {
    match work {
        NodeParams::Kernel(kernel) => {
            write!(label, "\\n{}", kernel.function.entry.name)?;
            if has(flags::HANDLES) {
                write!(label, "\\nfunc handle: {:#x}", kernel.function.handle)?;
            }
            if has(flags::KERNEL_NODE_PARAMS) {
                let config = &kernel.config;
                write!(label, "\\n<<<{:?},{:?},{}>>>", config.grid, config.block, config.dynamic_shared_bytes)?;
                for parameter in &kernel.function.entry.parameters {
                    let end = parameter.offset.saturating_add(parameter.size);
                    let bytes = kernel.parameters.get(parameter.offset..end).unwrap_or_default();
                    write!(label, "\\n{}: 0x", parameter.name)?;
                    bytes.iter().rev().try_for_each(|byte| write!(label, "{byte:02x}"))?;
                }
            }
            if has(flags::KERNEL_NODE_ATTRIBUTES) {
                write!(label, "\\ncooperative: {}", u32::from(kernel.cooperative))?;
                for attribute in kernel.attributes.iter() {
                    write!(label, "\\nattribute {}: {:#x}", attribute.id, attribute.value.word(0))?;
                }
            }
            Ok(())
        }
        NodeParams::Memcpy(copy) => {
            let copy = &copy.params;
            let place = |kind: u32| ["?", "H", "D", "A", "U"].get(kind as usize).copied().unwrap_or("?");
            write!(label, "\\n({}to{})", place(copy.src.memory_type), place(copy.dst.memory_type))?;
            if has(flags::MEMCPY_NODE_PARAMS) {
                let [from, to] = [copy.src, copy.dst].map(|end| end.host.max(end.device));
                write!(label, "\\nsrc: {from:#x} pitch {}\\ndst: {to:#x} pitch {}", copy.src.pitch, copy.dst.pitch)?;
                let [width, height, depth] = copy.extent;
                write!(label, "\\nextent: {width} x {height} x {depth}")?;
            }
            Ok(())
        }
        NodeParams::Memset(fill) if has(flags::MEMSET_NODE_PARAMS) => {
            write!(label, "\\ndst: {:#x} pitch {}\\nvalue: {}", fill.dst, fill.pitch, fill.value)?;
            write!(label, "\\nelement size: {} extent: {} x {}", fill.element_size, fill.width, fill.height)
        }
        NodeParams::Host(host) if has(flags::HOST_NODE_PARAMS) => {
            write!(label, "\\nfn: {:#x}\\nuserData: {:#x}", host.callback.function, host.callback.data)
        }
        NodeParams::EventRecord(event) | NodeParams::EventWait(event) if has(flags::EVENT_NODE_PARAMS) => {
            write!(label, "\\nevent: {:#x}", event.0)
        }
        NodeParams::MemAlloc { address, size, .. } if has(flags::MEM_ALLOC_NODE_PARAMS) => {
            write!(label, "\\ndptr: {address:#x}\\nbytesize: {size}")
        }
        NodeParams::MemFree { address } if has(flags::MEM_FREE_NODE_PARAMS) => write!(label, "\\ndptr: {address:#x}"),
        NodeParams::BatchMemOp(operations) if has(flags::BATCH_MEM_OP_NODE_PARAMS) => {
            write!(label, "\\noperations: {}", operations.len())
        }
        _ => Ok(()),
    }
}
