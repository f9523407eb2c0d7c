//! Recapture into an existing graph (13.3): did anything that was baked in change?
//!
//! The work must come in the order in which the graph's nodes were made, behind the same
//! dependencies. A node whose parameters differ is reported to the caller's function, which may run
//! only when the driver lock is free: [`CaptureWorld::take_mismatch`] hands it over, and
//! [`CaptureWorld::settle`] takes the answer.

use std::collections::HashSet;

use super::unknowns;
use super::world::CaptureWorld;
use crate::graph::{EdgeData, Graphs, NodeInfo, NodeType, NodeWork, same_params, updatable};
use crate::params::Callback;
use crate::work::NodeParams;
use crate::{CaptureId, StreamId};
use graphproof_api::{CUresult, Cuda};

/// `CUgraphRecaptureStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are CUDA's")]
pub enum RecaptureStatus {
    EligibleForUpdate = 0,
    IneligibleForUpdate = 1,
    Error = 2,
}

/// A node whose parameters differ from the graph's.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// The node.
    pub node: u64,
    /// What the graph holds.
    pub original: (NodeParams, NodeInfo),
    /// What was recaptured.
    pub recaptured: (NodeParams, NodeInfo),
    /// Whether an executable graph could take the change.
    pub status: RecaptureStatus,
    /// Whom to ask.
    pub callback: Callback,
}

/// A recapture in progress.
#[derive(Debug)]
pub(super) struct Recapture {
    expected: Vec<u64>,
    next: usize,
    callback: Option<Callback>,
    pending: Option<Box<Mismatch>>,
}

impl Recapture {
    pub fn new(graphs: &Graphs, graph: u64, callback: Option<Callback>) -> Cuda<Self> {
        let expected = graphs.nodes(graph)?.map(|(handle, _)| handle).collect();
        Ok(Self { expected, next: 0, callback, pending: None })
    }

    pub fn is_complete(&self) -> bool {
        self.next == self.expected.len() && self.pending.is_none()
    }

    /// The next captured work. D: a topology mismatch, or other parameters of an allocation or
    /// free, fail at once.
    pub fn next(
        &mut self,
        graphs: &mut Graphs,
        tail: &[(u64, EdgeData)],
        work: NodeParams,
        info: NodeInfo,
    ) -> Cuda<u64> {
        const FAILED: CUresult = CUresult::GRAPH_RECAPTURE_FAILURE;
        let node = *self.expected.get(self.next).ok_or(FAILED)?;
        let dependencies: HashSet<(u64, EdgeData)> =
            graphs.dependencies(node)?.into_iter().map(|(from, _, data)| (from, data)).collect();
        if dependencies.len() != tail.len() || !tail.iter().all(|edge| dependencies.contains(edge)) {
            return Err(FAILED);
        }
        let found = graphs.node(node)?;
        let kind = found.work().node_type();
        let NodeWork::Work(original) = found.work() else { return Err(FAILED) };
        if kind != NodeWork::Work(work.clone()).node_type() {
            return Err(FAILED);
        }
        self.next += 1;
        if same_params(original, &work) {
            return Ok(node);
        }
        if matches!(kind, NodeType::MemAlloc | NodeType::MemFree) {
            return Err(FAILED);
        }
        let Some(callback) = self.callback else {
            graphs.replace_work(node, NodeWork::Work(work), info);
            return Ok(node);
        };
        let original = (original.clone(), found.info().clone());
        let status = match updatable((&original.0, &original.1), (&work, &info), 0) {
            Ok(()) => RecaptureStatus::EligibleForUpdate,
            Err(_) => RecaptureStatus::IneligibleForUpdate,
        };
        let recaptured = (work, info);
        self.pending = Some(Box::new(Mismatch { node, original, recaptured, status, callback }));
        Ok(node)
    }
}

impl CaptureWorld {
    /// The question that the last captured work of `stream` raised, if any. Ask it with no lock
    /// held and hand the answer to [`CaptureWorld::settle`].
    pub fn take_mismatch(&mut self, stream: StreamId) -> Option<(CaptureId, Box<Mismatch>)> {
        let id = self.streams.get(&stream.key)?.capture;
        let mismatch = self.captures.get_mut(&id)?.recapture.as_mut()?.pending.take()?;
        Some((id, mismatch))
    }

    /// The caller's answer: its function returned `CUDA_SUCCESS` or not.
    ///
    /// # Errors
    /// 918 if it did not; the capture is invalidated then (D: "will fail immediately").
    pub fn settle(&mut self, graphs: &mut Graphs, id: CaptureId, mismatch: Mismatch, accepted: bool) -> Cuda {
        if !accepted {
            self.invalidate(id);
            return Err(unknowns::RECAPTURE_REFUSED);
        }
        let (work, info) = mismatch.recaptured;
        graphs.replace_work(mismatch.node, NodeWork::Work(work), info);
        Ok(())
    }

    /// The address that a recaptured allocation must get: that of the node it will be compared
    /// with. `None` outside a recapture.
    pub fn recaptured_address(&self, graphs: &Graphs, stream: StreamId) -> Option<u64> {
        let recapture = self.captures.get(&self.streams.get(&stream.key)?.capture)?.recapture.as_ref()?;
        let node = graphs.node(*recapture.expected.get(recapture.next)?).ok()?;
        match node.work() {
            NodeWork::Work(NodeParams::MemAlloc { address, .. }) => Some(*address),
            _ => None,
        }
    }
}
