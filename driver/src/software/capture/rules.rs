//! Which calls are potentially unsafe during a capture (`capture-semantics` 1.4).

use super::unknowns::UNSAFE_CANDIDATES;

/// Names that documents or measurements call unsafe, sorted.
///
/// M: cuMemAlloc, cuMemFree, cuMemPool{Get,Set}Attribute, cuModuleUnload, cuGraphDestroy,
/// cuGraphExecDestroy, cuGraphInstantiate. A: the allocations and frees of host and managed memory.
/// Event and stream queries and waits are unsafe too, through [`super::CaptureWorld::sync_call`].
const UNSAFE: [&str; 23] = [
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphInstantiateWithParams",
    "cuGraphInstantiate_v2",
    "cuMemAllocHost_v2",
    "cuMemAllocManaged",
    "cuMemAllocPitch_v2",
    "cuMemAlloc_v2",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemHostRegister_v2",
    "cuMemHostUnregister",
    "cuMemPoolExportPointer",
    "cuMemPoolExportToShareableHandle",
    "cuMemPoolGetAccess",
    "cuMemPoolGetAttribute",
    "cuMemPoolImportFromShareableHandle",
    "cuMemPoolImportPointer",
    "cuMemPoolSetAccess",
    "cuMemPoolSetAttribute",
    "cuModuleUnload",
];

/// Whether the entry point with that exported name is potentially unsafe during a capture.
pub fn is_unsafe(name: &str) -> bool {
    UNSAFE.binary_search(&name).is_ok()
        || UNSAFE_CANDIDATES.binary_search_by_key(&name, |entry| entry.0).is_ok_and(|found| UNSAFE_CANDIDATES[found].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_sorted() {
        assert!(UNSAFE.is_sorted());
        assert!(UNSAFE_CANDIDATES.is_sorted_by_key(|entry| entry.0));
    }

    #[test]
    fn the_header_s_own_example_is_unsafe() {
        assert!(is_unsafe("cuMemAlloc_v2"));
        assert!(!is_unsafe("cuMemAllocAsync"));
        assert!(!is_unsafe("cuEventCreate"));
        assert!(is_unsafe("cuGraphUpload"));
    }
}
