//! Handles that are null or destroyed. NVIDIA's driver looks at few of them, and a process that passes one often
//! ends there; here the call answers an error, and its note says which argument it was.

use graphproof_api::{Function, Role};

use super::CUresult;
use crate::record;
use crate::software::driver;

/// Types of handles for which null means nothing.
const NEVER_NULL: [&str; 9] = [
    "CUevent",
    "CUfunction",
    "CUgraph",
    "CUgraphExec",
    "CUgraphNode",
    "CUkernel",
    "CUlibrary",
    "CUmodule",
    "CUuserObject",
];

/// Notes which argument of a refused call is null or destroyed, unless the call has noted something.
pub(super) fn explain(row: Option<&Function>, arguments: &[u64], code: CUresult) {
    const CODES: [CUresult; 4] =
        [CUresult::INVALID_HANDLE, CUresult::INVALID_VALUE, CUresult::INVALID_CONTEXT, CUresult::CONTEXT_IS_DESTROYED];
    if !CODES.contains(&code) || record::has_note() {
        return;
    }
    let Some(declared) = row.and_then(|row| row.arguments.as_deref()) else { return };
    let mut handles = declared.iter().zip(arguments).filter(|(argument, _)| is_handle(argument.role));
    let found = handles.find_map(|(argument, &value)| {
        let state = match value {
            0 if NEVER_NULL.contains(&argument.c_type) => "null",
            _ if driver().was_destroyed(value) => "destroyed",
            _ => return None,
        };
        Some((argument.name, argument.c_type, state))
    });
    if let Some((name, c_type, state)) = found {
        record::note(|| {
            format!("`{name}` is a {c_type} that is {state}: NVIDIA's driver may not look, and end the process there")
        });
    }
}

fn is_handle(role: Role) -> bool {
    matches!(role, Role::Handle | Role::Stream)
}
