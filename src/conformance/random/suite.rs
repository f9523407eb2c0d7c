//! A run of random sequences as a whole: generate, run, compare, shrink, report.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail, ensure};

use super::compare::{Difference, clusters, difference, settled};
use super::pool::{End, Ran, Runner, Server, Tally};
use super::record::{Block, Record, digest};
use super::shrink::{renamed, shrink};
use super::{GENERATOR, generate, session};

/// The most seeds of one run.
const MOST_SEEDS: u64 = 100_000;

/// The seeds of a run, the last included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seed =
            |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is no seed: write a number, or 1..20"));
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (seed(first)?, seed(last.trim_start_matches('='))?),
            None => (seed(text)?, seed(text)?),
        };
        match last.checked_sub(first) {
            Some(more) if more < MOST_SEEDS => Ok(Self(first..=last)),
            Some(_) => Err(format!("at most {MOST_SEEDS} seeds in one run")),
            None => Err(format!("the last seed {last} is before the first {first}")),
        }
    }
}

/// What a driver's answers are compared with.
#[derive(Clone, Debug)]
pub enum Against {
    /// What a driver answered before.
    Record(Record),
    /// Another driver, now.
    Live(Runner),
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seeds.
    pub seeds: Seeds,
    /// Sequences of each seed.
    pub count: u64,
    /// The driver that is judged.
    pub runner: Runner,
    /// The driver in words, for a record.
    pub driver: String,
    /// The driver that is right.
    pub against: Option<Against>,
    /// Differences of each kind that are shrunk.
    pub shrink: usize,
    /// Where the minimal cases go.
    pub minimal: Option<PathBuf>,
    /// Sequences that are known to differ.
    pub known: BTreeSet<(u64, u64)>,
    /// No sequence is begun once this is set.
    pub stop: Arc<AtomicBool>,
}

/// A difference that was cut down.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Minimal {
    /// `seed:index` of the sequence.
    pub id: String,
    /// What groups it.
    pub signature: String,
    /// The calls that are left with the answers of the driver that is right and of the one that is judged.
    pub lines: Vec<(String, String, String)>,
}

/// Differences that may have one cause.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Cluster {
    /// The call and both answers.
    pub signature: String,
    /// `seed:index` of the sequences.
    pub ids: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// The version of the generator.
    pub generator: u64,
    /// How many sequences were run.
    pub sequences: usize,
    /// How many were asked for, where the run was stopped before it had run them all.
    pub interrupted: Option<usize>,
    /// Calls that the judged driver answered.
    pub calls: usize,
    /// Sequences that differ, known or not.
    pub differ: usize,
    /// `seed:index` of those that differ and are not known to.
    pub unexpected: Vec<String>,
    /// `seed:index` of those that are known to differ and do not.
    pub improved: Vec<String>,
    /// The differences by kind.
    pub clusters: Vec<Cluster>,
    /// Those that were cut down.
    pub minimal: Vec<Minimal>,
    /// `seed:index` of sequences that end a driver's process or do not return, with the call.
    pub ends: Vec<String>,
    /// What happened to the processes, in words.
    pub notes: Vec<String>,
    /// What the judged driver answered.
    #[serde(skip)]
    pub record: Record,
    /// The same of the live driver that it was compared with.
    #[serde(skip)]
    pub other: Option<Record>,
}

impl Outcome {
    /// True where nothing unexpected was seen.
    pub fn is_ok(&self) -> bool {
        self.unexpected.is_empty() && self.improved.is_empty()
    }
}

struct Sequences {
    lines: Vec<Vec<String>>,
    ids: Vec<(u64, u64)>,
}

impl Sequences {
    fn generate(seeds: &Seeds, count: u64) -> anyhow::Result<Self> {
        let ids: Vec<(u64, u64)> = seeds.0.clone().flat_map(|seed| (0..count).map(move |at| (seed, at))).collect();
        let lines: Vec<Vec<String>> = ids.iter().map(|(seed, at)| generate::sequence(*seed, *at)).collect();
        for (lines, (seed, at)) in lines.iter().zip(&ids) {
            session::script(lines).with_context(|| format!("the generator's sequence {seed}:{at} is none"))?;
        }
        Ok(Self { lines, ids })
    }

    fn id(&self, place: usize) -> String {
        format!("{}:{}", self.ids[place].0, self.ids[place].1)
    }

