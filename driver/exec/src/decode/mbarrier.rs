//! `mbarrier`, `cp.async.mbarrier.arrive`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::HandlerSet;
use crate::ptx::{Instruction, Operand, Space, Type};
use crate::vm::copy;
use crate::vm::map::{Next, cold, hot2, op1};
use crate::vm::mbarrier::{self as mb, Mbarrier};
use crate::vm::memory as space;
use crate::vm::{bits, predicate};

fn handlers<const OP: u8>(code: u8, wide: bool) -> Option<HandlerSet> {
    Some(match (code, wide) {
        (space::SHARED, false) => cold::<Mbarrier<OP, { space::SHARED }, false>>(),
        (space::SHARED, true) => cold::<Mbarrier<OP, { space::SHARED }, true>>(),
        (space::GENERIC, _) => cold::<Mbarrier<OP, { space::GENERIC }, true>>(),
        _ => return None,
    })
}

impl<'a> Lower<'a> {
    pub fn mbarrier(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let names = [
            "init",
            "inval",
            "arrive",
            "arrive_drop",
            "expect_tx",
            "complete_tx",
            "test_wait",
            "try_wait",
            "pending_count",
        ];
        let Some(name) = m.one_of(&names) else {
            return Err(invalid("`mbarrier` needs an operation such as `.init` or `.arrive`"));
        };
        let remote = m.take("shared::cluster");
        if remote {
            self.target_has(i, 90)?;
            if !matches!(name, "arrive" | "arrive_drop" | "expect_tx" | "complete_tx") {
                return Err(invalid(format!("`mbarrier.{name}` is for the own block's `.shared::cta`")));
            }
        }
        let expects = name != "expect_tx" && m.take("expect_tx");
        let (parity, whole) = (m.take("parity"), !m.take("noComplete"));
        for word in ["release", "acquire", "relaxed", "cta", "cluster"] {
            m.take(word);
        }
        let shared = remote || m.take("shared") || m.take("shared::cta");
        if m.ty() != Some(Type::B64) {
            return Err(invalid("`mbarrier` works on a `.b64`"));
        }
        if name == "pending_count" {
            self.operands(i, 2..=2)?;
            let (d, state) = (self.dst(i, 0, Type::B32)?, self.src(i, 1, Type::B64)?);
            let low = self.temp(Class::Word);
            self.map(op1::<bits::Low32>(), low, &[state]);
            let mask = self.constant(u64::from(mb::MOST));
            self.map(hot2::<bits::And32>(), d, &[Src::Reg(low), mask]);
            return Ok(());
        }
        let at = if shared { Space::Shared } else { Space::Generic };
        let waits = matches!(name, "test_wait" | "try_wait");
        let returns = matches!(name, "arrive" | "arrive_drop");
        let place = usize::from(waits || returns);
        let counts = match name {
            "init" | "expect_tx" | "complete_tx" => 2..=2,
            "inval" => 1..=1,
            "test_wait" => 3..=3,
            // The last one is how long to wait at most, which is never longer than a turn here.
            "try_wait" => 3..=4,
            _ if expects || !whole => 3..=3,
            _ => 2..=3,
        };
        self.operands(i, counts)?;
        let (address, offset, code, wide) = self.reach(i, place, at)?;
        let value = match name {
            "inval" => self.constant(0),
            "test_wait" | "try_wait" if !parity => self.src(i, 2, Type::B64)?,
            _ if i.operands.len() > place + 1 => self.src(i, place + 1, Type::B32)?,
            _ => self.constant(1),
        };
        if name == "try_wait" && i.operands.len() == 4 {
            self.src(i, 3, Type::B32)?;
        }
        let set = match (name, parity, expects) {
            ("init", ..) => handlers::<{ mb::INIT }>(code, wide),
            ("inval", ..) => handlers::<{ mb::INVALIDATE }>(code, wide),
            ("expect_tx", ..) => handlers::<{ mb::EXPECT }>(code, wide),
            ("complete_tx", ..) => handlers::<{ mb::COMPLETE }>(code, wide),
            ("arrive", _, true) => handlers::<{ mb::ARRIVE_EXPECT }>(code, wide),
            ("arrive", ..) if whole => handlers::<{ mb::ARRIVE }>(code, wide),
            ("arrive", ..) => handlers::<{ mb::ARRIVE_ONLY }>(code, wide),
            ("arrive_drop", _, true) => handlers::<{ mb::DROP_EXPECT }>(code, wide),
            ("arrive_drop", ..) if whole => handlers::<{ mb::DROP }>(code, wide),
            ("arrive_drop", ..) => handlers::<{ mb::DROP_ONLY }>(code, wide),
            ("test_wait", false, _) => handlers::<{ mb::TEST }>(code, wide),
            ("test_wait", true, _) => handlers::<{ mb::TEST_PARITY }>(code, wide),
            ("try_wait", false, _) => handlers::<{ mb::TRY }>(code, wide),
            ("try_wait", true, _) => handlers::<{ mb::TRY_PARITY }>(code, wide),
            _ => None,
        };
        let Some(set) = set else { return Err(unsupported(format!("`mbarrier.{name}` of this form is not executed"))) };
        if waits {
            let p = self.dst(i, 0, Type::Pred)?;
            let yes = self.temp(Class::Word);
            self.push(Form::Atomic(set), &[yes], &[address, value, value], offset);
            let no = self.constant(0);
            self.map(predicate::setp::<predicate::Ne<u32>>(), p, &[Src::Reg(yes), no]);
            return Ok(());
        }
        if remote && returns && i.operands[0] != Operand::Sink {
            return Err(invalid("an arrival at another block's mbarrier has no state: write `_`").at(0));
        }
        let d = if returns && i.operands[0] != Operand::Sink { vec![self.dst(i, 0, Type::B64)?] } else { vec![] };
        self.push(Form::Atomic(set), &d, &[address, value, value], offset);
        Ok(())
    }

    /// `cp.async.mbarrier.arrive`: the lanes' copies are done, and then each arrives. Without `.noinc` one
    /// more arrival was awaited for it, so that nothing changes.
    pub fn copies_arrive(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let counted = (m.take("arrive"), m.take("noinc"));
        let shared = m.take("shared") || m.take("shared::cta");
        if !counted.0 || m.ty() != Some(Type::B64) {
            return Err(invalid("`cp.async.mbarrier` needs `.arrive` and `.b64`"));
        }
        self.operands(i, 1..=1)?;
        let (address, offset, code, wide) = self.reach(i, 0, if shared { Space::Shared } else { Space::Generic })?;
        self.push(Form::Fields(cold::<Next<copy::WaitGroup>>()), &[], &[], u64::MAX);
        if counted.1 {
            let one = self.constant(1);
            let set = handlers::<{ mb::ARRIVE }>(code, wide);
            let set = set.ok_or_else(|| invalid("an `mbarrier` lies in shared memory"))?;
            self.push(Form::Atomic(set), &[], &[address, one, one], offset);
        }
        Ok(())
    }
}
