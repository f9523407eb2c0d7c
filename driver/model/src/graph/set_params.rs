//! Changing the parameters of nodes, in a graph and in an executable graph.

use std::sync::Arc;

use super::compare::updatable;
use super::exec::{ExecNode, ExecWork};
use super::node::{NodeInfo, NodeType, NodeWork};
use super::store::Graphs;
use super::unknowns;
use crate::params::{Attribute, AttributeValue};
use crate::work::NodeParams;
use graphproof_api::{CUresult, Cuda};

/// Launch attributes that a graph node may have (D: `CUlaunchAttributeID`, "valid for graph
/// nodes"). The device-updatable attribute (13) is not modelled.
const NODE_ATTRIBUTES: [u32; 12] = [1, 2, 4, 5, 8, 9, 10, 11, 14, 16, 17, 18];
const COOPERATIVE: u32 = 2;
const DEVICE_UPDATABLE: u32 = 13;

impl Graphs {
    /// `cuGraph…NodeSetParams`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the node is of another type. `CUDA_ERROR_NOT_SUPPORTED`: a
    /// memory node.
    pub fn set_params(&mut self, node: u64, work: NodeParams, info: NodeInfo) -> Cuda {
        let work = NodeWork::Work(work);
        let kind = work.node_type();
        if self.node(node)?.work.node_type() != kind {
            return Err(CUresult::INVALID_VALUE);
        }
        if matches!(kind, NodeType::MemAlloc | NodeType::MemFree) {
            return Err(unknowns::SET_MEMORY_NODE);
        }
        self.replace_work(node, work, info);
        Ok(())
    }

