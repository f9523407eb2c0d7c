//! The parent's side: children that each run many sequences, watched, replaced when they die.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::compare::called;
use crate::conformance::child::{Message, SEQUENCES};

/// How a sequence ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every call was made.
    Done,
    /// The process died in the call after the last answer; the signal or the exit code.
    Crash(String),
    /// The call after the last answer did not return in time.
    Timeout,
    /// The sequence is no sequence: a fault of the generator.
    Error(String),
}

/// What a driver answered to a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// One answer per line, as far as it came.
    pub saw: Vec<String>,
    /// How it ended.
    pub end: End,
}

/// What ran beside what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Many sequences in one process and context.
    Shared,
    /// A process for each.
    Alone,
}

/// How to run sequences on one driver.
#[derive(Clone, Debug)]
pub struct Runner {
    /// The command that starts a child: program and arguments; what it shall do follows.
    pub child: Vec<OsString>,
    /// Children beside each other.
    pub jobs: usize,
    /// The longest that one call may take.
    pub limit: Duration,
    /// What runs beside what.
    pub grouping: Grouping,
}

/// The functions in which a sequence ended its process alone too, with how often that was seen.
type Confirmed = Mutex<HashMap<String, usize>>;

/// What happened to the processes of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Processes that were started.
    pub processes: usize,
    /// Sequences that crashed beside others and not alone, by their place.
    pub spoiled: Vec<usize>,
    /// Why processes were given up after a sequence, with its place.
    pub unclean: Vec<(usize, String)>,
}

/// Crashes in one function that are tried again alone: starting a process is slow, and the rest are alike.
const CONFIRMED: usize = 2;

