//! `graphproof merge`: one receipt from those of a suite's parts.

use std::path::Path;

use crate::receipt::{self, AtomicFile, MergeError, Part};
use anyhow::anyhow;
use graphproof_harness::exit_code::ExitCode;

use super::{Failure, diff, gate};
use crate::args::MergeArgs;
use crate::output::json::io;
use crate::output::print;

pub fn run(args: &MergeArgs) -> Result<ExitCode, Failure> {
    let usage = |error: anyhow::Error| Failure::new(ExitCode::Usage, error);
    if let Some(part) = args.parts.iter().find(|part| same_file(part, &args.out)) {
        return Err(usage(anyhow!("{} is a part and would be overwritten; name another file first", part.display())));
    }
    let file = AtomicFile::prepare(&args.out, "the merged receipt", "OUT").map_err(io)?;
    let read = |path: &std::path::PathBuf| Ok(Part { path: path.display().to_string(), receipt: diff::read(path)? });
    let parts = args.parts.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let count = parts.len();
    let arguments = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let merged =
        receipt::merge(parts, args.allow_missing, arguments).map_err(|error: MergeError| usage(error.into()))?;
    file.write_json(&merged).map_err(io)?;
    let code = gate::exit_code(merged.exit_code);
    print(&format!(
        "{count} receipts with {} lanes and {} findings merged into {}; {} jobs not run; exit code {}: {}\n",
        merged.lanes.len(),
        merged.findings(),
        args.out.display(),
        merged.request.not_run.len(),
        code.code(),
        code.meaning(),
    ))?;
    Ok(code)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}
