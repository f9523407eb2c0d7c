//! Driver objects: who made them, and which are never destroyed.

use std::collections::{BTreeMap, HashMap};

use graphproof_door::Call;
use graphproof_harness::finding::{Check, Finding, Id};

use super::broken::noted;
use super::memory::Made;
use super::report::AliveReport;

/// As many executable graphs of one place, each forgotten before the next is made, are a leak.
const EXECS: usize = 3;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Exec,
    Graph,
    Event,
    Stream,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Exec => "executable graphs",
            Kind::Graph => "graphs",
            Kind::Event => "events",
            Kind::Stream => "streams",
        }
    }
}

struct Object {
    made: Made,
    last_used: u64,
    launches: u64,
    destroyed: Option<u64>,
}

/// All objects that live.
#[derive(Default)]
pub struct Objects {
    live: HashMap<(Kind, u64), Object>,
    /// Executable graphs that were destroyed: one may have been kept for long.
    destroyed: Vec<Object>,
}

/// Destroyed executable graphs that are remembered.
const MOST_DESTROYED: usize = 1 << 16;

impl Objects {
    /// Takes a call that succeeded.
    pub fn apply(&mut self, call: &Call, made: impl Fn() -> Made) {
        if call.result != Some(0) {
            return;
        }
        let new = match call.base() {
            "cuStreamCreate" | "cuStreamCreateWithPriority" => Some((Kind::Stream, "phStream")),
            "cuEventCreate" => Some((Kind::Event, "phEvent")),
            "cuGraphCreate" | "cuStreamEndCapture" => Some((Kind::Graph, "phGraph")),
            "cuGraphClone" => Some((Kind::Graph, "phGraphClone")),
            "cuGraphInstantiate" | "cuGraphInstantiateWithFlags" | "cuGraphInstantiateWithParams" => {
                Some((Kind::Exec, "phGraphExec"))
            }
            _ => None,
        };
        if let Some((kind, argument)) = new {
            if let Some(handle) = call.written(argument) {
                let made = made();
                let last_used = made.at;
                self.live.insert((kind, handle), Object { made, last_used, launches: 0, destroyed: None });
            }
            return;
        }
        let gone = match call.base() {
            "cuStreamDestroy" => Some((Kind::Stream, call.stream())),
            "cuEventDestroy" => Some((Kind::Event, call.word("hEvent"))),
            "cuGraphDestroy" => Some((Kind::Graph, call.word("hGraph"))),
            "cuGraphExecDestroy" => Some((Kind::Exec, call.word("hGraphExec"))),
            _ => None,
        };
        if let Some((kind, Some(handle))) = gone {
            let object = self.live.remove(&(kind, handle));
            if let Some(object) = object.filter(|_| kind == Kind::Exec && self.destroyed.len() < MOST_DESTROYED) {
                self.destroyed.push(Object { destroyed: Some(call.ended), ..object });
            }
        } else if call.base() == "cuGraphLaunch"
            && let Some(exec) = call.word("hGraph").and_then(|exec| self.live.get_mut(&(Kind::Exec, exec)))
        {
            exec.launches += 1;
            exec.last_used = call.ended;
        }
    }

    /// What is alive at the end, by kind and place.
    pub fn alive(&self) -> Vec<AliveReport> {
        let mut places: BTreeMap<(Kind, String), u64> = BTreeMap::new();
        for ((kind, _), object) in &self.live {
            *places.entry((*kind, object.made.caller.place())).or_default() += 1;
        }
        places
            .into_iter()
            .map(|((kind, place), count)| AliveReport { what: kind.words().to_owned(), place, count })
            .collect()
    }

    /// Executable graphs that are made again and again at one place, while those before, which nobody
    /// launches any more, are kept: for ever, or until the program ends. A place that makes many and goes on
    /// to launch them all keeps them for good reason.
    pub fn leaks(&self) -> Vec<Finding> {
        let mut places: BTreeMap<(String, u32), Vec<&Object>> = BTreeMap::new();
        let live = self.live.iter().filter(|((kind, _), _)| *kind == Kind::Exec).map(|(_, object)| object);
        for object in live.chain(&self.destroyed) {
            if let Some(key) = object.made.caller.key() {
                places.entry(key).or_default().push(object);
            }
        }
        places.into_values().filter_map(|execs| leak(execs)).collect()
    }
}

fn leak(mut execs: Vec<&Object>) -> Option<Finding> {
    execs.sort_by_key(|object| object.made.at);
    let last = execs.last()?.made.at;
    let kept = |object: &Object| object.destroyed.is_none_or(|at| at > last);
    let forgotten = |pair: &&[&Object]| pair[0].launches > 0 && pair[0].last_used <= pair[1].made.at && kept(pair[0]);
    let forgotten = execs.windows(2).filter(forgotten).count();
    if forgotten < EXECS - 1 {
        return None;
    }
    let first = &execs[0].made;
    let finding = Finding::new(Id::L02, Check::Trace).at(first.caller.site.clone()).contrast(
        "an executable graph is destroyed when another takes its place",
        format!(
            "{} executable graphs were made here; {forgotten} of them were not launched again once the next was made, and \
             were alive when the last was",
            execs.len()
        ),
    );
    Some(noted(finding, &first.caller))
}
