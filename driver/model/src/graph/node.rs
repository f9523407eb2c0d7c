//! A node: its work, what only a query needs beside it, and its edges.

use std::sync::Arc;

use super::edge::EdgeList;
use crate::params::{Access, PoolProps};
use crate::work::{ConditionalKind, NodeParams};

/// `CUgraphNodeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum NodeType {
    Kernel = 0,
    Memcpy = 1,
    Memset = 2,
    Host = 3,
    Graph = 4,
    Empty = 5,
    WaitEvent = 6,
    EventRecord = 7,
    MemAlloc = 10,
    MemFree = 11,
    BatchMemOp = 12,
    Conditional = 13,
}

impl NodeType {
    /// `CU_GRAPH_NODE_TYPE_…`, without the prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "KERNEL",
            Self::Memcpy => "MEMCPY",
            Self::Memset => "MEMSET",
            Self::Host => "HOST",
            Self::Graph => "GRAPH",
            Self::Empty => "EMPTY",
            Self::WaitEvent => "WAIT_EVENT",
            Self::EventRecord => "EVENT_RECORD",
            Self::MemAlloc => "MEM_ALLOC",
            Self::MemFree => "MEM_FREE",
            Self::BatchMemOp => "BATCH_MEM_OP",
            Self::Conditional => "CONDITIONAL",
        }
    }
}

/// What a node does.
#[derive(Debug, Clone)]
pub enum NodeWork {
    /// What a stream could do as well.
    Work(NodeParams),
    /// An embedded graph, owned by the node.
    ChildGraph(u64),
    /// A conditional node.
    Conditional(Conditional),
}

/// A conditional node's own part.
#[derive(Debug, Clone)]
pub struct Conditional {
    /// `CUgraphConditionalHandle`.
    pub handle: u64,
    /// IF, WHILE or SWITCH.
    pub kind: ConditionalKind,
    /// The body graphs, owned by the node. The array stays in place for `phGraph_out`.
    pub bodies: Arc<[u64]>,
}

impl NodeWork {
    /// The type that `cuGraphNodeGetType` reports.
    pub fn node_type(&self) -> NodeType {
        match self {
            Self::ChildGraph(_) => NodeType::Graph,
            Self::Conditional(_) => NodeType::Conditional,
            Self::Work(work) => match work {
                NodeParams::Kernel(_) => NodeType::Kernel,
                NodeParams::Memcpy(_) => NodeType::Memcpy,
                NodeParams::Memset(_) => NodeType::Memset,
                NodeParams::Host(_) => NodeType::Host,
                NodeParams::MemAlloc { .. } => NodeType::MemAlloc,
                NodeParams::MemFree { .. } => NodeType::MemFree,
                NodeParams::EventRecord(_) => NodeType::EventRecord,
                NodeParams::EventWait(_) => NodeType::WaitEvent,
                NodeParams::BatchMemOp(_) => NodeType::BatchMemOp,
                NodeParams::Empty => NodeType::Empty,
            },
        }
    }

    /// The graphs inside this node.
    pub fn graphs(&self) -> &[u64] {
        match self {
            Self::Work(_) => &[],
            Self::ChildGraph(graph) => std::slice::from_ref(graph),
            Self::Conditional(conditional) => &conditional.bodies,
        }
    }
}

impl From<NodeParams> for NodeWork {
    fn from(work: NodeParams) -> Self {
        Self::Work(work)
    }
}

/// What a node keeps for a query and that its execution does not need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeInfo {
    /// `CUcontext` the work runs in; 0 if none was given.
    pub context: u64,
    /// A kernel's parameters came as one buffer through `extra`.
    pub packed: bool,
    /// `syncMode` of a host node; `flags` of a batch of memory operations.
    pub flags: u32,
    /// What an allocation was asked for with.
    pub allocation: Option<Arc<AllocationRequest>>,
}

/// What an allocation was asked for with.
#[derive(Debug, PartialEq, Eq)]
pub struct AllocationRequest {
    /// The pool's properties.
    pub pool: PoolProps,
    /// Peer access. The array stays in place for a query.
    pub access: Box<[Access]>,
}

/// A node of a graph.
#[derive(Debug)]
pub struct Node {
    pub(super) graph: u64,
    pub(super) local_id: u32,
    pub(super) work: NodeWork,
    pub(super) info: NodeInfo,
    /// Addresses handed out as `kernelParams`; made on the first query.
    pub(super) parameter_addresses: Option<Box<[usize]>>,
    pub(super) incoming: EdgeList,
    pub(super) outgoing: EdgeList,
    /// Its place among the graph's sinks, in the order in which they became sinks, while it is one.
    pub(super) sink: u64,
}

impl Node {
    /// The graph that contains it.
    pub fn graph(&self) -> u64 {
        self.graph
    }

    /// Its number in that graph; not used again when the node is destroyed.
    pub fn local_id(&self) -> u32 {
        self.local_id
    }

    /// What it does.
    pub fn work(&self) -> &NodeWork {
        &self.work
    }

    /// What it keeps beside its work.
    pub fn info(&self) -> &NodeInfo {
        &self.info
    }

    /// Number of nodes that wait for this one.
    pub fn dependents(&self) -> usize {
        self.outgoing.len()
    }
}
