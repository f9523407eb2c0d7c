//! Jobs, `graphproof.toml` and policies, as whoever runs the gate meets them.

mod support;

use std::path::Path;

use graphproof::indexer::Indexer;
use serde_json::Value;
use support::{folder, json, run};

/// A gate over a cheap step, and the receipt that it leaves.
fn gate(folder: &Path, arguments: &[&str], code: i32) -> (String, Value) {
    let common = ["gate", "--driver", "software", "--steps", "2", "--json", "receipt.json"];
    let printed = run(folder, &[&common[..], arguments].concat(), code);
    (printed.out, json(folder, "receipt.json"))
}

/// The jobs of a receipt, as `step sk seed`.
fn lanes(receipt: &Value) -> Vec<String> {
    let lane = |lane: &Value| {
        let shape = lane["shape"].as_str().unwrap_or_default();
        let sk = shape.split(',').find(|entry| entry.starts_with("sk=")).unwrap_or_default();
        format!("{} {sk} {}", lane["step"].as_str().unwrap_or_default(), lane["seed"])
    };
    receipt["lanes"].as_array().expect("lanes").iter().map(lane).collect()
}

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("graphproof.toml"), text).expect("it can be written");
}

#[test]
fn jobs_are_all_combinations_of_steps_shapes_and_seeds() {
    let here = folder();
    let arguments = [
        "--step",
        "fused",
        "--step",
        "decode",
        "--shape",
        "sk=64,topk=8",
        "--shape",
        "sk=96,topk=8",
        "--seed",
        "3",
        "--seed",
        "4",
    ];
    let (out, receipt) = gate(here.path(), &arguments, 0);
    let expected = [
        "fused sk=64 3",
        "fused sk=64 4",
        "fused sk=96 3",
        "fused sk=96 4",
        "decode sk=64 3",
        "decode sk=64 4",
        "decode sk=96 3",
        "decode sk=96 4",
    ];
    assert_eq!(lanes(&receipt), expected);
    assert!(out.contains("\n8 jobs, 2 replays a step, built-in PTX"), "{out}");
    assert!(out.contains("step    shape  seed  verdict"), "{out}");
    assert!(out.contains("PASS: 8 jobs, 16 of 16 replays equal"), "{out}");
    // One seed for all needs no column.
    let (out, _) = gate(here.path(), &arguments[..10], 0);
    assert!(out.contains("seed 3") && out.contains("step    shape  verdict"), "{out}");
}

#[test]
fn parts_of_a_suite_make_up_the_whole() {
    let here = folder();
    let suite = ["--step", "fused", "--step", "decode", "--seed", "1", "--seed", "2"];
    let mut all = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let (out, receipt) = gate(here.path(), &[&suite[..], &["--partition", part]].concat(), 0);
        assert_eq!(receipt["request"]["partition"], part);
        let left = receipt["request"]["not_run"].as_array().expect("a list").len();
        assert_eq!(lanes(&receipt).len() + left, 4);
        assert!(out.contains(&format!("; part {part}, {left} jobs are left to the others")), "{out}");
        all.extend(lanes(&receipt));
    }
    all.sort_unstable();
    assert_eq!(all, ["decode sk=512 1", "decode sk=512 2", "fused sk=512 1", "fused sk=512 2"]);
    // A job array may have more tasks than there are jobs.
    let (out, receipt) = gate(here.path(), &["--step", "fused", "--partition", "7/8"], 0);
    assert!(lanes(&receipt).is_empty() && out.contains("PASS: 0 steps"), "{out}");
    for bad in ["0/8", "9/8", "a/b", "2"] {
        let printed = run(here.path(), &["gate", "--partition", bad], 2);
        assert!(printed.error.contains("--partition"), "{}", printed.error);
    }
}

#[test]
fn the_file_written_by_init_changes_nothing_and_is_never_overwritten() {
    let here = folder();
    let printed = run(here.path(), &["init"], 0);
    assert!(printed.out.contains("wrote graphproof.toml"), "{}", printed.out);
    let written = std::fs::read_to_string(here.path().join("graphproof.toml")).expect("written");
    let read = graphproof::config::Settings::parse(Path::new("graphproof.toml"), &written, &Indexer::default())
        .expect("it is read");
    let defaults = graphproof::config::Settings::of(&Indexer::default());
    assert_eq!(read, graphproof::config::Settings { file: Some("graphproof.toml".into()), ..defaults });
    write(here.path(), "steps = 7\n");
    let printed = run(here.path(), &["init"], 14);
    assert!(printed.error.contains("stays as it is"), "{}", printed.error);
    assert_eq!(std::fs::read_to_string(here.path().join("graphproof.toml")).expect("there"), "steps = 7\n");
}

