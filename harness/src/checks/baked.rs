//! Baked values: a second capture, on other inputs and other addresses, must give the same graph.

use std::collections::{BTreeMap, HashMap};

use crate::buffers::BufferSet;
use crate::context::SET_CONDITIONAL;
use crate::cuda::NodeKind;
use crate::finding::{Check, Finding, Id, Site};
use crate::topology::{Node, Topology, headline};

const CHECK: Check = Check::BakedValues;

/// One capture: its graph and the buffers that it was made on.
#[derive(Clone, Copy)]
pub struct Capture<'a> {
    /// The graph.
    pub topology: &'a Topology,
    /// The buffers.
    pub buffers: &'a BufferSet,
    /// The step whose inputs were in place.
    pub step: u64,
}

/// Where two captures differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the number of nodes or in the edges.
    Graph,
    /// In a node.
    Node(usize),
    /// In a word of a kernel's parameter: node, parameter, byte offset.
    Word(usize, usize, usize),
}

/// One difference of two captures.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Where it is.
    pub place: Place,
    /// Whether it may come from nothing but the buffers that each capture stands on, as a number does
    /// that is made from an address. A declared buffer's own address is compared by its meaning.
    pub by_buffers: bool,
    /// A word of a kernel's parameter that is no address in both captures. Of a kernel whose code nobody can read
    /// it may be one that the kernel does not read: what lay between the fields of a structure.
    pub plain: bool,
    /// What it is if it does not.
    pub finding: Finding,
}

/// Compares two captures of one step node by node, in order of creation. Addresses are compared
/// by what they mean: the second capture may stand on other buffers.
pub fn check(first: Capture<'_>, second: Capture<'_>) -> Vec<Difference> {
    let (a, b) = (&first.topology.nodes, &second.topology.nodes);
    if a.len() != b.len() {
        let at = a.iter().zip(b).position(|(a, b)| kind_name(a) != kind_name(b)).unwrap_or(a.len().min(b.len()));
        let site = b.get(at).or_else(|| a.get(at)).and_then(|node| node.site.clone());
        let say = |nodes: &[Node]| nodes.get(at).map_or("no such node".to_owned(), |node| headline(&node.kind));
        let finding = Finding::new(Id::V05, CHECK)
            .at_step(second.step)
            .at(site)
            .contrast(
                format!("{} nodes, as captured at step {}", a.len(), first.step),
                format!("{} nodes at step {}", b.len(), second.step),
            )
            .note(format!("the first node that differs is {at}: {} became {}", say(a), say(b)));
        return vec![Difference { place: Place::Graph, by_buffers: true, plain: false, finding }];
    }
    let twins = twins(a, b);
    let compared = a.iter().zip(b).enumerate();
    let mut found: Vec<Difference> =
        compared.flat_map(|(index, (a, b))| compare_nodes(index, (a, b), first, second, &twins)).collect();
    if found.is_empty() && first.topology.edges != second.topology.edges {
        let finding = Finding::new(Id::V05, CHECK).at_step(second.step).contrast(
            format!("edges {:?}, as captured at step {}", first.topology.edges, first.step),
            format!("edges {:?} at step {}", second.topology.edges, second.step),
        );
        found.push(Difference { place: Place::Graph, by_buffers: true, plain: false, finding });
    }
    found
}

fn kind_name(node: &Node) -> String {
    match &node.kind {
        NodeKind::Kernel { name, .. } => name.clone(),
        other => format!("{:?}", std::mem::discriminant(other)),
    }
}

/// Of addresses in memory of each graph's own: which of the second graph stands where one of the first does, in most
/// places. Not which come first: in one place may stand what nobody reads.
fn twins(a: &[Node], b: &[Node]) -> HashMap<usize, usize> {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (a, b) in a.iter().zip(b) {
        for foreign in &a.foreign {
            let same =
                b.foreign.iter().find(|other| (other.parameter, &other.place) == (foreign.parameter, &foreign.place));
            if let (Some(left), Some(right)) = (foreign.own, same.and_then(|other| other.own)) {
                *counts.entry((left, right)).or_default() += 1;
            }
        }
    }
    let mut best: HashMap<usize, (usize, usize)> = HashMap::new();
    for ((left, right), count) in counts {
        let known = best.entry(left).or_insert((right, count));
        if count > known.1 {
            *known = (right, count);
        }
    }
    best.into_iter().map(|(left, (right, _))| (left, right)).collect()
}

