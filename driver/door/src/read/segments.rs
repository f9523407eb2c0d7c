//! Segments, and the events in them, as bytes.

use crate::bytes::Input;
use crate::event::Kind;
use crate::layout::{EVENT_HEADER, PAGE, SEGMENT, SEGMENT_HEADER, SEGMENT_MAGIC, read_commit};

use super::Damage;

/// A segment in use.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub passing: bool,
    pub sequence: u64,
    pub thread: u32,
    /// The call that its thread is in, and since when.
    pub current: Option<(u32, u64)>,
    /// Where its events begin and end in the record.
    pub events: std::ops::Range<usize>,
}

/// Reads the headers of all segments in use.
pub(super) fn segments(record: &[u8], used: u32, damage: &mut Damage) -> Vec<Segment> {
    let mut found = Vec::new();
    for index in 0..used as usize {
        let start = PAGE + index * SEGMENT;
        let Some(whole) = record.get(start..record.len().min(start + SEGMENT)).filter(|whole| !whole.is_empty()) else {
            damage.missing_segments += u64::from(used) - index as u64;
            break;
        };
        match header(whole) {
            Some(mut segment) => {
                let end = walk(whole, damage);
                segment.events = start + SEGMENT_HEADER..start + end;
                found.push(segment);
            }
            // Handed out and not yet begun, or about to be used again.
            None if whole.iter().take(4).all(|&byte| byte == 0) => damage.torn_events += 1,
            None => damage.broken_segments += 1,
        }
    }
    found
}

fn header(segment: &[u8]) -> Option<Segment> {
    let mut input = Input::new(segment.get(..SEGMENT_HEADER)?);
    let (magic, class, sequence) = (input.u32()?, input.u32()?, input.u64()?);
    let (thread, _sealed, current, began) = (input.u32()?, input.u32()?, input.u64()?, input.u64()?);
    let current = current.checked_sub(1).and_then(|function| Some((u32::try_from(function).ok()?, began)));
    let known = magic == SEGMENT_MAGIC && class <= 1;
    known.then_some(Segment { passing: class == 1, sequence, thread, current, events: 0..0 })
}

/// Where the last whole event of a segment ends.
fn walk(segment: &[u8], damage: &mut Damage) -> usize {
    let mut at = SEGMENT_HEADER;
    while let Some((_, _, length)) = event_at(segment, at) {
        if at + length > segment.len() {
            break;
        }
        at += length;
    }
    let rest = &segment[at..];
    if segment.len() < SEGMENT {
        damage.torn_events += 1;
    } else if rest.iter().take(8).any(|&byte| byte != 0) {
        damage.broken_segments += 1;
    } else if rest.iter().any(|&byte| byte != 0) {
        // An event that was being written has its bytes and no commit word.
        damage.torn_events += 1;
    }
    at
}

/// The commit word at `at`.
pub(super) fn event_at(bytes: &[u8], at: usize) -> Option<(u8, u8, usize)> {
    let word = bytes.get(at..at + 8)?.try_into().ok()?;
    read_commit(u64::from_le_bytes(word))
}

/// An event's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub kind: Option<Kind>,
    pub cut: bool,
    pub time: u64,
    pub content: &'a [u8],
    pub length: usize,
}

/// The event at `at`, which must be inside `record`.
pub(super) fn raw_at(record: &[u8], at: usize) -> Option<Raw<'_>> {
    let (kind, flags, length) = event_at(record, at)?;
    let bytes = record.get(at..at + length)?;
    let time = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    Some(Raw { kind: Kind::from_byte(kind), cut: flags & 1 != 0, time, content: &bytes[EVENT_HEADER..], length })
}
