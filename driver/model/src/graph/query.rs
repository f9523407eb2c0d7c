//! Reading a graph back.

use super::edge::{EdgeData, Side};
use super::node::NodeWork;
use super::store::Graphs;
use crate::work::NodeParams;
use graphproof_api::Cuda;

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

    /// What `kernelParams` points to, or `extra` for a kernel whose parameters came as one buffer:
    /// an array that stays in place until the node is destroyed or its parameters change.
    pub fn parameter_addresses(&mut self, node: u64) -> Cuda<&[usize]> {
        let node = self.node_mut(node)?;
        if node.parameter_addresses.is_none() {
            let addresses = match &node.work {
                NodeWork::Work(NodeParams::Kernel(kernel)) if node.info.packed => packed(&kernel.parameters),
                NodeWork::Work(NodeParams::Kernel(kernel)) => {
                    let base = kernel.parameters.as_ptr() as usize;
                    kernel.function.entry.parameters.iter().map(|parameter| base + parameter.offset).collect()
                }
                _ => Box::default(),
            };
            node.parameter_addresses = Some(addresses);
        }
        Ok(node.parameter_addresses.as_deref().unwrap_or_default())
    }
}

/// `CU_LAUNCH_PARAM_BUFFER_POINTER`.
const BUFFER_POINTER: usize = 1;
/// `CU_LAUNCH_PARAM_BUFFER_SIZE`.
const BUFFER_SIZE: usize = 2;

/// The array for `extra`, with the size that it points to behind its end mark.
fn packed(bytes: &[u8]) -> Box<[usize]> {
    let mut array: Box<[usize]> = Box::new([BUFFER_POINTER, bytes.as_ptr() as usize, BUFFER_SIZE, 0, 0, bytes.len()]);
    array[3] = (&raw const array[5]) as usize;
    array
}

fn record((_, edge): (u32, &super::edge::Edge)) -> EdgeRecord {
    (edge.from, edge.to, edge.data)
}
