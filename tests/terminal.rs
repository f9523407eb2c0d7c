//! What is printed, by how wide the terminal is and whether it is one.

mod support;

use std::path::Path;

use graphproof::receipt::{self, Receipt};
use graphproof::report::look::Look;
use graphproof::report::{Reporters, Terminal};
use graphproof_harness::report::{Achieved, Beside, LaneReport, OfCeiling, Spread, Verdict};
use support::{folder, run};

/// Takes what a reporter prints.
#[derive(Clone, Default)]
struct Paper(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(receipt: &Receipt, look: Look) -> String {
    let paper = Paper::default();
    let mut reporters = Reporters::default();
    reporters.add(Terminal::new(paper.clone()).look(look));
    reporters.replay(receipt);
    String::from_utf8(paper.0.take()).expect("UTF-8")
}

/// A receipt whose figures do not change from run to run: jobs that differ in shape and seed.
fn receipt() -> Receipt {
    let here = folder();
    let arguments =
        ["gate", "--driver", "software", "--steps", "2", "--step", "fused", "--locked", "--json", "receipt.json"];
    run(here.path(), &arguments, 1);
    let mut receipt = receipt::read(&here.path().join("receipt.json")).expect("a receipt");
    let spread = |median: u64| Spread { low: median / 10 * 9, median, high: median / 10 * 12, samples: 64 };
    let lane = &mut receipt.lanes[0];
    lane.times.eager = spread(6_600_000);
    lane.times.replay = spread(5_940_000);
    lane.times.replay_per_mille = spread(900);
    lane.findings[0].expected = "a reviewed graph".to_owned();
    let failed = lane.clone();
    let passed = LaneReport {
        step: "materialized".to_owned(),
        shape: failed.shape.replace("sk=512", "sk=1024"),
        seed: 1,
        findings: Vec::new(),
        verdict: Verdict::Pass,
        ..failed.clone()
    };
    let mut not_run = LaneReport { verdict: Verdict::NotRun, graph: None, memory: None, ..passed.clone() };
    not_run.not_checked.push("step 'fused' failed before, and --fail-fast ends the run there".to_owned());
    not_run.times = Default::default();
    (not_run.steps_agreeing, not_run.steps_compared) = (0, 0);
    receipt.lanes = vec![passed, failed, not_run];
    receipt
}

#[test]
fn what_a_gpu_achieves_is_told_below_the_table() {
    let mut receipt = receipt();
    assert!(!printed(&receipt, Look::PLAIN).contains("on the device"));
    let lane = &mut receipt.lanes[0];
    lane.times.device = Spread { low: 2_100_000, median: 2_200_000, high: 2_300_000, samples: 9 };
    let shown = printed(&receipt, Look::PLAIN);
    assert!(shown.contains("\nmaterialized: a replay takes 2.2 ms on the device\n"), "{shown}");
    let ceiling = OfCeiling { what: "wgmma in bf16".to_owned(), tflops: 1000.0, share: 0.5 };
    let beside = Beside { step: "streamed".to_owned(), times_as_fast: 3.25 };
    let speed = Achieved { ceiling: Some(ceiling), beside: Some(beside), ..Achieved::of(1.1e12, 2_200_000) };
    receipt.lanes[0].speed = Some(speed);
    let shown = printed(&receipt, Look::PLAIN);
    let line = "materialized: a replay takes 2.2 ms on the device, 500.0 TFLOP/s, 50.0% of wgmma in bf16 \
                (1000.0 TFLOP/s), 3.25 times as fast as streamed\n";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn the_table_fits_the_terminal() {
    let receipt = receipt();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"graphproof \d+\.\d+\.\d+", "graphproof [version]");
    let mut all = String::new();
    for width in [60, 80, 120] {
        let text = printed(&receipt, Look { width: Some(width), colour: false });
        let table = text.split("\n\n").nth(1).expect("a table");
        assert!(table.lines().all(|line| line.chars().count() <= width), "{width}:\n{table}");
        all.push_str(&format!("{width} columns {}\n{text}\n", "-".repeat(width - 11)));
    }
    settings.bind(|| insta::assert_snapshot!("terminal_widths", all));
}

#[test]
fn colours_are_additions_only() {
    let receipt = receipt();
    let plain = printed(&receipt, Look::PLAIN);
    let coloured = printed(&receipt, Look { width: None, colour: true });
    assert!(!plain.contains('\u{1b}'));
    for painted in
        ["\u{1b}[32mpass", "\u{1b}[31m\u{1b}[1mFAIL", "\u{1b}[33mnot run", "\u{1b}[31m\u{1b}[1merror[T02]\u{1b}[0m: "]
    {
        assert!(coloured.contains(painted), "no {painted:?} in {coloured:?}");
    }
    assert_eq!(console::strip_ansi_codes(&coloured), plain);
}

#[test]
fn a_pipe_gets_no_colour_whatever_the_environment_says() {
    let here = folder();
    let output = support::command(here.path(), &["gate", "--driver", "software", "--steps", "1", "--step", "fused"])
        .env("TERM", "xterm-256color")
        .env("CLICOLOR", "1")
        .output()
        .expect("the program starts");
    assert!(!output.stdout.contains(&0x1b) && output.stderr.is_empty());
}

#[test]
fn a_reader_who_leaves_early_does_not_cost_the_receipt() {
    let here = folder();
    let arguments = ["gate", "--driver", "software", "--steps", "1", "--step", "fused", "--github", "--json", "r.json"];
    let mut child = support::command(here.path(), &arguments)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    receipt::read(&here.path().join("r.json")).expect("a whole receipt");
}

/// Which stream is the terminal.
#[cfg(target_os = "linux")]
enum Stream {
    Output,
    Errors,
}

/// What the program prints to a pseudo-terminal of 70 columns, the other stream being a pipe.
#[cfg(target_os = "linux")]
fn on_terminal(folder: &Path, stream: Stream, variables: &[(&str, &str)]) -> String {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::{FromRawFd as _, OwnedFd};
    use std::process::Stdio;

    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: 70, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointers are to two integers and a structure that live through the call; null
    // means no name and the usual settings.
    let failed = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
    assert_eq!(failed, 0, "a pseudo-terminal can be opened");
    // SAFETY: openpty gave two open descriptors, which nobody else owns.
    let (mut ours, theirs) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    let mut command = support::command(folder, &["gate", "--driver", "software", "--steps", "1", "--step", "fused"]);
    command.env("TERM", "xterm").envs(variables.iter().copied());
    match stream {
        Stream::Output => command.stdout(theirs).stderr(Stdio::null()),
        Stream::Errors => command.stderr(theirs).stdout(Stdio::null()),
    };
    let mut child = command.spawn().expect("the program starts");
    // The command holds the other end too: only without it does the reading come to an end.
    drop(command);
    let mut bytes = Vec::new();
    // The end of the last writer is an error (EIO) on Linux.
    let _ = ours.read_to_end(&mut bytes);
    assert!(child.wait().expect("it ends").success());
    String::from_utf8(bytes).expect("UTF-8")
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_and_lines_that_fit() {
    let here = folder();
    let text = on_terminal(here.path(), Stream::Output, &[]);
    assert!(text.contains("\u{1b}[32mpass"), "{text:?}");
    let table = text.lines().skip_while(|line| !line.starts_with("step")).take(2);
    for line in table {
        assert!(console::measure_text_width(line.trim_end()) <= 70, "{line:?}");
    }
    for refused in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        assert!(!on_terminal(here.path(), Stream::Output, &[refused]).contains('\u{1b}'), "{refused:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn progress_is_shown_where_standard_error_is_a_terminal() {
    let here = folder();
    let text = on_terminal(here.path(), Stream::Errors, &[]);
    // At 70 columns there is no room for a bar beside whole words.
    assert!(text.contains("fused job 1 of 1, 0/1 replays") && !text.contains("fused ["), "{text:?}");
}
