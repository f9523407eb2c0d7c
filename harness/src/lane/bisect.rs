//! Bisection of a replay that differs: the graph's nodes one after the other, beside the pieces of work of
//! the eager step, each on its own set of buffers. The first whose result differs has equal inputs.

use super::{Captured, EAGER_POISON, Ended, Lane};
use crate::buffers::BufferSet;
use crate::checks::addresses;
use crate::compare::{Difference, compare, coordinates, element_text};
use crate::context::{Enqueued, HostContext, Phase};
use crate::cuda::{CudaError, GraphNode, PinnedMemory, Stream};
use crate::error::{RunError, StepResult};
use crate::finding::{Finding, Id, Site};
use crate::step::{BufferSpec, Contract, DType, Role, Valid};
use crate::topology::headline;

/// Bytes of images kept: of every buffer after every piece of work.
const MOST_BYTES: usize = 256 << 20;

/// What a bisection showed.
#[derive(Debug, Clone, Default)]
pub struct Bisection {
    /// The step whose inputs were used.
    pub step: u64,
    /// Each piece of work with its nodes, up to the first that differs.
    pub compared: Vec<Compared>,
    /// The first difference, if there is one.
    pub first: Option<First>,
    /// Why it could not be made, or not to its end.
    pub stopped: Option<String>,
}

/// A piece of work of the eager step, and the nodes that the same line captured.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The line of the step.
    pub site: Site,
    /// The nodes, by their index and in words.
    pub nodes: Vec<(usize, String)>,
    /// Whether the buffers agree afterwards.
    pub agrees: bool,
}

/// The first difference.
#[derive(Debug, Clone)]
pub struct First {
    /// The last of the nodes that ran between agreement and difference.
    pub node: usize,
    /// It in words.
    pub headline: String,
    /// Its line.
    pub site: Option<Site>,
    /// The element: buffer and coordinates.
    pub element: String,
    /// Its value after the eager work, and after the node.
    pub values: [String; 2],
}

impl First {
    /// In one line.
    pub fn told(&self) -> String {
        let place = self.site.as_ref().map(|site| format!(", {}", site.place())).unwrap_or_default();
        let [eager, replay] = &self.values;
        format!(
            "the first node whose result differs, its inputs being equal, is node {} ({}{place}): {} is {eager} \
             eagerly and {replay} here",
            self.node, self.headline, self.element
        )
    }
}

/// For each piece of work, how many of the graph's nodes are there after it.
pub(super) fn boundaries(nodes: &[GraphNode], enqueued: &[Enqueued]) -> Vec<usize> {
    let mut reached = 0;
    let place = |node: &GraphNode| nodes.iter().position(|known| known == node).map_or(0, |at| at + 1);
    let bounds = enqueued.iter().map(|work| {
        reached = work.nodes.iter().map(place).fold(reached, usize::max);
        reached
    });
    bounds.collect()
}

pub(super) type Images = Vec<(usize, Vec<u8>)>;

impl Lane {
    /// Runs every step until one differs, and takes that apart.
    pub(crate) fn bisected(&mut self) -> Result<Result<Bisection, Vec<Finding>>, RunError> {
        let (mut captured, mut times) = (None, super::TimesTaken::default());
        for step in 0..self.config.steps {
            if self.config.stopped() {
                break;
            }
            match self.one_step(step, &mut captured, &mut times) {
                Ok(()) => {}
                Err(Ended::Stop) => return Ok(Err(self.take_findings())),
                Err(Ended::Run(error)) => return Err(error),
            }
            let differs = self.findings.keys().any(|(id, ..)| *id == Id::R01);
            if let Some(graph) = captured.as_ref().filter(|_| differs) {
                return match self.bisect(graph, step) {
                    Ok(bisection) => Ok(Ok(bisection)),
                    Err(Ended::Stop) => Ok(Err(self.take_findings())),
                    Err(Ended::Run(error)) => Err(error),
                };
            }
        }
        if self.findings.is_empty() { Ok(Ok(Bisection::default())) } else { Ok(Err(self.take_findings())) }
    }

