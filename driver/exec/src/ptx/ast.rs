//! The typed module that the parser makes of PTX text.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::error::PtxError;
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
    /// Index into `functions` by name, `.alias` names included.
    pub by_name: HashMap<String, u32>,
    /// `.file` table: number and path.
    pub files: Arc<[(u32, String)]>,
}

impl Module {
    /// The function or prototype called `name`, and its index.
    pub fn function(&self, name: &str) -> Option<(u32, &Function)> {
        let index = *self.by_name.get(name)?;
        self.functions.get(index as usize).map(|function| (index, function))
    }
}

/// What an address in an initial value points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    /// Index into [`Module::variables`].
    Variable(u32),
    /// Index into [`Module::functions`].
    Function(u32),
}

/// An address in an initial value; only loading gives it.
#[derive(Debug, Clone)]
pub struct Relocation {
    /// Byte offset in the variable.
    pub offset: u64,
    /// Bytes that are stored.
    pub size: u8,
    /// The bits of the address from which they are taken: `0xFF00(name)` stores its second byte.
    pub shift: u8,
    /// What is named, once the whole module is known.
    pub symbol: Option<Symbol>,
    /// Its name.
    pub name: String,
    /// Added to the address.
    pub addend: i64,
    /// Where it is named.
    pub span: Span,
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
    /// Size in bytes of what an index counts.
    pub element: u64,
    /// Initial bytes; the rest is zero.
    pub init: Vec<u8>,
    /// Addresses in the initial bytes.
    pub relocations: Vec<Relocation>,
    /// Declared `.extern`.
    pub external: bool,
    /// `.attribute(.managed)`: the host reaches it too.
    pub managed: bool,
    /// `.texref`, `.surfref`: it stands for what is bound to it.
    pub reference: Option<crate::program::ReferenceKind>,
    /// Why an instruction that names it is not executed.
    pub unsupported: Option<String>,
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

/// The virtual registers of a function: thousands, of a few names with numbers.
#[derive(Debug, Clone, Default)]
pub struct Registers {
    types: Vec<Type>,
    /// Name, first register, and whether a number is part of each name; in order.
    runs: Vec<(String, u32, bool)>,
}

impl Registers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Declared type of a register.
    pub fn ty(&self, register: u32) -> Type {
        self.types[register as usize]
    }

    /// Declared types, in order.
    pub fn types(&self) -> impl Iterator<Item = Type> + '_ {
        self.types.iter().copied()
    }

    /// Adds one register; gives its index.
    pub(super) fn add(&mut self, name: &str, ty: Type) -> u32 {
        let first = self.types.len() as u32;
        self.runs.push((name.to_owned(), first, false));
        self.types.push(ty);
        first
    }

    /// Adds `count` registers, numbered from 0; gives the index of the first.
    pub(super) fn add_range(&mut self, name: &str, ty: Type, count: u32) -> u32 {
        let first = self.types.len() as u32;
        self.runs.push((name.to_owned(), first, true));
        self.types.resize(self.types.len() + count as usize, ty);
        first
    }

    /// A register's name, with its `%`.
    pub fn name(&self, register: u32) -> RegisterName<'_> {
        RegisterName { registers: self, register }
    }
}

/// The name of a register, to be shown.
#[derive(Debug, Clone, Copy)]
pub struct RegisterName<'a> {
    registers: &'a Registers,
    register: u32,
}

impl fmt::Display for RegisterName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = &self.registers.runs;
        let run = runs.partition_point(|&(_, first, _)| first <= self.register).wrapping_sub(1);
        match runs.get(run) {
            Some((name, first, true)) => write!(f, "{name}{}", self.register - first),
            Some((name, ..)) => f.write_str(name),
            None => f.write_str("?"),
        }
    }
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
    pub registers: Registers,
    /// Labels; instructions name them by index.
    pub labels: Vec<Label>,
    /// Variables declared inside; `.param` ones of call sequences included.
    pub variables: Vec<Variable>,
    /// `.branchtargets` tables: name and labels.
    pub branch_tables: Vec<(String, Vec<u32>)>,
    /// Signatures of indirect calls: name and shape.
    pub prototypes: Vec<(String, Signature)>,
    /// Statements in order.
    pub body: Vec<Statement>,
    /// Has a body (else a prototype).
    pub defined: bool,
    /// What in it is not executed, when the parser could tell; `body` is empty then.
    pub refused: Option<Box<PtxError>>,
    /// Product of `.maxntid` or `.reqntid`.
    pub max_threads: Option<u32>,
    /// `.maxnreg`.
    pub max_registers: Option<u32>,
    /// `.reqnctapercluster`: blocks of a cluster.
    pub cluster: Option<[u32; 3]>,
    /// `.maxclusterrank`.
    pub max_cluster: Option<u32>,
    /// `.explicitcluster`.
    pub explicit_cluster: bool,
    /// Where its header is.
    pub span: Span,
}

impl Function {
    /// One without a name and a body.
    pub(super) fn prototype(span: Span) -> Self {
        Self {
            name: String::new(),
            entry: false,
            params: Vec::new(),
            returns: Vec::new(),
            registers: Registers::default(),
            labels: Vec::new(),
            variables: Vec::new(),
            branch_tables: Vec::new(),
            prototypes: Vec::new(),
            body: Vec::new(),
            defined: false,
            refused: None,
            max_threads: None,
            max_registers: None,
            cluster: None,
            max_cluster: None,
            explicit_cluster: false,
            span,
        }
    }

    /// The sizes of what it returns and takes.
    pub fn signature(&self) -> Signature {
        let sizes = |list: &[Param]| list.iter().map(|param| param.size).collect();
        Signature { returns: sizes(&self.returns), params: sizes(&self.params) }
    }
}

/// What a `.callprototype` says of the functions that may be called: sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Of return parameters.
    pub returns: Vec<u64>,
    /// Of parameters.
    pub params: Vec<u64>,
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
    pub opcode: &'static str,
    /// The words after dots, in order.
    pub modifiers: Arc<[String]>,
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
    /// A part of a register, with its selector: `r.b0`, of a video instruction.
    Part(u32, String),
    /// `-` and a register or a part of one, of a video instruction.
    Negated(Box<Operand>),
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
    /// `[tensor map, {coordinates}]`.
    Box(Address, Vec<Operand>),
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
    /// One of [`Function::prototypes`], by index.
    Prototype(u32),
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
