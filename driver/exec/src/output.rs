//! What kernels have printed, until the host waits for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes kept: `CU_LIMIT_PRINTF_FIFO_SIZE`. As on a GPU, what is more pushes out what came first.
const ROOM: usize = 1 << 20;

static ANY: AtomicBool = AtomicBool::new(false);
static TEXT: Mutex<VecDeque<u8>> = Mutex::new(VecDeque::new());

fn text() -> MutexGuard<'static, VecDeque<u8>> {
    TEXT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One lane's text, in one piece.
pub(super) fn push(bytes: &[u8]) {
    let mut text = text();
    text.extend(bytes);
    let over = text.len().saturating_sub(ROOM);
    text.drain(..over);
    ANY.store(true, Ordering::Release);
}

/// What has been printed since the last time.
pub fn take_output() -> Vec<u8> {
    if !ANY.swap(false, Ordering::AcqRel) {
        return Vec::new();
    }
    std::mem::take(&mut *text()).into()
}
