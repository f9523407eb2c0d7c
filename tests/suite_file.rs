//! `--suite FILE`, as whoever brings kernels without Rust meets it, and what docs/own-step.md says about it.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Printed, command, folder, json, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/own-step.md")).expect("docs/own-step.md")
}

#[test]
fn the_commands_of_the_document_work_as_they_stand() {
    let here = folder();
    let text = document();
    let (_, commands) = text.split_once("```console\n").expect("commands");
    let commands: Vec<&str> = commands.split("```").next().unwrap_or_default().lines().collect();
    assert_eq!(commands.len(), 3);
    for command in commands {
        let words: Vec<&str> = command.strip_prefix("$ graphproof ").expect(command).split_whitespace().collect();
        run(here.path(), &words, 0);
    }
    assert!(here.path().join("report.html").is_file());
}

#[test]
fn the_file_of_the_document_is_read_and_judged_where_there_is_a_compiler() {
    // Below the checkout, whose compiler is found then.
    let here = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let text = document();
    let (_, file) = text.split_once("```toml\n").expect("a file");
    std::fs::write(here.path().join("twice.toml"), file.split("```").next().unwrap_or_default()).expect("written");
    let list = run(here.path(), &["list", "--suite", "twice.toml"], 0).out;
    assert_eq!(list, "twice  1 pieces of work\n");
    let arguments = ["gate", "--suite", "twice.toml", "--driver", "software", "--steps", "2", "--json", "a.json"];
    let first = Printed::of(&command(here.path(), &arguments).output().expect("the program starts"));
    if first.code == Some(13) && first.error.contains("NVRTC was not found") {
        eprintln!("the rest of this test is skipped: {}", first.error);
        return;
    }
    assert_eq!(first.code, Some(0), "{}{}", first.out, first.error);
    let receipt = json(here.path(), "a.json");
    assert!(receipt["sources"][0]["source_sha256"].is_string(), "{}", receipt["sources"]);
    let text = std::fs::read_to_string(here.path().join("twice.toml")).expect("written");
    std::fs::write(here.path().join("twice.toml"), text.replace("y[i] =", "z[i] =")).expect("written");
    let error = run(here.path(), &arguments, 13).error;
    assert!(error.contains("twice.toml:5: ") && error.contains("\"z\" is undefined"), "{error}");
}

#[test]
fn every_word_of_the_document_s_tables_is_known() {
    let text = document();
    for word in ["normal", "uniform", "ties", "zeros", "bits", "constant", "arange", "lengths", "nan"] {
        assert!(text.contains(&format!("`{word}`")), "{word}");
    }
    for dtype in graphproof::prelude::DType::ALL {
        assert!(text.replace('\n', " ").contains(dtype.name()), "{}", dtype.name());
    }
}

#[test]
fn an_example_goes_through_every_command() {
    let here = folder();
    let suite = root().join("examples/steps/chain.toml");
    let suite = suite.to_str().expect("a path");
    let gate =
        ["gate", "--suite", suite, "--driver", "software", "--steps", "3", "--json", "a.json", "--sarif", "a.sarif"];
    let out = run(here.path(), &gate, 0).out;
    assert!(out.contains("shape rows=8,width=100, 3 replays a step"), "{out}");
    let receipt = json(here.path(), "a.json");
    assert_eq!(receipt["request"]["suite"], "chain");
    assert_eq!(receipt["sources"][0]["file"], "chain.ptx");
    run(here.path(), &["report", "a.json", "--html", "a.html"], 0);
    run(here.path(), &["diff", "a.json", "a.json"], 0);
    let graph = run(here.path(), &["graph", "--suite", suite, "chain", "--driver", "software"], 0).out;
    assert!(graph.contains("add_bias"), "{graph}");
    run(
        here.path(),
        &["gate", "--suite", suite, "--driver", "software", "--steps", "2", "--locked", ".", "--bless"],
        0,
    );
    run(here.path(), &["gate", "--suite", suite, "--driver", "software", "--steps", "2", "--locked", "."], 0);
}

#[test]
fn a_revision_of_the_file_is_compared() {
    let here = folder();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(here.path()).args(["-c", "user.name=a", "-c", "user.email=a@b.c"]).args(arguments);
        assert!(git.output().expect("git runs").status.success(), "{arguments:?}");
    };
    run(here.path(), &["init", "--step", "my.toml"], 0);
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let gate = ["gate", "--suite", "my.toml", "--driver", "software", "--steps", "2", "--against", "HEAD"];
    run(here.path(), &gate, 0);
    let file: PathBuf = here.path().join("my.toml");
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::write(&file, text.replace("fma.rn.f32 %f3, %f1, %f2, %f3", "fma.rn.f32 %f3, %f1, %f1, %f3"))
        .expect("written");
    let out = run(here.path(), &gate, 1).out;
    assert!(out.contains("bits"), "{out}");
    let unknown = ["gate", "--suite", "my.toml", "--driver", "software", "--against", "nonesuch"];
    let error = run(here.path(), &unknown, 2).error;
    assert!(error.contains("--against nonesuch: there is no such revision"), "{error}");
}

#[test]
fn what_is_wrong_names_file_line_and_key() {
    let here = folder();
    let error = run(here.path(), &["gate", "--suite", "gone.toml"], 14).error;
    assert!(error.contains("the suite gone.toml cannot be read"), "{error}");
    run(here.path(), &["init", "--step"], 0);
    run(here.path(), &["init", "--step"], 14);
    let file = here.path().join("step.toml");
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::write(&file, text.replace("launch = ", "lunch = ")).expect("written");
    let error = run(here.path(), &["gate", "--suite", "step.toml"], 2).error;
    assert!(error.contains("unknown key 'lunch'; did you mean 'launch'?") && error.contains("step.toml:"), "{error}");
    std::fs::write(&file, text.replace("\"x\", \"y\", { u32", "\"x\", { u32")).expect("written");
    let out = run(here.path(), &["gate", "--suite", "step.toml", "--driver", "software", "--steps", "1"], 1).out;
    assert!(out.contains("step.toml:") && out.contains("kernel 'axpy' takes parameters of"), "{out}");
}
