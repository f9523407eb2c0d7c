//! Warp-synchronous and matrix instructions.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::ScalarInit;
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::map::{Next, cold, step};
use crate::vm::matrix::{LoadMatrix, MoveMatrix, StoreMatrix};
use crate::vm::shuffle::shuffle;
use crate::vm::warp_ops as w;

impl<'a> Lower<'a> {
    pub fn warp(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let name = i.opcode;
        if name == "activemask" {
            m.ty();
            self.operands(i, 1..=1)?;
            let d = self.dst(i, 0, Type::B32)?;
            self.push(Form::Fields(cold::<Next<w::ActiveMask>>()), &[d], &[], 0);
            return Ok(());
        }
        if !m.take("sync") {
            return Err(unsupported(format!("`{name}` without `.sync` is not executed")));
        }
        match name {
            "shfl" => self.shuffle(i, m),
            "vote" => self.vote(i, m),
            "match" => self.matching(i, m),
            "redux" => self.redux(i, m),
            "elect" => {
                self.operands(i, 2..=2)?;
                let Operand::Pair(d, p) = &i.operands[0] else {
                    return Err(invalid("`elect.sync` writes `d|p`").at(0));
                };
                let unwanted = u64::from(**d == Operand::Sink);
                let d = self.destination(d, Type::B32).map_err(|p| p.at(0))?;
                let p = self.destination(p, Type::Pred).map_err(|p| p.at(0))?;
                let members = self.src(i, 1, Type::B32)?;
                self.push(Form::List(cold::<w::Elect>()), &[d, p], &[members], unwanted);
                Ok(())
            }
            "ldmatrix" | "stmatrix" => self.matrix_access(i, m),
            "movmatrix" => {
                m.take("aligned");
                if !m.take("m8n8") || !m.take("trans") || m.ty() != Some(Type::B16) {
                    return Err(unsupported("only `movmatrix.sync.aligned.m8n8.trans.b16` is executed"));
                }
                self.operands(i, 2..=2)?;
                let (d, a) = (self.dst(i, 0, Type::B32)?, self.src(i, 1, Type::B32)?);
                let members = self.constant(u64::from(u32::MAX));
                // Fields `d` and `a`, and the members in a list.
                self.push(Form::Matrix(cold::<MoveMatrix>()), &[d], &[a, members], 1 << 7);
                Ok(())
            }
            "wmma" => self.wmma(i, m),
            _ => self.mma(i, m),
        }
    }

    fn shuffle(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let modes = ["up", "down", "bfly", "idx"];
        let Some(mode) = m.one_of(&modes).and_then(|n| modes.iter().position(|x| *x == n)) else {
            return Err(invalid("`shfl` needs `.up`, `.down`, `.bfly` or `.idx`"));
        };
        if m.ty().is_none_or(|t| t.size() != 4) {
            return Err(invalid("`shfl` takes `.b32`"));
        }
        self.operands(i, 5..=5)?;
        let mut imm = mode as u64;
        let (d, p) = match &i.operands[0] {
            Operand::Pair(d, p) => (
                self.destination(d, Type::B32).map_err(|p| p.at(0))?,
                self.destination(p, Type::Pred).map_err(|p| p.at(0))?,
            ),
            d => {
                imm |= 4;
                (self.destination(d, Type::B32).map_err(|p| p.at(0))?, self.temp(Class::Pred))
            }
        };
        let mut s = Vec::new();
        for n in 1..5 {
            s.push(self.src(i, n, Type::B32)?);
        }
        self.push(Form::List(shuffle()), &[d, p], &s, imm);
        Ok(())
    }

    fn vote(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let modes = ["all", "any", "uni", "ballot"];
        let Some(mode) = m.one_of(&modes).and_then(|n| modes.iter().position(|x| *x == n)) else {
            return Err(invalid("`vote` needs `.all`, `.any`, `.uni` or `.ballot`"));
        };
        m.ty();
        self.operands(i, 3..=3)?;
        let d = self.dst(i, 0, if mode == 3 { Type::B32 } else { Type::Pred })?;
        let (p, negated) = self.predicate(&i.operands[1]).map_err(|p| p.at(1))?;
        let members = self.src(i, 2, Type::B32)?;
        let imm = mode as u64 | u64::from(negated) << 2;
        let whole = self.is_full(members);
        self.push(Form::List(cold::<w::Vote>()), &[d], &[p, members], imm).traits.collective = whole;
        Ok(())
    }

