//! A captured graph read back from the driver, with every address named by its buffer.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::buffers::{BufferSet, Target};
use crate::calls::Caller;
use crate::context::Enqueued;
use crate::cuda::{Allocation, CapturedGraph, CopyEnd, CudaError, GraphNode, NodeKind, ParameterWord, tensor_map};
use crate::finding::Site;
use crate::report::{GraphReport, NodeReport};

/// A graph as people and checks read it. Nodes stand in the order of their creation.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Pairs of node indices: the second depends on the first. Sorted.
    pub edges: Vec<(usize, usize)>,
    /// What the bodies of conditional nodes hold, where the step made the nodes through its context.
    pub bodies: Vec<BodyOf>,
}

/// A body of a conditional node.
#[derive(Debug, Clone)]
pub struct BodyOf {
    /// The node.
    pub node: usize,
    /// The body's number, from 0.
    pub number: usize,
    /// What it holds.
    pub topology: Topology,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it does.
    pub kind: NodeKind,
    /// The line of the step that made it, where known.
    pub site: Option<Site>,
    /// Every device address that it holds in one of the step's buffers.
    pub pointers: Vec<Pointer>,
    /// Every other address that it holds in memory that the driver knows.
    pub foreign: Vec<Foreign>,
}

/// A device address that a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Where in the node: `parameter 3`, `destination`.
    pub place: String,
    /// For kernels: parameter index and byte offset in it.
    pub parameter: Option<(usize, usize)>,
    /// The address.
    pub address: u64,
    /// What it means.
    pub target: Target,
}

/// An address in memory that the step did not declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where in the node: `parameter 3`, `source`.
    pub place: String,
    /// For kernels: parameter index and byte offset in it.
    pub parameter: Option<(usize, usize)>,
    /// The address.
    pub address: u64,
    /// The allocation as it was at capture.
    pub allocation: Allocation,
    /// Where that begins and its bytes, for device memory.
    pub extent: Option<(u64, u64)>,
    /// In memory that came with the graph's capture: which of its addresses there this is, in the order in which
    /// the nodes name them.
    pub own: Option<usize>,
    /// In memory that belongs to the graph alone: nobody else has it while the graph lives.
    pub kept: bool,
}

/// A word of a kernel's parameters that holds an address of device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressWord {
    /// Where it stands.
    pub word: ParameterWord,
    /// The address.
    pub address: u64,
    /// Where the allocation begins.
    pub base: u64,
    /// Its bytes.
    pub len: u64,
}

impl Node {
    /// The address in a word of a kernel's parameters, with the memory that it lies in; none where there is no
    /// address of device memory.
    pub fn address_word(&self, word: ParameterWord, buffers: &BufferSet) -> Option<AddressWord> {
        let place = Some((word.parameter, word.offset));
        if let Some(pointer) = self.pointers.iter().find(|pointer| pointer.parameter == place) {
            let len = buffers.memory(pointer.target.buffer).len() as u64;
            let base = pointer.address - pointer.target.offset;
            return Some(AddressWord { word, address: pointer.address, base, len });
        }
        let foreign = self.foreign.iter().find(|foreign| foreign.parameter == place)?;
        let (base, len) = foreign.extent?;
        Some(AddressWord { word, address: foreign.address, base, len })
    }
}

impl Node {
    /// Where a word of a kernel's parameters stands, in words: an address in a tensor map is told as that.
    pub fn parameter_place(&self, parameter: usize, offset: usize) -> String {
        let at = Some((parameter, offset));
        let pointers = self.pointers.iter().map(|pointer| (pointer.parameter, &pointer.place));
        let mut places = pointers.chain(self.foreign.iter().map(|foreign| (foreign.parameter, &foreign.place)));
        let place = places.find(|(word, _)| *word == at).map(|(_, place)| place.clone());
        place.unwrap_or_else(|| format!("parameter {parameter}"))
    }
}

