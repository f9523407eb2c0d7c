//! `setp`, `set`, `selp`, `slct`.

use super::ir::{Class, Form, Reg, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::HandlerSet;
use crate::ptx::{Instruction, Operand, Type};
use crate::vm::lane::{BF16, F16};
use crate::vm::map::{Next, Op, cold, hot2, op2, op3};
use crate::vm::predicate::{self as p, Flushed, FlushedHalf, SlctInt, SlctReal, select, set, setp, setp_rare};
use crate::vm::{bits, rounding};

const COMPARISONS: [&str; 18] = [
    "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan",
];

/// The comparison `name` of Rust type `$t`.
macro_rules! comparison {
    ($ctor:ident, $name:expr, $t:ty) => {
        match $name {
            "eq" => Some($ctor::<p::Eq<$t>>()),
            "ne" => Some($ctor::<p::Ne<$t>>()),
            "lt" | "lo" => Some($ctor::<p::Lt<$t>>()),
            "le" | "ls" => Some($ctor::<p::Le<$t>>()),
            "gt" | "hi" => Some($ctor::<p::Gt<$t>>()),
            "ge" | "hs" => Some($ctor::<p::Ge<$t>>()),
            _ => None,
        }
    };
}
macro_rules! unordered {
    ($ctor:ident, $name:expr, $t:ty) => {
        match $name {
            "equ" => Some($ctor::<p::Equ<$t>>()),
            "neu" => Some($ctor::<p::Neu<$t>>()),
            "ltu" => Some($ctor::<p::Ltu<$t>>()),
            "leu" => Some($ctor::<p::Leu<$t>>()),
            "gtu" => Some($ctor::<p::Gtu<$t>>()),
            "geu" => Some($ctor::<p::Geu<$t>>()),
            "num" => Some($ctor::<p::Num<$t>>()),
            "nan" => Some($ctor::<p::Nan<$t>>()),
            "lo" | "ls" | "hi" | "hs" => None,
            name => comparison!($ctor, name, $t),
        }
    };
}
macro_rules! of_type {
    ($hot:ident, $rare:ident, $name:expr, $ty:expr, $ftz:expr) => {
        match $ty {
            Type::B16 | Type::U16 => comparison!($rare, $name, u16),
            Type::S16 => comparison!($rare, $name, i16),
            Type::B32 | Type::U32 => comparison!($hot, $name, u32),
            Type::S32 => comparison!($hot, $name, i32),
            Type::B64 | Type::U64 => comparison!($hot, $name, u64),
            Type::S64 => comparison!($hot, $name, i64),
            Type::F32 if $ftz => unordered!($rare, $name, Flushed),
            Type::F32 if matches!($name, "num" | "nan" | "equ") => unordered!($rare, $name, f32),
            Type::F32 => unordered!($hot, $name, f32),
            Type::F64 => unordered!($rare, $name, f64),
            Type::F16 if $ftz => unordered!($rare, $name, FlushedHalf),
            Type::F16 => unordered!($rare, $name, F16),
            Type::BF16 => unordered!($rare, $name, BF16),
            _ => None,
        }
    };
}

/// The handlers of `setp` on packed halves, and the operation of `set`.
fn two<C: p::Compare<T: crate::vm::lane::Lane<Slot = u32>>>() -> (HandlerSet, Op) {
    (cold::<Next<p::SetpTwo<C>>>(), op2::<p::SetTwo<C>>())
}
macro_rules! two_of {
    ($name:expr, $t:ty) => {
        match $name {
            "lo" | "ls" | "hi" | "hs" => None,
            name => unordered!(two, name, $t),
        }
    };
}

/// The comparison of packed type `ty`.
fn packed(name: &str, ty: Type, ftz: bool) -> Option<(HandlerSet, Op)> {
    match ty {
        Type::F16x2 if ftz => two_of!(name, FlushedHalf),
        Type::F16x2 => two_of!(name, F16),
        _ => two_of!(name, BF16),
    }
}

impl<'a> Lower<'a> {
    pub fn compare(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        match i.opcode {
            "setp" => self.setp(i, m),
            "set" => self.set(i, m),
            "selp" => self.selp(i, m),
            _ => self.slct(i, m),
        }
    }

    fn comparison(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<(&'static str, Option<u64>, bool)> {
        let Some(name) = m.one_of(&COMPARISONS) else {
            return Err(invalid(format!("`{}` needs a comparison such as `.lt`", i.opcode)));
        };
        let combine = match m.one_of(&["and", "or", "xor"]) {
            Some("and") => Some(p::AND),
            Some("or") => Some(p::OR),
            Some(_) => Some(p::XOR),
            None => None,
        };
        Ok((name, combine, m.take("ftz")))
    }

    fn setp(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let (name, combine, ftz) = self.comparison(i, m)?;
        let Some(ty) = m.ty() else { return Err(invalid("`setp` has no type")) };
        self.operands(i, if combine.is_some() { 4..=4 } else { 3..=3 })?;
        let no = || unsupported(format!("`setp.{name}{ty}` is not executed"));
        let (first, second) = match &i.operands[0] {
            Operand::Pair(a, b) => (
                self.destination(a, Type::Pred).map_err(|p| p.at(0))?,
                Some(self.destination(b, Type::Pred).map_err(|p| p.at(0))?),
            ),
            other => (self.destination(other, Type::Pred).map_err(|p| p.at(0))?, None),
        };
        let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        if matches!(ty, Type::F16x2 | Type::BF16x2) {
            let (handlers, _) = packed(name, ty, ftz).ok_or_else(no)?;
            let Some(second) = second else {
                return Err(invalid(format!("`setp{ty}` writes two predicates, `p|q`")).at(0));
            };
            let other = match combine {
                Some(_) => Some(self.plain_predicate(&i.operands[3]).map_err(|p| p.at(3))?),
                None => None,
            };
            self.setp_packed((first, second), handlers, [a, b], combine.zip(other));
            return Ok(());
        }
        let op: Op = of_type!(setp, setp_rare, name, ty, ftz).ok_or_else(no)?;
        let Some(kind) = combine.map_or_else(|| second.map(|_| u64::MAX), Some) else {
            self.push(Form::Map(op), &[first], &[a, b], 0).traits.blind = ty == Type::F32;
            return Ok(());
        };
        let result = self.temp(Class::Pred);
        self.push(Form::Map(op), &[result], &[a, b], 0).traits.blind = ty == Type::F32;
        let opposite = self.temp(Class::Pred);
        if second.is_some() {
            self.logic(p::NOT, opposite, Src::Reg(result), Src::Reg(result));
        }
        let other = match combine {
            Some(_) => Some(self.plain_predicate(&i.operands[3]).map_err(|p| p.at(3))?),
            None => None,
        };
        // The combining predicate may be one of the destinations: it is read before they are written.
        let other = other.map(|o| {
            let copy = self.temp(Class::Pred);
            self.logic(p::COPY, copy, o, o);
            Src::Reg(copy)
        });
        let mut writes = [(Some(first), result), (second, opposite)];
        // A destination that is the guard too is written last: each write is guarded.
        if self.guard.is_some_and(|(guard, _)| guard == first) {
            writes.reverse();
        }
        for (d, value) in writes {
            let Some(d) = d else { continue };
            match other {
                Some(o) => self.logic(kind, d, Src::Reg(value), o),
                None => self.logic(p::COPY, d, Src::Reg(value), Src::Reg(value)),
            }
        }
        Ok(())
    }

    /// Compares both halves; `combine`: the operation and the predicate that follow.
    fn setp_packed(&mut self, d: (Reg, Reg), handlers: HandlerSet, s: [Src; 2], combine: Option<(u64, Src)>) {
        let Some((kind, other)) = combine else {
            self.push(Form::List(handlers), &[d.0, d.1], &s, 0);
            return;
        };
        // The combining predicate may be one of the destinations: both are written at the end.
        let (low, high) = (self.temp(Class::Pred), self.temp(Class::Pred));
        self.push(Form::List(handlers), &[low, high], &s, 0);
        let combined = self.temp(Class::Pred);
        self.logic(kind, combined, Src::Reg(low), other);
        self.logic(kind, d.1, Src::Reg(high), other);
        self.logic(p::COPY, d.0, Src::Reg(combined), Src::Reg(combined));
    }

    fn set(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let (name, combine, ftz) = self.comparison(i, m)?;
        let (Some(to), Some(ty)) = (m.ty(), m.ty()) else { return Err(invalid("`set` needs two types")) };
        self.operands(i, if combine.is_some() { 4..=4 } else { 3..=3 })?;
        let no = || unsupported(format!("`set.{name}{to}{ty}` is not executed"));
        let halves = matches!(ty, Type::F16x2 | Type::BF16x2);
        // The bits of true, of one half where two are compared.
        let yes = match (to, ty) {
            (Type::U32 | Type::S32, _) if halves => 0xffff,
            (Type::U32 | Type::S32, _) => u32::MAX,
            (Type::F32, _) if !halves => 1f32.to_bits(),
            (Type::U16 | Type::S16, Type::F16 | Type::BF16) => 0xffff,
            (Type::F16, _) if !halves => 0x3c00,
            (Type::F16x2, Type::F16x2) => 0x3c00,
            (Type::BF16, _) if !halves => 0x3f80,
            (Type::BF16x2, Type::BF16x2) => 0x3f80,
            _ => return Err(no()),
        };
        let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        let d = self.dst(i, 0, to)?;
        let Some(kind) = combine else {
            let op = if halves { packed(name, ty, ftz).map(|p| p.1) } else { of_type!(set, set, name, ty, ftz) };
            self.map_mode(op.ok_or_else(no)?, d, &[a, b], yes);
            return Ok(());
        };
        let other = self.plain_predicate(&i.operands[3]).map_err(|p| p.at(3))?;
        let zero = self.constant(0);
        if halves {
            let (handlers, _) = packed(name, ty, ftz).ok_or_else(no)?;
            let pair = (self.temp(Class::Pred), self.temp(Class::Pred));
            self.setp_packed(pair, handlers, [a, b], Some((kind, other)));
            let mut parts = Vec::new();
            for (predicate, yes) in [(pair.0, yes), (pair.1, yes << 16)] {
                let (part, yes) = (self.temp(Class::Word), self.constant(u64::from(yes)));
                self.push(Form::Map(select::<u32>()), &[part], &[yes, zero, Src::Reg(predicate)], 0);
                parts.push(Src::Reg(part));
            }
            self.map(hot2::<bits::Or32>(), d, &parts);
            return Ok(());
        }
        let op: Op = of_type!(setp, setp_rare, name, ty, ftz).ok_or_else(no)?;
        let result = self.temp(Class::Pred);
        self.map(op, result, &[a, b]);
        let combined = self.temp(Class::Pred);
        self.logic(kind, combined, Src::Reg(result), other);
        let yes = self.constant(u64::from(yes));
        self.push(Form::Map(select::<u32>()), &[d], &[yes, zero, Src::Reg(combined)], 0);
        Ok(())
    }

    fn selp(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(ty) = m.ty().filter(|t| *t != Type::Pred) else { return Err(invalid("`selp` needs a type")) };
        self.operands(i, 4..=4)?;
        let (mut a, mut b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        let (c, negated) = self.predicate(&i.operands[3]).map_err(|p| p.at(3))?;
        if negated {
            (a, b) = (b, a);
        }
        let d = self.dst(i, 0, ty)?;
        let op = if class(ty) == Class::Double { select::<u64>() } else { select::<u32>() };
        self.push(Form::Map(op), &[d], &[a, b, c], 0).traits.selects = true;
        Ok(())
    }

    fn slct(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let mode = if m.take("ftz") { rounding::FTZ } else { 0 };
        let (Some(ty), Some(by)) = (m.ty(), m.ty()) else { return Err(invalid("`slct` needs two types")) };
        self.operands(i, 4..=4)?;
        let op = match (ty.size(), by) {
            (8, Type::S32) => op3::<SlctInt<u64>>(),
            (8, Type::F32) => op3::<SlctReal<u64>>(),
            (_, Type::S32) => op3::<SlctInt<u32>>(),
            (_, Type::F32) => op3::<SlctReal<u32>>(),
            _ => return Err(invalid("`slct` selects by `.s32` or `.f32`")),
        };
        let s = [self.src(i, 1, ty)?, self.src(i, 2, ty)?, self.src(i, 3, by)?];
        let d = self.dst(i, 0, ty)?;
        self.map_mode(op, d, &s, mode);
        Ok(())
    }
}
