//! README and the pages that it sends people to say nothing that is not so: their commands exist with their
//! options, their links lead somewhere, and the words about the build are the workspace's.

mod support;

use std::path::Path;
use std::process::Command;

use support::{folder, run};

const PAGES: [&str; 5] = ["README.md", "docs/own-step.md", "docs/gate.md", "docs/kernel-change.md", "docs/drivers.md"];

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// Every command of the program that a page writes: after a prompt, and between backquotes.
fn commands(text: &str) -> Vec<Vec<String>> {
    let prompts = text.lines().filter_map(|line| line.trim().strip_prefix("$ graphproof "));
    let joined = text.replace('\n', " ");
    let quoted = joined.split('`').skip(1).step_by(2).filter_map(|code| {
        let known = ["gate ", "conformance ", "faults ", "explain ", "report ", "diff ", "bench "];
        code.strip_prefix("graphproof ").or_else(|| known.iter().any(|start| code.starts_with(start)).then_some(code))
    });
    // What stands behind `--` is another program.
    let words =
        |command: &str| command.split_whitespace().take_while(|word| *word != "--").map(str::to_owned).collect();
    prompts.chain(quoted).map(words).collect()
}

#[test]
fn links_lead_somewhere() {
    for name in PAGES {
        // Code has brackets of its own.
        let text: String = page(name).split("```").step_by(2).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(link.starts_with("http") || folder.join(link).exists(), "{name} links to {link}");
        }
    }
}

#[test]
fn commands_exist_with_their_options() {
    let text: String = PAGES.map(page).join("\n");
    let commands = commands(&text);
    assert!(commands.len() >= 15, "{commands:?}");
    let here = folder();
    for command in commands {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        run(here.path(), &words, 0);
    }
}

#[test]
fn a_plain_build_makes_the_program_and_the_driver() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let default: Vec<&str> = metadata["workspace_default_members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|id| id.as_str().expect("an id").rsplit(['/', '#']).next().expect("a name"))
        .collect();
    for package in metadata["packages"].as_array().expect("packages") {
        let id = package["id"].as_str().expect("an id").rsplit(['/', '#']).next().expect("a name");
        let kinds: Vec<&str> = package["targets"]
            .as_array()
            .expect("targets")
            .iter()
            .flat_map(|target| target["crate_types"].as_array().expect("types"))
            .filter_map(|kind| kind.as_str())
            .collect();
        // The extension module is the wheel's: pip builds it.
        let wheel = package["name"] == "graphproof-python";
        let leaves = package["name"] == "graphproof" || kinds.contains(&"cdylib") && !wheel;
        assert!(!leaves || default.contains(&id), "{} is no default member: {default:?}", package["name"]);
    }
}
