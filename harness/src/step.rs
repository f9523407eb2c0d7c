//! What a user writes: a [`Step`], its named buffers, and the work it enqueues.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::context::{HostContext, StepContext};
pub use crate::dtype::DType;
use crate::error::{StepError, StepResult};
use crate::framework::{Capturer, Lost};

/// A unit of GPU work that is to become a CUDA graph.
///
/// The harness allocates the declared buffers once, fills the inputs afresh for every step,
/// calls [`record`](Step::record) eagerly for the reference and once under stream capture,
/// and compares what replays of the graph leave in the outputs and the state.
///
/// `record` must be free of host knowledge that changes from step to step: this is what the
/// harness checks.
pub trait Step: Send + Sync {
    /// Short name, as the command line and receipts show it: `fused`.
    fn name(&self) -> &str;

    /// One line on what the step computes and on which shape.
    fn summary(&self) -> String;

    /// PTX modules that `record` launches kernels from.
    fn modules(&self) -> Vec<Module>;

    /// Every buffer that the step touches. Names must be unique; sizes must not be zero.
    fn buffers(&self) -> Vec<BufferSpec>;

    /// Writes the host image of every [`Role::Input`] buffer for step `index`. Must depend on
    /// nothing but `index` and `seed`: the eager run and the replay both ask for it.
    ///
    /// # Errors
    /// A buffer name that was not declared, or a wrong element type.
    fn fill_inputs(&self, index: u64, seed: u64, inputs: &mut HostBuffers) -> StepResult<()>;

    /// Overwrites inputs with the dummy ones that an engine captures with before it has real ones:
    /// lengths of zero, empty tables. True if the step has such inputs; the harness then runs and
    /// captures the step on them too. None by default.
    ///
    /// # Errors
    /// As for [`fill_inputs`](Step::fill_inputs).
    fn fill_dummy(&self, inputs: &mut HostBuffers) -> StepResult<bool> {
        let _ = inputs;
        Ok(false)
    }

    /// Writes the host image of every [`Role::State`] buffer before step 0. Zero by default.
    ///
    /// # Errors
    /// As for [`fill_inputs`](Step::fill_inputs).
    fn init_state(&self, seed: u64, state: &mut HostBuffers) -> StepResult<()> {
        let _ = (seed, state);
        Ok(())
    }

    /// Host work before step `index`, outside the captured region: what an engine does between
    /// two replays. Nothing by default.
    ///
    /// # Errors
    /// The first driver call that fails; return it at once.
    fn prepare(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<()> {
        let _ = (index, cx);
        Ok(())
    }

    /// What another host thread of the engine does while step `index` is replayed: it writes what the next step
    /// needs, fills a ring, moves a cache. True if the step has such work. The harness calls it on a thread of
    /// its own: behind most runs, and for some steps at the end while the replay is in flight. None by default.
    ///
    /// # Errors
    /// The first driver call that fails; return it at once.
    fn beside_replay(&self, index: u64, cx: &mut HostContext<'_>) -> StepResult<bool> {
        let _ = (index, cx);
        Ok(false)
    }

    /// Enqueues the whole step on `cx.stream()`.
    ///
    /// # Errors
    /// The first driver call that fails; return it at once.
    fn record(&self, cx: &mut StepContext<'_>) -> StepResult<()>;

    /// The same step without padding, as a reference: eager execution and replay of a padded step share what
    /// padding does to real rows. Outputs and state are compared by name, as far as both go. None by default.
    fn unpadded(&self) -> Option<Box<dyn Step>> {
        None
    }

    /// The same step at another shape, as a process meets it later: what the step keeps between its calls is
    /// shared. The cold capture captures it behind the step. None by default.
    fn reshaped(&self) -> Option<Box<dyn Step>> {
        None
    }

    /// Another step whose graph lives in the same process, with memory that both share: the two graphs are
    /// captured side by side and replayed in turn. None by default.
    fn beside(&self) -> Option<Box<dyn Step>> {
        None
    }

    /// How the step's framework captures, where it has a way of its own. The driver's calls by default.
    fn capturer(&self) -> Option<&dyn Capturer> {
        None
    }

    /// Which of these addresses, in memory that the step has of its own and that a graph points at, the
    /// step's framework has taken back: the driver sees only what a framework frees to it. None by default.
    fn lost(&self, addresses: &[u64]) -> Vec<Lost> {
        let _ = addresses;
        Vec::new()
    }

    /// Closed form of the device bytes that the step needs, for the memory receipt:
    /// a formula in words and its value in bytes.
    fn closed_form(&self) -> Option<ClosedForm> {
        None
    }
}

/// Expected device memory of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedForm {
    /// The formula, such as `sq·b·h·sk·4 + …`.
    pub formula: String,
    /// Its value in bytes.
    pub bytes: u64,
}

/// PTX text, or machine code in its place, with its origin.
#[derive(Debug, Clone, Default)]
pub struct Module {
    /// Name for messages, such as `fused.ptx`.
    pub name: Cow<'static, str>,
    /// PTX text, without a terminating NUL; empty where there is an image.
    pub ptx: Cow<'static, str>,
    /// The content of a `.cubin` or `.fatbin`, in place of PTX text.
    pub image: Option<Cow<'static, [u8]>>,
    /// SHA-256 of the CUDA source that the PTX was made from, in hex, if known.
    pub source_sha256: Option<String>,
}

impl Module {
    /// PTX text without a known source.
    pub fn ptx(name: impl Into<Cow<'static, str>>, ptx: impl Into<Cow<'static, str>>) -> Self {
        Module { name: name.into(), ptx: ptx.into(), ..Module::default() }
    }

