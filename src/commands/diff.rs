//! `graphproof diff`: what changed between two receipts.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::diff::{Diff, Judgement, Policy};
use crate::receipt::{self, AtomicFile, Outputs, Receipt};
use crate::report::html;
use graphproof_harness::exit_code::ExitCode;

use super::{Failure, gate, settings};
use crate::args::DiffArgs;
use crate::output::json::io;
use crate::output::{escape, print};

pub fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let mut taken = Outputs::default();
    for (path, option) in [(&args.json, "--json"), (&args.html, "--html")] {
        let Some(path) = path else { continue };
        taken.take(path, option).map_err(gate::same_file)?;
        for read in [&args.old, &args.new] {
            // The two may well be one file.
            let mut read_and_written = Outputs::default();
            read_and_written.take(path, option).map_err(gate::same_file)?;
            read_and_written.take(read, "a receipt that is read").map_err(gate::same_file)?;
        }
    }
    let prepare = |path: &Option<PathBuf>, option: &'static str| {
        path.as_deref().map(|path| AtomicFile::prepare(path, "the comparison", option)).transpose().map_err(io)
    };
    let (json, page) = (prepare(&args.json, "--json")?, prepare(&args.html, "--html")?);
    let policy = args.policy.policy(&settings::policy(&args.config)?);
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let names = [&args.old, &args.new].map(|path| path.display().to_string());
    let diff =
        Diff::between((&names[0], &old), (&names[1], &new)).map_err(|error| Failure::new(ExitCode::Usage, error))?;
    let judgement = policy.judge(&diff);
    let names = [names[0].as_str(), names[1].as_str()];
    print(&rendered(&policy, names, [&old, &new])?)?;
    if let Some(file) = json {
        file.write_json(&Comparison { diff: &diff, judgement: &judgement }).map_err(io)?;
    }
    if let Some(file) = page {
        let (diff, judgement, [old, new]) = seen(&policy, names, [&old, &new])?;
        file.write(html::diff_page(&diff, &judgement, &old, &new).as_bytes()).map_err(io)?;
    }
    Ok(if judgement.passed() { ExitCode::Passed } else { ExitCode::Findings })
}

/// The comparison as text.
pub(super) fn rendered(policy: &Policy, names: [&str; 2], receipts: [&Receipt; 2]) -> Result<String, Failure> {
    let (diff, judgement, _) = seen(policy, names, receipts)?;
    Ok(diff.render(&judgement))
}

/// The comparison of receipts in which everything can be seen, and these.
fn seen<'a>(
    policy: &Policy,
    names: [&str; 2],
    receipts: [&'a Receipt; 2],
) -> Result<(Diff, Judgement, [Cow<'a, Receipt>; 2]), Failure> {
    let [old, new] = names.map(escape::line);
    let receipts = receipts.map(escape::receipt);
    let diff = Diff::between((&old, &receipts[0]), (&new, &receipts[1]));
    let diff = diff.map_err(|error| Failure::new(ExitCode::Usage, error))?;
    let judgement = policy.judge(&diff);
    Ok((diff, judgement, receipts))
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