    /// Adds, to findings of results that differ, the first node whose result does. The run is over: state and
    /// inputs need not stay as they are.
    pub(super) fn bisect_results(&mut self, graph: &Captured, step: u64) {
        let is = |id: Id| self.findings.keys().any(|(found, ..)| *found == id);
        // What does not agree with itself has no first difference.
        if !is(Id::R01) || is(Id::V07) || self.poisoned {
            return;
        }
        let Ok(Bisection { first: Some(first), .. }) = self.bisect(graph, step) else { return };
        for ((id, ..), seen) in &mut self.findings {
            if *id == Id::R01 {
                seen.finding.notes.push(first.told());
                if seen.finding.origin.is_none() && seen.finding.site != first.site {
                    seen.finding.origin.clone_from(&first.site);
                }
            }
        }
    }

    fn bisect(&mut self, graph: &Captured, step: u64) -> Result<Bisection, Ended> {
        let mut found = Bisection { step, ..Bisection::default() };
        let Some(spare) = &graph.spare else {
            found.stopped = Some("the driver copies no graph with memory or conditional nodes".to_owned());
            return Ok(found);
        };
        let judged = self.eager.with_role(|role| role != Role::Input);
        let bytes: usize = judged.iter().map(|&index| self.eager.memory(index).len()).sum();
        if bytes.saturating_mul(graph.enqueued.len()) > MOST_BYTES {
            found.stopped =
                Some(format!("images of {bytes} bytes after each piece of work are too many; take a smaller shape"));
            return Ok(found);
        }
        self.fill_inputs(step)?;
        if let Err(error) = self.prepare_quietly(step, Phase::Eager) {
            found.stopped = Some(format!("the host's work before the step failed when it was repeated: {error}"));
            return Ok(found);
        }
        let begun = self.begin_with_first_state(&self.eager);
        self.driver(begun, "copying the inputs in")?;
        let mut eager: Vec<Images> = Vec::new();
        let stream = &self.stream;
        let mut keep = || -> Result<(), CudaError> {
            eager.push(images(&self.eager, &judged, stream)?);
            Ok(())
        };
        let (recorded, enqueued) = self.record_with(&self.eager, &mut keep);
        if let Err(error) = recorded {
            found.stopped = Some(format!("the eager step failed when it was repeated: {error}"));
            return Ok(found);
        }
        if let Err(error) = self.prepare_quietly(step, Phase::Replay) {
            found.stopped = Some(format!("the host's work before the replay failed when it was repeated: {error}"));
            return Ok(found);
        }
        if !addresses::check(&graph.topology, &self.replay, step).is_empty() {
            found.stopped = Some("the graph's addresses are not good any more".to_owned());
            return Ok(found);
        }
        let begun = self.begin_with_first_state(&self.replay);
        self.driver(begun, "copying the inputs in")?;
        let mut from = 0;
        for (at, work) in graph.enqueued.iter().enumerate() {
            let other = enqueued.get(at).map(|other| (&other.site.what, other.site.line));
            if other != Some((&work.site.what, work.site.line)) {
                found.stopped = Some(match enqueued.get(at) {
                    Some(other) => format!("the eager step enqueues another thing here: {}", other.site),
                    None => format!("the eager step does not enqueue this: {}", work.site),
                });
                break;
            }
            let to = graph.boundaries.get(at).copied().unwrap_or(from);
            if to == from {
                continue;
            }
            self.heartbeat.enter("bisecting", step);
            let ran = (|| {
                let exec = spare.only_nodes(from..to)?.instantiate()?;
                exec.launch(&self.stream)?;
                self.wait()?;
                images(&self.replay, &judged, &self.stream)
            })();
            let after = self.driver(ran, "replaying a part of the graph")?;
            let difference = self.first_difference(&eager[at], &after);
            let nodes = (from..to).map(|node| (node, headline(&graph.topology.nodes[node].kind)));
            found.compared.push(Compared {
                site: work.site.clone(),
                nodes: nodes.collect(),
                agrees: difference.is_none(),
            });
            if let Some((buffer, difference)) = difference {
                found.first = Some(self.first(graph, to - 1, buffer, &difference));
                break;
            }
            from = to;
        }
        Ok(found)
    }

