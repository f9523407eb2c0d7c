//! What a step sees while it records.

mod conditional;
mod host;
mod launch;

use std::panic::Location;
use std::sync::Arc;

use cudarc::driver::sys::{CUresult, CUstream};

use crate::buffers::BufferSet;
use crate::cuda::{self, CudaError, DeviceMemory, Event, GraphNode, Stream};
use crate::error::{StepError, StepResult};
use crate::finding::{Place, Site};
use crate::kernels::Kernels;
use crate::watchdog::Heartbeat;

pub use conditional::{Bodies, conditional_module};
pub(crate) use conditional::{Conditional, SET_CONDITIONAL};
pub use host::{HostContext, Phase};
pub use launch::Launch;

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

impl StepContext<'_> {
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
