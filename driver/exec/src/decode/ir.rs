//! What lies between the syntax tree and flat code: one list of operations on virtual registers.

use crate::code::{HandlerSet, ScalarInit, VectorInit};
use crate::vm::map::Op;

/// Width of a virtual register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Up to 32 bits.
    Word,
    /// 64 bits.
    Double,
    /// A predicate.
    Pred,
}

/// A virtual register.
pub(crate) type Reg = u32;

/// A source operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Src {
    /// A virtual register.
    Reg(Reg),
    /// Something fixed before the block starts, by index into [`Ir::scalars`].
    Fixed(u32),
}

/// How operands map to the fields of an instruction.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// `d`, then `a`, `b`, `c`; the handler may depend on which are scalar.
    Map(Op),
    /// Fused multiply-adds of `f32`, each with the one before as its addend, for one destination or two: the first
    /// addends, then for each link the factor that the chains share and the others (of one chain: two factors).
    /// `imm`, a bit for each destination: the bits of a NaN are seen.
    Chain,
    /// Nothing: the operation has become part of a later one, and is counted here.
    Gone,
    /// As `Map`, with one handler.
    Fields(HandlerSet),
    /// All operands, destinations first, in a list at `c`.
    List(HandlerSet),
    /// `d`, address `a`, site `b`.
    Load(HandlerSet),
    /// Address `a`, site `b`, list of destinations at `c`.
    LoadVector(HandlerSet),
    /// Address `a`, site `b`, value `d`.
    Store(HandlerSet),
    /// Address `a`, site `b`, list of values at `c`.
    StoreVector(HandlerSet),
    /// Address `a`, site `b`, list at `c`: destination (or the first value), values.
    Atomic(HandlerSet),
    /// Address `a`, site `b`, list at `c`: two destinations, two and two values. `d`: second field.
    AtomicWide(HandlerSet, bool),
    /// Address `a`, site `b`, list at `c`: last source, then destinations or other sources.
    Matrix(HandlerSet),
    /// `a` shared, `d` its site, `b` global, `c` its site; list index in `imm >> 16`: third source,
    /// two offsets.
    Copy(HandlerSet, [i32; 2]),
    /// A label.
    Label(u32),
    /// To a label.
    Jump(u32),
    /// To a label where predicate `s[0]` holds (or not: second field).
    Branch(u32, bool),
    /// To one of the labels of table `.0`, by register `s[0]`.
    Table(u32),
    /// The lanes end.
    Exit,
    /// A barrier of the block: number, thread count, predicate.
    Barrier(HandlerSet),
    /// Stops the kernel.
    Trap,
}

/// Facts about an operation that its handler hides.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traits {
    /// Reads memory that nothing writes during the launch.
    pub constant: bool,
    /// Reads what others may be writing: two lanes that read at once may differ.
    pub volatile: bool,
    /// Gives every lane of the full warp the same value.
    pub collective: bool,
    /// Chooses one of its operands (`selp`).
    pub selects: bool,
    /// Of the bytes that it loads, those that are used, a bit each; 0: all.
    pub used_bytes: u32,
    /// Shifts right.
    pub shift_right: bool,
    /// Copies a register.
    pub copies: bool,
    /// It takes one NaN for as good as another.
    pub blind: bool,
    /// A fused multiply-add of `f32`, rounded to nearest, that may become part of a chain.
    pub fused: bool,
    /// What does several such loads at once where all lanes load the same.
    pub together: Option<HandlerSet>,
    /// What it is to products of `wgmma`.
    pub role: Role,
}

/// What an operation is to products of `wgmma` under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It must not use their registers.
    #[default]
    Plain,
    /// One of them. `registers`: the second to fifth source are A.
    Product { registers: bool },
    /// None is under way behind it.
    Settles,
    /// It orders what other instructions did with their registers before those behind it.
    Fence,
}

/// One operation.
#[derive(Clone)]
pub(crate) struct Node {
    pub form: Form,
    pub d: Vec<Reg>,
    pub s: Vec<Src>,
    pub imm: u64,
    /// Guard predicate, negated.
    pub guard: Option<(Reg, bool)>,
    /// Index of the statement it comes from.
    pub origin: u32,
    /// It is the one by which its statement is counted.
    pub counted: bool,
    /// What the analysis of uniform values has to know about it.
    pub traits: Traits,
}

impl Node {
    /// The registers among its sources; its guard is none of them.
    pub fn sources(&self) -> impl Iterator<Item = Reg> {
        self.s.iter().filter_map(|s| if let Src::Reg(r) = s { Some(*r) } else { None })
    }
}

/// A kernel's operations.
#[derive(Default)]
pub(crate) struct Ir {
    pub nodes: Vec<Node>,
    pub classes: Vec<Class>,
    pub scalars: Vec<ScalarInit>,
    /// Registers that are filled before the kernel starts.
    pub inputs: Vec<(Reg, VectorInit)>,
    pub labels: u32,
    pub tables: Vec<Vec<u32>>,
}

impl Ir {
    /// By register: the operations that write it. One that is filled before the kernel starts counts two more, so that
    /// no single definition is all that it holds.
    pub fn definitions(&self) -> Vec<u32> {
        let mut count = vec![0u32; self.classes.len()];
        self.nodes.iter().flat_map(|node| &node.d).for_each(|&d| count[d as usize] += 1);
        self.inputs.iter().for_each(|&(r, _)| count[r as usize] += 2);
        count
    }
}
