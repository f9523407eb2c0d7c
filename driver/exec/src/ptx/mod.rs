//! PTX text → typed module.
//!
//! The lexer and the parser are written by hand so that an error can point at the line and
//! column, quote the statement and say what was expected. Scopes are resolved here: every
//! register, label and variable of a [`Function`] is an index, however often an inner `{ }`
//! reuses its name.

mod ast;
mod directive;
mod error;
mod function;
mod initializer;
mod lexer;
mod opcodes;
mod parser;
mod statement;
mod types;

pub use ast::{
    Address, AddressBase, Callee, Function, Guard, Instruction, Label, Location, Module, Operand, Param, RegisterName,
    Registers, Relocation, Signature, Span, Statement, Symbol, VarRef, Variable,
};
pub use error::{PtxError, PtxErrorKind};
pub use parser::{declared_version, parse};
pub use types::{Space, Type};
