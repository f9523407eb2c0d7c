//! What a step sees while the host prepares it.

use std::cell::Cell;
use std::panic::Location;

use cudarc::driver::sys::{CUresult, CUstream};

use crate::buffers::BufferSet;
use crate::cuda::{self, PinnedMemory, Stream};
use crate::error::{StepError, StepResult};
use crate::finding::Place;

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
