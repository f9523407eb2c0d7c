//! The ledger: what memory there is, who made it, and who gave it back.

use std::collections::{BTreeMap, HashMap};

use graphproof_door::Call;

use super::place::Caller;

/// What kind of memory.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `cuMemAlloc` and its kin.
    Device,
    /// `cuMemAllocAsync` outside a capture: of a pool.
    Pool,
    /// Memory that a graph allocates.
    Graph,
    /// Mapped by `cuMemMap`.
    Mapped,
    /// A variable of a module.
    Global,
    /// Pinned host memory.
    Pinned,
    /// Host memory that was registered.
    Registered,
}

impl Kind {
    /// The kind in words.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Device => "device memory",
            Kind::Pool => "memory of a pool",
            Kind::Graph => "memory of a graph",
            Kind::Mapped => "mapped device memory",
            Kind::Global => "a variable of a module",
            Kind::Pinned => "pinned host memory",
            Kind::Registered => "registered host memory",
        }
    }

    /// Whether it is the host's.
    pub fn is_host(self) -> bool {
        matches!(self, Kind::Pinned | Kind::Registered)
    }
}

/// A stretch of memory from its making to its end.
#[derive(Debug, Clone)]
pub struct Allocation {
    pub start: u64,
    pub bytes: u64,
    pub kind: Kind,
    /// Of a pool: which; 0 for the device's default one.
    pub pool: u64,
    pub made: Made,
    /// Who gave it back, once it is.
    pub freed: Option<Made>,
}

impl Allocation {
    /// `device memory 0x7f0000000000 (4096 bytes)`.
    pub fn told(&self) -> String {
        format!("{} {:#x} ({} bytes)", self.kind.words(), self.start, self.bytes)
    }
}

/// A call that made or ended something.
#[derive(Debug, Clone)]
pub struct Made {
    pub function: String,
    pub caller: Caller,
    pub at: u64,
}

/// Names an allocation for ever, also when its address is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllocationId(usize);

/// Freed allocations that are remembered with their callers.
const MOST_FREED: usize = 1 << 20;

/// All memory of a process.
#[derive(Debug, Default)]
pub struct Ledger {
    all: Vec<Allocation>,
    live: BTreeMap<u64, AllocationId>,
    /// The last allocation that began at an address and ended.
    freed: BTreeMap<u64, AllocationId>,
    /// By module: its variables.
    globals: HashMap<u64, Vec<u64>>,
    /// Rises with every end of an allocation.
    pub generation: u64,
    now: u64,
    /// Most bytes of device memory at a time.
    pub high_water: u64,
}

impl Ledger {
    /// That allocation.
    pub fn get(&self, id: AllocationId) -> &Allocation {
        &self.all[id.0]
    }

    /// The live allocation that holds an address.
    pub fn find(&self, address: u64) -> Option<AllocationId> {
        let (_, &id) = self.live.range(..=address).next_back()?;
        let found = self.get(id);
        (address - found.start < found.bytes.max(1)).then_some(id)
    }

    /// The last allocation that held an address and is no more.
    pub fn find_freed(&self, address: u64) -> Option<AllocationId> {
        let (_, &id) = self.freed.range(..=address).next_back()?;
        let found = self.get(id);
        (address - found.start < found.bytes.max(1)).then_some(id)
    }

    /// Live allocations.
    pub fn live(&self) -> impl Iterator<Item = &Allocation> {
        self.live.values().map(|&id| self.get(id))
    }

    fn add(&mut self, allocation: Allocation) {
        if allocation.start == 0 {
            return;
        }
        // What begins where something else is was not seen to end.
        if let Some(stale) = self.live.remove(&allocation.start) {
            self.freed.insert(allocation.start, stale);
        }
        if !allocation.kind.is_host() && allocation.kind != Kind::Global {
            self.now += allocation.bytes;
            self.high_water = self.high_water.max(self.now);
        }
        let id = AllocationId(self.all.len());
        self.live.insert(allocation.start, id);
        self.all.push(allocation);
    }

