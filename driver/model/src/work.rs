//! Pieces of work: what a stream executes eagerly and what a graph holds as a node.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::EventId;
use super::batch::MemOp;
use super::module::Function;
use super::params::{Attribute, CopyParams, HostWork};
use graphproof_exec::{Conditional, LaunchConfig};

/// One piece of device work. A captured one becomes a graph node; an eager one goes to the
/// engine as it is. Kinds that only a graph can hold (child graphs, conditional bodies) wrap it:
/// see [`PlanWork`].
#[derive(Debug, Clone)]
pub enum NodeParams {
    /// A kernel launch.
    Kernel(KernelWork),
    /// A copy.
    Memcpy(CopyWork),
    /// A fill.
    Memset(MemsetWork),
    /// A host function.
    Host(HostWork),
    /// Makes an allocation usable from here on. Its address is fixed when the work is made.
    MemAlloc {
        /// The address.
        address: u64,
        /// Size in bytes.
        size: u64,
        /// Pool handle, 0 for the device's default pool.
        pool: u64,
        /// The device whose memory it is.
        device: i32,
    },
    /// Frees an allocation from here on.
    MemFree {
        /// The address.
        address: u64,
    },
    /// Records an event (in a graph: with `CU_EVENT_RECORD_EXTERNAL`).
    EventRecord(EventId),
    /// Waits for an event (in a graph: with `CU_EVENT_WAIT_EXTERNAL`).
    EventWait(EventId),
    /// `cuStreamWaitValue*`, `cuStreamWriteValue*`, `cuStreamBatchMemOp`.
    BatchMemOp(Box<[MemOp]>),
    /// Nothing but its place in the order.
    Empty,
}

/// A kernel launch.
#[derive(Debug, Clone)]
pub struct KernelWork {
    /// The kernel.
    pub function: Arc<Function>,
    /// Grid, block and dynamic shared memory.
    pub config: LaunchConfig,
    /// Parameter buffer as `exec::Kernel::parameters` lays it out, copied at the call.
    pub parameters: Arc<[u8]>,
    /// Launched with `cuLaunchCooperativeKernel` or the attribute.
    pub cooperative: bool,
    /// Other attributes of `cuLaunchKernelEx`, kept for read-back.
    pub attributes: Arc<[Attribute]>,
}

impl KernelWork {
    /// Whether it waits for the kernels ahead of it itself, as far as its code says.
    pub fn waits_for_grids(&self) -> bool {
        self.function.opaque || self.function.entry.waits_for_grids()
    }

    /// Whether it may begin before the kernel ahead of it has ended: `CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION`.
    pub fn begins_early(&self) -> bool {
        const PROGRAMMATIC_STREAM_SERIALIZATION: u32 = 6;
        let given = self.attributes.iter().rfind(|attribute| attribute.id == PROGRAMMATIC_STREAM_SERIALIZATION);
        given.is_some_and(|attribute| attribute.value.word(0) != 0)
    }
}

/// A copy of up to three dimensions.
#[derive(Debug, Clone)]
pub struct CopyWork {
    /// Both places, pitches and extents.
    pub params: CopyParams,
    /// The source bytes (rows without padding) when the call staged pageable memory; the source of `params` is
    /// then only informative.
    pub staged: Option<Arc<[u8]>>,
}

/// A fill of one or two dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemsetWork {
    /// First address.
    pub dst: u64,
    /// Distance between rows in bytes; unused with one row.
    pub pitch: usize,
    /// Value of an element, in its low bytes.
    pub value: u32,
    /// 1, 2 or 4 bytes.
    pub element_size: u32,
    /// Elements in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// An instantiated graph, flattened for execution. `steps[i].dependents` and
/// `steps[i].dependencies` describe the same edges; the engine takes ready steps in seeded order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The nodes.
    pub steps: Vec<Step>,
    /// What kernels in it may set: all of a whole executable graph, none of an inner one.
    pub conditionals: Vec<Conditional>,
}

impl Plan {
    /// What a launch does with events, child graphs and conditional bodies included.
    pub fn survey(&self) -> Survey {
        let mut survey = Survey { never_blocks: true, ..Survey::default() };
        self.survey_into(&mut survey);
        survey
    }

    fn survey_into(&self, survey: &mut Survey) {
        for step in &self.steps {
            match &step.work {
                PlanWork::Node(node) => {
                    match node {
                        NodeParams::EventRecord(event) => survey.recorded.push(*event),
                        NodeParams::EventWait(event) => survey.awaited.push(*event),
                        _ => {}
                    }
                    survey.never_blocks &= node.never_blocks();
                }
                PlanWork::Graph(plan) => plan.survey_into(survey),
                PlanWork::Conditional { bodies, .. } => bodies.iter().for_each(|body| body.survey_into(survey)),
                PlanWork::SetConditional { .. } => {}
            }
        }
    }
}

/// What a launch of a [`Plan`] does beside its own work.
#[derive(Debug, Default)]
pub struct Survey {
    /// Events that it records.
    pub recorded: Vec<EventId>,
    /// Events that it waits for.
    pub awaited: Vec<EventId>,
    /// It has no host function and waits for nothing.
    pub never_blocks: bool,
}

impl NodeParams {
    /// Whether it needs nothing from anybody to end: no host function, no wait.
    pub fn never_blocks(&self) -> bool {
        !matches!(self, Self::Host(_) | Self::EventWait(_) | Self::BatchMemOp(_))
    }
}

/// A node of a [`Plan`].
#[derive(Debug)]
pub struct Step {
    /// What it does.
    pub work: PlanWork,
    /// Steps that wait for this one.
    pub dependents: Vec<u32>,
    /// Those of them that a GPU may begin before this one has ended, and that do not wait for its end themselves: kernels
    /// behind a programmatic edge, without `griddepcontrol.wait`.
    pub early: Vec<u32>,
    /// Those of them that may begin once all blocks of this one have let them (`griddepcontrol.launch_dependents`),
    /// whether they wait for its end or not.
    pub triggered: Vec<u32>,
    /// How many steps this one waits for.
    pub dependencies: u32,
}

/// What a step of a graph does.
#[derive(Debug)]
pub enum PlanWork {
    /// What a stream could do as well.
    Node(NodeParams),
    /// A child graph.
    Graph(Arc<Plan>),
    /// A conditional node.
    Conditional {
        /// The value that decides; kernels and the launch's default write it.
        value: Arc<AtomicU32>,
        /// What the value means.
        kind: ConditionalKind,
        /// The bodies.
        bodies: Vec<Arc<Plan>>,
    },
    /// Sets a conditional's value when the launch begins.
    SetConditional {
        /// The value's place.
        value: Arc<AtomicU32>,
        /// The default.
        to: u32,
    },
}

/// `CUgraphConditionalNodeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalKind {
    /// Body 0 when not zero, else body 1 when there is one.
    If,
    /// Body 0 again and again while not zero.
    While,
    /// The body with the value's number, if there is one.
    Switch,
}
