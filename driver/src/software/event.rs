//! Events: what they last recorded.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::ContextId;
use super::engine::Ticket;

/// An event's flags, `CUevent_flags`.
pub const BLOCKING_SYNC: u32 = 1;
/// `CU_EVENT_DISABLE_TIMING`.
pub const DISABLE_TIMING: u32 = 2;
/// `CU_EVENT_INTERPROCESS`.
pub const INTERPROCESS: u32 = 4;

/// An event.
#[derive(Debug)]
pub struct EventCell {
    /// `CUevent_flags`.
    pub flags: u32,
    /// Its context.
    pub context: ContextId,
    last: Mutex<Option<Record>>,
}

/// One record of an event.
#[derive(Debug, Clone)]
pub struct Record {
    /// Complete when the work before the record is.
    pub ticket: Ticket,
    /// When it completed.
    pub time: Arc<OnceLock<Instant>>,
}

impl EventCell {
    /// An event that was never recorded.
    pub fn new(flags: u32, context: ContextId) -> Self {
        Self { flags, context, last: Mutex::new(None) }
    }

    /// The most recent record.
    pub fn last(&self) -> Option<Record> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `record` the most recent one.
    pub fn set(&self, record: Record) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }
}

impl Record {
    /// A record that completes with `ticket`.
    pub fn new(ticket: Ticket) -> Self {
        Self { ticket, time: Arc::default() }
    }
}
