//! Names of the driver's result codes and of the small enumerations that a case file spells.

/// Every `CUresult`, with the `CUDA_` or `CUDA_ERROR_` prefix left out as in the case files.
const RESULTS: &[(i32, &str)] = &[
    (0, "SUCCESS"),
    (1, "INVALID_VALUE"),
    (2, "OUT_OF_MEMORY"),
    (3, "NOT_INITIALIZED"),
    (4, "DEINITIALIZED"),
    (5, "PROFILER_DISABLED"),
    (6, "PROFILER_NOT_INITIALIZED"),
    (7, "PROFILER_ALREADY_STARTED"),
    (8, "PROFILER_ALREADY_STOPPED"),
    (34, "STUB_LIBRARY"),
    (36, "CALL_REQUIRES_NEWER_DRIVER"),
    (46, "DEVICE_UNAVAILABLE"),
    (47, "MULTICAST_RESOURCE_FULL"),
    (100, "NO_DEVICE"),
    (101, "INVALID_DEVICE"),
    (102, "DEVICE_NOT_LICENSED"),
    (200, "INVALID_IMAGE"),
    (201, "INVALID_CONTEXT"),
    (202, "CONTEXT_ALREADY_CURRENT"),
    (205, "MAP_FAILED"),
    (206, "UNMAP_FAILED"),
    (207, "ARRAY_IS_MAPPED"),
    (208, "ALREADY_MAPPED"),
    (209, "NO_BINARY_FOR_GPU"),
    (210, "ALREADY_ACQUIRED"),
    (211, "NOT_MAPPED"),
    (212, "NOT_MAPPED_AS_ARRAY"),
    (213, "NOT_MAPPED_AS_POINTER"),
    (214, "ECC_UNCORRECTABLE"),
    (215, "UNSUPPORTED_LIMIT"),
    (216, "CONTEXT_ALREADY_IN_USE"),
    (217, "PEER_ACCESS_UNSUPPORTED"),
    (218, "INVALID_PTX"),
    (219, "INVALID_GRAPHICS_CONTEXT"),
    (220, "NVLINK_UNCORRECTABLE"),
    (221, "JIT_COMPILER_NOT_FOUND"),
    (222, "UNSUPPORTED_PTX_VERSION"),
    (223, "JIT_COMPILATION_DISABLED"),
    (224, "UNSUPPORTED_EXEC_AFFINITY"),
    (225, "UNSUPPORTED_DEVSIDE_SYNC"),
    (226, "CONTAINED"),
    (227, "INSUFFICIENT_LOADER_VERSION"),
    (300, "INVALID_SOURCE"),
    (301, "FILE_NOT_FOUND"),
    (302, "SHARED_OBJECT_SYMBOL_NOT_FOUND"),
    (303, "SHARED_OBJECT_INIT_FAILED"),
    (304, "OPERATING_SYSTEM"),
    (400, "INVALID_HANDLE"),
    (401, "ILLEGAL_STATE"),
    (402, "LOSSY_QUERY"),
    (500, "NOT_FOUND"),
    (600, "NOT_READY"),
    (700, "ILLEGAL_ADDRESS"),
    (701, "LAUNCH_OUT_OF_RESOURCES"),
    (702, "LAUNCH_TIMEOUT"),
    (703, "LAUNCH_INCOMPATIBLE_TEXTURING"),
    (704, "PEER_ACCESS_ALREADY_ENABLED"),
    (705, "PEER_ACCESS_NOT_ENABLED"),
    (708, "PRIMARY_CONTEXT_ACTIVE"),
    (709, "CONTEXT_IS_DESTROYED"),
    (710, "ASSERT"),
    (711, "TOO_MANY_PEERS"),
    (712, "HOST_MEMORY_ALREADY_REGISTERED"),
    (713, "HOST_MEMORY_NOT_REGISTERED"),
    (714, "HARDWARE_STACK_ERROR"),
    (715, "ILLEGAL_INSTRUCTION"),
    (716, "MISALIGNED_ADDRESS"),
    (717, "INVALID_ADDRESS_SPACE"),
    (718, "INVALID_PC"),
    (719, "LAUNCH_FAILED"),
    (720, "COOPERATIVE_LAUNCH_TOO_LARGE"),
    (721, "TENSOR_MEMORY_LEAK"),
    (800, "NOT_PERMITTED"),
    (801, "NOT_SUPPORTED"),
    (802, "SYSTEM_NOT_READY"),
    (803, "SYSTEM_DRIVER_MISMATCH"),
    (804, "COMPAT_NOT_SUPPORTED_ON_DEVICE"),
    (805, "MPS_CONNECTION_FAILED"),
    (806, "MPS_RPC_FAILURE"),
    (807, "MPS_SERVER_NOT_READY"),
    (808, "MPS_MAX_CLIENTS_REACHED"),
    (809, "MPS_MAX_CONNECTIONS_REACHED"),
    (810, "MPS_CLIENT_TERMINATED"),
    (811, "CDP_NOT_SUPPORTED"),
    (812, "CDP_VERSION_MISMATCH"),
    (900, "STREAM_CAPTURE_UNSUPPORTED"),
    (901, "STREAM_CAPTURE_INVALIDATED"),
    (902, "STREAM_CAPTURE_MERGE"),
    (903, "STREAM_CAPTURE_UNMATCHED"),
    (904, "STREAM_CAPTURE_UNJOINED"),
    (905, "STREAM_CAPTURE_ISOLATION"),
    (906, "STREAM_CAPTURE_IMPLICIT"),
    (907, "CAPTURED_EVENT"),
    (908, "STREAM_CAPTURE_WRONG_THREAD"),
    (909, "TIMEOUT"),
    (910, "GRAPH_EXEC_UPDATE_FAILURE"),
    (911, "EXTERNAL_DEVICE"),
    (912, "INVALID_CLUSTER_SIZE"),
    (913, "FUNCTION_NOT_LOADED"),
    (914, "INVALID_RESOURCE_TYPE"),
    (915, "INVALID_RESOURCE_CONFIGURATION"),
    (916, "KEY_ROTATION"),
    (917, "STREAM_DETACHED"),
    (918, "GRAPH_RECAPTURE_FAILURE"),
    (919, "FABRIC_NOT_READY"),
    (999, "UNKNOWN"),
];

