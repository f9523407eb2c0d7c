//! Random sequences: the software driver against what an H200 answered, against itself, and a driver with
//! a planted fault whose difference is found and cut down.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use graphproof::conformance::format::CaseFile;
use graphproof::conformance::random::{self, Against, Grouping, Options, Outcome, Record, Runner, Seeds};
use graphproof::conformance::{Driver, child_main, expand};

/// What an H200 answered to 20,000 sequences that the model was not repaired with.
const GOLDEN: &str = "tests/conformance/golden/random-nvidia-580.159.04.txt";

/// The entry of the children that run a fake: this binary again, asked for this one test.
#[test]
#[ignore = "runs as a child of the other tests"]
fn child() {
    let args: Vec<String> = std::env::args().collect();
    let [.., driver, case, cell] = &args[..] else { return };
    if driver != "--ignored" {
        child_main(Path::new(case), cell, || Driver::open(driver));
    }
}

fn runner(child: Vec<OsString>, jobs: usize, grouping: Grouping) -> Runner {
    Runner { child, jobs, limit: Duration::from_secs(60), grouping }
}

fn software(jobs: usize, grouping: Grouping) -> Runner {
    runner(vec![env!("CARGO_BIN_EXE_graphproof").into(), "conformance-child".into(), "software".into()], jobs, grouping)
}

fn options(seeds: &str, count: u64, runner: Runner, against: Option<Against>) -> Options {
    Options {
        seeds: seeds.parse().expect("seeds"),
        count,
        runner,
        driver: "test".into(),
        against,
        shrink: 0,
        minimal: None,
        known: Default::default(),
        stop: Default::default(),
    }
}

fn run(options: &Options) -> Outcome {
    random::run(options, &|_, _| {}).expect("the sequences run")
}

#[test]
fn a_run_that_is_stopped_keeps_what_was_answered() {
    let whole = run(&options("7..8", 40, software(2, Grouping::Shared), None));
    let options = options("7..8", 40, software(2, Grouping::Shared), Some(Against::Record(whole.record.clone())));
    let stop = |done: usize, _: usize| options.stop.store(done >= 50, std::sync::atomic::Ordering::Relaxed);
    let outcome = random::run(&options, &stop).expect("the sequences run");
    assert_eq!((outcome.interrupted, outcome.differ), (Some(80), 0));
    // One more may have been under way, and a seed ends at its first gap.
    assert!((40..=52).contains(&outcome.sequences), "{}", outcome.sequences);
    let lengths: Vec<usize> = outcome.record.blocks.iter().map(|block| block.ran.len()).collect();
    assert_eq!(lengths, [40, outcome.sequences - 40]);
    // What was kept is a record like any other.
    let again = outcome.sequences as u64 - 40;
    let again = self::options("8", again, software(2, Grouping::Shared), Some(Against::Record(outcome.record)));
    assert_eq!(run(&again).differ, 0);
}

#[test]
fn the_software_driver_answers_as_an_h200() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let record = Record::read(&root.join(GOLDEN)).expect("the golden record");
    let seeds: Vec<u64> = record.blocks.iter().map(|block| block.seed).collect();
    let sequences: usize = record.blocks.iter().map(|block| block.ran.len()).sum();
    assert!(sequences >= 20_000, "{sequences}");
    let all = format!("{}..{}", seeds[0], seeds[seeds.len() - 1]);
    let count = record.blocks[0].ran.len() as u64;
    let jobs = std::thread::available_parallelism().map_or(2, usize::from);
    let mut options = options(&all, count, software(jobs, Grouping::Shared), Some(Against::Record(record)));
    options.known = random::read_known(&root.join("tests/conformance/baseline/random-software.txt"))
        .expect("the known differences");
    let outcome = run(&options);
    assert!(outcome.is_ok(), "{outcome}");
    assert!(outcome.differ * 100 < outcome.sequences, "under 1 %: {outcome}");
    assert_eq!(outcome.ends.iter().filter(|end| end.contains("(judged)")).count(), 0, "{outcome}");
}

/// One process and context for many sequences shows nothing that one for each does not.
#[test]
fn sharing_a_process_changes_no_answer() {
    let alone = Against::Live(software(4, Grouping::Alone));
    let outcome = run(&options("3..5", 30, software(2, Grouping::Shared), Some(alone)));
    assert_eq!(outcome.differ, 0, "{outcome}");
    assert!(outcome.calls > 30 * 3 * 30, "{outcome}");
    let again = run(&options("3..5", 30, software(1, Grouping::Shared), None));
    let digests =
        |outcome: &Outcome| outcome.record.blocks.iter().map(|block| block.digest.clone()).collect::<Vec<_>>();
    assert_eq!(digests(&outcome), digests(&again), "a seed names the same sequences");
}

