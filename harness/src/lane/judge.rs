//! Two runs compared: on the device, and on the host only where they differ or have no order.

use std::collections::btree_map::Entry;

use super::images::DeviceImages;
use super::writers::Differing;
use super::{EAGER_GUARD, EAGER_POISON, Ended, Lane, REPLAY_GUARD, REPLAY_POISON};
use crate::buffers::BufferSet;
use crate::checks::bits::{self, Evidence, Pair};
use crate::checks::{addresses, unchanged};
use crate::compare::device::{Found, Images};
use crate::compare::{Difference, compare};
use crate::cuda::{CudaError, DeviceMemory, PinnedMemory, Stream};
use crate::digest;
use crate::finding::Finding;
use crate::report::Digests;
use crate::step::{Agreement, BufferSpec, Role, Valid};
use crate::topology::Topology;

/// What is looked at beside the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing.
    Nothing,
    /// The inputs of the eager set.
    Inputs,
    /// The guards of the replay's buffers.
    Guards,
    /// Inputs of both sets and guards; and the digests are kept.
    All,
}

/// Findings of one comparison, each with its buffer.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// About images that differ.
    pub(super) images: Vec<(usize, Finding)>,
    /// About inputs that a run changed.
    pub(super) inputs: Vec<(usize, Finding)>,
}

/// Digests of a run, 8 bytes a step.
#[derive(Debug, Default)]
pub(super) struct Sums {
    steps: Vec<u64>,
    buffers: Vec<(usize, u64)>,
    inputs: u64,
}

impl Sums {
    /// Adds the digests of a step's compared buffers and of its inputs, each with its index.
    fn add(&mut self, step: u64, images: &[(usize, u64)], inputs: &[(usize, u64)]) {
        let joined = |digests: &[(usize, u64)]| digest::join(digests.iter().map(|&(at, digest)| (at as u64, digest)));
        self.steps.push(joined(images));
        self.inputs = self.inputs.wrapping_add(digest::mix(step, joined(inputs)));
        for &(index, digest) in images {
            let sum = match self.buffers.iter().position(|(known, _)| *known == index) {
                Some(at) => &mut self.buffers[at].1,
                None => {
                    self.buffers.push((index, 0));
                    &mut self.buffers.last_mut().expect("pushed above").1
                }
            };
            *sum = sum.wrapping_add(digest::mix(step, digest));
        }
    }

    /// As the report has them.
    pub(super) fn report(&self, specs: &[BufferSpec]) -> Digests {
        Digests {
            steps: self.steps.iter().map(|&sum| digest::hex(sum)).collect(),
            buffers: self
                .buffers
                .iter()
                .map(|&(index, sum)| (specs[index].name.to_string(), digest::hex(sum)))
                .collect(),
            inputs: digest::hex(self.inputs),
        }
    }
}

/// What to compare, and what the device said.
struct Asked {
    /// Buffer and its place in `found`; `None` for a contract without order.
    images: Vec<(usize, Option<usize>)>,
    inputs: Vec<(usize, usize)>,
    found: Vec<Found>,
    /// Buffer and offset of what was written beside it.
    broken: Vec<(usize, i64)>,
}

impl Lane {
    /// Compares the kept images with what the second run of `pair` left in its buffers.
    pub(super) fn compare(
        &mut self,
        pair: Pair,
        beside: Beside,
        step: u64,
        topology: Option<&Topology>,
    ) -> Result<Judged, Ended> {
        let asked = self.ask(pair, beside);
        let asked = self.driver(asked, "comparing on the device")?;
        let broken = asked.broken.iter().map(|&guard| addresses::broken_guard(guard, &self.replay, topology, step));
        let broken = broken.collect();
        self.keep_all(broken);
        let mut judged = Judged::default();
        let guard = (self.replay.guard().bytes > 0).then(|| guard(pair));
        let evidence = Evidence { pair, step, poison: poison(pair), guard };
        let mut digests = Vec::with_capacity(asked.images.len());
        for &(buffer, place) in &asked.images {
            let found = place.map(|place| asked.found[place]);
            let (difference, digest) = match found {
                Some(Found { count: 0, digest, .. }) => (None, digest),
                // Only now are the images worth fetching, or where order does not count.
                _ => {
                    let looked = self.look(buffer, pair);
                    let (difference, digest) = self.driver(looked, "reading images back")?;
                    (difference, found.map_or(digest, |found| found.digest))
                }
            };
            digests.push((buffer, digest));
            if let Some(difference) = difference {
                let finding = bits::finding(&self.specs[buffer], &difference, &evidence);
                let first = Differing { step, element: difference.index };
                self.evidence.differing.entry((finding.id, buffer)).or_insert(first);
                judged.images.push((buffer, finding));
            }
        }
        for &(buffer, place) in &asked.inputs {
            judged.inputs.extend(self.changed_input(buffer, &asked.found[place], beside, step, topology)?);
        }
        if beside == Beside::All {
            self.digests.add(step, &digests, &self.input_digests);
        }
        Ok(judged)
    }

