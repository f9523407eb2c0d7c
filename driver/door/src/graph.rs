//! Graphs in the record: their nodes and edges, and what nodes are given later.

use crate::bytes::{Input, Output};

/// A node, as the driver gave it back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphNode {
    /// Its position in `cuGraphGetNodes`, which edges name it by.
    pub index: u32,
    /// `CUgraphNode`.
    pub handle: u64,
    /// `CUgraphNodeType`.
    pub kind: u32,
    /// Of a kernel node: `CUfunction` or `CUkernel`, for its `Function`.
    pub function: u64,
    /// Grid and block of a kernel node, in x, y, z.
    pub grid: [u32; 3],
    /// As above.
    pub block: [u32; 3],
    /// Dynamic shared memory of a kernel node, in bytes.
    pub shared: u32,
    /// The kernel's parameters, each at its offset.
    pub parameters: Vec<u8>,
    /// What another kind of node works on: what it is, value, bytes.
    pub operands: Vec<(String, u64, u64)>,
}

/// A part of a graph that was read back; a graph comes as a [`GraphPart::Begin`], its nodes and edges, and a
/// [`GraphPart::End`] with the same id, written by one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphPart {
    /// A graph follows.
    Begin {
        /// What its parts are named by.
        id: u64,
        /// `CUgraph`.
        graph: u64,
        /// `CUgraphExec` made of it, or 0.
        exec: u64,
    },
    /// A node.
    Node(u64, Box<GraphNode>),
    /// Edges, by position of their nodes.
    Edges(u64, Vec<(u32, u32)>),
    /// All was read, or why not.
    End {
        /// As in its beginning.
        id: u64,
        /// Empty if nothing is missing.
        missing: String,
    },
    /// A node of an executable graph was given other parameters: the `CUgraphExec`, and the node as it is then.
    /// It stands alone.
    Given(u64, Box<GraphNode>),
}

impl GraphPart {
    /// Into the record.
    pub fn write(&self, out: &mut Output<'_>) {
        match self {
            Self::Begin { id, graph, exec } => {
                out.u8(0);
                [*id, *graph, *exec].into_iter().for_each(|word| out.u64(word));
            }
            Self::Node(id, node) | Self::Given(id, node) => {
                out.u8(if matches!(self, Self::Node(..)) { 1 } else { 4 });
                out.u64(*id);
                out.u32(node.index);
                out.u64(node.handle);
                out.u32(node.kind);
                out.u64(node.function);
                node.grid.into_iter().chain(node.block).for_each(|extent| out.u32(extent));
                out.u32(node.shared);
                out.u32(node.operands.len() as u32);
                for (what, value, bytes) in &node.operands {
                    out.text(what);
                    out.u64(*value);
                    out.u64(*bytes);
                }
                out.bytes(&node.parameters);
            }
            Self::Edges(id, edges) => {
                out.u8(2);
                out.u64(*id);
                out.u32(edges.len() as u32);
                edges.iter().for_each(|(from, to)| {
                    out.u32(*from);
                    out.u32(*to);
                });
            }
            Self::End { id, missing } => {
                out.u8(3);
                out.u64(*id);
                out.text(missing);
            }
        }
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        let (part, id) = (input.u8()?, input.u64()?);
        Some(match part {
            0 => Self::Begin { id, graph: input.u64()?, exec: input.u64()? },
            1 | 4 => {
                let mut node = GraphNode {
                    index: input.u32()?,
                    handle: input.u64()?,
                    kind: input.u32()?,
                    function: input.u64()?,
                    ..GraphNode::default()
                };
                for extent in node.grid.iter_mut().chain(&mut node.block) {
                    *extent = input.u32()?;
                }
                node.shared = input.u32()?;
                for _ in 0..input.count(20)? {
                    node.operands.push((input.text()?, input.u64()?, input.u64()?));
                }
                node.parameters = input.bytes()?.to_vec();
                if part == 1 { Self::Node(id, Box::new(node)) } else { Self::Given(id, Box::new(node)) }
            }
            2 => {
                let edges = (0..input.count(8)?).map(|_| Some((input.u32()?, input.u32()?)));
                Self::Edges(id, edges.collect::<Option<_>>()?)
            }
            3 => Self::End { id, missing: input.text()? },
            _ => return None,
        })
    }
}
