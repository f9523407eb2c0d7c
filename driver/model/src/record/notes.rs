//! Why a call failed, and what has no model: for the person who reads standard error, for a log, and
//! for the program that the driver is linked into.
//!
//! `GRAPHPROOF_NOTES` says where notes go: unset, each thing without a model is told once on
//! standard error; `off` tells nothing; any other value is a file to which every note is appended.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{driver, setting};
use graphproof_api::CUresult;

/// Where notes go.
const VARIABLE: &str = "GRAPHPROOF_NOTES";
/// Different notes that are told; a program that has more has said enough.
const MOST: usize = 1000;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The exported name of the call.
    pub function: &'static str,
    /// What it answered.
    pub result: CUresult,
    /// What is wrong and where; empty if there is no more to say than the result does.
    pub text: String,
}

#[derive(Debug)]
enum Sink {
    Error,
    Nowhere,
    File(File),
    /// The program that the driver is linked into asks for them.
    Kept,
}

#[derive(Debug)]
struct Notes {
    sink: Sink,
    told: HashSet<String>,
    kept: Vec<String>,
}

/// The notes of a driver, from the first one on.
#[derive(Debug, Default)]
pub(crate) struct NoteBook(OnceLock<Mutex<Notes>>);

thread_local! {
    static NOTE: RefCell<Option<String>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Reason>> = const { RefCell::new(None) };
}

fn notes() -> MutexGuard<'static, Notes> {
    driver()
        .notes
        .0
        .get_or_init(|| Mutex::new(Notes::new(setting(VARIABLE))))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

impl Notes {
    fn new(setting: Option<String>) -> Self {
        let sink = match setting.as_deref() {
            None => Sink::Error,
            Some("off") => Sink::Nowhere,
            Some(path) => match File::options().create(true).append(true).open(path) {
                Ok(file) => Sink::File(file),
                Err(error) => {
                    eprintln!("graphproof: {VARIABLE}: {path}: {error}; notes go to standard error");
                    Sink::Error
                }
            },
        };
        Self { sink, told: HashSet::new(), kept: Vec::new() }
    }

    /// Tells what has no model, once; to a file each time.
    fn tell(&mut self, line: String) {
        match &mut self.sink {
            Sink::Nowhere => {}
            // A note that cannot be written must not stop the program that it is about.
            Sink::File(file) => drop(writeln!(file, "{line}")),
            Sink::Error | Sink::Kept if self.told.len() >= MOST || !self.told.insert(line.clone()) => {}
            Sink::Error => drop(writeln!(std::io::stderr(), "graphproof: {line}")),
            Sink::Kept => self.kept.push(line),
        }
    }
}

/// Keeps notes for [`take_notes`] instead of telling them on standard error: for a program that the
/// driver is linked into. `GRAPHPROOF_NOTES` has the last word.
pub fn keep_notes() {
    let mut notes = notes();
    if matches!(notes.sink, Sink::Error) {
        notes.sink = Sink::Kept;
    }
}

/// The notes kept since the last time, each once.
pub fn take_notes() -> Vec<String> {
    std::mem::take(&mut notes().kept)
}

/// Why the last call on this thread that failed did so. A query that answers "not ready" has not
/// failed.
pub fn last_reason() -> Option<Reason> {
    LAST.with(|last| last.borrow().clone())
}

/// Explains the result of the call in progress on this thread.
pub fn note(text: impl FnOnce() -> String) {
    // A thread that is ending has no one to tell.
    let _ = NOTE.try_with(|note| *note.borrow_mut() = Some(text()));
}

/// Whether the call in progress on this thread has been explained.
pub fn has_note() -> bool {
    NOTE.try_with(|note| note.borrow().is_some()).unwrap_or(true)
}

/// Tells what is no failure and must be known.
pub fn tell(text: impl Into<String>) {
    notes().tell(one_line(&text.into()));
}

/// A call begins: what was noted before is not about it.
pub(super) fn begin() {
    let _ = NOTE.try_with(|note| note.borrow_mut().take());
}

/// A call ends; gives its note.
pub(super) fn end(function: &'static str, result: CUresult) -> Option<String> {
    let text = NOTE.try_with(|note| note.borrow_mut().take()).ok().flatten();
    let text = match result {
        CUresult::NOT_SUPPORTED => text.or_else(|| Some("it has no model in the software driver".to_owned())),
        _ => text,
    };
    if result == CUresult::SUCCESS || result == CUresult::NOT_READY {
        return text;
    }
    let reason = Reason { function, result, text: text.clone().unwrap_or_default() };
    let (name, why) = (result.name().unwrap_or("an unknown error"), one_line(&reason.text));
    let line = format!("{function} answers {name}{}{why}", if why.is_empty() { "" } else { ": " });
    match result {
        CUresult::NOT_SUPPORTED
        | CUresult::INVALID_PTX
        | CUresult::INVALID_IMAGE
        | CUresult::UNSUPPORTED_PTX_VERSION
        | CUresult::NO_BINARY_FOR_GPU => notes().tell(line),
        _ if !why.is_empty() => {
            let mut notes = notes();
            if matches!(notes.sink, Sink::File(_)) {
                notes.tell(line);
            }
        }
        _ => {}
    }
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(reason));
    text
}

/// `text` on one line, with nothing in it that a terminal obeys: it may quote a stranger's PTX.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words.chars().map(|c| match c {
        c if c.is_control() => c.escape_default().to_string(),
        // Marks that change the direction of the text around them.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => c.escape_unicode().to_string(),
        c => c.to_string(),
    });
    shown.collect()
}
