//! `graphproof diff`: what changed between two receipts.

use std::path::Path;

use crate::diff::{Diff, Judgement, Policy};
use crate::receipt::{self, AtomicFile, Outputs, Receipt};
use graphproof_harness::exit_code::ExitCode;

use super::{Failure, gate, settings};
use crate::args::DiffArgs;
use crate::output::json::io;
use crate::output::{escape, print};

pub fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.json {
        for read in [&args.old, &args.new] {
            // The two may well be one file.
            let mut taken = Outputs::default();
            taken.take(path, "--json").map_err(gate::same_file)?;
            taken.take(read, "a receipt that is read").map_err(gate::same_file)?;
        }
    }
    let file = args.json.as_deref().map(|path| AtomicFile::prepare(path, "the comparison", "--json"));
    let file = file.transpose().map_err(io)?;
    let policy = args.policy.policy(&settings::policy(&args.config)?);
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let names = [&args.old, &args.new].map(|path| path.display().to_string());
    let diff =
        Diff::between((&names[0], &old), (&names[1], &new)).map_err(|error| Failure::new(ExitCode::Usage, error))?;
    let judgement = policy.judge(&diff);
    print(&rendered(&policy, [&names[0], &names[1]], [&old, &new])?)?;
    if let Some(file) = file {
        file.write_json(&Comparison { diff: &diff, judgement: &judgement }).map_err(io)?;
    }
    Ok(if judgement.passed() { ExitCode::Passed } else { ExitCode::Findings })
}

/// The comparison as text: of receipts in which everything can be seen.
pub(super) fn rendered(policy: &Policy, names: [&str; 2], receipts: [&Receipt; 2]) -> Result<String, Failure> {
    let [old, new] = names.map(escape::line);
    let receipts = receipts.map(escape::receipt);
    let diff = Diff::between((&old, &receipts[0]), (&new, &receipts[1]));
    let diff = diff.map_err(|error| Failure::new(ExitCode::Usage, error))?;
    Ok(diff.render(&policy.judge(&diff)))
}

/// Reads a receipt for a command.
pub(super) fn read(path: &Path) -> Result<Receipt, Failure> {
    receipt::read(path).map_err(|error| io(error.into()))
}

#[derive(serde::Serialize)]
struct Comparison<'a> {
    #[serde(flatten)]
    diff: &'a Diff,
    judgement: &'a Judgement,
}
