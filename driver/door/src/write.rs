//! The writing half: a mapped file, and threads that each fill segments of their own.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::bytes::Output;
use crate::layout::{
    CHUNK, Class, Count, EVENT_HEADER, Header, Limits, MAGIC, PAGE, SEGMENT, SEGMENT_HEADER, SEGMENT_MAGIC,
    SegmentHeader, commit_word, read_commit,
};
use crate::{Kind, sys};

/// What was cut off an event to fit: its second flag.
pub(crate) const FLAG_CUT: u8 = 1;

/// The record of this process, while it is written.
#[derive(Debug)]
pub struct Writer {
    base: NonNull<u8>,
    length: usize,
    path: PathBuf,
    lock: AtomicBool,
    kept: AtomicU32,
    ring: AtomicU32,
    sequence: AtomicU64,
    /// Segments for which the file has room.
    reserved: AtomicU32,
}

// SAFETY: the mapping is shared memory; threads write to segments of their own, and to the header only by
// atomic operations.
unsafe impl Send for Writer {}
// SAFETY: as above.
unsafe impl Sync for Writer {}

/// Where a thread writes next. Plain data: it has no owner that must run at the thread's end.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    thread: u32,
    /// By class: the segment's number in the file + 1, and the next byte in it.
    at: [(u32, u32); 2],
}

impl Cursor {
    /// Of the calling thread, before its first event.
    pub fn new() -> Self {
        Self { thread: sys::thread(), at: [(0, SEGMENT as u32); 2] }
    }

