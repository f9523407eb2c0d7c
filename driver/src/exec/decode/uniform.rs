//! Values that all lanes share.

use super::ir::{Class, Form, Ir, Src};

/// For each register: all lanes hold the same value wherever it is read.
///
/// Such a register has one definition, without a guard, by an operation that gives the same
/// result for the same operands, and its operands are constants of the launch or of the block
/// or registers of the same kind. That holds however the lanes diverge.
pub(super) fn analyse(ir: &Ir) -> Vec<bool> {
    let count = ir.classes.len();
    let mut definitions = vec![0u32; count];
    for node in &ir.nodes {
        for &d in &node.d {
            definitions[d as usize] += 1;
        }
    }
    for &(r, _) in &ir.inputs {
        definitions[r as usize] += 2;
    }
    let mut uniform = vec![false; count];
    // Definitions come before uses in all but loops, where a use has more than one anyway.
    for node in &ir.nodes {
        let pure = match node.form {
            Form::Map(op) => op.pure,
            Form::Load(_) => node.constant,
            _ => false,
        };
        let [d] = node.d[..] else { continue };
        let shared = node.s.iter().all(|s| match *s {
            Src::Fixed(_) => true,
            Src::Reg(r) => uniform[r as usize],
        });
        if pure && shared && node.guard.is_none() && definitions[d as usize] == 1 && ir.classes[d as usize] != Class::Pred {
            uniform[d as usize] = true;
        }
    }
    uniform
}
