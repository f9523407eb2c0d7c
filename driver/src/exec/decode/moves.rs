//! `mov`, `cvta`, `isspacep`.

use super::ir::{Class, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::exec::vm::map::{hot1, hot2, op1, op2};
use crate::exec::vm::memory::{LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW};
use crate::exec::vm::{bits, predicate};
use crate::ptx::{Instruction, Operand, Space, Type};

impl<'a> Lower<'a> {
    pub fn mov(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(ty) = m.ty() else { return Err(invalid("`mov` has no type")) };
        self.operands(i, 2..=2)?;
        match (&i.operands[0], &i.operands[1]) {
            (Operand::Vector(parts), source) => self.unpack(parts, source, ty),
            (_, Operand::Vector(parts)) => {
                let d = self.dst(i, 0, ty)?;
                self.pack(d, parts, ty)
            }
            (_, source) if ty == Type::Pred => {
                let p = self.plain_predicate(source).map_err(|p| p.at(1))?;
                let d = self.dst(i, 0, ty)?;
                self.logic(predicate::COPY, d, p, p);
                Ok(())
            }
            _ => {
                let a = self.src(i, 1, ty)?;
                let d = self.dst(i, 0, ty)?;
                self.copy_register(d, a);
                Ok(())
            }
        }
    }

    fn pack(&mut self, d: u32, parts: &[Operand], ty: Type) -> Result<()> {
        match (ty.size(), parts.len()) {
            (4, 2) => {
                let (a, b) = (self.source(&parts[0], Type::B16)?, self.source(&parts[1], Type::B16)?);
                self.map(hot2::<bits::Pack16>(), d, &[a, b]);
            }
            (8, 2) => {
                let (a, b) = (self.source(&parts[0], Type::B32)?, self.source(&parts[1], Type::B32)?);
                self.map(hot2::<bits::Pack32>(), d, &[a, b]);
            }
            (8, 4) => {
                let s = [0, 1, 2, 3].map(|n| self.source(&parts[n], Type::B16));
                let [a, b, c, e] = s;
                let (low, high) = (self.temp(Class::Word), self.temp(Class::Word));
                self.map(hot2::<bits::Pack16>(), low, &[a?, b?]);
                self.map(hot2::<bits::Pack16>(), high, &[c?, e?]);
                self.map(hot2::<bits::Pack32>(), d, &[Src::Reg(low), Src::Reg(high)]);
            }
            (4, 4) => {
                // Through a temporary: the destination may be one of the sources.
                let mut word = self.source(&parts[0], Type::B8)?;
                let first = self.temp(Class::Word);
                let mask = self.constant(0xff);
                self.map(hot2::<bits::And32>(), first, &[word, mask]);
                word = Src::Reg(first);
                for (n, part) in parts.iter().enumerate().skip(1) {
                    let byte = self.source(part, Type::B8)?;
                    let next = if n == 3 { d } else { self.temp(Class::Word) };
                    self.map_mode(op2::<bits::Pack8>(), next, &[word, byte], 8 * n as u32);
                    word = Src::Reg(next);
                }
            }
            _ => return Err(unsupported(format!("`mov{ty}` from {} parts is not executed", parts.len()))),
        }
        Ok(())
    }

    fn unpack(&mut self, parts: &[Operand], source: &Operand, ty: Type) -> Result<()> {
        let a = self.source(source, ty)?;
        let part = match (ty.size(), parts.len()) {
            (4, 2) | (8, 4) => Type::B16,
            (8, 2) => Type::B32,
            (4, 4) => Type::B8,
            _ => return Err(unsupported(format!("`mov{ty}` to {} parts is not executed", parts.len()))),
        };
        // All parts are read before the first is written: the source may be among them.
        let mut writes = Vec::new();
        for (n, operand) in parts.iter().enumerate() {
            if *operand == Operand::Sink {
                continue;
            }
            let d = self.destination(operand, part)?;
            let t = if Src::Reg(d) == a { self.temp(Class::Word) } else { d };
            if t != d {
                writes.push((d, t));
            }
            match (ty.size(), parts.len(), n) {
                (4, 2, 0) => self.map(hot1::<bits::Low16>(), t, &[a]),
                (4, 2, _) => self.map(hot1::<bits::High16>(), t, &[a]),
                (8, 2, 0) => self.map(hot1::<bits::Low32>(), t, &[a]),
                (8, 2, _) => self.map(hot1::<bits::High32>(), t, &[a]),
                (8, ..) => self.map_mode(op1::<bits::Part64>(), t, &[a], 16 * n as u32),
                _ => self.map_mode(op1::<bits::Part32>(), t, &[a], 8 * n as u32),
            }
        }
        for (d, t) in writes {
            self.copy_register(d, Src::Reg(t));
        }
        Ok(())
    }

    pub fn cvta(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let to = m.take("to");
        let spaces = ["global", "const", "shared", "shared::cta", "local", "param", "param::entry"];
        let Some(space) = m.one_of(&spaces).and_then(Space::from_name) else {
            return Err(invalid("`cvta` needs a state space"));
        };
        let Some(ty) = m.ty().filter(|t| t.size() == 8) else { return Err(invalid("`cvta` takes `.u64`")) };
        self.operands(i, 2..=2)?;
        let (a, found) = match &i.operands[1] {
            Operand::Var(var, offset) => {
                let (found, a) = self.address_of(*var, *offset)?;
                (a, found)
            }
            _ => (self.src(i, 1, ty)?, space),
        };
        let d = self.dst(i, 0, ty)?;
        let window = match found {
            Space::Shared => SHARED_WINDOW,
            Space::Local => LOCAL_WINDOW,
            Space::Param => PARAM_WINDOW,
            _ => {
                self.copy_register(d, a);
                return Ok(());
            }
        };
        if to {
            let mask = self.constant(!(0xff << 56));
            self.map(hot2::<bits::And64>(), d, &[a, mask]);
        } else {
            let window = self.constant(window);
            self.map(hot2::<bits::Or64>(), d, &[a, window]);
        }
        Ok(())
    }

    pub fn isspacep(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let spaces = ["global", "const", "shared", "shared::cta", "local", "param", "param::entry"];
        let Some(space) = m.one_of(&spaces).and_then(Space::from_name) else {
            return Err(invalid("`isspacep` needs a state space"));
        };
        self.operands(i, 2..=2)?;
        let d = self.dst(i, 0, Type::Pred)?;
        let a = self.src(i, 1, Type::U64)?;
        let window = match space {
            Space::Shared => SHARED_WINDOW,
            Space::Local => LOCAL_WINDOW,
            Space::Param => PARAM_WINDOW,
            Space::Const => return Err(unsupported("`isspacep.const` is not executed")),
            _ => 0,
        };
        let top = self.temp(class(Type::U64));
        let by = self.constant(56);
        self.map(hot2::<crate::exec::vm::integer::Shr<u64>>(), top, &[a, by]);
        let op = if window == 0 {
            crate::exec::vm::predicate::setp::<predicate::Lt<u64>>()
        } else {
            crate::exec::vm::predicate::setp::<predicate::Eq<u64>>()
        };
        let bound = self.constant(if window == 0 { PARAM_WINDOW >> 56 } else { window >> 56 });
        self.map(op, d, &[Src::Reg(top), bound]);
        Ok(())
    }
}
