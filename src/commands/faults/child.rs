//! One step in a process of its own.

use std::sync::Arc;
use std::time::Duration;

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

/// What one child is to run.
#[derive(Debug, Clone)]
pub struct Job {
    pub arguments: Vec<String>,
    pub environment: &'static [(&'static str, &'static str)],
}

/// What a software device of sm_90 is asked for by.
const HOPPER: &[(&str, &str)] = &[("GRAPHPROOF_COMPUTE_CAPABILITY", "9.0")];

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
        Job { arguments, environment: if fault.expected.hopper { HOPPER } else { &[] } }
    }

    pub fn lane(lane: &str, shape: &str, seeds: u64, [steps, orders]: [u64; 2], driver: DriverKind) -> Self {
        let mut arguments = Self::start(lane, driver);
        arguments.extend(["--shape".to_owned(), shape.to_owned()]);
        arguments.extend(["--seeds".to_owned(), seeds.to_string(), "--steps".to_owned(), steps.to_string()]);
        arguments.extend(["--orders".to_owned(), orders.to_string()]);
        Job { arguments, environment: &[] }
    }

    fn start(name: &str, driver: DriverKind) -> Vec<String> {
        ["fault-child", name, "--driver", driver.name()].map(str::to_owned).to_vec()
    }
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
    // No report says that the device cannot run it.
    let too_old = fault.is_some_and(|fault| fault.expected.hopper) && session.facts().compute_capability < (9, 0);
    for (step, seed) in steps.into_iter().filter(|_| !too_old) {
        let config = GateConfig {
            steps: args.steps.unwrap_or(STEPS),
            seed,
            patience: Duration::from_secs(args.patience),
            stream: fault.map_or(StreamKind::default(), |fault| fault.expected.stream),
            pipelined: fault.is_some_and(|fault| fault.is_pipelined()),
            orders: fault.map_or(0, |fault| fault.orders()).max(args.orders),
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
    report.findings = gate::cold(session, step, None, config)?;
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
