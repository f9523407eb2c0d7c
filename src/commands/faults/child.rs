//! One step in a process of its own: a crash or a hang ends the child, never the run.

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use graphproof_harness::capture_as::StreamKind;
use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverKind};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::report::{LaneReport, Verdict};
use graphproof_harness::retry;
use graphproof_harness::step::Step;
use graphproof_kernels::faults::{self, Fault, Variant};
use graphproof_kernels::{PtxSource, Shape};

use super::STEPS;
use crate::args::FaultChildArgs;
use crate::commands::Failure;
use crate::output::escape;

/// What one child is to run.
#[derive(Debug, Clone)]
pub struct Job {
    pub arguments: Vec<String>,
}

impl Job {
    pub fn fault(fault: &Fault, variant: Variant, driver: DriverKind, no_record: bool) -> Self {
        let mut arguments = Self::start(fault.name, driver);
        if no_record {
            arguments.push("--no-record".to_owned());
        }
        if variant == Variant::Clean {
            arguments.push("--twin".to_owned());
        }
        if variant == Variant::Planted && fault.hangs {
            // It is not waited for as long as for a slow machine.
            arguments.extend(["--patience".to_owned(), "6".to_owned()]);
        }
        Job { arguments }
    }

    pub fn lane(lane: &str, shape: &str, seeds: u64, [steps, orders]: [u64; 2], driver: DriverKind) -> Self {
        let mut arguments = Self::start(lane, driver);
        arguments.extend(["--shape".to_owned(), shape.to_owned()]);
        arguments.extend(["--seeds".to_owned(), seeds.to_string(), "--steps".to_owned(), steps.to_string()]);
        arguments.extend(["--orders".to_owned(), orders.to_string()]);
        Job { arguments }
    }

    fn start(name: &str, driver: DriverKind) -> Vec<String> {
        ["fault-child", name, "--driver", driver.name()].map(str::to_owned).to_vec()
    }
}

/// How a child ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It came back with reports.
    Reports(Vec<LaneReport>),
    /// It did not, and this is how it died.
    Died(String),
}

/// Runs this program again with `arguments` and waits for it, `deadline` at most, and not when asked to stop.
pub fn spawn(arguments: &[String], deadline: Duration, stop: &AtomicBool) -> Outcome {
    match std::env::current_exe().and_then(|program| try_spawn(&program, arguments, deadline, stop)) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Died(format!("the child could not be run: {error}")),
    }
}

fn try_spawn(program: &Path, arguments: &[String], deadline: Duration, stop: &AtomicBool) -> std::io::Result<Outcome> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Both are drained while the child runs: a full pipe would stop it.
    let (sender, receiver) = mpsc::channel();
    for (is_error, stream) in [
        (false, child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>)),
        (true, child.stderr.take().map(|s| Box::new(s) as _)),
    ] {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_string(&mut text);
            }
            let _ = sender.send((is_error, text));
        });
    }
    drop(sender);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let stopped = stop.load(Ordering::Relaxed);
        if stopped || started.elapsed() >= deadline {
            child.kill()?;
            child.wait()?;
            let why = if stopped { "the run was stopped".to_owned() } else { too_long(deadline) };
            return Ok(Outcome::Died(why));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut out, mut errors) = (String::new(), String::new());
    for (is_error, text) in receiver {
        *(if is_error { &mut errors } else { &mut out }) = text;
    }
    Ok(match serde_json::from_str(&out) {
        Ok(reports) => Outcome::Reports(reports),
        Err(_) => Outcome::Died(format!("{}{}", how(status), last_words(&errors))),
    })
}

fn too_long(deadline: Duration) -> String {
    format!("it was ended after {} s without an answer", deadline.as_secs())
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(11)) => "killed by signal 11 (segmentation fault)".to_owned(),
        (None, Some(6)) => "killed by signal 6 (abort)".to_owned(),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

