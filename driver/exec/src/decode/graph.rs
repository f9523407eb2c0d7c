//! Basic blocks, their successors and where their ways meet again.

use super::ir::{Form, Ir};

/// A basic block: nodes `first..=last`.
pub(super) struct Block {
    pub first: usize,
    pub last: usize,
    pub next: Vec<usize>,
}

/// The basic blocks of a kernel, in order.
pub(super) fn blocks(ir: &Ir) -> Vec<Block> {
    let starts = starts(ir);
    let mut of_label = vec![usize::MAX; ir.labels as usize];
    let mut found: Vec<Block> = Vec::with_capacity(starts.len());
    for (b, &first) in starts.iter().enumerate() {
        let end = starts.get(b + 1).copied().unwrap_or(ir.nodes.len());
        for node in &ir.nodes[first..end] {
            if let Form::Label(label) = node.form {
                of_label[label as usize] = b;
            }
        }
        found.push(Block { first, last: end - 1, next: Vec::new() });
    }
    let count = found.len();
    for (b, block) in found.iter_mut().enumerate() {
        let after = (b + 1 < count).then_some(b + 1);
        block.next = match ir.nodes[block.last].form {
            Form::Jump(l) => vec![of_label[l as usize]],
            Form::Branch(l, _) => after.into_iter().chain([of_label[l as usize]]).collect(),
            Form::Table(t) => ir.tables[t as usize].iter().map(|&l| of_label[l as usize]).collect(),
            Form::Exit | Form::Trap => vec![],
            _ => after.into_iter().collect(),
        };
        block.next.retain(|&n| n != usize::MAX);
    }
    found
}

/// First nodes of the basic blocks.
fn starts(ir: &Ir) -> Vec<usize> {
    let mut starts = vec![0];
    for at in 1..ir.nodes.len() {
        let label = |n: usize| matches!(ir.nodes[n].form, Form::Label(_));
        let ends = matches!(
            ir.nodes[at - 1].form,
            Form::Jump(_) | Form::Branch(..) | Form::Table(_) | Form::Exit | Form::Trap
        );
        if (label(at) && !label(at - 1)) || ends {
            starts.push(at);
        }
    }
    starts
}

/// For each block, the nearest block that every way from it leads through; `blocks.len()` stands
/// for the end of the lanes.
pub(super) fn meeting_points(blocks: &[Block]) -> Vec<usize> {
    let end = blocks.len();
    // Order by which the iteration settles quickly: from the end backwards along the edges.
    let mut before = vec![Vec::new(); end + 1];
    for (b, block) in blocks.iter().enumerate() {
        if block.next.is_empty() {
            before[end].push(b);
        }
        for &n in &block.next {
            before[n].push(b);
        }
    }
    let mut number = vec![usize::MAX; end + 1];
    let mut order = Vec::with_capacity(end + 1);
    let mut seen = vec![false; end + 1];
    let mut stack = vec![(end, 0)];
    seen[end] = true;
    while let Some((b, n)) = stack.pop() {
        if let Some(&p) = before[b].get(n) {
            stack.push((b, n + 1));
            if !seen[p] {
                seen[p] = true;
                stack.push((p, 0));
            }
        } else {
            number[b] = order.len();
            order.push(b);
        }
    }
    let mut meet = vec![usize::MAX; end + 1];
    meet[end] = end;
    let mut changed = true;
    while changed {
        changed = false;
        for &b in order.iter().rev().filter(|&&b| b != end) {
            let exits = [end];
            let next: &[usize] = if blocks[b].next.is_empty() { &exits } else { &blocks[b].next };
            let mut common = usize::MAX;
            for &n in next.iter().filter(|&&n| meet[n] != usize::MAX) {
                let (mut x, mut y) = (n, if common == usize::MAX { n } else { common });
                while x != y {
                    if number[x] < number[y] { x = meet[x] } else { y = meet[y] }
                }
                common = x;
            }
            if common != meet[b] {
                meet[b] = common;
                changed = true;
            }
        }
    }
    // A block from which no way leads to an end (a loop without one) meets nowhere.
    meet.iter().map(|&m| if m == usize::MAX { end } else { m }).take(end).collect()
}
