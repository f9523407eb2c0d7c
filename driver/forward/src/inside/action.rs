//! What is done about a function beyond noting its call.

/// The kinds of functions that are looked at more closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing more.
    Plain,
    /// `cuGetProcAddress`: the answer is put behind an entry point of ours.
    ProcAddress,
    /// A capture begins on the stream.
    BeginCapture,
    /// The stream's capture ends.
    EndCapture,
    /// The stream is about to go.
    DestroyStream,
    /// Every stream of a context is about to go.
    DestroyContext,
    /// A kernel is launched; its function is argument 0.
    Launch,
    /// A kernel is launched; a structure, then its function.
    LaunchEx,
    /// A graph is instantiated.
    Instantiate,
    /// An executable graph is updated; it, then the graph.
    Update,
    /// A node of an executable graph is given other parameters; the graph, the node, the parameters.
    GiveNode,
    /// A graph is launched.
    GraphLaunch,
    /// A thread's capture mode is exchanged for the one that argument 0 points to.
    ExchangeMode,
    /// Memory, a stream, an event, a graph, a module, a context comes or goes.
    Keep,
    /// As [`Action::Keep`], and who did it is worth a stack.
    KeepWithStack,
    /// Functions may have gone: their handles may come again for others.
    Unload,
    /// Bytes move, or the host takes part.
    Transfer,
    /// The handle of a kernel is given out, through argument 0.
    Kernel,
    /// A tensor map is written, through argument 0.
    TensorMap,
}

impl Action {
    /// By the name without version and per-thread form.
    pub fn of(base: &str) -> Self {
        use Action::*;
        let base = base.strip_suffix("_ptsz").or_else(|| base.strip_suffix("_ptds")).unwrap_or(base);
        match base {
            "cuGetProcAddress" => ProcAddress,
            "cuStreamBeginCapture" | "cuStreamBeginCaptureToGraph" => BeginCapture,
            "cuStreamEndCapture" => EndCapture,
            "cuStreamDestroy" => DestroyStream,
            "cuCtxDestroy" | "cuDevicePrimaryCtxReset" | "cuDevicePrimaryCtxRelease" | "cuGreenCtxDestroy" => {
                DestroyContext
            }
            "cuLaunchKernel" | "cuLaunchCooperativeKernel" => Launch,
            "cuLaunchKernelEx" => LaunchEx,
            "cuGraphInstantiate" | "cuGraphInstantiateWithFlags" | "cuGraphInstantiateWithParams" => Instantiate,
            "cuGraphExecUpdate" => Update,
            _ if base.starts_with("cuGraphExec") && base.ends_with("NodeSetParams") => GiveNode,
            "cuThreadExchangeStreamCaptureMode" => ExchangeMode,
            "cuGraphLaunch" => GraphLaunch,
            "cuModuleUnload" | "cuLibraryUnload" => Unload,
            "cuLibraryGetKernel" => Kernel,
            "cuTensorMapReplaceAddress" => TensorMap,
            _ if base.starts_with("cuTensorMapEncode") => TensorMap,
            _ if base.starts_with("cuMemAlloc") || base.starts_with("cuMemFree") => KeepWithStack,
            "cuMemCreate"
            | "cuMemMap"
            | "cuMemUnmap"
            | "cuMemRelease"
            | "cuMemHostAlloc"
            | "cuMemHostRegister"
            | "cuMemHostUnregister"
            | "cuArrayCreate"
            | "cuArrayDestroy"
            | "cuMemPoolTrimTo" => KeepWithStack,
            _ if base.starts_with("cuMemcpy") || base.starts_with("cuMemset") || base == "cuLaunchHostFunc" => Transfer,
            _ if base.starts_with("cuModuleLoad") || base.starts_with("cuLibraryLoad") => KeepWithStack,
            _ if asks_only(base) => Plain,
            _ if ["Create", "Destroy", "Clone", "Retain", "Release", "Add", "Set", "Update", "Reserve", "Import"]
                .iter()
                .any(|part| base.contains(part)) =>
            {
                match base {
                    "cuCtxSetCurrent" | "cuFuncSetAttribute" | "cuFuncSetCacheConfig" => Plain,
                    _ => Keep,
                }
            }
            "cuModuleGetGlobal"
            | "cuLibraryGetGlobal"
            | "cuMemHostGetDevicePointer"
            | "cuStreamUpdateCaptureDependencies"
            | "cuEventRecord"
            | "cuEventRecordWithFlags"
            | "cuStreamWaitEvent" => Keep,
            _ => Plain,
        }
    }

