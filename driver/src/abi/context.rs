//! Contexts.

use std::ffi::{c_int, c_uint, c_void};

use super::args::{not_null, read, write, write_if};
use super::device::check_device;
use super::types::{CUcontext, CUctxCreateParams, CUdevice};
use super::{CUresult, Cuda};
use crate::record;
use crate::software::context::{current, with_stack};
use crate::software::fault::explain;
use crate::software::memory::memory;
use crate::software::stream::{GREATEST_PRIORITY, LEAST_PRIORITY};
use crate::software::{ContextId, Primary, SyncTarget, driver, limits};

/// All bits of `CUctx_flags`.
const FLAGS: u32 = 0xff;

fn check_flags(flags: u32) -> Cuda {
    // At most one of spin, yield and blocking.
    if flags & !FLAGS != 0 || (flags & 7).count_ones() > 1 { Err(CUresult::INVALID_VALUE) } else { Ok(()) }
}

fn create(target: *mut CUcontext, flags: u32, device: CUdevice) -> Cuda {
    not_null(target)?;
    check_device(device)?;
    check_flags(flags)?;
    let driver = driver();
    let handle = driver.world().create_context(device, false, flags, &driver.engine);
    with_stack(|stack| stack.push(handle));
    // SAFETY: the caller's pointer, not null.
    unsafe { write(target, CUcontext(handle)) }
}

/// `NULL` means the calling thread's context.
pub(super) fn given(context: CUcontext) -> Cuda<ContextId> {
    if context.is_null() {
        return driver().world().current_even_if_in_error().map(|current| current.id);
    }
    let world = driver().world();
    match world.contexts.get(context.0) {
        Some(_) => Ok(ContextId(context.0)),
        None if world.contexts.was_destroyed(context.0) => Err(CUresult::CONTEXT_IS_DESTROYED),
        None => Err(CUresult::INVALID_CONTEXT),
    }
}

/// The context that peer access is about: never the calling thread's by default.
fn peer(context: CUcontext) -> Cuda<ContextId> {
    driver().current()?;
    if context.is_null() { Err(CUresult::INVALID_CONTEXT) } else { given(context) }
}

fn synchronise(id: ContextId) -> Cuda {
    let driver = driver();
    let sticky = {
        let mut world = driver.world();
        let sticky = world.contexts.get(id.0).ok_or(CUresult::INVALID_CONTEXT)?.sticky.clone();
        sticky.check()?;
        world.sync_call(SyncTarget::Context(id))?;
        sticky
    };
    record::blocked(|| driver.wait_for_context(id));
    memory().synchronised();
    explain(sticky.check())
}

