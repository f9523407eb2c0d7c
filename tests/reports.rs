//! Reports for other programs: valid by their schemas, and with everything that was found.

mod support;

use std::path::Path;
use std::process::Command;

use graphproof::receipt::{self, AtomicFile, ConfigUsed, Receipt};
use graphproof::report::sources::Sources;
use graphproof::report::{Github, Junit, Reporters, Sarif, github, junit, sarif};
use graphproof_harness::finding::{Check, Finding, Id, Severity, Site};
use graphproof_harness::report::{LaneReport, Verdict};
use support::{command, folder, json, run};

/// What a lane or a service might choke on.
const UGLY: &str = "a \u{1b}[31mred\u{1b}[0m <b>&amp; ]]> \"quoted\" 50% ::error:: | `x`, \u{0}\u{fffe} ü\r\nnext";

/// A receipt of a run that passed.
fn passed(folder: &Path, more: &[&str]) -> Receipt {
    let arguments = ["gate", "--driver", "software", "--steps", "2", "--step", "fused", "--json", "receipt.json"];
    run(folder, &[&arguments[..], more].concat(), 0);
    receipt::read(&folder.join("receipt.json")).expect("a receipt")
}

/// The report of a planted fault, whose findings name their places.
fn fault(name: &str) -> LaneReport {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let printed = run(root, &["fault-child", name, "--driver", "software"], 0);
    let reports: Vec<LaneReport> = serde_json::from_str(&printed.out).expect("reports");
    reports.into_iter().next().expect("a report")
}

/// Lanes of every kind: passed, failed, allowed, ugly, not run.
fn mixed(folder: &Path) -> Receipt {
    let mut receipt = passed(folder, &[]);
    let pass = receipt.lanes[0].clone();
    let moved = fault("scratch-reallocated");
    assert!(moved.findings.iter().any(|found| found.site.is_some() && found.origin.is_some()), "{moved:?}");
    let mut allowed = fault("not-deterministic");
    for found in &mut allowed.findings {
        found.severity = Severity::Warning;
        found.allowed = Some("known, see <issue> 12 (graphproof.toml:3)".to_owned());
    }
    allowed.verdict = Verdict::Pass;
    let mut ugly = LaneReport { step: "ug<ly".to_owned(), verdict: Verdict::Fail, seed: 7, ..pass.clone() };
    let mut found = Finding::new(Id::R01, Check::Bits).contrast(UGLY, UGLY).note(UGLY);
    found.title = UGLY.to_owned();
    found.site =
        Some(Site { what: UGLY.to_owned(), file: "/else where/x,y:z.rs".to_owned(), line: 0, ..Site::default() });
    ugly.findings.push(found);
    ugly.not_checked.push(UGLY.to_owned());
    let mut not_run = LaneReport { verdict: Verdict::NotRun, ..pass };
    not_run.not_checked.push(UGLY.to_owned());
    receipt.lanes.extend([moved, allowed, ugly, not_run]);
    receipt.verdict = Verdict::Fail;
    receipt.exit_code = 1;
    receipt.request.partition = Some("2/8".to_owned());
    receipt.request.config =
        Some(ConfigUsed { file: "graphproof.toml".to_owned(), unused_allow: vec![UGLY.to_owned()] });
    receipt.sealed()
}

/// Whether all files are valid, by tests/clients/validate.py; without its packages, which .ci/run
/// installs, nothing is known.
fn validity(files: &[&Path]) -> Option<Result<(), String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/validate.py");
    let Ok(output) = Command::new("python3").arg(script).args(files).output() else {
        eprintln!("skipped: there is no python3 to validate with");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Some(Ok(())),
        Some(3) => {
            eprintln!("skipped: {error}");
            None
        }
        _ => Some(Err(error)),
    }
}

fn validate(files: &[&Path]) {
    if let Some(Err(error)) = validity(files) {
        panic!("{error}");
    }
}

