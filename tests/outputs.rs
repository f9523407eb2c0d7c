//! The files that a run writes: no two are one, their modes stay, and what was left is collected.
#![cfg(unix)]

mod checkout;
mod made;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use made::{base, files, folder, graphproof, program, run, write};

const GATE: [&str; 7] = ["gate", "--driver", "software", "--steps", "2", "--step=fused", "--no-geometry"];

/// Runs the gate, which must not begin.
fn refused(folder: &Path, more: &[&str], code: i32, words: &str) {
    let output = run(folder, &[&GATE[..], more].concat(), code);
    assert!(output.contains(words), "no '{words}' in:\n{output}");
    assert!(!output.contains("software driver:"), "nothing was run:\n{output}");
}

#[test]
fn two_outputs_on_one_path_are_refused() {
    let here = folder();
    std::fs::create_dir(here.path().join("deep")).expect("a folder");
    symlink("a", here.path().join("link")).expect("a link");
    symlink("deep", here.path().join("deeper")).expect("a link");
    let options = ["--json", "--events", "--html", "--trace", "--junit", "--sarif"];
    for first in options {
        for second in options.into_iter().filter(|second| *second != first) {
            refused(here.path(), &[first, "a", second, "./a"], 2, "are one file");
        }
    }
    refused(here.path(), &["--json", "deep/b", "--html", "deeper/../deep/b"], 2, "--json and --html are one file");
    std::fs::write(here.path().join("a"), "old").expect("written");
    refused(here.path(), &["--events", "a", "--junit", "link"], 2, "--events and --junit are one file");
    assert_eq!(std::fs::read_to_string(here.path().join("a")).expect("readable"), "old");
    std::fs::write(here.path().join("graphproof.toml"), "steps = 2\n").expect("written");
    refused(here.path(), &["--html", "graphproof.toml"], 2, "the configuration and --html are one file");
    // What takes any number of writers may be named twice.
    run(here.path(), &[&GATE[..], &["--json", "/dev/null", "--html", "/dev/null"]].concat(), 0);
    let mut summary = program(here.path());
    summary.args(GATE).args(["--github", "--json", "s.json"]).env("GITHUB_STEP_SUMMARY", "s.json");
    assert_eq!(summary.output().expect("the program starts").status.code(), Some(2));
    let checkout = checkout::checkout();
    refused(checkout.path(), &["--against", "HEAD", "--json", "x", "--json-against", "x"], 2, "are one file");
}

#[test]
fn an_output_never_replaces_what_is_read() {
    let here = folder();
    write(here.path(), "r.json", base());
    let before = std::fs::read(here.path().join("r.json")).expect("readable");
    for arguments in [
        &["report", "r.json", "--html", "r.json"][..],
        &["report", "./r.json", "--json", "r.json"],
        &["diff", "r.json", "r.json", "--json", "r.json"],
        &["merge", "r.json", "r.json"],
    ] {
        run(here.path(), arguments, 2);
        assert_eq!(std::fs::read(here.path().join("r.json")).expect("readable"), before, "{arguments:?}");
    }
    run(here.path(), &["diff", "r.json", "r.json"], 0);
}

#[test]
fn a_file_keeps_its_mode() {
    let here = folder();
    let names = ["r.json", "r.html", "r.xml", "r.sarif", "t.json", "e.jsonl"];
    for (name, mode) in names.into_iter().zip([0o600, 0o640, 0o664, 0o666, 0o755, 0o606]) {
        std::fs::write(here.path().join(name), "old").expect("written");
        std::fs::set_permissions(here.path().join(name), std::fs::Permissions::from_mode(mode)).expect("set");
    }
    let files = ["--json", "r.json", "--html", "r.html", "--junit", "r.xml", "--sarif", "r.sarif", "--trace", "t.json"];
    run(here.path(), &[&GATE[..], &files, &["--events", "e.jsonl"]].concat(), 0);
    let modes = names.map(|name| {
        let found = here.path().join(name).metadata().expect("it is there");
        assert!(found.len() > 3, "{name} was written");
        found.permissions().mode() & 0o7777
    });
    assert_eq!(modes, [0o600, 0o640, 0o664, 0o666, 0o755, 0o606]);
}

