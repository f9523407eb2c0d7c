//! Random kernels: the generator finds what is planted, cuts it down and is silent without; the
//! interpreter agrees with itself on every instruction set, and with what a GPU answered.

use std::path::Path;
use std::process::{Command, Output};

use graphproof::kernelfuzz::case;
use graphproof::kernelfuzz::check::{Outcome, compare, tasks};
use graphproof::kernelfuzz::generate::{Options, kernel};
use graphproof::kernelfuzz::interpreter::Interpreter;
use graphproof::kernelfuzz::record::Record;
use graphproof::kernelfuzz::table::GENERATION;
use graphproof::kernelfuzz::task::{Answer, Engine, Full, Task};
use graphproof_driver::exec::Isa;

const NOW: Options = Options { generation: GENERATION, raw_nan: false };

fn interpreter(isa: Isa, order: u64) -> Interpreter {
    Interpreter::new(isa, if order == 0 { 1 } else { 2 }, order)
}

fn between(seeds: &[u64], left: &mut dyn Engine, right: &mut dyn Engine) -> Outcome {
    let tasks = tasks(seeds, NOW);
    let answers = [left.run(&tasks), right.run(&tasks)];
    compare(seeds, NOW, [&answers[0], &answers[1]], [left, right])
}

#[test]
fn every_kernel_runs_and_every_instruction_set_and_order_gives_the_same() {
    let best = Isa::detect();
    let sets = Isa::available().into_iter().map(|isa| (isa, 0)).chain([(best, 1), (best, 99)]);
    let seeds: Vec<u64> = (0..250).collect();
    let mut first = interpreter(Isa::Baseline, 0);
    for (isa, order) in sets.skip(1) {
        let outcome = between(&seeds, &mut first, &mut interpreter(isa, order));
        assert!(outcome.is_clean() && outcome.refused.is_empty() && outcome.agree == 250, "{outcome}");
    }
    let ran = first.run(&tasks(&seeds, NOW));
    assert!(ran.iter().all(|(answer, _)| matches!(answer, Answer::Ran(_))), "none fails on both sides");
}

/// An engine with a fault: it takes one word of each kernel for another.
struct Faulty {
    wrong: [&'static str; 2],
    inner: Interpreter,
}

impl Engine for Faulty {
    fn name(&self) -> String {
        format!("{} for {}", self.wrong[1], self.wrong[0])
    }
    fn run(&mut self, tasks: &[Task]) -> Vec<Full> {
        let [right, wrong] = self.wrong;
        let changed: Vec<Task> =
            tasks.iter().map(|task| Task { text: task.text.replace(right, wrong), ..task.clone() }).collect();
        self.inner.run(&changed)
    }
}

#[test]
fn a_fault_of_any_kind_is_found_and_cut_down_to_where_it_is() {
    // Each row: what the faulty engine takes for what. Registers, arithmetic, conversions, memory,
    // lanes, barriers, control.
    let faults = [
        ["%tid.y;", "%tid.x;"],
        ["%ctaid.x;", "%ctaid.y;"],
        ["sad.u32", "mad.lo.u32"],
        ["popc.b64", "clz.b64"],
        [".rm.f64", ".rn.f64"],
        ["cvt.rni.", "cvt.rzi."],
        ["cvt.sat.", "cvt."],
        ["fma.rn.ftz", "fma.rn"],
        ["min.NaN", "min"],
        ["shfl.sync.bfly", "shfl.sync.down"],
        ["redux.sync.min.s32", "redux.sync.min.u32"],
        ["vote.sync.all", "vote.sync.any"],
        ["and.pred", "or.pred"],
        ["popc", "popc"],
        [".dec.u32", ".inc.u32"],
        ["ld.local.s8", "ld.local.u8"],
        [".trans.shared", ".shared"],
        ["subc.", "addc."],
    ];
    let all = tasks(&(0..2500).collect::<Vec<_>>(), NOW);
    for wrong in faults {
        // The others are the same on both sides.
        let with: Vec<u64> = all.iter().filter(|task| task.text.contains(wrong[0])).map(|task| task.seed).take(4).collect();
        assert!(!with.is_empty(), "no kernel has {wrong:?}");
        let faulty = &mut Faulty { wrong, inner: interpreter(Isa::detect(), 0) };
        let outcome = between(&with, &mut interpreter(Isa::detect(), 0), faulty);
        if wrong[0] == wrong[1] {
            assert!(outcome.is_clean(), "nothing is planted: {outcome}");
            continue;
        }
        assert!(!outcome.differ.is_empty(), "no kernel shows {wrong:?}");
        let least = outcome.differ.iter().filter_map(|d| d.kernel.as_ref()).min_by_key(|k| case::statements(k));
        let least = least.expect("what differs was cut down");
        assert!(case::statements(least) <= 4, "{wrong:?}: {} statements are left", case::statements(least));
        let file = outcome.differ.iter().find_map(|d| case::file(d, &outcome.names)).expect("a case");
        assert!(file.contains(wrong[0]) && file.contains("// run: grid="), "{file}");
    }
}

#[test]
fn a_seed_names_the_same_kernel_for_ever() {
    // Of the first generation: these may not change, or no record of a GPU could be compared.
    let print = |seed| Task::new(&kernel(seed, Options { generation: 1, raw_nan: false })).fingerprint();
    assert_eq!([0, 1, 2, 1000].map(print), FIRST_GENERATION);
}
const FIRST_GENERATION: [u32; 4] = [0, 0, 0, 0];

fn graphproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graphproof")).args(arguments).output().expect("the program starts")
}

