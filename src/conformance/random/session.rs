//! The child's side: many sequences in one process and one context, each cleaned up after.

use std::collections::HashMap;
use std::io::BufRead;

use super::ledger::{Class, Ledger};
use crate::conformance::call::api::Driver;
use crate::conformance::call::env::{Answer, Env, Value};
use crate::conformance::call::host;
use crate::conformance::child::{Message, tell};
use crate::conformance::expand::{self, Cell, MAIN_THREAD, Script};
use crate::conformance::format::{CaseFile, FormatError, RawLine};
use crate::conformance::run::{Observation, Session, Stop, Worker, line};

/// The kernels that every sequence declares: loaded once, since loading is slow and nothing tells them apart.
const KERNELS: [&str; 2] = ["store", "empty"];

/// The script of a sequence's lines.
///
/// # Errors
/// The first line that does not parse: a fault of the generator.
pub fn script(lines: &[String]) -> Result<Script, FormatError> {
    let body = lines.iter().enumerate().map(|(at, text)| RawLine { number: at + 1, text: format!("{text} -> ?") });
    let case = CaseFile {
        name: "sequence".into(),
        title: String::new(),
        source: String::new(),
        evidence: "calibrate".into(),
        driver_at_least: None,
        devices: 1,
        notes: Vec::new(),
        axes: Vec::new(),
        excluded: Vec::new(),
        body: body.collect(),
    };
    expand::script(&case, &Cell { values: Vec::new() })
}

/// Runs the sequences that come on standard input, one JSON array of lines each, until there are no more
/// or one leaves the driver in a state that the next would see.
///
/// # Errors
/// A driver that cannot be used, or input that is no sequence.
pub fn serve(driver: Driver) -> Result<(), Stop> {
    let session = Session::start(driver)?;
    tell(&Message::Driver(session.version));
    let kernels = kernels(&session)?;
    for input in std::io::stdin().lock().lines() {
        let input = input.map_err(|error| Stop::Error(error.to_string()))?;
        let lines: Vec<String> = serde_json::from_str(&input).map_err(|error| Stop::Error(error.to_string()))?;
        let script = script(&lines).map_err(|error| Stop::Error(error.to_string()))?;
        let clean = sequence(&session, &kernels, &script)?;
        let stop = clean.is_some();
        tell(&Message::Cleaned(clean));
        if stop {
            break;
        }
    }
    Ok(())
}

