//! Reading a graph back.

use super::edge::{EdgeData, Side};
use super::store::Graphs;
use crate::abi::Cuda;

/// An edge: from, to, annotation.
pub type EdgeRecord = (u64, u64, EdgeData);

impl Graphs {
    /// `cuGraphGetRootNodes`: the nodes without dependencies, in order of creation.
    pub fn root_nodes(&self, graph: u64) -> Cuda<Vec<u64>> {
        Ok(self.nodes(graph)?.filter(|(_, node)| node.incoming.len() == 0).map(|(handle, _)| handle).collect())
    }

    /// `cuGraphGetEdges`: by downstream node in order of creation, then in the order in which the
    /// dependencies were given.
    pub fn edges(&self, graph: u64) -> Cuda<Vec<EdgeRecord>> {
        let nodes = self.nodes(graph)?;
        Ok(nodes.flat_map(|(_, node)| self.edges.iter(node.incoming, Side::Incoming)).map(record).collect())
    }

    /// `cuGraphNodeGetDependencies`.
    pub fn dependencies(&self, node: u64) -> Cuda<Vec<EdgeRecord>> {
        let node = self.node(node)?;
        Ok(self.edges.iter(node.incoming, Side::Incoming).map(record).collect())
    }

    /// `cuGraphNodeGetDependentNodes`.
    pub fn dependents(&self, node: u64) -> Cuda<Vec<EdgeRecord>> {
        let node = self.node(node)?;
        Ok(self.edges.iter(node.outgoing, Side::Outgoing).map(record).collect())
    }

    /// `cuGraphNodeGetToolsId`: the graph's id above the node's local id.
    pub fn tools_id(&self, node: u64) -> Cuda<u64> {
        let node = self.node(node)?;
        Ok(u64::from(self.graph(node.graph)?.id) << 32 | u64::from(node.local_id))
    }

    /// The addresses of a kernel node's parameters, for `kernelParams`. They stay valid until the
    /// node is destroyed or its parameters change.
    pub fn parameter_addresses(&mut self, node: u64) -> Cuda<&[usize]> {
        use super::node::NodeWork;
        use crate::software::work::NodeParams;
        let node = self.node_mut(node)?;
        if node.parameter_addresses.is_none() {
            let addresses = match &node.work {
                NodeWork::Work(NodeParams::Kernel(kernel)) => {
                    let base = kernel.parameters.as_ptr() as usize;
                    kernel.function.kernel.parameters.iter().map(|parameter| base + parameter.offset).collect()
                }
                _ => Box::default(),
            };
            node.parameter_addresses = Some(addresses);
        }
        Ok(node.parameter_addresses.as_deref().unwrap_or_default())
    }
}

fn record((_, edge): (u32, &super::edge::Edge)) -> EdgeRecord {
    (edge.from, edge.to, edge.data)
}
