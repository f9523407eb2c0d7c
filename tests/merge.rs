//! `graphproof merge`: the receipts of a suite's parts become one.

mod made;

use std::path::Path;

use graphproof::receipt::{self, NotRun, Receipt};
use graphproof_harness::report::Verdict;
use made::{base, files, folder, run, write};

/// The base as two parts, one lane each.
fn parts() -> [Receipt; 2] {
    [0, 1].map(|part| {
        let mut receipt = base();
        let other = receipt.lanes.remove(1 - part);
        receipt.request.partition = Some(format!("{}/2", part + 1));
        let not_run = NotRun { step: other.step, shape: other.shape, seed: other.seed, reason: "another part".into() };
        receipt.request.not_run = vec![not_run];
        receipt.provenance.began = 100 + part as u64;
        let module = format!("{}.ptx", receipt.lanes[0].step);
        receipt.sources.retain(|source| source.file == module);
        receipt
    })
}

fn write_parts(folder: &Path, change: impl FnOnce(&mut [Receipt; 2])) {
    let mut parts = parts();
    change(&mut parts);
    let [first, second] = parts;
    write(folder, "1.json", first);
    write(folder, "2.json", second);
}

#[test]
fn the_parts_make_the_whole_in_any_order() {
    let folder = folder();
    write_parts(folder.path(), |_| {});
    let output = run(folder.path(), &["merge", "all.json", "2.json", "1.json"], 0);
    assert!(
        output.starts_with("2 receipts with 2 lanes and 0 findings merged into all.json; 0 jobs not run"),
        "{output}"
    );
    let merged = receipt::read(&folder.path().join("all.json")).expect("a sealed receipt");
    let whole = base();
    let steps = |receipt: &Receipt| receipt.lanes.iter().map(|lane| lane.step.clone()).collect::<Vec<_>>();
    assert_eq!(steps(&merged), steps(&whole));
    assert_eq!((merged.request.partition, merged.request.not_run), (None, Vec::new()));
    assert_eq!((merged.sources, merged.geometry), (whole.sources, whole.geometry));
    assert_eq!((merged.verdict, merged.exit_code, merged.provenance.began), (Verdict::Pass, 0, 100));
    write(folder.path(), "whole.json", base());
    run(folder.path(), &["diff", "whole.json", "all.json"], 0);
}

#[test]
fn the_worst_part_decides() {
    let folder = folder();
    write_parts(folder.path(), |parts| (parts[1].verdict, parts[1].exit_code) = (Verdict::Fail, 1));
    let output = run(folder.path(), &["merge", "all.json", "1.json", "2.json"], 1);
    assert!(output.contains("exit code 1: findings"), "{output}");
    let merged = receipt::read(&folder.path().join("all.json")).expect("a sealed receipt");
    assert_eq!((merged.verdict, merged.exit_code), (Verdict::Fail, 1));
}

#[test]
fn a_missing_part_is_an_error_or_stands_in_the_receipt() {
    let folder = folder();
    write_parts(folder.path(), |_| {});
    let output = run(folder.path(), &["merge", "all.json", "2.json"], 2);
    assert!(output.contains("of 2 parts 1 is missing; pass --allow-missing"), "{output}");
    assert_eq!(files(folder.path()), ["1.json", "2.json"]);
    run(folder.path(), &["merge", "all.json", "2.json", "--allow-missing"], 0);
    let not_run = receipt::read(&folder.path().join("all.json")).expect("a sealed receipt").request.not_run;
    assert_eq!(not_run.len(), 1);
    assert_eq!((not_run[0].step.as_str(), not_run[0].reason.as_str()), ("fused", "part 1/2 is missing"));
}

