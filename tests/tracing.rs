//! `graphproof trace` on programs of the driver API, without a GPU: each planted fault is told at its line, and
//! the same program without it is silent. `docs/tracing.md` shows what is printed.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &str = "tests/programs/faults.py";
const FENCE: &str = "```console\n$ graphproof trace ";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn trace(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_graphproof"))
        .current_dir(root())
        .arg("trace")
        .args(arguments)
        .env_remove("GRAPHPROOF_LOG")
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The programs with what must be told of each: id and line.
fn programs() -> Vec<(String, BTreeSet<(String, u64)>)> {
    let text = std::fs::read_to_string(root().join(PROGRAMS)).expect("the programs");
    let mut programs: Vec<(String, BTreeSet<(String, u64)>)> = Vec::new();
    for (line, at) in text.lines().zip(1u64..) {
        if let Some(name) = line.strip_prefix("def ").and_then(|rest| rest.strip_suffix("():")) {
            programs.push((name.to_owned(), BTreeSet::new()));
        }
        if let (Some((_, id)), Some((_, told))) = (line.split_once("# told: "), programs.last_mut()) {
            told.insert((id.to_owned(), at));
        }
    }
    programs.retain(|(_, told)| !told.is_empty());
    programs
}

fn told(name: &str, variant: &str, folder: &Path) -> BTreeSet<(String, u64)> {
    let file: PathBuf = folder.join(format!("{name}.{variant}.json"));
    let json = file.to_str().expect("UTF-8");
    let (_, errors) = trace(&["--driver", "software", "--json", json, "--", "python3", PROGRAMS, name, variant]);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no report of {name} {variant}: {errors}"));
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let processes = report["processes"].as_array().expect("processes");
    assert!(processes.iter().any(|process| process["calls"].as_u64() > Some(0)), "{name}: {errors}");
    for process in processes {
        assert_eq!(process["disagreements"].as_array().map(Vec::len), Some(0), "{name} {variant}: {text}");
    }
    let findings = processes.iter().flat_map(|process| process["findings"].as_array().expect("findings").clone());
    findings
        .map(|finding| {
            let site = &finding["site"];
            let own = site["file"].as_str().is_some_and(|file| file.ends_with(PROGRAMS));
            assert!(own, "{name} {variant}: {finding:#}");
            (finding["id"].as_str().expect("an id").to_owned(), site["line"].as_u64().expect("a line"))
        })
        .collect()
}

#[test]
fn each_fault_is_told_at_its_line_and_its_twin_is_silent() {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = programs();
    assert!(programs.len() >= 10, "{programs:?}");
    let mut wrong = Vec::new();
    for (name, expected) in &programs {
        for (variant, expected) in [("fault", expected.clone()), ("clean", BTreeSet::new())] {
            let told = told(name, variant, folder.path());
            if told != expected {
                wrong.push(format!("{name} {variant}: told {told:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_saved_trace_is_told_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("item.trace");
    let saved = file.to_str().expect("UTF-8");
    trace(&["--driver", "software", "--save", saved, "--", "python3", PROGRAMS, "item"]);
    let page = folder.path().join("item.html");
    let output = Command::new(env!("CARGO_BIN_EXE_graphproof"))
        .args(["report", saved, "--html", page.to_str().expect("UTF-8")])
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error[S01]") && text.contains("faults.py"), "{text}");
    assert!(std::fs::read_to_string(page).expect("a page").contains("S01"));
    let refused = Command::new(env!("CARGO_BIN_EXE_graphproof")).args(["report", saved, "--junit", "x"]).output();
    assert_eq!(refused.expect("the program starts").status.code(), Some(2));
}

/// Without what changes from run to run.
fn settled(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with("graphproof trace: the program")) {
        let mut words = line.split_inclusive(' ').peekable();
        while let Some(word) = words.next() {
            let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let number = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'.');
            let unit = words.peek().is_some_and(|next| {
                let unit = next.trim_matches(|c: char| !c.is_ascii_alphabetic());
                matches!(unit, "ns" | "us" | "ms" | "s" | "call" | "calls" | "driver")
            });
            let named = out.ends_with("process ") || out.ends_with("thread ");
            match (bare.starts_with("0x"), number && (unit || named)) {
                (true, _) => out.push_str(&word.replace(bare, "0x…")),
                (_, true) => out.push_str(&word.replace(bare, "N")),
                // The interpreter's own place.
                _ if word.trim_end().ends_with("/python3") => out.push_str("(python3 "),
                _ => out.push_str(word),
            }
        }
        out.push('\n');
    }
    out
}

/// The document with each block of output replaced by what the program prints now.
fn renewed(document: &str) -> String {
    let mut parts = document.split(FENCE);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (command, rest) = part.split_once('\n').expect("a command on its line");
        let after = rest.strip_prefix("```").or_else(|| rest.split_once("\n```").map(|(_, after)| after));
        let (_, printed) = trace(&command.split_whitespace().collect::<Vec<_>>());
        text += &format!("{FENCE}{command}\n{}```{}", settled(&printed), after.expect("the block ends"));
    }
    text
}

/// `UPDATE_DOCS=1` writes the document instead.
#[test]
fn the_page_shows_what_is_printed_and_readme_a_part_of_it() {
    let path = root().join("docs/tracing.md");
    let document = std::fs::read_to_string(&path).expect("the document is there");
    let renewed = renewed(&document);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, renewed).expect("the document can be written");
        return;
    }
    let differs = document.lines().zip(renewed.lines()).find(|(written, now)| written != now);
    assert!(
        document == renewed,
        "docs/tracing.md is stale, first at {differs:?}; run `UPDATE_DOCS=1 cargo test --test tracing`"
    );
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README");
    let shown = readme.split("    $ graphproof trace ").nth(1).expect("README shows it");
    let shown: Vec<&str> = shown.lines().skip(1).take_while(|line| line.starts_with("    ")).collect();
    assert!(shown.len() > 3, "{shown:?}");
    for line in shown {
        assert!(document.contains(line.trim()), "README shows a line that docs/tracing.md does not: {line}");
    }
}
