//! Receipts of the parts of a suite, joined to one.

mod error;

use std::collections::BTreeSet;
use std::fmt::Debug;

use graphproof_harness::report::{LaneReport, Verdict};

use super::{Geometry, NotRun, Receipt};

pub use error::MergeError;

/// One receipt of several.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its file, for messages.
    pub path: String,
    /// The receipt.
    pub receipt: Receipt,
}

/// Joins the receipts of one suite's parts, in the order of the parts. `arguments` are those of
/// the merging program. Verdict and exit code are the worst of the parts'.
///
/// # Errors
/// See [`MergeError`].
pub fn merge(mut parts: Vec<Part>, allow_missing: bool, arguments: Vec<String>) -> Result<Receipt, MergeError> {
    let (missing, of) = order(&mut parts)?;
    if !missing.is_empty() && !allow_missing {
        return Err(MergeError::Missing { missing, of });
    }
    for part in &parts[1..] {
        same_run(&parts[0], part)?;
    }
    for (at, part) in parts.iter().enumerate() {
        for earlier in &parts[..at] {
            no_common_lane(earlier, part)?;
            same_sources(earlier, part)?;
        }
    }
    let suite = if of > 0 { same_suite(&parts)? } else { Vec::new() };
    let mut merged = parts[0].receipt.clone();
    merged.provenance.arguments = arguments;
    merged.provenance.began = parts.iter().map(|part| part.receipt.provenance.began).min().unwrap_or_default();
    merged.request.partition = None;
    merged.request.steps = parts.iter().map(|part| part.receipt.request.steps).max().unwrap_or_default();
    for part in &parts[1..] {
        merged.lanes.extend(part.receipt.lanes.iter().cloned());
        for source in &part.receipt.sources {
            if !merged.sources.contains(source) {
                merged.sources.push(source.clone());
            }
        }
        for geometry in &part.receipt.geometry {
            add_geometry(&mut merged.geometry, geometry);
        }
    }
    if of > 0 {
        merged.lanes.sort_by_key(|lane| suite.iter().position(|known| *known == job(lane)));
    }
    if let Some(config) = &mut merged.request.config {
        // An entry is unused if it is in every part.
        let used = |entry: &String| parts.iter().any(|part| !unused(&part.receipt).contains(entry));
        config.unused_allow.retain(|entry| !used(entry));
    }
    merged.request.not_run = not_run(&parts, &suite, &missing, of);
    let worst = parts.iter().map(|part| &part.receipt).max_by_key(|receipt| (receipt.exit_code, rank(receipt.verdict)));
    if let Some(worst) = worst {
        (merged.verdict, merged.exit_code) = (worst.verdict, worst.exit_code);
    }
    Ok(merged.sealed())
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::NotRun => 1,
        Verdict::Interrupted => 2,
        Verdict::Fail => 3,
    }
}

/// Sorts the parts by their number; which numbers are missing, of how many.
fn order(parts: &mut [Part]) -> Result<(Vec<u64>, u64), MergeError> {
    let first = parts.first().ok_or(MergeError::Nothing)?.clone();
    let mut numbers: Vec<Option<(u64, u64)>> = Vec::new();
    for part in parts.iter() {
        let partition = part.receipt.request.partition.as_deref();
        numbers.push(partition.map(|text| number(&part.path, text)).transpose()?);
    }
    let of =
        |number: Option<(u64, u64)>| number.map_or_else(|| "no part".to_owned(), |(_, of)| format!("of {of} parts"));
    for (part, number) in parts.iter().zip(&numbers) {
        if number.map(|(_, of)| of) != numbers[0].map(|(_, of)| of) {
            return Err(differ(&first, part, "request.partition", &of(numbers[0]), &of(*number)));
        }
    }
    let Some((_, of)) = numbers[0] else { return Ok((Vec::new(), 0)) };
    parts.sort_by_cached_key(|part| part.receipt.request.partition.as_deref().and_then(|t| number("", t).ok()));
    for pair in parts.windows(2) {
        let [a, b] = [&pair[0], &pair[1]].map(|part| part.receipt.request.partition.clone().unwrap_or_default());
        if a == b {
            return Err(MergeError::PartTwice { first: pair[0].path.clone(), second: pair[1].path.clone(), part: a });
        }
    }
    let there: BTreeSet<u64> = numbers.iter().flatten().map(|(number, _)| *number).collect();
    Ok(((1..=of).filter(|number| !there.contains(number)).collect(), of))
}