    /// Gives a node other work of its type.
    pub(crate) fn replace_work(&mut self, node: u64, work: NodeWork, info: NodeInfo) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.work = work;
            node.info = info;
            node.parameter_addresses = None;
        }
    }

    /// `cuGraphExec…NodeSetParams`. The node of the graph does not change, nor do launches in
    /// flight (D).
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`: the node is of another type, is not of this executable graph, or
    /// the change is not one that an executable graph allows.
    pub fn exec_set_params(&mut self, exec: u64, node: u64, work: NodeParams, info: NodeInfo) -> Cuda {
        let flags = self.exec(exec)?.flags;
        self.node(node)?;
        let found = self.exec_node(exec, node)?;
        let ExecWork::Work(old) = &found.work else { return Err(CUresult::INVALID_VALUE) };
        if matches!(old, NodeParams::MemAlloc { .. } | NodeParams::MemFree { .. }) {
            // M (H200, driver 580.159.04).
            return Err(CUresult::INVALID_VALUE);
        }
        updatable((old, &found.info), (&work, &info), flags).map_err(|_| CUresult::INVALID_VALUE)?;
        let found = self.exec_node_mut(exec, node)?;
        found.work = ExecWork::Work(work);
        found.info = info;
        Ok(())
    }

    /// `cuGraphNodeSetEnabled`: kernel, memset and memcpy nodes only (D).
    pub fn set_enabled(&mut self, exec: u64, node: u64, enabled: bool) -> Cuda {
        self.can_be_disabled(node)?;
        self.exec_node(exec, node)?;
        self.exec_node_mut(exec, node)?.enabled = enabled;
        Ok(())
    }

    /// `cuGraphNodeGetEnabled`.
    pub fn enabled(&self, exec: u64, node: u64) -> Cuda<bool> {
        self.can_be_disabled(node)?;
        Ok(self.exec_node(exec, node)?.enabled)
    }

    fn can_be_disabled(&self, node: u64) -> Cuda {
        match self.node(node)?.work.node_type() {
            NodeType::Kernel | NodeType::Memset | NodeType::Memcpy => Ok(()),
            _ => Err(CUresult::INVALID_VALUE),
        }
    }

    /// `cuGraphKernelNodeGetAttribute`. An attribute that was never set is all zero.
    pub fn attribute(&self, node: u64, id: u32) -> Cuda<AttributeValue> {
        let NodeWork::Work(NodeParams::Kernel(kernel)) = &self.node_of(node, NodeType::Kernel)?.work else {
            return Err(CUresult::INVALID_VALUE);
        };
        check_attribute(id)?;
        let mut value = AttributeValue::default();
        if id == COOPERATIVE {
            value.0[..4].copy_from_slice(&u32::from(kernel.cooperative).to_ne_bytes());
        } else if let Some(found) = kernel.attributes.iter().rfind(|attribute| attribute.id == id) {
            value = found.value;
        }
        Ok(value)
    }

    /// `cuGraphKernelNodeSetAttribute`.
    pub fn set_attribute(&mut self, node: u64, id: u32, value: AttributeValue) -> Cuda {
        check_attribute(id)?;
        self.node_of(node, NodeType::Kernel)?;
        let NodeWork::Work(NodeParams::Kernel(kernel)) = &mut self.node_mut(node)?.work else {
            return Err(CUresult::INVALID_VALUE);
        };
        if id == COOPERATIVE {
            kernel.cooperative = value.word(0) != 0;
            return Ok(());
        }
        let mut attributes: Vec<_> = kernel.attributes.iter().filter(|attribute| attribute.id != id).copied().collect();
        attributes.push(Attribute { id, value });
        kernel.attributes = attributes.into();
        Ok(())
    }

    /// `cuGraphKernelNodeCopyAttributes`.
    pub fn copy_attributes(&mut self, to: u64, from: u64) -> Cuda {
        let NodeWork::Work(NodeParams::Kernel(source)) = &self.node_of(from, NodeType::Kernel)?.work else {
            return Err(CUresult::INVALID_VALUE);
        };
        let (attributes, cooperative) = (Arc::clone(&source.attributes), source.cooperative);
        let NodeWork::Work(NodeParams::Kernel(kernel)) = &mut self.node_mut(to)?.work else {
            return Err(CUresult::INVALID_VALUE);
        };
        kernel.attributes = attributes;
        kernel.cooperative = cooperative;
        Ok(())
    }

    /// The node of an executable graph that was made from this node.
    pub(super) fn exec_node(&self, exec: u64, node: u64) -> Cuda<&ExecNode> {
        let mut snapshot = &self.exec(exec)?.body;
        let path = self.path(snapshot.graph, node)?;
        let (&last, inner) = path.split_last().ok_or(CUresult::INVALID_VALUE)?;
        for &(node, graph) in inner {
            let found = &snapshot.nodes[snapshot.position(self.node(node)?.local_id, node)?];
            snapshot = found.work.graphs().iter().find(|body| body.graph == graph).ok_or(CUresult::INVALID_VALUE)?;
        }
        Ok(&snapshot.nodes[snapshot.position(self.node(last.0)?.local_id, last.0)?])
    }

    /// As [`Graphs::exec_node`], to change it; the next launch makes a new plan.
    pub(super) fn exec_node_mut(&mut self, exec: u64, node: u64) -> Cuda<&mut ExecNode> {
        let path = self.path(self.exec(exec)?.body.graph, node)?;
        let local: Vec<u32> = path.iter().map(|&(node, _)| Ok(self.node(node)?.local_id)).collect::<Cuda<_>>()?;
        let (&last, inner) = path.split_last().ok_or(CUresult::INVALID_VALUE)?;
        let found = self.exec_mut(exec)?;
        found.plan = None;
        let mut snapshot = &mut found.body;
        for (&(node, graph), &local) in inner.iter().zip(&local) {
            let index = snapshot.position(local, node)?;
            let bodies = snapshot.nodes[index].work.graphs_mut();
            snapshot = bodies.iter_mut().find(|body| body.graph == graph).ok_or(CUresult::INVALID_VALUE)?;
        }
        let index = snapshot.position(local[inner.len()], last.0)?;
        Ok(&mut snapshot.nodes[index])
    }

    /// The nodes from the graph `root` down to `node`, each with the inner graph that the next one
    /// lies in.
    fn path(&self, root: u64, node: u64) -> Cuda<Vec<(u64, u64)>> {
        let mut path = vec![(node, 0)];
        let mut graph = self.node(node)?.graph;
        while graph != root {
            let super::Owner::Node(outer) = self.graph(graph)?.owner else { return Err(CUresult::INVALID_VALUE) };
            path.push((outer, graph));
            graph = self.node(outer)?.graph;
        }
        path.reverse();
        Ok(path)
    }
}

impl super::exec::Snapshot {
    fn position(&self, local_id: u32, source: u64) -> Cuda<usize> {
        let index = self.nodes.binary_search_by_key(&local_id, |node| node.local_id);
        index.ok().filter(|&index| self.nodes[index].source == source).ok_or(CUresult::INVALID_VALUE)
    }
}

fn check_attribute(id: u32) -> Cuda {
    match id {
        DEVICE_UPDATABLE => Err(CUresult::NOT_SUPPORTED),
        id if NODE_ATTRIBUTES.contains(&id) => Ok(()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}