#[test]
fn what_a_killed_run_left_is_collected_and_what_another_writes_is_not() {
    let here = folder();
    std::fs::write(here.path().join(".graphproof-killed.tmp"), "half a receipt").expect("written");
    std::fs::write(here.path().join(".graphproofrc.tmp"), "somebody else's").expect("written");
    let other = std::fs::File::create(here.path().join(".graphproof-written.tmp")).expect("made");
    other.lock().expect("locked");
    run(here.path(), &[&GATE[..], &["--json", "r.json"]].concat(), 0);
    assert_eq!(files(here.path()), [".graphproof-written.tmp", ".graphproofrc.tmp", "r.json"]);
    drop(other);
    run(here.path(), &["report", "r.json", "--html", "r.html"], 0);
    assert_eq!(files(here.path()), [".graphproofrc.tmp", "r.html", "r.json"]);
}

#[test]
fn a_name_that_cannot_be_is_told_before_the_run() {
    let here = folder();
    let long = "x".repeat(256);
    let deep = "y/".repeat(3000) + "z";
    for option in ["--json", "--html", "--trace", "--junit", "--sarif", "--events"] {
        for name in [&long, &deep] {
            refused(here.path(), &[option, name], 14, "name too long");
        }
        refused(here.path(), &[option, "no/such/r"], 14, "no/such/r");
    }
    assert!(files(here.path()).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_told_before_the_run() {
    let here = folder();
    let script = format!(
        "mkdir disk && unshare -rm sh -c 'mount -t tmpfs -o size=64k none disk || exit 99
         cd disk && head -c 65536 /dev/zero > filler; \"$0\" {} --json r.json; code=$?; ls -A; exit $code' \"$0\"",
        GATE.join(" ")
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_graphproof")]).current_dir(here.path());
    let output = shell.output().expect("a shell");
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) || all.contains("unshare:") {
        eprintln!("a_disk_that_is_full_is_told_before_the_run is skipped: no mount namespace here: {all}");
        return;
    }
    assert_eq!(output.status.code(), Some(14), "{all}");
    assert!(all.contains("No space left on device") && !all.contains("software driver:"), "{all}");
    assert!(all.lines().any(|line| line == "filler") && !all.contains(".graphproof-"), "{all}");
}

#[test]
fn what_is_asked_for_and_not_known_is_no_file() {
    let here = folder();
    let output = graphproof(here.path(), &["gate", "--step", "nonesuch", "--json", "r.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(files(here.path()).is_empty());
}

#[test]
fn bench_step_shows_each_step_beside_the_plain_one() {
    let here = folder();
    let bench = ["bench", "step", "--driver", "software", "--seconds=0", "--shape", "sq=8,sk=64", "--json", "b.json"];
    let out = run(here.path(), &[&bench[..], &["--step=fused", "--step=materialized"]].concat(), 0);
    assert!(out.contains("fused: ") && out.contains(" times as fast as materialized"), "{out}");
    let rows = |name: &str| {
        let text = std::fs::read_to_string(here.path().join(name)).expect("written");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        json["rows"].as_array().expect("rows").clone()
    };
    for row in rows("b.json") {
        assert!(row.get("ceiling").is_none(), "the software driver is no measure: {row}");
        let beside = row.get("beside").map(|beside| beside["step"].clone());
        assert_eq!(beside.is_some(), row["step"] == "fused", "{row}");
        assert!(beside.is_none_or(|step| step == "materialized"), "{row}");
    }
    let out = run(here.path(), &[&bench[..], &["--step=fused"]].concat(), 0);
    assert!(!out.contains("times as fast") && rows("b.json")[0].get("beside").is_none(), "{out}");
}
