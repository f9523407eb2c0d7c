//! `add` … `mad` of all types, by opcode and type.

use super::ir::{Class, Form};
use super::lower::{Lower, Problem, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Type};
use crate::vm::half::{self, Binary, Binary2, Fma, Fma2, Unary, Unary2};
use crate::vm::integer as int;
use crate::vm::lane::{BF16, F16};
use crate::vm::map::{Next, Op, cold, hot1, hot2, hot3, op1, op2, op3, warm3};
use crate::vm::{packed, real, rounding};

/// Picks the operation of an integer type.
macro_rules! by_type {
    ($ty:expr, $ctor:ident, $op:ident: $($t:ident => $rust:ty),*) => {
        match $ty { $(Type::$t => Some($ctor::<int::$op<$rust>>()),)* _ => None }
    };
}
macro_rules! any_int {
    ($ty:expr, $ctor:ident, $op:ident) => {
        by_type!($ty, $ctor, $op: U16 => u16, S16 => i16, U32 => u32, S32 => i32, U64 => u64, S64 => i64)
    };
}

impl<'a> Lower<'a> {
    pub fn arithmetic(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let carry_out = m.take("cc");
        if carry_out || matches!(i.opcode, "addc" | "subc" | "madc") {
            return self.with_carry(i, m, carry_out);
        }
        match i.opcode {
            "dp4a" | "dp2a" => return self.dot(i, m),
            "mul24" | "mad24" => return self.product24(i, m),
            _ => {}
        }
        let wide = m.take("wide");
        let high = m.take("hi");
        let low = m.take("lo");
        let rounding = m.rounding();
        let approximate = m.take("approx");
        let full = m.take("full");
        let keep_nan = m.take("NaN");
        let xorsign = m.take("xorsign");
        let mut mode = m.float_flags() | rounding.unwrap_or(0);
        // Whether the compiler may contract makes no difference to one operation.
        m.take("noftz");
        if keep_nan {
            mode |= rounding::KEEP_NAN;
        }
        let Some(ty) = m.ty() else { return Err(no_type(i)) };
        if xorsign {
            if !m.take("abs") || !matches!(i.opcode, "min" | "max") || !ty.is_float() || ty == Type::F64 {
                return Err(invalid("`.xorsign` is `.xorsign.abs` of `min` or `max` of single and half precision"));
            }
            self.target_has(i, 86)?;
            mode |= rounding::XORSIGN;
        }
        if matches!(i.opcode, "min" | "max") && ty == Type::F32 && i.operands.len() == 4 {
            return Err(unsupported(format!("`{}` of three values, which needs sm_100, is not executed", i.opcode)));
        }
        let sources = i.operands.len().saturating_sub(1);
        let integer = !ty.is_float();
        if integer {
            if rounding.is_some() || approximate || full {
                return Err(invalid(format!("a floating-point modifier on `{}{ty}`", i.opcode)));
            }
            return self.integer(i, ty, (wide, high, low), mode);
        }
        if wide || high || low {
            return Err(invalid(format!("an integer's modifier on `{}{ty}`", i.opcode)));
        }
        if approximate || full {
            if i.opcode != "div" || ty != Type::F32 {
                return Err(invalid(format!("`{}{ty}` has no `.approx` or `.full`", i.opcode)));
            }
            if approximate {
                return self.apply(i, ty, op2::<real::DivApprox32>(), mode);
            }
        } else if matches!(i.opcode, "div" | "fma") && rounding.is_none() {
            return Err(invalid(format!("`{}{ty}` needs a rounding such as `.rn`", i.opcode)));
        }
        self.float(i, ty, mode, sources)
    }