    /// Whether its calls are kept when newer ones take the room of others.
    pub fn is_kept(self) -> bool {
        !matches!(
            self,
            Self::Plain
                | Self::ProcAddress
                | Self::Launch
                | Self::LaunchEx
                | Self::Transfer
                | Self::Kernel
                | Self::TensorMap
        )
    }
}

/// Whether successful calls of a function outside captures tell no more than that they were made: launches, and what
/// [`asks_only`]. An eager loop makes several for each operation. By the name as [`Action::of`] takes it.
pub(super) fn is_everyday(base: &str) -> bool {
    asks_only(base) || matches!(Action::of(base), Action::Launch | Action::LaunchEx)
}

/// Whether a function only asks for what hangs on nothing: it gives out no handle and
/// does not wait. Not what calls the program back. By the name as [`Action::of`] takes it.
fn asks_only(base: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "cuCtxGet",
        "cuDeviceGetAttribute",
        "cuDeviceGetCount",
        "cuDeviceGetName",
        "cuDevicePrimaryCtxGetState",
        "cuDriverGetVersion",
        "cuFuncGet",
        "cuGetError",
        "cuKernelGetAttribute",
        "cuMemGetAddressRange",
        "cuMemGetInfo",
        "cuOccupancyAvailable",
        "cuOccupancyMaxActive",
        "cuPointerGet",
        "cuStreamGet",
        "cuStreamIsCapturing",
    ];
    BEGINNINGS.iter().any(|beginning| base.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::{Action, asks_only};
    use graphproof_api::Class;

    #[test]
    fn what_waits_or_gives_out_a_handle_does_not_only_ask() {
        let all = graphproof_api::functions().iter().filter(|row| asks_only(row.base()));
        for row in all {
            assert_eq!(Action::of(row.base()), Action::Plain, "{}", row.name);
            let does = matches!(row.class, Class::Sync | Class::Query | Class::Legacy | Class::Stream);
            assert!(!does, "{} is {:?}", row.name, row.class);
        }
        for name in ["cuStreamQuery", "cuEventQuery", "cuModuleGetFunction", "cuDeviceGetMemPool", "cuCtxSetCurrent"] {
            assert!(!asks_only(name), "{name}");
        }
    }

    #[test]
    fn functions_are_known_by_their_base_names() {
        let of = |name: &str| Action::of(graphproof_api::find(name).map_or(name, |row| row.base()));
        assert_eq!(of("cuStreamBeginCapture_v2_ptsz"), Action::BeginCapture);
        assert_eq!(of("cuMemAlloc_v2"), Action::KeepWithStack);
        assert_eq!(of("cuLaunchKernel_ptsz"), Action::Launch);
        assert_eq!(of("cuGraphInstantiateWithFlags"), Action::Instantiate);
        assert_eq!(of("cuMemcpyHtoDAsync_v2"), Action::Transfer);
        assert_eq!(of("cuGraphExecKernelNodeSetParams_v2"), Action::GiveNode);
        assert_eq!(of("cuGraphExecNodeSetParams"), Action::GiveNode);
        assert_eq!(of("cuGraphKernelNodeSetParams"), Action::Keep);
        assert_eq!(of("cuCtxGetCurrent"), Action::Plain);
        assert_eq!(of("cuTensorMapEncodeTiled"), Action::TensorMap);
        assert_eq!(of("cuTensorMapReplaceAddress"), Action::TensorMap);
    }
}
