//! Registers of products of `wgmma` that other instructions use, without a `wgmma.fence` in between.
//!
//! D (PTX ISA, wgmma.fence): it orders what instructions do with registers before the products behind it that use them. Which
//! products may be without is found here, along all ways through the kernel; where there are none, as in kernels that are
//! right, nothing is added. Elsewhere uses are noted ([`Used`]) and asked for before the product ([`Unfenced`]).

use super::graph::{Block, blocks};
use super::ir::{Form, Ir, Node, Reg, Role, Src};
use super::under_way::copied;
use crate::vm::fence::{Copied, Unfenced, Used};
use crate::vm::map::{Next, cold};

/// By register: what was done with it since the last fence, in any way to here.
type Uses = Vec<u8>;

/// It was read.
const READ: u8 = 1;
/// It was written.
const WRITTEN: u8 = 2;

/// The registers of a product whose uses before it have to be ordered, with these uses. What another product does with a
/// sum is in order by itself; A may be read.
fn asked(node: &Node) -> impl Iterator<Item = (Reg, u8)> + '_ {
    let of_a = if node.traits.role == (Role::Product { registers: true }) { 4 } else { 0 };
    let a = node.s[1..1 + of_a].iter().filter_map(|s| if let Src::Reg(r) = s { Some((*r, WRITTEN)) } else { None });
    node.d.iter().map(|&d| (d, READ | WRITTEN)).chain(a)
}

/// What `node` makes of the uses before it.
fn pass(node: &Node, uses: &mut Uses) {
    match node.traits.role {
        Role::Product { .. } | Role::Settles => {}
        Role::Fence => uses.fill(0),
        Role::Plain => {
            // Compilers copy sums between products, and no instruction comes of it.
            if let Some((d, s)) = copied(node) {
                let kept = if node.guard.is_some() { uses[d as usize] } else { 0 };
                uses[d as usize] = kept | uses[s as usize];
                return;
            }
            node.sources().for_each(|r| uses[r as usize] |= READ);
            node.d.iter().for_each(|&r| uses[r as usize] |= WRITTEN);
        }
    }
}

/// The uses at the beginning of each block that can be reached.
fn at_blocks(ir: &Ir, blocks: &[Block]) -> Vec<Option<Uses>> {
    let mut into: Vec<Option<Uses>> = vec![None; blocks.len()];
    if let Some(first) = into.first_mut() {
        *first = Some(vec![0; ir.classes.len()]);
    }
    let mut waiting = vec![0];
    while let Some(b) = waiting.pop() {
        let Some(mut uses) = into[b].clone() else { continue };
        ir.nodes[blocks[b].first..=blocks[b].last].iter().for_each(|node| pass(node, &mut uses));
        for &n in &blocks[b].next {
            let changed = match &mut into[n] {
                Some(old) => old.iter_mut().zip(&uses).fold(false, |changed, (old, &new)| {
                    let more = new & !*old;
                    *old |= more;
                    changed | (more != 0)
                }),
                empty => {
                    *empty = Some(uses.clone());
                    true
                }
            };
            if changed {
                waiting.push(n);
            }
        }
    }
    into
}

/// Has products ask for uses of their registers that may be without a fence.
pub(super) fn guard(ir: &mut Ir) {
    if !ir.nodes.iter().any(|node| matches!(node.traits.role, Role::Product { .. })) {
        return;
    }
    let blocks = blocks(ir);
    let mut questions: Vec<(usize, Reg, u8)> = Vec::new();
    for (block, into) in blocks.iter().zip(at_blocks(ir, &blocks)) {
        let Some(mut uses) = into else { continue };
        for at in block.first..=block.last {
            let node = &ir.nodes[at];
            if matches!(node.traits.role, Role::Product { .. }) {
                let unordered = asked(node).filter(|&(r, kinds)| uses[r as usize] & kinds != 0);
                questions.extend(unordered.map(|(r, kinds)| (at, r, kinds)));
            }
            pass(node, &mut uses);
        }
    }
    if !questions.is_empty() {
        insert(ir, &questions);
    }
}

/// The registers whose uses have to be noted: those asked for, and those that they are copied from.
fn noted(ir: &Ir, questions: &[(usize, Reg, u8)]) -> Vec<bool> {
    let mut noted = vec![false; ir.classes.len()];
    questions.iter().for_each(|&(_, r, _)| noted[r as usize] = true);
    loop {
        let more = ir.nodes.iter().filter_map(copied).find(|&(d, s)| noted[d as usize] && !noted[s as usize]);
        let Some((_, s)) = more else { return noted };
        noted[s as usize] = true;
    }
}

fn insert(ir: &mut Ir, questions: &[(usize, Reg, u8)]) {
    let noted = noted(ir, questions);
    let old = std::mem::take(&mut ir.nodes);
    let mut questions = questions.iter().peekable();
    let like = |node: &Node, form: Form, imm: u64| Node {
        form,
        d: vec![],
        s: vec![],
        imm,
        guard: node.guard,
        origin: node.origin,
        counted: false,
        traits: Default::default(),
    };
    for (at, node) in old.into_iter().enumerate() {
        while let Some(&(_, r, kinds)) = questions.next_if(|question| question.0 == at) {
            let question = u64::from(r) | u64::from(kinds) << 32;
            ir.nodes.push(like(&node, Form::Fields(cold::<Unfenced>()), question));
        }
        let mut behind = Vec::new();
        if node.traits.role == Role::Plain {
            if let Some((d, s)) = copied(&node) {
                if noted[d as usize] {
                    let copy = u64::from(d) | u64::from(s) << 32;
                    behind.push(like(&node, Form::Fields(cold::<Next<Copied>>()), copy));
                }
            } else {
                let read = node.sources().map(|r| (r, READ));
                let all = read.chain(node.d.iter().map(|&r| (r, WRITTEN))).filter(|&(r, _)| noted[r as usize]);
                for (r, kind) in all {
                    let use_of = u64::from(r) | u64::from(kind) << 32;
                    behind.push(like(&node, Form::Fields(cold::<Next<Used>>()), use_of));
                }
            }
        }
        // Nothing stands behind a jump; what it reads is no register of a product.
        let ends = matches!(node.form, Form::Jump(_) | Form::Branch(..) | Form::Table(_) | Form::Exit | Form::Trap);
        ir.nodes.push(node);
        if !ends {
            ir.nodes.extend(behind);
        }
    }
}
