//! Which calls are potentially unsafe during a capture (`capture-semantics` 1.4).

use super::unknowns::UNSAFE_BY_KINSHIP;

/// Names that are potentially unsafe, sorted.
///
/// M (H200, driver 580.159.04, `tests/conformance/unsafe`): each of these, except the pools' export,
/// import and access functions and the graph instantiations under other names, which are as their
/// measured kin. Measured as safe, and so not here: creation and destruction of streams, events
/// and graphs, `cuEventElapsedTime`, `cuGraphUpload`, virtual memory management, IPC handles,
/// `cuMemGetInfo` and the attributes of functions and pointers.
///
/// `cuGraphInstantiateWithParams` is unsafe too, and asks for itself, since it answers through its
/// parameters. Event and stream queries and waits are unsafe through [`super::CaptureWorld::sync_call`], and
/// stream-ordered allocation through [`super::CaptureWorld::classify_stream_ordered`].
const UNSAFE: [&str; 31] = [
    "cuArrayCreate_v2",
    "cuArrayDestroy",
    "cuCtxSetCacheConfig",
    "cuCtxSetLimit",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphInstantiate_v2",
    "cuLibraryUnload",
    "cuMemAllocHost_v2",
    "cuMemAllocManaged",
    "cuMemAllocPitch_v2",
    "cuMemAlloc_v2",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemHostRegister_v2",
    "cuMemHostUnregister",
    "cuMemPoolCreate",
    "cuMemPoolDestroy",
    "cuMemPoolExportPointer",
    "cuMemPoolExportToShareableHandle",
    "cuMemPoolGetAccess",
    "cuMemPoolGetAttribute",
    "cuMemPoolImportFromShareableHandle",
    "cuMemPoolImportPointer",
    "cuMemPoolSetAccess",
    "cuMemPoolSetAttribute",
    "cuMemPoolTrimTo",
    "cuModuleUnload",
    "cuProfilerStart",
    "cuProfilerStop",
];

/// Whether the entry point with that exported name is potentially unsafe during a capture.
pub fn is_unsafe(name: &str) -> bool {
    UNSAFE.binary_search(&name).is_ok() || UNSAFE_BY_KINSHIP.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_sorted() {
        assert!(UNSAFE.is_sorted());
        assert!(UNSAFE_BY_KINSHIP.is_sorted());
    }

    #[test]
    fn the_header_s_own_example_is_unsafe() {
        assert!(is_unsafe("cuMemAlloc_v2"));
        assert!(!is_unsafe("cuMemAllocAsync"));
        assert!(!is_unsafe("cuEventCreate"));
        assert!(!is_unsafe("cuGraphUpload"));
    }
}
