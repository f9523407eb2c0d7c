//! Two graphs of one process: what a replay of one does to the other.

use super::outside::Writer;
use super::unordered::named;
use crate::buffers::BufferSet;
use crate::finding::{Check, Finding, Id, Site};
use crate::observed::Seen;
use crate::spans::Spans;
use crate::topology::{Topology, headline};

const CHECK: Check = Check::Together;

/// The finding for a graph whose replay finds memory changed by the other's: that it reads and does not write
/// itself. `theirs` is the other graph, with the name of its step.
pub fn check(
    (mine, exec, topology, buffers): (&Seen, u64, &Topology, &BufferSet),
    (theirs, other, other_topology, name): (&Seen, u64, &Topology, &str),
    step: u64,
) -> Option<Finding> {
    let used = mine.read_by(exec).without(&mine.written_by(exec));
    let declared =
        (0..buffers.specs().len()).map(|index| (buffers.memory(index).address(), buffers.memory(index).len() as u64));
    let harmed = theirs.written_by(other).common(&used.with(&Spans::of(declared)));
    let first = harmed.first()?;
    let place = named(first, harmed.bytes(), buffers);
    let writer =
        theirs.writer_of(other, first.0).and_then(|(index, _)| Some((index, other_topology.nodes.get(index)?)));
    let told = match writer {
        Some((index, node)) => format!("node {index} ({}) of the graph of '{name}'", headline(&node.kind)),
        None => format!("the graph of '{name}'"),
    };
    let reader = mine.reader_of(exec, first.0).and_then(|index| topology.nodes.get(index));
    let finding = Finding::new(Id::A14, CHECK)
        .at_step(step)
        .at(writer.and_then(|(_, node)| node.site.clone()))
        .began(reader.and_then(|node| node.site.clone()))
        .contrast(
            "each graph writes memory of its own",
            format!("{told} writes {place}, which this graph reads and does not write"),
        );
    Some(finding)
}

/// The finding for a graph whose results follow bytes that the graph of `name` writes, or that has them among its
/// buffers: `writer` is that graph's node, `reader` where this one uses what differs.
pub fn changed(
    ((first, bytes), buffers): (((u64, u64), u64), &BufferSet),
    (writer, topology, name): (&Writer, &Topology, &str),
    reader: Option<Site>,
    step: u64,
) -> Finding {
    let place = named(first, bytes, buffers);
    let (site, told) = match writer {
        Writer::Node(index) => {
            let node = &topology.nodes[*index];
            (node.site.clone(), format!("node {index} ({}) of the graph of '{name}'", headline(&node.kind)))
        }
        Writer::Told(what) => (None, format!("{what} of the graph of '{name}'")),
        Writer::Graph => (None, format!("the graph of '{name}'")),
    };
    Finding::new(Id::A14, CHECK).at_step(step).at(site).began(reader).contrast(
        "each graph writes memory of its own",
        format!("{told} writes {place}, which this graph reads and does not write"),
    )
}

/// The finding for results that changed because the other graph was replayed, or is gone.
pub fn disturbed(difference: Finding) -> Finding {
    let found = Finding::new(Id::A14, CHECK)
        .at(difference.site)
        .contrast(difference.expected, difference.seen)
        .note("the same inputs and state, before and after a replay of the other graph or its end");
    difference.notes.into_iter().fold(found, Finding::note)
}
