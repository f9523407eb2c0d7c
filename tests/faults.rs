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

/// A wait that is missing is told without any other order, and under other orders by what comes of it; the twin waits, and
/// is right under all.
#[test]
fn a_kernel_that_begins_too_early_is_told_by_what_it_touches_and_by_what_it_gives() {
    let ids = |twin: bool, orders: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
        command.args(["fault-child", "begins-too-early", "--driver", "software", "--orders", orders]);
        command.args(twin.then_some("--twin")).env("GRAPHPROOF_COMPUTE_CAPABILITY", "9.0");
        let output = command.output().expect("the program starts");
        let reports: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = reports[0]["findings"].as_array().expect("findings").iter();
        findings.map(|finding| finding["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(false, "0"), ["L05"]);
    assert_eq!(ids(false, "1"), ["L05", "V15"]);
    assert_eq!(ids(true, "64"), [""; 0]);
}

#[test]
fn an_unknown_filter_is_a_usage_error() {
    let output = graphproof(&["faults", "--filter", "no such thing", "--driver", "software"]);
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
}

/// Faults that only calls tell, or tell apart from their kin.
const BY_CALLS: [&str; 10] = [
    "sync-other-stream",
    "other-thread-sync",
    "pageable-upload",
    "free-in-step",
    "lazy-load",
    "tunes-at-first-call",
    "update-refused",
    "graphs-pile-up",
    "events-pile-up",
    "fork-destroyed",
];

/// The rows of a run of `faults` that passes.
fn rows(command: &mut Command) -> (String, Vec<serde_json::Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("matrix.json");
    let output = command.arg("--json").arg(&file).output().expect("the program starts");
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let matrix: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("written")).expect("JSON");
    (text, matrix["rows"].as_array().expect("rows").clone())
}

fn names(rows: &[serde_json::Value], keep: impl Fn(&serde_json::Value) -> bool) -> Vec<&str> {
    rows.iter().filter(|row| keep(row)).filter_map(|row| row["name"].as_str()).collect()
}

/// As `--driver system` does with NVIDIA's: the recorder comes in front of a libcuda that is found by its name,
/// and the gate hears what passes. What stands behind is the software driver as a library.
#[test]
#[cfg(target_arch = "x86_64")]
fn on_a_driver_of_the_system_the_gate_hears_the_calls() {
    use graphproof_kernels::faults::{Evidence, Fault, all};

    let behind = graphproof_forward::find_software().expect("cargo builds it beside the tests");
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(&behind.path, folder.path().join("libcuda.so.1")).expect("a link");
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
    command.args(["faults", "--driver", "system", "--jobs", "2"]).env("LD_LIBRARY_PATH", folder.path());
    let (text, rows) = rows(&mut command);
    assert!(text.contains("system driver"), "{text}");
    assert!(names(&rows, |row| !row["missed"].is_null()).is_empty(), "{text}");
    // All that does not need the interpreter is told, and under its own id.
    let needs_it = |fault: &&Fault| matches!(fault.expected.needs, Some(Evidence::Accesses | Evidence::Order));
    let needs: Vec<&str> = all().iter().filter(needs_it).map(|fault| fault.name).collect();
    assert_eq!(names(&rows, |row| row["untold"] == true), needs, "{text}");
    assert!(names(&rows, |row| row["finding"]["id"] == row["expected"]).len() == rows.len() - needs.len(), "{text}");
    assert!(text.contains(
        "not checked: what each kernel reads and writes is seen on the software driver only, and nothing else tells \
         L06 host-function-counts"
    ));
    assert!(
        text.contains("the order of work is NVIDIA's driver's own, and nothing else tells V15 last-block-comes-first")
    );
    // What a tensor map looks like is told from the call that encoded it: its layout is the driver's own.
    for name in ["moved-behind-map", "remembered-map"] {
        let row = rows.iter().find(|row| row["name"] == name).expect("a row");
        let expected = row["finding"]["expected"].as_str().expect("text");
        assert!(expected.contains("parameter 0, the tensor map of 16x4 f32 in boxes of 16x2"), "{row:#}");
    }
}

/// What is more than is copied is looked at by digests first, and byte by byte at the next step.
#[test]
#[cfg(target_arch = "x86_64")]
fn on_a_driver_of_the_system_large_memory_is_looked_at_by_digests() {
    let behind = graphproof_forward::find_software().expect("cargo builds it beside the tests");
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(&behind.path, folder.path().join("libcuda.so.1")).expect("a link");
    let graphproof = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
        command.args(["faults", "--driver", "system"]).args(arguments).env("LD_LIBRARY_PATH", folder.path());
        command.env("GRAPHPROOF_MAP_LIMIT", "0");
        command
    };
    for name in ["weights-in-the-pool", "constants-under-scratch"] {
        let (text, rows) = rows(&mut graphproof(&["--filter", name]));
        assert_eq!(names(&rows, |row| row["finding"]["id"] == "A13" && row["place_named"] == true), [name], "{text}");
        assert_eq!(names(&rows, |row| row["twin"] == serde_json::json!([])), [name], "{text}");
    }
    // It clears what the first replay has cleared: nothing changes again.
    let text = printed(&graphproof(&["--show", "clears-too-much"]).output().expect("the program starts"));
    assert!(text.contains("a replay changed: it was seen by digests alone") && !text.contains("A13]"), "{text}");
}

#[test]
fn without_a_call_record_what_only_it_tells_is_not_checked_and_nothing_is_missed() {
    let untold = ["lazy-load", "tunes-at-first-call", "update-refused", "graphs-pile-up", "events-pile-up"];
    for name in BY_CALLS.into_iter().chain(["plan-stream", "reads-before-join", "clears-too-much"]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
        command.args(["faults", "--no-record", "--driver", "software", "--filter", name]);
        let (text, rows) = rows(&mut command);
        assert_eq!(names(&rows, |row| !row["missed"].is_null()), [""; 0], "{text}");
        let is_untold = !names(&rows, |row| row["untold"] == true).is_empty();
        assert_eq!(is_untold, untold.contains(&name) || ["plan-stream", "clears-too-much"].contains(&name), "{text}");
        let why = match name {
            _ if !is_untold => continue,
            "plan-stream" | "clears-too-much" => {
                "what each kernel reads and writes is seen on the software driver only"
            }
            _ => "calls of the driver are not recorded (--no-record)",
        };
        assert!(text.contains(&format!("not checked: {why}, and nothing else tells")), "{text}");
    }
}

#[test]
fn a_report_says_which_checks_read_a_record_that_is_not_there() {
    let shown = |arguments: &[&str]| {
        printed(&graphproof(&[&["faults", "--driver", "software", "--show", "baked-scalar"], arguments].concat()))
    };
    let without = shown(&["--no-record"]);
    for said in [
        "calls of the driver are not recorded (--no-record): L02, S11, S15, V06 are not looked for",
        "what each kernel reads and writes is seen on the software driver only: A13, A14, L06 are not looked for",
    ] {
        assert!(without.contains(&format!("not checked in step 'baked-scalar': {said}")), "{without}");
    }
    assert!(!shown(&[]).contains("not checked"));
}