impl Topology {
    /// Reads `graph` back. `enqueued` maps nodes to the step's lines; `buffers` names addresses.
    ///
    /// # Errors
    /// The driver's.
    pub fn read(graph: &CapturedGraph, enqueued: &[Enqueued], buffers: &BufferSet) -> Result<Self, CudaError> {
        let handles = graph.nodes()?;
        let index: HashMap<GraphNode, usize> = handles.iter().enumerate().map(|(i, &h)| (h, i)).collect();
        let mut sites: HashMap<GraphNode, &Site> = HashMap::new();
        for work in enqueued {
            for node in &work.nodes {
                // The first call after which a node is the tail is the call that made it.
                sites.entry(*node).or_insert(&work.site);
            }
        }
        let mut nodes = Vec::with_capacity(handles.len());
        for handle in handles {
            let kind = graph.node(handle)?;
            let (pointers, foreign) = pointers(&kind, buffers);
            nodes.push(Node { kind, site: sites.get(&handle).map(|&s| s.clone()), pointers, foreign });
        }
        // What the graph allocates itself comes and goes with it.
        let own: Vec<(u64, u64)> = nodes.iter().filter_map(|node| node.kind.allocates()).collect();
        for node in &mut nodes {
            node.foreign.retain(|f| !own.iter().any(|&(base, len)| f.address >= base && f.address - base < len));
        }
        let mut known: Vec<u64> = Vec::new();
        for foreign in nodes.iter_mut().flat_map(|node| &mut node.foreign) {
            foreign.kept = graph.owns(foreign.address);
            if !foreign.kept && !graph.handed_out(foreign.address) {
                continue;
            }
            let at = known.iter().position(|&address| address == foreign.address);
            foreign.own = Some(at.unwrap_or(known.len()));
            if at.is_none() {
                known.push(foreign.address);
            }
        }
        let mut edges = Vec::new();
        for (from, to) in graph.edges()? {
            if let (Some(&from), Some(&to)) = (index.get(&from), index.get(&to)) {
                edges.push((from, to));
            }
        }
        edges.sort_unstable();
        let mut bodies = Vec::new();
        for work in enqueued {
            let node = work.nodes.last().and_then(|node| index.get(node));
            let (Some(conditional), Some(&node)) = (&work.conditional, node) else { continue };
            for (number, (body, inside)) in conditional.bodies.iter().enumerate() {
                let topology = body.look(|graph| Topology::read(graph, inside, buffers))?;
                bodies.push(BodyOf { node, number, topology });
            }
        }
        Ok(Topology { nodes, edges, bodies })
    }

    /// Gives nodes of streams that the step forked the lines that enqueued them. What the step's own
    /// stream depends on after a call is not always what the call made: after a join it is the side stream's
    /// last node too. `callers` made the nodes, one each, in order.
    pub fn place_forked(&mut self, callers: &[Caller]) {
        if callers.len() != self.nodes.len() {
            return;
        }
        for (node, caller) in self.nodes.iter_mut().zip(callers) {
            let joined = node.site.as_ref().is_none_or(|site| site.what.starts_with("cuStreamWaitEvent"));
            if joined && let Some(site) = caller.stack().into_iter().next() {
                node.site = Some(site);
            }
        }
    }

    /// The graph as a receipt keeps it.
    pub fn report(&self, buffers: &BufferSet) -> GraphReport {
        let node = |node: &Node| {
            let mut names: Vec<String> = Vec::new();
            for pointer in &node.pointers {
                let name = &buffers.specs()[pointer.target.buffer].name;
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_string());
                }
            }
            let kernel = match &node.kind {
                NodeKind::Kernel { name, .. } => Some(name.clone()),
                _ => None,
            };
            NodeReport { headline: headline(&node.kind), kernel, site: node.site.clone(), buffers: names }
        };
        GraphReport {
            nodes: self.nodes.len(),
            edges: self.edges.len(),
            pointers: self.nodes.iter().map(|node| node.pointers.len()).sum(),
            topology: self.to_text(buffers).lines().map(str::to_owned).collect(),
            node_list: self.nodes.iter().map(node).collect(),
            edge_list: self.edges.iter().map(|&(from, to)| [from, to]).collect(),
        }
    }

    /// The last node, in order of creation, that holds an address in buffer `buffer`: for an
    /// output, the node that most likely wrote it.
    pub fn last_user_of(&self, buffer: usize) -> Option<(usize, &Node)> {
        self.nodes.iter().enumerate().rev().find(|(_, node)| node.pointers.iter().any(|p| p.target.buffer == buffer))
    }

    /// The first node, in order of creation, that holds an address in buffer `buffer`.
    pub fn first_user_of(&self, buffer: usize) -> Option<(usize, &Node)> {
        self.nodes.iter().enumerate().find(|(_, node)| node.pointers.iter().any(|p| p.target.buffer == buffer))
    }

    /// The graph as text that can be reviewed and compared: no addresses, no handles.
    pub fn to_text(&self, buffers: &BufferSet) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let _ = writeln!(text, "{index}: {}", headline(&node.kind));
            if let NodeKind::Kernel { parameters, .. } = &node.kind {
                for (number, (_, bytes)) in parameters.iter().enumerate() {
                    let _ = writeln!(text, "     {number:>2} {}", self.parameter_text(node, number, bytes, buffers));
                }
            }
            for pointer in node.pointers.iter().filter(|p| p.parameter.is_none()) {
                let _ = writeln!(text, "     {} {}", pointer.place, target_text(&pointer.target, buffers));
            }
        }
        for (from, to) in &self.edges {
            let _ = writeln!(text, "{from} -> {to}");
        }
        for body in &self.bodies {
            let _ = writeln!(text, "body {} of {}:", body.number, body.node);
            body.topology.to_text(buffers).lines().for_each(|line| {
                let _ = writeln!(text, "  {line}");
            });
        }
        text
    }

    fn parameter_text(&self, node: &Node, number: usize, bytes: &[u8], buffers: &BufferSet) -> String {
        let inside: Vec<_> =
            node.pointers.iter().filter(|p| p.parameter.is_some_and(|(index, _)| index == number)).collect();
        match (inside.as_slice(), bytes.len()) {
            ([pointer], 8) => target_text(&pointer.target, buffers),
            ([], 4) => u32::from_ne_bytes(bytes.try_into().expect("four bytes")).to_string(),
            ([], 8) => u64::from_ne_bytes(bytes.try_into().expect("eight bytes")).to_string(),
            (pointers, size) => {
                let mut text = format!("{size} bytes");
                for pointer in pointers {
                    let at = pointer.parameter.map_or(0, |(_, offset)| offset);
                    let _ = write!(text, ", at {at}: {}", target_text(&pointer.target, buffers));
                }
                text
            }
        }
    }

    /// The graph in Graphviz's language.
    pub fn to_dot(&self, name: &str, buffers: &BufferSet) -> String {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut dot = format!("digraph \"{}\" {{\n  node [shape=box, fontname=\"monospace\"];\n", quote(name));
        for (index, node) in self.nodes.iter().enumerate() {
            let mut names: Vec<String> = node.pointers.iter().map(|p| target_text(&p.target, buffers)).collect();
            names.dedup();
            let label = format!("{index}: {}\n{}", headline(&node.kind), names.join(" "));
            let _ = writeln!(dot, "  n{index} [label=\"{}\"];", quote(label.trim_end()).replace('\n', "\\n"));
        }
        for (from, to) in &self.edges {
            let _ = writeln!(dot, "  n{from} -> n{to};");
        }
        dot.push_str("}\n");
        dot
    }
}