#[test]
fn files_that_are_not_valid_are_told() {
    let here = folder();
    for (name, text) in
        [("a.sarif", r#"{"version": "2.1.0", "runs": [{}]}"#), ("b.xml", "<testsuites><x/></testsuites>")]
    {
        let file = here.path().join(name);
        std::fs::write(&file, text).expect("written");
        assert!(!matches!(validity(&[&file]), Some(Ok(()))), "{name} counts as valid");
    }
}

fn root() -> Sources {
    Sources::below(Path::new(env!("CARGO_MANIFEST_DIR")))
}

#[test]
fn reports_of_every_kind_of_lane_are_valid() {
    let here = folder();
    let receipt = mixed(here.path());
    let (xml, log) = (here.path().join("junit.xml"), here.path().join("findings.sarif"));
    let mut reporters = Reporters::default();
    reporters.add(Junit::new(AtomicFile::prepare(&xml, "it", "--junit").expect("writable")));
    reporters.add(Sarif::new(AtomicFile::prepare(&log, "it", "--sarif").expect("writable"), root()));
    let summary = here.path().join("summary.md");
    reporters.add(Github::new(std::io::sink(), Some(summary.clone()), root()));
    reporters.replay(&receipt);
    assert!(reporters.take_failures().is_empty());
    validate(&[&xml, &log]);
    let summary = std::fs::read_to_string(summary).expect("a summary");
    assert!(summary.starts_with("## graphproof did not pass, part 2/8\n"), "{summary}");
}

#[test]
fn the_gate_writes_them_itself() {
    let here = folder();
    passed(here.path(), &["--junit", "junit.xml", "--sarif", "findings.sarif", "--seed", "1", "--seed", "2"]);
    validate(&[&here.path().join("junit.xml"), &here.path().join("findings.sarif")]);
    let xml = std::fs::read_to_string(here.path().join("junit.xml")).expect("written");
    assert_eq!((xml.matches("<testsuite ").count(), xml.matches("<testcase ").count()), (2, 2), "{xml}");
    assert!(xml.contains("<property name=\"driver\" value=\"software\"/>"), "{xml}");
    assert!(!xml.contains("time=\"0.000\""), "{xml}");
    assert_eq!(json(here.path(), "findings.sarif")["runs"][0]["results"], serde_json::json!([]));
    for option in ["--junit", "--sarif"] {
        let printed = run(here.path(), &["gate", option, "no/such/folder/x"], 14);
        assert!(printed.error.contains(option), "{}", printed.error);
    }
}

#[test]
fn junit_has_a_failure_for_each_finding_and_says_what_was_not_run() {
    let here = folder();
    let receipt = mixed(here.path());
    let xml = String::from_utf8(junit::document(&receipt).expect("written")).expect("UTF-8");
    let errors = receipt.lanes.iter().flat_map(|lane| &lane.findings).filter(|found| found.allowed.is_none()).count();
    assert_eq!(xml.matches("<failure ").count(), errors, "{xml}");
    assert!(xml.contains("tests=\"5\" failures=\"2\" errors=\"0\""), "{xml}");
    assert!(xml.contains("<failure type=\"A08\" message=\"a buffer of the step moved"), "{xml}");
    assert!(xml.contains("error[A08]") && xml.contains("<skipped message="), "{xml}");
    assert!(xml.contains("= allowed: known, see &lt;issue&gt; 12"), "{xml}");
    assert!(xml.contains("\\u{1b}[31mred") && xml.contains("\\u{0}\\u{fffe}") && !xml.contains('\u{1b}'), "{xml}");
}

#[test]
fn sarif_has_rules_places_and_fingerprints() {
    let here = folder();
    let receipt = mixed(here.path());
    let log = sarif::document(&receipt, &root());
    let run = &log["runs"][0];
    assert_eq!(run["automationDetails"]["id"], "graphproof/2-of-8/");
    let results = run["results"].as_array().expect("results");
    let moved = results.iter().find(|result| result["ruleId"] == "A08").expect("A08");
    let rule = &run["tool"]["driver"]["rules"][moved["ruleIndex"].as_u64().expect("an index") as usize];
    assert_eq!(rule["id"], "A08");
    assert!(rule["help"]["markdown"].as_str().is_some_and(|text| text.contains("## How to fix it")), "{rule:#}");
    let place = &moved["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uriBaseId"], "SRCROOT");
    let file = place["artifactLocation"]["uri"].as_str().expect("a file");
    let line = place["region"]["startLine"].as_u64().expect("a line") as usize;
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the file is there");
    assert_eq!(place["region"]["snippet"]["text"].as_str(), text.lines().nth(line - 1));
    let origin = &moved["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(origin, "kernels/src/faults/indexer/g04_scratch_reallocated.rs");
    let outside = results.iter().find(|result| result["properties"]["step"] == "ug<ly").expect("the ugly one");
    let uri = &outside["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "file:///else%20where/x%2Cy%3Az.rs");
    let known = results.iter().find(|result| result["suppressions"].is_array()).expect("an allowed one");
    assert_eq!(known["level"], "warning");
    // Lines that move do not make another finding; another place does.
    let mark = |receipt: &Receipt| {
        let log = sarif::document(receipt, &root());
        let results = log["runs"][0]["results"].as_array().expect("results").clone();
        results.iter().map(|result| result["partialFingerprints"].to_string()).collect::<Vec<_>>()
    };
    let before = mark(&receipt);
    let mut later = receipt.clone();
    let sites = later.lanes.iter_mut().flat_map(|lane| &mut lane.findings).filter_map(|found| found.site.as_mut());
    sites.for_each(|site| site.line += 10);
    assert_eq!(mark(&later), before);
    later.lanes[1].findings[0].site.as_mut().expect("a site").what.push('x');
    assert_ne!(mark(&later), before);
}

#[test]
fn github_gets_one_line_for_each_finding() {
    let here = folder();
    let receipt = mixed(here.path());
    let text = github::annotations(&receipt, &root());
    let findings = receipt.findings();
    assert_eq!(text.lines().count(), findings + 2, "{text}");
    assert!(text.lines().all(|line| line.starts_with("::")), "{text}");
    assert!(
        text.contains("::error file=kernels/src/") && text.contains(",title=A08%3A a buffer of the step moved"),
        "{text}"
    );
    assert!(text.contains("::notice title=not run::step 'fused'"), "{text}");
    assert!(text.contains("::warning title=unused allow::"), "{text}");
}

#[test]
fn github_is_told_where_it_runs_and_only_there() {
    let here = folder();
    let arguments = ["gate", "--driver", "software", "--steps", "1", "--step", "fused", "--locked"];
    let quiet = run(here.path(), &arguments, 1);
    assert!(!quiet.out.contains("::error"), "{}", quiet.out);
    let on_github = |more: &[&str]| {
        let output = command(here.path(), &[&arguments[..], more].concat())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", here.path().join("summary.md"))
            .output()
            .expect("the program starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(on_github(&[]).contains("\n::error title=T02%3A "));
    assert!(!on_github(&["--no-github"]).contains("::error"));
    let summary = std::fs::read_to_string(here.path().join("summary.md")).expect("a summary");
    assert!(summary.contains("| fused | FAIL | 1/1 |") && summary.contains("<code>T02</code>"), "{summary}");
    assert_eq!(summary.matches("## graphproof").count(), 1);
    let asked = run(here.path(), &[&arguments[..], &["--github"]].concat(), 1);
    assert!(asked.out.contains("::error title=T02%3A "), "{}", asked.out);
}
