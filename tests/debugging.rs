//! The output shown in `docs/debugging-a-capture-failure.md` is what the program prints.

use std::path::Path;
use std::process::Command;

const FENCE: &str = "```console\n$ graphproof ";

fn printed(arguments: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_graphproof"))
        .args(arguments.split_whitespace())
        .args(["--driver", "software"])
        .env_remove("GRAPHPROOF_LOG")
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "graphproof {arguments}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The document with each block of output replaced by what the program prints now.
fn renewed(document: &str) -> String {
    let mut parts = document.split(FENCE);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (command, rest) = part.split_once('\n').expect("a command on its line");
        let after = rest.strip_prefix("```").or_else(|| rest.split_once("\n```").map(|(_, after)| after));
        text += &format!("{FENCE}{command}\n{}```{}", printed(command), after.expect("the block ends"));
    }
    text
}

/// `UPDATE_DOCS=1` writes the document instead.
#[test]
fn the_shown_output_is_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/debugging-a-capture-failure.md");
    let document = std::fs::read_to_string(&path).expect("the document is there");
    let renewed = renewed(&document);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, renewed).expect("the document can be written");
        return;
    }
    let differs = document.lines().zip(renewed.lines()).find(|(written, now)| written != now);
    assert!(
        document == renewed,
        "the document is stale, first at {differs:?}; run `UPDATE_DOCS=1 cargo test --test debugging` and commit it"
    );
    assert!(document.matches(FENCE).count() >= 4);
}

#[test]
fn an_unknown_fault_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_graphproof")).args(["faults", "--show", "nonsense"]).output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no planted fault is called 'nonsense'"), "{errors}");
}
