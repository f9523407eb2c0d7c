//! A loaded module: its entries, decoded one by one when they are asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::code::Code;
use super::decode;
use super::isa::Isa;
use crate::ptx::{self, Module, PtxError, Relocation, Symbol};

/// A PTX module, parsed: what `cuModuleLoadData` makes of PTX text.
#[derive(Debug)]
pub struct Program {
    /// Kernels (`.entry`) in source order.
    pub entries: Vec<Arc<Entry>>,
    /// Module-scope `.global` and `.const` variables; the device allocates and fills them.
    pub globals: Vec<GlobalVariable>,
    /// `.version` as (major, minor).
    pub version: (u32, u32),
    /// `.target`, such as `sm_80`.
    pub target: String,
    /// Its entries stand for machine code that is not executed: whoever launches them does it.
    pub opaque: bool,
}

impl Program {
    /// Parses PTX text, for the best instruction set of this machine. An entry is decoded when it
    /// is first asked for, and one that is not executed refuses itself alone.
    ///
    /// # Errors
    /// The first thing in the text that is not PTX or does not fit together.
    pub fn load(text: &str) -> Result<Self, PtxError> {
        Self::load_for(text, Isa::detect())
    }

    /// As [`Program::load`], for a given instruction set. One that this machine lacks is replaced by
    /// its best.
    ///
    /// # Errors
    /// As [`Program::load`].
    pub fn load_for(text: &str, isa: Isa) -> Result<Self, PtxError> {
        Ok(decode::program(Arc::new(ptx::parse(text)?), isa.min(Isa::detect()), Style::Fast))
    }

    /// As [`Program::from_ptx`], each instruction for itself and each lane for itself: no value is taken for one
    /// that all lanes share, and none of the forms that are there for their speed runs. Slow; tests compare the
    /// others with it.
    ///
    /// # Errors
    /// As [`Program::from_ptx`].
    pub fn simple_from_ptx(text: &str) -> Result<Self, PtxError> {
        decode::program(Arc::new(ptx::parse(text)?), Isa::Baseline, Style::Simple).executed()
    }

    /// As [`Program::load`], with every entry decoded: nothing is left to be found at launch.
    ///
    /// # Errors
    /// As [`Program::load`], and the reason of the first entry that is not executed.
    pub fn from_ptx(text: &str) -> Result<Self, PtxError> {
        Self::from_ptx_for(text, Isa::detect())
    }

    /// As [`Program::from_ptx`], for a given instruction set.
    ///
    /// # Errors
    /// As [`Program::from_ptx`].
    pub fn from_ptx_for(text: &str, isa: Isa) -> Result<Self, PtxError> {
        Self::load_for(text, isa)?.executed()
    }

    /// The program, or why the first entry that is not executed is not.
    fn executed(self) -> Result<Self, PtxError> {
        match self.refusals().into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(self),
        }
    }

    /// Bytes of constant memory that the text declares: every kernel of it has them.
    pub fn constant_bytes(&self) -> u64 {
        self.globals.iter().filter(|variable| variable.constant).map(|variable| variable.size).sum()
    }

    /// The entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The kernel called `name`, if it is executed.
    pub fn kernel(&self, name: &str) -> Option<&Arc<Kernel>> {
        self.entry(name)?.kernel().ok()
    }

    /// Bytes of PTX text.
    pub fn text_bytes(&self) -> usize {
        self.entries.first().map_or(0, |entry| entry.module.source.len())
    }

    /// Entries that have been decoded or refused so far.
    pub fn decoded(&self) -> usize {
        self.entries.iter().filter(|entry| entry.decoded.get().is_some()).count()
    }

    /// Decodes all entries, several at once where there are processors for it; gives the position
    /// of each that is not executed, with the reason.
    pub fn refusals(&self) -> Vec<(usize, PtxError)> {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(entry) = self.entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                // The result stays in the entry.
                let _ = entry.kernel();
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(self.entries.len());
        if threads > 1 && self.text_bytes() > PARALLEL_BYTES {
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    // Without the thread the others do its share.
                    let _ = std::thread::Builder::new().spawn_scoped(scope, work);
                }
                work();
            });
        } else {
            work();
        }
        let refused = self.entries.iter().map(|entry| entry.kernel().err().cloned()).enumerate();
        refused.filter_map(|(n, error)| Some((n, error?))).collect()
    }
}

/// How code is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// With all that makes it fast.
    Fast,
    /// As the text says it.
    Simple,
}

/// Less text than this is decoded sooner than a thread starts.
const PARALLEL_BYTES: usize = 1 << 16;

/// What a reference is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `.texref`.
    Texture,
    /// `.surfref`.
    Surface,
}

/// A module-scope variable.
#[derive(Debug, Clone, Default)]
pub struct GlobalVariable {
    /// Symbol name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Required alignment in bytes.
    pub align: u64,
    /// `.attribute(.managed)`: it lies in memory that the host reaches at the same address.
    pub managed: bool,
    /// `.texref`, `.surfref`: kernels name by its address what is bound to it.
    pub reference: Option<ReferenceKind>,
    /// It lies in constant memory (`.const`).
    pub constant: bool,
    /// Initial bytes; shorter than `size` means that the rest is zero.
    pub init: Vec<u8>,
    /// Addresses to store over the initial bytes.
    pub addresses: Vec<AddressValue>,
}

