//! What a routine that calls keeps on the stack: the registers of its own that it reads behind the call.

use std::collections::{HashMap, HashSet};

use super::{ALIGN, Routine};
use crate::decode::ir::{Class, Form, Reg, Src};
use crate::decode::lower::{Lower, Result, place};
use crate::decode::{graph, liveness};
use crate::ptx::Type;
use crate::vm::predicate::{self, select};

/// A call of a routine.
pub(super) struct Call {
    /// The operation that goes to the routine; the label that its end comes back to is behind it.
    pub jump: usize,
    /// The operations that move the top of the stack by what is saved.
    pub moves: [usize; 2],
    /// What a routine that calls saves of its own.
    pub saves: Vec<Save>,
}

/// A register that a call saves.
pub(super) struct Save {
    register: Reg,
    /// The operations that write it to the stack and read it back: `imm` of the last of the former and of the first
    /// of the latter is its place.
    out: std::ops::Range<usize>,
    back: std::ops::Range<usize>,
}

impl Lower<'_> {
    /// Puts on the stack what a routine that calls has in registers: the callee may be, or call, the same routine.
    pub(super) fn save_own(&mut self, top: Reg) -> Result<Vec<Save>> {
        let Some(current) = self.routines.current else { return Ok(Vec::new()) };
        let of = |routine: &Routine| routine.registers..routine.link + 1;
        let all = &self.routines.all;
        let others: Vec<_> = all.iter().enumerate().filter(|(n, _)| *n != current).map(|(_, r)| of(r)).collect();
        let own = of(&all[current]).chain(self.routines.first..self.ir.classes.len() as Reg);
        let fixed: HashSet<Reg> = self.ir.inputs.iter().map(|(r, _)| *r).chain([top]).collect();
        let own: Vec<Reg> =
            own.filter(|r| !fixed.contains(r) && !others.iter().any(|other| other.contains(r))).collect();
        let (one, zero) = (self.constant(1), self.constant(0));
        let mut saves = Vec::new();
        for register in own {
            let begin = self.ir.nodes.len();
            let (ty, value) = match self.class_of(register) {
                Class::Double => (Type::B64, register),
                Class::Word => (Type::B32, register),
                Class::Pred => {
                    let word = self.temp(Class::Word);
                    let chosen = [one, zero, Src::Reg(register)];
                    self.push(Form::Map(select::<u32>()), &[word], &chosen, 0).traits.selects = true;
                    (Type::B32, word)
                }
            };
            self.store_local(ty, Src::Reg(top), value)?;
            saves.push(Save { register, out: begin..self.ir.nodes.len(), back: 0..0 });
        }
        Ok(saves)
    }

    pub(super) fn restore_own(&mut self, top: Reg, saves: &mut [Save]) -> Result<()> {
        let zero = self.constant(0);
        for save in saves {
            let begin = self.ir.nodes.len();
            let class = self.class_of(save.register);
            let value = self.load_local(if class == Class::Double { Type::B64 } else { Type::B32 }, Src::Reg(top))?;
            match class {
                Class::Pred => {
                    self.map(predicate::setp::<predicate::Ne<u32>>(), save.register, &[Src::Reg(value), zero]);
                }
                _ => self.ir.nodes[begin].d = vec![save.register],
            }
            save.back = begin..self.ir.nodes.len();
        }
        Ok(())
    }

    /// Leaves of what calls save what is read after them, and gives it its place.
    pub(super) fn settle_saves(&mut self) {
        let calls = std::mem::take(&mut self.routines.calls);
        let mut hidden = vec![false; self.ir.nodes.len()];
        for Call { jump, moves: [up, _], saves, .. } in &calls {
            let around = saves.iter().flat_map(|save| save.out.clone().chain(save.back.clone()));
            around.chain(*up..*jump).for_each(|at| hidden[at] = true);
        }
        // What a routine needs behind a call is told from its own ways: those that lead through the callee count
        // as none, and so does what saves, hands over and restores: a register of its own that is an argument of the
        // callee's comes back. At its end it needs what its callers read then.
        for Routine { function, registers, base, end, .. } in &self.routines.all {
            let results = function.returns.iter().filter_map(|param| param.register);
            self.ir.nodes[*end].s.extend(results.map(|r| registers + r).chain([*base]).map(Src::Reg));
        }
        let jumps: HashSet<usize> = calls.iter().map(|call| call.jump).collect();
        let ends: HashSet<usize> = self.routines.all.iter().map(|routine| routine.end).collect();
        let mut graph = graph::blocks(&self.ir);
        for (b, block) in graph.iter_mut().enumerate() {
            if jumps.contains(&block.last) {
                block.next = vec![b + 1];
            } else if ends.contains(&block.last) {
                block.next.clear();
            }
        }
        let count = self.ir.classes.len();
        let live = liveness::find(&self.ir, graph, count, Some, |at| !hidden[at]);
        ends.into_iter().for_each(|end| self.ir.nodes[end].s.truncate(1));
        let live: HashMap<usize, _> = live.into_iter().map(|block| (block.first, block.live_in)).collect();
        for Call { jump, moves, saves } in calls {
            let mut size = 0;
            for Save { register, out, back } in saves {
                if !live.get(&(jump + 1)).is_some_and(|live| live.has(register)) {
                    for at in out.chain(back) {
                        let node = &mut self.ir.nodes[at];
                        (node.form, node.d, node.s) = (Form::Gone, Vec::new(), Vec::new());
                    }
                    continue;
                }
                let bytes = if self.ir.classes[register as usize] == Class::Double { 8 } else { 4 };
                let at = place(&mut size, bytes, bytes);
                self.ir.nodes[out.end - 1].imm = at;
                self.ir.nodes[back.start].imm = at;
            }
            let size = self.constant(size.next_multiple_of(ALIGN));
            moves.into_iter().for_each(|at| self.ir.nodes[at].s[1] = size);
        }
    }
}
