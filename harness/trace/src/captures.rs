//! Captures: what was captured, what broke it, and whether driver and model agree.

use std::collections::HashMap;

use graphproof_door::{Call, Capture as Status};
use graphproof_harness::checks::capture::id_of;
use graphproof_harness::finding::{Check, Finding, Id};
use graphproof_model::{CaptureId, StreamKind};

use super::analysis::Seen;
use super::broken::{Breaker, begins, broken, by, noted, why};
use super::calls::{Burden, code_name, is_capture_code, is_work, stream_name, told};
use super::copies::unpinned;
use super::forks::Forks;
use super::memory::Ledger;
use super::place::Caller;
use super::report::{BurdenReport, CaptureReport, Disagreement};
use super::shadow::{Prediction, Shadow};

/// Disagreements that are told; one kind of call makes many.
const MOST_DISAGREEMENTS: usize = 100;

/// All captures of a process.
#[derive(Default)]
pub struct Captures {
    open: HashMap<CaptureId, Open>,
    /// Those that have ended, with those that have not at the end of the record.
    pub done: Vec<CaptureReport>,
    pub findings: Vec<Finding>,
    pub disagreements: Vec<Disagreement>,
    /// By the graph that it gave.
    pub of_graph: HashMap<u64, Captured>,
    begun: usize,
}

/// What a capture knows about the nodes of its graph.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    pub number: usize,
    /// The line that begins it, by which captures of one place are compared.
    pub place: Option<(String, u32)>,
    pub work: Vec<Work>,
}

/// A piece of captured work.
#[derive(Debug, Clone)]
pub struct Work {
    /// Of a launch: `CUfunction` or `CUkernel`.
    pub function: Option<u64>,
    pub caller: Caller,
    pub layer: String,
}

/// A capture that goes on.
pub struct Open {
    pub report: CaptureReport,
    pub thread: u32,
    pub mode: &'static str,
    pub stream: u64,
    began: u64,
    pub begin: Caller,
    pub forks: Forks,
    pub breakers: Vec<Breaker>,
    work: Vec<Work>,
    inside: HashMap<(Burden, String, String), u64>,
    /// About its graph, if it gives one.
    findings: Vec<Finding>,
}

impl Captures {
    /// Takes a call, with what the model says about it.
    pub fn apply(&mut self, seen: &Seen<'_>, said: &Prediction, shadow: &mut Shadow, ledger: &Ledger) {
        let call = seen.call;
        let Some(result) = call.result else { return };
        if call.base() == "cuStreamEndCapture" {
            return self.end(seen, said);
        }
        if let Some(id) = said.begun.filter(|_| result == 0) {
            self.begin(seen, id);
            return;
        }
        if self.open.is_empty() || call.nested {
            return;
        }
        self.judge(seen, said, shadow);
        if result == 0 {
            self.follow(seen, said, ledger);
            self.burdens(seen, said, shadow, ledger);
        }
    }

    fn begin(&mut self, seen: &Seen<'_>, id: CaptureId) {
        self.begun += 1;
        let call = seen.call;
        let caller = seen.caller();
        let stream = call.stream().unwrap_or_default();
        let mode = ["global", "thread-local", "relaxed"];
        let mode = call.word("mode").and_then(|mode| mode.try_into().ok()).and_then(|at: usize| mode.get(at).copied());
        let mode = mode.unwrap_or("global");
        let report = CaptureReport {
            number: self.begun,
            place: caller.place(),
            mode: mode.to_owned(),
            stream: stream_name(stream, call.is_per_thread()),
            threads: vec![seen.thread_name()],
            layer: seen.layer(),
            ..CaptureReport::default()
        };
        let open = Open {
            report,
            thread: seen.thread,
            mode,
            stream,
            began: call.began,
            begin: caller,
            forks: Forks::default(),
            breakers: Vec::new(),
            work: Vec::new(),
            inside: HashMap::new(),
            findings: Vec::new(),
        };
        self.open.insert(id, open);
    }

    /// Whether driver and model agree, and whether the call ends a capture.
    fn judge(&mut self, seen: &Seen<'_>, said: &Prediction, shadow: &mut Shadow) {
        let call = seen.call;
        let result = call.result.unwrap_or_default();
        let refused = is_capture_code(result);
        let mut broken: Vec<CaptureId> = said.doomed.clone();
        let by_driver: Vec<CaptureId> =
            call.invalidated().filter_map(|stream| shadow.capture_of(call, seen.thread, stream)).collect();
        match said.error {
            Some(expected) if matches!(result, 0 | 600) => {
                self.disagree(seen, &broken, code_name(expected), told(call));
                // The driver let it pass; only it knows whether the capture lives.
                for id in broken.iter().filter(|id| !by_driver.contains(id)) {
                    shadow.overrule(*id, false);
                }
            }
            Some(expected) if refused && expected != result => {
                self.disagree(seen, &broken, code_name(expected), told(call));
            }
            None if refused => {
                let own = call.stream().and_then(|stream| shadow.capture_of(call, seen.thread, stream));
                let all = || self.open.keys().copied().collect();
                broken = own.map_or_else(all, |id| vec![id]);
                let concerned = broken.clone();
                self.disagree(seen, &concerned, "CUDA_SUCCESS".to_owned(), told(call));
                // 901 tells of an earlier end.
                for id in &broken {
                    shadow.overrule(*id, true);
                }
            }
            _ => {}
        }
        for id in by_driver {
            if shadow.overrule(id, true) {
                self.disagree(
                    seen,
                    &[id],
                    "the capture goes on".to_owned(),
                    format!("{}; the capture is invalid", told(call)),
                );
            }
            if !broken.contains(&id) {
                broken.push(id);
            }
        }
        if call.capture == Some(Status::Active)
            && let Some(id) = call.stream().and_then(|stream| shadow.capture_of(call, seen.thread, stream))
            && shadow.overrule(id, false)
        {
            broken.retain(|other| *other != id);
        }
        for id in broken {
            self.break_one(seen, said, shadow, id);
        }
    }

