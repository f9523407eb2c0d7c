//! Which functions may call themselves.

use std::collections::HashSet;

use crate::decode::builtin::called;
use crate::decode::lower::Lower;
use crate::ptx::Function;

impl<'a> Lower<'a> {
    /// Whether a function may call itself.
    pub fn is_recursive(&mut self, function: &'a Function) -> bool {
        let Some((index, _)) = self.module.function(&function.name) else { return false };
        if let Some(&known) = self.routines.recursive.get(&index) {
            return known;
        }
        let (mut seen, mut open) = (HashSet::new(), vec![index]);
        let mut found = false;
        while let (false, Some(next)) = (found, open.pop()) {
            for callee in self.callees(next) {
                found |= callee == index;
                if seen.insert(callee) {
                    open.push(callee);
                }
            }
        }
        self.routines.recursive.insert(index, found);
        found
    }

    /// The functions of the module that a function may call.
    fn callees(&mut self, index: u32) -> Vec<u32> {
        if let Some(known) = self.routines.callees.get(&index) {
            return known.clone();
        }
        let module = self.module;
        let function = &module.functions[index as usize];
        let mut found = Vec::new();
        for statement in function.body.iter().filter(|statement| statement.instruction.opcode == "call") {
            found.extend(match called(&statement.instruction) {
                (Some(name), _) => {
                    module.function(name).filter(|(_, f)| f.defined).map(|(n, _)| n).into_iter().collect()
                }
                (None, Some(n)) => match function.prototypes.get(n as usize) {
                    Some((_, signature)) => self.targets(signature),
                    None => Vec::new(),
                },
                (None, None) => Vec::new(),
            });
        }
        found.sort_unstable();
        found.dedup();
        self.routines.callees.insert(index, found.clone());
        found
    }
}