fn number(path: &str, text: &str) -> Result<(u64, u64), MergeError> {
    let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    // More parts than this are no partition of a suite but a typing error.
    let sane = |&(number, of): &(u64, u64)| (1..=of).contains(&number) && of <= 100_000;
    parsed.filter(sane).ok_or_else(|| MergeError::Partition { path: path.to_owned(), text: text.to_owned() })
}

fn differ(first: &Part, second: &Part, field: &str, left: &str, right: &str) -> MergeError {
    MergeError::Differ {
        first: first.path.clone(),
        second: second.path.clone(),
        field: field.to_owned(),
        left: left.to_owned(),
        right: right.to_owned(),
    }
}

/// What the parts of one run have in common.
fn same_run(first: &Part, second: &Part) -> Result<(), MergeError> {
    let (a, b) = (&first.receipt, &second.receipt);
    let revision = |receipt: &Receipt| {
        let dirty = |dirty| if dirty { " with changes" } else { "" };
        let git = receipt.provenance.git.as_ref();
        git.map_or_else(|| "none".to_owned(), |git| format!("{}{}", git.revision, dirty(git.dirty)))
    };
    let config = |receipt: &Receipt| {
        receipt.request.config.as_ref().map_or_else(|| "none".to_owned(), |config| config.file.clone())
    };
    // A configuration may give each step a number of its own; a part then tells its greatest.
    let steps = |receipt: &Receipt| match &receipt.request.config {
        Some(_) => "as configured".to_owned(),
        None => receipt.request.steps.to_string(),
    };
    let fields: [(&str, String, String); 11] = [
        ("format", a.format.to_string(), b.format.to_string()),
        ("provenance.graphproof", a.provenance.graphproof.clone(), b.provenance.graphproof.clone()),
        ("provenance.git", revision(a), revision(b)),
        ("driver.kind", a.driver.kind.name().to_owned(), b.driver.kind.name().to_owned()),
        ("device.name", a.device.name.clone(), b.device.name.clone()),
        ("device.driver_version", a.device.driver_version.to_string(), b.device.driver_version.to_string()),
        ("device.compute_capability", debug(&a.device.compute_capability), debug(&b.device.compute_capability)),
        ("device", debug(&a.device), debug(&b.device)),
        ("request.config", config(a), config(b)),
        ("request.steps", steps(a), steps(b)),
        ("request.kernels", a.request.kernels.clone(), b.request.kernels.clone()),
    ];
    match fields.into_iter().find(|(_, left, right)| left != right) {
        Some((field, left, right)) => Err(differ(first, second, field, &left, &right)),
        None => Ok(()),
    }
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn same_sources(first: &Part, second: &Part) -> Result<(), MergeError> {
    for a in &first.receipt.sources {
        if let Some(b) = second.receipt.sources.iter().find(|b| b.file == a.file && *b != a) {
            let (field, left, right) = if a.ptx_sha256 == b.ptx_sha256 {
                let text = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "none".to_owned());
                ("source_sha256", text(&a.source_sha256), text(&b.source_sha256))
            } else {
                ("ptx_sha256", a.ptx_sha256.clone(), b.ptx_sha256.clone())
            };
            return Err(differ(first, second, &format!("sources, {field} of {}", a.file), &left, &right));
        }
    }
    Ok(())
}

