//! Ctrl-C: the first press asks the run to stop at the next step, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graphproof_harness::exit_code::ExitCode;

/// A flag that Ctrl-C sets.
pub fn flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(ExitCode::Interrupted.code()));
        }
        eprintln!("\nstopping after this step (Ctrl-C again to end now)");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!(%error, "Ctrl-C will end the process at once");
    }
    stop
}