    fn end(&mut self, start: u64, by: Made) {
        let Some(id) = self.live.remove(&start) else { return };
        self.generation += 1;
        let allocation = &mut self.all[id.0];
        if !allocation.kind.is_host() && allocation.kind != Kind::Global {
            self.now = self.now.saturating_sub(allocation.bytes);
        }
        allocation.freed = Some(by);
        self.freed.insert(start, id);
        if self.freed.len() > MOST_FREED {
            self.freed.pop_first();
        }
    }

    /// Takes a call that succeeded. `captured`: its stream captures, so that the memory is the graph's.
    pub fn apply(&mut self, call: &Call, captured: bool, made: impl Fn() -> Made) {
        if call.result != Some(0) {
            return;
        }
        let word = |name: &str| call.word(name);
        let new = |start: Option<u64>, bytes: Option<u64>, kind: Kind, pool: u64| {
            Some(Allocation { start: start?, bytes: bytes?, kind, pool, made: made(), freed: None })
        };
        let async_kind = if captured { Kind::Graph } else { Kind::Pool };
        let added = match call.base() {
            "cuMemAlloc" | "cuMemAllocManaged" => new(call.written("dptr"), word("bytesize"), Kind::Device, 0),
            "cuMemAllocPitch" => {
                let bytes =
                    call.written("pPitch").zip(word("Height")).and_then(|(pitch, rows)| pitch.checked_mul(rows));
                new(call.written("dptr"), bytes, Kind::Device, 0)
            }
            "cuMemAllocAsync" => new(call.written("dptr"), word("bytesize"), async_kind, 0),
            "cuMemAllocFromPoolAsync" => {
                new(call.written("dptr"), word("bytesize"), async_kind, word("pool").unwrap_or_default())
            }
            "cuMemAllocHost" => new(call.written("pp"), word("bytesize"), Kind::Pinned, 0),
            "cuMemHostAlloc" => new(call.written("pp"), word("bytesize"), Kind::Pinned, 0),
            "cuMemHostRegister" => new(word("p"), word("bytesize"), Kind::Registered, 0),
            "cuMemMap" => new(word("ptr"), word("size"), Kind::Mapped, 0),
            "cuModuleGetGlobal" | "cuLibraryGetGlobal" => {
                let start = call.written("dptr");
                if let Some((module, start)) = word("hmod").or_else(|| word("library")).zip(start) {
                    self.globals.entry(module).or_default().push(start);
                }
                let known = start.is_some_and(|start| self.live.contains_key(&start));
                let bytes = call.written("bytes").or(Some(1));
                if known { None } else { new(start, bytes, Kind::Global, 0) }
            }
            _ => None,
        };
        if let Some(allocation) = added {
            return self.add(allocation);
        }
        match call.base() {
            "cuMemFree" => self.end_of(word("dptr"), &made),
            "cuMemFreeAsync" if !captured => self.end_of(word("dptr"), &made),
            "cuMemFreeHost" | "cuMemHostUnregister" => self.end_of(word("p"), &made),
            "cuMemUnmap" => {
                let (from, bytes) = (word("ptr").unwrap_or_default(), word("size").unwrap_or_default());
                let inside: Vec<u64> =
                    self.live.range(from..from.saturating_add(bytes)).map(|(start, _)| *start).collect();
                inside.into_iter().for_each(|start| self.end(start, made()));
            }
            "cuModuleUnload" | "cuLibraryUnload" => {
                let module = word("hmod").or_else(|| word("library")).unwrap_or_default();
                let gone = self.globals.remove(&module).unwrap_or_default();
                gone.into_iter().for_each(|start| self.end(start, made()));
            }
            _ => {}
        }
    }

    fn end_of(&mut self, start: Option<u64>, made: &impl Fn() -> Made) {
        if let Some(start) = start {
            self.end(start, made());
        }
    }
}
