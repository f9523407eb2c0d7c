//! `graphproof graph STEP`: the graph that a step is captured into.

use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::gate;

use super::Failure;
use super::suite::Suite;
use crate::args::GraphArgs;
use crate::output::finding;

pub fn run(args: &GraphArgs) -> Result<ExitCode, Failure> {
    let suite = Suite::resolve(&args.target, std::slice::from_ref(&args.step))?;
    let step = &suite.steps[0];
    match gate::graph_of(&suite.session, step)? {
        Ok(graph) => {
            print!("{}", if args.dot { graph.dot } else { graph.text });
            Ok(ExitCode::Passed)
        }
        Err(findings) => {
            for finding in &findings {
                eprint!("{}", finding::render(step.name(), finding));
            }
            Ok(ExitCode::Findings)
        }
    }
}
