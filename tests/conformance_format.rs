//! Every case file parses, says where it comes from, and the suite is as large as it must be.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use graphproof::conformance::{Cases, ListedCase, Options, list};

fn all() -> Vec<ListedCase> {
    let cases = Cases::present().expect("a folder of cases");
    assert!(!cases.are_built_in());
    let options = Options {
        cases: cases.folder().to_owned(),
        child: vec![OsString::from("unused")],
        baseline: None,
        golden: None,
        filter: None,
        jobs: 1,
        limit: Duration::from_secs(1),
        stop: Default::default(),
    };
    list(&options).expect("every case file parses")
}

#[test]
fn every_case_parses_and_there_are_enough() {
    let cases = all();
    assert!(cases.len() >= 400, "{} cells", cases.len());
}

#[test]
fn names_are_unique() {
    let mut seen = BTreeMap::new();
    for case in all() {
        assert!(seen.insert(case.id.clone(), ()).is_none(), "{} exists twice", case.id);
    }
}

#[test]
fn every_evidence_tag_is_used() {
    let mut tags = BTreeMap::<_, usize>::new();
    all().iter().for_each(|case| *tags.entry(case.evidence).or_default() += 1);
    assert_eq!(tags.len(), 4, "{tags:?}");
}
