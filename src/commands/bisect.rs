//! `graphproof bisect STEP`: the graph's nodes one by one beside the eager step, up to the first that differs.

use std::fmt::Write as _;
use std::sync::Arc;

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate::{self, Bisection, GateConfig};

use super::Failure;
use super::suite::Planned;
use crate::args::BisectArgs;
use crate::output::{escape, finding, print};
use crate::suite::Suite;

pub fn run(args: &BisectArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = Planned::of_steps(&args.target, own, &[&args.step])?;
    let step = &suite.jobs[0].step;
    let config = GateConfig { steps: args.steps, seed: args.seed, ..GateConfig::default() };
    match gate::bisect(&suite.session, step, &config)? {
        Ok(bisection) => {
            print(&escape::text(&told(step.name(), args.steps, &bisection)))?;
            let differs = bisection.first.is_some() || bisection.stopped.is_some();
            Ok(if differs { ExitCode::Findings } else { ExitCode::Passed })
        }
        Err(findings) => {
            for finding in &findings {
                let told = finding::render(step.name(), finding);
                eprint!("{}", escape::defused(&escape::text(&told)));
            }
            Ok(ExitCode::Findings)
        }
    }
}

fn told(name: &str, steps: u64, bisection: &Bisection) -> String {
    let Bisection { step, compared, first, stopped } = bisection;
    let mut text = String::new();
    if compared.is_empty() && first.is_none() && stopped.is_none() {
        let _ = writeln!(
            text,
            "'{name}': replay and eager execution agree in {steps} steps, there is nothing to take apart"
        );
        return text;
    }
    let _ = writeln!(text, "'{name}' on the inputs of step {step}, node by node:");
    for work in compared {
        let verdict = if work.agrees { "equal" } else { "DIFFERS" };
        for (node, headline) in &work.nodes {
            let _ = writeln!(text, "  {verdict:<7} node {node}: {headline}");
        }
        let _ = writeln!(text, "          {}", work.site);
    }
    match (first, stopped) {
        (Some(first), _) => {
            let _ = writeln!(text, "\n{}", first.told());
        }
        (None, Some(why)) => {
            let _ = writeln!(text, "\nstopped: {why}");
        }
        (None, None) => {
            let note = "no node by itself differs: what differs is between replays, or depends on the order of nodes";
            let _ = writeln!(text, "\n{note}");
        }
    }
    text
}
