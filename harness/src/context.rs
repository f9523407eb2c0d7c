//! What a step sees: while it records, and while the host prepares a step.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;

use cudarc::driver::sys::{CUresult, CUstream};

use crate::buffers::BufferSet;
use crate::cuda::{
    self, Body, Condition, ConditionalHandle, CudaError, DeviceMemory, Event, Function, GraphNode, PinnedMemory,
    Stream, Tiled, end_body,
};
use crate::error::{StepError, StepResult};
use crate::finding::{Place, Site};
use crate::kernels::Kernels;
use crate::step::Module;
use crate::watchdog::Heartbeat;

/// Dynamic shared memory that a launch may have without opting in (CUDA Programming Guide,
/// "Compute capabilities").
const SHARED_WITHOUT_OPT_IN: u32 = 48 * 1024;

/// Threads of a block, and extents of grids and blocks, that no device exceeds (CUDA Programming
/// Guide, "Compute capabilities").
const MOST_THREADS: u32 = 1024;
const MOST_BLOCK: [u32; 3] = [1024, 1024, 64];
const MOST_GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];

/// Turns of a `while` body that an eager run makes at most.
const MOST_TURNS: u32 = 1 << 20;

/// The kernel behind [`StepContext::conditional`].
pub(crate) const SET_CONDITIONAL: &str = "graphproof_set_conditional";

/// What a step that uses [`StepContext::conditional`] has to name among its modules: the kernel that sets
/// a graph's conditional value from a buffer.
pub fn conditional_module() -> Module {
    Module::ptx("graphproof_conditional.ptx", include_str!("conditional.ptx"))
}

/// What enqueues the body of a number of a conditional.
pub type Bodies<'a, Context> = dyn FnMut(&mut Context, u32) -> StepResult<()> + 'a;

/// Handed to [`Step::record`](crate::step::Step::record).
///
/// Every method that enqueues work remembers the caller's line, so that a finding can name it.
pub struct StepContext<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) buffers: &'a BufferSet,
    pub(crate) kernels: &'a Kernels,
    pub(crate) heartbeat: &'a Arc<Heartbeat>,
    /// Largest dynamic shared memory of a block, in bytes.
    pub(crate) most_shared: u32,
    pub(crate) capturing: bool,
    /// Whether the stream is held, so that nothing can be read behind it.
    pub(crate) held: bool,
    pub(crate) enqueued: Vec<Enqueued>,
    /// Where what follows is enqueued instead.
    pub(crate) side: Option<Arc<Stream>>,
    /// Where what follows stands, if not in the caller's line.
    pub(crate) place: Option<Place>,
    /// What the lines of the step note, where they are asked to.
    pub(crate) noted: Option<Vec<(Site, u64)>>,
    /// What to do behind each piece of eager work.
    pub(crate) after: Option<&'a mut AfterWork<'a>>,
}

/// What is done behind each piece of eager work.
pub(crate) type AfterWork<'a> = dyn FnMut() -> Result<(), CudaError> + 'a;

/// One piece of work that a step enqueued through its context.
#[derive(Debug, Clone)]
pub struct Enqueued {
    /// The line of the step.
    pub site: Site,
    /// The kernel, if it was a launch.
    pub kernel: Option<String>,
    /// Under capture: the graph nodes that the call made.
    pub nodes: Vec<GraphNode>,
    /// What is within it, if it is a conditional.
    pub(crate) conditional: Option<Conditional>,
}

/// What is within a conditional.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditional {
    /// Eagerly: how often each body ran.
    pub ran: Vec<u32>,
    /// Whether the body runs again and again.
    pub repeats: bool,
    /// Under capture: the graph of each body, with the work in it.
    pub bodies: Vec<(Body, Vec<Enqueued>)>,
    /// Eagerly: the conditionals in its bodies.
    pub inner: Vec<Enqueued>,
}

/// A kernel launch in the making.
#[derive(Debug, Clone)]
pub struct Launch {
    kernel: String,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    cooperative: bool,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone)]
enum Argument {
    /// The address of a byte of a buffer.
    Buffer(String, u64),
    Bytes(Vec<u8>),
    /// A tensor map of a buffer.
    Map(String, Tiled),
}

