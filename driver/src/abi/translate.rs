//! Between the C types of the API and the model's own.

use std::ffi::c_void;

use super::CUresult;
use super::default_stream;
use super::door::host_function;
use super::types::{
    CUDA_MEMCPY3D, CUarray, CUevent, CUfunction, CUgraphRecaptureCallback, CUlaunchAttribute, CUlaunchAttributeValue,
    CUmemAccessDesc, CUmemLocation, CUmemPoolProps, CUstream, CUstreamBatchMemOpParams,
};
use crate::software::StreamName;
use crate::software::batch::MemOp;
use crate::software::params::{
    Access, Attribute, AttributeValue, Callback, CopyParams, End, HostWork, Location, PoolProps,
};

/// A function of a caller that takes one pointer.
pub(super) type HostFn = unsafe extern "C" fn(*mut c_void);
/// A callback of `cuStreamAddCallback`.
pub(super) type StreamCallback = unsafe extern "C" fn(CUstream, CUresult, *mut c_void);

impl From<CUstream> for StreamName {
    /// Null is the default stream that the call in progress means.
    fn from(stream: CUstream) -> Self {
        match stream {
            CUstream::NULL => default_stream::meaning().into(),
            CUstream::LEGACY => Self::Legacy,
            CUstream::PER_THREAD => Self::PerThread,
            CUstream(handle) => Self::Handle(handle),
        }
    }
}

impl From<CUevent> for u64 {
    fn from(event: CUevent) -> Self {
        event.0
    }
}

impl From<CUfunction> for u64 {
    fn from(function: CUfunction) -> Self {
        function.0
    }
}

impl From<&CUDA_MEMCPY3D> for CopyParams {
    fn from(copy: &CUDA_MEMCPY3D) -> Self {
        Self {
            src: End {
                memory_type: copy.srcMemoryType,
                host: copy.srcHost,
                device: copy.srcDevice,
                array: copy.srcArray.0,
                at: [copy.srcXInBytes, copy.srcY, copy.srcZ],
                pitch: copy.srcPitch,
                rows: copy.srcHeight,
                level: copy.srcLOD,
            },
            dst: End {
                memory_type: copy.dstMemoryType,
                host: copy.dstHost,
                device: copy.dstDevice,
                array: copy.dstArray.0,
                at: [copy.dstXInBytes, copy.dstY, copy.dstZ],
                pitch: copy.dstPitch,
                rows: copy.dstHeight,
                level: copy.dstLOD,
            },
            extent: [copy.WidthInBytes, copy.Height, copy.Depth],
        }
    }
}

impl From<&CopyParams> for CUDA_MEMCPY3D {
    fn from(copy: &CopyParams) -> Self {
        let (src, dst) = (&copy.src, &copy.dst);
        Self {
            srcXInBytes: src.at[0],
            srcY: src.at[1],
            srcZ: src.at[2],
            srcLOD: src.level,
            srcMemoryType: src.memory_type,
            srcHost: src.host,
            srcDevice: src.device,
            srcArray: CUarray(src.array),
            reserved0: 0,
            srcPitch: src.pitch,
            srcHeight: src.rows,
            dstXInBytes: dst.at[0],
            dstY: dst.at[1],
            dstZ: dst.at[2],
            dstLOD: dst.level,
            dstMemoryType: dst.memory_type,
            dstHost: dst.host,
            dstDevice: dst.device,
            dstArray: CUarray(dst.array),
            reserved1: 0,
            dstPitch: dst.pitch,
            dstHeight: dst.rows,
            WidthInBytes: copy.extent[0],
            Height: copy.extent[1],
            Depth: copy.extent[2],
        }
    }
}

impl From<CUlaunchAttributeValue> for AttributeValue {
    fn from(value: CUlaunchAttributeValue) -> Self {
        Self(value.0)
    }
}

impl From<AttributeValue> for CUlaunchAttributeValue {
    fn from(value: AttributeValue) -> Self {
        Self(value.0)
    }
}

impl From<&CUlaunchAttribute> for Attribute {
    fn from(attribute: &CUlaunchAttribute) -> Self {
        Self { id: attribute.id, value: attribute.value.into() }
    }
}

impl From<&CUstreamBatchMemOpParams> for MemOp {
    fn from(params: &CUstreamBatchMemOpParams) -> Self {
        Self(params.0)
    }
}

impl From<CUmemLocation> for Location {
    fn from(location: CUmemLocation) -> Self {
        Self { kind: location.type_, id: location.id }
    }
}

