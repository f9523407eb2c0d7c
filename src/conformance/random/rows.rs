//! The calls that the generator draws, one row each: how often, its arguments by role, what it makes
//! and what it changes in the generator's belief.
//!
//! An argument is a role or, after `=`, literal words separated by `|`, of which one is drawn. A role
//! may be narrowed after a colon; most draws keep to that, some do not, so that wrong states are met.
//!
//! | role | argument |
//! |---|---|
//! | `S`, `S:idle`, `S:origin`, `S:capturing`, `S:invalid`, `S:free` | a stream |
//! | `E`, `E:captured`, `E:loose` | an event; `loose`: of no node |
//! | `G`, `G:full`, `G:other` | a graph; one with nodes; not the one drawn before |
//! | `L` | a list of nodes of the graph drawn before |
//! | `N`, `N:KERNEL` | a node, of that type |
//! | `X` | an instantiated graph |
//! | `XN:KERNEL` | a node, most often of the graph that the one before was made from |
//! | `CN` | a list of nodes of captures in progress |
//! | `launch`, `memset`, `memcpy`, `host`, `event`, `child` | a node's own arguments |
//! | `D`, `H`, `P` | a word to write: device, pinned, pageable memory |
//! | `C`, `Z`, `R` | a word to read: device, pinned, pageable memory |
//! | `M`, `SM` | an allocation that nothing touches; its stream, since a free must come after it |
//! | `handle` | a conditional handle |
//! | `mode` | a capture mode |

/// What a call changes in the generator's belief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    Begin,
    BeginTo,
    End,
    DestroyStream,
    Record,
    Wait,
    DestroyEvent,
    DestroyGraph,
    DestroyExec,
    /// A call that no capture of the default mode survives.
    Unsafe,
    /// A query or a wait on a stream: its capture does not survive.
    Query,
    Allocate,
    Free,
    /// The event becomes one of a node.
    External,
}

/// One call. `makes` is the letter of the variable that takes its value, or nothing.
#[derive(Debug)]
pub struct Row {
    pub weight: usize,
    pub call: &'static str,
    pub makes: &'static str,
    pub args: &'static str,
    pub effect: Effect,
}

macro_rules! rows {
    ($($weight:literal $call:literal $makes:literal $args:literal $effect:ident;)*) => {
        &[$(Row { weight: $weight, call: $call, makes: $makes, args: $args, effect: Effect::$effect }),*]
    };
}

