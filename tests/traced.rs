//! `graphproof trace`, and the recorder in front of the software driver: the answers are the same.
#![cfg(target_arch = "x86_64")]

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use graphproof::conformance::{Cases, Driver, Options, Outcome, child_main, newest_golden, run};
use graphproof_door::{Trace, save};
use graphproof_forward::{Forwarder, find_software};

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

/// Runs the cells that `filter` names on the libcuda that a child opens by `driver`.
fn conformance(driver: &str, variables: &[(&'static str, OsString)], filter: Option<&str>) -> Outcome {
    let cases = Cases::present().expect("a folder of cases");
    let mut child: Vec<OsString> = vec!["env".into()];
    child.extend(variables.iter().map(|(name, value)| {
        let mut text = OsString::from(format!("{name}="));
        text.push(value);
        text
    }));
    child.push(std::env::current_exe().expect("this test's own file").into());
    // Cells may begin with a dash, and are no options.
    child.extend(["child", "--exact", "--ignored", "--", driver].map(OsString::from));
    let options = Options {
        cases: cases.folder().to_owned(),
        child,
        baseline: Some(cases.folder().join("baseline/software.txt")).filter(|path| path.exists()),
        golden: newest_golden(&cases.folder().join("golden")),
        filter: filter.map(str::to_owned),
        jobs: std::thread::available_parallelism().map_or(2, usize::from),
        limit: Duration::from_secs(60),
        stop: Default::default(),
    };
    run(&options, &mut |_| {}).expect("the suite runs")
}

/// Compares the answers of the software driver with and without the recorder in front of it; gives the
/// folder of the records.
fn compare(filter: Option<&str>) -> (tempfile::TempDir, usize) {
    let behind = find_software().expect("cargo builds it beside the tests");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let records = folder.path().join("records");
    std::fs::create_dir(&records).unwrap();
    let forwarder = Forwarder::new(folder.path(), behind.clone()).unwrap();
    let direct = conformance(&behind.path.to_string_lossy(), &[], filter);
    let recorded = conformance("libcuda.so.1", &forwarder.environment(&records), filter);
    assert_eq!(direct.results.len(), recorded.results.len());
    for (direct, recorded) in direct.results.iter().zip(&recorded.results) {
        assert_eq!(format!("{direct}"), format!("{recorded}"));
    }
    assert!(recorded.results.iter().all(|result| !result.unexpected), "{recorded}");
    (folder, recorded.results.len())
}

#[test]
fn the_whole_suite_answers_the_same_through_the_recorder() {
    let (_folder, cells) = compare(None);
    assert!(cells > 2000, "{cells}");
}

#[test]
fn every_cell_leaves_a_whole_record() {
    let (folder, cells) = compare(Some("legacy"));
    let trace = Trace::open(&folder.path().join("records")).unwrap();
    // One more asks for the version.
    assert_eq!(trace.processes.len(), cells + 1);
    for process in &trace.processes {
        assert_eq!((process.damage, process.lost), (Default::default(), 0));
        assert!(process.events().count() > 2);
    }
}

fn graphproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graphproof")).args(arguments).output().unwrap()
}

fn program(name: &str) -> String {
    format!("{}/driver/forward/tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_program_runs_as_without_and_its_record_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let script = program("capture.py");
    let save = saved.to_str().unwrap();
    let output = graphproof(&["trace", "--driver", "software", "--save", save, "--", "python3", &script, "7"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "word 7\nsynchronise 900\nend 901\n");
    assert!(errors.contains("the program ended with code 7"), "{errors}");
    let trace = Trace::open(&saved).unwrap();
    assert_eq!(trace.processes.len(), 1);
}

#[test]
fn children_are_followed_and_a_signal_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let script = program("capture.py");
    let line = format!("python3 {script} >/dev/null; python3 {script} >/dev/null & wait; kill -TERM $$");
    let save = saved.to_str().unwrap();
    let output = graphproof(&["trace", "--driver", "software", "--save", save, "--", "sh", "-c", &line]);
    assert_eq!(output.status.signal(), Some(15), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Trace::open(&saved).unwrap().processes.len(), 2);
}

#[test]
fn without_a_record_there_is_no_verdict() {
    let output = graphproof(&["trace", "--driver", "software", "--", "true"]);
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("No record, no verdict"), "{errors}");

    let script = program("capture.py");
    let dropped = ["trace", "--driver", "software", "--", "env", "-u", "LD_LIBRARY_PATH", "python3", &script];
    let errors = String::from_utf8_lossy(&graphproof(&dropped).stderr).into_owned();
    assert!(errors.contains("No record, no verdict"), "{errors}");

    let output = graphproof(&["trace", "--driver", "software", "--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no program no-such-program"));
}

#[test]
fn a_static_program_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("main.c"), folder.path().join("static"));
    std::fs::write(&source, "int main(void) { return 3; }").unwrap();
    let compiled = Command::new("cc").arg("-static").arg("-o").args([&out, &source]).output();
    if !compiled.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no C compiler that links statically");
        return;
    }
    let output = graphproof(&["trace", "--driver", "software", "--", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("linked statically"), "{errors}");
}

/// A folder with records is what `save` makes one file of.
#[test]
fn a_folder_without_records_saves_to_an_empty_trace() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    save(folder.path(), &saved).unwrap();
    assert!(Trace::open(&saved).is_err());
}
