//! `graphproof gate --bless`: accepts the graphs of a run as reviewed.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::Job;
use crate::receipt::{AtomicFile, Receipt};
use anyhow::{Context as _, anyhow};
use graphproof_harness::checks::topology::snapshot_text;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::report::{LaneReport, Verdict};
use similar::TextDiff;

use super::Failure;
use crate::output::json::io;

/// What the head of a new file says.
const HEAD: &str = "---\nsource: graphproof gate --bless\n---\n";

/// Checks, before the run, that each step has one graph: a file holds the graph at one shape.
pub fn check(jobs: &[Job]) -> Result<(), Failure> {
    for job in jobs {
        if let Some(other) = jobs.iter().find(|other| other.step == job.step && other.shape != job.shape) {
            let error = anyhow!(
                "--bless accepts one graph of each step, and '{}' is asked for at {} and at {}: name one --shape",
                job.step,
                job.shape,
                other.shape
            );
            return Err(Failure::new(ExitCode::Usage, error));
        }
    }
    Ok(())
}

/// Writes the graphs of the lanes without a finding below `folder`; says what changed.
pub fn accept(folder: &Path, receipt: &Receipt) -> Result<String, Failure> {
    let mut told = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for lane in &receipt.lanes {
        if seen.contains(&lane.step.as_str()) {
            continue;
        }
        seen.push(&lane.step);
        told.push_str(&one(folder, receipt, lane)?);
    }
    Ok(told)
}

fn one(folder: &Path, receipt: &Receipt, lane: &LaneReport) -> Result<String, Failure> {
    let snapshots = folder.join("snapshots");
    let path = snapshots.join(format!("graph_{}.snap", lane.step));
    let name = path.display();
    // Jobs of one step differ in their seed alone: none of them may have a finding.
    let safe = receipt.lanes.iter().filter(|other| other.step == lane.step).all(|other| other.verdict == Verdict::Pass);
    let Some(graph) = lane.graph.as_ref().filter(|_| safe) else {
        return Ok(format!("\nnot accepted: the graph of '{}', which did not pass; {name} is as it was\n", lane.step));
    };
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(anyhow::Error::new(error).context(format!("cannot read {name}")))),
    };
    let captured = graph.topology.join("\n") + "\n";
    let reviewed = old.as_deref().map_or(String::new(), |text| snapshot_text(text).trim().to_owned() + "\n");
    if old.is_some() && reviewed == captured {
        return Ok(format!("\nunchanged: {name}\n"));
    }
    let head = old.as_deref().map(|text| &text[..text.len() - snapshot_text(text).len()]).unwrap_or_default();
    let head = if head.is_empty() { HEAD } else { head };
    std::fs::create_dir_all(&snapshots).with_context(|| format!("cannot make {}", snapshots.display())).map_err(io)?;
    let file = AtomicFile::prepare(&path, "the reviewed graph", "--locked").map_err(io)?;
    file.write(format!("{head}{captured}").as_bytes()).map_err(io)?;
    let mut told = format!("\naccepted: {name}\n");
    let diff = TextDiff::from_lines(&reviewed, &captured);
    for line in diff.unified_diff().context_radius(1).to_string().lines() {
        let _ = writeln!(told, "  {line}");
    }
    Ok(told)
}
