//! One line in a pipe: what goes on, and how long it takes.
//!
//! A person sees a bar; who reads a log sees nothing, and takes a long run for a hung one.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::escape;

/// What takes less than this is not worth a word.
const AFTER: Duration = Duration::from_secs(5);
/// How often as long is waited for something to estimate by.
const PATIENCE: u32 = 6;
/// Overrides [`AFTER`], in seconds; `off` keeps silent.
const VARIABLE: &str = "GRAPHPROOF_TELL_AFTER";

#[derive(Debug, Default)]
struct Known {
    words: String,
    /// Whether the words say how long it takes.
    estimated: bool,
    ended: bool,
}

/// Tells standard error once, unless that is a terminal or the work is done by then.
#[derive(Debug)]
pub struct Notice {
    known: Arc<(Mutex<Known>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Notice {
    /// Of the command `name`; `words` say how far it is as long as nothing else is known.
    pub fn new(name: &str, words: String) -> Self {
        Self::of(name, Known { words, ..Known::default() })
    }

    /// Of the command `name`, whose length is known from the start.
    pub fn of_known_length(name: &str, words: &str) -> Self {
        Self::of(name, Known { words: words.to_owned(), estimated: true, ended: false })
    }

    fn of(name: &str, known: Known) -> Self {
        let known = Arc::new((Mutex::new(known), Condvar::new()));
        let thread = after().filter(|_| !std::io::stderr().is_terminal()).and_then(|after| {
            let (name, known) = (escape::line(name).into_owned(), Arc::clone(&known));
            // Without a thread nothing is told, and nothing else is lost.
            std::thread::Builder::new().name("notice".to_owned()).spawn(move || wait(&name, &known, after)).ok()
        });
        Notice { known, thread }
    }

    /// How far it is now, and how long it takes still.
    pub fn known(&self, words: String) {
        let (known, changed) = &*self.known;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !known.estimated;
        (known.words, known.estimated) = (words, true);
        if first {
            changed.notify_all();
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let (known, changed) = &*self.known;
        known.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // What it has begun to say is said before what comes next.
            let _ = thread.join();
        }
    }
}

fn after() -> Option<Duration> {
    let Ok(text) = std::env::var(VARIABLE) else { return Some(AFTER) };
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..1e6).contains(seconds));
    seconds.map(Duration::from_secs_f64)
}

fn wait(name: &str, known: &(Mutex<Known>, Condvar), after: Duration) {
    let began = Instant::now();
    let (known, changed) = known;
    let guard = known.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = changed.wait_timeout_while(guard, after, |known| !known.ended);
    let (guard, _) = wait.unwrap_or_else(PoisonError::into_inner);
    let longest = (after * PATIENCE).max(AFTER);
    let wait = changed.wait_timeout_while(guard, longest, |known| !known.ended && !known.estimated);
    let (known, _) = wait.unwrap_or_else(PoisonError::into_inner);
    // With no time to wait, what is asked for is the line itself.
    if known.ended && !(after.is_zero() && known.estimated) {
        return;
    }
    let unknown = if known.estimated { "" } else { "; how long it takes is not known yet" };
    let seconds = began.elapsed().as_secs();
    let line = format!("graphproof {name}: {}{unknown} (after {seconds} s)\n", escape::line(&known.words));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
