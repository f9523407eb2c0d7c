//! Where things stand in the file.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The first eight bytes of a process's record; the last two are the format's version.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"gproof\x01\x00");
/// The first four bytes of a segment in use.
pub(crate) const SEGMENT_MAGIC: u32 = u32::from_le_bytes(*b"gseg");
/// Bytes of the header.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a segment.
pub(crate) const SEGMENT: usize = 64 << 10;
/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 64;
/// Bytes of an event before its content: commit word and time.
pub(crate) const EVENT_HEADER: usize = 16;
/// In every commit word, so that stray bytes are seldom one.
pub(crate) const COMMIT_MARK: u64 = 0xe5;
/// Segments for which room is made in the file at a time, at most.
pub(crate) const CHUNK: usize = 64;

/// Bytes of events that are kept, of one process, unless said otherwise.
pub const LIMIT: usize = 512 << 20;
/// Bytes of events that pass, of one process, unless said otherwise.
pub const RING: usize = 64 << 20;

/// How large a process's record may become, in bytes; at least one segment each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For events that are kept.
    pub kept: usize,
    /// For those that pass.
    pub ring: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { kept: LIMIT, ring: RING }
    }
}

impl Limits {
    pub(crate) fn segments(self) -> (usize, usize) {
        (self.kept.div_ceil(SEGMENT).max(1), self.ring.div_ceil(SEGMENT).max(1))
    }
}

/// What becomes of an event when the file is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is kept; when its room is full, later ones are lost and counted.
    Kept,
    /// It gives way to newer ones, and is counted.
    Passing,
}

/// How many things are counted.
pub(crate) const COUNTS: usize = 5;

/// Things counted in the header while the program runs, for whoever shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Captures begun.
    Captures,
    /// Calls that failed.
    Failures,
    /// Graphs instantiated.
    Graphs,
    /// Launches of graphs.
    Launches,
    /// Calls of the everyday, outside captures and with success: they are counted, not written.
    Unwritten,
}

impl Count {
    /// All, in the order of the header.
    pub const ALL: [Self; COUNTS] = [Self::Captures, Self::Failures, Self::Graphs, Self::Launches, Self::Unwritten];
}

/// The first page of the file.
#[repr(C)]
pub(crate) struct Header {
    pub magic: AtomicU64,
    pub pid: u32,
    pub parent: u32,
    /// Monotonic clock, in nanoseconds.
    pub started: u64,
    /// Wall clock, in nanoseconds since 1970.
    pub started_wall: u64,
    pub kept_segments: u32,
    pub ring_segments: u32,
    /// Segments handed out, of both classes.
    pub used: AtomicU32,
    /// 1 when the program has ended by itself, and told.
    pub ended: AtomicU32,
    /// When.
    pub ended_at: AtomicU64,
    /// Events that found no room.
    pub lost: AtomicU64,
    /// Events that gave way to newer ones.
    pub overwritten: AtomicU64,
    pub counts: [AtomicU64; COUNTS],
}

/// The first bytes of a segment.
#[repr(C)]
pub(crate) struct SegmentHeader {
    pub magic: AtomicU32,
    /// 0 kept, 1 passing.
    pub class: AtomicU32,
    /// Segments are numbered as they are handed out.
    pub sequence: AtomicU64,
    pub thread: AtomicU32,
    /// 1 when its thread has gone on to another.
    pub sealed: AtomicU32,
    /// The call that its thread is in: function + 1, or 0.
    pub current: AtomicU64,
    /// Since when.
    pub current_began: AtomicU64,
}

const _: () = assert!(size_of::<Header>() <= PAGE && size_of::<SegmentHeader>() <= SEGMENT_HEADER);
const _: () = assert!(offset_of!(Header, counts) == 72 && offset_of!(SegmentHeader, current_began) == 32);

/// The word whose store makes an event part of the record.
pub(crate) fn commit_word(kind: u8, flags: u8, length: usize) -> u64 {
    length as u64 | u64::from(kind) << 32 | u64::from(flags) << 40 | COMMIT_MARK << 56
}

/// Kind, flags and length of an event with that commit word; `None` for a word that is none.
pub(crate) fn read_commit(word: u64) -> Option<(u8, u8, usize)> {
    let length = (word & 0xffff_ffff) as usize;
    let marked = word >> 56 == COMMIT_MARK && (word >> 48) & 0xff == 0;
    let fits = (EVENT_HEADER..=SEGMENT - SEGMENT_HEADER).contains(&length) && length.is_multiple_of(8);
    (marked && fits).then_some(((word >> 32) as u8, (word >> 40) as u8, length))
}
