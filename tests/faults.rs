//! The planted faults, through the binary: the matrix is complete, and clean runs find nothing.

use std::process::{Command, Output};

fn graphproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graphproof")).args(arguments).output().expect("the program starts")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_planted_fault_is_caught_and_every_clean_twin_is_silent() {
    let output = graphproof(&["faults", "--driver", "software"]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("\nPASS: ") && text.contains("not planted:"), "{text}");
}

#[test]
fn clean_lanes_over_seeds_and_shapes_find_nothing() {
    let output = graphproof(&["faults", "--clean", "--seeds", "1", "--shapes", "20", "--driver", "software"]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("PASS: 80 of 80 runs, 320 replays"), "{text}");
}

#[test]
fn the_matrix_is_written_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("matrix.json");
    let path = file.to_str().expect("a path in UTF-8");
    let output = graphproof(&["faults", "--filter", "missing-memset", "--driver", "software", "--json", path]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let matrix: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("written")).expect("JSON");
    let row = &matrix["rows"][0];
    assert_eq!((row["row"].as_str(), row["expected"].as_str()), (Some("G09"), Some("V05")), "{row:#}");
    assert_eq!(row["place_named"], true, "{row:#}");
    assert!(
        row["finding"]["site"]["file"].as_str().is_some_and(|file| file.ends_with("g09_missing_memset.rs")),
        "{row:#}"
    );
}

#[test]
fn an_unknown_filter_is_a_usage_error() {
    let output = graphproof(&["faults", "--filter", "no such thing", "--driver", "software"]);
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
}

#[test]
fn without_a_call_record_what_only_it_tells_is_not_checked_and_nothing_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("matrix.json");
    let path = file.to_str().expect("a path in UTF-8");
    let output = graphproof(&["faults", "--without-record", "--driver", "software", "--json", path]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for name in ["lazy-load", "tunes-at-first-call", "update-refused", "graphs-pile-up", "events-pile-up"] {
        assert!(text.contains("not checked: no call record on this driver, and nothing else tells"), "{text}");
        assert!(text.lines().any(|line| line.contains(name) && line.ends_with("not checked")), "{name}: {text}");
    }
    let matrix: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("written")).expect("JSON");
    let rows = matrix["rows"].as_array().expect("rows");
    let untold: Vec<&str> =
        rows.iter().filter(|row| row["untold"] == true).filter_map(|row| row["row"].as_str()).collect();
    let expected = [
        "S11", "S15", "V06", "L02", "L02", "A13", "A13", "A14", "L05", "L05", "L05", "L05", "L06", "L06", "L06", "L06",
    ];
    assert!(untold.iter().all(|id| expected.contains(id)), "{untold:?}");
    assert!(["S11", "S15", "V06", "L02", "A13", "L06"].iter().all(|id| untold.contains(id)), "{untold:?}");
    assert!(rows.iter().all(|row| row["missed"].is_null()), "{text}");
}

#[test]
fn a_report_says_which_checks_read_a_record_that_is_not_there() {
    let shown = |arguments: &[&str]| {
        printed(&graphproof(&[&["faults", "--driver", "software", "--show", "baked-scalar"], arguments].concat()))
    };
    let without = shown(&["--without-record"]);
    assert!(
        without.contains(
            "not checked in step 'baked-scalar': no call record on this driver: A13, A14, L02, L06, S11, S15, V06 are not looked for"
        ),
        "{without}"
    );
    assert!(!shown(&[]).contains("not checked"));
}
