//! `cp.async`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::memory::PREFETCHES;
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::copy;
use crate::vm::map::{Next, cold};
use crate::vm::predicate::select;

impl<'a> Lower<'a> {
    pub fn copy(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if !m.take("async") {
            return Err(invalid("`cp` needs `.async`"));
        }
        if m.rest().contains(&"bulk") {
            return self.bulk(i, m);
        }
        if m.take("commit_group") {
            self.operands(i, 0..=0)?;
            self.push(Form::Fields(cold::<Next<copy::Commit>>()), &[], &[], 0);
            return Ok(());
        }
        if m.take("wait_all") {
            self.operands(i, 0..=0)?;
            self.push(Form::Fields(cold::<Next<copy::WaitGroup>>()), &[], &[], u64::MAX);
            return Ok(());
        }
        if m.take("wait_group") {
            self.operands(i, 1..=1)?;
            let Operand::Int(count) = i.operands[0] else { return Err(invalid("`wait_group` needs a constant").at(0)) };
            self.push(Form::Fields(cold::<Next<copy::WaitGroup>>()), &[], &[], count as u64);
            return Ok(());
        }
        if m.take("mbarrier") {
            return self.copies_arrive(i, m);
        }
        let (all, second) = (m.take("ca"), m.take("cg"));
        if all == second {
            return Err(invalid("`cp.async` needs `.ca` or `.cg`"));
        }
        let spaces = (m.take("shared") || m.take("shared::cta"), m.take("global"));
        for word in PREFETCHES {
            m.take(word);
        }
        if spaces != (true, true) {
            return Err(invalid("`cp.async` copies from `.global` to `.shared`"));
        }
        let policy = usize::from(m.take("L2::cache_hint"));
        self.operands(i, 3 + policy..=4 + policy)?;
        let count = i.operands.len() - policy;
        if policy == 1 {
            self.src(i, count, Type::B64)?;
        }
        let size = match i.operands[2] {
            Operand::Int(n @ (4 | 8 | 16)) if n == 16 || all => n as u64,
            _ => return Err(invalid("`cp.async` copies 4, 8 or 16 bytes (`.cg`: 16)").at(2)),
        };
        let (to, to_offset, _) = self.address(i, 0, Space::Shared)?;
        let (from, from_offset, _) = self.address(i, 1, Space::Global)?;
        let from = self.widened(from);
        let narrow = matches!(to, Src::Reg(r) if self.class_of(r) == Class::Word);
        let mut imm = size;
        let ignores = |lower: &Self, r: u32| lower.ast_register(r).1 == Type::Pred;
        let bytes = if count == 4 {
            imm |= 1 << 8;
            match &i.operands[3] {
                // `ignore-src`: where it holds, nothing is read and zeros are written.
                Operand::Reg(r) | Operand::NotReg(r) if ignores(self, *r) => {
                    let (mut none, mut all) = (self.constant(0), self.constant(size));
                    let (p, negated) = self.predicate(&i.operands[3]).map_err(|p| p.at(3))?;
                    if negated {
                        (none, all) = (all, none);
                    }
                    let bytes = self.temp(Class::Word);
                    self.push(Form::Map(select::<u32>()), &[bytes], &[none, all, p], 0).traits.selects = true;
                    Src::Reg(bytes)
                }
                _ => self.src(i, 3, Type::U32)?,
            }
        } else {
            self.constant(size)
        };
        let (Ok(to_offset), Ok(from_offset)) = (i32::try_from(to_offset as i64), i32::try_from(from_offset as i64))
        else {
            return Err(unsupported("an offset of more than 31 bits"));
        };
        let handlers = if narrow { cold::<copy::Copy<false>>() } else { cold::<copy::Copy<true>>() };
        self.push(Form::Copy(handlers, [to_offset, from_offset]), &[], &[to, from, bytes], imm);
        Ok(())
    }
}