/// Constants that an argument may spell. Flags carry their CUDA name without the `CU_` prefix.
const CONSTANTS: &[(&str, u64)] = &[
    ("NULL", 0),
    ("DEFAULT", 0),
    ("LEGACY", 1),
    ("PER_THREAD", 2),
    ("GLOBAL", 0),
    ("THREAD_LOCAL", 1),
    ("RELAXED", 2),
    ("STREAM_NON_BLOCKING", 1),
    ("EVENT_BLOCKING_SYNC", 1),
    ("EVENT_DISABLE_TIMING", 2),
    ("EVENT_INTERPROCESS", 4),
    ("EVENT_RECORD_EXTERNAL", 1),
    ("EVENT_WAIT_EXTERNAL", 1),
    ("ADD_CAPTURE_DEPENDENCIES", 0),
    ("SET_CAPTURE_DEPENDENCIES", 1),
    ("AUTO_FREE_ON_LAUNCH", 1),
    ("UPLOAD", 2),
    ("DEVICE_LAUNCH", 4),
    ("USE_NODE_PRIORITY", 8),
    ("MEM_ATTACH_GLOBAL", 1),
    ("MEM_ATTACH_HOST", 2),
    ("MEM_ATTACH_SINGLE", 4),
    ("MEMHOSTALLOC_DEVICEMAP", 2),
    ("STREAM_WAIT_VALUE_GEQ", 0),
    ("STREAM_WAIT_VALUE_EQ", 1),
    ("LIMIT_STACK_SIZE", 0),
    ("LIMIT_PRINTF_FIFO_SIZE", 1),
    ("LIMIT_MALLOC_HEAP_SIZE", 2),
    ("MEMPOOL_REUSE_FOLLOW_EVENT_DEPENDENCIES", 1),
    ("MEMPOOL_RELEASE_THRESHOLD", 4),
    ("MEMPOOL_RESERVED_MEM_CURRENT", 5),
    ("MEMPOOL_RESERVED_MEM_HIGH", 6),
    ("MEMPOOL_USED_MEM_CURRENT", 7),
    ("MEMPOOL_USED_MEM_HIGH", 8),
    ("GRAPH_MEM_USED_CURRENT", 0),
    ("GRAPH_MEM_USED_HIGH", 1),
    ("GRAPH_MEM_RESERVED_CURRENT", 2),
    ("GRAPH_MEM_RESERVED_HIGH", 3),
    ("POINTER_CONTEXT", 1),
    ("POINTER_MEMORY_TYPE", 2),
    ("POINTER_BUFFER_ID", 7),
    ("POINTER_SYNC_MEMOPS", 6),
    ("FUNC_MAX_DYNAMIC_SHARED_SIZE_BYTES", 8),
    ("FUNC_NUM_REGS", 4),
    ("FUNC_CACHE_PREFER_L1", 2),
    ("GRAPH_USER_OBJECT_MOVE", 1),
    ("USER_OBJECT_NO_DESTRUCTOR_SYNC", 1),
    ("GRAPH_COND_ASSIGN_DEFAULT", 1),
    ("GRAPH_COND_TYPE_IF", 0),
    ("GRAPH_COND_TYPE_WHILE", 1),
    ("GRAPH_COND_TYPE_SWITCH", 2),
];

