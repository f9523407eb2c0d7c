//! The command line, as a person meets it: what it prints, and the code that it exits with.

use std::path::Path;
use std::process::{Command, Output};

fn graphproof(arguments: &[&str]) -> Output {
    graphproof_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

fn graphproof_in(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().expect("the program starts")
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_remove("GRAPHPROOF_LOG")
        .env_remove("GITHUB_ACTIONS")
        .env("GRAPHPROOF_TELL_AFTER", "off");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs and checks the exit code; what was printed, standard error after standard output.
fn run(arguments: &[&str], code: i32) -> String {
    let output = graphproof(arguments);
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "graphproof {arguments:?} printed:\n{all}");
    all
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Times and versions change from run to run; nothing else may.
    settings.add_filter(r"\d+(\.\d+)? (ns|us|ms|s)\b( \([\d.]+-[\d.]+\))?", "[time]");
    settings.add_filter(r"\d+\.\d%", "[ratio]");
    settings.add_filter(r"graphproof \d+\.\d+\.\d+", "graphproof [version]");
    settings.add_filter(r" {2,}", "  ");
    settings
}

#[test]
fn the_default_suite_passes_and_says_so() {
    let output = run(&["--driver", "software", "--steps", "12"], 0);
    settings().bind(|| insta::assert_snapshot!("gate_default_suite", output));
}

#[test]
fn steps_run_on_the_stream_and_are_captured_in_the_mode_that_is_asked_for() {
    for (stream, mode) in [("nonblocking", "thread-local"), ("per-thread", "relaxed"), ("legacy", "global")] {
        let asked = ["gate", "--step", "decode", "--driver", "software", "--steps", "4", "--stream", stream];
        let output = run(&[&asked[..], &["--mode", mode]].concat(), 0);
        assert!(output.contains("PASS: 1 step, 4 of 4 replays equal"), "{output}");
        assert!(output.contains(&format!("run on a {stream} stream and captured in {mode} mode")), "{output}");
    }
    assert!(run(&["gate", "--stream", "wide"], 2).contains("'wide' is none of blocking, nonblocking"));
}

#[test]
fn the_tensor_core_variant_passes_too() {
    let output = run(&["gate", "--step", "fused-mma", "--driver", "software", "--steps", "12"], 0);
    assert!(output.contains("PASS: 1 step, 12 of 12 replays equal"), "{output}");
}

#[test]
fn the_lanes_for_hopper_pass_on_a_device_of_sm_90() {
    for step in ["fused-wgmma", "fused-fp8"] {
        let arguments = ["gate", "--step", step, "--driver", "software", "--steps", "12"];
        let mut command = command(Path::new(env!("CARGO_MANIFEST_DIR")), &arguments);
        let output = command.env("GRAPHPROOF_COMPUTE_CAPABILITY", "9.0").output().expect("the program starts");
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(printed.contains("1 step, 12 of 12 replays equal to eager bit for bit"), "{printed}");
    }
}

#[test]
fn other_shapes_pass() {
    for shape in ["sq=1,sk=37,b=3,h=5,d=32,topk=64", "sq=7,sk=300,b=2,h=3,d=128,topk=100", "sq=33,sk=65,h=1,topk=1"] {
        let output = run(&["--driver", "software", "--steps", "14", "--shape", shape], 0);
        assert!(output.contains("PASS: 4 steps, 56 of 56 replays equal"), "{shape}\n{output}");
    }
}

#[test]
fn every_check_is_listed_with_what_it_finds() {
    use graphproof_harness::finding::{Check, Id};
    let output = run(&["list", "--checks"], 0);
    let json: serde_json::Value = serde_json::from_str(&run(&["list", "--checks", "--json"], 0)).expect("JSON");
    let json = json.as_array().expect("a list");
    assert_eq!((output.lines().count(), json.len()), (Check::ALL.len(), Check::ALL.len()));
    for ((line, entry), check) in output.lines().zip(json).zip(Check::ALL) {
        assert!(line.starts_with(check.name()) && line.contains(check.reads()), "{line}");
        assert_eq!((entry["name"].as_str(), entry["reads"].as_str()), (Some(check.name()), Some(check.reads())));
        let finds: Vec<Id> = serde_json::from_value(entry["finds"].clone()).expect("ids");
        assert!(!finds.is_empty() && finds.iter().all(|id| line.contains(id.as_str())), "{line}");
    }
    let steps: serde_json::Value = serde_json::from_str(&run(&["list", "--json"], 0)).expect("JSON");
    assert_eq!(steps.as_array().expect("a list").len(), run(&["list"], 0).lines().count());
}

#[test]
fn every_step_is_listed() {
    let output = run(&["list"], 0);
    settings().bind(|| insta::assert_snapshot!("list", output));
}

#[test]
fn graphs_are_printed_with_addresses_named_by_buffer() {
    for step in ["materialized", "streamed", "fused", "decode", "fused-mma"] {
        let output = run(&["graph", step, "--driver", "software"], 0);
        // No filters: `gate --locked` compares with these files to the letter.
        let mut settings = insta::Settings::new();
        settings.set_snapshot_path("../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("graph_{step}"), output));
    }
    let dot = run(&["graph", "fused", "--dot", "--driver", "software"], 0);
    assert!(dot.starts_with("digraph \"fused\" {") && dot.trim_end().ends_with('}'), "{dot}");
}

#[test]
fn a_locked_gate_accepts_only_reviewed_graphs() {
    let arguments = ["gate", "--driver", "software", "--steps", "1", "--step", "fused", "--locked"];
    run(&arguments, 0);
    let output = run(&[&arguments[..], &["--shape", "topk=32"]].concat(), 1);
    assert!(output.contains("error[T01]") && output.contains("+     14 32"), "{output}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = text(&graphproof_in(folder.path(), &arguments).stdout);
    assert!(output.contains("error[T02]"), "{output}");
}

#[test]
fn the_software_driver_does_in_capture_what_a_gpu_did() {
    let output = run(&["conformance", "--driver", "software"], 0);
    assert!(output.contains("no unexpected row"), "{output}");
}

#[test]
fn only_a_gpu_can_be_blessed() {
    let output = run(&["conformance", "--driver", "software", "--bless-as", "1.0"], 2);
    assert!(output.contains("needs --driver system"), "{output}");
}

#[test]
fn the_doctor_says_which_driver_and_why() {
    let output = run(&["doctor", "--driver", "software"], 0);
    for word in ["driver", "software", "because", "device", "kernels", "nvrtc", "cudart"] {
        assert!(output.contains(word), "no '{word}' in:\n{output}");
    }
}

#[test]
fn what_cannot_run_says_why_and_exits_with_its_code() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["gate", "--step", "nonesuch"], 2, "no step is called 'nonesuch'; the steps are materialized"),
        (&["--shape", "topk=0"], 2, "topk"),
        (&["--shape", "d=48"], 2, "d=48"),
        (&["--shape", "sq=0"], 2, "sq"),
        (&["--shape", "sq=x"], 2, "sq"),
        (&["--shape", "nope=3"], 2, "nope"),
        (&["--shape", "sq=4294967295,sk=4294967295,b=4294967295,h=4294967295"], 2, "--shape"),
        (&["--steps", "0"], 2, "0"),
        (&["--driver", "cuda"], 2, "'cuda' is none of auto, system, software"),
        (
            &["--driver", "software", "--shape", "sq=65536,sk=131072,h=64,topk=64", "--step", "materialized"],
            12,
            "choose a smaller --shape",
        ),
        (&["--json", "no/such/folder/receipt.json"], 14, "no/such/folder/receipt.json"),
        (&["--json", "src"], 14, "it is a directory"),
    ];
    for (arguments, code, word) in cases {
        let output = run(arguments, *code);
        assert!(output.contains(word), "graphproof {arguments:?}: no '{word}' in:\n{output}");
        assert!(!output.contains("panicked"), "graphproof {arguments:?} panicked:\n{output}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_with_a_way_out() {
    if Path::new("/dev/nvidiactl").exists() {
        eprintln!("skipped: this machine has a GPU");
        return;
    }
    let output = run(&["--driver", "system"], 10);
    assert!(output.contains("--driver software"), "{output}");
}

#[test]
fn the_receipt_holds_what_ran() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output =
        graphproof_in(folder.path(), &["--driver", "software", "--steps", "2", "--step", "fused", "--json", "r.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let receipt = std::fs::read_to_string(folder.path().join("r.json")).expect("the receipt is there");
    let receipt: serde_json::Value = serde_json::from_str(&receipt).expect("the receipt is JSON");
    assert_eq!(receipt["driver"]["kind"], "software");
    assert_eq!(receipt["lanes"][0]["step"], "fused");
    assert_eq!(receipt["lanes"][0]["verdict"], "pass");
    assert_eq!(receipt["lanes"][0]["steps_agreeing"], 2);
    assert!(receipt["sources"].as_array().is_some_and(|sources| !sources.is_empty()));
    let files: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert_eq!(files, ["r.json"], "nothing else is left behind");
}

#[test]
fn a_pipe_gets_no_progress_bar_and_no_colour() {
    let output = graphproof(&["--driver", "software", "--steps", "2", "--step", "fused"]);
    assert_eq!(text(&output.stderr), "");
    assert!(!text(&output.stdout).contains('\u{1b}'));
}

/// One run for each stream and mode, told apart by the shape; and each step in a process of its own that has not
/// run it.
#[test]
fn steps_run_on_several_streams_in_several_modes_and_cold() {
    const SUITE: &str = "examples/steps/chain.toml";
    let lists = ["--stream", "blocking,nonblocking", "--mode", "global,relaxed"];
    let gate = ["gate", "--driver", "software", "--suite", SUITE, "--steps", "2", "--cold", "--no-config"];
    let told = run(&[&gate[..], &lists].concat(), 0);
    for job in ["width=100  ", "width=100,mode=relaxed", "width=100,stream=nonblocking  ", "nonblocking,mode=relaxed"] {
        assert!(told.contains(job), "no job {job:?} in:\n{told}");
    }
    assert!(told.contains("PASS: 4 jobs") && !told.contains("--cold:"), "{told}");
    let cold = ["cold", "chain", "--suite", SUITE, "--driver", "software", "--then", "width=300"];
    assert_eq!(run(&[&cold[..], &["--json"]].concat(), 0), "[]\n");
    assert!(run(&cold, 0).contains("its first capture is as later ones"));
    let wrong = run(&["gate", "--driver", "software", "--stream", "blocking,green"], 2);
    assert!(wrong.contains("'green' is none of blocking, nonblocking, per-thread, legacy"), "{wrong}");
}