#[test]
fn what_does_not_belong_together_is_named_and_nothing_is_written() {
    type Change = fn(&mut [Receipt; 2]);
    let cases: [(&str, Change); 12] = [
        ("provenance.graphproof is ", |parts| parts[1].provenance.graphproof = "9.9.9".to_owned()),
        ("provenance.git is none in the first and abc with changes", |parts| {
            parts[1].provenance.git = Some(receipt::Git { revision: "abc".to_owned(), dirty: true });
        }),
        ("driver.kind is software in the first and system", |parts| {
            parts[1].driver.kind = graphproof_harness::driver::DriverKind::System;
        }),
        ("device.name is graphproof software device in the first and H200", |parts| {
            parts[1].device.name = "H200".to_owned();
        }),
        ("device.driver_version is 13030 in the first and 12080", |parts| parts[1].device.driver_version = 12080),
        ("job 1 of the suite is fused sq=64", |parts| parts[1].request.not_run[0].seed = 9),
        ("request.config is none in the first and graphproof.toml", |parts| {
            let file = "graphproof.toml".to_owned();
            parts[1].request.config = Some(receipt::ConfigUsed { file, unused_allow: Vec::new() });
        }),
        ("request.steps is 3 in the first and 4", |parts| parts[1].request.steps = 4),
        ("sources, ptx_sha256 of fused.ptx is ", |parts| {
            parts[1].sources = parts[0].sources.clone();
            parts[1].sources[0].ptx_sha256 = "00".repeat(32);
        }),
        ("both hold the lane fused sq=64", |parts| parts[1].lanes = parts[0].lanes.clone()),
        ("are both part 1/2", |parts| parts[1].request.partition = Some("1/2".to_owned())),
        ("request.partition is of 2 parts in the first and no part", |parts| parts[1].request.partition = None),
    ];
    for (words, change) in cases {
        let folder = folder();
        write_parts(folder.path(), change);
        let output = run(folder.path(), &["merge", "all.json", "1.json", "2.json"], 2);
        assert!(output.contains(words), "no '{words}' in:\n{output}");
        assert!(output.contains("1.json and 2.json"), "the files are not named:\n{output}");
        assert_eq!(files(folder.path()), ["1.json", "2.json"], "{words}");
    }
}

#[test]
fn a_part_is_never_overwritten() {
    let folder = folder();
    write_parts(folder.path(), |parts| parts[1].request.partition = Some("2/x".to_owned()));
    let output = run(folder.path(), &["merge", "1.json", "1.json", "2.json"], 2);
    assert!(output.contains("1.json is a part and would be overwritten"), "{output}");
    let output = run(folder.path(), &["merge", "all.json", "1.json", "2.json"], 2);
    assert!(output.contains("2.json is of partition '2/x', which is not of the form 2/8"), "{output}");
    let output = run(folder.path(), &["merge", "all.json", "1.json", "3.json"], 14);
    assert!(output.contains("the receipt 3.json cannot be read"), "{output}");
}

#[test]
fn the_parts_of_a_real_suite_make_the_whole_run() {
    let folder = folder();
    let suite = [
        "gate",
        "--driver",
        "software",
        "--no-config",
        "--steps",
        "2",
        "--step",
        "fused",
        "--step",
        "decode",
        "--seed",
        "0",
        "--seed",
        "1",
        "--seed",
        "2",
    ];
    run(folder.path(), &[&suite[..], &["--json", "whole.json"]].concat(), 0);
    for part in ["1", "2", "3"] {
        let (partition, file) = (format!("{part}/3"), format!("{part}.json"));
        run(folder.path(), &[&suite[..], &["--partition", &partition, "--json", &file]].concat(), 0);
    }
    run(folder.path(), &["merge", "all.json", "3.json", "1.json", "2.json"], 0);
    let read = |name: &str| receipt::read(&folder.path().join(name)).expect("a sealed receipt");
    let (whole, merged) = (read("whole.json"), read("all.json"));
    let lanes = |receipt: &Receipt| receipt.lanes.iter().map(|lane| (lane.step.clone(), lane.seed)).collect::<Vec<_>>();
    assert_eq!(lanes(&merged), lanes(&whole));
    assert_eq!(merged.request, whole.request);
    assert_eq!(merged.geometry, whole.geometry);
    run(folder.path(), &["merge", "all.json", "3.json", "1.json", "--allow-missing"], 0);
    let missing: Vec<_> = read("all.json").request.not_run.into_iter().map(|job| (job.step, job.seed)).collect();
    assert_eq!(missing, [("fused".to_owned(), 1), ("decode".to_owned(), 1)]);
}