#[test]
fn the_file_is_found_up_to_the_root_of_the_checkout_and_the_command_line_wins() {
    let here = folder();
    write(here.path(), "suite = ['fused']\nseeds = [5, 6]\nsteps = 3\ndriver = 'software'\n");
    let deep = here.path().join("a/b");
    std::fs::create_dir_all(&deep).expect("folders");
    // No checkout: what lies above is somebody else's.
    let printed = run(&deep, &["gate", "-v", "--driver", "software", "--step", "decode", "--steps", "1"], 0);
    assert!(printed.error.contains("no graphproof.toml"), "{}", printed.error);
    std::fs::create_dir(here.path().join(".git")).expect("a folder");
    let printed = run(&deep, &["gate", "-v", "--json", "r.json"], 0);
    assert!(printed.error.contains("graphproof.toml"), "{}", printed.error);
    let receipt = json(&deep, "r.json");
    assert_eq!(lanes(&receipt), ["fused sk=512 5", "fused sk=512 6"]);
    assert_eq!(receipt["lanes"][0]["steps_asked"], 3);
    assert_eq!(receipt["request"]["config"]["file"], "../../graphproof.toml");
    let printed = run(&deep, &["gate", "--seed", "9", "--steps", "1", "--json", "r.json"], 0);
    assert!(printed.out.contains("1 of 1 replays"), "{}", printed.out);
    assert_eq!(lanes(&json(&deep, "r.json")), ["fused sk=512 9"]);
    let printed = run(&deep, &["gate", "--no-config", "--driver", "software", "--steps", "1"], 0);
    assert!(printed.out.contains("PASS: 4 steps"), "{}", printed.out);
}

#[test]
fn the_help_lists_the_exit_codes() {
    let here = folder();
    for arguments in [&["--help"][..], &["gate", "--help"]] {
        let out = run(here.path(), arguments, 0).out;
        assert!(out.contains("Exit codes:") && out.contains("130  stopped by Ctrl-C"), "{out}");
    }
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    let here = folder();
    write(here.path(), "# a comment\nsteps = 3\nsteppes = 4\n");
    let printed = run(here.path(), &["gate"], 2);
    assert!(
        printed.error.contains("graphproof.toml:3:1: unknown key 'steppes'; did you mean 'step"),
        "{}",
        printed.error
    );
    write(here.path(), "[[allow]]\nid = \"V07\"\n");
    let printed = run(here.path(), &["gate"], 2);
    assert!(printed.error.contains("graphproof.toml:1:1: this [[allow]] of V07 has no 'reason'"), "{}", printed.error);
    let printed = run(here.path(), &["gate", "--config", "missing.toml"], 14);
    assert!(printed.error.contains("missing.toml cannot be read"), "{}", printed.error);
}

#[test]
fn an_allowed_finding_is_a_warning_with_its_reason() {
    let here = folder();
    write(
        here.path(),
        "suite = ['fused', 'decode']\n[policy]\nlocked = true\n\
         [[allow]]\nid = 'T02'\nstep = 'fused'\nreason = 'nobody reviewed it yet'\n\
         [[allow]]\nid = 'V07'\nstep = 'decode'\nreason = 'it was once'\n",
    );
    let (out, receipt) = gate(here.path(), &[], 1);
    assert!(
        out.contains("warning[T02]") && out.contains("= allowed: nobody reviewed it yet (graphproof.toml:5)"),
        "{out}"
    );
    assert!(out.contains("error[T02]") && out.contains("1 finding, 1 allowed"), "{out}");
    let unused = "graphproof.toml:9: unused allow: no finding V07 in step 'decode'; remove the entry";
    assert!(out.contains(&format!("warning: {unused}")), "{out}");
    assert_eq!(receipt["request"]["config"]["unused_allow"][0], unused);
    assert_eq!(receipt["lanes"][0]["findings"][0]["severity"], "warning");
    assert_eq!(receipt["lanes"][0]["findings"][0]["allowed"], "nobody reviewed it yet (graphproof.toml:5)");
    assert_eq!((&receipt["lanes"][0]["verdict"], &receipt["lanes"][1]["verdict"]), (&"pass".into(), &"fail".into()));
    let (_, receipt) = gate(here.path(), &["--no-locked"], 0);
    assert_eq!(receipt["lanes"][1]["findings"], serde_json::json!([]));
    // An entry about a step that does not run is not unused.
    let (out, _) = gate(here.path(), &["--step", "fused"], 0);
    assert!(out.contains("allowed") && !out.contains("unused"), "{out}");
}

#[test]
fn the_first_failure_ends_the_run_if_it_is_to() {
    let here = folder();
    let arguments = ["--locked", "--step", "fused", "--step", "decode", "--fail-fast"];
    let (out, receipt) = gate(here.path(), &arguments, 1);
    assert_eq!(receipt["lanes"][1]["verdict"], "not-run");
    assert!(out.contains("step 'fused' failed before, and --fail-fast ends the run there"), "{out}");
    assert!(out.contains("1 not run"), "{out}");
    write(here.path(), "[policy]\nfail-fast = true\n");
    let (_, receipt) = gate(here.path(), &[&arguments[..5], &["--no-fail-fast"]].concat(), 1);
    assert_eq!(receipt["lanes"][1]["verdict"], "fail");
}

#[test]
fn a_retry_that_fails_too_adds_nothing_and_one_that_passes_is_a_finding() {
    let here = folder();
    let (out, receipt) = gate(here.path(), &["--locked", "--step", "fused", "--retries", "2"], 1);
    assert_eq!(receipt["lanes"][0]["findings"].as_array().map(Vec::len), Some(1), "{out}");
    let printed =
        run(here.path(), &["faults", "--filter", "first-run-only", "--driver", "software", "--json", "m.json"], 0);
    assert!(printed.out.contains("V14 first-run-only"), "{}", printed.out);
    let row = &json(here.path(), "m.json")["rows"][0];
    let found: Vec<&str> = row["found"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    // The findings of the first run stay.
    assert!(found.len() > 1 && found.last() == Some(&"V14"), "{found:?}");
}
