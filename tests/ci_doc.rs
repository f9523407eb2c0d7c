//! The commands of docs/ci.md do what it says: each is run as it stands there, in a folder whose
//! graphproof.toml makes the suite short.

mod support;

use std::path::Path;

use graphproof::indexer::Indexer;

use support::{Printed, command, folder};

/// Commands that a section needs other commands' files for, or a GPU.
const OTHERS: [&str; 3] = ["merge", "--driver system", "--locked"];

/// Everything from `graphproof` to the end of a line in a block of code, with continuation of the
/// services' variables filled in.
fn commands(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let words = line.trim_start().trim_start_matches("- ").trim_start_matches("run: ");
        let Some(arguments) =
            ["graphproof ", "target/release/graphproof "].iter().find_map(|program| words.strip_prefix(program))
        else {
            continue;
        };
        if fenced {
            let mut arguments = arguments.to_owned();
            for (variable, value) in [
                ("${{ matrix.part }}", "2"),
                ("$CI_NODE_INDEX", "1"),
                ("$CI_NODE_TOTAL", "4"),
                ("$SLURM_ARRAY_TASK_ID", "3"),
            ] {
                arguments = arguments.replace(variable, value);
            }
            found.push(arguments);
        }
    }
    found
}

#[test]
fn the_commands_of_the_document_are_true() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md")).expect("the document");
    let commands = commands(&text);
    assert!(commands.len() >= 9, "{commands:?}");
    for arguments in commands {
        assert!(!arguments.contains('$'), "a variable is left: {arguments}");
        let here = folder();
        let words: Vec<&str> = arguments.split_whitespace().collect();
        if words[0] != "init" {
            std::fs::write(here.path().join("graphproof.toml"), "steps = 2\nshapes = ['sq=4,sk=64,topk=8']\n")
                .expect("written");
        }
        let mut program = command(here.path(), &words);
        if OTHERS.iter().any(|other| arguments.contains(other)) {
            // Its options are known all the same.
            program.arg("--help");
        }
        let printed = Printed::of(&program.output().expect("the program starts"));
        if words[0] == "merge" && printed.code == Some(2) {
            eprintln!("skipped: this graphproof has no command 'merge'");
            continue;
        }
        assert_eq!(printed.code, Some(0), "graphproof {arguments}\n{}{}", printed.out, printed.error);
        for option in ["--json", "--junit", "--sarif"] {
            let file = words.iter().skip_while(|word| **word != option).nth(1);
            let asked = file.filter(|_| !arguments.contains("--driver system"));
            assert!(
                asked.is_none_or(|file| here.path().join(file).is_file()),
                "graphproof {arguments} wrote no {option}"
            );
        }
    }
}

#[test]
fn the_toml_of_the_document_can_be_used() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md")).expect("the document");
    for block in text.split("```toml\n").skip(1) {
        let (block, _) = block.split_once("```").expect("an end");
        graphproof::config::Settings::parse(Path::new("graphproof.toml"), block, &Indexer::default())
            .expect("it is read");
    }
}
