//! `graphproof kernels`: random kernels, on one driver and on another.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::kernelfuzz::check::{Outcome, against, compare, run as run_all, tasks};
use crate::kernelfuzz::client::Driver;
use crate::kernelfuzz::generate::{Options, kernel};
use crate::kernelfuzz::interpreter::Interpreter;
use crate::kernelfuzz::print::{HEADER, print};
use crate::kernelfuzz::record::{Record, Sample};
use crate::kernelfuzz::task::{Engine, Full, Task};
use crate::kernelfuzz::{approximate, case, serve};
use anyhow::{Context as _, anyhow};
use graphproof_exec::Isa;
use graphproof_harness::driver::{self, DriverKind};
use graphproof_harness::exit_code::ExitCode;

use super::Failure;
use crate::args::{KernelsArgs, KernelsChildArgs};
use crate::interrupt;
use crate::output::progress::StepBar;

/// Values of each form that a record keeps.
const SAMPLE: usize = 64;

type Engines = Vec<Box<dyn Engine + Send>>;

pub fn run(args: &KernelsArgs) -> Result<ExitCode, Failure> {
    let options = Options { generation: args.generation, raw_nan: args.raw_nan };
    let seeds: Vec<u64> = args.seeds.clone().collect();
    if args.show {
        print!("{HEADER}");
        for seed in seeds {
            print!("{}", print(&kernel(seed, options)));
        }
        return Ok(ExitCode::Passed);
    }
    if args.isa {
        return instruction_sets(args, &seeds, options);
    }
    let kind = driver::select(args.driver)?.kind;
    match args.against.as_deref() {
        Some(name @ ("system" | "software")) => both(args, &seeds, options, [kind, named(name)]),
        Some(file) => with_record(args, Path::new(file), kind),
        None => alone(args, &seeds, options, kind),
    }
}

/// The hidden command of a child.
pub fn run_child(args: &KernelsChildArgs) -> Result<ExitCode, Failure> {
    serve::serve(args.driver).map_err(|error| Failure::new(ExitCode::Driver, error))?;
    Ok(ExitCode::Passed)
}

fn named(name: &str) -> DriverKind {
    if name == "system" { DriverKind::System } else { DriverKind::Software }
}

fn open(kind: DriverKind, words: bool) -> Result<Driver, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(ExitCode::Io, anyhow!(error).context("this program's own file, to start children"))
    })?;
    let command: Vec<OsString> = vec![program.into(), "kernels-child".into(), kind.name().into()];
    let failed = |why: String| Failure::new(ExitCode::NoDriver, anyhow!("the {} driver: {why}", kind.name()));
    Driver::open(command, words).map_err(failed)
}

fn several(args: &KernelsArgs, kind: DriverKind) -> Result<Engines, Failure> {
    let jobs = args.jobs.unwrap_or_else(|| match kind {
        DriverKind::System => 4,
        DriverKind::Software => std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)),
    });
    (0..jobs).map(|_| Ok(Box::new(open(kind, false)?) as Box<dyn Engine + Send>)).collect()
}

/// The kernels of a run, and whether it shall stop.
struct Work {
    seeds: Vec<u64>,
    tasks: Vec<Task>,
    asked: usize,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn new(seeds: &[u64], options: Options) -> Self {
        let stop = interrupt::flag();
        println!("{} random kernels", seeds.len());
        Self { seeds: seeds.to_vec(), tasks: tasks(seeds, options), asked: seeds.len(), stop }
    }