fn target_text(target: &Target, buffers: &BufferSet) -> String {
    let name = &buffers.specs()[target.buffer].name;
    let stale = if target.live { "" } else { " (not allocated any more)" };
    if target.offset == 0 { format!("{name}{stale}") } else { format!("{name}+{}{stale}", target.offset) }
}

/// A node in one line, without its parameters.
pub fn headline(kind: &NodeKind) -> String {
    match kind {
        NodeKind::Kernel { name, grid, block, shared_bytes, .. } => format!(
            "kernel {name} grid {}x{}x{} block {}x{}x{} shared {shared_bytes}",
            grid[0], grid[1], grid[2], block[0], block[1], block[2]
        ),
        NodeKind::Memcpy { destination, source, bytes } => {
            let end = |end: &CopyEnd| match end {
                CopyEnd::Device(_) => "device",
                CopyEnd::Host(_) => "host",
                CopyEnd::Array => "array",
            };
            format!("memcpy {} to {}, {bytes} bytes", end(source), end(destination))
        }
        NodeKind::Memset { value, element_size, extent, .. } => {
            format!("memset {}x{} elements of {element_size} bytes to {value:#x}", extent.0, extent.1)
        }
        NodeKind::Host { .. } => "host function".to_owned(),
        NodeKind::MemAlloc { bytes, .. } => format!("memory allocation, {bytes} bytes"),
        NodeKind::MemFree { .. } => "memory free".to_owned(),
        NodeKind::Other(name) => name.clone(),
    }
}

/// Every address in a node: those that the ledger knows, and those that only the driver knows.
/// Kernel parameters are scanned word by word, so that addresses in structs passed by value are
/// found too.
fn pointers(kind: &NodeKind, buffers: &BufferSet) -> (Vec<Pointer>, Vec<Foreign>) {
    let (mut found, mut foreign) = (Vec::new(), Vec::new());
    let mut add = |place: String, parameter, address: u64| {
        if let Some(target) = buffers.locate(address) {
            found.push(Pointer { place, parameter, address, target });
        } else if let Some(allocation) = Allocation::of(address) {
            let extent = crate::cuda::extent(address);
            foreign.push(Foreign { place, parameter, address, allocation, extent, own: None, kept: false });
        }
    };
    match kind {
        NodeKind::Kernel { parameters, .. } => {
            let known = |address| buffers.locate(address).is_some() || Allocation::of(address).is_some();
            for (index, (offset, bytes)) in parameters.iter().enumerate() {
                let maps = tensor_map::find(*offset, bytes, known);
                for (word, chunk) in bytes.chunks_exact(8).enumerate() {
                    let at = word * 8;
                    let address = u64::from_ne_bytes(chunk.try_into().expect("chunks of eight"));
                    // What else stands in a map is no address, whatever it looks like.
                    let place = match maps.iter().find(|map| (map.start..map.start + 128).contains(&at)) {
                        Some(map) if map.word == Some(at) => format!("parameter {index}, {}", map.told),
                        Some(_) => continue,
                        None => format!("parameter {index}"),
                    };
                    add(place, Some((index, at)), address);
                }
                for map in maps.iter().filter(|map| map.word.is_none()) {
                    add(format!("parameter {index}, {}", map.told), None, map.address);
                }
            }
        }
        NodeKind::Memcpy { destination, source, .. } => {
            for (place, end) in [("destination", destination), ("source", source)] {
                if let CopyEnd::Device(address) | CopyEnd::Host(address) = end {
                    add(place.to_owned(), None, *address);
                }
            }
        }
        NodeKind::Memset { destination, .. } => add("destination".to_owned(), None, *destination),
        _ => {}
    }
    (found, foreign)
}
