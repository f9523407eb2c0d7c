//! Copies of host memory that is not pinned.

use graphproof_api::Role;
use graphproof_door::Call;

use super::calls::is_work;
use super::memory::Ledger;

/// Host memory of an asynchronous copy that the ledger does not know as pinned: address and bytes.
pub fn unpinned(call: &Call, ledger: &Ledger) -> Vec<(u64, u64)> {
    let name = call.base();
    if !name.starts_with("cuMemcpy") || !name.ends_with("Async") {
        return Vec::new();
    }
    let bytes = call.word("ByteCount").unwrap_or_default();
    let host = call.values.iter().filter(|value| value.argument.role == Role::Host).map(|value| value.word);
    let ends = || ["dst", "src"].into_iter().filter_map(|end| call.word(end));
    // Of a copy that does not say which end is where, one is the host's if the other is known and it is not.
    let (known, unknown): (Vec<u64>, Vec<u64>) = ends().partition(|&end| ledger.find(end).is_some());
    let guessed = unknown.into_iter().filter(|_| name == "cuMemcpyAsync" && known.len() == 1);
    host.chain(guessed).filter(|&address| ledger.find(address).is_none()).map(|address| (address, bytes)).collect()
}

/// Whether the host waits for a copy because of pageable memory.
pub fn is_pageable_copy(call: &Call, ledger: &Ledger) -> bool {
    is_work(call) && !unpinned(call, ledger).is_empty()
}
