//! The device allocations of a step, and the ledger that names every address.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cuda::{CudaError, DeviceMemory, Guard, MemoryPool, Session, Stream, slack};
use crate::error::{StepError, StepResult};
use crate::finding::{Place, Site};
use crate::step::{BufferSpec, Role};

/// One set of a step's buffers. The harness keeps two: one for eager runs, one for the graph.
#[derive(Debug)]
pub struct BufferSet {
    specs: Arc<[BufferSpec]>,
    by_name: HashMap<String, usize>,
    // Declared before `pool`: memory must go back before its pool does.
    memory: Vec<DeviceMemory>,
    ledger: Vec<LedgerEntry>,
    guard: Guard,
    pool: MemoryPool,
}

/// Bytes before and behind each buffer where the driver does not check bounds itself.
const GUARD_BYTES: usize = 512;

/// One allocation that a buffer had, live or not.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    /// Index of the buffer in the step's declaration.
    pub buffer: usize,
    /// First device address.
    pub base: u64,
    /// Length in bytes.
    pub len: u64,
    /// Where the step gave it up, if it did.
    pub released: Option<Site>,
}

/// What an address means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index of the buffer in the step's declaration.
    pub buffer: usize,
    /// Bytes from its start.
    pub offset: u64,
    /// Whether the address lies in the buffer's present allocation.
    pub live: bool,
}

impl BufferSet {
    /// Allocates every buffer of `specs`, which must have passed [`crate::plan::check_specs`]. Where
    /// the driver does not check bounds itself, each gets guards that hold `guard`.
    ///
    /// # Errors
    /// The driver's, with the index of the buffer that could not be had.
    pub fn allocate(
        session: &Session,
        specs: &Arc<[BufferSpec]>,
        guard: u8,
        stream: &Stream,
    ) -> Result<Self, (Option<usize>, CudaError)> {
        let pool = MemoryPool::new(session.device()).map_err(|error| (None, error))?;
        let mut set = BufferSet {
            specs: Arc::clone(specs),
            by_name: specs.iter().enumerate().map(|(i, spec)| (spec.name.to_string(), i)).collect(),
            memory: Vec::with_capacity(specs.len()),
            ledger: Vec::with_capacity(specs.len()),
            guard: if session.exact_bounds() { Guard::NONE } else { Guard { bytes: GUARD_BYTES, value: guard } },
            pool,
        };
        for (index, spec) in specs.iter().enumerate() {
            let len = spec.bytes().unwrap_or(usize::MAX);
            let memory = set.pool.allocate_aligned(len, set.guard, spec.align, stream);
            let memory = memory.map_err(|error| (Some(index), error))?;
            set.note_allocation(index, &memory);
            set.memory.push(memory);
        }
        Ok(set)
    }

    fn note_allocation(&mut self, buffer: usize, memory: &DeviceMemory) {
        let (base, len) = (memory.address(), memory.len() as u64);
        self.ledger.push(LedgerEntry { buffer, base, len, released: None });
    }

    /// The declarations, in order.
    pub fn specs(&self) -> &Arc<[BufferSpec]> {
        &self.specs
    }

    /// Index of the buffer `name`.
    ///
    /// # Errors
    /// No such buffer; the error lists those there are.
    pub fn index(&self, name: &str) -> StepResult<usize> {
        self.by_name.get(name).copied().ok_or_else(|| StepError::UnknownBuffer {
            name: name.to_owned(),
            known: self.specs.iter().map(|spec| spec.name.to_string()).collect(),
        })
    }

    /// The present allocation of buffer `index`.
    pub fn memory(&self, index: usize) -> &DeviceMemory {
        &self.memory[index]
    }

    /// Indices of the buffers with a role that `keep` selects.
    pub fn with_role(&self, keep: impl Fn(Role) -> bool) -> Vec<usize> {
        (0..self.specs.len()).filter(|&i| keep(self.specs[i].role)).collect()
    }

    /// Most bytes in use at once, as the driver counted them, less the guards and what alignments need.
    ///
    /// # Errors
    /// The driver's.
    pub fn used_high(&self) -> Result<u64, CudaError> {
        let guards = 2 * (self.guard.bytes * self.memory.len()) as u64;
        let slack: usize = self.specs.iter().map(|spec| slack(spec.align)).sum();
        Ok(self.pool.used_high()?.saturating_sub(guards + slack as u64))
    }

    /// For each buffer the address of the guard before it, and the buffer's bytes: the second guard
    /// follows it. Nothing where the driver checks bounds itself.
    pub fn guarded(&self) -> Vec<(u64, u64)> {
        let memory = self.memory.iter().filter(|_| self.guard.bytes > 0);
        memory.map(|memory| (memory.guard_address(), memory.len() as u64)).collect()
    }

    /// The guards around each buffer.
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// The offset from a buffer's start of byte `at` in its two guards, taken as one.
    pub fn guard_offset(&self, buffer: usize, at: u64) -> i64 {
        let offset = at as i64 - self.guard.bytes as i64;
        if offset < 0 { offset } else { offset + self.memory[buffer].len() as i64 }
    }

    /// Gives buffer `index` a fresh allocation of the same size; its contents are lost.
    ///
    /// # Errors
    /// The driver's. The buffer keeps its old allocation then.
    pub fn reallocate(&mut self, index: usize, stream: &Stream, at: impl Into<Place>) -> Result<(), CudaError> {
        let (len, align) = (self.memory[index].len(), self.specs[index].align);
        let fresh = self.pool.allocate_aligned(len, self.guard, align, stream)?;
        stream.synchronize()?;
        let name = &self.specs[index].name;
        let site = Site::new(format!("buffer '{name}' reallocated"), at);
        let old = self.memory[index].address();
        for entry in &mut self.ledger {
            if entry.base == old && entry.released.is_none() {
                entry.released = Some(site.clone());
            }
        }
        self.note_allocation(index, &fresh);
        self.memory[index] = fresh;
        Ok(())
    }

    /// What `address` means: in a present allocation if there is one, else in the youngest that
    /// was given up.
    pub fn locate(&self, address: u64) -> Option<Target> {
        let inside = |e: &&LedgerEntry| address >= e.base && address - e.base < e.len;
        let live = self.ledger.iter().filter(|e| e.released.is_none()).find(inside);
        let entry = live.or_else(|| self.ledger.iter().rev().find(inside))?;
        Some(Target { buffer: entry.buffer, offset: address - entry.base, live: entry.released.is_none() })
    }

    /// Where the allocation that holds `address` was given up, if it was.
    pub fn released_at(&self, address: u64) -> Option<&Site> {
        self.ledger.iter().rev().find(|e| address >= e.base && address - e.base < e.len)?.released.as_ref()
    }
}
