//! Every example is judged on the software driver and passes; planted faults in them are told at their line.

mod common;

use common::{EXAMPLES, example, judge, judge_text};
use graphproof_harness::finding::Id;
use graphproof_harness::report::Verdict;
use graphproof_report::suite::Suite as _;
use graphproof_stepfile::{INITIAL, StepFile};

#[test]
fn every_example_passes_at_its_own_shape_and_at_another() {
    for (name, other) in EXAMPLES {
        for shape in ["", other] {
            let report = judge(name, shape);
            assert_eq!(report.verdict, Verdict::Pass, "{name} at '{shape}': {:#?}", report.findings);
            assert_eq!(report.steps_agreeing, report.steps_asked, "{name}");
        }
    }
}

#[test]
fn the_initial_file_passes() {
    let report = judge_text("step.toml", INITIAL, "n=77");
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    assert_eq!(report.memory.map(|memory| memory.closed_form), Some(Some(4 + 2 * 77 * 4)));
}

#[test]
fn every_file_of_the_folder_is_an_example_here() {
    let folder = example("");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    files.sort();
    let mut known = EXAMPLES.map(|(name, _)| name.to_owned());
    known.sort();
    assert_eq!(files, known);
    for name in known {
        assert!(!StepFile::read(&example(&name)).unwrap().steps().is_empty(), "{name}");
    }
}

/// An example, one edit, and the finding with a word of the line that it must name.
#[test]
fn planted_faults_are_told_at_their_line() {
    let plants = [
        // A scalar that the host passes by value and changes.
        (
            "chain.toml",
            "{ i32 = \"width\" }]",
            "{ i32 = \"width - step % 2\" }]",
            &[Id::V01][..],
            "launch = \"add_bias\"",
        ),
        // A branch of the host on what it knows of the step.
        (
            "chain.toml",
            "launch = \"relu\"",
            "launch = \"relu\"\nwhen = \"step % 2 == 0\"",
            &[Id::V02, Id::V05],
            "launch = \"relu\"",
        ),
        // A wait in the middle.
        (
            "chain.toml",
            "[[step.work]]\nlaunch = \"relu\"",
            "[[step.work]]\nhost = \"synchronize\"\n\n[[step.work]]\nlaunch = \"relu\"",
            &[Id::S01],
            "host = \"synchronize\"",
        ),
        // `.item()`.
        (
            "chain.toml",
            "[[step.work]]\nlaunch = \"relu\"",
            "[[step.work]]\nhost = \"read\"\nbuffer = \"a\"\n\n[[step.work]]\nlaunch = \"relu\"",
            &[Id::S08, Id::C01],
            "host = \"read\"",
        ),
        // A launch that may begin before the kernel ahead has ended, of a kernel that does not wait for it.
        (
            "chain.toml",
            "launch = \"add_bias\"",
            "launch = \"add_bias\"\nprogrammatic = true",
            &[Id::L05],
            "launch = \"add_bias\"",
        ),
        // A scalar that the host changes, in the body of a conditional, which is judged by what comes out: the place
        // is that of the last node outside of bodies that has the output.
        ("conditional.toml", "{ f32 = -1 }", "{ f32 = \"-1 - step % 2\" }", &[Id::R01], "launch = \"begin\""),
        // A scalar that the host changes, seen in rows with room between them.
        (
            "pitched.toml",
            "{ i32 = \"width\" }, { i32 = \"pitch\" }, { i32 = \"2 * pitch\" }, { f32 = 2 }",
            "{ i32 = \"width\" }, { i32 = \"pitch\" }, { i32 = \"2 * pitch\" }, { f32 = \"2 + step\" }",
            &[Id::V01],
            "launch = \"scale_rows\"",
        ),
        // Nobody joins the side stream.
        ("fork.toml", "[[step.work]]\nwait = \"done\"\n", "", &[Id::C04], "wait = \"inputs\""),
    ];
    for (name, from, to, ids, line) in plants {
        let text = std::fs::read_to_string(example(name)).unwrap();
        assert!(text.contains(from), "{name} has changed: {from}");
        let text = text.replace(from, to);
        let report = judge_text(name, &text, "");
        assert_eq!(report.verdict, Verdict::Fail, "{name}: {to}");
        let finding = report.findings.iter().find(|finding| ids.contains(&finding.id));
        let finding = finding.unwrap_or_else(|| panic!("{name}: none of {ids:?} in {:#?}", report.findings));
        let site = finding.site.as_ref().unwrap_or_else(|| panic!("{name}: {finding:#?} has no place"));
        assert!(site.file.ends_with(name), "{name}: {site}");
        let there = text.lines().nth(site.line as usize - 1).unwrap_or_default();
        assert_eq!(there, line, "{name}: {site}");
    }
}

#[test]
fn a_launch_that_may_begin_early_is_right_where_its_kernel_waits() {
    let ptx = std::fs::read_to_string(example("chain.ptx")).unwrap();
    let waits = ptx.replace("\n{\n", "\n{\ngriddepcontrol.wait;\n");
    assert_ne!(waits, ptx);
    let text = std::fs::read_to_string(example("chain.toml")).unwrap();
    let text = text.replace("file = \"chain.ptx\"", &format!("ptx = '''\n{waits}'''"));
    let text = text.replace("launch = \"add_bias\"", "launch = \"add_bias\"\nprogrammatic = true");
    let report = judge_text("chain.toml", &text, "");
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
}

#[test]
fn a_launch_may_be_cooperative_and_programmatic() {
    let text = std::fs::read_to_string(example("grid_sync.toml")).unwrap();
    let text = text.replace("cooperative = true", "cooperative = true\nprogrammatic = true");
    let report = judge_text("grid_sync.toml", &text, "");
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
}

#[test]
fn what_lies_between_rows_counts_for_nothing_and_the_rows_do() {
    let text = std::fs::read_to_string(example("pitched.toml")).unwrap();
    // The kernel writes the room behind each row of its output, with what the host counts.
    let wider = text.replacen("{ i32 = \"width\" }", "{ i32 = \"pitch\" }", 1);
    let report = judge_text("pitched.toml", &wider, "");
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    // The same kernel where nothing lies between: the room is an element.
    let dense = wider
        .replace("strides = [\"2 * pitch\", 1]", "strides = [\"2 * pitch\", 2]")
        .replace("rows\", \"width\"], strides = [\"2", "rows\", \"pitch\"], strides = [\"2");
    let report = judge_text("pitched.toml", &dense, "");
    assert!(report.findings.iter().any(|finding| finding.id == Id::R02), "{:#?}", report.findings);
}

#[test]
fn a_buffer_that_moves_between_replays_is_told() {
    let text = std::fs::read_to_string(example("softmax.toml")).unwrap();
    let text = text + "\n[[step.before]]\nreallocate = \"top\"\nwhen = \"step == 3\"\n";
    let report = judge_text("softmax.toml", &text, "");
    let finding = report.findings.iter().find(|finding| finding.id == Id::A08).expect("A08");
    let origin = finding.origin.as_ref().expect("where it moved");
    let there = text.lines().nth(origin.line as usize - 1).unwrap_or_default();
    assert_eq!(there, "reallocate = \"top\"", "{origin}");
}