impl Launch {
    /// A launch of `kernel` with one block of one thread.
    pub fn new(kernel: impl Into<String>) -> Self {
        Launch {
            kernel: kernel.into(),
            grid: [1; 3],
            block: [1; 3],
            shared_bytes: 0,
            cooperative: false,
            arguments: Vec::new(),
        }
    }

    /// Blocks in x, y, z.
    pub fn grid(mut self, grid: [u32; 3]) -> Self {
        self.grid = grid;
        self
    }

    /// Threads of a block in x, y, z.
    pub fn block(mut self, block: [u32; 3]) -> Self {
        self.block = block;
        self
    }

    /// Dynamic shared memory in bytes. Above 48 KiB the kernel's limit is raised to it.
    pub fn shared(mut self, bytes: u32) -> Self {
        self.shared_bytes = bytes;
        self
    }

    /// A cooperative launch (`cuLaunchCooperativeKernel`): all blocks run at once, and may wait for each
    /// other.
    pub fn cooperative(mut self) -> Self {
        self.cooperative = true;
        self
    }

    /// Appends the address of a declared buffer.
    pub fn buffer(self, name: impl Into<String>) -> Self {
        self.buffer_at(name, 0)
    }

    /// Appends the address of byte `offset` of a declared buffer.
    pub fn buffer_at(mut self, name: impl Into<String>, offset: u64) -> Self {
        self.arguments.push(Argument::Buffer(name.into(), offset));
        self
    }

    /// Appends a tensor map of a declared buffer, for a `__grid_constant__ const CUtensorMap`.
    pub fn tensor_map(mut self, name: impl Into<String>, tiled: Tiled) -> Self {
        self.arguments.push(Argument::Map(name.into(), tiled));
        self
    }

    /// Appends a value by its bytes, as they lie in memory.
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(Argument::Bytes(bytes.into()));
        self
    }

    /// Appends a value, such as `4u32` or `1.0f32`, by its bytes.
    pub fn value<T: bytemuck::Pod>(mut self, value: T) -> Self {
        self.arguments.push(Argument::Bytes(bytemuck::bytes_of(&value).to_vec()));
        self
    }
}

impl Launch {
    /// Why the launch can run on no device, or not with this kernel, if that is so: what a bare
    /// `CUDA_ERROR_INVALID_VALUE` leaves to the reader.
    fn impossible(&self, most_threads: Option<u32>) -> Option<String> {
        let Launch { grid, block, .. } = self;
        let shape = |[x, y, z]: &[u32; 3]| format!("{x}x{y}x{z}");
        if grid.contains(&0) || block.contains(&0) {
            return Some(format!("grid {} block {}: no extent may be 0", shape(grid), shape(block)));
        }
        let threads: u64 = block.iter().map(|&extent| u64::from(extent)).product();
        let most = most_threads.unwrap_or(MOST_THREADS);
        if threads > u64::from(most) {
            let of = format!("block {} has {threads} threads", shape(block));
            return Some(format!("{of}; a block of {} has {most} at most", self.kernel));
        }
        let beyond = |extents: &[u32; 3], limits: [u32; 3]| extents.iter().zip(limits).any(|(&n, limit)| n > limit);
        if beyond(block, MOST_BLOCK) || beyond(grid, MOST_GRID) {
            let limits = format!("{} and {}", shape(&MOST_GRID), shape(&MOST_BLOCK));
            return Some(format!("grid {} block {}: the limits are {limits}", shape(grid), shape(block)));
        }
        None
    }
}