    /// Runs every task on engines, with a bar. Tasks without an answer from here, since the run is to stop, are
    /// left out, and their answers in `others` with them.
    fn answers(&mut self, engines: &mut Engines, title: &'static str, others: &mut [&mut Vec<Full>]) -> Vec<Full> {
        let bar = StepBar::new(title, self.tasks.len() as u64);
        let done = Mutex::new(0);
        let answers = run_all(engines, &self.tasks, &self.stop, &|more| {
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += more as u64;
            bar.at(*done);
        });
        let kept: Vec<bool> = answers.iter().map(Option::is_some).collect();
        keep(&mut self.seeds, &kept);
        keep(&mut self.tasks, &kept);
        others.iter_mut().for_each(|other| keep(other, &kept));
        answers.into_iter().flatten().collect()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn end(&self, clean: bool) -> ExitCode {
        if self.stopped() {
            println!("INTERRUPTED: {} of {} kernels were run", self.tasks.len(), self.asked);
            return ExitCode::Interrupted;
        }
        if clean { ExitCode::Passed } else { ExitCode::Findings }
    }
}

fn keep<T>(all: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    all.retain(|_| kept.next() == Some(&true));
}

/// One driver: what it answers, recorded if asked.
fn alone(args: &KernelsArgs, seeds: &[u64], options: Options, kind: DriverKind) -> Result<ExitCode, Failure> {
    let mut engines = several(args, kind)?;
    let mut work = Work::new(seeds, options);
    let answers = work.answers(&mut engines, "kernels", &mut []);
    let name = engines.first().map(|engine| engine.name()).unwrap_or_default();
    drop(engines);
    let tasks = &work.tasks;
    let approximate = match args.no_approximate || work.stopped() {
        true => BTreeMap::new(),
        false => samples(&mut open(kind, true)?, &BTreeMap::new()),
    };
    write_record(args, &name, options, tasks, &answers, approximate)?;
    let outcome = against(&record_of(&name, options, tasks, &answers), tasks, &answers, &name);
    println!("{}: {} kernels ran, {} do not run", name, outcome.agree, tasks.len() - outcome.agree);
    for ((_, why), seeds) in &outcome.refused {
        println!("refused: {why}: {} kernels, seed {} first", seeds.len() / 2, seeds[0]);
    }
    let failed: Vec<_> =
        tasks.iter().zip(&answers).filter(|(_, full)| format!("{:?}", full.0).starts_with("Failed")).collect();
    for (task, (answer, _)) in failed.iter().take(10) {
        println!("seed {}: {answer:?}", task.seed);
    }
    Ok(work.end(failed.is_empty()))
}

fn record_of(name: &str, options: Options, tasks: &[Task], answers: &[Full]) -> Record {
    let rows = tasks.iter().zip(answers).map(|(task, (answer, _))| (task.seed, (task.fingerprint(), answer.clone())));
    Record { driver: name.to_owned(), options, answers: rows.collect(), approximate: BTreeMap::new() }
}

fn write_record(
    args: &KernelsArgs,
    name: &str,
    options: Options,
    tasks: &[Task],
    answers: &[Full],
    approximate: BTreeMap<String, Sample>,
) -> Result<(), Failure> {
    let Some(path) = &args.record else { return Ok(()) };
    let record = Record { approximate, ..record_of(name, options, tasks, answers) };
    std::fs::write(path, record.write())
        .with_context(|| format!("writing {}", path.display()))
        .map_err(|error| Failure::new(ExitCode::Io, error))
}

/// What an engine gives for the forms without promised bits, with the bounds that were measured.
fn samples(engine: &mut dyn Engine, bounds: &BTreeMap<String, f64>) -> BTreeMap<String, Sample> {
    let positions = approximate::sample(SAMPLE);
    let some = approximate::results(engine).into_iter().filter_map(|(form, result)| {
        let all = result.ok()?;
        let words = positions.iter().map(|&n| all[n]).collect();
        Some((form.clone(), Sample { bound: bounds.get(&form).copied().unwrap_or_default(), words }))
    });
    some.collect()
}

/// Two drivers, both asked now: what differs is cut down.
fn both(args: &KernelsArgs, seeds: &[u64], options: Options, kinds: [DriverKind; 2]) -> Result<ExitCode, Failure> {
    let mut work = Work::new(seeds, options);
    let [left, right] = kinds;
    let mut left_answers = work.answers(&mut several(args, left)?, left.name(), &mut []);
    let right_answers = work.answers(&mut several(args, right)?, right.name(), &mut [&mut left_answers]);
    let (mut a, mut b) = (open(left, true)?, open(right, true)?);
    let outcome = compare(&work.seeds, options, [&left_answers, &right_answers], [&mut a, &mut b]);
    write_cases(args, &outcome)?;
    println!("{outcome}");
    let approximate = !args.no_approximate && !work.stopped();
    let bounds = if approximate { distances(&mut a, &mut b) } else { BTreeMap::new() };
    if args.record.is_some() {
        let approximate = if approximate { samples(&mut a, &bounds) } else { BTreeMap::new() };
        write_record(args, &a.name(), options, &work.tasks, &left_answers, approximate)?;
    }
    Ok(work.end(outcome.is_clean()))
}

/// Tells how far two engines are on each form without promised bits.
fn distances(a: &mut dyn Engine, b: &mut dyn Engine) -> BTreeMap<String, f64> {
    let (left, right) = (approximate::results(a), approximate::results(b));
    let mut bounds = BTreeMap::new();
    for form in approximate::all_forms() {
        let (Some(left), Some(right)) = (left.get(&form.name), right.get(&form.name)) else { continue };
        match (left, right) {
            (Ok(left), Ok(right)) => {
                let far: Vec<f64> = left.iter().zip(right).map(|(a, b)| approximate::distance(&form, *a, *b)).collect();
                let most = far.iter().copied().fold(0.0, f64::max);
                let unit = if approximate::absolute(&form.name) { "absolute" } else { "ulp" };
                let n = far.iter().position(|d| *d == most).unwrap_or_default();
                println!("{}: {most:.3e} {unit} at most ({:x} and {:x})", form.name, left[n], right[n]);
                bounds.insert(form.name, most);
            }
            (Err(why), _) | (_, Err(why)) => println!("{}: not compared: {why}", form.name),
        }
    }
    bounds
}

fn write_cases(args: &KernelsArgs, outcome: &Outcome) -> Result<(), Failure> {
    let Some(folder) = &args.cases else { return Ok(()) };
    let write = || -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        for difference in &outcome.differ {
            if let Some(text) = case::file(difference, &outcome.names) {
                let path = folder.join(format!("{}.ptx", difference.seed));
                std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        Ok(())
    };
    write().map_err(|error| Failure::new(ExitCode::Io, error))
}

/// One driver and a record of another.
fn with_record(args: &KernelsArgs, path: &Path, kind: DriverKind) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading {}; --against takes `system`, `software` or a record", path.display()))
        .map_err(|error| Failure::new(ExitCode::Io, error))?;
    let record = Record::read(&text)
        .with_context(|| format!("{} is no record of `graphproof kernels`", path.display()))
        .map_err(|error| Failure::new(ExitCode::Usage, error))?;
    let seeds: Vec<u64> = record.answers.keys().copied().collect();
    let mut engines = several(args, kind)?;
    let mut work = Work::new(&seeds, record.options);
    let answers = work.answers(&mut engines, "kernels", &mut []);
    let name = engines.first().map(|engine| engine.name()).unwrap_or_default();
    drop(engines);
    write_record(args, &name, record.options, &work.tasks, &answers, BTreeMap::new())?;
    let outcome = against(&record, &work.tasks, &answers, &name);
    let mut clean = outcome.is_clean();
    if !args.no_approximate && !record.approximate.is_empty() && !work.stopped() {
        clean &= within_bounds(&record, &mut open(kind, true)?);
    }
    println!("{outcome}");
    Ok(work.end(clean))
}

/// Whether each form is as near to the record as was measured.
fn within_bounds(record: &Record, engine: &mut dyn Engine) -> bool {
    let ours = approximate::results(engine);
    let mut clean = true;
    for form in approximate::all_forms() {
        let Some(sample) = record.approximate.get(&form.name) else { continue };
        let Some(Ok(words)) = ours.get(&form.name) else {
            println!("{}: {:?}", form.name, ours.get(&form.name));
            clean = false;
            continue;
        };
        let positions = approximate::sample(sample.words.len());
        let far =
            positions.iter().zip(&sample.words).map(|(&n, theirs)| approximate::distance(&form, words[n], *theirs));
        let most = far.fold(0.0, f64::max);
        if most > sample.bound {
            println!("{}: {most:.3e} from the record, whose bound is {:.3e}", form.name, sample.bound);
            clean = false;
        }
    }
    clean
}

/// The interpreter with itself.
fn instruction_sets(args: &KernelsArgs, seeds: &[u64], options: Options) -> Result<ExitCode, Failure> {
    let mut work = Work::new(seeds, options);
    let mut sets: Vec<(Isa, u64)> = Isa::available().into_iter().map(|isa| (isa, 0)).collect();
    sets.extend([(Isa::detect(), 1), (Isa::detect(), 99)]);
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let engines = |(isa, order): (Isa, u64)| -> Engines {
        (0..jobs).map(|_| Box::new(Interpreter::new(isa, if order == 0 { 1 } else { 3 }, order)) as _).collect()
    };
    let mut first = work.answers(&mut engines(sets[0]), "kernels", &mut []);
    let mut clean = true;
    for set in &sets[1..] {
        let other = work.answers(&mut engines(*set), "kernels", &mut [&mut first]);
        let (mut a, mut b) = (Interpreter::new(sets[0].0, 1, sets[0].1), Interpreter::new(set.0, 3, set.1));
        let outcome = compare(&work.seeds, options, [&first, &other], [&mut a, &mut b]);
        write_cases(args, &outcome)?;
        clean &= outcome.is_clean();
        println!("{outcome}");
    }
    Ok(work.end(clean))
}
