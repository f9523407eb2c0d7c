//! Whether two drivers gave the same answers, and where the first difference is.

use std::collections::BTreeMap;

use super::pool::{End, Ran};

/// The first call of a sequence that two drivers answered differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The place of the line.
    pub at: usize,
    /// The function or the probe.
    pub call: String,
    /// The answers; `CRASH` and `TIMEOUT` of a driver that gave none.
    pub answers: [String; 2],
}

impl Difference {
    /// What groups differences that may have one cause.
    pub fn signature(&self) -> String {
        format!("{}: {} / {}", self.call, self.answers[0], self.answers[1])
    }
}

/// The function or the probe that a line calls.
pub fn called(line: &str) -> &str {
    let call = line.strip_prefix("thread ").and_then(|rest| rest.split_once(": ")).map_or(line, |(_, call)| call);
    let call = call.split_once(" = ").map_or(call, |(_, call)| call);
    call.split(' ').next().unwrap_or_default()
}

/// An answer without what CUDA leaves open: work may or may not have finished when it is asked for.
pub fn settled(call: &str, answer: &str) -> String {
    let open = matches!(call, "cuStreamQuery" | "cuEventQuery" | "cuEventElapsedTime");
    if open && matches!(answer, "SUCCESS" | "NOT_READY") { "SUCCESS|NOT_READY".into() } else { answer.to_owned() }
}

fn answer(ran: &Ran, at: usize, call: &str) -> Option<String> {
    match (ran.saw.get(at), &ran.end) {
        (Some(saw), _) => Some(settled(call, saw)),
        (None, End::Crash(_)) if at == ran.saw.len() => Some("CRASH".into()),
        (None, End::Timeout) if at == ran.saw.len() => Some("TIMEOUT".into()),
        _ => None,
    }
}

/// The first difference between two drivers.
///
/// What the host sees of work depends on when the work runs: memory and counts are compared where a
/// successful cuCtxSynchronize comes right before them.
///
/// Where one of them has ended the process there is no more to compare. A sequence that ends the process
/// of the first driver, which is the one that is right, shows nothing from there on.
pub fn difference(lines: &[String], left: &Ran, right: &Ran) -> Option<Difference> {
    let mut finished = false;
    for (at, line) in lines.iter().enumerate() {
        let call = called(line);
        match call {
            "cuCtxSynchronize" => finished = left.saw.get(at).is_some_and(|saw| saw == "SUCCESS"),
            "read" | "runs" if !finished => continue,
            "read" | "runs" => {}
            _ => finished = false,
        }
        let left = answer(left, at, call).filter(|answer| answer != "CRASH" && answer != "TIMEOUT")?;
        let right = answer(right, at, call)?;
        if left != right {
            return Some(Difference { at, call: call.to_owned(), answers: [left, right] });
        }
    }
    None
}

/// Counts differences by signature, with the places of the sequences, the most frequent first.
pub fn clusters<'a>(found: impl Iterator<Item = (usize, &'a Difference)>) -> Vec<(String, Vec<usize>)> {
    let mut clusters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, difference) in found {
        clusters.entry(difference.signature()).or_default().push(place);
    }
    let mut clusters: Vec<_> = clusters.into_iter().collect();
    clusters.sort_by_key(|(_, places)| std::cmp::Reverse(places.len()));
    clusters
}
