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
use graphproof_exec::Isa;

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
        assert!(outcome.is_clean() && outcome.agree == 250, "{outcome}");
    }
    let ran = first.run(&tasks(&seeds, NOW));
    assert!(!ran.iter().any(|(answer, _)| matches!(answer, Answer::Failed(_))), "none fails on both sides");
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
        let with: Vec<u64> =
            all.iter().filter(|task| task.text.contains(wrong[0])).map(|task| task.seed).take(40).collect();
        assert!(!with.is_empty(), "no kernel has {wrong:?}");
        let faulty = &mut Faulty { wrong, inner: interpreter(Isa::detect(), 0) };
        let mut outcome = Outcome::default();
        for seed in &with {
            outcome = between(&[*seed], &mut interpreter(Isa::detect(), 0), faulty);
            if !outcome.is_clean() {
                break;
            }
        }
        if wrong[0] == wrong[1] {
            assert!(outcome.is_clean(), "nothing is planted: {outcome}");
            continue;
        }
        assert!(!outcome.differ.is_empty(), "no kernel shows {wrong:?}");
        let least = outcome.differ.iter().filter_map(|d| d.kernel.as_ref()).min_by_key(|k| case::statements(k));
        let least = least.expect("what differs was cut down");
        assert!(case::statements(least) <= 8, "{wrong:?}: {} statements are left", case::statements(least));
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
const FIRST_GENERATION: [u32; 4] = [1636491458, 3066920094, 4248412937, 411416881];

fn graphproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graphproof")).args(arguments).output().expect("the program starts")
}

fn golden() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels/h200.txt").display().to_string()
}

/// Seeds on which the software driver is known to differ, by reason.
fn known() -> Vec<u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels/known.txt");
    let text = std::fs::read_to_string(path).expect("the list of known differences");
    let lists = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(": "));
    lists.flat_map(|(_, seeds)| seeds.split(' ').map(|seed| seed.parse().expect("a seed"))).collect()
}

#[test]
fn the_software_driver_answers_as_the_gpu_did() {
    let record = Record::read(&std::fs::read_to_string(golden()).expect("the record")).expect("it reads");
    let output = graphproof(&["kernels", "--driver", "software", "--against", &golden()]);
    let text = String::from_utf8_lossy(&output.stdout);
    let known = known();
    let differs = |seed: &u64| text.contains(&format!("seed {seed} differs: "));
    let fresh: Vec<u64> =
        record.answers.keys().copied().filter(|seed| differs(seed) && !known.contains(seed)).collect();
    assert!(fresh.is_empty(), "these kernels differ from the GPU's answer: {fresh:?}\n{text}");
    let agree: usize = text.lines().last().and_then(|line| line.split(' ').next()?.parse().ok()).expect("a count");
    assert!(agree >= 2000 && !text.contains("stale"), "{text}");
    let bounds = text.lines().filter(|line| line.contains("from the record, whose bound"));
    assert_eq!(bounds.count(), 0, "{text}");
    let mended: Vec<&u64> = known.iter().filter(|seed| !differs(seed)).collect();
    assert!(mended.is_empty(), "these agree now, take them out of tests/kernels/known.txt: {mended:?}");
}

#[test]
fn the_documented_bounds_are_the_measured_ones() {
    let record = Record::read(&std::fs::read_to_string(golden()).expect("the record")).expect("it reads");
    let mut text = format!(
        "# Instructions whose bits are not promised\n\nPTX gives the other instructions' results to the bit, apart from \
         the payload of a NaN; these it gives with an error. The table says how far the software driver and a GPU \
         ({}) were from each other at most, over {} inputs of each form, special values among them: in units of the \
         last place (ulp), or as an absolute difference. A receipt compares a replay with an eager run on one driver, \
         where they agree to the bit; a comparison of two drivers has to allow for them. The bits of \
         `mma` and `wmma` are promised where every sum is exact, as for integers; with others the order of \
         additions is the hardware's.\n\nWritten by `UPDATE_DOCS=1 cargo test --test kernels`, from \
         `tests/kernels/h200.txt`.\n\n| form | at most |\n| --- | --- |\n",
        record.driver.trim_start_matches("system: "),
        graphproof::kernelfuzz::approximate::VALUES
    );
    for (form, sample) in &record.approximate {
        let unit = if graphproof::kernelfuzz::approximate::absolute(form) { "absolute" } else { "ulp" };
        let bound = if unit == "ulp" { format!("{}", sample.bound) } else { format!("{:.2e}", sample.bound) };
        text.push_str(&format!("| `{form}` | {bound} {unit} |\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ptx-bounds.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("docs/ptx-bounds.md"), text, "UPDATE_DOCS=1 writes it");
}

#[test]
fn a_record_that_is_wrong_in_one_kernel_is_told_by_its_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("record");
    let path = record.display().to_string();
    let made =
        graphproof(&["kernels", "--driver", "software", "--seeds", "5..9", "--no-approximate", "--record", &path]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let same = graphproof(&["kernels", "--driver", "software", "--against", &path]);
    assert!(same.status.success() && String::from_utf8_lossy(&same.stdout).contains("4 agree, 0 differ"));

    let mut wrong = Record::read(&std::fs::read_to_string(&record).expect("the record")).expect("it reads");
    wrong.answers.get_mut(&6).expect("seed 6").1 = Answer::Ran(1);
    wrong.answers.get_mut(&7).expect("seed 7").0 ^= 1;
    std::fs::write(&record, wrong.write()).expect("written");
    let told = graphproof(&["kernels", "--driver", "software", "--against", &path]);
    let text = String::from_utf8_lossy(&told.stdout);
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.contains("seed 6 differs") && text.contains("1 kernels: 7; record again"), "{text}");
    assert!(text.contains("2 agree, 1 differ, 0 refused, 1 stale"), "{text}");
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