fn last_words(errors: &str) -> String {
    let lines: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let kept = &lines[lines.len().saturating_sub(3)..];
    if kept.is_empty() { String::new() } else { format!(": {}", escape::line(&kept.join(" | "))) }
}

/// What the child does: runs its step, prints the reports as JSON, and leaves.
pub fn run(args: &FaultChildArgs) -> Result<ExitCode, Failure> {
    let steps = steps(args)?;
    if args.no_record {
        graphproof_harness::calls::do_without();
    }
    let fault = faults::find(&args.name);
    let (_, session) = driver::open(args.driver)?;
    let session = Arc::new(session);
    let mut reports = Vec::with_capacity(steps.len());
    for (step, seed) in steps {
        let config = GateConfig {
            steps: args.steps.unwrap_or(STEPS),
            seed,
            patience: Duration::from_secs(args.patience),
            stream: fault.map_or(StreamKind::default(), |fault| fault.expected.stream),
            pipelined: fault.is_some_and(|fault| fault.is_pipelined()),
            orders: args.orders,
            ..GateConfig::default()
        };
        if fault.is_some_and(|fault| fault.is_cold()) {
            reports.push(cold(&session, &step, &config)?);
            break;
        }
        let retries = fault.map_or(0, |fault| fault.retries());
        let settle = &mut |_: &mut LaneReport| Ok::<(), Failure>(());
        let outcome = retry::run(&session, &step, &config, retries, &mut |_| {}, settle)?;
        reports.push(outcome.report);
        if outcome.poisoned {
            break;
        }
    }
    let text = serde_json::to_string(&reports).map_err(|error| Failure::new(ExitCode::Internal, error))?;
    println!("{text}");
    // A lost run's thread may hold the driver: leave without waiting for it.
    std::process::exit(0)
}

/// The report of a capture in this process, which has not run the step.
fn cold(session: &Session, step: &Arc<dyn Step>, config: &GateConfig) -> Result<LaneReport, Failure> {
    let mut report = gate::blank_report(step.as_ref(), config, Verdict::Pass);
    report.findings = gate::cold(session, step, config)?;
    if report.failed() {
        report.verdict = Verdict::Fail;
    }
    Ok(report)
}

/// A step and the seed of its inputs.
type Seeded = (Arc<dyn Step>, u64);

fn steps(args: &FaultChildArgs) -> Result<Vec<Seeded>, Failure> {
    if let Some(shape) = &args.shape {
        let shape: Shape = shape.parse().map_err(|error| Failure::new(ExitCode::Usage, anyhow!("--shape: {error}")))?;
        let make = || graphproof_kernels::step(&args.name, &shape, PtxSource::Committed);
        return (0..args.seeds)
            .map(|seed| Ok((Arc::from(make().map_err(|error| Failure::new(ExitCode::Usage, error))?), seed)))
            .collect();
    }
    let fault = faults::find(&args.name)
        .ok_or_else(|| Failure::new(ExitCode::Usage, anyhow!("no planted fault is called '{}'", args.name)))?;
    let variant = if args.twin { Variant::Clean } else { Variant::Planted };
    let step = (fault.step)(variant).map_err(|error| Failure::new(ExitCode::Kernels, error))?;
    Ok(vec![(Arc::from(step), 0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> String {
        let go = AtomicBool::new(false);
        match try_spawn(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], deadline, &go) {
            Ok(Outcome::Died(how)) => how,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn how_a_child_died_is_told() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("kill -SEGV $$", long), "killed by signal 11 (segmentation fault)");
        assert_eq!(shell("echo first; echo last words >&2; exit 15", long), "exit code 15: last words");
        assert!(shell("exec sleep 600", Duration::ZERO).starts_with("it was ended after"));
    }

    #[test]
    fn more_than_a_pipe_holds_does_not_stop_a_child() {
        let how = shell("head -c 300000 /dev/zero | tr '\\0' x; exit 3", Duration::from_secs(60));
        assert_eq!(how, "exit code 3");
    }
}
