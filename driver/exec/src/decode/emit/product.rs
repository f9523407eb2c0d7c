//! Chains of fused multiply-adds → instructions.

use super::Emitter;
use crate::decode::ir::Node;
use crate::slot::SCALAR;
use crate::vm::chain::{self, Links};

/// Chains that are executed by one instruction, by their slots.
pub(super) struct Product {
    pub d: Vec<u32>,
    pub addends: Vec<u32>,
    /// The factor that the chains share, or the scalar of one, and the others.
    pub links: Vec<Vec<u32>>,
    kind: Links,
    /// A bit for each destination: the bits of a NaN are seen.
    pub seen: u64,
}

impl Product {
    /// A scalar times vectors.
    pub fn scaled(&self) -> bool {
        self.kind == Links::Scaled
    }

    pub fn sources(&self) -> impl Iterator<Item = u32> {
        self.addends.iter().chain(self.links.iter().flatten()).copied()
    }
}

impl Emitter<'_> {
    /// The chains of an operation, as they are executed: two at once, where that is of use, or each by itself.
    pub(super) fn products(&self, node: &Node) -> Vec<Product> {
        let d: Vec<u32> = node.d.iter().map(|&d| self.register(d)).collect();
        let s: Vec<u32> = node.s.iter().map(|&s| self.src(s)).collect();
        let (addends, factors) = s.split_at(d.len());
        let links: Vec<Vec<u32>> = factors.chunks_exact(d.len() + 1).map(<[u32]>::to_vec).collect();
        if d.len() == 2 {
            let kind = chain::links(&d, &links);
            // The first destination may have taken the place of a factor that the second still needs.
            let apart = addends[1] != d[0] && !links.iter().any(|link| link[0] == d[0] || link[2] == d[0]);
            if kind != Links::Any || !apart {
                return vec![Product { d, addends: addends.to_vec(), links, kind, seen: node.imm }];
            }
        }
        let one = |link: &Vec<u32>, n: usize| {
            // A scalar comes first; the factors of one product are alike.
            let [a, b] = [link[0], link[n + 1]];
            if b & SCALAR != 0 { vec![b, a] } else { vec![a, b] }
        };
        let single = |(n, &d): (usize, &u32)| {
            let links: Vec<Vec<u32>> = links.iter().map(|link| one(link, n)).collect();
            let kind = chain::links(&[d], &links);
            Product { d: vec![d], addends: vec![addends[n]], links, kind, seen: node.imm >> n & 1 }
        };
        d.iter().enumerate().map(single).collect()
    }

    pub(super) fn product(&mut self, node: &Node, product: &Product) {
        let Product { d, addends, links, kind, seen } = product;
        let factors = links.iter().flatten().copied();
        let second = d[1..].iter().chain(&addends[1..]).copied();
        let list = self.list(second.chain(factors));
        let handlers = if d.len() == 2 { chain::pair(*kind) } else { chain::single(*kind) };
        self.put(node, handlers, [d[0], addends[0], list, links.len() as u32], *seen);
    }
}