/// Compiles the fake; `None` where the machine has no C compiler.
fn fake(name: &str, defines: &[&str]) -> Option<Runner> {
    let folder = folder(name);
    let library = folder.join("libcuda_fake.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_fake/libcuda.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args(defines).arg(source).status();
    match compiled {
        Ok(status) => assert!(status.success(), "the fake compiles"),
        Err(_) => {
            eprintln!("skipped: no C compiler `cc`");
            return None;
        }
    }
    let exe = std::env::current_exe().expect("this test's own file");
    let child: [OsString; 5] =
        [exe.into(), "child".into(), "--exact".into(), "--ignored".into(), library.into_os_string()];
    Some(runner(child.into(), 2, Grouping::Shared))
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the test's folder");
    folder
}

#[test]
fn a_planted_difference_is_found_and_cut_down() {
    let (Some(right), Some(wrong)) =
        (fake("random_right", &["-DQUIET"]), fake("random_wrong", &["-DQUIET", "-DPLANTED"]))
    else {
        return;
    };
    let clean = run(&options("1", 300, right.clone(), Some(Against::Live(right.clone()))));
    assert_eq!(clean.differ, 0, "{clean}");
    let minimal = folder("random_minimal");
    let mut options = options("1", 300, wrong, Some(Against::Live(right)));
    (options.shrink, options.minimal) = (1, Some(minimal.clone()));
    let outcome = run(&options);
    assert!(outcome.differ > 0 && !outcome.is_ok(), "{outcome}");
    let signature = "cuStreamQuery: STREAM_CAPTURE_UNSUPPORTED / STREAM_CAPTURE_INVALIDATED";
    let case = outcome.minimal.iter().find(|case| case.signature == signature).unwrap_or_else(|| panic!("{outcome}"));
    let calls: Vec<&str> = case
        .lines
        .iter()
        .map(|(line, _, _)| line.split(' ').find(|word| word.starts_with("cu")))
        .map(Option::unwrap_or_default)
        .collect();
    assert_eq!(calls.len(), 4, "{outcome}");
    assert_eq!(calls[3], "cuStreamQuery", "{outcome}");
    assert!(calls.contains(&"cuStreamBeginCapture") && calls.contains(&"cuLaunchHostFunc"), "{outcome}");
    // The file is a case: it says what is right, and where the driver was wrong.
    let path = minimal.join(format!("random_{}.case", case.id.replace(':', "_")));
    let text = std::fs::read_to_string(&path).expect("the minimal case");
    assert!(text.contains("-> STREAM_CAPTURE_UNSUPPORTED # seen: STREAM_CAPTURE_INVALIDATED"), "{text}");
    let scripts = expand::scripts(&CaseFile::parse("minimal", &text).expect("a case file")).expect("a script");
    assert_eq!(scripts[0].steps.len(), 4);
}

#[test]
fn a_sequence_that_ends_its_process_is_listed_with_the_call() {
    let Some(crashing) = fake("random_crash", &[]) else { return };
    let outcome = run(&options("1", 3, crashing, None));
    assert_eq!(outcome.ends.len(), 3, "{outcome}");
    assert!(outcome.ends.iter().all(|end| end.ends_with("(SIGABRT) in cuCtxSynchronize")), "{outcome}");
}

#[test]
fn a_record_of_other_sequences_is_refused() {
    let mut record = run(&options("9", 5, software(1, Grouping::Shared), None)).record;
    let refused = |record: &Record, seeds: &str, count| {
        let options = options(seeds, count, software(1, Grouping::Shared), Some(Against::Record(record.clone())));
        random::run(&options, &|_, _| {}).expect_err("the record does not fit").to_string()
    };
    assert_eq!(refused(&record, "8", 5), "the record has no seed 8, only 9");
    assert_eq!(refused(&record, "9", 6), "the record has 5 sequences of seed 9: use --count 5 at most");
    record.blocks[0].digest = "0".into();
    assert!(refused(&record, "9", 5).contains("record it anew"));
}

#[test]
fn seeds_are_a_number_or_a_range() {
    assert_eq!("7".parse::<Seeds>().map(|seeds| seeds.0), Ok(7..=7));
    assert_eq!("1..20".parse::<Seeds>().map(|seeds| seeds.0), Ok(1..=20));
    for wrong in ["", "x", "3..", "5..2", "0..9999999999"] {
        assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
    }
}
