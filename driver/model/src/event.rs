//! Events: what they last recorded, in this process or another.

use std::fs::File;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use graphproof_scheduler::Ticket;

use super::ContextId;
use super::share::{Handle, Kind, memory_file};
use graphproof_api::{CUresult, Cuda};

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
    /// What other processes see of it: of an event with `CU_EVENT_INTERPROCESS`.
    pub shared: Option<Arc<SharedEvent>>,
    last: Mutex<Option<Record>>,
}

/// One record of an event.
#[derive(Debug, Clone)]
pub struct Record {
    /// Complete when the work before the record is.
    pub ticket: Ticket,
    /// Told when it is.
    pub completion: Arc<Completion>,
}

/// The end of a record.
#[derive(Debug, Default)]
pub struct Completion {
    time: OnceLock<Instant>,
    publication: OnceLock<Publication>,
}

/// A record's number among all records of a shared event.
#[derive(Debug, Clone)]
pub struct Publication {
    event: Arc<SharedEvent>,
    /// From 1 on.
    pub number: u64,
}

impl EventCell {
    /// An event that was never recorded in this process.
    pub fn new(flags: u32, context: ContextId, shared: Option<Arc<SharedEvent>>) -> Self {
        Self { flags, context, shared, last: Mutex::new(None) }
    }

    /// The most recent record that this process knows of.
    pub fn last(&self) -> Option<Record> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `record` the most recent one, in all processes that share the event.
    pub fn set(&self, record: Record) {
        if let Some(event) = &self.shared {
            record.completion.publish(Publication { event: event.clone(), number: event.begin() });
        }
        self.know(record);
    }

    /// The most recent record, if another process made it and this one does not know it.
    pub fn unknown(&self) -> Option<Publication> {
        let event = self.shared.as_ref()?;
        let newest = event.newest();
        let known = self.last().and_then(|record| Some(record.completion.publication.get()?.number));
        (newest > known.unwrap_or(0)).then(|| Publication { event: event.clone(), number: newest })
    }

    /// Takes note of a record of another process, which completes with `ticket`.
    pub fn learn(&self, publication: Publication, ticket: Ticket) {
        let record = Record::new(ticket);
        record.completion.publish(publication);
        self.know(record);
    }

    fn know(&self, record: Record) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }
}

impl Record {
    /// A record that completes with `ticket`.
    pub fn new(ticket: Ticket) -> Self {
        Self { ticket, completion: Arc::default() }
    }
}

impl Completion {
    /// The work before the record has been done.
    pub fn reached(&self) {
        let _ = self.time.set(Instant::now());
        // Either this sees the publication, or `publish` sees the time.
        fence(Ordering::SeqCst);
        self.publication.get().into_iter().for_each(Publication::complete);
    }

    /// When that was.
    pub fn time(&self) -> Option<Instant> {
        self.time.get().copied()
    }

    fn publish(&self, publication: Publication) {
        let publication = self.publication.get_or_init(|| publication);
        fence(Ordering::SeqCst);
        if self.time.get().is_some() {
            publication.complete();
        }
    }
}

impl Publication {
    /// Whether the record is complete.
    pub fn is_complete(&self) -> bool {
        self.event.slot(self.number).load(Ordering::Acquire) >= self.number
    }

    fn complete(&self) {
        self.event.slot(self.number).fetch_max(self.number, Ordering::AcqRel);
    }
}

/// What processes share of an event: a page of a memory file, with the number of records that have begun and,
/// for each of the last ones, whether it is complete.
#[derive(Debug)]
pub struct SharedEvent {
    file: File,
    words: NonNull<AtomicU64>,
}

// SAFETY: the page is shared by processes, and touched as atomics alone.
unsafe impl Send for SharedEvent {}
// SAFETY: as above.
unsafe impl Sync for SharedEvent {}

/// Bytes of the page.
const PAGE: u64 = 4096;
/// Records that are told apart: as many as the page has words, but for the count.
const SLOTS: u64 = PAGE / 8 - 1;

impl SharedEvent {
    /// A new one.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn new() -> Cuda<Self> {
        Self::of(memory_file(PAGE)?)
    }

    /// One of another process.
    ///
    /// # Errors
    /// As [`Handle::open`].
    pub fn open(handle: &Handle) -> Cuda<Self> {
        Self::of(handle.open()?)
    }

    /// Its handle for other processes.
    pub fn handle(&self) -> Cuda<Handle> {
        Handle::new(Kind::Event, &self.file, (0, PAGE), 0)
    }

    fn of(file: File) -> Cuda<Self> {
        use std::os::fd::AsRawFd;
        let both = libc::PROT_READ | libc::PROT_WRITE;
        let (none, descriptor) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: a new mapping of a file that is as long.
        let mapped = unsafe { libc::mmap(none, PAGE as usize, both, libc::MAP_SHARED, descriptor, 0) };
        let words = NonNull::new(mapped.cast()).filter(|_| mapped != libc::MAP_FAILED);
        Ok(Self { file, words: words.ok_or(CUresult::OUT_OF_MEMORY)? })
    }

    fn word(&self, place: u64) -> &AtomicU64 {
        // SAFETY: a word of the page, which is mapped as long as this lives.
        unsafe { self.words.add(place as usize).as_ref() }
    }

    fn slot(&self, number: u64) -> &AtomicU64 {
        self.word(1 + number % SLOTS)
    }

    fn newest(&self) -> u64 {
        self.word(0).load(Ordering::Acquire)
    }

    /// The number of a record that begins.
    fn begin(&self) -> u64 {
        self.word(0).fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Drop for SharedEvent {
    fn drop(&mut self) {
        // SAFETY: the mapping of `of`, which nobody uses any more.
        unsafe { libc::munmap(self.words.as_ptr().cast(), PAGE as usize) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_shared_event_see_the_newest_record_complete() {
        let ours = Arc::new(SharedEvent::new().unwrap());
        let theirs = Arc::new(SharedEvent::open(&ours.handle().unwrap()).unwrap());
        let [a, b] = [ours, theirs].map(|shared| EventCell::new(INTERPROCESS, ContextId(1), Some(shared)));
        assert!(a.unknown().is_none() && b.unknown().is_none());
        let ticket = Ticket { stream: 1, sequence: 1 };
        let record = Record::new(ticket);
        a.set(record.clone());
        assert!(a.unknown().is_none(), "its own");
        let seen = b.unknown().expect("the other one's");
        assert!(!seen.is_complete());
        record.completion.reached();
        assert!(seen.is_complete());
        b.learn(seen, ticket);
        assert!(b.unknown().is_none());
        // A record that was reached before it was published is complete at once.
        let early = Record::new(ticket);
        early.completion.reached();
        b.set(early);
        assert!(a.unknown().expect("a newer one").is_complete());
    }
}
