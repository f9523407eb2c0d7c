//! `graphproof graph STEP`: the graph that a step is captured into.

use std::sync::Arc;

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate;

use super::Failure;
use super::suite::Planned;
use crate::args::GraphArgs;
use crate::output::{escape, finding, print};
use crate::suite::Suite;

pub fn run(args: &GraphArgs, own: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let suite = Planned::of_steps(&args.target, own, &[&args.step])?;
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