    fn integer(&mut self, i: &Instruction, ty: Type, (wide, high, low): (bool, bool, bool), mode: u32) -> Result<()> {
        let saturated = mode & rounding::SAT != 0;
        if matches!(ty, Type::U16x2 | Type::S16x2) {
            return self.packed_integers(i, ty, mode);
        }
        if mode == rounding::RELU && ty == Type::S32 {
            let op = match i.opcode {
                "min" => op2::<packed::MinRelu32>(),
                "max" => op2::<packed::MaxRelu32>(),
                _ => return Err(invalid(format!("`{}{ty}` has no `.relu`", i.opcode))),
            };
            self.target_has(i, 90)?;
            return self.apply(i, ty, op, 0);
        }
        if mode & !rounding::SAT != 0 {
            return Err(invalid(format!("a floating-point modifier on `{}{ty}`", i.opcode)));
        }
        let no = || unsupported(format!("`{}{ty}` is not executed", i.opcode));
        if matches!(ty, Type::B8 | Type::B16 | Type::B32 | Type::B64) {
            return Err(invalid(format!("`{}` takes a signed or unsigned type, not `{ty}`", i.opcode)));
        }
        if matches!(i.opcode, "abs" | "neg") && !ty.is_signed() {
            return Err(invalid(format!("`{}` takes a signed type, not `{ty}`", i.opcode)));
        }
        if wide {
            let double = match ty {
                Type::U16 => Type::U32,
                Type::S16 => Type::S32,
                Type::U32 => Type::U64,
                Type::S32 => Type::S64,
                _ => return Err(no()),
            };
            let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
            if i.opcode == "mul" {
                self.operands(i, 3..=3)?;
                let op = by_type!(ty, hot2, MulWide: U32 => u32, S32 => i32)
                    .or_else(|| by_type!(ty, op2, MulWide: U16 => u16, S16 => i16))
                    .ok_or_else(no)?;
                let d = self.dst(i, 0, double)?;
                self.map(op, d, &[a, b]);
            } else {
                self.operands(i, 4..=4)?;
                let op = by_type!(ty, warm3, MadWide: U16 => u16, S16 => i16, U32 => u32, S32 => i32).ok_or_else(no)?;
                let (d, c) = (self.dst(i, 0, double)?, self.src(i, 3, double)?);
                self.map(op, d, &[a, b, c]);
            }
            return Ok(());
        }
        if matches!(i.opcode, "mul" | "mad") && !high && !low {
            return Err(invalid(format!("`{}{ty}` needs `.lo`, `.hi` or `.wide`", i.opcode)));
        }
        if saturated && (ty != Type::S32 || !matches!(i.opcode, "add" | "sub" | "mad")) {
            return Err(invalid(format!("`{}{ty}` has no `.sat`", i.opcode)));
        }
        let op: Option<Op> = match (i.opcode, high, saturated) {
            ("add", _, true) => Some(op2::<int::AddSat<i32>>()),
            ("sub", _, true) => Some(op2::<int::SubSat<i32>>()),
            ("mad", true, true) => Some(op3::<int::MadHighSat<i32>>()),
            ("mad", false, true) => return Err(invalid("of `mad`, only `.hi.s32` saturates")),
            ("add", ..) => match ty {
                // Wrapping sums do not depend on the sign.
                Type::U32 | Type::S32 => Some(hot2::<int::Add<u32>>()),
                Type::U64 | Type::S64 => Some(hot2::<int::Add<u64>>()),
                _ => any_int!(ty, op2, Add),
            },
            ("sub", ..) => match ty {
                Type::U32 | Type::S32 => Some(hot2::<int::Sub<u32>>()),
                Type::U64 | Type::S64 => Some(hot2::<int::Sub<u64>>()),
                _ => any_int!(ty, op2, Sub),
            },
            ("mul", true, _) => any_int!(ty, op2, MulHigh),
            ("mul", false, _) => match ty {
                Type::U32 | Type::S32 => Some(hot2::<int::Mul<u32>>()),
                Type::U64 | Type::S64 => Some(hot2::<int::Mul<u64>>()),
                _ => any_int!(ty, op2, Mul),
            },
            ("mad", true, _) => any_int!(ty, op3, MadHigh),
            ("mad", false, _) => match ty {
                Type::U32 | Type::S32 => Some(hot3::<int::Mad<u32>>()),
                _ => any_int!(ty, op3, Mad),
            },
            ("div", ..) => any_int!(ty, op2, Div),
            ("rem", ..) => any_int!(ty, op2, Rem),
            ("min", ..) => match ty {
                Type::U32 => Some(hot2::<int::Min<u32>>()),
                Type::S32 => Some(hot2::<int::Min<i32>>()),
                _ => any_int!(ty, op2, Min),
            },
            ("max", ..) => match ty {
                Type::U32 => Some(hot2::<int::Max<u32>>()),
                Type::S32 => Some(hot2::<int::Max<i32>>()),
                _ => any_int!(ty, op2, Max),
            },
            ("abs", ..) => any_int!(ty, op1, Abs),
            ("neg", ..) => match ty {
                Type::S32 => Some(hot1::<int::Neg<i32>>()),
                _ => any_int!(ty, op1, Neg),
            },
            ("sad", ..) => any_int!(ty, op3, Sad),
            _ => None,
        };
        let op = op.ok_or_else(no)?;
        self.apply(i, ty, op, 0)
    }

