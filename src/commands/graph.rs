//! `graphproof graph STEP`: the graph that a step is captured into.

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate;

use super::Failure;
use super::suite::Suite;
use crate::args::GraphArgs;
use crate::output::{escape, finding, print};

pub fn run(args: &GraphArgs) -> Result<ExitCode, Failure> {
    let suite = Suite::of_steps(&args.target, &[&args.step])?;
    let step = &suite.jobs[0].step;
    let text = gate::inspect(&suite.session, step, |topology, buffers, _| {
        if args.dot { topology.to_dot(step.name(), buffers) } else { topology.to_text(buffers) }
    })?;
    match text {
        Ok(text) => {
            print(&text)?;
            Ok(ExitCode::Passed)
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
