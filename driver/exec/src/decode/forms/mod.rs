//! The instructions that are executed: the table by which the decoder finds what lowers an
//! opcode, with the forms that each accepts. `docs/ptx.md` is written from it.

mod matrix;
mod others;
mod scalar;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lower::{Lower, Result};
use super::modifiers::Modifiers;
use crate::ptx::Instruction;

/// Turns an instruction into operations.
pub(super) type Lowering = for<'a> fn(&mut Lower<'a>, &'a Instruction, &mut Modifiers<'a>) -> Result<()>;

/// Instructions that belong together.
pub(super) struct Family {
    /// What they are, as a heading.
    subject: &'static str,
    /// What a reader has to know about all of them; may be empty.
    note: &'static str,
    /// Every opcode that `lower` takes.
    opcodes: &'static [&'static str],
    lower: Lowering,
    /// Forms; see [`expand`].
    forms: &'static [&'static str],
    /// No form with other types is taken.
    complete: bool,
}

/// A family of instructions, for documentation and tests.
#[derive(Debug, Clone, Copy)]
pub struct Forms {
    /// What they are, as a heading.
    pub subject: &'static str,
    /// What a reader has to know about all of them; may be empty.
    pub note: &'static str,
    /// Opcodes.
    pub opcodes: &'static [&'static str],
    /// Patterns; [`expand`] makes instructions of them.
    pub forms: &'static [&'static str],
    /// No form with other types is taken.
    pub complete: bool,
}

fn families() -> impl Iterator<Item = &'static Family> {
    scalar::FAMILIES.iter().chain(matrix::FAMILIES).chain(others::FAMILIES)
}

/// All instructions that are executed.
pub fn executed() -> Vec<Forms> {
    families()
        .map(|&Family { subject, note, opcodes, forms, complete, .. }| Forms {
            subject,
            note,
            opcodes,
            forms,
            complete,
        })
        .collect()
}

/// Forms of PTX that are refused by name, and what has them.
pub fn refused() -> &'static [(&'static str, &'static str)] {
    others::REFUSED
}

/// What lowers `opcode`.
pub(super) fn lowering(opcode: &str) -> Option<Lowering> {
    static TABLE: LazyLock<HashMap<&'static str, Lowering>> =
        LazyLock::new(|| families().flat_map(|f| f.opcodes.iter().map(|&o| (o, f.lower))).collect());
    TABLE.get(opcode).copied()
}

/// The instructions that a pattern stands for.
///
/// A pattern is an instruction. Before its first space `{.x|.y}` stands for one of its members or
/// nothing, `(.x|.y)` for one of its members. Behind it are operands, by type: `h` 16 bits, `r`
/// 32, `d` 64, `f` single precision, `g` double, `p` a predicate.
pub fn expand(pattern: &str) -> Vec<String> {
    let (head, operands) = pattern.split_once(' ').unwrap_or((pattern, ""));
    let mut found = vec![String::new()];
    let mut rest = head;
    while let Some(at) = rest.find(['{', '(']) {
        let close = if rest.as_bytes()[at] == b'{' { '}' } else { ')' };
        let end = rest[at..].find(close).map_or(rest.len(), |n| at + n);
        let mut choices: Vec<&str> = rest[at + 1..end].split('|').collect();
        if close == '}' {
            choices.push("");
        }
        found = found.iter().flat_map(|f| choices.iter().map(move |c| format!("{f}{}{c}", &rest[..at]))).collect();
        rest = rest.get(end + 1..).unwrap_or("");
    }
    found.iter().map(|f| format!("{f}{rest} {operands}").trim_end().to_owned()).collect()
}
