//! What nearly every planted fault uses.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(super) use cudarc::driver::sys::CUresult;
pub(super) use graphproof_harness::capture_as::StreamKind;
pub(super) use graphproof_harness::context::{HostContext, Launch, Phase, StepContext};
pub(super) use graphproof_harness::error::{StepError, StepResult};
pub(super) use graphproof_harness::finding::{Check, Id};
pub(super) use graphproof_harness::step::{Agreement, BufferSpec, DType, Step, Valid};

pub(super) use super::fault::{Expected, Fault, Group, Variant};
pub(super) use super::plant::{N, Plant, scale, varied};
pub(super) use super::raw;
pub(super) use crate::error::KernelsError;
pub(super) use crate::steps::Lane;

/// What every fault's function gives back.
pub(super) type Planted = Result<Box<dyn Step>, KernelsError>;

/// Makes a driver object at its first use and keeps it.
pub(super) fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> StepResult<T>) -> StepResult<&T> {
    if let Some(made) = cell.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

/// Device memory of the step's own, which it keeps.
pub(super) fn allocated(bytes: usize) -> StepResult<u64> {
    let (result, address) = raw::mem_alloc(bytes);
    raw::must("cuMemAlloc", result).map(|()| address)
}

/// A side stream that is forked from the step's and joined to it again.
pub(super) struct Fork {
    side: raw::Stream,
    fork: raw::Event,
    join: raw::Event,
}

impl Fork {
    /// Makes the stream and its events.
    pub(super) fn new() -> StepResult<Self> {
        Ok(Fork { side: raw::Stream::non_blocking()?, fork: raw::Event::new()?, join: raw::Event::new()? })
    }

    /// The side stream.
    pub(super) fn stream(&self) -> cudarc::driver::sys::CUstream {
        self.side.0
    }

    /// What is enqueued on the side stream from here on waits for the step's work so far.
    pub(super) fn begin(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        cx.check("cuEventRecord", self.fork.record(cx.stream()))?;
        cx.check("cuStreamWaitEvent", self.fork.wait(self.side.0))
    }

    /// What the step enqueues from here on waits for the side stream's work so far.
    pub(super) fn end(&self, cx: &mut StepContext<'_>) -> StepResult<()> {
        cx.check("cuEventRecord", self.join.record(self.side.0))?;
        cx.check("cuStreamWaitEvent", self.join.wait(cx.stream()))
    }
}

/// A kernel that adds 1 to a counter, in each thread.
pub(super) const ADD_ATOMIC: &str = ".version 7.0\n.target sm_70\n.address_size 64\n\
    .visible .entry add_atomic(.param .u64 counter)\n{\n\
    .reg .b64 %rd<2>;\nld.param.u64 %rd1, [counter];\ncvta.to.global.u64 %rd1, %rd1;\n\
    red.global.add.u32 [%rd1], 1;\nret;\n}\n";

/// A kernel that stores row `i` of x in slot[i] of a cache; a negative slot is skipped where `guarded`, else it
/// counts from the end.
pub(super) const STORE_ROWS: &str = ".version 7.0\n.target sm_70\n.address_size 64\n\
    .visible .entry store_rows(.param .u64 x, .param .u64 slot, .param .u64 cache, .param .u32 guarded, \
    .param .u32 rows, .param .u32 slots)\n{\n\
    .reg .pred %p<4>;\n.reg .b32 %r<8>;\n.reg .b64 %rd<10>;\n.reg .f32 %f<2>;\n\
    ld.param.u64 %rd1, [x];\nld.param.u64 %rd2, [slot];\nld.param.u64 %rd3, [cache];\n\
    cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\ncvta.to.global.u64 %rd3, %rd3;\n\
    mov.u32 %r1, %tid.x;\nld.param.u32 %r2, [rows];\nsetp.ge.u32 %p1, %r1, %r2;\n@%p1 ret;\n\
    mul.wide.u32 %rd4, %r1, 4;\nadd.s64 %rd5, %rd2, %rd4;\nld.global.s32 %r3, [%rd5];\n\
    setp.ge.s32 %p2, %r3, 0;\n@%p2 bra STORE;\n\
    ld.param.u32 %r4, [guarded];\nsetp.ne.u32 %p3, %r4, 0;\n@%p3 ret;\n\
    ld.param.u32 %r5, [slots];\nadd.s32 %r3, %r3, %r5;\n\
    STORE:\nadd.s64 %rd6, %rd1, %rd4;\nld.global.f32 %f1, [%rd6];\n\
    mul.wide.s32 %rd7, %r3, 4;\nadd.s64 %rd8, %rd3, %rd7;\nst.global.f32 [%rd8], %f1;\nret;\n}\n";

/// Kernels of sm_90 that move boxes of 16 columns and 2 rows of fp32: `store_box` stores `factor` times the words of x
/// from row `row` on, `load_box` gives y three times the box of its block.
pub(super) const BOXES: &str = ".version 8.0\n.target sm_90\n.address_size 64\n\
    .visible .entry store_box(.param .align 64 .b8 map[128], .param .u64 x, .param .u32 row, .param .f32 factor)\n{\n\
    .reg .pred %p<2>;\n.reg .b32 %r<8>;\n.reg .b64 %rd<6>;\n.reg .f32 %f<4>;\n.shared .align 128 .b8 tile[128];\n\
    mov.b64 %rd1, map;\ncvta.param.u64 %rd1, %rd1;\nld.param.u64 %rd2, [x];\ncvta.to.global.u64 %rd2, %rd2;\n\
    ld.param.u32 %r1, [row];\nld.param.f32 %f1, [factor];\nmov.u32 %r2, %tid.x;\nmad.lo.u32 %r3, %r1, 16, %r2;\n\
    mul.wide.u32 %rd3, %r3, 4;\nadd.s64 %rd3, %rd2, %rd3;\nld.global.f32 %f2, [%rd3];\nmul.rn.f32 %f2, %f2, %f1;\n\
    mov.u32 %r4, tile;\nmad.lo.u32 %r5, %r2, 4, %r4;\nst.shared.f32 [%r5], %f2;\nfence.proxy.async.shared::cta;\n\
    bar.sync 0;\nsetp.ne.u32 %p1, %r2, 0;\n@%p1 bra END;\nmov.u32 %r6, 0;\n\
    cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%rd1, {%r6, %r1}], [%r4];\n\
    cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\nEND:\nret;\n}\n\
    .visible .entry load_box(.param .align 64 .b8 map[128], .param .u64 y)\n{\n\
    .reg .pred %p<3>;\n.reg .b32 %r<10>;\n.reg .b64 %rd<6>;\n.reg .f32 %f<4>;\n.shared .align 128 .b8 tile[128];\n\
    .shared .align 8 .b64 bar;\nmov.b64 %rd1, map;\ncvta.param.u64 %rd1, %rd1;\nld.param.u64 %rd2, [y];\n\
    cvta.to.global.u64 %rd2, %rd2;\nmov.u32 %r1, %ctaid.x;\nshl.b32 %r1, %r1, 1;\nmov.u32 %r2, %tid.x;\n\
    mov.u32 %r4, tile;\nmov.u32 %r7, bar;\nsetp.ne.u32 %p1, %r2, 0;\n@%p1 bra READY;\nmov.u32 %r6, 0;\n\
    mbarrier.init.shared.b64 [%r7], 1;\nfence.mbarrier_init.release.cluster;\n\
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r7], 128;\n\
    cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r4], [%rd1, {%r6, %r1}], [%r7];\n\
    READY:\nbar.sync 0;\nWAIT:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, [%r7], 0;\n@!%p2 bra WAIT;\n\
    mad.lo.u32 %r5, %r2, 4, %r4;\nld.shared.f32 %f1, [%r5];\nmul.rn.f32 %f1, %f1, 0f40400000;\n\
    mad.lo.u32 %r3, %r1, 16, %r2;\nmul.wide.u32 %rd3, %r3, 4;\nadd.s64 %rd3, %rd2, %rd3;\n\
    st.global.f32 [%rd3], %f1;\nret;\n}\n";

/// Kernels of sm_90 that give `to` the words of `from` times a factor: `scale_and_let_begin` lets the one behind it begin
/// first; the others wait for the one ahead at the beginning, behind their load, or not at all.
pub(super) const PROGRAMMATIC: &str = ".version 8.0\n.target sm_90\n.address_size 64\n\
    .visible .entry scale_and_let_begin(.param .u64 from, .param .u64 to, .param .f32 factor)\n{\n\
    .reg .b32 %r<2>;\n.reg .b64 %rd<6>;\n.reg .f32 %f<4>;\ngriddepcontrol.launch_dependents;\nld.param.u64 %rd1, [from];\nld.param.u64 %rd2, [to];\n\
    cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\nld.param.f32 %f1, [factor];\nmov.u32 %r1, %tid.x;\n\
    mul.wide.u32 %rd3, %r1, 4;\nadd.s64 %rd4, %rd1, %rd3;\nadd.s64 %rd5, %rd2, %rd3;\nld.global.f32 %f2, [%rd4];\n\
    mul.rn.f32 %f3, %f2, %f1;\nst.global.f32 [%rd5], %f3;\nret;\n}\n\
    .visible .entry scale_at_once(.param .u64 from, .param .u64 to, .param .f32 factor)\n{\n\
    .reg .b32 %r<2>;\n.reg .b64 %rd<6>;\n.reg .f32 %f<4>;\nld.param.u64 %rd1, [from];\nld.param.u64 %rd2, [to];\n\
    cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\nld.param.f32 %f1, [factor];\nmov.u32 %r1, %tid.x;\n\
    mul.wide.u32 %rd3, %r1, 4;\nadd.s64 %rd4, %rd1, %rd3;\nadd.s64 %rd5, %rd2, %rd3;\nld.global.f32 %f2, [%rd4];\n\
    mul.rn.f32 %f3, %f2, %f1;\nst.global.f32 [%rd5], %f3;\nret;\n}\n\
    .visible .entry scale_behind_wait(.param .u64 from, .param .u64 to, .param .f32 factor)\n{\n\
    .reg .b32 %r<2>;\n.reg .b64 %rd<6>;\n.reg .f32 %f<4>;\ngriddepcontrol.wait;\nld.param.u64 %rd1, [from];\nld.param.u64 %rd2, [to];\n\
    cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\nld.param.f32 %f1, [factor];\nmov.u32 %r1, %tid.x;\n\
    mul.wide.u32 %rd3, %r1, 4;\nadd.s64 %rd4, %rd1, %rd3;\nadd.s64 %rd5, %rd2, %rd3;\nld.global.f32 %f2, [%rd4];\n\
    mul.rn.f32 %f3, %f2, %f1;\nst.global.f32 [%rd5], %f3;\nret;\n}\n\
    .visible .entry scale_before_wait(.param .u64 from, .param .u64 to, .param .f32 factor)\n{\n\
    .reg .b32 %r<2>;\n.reg .b64 %rd<6>;\n.reg .f32 %f<4>;\nld.param.u64 %rd1, [from];\nld.param.u64 %rd2, [to];\n\
    cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\nld.param.f32 %f1, [factor];\nmov.u32 %r1, %tid.x;\n\
    mul.wide.u32 %rd3, %r1, 4;\nadd.s64 %rd4, %rd1, %rd3;\nadd.s64 %rd5, %rd2, %rd3;\nld.global.f32 %f2, [%rd4];\n\
    griddepcontrol.wait;\nmul.rn.f32 %f3, %f2, %f1;\nst.global.f32 [%rd5], %f3;\nret;\n}\n";

/// Locks what a step keeps between its calls.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one of the objects that `prepare` laid out for the recordings of this step.
pub(super) fn take<T>(pile: &Mutex<Vec<T>>) -> StepResult<T> {
    locked(pile).pop().ok_or_else(|| StepError::Other("nothing is left of what the host prepared".to_owned()))
}
