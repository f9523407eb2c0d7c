//! `graphproof explain`, as a person meets it, and the document made from the same texts.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use graphproof_harness::finding::explain;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
    command.arg("explain").args(arguments).env_remove("GRAPHPROOF_LOG");
    command
}

fn run(arguments: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = command(arguments).output().expect("the program starts");
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "graphproof explain {arguments:?} printed:\n{stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn alone_it_lists_every_id_with_its_title() {
    let (stdout, _) = run(&[], 0);
    let words = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in explain::ALL.iter() {
        let line = format!("{} {}", text.entry.id, text.entry.title);
        assert!(words.contains(&line.replace("  ", " ")), "{line}\n{stdout}");
    }
    assert!(stdout.contains("\nAddresses and allocation"), "{stdout}");
}

#[test]
fn an_id_is_explained_in_plain_text_in_a_pipe() {
    let (stdout, stderr) = run(&["C01"], 0);
    assert!(stdout.starts_with("C01: the step uses the legacy default stream"), "{stdout}");
    for heading in explain::Section::ALL.map(explain::Section::heading) {
        assert!(stdout.contains(&format!("\n{heading}\n")), "{heading}\n{stdout}");
    }
    assert!(stdout.contains("CUDA_ERROR_STREAM_CAPTURE_IMPLICIT"), "{stdout}");
    assert!(stdout.contains("cudaErrorStreamCaptureImplicit"), "{stdout}");
    assert!(!stdout.contains('\x1b') && !stdout.contains("```"), "{stdout}");
    assert_eq!(stderr, "");
}

#[test]
fn case_does_not_matter() {
    assert_eq!(run(&["c01"], 0), run(&["C01"], 0));
}

#[test]
fn an_unknown_id_gives_the_nearest_and_fails_as_a_usage_error() {
    let (stdout, stderr) = run(&["s1"], 2);
    assert_eq!(stdout, "");
    assert_eq!(stderr, "error: there is no finding id 's1'; did you mean S01? `graphproof explain` lists all ids\n");
    let (_, stderr) = run(&["\x1b[2Jnonsense"], 2);
    assert_eq!(stderr, "error: there is no finding id '\\u{1b}[2Jnonsense'; `graphproof explain` lists all ids\n");
}

#[test]
fn error_codes_are_answered_with_the_ids_behind_them() {
    let cases: [(&str, &str, &[&str]); 12] = [
        ("900", "cudaErrorStreamCaptureUnsupported", &["S01", "S02", "A01", "S07", "C11"]),
        ("901", "cudaErrorStreamCaptureInvalidated", &["C12", "S01", "C09"]),
        ("902", "cudaErrorStreamCaptureMerge", &["C06"]),
        ("903", "cudaErrorStreamCaptureUnmatched", &["C08"]),
        ("904", "cudaErrorStreamCaptureUnjoined", &["C04", "C10"]),
        ("905", "cudaErrorStreamCaptureIsolation", &["C05"]),
        ("906", "cudaErrorStreamCaptureImplicit", &["C01"]),
        ("907", "cudaErrorCapturedEvent", &["S04"]),
        ("908", "cudaErrorStreamCaptureWrongThread", &["C07"]),
        ("910", "cudaErrorGraphExecUpdateFailure", &["V06"]),
        ("401", "cudaErrorIllegalState", &["C08"]),
        ("700", "cudaErrorIllegalAddress", &["A07", "A08", "E01"]),
    ];
    for (number, runtime, ids) in cases {
        let (stdout, _) = run(&[number], 0);
        let driver = stdout.lines().next().and_then(|line| line.split_once(": ")).expect("a heading").1.to_owned();
        assert!(driver.starts_with("CUDA_ERROR_") && stdout.contains(runtime), "{stdout}");
        for id in ids {
            assert!(stdout.contains(&format!("\n  {id}  ")), "no {id} in:\n{stdout}");
        }
        assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
        for name in [runtime, &driver, &runtime.to_uppercase(), driver.trim_start_matches("CUDA_ERROR_")] {
            assert_eq!(run(&[name], 0).0, stdout, "{name}");
        }
    }
    for unknown in ["909000", "cudaErrorNonesuch", "CUDA_ERROR_"] {
        let (_, stderr) = run(&[unknown], 2);
        assert!(stderr.contains("of CUDA's error codes these are explained: 1, 2, 400, "), "{stderr}");
    }
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let mut child =
        command(&["E04"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// `UPDATE_DOCS=1` writes the document instead.
#[test]
fn the_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let book = explain::book();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("docs/ can be made");
        std::fs::write(&path, book).expect("docs/faults.md can be written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == book, "docs/faults.md is stale; run `UPDATE_DOCS=1 cargo test --test explain` and commit it");
}
