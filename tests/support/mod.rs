//! Runs the program as a person would.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::process::{Command, Output};

/// The program in `folder`, with nothing of the environment that changes what it prints.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphproof"));
    command.args(arguments).current_dir(folder);
    // A slow machine tells more.
    command.env("GRAPHPROOF_TELL_AFTER", "off");
    for name in ["GRAPHPROOF_LOG", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "CLICOLOR"] {
        command.env_remove(name);
    }
    command
}

/// What it printed, and the code that it ended with.
pub struct Printed {
    pub code: Option<i32>,
    pub out: String,
    pub error: String,
}

impl Printed {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Printed { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
    }
}

/// Runs it in `folder` and checks the exit code.
pub fn run(folder: &Path, arguments: &[&str], code: i32) -> Printed {
    let printed = Printed::of(&command(folder, arguments).output().expect("the program starts"));
    assert_eq!(printed.code, Some(code), "graphproof {arguments:?} printed:\n{}{}", printed.out, printed.error);
    printed
}

/// An empty folder.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The JSON in a file of `folder`.
pub fn json(folder: &Path, file: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join(file)).expect("the file is there");
    serde_json::from_str(&text).expect("it is JSON")
}