    fn ask(&mut self, pair: Pair, beside: Beside) -> Result<Asked, CudaError> {
        let other = other(pair, &self.eager, &self.replay);
        let level = |set: &BufferSet, at, buffer| self.levelled.address(set, at, buffer, &self.stream);
        let mut table = Vec::new();
        let mut images = Vec::new();
        for buffer in self.kept.indices() {
            let spec = &self.specs[buffer];
            let ordered = spec.contract.agreement == Agreement::Bits;
            images.push((buffer, ordered.then_some(table.len())));
            if ordered && let Some(reference) = self.kept.of(buffer) {
                let lengths = lengths_of(spec, &self.kept, other).or(self.row_lengths.of(buffer));
                let lengths = lengths.map(DeviceMemory::address);
                table.push(Images {
                    reference: reference.address(),
                    other: Some(level(other, 1, buffer)?),
                    lengths,
                    ..shape_of(spec)
                });
            }
        }
        let mut inputs = Vec::new();
        if matches!(beside, Beside::Inputs | Beside::All) {
            for buffer in self.eager.with_role(|role| role == Role::Input) {
                inputs.push((buffer, table.len()));
                table.push(Images {
                    reference: level(&self.eager, 0, buffer)?,
                    other: (beside == Beside::All).then(|| level(&self.replay, 1, buffer)).transpose()?,
                    ..shape_of(&self.specs[buffer])
                });
            }
        }
        let guarded = match beside {
            Beside::Guards | Beside::All => self.replay.guarded(),
            Beside::Nothing | Beside::Inputs => Vec::new(),
        };
        let (found, broken) = self.comparer.run(&table, &guarded, self.replay.guard(), &self.stream)?;
        let broken = broken.into_iter().enumerate();
        let broken = broken.filter_map(|(buffer, at)| Some((buffer, self.replay.guard_offset(buffer, at?)))).collect();
        Ok(Asked { images, inputs, found, broken })
    }

    /// Fetches both images of a buffer: what differs, and the digest of the reference.
    fn look(&mut self, buffer: usize, pair: Pair) -> Result<(Option<Difference>, u64), CudaError> {
        let spec = &self.specs[buffer];
        let other = other(pair, &self.eager, &self.replay);
        let Some(reference) = self.kept.of(buffer) else { return Ok((None, 0)) };
        let [left, right] = match self.fetched.entry(buffer) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(none) => {
                none.insert([PinnedMemory::new(reference.len())?, PinnedMemory::new(reference.len())?])
            }
        };
        reference.download(left, &self.stream)?;
        other.memory(buffer).download(right, &self.stream)?;
        let lengths = lengths_of(spec, &self.kept, other).map(|memory| fetch(memory, &self.stream)).transpose()?;
        self.stream.synchronize()?;
        let numbers = |image: PinnedMemory| image.bytes().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        let lengths: Option<Vec<i32>> = lengths.map(numbers);
        let difference = compare(spec, left.bytes(), right.bytes(), lengths.as_deref());
        Ok((difference, digest::of_image(spec, left.bytes(), lengths.as_deref())))
    }

    /// The finding for an input that is not what was copied in, after the eager run or the replay.
    fn changed_input(
        &mut self,
        buffer: usize,
        found: &Found,
        beside: Beside,
        step: u64,
        topology: Option<&Topology>,
    ) -> Result<Option<(usize, Finding)>, Ended> {
        let before = self.input_digests.iter().find(|(index, _)| *index == buffer).map(|(_, digest)| *digest);
        if found.count == 0 && before == Some(found.digest) {
            return Ok(None);
        }
        let Some((_, staging)) = self.uploads.iter().find(|(index, _)| *index == buffer) else { return Ok(None) };
        let look = |(set, run): (&BufferSet, &str)| -> Result<Option<Finding>, CudaError> {
            let after = fetch(set.memory(buffer), &self.stream)?;
            let input = unchanged::Input { buffer, before: staging.bytes(), after: after.bytes() };
            Ok(unchanged::check(&input, run, step, set, topology))
        };
        let eager = look((&self.eager, "eager"));
        let changed = match (eager, beside) {
            (Ok(None), Beside::All) => look((&self.replay, "replay")),
            (eager, _) => eager,
        };
        Ok(self.driver(changed, "reading the inputs back")?.map(|finding| (buffer, finding)))
    }
}

/// The buffers that the second run of a pair left.
fn other<'a>(pair: Pair, eager: &'a BufferSet, replay: &'a BufferSet) -> &'a BufferSet {
    if pair == Pair::EagerEager { eager } else { replay }
}

fn poison(pair: Pair) -> [u8; 2] {
    match pair {
        Pair::EagerEager | Pair::EagerReplay => [EAGER_POISON, REPLAY_POISON],
        Pair::ReplayReplay => [REPLAY_POISON; 2],
    }
}

fn guard(pair: Pair) -> [u8; 2] {
    match pair {
        Pair::EagerEager => [EAGER_GUARD; 2],
        Pair::EagerReplay => [EAGER_GUARD, REPLAY_GUARD],
        Pair::ReplayReplay => [REPLAY_GUARD; 2],
    }
}

/// The lengths of a buffer's rows: of the reference if they are compared, else the inputs.
fn lengths_of<'a>(spec: &BufferSpec, kept: &'a DeviceImages, other: &'a BufferSet) -> Option<&'a DeviceMemory> {
    let Valid::RowPrefix { lengths } = &spec.contract.valid else { return None };
    let index = other.index(lengths).ok()?;
    Some(kept.of(index).unwrap_or_else(|| other.memory(index)))
}

fn shape_of(spec: &BufferSpec) -> Images {
    let element = spec.dtype.size();
    Images {
        reference: 0,
        other: None,
        lengths: None,
        bytes: spec.bytes().unwrap_or(0) as u64,
        row_bytes: (spec.shape.last().copied().unwrap_or(1) * element) as u64,
        element: element as u32,
    }
}

fn fetch(memory: &DeviceMemory, stream: &Stream) -> Result<PinnedMemory, CudaError> {
    let mut image = PinnedMemory::new(memory.len())?;
    memory.download(&mut image, stream)?;
    stream.synchronize()?;
    Ok(image)
}
