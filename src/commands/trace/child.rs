//! The program: started, watched, and its end passed on.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use graphproof_harness::exit_code::ExitCode;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::Failure;
use super::look::Watch;
use super::progress::Line;

/// How often running processes are looked at, and progress is shown.
const EVERY: Duration = Duration::from_millis(500);

/// How the program ended.
pub struct Ended {
    status: ExitStatus,
    time: Duration,
    /// What was not seen.
    pub unseen: Vec<String>,
}

/// Runs the command to its end. Signals that ask this process to end go to the program.
pub fn run(
    command: &[OsString],
    variables: &[(&'static str, OsString)],
    records: &Path,
    mut watch: Watch,
) -> Result<Ended, Failure> {
    let failed = |error: std::io::Error| {
        let name = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Failure::new(ExitCode::Usage, anyhow!(error).context(format!("{name} cannot be started")))
    };
    // From here on: what a terminal sends goes to the whole group, and the program decides about it.
    let mut signals = Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]).map_err(failed)?;
    let [name, arguments @ ..] = command else { return Err(failed(std::io::ErrorKind::InvalidInput.into())) };
    let began = Instant::now();
    let mut child = Command::new(name).args(arguments).envs(variables.iter().cloned()).spawn().map_err(failed)?;
    let pid = child.id();
    let handle = signals.handle();
    let passing = std::thread::spawn(move || {
        for signal in signals.forever() {
            let from_terminal = matches!(signal, SIGINT | SIGQUIT) && is_foreground();
            if !from_terminal {
                // SAFETY: a child that is not waited for yet keeps its number.
                unsafe { libc::kill(pid as libc::pid_t, signal) };
            }
        }
    });
    let (done, ended) = channel();
    let waiting = std::thread::spawn(move || {
        let status = child.wait();
        // The main thread may have stopped listening.
        let _ = done.send(());
        status
    });
    let mut line = Line::new();
    while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        watch.look(pid);
        line.show(began.elapsed(), records);
    }
    drop(line);
    handle.close();
    // Both threads end without a panic of their own.
    let _ = passing.join();
    let status = waiting.join().map_err(|_| failed(std::io::ErrorKind::Other.into()))?.map_err(failed)?;
    Ok(Ended { status, time: began.elapsed(), unseen: watch.unseen() })
}

/// Whether the terminal sends its signals to this process's group, and so to the program too.
fn is_foreground() -> bool {
    // SAFETY: plain numbers.
    unsafe { libc::tcgetpgrp(libc::STDERR_FILENO) == libc::getpgrp() }
}

impl Ended {
    /// How it ended, in words.
    pub fn told(&self) -> String {
        let seconds = self.time.as_secs_f64();
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("the program ended with code {code} after {seconds:.1} s"),
            (None, Some(signal)) => format!("the program was ended by signal {signal} after {seconds:.1} s"),
            (None, None) => format!("the program ended after {seconds:.1} s"),
        }
    }

    /// Ends this process as the program ended: with its code, or by its signal.
    pub fn pass_on(&self) -> ! {
        if let Some(signal) = self.status.signal() {
            // SAFETY: plain numbers; the default action of the signal that ended the program ends this
            // process too, without a core file of its own.
            unsafe {
                libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
            std::process::exit(128 + signal);
        }
        std::process::exit(self.status.code().unwrap_or(1))
    }
}