const NODE_TYPES: &[&str] = &[
    "KERNEL",
    "MEMCPY",
    "MEMSET",
    "HOST",
    "GRAPH",
    "EMPTY",
    "WAIT_EVENT",
    "EVENT_RECORD",
    "EXT_SEMAS_SIGNAL",
    "EXT_SEMAS_WAIT",
    "MEM_ALLOC",
    "MEM_FREE",
    "BATCH_MEM_OP",
    "CONDITIONAL",
    "MEMCPY_BATCH",
];

const UPDATE_RESULTS: &[&str] = &[
    "UPDATE_SUCCESS",
    "UPDATE_ERROR",
    "TOPOLOGY_CHANGED",
    "NODE_TYPE_CHANGED",
    "FUNCTION_CHANGED",
    "PARAMETERS_CHANGED",
    "NOT_SUPPORTED",
    "UNSUPPORTED_FUNCTION_CHANGE",
    "ATTRIBUTES_CHANGED",
];

const INSTANTIATE_RESULTS: &[&str] = &[
    "INSTANTIATE_SUCCESS",
    "INSTANTIATE_ERROR",
    "INVALID_STRUCTURE",
    "NODE_OPERATION_NOT_SUPPORTED",
    "MULTIPLE_CTXS_NOT_SUPPORTED",
    "CONDITIONAL_HANDLE_UNUSED",
];

/// Words that a probe may answer and that are no result code.
const PROBE_WORDS: &[&str] = &["NONE", "ACTIVE", "INVALIDATED", "UNSET", "BLOCKED", "yes", "no"];

/// The short name of a result code, or `CODE_n` for one that this table does not know.
pub fn result_name(code: i32) -> String {
    match RESULTS.binary_search_by_key(&code, |(value, _)| *value) {
        Ok(at) => RESULTS[at].1.to_owned(),
        Err(_) => format!("CODE_{code}"),
    }
}

/// The value of a constant that an argument may spell.
pub fn constant(name: &str) -> Option<u64> {
    CONSTANTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// True where `word` is the short name of a `CUresult`.
pub fn is_result(word: &str) -> bool {
    RESULTS.iter().any(|(_, name)| *name == word)
}

/// True where `word` may stand first in an expectation: a result code, or the answer of a probe.
pub fn is_outcome(word: &str) -> bool {
    is_result(word)
        || PROBE_WORDS.contains(&word)
        || word.bytes().all(|byte| byte.is_ascii_digit())
        || word.contains(['*', '>', '='])
        || NODE_TYPES.contains(&word)
}

fn named(table: &[&str], value: u64) -> String {
    usize::try_from(value)
        .ok()
        .and_then(|at| table.get(at))
        .map_or_else(|| format!("#{value}"), |name| (*name).to_owned())
}

/// The name of a `CUgraphNodeType`.
pub fn node_type(value: u64) -> String {
    named(NODE_TYPES, value)
}

/// The name of a `CUgraphExecUpdateResult`.
pub fn update_result(value: u64) -> String {
    named(UPDATE_RESULTS, value)
}

/// The name of a `CUgraphInstantiateResult`.
pub fn instantiate_result(value: u64) -> String {
    named(INSTANTIATE_RESULTS, value)
}

/// The name of a `CUstreamCaptureStatus`.
pub fn capture_status(value: u64) -> String {
    named(&["NONE", "ACTIVE", "INVALIDATED"], value)
}

/// The name of a `CUstreamCaptureMode`.
pub fn capture_mode(value: u64) -> String {
    named(&["GLOBAL", "THREAD_LOCAL", "RELAXED"], value)
}
