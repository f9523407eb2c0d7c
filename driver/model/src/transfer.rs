//! Copies and fills as calls: when they go to a stream, when the host waits for them.

use std::sync::Arc;

use super::capture::{Placement, capture_work};
use super::execute::Op;
use super::memory::{Side, memory};
use super::params::CopyParams;
use super::work::{CopyWork, MemsetWork, NodeParams};
use super::{Driver, StreamId, StreamName, World};
use crate::{observe, record};
use graphproof_api::Cuda;

/// Pageable memory up to this size is copied at the call and the call returns; of more the call waits
/// for the copy. Measured on an H200, driver 580.159.04: 65,540 bytes return and 4 MiB wait; where in
/// between the limit lies is a guess.
const STAGED_BYTES: usize = 128 << 10;

impl Driver {
    /// A copy that the host waits for. It is ordered as work of `stream`, a default stream; only a copy
    /// within the device returns before it is done, as CUDA documents.
    pub fn copy_now(&self, stream: impl Into<StreamName>, params: impl Into<CopyParams>) -> Cuda {
        let params = &params.into();
        let copy = memory().space.copy_at_call(params)?;
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        // The legacy stream never captures; for the thread's own it is as a host wait (G).
        world.capture.conflicting_call(stream)?;
        if copy.bytes() == 0 {
            return Ok(());
        }
        if self.is_idle(&world, stream) {
            let behind = world.waited_by(stream);
            drop(world);
            let copy = memory().space.copy(params)?;
            copy.run();
            observe::copied_at_once(stream.key, &behind, observe::copy_spans(params, false));
            record::print_output();
            return Ok(());
        }
        let work = NodeParams::Memcpy(CopyWork { params: *params, staged: None });
        let ticket = self.submit(&world, stream, Op::Node(work), Vec::new());
        drop(world);
        if copy.sides() != (Side::Device, Side::Device) {
            record::blocked(|| self.engine.wait(ticket));
            observe::host_waited(ticket);
        }
        super::fault::explain(self.check(stream))
    }

    /// A copy on a stream.
    pub fn copy_on(&self, stream: impl Into<StreamName>, params: impl Into<CopyParams>) -> Cuda {
        let params = &params.into();
        let copy = memory().space.copy_at_call(params)?;
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        let mut work = CopyWork { params: *params, staged: None };
        if let Placement::Captured(id) = world.capture.classify_enqueue(stream)? {
            // M (H200, driver 580.159.04): no bytes, no node.
            if copy.bytes() == 0 {
                return Ok(());
            }
            // The addresses are baked in as they are, pageable ones too.
            return capture_work(&mut world, id, stream, NodeParams::Memcpy(work));
        }
        let (src, dst) = copy.sides();
        let staged = src == Side::Pageable && copy.bytes() <= STAGED_BYTES && dst == Side::Device;
        if staged {
            work.staged = Some(Arc::from(copy.stage()));
        }
        let ticket = self.submit(&world, stream, Op::Node(NodeParams::Memcpy(work)), Vec::new());
        drop(world);
        if !staged && (src == Side::Pageable || dst == Side::Pageable) {
            record::blocked(|| self.engine.wait(ticket));
            observe::host_waited(ticket);
            return super::fault::explain(self.check(stream));
        }
        Ok(())
    }

    /// As [`Driver::copy_on`] outside a capture, with the source read before the call returns, whatever the
    /// stream has still to do.
    pub fn copy_from_now(&self, stream: impl Into<StreamName>, params: impl Into<CopyParams>) -> Cuda {
        let params = &params.into();
        let copy = memory().space.copy(params)?;
        let work = CopyWork { params: *params, staged: Some(Arc::from(copy.stage())) };
        self.enqueue(stream, NodeParams::Memcpy(work)).map(|_| ())
    }

    /// Whether a copy could be put on a stream.
    pub fn check_copy(&self, params: impl Into<CopyParams>) -> Cuda {
        memory().space.copy_at_call(&params.into()).map(|_| ())
    }

    /// Whether a stream takes part in a capture.
    ///
    /// # Errors
    /// 901 if the capture is invalidated, and what naming the stream gives.
    pub fn is_capturing(&self, stream: impl Into<StreamName>) -> Cuda<bool> {
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        world.capture.classify_enqueue(stream).map(|placement| placement != Placement::Eager)
    }

    /// `cuMemcpyPeerAsync`, which no capture takes.
    pub fn copy_between_contexts(&self, stream: impl Into<StreamName>, params: impl Into<CopyParams>) -> Cuda {
        let stream = stream.into();
        {
            let mut world = self.world();
            let stream = world.usable_stream(stream)?;
            world.capture.classify_uncapturable(stream)?;
        }
        self.copy_on(stream, params)
    }

    /// A fill that is ordered as work of `stream`, a default stream. The host waits only when it could see
    /// the bytes itself.
    pub fn fill_now(&self, stream: impl Into<StreamName>, work: MemsetWork) -> Cuda {
        memory().space.fill_at_call(&work)?;
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        // The legacy stream never captures; for the thread's own it is as a host wait (G).
        world.capture.conflicting_call(stream)?;
        let ticket = self.submit(&world, stream, Op::Node(NodeParams::Memset(work)), Vec::new());
        drop(world);
        if !memory().space.in_window(work.dst) {
            record::blocked(|| self.engine.wait(ticket));
            observe::host_waited(ticket);
        }
        Ok(())
    }

    /// A fill on a stream.
    pub fn fill_on(&self, stream: impl Into<StreamName>, work: MemsetWork) -> Cuda {
        let mut world = self.world();
        let stream = world.usable_stream(stream)?;
        if let Placement::Captured(id) = world.capture.classify_enqueue(stream)? {
            // M (H200, driver 580.159.04): no elements, no node; the address is looked at when the graph is
            // launched, a null one too.
            if work.width == 0 || work.height == 0 {
                return Ok(());
            }
            return capture_work(&mut world, id, stream, NodeParams::Memset(work));
        }
        memory().space.fill_at_call(&work)?;
        self.submit(&world, stream, Op::Node(NodeParams::Memset(work)), Vec::new());
        Ok(())
    }

    /// Whether a stream, and what it implicitly waits for, has nothing to do.
    fn is_idle(&self, world: &World, stream: StreamId) -> bool {
        let others = world.waited_by(stream);
        if !world.awaited(stream).into_iter().all(|ticket| self.engine.is_done(ticket)) {
            return false;
        }
        std::iter::once(stream.key).chain(others).all(|key| self.engine.is_drained(key))
    }

    /// The error of a stream's context.
    fn check(&self, stream: StreamId) -> Cuda {
        self.world().check_context(stream.context)
    }

    /// Waits until the whole device is idle, as a free does.
    pub fn wait_for_device(&self) {
        if self.engine.pending() == 0 {
            observe::host_waited_for_all();
            record::print_output();
            return;
        }
        let contexts: Vec<u64> = self.world().contexts.iter().map(|(handle, _)| handle).collect();
        record::blocked(|| contexts.into_iter().for_each(|handle| self.wait_for_context(super::ContextId(handle))));
    }
}
