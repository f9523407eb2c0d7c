//! `graphproof bench checks`: what each check costs, beside the same steps without a check.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, GateConfig, Part, Parts};

use crate::args::BenchChecksArgs;
use crate::commands::Failure;
use crate::commands::suite::Planned;
use crate::output::progress::StepBar;
use crate::output::table::time;
use crate::suite::Suite;

/// What a run without checks does too.
const WORK: [Part; 5] = [Part::Inputs, Part::Load, Part::Eager, Part::Capture, Part::Replay];

/// Times that each step is run, without checks and with them in turn: what else the machine does, and how fast
/// it runs, changes slowly and falls on both.
const ROUNDS: u32 = 4;

/// Time by part, over all rounds.
#[derive(Default)]
struct Spent([Duration; Part::ALL.len()]);

impl Spent {
    fn add(&mut self, parts: &Parts) {
        for (sum, part) in self.0.iter_mut().zip(Part::ALL) {
            *sum += parts.spent(part);
        }
    }

    fn spent(&self, part: Part) -> Duration {
        Part::ALL.into_iter().zip(self.0).find(|(p, _)| *p == part).map_or(Duration::ZERO, |(_, time)| time / ROUNDS)
    }
}

/// The times of one step, as means of the rounds.
struct Measured {
    name: String,
    plain: Spent,
    gate: Spent,
}

impl Measured {
    /// Without checks: what every run of these steps has to do.
    fn plain(&self) -> Duration {
        work(&self.plain)
    }

    /// With all checks, without the setup.
    fn gate(&self) -> Duration {
        Part::ALL.into_iter().filter(|part| *part != Part::Setup).map(|part| self.gate.spent(part)).sum()
    }
}

fn work(parts: &Spent) -> Duration {
    WORK.into_iter().map(|part| parts.spent(part)).sum()
}

pub fn run(args: &BenchChecksArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = Planned::of_steps(&args.target, own, &args.steps_named)?;
    let device = suite.session.facts();
    println!(
        "graphproof {}, {} driver: {}\nshape {}, {} steps, {}; means of {ROUNDS} runs without checks and with them in \
         turn\n",
        env!("CARGO_PKG_VERSION"),
        suite.selected.kind.name(),
        device.name,
        suite.jobs[0].job.shape,
        args.steps,
        suite.kernels,
    );
    let mut measured = Vec::with_capacity(suite.jobs.len());
    let bar = StepBar::new("bench checks", suite.jobs.len() as u64);
    for step in suite.steps() {
        let failed = |findings| {
            let error = anyhow!("step '{}' is not safe to replay: {findings:?}", step.name());
            Failure::new(ExitCode::Findings, error)
        };
        let config = GateConfig { steps: args.steps, ..GateConfig::default() };
        let mut one = Measured { name: step.name().to_owned(), plain: Spent::default(), gate: Spent::default() };
        for run in 0..2 * ROUNDS {
            // Plain, checked, checked, plain: neither is always the later one.
            if matches!(run % 4, 0 | 3) {
                one.plain.add(&gate::plain(&suite.session, step, args.steps, 0)?.map_err(failed)?);
                continue;
            }
            let outcome = gate::run(&suite.session, step, &config, &mut |_| {})?;
            if outcome.report.failed() {
                return Err(failed(outcome.report.findings));
            }
            one.gate.add(&outcome.parts);
        }
        measured.push(one);
        bar.at(measured.len() as u64);
    }
    drop(bar);
    print!("{}", render(&measured));
    Ok(ExitCode::Passed)
}

/// A column for each step; a row for each part, with its time and its share of the plain run.
fn render(measured: &[Measured]) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, cell: &dyn Fn(&Measured) -> String| {
        rows.push(std::iter::once(name.to_owned()).chain(measured.iter().map(cell)).collect());
    };
    let share = |of: Duration, whole: Duration| {
        let ratio = of.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
        format!("{} x{ratio:.3}", time(of.as_nanos() as u64))
    };
    row("", &|one| one.name.clone());
    row("without checks", &|one| share(one.plain(), one.plain()));
    for part in WORK {
        row(&format!("  {}", part.name()), &|one| share(one.plain.spent(part), one.plain()));
    }
    row("with all checks", &|one| share(one.gate(), one.plain()));
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Setup) {
        row(&format!("  {}", part.name()), &|one| share(one.gate.spent(part), one.plain()));
    }
    // Beside the work of the same run: other load on the machine then falls on both.
    row("all checks over this run's own work", &|one| {
        format!("x{:.3}", one.gate().as_secs_f64() / work(&one.gate).as_secs_f64().max(f64::MIN_POSITIVE))
    });
    row("setup, once", &|one| share(one.gate.spent(Part::Setup), one.plain()));
    let widths: Vec<usize> =
        (0..=measured.len()).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row[1..].iter().zip(&widths[1..]) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}
