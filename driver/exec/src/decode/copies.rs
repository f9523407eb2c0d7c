//! Copies that need not be made: of what is fixed before the kernel starts, and of `%tid.x` before it is shifted.
//!
//! Compilers load every parameter into a register, and copy that into another by `cvta`. What has one definition only
//! is read where it is fixed.
//!
//! Compilers copy a special register before they use it, and `%tid.x >> 5` is one value for the warp. Such a
//! value is computed from the first lane, whichever lanes are active: only the special register has it for sure,
//! since a copy that is made where that lane does not come along lacks it.

use super::ir::{Class, Form, Ir, Node, Reg, Src};
use crate::code::VectorInit;

/// Lets right shifts of copies take what was copied.
pub(super) fn see_through(ir: &mut Ir) {
    let Some(&(thread, _)) = ir.inputs.iter().find(|(_, init)| *init == VectorInit::Thread(0)) else { return };
    let definitions = ir.definitions();
    let mut copies = vec![false; ir.classes.len()];
    copies[thread as usize] = true;
    for node in &mut ir.nodes {
        if let Some((d, s)) = copied(node) {
            copies[d as usize] |= copies[s as usize] && definitions[d as usize] == 1;
        } else if let (true, [Src::Reg(a), _]) = (node.traits.shift_right, &mut node.s[..])
            && copies[*a as usize]
        {
            *a = thread;
        }
    }
}

/// Lets operations read what is fixed itself, in place of a register that is a copy of it and nothing else.
pub(super) fn forward_fixed(ir: &mut Ir) {
    let definitions = ir.definitions();
    let mut fixed: Vec<Option<Src>> = vec![None; ir.classes.len()];
    // Read where it may not have been written yet, by a way back.
    let mut early = vec![false; ir.classes.len()];
    for node in &mut ir.nodes {
        for s in &mut node.s {
            if let Src::Reg(r) = *s {
                match fixed[r as usize] {
                    Some(same) => *s = same,
                    None => early[r as usize] = true,
                }
            }
        }
        if let (true, None, &[d], &[same @ Src::Fixed(_)]) = (node.traits.copies, node.guard, &node.d[..], &node.s[..])
            && definitions[d as usize] == 1
            && !early[d as usize]
            && ir.classes[d as usize] != Class::Pred
        {
            fixed[d as usize] = Some(same);
            (node.form, node.d, node.s) = (Form::Gone, Vec::new(), Vec::new());
        }
    }
}

/// The register that a copy writes in all lanes that come to it, and the one that it reads.
fn copied(node: &Node) -> Option<(Reg, Reg)> {
    match (node.traits.copies, node.guard, &node.d[..], &node.s[..]) {
        (true, None, &[d], &[Src::Reg(s)]) => Some((d, s)),
        _ => None,
    }
}
