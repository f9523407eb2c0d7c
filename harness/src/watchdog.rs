//! Turns a hang into a finding: the run beats, somebody else listens.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::finding::Site;

/// Signs of life of one run, and where it was when it gave the last.
#[derive(Debug, Default)]
pub struct Heartbeat {
    beats: AtomicU64,
    last: Mutex<Position>,
}

/// Where a run is.
#[derive(Debug, Default, Clone)]
pub struct Position {
    /// What the harness is doing: `replay`.
    pub phase: &'static str,
    /// Step index.
    pub step: u64,
    /// The step's last call, if it is recording.
    pub site: Option<Site>,
}

impl Heartbeat {
    /// Enters a phase of step `step`.
    pub fn enter(&self, phase: &'static str, step: u64) {
        self.set(|position| *position = Position { phase, step, site: None });
    }

    /// Notes the call that the step is about to make.
    pub fn at(&self, site: Site) {
        self.set(|position| position.site = Some(site));
    }

    /// A number that changes with every sign of life.
    pub fn count(&self) -> u64 {
        self.beats.load(Ordering::Acquire)
    }

    /// The last sign of life.
    pub fn position(&self) -> Position {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Position)) {
        change(&mut self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.beats.fetch_add(1, Ordering::Release);
    }
}