    /// The sequences that have answers from all of `runs`, and these. Of each seed those before the first gap,
    /// which is what a record can hold.
    fn answered<const N: usize>(&mut self, runs: [Vec<Option<Ran>>; N]) -> [Vec<Ran>; N] {
        let mut gaps = BTreeSet::new();
        let whole: Vec<bool> = (self.ids.iter().enumerate())
            .map(|(at, (seed, _))| {
                if runs.iter().any(|ran| ran[at].is_none()) {
                    gaps.insert(*seed);
                }
                !gaps.contains(seed)
            })
            .collect();
        let mut flags = whole.iter();
        self.lines.retain(|_| flags.next() == Some(&true));
        let mut flags = whole.iter();
        self.ids.retain(|_| flags.next() == Some(&true));
        runs.map(|ran| ran.into_iter().zip(&whole).filter(|(_, whole)| **whole).filter_map(|(ran, _)| ran).collect())
    }

    /// The answers by seed.
    fn record(&self, driver: &str, ran: &[Ran]) -> Record {
        let mut blocks: Vec<Block> = Vec::new();
        for seed in self.ids.iter().map(|(seed, _)| *seed).collect::<BTreeSet<_>>() {
            let of: Vec<usize> = (0..self.ids.len()).filter(|at| self.ids[*at].0 == seed).collect();
            let lines: Vec<Vec<String>> = of.iter().map(|at| self.lines[*at].clone()).collect();
            blocks.push(Block { seed, digest: digest(&lines), ran: of.iter().map(|at| ran[*at].clone()).collect() });
        }
        Record { driver: driver.to_owned(), blocks }
    }

    /// The recorded answers to these sequences.
    fn recorded(&self, record: &Record) -> anyhow::Result<Vec<Ran>> {
        let mut out = Vec::new();
        for seed in self.ids.iter().map(|(seed, _)| *seed).collect::<BTreeSet<_>>() {
            let block = record.block(seed).with_context(|| {
                let known: Vec<String> = record.blocks.iter().map(|block| block.seed.to_string()).collect();
                format!("the record has no seed {seed}, only {}", known.join(", "))
            })?;
            let all: Vec<Vec<String>> = (0..block.ran.len() as u64).map(|at| generate::sequence(seed, at)).collect();
            ensure!(
                digest(&all) == block.digest,
                "the record's answers to seed {seed} are to other sequences than generator {GENERATOR} makes: record it anew"
            );
            let wanted = self.ids.iter().filter(|(of, _)| *of == seed).count();
            let Some(answers) = block.ran.get(..wanted) else {
                bail!("the record has {} sequences of seed {seed}: use --count {0} at most", block.ran.len());
            };
            out.extend_from_slice(answers);
        }
        Ok(out)
    }
}