    fn matching(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(kind) = m.one_of(&["any", "all"]) else { return Err(invalid("`match` needs `.any` or `.all`")) };
        let Some(ty) = m.ty().filter(|t| t.size() >= 4) else { return Err(invalid("`match` takes `.b32` or `.b64`")) };
        self.operands(i, 3..=3)?;
        let (d, p) = match &i.operands[0] {
            Operand::Pair(d, p) if kind == "all" => (
                self.destination(d, Type::B32).map_err(|p| p.at(0))?,
                self.destination(p, Type::Pred).map_err(|p| p.at(0))?,
            ),
            d => (self.destination(d, Type::B32).map_err(|p| p.at(0))?, self.temp(Class::Pred)),
        };
        let (a, members) = (self.src(i, 1, ty)?, self.src(i, 2, Type::B32)?);
        let imm = u64::from(kind == "all") | u64::from(ty.size() == 8) << 1;
        self.push(Form::List(cold::<w::Match>()), &[d, p], &[a, members], imm);
        Ok(())
    }

    fn redux(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(name) = m.one_of(&["add", "min", "max", "and", "or", "xor"]) else {
            return Err(invalid("`redux` needs an operation such as `.add`"));
        };
        let Some(ty) = m.ty() else { return Err(invalid("`redux` has no type")) };
        let mode = match (name, ty) {
            ("add", Type::U32 | Type::S32) => 0,
            ("min", Type::U32) => 1,
            ("max", Type::U32) => 2,
            ("min", Type::S32) => 3,
            ("max", Type::S32) => 4,
            ("and", Type::B32) => 5,
            ("or", Type::B32) => 6,
            ("xor", Type::B32) => 7,
            _ => return Err(unsupported(format!("`redux.sync.{name}{ty}` is not executed"))),
        };
        self.operands(i, 3..=3)?;
        let (d, a) = (self.dst(i, 0, ty)?, self.src(i, 1, ty)?);
        let members = self.src(i, 2, Type::B32)?;
        let whole = self.is_full(members);
        self.push(Form::List(cold::<w::Redux>()), &[d], &[a, members], mode).traits.collective = whole;
        Ok(())
    }

    /// Whether a member mask names the whole warp.
    fn is_full(&self, members: Src) -> bool {
        matches!(members, Src::Fixed(n) if self.ir.scalars[n as usize] == ScalarInit::Constant(u64::from(u32::MAX)))
    }

    pub fn registers(&mut self, operand: &Operand, n: usize, count: usize, ty: Type) -> Result<Vec<u32>> {
        let items = match operand {
            Operand::Vector(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        if items.len() != count {
            return Err(invalid(format!("this operand has {} registers, not {count}", items.len())).at(n));
        }
        items.iter().map(|o| self.destination(o, ty).map_err(|p| p.at(n))).collect()
    }

    pub fn sources(&mut self, operand: &Operand, n: usize, count: usize, ty: Type) -> Result<Vec<Src>> {
        let items = match operand {
            Operand::Vector(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        if items.len() != count {
            return Err(invalid(format!("this operand has {} registers, not {count}", items.len())).at(n));
        }
        items.iter().map(|o| self.source(o, ty).map_err(|p| p.at(n))).collect()
    }

    fn matrix_access(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let loading = i.opcode == "ldmatrix";
        m.take("aligned");
        let transposed = m.take("trans");
        let count = match m.one_of(&["x1", "x2", "x4"]) {
            Some("x1") => 1,
            Some("x2") => 2,
            Some(_) => 4,
            None => return Err(invalid(format!("`{}` needs `.x1`, `.x2` or `.x4`", i.opcode))),
        };
        let shared = m.take("shared") || m.take("shared::cta");
        if !m.take("m8n8") || m.ty() != Some(Type::B16) || !shared {
            return Err(unsupported(format!("only `{}` of `.m8n8`, `.shared`, `.b16` is executed", i.opcode)));
        }
        self.operands(i, 2..=2)?;
        let (value, address) = if loading { (0, 1) } else { (1, 0) };
        let (source, offset, _) = self.address(i, address, Space::Shared)?;
        let wide = !matches!(source, Src::Reg(r) if self.class_of(r) == Class::Word);
        let members = self.constant(u64::from(u32::MAX));
        let imm = count as u64 | u64::from(transposed) << 3 | offset << 8;
        let mut s = vec![source];
        let mut d = Vec::new();
        if loading {
            d = self.registers(&i.operands[value], value, count, Type::B32)?;
        } else {
            s.extend(self.sources(&i.operands[value], value, count, Type::B32)?);
        }
        s.push(members);
        let handlers = match (loading, wide) {
            (true, true) => step::<LoadMatrix<true>>(),
            (true, false) => step::<LoadMatrix<false>>(),
            (false, true) => cold::<StoreMatrix<true>>(),
            (false, false) => cold::<StoreMatrix<false>>(),
        };
        self.push(Form::Matrix(handlers), &d, &s, imm);
        Ok(())
    }
}