fn compare_nodes(
    index: usize,
    (a, b): (&Node, &Node),
    first: Capture<'_>,
    second: Capture<'_>,
    twins: &HashMap<usize, usize>,
) -> Vec<Difference> {
    let whole = |finding| vec![Difference { place: Place::Node(index), by_buffers: true, plain: false, finding }];
    let finding = |id| Finding::new(id, CHECK).at_step(second.step).at(b.site.clone().or_else(|| a.site.clone()));
    let (then, now) = (format!("at step {}", first.step), format!("at step {}", second.step));
    match (&a.kind, &b.kind) {
        (NodeKind::Kernel { name: left, parameters: pa, .. }, NodeKind::Kernel { name: right, parameters: pb, .. }) => {
            if left != right {
                let (seen, expected) = (format!("node {index}: {right} {now}"), format!("node {index}: {left} {then}"));
                return whole(finding(Id::V02).contrast(expected, seen));
            }
            if headline(&a.kind) != headline(&b.kind) {
                let expected = format!("node {index}: {} {then}", headline(&a.kind));
                let seen = format!("{} {now}", headline(&b.kind));
                return whole(finding(Id::V01).contrast(expected, seen));
            }
            let words = pa.iter().zip(pb).enumerate().flat_map(|(number, ((_, x), (_, y)))| {
                (0..x.len().min(y.len())).step_by(8).map(move |offset| (number, offset, x, y))
            });
            words
                .filter(|(number, ..)| !is_conditional_value(left, *number))
                .filter_map(|(number, offset, x, y)| {
                    let name = |node: &Node, buffers: &BufferSet| {
                        let pointer = node.pointers.iter().find(|p| p.parameter == Some((number, offset)))?;
                        Some((buffers.specs()[pointer.target.buffer].name.to_string(), pointer.target.offset))
                    };
                    let (left, right) = (name(a, first.buffers), name(b, second.buffers));
                    // Two buffer sets: an address that is right differs in bits and is equal in
                    // meaning; one that is remembered is equal in bits and differs in meaning.
                    // Memory of the graph's own is another in each capture, and means the same.
                    let own = |node: &Node| {
                        node.foreign.iter().find(|f| f.parameter == Some((number, offset))).and_then(|f| f.own)
                    };
                    let owned = (own(a), own(b));
                    let same = if left.is_some() || right.is_some() {
                        left == right
                    } else if let (Some(left), Some(right)) = owned {
                        twins.get(&left) == Some(&right)
                    } else {
                        word(x, offset) == word(y, offset)
                    };
                    if same {
                        return None;
                    }
                    let text = |bytes: &[u8], target: &Option<(String, u64)>| match target {
                        Some((name, offset)) => format!("address {name}+{offset}"),
                        None => value_text(word(bytes, offset)),
                    };
                    // An address on one side and none on the other: the step holds on to an
                    // address that it was not given this time.
                    let foreign = |node: &Node| node.foreign.iter().any(|f| f.parameter == Some((number, offset)));
                    let declared = left.is_some() || right.is_some();
                    let id = if declared || foreign(a) || foreign(b) { Id::A09 } else { Id::V01 };
                    let place = format!("node {index}, kernel {}, {}", kind_name(a), a.parameter_place(number, offset));
                    let finding = finding(id).contrast(
                        format!("{place} = {} {then}", text(x, &left)),
                        format!("{place} = {} {now}", text(y, &right)),
                    );
                    // The graph has replayed without a fault by now: what is no address in it is not followed.
                    let addresses = (left.is_some() || foreign(a)) && (right.is_some() || foreign(b));
                    let plain = if declared { left.is_none() && !foreign(a) } else { !addresses };
                    Some(Difference {
                        place: Place::Word(index, number, offset),
                        by_buffers: !declared,
                        plain,
                        finding,
                    })
                })
                .collect()
        }
        _ if std::mem::discriminant(&a.kind) != std::mem::discriminant(&b.kind)
            || headline(&a.kind) != headline(&b.kind) =>
        {
            let expected = format!("node {index}: {} {then}", headline(&a.kind));
            whole(finding(Id::V02).contrast(expected, format!("{} {now}", headline(&b.kind))))
        }
        _ => {
            let targets =
                |node: &Node| node.pointers.iter().map(|p| (p.target.buffer, p.target.offset)).collect::<Vec<_>>();
            if targets(a) == targets(b) {
                return Vec::new();
            }
            let name = |node: &Node, buffers: &BufferSet| {
                let names = node.pointers.iter().map(|p| buffers.specs()[p.target.buffer].name.to_string());
                names.collect::<Vec<_>>().join(", ")
            };
            let finding = finding(Id::A09).contrast(
                format!("node {index}: {} on {} {then}", headline(&a.kind), name(a, first.buffers)),
                format!("on {} {now}", name(b, second.buffers)),
            );
            vec![Difference { place: Place::Node(index), by_buffers: false, plain: false, finding }]
        }
    }
}

