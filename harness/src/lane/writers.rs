//! Which node of the graph wrote what differs. The last node that *holds* a buffer's address may only
//! read it; replays of the graph's first nodes, more and more of them, tell which one writes it.

use std::ops::Range;

use super::{Captured, EAGER_POISON, Ended, Lane, REPLAY_POISON};
use crate::checks::bits;
use crate::cuda::{CudaError, PinnedMemory};
use crate::finding::{Finding, Id};
use crate::step::{Agreement, Role};
use crate::topology::{Topology, headline};

/// Findings whose writers are looked for.
const MOST: usize = 16;

/// Further replays that tell whether a value is the same in each.
const AGAIN: usize = 3;

/// The first element that differs of an image, and when it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Differing {
    pub(super) step: u64,
    /// Flat index of the element; of the row's first where a contract has no order.
    pub(super) element: usize,
}

/// Who wrote a part of a buffer.
enum Writer {
    /// The node with this index. `varies`: replays on equal inputs gave several values.
    Node { index: usize, varies: bool },
    /// None of the graph.
    Nobody,
    /// It cannot be told.
    Unknown,
}

impl Lane {
    /// Gives each finding about an image its place: the node that writes the element, else the last that
    /// holds the buffer's address. The run is over: state and inputs need not stay as they are.
    pub(super) fn place_results(&mut self, graph: &Captured) {
        let differing = std::mem::take(&mut self.evidence.differing);
        // An image may be replayed only while its addresses are good.
        let stable = !self.poisoned
            && crate::checks::addresses::check(&graph.topology, &self.replay, self.config.steps).is_empty();
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (at, (&(id, buffer), differing)) in differing.iter().enumerate() {
            let key = (id, buffer, None);
            if !self.findings.contains_key(&key) {
                continue;
            }
            let writer = if stable && at < MOST && id != Id::R02 && !self.poisoned {
                self.writer_of(graph, buffer, differing).unwrap_or(Writer::Unknown)
            } else {
                Writer::Unknown
            };
            let Some(seen) = self.findings.get_mut(&key) else { continue };
            let finding = std::mem::replace(&mut seen.finding, Finding::new(Id::R01, bits::CHECK));
            let (finding, node) = placed(finding, &graph.topology, &self.specs[buffer].name, buffer, writer);
            if let Some(seen) = self.findings.get_mut(&key) {
                seen.finding = graph.behind.explain(finding, &graph.topology, node);
            }
            places.extend(node.map(|node| (node, buffer)));
        }
        if let Some(step) =
            differing.iter().filter(|((id, _), _)| *id == Id::R01).map(|(_, differing)| differing.step).min()
        {
            self.bisect_results(graph, step);
        }
        self.sort_results(&places);
        self.point_upstream(&places, &graph.topology);
        let is_result = |id: Id| matches!(id, Id::R01 | Id::R03);
        if differing.keys().any(|(id, _)| is_result(*id)) && !self.poisoned {
            let stale = graph.behind.stale(&graph.topology);
            for (_, seen) in self.findings.iter_mut().filter(|(key, _)| is_result(key.0) && !stale.is_empty()) {
                seen.finding.help = format!("see A09 first: {}", stale[0].seen);
            }
            self.keep_all(stale);
        }
    }

    /// Puts findings about images of one id into the order of the nodes that wrote them.
    fn sort_results(&mut self, places: &[(usize, usize)]) {
        let node = |key: &super::FindingKey| places.iter().find(|(_, buffer)| *buffer == key.1).map(|(node, _)| *node);
        let slots: Vec<usize> =
            (0..self.finding_order.len()).filter(|&at| self.finding_order[at].1 != usize::MAX).collect();
        let mut keys: Vec<_> = slots.iter().map(|&at| self.finding_order[at]).collect();
        let first = |id: Id| slots.iter().position(|&at| self.finding_order[at].0 == id);
        keys.sort_by_key(|key| (first(key.0), node(key)));
        for (at, key) in slots.into_iter().zip(keys) {
            self.finding_order[at] = key;
        }
    }

    /// Says of a buffer whose writer reads another that differs that the other comes first.
    fn point_upstream(&mut self, places: &[(usize, usize)], topology: &Topology) {
        for &(node, buffer) in places {
            let reads = |&&(writer, source): &&(usize, usize)| {
                writer < node
                    && source != buffer
                    && topology.nodes[node].pointers.iter().any(|pointer| pointer.target.buffer == source)
            };
            let Some(&(writer, source)) = places.iter().filter(reads).min_by_key(|(writer, _)| *writer) else {
                continue;
            };
            let note = format!(
                "node {node} also uses '{}', which differs too and is written before, by node {writer}: begin there",
                self.specs[source].name
            );
            for (key, seen) in &mut self.findings {
                if key.1 == buffer && key.0 == Id::R01 && !seen.finding.notes.contains(&note) {
                    seen.finding.notes.push(note.clone());
                }
            }
        }
    }