fn no_common_lane(first: &Part, second: &Part) -> Result<(), MergeError> {
    let theirs: BTreeSet<Job<'_>> = first.receipt.lanes.iter().map(job).collect();
    match second.receipt.lanes.iter().find(|lane| theirs.contains(&job(lane))) {
        Some(lane) => Err(MergeError::LaneTwice {
            first: first.path.clone(),
            second: second.path.clone(),
            lane: words(&job(lane)),
        }),
        None => Ok(()),
    }
}

type Job<'a> = (&'a str, &'a str, u64);

fn job(lane: &LaneReport) -> Job<'_> {
    (&lane.step, &lane.shape, lane.seed)
}

/// Keeps what was measured over what was not.
fn add_geometry(all: &mut Vec<Geometry>, new: &Geometry) {
    match all.iter_mut().find(|known| known.step == new.step && known.shape == new.shape) {
        Some(known) if known.measured.is_none() => *known = new.clone(),
        Some(_) => {}
        None => all.push(new.clone()),
    }
}

fn unused(receipt: &Receipt) -> &[String] {
    receipt.request.config.as_ref().map_or(&[], |config| &config.unused_allow)
}

/// All jobs of the suite in order, which every part must tell alike: part 2 of 8 has the second,
/// the tenth, …, and lists the others as not run.
fn same_suite(parts: &[Part]) -> Result<Vec<Job<'_>>, MergeError> {
    let of_part = |part: &Part| part.receipt.request.partition.as_deref().and_then(|text| number("", text).ok());
    let mut first: Option<Vec<Job<'_>>> = None;
    for part in parts {
        let Some((place, of)) = of_part(part) else { continue };
        let mut own = part.receipt.lanes.iter().map(job);
        let mut others = part.receipt.request.not_run.iter().map(left);
        let all = part.receipt.lanes.len() + part.receipt.request.not_run.len();
        let suite: Vec<Job<'_>> = (0..all as u64)
            .map_while(|index| if index % of == place - 1 { own.next() } else { others.next() })
            .collect();
        match &first {
            None => first = Some(suite),
            Some(known) if *known == suite => {}
            Some(known) => {
                let at = known.iter().zip(&suite).position(|(a, b)| a != b).unwrap_or(known.len().min(suite.len()));
                let at_place = |suite: &[Job<'_>]| suite.get(at).map_or_else(|| "none".to_owned(), words);
                let field = format!("job {} of the suite", at + 1);
                return Err(differ(&parts[0], part, &field, &at_place(known), &at_place(&suite)));
            }
        }
    }
    Ok(first.unwrap_or_default())
}

fn left(job: &NotRun) -> Job<'_> {
    (&job.step, &job.shape, job.seed)
}

fn words((step, shape, seed): &Job<'_>) -> String {
    format!("{step} {shape} seed {seed}")
}

/// The jobs that no part ran: those of the missing parts, or, of receipts that are no parts, what
/// each left out, with every reason that was given.
fn not_run(parts: &[Part], suite: &[Job<'_>], missing: &[u64], of: u64) -> Vec<NotRun> {
    if of > 0 {
        let of_missing = (0..).zip(suite).filter(|(index, _)| missing.contains(&(index % of + 1)));
        let not_run = |(index, (step, shape, seed)): (u64, &Job<'_>)| NotRun {
            step: (*step).to_owned(),
            shape: (*shape).to_owned(),
            seed: *seed,
            reason: format!("part {}/{of} is missing", index % of + 1),
        };
        return of_missing.map(not_run).collect();
    }
    let ran: BTreeSet<Job<'_>> = parts.iter().flat_map(|part| &part.receipt.lanes).map(job).collect();
    let mut all: Vec<NotRun> = Vec::new();
    for other in parts.iter().flat_map(|part| &part.receipt.request.not_run) {
        if ran.contains(&left(other)) {
            continue;
        }
        match all.iter_mut().find(|known| left(known) == left(other)) {
            Some(known) if known.reason.split("; ").any(|reason| reason == other.reason) => {}
            Some(known) => known.reason = format!("{}; {}", known.reason, other.reason),
            None => all.push(other.clone()),
        }
    }
    all
}