/// Whether a parameter names a conditional value. That belongs to its graph: the kernel that sets it is given
/// another in each capture.
fn is_conditional_value(kernel: &str, number: usize) -> bool {
    kernel == SET_CONDITIONAL && number == 0
}

/// The numbers that a graph's kernels are given by value: (node, parameter, byte offset) to value.
pub type Numbers = BTreeMap<(usize, usize, usize), u64>;

/// The numbers in the kernels' parameters, addresses left out.
pub fn numbers(topology: &Topology) -> Numbers {
    let mut numbers = Numbers::new();
    for (index, node) in topology.nodes.iter().enumerate() {
        let NodeKind::Kernel { name, parameters, .. } = &node.kind else { continue };
        for (number, (_, bytes)) in parameters.iter().enumerate() {
            if is_conditional_value(name, number) {
                continue;
            }
            for offset in (0..bytes.len()).step_by(8) {
                let place = Some((number, offset));
                let pointer = node.pointers.iter().any(|p| p.parameter == place);
                let foreign = node.foreign.iter().any(|f| f.parameter == place);
                if !pointer && !foreign {
                    let mut wide = [0; 8];
                    let narrow = word(bytes, offset);
                    wide[..narrow.len()].copy_from_slice(narrow);
                    numbers.insert((index, number, offset), u64::from_ne_bytes(wide));
                }
            }
        }
    }
    numbers
}

/// Fewer captures do not tell an even advance from chance.
const FEWEST_CAPTURES: usize = 4;

/// Numbers that advance by the same amount from capture to capture, one step apart each: an offset
/// or a position that the host keeps.
/// `sites` holds the line of each node.
pub fn advancing(captures: &[(u64, Numbers)], sites: &[Option<Site>]) -> Vec<Finding> {
    let (Some((_, first)), true) = (captures.first(), captures.len() >= FEWEST_CAPTURES) else { return Vec::new() };
    let series = first.keys().filter_map(|place| {
        let values: Option<Vec<u64>> = captures.iter().map(|(_, numbers)| numbers.get(place).copied()).collect();
        values.map(|values| (place, values))
    });
    let even = series.filter(|(_, values)| {
        let step = values[1].wrapping_sub(values[0]);
        step != 0 && values.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step)
    });
    even.map(|(&(node, parameter, _), values)| {
        let shown: Vec<String> = values.iter().take(FEWEST_CAPTURES).map(u64::to_string).collect();
        Finding::new(Id::V03, CHECK).at(sites.get(node).cloned().flatten()).contrast(
            format!("node {node}, parameter {parameter} is the same in each capture"),
            format!("it advances evenly: {}, …", shown.join(", ")),
        )
    })
    .collect()
}

/// The 8-byte word at `offset`; the last of a parameter may be shorter.
fn word(bytes: &[u8], offset: usize) -> &[u8] {
    &bytes[offset..(offset + 8).min(bytes.len())]
}

fn value_text(bytes: &[u8]) -> String {
    match bytes.len() {
        4 => {
            let bits = u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
            format!("{bits} (0x{bits:08x}, as f32 {})", f32::from_bits(bits))
        }
        8 => {
            let bits = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
            format!("{bits} (0x{bits:016x})")
        }
        _ => format!("{bytes:02x?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::Allocation;
    use crate::topology::Foreign;

    /// A kernel node whose parameters hold, in this order, addresses of the graph's own memory.
    fn node(own: &[Option<usize>]) -> Node {
        let foreign = own.iter().enumerate().map(|(parameter, &own)| Foreign {
            place: format!("parameter {parameter}"),
            parameter: Some((parameter, 0)),
            address: 0x1000 * own.unwrap_or(9) as u64,
            allocation: Allocation { id: 1, host: false },
            extent: None,
            own,
            kept: true,
        });
        Node { kind: NodeKind::Other("test".to_owned()), site: None, pointers: Vec::new(), foreign: foreign.collect() }
    }

    #[test]
    fn an_address_in_padding_does_not_shift_what_others_mean() {
        // In the second capture, the first word holds an address that means nothing.
        let first = [node(&[None, Some(0), Some(1)]), node(&[Some(1), Some(0), Some(2)])];
        let second = [node(&[Some(0), Some(1), Some(2)]), node(&[Some(2), Some(1), Some(3)])];
        let twins = twins(&first, &second);
        assert_eq!([0, 1, 2].map(|own| twins[&own]), [1, 2, 3]);
        // One place against two.
        let other = [node(&[Some(1), Some(1), Some(2)]), node(&[Some(3), Some(1), Some(3)])];
        assert_eq!(super::twins(&first, &other)[&0], 1);
    }
}
