//! Straight lines, branches and loops.

use super::{Gen, word};
use crate::kernelfuzz::ir::{Class, Stmt};
use crate::kernelfuzz::pieces;

impl Gen {
    pub(super) fn statements(&mut self, out: &mut Vec<Stmt>, depth: usize) {
        let most = if depth == 0 { self.budget } else { 1 + self.draw.below(5) };
        for _ in 0..most {
            if self.budget == 0 {
                break;
            }
            self.budget -= 1;
            match self.draw.below(100) {
                0..=9 if depth < 3 => self.branch(out, depth),
                10..=16 if depth < 3 => self.repeat(out, depth),
                17..=45 => out.push(pieces::any(self)),
                _ => out.push(self.piece(|g| g.operation(true))),
            }
        }
    }

    /// A branch, and before it what decides.
    fn branch(&mut self, out: &mut Vec<Stmt>, depth: usize) {
        let uniform = self.draw.chance(25);
        let mut guard = None;
        out.push(self.piece(|g| guard = Some(if uniform { g.uniform_predicate() } else { g.source_predicate() })));
        let Some(guard) = guard else { return };
        let context = (self.uniform, self.together);
        if !uniform {
            (self.uniform, self.together) = (false, false);
        }
        let then = self.scope(depth);
        let other = if self.draw.chance(50) { self.scope(depth) } else { Vec::new() };
        (self.uniform, self.together) = context;
        out.push(Stmt::If { guard, negated: self.draw.chance(50), then, other });
    }

    /// A loop, and before it how often it runs.
    fn repeat(&mut self, out: &mut Vec<Stmt>, depth: usize) {
        let uniform = self.draw.chance(40);
        let (trips, counter, again) = (self.fresh(Class::Word), self.fresh(Class::Word), self.fresh(Class::Pred));
        out.push(self.piece(|g| {
            if uniform {
                let times = 1 + g.draw.below(4);
                g.emit(format!("mov.b32 {trips}, {times};"));
            } else {
                let by = g.source(word());
                g.emit(format!("and.b32 {trips}, {by}, 3;"));
                g.emit(format!("add.u32 {trips}, {trips}, 1;"));
            }
            g.code.sets.push(trips);
        }));
        let context = (self.uniform, self.together);
        if !uniform {
            (self.uniform, self.together) = (false, false);
        }
        let body = self.scope(depth);
        (self.uniform, self.together) = context;
        out.push(Stmt::Loop { counter, trips, again, body });
    }

    /// Statements whose values end with them: what they leave is added to values outside.
    fn scope(&mut self, depth: usize) -> Vec<Stmt> {
        let outside = self.values.len();
        let mut body = Vec::new();
        self.statements(&mut body, depth + 1);
        let inside = self.values.split_off(outside);
        for value in inside {
            let class = value.var.class;
            let Some(to) = self.existing(class, None) else { continue };
            body.push(self.piece(|g| match class {
                Class::Pred => g.emit(format!("xor.pred {to}, {to}, {};", value.var)),
                class => {
                    let ty = ["", "u16", "u32", "u64"][class as usize];
                    g.emit(format!("add.{ty} {to}, {to}, {};", value.var));
                }
            }));
        }
        body
    }
}
