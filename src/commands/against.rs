//! `graphproof gate --against REV`: the kernels of two revisions in one run.

use std::io;
use std::sync::Arc;

use crate::diff::Diff;
use crate::receipt::AtomicFile;
use crate::report::{ReceiptWriter, Reporters, Terminal};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::report::Verdict;

use super::gate::Gate;
use super::suite::{self, Planned};
use super::{Failure, gate};
use crate::args::GateArgs;
use crate::output;
use crate::suite::{AtRevision, Suite};

/// Judges the present kernels, then those of `revision`, and compares.
pub fn run(args: &GateArgs, revision: &str, suite: Arc<dyn Suite>) -> Result<ExitCode, Failure> {
    let gate = Gate::new(args, suite.as_ref())?;
    // Both suites before the first run: what cannot be had should not cost a run.
    let AtRevision { name, suite: old_suite } = suite.at_revision(revision)?;
    let mut reporters = gate::reporters(&args.report, gate::files(args, &gate.settings)?)?;
    let mut old_reporters = old_reporters(args)?;
    let compile = gate.settings.compile;
    let new_suite = suite::kernels_of(suite, compile)?;
    let new_suite = Planned::open(gate.settings.driver, new_suite, gate.jobs.clone(), compile)?;
    let old_suite = Planned::open(gate.settings.driver, old_suite, gate.jobs.clone(), true)?;

    // The present kernels first: they are judged whatever the old ones do to the device.
    let (new, poisoned) = gate.run(&new_suite, args.report.wants_receipt(), &mut reporters)?;
    let code = gate::written(&mut reporters).map(|()| new.exit_code);
    if poisoned && new.verdict != Verdict::Interrupted {
        eprintln!("the device is unusable now, so the kernels of {name} were not run and nothing was compared");
        gate::leave(code);
    }
    if poisoned {
        gate::leave(code);
    }
    let code = code?;
    if new.verdict == Verdict::Interrupted {
        if let Some(path) = &args.json_against {
            eprintln!("INTERRUPTED: the kernels of {name} were not run, and nothing is written to {}", path.display());
        }
        return Ok(gate::exit_code(code));
    }
    output::print(&format!("\nthe same jobs with the {}, and the host code of this program:\n", old_suite.kernels))?;
    let (old, poisoned) = gate.run(&old_suite, args.json_against.is_some(), &mut old_reporters)?;
    let result = gate::written(&mut old_reporters).and_then(|()| {
        if old.verdict == Verdict::Interrupted {
            return Ok(ExitCode::Interrupted.code());
        }
        let diff = Diff::between((&name, &old), ("the present kernels", &new))
            .map_err(|error| Failure::new(ExitCode::Internal, error))?;
        let policy = args.policy.policy(&gate.settings.diff);
        let judgement = policy.judge(&diff);
        let text = super::diff::rendered(&policy, [&name, "the present kernels"], [&old, &new])?;
        output::print(&format!("\n{text}"))?;
        Ok(if judgement.passed() { code } else { code.max(ExitCode::Findings.code()) })
    });
    if poisoned {
        gate::leave(result);
    }
    result.map(gate::exit_code)
}

/// The old kernels' run is told by its progress and its receipt alone.
fn old_reporters(args: &GateArgs) -> Result<Reporters, Failure> {
    let mut reporters = Reporters::default();
    reporters.add(Terminal::new(io::sink()));
    if let Some(path) = &args.json_against {
        let file = AtomicFile::prepare(path, "the receipt", "--json-against").map_err(output::json::io)?;
        reporters.add(ReceiptWriter::new(file));
    }
    Ok(reporters)
}
