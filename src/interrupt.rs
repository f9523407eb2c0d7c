//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to stop at the next step, one after it ends the
//! process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use graphproof_harness::exit_code::ExitCode;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What comes within this time of the first is the same wish: `timeout` signals its child, and then the child's whole
/// group.
const SAME: Duration = Duration::from_secs(1);

/// A flag that the first of these signals sets.
pub fn flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    // What whoever started this has us ignore stays ignored: nohup, and jobs in the background of a script.
    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignored(*signal));
    match Signals::new(heard) {
        Ok(mut signals) => {
            let seen = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut first = None;
                signals.forever().for_each(|signal| heed(signal, &seen, &mut first));
            });
        }
        Err(error) => tracing::warn!(%error, "Ctrl-C and SIGTERM will end the process at once"),
    }
    stop
}

fn heed(signal: i32, seen: &AtomicBool, first: &mut Option<Instant>) {
    match first {
        Some(first) if first.elapsed() < SAME => return,
        Some(_) => std::process::exit(i32::from(ExitCode::Interrupted.code())),
        None => *first = Some(Instant::now()),
    }
    seen.store(true, Ordering::Relaxed);
    let (name, again) = match signal {
        SIGINT => ("", "Ctrl-C"),
        SIGTERM => ("SIGTERM: ", "SIGTERM"),
        _ => ("SIGHUP: ", "SIGHUP"),
    };
    // Nobody may read any more: that is no reason to stop without writing.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("\n{name}stopping after this step, and writing what is known ({again} again to end now)\n").as_bytes(),
    );
}

/// Whether the process was started with this signal ignored.
fn ignored(signal: i32) -> bool {
    // SAFETY: sigaction is plain data, for which zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with a null new action the call only writes the present one to where it may.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}