    fn writer_of(&mut self, graph: &Captured, buffer: usize, differing: &Differing) -> Result<Writer, Ended> {
        let Some(spare) = &graph.spare else { return Ok(Writer::Unknown) };
        let nodes = graph.topology.nodes.len();
        self.fill_inputs(differing.step)?;
        let spec = &self.specs[buffer];
        let size = spec.dtype.size();
        let elements = match spec.contract.agreement {
            Agreement::Bits => 1,
            Agreement::IndexSet | Agreement::SortedValues => spec.shape.last().copied().unwrap_or(1),
        };
        let range = differing.element * size..(differing.element + elements) * size;
        let poisoned = spec.role == Role::Output;
        let run = |nodes: usize, poison: u8| -> Result<Vec<u8>, CudaError> {
            self.heartbeat.enter("looking for a writer", differing.step);
            self.restore_first_state()?;
            self.load(&self.replay, poison)?;
            let exec = spare.first_nodes(nodes)?.instantiate()?;
            exec.launch(&self.stream)?;
            self.wait()?;
            self.part_of(buffer, range.clone())
        };
        let found = (|| {
            // An output begins as poison, state as it was at first; inputs as they are copied in.
            let (before, after) = (run(0, EAGER_POISON)?, run(nodes, EAGER_POISON)?);
            let (poison, before, after) = if before != after || !poisoned {
                (EAGER_POISON, before, after)
            } else {
                (REPLAY_POISON, run(0, REPLAY_POISON)?, run(nodes, REPLAY_POISON)?)
            };
            if before == after {
                return Ok(if poisoned { Writer::Nobody } else { Writer::Unknown });
            }
            // The node that gives the bytes their last value, as far as halving tells; where that value is
            // another in each replay, the node that changes them.
            let varies = (0..AGAIN).try_fold(false, |varies, _| Ok(varies || run(nodes, poison)? != after))?;
            let (mut without, mut with) = (0, nodes);
            while with - without > 1 {
                let middle = without + (with - without) / 2;
                let now = run(middle, poison)?;
                let written = if varies { now != before } else { now == after };
                if written { with = middle } else { without = middle }
            }
            Ok(Writer::Node { index: with - 1, varies })
        })();
        found.map_err(|error: CudaError| {
            self.poisoned |= error.is_sticky();
            Ended::Stop
        })
    }

    /// State as before the first step, from its staging.
    fn restore_first_state(&self) -> Result<(), CudaError> {
        let state = self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::State);
        for (index, staging) in state {
            self.replay.memory(*index).upload(staging, &self.stream)?;
        }
        Ok(())
    }

    fn part_of(&self, buffer: usize, range: Range<usize>) -> Result<Vec<u8>, CudaError> {
        let memory = self.replay.memory(buffer);
        let mut image = PinnedMemory::new(memory.len())?;
        memory.download(&mut image, &self.stream)?;
        self.stream.synchronize()?;
        let range = range.start.min(memory.len())..range.end.min(memory.len());
        Ok(image.bytes()[range].to_vec())
    }
}

/// The finding at its writer, and the writer's index.
fn placed(
    finding: Finding,
    topology: &Topology,
    name: &str,
    buffer: usize,
    writer: Writer,
) -> (Finding, Option<usize>) {
    let user = topology.last_user_of(buffer);
    let fallback = |finding: Finding| match user {
        Some((index, node)) => finding
            .at(node.site.clone())
            .note(format!("'{name}' is last used by node {index}: {}", headline(&node.kind))),
        None => finding,
    };
    match writer {
        Writer::Node { index, varies } => {
            let node = &topology.nodes[index];
            let note = format!("it is written by node {index}: {}", headline(&node.kind));
            let finding = finding.at(node.site.clone()).note(note);
            let open = "replays of the graph on equal inputs give it several values: the order of its writes is open";
            (if varies { finding.note(open) } else { finding }, Some(index))
        }
        Writer::Nobody => (fallback(finding).note("no node of the graph writes it"), None),
        Writer::Unknown => (fallback(finding), user.map(|(index, _)| index)),
    }
}
