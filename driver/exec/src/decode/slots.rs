//! Where registers lie: scalars and predicates in slots of their own, vectors by liveness.

use super::ir::{Class, Ir};
use super::{graph, liveness};
use crate::slot::{PredicateSlot, RegisterSlot, UNIFORM_BYTES, UniformSlot, VECTOR_BYTES, VectorSlot};

/// Where what a kernel's code names lies in a warp's register file.
pub(super) struct Slots {
    /// By index into [`Ir::scalars`].
    pub fixed: Vec<UniformSlot>,
    /// By register; `None` for one that nothing uses.
    pub registers: Vec<Option<RegisterSlot>>,
    /// By register: the first and last operation between which it has its slot; `None`: all along.
    pub ranges: Vec<Option<(usize, usize)>>,
    /// Vector slots of words that the registers take.
    pub vectors: u32,
    /// Bytes of the register file.
    pub bytes: u32,
}

/// Gives every used register a slot. `uniform`, by register: it has one value for the warp.
pub(super) fn assign(ir: &Ir, uniform: &[bool]) -> Slots {
    let mut end = 0;
    let mut narrow = || {
        end += UNIFORM_BYTES;
        end - UNIFORM_BYTES
    };
    let fixed = ir.scalars.iter().map(|_| UniformSlot::new(narrow())).collect();
    let used = used(ir);
    let mut registers = vec![None; ir.classes.len()];
    let mut vector = vec![false; ir.classes.len()];
    for (r, class) in ir.classes.iter().enumerate().filter(|(r, _)| used[*r]) {
        match class {
            Class::Pred => registers[r] = Some(RegisterSlot::Predicate(PredicateSlot::new(narrow()))),
            _ if uniform[r] => registers[r] = Some(RegisterSlot::Uniform(UniformSlot::new(narrow()))),
            _ => vector[r] = true,
        }
    }
    let start = end.next_multiple_of(VECTOR_BYTES);
    let (found, end) = vectors(ir, &vector, start);
    let mut ranges = vec![None; ir.classes.len()];
    for (r, (offset, range)) in found.into_iter().enumerate().filter_map(|(r, v)| Some((r, v?))) {
        registers[r] = Some(RegisterSlot::Vector(VectorSlot::new(offset, ir.classes[r] == Class::Double)));
        ranges[r] = range;
    }
    Slots { fixed, registers, ranges, vectors: (end - start) / VECTOR_BYTES, bytes: end.next_multiple_of(VECTOR_BYTES) }
}

/// By register: some operation names it.
fn used(ir: &Ir) -> Vec<bool> {
    let mut used = vec![false; ir.classes.len()];
    for node in &ir.nodes {
        for r in node.sources().chain(node.d.iter().copied()).chain(node.guard.map(|(p, _)| p)) {
            used[r as usize] = true;
        }
    }
    used
}

/// A vector register's byte offset, and between which operations it has it.
type Found = (u32, Option<(usize, usize)>);

/// Slots for the registers that `vector` names, from byte `start` on, and the end of the last.
fn vectors(ir: &Ir, vector: &[bool], start: u32) -> (Vec<Option<Found>>, u32) {
    // Registers that need slots, numbered densely.
    let mut dense = vec![u32::MAX; ir.classes.len()];
    let mut names = Vec::new();
    for (r, _) in vector.iter().enumerate().filter(|(_, v)| **v) {
        dense[r] = names.len() as u32;
        names.push(r);
    }
    let count = names.len();
    let mut offsets: Vec<Option<Found>> = vec![None; ir.classes.len()];
    let mut end = start;
    let mut fixed = vec![false; count];
    for &(r, _) in &ir.inputs {
        if vector[r as usize] {
            offsets[r as usize] = Some((end, None));
            end += VECTOR_BYTES;
            fixed[dense[r as usize] as usize] = true;
        }
    }
    let number = |r: u32| Some(dense[r as usize]).filter(|&n| n != u32::MAX && !fixed[n as usize]);
    let blocks = liveness::find(ir, graph::blocks(ir), count, number, |_| true);
    // The range from first to last place where each register is live.
    let mut ranges = vec![(usize::MAX, 0usize); count];
    let mut touch = |n: u32, at: usize| {
        let range = &mut ranges[n as usize];
        *range = (range.0.min(at), range.1.max(at));
    };
    for block in &blocks {
        block.live_in.each(|n| touch(n, block.first));
        block.live_out.each(|n| touch(n, block.last));
        for at in block.first..=block.last {
            let node = &ir.nodes[at];
            for n in node.sources().chain(node.d.iter().copied()).filter_map(number) {
                touch(n, at);
            }
        }
    }
    let mut order: Vec<usize> = (0..count).filter(|&n| ranges[n].0 != usize::MAX).collect();
    order.sort_by_key(|&n| ranges[n].0);
    let mut active: std::collections::BinaryHeap<std::cmp::Reverse<(usize, usize)>> = Default::default();
    let (mut words, mut doubles): (Vec<u32>, Vec<u32>) = Default::default();
    for n in order {
        let (from, to) = ranges[n];
        while let Some(&std::cmp::Reverse((last, old))) = active.peek() {
            // A source may give its slot to the destination of the instruction that reads it last.
            let reads_before_writes = last == from && ranges[old].0 < last;
            if last >= from && !reads_before_writes {
                break;
            }
            active.pop();
            let Some((slot, _)) = offsets[names[old]] else { continue };
            if ir.classes[names[old]] == Class::Double { doubles.push(slot) } else { words.push(slot) }
        }
        let double = ir.classes[names[n]] == Class::Double;
        let slot = if double { doubles.pop() } else { words.pop() }.unwrap_or_else(|| {
            let at = end;
            end += if double { 2 * VECTOR_BYTES } else { VECTOR_BYTES };
            at
        });
        offsets[names[n]] = Some((slot, Some((from, to))));
        active.push(std::cmp::Reverse((to, n)));
    }
    (offsets, end)
}