    fn break_one(&mut self, seen: &Seen<'_>, said: &Prediction, shadow: &Shadow, id: CaptureId) {
        let call = seen.call;
        let Some(open) = self.open.get_mut(&id) else { return };
        let silent = matches!(call.result, Some(0 | 600));
        let code = if silent { said.error.unwrap_or_default() } else { call.result.unwrap_or_default() };
        let found = if call.row.is_some_and(|row| row.class == graphproof_api::Class::Legacy) && code == 906 {
            if call.base().starts_with("cuMemcpyDtoH") { Id::S08 } else { Id::C01 }
        } else {
            id_of(call.base(), code)
        };
        let elsewhere = call.stream().is_some_and(|stream| shadow.capture_of(call, seen.thread, stream) != Some(id));
        let found = match found {
            _ if seen.thread != open.thread => Id::S07,
            Id::S01 | Id::S02 if elsewhere => Id::S06,
            found => found,
        };
        let (thread, thread_name) = (seen.thread, seen.thread_name());
        let why = why(code);
        open.breakers.push(Breaker {
            id: found,
            thread,
            thread_name,
            caller: seen.caller(),
            told: told(call),
            why,
            silent,
        });
    }

    fn disagree(&mut self, seen: &Seen<'_>, concerned: &[CaptureId], model: String, driver: String) {
        let mode = concerned.iter().filter_map(|id| self.open.get(id)).map(|open| open.mode).next();
        let row = Disagreement {
            call: seen.call.to_string(),
            model,
            driver,
            driver_version: seen.driver_version,
            mode: mode.unwrap_or("none").to_owned(),
            place: seen.caller().place(),
        };
        let same =
            |other: &Disagreement| (&other.driver, &other.model, &other.mode) == (&row.driver, &row.model, &row.mode);
        if self.disagreements.len() < MOST_DISAGREEMENTS && !self.disagreements.iter().any(same) {
            self.disagreements.push(row);
        }
    }

    /// Captured work, and the ways between streams.
    fn follow(&mut self, seen: &Seen<'_>, said: &Prediction, ledger: &Ledger) {
        let call = seen.call;
        let Some(open) = said.part_of.and_then(|id| self.open.get_mut(&id)) else { return };
        let stream = call.stream().unwrap_or_default();
        let name = seen.thread_name();
        if !open.report.threads.contains(&name) {
            open.report.threads.push(name);
        }
        match call.base() {
            "cuEventRecord" | "cuEventRecordWithFlags" if call.word("flags") != Some(1) => {
                open.forks.record(call.word("hEvent").unwrap_or_default(), stream);
            }
            "cuStreamWaitEvent" if call.word("Flags") != Some(1) => {
                let enrolled = said.enrolled.then(|| seen.caller());
                open.forks.wait(stream, call.word("hEvent").unwrap_or_default(), enrolled);
            }
            "cuStreamDestroy" => open.forks.destroy(stream, seen.caller()),
            _ => {
                let caller = seen.caller();
                open.forks.work(stream, caller.clone());
                open.report.work += 1;
                let function = call.base().starts_with("cuLaunch").then(|| call.word("f")).flatten();
                open.work.push(Work { function, caller: caller.clone(), layer: seen.layer() });
                for (address, bytes) in unpinned(call, ledger) {
                    let begin = begins(open);
                    let finding = Finding::new(Id::A11, Check::Trace)
                        .at(caller.site.clone())
                        .began(begin)
                        .contrast("pinned memory", format!(
                            "{} becomes a node that holds the pageable host address {address:#x} ({bytes} bytes): every \
                             replay reads or writes there",
                            call.row.map_or(&*call.function, |row| row.name)
                        ));
                    open.findings.push(noted(finding, &caller));
                    count(&mut open.inside, Burden::PageableCopy, call, &caller);
                }
            }
        }
    }