    /// `add`, `min` and `max` of two halves of a word.
    fn packed_integers(&mut self, i: &Instruction, ty: Type, mode: u32) -> Result<()> {
        self.target_has(i, 90)?;
        let signed = ty == Type::S16x2;
        let op = match (i.opcode, signed) {
            ("add", _) if mode == 0 => op2::<packed::Add16x2>(),
            ("min", false) if mode == 0 => op2::<packed::MinU16x2>(),
            ("max", false) if mode == 0 => op2::<packed::MaxU16x2>(),
            ("min", true) if mode & !rounding::RELU == 0 => op2::<packed::MinS16x2>(),
            ("max", true) if mode & !rounding::RELU == 0 => op2::<packed::MaxS16x2>(),
            _ => return Err(invalid(format!("no `{}{ty}` has these modifiers", i.opcode))),
        };
        self.apply(i, ty, op, mode)
    }

    /// An operation whose operands all have one type, each source once.
    fn apply(&mut self, i: &Instruction, ty: Type, op: Op, mode: u32) -> Result<()> {
        let sources = match i.opcode {
            "abs" | "neg" => 1,
            "fma" | "mad" | "sad" => 3,
            _ => 2,
        };
        self.operands(i, sources + 1..=sources + 1)?;
        let s = (1..=sources).map(|n| self.src(i, n, ty)).collect::<Result<Vec<_>>>()?;
        let d = self.dst(i, 0, ty)?;
        let traits = &mut self.push(Form::Map(op), &[d], &s, u64::from(mode)).traits;
        traits.blind = ty == Type::F32 && mode == 0;
        traits.fused = traits.blind && sources == 3;
        Ok(())
    }

    fn float(&mut self, i: &Instruction, ty: Type, mode: u32, sources: usize) -> Result<()> {
        let no = || unsupported(format!("`{}{ty}` is not executed", i.opcode));
        // What half precision and brain floats do not have.
        let lacking = match ty {
            Type::F32 | Type::F64 => rounding::RELU,
            Type::F16 | Type::F16x2 => rounding::ROUNDING,
            _ => rounding::ROUNDING | rounding::FTZ | rounding::SAT,
        };
        let lacking = if i.opcode == "fma" { lacking } else { lacking | rounding::RELU };
        if mode & lacking != 0 {
            return Err(invalid(format!("`{}{ty}` has no such modifier", i.opcode)));
        }
        let (op, extra): (Op, u32) = match (i.opcode, ty) {
            (name, Type::F32) => (single(name, mode == 0).ok_or_else(no)?, 0),
            (name, Type::F64) => (double(name).ok_or_else(no)?, 0),
            (name, Type::F16 | Type::F16x2 | Type::BF16 | Type::BF16x2) => {
                let kind = match name {
                    "add" => half::ADD,
                    "sub" => half::SUB,
                    "mul" => half::MUL,
                    "min" => half::MIN,
                    "max" => half::MAX,
                    "neg" => half::NEG,
                    "abs" => half::ABS,
                    "fma" => 0,
                    _ => return Err(no()),
                };
                let op = match (sources, ty) {
                    (1, Type::F16) => op1::<Unary<F16>>(),
                    (1, Type::F16x2) => op1::<Unary2<F16>>(),
                    (1, Type::BF16) => op1::<Unary<BF16>>(),
                    (1, _) => op1::<Unary2<BF16>>(),
                    (2, Type::F16) => op2::<Binary<F16>>(),
                    (2, Type::F16x2) => op2::<Binary2<F16>>(),
                    (2, Type::BF16) => op2::<Binary<BF16>>(),
                    (2, _) => op2::<Binary2<BF16>>(),
                    (_, Type::F16) => op3::<Fma<F16>>(),
                    (_, Type::F16x2) => op3::<Fma2<F16>>(),
                    (_, Type::BF16) => op3::<Fma<BF16>>(),
                    (_, _) => op3::<Fma2<BF16>>(),
                };
                (op, kind)
            }
            _ => return Err(no()),
        };
        if ty == Type::F64 && mode & !(rounding::ROUNDING) != 0 {
            return Err(invalid(format!("`{}{ty}` has no `.ftz`, `.sat` or `.NaN`", i.opcode)));
        }
        self.apply(i, ty, op, mode | extra)
    }

    fn with_carry(&mut self, i: &Instruction, m: &mut Modifiers<'a>, out: bool) -> Result<()> {
        let (high, _) = (m.take("hi"), m.take("lo"));
        let Some(ty) = m.ty() else { return Err(invalid(format!("`{}` has no type", i.opcode))) };
        let wide = ty.size() == 8;
        if !matches!(ty, Type::U32 | Type::S32 | Type::U64 | Type::S64) {
            return Err(invalid(format!("`{ty}` has no carry")));
        }
        let (name, product) = (i.opcode, matches!(i.opcode, "mad" | "madc"));
        let mut mode = u64::from(out) << 1;
        mode |= u64::from(name.ends_with('c'));
        mode |= u64::from(name.starts_with("sub")) << 2;
        if product {
            mode |= if high { 16 } else { 8 } | u64::from(ty.is_signed()) << 5;
        }
        self.operands(i, if product { 4..=4 } else { 3..=3 })?;
        let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        let c = if product { self.src(i, 3, ty)? } else { a };
        let d = self.dst(i, 0, ty)?;
        let flag = match self.carry {
            Some(flag) => flag,
            None => {
                let flag = self.temp(Class::Pred);
                self.carry = Some(flag);
                flag
            }
        };
        let handlers = if wide { cold::<Next<int::Carry<u64>>>() } else { cold::<Next<int::Carry<u32>>>() };
        self.push(Form::List(handlers), &[d, flag], &[a, b, c], mode);
        Ok(())
    }

