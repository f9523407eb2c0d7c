//! Values that all lanes share.
//!
//! Two kinds of register hold one value for the whole warp. *Constant* ones have a single
//! definition by a pure operation on constants of the launch, so that it does not matter which
//! lanes execute it, or when. *Convergent* ones are only defined where all live lanes run
//! together, from operands that are uniform there. The second kind needs lanes to wait for each
//! other where their ways meet: [`Uniform::meetings`] says before which blocks. Where lanes
//! seem to spin until another lane moves on, that wait would end only by
//! [`Parting`](crate::parting::Parting), so that such a kernel has only constant ones.

use super::graph::{Block, blocks, meeting_points};
use super::ir::{Class, Form, Ir, Node, Src};
use crate::code::{ScalarInit, VectorInit};

/// Blocks of a kernel beyond which the analysis is not worth its time.
const MAX_BLOCKS: usize = 20_000;

/// What is known about a kernel's registers.
pub(super) struct Uniform {
    /// By register: one value for the warp.
    pub registers: Vec<bool>,
    /// First nodes of blocks where diverged lanes wait for each other.
    pub meetings: Vec<usize>,
    /// Relies on warps that lie along x.
    pub needs_rows: bool,
}

/// The constant registers.
fn constants(ir: &Ir, definitions: &[u32]) -> Vec<bool> {
    let mut constant = vec![false; ir.classes.len()];
    // Definitions come before uses in all but loops, where a register has more than one.
    for node in &ir.nodes {
        let pure = match node.form {
            Form::Map(op) => op.pure,
            Form::Chain => true,
            Form::Load(_) => node.traits.constant,
            _ => false,
        };
        let [d] = node.d[..] else { continue };
        let single = definitions[d as usize] == 1 && node.guard.is_none();
        constant[d as usize] =
            pure && single && node.sources().all(|r| constant[r as usize]) && ir.classes[d as usize] != Class::Pred;
    }
    constant
}

/// Constant registers only: right for every kernel and every block.
pub(super) fn plain(ir: &Ir) -> Uniform {
    Uniform { registers: constants(ir, &ir.definitions()), meetings: vec![], needs_rows: false }
}

/// No register at all.
pub(super) fn none(ir: &Ir) -> Uniform {
    Uniform { registers: vec![false; ir.classes.len()], meetings: vec![], needs_rows: false }
}

/// All that can be found, or `None` if it is no more than [`plain`] finds.
pub(super) fn full(ir: &Ir) -> Option<Uniform> {
    let definitions = ir.definitions();
    let constant = constants(ir, &definitions);
    let blocks = blocks(ir);
    if blocks.len() > MAX_BLOCKS {
        return None;
    }
    let meet = meeting_points(&blocks);
    let mut analysis = Analysis {
        ir,
        constant: &constant,
        uniform: vec![true; ir.classes.len()],
        divergent: vec![false; blocks.len()],
    };
    analysis.inputs();
    let mut local = local_uses(ir, &blocks);
    // A second definition could run between definition and use, while lanes wait in between.
    local.iter_mut().zip(&definitions).for_each(|(local, &n)| *local &= n == 1);
    while analysis.registers(&blocks, &local) | analysis.branches(&blocks, &meet) {}
    if analysis.may_spin(&blocks) {
        return None;
    }
    let mut meetings = Vec::new();
    for (b, block) in blocks.iter().enumerate() {
        if analysis.divergent[b] {
            meetings.extend(block.next.iter().filter(|&&n| !analysis.divergent[n]).map(|&n| blocks[n].first));
        }
    }
    meetings.sort_unstable();
    meetings.dedup();
    // Predicates keep one bit a lane: they are as quick that way.
    let registers = analysis.uniform.iter().zip(&ir.classes).map(|(&u, &c)| u && c != Class::Pred).collect();
    let needs_rows = ir.inputs.iter().any(|(_, init)| matches!(init, VectorInit::Thread(_)));
    Some(Uniform { registers, meetings, needs_rows })
}

/// For each register: all its uses lie in the block of its definition, behind it.
fn local_uses(ir: &Ir, blocks: &[Block]) -> Vec<bool> {
    let mut home = vec![usize::MAX; ir.classes.len()];
    let mut local = vec![true; ir.classes.len()];
    for (b, block) in blocks.iter().enumerate() {
        for node in &ir.nodes[block.first..=block.last] {
            for r in node.sources().chain(node.guard.map(|(p, _)| p)) {
                local[r as usize] &= home[r as usize] == b;
            }
            for &d in &node.d {
                home[d as usize] = b;
            }
        }
    }
    local
}

