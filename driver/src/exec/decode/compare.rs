//! `setp`, `set`, `selp`, `slct`.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::exec::vm::lane::{BF16, F16};
use crate::exec::vm::map::{Next, Op, cold, exec, op3};
use crate::exec::vm::predicate::{self as p, Flushed, Select, SlctInt, SlctReal, set, setp, setp_rare};
use crate::exec::vm::rounding;
use crate::ptx::{Instruction, Operand, Type};

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
            Type::F16 => unordered!($rare, $name, F16),
            Type::BF16 => unordered!($rare, $name, BF16),
            _ => None,
        }
    };
}

fn two<H, C>() -> crate::exec::code::HandlerSet
where
    H: crate::exec::vm::half::Half,
    C: p::Compare<T = H>,
    crate::exec::vm::lane::Two<H>: crate::exec::vm::lane::Lane,
{
    cold::<Next<p::SetpTwo<H, C>>>()
}
macro_rules! two_of {
    ($name:expr, $t:ty) => {
        match $name {
            "eq" => Some(two::<$t, p::Eq<$t>>()),
            "ne" => Some(two::<$t, p::Ne<$t>>()),
            "lt" => Some(two::<$t, p::Lt<$t>>()),
            "le" => Some(two::<$t, p::Le<$t>>()),
            "gt" => Some(two::<$t, p::Gt<$t>>()),
            "ge" => Some(two::<$t, p::Ge<$t>>()),
            "equ" => Some(two::<$t, p::Equ<$t>>()),
            "neu" => Some(two::<$t, p::Neu<$t>>()),
            "ltu" => Some(two::<$t, p::Ltu<$t>>()),
            "leu" => Some(two::<$t, p::Leu<$t>>()),
            "gtu" => Some(two::<$t, p::Gtu<$t>>()),
            "geu" => Some(two::<$t, p::Geu<$t>>()),
            "num" => Some(two::<$t, p::Num<$t>>()),
            "nan" => Some(two::<$t, p::Nan<$t>>()),
            _ => None,
        }
    };
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
            let handlers = if ty == Type::F16x2 { two_of!(name, F16) } else { two_of!(name, BF16) }.ok_or_else(no)?;
            let (Some(second), None) = (second, combine) else {
                return Err(unsupported(format!("`setp{ty}` without two plain destinations is not executed")));
            };
            self.push(Form::List(handlers), &[first, second], &[a, b], 0);
            return Ok(());
        }
        let op: Op = of_type!(setp, setp_rare, name, ty, ftz).ok_or_else(no)?;
        let Some(kind) = combine.map_or_else(|| second.map(|_| u64::MAX), Some) else {
            self.map(op, first, &[a, b]);
            return Ok(());
        };
        let result = self.temp(Class::Pred);
        self.map(op, result, &[a, b]);
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
        for (d, value) in [(Some(first), result), (second, opposite)] {
            let Some(d) = d else { continue };
            match other {
                Some(o) => self.logic(kind, d, Src::Reg(value), o),
                None => self.logic(p::COPY, d, Src::Reg(value), Src::Reg(value)),
            }
        }
        Ok(())
    }

    fn set(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let (name, combine, ftz) = self.comparison(i, m)?;
        let (Some(to), Some(ty)) = (m.ty(), m.ty()) else { return Err(invalid("`set` needs two types")) };
        self.operands(i, if combine.is_some() { 4..=4 } else { 3..=3 })?;
        if !matches!(to, Type::U32 | Type::S32 | Type::F32) {
            return Err(unsupported(format!("`set{to}` is not executed")));
        }
        let op: Op = of_type!(set, set, name, ty, ftz)
            .ok_or_else(|| unsupported(format!("`set.{name}{to}{ty}` is not executed")))?;
        let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        let d = self.dst(i, 0, to)?;
        let float = to == Type::F32;
        let Some(kind) = combine else {
            self.map_mode(op, d, &[a, b], u32::from(float));
            return Ok(());
        };
        let word = self.temp(Class::Word);
        self.map_mode(op, word, &[a, b], 0);
        let result = self.temp(Class::Pred);
        self.push(Form::Fields(exec::<p::Nonzero>()), &[result], &[Src::Reg(word)], 0);
        let other = self.plain_predicate(&i.operands[3]).map_err(|p| p.at(3))?;
        self.logic(kind, result, Src::Reg(result), other);
        let yes = self.constant(u64::from(if float { 1f32.to_bits() } else { u32::MAX }));
        let no = self.constant(0);
        self.push(Form::Fields(exec::<Select<u32>>()), &[d], &[yes, no, Src::Reg(result)], 0);
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
        let handlers = if class(ty) == Class::Double { exec::<Select<u64>>() } else { exec::<Select<u32>>() };
        self.push(Form::Fields(handlers), &[d], &[a, b, c], 0).traits.selects = true;
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
