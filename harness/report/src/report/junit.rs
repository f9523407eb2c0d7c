//! JUnit's XML, as Jenkins, GitLab and most other services read it.
//!
//! It has no standard. What is written is valid by the schema of Jenkins' xUnit plugin
//! (`tests/schemas/junit-10.xsd`): a suite for each shape and seed, a case for each job.

use std::io::Write;

use graphproof_harness::finding::Severity;
use graphproof_harness::report::{LaneReport, Verdict};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event as Xml};

use super::{Event, Reporter, escape, finding};
use crate::receipt::{AtomicFile, Receipt};

/// Writes the whole run when it has ended.
pub struct Junit(AtomicFile);

impl Junit {
    /// Writes to `file`.
    pub fn new(file: AtomicFile) -> Self {
        Junit(file)
    }
}

impl Reporter for Junit {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::RunEnded { receipt, .. } => self.0.write(&document(receipt)?),
            _ => Ok(()),
        }
    }
}

/// The receipt as XML.
///
/// # Errors
/// None that are known: it is written to memory.
pub fn document(receipt: &Receipt) -> anyhow::Result<Vec<u8>> {
    let receipt = &*escape::receipt(receipt);
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Xml::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut suites: Vec<Vec<&LaneReport>> = Vec::new();
    for lane in &receipt.lanes {
        match suites.iter_mut().find(|suite| suite[0].shape == lane.shape && suite[0].seed == lane.seed) {
            Some(suite) => suite.push(lane),
            None => suites.push(vec![lane]),
        }
    }
    let all: Vec<&LaneReport> = receipt.lanes.iter().collect();
    let [tests, failures, errors, _, time] = counts(&all);
    xml.create_element("testsuites")
        .with_attributes([("name", "graphproof"), tests.pair(), failures.pair(), errors.pair(), time.pair()])
        .write_inner_content(|xml| suites.iter().try_for_each(|lanes| suite(xml, receipt, lanes)))?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn suite<W: Write>(xml: &mut Writer<W>, receipt: &Receipt, lanes: &[&LaneReport]) -> std::io::Result<()> {
    let [tests, failures, errors, skipped, time] = counts(lanes);
    let name = format!("{}, seed {}", lanes[0].shape, lanes[0].seed);
    let began = super::time::utc(receipt.provenance.began);
    let attributes = [
        ("name", name.as_str()),
        tests.pair(),
        failures.pair(),
        errors.pair(),
        skipped.pair(),
        time.pair(),
        ("timestamp", began.as_str()),
    ];
    xml.create_element("testsuite").with_attributes(attributes).write_inner_content(|xml| {
        xml.create_element("properties").write_inner_content(|xml| {
            properties(receipt, lanes[0]).iter().try_for_each(|(name, value)| {
                let pairs = [("name", *name), ("value", value.as_str())];
                xml.create_element("property").with_attributes(pairs).write_empty().map(drop)
            })
        })?;
        lanes.iter().try_for_each(|lane| case(xml, lane, &name))
    })?;
    Ok(())
}

fn properties(receipt: &Receipt, lane: &LaneReport) -> Vec<(&'static str, String)> {
    let device = &receipt.device;
    let (major, minor) = device.compute_capability;
    let mut properties = vec![
        ("graphproof", receipt.provenance.graphproof.clone()),
        ("driver", receipt.driver.kind.name().to_owned()),
        ("driver.version", device.driver_version.to_string()),
        ("device", device.name.clone()),
        ("device.compute-capability", format!("{major}.{minor}")),
        ("kernels", receipt.request.kernels.clone()),
        ("shape", lane.shape.clone()),
        ("seed", lane.seed.to_string()),
        ("replays", lane.steps_asked.to_string()),
    ];
    let git = receipt.provenance.git.as_ref();
    properties.extend(git.map(|git| ("git.revision", git.revision.clone())));
    properties.extend(receipt.request.partition.clone().map(|part| ("partition", part)));
    properties
}

fn case<W: Write>(xml: &mut Writer<W>, lane: &LaneReport, name: &str) -> std::io::Result<()> {
    let time = seconds(lane.times.wall);
    let attributes = [("classname", lane.step.as_str()), ("name", name), ("time", time.as_str())];
    xml.create_element("testcase").with_attributes(attributes).write_inner_content(|xml| {
        for found in lane.findings.iter().filter(|found| found.severity == Severity::Error) {
            let text = finding::render(&lane.step, found);
            xml.create_element("failure")
                .with_attributes([("type", found.id.as_str()), ("message", found.title.as_str())])
                .write_text_content(BytesText::new(&text))?;
        }
        if lane.verdict == Verdict::NotRun {
            let reason = lane.not_checked.join("; ");
            xml.create_element("skipped").with_attribute(("message", reason.as_str())).write_empty()?;
            return Ok(());
        }
        if lane.verdict == Verdict::Interrupted {
            let message = format!("stopped after {} of {} replays", lane.steps_compared, lane.steps_asked);
            let attributes = [("type", "INTERRUPTED"), ("message", message.as_str())];
            xml.create_element("error").with_attributes(attributes).write_empty()?;
        }
        let mut aside = String::new();
        for found in lane.findings.iter().filter(|found| found.severity == Severity::Warning) {
            aside.push_str(&finding::render(&lane.step, found));
        }
        for reason in &lane.not_checked {
            aside.push_str(&format!("not checked: {reason}\n"));
        }
        if !aside.is_empty() {
            xml.create_element("system-out").write_text_content(BytesText::new(&aside))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// An attribute whose value was made here.
struct Attribute(&'static str, String);

impl Attribute {
    fn pair(&self) -> (&str, &str) {
        (self.0, &self.1)
    }
}

fn counts(lanes: &[&LaneReport]) -> [Attribute; 5] {
    let count = |wanted: fn(&LaneReport) -> bool| lanes.iter().filter(|lane| wanted(lane)).count().to_string();
    [
        Attribute("tests", lanes.len().to_string()),
        Attribute("failures", count(LaneReport::failed)),
        Attribute("errors", count(|lane| lane.verdict == Verdict::Interrupted)),
        Attribute("skipped", count(|lane| lane.verdict == Verdict::NotRun)),
        Attribute("time", seconds(lanes.iter().map(|lane| lane.times.wall).sum())),
    ]
}

/// Seconds with three digits after the point.
fn seconds(nanoseconds: u64) -> String {
    format!("{:.3}", nanoseconds as f64 / 1e9)
}