fn kernels(session: &Session) -> Result<HashMap<String, Value>, Stop> {
    let mut env = Env::new(session.driver, session.context);
    let worker = Worker::start(MAIN_THREAD, session.driver, session.context)?;
    let mut found = HashMap::new();
    for name in KERNELS {
        let script = script(&[format!("kernel K {name}")]).map_err(|error| Stop::Error(error.to_string()))?;
        for step in &script.steps {
            match line(&mut env, &worker, step) {
                // Each sequence that declares a kernel says so.
                Ok(_) | Err(Stop::Skip(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
        if let Ok(value) = env.value("K") {
            found.insert(name.to_owned(), value);
        }
    }
    worker.finish();
    Ok(found)
}

/// Runs one sequence; answers why its traces could not be removed, if so.
fn sequence(session: &Session, kernels: &HashMap<String, Value>, script: &Script) -> Result<Option<String>, Stop> {
    host::forget();
    let mut env = Env::new(session.driver, session.context);
    env.preload(kernels);
    let mut ledger = Ledger::default();
    let mut workers: HashMap<String, Worker> = HashMap::new();
    for step in &script.steps {
        if !workers.contains_key(&step.thread) {
            workers.insert(step.thread.clone(), Worker::start(&step.thread, session.driver, session.context)?);
        }
    }
    for step in &script.steps {
        ledger.before(&mut env, step);
        if ledger.refuses(&env, step) {
            if let Some(var) = &step.assign {
                env.set(var, None);
            }
            tell(&Message::Saw(Observation { line: step.line, call: String::new(), saw: "REFUSED".into() }));
            continue;
        }
        let saw = match line(&mut env, &workers[&step.thread], step) {
            Ok(saw) => saw,
            Err(Stop::Skip(what)) => {
                if let Some(var) = crate::conformance::call::target(&env, step).map(str::to_owned) {
                    env.set(&var, None);
                }
                format!("SKIPPED {what}")
            }
            Err(stop) => return Err(stop),
        };
        let var = crate::conformance::call::target(&env, step).map(str::to_owned);
        let made = var.as_deref().and_then(|var| env.value(var).ok()).map(|value| value.bits);
        ledger.after(&mut env, step, &saw, var.as_deref(), made);
        tell(&Message::Saw(Observation { line: step.line, call: String::new(), saw }));
    }
    let left = clean(session, &ledger, &workers)?;
    workers.into_values().for_each(Worker::finish);
    Ok(left)
}

/// Ends what captures, waits for what runs, destroys what lives.
fn clean(session: &Session, ledger: &Ledger, workers: &HashMap<String, Worker>) -> Result<Option<String>, Stop> {
    /// The stream that stands for the calling thread's own.
    const PER_THREAD: u64 = 2;
    let mut names: Vec<&String> = workers.keys().collect();
    names.sort();
    let call = |thread: &str, name: &str, words: &[u64]| -> Result<i32, Stop> {
        // What the driver cannot destroy it has not made.
        let Some(entry) = session.driver.symbol(name) else { return Ok(0) };
        let words = words.to_vec();
        let worker = workers.get(thread).ok_or_else(|| Stop::Error("a sequence without its thread".into()))?;
        // SAFETY: each use below passes what cuda.h declares: live handles, and outputs that outlive the call.
        let answer = worker.call(Box::new(move || Answer::words(unsafe { entry.call(&words) }.to_string())))?;
        answer.text.parse().map_err(|_| Stop::Error("a call without a result".into()))
    };
    let status = |thread: &str, stream: u64| -> Result<u32, Stop> {
        let mut out = 0u64;
        let code = call(thread, "cuStreamIsCapturing", &[stream, &raw mut out as u64])?;
        Ok(if code == 0 { out as u32 } else { 0 })
    };
    let streams: Vec<u64> = ledger.of(Class::Stream).collect();
    let graphs: Vec<u64> = ledger.of(Class::Graph).filter(|graph| !ledger.is_doubtful(*graph)).collect();
    let mut places: Vec<(u64, &str)> =
        ledger.begun().filter(|(stream, _)| streams.contains(stream) || *stream == PER_THREAD).collect();
    places.extend(
        names.iter().flat_map(|name| streams.iter().chain([&PER_THREAD]).map(|stream| (*stream, name.as_str()))),
    );
    let mut broken = Vec::new();
    for (stream, thread) in places {
        if status(thread, stream)? != 0 {
            let mut out = 0u64;
            let code = call(thread, "cuStreamEndCapture", &[stream, &raw mut out as u64])?;
            if code != 0 {
                // The capture may have taken the caller's graph with it.
                broken.extend(ledger.target(stream).map(|graph| ledger.root(graph)));
            } else if out != 0 && !graphs.contains(&ledger.root(out)) {
                call(thread, "cuGraphDestroy", &[out])?;
            }
        }
    }
    for (name, stream) in names.iter().flat_map(|name| streams.iter().chain([&PER_THREAD]).map(move |at| (name, *at))) {
        if status(name, stream)? != 0 {
            return Ok(Some("a capture that cannot be ended".into()));
        }
    }
    match call(MAIN_THREAD, "cuCtxSynchronize", &[])? {
        0 => {}
        code => {
            let code = crate::conformance::call::names::result_name(code);
            return Ok(Some(format!("cuCtxSynchronize answers {code}")));
        }
    }
    for (class, symbol) in [
        (Class::Exec, "cuGraphExecDestroy"),
        (Class::Graph, "cuGraphDestroy"),
        (Class::Event, "cuEventDestroy_v2"),
        (Class::Stream, "cuStreamDestroy_v2"),
        (Class::Pooled, "cuMemFree_v2"),
        (Class::Device, "cuMemFree_v2"),
        (Class::Host, "cuMemFreeHost"),
    ] {
        let may_be_gone = |graph: u64| ledger.is_doubtful(graph) || broken.contains(&graph);
        for bits in ledger.of(class).filter(|bits| class != Class::Graph || !may_be_gone(*bits)) {
            call(MAIN_THREAD, symbol, &[bits])?;
        }
    }
    Ok(None)
}