fn golden() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels/h200.txt").display().to_string()
}

#[test]
fn the_software_driver_answers_as_the_gpu_did() {
    let output = graphproof(&["kernels", "--driver", "software", "--against", &golden()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let record = Record::read(&std::fs::read_to_string(golden()).expect("the record")).expect("it reads");
    let ran = record.answers.values().filter(|(_, answer)| matches!(answer, Answer::Ran(_))).count();
    assert!(ran >= 2000, "{ran} kernels ran on the GPU");
    assert!(text.contains(&format!("{ran} agree, 0 differ")), "{text}");
}

#[test]
fn a_record_that_is_wrong_in_one_kernel_is_told_by_its_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("record");
    let path = record.display().to_string();
    let made = graphproof(&["kernels", "--driver", "software", "--seeds", "7..12", "--no-approximate", "--record", &path]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let same = graphproof(&["kernels", "--driver", "software", "--against", &path]);
    assert!(same.status.success() && String::from_utf8_lossy(&same.stdout).contains("5 agree, 0 differ"));

    let mut wrong = Record::read(&std::fs::read_to_string(&record).expect("the record")).expect("it reads");
    wrong.answers.get_mut(&9).expect("seed 9").1 = Answer::Ran(1);
    wrong.answers.get_mut(&10).expect("seed 10").0 ^= 1;
    std::fs::write(&record, wrong.write()).expect("written");
    let told = graphproof(&["kernels", "--driver", "software", "--against", &path]);
    let text = String::from_utf8_lossy(&told.stdout);
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.contains("seed 9 differs") && text.contains("1 kernels: 10; record again"), "{text}");
    assert!(text.contains("3 agree, 1 differ, 0 refused, 1 stale"), "{text}");
}

#[test]
fn what_cannot_be_asked_is_an_error_that_says_what_to_do() {
    let told = |arguments: &[&str]| {
        let output = graphproof(&[&["kernels"], arguments].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = told(&["--driver", "software", "--against", "no/such/file"]);
    assert!(code == Some(14) && text.contains("takes `system`, `software` or a record"), "{text}");
    let (code, text) = told(&["--driver", "software", "--against", "Cargo.toml"]);
    assert!(code == Some(2) && text.contains("no record of `graphproof kernels`"), "{text}");
    let (code, text) = told(&["--seeds", "9..3"]);
    assert!(code == Some(2) && text.contains("no seed is in this range"), "{text}");
    let shown = graphproof(&["kernels", "--show", "--seeds", "3"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(".visible .entry k3("));
}