struct Analysis<'a> {
    ir: &'a Ir,
    constant: &'a [bool],
    uniform: Vec<bool>,
    divergent: Vec<bool>,
}

impl Analysis<'_> {
    fn inputs(&mut self) {
        for &(r, init) in &self.ir.inputs {
            // With warps along x, y and z are the same for all lanes.
            self.uniform[r as usize] = matches!(init, VectorInit::Thread(1 | 2));
        }
    }

    /// `%tid.x` shifted right by at least the warp size.
    fn warp_number(&self, node: &Node) -> bool {
        let [Src::Reg(a), Src::Fixed(by)] = node.s[..] else { return false };
        let thread = self.ir.inputs.iter().any(|&(r, init)| r == a && init == VectorInit::Thread(0));
        thread && node.traits.shift_right && matches!(self.ir.scalars[by as usize], ScalarInit::Constant(5..=31))
    }

    /// Whether the operation gives all lanes one value when all run it together.
    fn gives_one(&self, node: &Node) -> bool {
        let operands = |n: &Node| n.sources().all(|r| self.uniform[r as usize]);
        match node.form {
            Form::Map(op) => op.pure && (operands(node) || self.warp_number(node)),
            Form::Chain => operands(node),
            Form::Load(_) | Form::LoadVector(_) => !node.traits.volatile && operands(node),
            Form::List(_) => node.traits.collective,
            _ => false,
        }
    }

    fn registers(&mut self, blocks: &[Block], local: &[bool]) -> bool {
        let mut changed = false;
        for (b, block) in blocks.iter().enumerate() {
            for node in &self.ir.nodes[block.first..=block.last] {
                let together = !self.divergent[b];
                let one = node.guard.is_none() && self.gives_one(node);
                for &d in &node.d {
                    // Among diverged lanes, a value computed and used within one block from
                    // uniform operands is still the same for all that compute it.
                    let pure = matches!(node.form, Form::Map(op) if op.pure) || matches!(node.form, Form::Chain);
                    let ok = self.constant[d as usize]
                        || (one
                            && (together || (pure && local[d as usize] && self.ir.classes[d as usize] != Class::Pred)));
                    if !ok && self.uniform[d as usize] {
                        self.uniform[d as usize] = false;
                        changed = true;
                    }
                }
            }
        }
        changed
    }

    /// Marks the blocks between each divergent branch and its meeting point.
    fn branches(&mut self, blocks: &[Block], meet: &[usize]) -> bool {
        let mut changed = false;
        for (b, block) in blocks.iter().enumerate() {
            let node = &self.ir.nodes[block.last];
            let splits = matches!(node.form, Form::Branch(..) | Form::Table(_))
                && node.sources().any(|r| !self.uniform[r as usize]);
            if !splits {
                continue;
            }
            let mut seen = vec![false; blocks.len()];
            let mut stack = block.next.clone();
            while let Some(n) = stack.pop() {
                if n == meet[b] || std::mem::replace(&mut seen[n], true) {
                    continue;
                }
                changed |= !std::mem::replace(&mut self.divergent[n], true);
                stack.extend(&blocks[n].next);
            }
        }
        changed
    }

    /// Whether a branch that may divide the lanes depends on what an atomic or a volatile load
    /// found: lanes may then wait for each other.
    fn may_spin(&self, blocks: &[Block]) -> bool {
        let mut tainted = vec![false; self.ir.classes.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for node in &self.ir.nodes {
                let source = node.traits.volatile || matches!(node.form, Form::Atomic(_) | Form::AtomicWide(..));
                if source || node.sources().any(|r| tainted[r as usize]) {
                    for &d in &node.d {
                        changed |= !std::mem::replace(&mut tainted[d as usize], true);
                    }
                }
            }
        }
        blocks.iter().any(|block| {
            let node = &self.ir.nodes[block.last];
            matches!(node.form, Form::Branch(..) | Form::Table(_))
                && node.sources().any(|r| tainted[r as usize] && !self.uniform[r as usize])
        })
    }
}
