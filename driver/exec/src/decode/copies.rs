//! Shifts of a copy of `%tid.x` become shifts of `%tid.x` itself.
//!
//! Compilers copy a special register before they use it, and `%tid.x >> 5` is one value for the warp. Such a
//! value is computed from the first lane, whichever lanes are active: only the special register has it for sure,
//! since a copy that is made where that lane does not come along lacks it.

use super::ir::{Ir, Node, Reg, Src};
use crate::code::VectorInit;

/// Lets right shifts of copies take what was copied.
pub(super) fn see_through(ir: &mut Ir) {
    let Some(&(thread, _)) = ir.inputs.iter().find(|(_, init)| *init == VectorInit::Thread(0)) else { return };
    let mut definitions = vec![0u32; ir.classes.len()];
    ir.nodes.iter().flat_map(|node| &node.d).for_each(|&d| definitions[d as usize] += 1);
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

/// The register that a copy writes in all lanes that come to it, and the one that it reads.
fn copied(node: &Node) -> Option<(Reg, Reg)> {
    match (node.traits.copies, node.guard, &node.d[..], &node.s[..]) {
        (true, None, &[d], &[Src::Reg(s)]) => Some((d, s)),
        _ => None,
    }
}
