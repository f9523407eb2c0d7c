//! Registers that a product of `wgmma` may hold.
//!
//! Which instructions may meet such a register is found here, along all ways through the kernel; whether one
//! does is asked when it is executed ([`Touch`]). Elsewhere nothing is asked.

use super::graph::{Block, blocks};
use super::ir::{Form, Ir, Node, Role, Src};
use crate::vm::map::{Next, cold};
use crate::vm::wgmma::{Follow, Touch};

/// A set of registers, by number.
type Set = Vec<bool>;

/// The registers of a product: D, and A where it lies in registers.
fn held(node: &Node, registers: bool) -> impl Iterator<Item = u32> + '_ {
    let of_a = if registers { 4 } else { 0 };
    node.d.iter().copied().chain(node.s[1..1 + of_a].iter().filter_map(|s| match s {
        Src::Reg(r) => Some(*r),
        Src::Fixed(_) => None,
    }))
}

/// The copied register of a `mov`.
pub(super) fn copied(node: &Node) -> Option<(u32, u32)> {
    match (node.traits.copies, &node.d[..], &node.s[..]) {
        (true, &[d], &[Src::Reg(s)]) => Some((d, s)),
        _ => None,
    }
}

/// What `node` makes of the set of registers that may be held; `meets` is told of those that it uses.
fn pass(node: &Node, set: &mut Set, mut meets: impl FnMut(u32)) {
    match node.traits.role {
        Role::Product { registers } => {
            // D may be held by products before it; A may not.
            if registers {
                held(node, true).skip(node.d.len()).filter(|&r| set[r as usize]).for_each(meets);
            }
            held(node, registers).for_each(|r| set[r as usize] = true);
        }
        Role::Settles => set.fill(false),
        Role::Fence => {}
        Role::Plain => {
            if let Some((d, s)) = copied(node) {
                set[d as usize] |= set[s as usize];
                return;
            }
            node.sources().chain(node.d.iter().copied()).filter(|&r| set[r as usize]).for_each(&mut meets);
        }
    }
}

/// Puts a question before each operation that may use a register under way.
pub(super) fn guard(ir: &mut Ir) {
    if !ir.nodes.iter().any(|node| matches!(node.traits.role, Role::Product { .. })) {
        return;
    }
    let blocks = blocks(ir);
    let count = ir.classes.len();
    let mut into: Vec<Option<Set>> = vec![None; blocks.len()];
    if let Some(first) = into.first_mut() {
        *first = Some(vec![false; count]);
    }
    let mut waiting = vec![0];
    while let Some(b) = waiting.pop() {
        let Some(mut set) = into[b].clone() else { continue };
        let Block { first, last, next } = &blocks[b];
        ir.nodes[*first..=*last].iter().for_each(|node| pass(node, &mut set, |_| ()));
        for &n in next {
            let changed = match &mut into[n] {
                Some(old) => old.iter_mut().zip(&set).fold(false, |changed, (old, &new)| {
                    let more = new && !*old;
                    *old |= more;
                    changed | more
                }),
                empty => {
                    *empty = Some(set.clone());
                    true
                }
            };
            if changed {
                waiting.push(n);
            }
        }
    }
    let mut questions: Vec<(usize, u32)> = Vec::new();
    let mut copies: Vec<usize> = Vec::new();
    for (b, Block { first, last, .. }) in blocks.iter().enumerate() {
        let Some(mut set) = into[b].take() else { continue };
        for at in *first..=*last {
            let node = &ir.nodes[at];
            // One question will do until the next product.
            let mut asked = Vec::new();
            if copied(node).is_some_and(|(_, s)| set[s as usize]) {
                copies.push(at);
            }
            pass(node, &mut set, |r| asked.push(r));
            for r in asked {
                questions.push((at, r));
                set[r as usize] = false;
            }
        }
    }
    insert(ir, &questions, &copies);
}

fn insert(ir: &mut Ir, questions: &[(usize, u32)], copies: &[usize]) {
    let old = std::mem::take(&mut ir.nodes);
    let (mut questions, mut copies) = (questions.iter().peekable(), copies.iter().peekable());
    let like = |node: &Node, form: Form, s: Vec<Src>| Node {
        form,
        d: vec![],
        s,
        imm: 0,
        guard: node.guard,
        origin: node.origin,
        counted: false,
        traits: Default::default(),
    };
    for (at, node) in old.into_iter().enumerate() {
        while let Some(&(_, r)) = questions.next_if(|question| question.0 == at) {
            ir.nodes.push(like(&node, Form::Fields(cold::<Touch>()), vec![Src::Reg(r)]));
        }
        let copy = copies.next_if(|copy| **copy == at).and_then(|_| copied(&node));
        let follow =
            copy.map(|(d, s)| like(&node, Form::Fields(cold::<Next<Follow>>()), vec![Src::Reg(d), Src::Reg(s)]));
        ir.nodes.push(node);
        ir.nodes.extend(follow);
    }
}
