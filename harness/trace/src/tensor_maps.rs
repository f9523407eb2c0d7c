//! Tensor maps that a program encoded. NVIDIA does not publish how one is laid out: a map among a kernel's parameters
//! is known by its bytes as a whole, and its address by the call that wrote them.

use std::collections::HashMap;

use super::analysis::Seen;
use super::place::Caller;

/// Bytes of a `CUtensorMap`.
pub const BYTES: usize = 128;
/// D (CUDA driver API, cuTensorMapEncodeTiled): a map is aligned to 64 bytes.
const ALIGN: usize = 64;

/// A tensor map.
#[derive(Debug, Clone)]
pub struct TensorMap {
    /// Where its tensor begins.
    pub address: u64,
    /// Who encoded it, or gave it that address.
    pub caller: Caller,
}

/// All tensor maps of a process.
#[derive(Debug, Default)]
pub struct TensorMaps {
    known: HashMap<[u8; BYTES], TensorMap>,
}

impl TensorMaps {
    /// Takes a call.
    pub fn apply(&mut self, seen: &Seen<'_>) {
        let call = seen.call;
        let writes = call.base() == "cuTensorMapReplaceAddress" || call.base().starts_with("cuTensorMapEncode");
        if !writes || call.result != Some(0) {
            return;
        }
        // A map whose bytes were recorded before comes without them.
        let map = call.pointee("tensorMap").and_then(|bytes| bytes.try_into().ok());
        if let Some((bytes, address)) = map.zip(call.word("globalAddress")) {
            self.known.insert(bytes, TensorMap { address, caller: seen.caller() });
        }
    }

    /// The map that begins at byte `at` of a kernel's parameters.
    pub fn find(&self, parameters: &[u8], at: usize) -> Option<&TensorMap> {
        let bytes = parameters.get(at..at + BYTES).filter(|_| at.is_multiple_of(ALIGN))?;
        self.known.get(bytes)
    }
}
