//! The typed module that the parser makes of PTX text.

use std::sync::Arc;

use super::types::{Space, Type};

/// A byte range of the source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A parsed module.
#[derive(Debug, Clone)]
pub struct Module {
    /// The text it was parsed from.
    pub source: Arc<str>,
    /// `.version` as (major, minor).
    pub version: (u32, u32),
    /// `.target`: its first word.
    pub target: String,
    /// Module-scope variables, in order.
    pub variables: Vec<Variable>,
    /// Kernels and device functions, in order; a prototype that has a definition is left out.
    pub functions: Vec<Function>,
    /// `.file` table: number and path.
    pub files: Vec<(u32, String)>,
}

/// A variable of the module or of a function.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// State space.
    pub space: Space,
    /// Alignment in bytes.
    pub align: u64,
    /// Size in bytes; 0 for an incomplete array (dynamic shared memory).
    pub size: u64,
    /// Initial bytes; the rest is zero.
    pub init: Vec<u8>,
    /// Declared `.extern`.
    pub external: bool,
    /// Where it is declared.
    pub span: Span,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Param {
    /// Name.
    pub name: String,
    /// Byte offset in the parameter buffer.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// For a `.reg` parameter of a device function: the register.
    pub register: Option<u32>,
}

/// A virtual register.
#[derive(Debug, Clone)]
pub struct Register {
    /// Name, with its `%`.
    pub name: String,
    /// Declared type.
    pub ty: Type,
}

/// A label.
#[derive(Debug, Clone)]
pub struct Label {
    /// Name.
    pub name: String,
    /// Index into [`Function::body`] of the statement it stands before.
    pub at: usize,
}

/// A kernel or a device function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Name.
    pub name: String,
    /// `.entry` rather than `.func`.
    pub entry: bool,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Return parameters of a device function.
    pub returns: Vec<Param>,
    /// Registers; instructions name them by index.
    pub registers: Vec<Register>,
    /// Labels; instructions name them by index.
    pub labels: Vec<Label>,
    /// Variables declared inside; `.param` ones of call sequences included.
    pub variables: Vec<Variable>,
    /// `.branchtargets` tables: name and labels.
    pub branch_tables: Vec<(String, Vec<u32>)>,
    /// Statements in order.
    pub body: Vec<Statement>,
    /// Has a body (else a prototype).
    pub defined: bool,
    /// Product of `.maxntid` or `.reqntid`.
    pub max_threads: Option<u32>,
    /// Where its header is.
    pub span: Span,
}

/// A source place from `.loc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Number of the `.file`.
    pub file: u32,
    /// Line in it.
    pub line: u32,
}

/// One instruction with its place.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The instruction.
    pub instruction: Instruction,
    /// Where it stands, guard to semicolon.
    pub span: Span,
    /// Line, from 1.
    pub line: u32,
    /// The last `.loc` before it.
    pub location: Option<Location>,
    /// Of the bytes that it reads, those that are used, a bit each: `.pragma "used_bytes_mask …"`.
    pub used_bytes: Option<u32>,
}

/// A guard predicate: `@%p` or `@!%p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The predicate register.
    pub register: u32,
    /// Written with `!`.
    pub negated: bool,
}

/// An instruction: opcode, modifiers, operands.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// Guard predicate.
    pub guard: Option<Guard>,
    /// First word, such as `ld`.
    pub opcode: String,
    /// The words after dots, in order.
    pub modifiers: Vec<String>,
    /// Operands, destination first.
    pub operands: Vec<Operand>,
    /// Where each operand stands.
    pub operand_spans: Vec<Span>,
}

/// An operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A register, by index into [`Function::registers`].
    Reg(u32),
    /// `!` and a predicate register.
    NotReg(u32),
    /// An integer, as written (two's complement).
    Int(i128),
    /// A float written as `0f`, `0d` or decimal. For `0f` the bits of the single are kept.
    Float {
        /// Its value as a double.
        value: f64,
        /// The bits, when written as `0f`.
        single: Option<u32>,
    },
    /// A special register, such as `%tid.x`.
    Special(String),
    /// The address of a variable, plus a byte offset.
    Var(VarRef, i64),
    /// `[ ]`.
    Address(Address),
    /// `{ }`.
    Vector(Vec<Operand>),
    /// `a|b`.
    Pair(Box<Operand>, Box<Operand>),
    /// `( )` of a call.
    List(Vec<Operand>),
    /// A label, by index into [`Function::labels`].
    Label(u32),
    /// A function named by a call.
    Function(Callee),
    /// A table of [`Function::branch_tables`], by index.
    Table(u32),
    /// `_`: the value is not wanted.
    Sink,
}

/// A name that only a whole module can resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee(pub String);

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VarRef {
    /// Index into [`Module::variables`].
    Module(u32),
    /// Index into [`Function::variables`].
    Local(u32),
    /// Index into [`Function::params`].
    Param(u32),
    /// Index into [`Function::returns`].
    Return(u32),
}

/// What an address starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressBase {
    /// A register.
    Reg(u32),
    /// A variable.
    Var(VarRef),
    /// Nothing: the offset is the address.
    Absolute,
}

/// `[base + offset]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Base.
    pub base: AddressBase,
    /// Byte offset.
    pub offset: i64,
}
