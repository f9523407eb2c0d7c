//! Arguments of the commands that read receipts, and of comparisons.

use std::path::PathBuf;

use crate::diff::{Kind, Policy};
use clap::Args;

use super::{ConfigArgs, ReportArgs};

/// Which differences pass.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// Differences that pass: bits, topology, findings, memory, launches, lanes or inputs; may be
    /// given several times.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub allow: Vec<Kind>,
    /// Growth of a lane's device memory that passes [default: 0].
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub max_memory_growth: Option<f64>,
    /// Fail if a lane's median replay grew by more than this and beyond the spread. Without it,
    /// times never fail.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub max_time_growth: Option<f64>,
}

impl PolicyArgs {
    /// Whether none was given.
    pub fn is_default(&self) -> bool {
        self.allow.is_empty() && self.max_memory_growth.is_none() && self.max_time_growth.is_none()
    }

    /// The command line over what the configuration says.
    pub fn policy(&self, configured: &Policy) -> Policy {
        Policy {
            allowed: if self.allow.is_empty() { configured.allowed.clone() } else { self.allow.clone() },
            max_memory_growth: self.max_memory_growth.unwrap_or(configured.max_memory_growth),
            max_time_growth: self.max_time_growth.or(configured.max_time_growth),
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok().and_then(Policy::growth);
    number.ok_or_else(|| format!("'{text}' is not a number of percent from 0 on"))
}

#[derive(Debug, Args)]
#[command(after_help = DIFF_HELP)]
pub struct DiffArgs {
    /// The older receipt, as `gate --json` wrote it.
    pub old: PathBuf,
    /// The newer receipt.
    pub new: PathBuf,
    #[command(flatten)]
    pub policy: PolicyArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Write the comparison to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the comparison to this file as an HTML page, graphs that differ side by side.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

const DIFF_HELP: &str = "\
Lanes belong together if step, shape and seed are the same. These differences fail (exit code 1), unless
--allow names their kind: other bits from the same inputs, or bits that could not be compared (bits); other
inputs (inputs); another graph (topology); more kernel launches (launches); more device memory (memory); new
findings (findings); lanes that are gone or did not run (lanes).";

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The receipt to write.
    pub out: PathBuf,
    /// The receipts of the parts.
    #[arg(required = true, value_name = "IN")]
    pub parts: Vec<PathBuf>,
    /// Merge even if a part is missing; the receipt then says which under request.not_run.
    #[arg(long)]
    pub allow_missing: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The receipt, as `gate --json` or `merge` wrote it, or the record, as `trace --save` did.
    pub receipt: PathBuf,
    #[command(flatten)]
    pub report: ReportArgs,
}
