//! What calls are, by their rows in the table.

use graphproof_api::Class;
use graphproof_door::Call;

/// `CU_STREAM_LEGACY`, and what a null handle means unless the call says otherwise.
pub const LEGACY_STREAM: u64 = 1;
/// `CU_STREAM_PER_THREAD`.
pub const PER_THREAD_STREAM: u64 = 2;

/// Errors that are about a capture.
pub fn is_capture_code(code: u32) -> bool {
    matches!(code, 900..=908 | 918)
}

/// An exported name and the number of its answer, as errors are told.
pub fn told(call: &Call) -> String {
    let name = call.row.map_or(&*call.function, |row| row.name);
    match call.result {
        None => format!("{name} did not return"),
        Some(0) => format!("{name} returned CUDA_SUCCESS"),
        Some(code) => format!("{name} returned {}", code_name(code)),
    }
}

/// `CUDA_ERROR_… (900)`.
pub fn code_name(code: u32) -> String {
    match graphproof_api::CUresult(code).name() {
        Some(name) => format!("{name} ({code})"),
        None => format!("CUresult {code}"),
    }
}

/// A stream handle in words.
pub fn stream_name(handle: u64, per_thread_form: bool) -> String {
    match (handle, per_thread_form) {
        (0, true) | (PER_THREAD_STREAM, _) => "the thread's default stream".to_owned(),
        (0 | LEGACY_STREAM, _) => "the legacy stream".to_owned(),
        _ => format!("stream {handle:#x}"),
    }
}

/// Calls that matter beside a graph because they wait, allocate or load.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Burden {
    /// The host waits for the device, or asks whether it is done.
    Synchronisation,
    /// A copy from or to memory that is not pinned, for which the host may wait.
    PageableCopy,
    /// Memory is allocated.
    Allocation,
    /// Memory is freed.
    Free,
    /// A module is loaded or unloaded.
    ModuleLoad,
    /// Work that runs at once although a capture is going on.
    EscapedWork,
}

impl Burden {
    /// The burden in words, for one and for several.
    pub fn words(self, count: u64) -> &'static str {
        match (self, count) {
            (Burden::Synchronisation, 1) => "synchronisation",
            (Burden::Synchronisation, _) => "synchronisations",
            (Burden::PageableCopy, 1) => "pageable copy",
            (Burden::PageableCopy, _) => "pageable copies",
            (Burden::Allocation, 1) => "allocation",
            (Burden::Allocation, _) => "allocations",
            (Burden::Free, 1) => "free",
            (Burden::Free, _) => "frees",
            (Burden::ModuleLoad, 1) => "module load",
            (Burden::ModuleLoad, _) => "module loads",
            (Burden::EscapedWork, 1) => "escaped launch",
            (Burden::EscapedWork, _) => "escaped launches",
        }
    }

    /// Of a call by its name; copies are judged by whoever knows what is pinned.
    pub fn of(call: &Call) -> Option<Burden> {
        let name = call.base();
        let is = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        let class = call.row.map(|row| row.class);
        if matches!(class, Some(Class::Sync)) {
            Some(Burden::Synchronisation)
        } else if is(&["cuModuleLoad", "cuLibraryLoad", "cuModuleUnload", "cuLibraryUnload"]) {
            Some(Burden::ModuleLoad)
        } else if is(&["cuMemFree"]) {
            Some(Burden::Free)
        } else if is(&["cuMemAlloc", "cuMemHostAlloc", "cuMemHostRegister", "cuMemCreate", "cuArrayCreate"]) {
            Some(Burden::Allocation)
        } else {
            None
        }
    }
}

/// Whether a call puts work on a stream, or does it.
pub fn is_work(call: &Call) -> bool {
    let name = call.base();
    ["cuLaunch", "cuMemcpy", "cuMemset", "cuGraphLaunch"].iter().any(|start| name.starts_with(start))
}