pub const ROWS: &[Row] = rows! {
    // Captures.
    30 "cuStreamBeginCapture" "" "S:free mode" Begin;
    12 "cuStreamBeginCaptureToGraph" "" "S:free G L mode" BeginTo;
    22 "cuStreamEndCapture" "G" "S:origin" End;
    4 "cuStreamEndCapture" "G" "S:invalid" End;
    2 "cuStreamEndCapture" "G" "S" End;
    6 "status" "" "S" None;
    3 "status" "" "S:capturing" None;
    3 "deps" "" "S:capturing" None;
    2 "cuStreamIsCapturing" "" "S" None;
    3 "cuStreamGetCaptureInfo" "" "S:capturing" None;
    2 "cuStreamGetCaptureInfo_v2" "" "S" None;
    5 "lastnode" "CN" "S:capturing" None;
    3 "capturegraph" "CG" "S:capturing" None;
    5 "cuStreamUpdateCaptureDependencies" "" "S:capturing CN =ADD_CAPTURE_DEPENDENCIES|SET_CAPTURE_DEPENDENCIES" None;
    4 "cuThreadExchangeStreamCaptureMode" "" "mode" None;
    // Work on streams.
    16 "cuLaunchKernel" "" "S:capturing launch" None;
    4 "cuLaunchKernel" "" "S launch" None;
    2 "cuLaunchKernelEx" "" "S:capturing launch" None;
    3 "cuLaunchHostFunc" "" "S:capturing =count" None;
    1 "cuStreamAddCallback" "" "S" None;
    4 "cuMemsetD32Async" "" "D =3 =1|1|1|0 S:capturing" None;
    1 "cuMemsetD8Async" "" "D =7 =4 S" None;
    3 "cuMemcpyDtoDAsync" "" "D C =4|4|4|0 S:capturing" None;
    2 "cuMemcpyAsync" "" "D C =4 S:capturing" None;
    2 "cuMemcpyHtoDAsync" "" "D Z =4 S:capturing" None;
    1 "cuMemcpyHtoDAsync" "" "D R =4 S:capturing" None;
    2 "cuMemcpyDtoHAsync" "" "H C =4 S:capturing" None;
    1 "cuMemcpyDtoHAsync" "" "P C =4 S:capturing" None;
    1 "cuMemcpyPeerAsync" "" "D =CTX C =CTX =4 S" None;
    1 "cuStreamWriteValue32" "" "S D =6 =0" None;
    1 "cuStreamBatchMemOp" "" "S:capturing D =6" None;
    4 "cuMemAllocAsync" "M" "=64 S:capturing" Allocate;
    3 "cuMemFreeAsync" "" "M SM" None;
    // Calls that a capture forbids, or that concern every stream.
    5 "cuMemAlloc" "M" "=64" Unsafe;
    2 "cuMemFree" "" "M" Free;
    2 "cuCtxSynchronize" "" "" Unsafe;
    1 "cuMemAllocManaged" "M" "=64 =MEM_ATTACH_GLOBAL" Unsafe;
    1 "cuMemHostAlloc" "MH" "=64 =0" Unsafe;
    1 "cuStreamAttachMemAsync" "" "S:capturing M =0 =MEM_ATTACH_SINGLE" None;
    2 "cuMemcpyHtoD" "" "D Z =4" Unsafe;
    2 "cuMemsetD32" "" "D =5 =1" None;
    1 "cuMemcpyDtoD" "" "D C =4" None;
    1 "cuMemGetInfo" "" "" None;
    1 "cuEventCreate" "E" "=0|2" None;
    2 "cuStreamCreate" "S" "=0|1" None;
    1 "cuStreamCreateWithPriority" "S" "=0|1 =0" None;
    4 "cuStreamQuery" "" "S" Query;
    2 "cuStreamQuery" "" "S:invalid" None;
    4 "cuStreamSynchronize" "" "S" Query;
    1 "cuStreamSynchronize" "" "S:invalid" None;
    2 "cuStreamDestroy" "" "S" DestroyStream;
    1 "cuStreamGetFlags" "" "S" None;
    1 "cuStreamGetPriority" "" "S" None;
    1 "cuStreamGetId" "" "S" None;
    1 "cuStreamGetCtx" "" "S" None;
    1 "cuStreamCopyAttributes" "" "S S" None;
    1 "cuCtxRecordEvent" "" "=CTX E:loose" None;
    1 "cuCtxWaitEvent" "" "=CTX E" None;
    // Events.
    16 "cuEventRecord" "" "E S:capturing" Record;
    3 "cuEventRecord" "" "E S:idle" Record;
    3 "cuEventRecordWithFlags" "" "E S:capturing =EVENT_RECORD_EXTERNAL" External;
    10 "cuStreamWaitEvent" "" "S:idle E:captured" Wait;
    8 "cuStreamWaitEvent" "" "S:capturing E" Wait;
    3 "cuStreamWaitEvent" "" "S E" Wait;
    3 "cuStreamWaitEvent" "" "S:capturing E =EVENT_WAIT_EXTERNAL" External;
    4 "cuEventQuery" "" "E" None;
    2 "cuEventQuery" "" "E:captured" None;
    2 "cuEventSynchronize" "" "E" None;
    3 "cuEventElapsedTime" "" "E E" None;
    1 "cuEventDestroy" "" "E:loose" DestroyEvent;
    // Graphs.
    8 "cuGraphCreate" "G" "" None;
    3 "cuGraphClone" "G" "G" None;
    2 "cuGraphDestroy" "" "G" DestroyGraph;
    5 "cuGraphAddKernelNode" "N" "G L launch" None;
    3 "cuGraphAddEmptyNode" "N" "G L" None;
    3 "cuGraphAddMemsetNode" "N" "G L memset" None;
    3 "cuGraphAddMemcpyNode" "N" "G L memcpy" None;
    2 "cuGraphAddHostNode" "N" "G L host" None;
    3 "cuGraphAddEventRecordNode" "N" "G L event" None;
    2 "cuGraphAddEventWaitNode" "N" "G L event" None;
    3 "cuGraphAddChildGraphNode" "N" "G L child" None;
    2 "cuGraphAddMemAllocNode" "N" "G L =64" None;
    2 "cuGraphConditionalHandleCreate" "handle" "G =CTX =0|1 =1" None;
    4 "cuGraphAddDependencies" "" "G:full L1 L1" None;
    3 "cuGraphRemoveDependencies" "" "G:full L1 L1" None;
    3 "cuGraphDestroyNode" "" "N" None;
    3 "types" "" "G" None;
    3 "edgelist" "" "G" None;
    1 "nodes" "" "G" None;
    1 "dependencies" "" "N" None;
    1 "dependents" "" "N" None;
    1 "cuGraphNodeGetType" "" "N" None;
    1 "cuGraphNodeFindInClone" "N" "N G" None;
    2 "cuGraphChildGraphNodeGetGraph" "IG" "N:GRAPH" None;
    1 "cuGraphDebugDotPrint" "" "G =0" None;
    // Nodes.
    2 "cuGraphKernelNodeSetParams" "" "N:KERNEL launch" None;
    2 "cuGraphMemsetNodeSetParams" "" "N:MEMSET memset" None;
    2 "cuGraphMemcpyNodeSetParams" "" "N:MEMCPY memcpy" None;
    1 "cuGraphMemsetNodeGetParams" "" "N:MEMSET" None;
    1 "cuGraphMemcpyNodeGetParams" "" "N:MEMCPY" None;
    1 "cuGraphEventRecordNodeSetEvent" "" "N:EVENT_RECORD event" None;
    1 "cuGraphEventRecordNodeGetEvent" "" "N:EVENT_RECORD" None;
    1 "cuGraphMemAllocNodeGetParams" "" "N:MEM_ALLOC" None;
    1 "cuGraphKernelNodeCopyAttributes" "" "N:KERNEL N:KERNEL" None;
    // Instantiated graphs.
    12 "cuGraphInstantiate" "X" "G =0|0|0|1|2|4" None;
    4 "cuGraphInstantiateWithParams" "X" "G =0|0|1|4" None;
    9 "cuGraphLaunch" "" "X S:idle" None;
    3 "cuGraphLaunch" "" "X S" None;
    2 "cuGraphUpload" "" "X S:idle" None;
    1 "cuGraphExecDestroy" "" "X" DestroyExec;
    1 "cuGraphExecGetFlags" "" "X" None;
    6 "cuGraphExecUpdate" "" "X G" None;
    2 "cuGraphExecKernelNodeSetParams" "" "X XN:KERNEL launch" None;
    2 "cuGraphExecMemsetNodeSetParams" "" "X XN:MEMSET memset" None;
    2 "cuGraphExecMemcpyNodeSetParams" "" "X XN:MEMCPY memcpy" None;
    1 "cuGraphExecHostNodeSetParams" "" "X XN:HOST host" None;
    1 "cuGraphExecChildGraphNodeSetParams" "" "X XN:GRAPH child" None;
    1 "cuGraphExecEventRecordNodeSetEvent" "" "X XN:EVENT_RECORD event" None;
    2 "cuGraphNodeSetEnabled" "" "X XN =0|1" None;
    1 "cuGraphNodeGetEnabled" "" "X XN" None;
};
