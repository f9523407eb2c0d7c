//! One case in one process: the child's side, and the parent's watch over it.
//!
//! A failed capture can poison its process (a dangling graph, a sticky error, a driver that hangs), so
//! no two cells share one. The child writes one JSON message per line on its standard output, each as
//! soon as it is known: what a crashed child has seen is not lost.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::call::api::Driver;
use super::expand;
use super::format::CaseFile;
use super::random;
use super::run::{Observation, Session, Stop};

/// Given as the case to a child that shall only say which driver it has.
pub const PROBE: &str = "-";

/// Given as the case to a child that runs the sequences on its standard input.
pub const SEQUENCES: &str = "+";

/// What sets the number of software devices.
const DEVICES: &str = "GRAPHPROOF_DEVICES";

/// How much of a child's standard error a report keeps, in bytes.
const STDERR_KEPT: u64 = 4096;

/// A line of a child's standard output.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Message {
    /// The driver's version, as `cuDriverGetVersion` numbers it.
    Driver(i32),
    Saw(Observation),
    Skip(String),
    Error(String),
    /// A random sequence has run; why its traces could not be removed, if so.
    Cleaned(Option<String>),
    End,
}

/// Runs the cell named `cell` of the case file at `case` and writes what it saw.
///
/// Never returns: the process ends at once, without the driver's exit handlers, which a broken
/// capture may hang.
pub fn child_main(case: &Path, cell: &str, open: impl FnOnce() -> anyhow::Result<Driver>) -> ! {
    let last = match run_cell(case, cell, open) {
        Ok(()) => Message::End,
        Err(Stop::Skip(reason)) => Message::Skip(reason),
        Err(Stop::Error(what)) => Message::Error(what),
    };
    tell(&last);
    // SAFETY: ends the process; nothing of this crate needs its destructors to run.
    unsafe { libc::_exit(0) }
}

fn run_cell(case: &Path, cell: &str, open: impl FnOnce() -> anyhow::Result<Driver>) -> Result<(), Stop> {
    if case == Path::new(SEQUENCES) {
        return random::serve(open().map_err(|error| Stop::Error(format!("{error:#}")))?);
    }
    let script = if case == Path::new(PROBE) {
        None
    } else {
        let file = CaseFile::read(Path::new(""), case).map_err(|error| Stop::Error(error.to_string()))?;
        let scripts = expand::scripts(&file).map_err(|error| Stop::Error(error.to_string()))?;
        let found = scripts.into_iter().find(|script| script.cell == cell);
        Some(found.ok_or_else(|| Stop::Error(format!("{} has no cell `{cell}`", file.name)))?)
    };
    if let Some(devices) = script.as_ref().map(|script| script.devices).filter(|&devices| devices > 1)
        && std::env::var_os(DEVICES).is_none()
    {
        // The software driver has as many devices as it is asked for; another one does not know the name.
        // SAFETY: the child has no other thread yet.
        unsafe { std::env::set_var(DEVICES, devices.to_string()) };
    }
    let driver = open().map_err(|error| Stop::Error(format!("{error:#}")))?;
    let session = Session::start(driver)?;
    tell(&Message::Driver(session.version));
    match script {
        Some(script) => session.run(&script, &mut |seen| tell(&Message::Saw(seen))),
        None => Ok(()),
    }
}

pub(super) fn tell(message: &Message) {
    if let Ok(line) = serde_json::to_string(message) {
        let mut out = std::io::stdout().lock();
        // A parent that is gone needs no answer.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The script ran to its end.
    Done,
    /// The driver lacks something that the case needs.
    Skip(String),
    /// The child could not run the case.
    Error(String),
    /// The process died; the signal or the exit code in words, and the end of its standard error.
    Crash(String),
    /// The process was killed when its time was over.
    Timeout,
}

/// What a child did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The driver's version, where the child got as far.
    pub driver: Option<i32>,
    /// What it saw, in order.
    pub seen: Vec<Observation>,
    /// How it ended.
    pub end: End,
}

/// Runs `command CASE CELL` under a watchdog.
///
/// # Errors
/// None: a child that cannot be started is reported as [`End::Error`].
pub fn watch(command: &[OsString], case: &Path, cell: &str, limit: Duration) -> Report {
    let mut report = Report { driver: None, seen: Vec::new(), end: End::Done };
    let Some((program, args)) = command.split_first() else {
        report.end = End::Error("no command to start a child with".into());
        return report;
    };
    let started = Command::new(program)
        .args(args)
        .arg(case)
        .arg(cell)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            report.end = End::Error(format!("cannot start {}: {error}", program.to_string_lossy()));
            return report;
        }
    };
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        report.end = End::Error("the child has no output".into());
        return report;
    };
    let (lines, received) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let errors = std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut stderr = stderr;
        // Reads on to the end, so that a talkative driver never blocks on a full pipe.
        let _ = stderr.by_ref().take(STDERR_KEPT).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        String::from_utf8_lossy(&kept).trim().to_owned()
    });
    let deadline = Instant::now() + limit;
    let mut end = None;
    loop {
        match received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            // A driver may print to standard output too: such lines are no messages.
            Ok(line) => match serde_json::from_str::<Message>(&line) {
                Ok(Message::Driver(version)) => report.driver = Some(version),
                Ok(Message::Saw(seen)) => report.seen.push(seen),
                Ok(Message::Skip(reason)) => end = Some(End::Skip(reason)),
                Ok(Message::Error(what)) => end = Some(End::Error(what)),
                Ok(Message::End) => end = Some(End::Done),
                Ok(Message::Cleaned(_)) | Err(_) => {}
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                end.get_or_insert(End::Timeout);
                break;
            }
        }
    }
    // Kills a child that hangs; one that has ended is gone already.
    let _ = child.kill();
    let status = child.wait();
    let errors = errors.join().unwrap_or_default();
    report.end = end.unwrap_or_else(|| {
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        End::Crash(if errors.is_empty() { how } else { format!("{how}: {errors}") })
    });
    report
}