    /// For that thread number.
    pub fn of(thread: u32) -> Self {
        Self { thread, ..Self::new() }
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// Begins the record of a process in a new file of the folder `folder`.
    ///
    /// # Errors
    /// The file cannot be made, or the address space has no room for it.
    pub fn create(folder: &Path, pid: u32, parent: u32, limits: Limits) -> io::Result<Self> {
        let started = sys::now();
        let path = folder.join(format!("{pid}-{started}.record"));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let (kept, ring) = limits.segments();
        let length = PAGE + (kept + ring) * SEGMENT;
        file.set_len(length as u64)?;
        if !sys::reserve(&file, 0, PAGE as u64) {
            return Err(io::Error::last_os_error());
        }
        let base = map(&file, length)?;
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let header = base.cast::<Header>().as_ptr();
        // SAFETY: the page is mapped, zeroed, and nobody else's yet; atomics may be written so before they
        // are shared.
        unsafe {
            (*header).pid = pid;
            (*header).parent = parent;
            (*header).started = started;
            (*header).started_wall = wall.as_nanos() as u64;
            (*header).kept_segments = kept as u32;
            (*header).ring_segments = ring as u32;
            (*header).magic.store(MAGIC, Ordering::Release);
        }
        Ok(Self {
            base,
            length,
            path,
            lock: AtomicBool::new(false),
            kept: AtomicU32::new(0),
            ring: AtomicU32::new(0),
            sequence: AtomicU64::new(0),
            reserved: AtomicU32::new(0),
        })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn header(&self) -> &Header {
        // SAFETY: mapped as long as this lives; all fields written later are atomic.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    fn segment_at(&self, index: u32) -> NonNull<u8> {
        // SAFETY: callers have indexes below the number of segments, which are all mapped.
        unsafe { self.base.add(PAGE + index as usize * SEGMENT) }
    }

    fn segment(&self, index: u32) -> &SegmentHeader {
        // SAFETY: as above; all fields are atomic.
        unsafe { self.segment_at(index).cast::<SegmentHeader>().as_ref() }
    }

    /// Writes one event of at most `room` bytes; whether it is in the record.
    ///
    /// `time` is of [`sys::now`]. Times of a thread never go back.
    #[inline]
    pub fn append(
        &self,
        cursor: &mut Cursor,
        class: Class,
        kind: Kind,
        time: u64,
        room: usize,
        content: impl FnOnce(&mut Output<'_>),
    ) -> bool {
        let most = (room + EVENT_HEADER).next_multiple_of(8).min(SEGMENT - SEGMENT_HEADER);
        let slot = usize::from(class == Class::Passing);
        if cursor.at[slot].1 as usize + most > SEGMENT && !self.next_segment(cursor, class) {
            self.header().lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let (segment, offset) = cursor.at[slot];
        // SAFETY: the segment is this thread's alone, and the event fits in it, as just checked.
        let event = unsafe { self.segment_at(segment - 1).add(offset as usize) };
        // SAFETY: as above; the commit word before it is touched only below.
        let place = unsafe { std::slice::from_raw_parts_mut(event.add(EVENT_HEADER).as_ptr(), most - EVENT_HEADER) };
        let mut output = Output::new(place);
        content(&mut output);
        let length = (EVENT_HEADER + output.len()).next_multiple_of(8);
        let flags = if output.is_cut() { FLAG_CUT } else { 0 };
        // SAFETY: eight-byte aligned, since segments, headers and lengths are.
        unsafe {
            event.add(8).cast::<u64>().write(time);
            (*event.cast::<AtomicU64>().as_ptr()).store(commit_word(kind as u8, flags, length), Ordering::Release);
        }
        cursor.at[slot].1 = offset + length as u32;
        true
    }

    /// Says which call the thread is in: what a killed or hanging program was doing.
    #[inline]
    pub fn enter(&self, cursor: &Cursor, function: u32, time: u64) {
        if let Some(segment) = cursor.at[0].0.checked_sub(1) {
            let segment = self.segment(segment);
            segment.current_began.store(time, Ordering::Relaxed);
            segment.current.store(u64::from(function) + 1, Ordering::Release);
        }
    }

    /// The call has returned.
    #[inline]
    pub fn leave(&self, cursor: &Cursor) {
        if let Some(segment) = cursor.at[0].0.checked_sub(1) {
            self.segment(segment).current.store(0, Ordering::Release);
        }
    }

    /// Counts one more.
    pub fn count(&self, what: Count) {
        self.counter(what).fetch_add(1, Ordering::Relaxed);
    }

    /// Where that is counted.
    pub(crate) fn counter(&self, what: Count) -> &AtomicU64 {
        &self.header().counts[what as usize]
    }

    /// Counts an event that could not be written for another reason than the room.
    pub fn lose(&self) {
        self.header().lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the program ends by itself.
    pub fn end(&self) {
        self.header().ended_at.store(sys::now(), Ordering::Relaxed);
        self.header().ended.store(1, Ordering::Release);
    }

    #[cold]
    fn next_segment(&self, cursor: &mut Cursor, class: Class) -> bool {
        let slot = usize::from(class == Class::Passing);
        let before = cursor.at[slot].0.checked_sub(1);
        let locked = Locked::of(&self.lock);
        let header = self.header();
        let (taken, limit) = match class {
            Class::Kept => (&self.kept, header.kept_segments),
            Class::Passing => (&self.ring, header.ring_segments),
        };
        let index = if taken.load(Ordering::Relaxed) < limit {
            let index = header.used.load(Ordering::Relaxed);
            if !self.reserve(index) {
                return false;
            }
            taken.fetch_add(1, Ordering::Relaxed);
            header.used.store(index + 1, Ordering::Release);
            index
        } else if class == Class::Passing
            && let Some(index) = self.oldest_passed(before)
        {
            self.forget(index);
            index
        } else {
            return false;
        };
        // All its pages at once: a fault for each would come to tens of nanoseconds a call.
        sys::populate(self.segment_at(index), SEGMENT);
        let segment = self.segment(index);
        segment.class.store(slot as u32, Ordering::Relaxed);
        segment.thread.store(cursor.thread, Ordering::Relaxed);
        segment.sealed.store(0, Ordering::Relaxed);
        segment.sequence.store(self.sequence.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        segment.magic.store(SEGMENT_MAGIC, Ordering::Release);
        if let Some(before) = before.filter(|&before| before != index) {
            let old = self.segment(before);
            if class == Class::Kept {
                segment.current_began.store(old.current_began.load(Ordering::Relaxed), Ordering::Relaxed);
                segment.current.store(old.current.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            }
            old.sealed.store(1, Ordering::Release);
        }
        drop(locked);
        cursor.at[slot] = (index + 1, SEGMENT_HEADER as u32);
        true
    }

    /// Makes room in the file up to that segment. The file is opened for it each time: a descriptor kept
    /// open could be closed by the program and mean another file then.
    fn reserve(&self, index: u32) -> bool {
        if index < self.reserved.load(Ordering::Relaxed) {
            return true;
        }
        let Ok(file) = File::options().write(true).open(&self.path) else { return false };
        let start = PAGE + index as usize * SEGMENT;
        // A short program takes little room, a long one is seldom held up.
        let segments = (index as usize).clamp(2, CHUNK);
        let length = (segments * SEGMENT).min(self.length - start);
        if !sys::reserve(&file, start as u64, length as u64) {
            return false;
        }
        self.reserved.store(index + segments as u32, Ordering::Relaxed);
        true
    }

    /// The oldest segment of passing events that no thread writes to any more, or the caller's own.
    fn oldest_passed(&self, own: Option<u32>) -> Option<u32> {
        let used = self.header().used.load(Ordering::Relaxed);
        let passing = (0..used).filter(|&index| self.segment(index).class.load(Ordering::Relaxed) == 1);
        let mut by_age: Vec<u32> = passing.collect();
        by_age.sort_unstable_by_key(|&index| self.segment(index).sequence.load(Ordering::Relaxed));
        by_age.into_iter().find(|&index| {
            let segment = self.segment(index);
            Some(index) == own
                || segment.sealed.load(Ordering::Acquire) == 1
                || !sys::is_alive(segment.thread.load(Ordering::Relaxed))
        })
    }

    /// Empties a segment, and counts what was in it.
    fn forget(&self, index: u32) {
        let segment = self.segment_at(index);
        self.segment(index).magic.store(0, Ordering::Release);
        // SAFETY: its thread has left it, and it is handed out under the lock.
        let body =
            unsafe { std::slice::from_raw_parts_mut(segment.add(SEGMENT_HEADER).as_ptr(), SEGMENT - SEGMENT_HEADER) };
        let mut at = 0;
        let mut events = 0;
        while let Some(word) = body.get(at..at + 8)
            && let Ok(word) = word.try_into()
            && let Some((_, _, length)) = read_commit(u64::from_le_bytes(word))
        {
            at += length;
            events += 1;
        }
        self.header().overwritten.fetch_add(events, Ordering::Relaxed);
        body.fill(0);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: our own mapping; no reference into it outlives this.
        unsafe { sys::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

fn map(file: &File, length: usize) -> io::Result<NonNull<u8>> {
    use std::os::fd::AsRawFd;
    let flags = sys::MAP_SHARED | sys::MAP_NORESERVE;
    // SAFETY: a new mapping at a place of the kernel's choice.
    let base = unsafe {
        sys::mmap(std::ptr::null_mut(), length, sys::PROT_READ | sys::PROT_WRITE, flags, file.as_raw_fd(), 0)
    };
    if base.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))
}

/// A lock that needs no memory of the C library's, and that a forked child never sees held.
pub(crate) struct Locked<'a>(&'a AtomicBool);

impl<'a> Locked<'a> {
    pub(crate) fn of(lock: &'a AtomicBool) -> Self {
        while lock.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            sys::give_way();
        }
        Self(lock)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