    fn first(&self, graph: &Captured, node: usize, buffer: usize, difference: &Difference) -> First {
        let spec = &self.specs[buffer];
        let text = |bytes: &[u8]| element_text(spec.dtype, bytes);
        First {
            node,
            headline: headline(&graph.topology.nodes[node].kind),
            site: graph.topology.nodes[node].site.clone(),
            element: format!("{} '{}'{}", spec.role, spec.name, coordinates(&spec.shape, difference.index)),
            values: [text(&difference.left), text(&difference.right)],
        }
    }

    /// The first buffer in which two sets of images differ.
    pub(super) fn first_difference(&self, eager: &Images, replay: &Images) -> Option<(usize, Difference)> {
        eager.iter().zip(replay).find_map(|((buffer, left), (_, right))| {
            let spec = self.judged_spec(*buffer);
            let lengths = self.lengths_in(&spec, eager);
            let difference = compare(&spec, left, right, lengths.as_deref())?;
            // An address of one set stands for the same one of the other.
            let address = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map_or(0, u64::from_ne_bytes);
            let same_place = spec.dtype == DType::U64
                && self.eager.locate(address(&difference.left)).is_some_and(|target| {
                    self.replay.locate(address(&difference.right)).is_some_and(|other| other == target)
                });
            (!same_place).then_some((*buffer, difference))
        })
    }

    /// A buffer's declaration; scratch is compared as it is.
    fn judged_spec(&self, buffer: usize) -> BufferSpec {
        let spec = self.specs[buffer].clone();
        if spec.role == Role::Scratch { BufferSpec { contract: Contract::BITS, ..spec } } else { spec }
    }

    /// The lengths of a buffer's rows: of the images, or of the inputs.
    pub(super) fn lengths_in(&self, spec: &BufferSpec, images: &[(usize, Vec<u8>)]) -> Option<Vec<i32>> {
        let Valid::RowPrefix { lengths } = &spec.contract.valid else { return None };
        let index = self.eager.index(lengths).ok()?;
        let of_images = images.iter().find(|(buffer, _)| *buffer == index).map(|(_, bytes)| bytes.as_slice());
        let bytes = of_images.or_else(|| self.inputs.bytes(lengths).ok())?;
        Some(bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
    }

    /// The host's work of a step that was run already, unrecorded.
    pub(super) fn prepare_quietly(&mut self, step: u64, phase: Phase) -> StepResult<()> {
        let buffers = match phase {
            Phase::Eager => &mut self.eager,
            Phase::Replay => &mut self.replay,
        };
        let mut cx = HostContext::new(phase, &self.stream, buffers);
        self.step.prepare(step, &mut cx)
    }

    /// Poison, inputs, and the state as before the first step.
    pub(super) fn begin_with_first_state(&self, set: &BufferSet) -> Result<(), CudaError> {
        let state = self.uploads.iter().filter(|(index, _)| self.specs[*index].role == Role::State);
        state.into_iter().try_for_each(|(index, staging)| set.memory(*index).upload(staging, &self.stream))?;
        self.load(set, EAGER_POISON)
    }
}

pub(super) fn images(set: &BufferSet, buffers: &[usize], stream: &Stream) -> Result<Images, CudaError> {
    buffers
        .iter()
        .map(|&index| {
            let mut image = PinnedMemory::new(set.memory(index).len())?;
            set.memory(index).download(&mut image, stream)?;
            stream.synchronize()?;
            Ok((index, image.bytes().to_vec()))
        })
        .collect()
}
