//! Runs kernels on engines, compares, and tells.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::generate::{Options, kernel};
use super::ir::Kernel;
use super::record::Record;
use super::shrink::shrink;
use super::task::{Answer, Engine, Full, Task};

/// Differences that are cut down; the others are only counted.
pub const MOST_SHRUNK: usize = 12;

/// A kernel on which two engines do not agree.
#[derive(Debug, Clone)]
pub struct Difference {
    /// As it was drawn.
    pub seed: u64,
    /// Cut down, where both engines could be asked.
    pub kernel: Option<Kernel>,
    /// What each answered to the kernel that is told.
    pub answers: [Full; 2],
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The two that were compared.
    pub names: [String; 2],
    /// Kernels on which they agree, to the bit.
    pub agree: usize,
    /// Kernels that both ran, or that only one came to the end of, with different answers.
    pub differ: Vec<Difference>,
    /// Of these, those that were not cut down.
    pub more: Vec<u64>,
    /// Kernels that one or both refuse: by engine and reason, their seeds.
    pub refused: BTreeMap<(String, String), Vec<u64>>,
    /// Kernels that a record tells of, but that this program draws differently.
    pub stale: Vec<u64>,
}

impl Outcome {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.differ.is_empty() && self.more.is_empty() && self.stale.is_empty()
    }
}

/// The tasks of seeds.
pub fn tasks(seeds: &[u64], options: Options) -> Vec<Task> {
    seeds.iter().map(|seed| Task::new(&kernel(*seed, options))).collect()
}

/// Runs `tasks` on several engines of one kind, each in a thread of its own. Once `stop` is set no other is
/// begun: what was not run has no answer.
pub fn run(
    engines: &mut [Box<dyn Engine + Send>],
    tasks: &[Task],
    stop: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<Option<Full>> {
    let share = tasks.len().div_ceil(engines.len().max(1)).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = engines
            .iter_mut()
            .zip(tasks.chunks(share))
            .map(|(engine, part)| {
                scope.spawn(move || {
                    let mut answers = Vec::with_capacity(part.len());
                    for some in part.chunks(64).take_while(|_| !stop.load(Ordering::Relaxed)) {
                        answers.extend(engine.run(some).into_iter().map(Some));
                        progress(some.len());
                    }
                    answers.resize(part.len(), None);
                    answers
                })
            })
            .collect();
        parts
            .into_iter()
            .zip(tasks.chunks(share))
            .flat_map(|(thread, part)| {
                let lost = (Answer::Failed("the engine's thread ended".to_owned()), Vec::new());
                thread.join().unwrap_or_else(|_| vec![Some(lost); part.len()])
            })
            .collect()
    })
}

/// Whether two answers say different things. A refusal is no answer, and two failures are the same.
pub fn differs(a: &Answer, b: &Answer) -> bool {
    match (a, b) {
        (Answer::Refused(_), _) | (_, Answer::Refused(_)) | (Answer::Failed(_), Answer::Failed(_)) => false,
        (a, b) => a != b,
    }
}

/// Compares the answers of two engines, and asks both again about the first differences.
pub fn compare(seeds: &[u64], options: Options, answers: [&[Full]; 2], engines: [&mut dyn Engine; 2]) -> Outcome {
    let [left, right] = engines;
    let mut outcome = Outcome { names: [left.name(), right.name()], ..Outcome::default() };
    for ((seed, a), b) in seeds.iter().zip(answers[0]).zip(answers[1]) {
        for (answer, name) in [a, b].into_iter().zip(&outcome.names) {
            if let Answer::Refused(why) = &answer.0 {
                outcome.refused.entry((name.clone(), why.clone())).or_default().push(*seed);
            }
        }
        match (&a.0, &b.0) {
            (a, b) if !differs(a, b) => outcome.agree += usize::from(a == b),
            _ if outcome.differ.len() >= MOST_SHRUNK => outcome.more.push(*seed),
            _ => outcome.differ.push(cut_down(*seed, options, left, right)),
        }
    }
    outcome
}

fn cut_down(seed: u64, options: Options, left: &mut dyn Engine, right: &mut dyn Engine) -> Difference {
    let whole = kernel(seed, options);
    let mut ask = |candidate: &Kernel| {
        let task = [Task::new(candidate)];
        let first = |mut answers: Vec<Full>| answers.pop().unwrap_or((Answer::Failed("no answer".into()), Vec::new()));
        [first(left.run(&task)), first(right.run(&task))]
    };
    let small = shrink(&whole, &mut |candidate| {
        let [a, b] = ask(candidate);
        differs(&a.0, &b.0)
    });
    let answers = ask(&small);
    Difference { seed, kernel: Some(small), answers }
}

/// Compares answers with a record's: nothing can be asked again.
pub fn against(record: &Record, tasks: &[Task], answers: &[Full], name: &str) -> Outcome {
    let mut outcome = Outcome { names: [name.to_owned(), record.driver.clone()], ..Outcome::default() };
    for (task, answer) in tasks.iter().zip(answers) {
        let Some((fingerprint, recorded)) = record.answers.get(&task.seed) else { continue };
        if *fingerprint != task.fingerprint() {
            outcome.stale.push(task.seed);
            continue;
        }
        for (answer, name) in [&answer.0, recorded].into_iter().zip(&outcome.names) {
            if let Answer::Refused(why) = answer {
                outcome.refused.entry((name.clone(), why.clone())).or_default().push(task.seed);
            }
        }
        if differs(&answer.0, recorded) {
            let answers = [answer.clone(), (recorded.clone(), Vec::new())];
            outcome.differ.push(Difference { seed: task.seed, kernel: None, answers });
        } else {
            outcome.agree += usize::from(answer.0 == *recorded);
        }
    }
    outcome
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, right] = &self.names;
        writeln!(f, "{left}\n{right}")?;
        let list = |seeds: &[u64]| {
            let shown: Vec<String> = seeds.iter().take(8).map(u64::to_string).collect();
            let more = if seeds.len() > 8 { ", …" } else { "" };
            format!("{} kernels: {}{more}", seeds.len(), shown.join(", "))
        };
        for difference in &self.differ {
            let [a, b] = &difference.answers;
            let lines = difference.kernel.as_ref().map_or(String::new(), |kernel| {
                format!(", cut down to {} statements", super::case::statements(kernel))
            });
            writeln!(f, "seed {} differs{lines}: {} and {}", difference.seed, told(&a.0), told(&b.0))?;
        }
        if !self.more.is_empty() {
            writeln!(f, "more that differ: {}", list(&self.more))?;
        }
        if !self.stale.is_empty() {
            writeln!(
                f,
                "drawn differently than when the record was made: {}; record again on a GPU",
                list(&self.stale)
            )?;
        }
        for ((engine, why), seeds) in &self.refused {
            writeln!(f, "refused by {engine}: {why}: {}", list(seeds))?;
        }
        let refused: usize = self.refused.values().map(Vec::len).sum();
        write!(f, "{} agree, {} differ, {refused} refused", self.agree, self.differ.len() + self.more.len())?;
        if self.stale.is_empty() { Ok(()) } else { write!(f, ", {} stale", self.stale.len()) }
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Ran(digest) => format!("{digest:016x}"),
        Answer::Refused(why) => format!("refused: {why}"),
        Answer::Failed(why) => format!("failed: {why}"),
    }
}
