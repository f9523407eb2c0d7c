//! One process.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::events::Events;
use super::segments::{Segment, raw_at, segments};
use crate::bytes::Input;
use crate::event::{Image, Kind, Stack, Start};
use crate::layout::{COUNTS, Count, MAGIC, PAGE, SEGMENT};

/// What is not whole in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Events that were being written when the process ended.
    pub torn_events: u64,
    /// Segments with bytes that are no event.
    pub broken_segments: u64,
    /// Segments that the file no longer has.
    pub missing_segments: u64,
    /// Events of a kind or content that this version does not know.
    pub unknown_events: u64,
}

/// A process, or its life after an exec.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of the process that started it.
    pub parent: u32,
    /// The start of its record, in nanoseconds of the monotonic clock of its machine.
    pub started: u64,
    /// The same, since 1970.
    pub started_wall: u64,
    /// When it ended by itself; `None` if it was killed, replaced itself, or still runs.
    pub ended: Option<u64>,
    /// What it is.
    pub start: Start,
    /// Events that found no room.
    pub lost: u64,
    /// Events of the passing class that gave way to newer ones.
    pub overwritten: u64,
    /// What is not whole.
    pub damage: Damage,
    /// Loaded programs and libraries, by the id that frames name them by.
    pub images: HashMap<u32, Image>,
    counts: [u64; COUNTS],
    stacks: HashMap<u64, Stack>,
    pub(super) names: HashMap<u32, Arc<str>>,
    pub(super) segments: Vec<Segment>,
    pub(super) record: Vec<u8>,
}

/// The fields of the header page.
pub(crate) struct Fields {
    pid: u32,
    parent: u32,
    started: u64,
    started_wall: u64,
    /// Segments in use.
    pub used: u32,
    ended: Option<u64>,
    lost: u64,
    overwritten: u64,
    /// By [`Count`].
    pub counts: [u64; COUNTS],
}

/// Reads the header page.
pub(crate) fn header_of(page: &[u8]) -> Option<Fields> {
    let mut input = Input::new(page);
    (input.u64()? == MAGIC).then_some(())?;
    let (pid, parent, started, started_wall) = (input.u32()?, input.u32()?, input.u64()?, input.u64()?);
    let (kept, ring, used, ended) = (input.u32()?, input.u32()?, input.u32()?, input.u32()?);
    let (ended_at, lost, overwritten) = (input.u64()?, input.u64()?, input.u64()?);
    let mut counts = [0; COUNTS];
    for count in &mut counts {
        *count = input.u64()?;
    }
    (used <= kept.checked_add(ring)?).then_some(Fields {
        pid,
        parent,
        started,
        started_wall,
        used,
        ended: (ended != 0).then_some(ended_at),
        lost,
        overwritten,
        counts,
    })
}

/// The part of a record's file that is in use.
pub(super) fn read_record(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(PAGE as u64).read_to_end(&mut bytes)?;
    if let Some(header) = header_of(&bytes) {
        file.take(u64::from(header.used) * SEGMENT as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

impl Process {
    pub(super) fn new(record: Vec<u8>) -> Result<Self, String> {
        let fields = header_of(&record).ok_or_else(|| {
            let ours = record.get(..6) == MAGIC.to_le_bytes().get(..6);
            let why = if ours { "its header is of another version or damaged" } else { "it has no header" };
            why.to_owned()
        })?;
        let mut process = Self {
            pid: fields.pid,
            parent: fields.parent,
            started: fields.started,
            started_wall: fields.started_wall,
            ended: fields.ended,
            lost: fields.lost,
            overwritten: fields.overwritten,
            counts: fields.counts,
            damage: Damage::default(),
            start: Start::default(),
            images: HashMap::new(),
            stacks: HashMap::new(),
            names: HashMap::new(),
            segments: Vec::new(),
            record,
        };
        process.segments = segments(&process.record, fields.used, &mut process.damage);
        process.segments.sort_by_key(|segment| segment.sequence);
        process.collect();
        Ok(process)
    }

    /// Reads what other events refer to.
    fn collect(&mut self) {
        let names = |list: &[String]| (0..).zip(list.iter().map(|name| Arc::from(name.as_str()))).collect();
        for segment in &self.segments {
            let mut at = segment.events.start;
            while at < segment.events.end
                && let Some(raw) = raw_at(&self.record, at)
            {
                at += raw.length;
                let mut input = Input::new(raw.content);
                let known = match raw.kind {
                    Some(Kind::Stack) => Stack::read(&mut input).map(|stack| drop(self.stacks.insert(stack.id, stack))),
                    Some(Kind::Image) => Image::read(&mut input).map(|image| drop(self.images.insert(image.id, image))),
                    Some(Kind::Name) => (|| {
                        let (index, name) = (input.u32()?, input.text()?);
                        self.names.insert(index, Arc::from(name));
                        Some(())
                    })(),
                    Some(Kind::Start) => Start::read(&mut input).map(|start| {
                        let more: HashMap<u32, Arc<str>> = names(&start.functions);
                        self.names.extend(more);
                        self.start = start;
                    }),
                    Some(_) => Some(()),
                    None => None,
                };
                if known.is_none() {
                    self.damage.unknown_events += 1;
                }
            }
        }
    }

    /// The name of the function with that number.
    pub(super) fn name(&self, function: u32) -> Arc<str> {
        self.names.get(&function).cloned().unwrap_or_else(|| Arc::from(format!("function {function}")))
    }

    /// The stack with that id.
    pub fn stack(&self, id: u64) -> Option<&Stack> {
        self.stacks.get(&id)
    }

    /// How often the process did that, also where the events were lost.
    pub fn count(&self, what: Count) -> u64 {
        self.counts[what as usize]
    }

    /// Everything that happened, in the order of its end; calls that never returned come last.
    pub fn events(&self) -> Events<'_> {
        Events::new(self)
    }
}
