//! `mov`, `cvta`, `isspacep`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::ScalarInit;
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::map::{exec, hot1, hot2, op1, op2};
use crate::vm::memory::{LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW};
use crate::vm::{bits, predicate};

impl<'a> Lower<'a> {
    pub fn mov(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(ty) = m.ty() else { return Err(invalid("`mov` has no type")) };
        self.operands(i, 2..=2)?;
        if ty == Type::B128 {
            return self.mov_wide(i);
        }
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

    /// `mov.b128`: a register, or its halves.
    fn mov_wide(&mut self, i: &'a Instruction) -> Result<()> {
        let sources = match &i.operands[1] {
            Operand::Vector(parts) if parts.len() == 2 => {
                [self.source(&parts[0], Type::B64)?, self.source(&parts[1], Type::B64)?]
            }
            other => self.wide_halves(other, false).map_err(|p| p.at(1))?.map(Src::Reg),
        };
        let to = match &i.operands[0] {
            Operand::Vector(parts) if parts.len() == 2 => {
                [self.destination(&parts[0], Type::B64)?, self.destination(&parts[1], Type::B64)?]
            }
            other => self.wide_halves(other, true).map_err(|p| p.at(0))?,
        };
        // Through temporaries: what is written first may be read second.
        let through = [self.temp(Class::Double), self.temp(Class::Double)];
        for (t, source) in through.into_iter().zip(sources) {
            self.copy_register(t, source);
        }
        for (d, t) in to.into_iter().zip(through) {
            self.copy_register(d, Src::Reg(t));
        }
        Ok(())
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
        let spaces = ["global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"];
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
        // A block that is in no cluster is one of its own.
        let spaces = ["global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"];
        let Some(name) = m.one_of(&spaces) else { return Err(invalid("`isspacep` needs a state space")) };
        let space = if name == "shared::cluster" { Some(Space::Shared) } else { Space::from_name(name) };
        self.operands(i, 2..=2)?;
        let d = self.dst(i, 0, Type::Pred)?;
        let a = self.src(i, 1, Type::U64)?;
        let window = match space {
            Some(Space::Shared) => SHARED_WINDOW,
            Some(Space::Local) => LOCAL_WINDOW,
            Some(Space::Param) => PARAM_WINDOW,
            Some(Space::Const) => {
                let (p, _) = self.constant_space(a);
                self.logic(predicate::COPY, d, p, p);
                return Ok(());
            }
            _ => 0,
        };
        let top = self.temp(class(Type::U64));
        let by = self.constant(56);
        self.map(hot2::<crate::vm::integer::Shr<u64>>(), top, &[a, by]);
        if window != 0 {
            let window = self.constant(window >> 56);
            self.map(predicate::setp::<predicate::Eq<u64>>(), d, &[Src::Reg(top), window]);
            return Ok(());
        }
        // Global is what no other space has.
        let bound = self.constant(PARAM_WINDOW >> 56);
        let (constant, any) = self.constant_space(a);
        if !any {
            self.map(predicate::setp::<predicate::Lt<u64>>(), d, &[Src::Reg(top), bound]);
            return Ok(());
        }
        let (low, not) = (self.temp(Class::Pred), self.temp(Class::Pred));
        self.map(predicate::setp::<predicate::Lt<u64>>(), low, &[Src::Reg(top), bound]);
        self.logic(predicate::NOT, not, constant, constant);
        self.logic(predicate::AND, d, Src::Reg(low), Src::Reg(not));
        Ok(())
    }

    /// Whether an address lies in one of the module's `.const` variables, and whether it has any.
    fn constant_space(&mut self, address: Src) -> (Src, bool) {
        let mut found = self.temp(Class::Pred);
        self.push(Form::Fields(exec::<predicate::Constant>()), &[found], &[], 0);
        let mut any = false;
        for n in 0..self.module.variables.len() {
            let variable = &self.module.variables[n];
            let (Space::Const, Some(Some(place))) = (variable.space, self.places.get(n)) else { continue };
            any = true;
            let (start, size) = (self.scalar(ScalarInit::Global(*place, 0)), self.constant(variable.size));
            let at = self.temp(Class::Double);
            self.map(hot2::<crate::vm::integer::Sub<u64>>(), at, &[address, start]);
            let (inside, either) = (self.temp(Class::Pred), self.temp(Class::Pred));
            self.map(predicate::setp::<predicate::Lt<u64>>(), inside, &[Src::Reg(at), size]);
            self.logic(predicate::OR, either, Src::Reg(found), Src::Reg(inside));
            found = either;
        }
        (Src::Reg(found), any)
    }

    /// `createpolicy`: what a cache should keep. Nothing here has one, so that any value will do.
    pub fn create_policy(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(kind) = m.one_of(&["fractional", "range", "cvt"]) else {
            return Err(invalid("`createpolicy` needs `.fractional`, `.range` or `.cvt`"));
        };
        for word in ["global", "L2", "L2::evict_last", "L2::evict_first", "L2::evict_normal", "L2::evict_unchanged"] {
            m.take(word);
        }
        if m.ty() != Some(Type::B64) {
            return Err(invalid("`createpolicy` makes a `.b64`"));
        }
        let counts = match kind {
            "fractional" => 1..=2,
            "range" => 4..=4,
            _ => 2..=2,
        };
        self.operands(i, counts)?;
        match kind {
            "fractional" if i.operands.len() == 2 => drop(self.src(i, 1, Type::F32)?),
            "range" => {
                self.address(i, 1, Space::Generic)?;
                self.src(i, 2, Type::U32)?;
                self.src(i, 3, Type::U32)?;
            }
            "cvt" => drop(self.src(i, 1, Type::B64)?),
            _ => {}
        }
        let d = self.dst(i, 0, Type::B64)?;
        let policy = self.constant(1);
        self.copy_register(d, policy);
        Ok(())
    }
}
