//! What takes long tells in a pipe, once, what it does and how long it takes.

mod support;

use support::{command, folder};

#[test]
fn one_line_on_standard_error() {
    let here = folder();
    let lane = ["--driver", "software", "--step", "fused"];
    let short = ["--shape", "sq=2,sk=64,topk=8"];
    let cases: [(&str, Vec<&str>); 8] = [
        ("graphproof gate: fused, job 1 of 1, ", [&["gate"], &lane[..], &["--steps", "40"]].concat()),
        ("graphproof faults: ", vec!["faults", "--driver", "software", "--filter", "s01"]),
        ("graphproof faults --clean: ", vec!["faults", "--clean", "--driver", "software", "--seeds=1", "--shapes=1"]),
        ("graphproof faults --show: ", vec!["faults", "--show", "sync-own-stream", "--driver", "software"]),
        ("graphproof conformance: ", vec!["conformance", "--driver", "software", "--filter", "begin/"]),
        ("graphproof bench step: ", [&["bench", "step", "--seconds=0"], &lane[..], &short].concat()),
        ("graphproof bench checks: ", [&["bench", "checks", "--steps=3"], &lane[..], &short].concat()),
        ("graphproof --compile: ", [&["gate", "--compile", "--steps=2"], &lane[..]].concat()),
    ];
    for (begins, arguments) in cases {
        let told = |after: &str| {
            let output = command(here.path(), &arguments).env("GRAPHPROOF_TELL_AFTER", after).output();
            let errors = String::from_utf8_lossy(&output.expect("the program starts").stderr).into_owned();
            errors.lines().filter(|line| line.starts_with(begins)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(told("off"), [""; 0], "{arguments:?}");
        let lines = told("0");
        assert_eq!(lines.len(), 1, "{arguments:?} told {lines:?}");
        assert!(
            lines[0].contains(" left")
                || lines[0].contains("how long it takes")
                || lines[0].contains("s at most")
                || lines[0].contains("in all"),
            "{lines:?}"
        );
        // What is over sooner says nothing.
        assert_eq!(told("100000"), [""; 0], "{arguments:?}");
    }
}
