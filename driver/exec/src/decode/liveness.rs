//! Where registers are live: their values may be read later.
//!
//! Each lane of a register belongs to one lane of the warp, and writes are masked, so that the liveness of a single
//! thread's program decides, however the lanes diverge.

use super::graph;
use super::ir::{Ir, Reg};

/// A set of registers.
#[derive(Clone, PartialEq)]
pub(super) struct Set(Vec<u64>);

impl Set {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }
    fn insert(&mut self, r: u32) {
        self.0[r as usize / 64] |= 1 << (r % 64);
    }
    pub fn has(&self, r: u32) -> bool {
        self.0[r as usize / 64] >> (r % 64) & 1 != 0
    }
    pub fn each(&self, mut f: impl FnMut(u32)) {
        for (i, &word) in self.0.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                f(i as u32 * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }
}

/// A basic block, nodes `first..=last`, and what is live at its ends.
pub(super) struct Block {
    pub first: usize,
    pub last: usize,
    next: Vec<usize>,
    uses: Set,
    kills: Set,
    pub live_in: Set,
    pub live_out: Set,
}

/// Finds what is live in the blocks of `graph`. `number`: which of `count` registers a register is, if it is of
/// interest; `seen`: whether an operation counts.
pub(super) fn find(
    ir: &Ir,
    graph: Vec<graph::Block>,
    count: usize,
    number: impl Fn(Reg) -> Option<u32>,
    seen: impl Fn(usize) -> bool,
) -> Vec<Block> {
    let mut found = Vec::with_capacity(graph.len());
    for graph::Block { first, last, next } in graph {
        let (mut uses, mut kills) = (Set::new(count), Set::new(count));
        for node in (first..=last).filter(|&at| seen(at)).map(|at| &ir.nodes[at]) {
            for n in node.sources().chain(node.guard.map(|(p, _)| p)).filter_map(&number) {
                if !kills.has(n) {
                    uses.insert(n);
                }
            }
            for n in node.d.iter().filter_map(|&d| number(d)) {
                // Lanes that a guard excludes keep the old value.
                if node.guard.is_none() {
                    kills.insert(n);
                } else if !kills.has(n) {
                    uses.insert(n);
                }
            }
        }
        let (live_in, live_out) = (Set::new(count), Set::new(count));
        found.push(Block { first, last, next, uses, kills, live_in, live_out });
    }
    flow(&mut found);
    found
}

fn flow(blocks: &mut [Block]) {
    let mut changed = true;
    while changed {
        changed = false;
        for b in (0..blocks.len()).rev() {
            let mut out = blocks[b].live_out.clone();
            for &next in &blocks[b].next {
                for (word, more) in out.0.iter_mut().zip(&blocks[next].live_in.0) {
                    *word |= more;
                }
            }
            let block = &mut blocks[b];
            let input: Vec<u64> =
                out.0.iter().zip(&block.kills.0).zip(&block.uses.0).map(|((o, k), u)| (o & !k) | u).collect();
            if out != block.live_out || input != block.live_in.0 {
                changed = true;
                block.live_out = out;
                block.live_in = Set(input);
            }
        }
    }
}
