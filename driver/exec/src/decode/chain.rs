//! Fused multiply-adds, each of which adds to the one before, become one operation.
//!
//! A dot product is such a chain. Executed as one operation, the sum stays in the host's registers from
//! link to link, and only the last one is written; two chains whose factors are in part the same, as those of
//! an outer product are, become one operation too. The bits are those of the single instructions: the same
//! roundings in the same order, and a NaN that somebody may see is canonical. One that only meets
//! arithmetic, which makes a canonical NaN of any, is left as the host makes it.

use super::graph::{Block, blocks};
use super::ir::{Class, Form, Ir, Node, Reg, Role, Src};

/// Links of a chain, and operations from its first to its last, at most: the factors have to be kept for as
/// long.
const MOST_LINKS: usize = 8;
const MOST_APART: usize = 48;
/// Operations from the end of a chain to that of the next, at most, so that the two can be one.
const CLOSE: usize = 4;

/// Makes chains of the kernel's fused multiply-adds.
pub(super) fn join(ir: &mut Ir) {
    // Registers that products of `wgmma` hold are asked about one by one.
    let products = ir.nodes.iter().any(|node| matches!(node.traits.role, Role::Product { .. }));
    if products || !ir.nodes.iter().any(|node| node.traits.fused) {
        return;
    }
    let (seen, once) = (seen(ir), once(ir));
    for block in blocks(ir) {
        let mut chains = Search::of(ir, &block, &once).into_iter().peekable();
        while let Some(chain) = chains.next() {
            let pair = chains.peek().and_then(|next| shared(ir, &chain, next));
            match pair.zip(chains.next_if(|_| pair.is_some())) {
                Some((_, other)) => replace(ir, &[chain, other], &seen),
                None => replace(ir, &[chain], &seen),
            }
        }
    }
}

/// By register: something tells one NaN in it from another.
fn seen(ir: &Ir) -> Vec<bool> {
    let mut seen = vec![false; ir.classes.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for node in &ir.nodes {
            let hands_on = match node.d[..] {
                [d] if node.traits.copies || node.traits.selects => Some(d),
                _ => None,
            };
            if node.traits.blind || hands_on.is_some_and(|d| !seen[d as usize]) {
                continue;
            }
            for s in &node.s {
                if let Src::Reg(r) = s {
                    changed |= !std::mem::replace(&mut seen[*r as usize], true);
                }
            }
        }
    }
    seen
}

/// By register: it has one definition and one use.
fn once(ir: &Ir) -> Vec<bool> {
    let mut uses = vec![0u32; ir.classes.len()];
    for node in &ir.nodes {
        for r in node.sources().chain(node.guard.map(|(p, _)| p)) {
            uses[r as usize] += 1;
        }
    }
    ir.definitions().into_iter().zip(uses).map(|count| count == (1, 1)).collect()
}

/// Whether operations that only compute may move over it: no lane waits there, or goes another way.
fn quiet(node: &Node) -> bool {
    matches!(
        node.form,
        Form::Map(_)
            | Form::Chain
            | Form::Gone
            | Form::Fields(_)
            | Form::Load(_)
            | Form::LoadVector(_)
            | Form::Store(_)
            | Form::StoreVector(_)
            | Form::Label(_)
    )
}

/// Places of the operations that become one, in order.
type Chain = Vec<usize>;

struct Search<'a> {
    ir: &'a Ir,
    /// Chains that may go on, by the register with the sum so far.
    open: Vec<(Reg, Chain)>,
    found: Vec<Chain>,
}

impl<'a> Search<'a> {
    fn of(ir: &'a Ir, block: &Block, once: &[bool]) -> Vec<Chain> {
        let mut search = Self { ir, open: Vec::new(), found: Vec::new() };
        for at in block.first..=block.last {
            search.pass(at, once);
        }
        search.close(|_, _| true);
        search.found.sort_unstable_by_key(|chain| chain.last().copied());
        search.found
    }

    /// Ends the open chains that `ends` names.
    fn close(&mut self, ends: impl Fn(Reg, &Chain) -> bool) {
        let found = &mut self.found;
        self.open.retain_mut(|(tail, chain)| {
            let over = ends(*tail, chain);
            if over {
                found.push(std::mem::take(chain));
            }
            !over
        });
    }

