//! Asking about a capture and changing its dependency sets.

use super::world::{CaptureStatus, CaptureWorld};
use crate::graph::{EdgeData, Graphs};
use crate::{CaptureId, StreamId, StreamKind};
use graphproof_api::{CUresult, Cuda};

/// What `cuStreamGetCaptureInfo` tells about a stream that captures.
#[derive(Debug, Clone, Copy)]
pub struct CaptureInfo<'a> {
    /// Unique for the life of the process.
    pub id: CaptureId,
    /// The graph under construction.
    pub graph: u64,
    /// Handles of the nodes that the next node will depend on. The array stays in place until the
    /// next such call on the stream, or the end of the capture.
    pub dependencies: &'a [u64],
    /// The annotations of those edges.
    pub edge_data: &'a [EdgeData],
}

/// How `cuStreamUpdateCaptureDependencies` changes the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyUpdate {
    /// `CU_STREAM_ADD_CAPTURE_DEPENDENCIES`.
    Add,
    /// `CU_STREAM_SET_CAPTURE_DEPENDENCIES`.
    Set,
}

impl DependencyUpdate {
    /// The update with that C value; others are `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_raw(value: u32) -> Cuda<Self> {
        [Self::Add, Self::Set].get(value as usize).copied().ok_or(CUresult::INVALID_VALUE)
    }
}

impl CaptureWorld {
    /// `cuStreamIsCapturing`.
    ///
    /// # Errors
    /// 906 for the legacy stream beside a capture of a blocking stream; the capture is not
    /// invalidated (D, cuda.h).
    pub fn is_capturing(&self, stream: StreamId) -> Cuda<CaptureStatus> {
        if stream.kind == StreamKind::Legacy && !self.blocking_captures(stream.context).is_empty() {
            return Err(CUresult::STREAM_CAPTURE_IMPLICIT);
        }
        Ok(self.stream_status(stream))
    }

    /// `cuStreamGetCaptureInfo`. Only an active capture has more than its status (D).
    ///
    /// # Errors
    /// As [`CaptureWorld::is_capturing`].
    pub fn info(&mut self, stream: StreamId) -> Cuda<(CaptureStatus, Option<CaptureInfo<'_>>)> {
        let status = self.is_capturing(stream)?;
        if status != CaptureStatus::Active {
            return Ok((status, None));
        }
        let Some(enrolled) = self.streams.get_mut(&stream.key) else { return Ok((status, None)) };
        let Some(capture) = self.captures.get(&enrolled.capture) else { return Ok((status, None)) };
        enrolled.lent = enrolled.tail.nodes().iter().copied().unzip_boxed();
        let info = CaptureInfo {
            id: enrolled.capture,
            graph: capture.graph,
            dependencies: &enrolled.lent.0,
            edge_data: &enrolled.lent.1,
        };
        Ok((status, Some(info)))
    }

    /// The captures that have begun and not ended, and whether each is invalidated.
    pub fn ongoing_captures(&self) -> impl Iterator<Item = (CaptureId, bool)> + '_ {
        self.captures.iter().map(|(&id, capture)| (id, capture.invalidated))
    }

    /// The capture that a stream takes part in.
    pub fn capture_of(&self, stream: StreamId) -> Option<CaptureId> {
        self.streams.get(&stream.key).map(|enrolled| enrolled.capture)
    }

    /// A capture is as a driver says that it is: for a model that looks on, which the driver's answer
    /// overrules.
    pub fn overrule(&mut self, id: CaptureId, invalidated: bool) {
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.invalidated = invalidated;
        }
    }

    /// `cuStreamUpdateCaptureDependencies`.
    ///
    /// # Errors
    /// 401 if the stream does not capture (D); `CUDA_ERROR_INVALID_VALUE` for a node that is not
    /// in the capture's graph.
    pub fn update_dependencies(
        &mut self,
        graphs: &Graphs,
        stream: StreamId,
        nodes: &[(u64, EdgeData)],
        how: DependencyUpdate,
    ) -> Cuda {
        let enrolled = self.streams.get_mut(&stream.key).ok_or(CUresult::ILLEGAL_STATE)?;
        let capture = self.captures.get_mut(&enrolled.capture).ok_or(CUresult::ILLEGAL_STATE)?;
        if capture.invalidated {
            // M (H200, driver 580.159.04).
            return Err(CUresult::STREAM_CAPTURE_INVALIDATED);
        }
        for &(node, data) in nodes {
            if graphs.node(node)?.graph() != capture.graph || data.to_port != 0 || data.reserved != [0; 5] {
                return Err(CUresult::INVALID_VALUE);
            }
        }
        if how == DependencyUpdate::Set {
            // D: nodes removed this way do not cause 904.
            capture.excused.extend(enrolled.tail.nodes().iter().map(|&(node, _)| node));
            enrolled.tail.clear();
        }
        nodes.iter().for_each(|&(node, data)| enrolled.tail.add(node, data));
        Ok(())
    }
}

trait UnzipBoxed<A, B> {
    fn unzip_boxed(self) -> (Box<[A]>, Box<[B]>);
}

impl<A, B, I: Iterator<Item = (A, B)>> UnzipBoxed<A, B> for I {
    fn unzip_boxed(self) -> (Box<[A]>, Box<[B]>) {
        let (first, second): (Vec<A>, Vec<B>) = self.unzip();
        (first.into(), second.into())
    }
}
