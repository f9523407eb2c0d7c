//! Clusters: `mapa`, `getctarank`, `barrier.cluster`; and `setmaxnreg`.

use super::ir::Form;
use super::lower::{Lower, Result, invalid};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Operand, Type};
use crate::vm::cluster::{AddressRank, ClusterBarrier, MapAddress};
use crate::vm::map::{Next, cold};

impl<'a> Lower<'a> {
    pub fn map_address(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_has(i, 90)?;
        let shared = m.take("shared::cluster");
        let Some(ty @ (Type::U32 | Type::U64)) = m.ty() else {
            return Err(invalid(format!("`{}` takes `.u32` or `.u64`", i.opcode)));
        };
        let wide = ty == Type::U64;
        if !shared && !wide {
            return Err(invalid(format!("`{}` of generic addresses takes `.u64`", i.opcode)));
        }
        let imm = u64::from(wide) | u64::from(!shared) << 1;
        if i.opcode == "getctarank" {
            self.operands(i, 2..=2)?;
            let (d, a) = (self.dst(i, 0, Type::U32)?, self.src(i, 1, ty)?);
            self.push(Form::Fields(cold::<Next<AddressRank>>()), &[d], &[a], imm);
            return Ok(());
        }
        self.operands(i, 3..=3)?;
        let (d, a, rank) = (self.dst(i, 0, ty)?, self.src(i, 1, ty)?, self.src(i, 2, Type::U32)?);
        self.push(Form::Fields(cold::<MapAddress>()), &[d], &[a, rank], imm);
        Ok(())
    }

    pub fn cluster_barrier(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_has(i, 90)?;
        let wait = match m.one_of(&["arrive", "wait"]) {
            Some(name) => name == "wait",
            None => return Err(invalid("`barrier.cluster` needs `.arrive` or `.wait`")),
        };
        for word in ["release", "relaxed", "acquire", "aligned"] {
            m.take(word);
        }
        self.operands(i, 0..=0)?;
        self.push(Form::Fields(cold::<ClusterBarrier>()), &[], &[], u64::from(wait));
        Ok(())
    }

    /// `setmaxnreg`: registers are not scarce here; only what PTX asks of the count is checked.
    pub fn set_registers(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_is(i, "sm_90a")?;
        let named = (m.one_of(&["inc", "dec"]).is_some(), m.take("sync"), m.take("aligned"), m.ty() == Some(Type::U32));
        if named != (true, true, true, true) {
            return Err(invalid("`setmaxnreg` is `.inc.sync.aligned.u32` or `.dec.sync.aligned.u32`"));
        }
        self.operands(i, 1..=1)?;
        match i.operands[0] {
            Operand::Int(n) if (24..=256).contains(&n) && n % 8 == 0 => {}
            _ => return Err(invalid("the count is a multiple of 8 from 24 to 256").at(0)),
        }
        self.nothing();
        Ok(())
    }

    /// Refuses what only the architecture `target`, with its letter, has.
    pub fn target_is(&self, i: &Instruction, target: &str) -> Result<()> {
        let found = &self.module.target;
        if found.as_str() == target {
            return Ok(());
        }
        Err(invalid(format!("`{}` needs the target {target}, not {found}", i.opcode)))
    }
}
