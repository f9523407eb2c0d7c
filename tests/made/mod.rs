//! Receipts for tests: a real run's, changed in the library and sealed again.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use graphproof::receipt::{self, AtomicFile, Receipt};
use graphproof_harness::report::{Digests, Spread};

#[path = "../support/mod.rs"]
mod support;

pub use support::folder;

/// Runs the program in `folder`.
pub fn graphproof(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().expect("the program starts")
}

/// The program, to be run in `folder`.
pub fn program(folder: &Path) -> Command {
    let mut command = support::command(folder, &[]);
    command.env_remove("GRAPHPROOF_DEVICE_MEMORY").env_remove("GRAPHPROOF_REVISION");
    command
}

/// Runs and checks the exit code; what was printed, standard error after standard output.
pub fn run(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = graphproof(folder, arguments);
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "graphproof {arguments:?} printed:\n{all}");
    assert!(!all.contains("panicked"), "graphproof {arguments:?} panicked:\n{all}");
    all
}

/// The names of what lies in a folder.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The receipt of the lanes fused and decode over three steps, with times and digests that are
/// the same in every run of the tests.
pub fn base() -> Receipt {
    static BASE: OnceLock<Receipt> = OnceLock::new();
    BASE.get_or_init(|| {
        let folder = folder();
        let arguments =
            ["--driver", "software", "--steps", "3", "--step", "fused", "--step", "decode", "--json", "r.json"];
        run(folder.path(), &arguments, 0);
        let mut receipt = receipt::read(&folder.path().join("r.json")).expect("a receipt");
        receipt.provenance.git = None;
        for lane in &mut receipt.lanes {
            lane.times.eager = spread(1_000_000);
            lane.times.replay = spread(900_000);
            lane.times.replay_per_mille = spread(900);
            lane.digests = Digests {
                inputs: "00000000000000aa".to_owned(),
                steps: (0..3).map(|step| format!("{step:016x}")).collect(),
                buffers: ["index", "score"].map(|name| (name.to_owned(), "00000000000000bb".to_owned())).into(),
            };
        }
        receipt
    })
    .clone()
}

/// A spread of five percent to either side.
pub fn spread(median: u64) -> Spread {
    Spread { low: median - median / 20, median, high: median + median / 20, samples: 3 }
}

/// Seals a receipt and writes it to `name` in `folder`.
pub fn write(folder: &Path, name: &str, receipt: Receipt) -> PathBuf {
    let path = folder.join(name);
    let file = AtomicFile::prepare(&path, "a receipt", "name").expect("a writable folder");
    file.write_json(&receipt.sealed()).expect("written");
    path
}