    fn dot(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.operands(i, 4..=4)?;
        let mut mode = 0;
        if i.opcode == "dp2a" {
            mode |= 4 | if m.take("hi") { 8 } else { 0 };
            m.take("lo");
        }
        for bit in [1, 2] {
            match m.ty() {
                Some(Type::S32) => mode |= bit,
                Some(Type::U32) => {}
                _ => return Err(invalid(format!("`{}` takes two types of `.u32` and `.s32`", i.opcode))),
            }
        }
        let s = [self.src(i, 1, Type::B32)?, self.src(i, 2, Type::B32)?, self.src(i, 3, Type::B32)?];
        let d = self.dst(i, 0, Type::B32)?;
        self.map_mode(op3::<int::Dot>(), d, &s, mode);
        Ok(())
    }

    fn product24(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let high = m.take("hi");
        m.take("lo");
        let saturated = m.take("sat");
        let ty = m.ty().filter(|t| matches!(t, Type::U32 | Type::S32));
        let Some(ty) = ty else { return Err(invalid(format!("`{}` takes `.u32` or `.s32`", i.opcode))) };
        let mode = u32::from(ty == Type::S32) | u32::from(high) << 1 | u32::from(saturated) << 2;
        if saturated && (i.opcode != "mad24" || !high || ty != Type::S32) {
            return Err(invalid("only `mad24.hi.sat.s32` saturates"));
        }
        let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        let d = self.dst(i, 0, ty)?;
        if i.opcode == "mul24" {
            self.operands(i, 3..=3)?;
            self.map_mode(op2::<int::Mul24>(), d, &[a, b], mode);
        } else {
            self.operands(i, 4..=4)?;
            let c = self.src(i, 3, ty)?;
            self.map_mode(op3::<int::Mad24>(), d, &[a, b, c], mode);
        }
        Ok(())
    }
}

/// What is wrong where no type that this executes was found.
fn no_type(i: &Instruction) -> Problem {
    match i.modifiers.iter().find(|w| *w == "f32x2") {
        Some(ty) => unsupported(format!("`.{ty}` of `{}`, which needs sm_100, is not executed", i.opcode)),
        None => invalid(format!("`{}` has no type", i.opcode)),
    }
}

/// An operation on `f32`; `plain`: rounding to nearest, subnormals kept, no saturation.
fn single(name: &str, plain: bool) -> Option<Op> {
    Some(match (name, plain) {
        ("add", true) => hot2::<real::Add32>(),
        ("sub", true) => hot2::<real::Sub32>(),
        ("mul", true) => hot2::<real::Mul32>(),
        ("fma" | "mad", true) => hot3::<real::Fma32>(),
        ("min", true) => hot2::<real::Min32>(),
        ("max", true) => hot2::<real::Max32>(),
        ("neg", true) => hot1::<real::Neg32>(),
        ("abs", true) => hot1::<real::Abs32>(),
        ("add", false) => op2::<real::AddMode32>(),
        ("sub", false) => op2::<real::SubMode32>(),
        ("mul", false) => op2::<real::MulMode32>(),
        ("fma" | "mad", false) => op3::<real::FmaMode32>(),
        ("div", _) => op2::<real::DivMode32>(),
        ("min", false) => op2::<real::MinMode32>(),
        ("max", false) => op2::<real::MaxMode32>(),
        ("neg", false) => op1::<real::NegFtz32>(),
        ("abs", false) => op1::<real::AbsFtz32>(),
        _ => return None,
    })
}

/// An operation on `f64`.
fn double(name: &str) -> Option<Op> {
    Some(match name {
        "add" => op2::<real::Add64>(),
        "sub" => op2::<real::Sub64>(),
        "mul" => op2::<real::Mul64>(),
        "fma" | "mad" => op3::<real::Fma64>(),
        "div" => op2::<real::Div64>(),
        "min" => op2::<real::Min64>(),
        "max" => op2::<real::Max64>(),
        "neg" => op1::<real::Neg64>(),
        "abs" => op1::<real::Abs64>(),
        _ => return None,
    })
}
