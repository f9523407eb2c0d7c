//! The runner against a driver that is wrong in known ways: each result, the golden file, the baseline.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use graphproof::conformance::judge::Kind;
use graphproof::conformance::{Driver, Options, bless, child_main, run};

/// The entry of the children: this binary again, asked for this one test.
#[test]
#[ignore = "runs as a child of the other tests"]
fn child() {
    let args: Vec<String> = std::env::args().collect();
    let [.., driver, case, cell] = &args[..] else { return };
    if driver != "--ignored" {
        child_main(Path::new(case), cell, || Driver::open(driver));
    }
}

/// Compiles the fake into a folder of its own; `None` where the machine has no C compiler.
fn fake(folder: &Path) -> Option<Options> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_fake");
    let library = folder.join("libcuda_fake.so");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &sources.join("libcuda.c")]).status();
    match compiled {
        Ok(status) => assert!(status.success(), "the fake compiles"),
        Err(_) => {
            eprintln!("skipped: no C compiler `cc`");
            return None;
        }
    }
    let marker = folder.join("flaked");
    let exe = std::env::current_exe().expect("this test's own file");
    let child: [OsString; 7] = [
        "env".into(),
        format!("FAKE_FLAKE_MARKER={}", marker.display()).into(),
        exe.into(),
        "child".into(),
        "--exact".into(),
        "--ignored".into(),
        library.into(),
    ];
    Some(Options {
        cases: sources,
        child: child.into(),
        baseline: None,
        golden: None,
        filter: None,
        jobs: 4,
        limit: Duration::from_secs(20),
        stop: Default::default(),
    })
}

fn kinds(options: &Options) -> BTreeMap<String, Kind> {
    let outcome = run(options, &mut |_| {}).expect("the suite runs");
    outcome.results.into_iter().map(|result| (result.id, result.kind)).collect()
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the test's folder");
    folder
}

#[test]
fn each_case_has_its_result() {
    let Some(mut options) = fake(&folder("results")) else { return };
    // Long enough for every case but the one that hangs, which is killed when it is over.
    options.limit = Duration::from_secs(2);
    let mut seen = 0;
    let outcome = run(&options, &mut |_| seen += 1).expect("the suite runs");
    assert_eq!(seen, 1 + outcome.results.len(), "one event per cell and one for the start");
    assert_eq!(outcome.driver, 12020);
    let of = |id: &str| outcome.results.iter().find(|result| result.id == id).unwrap_or_else(|| panic!("no {id}"));
    for mode in ["GLOBAL", "THREAD_LOCAL", "RELAXED"] {
        for thread in ["main", "other"] {
            assert_eq!(of(&format!("pass@{mode},{thread}")).kind, Kind::Pass);
        }
    }
    assert_eq!(of("blocked").kind, Kind::Pass, "{}", of("blocked"));
    assert_eq!(of("fail").kind, Kind::Fail);
    let mismatch = &of("fail").mismatches[0];
    assert_eq!((mismatch.line, mismatch.expected.as_str(), mismatch.saw.as_str()), (7, "NONE", "ACTIVE"));
    assert_eq!(of("crash").kind, Kind::Crash);
    assert!(of("crash").detail.starts_with("in line 6, cuCtxSynchronize: signal: 6"), "{}", of("crash").detail);
    assert_eq!(of("timeout").kind, Kind::Timeout);
    assert_eq!(of("timeout").detail, "in line 6, cuProfilerStart");
    assert_eq!(of("skip_symbol").detail, "the driver does not export cuEventCreate");
    assert_eq!(of("skip_version").detail, "needs driver >= 12.3");
    assert_eq!(of("skip_unsupported").detail, "the driver does not model cuProfilerStop");
    assert_eq!(of("flake").kind, Kind::Flake);
    assert_eq!(of("calibrate").kind, Kind::Pass, "an open call accepts everything");
    assert!(!outcome.is_ok());
    let text = outcome.to_string();
    assert!(text.contains("        expected NONE\n        saw      ACTIVE"), "{text}");
    assert!(text.contains("4 unexpected rows"), "{text}");
}

#[test]
fn a_baseline_expects_failures_and_rejects_improvements() {
    let folder = folder("baseline");
    let Some(mut options) = fake(&folder) else { return };
    let baseline = folder.join("fake.txt");
    options.baseline = Some(baseline.clone());
    options.filter = Some("a".into());
    std::fs::write(&baseline, "fail fail # known\ncrash crash\nflake flake\n").unwrap();
    let outcome = run(&options, &mut |_| {}).expect("the suite runs");
    assert!(outcome.is_ok(), "{outcome}");

    std::fs::write(&baseline, "fail crash\ncalibrate fail\ngone fail\ncrash crash\nflake flake\n").unwrap();
    let found = kinds(&options);
    assert_eq!(found["fail"], Kind::Fail, "it failed in another way than listed");
    assert_eq!(found["calibrate"], Kind::UnexpectedImprovement);
    let outcome = run(&options, &mut |_| {}).expect("the suite runs");
    assert_eq!(outcome.stale, ["gone"]);
    assert!(!outcome.is_ok());
}

#[test]
fn a_golden_file_decides_what_a_case_leaves_open() {
    let folder = folder("golden");
    let Some(mut options) = fake(&folder) else { return };
    // Blessing writes beside the cases, so these are copies.
    for name in ["calibrate.case", "fail.case"] {
        std::fs::copy(options.cases.join(name), folder.join(name)).unwrap();
    }
    options.cases = folder.clone();
    let (_, path) = bless(&options, "1.2", &mut |_| {}).expect("the suite runs");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.starts_with(r#"{"id":"calibrate","end":"done","calls":[["stream S nonblocking","SUCCESS"]"#),
        "{text}"
    );
    bless(&options, "1.2", &mut |_| {}).expect("the suite runs");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "blessing again changes nothing");

    options.golden = Some(path.clone());
    let outcome = run(&options, &mut |_| {}).expect("the suite runs");
    assert_eq!(outcome.results[0].kind, Kind::Pass);
    assert_eq!(outcome.contradictions.len(), 1, "the golden file contradicts fail.case");
    assert_eq!((outcome.contradictions[0].line, outcome.contradictions[0].golden.as_str()), (7, "ACTIVE"));

    std::fs::write(&path, text.replace(r#"["status S","INVALIDATED"]"#, r#"["status S","ACTIVE"]"#)).unwrap();
    let outcome = run(&options, &mut |_| {}).expect("the suite runs");
    assert_eq!(outcome.results[0].kind, Kind::Fail);
    assert!(outcome.results[0].mismatches[0].from_golden);
}

#[test]
fn a_driver_that_is_not_there_is_one_clear_error() {
    let Some(mut options) = fake(&folder("missing")) else { return };
    *options.child.last_mut().expect("the driver") = "libcuda_none.so".into();
    let error = run(&options, &mut |_| {}).expect_err("there is no such driver");
    assert!(error.to_string().starts_with("cannot load the driver libcuda_none.so:"), "{error}");
}