    /// What is loaded, as bytes.
    pub fn bytes(&self) -> &[u8] {
        self.image.as_deref().unwrap_or(self.ptx.as_bytes())
    }
}

/// What a buffer is to the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Written by the harness before each step, read by the step.
    Input,
    /// Read and written by the step; carried from step to step, separately for eager and replay.
    State,
    /// Poisoned before each step, written by the step, compared after it.
    Output,
    /// Poisoned before each step, never compared.
    Scratch,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Input => "input",
            Role::State => "state",
            Role::Output => "output",
            Role::Scratch => "scratch",
        })
    }
}

/// How eager execution and replay must agree on a buffer, from strict to loose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// Every valid element has the same bits.
    Bits,
    /// Each row (last dimension) holds the same set of integer values, in any order.
    IndexSet,
    /// Each row (last dimension) holds the same multiset of values, in any order.
    SortedValues,
}

/// Which elements count. Padding is excluded by declaration, never by tolerance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Valid {
    /// All elements.
    All,
    /// In row `r` (last dimension) the first `lengths[r]` elements, where `lengths` names an
    /// i32 or u32 buffer of the step with one element a row; negative means none.
    RowPrefix {
        /// Name of the buffer that holds the lengths.
        lengths: String,
    },
    /// In each dimension the first elements, as many as these extents say; what is behind them lies between rows.
    Within {
        /// Extents, outermost first, each at most the shape's.
        extents: Vec<usize>,
    },
}

/// The comparison contract of an output or state buffer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contract {
    /// How to compare.
    pub agreement: Agreement,
    /// What to compare.
    pub valid: Valid,
}

impl Contract {
    /// The strictest: the bits of every element.
    pub const BITS: Contract = Contract { agreement: Agreement::Bits, valid: Valid::All };
}

/// Declaration of one buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSpec {
    /// Unique name.
    pub name: Cow<'static, str>,
    /// What it is to the step.
    pub role: Role,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first; row-major, dense.
    pub shape: Vec<usize>,
    /// Ignored for inputs and scratch.
    pub contract: Contract,
    /// The address is a multiple of this power of two, and of no greater one: a kernel that relies on more is found.
    /// As the driver aligns it where nothing is said.
    pub align: Option<usize>,
}

impl BufferSpec {
    /// A buffer compared bit for bit.
    pub fn new(name: impl Into<Cow<'static, str>>, role: Role, dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        BufferSpec { name: name.into(), role, dtype, shape: shape.into(), contract: Contract::BITS, align: None }
    }

    /// Shorthand for [`Role::Input`].
    pub fn input(name: impl Into<Cow<'static, str>>, dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self::new(name, Role::Input, dtype, shape)
    }

    /// Shorthand for [`Role::State`].
    pub fn state(name: impl Into<Cow<'static, str>>, dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self::new(name, Role::State, dtype, shape)
    }

    /// Shorthand for [`Role::Output`].
    pub fn output(name: impl Into<Cow<'static, str>>, dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self::new(name, Role::Output, dtype, shape)
    }

    /// Shorthand for [`Role::Scratch`].
    pub fn scratch(name: impl Into<Cow<'static, str>>, dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self::new(name, Role::Scratch, dtype, shape)
    }

    /// Replaces the contract.
    pub fn contract(mut self, agreement: Agreement, valid: Valid) -> Self {
        self.contract = Contract { agreement, valid };
        self
    }

    /// Asks for an alignment in bytes, a power of two.
    pub fn aligned(mut self, align: usize) -> Self {
        self.align = Some(align);
        self
    }