entry_points! {
    fn cuDevicePrimaryCtxRetain(pctx: *mut CUcontext, dev: CUdevice) {
        not_null(pctx)?;
        check_device(dev)?;
        let driver = driver();
        let mut world = driver.world();
        let handle = world.retain_primary(dev, &driver.engine);
        unsafe { write(pctx, CUcontext(handle)) }
    }

    fn cuDevicePrimaryCtxRelease_v2(dev: CUdevice) {
        check_device(dev)?;
        let driver = driver();
        let last = driver.world().release_primary(dev).ok_or(CUresult::INVALID_CONTEXT)?;
        last.map_or(Ok(()), |handle| driver.destroy_context(handle))
    }

    fn cuDevicePrimaryCtxReset_v2(dev: CUdevice) {
        check_device(dev)?;
        let driver = driver();
        let handle = driver.world().primary(dev).handle;
        if handle == 0 {
            return Ok(());
        }
        // The handle stays good, as CUDA documents: the context is made anew in its place.
        driver.reset_context(handle)
    }

    fn cuDevicePrimaryCtxGetState(dev: CUdevice, flags: *mut c_uint, active: *mut c_int) {
        not_null(flags)?;
        not_null(active)?;
        check_device(dev)?;
        let mut world = driver().world();
        let Primary { handle, flags: set, .. } = *world.primary(dev);
        let alive = world.contexts.get(handle).is_some();
        unsafe { write(flags, set) }?;
        unsafe { write(active, c_int::from(alive)) }
    }

    fn cuDevicePrimaryCtxSetFlags_v2(dev: CUdevice, flags: c_uint) {
        check_device(dev)?;
        check_flags(flags)?;
        let mut world = driver().world();
        let primary = world.primary(dev);
        primary.flags = flags;
        let handle = primary.handle;
        if let Some(context) = world.contexts.get_mut(handle) {
            context.flags = flags;
        }
        Ok(())
    }

    fn cuCtxCreate_v2(pctx: *mut CUcontext, flags: c_uint, dev: CUdevice) {
        create(pctx, flags, dev)
    }

    fn cuCtxCreate_v3(
        pctx: *mut CUcontext, paramsArray: *const c_void, numParams: c_int, flags: c_uint, dev: CUdevice
    ) {
        let _ = paramsArray;
        if numParams != 0 {
            return Err(CUresult::UNSUPPORTED_EXEC_AFFINITY);
        }
        create(pctx, flags, dev)
    }

    fn cuCtxCreate_v4(
        pctx: *mut CUcontext, ctxCreateParams: *const CUctxCreateParams, flags: c_uint, dev: CUdevice
    ) {
        if !ctxCreateParams.is_null() {
            let params = unsafe { read(ctxCreateParams) }?;
            if params.numExecAffinityParams != 0 {
                return Err(CUresult::UNSUPPORTED_EXEC_AFFINITY);
            }
            if !params.cigParams.is_null() {
                return Err(CUresult::NOT_SUPPORTED);
            }
        }
        create(pctx, flags, dev)
    }

    fn cuCtxDestroy_v2(ctx: CUcontext) {
        let driver = driver();
        {
            let world = driver.world();
            match world.contexts.get(ctx.0) {
                // The primary context is released, not destroyed.
                Some(context) if context.primary => return Err(CUresult::INVALID_CONTEXT),
                Some(_) => {}
                None if world.contexts.was_destroyed(ctx.0) => return Err(CUresult::CONTEXT_IS_DESTROYED),
                None => return Err(CUresult::INVALID_CONTEXT),
            }
        }
        with_stack(|stack| {
            if stack.last() == Some(&ctx.0) {
                stack.pop();
            }
        });
        driver.destroy_context(ctx.0)
    }

    fn cuCtxAttach(pctx: *mut CUcontext, flags: c_uint) {
        not_null(pctx)?;
        if flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        unsafe { write(pctx, CUcontext(driver().current()?.id.0)) }
    }

    fn cuCtxDetach(ctx: CUcontext) {
        given(ctx).map(|_| ())
    }

    fn cuCtxPushCurrent_v2(ctx: CUcontext) {
        if !ctx.is_null() {
            given(ctx)?;
        }
        with_stack(|stack| stack.push(ctx.0));
        Ok(())
    }

    fn cuCtxPopCurrent_v2(pctx: *mut CUcontext) {
        let popped = with_stack(Vec::pop).ok_or(CUresult::INVALID_CONTEXT)?;
        unsafe { write_if(pctx, CUcontext(popped)) };
        Ok(())
    }

    fn cuCtxSetCurrent(ctx: CUcontext) {
        if !ctx.is_null() {
            given(ctx)?;
        }
        with_stack(|stack| {
            stack.pop();
            if !ctx.is_null() {
                stack.push(ctx.0);
            }
        });
        Ok(())
    }

    fn cuCtxGetCurrent(pctx: *mut CUcontext) {
        unsafe { write(pctx, CUcontext(current())) }
    }

    fn cuCtxGetDevice(device: *mut CUdevice) {
        not_null(device)?;
        let world = driver().world();
        unsafe { write(device, world.device_of(world.current_even_if_in_error()?.id)?) }
    }

    fn cuCtxGetDevice_v2(device: *mut CUdevice, ctx: CUcontext) {
        not_null(device)?;
        let context = given(ctx)?;
        unsafe { write(device, driver().world().device_of(context)?) }
    }

    fn cuCtxGetFlags(flags: *mut c_uint) {
        not_null(flags)?;
        let world = driver().world();
        let id = world.current()?.id;
        let context = world.contexts.get(id.0).ok_or(CUresult::INVALID_CONTEXT)?;
        unsafe { write(flags, context.flags) }
    }

    fn cuCtxSetFlags(flags: c_uint) {
        check_flags(flags)?;
        let mut world = driver().world();
        let id = world.current()?.id;
        world.contexts.get_mut(id.0).ok_or(CUresult::INVALID_CONTEXT)?.flags = flags;
        Ok(())
    }

    fn cuCtxGetId(ctx: CUcontext, ctxId: *mut u64) {
        not_null(ctxId)?;
        let id = given(ctx)?;
        let number = driver().world().contexts.get(id.0).map(|context| context.number);
        unsafe { write(ctxId, number.ok_or(CUresult::INVALID_CONTEXT)?) }
    }

    fn cuCtxSynchronize() {
        let id = driver().world().current_even_if_in_error()?.id;
        synchronise(id)
    }

    fn cuCtxSynchronize_v2(ctx: CUcontext) {
        synchronise(given(ctx)?)
    }

    fn cuCtxSetLimit(limit: c_uint, value: usize) {
        limits::check(limit)?;
        driver().current()?;
        if limits::is_memory(limit) {
            driver().wait_for_device();
        }
        let mut world = driver().world();
        let id = world.current()?.id;
        let context = world.contexts.get_mut(id.0).ok_or(CUresult::INVALID_CONTEXT)?;
        context.limits.insert(limit, limits::clamp(limit, value)?);
        Ok(())
    }

    fn cuCtxGetLimit(pvalue: *mut usize, limit: c_uint) {
        not_null(pvalue)?;
        limits::check(limit)?;
        let world = driver().world();
        let id = world.current()?.id;
        let context = world.contexts.get(id.0).ok_or(CUresult::INVALID_CONTEXT)?;
        unsafe { write(pvalue, context.limit(limit)?) }
    }

    fn cuCtxGetCacheConfig(pconfig: *mut c_uint) {
        not_null(pconfig)?;
        let world = driver().world();
        let id = world.current()?.id;
        let context = world.contexts.get(id.0).ok_or(CUresult::INVALID_CONTEXT)?;
        unsafe { write(pconfig, context.cache_config) }
    }

    fn cuCtxSetCacheConfig(config: c_uint) {
        if config > 3 {
            return Err(CUresult::INVALID_VALUE);
        }
        let mut world = driver().world();
        let id = world.current()?.id;
        world.contexts.get_mut(id.0).ok_or(CUresult::INVALID_CONTEXT)?.cache_config = config;
        Ok(())
    }

    fn cuCtxGetSharedMemConfig(pConfig: *mut c_uint) {
        not_null(pConfig)?;
        let world = driver().world();
        let id = world.current()?.id;
        let context = world.contexts.get(id.0).ok_or(CUresult::INVALID_CONTEXT)?;
        unsafe { write(pConfig, context.shared_config) }
    }

    fn cuCtxSetSharedMemConfig(config: c_uint) {
        if config > 2 {
            return Err(CUresult::INVALID_VALUE);
        }
        let mut world = driver().world();
        let id = world.current()?.id;
        world.contexts.get_mut(id.0).ok_or(CUresult::INVALID_CONTEXT)?.shared_config = config;
        Ok(())
    }

    fn cuCtxGetApiVersion(ctx: CUcontext, version: *mut c_uint) {
        not_null(version)?;
        let id = given(ctx)?;
        let found = driver().world().contexts.get(id.0).map(|context| context.api_version);
        unsafe { write(version, found.ok_or(CUresult::INVALID_CONTEXT)?) }
    }

    fn cuCtxGetStreamPriorityRange(leastPriority: *mut c_int, greatestPriority: *mut c_int) {
        driver().current()?;
        unsafe { write_if(leastPriority, LEAST_PRIORITY) };
        unsafe { write_if(greatestPriority, GREATEST_PRIORITY) };
        Ok(())
    }

    fn cuCtxResetPersistingL2Cache() {
        driver().current().map(|_| ())
    }

    fn cuCtxGetExecAffinity(pExecAffinity: *mut c_void, r#type: c_uint) {
        not_null(pExecAffinity)?;
        driver().current()?;
        let _ = r#type;
        Err(CUresult::UNSUPPORTED_EXEC_AFFINITY)
    }

    fn cuCtxEnablePeerAccess(peerContext: CUcontext, Flags: c_uint) {
        if Flags != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        driver().enable_peer_access(peer(peerContext)?)
    }

    fn cuCtxDisablePeerAccess(peerContext: CUcontext) {
        driver().disable_peer_access(peer(peerContext)?)
    }
}
