//! SARIF 2.1.0, as code-scanning services read it.

use graphproof_harness::finding::explain::{self, Explanation, Family, Look, Section};
use graphproof_harness::finding::{Finding, Id, Severity, Site, SiteKind};
use graphproof_harness::report::{LaneReport, Verdict};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::sources::{Place, Sources, uri_path};
use super::{Event, Reporter, escape, finding, time};
use crate::receipt::{AtomicFile, Receipt};

/// The name under which results refer to the root of the sources.
const ROOT: &str = "SRCROOT";
/// Columns of the rules' plain help text.
const WIDTH: usize = 100;

/// Writes the whole run when it has ended.
pub struct Sarif {
    file: AtomicFile,
    sources: Sources,
}

impl Sarif {
    /// Writes to `file`; places are told below the root of `sources`.
    pub fn new(file: AtomicFile, sources: Sources) -> Self {
        Sarif { file, sources }
    }
}

impl Reporter for Sarif {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunEnded { receipt, .. } => self.file.write_json(&document(receipt, &self.sources)),
            _ => Ok(()),
        }
    }
}

/// The receipt as a SARIF log of one run.
pub fn document(receipt: &Receipt, sources: &Sources) -> Value {
    let receipt = &*escape::receipt(receipt);
    let found = || receipt.lanes.iter().flat_map(|lane| lane.findings.iter().map(move |finding| (lane, finding)));
    let mut ids: Vec<Id> = found().map(|(_, finding)| finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let results: Vec<Value> = found()
        .map(|(lane, finding)| {
            let index = ids.binary_search(&finding.id).unwrap_or_default();
            result(lane, finding, index, sources)
        })
        .collect();
    let provenance = &receipt.provenance;
    // Parts of one suite are uploaded beside each other; without a name of its own, one would
    // replace the other.
    let part = receipt.request.partition.as_ref().map_or("whole".to_owned(), |part| part.replace('/', "-of-"));
    let run = json!({
        "tool": { "driver": {
            "name": "graphproof",
            "version": provenance.graphproof,
            "semanticVersion": provenance.graphproof,
            "rules": ids.iter().map(|id| rule(*id)).collect::<Vec<_>>(),
        }},
        "automationDetails": { "id": format!("graphproof/{part}/") },
        "invocations": [{
            "executionSuccessful": receipt.verdict != Verdict::Interrupted,
            "toolExecutionNotifications": notifications(receipt),
            "exitCode": receipt.exit_code,
            "arguments": provenance.arguments,
            "startTimeUtc": time::utc(provenance.began),
        }],
        "originalUriBaseIds": { ROOT: {
            "uri": format!("file://{}/", uri_path(&sources.root().to_string_lossy()).trim_end_matches('/')),
            "description": { "text": "the root of the sources" },
        }},
        "results": results,
        "properties": {
            "driver": receipt.driver.kind.name(),
            "device": receipt.device.name,
            "kernels": receipt.request.kernels,
            "revision": provenance.git.as_ref().map(|git| git.revision.as_str()),
        },
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0-rtm.5.json",
        "version": "2.1.0",
        "runs": [run],
    })
}

/// That a run was stopped: what is not among its results is not known to be safe.
fn notifications(receipt: &Receipt) -> Vec<Value> {
    let text = "INTERRUPTED: the run was stopped before its end, and not every job was judged";
    let stopped = receipt.verdict == Verdict::Interrupted;
    stopped.then(|| json!({ "level": "error", "message": { "text": text } })).into_iter().collect()
}

fn rule(id: Id) -> Value {
    let text = id.explanation();
    let family = Family::ALL.into_iter().find(|family| id.as_str().starts_with(family.letter())).map(Family::title);
    json!({
        "id": id,
        "shortDescription": { "text": text.entry.title },
        "fullDescription": { "text": text.body(Section::What) },
        "help": { "text": explain::page(text, Look { width: WIDTH, bold: false }), "markdown": markdown(text) },
        "defaultConfiguration": { "level": "error" },
        "properties": { "tags": family.into_iter().collect::<Vec<_>>() },
    })
}

fn markdown(text: &Explanation) -> String {
    let mut out = format!("**{}**\n\nHelp: {}\n", text.entry.title, text.entry.help);
    for section in Section::ALL {
        out.push_str(&format!("\n## {}\n\n{}\n", section.heading(), text.body(section)));
    }
    out
}

fn result(lane: &LaneReport, finding: &Finding, rule_index: usize, sources: &Sources) -> Value {
    let mut location = Map::new();
    if let Some(site) = &finding.site {
        if site.kind != SiteKind::Library {
            location.insert("physicalLocation".to_owned(), physical(site, sources));
        }
        location.insert("message".to_owned(), json!({ "text": escape::message(&site.what) }));
    }
    location.insert(
        "logicalLocations".to_owned(),
        json!([{ "name": lane.step, "fullyQualifiedName": lane.step, "kind": "function" }]),
    );
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": rule_index,
        "level": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": { "text": escape::message(&finding::render(&lane.step, finding)) },
        "locations": [location],
        "partialFingerprints": { "graphproofFinding/v1": fingerprint(lane, finding) },
        "properties": {
            "step": lane.step,
            "shape": lane.shape,
            "seed": lane.seed,
            "replay": finding.step,
            "check": finding.check,
        },
    });
    if let Some(origin) = &finding.origin {
        let related = json!({ "id": 1, "physicalLocation": physical(origin, sources), "message": { "text": escape::message(&origin.what) } });
        result["relatedLocations"] = json!([related]);
    }
    if let Some(reason) = &finding.allowed {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

fn physical(site: &Site, sources: &Sources) -> Value {
    let artifact = match sources.place(&site.file) {
        Place::Within(path) => json!({ "uri": uri_path(&path), "uriBaseId": ROOT }),
        Place::Outside(path) => json!({ "uri": format!("file://{}", uri_path(&path.to_string_lossy())) }),
    };
    // SARIF's lines count from 1; 0 is a line that the compiler did not know.
    let mut region = json!({ "startLine": site.line.max(1) });
    if let Some(line) = sources.line(&site.file, site.line) {
        region["snippet"] = json!({ "text": line });
    }
    json!({ "artifactLocation": artifact, "region": region })
}

/// What makes two findings of two runs the same one: everything but lines, numbers and addresses,
/// which move with every edit. Shape and seed do not count either: one fault is one alert.
fn fingerprint(lane: &LaneReport, finding: &Finding) -> String {
    let mut hash = Sha256::new();
    let site =
        |site: &Option<Site>| site.as_ref().map_or(String::new(), |site| format!("{}\0{}", site.file, site.what));
    let (id, check) = (finding.id.as_str(), finding.check.name());
    for part in [id, check, &lane.step, &site(&finding.site), &site(&finding.origin)] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
