//! Findings about captures that did not end well.

use graphproof_harness::checks::capture::id_of;
use graphproof_harness::finding::{Check, Finding, Id, Severity, Site};

use super::analysis::Seen;
use super::calls::{stream_name, told};
use super::captures::Open;
use super::forks::Unjoined;
use super::place::Caller;

/// A call that ended a capture, or that the model says to end it.
pub struct Breaker {
    pub id: Id,
    pub thread: u32,
    pub thread_name: String,
    pub caller: Caller,
    pub told: String,
    pub why: &'static str,
    /// The call succeeded.
    pub silent: bool,
}

/// The finding for a capture that ended with an error.
pub fn broken(open: &Open, seen: &Seen<'_>, result: u32) -> Finding {
    let end = told(seen.call);
    if let Some(first) = open.breakers.first().filter(|_| result == 901) {
        return by(open, first, &end);
    }
    let caller = seen.caller();
    match result {
        904 => unjoined(open, &end, &caller),
        908 => {
            let finding = Finding::new(Id::C07, Check::Trace).at(caller.site.clone()).began(begins(open)).contrast(
                format!("{} ends the capture that it began", open.report.threads[0]),
                format!("{} ends it: {end}", seen.thread_name()),
            );
            noted(finding, &caller)
        }
        code => {
            let finding = Finding::new(id_of("cuStreamEndCapture", code), Check::Trace)
                .at(caller.site.clone())
                .began(begins(open))
                .contrast("the capture ends with a graph", end)
                .note(match code {
                    901 => {
                        "no recorded call of this process explains it: a call that was not recorded, or one whose \
                            effect the capture model does not know"
                    }
                    _ => why(code),
                });
            noted(finding, &caller)
        }
    }
}

/// The finding for a capture that `first` broke.
pub fn by(open: &Open, first: &Breaker, end: &str) -> Finding {
    let seen = match first.silent {
        true => format!("{}, and the capture was invalid from there on; {end}", first.told),
        false => format!("{}; {end}", first.told),
    };
    let finding = Finding::new(first.id, Check::Trace)
        .at(first.caller.site.clone())
        .began(begins(open))
        .contrast(format!("the {} capture on {} goes on", open.mode, open.report.stream), seen);
    let finding = noted(finding, &first.caller);
    let finding = match first.thread == open.thread {
        true => finding,
        false => finding.note(format!("called by {}, while {} captures", first.thread_name, open.report.threads[0])),
    };
    let more = open.breakers.len() - 1;
    let finding = finding.note(first.why);
    if more > 0 { finding.note(format!("{more} later calls failed for the same reason")) } else { finding }
}

fn unjoined(open: &Open, end: &str, caller: &Caller) -> Finding {
    let forks = open.forks.unjoined(open.stream);
    let Some(Unjoined { stream, enrolled, last, destroyed }) = forks.first() else {
        let finding = Finding::new(Id::C04, Check::Trace).at(caller.site.clone()).began(begins(open));
        return noted(finding.contrast("every fork is joined", end), caller);
    };
    let stream = stream_name(*stream, false);
    let (id, at) = match destroyed {
        Some(destroyed) => (Id::C10, destroyed),
        // Where the work itself was not seen by whom, the wait that made the fork.
        None => (Id::C04, enrolled.as_ref().filter(|_| last.site.is_none()).unwrap_or(last)),
    };
    let finding = Finding::new(id, Check::Trace).at(at.site.clone()).began(begins(open)).contrast(
        format!("{} waits for the last work of {stream} before the capture ends", open.report.stream),
        match destroyed {
            Some(_) => format!("{stream} is destroyed with work that nothing waits for; {end}"),
            None => format!("nothing waits for the work that stands here, on {stream}; {end}"),
        },
    );
    let finding = noted(finding, at);
    match enrolled {
        Some(enrolled) => finding.note(format!("{stream} became part of the capture at {}", enrolled.place())),
        None => finding,
    }
}

/// Where a capture begins, as the second place of a finding.
pub fn begins(open: &Open) -> Option<Site> {
    let what = format!("the capture begins: {} mode, {}", open.mode, open.report.stream);
    open.begin.site.clone().map(|site| Site { what, ..site })
}

/// Adds who called.
pub fn noted(finding: Finding, caller: &Caller) -> Finding {
    caller.notes().into_iter().fold(finding, Finding::note)
}

/// The finding as one that does not fail.
pub fn warning(finding: Finding) -> Finding {
    Finding { severity: Severity::Warning, ..finding }
}

/// The rule behind an error, in a sentence.
pub fn why(code: u32) -> &'static str {
    match code {
        900 => {
            "while a capture goes on, its streams cannot be waited for, and calls that may synchronise are refused: in \
             GLOBAL mode to every thread, in THREAD_LOCAL mode to the thread that captures"
        }
        901 => "the capture had been invalidated before",
        902 => "a wait would join two captures, which stay apart",
        903 => "only the stream that a capture began on ends it",
        905 => "the captured work would depend on work from before the capture, which a replay does not repeat",
        906 => "the legacy stream waits for every blocking stream of its context, and one of them captures",
        907 => "an event that was recorded in a capture has no time of its own: it stands for nodes of the graph",
        0 => "the call succeeded, and the capture model knows that it ends the capture",
        _ => "the driver refuses this in a capture",
    }
}