    /// Calls of the capturing thread that are no part of the capture.
    fn burdens(&mut self, seen: &Seen<'_>, said: &Prediction, shadow: &Shadow, ledger: &Ledger) {
        let call = seen.call;
        let escaped = said.eager && is_work(call);
        let burden = if escaped { Some(Burden::EscapedWork) } else { Burden::of(call) };
        let (Some(burden), None) = (burden, said.part_of) else { return };
        let Some(open) = self.open.values_mut().find(|open| open.thread == seen.thread) else { return };
        let caller = seen.caller();
        count(&mut open.inside, burden, call, &caller);
        if !escaped {
            return;
        }
        let stream = call.stream().unwrap_or_default();
        let legacy = shadow.kind_of(call, seen.thread, stream) == StreamKind::Legacy;
        let finding = Finding::new(if legacy { Id::C02 } else { Id::C03 }, Check::Trace)
            .at(caller.site.clone())
            .began(begins(open))
            .contrast(
                "the work is part of the graph",
                format!(
                    "{} on {} while {} captures: it runs now, and no replay repeats it",
                    call.row.map_or(&*call.function, |row| row.name),
                    stream_name(stream, call.is_per_thread()),
                    open.report.stream
                ),
            );
        let pageable =
            unpinned(call, ledger).first().map(|(address, _)| format!("host address {address:#x} is pageable"));
        let finding = pageable.into_iter().fold(noted(finding, &caller), Finding::note);
        open.findings.push(finding);
    }

    fn end(&mut self, seen: &Seen<'_>, said: &Prediction) {
        let call = seen.call;
        let result = call.result.unwrap_or_default();
        let Some(id) = said.part_of.filter(|id| self.open.contains_key(id)) else { return };
        if matches!(result, 401 | 903) {
            // It goes on, or is invalid from here on and ends with its origin.
            return self.judge_end_of_fork(seen, said, id);
        }
        let expected = said.error.unwrap_or_default();
        let explained = self.open[&id].breakers.iter().any(|breaker| breaker.silent) && result == 901;
        if expected != result && !explained {
            let model = if expected == 0 { "CUDA_SUCCESS".to_owned() } else { code_name(expected) };
            self.disagree(seen, &[id], model, told(call));
        }
        let Some(mut open) = self.open.remove(&id) else { return };
        open.report.nanoseconds = Some(call.ended.saturating_sub(open.began));
        open.report.end = told(call);
        open.report.succeeded = result == 0;
        if result == 0 {
            self.findings.append(&mut open.findings);
            if let Some(graph) = call.written("phGraph") {
                let (number, place, work) = (open.report.number, open.begin.key(), std::mem::take(&mut open.work));
                self.of_graph.insert(graph, Captured { number, place, work });
            }
        } else {
            let finding = broken(&open, seen, result);
            self.findings.push(finding);
        }
        self.close(open);
    }

    fn judge_end_of_fork(&mut self, seen: &Seen<'_>, said: &Prediction, id: CaptureId) {
        let result = seen.call.result.unwrap_or_default();
        if said.error != Some(result) {
            let model = said.error.map_or("CUDA_SUCCESS".to_owned(), code_name);
            self.disagree(seen, &[id], model, told(seen.call));
        }
        if let Some(open) = self.open.get_mut(&id) {
            let (thread, thread_name) = (seen.thread, seen.thread_name());
            let (caller, told, why) = (seen.caller(), told(seen.call), why(result));
            open.breakers.push(Breaker { id: Id::C08, thread, thread_name, caller, told, why, silent: false });
        }
    }

    fn close(&mut self, mut open: Open) {
        let mut inside: Vec<BurdenReport> = open
            .inside
            .drain()
            .map(|((what, function, place), count)| BurdenReport { what, function, place, count })
            .collect();
        inside.sort_by(|a, b| (a.what, &a.place, &a.function).cmp(&(b.what, &b.place, &b.function)));
        open.report.inside = inside;
        open.report.streams = open.forks.count();
        self.done.push(open.report);
    }

    /// The record has ended: captures that have not are told. `killed`: the process did not come to its end
    /// by itself, so that nobody knows whether it would have ended them.
    pub fn finish(&mut self, killed: bool) {
        let mut left: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        left.sort_by_key(|open| open.report.number);
        for mut open in left {
            open.report.end = "it did not end".to_owned();
            let begin = open.begin.site.clone();
            let finding = match open.breakers.first() {
                Some(first) => by(&open, first, "the process ended inside the capture"),
                None => Finding::new(Id::C09, Check::Trace).at(begin).contrast(
                    "every capture that begins also ends",
                    format!("the capture on {} was open when the record ended", open.report.stream),
                ),
            };
            let finding = if killed { finding.note("the process did not come to its end by itself") } else { finding };
            self.findings.push(finding);
            self.close(open);
        }
        self.done.sort_by_key(|report| report.number);
    }
}

fn count(inside: &mut HashMap<(Burden, String, String), u64>, burden: Burden, call: &Call, caller: &Caller) {
    let function = call.row.map_or_else(|| call.function.to_string(), |row| row.name.to_owned());
    *inside.entry((burden, function, caller.place())).or_default() += 1;
}