    /// How many of each row's elements count, where the declaration alone says it.
    ///
    /// ```
    /// use graphproof_harness::step::{Agreement, BufferSpec, DType, Valid};
    ///
    /// // Two planes of two rows of three, each row with room for four and each plane with room for three rows.
    /// let spec = BufferSpec::output("y", DType::F32, [2, 3, 4])
    ///     .contract(Agreement::Bits, Valid::Within { extents: vec![2, 2, 3] });
    /// assert_eq!(spec.lengths_within(), Some(vec![3, 3, 0, 3, 3, 0]));
    /// ```
    pub fn lengths_within(&self) -> Option<Vec<i32>> {
        let Valid::Within { extents } = &self.contract.valid else { return None };
        let (&last, outer) = extents.split_last()?;
        let rows = self.shape[..outer.len()].iter().product::<usize>();
        let counts = |row: usize| {
            let mut left = row;
            outer.iter().zip(&self.shape).rev().all(|(&extent, &whole)| {
                let at = left % whole.max(1);
                left /= whole.max(1);
                at < extent
            })
        };
        Some((0..rows).map(|row| if counts(row) { i32::try_from(last).unwrap_or(i32::MAX) } else { 0 }).collect())
    }

    /// Number of elements, or `None` if it does not fit a `usize`.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent))
    }

    /// Size in bytes, or `None` if it does not fit a `usize`.
    pub fn bytes(&self) -> Option<usize> {
        self.elements()?.checked_mul(self.dtype.size())
    }
}

/// Host images of a step's buffers, by name.
#[derive(Debug, Default, Clone)]
pub struct HostBuffers {
    images: BTreeMap<String, (DType, AlignedBytes)>,
}

/// Bytes whose start is aligned for every element type.
#[derive(Debug, Default, Clone)]
struct AlignedBytes {
    words: Vec<u64>,
    len: usize,
}

impl HostBuffers {
    /// Zeroed images for those buffers of `specs` that `keep` selects.
    ///
    /// # Panics
    /// Never for specs that passed the harness's own check (sizes that fit a `usize`).
    pub fn zeroed<'a>(specs: impl IntoIterator<Item = &'a BufferSpec>, keep: impl Fn(Role) -> bool) -> Self {
        let images = specs
            .into_iter()
            .filter(|spec| keep(spec.role))
            .map(|spec| {
                let len = spec.bytes().expect("checked when the step was prepared");
                let bytes = AlignedBytes { words: vec![0; len.div_ceil(8)], len };
                (spec.name.to_string(), (spec.dtype, bytes))
            })
            .collect();
        HostBuffers { images }
    }

    /// Names held.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }

    /// The raw bytes of a buffer.
    ///
    /// # Errors
    /// The name was not declared with a role that is filled here.
    pub fn bytes(&self, name: &str) -> StepResult<&[u8]> {
        let (_, bytes) = self.images.get(name).ok_or_else(|| self.unknown(name))?;
        Ok(&bytemuck::cast_slice(&bytes.words)[..bytes.len])
    }

    /// The raw bytes of a buffer, to write.
    ///
    /// # Errors
    /// The name was not declared with a role that is filled here.
    pub fn bytes_mut(&mut self, name: &str) -> StepResult<&mut [u8]> {
        if !self.images.contains_key(name) {
            return Err(self.unknown(name));
        }
        let (_, bytes) = self.images.get_mut(name).expect("looked up above");
        Ok(&mut bytemuck::cast_slice_mut(&mut bytes.words)[..bytes.len])
    }

    /// A buffer as elements, such as `u16` for bf16 bits.
    ///
    /// # Errors
    /// An unknown name, or an element size other than the declared one.
    pub fn slice<T: bytemuck::Pod>(&self, name: &str) -> StepResult<&[T]> {
        self.check_size::<T>(name)?;
        Ok(bytemuck::cast_slice(self.bytes(name)?))
    }

    /// A buffer as elements, to write.
    ///
    /// # Errors
    /// An unknown name, or an element size other than the declared one.
    pub fn slice_mut<T: bytemuck::Pod>(&mut self, name: &str) -> StepResult<&mut [T]> {
        self.check_size::<T>(name)?;
        Ok(bytemuck::cast_slice_mut(self.bytes_mut(name)?))
    }

    fn check_size<T>(&self, name: &str) -> StepResult<()> {
        let (dtype, _) = self.images.get(name).ok_or_else(|| self.unknown(name))?;
        if dtype.size() == size_of::<T>() {
            return Ok(());
        }
        Err(StepError::ElementType { buffer: name.to_owned(), declared: *dtype, asked: size_of::<T>() })
    }

    fn unknown(&self, name: &str) -> StepError {
        StepError::UnknownBuffer { name: name.to_owned(), known: self.names().map(str::to_owned).collect() }
    }
}