impl StepContext<'_> {
    /// Enqueues a kernel launch on the step's stream.
    ///
    /// # Errors
    /// An unknown kernel or buffer, arguments that do not fit the kernel's parameters, or the
    /// driver's error.
    #[track_caller]
    pub fn launch(&mut self, launch: Launch) -> StepResult<()> {
        let at = self.here(Location::caller());
        self.launch_at(launch, &at)
    }

    /// As [`launch`](Self::launch), on a stream of the step's own, such as one that it has forked from
    /// its stream by an event.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    #[track_caller]
    pub fn launch_on(&mut self, stream: CUstream, launch: Launch) -> StepResult<()> {
        let at = self.here(Location::caller());
        self.enqueue(stream, launch, &at)
    }

    fn launch_at(&mut self, launch: Launch, at: &Place) -> StepResult<()> {
        self.enqueue(self.current().raw(), launch, at)
    }

    fn enqueue(&mut self, stream: CUstream, launch: Launch, at: &Place) -> StepResult<()> {
        let what = format!("launch of {}", launch.kernel);
        let (function, mut arguments) = self.resolve(&launch, at).map_err(|error| error.at(&what, at))?;
        self.beat(what, at);
        if launch.shared_bytes > SHARED_WITHOUT_OPT_IN {
            self.done(function.allow_shared(launch.shared_bytes), at)?;
        }
        let Launch { grid, block, shared_bytes, cooperative, .. } = launch;
        let result = function.launch_on(grid, block, shared_bytes, &mut arguments, stream, cooperative);
        let result = result.map_err(|error| match launch.impossible(function.most_threads()) {
            Some(why) => CudaError { why: Some(why), ..error },
            None => error,
        });
        self.done(result, at)?;
        self.remember_on(stream, Site::new(format!("launch of {}", launch.kernel), at), Some(launch.kernel))
    }

    /// The kernel of a launch, and the bytes of its arguments.
    fn resolve(&self, launch: &Launch, at: &Place) -> StepResult<(Function, Vec<Vec<u8>>)> {
        let (function, sizes) = self.kernels.get(&launch.kernel)?;
        let mut arguments = Vec::with_capacity(launch.arguments.len());
        for argument in &launch.arguments {
            arguments.push(match argument {
                Argument::Buffer(name, offset) => {
                    let memory = self.memory(name)?;
                    if *offset >= memory.len() as u64 {
                        let text = format!("byte {offset} of buffer '{name}', which has {}", memory.len());
                        return Err(StepError::Other(text));
                    }
                    (memory.address() + offset).to_ne_bytes().to_vec()
                }
                Argument::Bytes(bytes) => bytes.clone(),
                Argument::Map(name, tiled) => {
                    let memory = self.memory(name)?;
                    if tiled.bytes().is_none_or(|bytes| bytes > memory.len() as u64) {
                        let text = format!("a tensor map of buffer '{name}' beyond its {} bytes", memory.len());
                        return Err(StepError::Other(text));
                    }
                    let map = tiled.encode(memory.address());
                    map.map_err(|error| StepError::Cuda { error, place: at.clone() })?
                }
            });
        }
        let given: Vec<usize> = arguments.iter().map(Vec::len).collect();
        // A wrong list would make the driver read past an argument.
        if given != sizes {
            return Err(StepError::Arguments { kernel: launch.kernel.clone(), given, expected: sizes.to_vec() });
        }
        Ok((function, arguments))
    }

    fn memory(&self, buffer: &str) -> StepResult<&DeviceMemory> {
        Ok(self.buffers.memory(self.buffers.index(buffer)?))
    }

    /// Fills the whole of a declared buffer with one byte value (`cuMemsetD8Async`).
    ///
    /// # Errors
    /// An unknown buffer, or the driver's error.
    #[track_caller]
    pub fn memset(&mut self, buffer: &str, value: u8) -> StepResult<()> {
        let at = &self.here(Location::caller());
        let what = format!("memset of '{buffer}'");
        let memory = self.memory(buffer).map_err(|error| error.at(&what, at))?;
        self.beat(what.clone(), at);
        let result = memory.fill(value, self.current());
        self.done(result, at)?;
        self.remember(Site::new(what, at), None)
    }

    /// Copies the whole of one declared buffer to another of the same size (`cuMemcpyDtoDAsync`).
    ///
    /// # Errors
    /// An unknown buffer, sizes that differ, or the driver's error.
    #[track_caller]
    pub fn copy(&mut self, destination: &str, source: &str) -> StepResult<()> {
        let at = &self.here(Location::caller());
        let what = format!("copy of '{source}' to '{destination}'");
        let (to, from) = (self.memory(destination), self.memory(source));
        let to = to.map_err(|error| error.at(&what, at))?;
        let from = from.map_err(|error| error.at(&what, at))?;
        if to.len() != from.len() {
            let (from, to) = (from.len(), to.len());
            let text = format!("copy of '{source}' ({from} bytes) to '{destination}' ({to} bytes): the sizes differ");
            return Err(StepError::Other(text).at(what, at));
        }
        self.beat(what.clone(), at);
        let result = to.copy_from(from, self.current());
        self.done(result, at)?;
        self.remember(Site::new(what, at), None)
    }

    /// Sets the place that findings name for what follows, for a step that is written in a language of its
    /// own; `None` names the caller's line again.
    pub fn at(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// Puts what follows on another stream, or on the step's own again. Under capture the stream must have
    /// joined by an event, and the step's own must wait for it at the end.
    pub fn on(&mut self, stream: Option<Arc<Stream>>) {
        self.side = stream;
    }

    /// The other stream that what follows goes to, if it is not the step's own: [`on`](Self::on), or the stream on
    /// which a body of a conditional is captured.
    pub fn side(&self) -> Option<Arc<Stream>> {
        self.side.clone()
    }

    /// Whether this run is captured.
    pub fn is_capturing(&self) -> bool {
        self.capturing
    }

    /// Records an event behind what the stream has so far (`cuEventRecord`).
    ///
    /// # Errors
    /// The driver's.
    #[track_caller]
    pub fn record_event(&mut self, event: &Event) -> StepResult<()> {
        let at = &self.here(Location::caller());
        self.beat("cuEventRecord".to_owned(), at);
        let result = event.record(self.current());
        self.done(result, at)?;
        self.remember(Site::new("cuEventRecord", at), None)
    }

    /// Makes what the stream gets from now on wait for an event (`cuStreamWaitEvent`).
    ///
    /// # Errors
    /// The driver's.
    #[track_caller]
    pub fn wait_event(&mut self, event: &Event) -> StepResult<()> {
        let at = &self.here(Location::caller());
        self.beat("cuStreamWaitEvent".to_owned(), at);
        let result = event.wait(self.current());
        self.done(result, at)?;
        self.remember(Site::new("cuStreamWaitEvent", at), None)
    }

    /// Runs `body` once if the 32-bit number in `flag` is not 0, or as long as it is not: [`choose`](Self::choose)
    /// with one body.
    ///
    /// # Errors
    /// As for [`choose`](Self::choose).
    #[track_caller]
    pub fn conditional(
        &mut self,
        kind: Condition,
        flag: &str,
        inner: &Arc<Stream>,
        body: &mut dyn FnMut(&mut Self) -> StepResult<()>,
    ) -> StepResult<()> {
        self.choose(kind, flag, inner, 1, &mut |cx, _| body(cx))
    }

    /// Runs one of `bodies` bodies by the 32-bit number in `flag`, as `kind` says; `body` enqueues the one of a
    /// number from 0. Captured, this is a conditional node, whose value a kernel sets from `flag`: the step must
    /// have the module [`conditional_module`]. Eagerly the host reads the flag and waits for it, as an engine
    /// without graphs does. A `while` body has to set the flag anew. `inner` is a stream that the step uses for
    /// nothing else: the bodies are captured on it, one after the other.
    ///
    /// # Errors
    /// The driver's, a body's, a flag that is no buffer of 4 bytes, or more bodies than the kind has: an `if` has
    /// one or two, a `while` one, a `switch` one or more.
    #[track_caller]
    pub fn choose(
        &mut self,
        kind: Condition,
        flag: &str,
        inner: &Arc<Stream>,
        bodies: u32,
        body: &mut Bodies<'_, Self>,
    ) -> StepResult<()> {
        let at = self.here(Location::caller());
        let what = format!("conditional on '{flag}'");
        let memory = self.memory(flag).map_err(|error| error.at(&what, &at))?;
        let most = match kind {
            Condition::If => 2,
            Condition::While => 1,
            Condition::Switch => u32::MAX,
        };
        let wrong = if memory.len() != 4 {
            Some(format!("the condition '{flag}' has {} bytes; it must be one 32-bit number", memory.len()))
        } else if bodies == 0 || bodies > most {
            Some(format!("the condition '{flag}' has {bodies} bodies; a node of its kind has 1 to {most}"))
        } else {
            None
        };
        if let Some(text) = wrong {
            return Err(StepError::Other(text).at(&what, &at));
        }
        let before = self.enqueued.len();
        let mut nodes = Vec::new();
        let mut within =
            Conditional { ran: vec![0; bodies as usize], repeats: kind == Condition::While, ..Conditional::default() };
        let done = match (self.held, self.capturing) {
            // What the flag will be is not known, and the probe asks only whether the host waits.
            (true, _) => (0..bodies).try_for_each(|number| body(self, number)),
            (false, false) => self.branch_eagerly(kind, flag, &mut within.ran, body, &at),
            (false, true) => self.branch(kind, flag, inner, body, &at, (&mut nodes, &mut within)),
        };
        // The work of a body is no node of the graph, and eagerly it depends on the flag: to the checks, a
        // conditional is one piece of work.
        let inner = self.enqueued.split_off(before);
        done?;
        within.inner = inner.into_iter().filter(|work| work.conditional.is_some()).collect();
        let conditional = (!self.held).then_some(within);
        self.enqueued.push(Enqueued { site: Site::new(what, &at), kernel: None, nodes, conditional });
        Ok(())
    }

    fn branch_eagerly(
        &mut self,
        kind: Condition,
        flag: &str,
        ran: &mut [u32],
        body: &mut Bodies<'_, Self>,
        at: &Place,
    ) -> StepResult<()> {
        // Far more than a step does; a body that never clears its flag would not end.
        for _ in 0..MOST_TURNS {
            let value = self.flag(flag, at)?;
            let chosen = match kind {
                Condition::Switch => value,
                Condition::If | Condition::While => u32::from(value == 0),
            };
            let Some(turns) = ran.get_mut(chosen as usize) else { return Ok(()) };
            *turns += 1;
            body(self, chosen)?;
            if kind != Condition::While {
                return Ok(());
            }
        }
        let text = format!("the condition '{flag}' is still not 0 after {MOST_TURNS} turns of its body");
        Err(StepError::Other(text).at(format!("conditional on '{flag}'"), at))
    }

    /// The work of a conditional, and the nodes of the graph itself that it made.
    fn branch(
        &mut self,
        kind: Condition,
        flag: &str,
        inner: &Arc<Stream>,
        body: &mut Bodies<'_, Self>,
        at: &Place,
        (nodes, within): (&mut Vec<GraphNode>, &mut Conditional),
    ) -> StepResult<()> {
        let bodies = within.ran.len() as u32;
        let failed = |error| StepError::Cuda { error, place: at.clone() };
        let handle = ConditionalHandle::new(self.current()).map_err(failed)?;
        let set = Launch::new(SET_CONDITIONAL).value(handle.argument()).buffer(flag);
        self.launch_at(set.clone(), at)?;
        nodes.extend(self.enqueued.last().map(|set| set.nodes.clone()).unwrap_or_default());
        let (node, graphs) = handle.node(kind, bodies, self.current()).map_err(failed)?;
        nodes.push(node);
        for (number, graph) in (0..).zip(graphs) {
            graph.begin(inner).map_err(failed)?;
            let first = self.enqueued.len();
            let outer = self.side.replace(Arc::clone(inner));
            let mut done = body(self, number);
            if done.is_ok() && kind == Condition::While {
                self.side = Some(Arc::clone(inner));
                done = self.launch_at(set.clone(), at);
            }
            self.side = outer;
            let ended = end_body(inner);
            within.bodies.push((graph, self.enqueued.split_off(first)));
            done?;
            ended.map_err(failed)?;
        }
        Ok(())
    }

    /// The 32-bit number in a buffer, waited for.
    fn flag(&self, buffer: &str, at: &Place) -> StepResult<u32> {
        let memory = self.memory(buffer)?;
        let read = || {
            let mut host = PinnedMemory::new(4)?;
            memory.download(&mut host, self.current())?;
            self.current().synchronize()?;
            Ok(u32::from_ne_bytes(host.bytes().try_into().unwrap_or_default()))
        };
        read().map_err(|error| StepError::Cuda { error, place: at.clone() })
    }

    fn current(&self) -> &Stream {
        self.side.as_deref().unwrap_or(self.stream)
    }

    /// The place that findings name for a call from `caller`.
    fn here(&self, caller: &Location<'_>) -> Place {
        self.place.clone().unwrap_or_else(|| caller.into())
    }

    /// The stream to enqueue on, for calls that this type does not wrap.
    pub fn stream(&self) -> CUstream {
        self.current().raw()
    }

    /// Largest dynamic shared memory that the device grants a block that asks for it, in bytes.
    pub fn most_shared(&self) -> u32 {
        self.most_shared
    }

    /// Whether the stream is held while the step runs, so that nothing may wait for it.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Whether the step is asked to [`note`](Self::note) what its lines leave.
    pub fn is_noting(&self) -> bool {
        self.noted.is_some()
    }

    /// Says of a line of the step, once it is done, what it left: a digest of values that lie in no declared buffer.
    /// Of two runs that differ, the first line that left another is where. For a step in a language of its own.
    pub fn note(&mut self, site: Site, digest: u64) {
        if let Some(noted) = &mut self.noted {
            noted.push((site, digest));
        }
    }

    /// What is told where the step is, for a step in a language whose lines are not those of the calls here.
    pub fn heartbeat(&self) -> &Arc<Heartbeat> {
        self.heartbeat
    }

    /// Remembers work that something else than this type put on a stream at `site`, with the nodes that it
    /// made of the graph.
    pub fn note_work(&mut self, site: Site, nodes: Vec<GraphNode>) {
        self.enqueued.push(Enqueued { site, kernel: None, nodes, conditional: None });
    }

    /// The device address of a declared buffer.
    ///
    /// # Errors
    /// An unknown buffer.
    #[track_caller]
    pub fn address(&self, buffer: &str) -> StepResult<u64> {
        let at = &self.here(Location::caller());
        let memory = self.memory(buffer).map_err(|error| error.at(format!("address of '{buffer}'"), at))?;
        Ok(memory.address())
    }

    /// Checks the result of a driver call that the step made itself, and remembers the line.
    ///
    /// # Errors
    /// Anything but `CUDA_SUCCESS`.
    #[track_caller]
    pub fn check(&mut self, function: &'static str, result: CUresult) -> StepResult<()> {
        let at = &self.here(Location::caller());
        self.done(cuda::check(function, result), at)?;
        self.remember(Site::new(function, at), None)
    }

    /// As [`check`](Self::check), of a call that enqueued work on a stream of the step's own, such as one
    /// that it has forked from its stream by an event.
    ///
    /// # Errors
    /// Anything but `CUDA_SUCCESS`.
    #[track_caller]
    pub fn check_on(&mut self, stream: CUstream, function: &'static str, result: CUresult) -> StepResult<()> {
        let at = &self.here(Location::caller());
        self.done(cuda::check(function, result), at)?;
        self.remember_on(stream, Site::new(function, at), None)
    }

    fn beat(&self, what: String, at: &Place) {
        self.heartbeat.at(Site::new(what, at));
    }

    fn done(&self, result: Result<(), CudaError>, at: &Place) -> StepResult<()> {
        result.map_err(|error| StepError::Cuda { error, place: at.clone() })
    }

    fn remember(&mut self, site: Site, kernel: Option<String>) -> StepResult<()> {
        self.remember_on(self.current().raw(), site, kernel)
    }

    fn remember_on(&mut self, stream: CUstream, site: Site, kernel: Option<String>) -> StepResult<()> {
        // After a call that invalidated the capture there is no tail to ask for, and the step's
        // own next call reports it.
        let nodes = if self.capturing { cuda::capture_tail(stream).unwrap_or_default() } else { Vec::new() };
        let place = Place { file: site.file.as_str().into(), line: site.line };
        self.enqueued.push(Enqueued { site, kernel, nodes, conditional: None });
        match &mut self.after {
            Some(after) => after().map_err(|error| StepError::Cuda { error, place }),
            None => Ok(()),
        }
    }
}

