//! Loads and products that stand together, done at once.
//!
//! A tile of scores is a run of loads of a few factors for the whole warp, each followed by chains that multiply
//! them with the same registers of the lanes. Such a run becomes a batch: first its loads, then its chains, and
//! before those that can go together an instruction that does them all and skips them. Where it cannot, it goes on
//! to them, so that faults, footprints and lanes apart are theirs alone.

use super::Emitter;
use super::product::Product;
use crate::code::HandlerSet;
use crate::decode::ir::{Form, Node};
use crate::isa::Isa;
use crate::program::Style;
use crate::slot::{SCALAR, UNIFORM_BYTES};
use crate::vm::batch;

/// Loads that one instruction does, at most.
const MOST_LOADS: usize = 16;

/// A run of operations that may change their order so that the loads come first.
#[derive(Default)]
struct Run<'a> {
    loads: Vec<Load<'a>>,
    products: Vec<(&'a Node, Product)>,
    /// The operation behind it.
    end: usize,
}

struct Load<'a> {
    node: &'a Node,
    together: HandlerSet,
    d: Vec<u32>,
    address: u32,
}

impl<'a> Run<'a> {
    /// Adds an operation, unless it has to stay where it is.
    fn take(&mut self, emitter: &Emitter<'a>, node: &'a Node) -> bool {
        match (node.form, node.guard) {
            (Form::Gone, _) => true,
            (Form::LoadVector(_), None) => self.load(emitter, node),
            (Form::Chain, None) => {
                let products = emitter.products(node);
                let scaled = products.iter().all(Product::scaled);
                if scaled {
                    self.products.extend(products.into_iter().map(|product| (node, product)));
                }
                scaled
            }
            _ => false,
        }
    }

    fn load(&mut self, emitter: &Emitter<'a>, node: &'a Node) -> bool {
        let (Some(together), 0) = (node.traits.together, node.traits.used_bytes) else { return false };
        let d: Vec<u32> = node.d.iter().map(|&d| emitter.register(d)).collect();
        let address = emitter.src(node.s[0]);
        let whole = address & SCALAR != 0 && d.iter().all(|d| d & SCALAR != 0);
        // Products in front of it are to find what was there before.
        let early = self.products.iter().any(|(_, product)| product.sources().any(|s| d.contains(&s)));
        if whole && !early {
            self.loads.push(Load { node, together, d, address });
        }
        whole && !early
    }

    /// Loads from one address that can go together: how many, from the first of `loads` on.
    fn together(loads: &[Load<'_>]) -> usize {
        let first = &loads[0];
        let count = loads.iter().take(MOST_LOADS).take_while(|load| load.address == first.address).count();
        // The address is the same until one of them writes it.
        let writes = loads[..count].iter().position(|load| load.d.contains(&first.address));
        writes.map_or(count, |writes| writes + 1)
    }
}

impl Emitter<'_> {
    /// Writes the batch that begins with the operation at `first`, if one does, up to the operation at `most`;
    /// gives the operation behind it.
    pub(super) fn batch(&mut self, first: usize, most: usize) -> Option<usize> {
        if self.isa != Isa::Avx512 || self.style != Style::Fast {
            return None;
        }
        let ir = self.ir;
        if !matches!(ir.nodes[first].form, Form::LoadVector(_) | Form::Chain) {
            return None;
        }
        let mut run = Run { end: first, ..Run::default() };
        while run.end < most.min(ir.nodes.len()) && run.take(self, &ir.nodes[run.end]) {
            run.end += 1;
        }
        if run.loads.len() + run.products.len() < 2 {
            return None;
        }
        // No lane stands inside of it, so that its operations may all begin where it does.
        (first + 1..run.end).for_each(|_| self.begins_here());
        self.count += ir.nodes[first + 1..run.end].iter().map(|node| u32::from(node.counted)).sum::<u32>();
        let mut loads = &run.loads[..];
        while !loads.is_empty() {
            let (now, rest) = loads.split_at(Run::together(loads));
            self.loads(now);
            loads = rest;
        }
        let mut products = &run.products[..];
        while !products.is_empty() {
            let (now, rest) = products.split_at(group(products));
            self.group(now);
            products = rest;
        }
        Some(run.end)
    }

    fn loads(&mut self, loads: &[Load<'_>]) {
        if let [first, _, ..] = loads {
            let in_order = |load: &Load<'_>| load.d.windows(2).all(|d| d[1] == d[0] + UNIFORM_BYTES);
            let packed = u64::from(loads.iter().all(in_order));
            self.put(first.node, first.together, [loads.len() as u32, first.address, 0, 0], packed);
        }
        loads.iter().for_each(|load| self.node(load.node));
    }

    fn group(&mut self, products: &[(&Node, Product)]) {
        let first = &products[0].1;
        if let Some(handlers) = batch::products(products.len(), first.d.len()) {
            let mut list: Vec<u32> = Vec::new();
            list.extend(products.iter().flat_map(|(_, product)| &product.d));
            list.extend(products.iter().flat_map(|(_, product)| &product.addends));
            for (n, link) in first.links.iter().enumerate() {
                list.extend(&link[1..]);
                list.extend(products.iter().map(|(_, product)| product.links[n][0]));
            }
            let seen = products.iter().rev().fold(0, |bits, (_, product)| bits << first.d.len() | product.seen);
            let list = self.list(list);
            let node = products[products.len() - 1].0;
            self.put(node, handlers, [0, 0, list, first.links.len() as u32], seen);
        }
        for (node, product) in products {
            self.product(node, product);
        }
    }
}

/// How many of `products`, from the first on, can be made at once: as many as there are handlers for.
fn group(products: &[(&Node, Product)]) -> usize {
    let first = &products[0].1;
    let vectors = |product: &Product| product.addends.iter().all(|addend| addend & SCALAR == 0);
    if !vectors(first) {
        return 1;
    }
    let mut count = 1;
    for (_, product) in products[1..].iter().take(batch::MOST - 1) {
        let alike = vectors(product)
            && product.d.len() == first.d.len()
            && product.links.len() == first.links.len()
            && product.links.iter().zip(&first.links).all(|(link, other)| link[1..] == other[1..]);
        // All of them read before any writes.
        let before = &products[..count];
        let apart = before.iter().all(|(_, earlier)| {
            earlier.d.iter().all(|d| !product.d.contains(d) && product.sources().all(|source| source != *d))
        });
        if !alike || !apart {
            break;
        }
        count += 1;
    }
    (1..=count).rev().find(|&count| batch::products(count, first.d.len()).is_some()).unwrap_or(1)
}