/// The sequences as text, with the recorded answers where there is a record.
///
/// # Errors
/// A record that cannot be used.
pub fn listing(seeds: &Seeds, count: u64, record: Option<&Record>) -> anyhow::Result<String> {
    let sequences = Sequences::generate(seeds, count)?;
    let recorded = record.map(|record| sequences.recorded(record)).transpose()?;
    let mut text = String::new();
    for (place, lines) in sequences.lines.iter().enumerate() {
        text.push_str(&format!("# {}\n", sequences.id(place)));
        for (at, line) in lines.iter().enumerate() {
            text.push_str(line);
            if let Some(saw) = recorded.as_ref().and_then(|ran| ran[place].saw.get(at)) {
                text.push_str(" -> ");
                text.push_str(saw);
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// Runs the sequences.
///
/// # Errors
/// A driver or a record that cannot be used, or a folder that cannot be written.
pub fn run(options: &Options, progress: &(dyn Fn(usize, usize) + Sync)) -> anyhow::Result<Outcome> {
    let mut sequences = Sequences::generate(&options.seeds, options.count)?;
    let asked = sequences.lines.len();
    let recorded = match &options.against {
        Some(Against::Record(record)) => Some(sequences.recorded(record)?),
        _ => None,
    };
    let stopped = || options.stop.load(Ordering::Relaxed);
    let ask = |runner: &Runner| runner.run(&sequences.lines, &options.stop, &|done| progress(done, asked));
    let (judged, tally) = ask(&options.runner)?;
    let mut notes = notes(&sequences, &options.driver, &tally);
    let (judged, right) = match &options.against {
        Some(Against::Record(_)) => {
            let recorded = recorded.unwrap_or_default().into_iter().map(Some).collect();
            let [judged, right] = sequences.answered([judged, recorded]);
            (judged, Some(right))
        }
        Some(Against::Live(runner)) if !stopped() => {
            let (right, tally) = ask(runner)?;
            notes.extend(self::notes(&sequences, "the other driver", &tally));
            let [judged, right] = sequences.answered([judged, right]);
            (judged, Some(right))
        }
        _ => {
            let [judged] = sequences.answered([judged]);
            (judged, None)
        }
    };
    let live = matches!(options.against, Some(Against::Live(_)));
    let other = right.as_ref().filter(|_| live).map(|right| sequences.record("", right));
    let count = sequences.lines.len();
    let interrupted = stopped().then_some(asked);
    let mut ends = ends(&sequences, "judged", &judged);
    let mut found: Vec<(usize, Difference)> = Vec::new();
    if let Some(right) = &right {
        ends.extend(self::ends(&sequences, "reference", right));
        let both = right.iter().zip(&judged).zip(&sequences.lines).enumerate();
        found.extend(both.filter_map(|(at, ((right, judged), lines))| Some((at, difference(lines, right, judged)?))));
    }
    let differing: BTreeSet<(u64, u64)> = found.iter().map(|(at, _)| sequences.ids[*at]).collect();
    let compared = right.is_some();
    let text = |(seed, at): &(u64, u64)| format!("{seed}:{at}");
    let clusters = clusters(found.iter().map(|(at, difference)| (*at, difference)));
    let minimal = match &right {
        Some(right) if options.shrink > 0 && interrupted.is_none() => {
            minimal(options, &sequences, &clusters, &found, right, &judged)?
        }
        _ => Vec::new(),
    };
    if let Some(folder) = &options.minimal {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for case in &minimal {
            let path = folder.join(format!("random_{}.case", case.id.replace(':', "_")));
            std::fs::write(&path, case_file(case)).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(Outcome {
        generator: GENERATOR,
        sequences: count,
        interrupted,
        calls: judged.iter().map(|ran| ran.saw.len()).sum(),
        differ: found.len(),
        unexpected: differing.difference(&options.known).map(text).collect(),
        improved: if compared {
            let ran: BTreeSet<(u64, u64)> = sequences.ids.iter().copied().collect();
            options.known.intersection(&ran).filter(|id| !differing.contains(id)).map(text).collect()
        } else {
            Vec::new()
        },
        clusters: clusters
            .into_iter()
            .map(|(signature, places)| Cluster {
                signature,
                ids: places.into_iter().map(|place| sequences.id(place)).collect(),
            })
            .collect(),
        minimal,
        ends,
        notes,
        record: sequences.record(&options.driver, &judged),
        other,
    })
}

fn notes(sequences: &Sequences, driver: &str, tally: &Tally) -> Vec<String> {
    let mut notes = vec![format!("{driver}: {} processes", tally.processes)];
    notes.extend(
        tally.spoiled.iter().map(|at| format!("{driver}: {} ends a shared process, not its own", sequences.id(*at))),
    );
    notes.extend(tally.unclean.iter().map(|(at, why)| format!("{driver}: after {}: {why}", sequences.id(*at))));
    notes
}

fn ends(sequences: &Sequences, driver: &str, ran: &[Ran]) -> Vec<String> {
    let ended = ran.iter().enumerate().filter_map(|(at, ran)| {
        let call = sequences.lines[at].get(ran.saw.len()).map_or("the end", String::as_str);
        let id = sequences.id(at);
        match &ran.end {
            End::Done => None,
            End::Crash(how) => Some(format!("{id} ({driver}) {how} in {call}")),
            End::Timeout => Some(format!("{id} ({driver}) no return from {call}")),
            End::Error(what) => Some(format!("{id} ({driver}) {what}")),
        }
    });
    ended.collect()
}

/// Cuts down some differences of each cluster, those that come first in their sequence.
fn minimal(
    options: &Options,
    sequences: &Sequences,
    clusters: &[(String, Vec<usize>)],
    found: &[(usize, Difference)],
    right: &[Ran],
    judged: &[Ran],
) -> anyhow::Result<Vec<Minimal>> {
    let of = |place: usize| found.iter().find(|(at, _)| *at == place).map(|(_, difference)| difference);
    let mut chosen: Vec<(usize, &Difference)> = Vec::new();
    for (_, places) in clusters {
        let mut differences: Vec<(usize, &Difference)> =
            places.iter().filter_map(|place| Some((*place, of(*place)?))).collect();
        differences.sort_by_key(|(_, difference)| difference.at);
        chosen.extend(differences.into_iter().take(options.shrink));
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, anyhow::Result<Minimal>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.runner.jobs.clamp(1, chosen.len().max(1)) {
            scope.spawn(|| {
                let mut servers = (
                    Server::new(&options.runner),
                    match &options.against {
                        Some(Against::Live(runner)) => Some(Server::new(runner)),
                        _ => None,
                    },
                );
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((place, difference)) = chosen.get(at) else { break };
                    let lines = &sequences.lines[*place];
                    let case = one(&mut servers, lines, difference, &right[*place], &judged[*place])
                        .map(|lines| Minimal { id: sequences.id(*place), signature: difference.signature(), lines });
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, case));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, case)| case).collect()
}

/// Shrinks one sequence. Without the other driver at hand, lines go whose absence changes no answer of
/// the judged one: what the other would answer then is taken to be what it answered.
fn one(
    (judge, live): &mut (Server<'_>, Option<Server<'_>>),
    lines: &[String],
    found: &Difference,
    right: &Ran,
    judged: &Ran,
) -> anyhow::Result<Vec<(String, String, String)>> {
    let choose = |places: &[usize]| places.iter().map(|at| lines[*at].clone()).collect::<Vec<_>>();
    let places = shrink(found, |places| {
        let chosen = choose(places);
        let saw = judge.sequence(&chosen)?;
        if let Some(live) = live {
            return Ok(difference(&chosen, &live.sequence(&chosen)?, &saw));
        }
        let of =
            |ran: &Ran, at: usize, line: &str| ran.saw.get(at).map(|saw| settled(super::compare::called(line), saw));
        let same = places
            .iter()
            .enumerate()
            .all(|(now, then)| of(&saw, now, &lines[*then]) == of(judged, *then, &lines[*then]));
        Ok(same.then(|| Difference { at: places.len() - 1, ..found.clone() }))
    })?;
    let chosen = choose(&places);
    let (saw, answered) = match live {
        Some(live) => (judge.sequence(&chosen)?, live.sequence(&chosen)?),
        None => {
            let at = |ran: &Ran| Ran {
                saw: places.iter().filter_map(|at| ran.saw.get(*at).cloned()).collect(),
                end: ran.end.clone(),
            };
            (at(judged), at(right))
        }
    };
    let answer = |ran: &Ran, at: usize| ran.saw.get(at).cloned().unwrap_or_else(|| "NONE".into());
    let lines = renamed(&chosen).into_iter().enumerate();
    Ok(lines.map(|(at, line)| (line, answer(&answered, at), answer(&saw, at))).collect())
}

/// A minimal difference as a case: the driver that is right is expected.
fn case_file(case: &Minimal) -> String {
    let mut text = format!(
        "title: {}\nsource: random sequence {}, generator {GENERATOR}\nevidence: calibrate\n---\n",
        case.signature, case.id
    );
    for (line, right, judged) in &case.lines {
        let call = super::compare::called(line);
        text.push_str(line);
        let expected = settled(call, right);
        if expected != "SUCCESS" {
            text.push_str(&format!(" -> {expected}"));
        }
        if settled(call, judged) != expected {
            text.push_str(&format!(" # seen: {judged}"));
        }
        text.push('\n');
    }
    text
}

/// Reads the sequences that are known to differ: `seed:index # reason` per line.
///
/// # Errors
/// An unreadable file, or a line that is not that.
pub fn read_known(path: &Path) -> anyhow::Result<BTreeSet<(u64, u64)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            let id = line.split_once(':').and_then(|(seed, at)| Some((seed.parse().ok()?, at.parse().ok()?)));
            id.with_context(|| format!("{}:{}: write `seed:index # reason`", path.display(), number + 1))
        })
        .collect()
}

impl fmt::Display for Outcome {
    /// The counts, the clusters with their minimal cases, what ended a process.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for end in &self.ends {
            writeln!(f, "ends: {end}")?;
        }
        for cluster in &self.clusters {
            let some: Vec<&str> = cluster.ids.iter().take(5).map(String::as_str).collect();
            writeln!(f, "{:>6}  {}  ({})", cluster.ids.len(), cluster.signature, some.join(" "))?;
            for case in self.minimal.iter().filter(|case| case.signature == cluster.signature) {
                writeln!(f, "        {}", case.id)?;
                for (line, right, judged) in &case.lines {
                    match right == judged {
                        true => writeln!(f, "          {line} -> {right}")?,
                        false => writeln!(f, "          {line} -> {right}, not {judged}")?,
                    }
                }
            }
        }
        for id in &self.improved {
            writeln!(f, "{id} is listed as a difference and is none")?;
        }
        write!(f, "generator {}, {} sequences, {} calls", self.generator, self.sequences, self.calls)?;
        let share = 100.0 * self.differ as f64 / self.sequences.max(1) as f64;
        write!(f, ", {} differ ({share:.2} %), {} of them unexpected", self.differ, self.unexpected.len())
    }
}