/// An address that loading stores into a variable.
#[derive(Debug, Clone, Copy)]
pub struct AddressValue {
    /// Byte offset in the variable.
    pub offset: u64,
    /// Bytes to store, from 1 to 8.
    pub size: u8,
    /// Bits by which the address is shifted right first.
    pub shift: u8,
    /// What it is an address of.
    pub target: Target,
}

/// What an address in an initial value points to.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A variable, by its position in [`Program::globals`], and a byte offset.
    Global(u32, i64),
    /// A place that needs no allocation: a function, or shared memory.
    Fixed(u64),
}

impl AddressValue {
    /// Stores the address, given those of the program's globals.
    pub fn store(&self, bytes: &mut [u8], globals: &[u64]) {
        let address = match self.target {
            Target::Global(n, addend) => globals.get(n as usize).copied().unwrap_or(0).wrapping_add_signed(addend),
            Target::Fixed(address) => address,
        };
        let value = (address >> self.shift).to_le_bytes();
        let at = self.offset as usize;
        if let Some(place) = bytes.get_mut(at..at + usize::from(self.size)) {
            place.copy_from_slice(&value[..usize::from(self.size)]);
        }
    }

    /// What the parser found, once the place of each variable is known.
    pub(super) fn new(relocation: &Relocation, places: &[Option<u32>]) -> Option<Self> {
        let Relocation { offset, size, shift, symbol, addend, .. } = *relocation;
        let target = match symbol? {
            Symbol::Variable(n) => Target::Global(places.get(n as usize).copied()??, addend),
            Symbol::Function(n) => Target::Fixed(function_address(n)),
        };
        Some(Self { offset, size, shift, target })
    }
}

/// The address of a function, by its position in [`Module::functions`]. No memory is there.
pub(crate) fn function_address(function: u32) -> u64 {
    0xfb << 56 | (u64::from(function) + 1) << 4
}

/// One kernel parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name in the PTX.
    pub name: String,
    /// Byte offset in the parameter buffer.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

/// A kernel as the text declares it, decoded when it is first asked for.
pub struct Entry {
    /// Entry name.
    pub name: String,
    /// Parameters in order.
    pub parameters: Vec<Parameter>,
    pub(super) module: Arc<Module>,
    /// Position in the module's functions.
    pub(super) function: usize,
    /// Position in `Program::globals`, by position in the module's variables.
    pub(super) places: Arc<[Option<u32>]>,
    /// Position of the heap in `Program::globals`, if the module has one.
    pub(super) heap: Option<u32>,
    pub(super) isa: Isa,
    pub(super) style: Style,
    pub(super) decoded: OnceLock<Result<Arc<Kernel>, Box<PtxError>>>,
}

impl Entry {
    /// `.version` of its module as (major, minor).
    pub fn version(&self) -> (u32, u32) {
        self.module.version
    }

    /// Whether the kernel, or a function of its module that it may call, waits for the grids that it depends on
    /// (`griddepcontrol.wait`).
    pub fn waits_for_grids(&self) -> bool {
        let functions = self.module.functions.iter().enumerate();
        let mut bodies = functions.filter(|(at, function)| *at == self.function || !function.entry);
        bodies.any(|(_, function)| {
            let mut instructions = function.body.iter().map(|statement| &statement.instruction);
            instructions.any(|i| i.opcode == "griddepcontrol" && i.modifiers.iter().any(|word| word == "wait"))
        })
    }

    /// The decoded kernel. The first caller decodes it; others wait for that.
    ///
    /// # Errors
    /// Why it is not executed.
    pub fn kernel(&self) -> Result<&Arc<Kernel>, &PtxError> {
        let decode = || decode::kernel(self).map(Arc::new).map_err(Box::new);
        self.decoded.get_or_init(decode).as_ref().map_err(|error| &**error)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("decoded", &self.decoded).finish_non_exhaustive()
    }
}

/// A decoded kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Entry name.
    pub name: String,
    /// Static `.shared` bytes.
    pub static_shared_bytes: u32,
    /// Where dynamic shared memory begins.
    pub dynamic_shared_begin: u32,
    /// `.local` bytes per thread.
    pub local_bytes: u32,
    /// It needs a stack behind them: some function may call itself, or takes memory by `alloca`.
    pub stack: bool,
    /// 32-bit registers per thread, as `CU_FUNC_ATTRIBUTE_NUM_REGS` reports.
    pub registers: u32,
    /// From `.maxntid`, else 1024.
    pub max_threads_per_block: u32,
    /// From `.reqnctapercluster`: blocks of a cluster in x, y, z.
    pub required_cluster: Option<[u32; 3]>,
    /// From `.maxclusterrank`: blocks of a cluster at most.
    pub max_cluster: Option<u32>,
    /// `.explicitcluster`: a launch has to name its cluster.
    pub explicit_cluster: bool,
    /// What the interpreter runs.
    pub(crate) code: Code,
    /// What it runs when the block's shape breaks what `code` relies on, or lanes that it makes
    /// meet would wait for each other for good.
    pub(crate) plain: Option<Code>,
}

impl Kernel {
    /// Whether it may let the grids behind it begin before it has ended (`griddepcontrol.launch_dependents`).
    pub fn lets_begin(&self) -> bool {
        self.code.lets_begin
    }
}