impl From<&CUmemAccessDesc> for Access {
    fn from(access: &CUmemAccessDesc) -> Self {
        Self { location: access.location.into(), flags: access.flags }
    }
}

/// The access descriptions of a node; they belong to the node.
pub(super) fn access_descs(access: &[Access]) -> *const CUmemAccessDesc {
    const { assert!(size_of::<Access>() == size_of::<CUmemAccessDesc>()) };
    access.as_ptr().cast()
}

impl From<&CUmemPoolProps> for PoolProps {
    fn from(props: &CUmemPoolProps) -> Self {
        Self {
            allocation_type: props.allocType,
            handle_types: props.handleTypes,
            location: props.location.into(),
            max_size: props.maxSize,
            usage: props.usage,
        }
    }
}

impl From<&PoolProps> for CUmemPoolProps {
    fn from(props: &PoolProps) -> Self {
        Self {
            allocType: props.allocation_type,
            handleTypes: props.handle_types,
            location: CUmemLocation { type_: props.location.kind, id: props.location.id },
            win32SecurityAttributes: std::ptr::null_mut(),
            maxSize: props.max_size,
            usage: props.usage,
            reserved: [0; 54],
        }
    }
}

/// The operations of a node, as the API packs them; they belong to the node.
pub(super) fn batch_params(operations: &[MemOp]) -> *mut CUstreamBatchMemOpParams {
    const { assert!(size_of::<MemOp>() == size_of::<CUstreamBatchMemOpParams>()) };
    operations.as_ptr().cast_mut().cast()
}

fn address(data: *mut c_void) -> u64 {
    data.expose_provenance() as u64
}

fn pointer(data: u64) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(data as usize)
}

/// The caller's function and its argument.
pub(super) fn callback(function: HostFn, data: *mut c_void) -> Callback {
    Callback { function: function as *const () as u64, data: address(data) }
}

/// The function and argument of a [`callback`].
pub(super) fn called(callback: Callback) -> (HostFn, *mut c_void) {
    // SAFETY: only `callback` makes those that come here, from a function of this type.
    let function = unsafe { std::mem::transmute::<usize, HostFn>(callback.function as usize) };
    (function, pointer(callback.data))
}

/// Calls the function of a [`callback`].
///
/// # Safety
/// Whoever gave it vouches that it may be called now, on this thread.
pub(super) unsafe fn call(callback: Callback) {
    let (function, data) = called(callback);
    // SAFETY: as above.
    host_function(|| unsafe { function(data) });
}

/// `cuLaunchHostFunc`: not called after an error.
pub(super) fn host_work(function: HostFn, data: *mut c_void) -> HostWork {
    fn run(work: &HostWork, error: Option<CUresult>) {
        if error.is_none() {
            // SAFETY: the caller of cuLaunchHostFunc vouches for the function and its argument.
            unsafe { call(work.callback) };
        }
    }
    HostWork { callback: callback(function, data), stream: 0, call: run }
}

/// `cuStreamAddCallback`: called after an error too.
pub(super) fn stream_callback(function: StreamCallback, stream: CUstream, data: *mut c_void) -> HostWork {
    fn run(work: &HostWork, error: Option<CUresult>) {
        let status = error.unwrap_or(CUresult::SUCCESS);
        // SAFETY: only `stream_callback` makes work that comes here, from a function of this type.
        let function = unsafe { std::mem::transmute::<usize, StreamCallback>(work.callback.function as usize) };
        // SAFETY: the caller of cuStreamAddCallback vouches for the function and its argument.
        host_function(|| unsafe { function(CUstream(work.stream), status, pointer(work.callback.data)) });
    }
    let callback = Callback { function: function as *const () as u64, data: address(data) };
    HostWork { callback, stream: stream.0, call: run }
}

/// The function that a recapture asks.
pub(super) fn recapture_callback(function: CUgraphRecaptureCallback, data: *mut c_void) -> Callback {
    Callback { function: function as *const () as u64, data: address(data) }
}

/// The function and argument of a [`recapture_callback`].
pub(super) fn recapture_called(callback: Callback) -> (CUgraphRecaptureCallback, *mut c_void) {
    // SAFETY: only `recapture_callback` makes those that come here, from a function of this type.
    let function = unsafe { std::mem::transmute::<usize, CUgraphRecaptureCallback>(callback.function as usize) };
    (function, pointer(callback.data))
}