    fn pass(&mut self, at: usize, once: &[bool]) {
        let ir = self.ir;
        let node = &ir.nodes[at];
        if !quiet(node) {
            self.close(|_, _| true);
            return;
        }
        self.close(|_, chain| at - chain[0] >= MOST_APART);
        let mut mine = None;
        if let (true, None, &[d], [a, b, Src::Reg(c)]) = (node.traits.fused, node.guard, &node.d[..], &node.s[..]) {
            let c = *c;
            let factor = [*a, *b].contains(&Src::Reg(c));
            // Nobody else may want the sum so far.
            let taken = !factor && (d == c || once[c as usize]);
            if taken && let Some(n) = self.open.iter().position(|&(tail, _)| tail == c) {
                mine = Some(self.open.swap_remove(n).1);
            }
        }
        // A register that is read has to be written before; one that is written is not what a later link means.
        let reads: Vec<Reg> = node.sources().collect();
        self.close(|tail, _| reads.contains(&tail));
        let writes = |chain: &Chain| {
            let named = |link: &usize| ir.nodes[*link].sources().any(|r| node.d.contains(&r));
            chain.iter().any(named)
        };
        self.close(|tail, chain| node.d.contains(&tail) || writes(chain));
        if node.traits.fused
            && node.guard.is_none()
            && let [d] = node.d[..]
        {
            let mut chain = mine.unwrap_or_default();
            chain.push(at);
            if chain.len() == MOST_LINKS {
                self.found.push(chain);
            } else {
                self.open.push((d, chain));
            }
        }
    }
}

/// Whether the first chain can end where the second does, and all their links have a factor in common.
fn shared(ir: &Ir, first: &Chain, second: &Chain) -> Option<()> {
    let (&[.., last], &[.., end]) = (&first[..], &second[..]) else { return None };
    let (&[d], &[other]) = (&ir.nodes[last].d[..], &ir.nodes[end].d[..]) else { return None };
    if first.len() != second.len() || end - last > CLOSE || d == other {
        return None;
    }
    first.iter().zip(second).try_for_each(|(&a, &b)| factors(&ir.nodes[a], &ir.nodes[b]).map(|_| ()))?;
    // In between and by the second chain, what the first makes is not asked for, nor does anything change what it
    // takes.
    let reads = |at: usize| ir.nodes[at].sources().any(|r| r == d);
    let takes = |r: Reg| first.iter().any(|&link| ir.nodes[link].sources().any(|s| s == r));
    let between = (last + 1..end).filter(|at| !second.contains(at));
    for at in between {
        let node = &ir.nodes[at];
        if !quiet(node) || reads(at) || node.d.iter().any(|&r| r == d || takes(r)) {
            return None;
        }
    }
    (!second.iter().any(|&link| reads(link))).then_some(())
}

/// The factor that two links have in common, and the others.
fn factors(first: &Node, second: &Node) -> Option<[Src; 3]> {
    let (&[a, b, _], &[x, y, _]) = (&first.s[..], &second.s[..]) else { return None };
    [(a, b, x, y), (a, b, y, x), (b, a, x, y), (b, a, y, x)]
        .into_iter()
        .find_map(|(one, rest, same, other)| (one == same).then_some([one, rest, other]))
}

/// Puts chains, one or two with factors in common, in the place of the last operation.
fn replace(ir: &mut Ir, chains: &[Chain], seen: &[bool]) {
    let Some(&place) = chains.last().and_then(|chain| chain.last()) else { return };
    let ends = chains.iter().filter_map(|chain| ir.nodes[*chain.last()?].d.first().copied());
    let d: Vec<Reg> = ends.collect();
    if let ([chain], [d]) = (chains, &d[..])
        && chain.len() == 1
        && seen[*d as usize]
    {
        return;
    }
    debug_assert!(d.iter().all(|&d| ir.classes[d as usize] == Class::Word));
    let mut s: Vec<Src> = chains.iter().map(|chain| ir.nodes[chain[0]].s[2]).collect();
    for n in 0..chains[0].len() {
        match chains {
            [one] => s.extend_from_slice(&ir.nodes[one[n]].s[..2]),
            [one, two, ..] => s.extend(factors(&ir.nodes[one[n]], &ir.nodes[two[n]]).into_iter().flatten()),
            [] => {}
        }
    }
    for &link in chains.iter().flatten() {
        let node = &mut ir.nodes[link];
        (node.form, node.d, node.s) = (Form::Gone, Vec::new(), Vec::new());
    }
    let bits = d.iter().enumerate().map(|(n, &d)| u64::from(seen[d as usize]) << n).sum();
    let node = &mut ir.nodes[place];
    (node.form, node.d, node.s, node.imm) = (Form::Chain, d, s, bits);
}