/// Which run the host prepares for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The eager reference.
    Eager,
    /// A replay of the captured graph.
    Replay,
}

/// Handed to [`Step::prepare`](crate::step::Step::prepare): host work between steps, outside
/// the captured region, as an engine does it.
pub struct HostContext<'a> {
    pub(crate) phase: Phase,
    pub(crate) stream: &'a Stream,
    pub(crate) buffers: &'a mut BufferSet,
    /// The line that last called one of these methods.
    pub(crate) last: Cell<Option<&'static Location<'static>>>,
    /// Where the work stands, if not in the caller's lines.
    pub(crate) place: Option<Place>,
}

impl<'a> HostContext<'a> {
    pub(crate) fn new(phase: Phase, stream: &'a Stream, buffers: &'a mut BufferSet) -> Self {
        HostContext { phase, stream, buffers, last: Cell::new(None), place: None }
    }

    /// Which run this is for.
    #[track_caller]
    pub fn phase(&self) -> Phase {
        self.last.set(Some(Location::caller()));
        self.phase
    }

    /// The step's stream, for calls that this type does not wrap.
    pub fn stream(&self) -> CUstream {
        self.stream.raw()
    }

    /// The line of the host's work, for a step that is written in a language of its own.
    pub fn at(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// The device address of each declared buffer, among those of this run, in the order of their
    /// declaration.
    pub fn addresses(&self) -> Vec<u64> {
        (0..self.buffers.specs().len()).map(|index| self.buffers.memory(index).address()).collect()
    }

    /// The device address of a declared buffer, among those of this run: a cache that is keyed by
    /// addresses can be filled here, before the step is recorded.
    ///
    /// # Errors
    /// An unknown buffer.
    #[track_caller]
    pub fn address(&self, buffer: &str) -> StepResult<u64> {
        let at = Location::caller();
        self.last.set(Some(at));
        let index = self.buffers.index(buffer).map_err(|error| error.at(format!("address of '{buffer}'"), at))?;
        Ok(self.buffers.memory(index).address())
    }

    /// Checks the result of a driver call that the step made itself.
    ///
    /// # Errors
    /// Anything but `CUDA_SUCCESS`.
    #[track_caller]
    pub fn check(&mut self, function: &'static str, result: CUresult) -> StepResult<()> {
        let location = Location::caller();
        self.last.set(Some(location));
        cuda::check(function, result).map_err(|error| StepError::Cuda { error, place: location.into() })
    }

    /// Gives a buffer a fresh allocation of the same size, as an engine does when a workspace
    /// grows. Its contents are lost.
    ///
    /// # Errors
    /// An unknown buffer, or the driver's error.
    #[track_caller]
    pub fn reallocate(&mut self, buffer: &str) -> StepResult<()> {
        let at = Location::caller();
        self.last.set(Some(at));
        let index = self.buffers.index(buffer).map_err(|error| error.at(format!("reallocation of '{buffer}'"), at))?;
        self.buffers.reallocate(index, self.stream, at).map_err(|error| StepError::Cuda { error, place: at.into() })
    }

    /// [`reallocate`](Self::reallocate) for a step that is written in a language of its own: findings name
    /// `place`.
    ///
    /// # Errors
    /// As for `reallocate`.
    pub fn reallocate_at(&mut self, buffer: &str, place: Place) -> StepResult<()> {
        let index =
            self.buffers.index(buffer).map_err(|error| error.at(format!("reallocation of '{buffer}'"), &place))?;
        let done = self.buffers.reallocate(index, self.stream, &place);
        done.map_err(|error| StepError::Cuda { error, place })
    }

    /// Overwrites the whole of a buffer from the host and waits for it.
    ///
    /// # Errors
    /// An unknown buffer, another length than the buffer's, or the driver's error.
    #[track_caller]
    pub fn write(&mut self, buffer: &str, bytes: &[u8]) -> StepResult<()> {
        let at = Location::caller();
        self.last.set(Some(at));
        let what = format!("write of '{buffer}'");
        let memory = self.buffers.memory(self.buffers.index(buffer).map_err(|error| error.at(&what, at))?);
        if memory.len() != bytes.len() {
            let text = format!("write of {} bytes to '{buffer}', which has {}", bytes.len(), memory.len());
            return Err(StepError::Other(text).at(what, at));
        }
        let copy = || {
            let mut staging = PinnedMemory::new(bytes.len())?;
            staging.bytes_mut().copy_from_slice(bytes);
            memory.upload(&staging, self.stream)?;
            self.stream.synchronize()
        };
        copy().map_err(|error| StepError::Cuda { error, place: at.into() })
    }
}