impl Runner {
    /// Runs the sequences; `progress` gets the count of those done. Once `stop` is set no other is begun: what
    /// was not run has no answer.
    ///
    /// # Errors
    /// A driver that cannot be used.
    pub fn run(
        &self,
        sequences: &[Vec<String>],
        stop: &AtomicBool,
        progress: &(dyn Fn(usize) + Sync),
    ) -> anyhow::Result<(Vec<Option<Ran>>, Tally)> {
        let results: Vec<Mutex<Option<Ran>>> = sequences.iter().map(|_| Mutex::new(None)).collect();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let tally = Mutex::new(Tally::default());
        let failed = Mutex::new(None);
        let confirmed = Confirmed::default();
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, sequences.len().max(1)) {
                scope.spawn(|| {
                    let mut server = Server::new(self);
                    while !stop.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(lines) = sequences.get(at).filter(|_| lock(&failed).is_none()) else { break };
                        match server.confirmed(lines, &confirmed) {
                            Ok(ran) => *lock(&results[at]) = Some(ran),
                            Err(error) => *lock(&failed) = Some(error),
                        }
                        let mut tally = lock(&tally);
                        tally.processes += std::mem::take(&mut server.started);
                        if std::mem::take(&mut server.spoiled) {
                            tally.spoiled.push(at);
                        }
                        tally.unclean.extend(server.unclean.take().map(|why| (at, why)));
                        drop(tally);
                        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(error);
        }
        let results =
            results.into_iter().map(|ran| ran.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
        let ran = results.collect();
        let mut tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        tally.spoiled.sort_unstable();
        tally.unclean.sort();
        Ok((ran, tally))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One place for a child, which is started when it is needed.
pub struct Server<'a> {
    runner: &'a Runner,
    child: Option<Running>,
    /// The child has run a sequence already.
    used: bool,
    started: usize,
    spoiled: bool,
    unclean: Option<String>,
}

struct Running {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl<'a> Server<'a> {
    /// A place without a child.
    pub fn new(runner: &'a Runner) -> Self {
        Self { runner, child: None, used: false, started: 0, spoiled: false, unclean: None }
    }

    /// As [`Server::sequence`], but sure of functions that have ended enough processes.
    fn confirmed(&mut self, lines: &[String], confirmed: &Confirmed) -> anyhow::Result<Ran> {
        let function = |ran: &Ran| lines.get(ran.saw.len()).map(|line| called(line).to_owned());
        let sure = |ran: &Ran| {
            function(ran).is_some_and(|call| lock(confirmed).get(&call).is_some_and(|count| *count >= CONFIRMED))
        };
        let ran = self.attempt(lines, &sure)?;
        if let (true, Some(call)) = (ran.end != End::Done, function(&ran)) {
            *lock(confirmed).entry(call).or_default() += 1;
        }
        Ok(ran)
    }

    /// Runs a sequence. One that ends its process beside others is run again alone: what it does there counts.
    ///
    /// # Errors
    /// A driver that cannot be used.
    pub fn sequence(&mut self, lines: &[String]) -> anyhow::Result<Ran> {
        self.attempt(lines, &|_| false)
    }

    fn attempt(&mut self, lines: &[String], sure: &dyn Fn(&Ran) -> bool) -> anyhow::Result<Ran> {
        if self.runner.grouping == Grouping::Alone {
            self.child = None;
        }
        let shared = self.child.is_some() && self.used;
        let ran = self.once(lines)?;
        if ran.end == End::Done || !shared || sure(&ran) {
            return Ok(ran);
        }
        let again = self.once(lines)?;
        self.spoiled = again.end == End::Done;
        Ok(again)
    }

    fn once(&mut self, lines: &[String]) -> anyhow::Result<Ran> {
        let mut child = match self.child.take() {
            Some(child) => child,
            None => {
                self.used = false;
                self.started += 1;
                start(self.runner)?
            }
        };
        self.used = true;
        let mut ran = Ran { saw: Vec::new(), end: End::Done };
        let mut input = serde_json::to_string(lines)?;
        input.push('\n');
        // A child that has just died says so below.
        let _ = child.input.write_all(input.as_bytes());
        loop {
            match child.lines.recv_timeout(self.runner.limit) {
                Ok(line) => match serde_json::from_str::<Message>(&line) {
                    Ok(Message::Saw(seen)) => ran.saw.push(seen.saw),
                    Ok(Message::Cleaned(None)) => {
                        self.child = Some(child);
                        break;
                    }
                    Ok(Message::Cleaned(Some(why))) => {
                        self.unclean = Some(why);
                        break;
                    }
                    Ok(Message::Error(what)) => {
                        ran.end = End::Error(what);
                        break;
                    }
                    // A driver may print to standard output too.
                    _ => {}
                },
                // All lines were seen and only the cleaning did not come to its end: a matter of the next one.
                Err(_) if ran.saw.len() == lines.len() => {
                    self.unclean = Some("the process ended while it was cleaned".into());
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {
                    ran.end = End::Timeout;
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let how = child.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                    ran.end = End::Crash(how);
                    break;
                }
            }
        }
        Ok(ran)
    }
}

/// Starts a child and waits until its driver answers.
fn start(runner: &Runner) -> anyhow::Result<Running> {
    let (program, args) = runner.child.split_first().context("no command to start a child with")?;
    let mut process = Command::new(program)
        .args(args)
        .args([SEQUENCES, ""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    let (input, output) = (input.context("the child has no input")?, output.context("the child has no output")?);
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let running = Running { process, input, lines };
    // Many children ask one driver for a context at once, which makes them one after another.
    let deadline = Instant::now() + runner.limit.max(Duration::from_secs(60));
    loop {
        match running.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str::<Message>(&line) {
                Ok(Message::Driver(_)) => return Ok(running),
                Ok(Message::Error(what)) => bail!("{what}"),
                _ => {}
            },
            Err(RecvTimeoutError::Timeout) => bail!("the driver's first calls did not return"),
            Err(RecvTimeoutError::Disconnected) => bail!("the driver's first calls end the process"),
        }
    }
}
