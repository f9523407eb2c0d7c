//! A program with steps of its own has the whole command line: `examples/own_step.rs`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use support::{Printed, folder, json};

/// The example as `cargo test` built it, or built here: under `cargo test --test own_step` no example is.
///
/// Never built twice: a build of this package alone resolves other features than one of the workspace, and the
/// library of the driver, whose name holds no hash, would be replaced under the documentation tests that follow.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().expect("the path of this test");
        let profile = test.parent().and_then(Path::parent).expect("deps lies in the folder of the profile");
        let example = profile.join("examples/own_step");
        if is_of_its_sources(&example) {
            return example;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--offline", "--locked", "--example", "own_step", "--target-dir"]);
        cargo.arg(profile.parent().expect("the folder of the profile lies in the target folder"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
        assert!(built.success(), "the example does not build");
        example
    });
    &PROGRAM
}

/// Whether a built file is newer than each source that cargo wrote down for it.
fn is_of_its_sources(built: &Path) -> bool {
    let Ok(sources) = fs::read_to_string(built.with_extension("d")) else { return false };
    let age = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(own) = age(built) else { return false };
    // `file: source source ...`, with a blank in a path written as `\ `.
    let sources = sources.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    sources.split_whitespace().all(|source| age(Path::new(&source.replace('\0', " "))).is_some_and(|age| age <= own))
}

fn run(folder: &Path, arguments: &[&str], code: i32) -> Printed {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(folder).env("GRAPHPROOF_TELL_AFTER", "off");
    let printed = Printed::of(&command.output().expect("the example starts"));
    assert_eq!(printed.code, Some(code), "own_step {arguments:?} printed:\n{}{}", printed.out, printed.error);
    printed
}

#[test]
fn its_steps_are_listed_drawn_and_judged() {
    let here = folder();
    let list = run(here.path(), &["list"], 0).out;
    assert!(list.contains("axpy-by-value  y = a*x + y, with a in the launch (not in the default suite)"), "{list}");
    let graph = run(here.path(), &["graph", "axpy", "--driver", "software", "--shape", "n=7"], 0).out;
    assert!(graph.contains("kernel axpy grid 1x1x1 block 128x1x1"), "{graph}");
    let arguments = ["gate", "--driver", "software", "--steps", "4", "--json", "a.json", "--html", "a.html"];
    let gate = run(here.path(), &arguments, 0).out;
    assert!(gate.contains("shape n=1000, 4 replays a step") && gate.contains("kernels of the suite 'own'"), "{gate}");
    let receipt = json(here.path(), "a.json");
    assert_eq!(receipt["request"]["suite"], "own");
    assert_eq!(receipt["lanes"][0]["shape"], "n=1000");
    run(here.path(), &["report", "a.json", "--sarif", "a.sarif", "--junit", "a.xml"], 0);
    let diff = run(here.path(), &["diff", "a.json", "a.json"], 0).out;
    assert!(diff.contains("axpy"), "{diff}");
}

#[test]
fn a_frozen_scalar_is_told_at_its_line() {
    let here = folder();
    let arguments = ["gate", "--driver", "software", "--steps", "4", "--step", "axpy-by-value", "--shape", "n=33"];
    let gate = run(here.path(), &arguments, 1).out;
    assert!(gate.contains("examples/own_step.rs:"), "{gate}");
    assert!(gate.contains("launch of axpy_by_value"), "{gate}");
}

#[test]
fn a_configuration_names_its_steps_and_parameters() {
    let here = folder();
    run(here.path(), &["init"], 0);
    let text = std::fs::read_to_string(here.path().join("graphproof.toml")).expect("written");
    assert!(text.contains("suite = [\"axpy\"]") && text.contains("shapes = [\"n=1000\"]"), "{text}");
    run(here.path(), &["gate", "--driver", "software", "--steps", "2"], 0);
    std::fs::write(here.path().join("graphproof.toml"), "suite = ['axpi']\n").expect("it can be written");
    let error = run(here.path(), &["gate"], 2).error;
    assert!(error.contains("graphproof.toml:1:10: no step is called 'axpi'; did you mean 'axpy'?"), "{error}");
}

#[test]
fn what_it_cannot_do_is_told() {
    let here = folder();
    let cases = [
        (&["gate", "--shape", "m=3"][..], "--shape m=3: a shape has no parameter 'm'; it has n"),
        (&["gate", "--shape", "n=0"], "n must be at least 1"),
        (
            &["gate", "--step", "axpi"],
            "no step is called 'axpi'; did you mean 'axpy'? the steps are axpy, axpy-by-value",
        ),
        (&["gate", "--compile"], "--compile: the suite 'own' has no CUDA sources"),
        (&["gate", "--against", "HEAD"], "the steps of the suite 'own' are compiled into this program"),
    ];
    for (arguments, expected) in cases {
        let error = run(here.path(), arguments, 2).error;
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
