//! `rcp`, `sqrt`, `ex2` and the other functions of one number.

use super::ir::{Class, Form};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Type};
use crate::vm::half::{self, Unary, Unary2};
use crate::vm::lane::{BF16, F16};
use crate::vm::map::{Op, exec, hot1, op1, op2};
use crate::vm::{predicate, real, rounding};

impl<'a> Lower<'a> {
    pub fn function(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let name = i.opcode;
        match name {
            "copysign" => return self.copysign(i, m),
            "testp" => return self.testp(i, m),
            _ => {}
        }
        let approximate = m.take("approx");
        let rounding = m.rounding();
        let mode = m.float_flags() | rounding.unwrap_or(0);
        let Some(ty) = m.ty() else { return Err(invalid(format!("`{name}` has no type"))) };
        if !approximate && rounding.is_none() {
            return Err(invalid(format!("`{name}{ty}` needs `.approx` or a rounding")));
        }
        let op: Op = match (name, ty) {
            ("rcp", Type::F32) => op1::<real::Rcp32>(),
            ("sqrt", Type::F32) => op1::<real::Sqrt32>(),
            ("rsqrt", Type::F32) => op1::<real::Rsqrt32>(),
            ("ex2", Type::F32) => hot1::<real::Ex2>(),
            ("lg2", Type::F32) => op1::<real::Lg2>(),
            ("sin", Type::F32) => op1::<real::Sin>(),
            ("cos", Type::F32) => op1::<real::Cos>(),
            ("tanh", Type::F32) => op1::<real::Tanh>(),
            ("rcp", Type::F64) if approximate => op1::<real::RcpApprox64>(),
            ("rsqrt", Type::F64) if approximate && mode & rounding::FTZ != 0 => op1::<real::RsqrtApprox64>(),
            ("rcp", Type::F64) => op1::<real::Rcp64>(),
            ("rsqrt", Type::F64) => op1::<real::Rsqrt64>(),
            ("sqrt", Type::F64) => op1::<real::Sqrt64>(),
            ("ex2" | "tanh", Type::F16 | Type::F16x2 | Type::BF16 | Type::BF16x2) => {
                let op = match ty {
                    Type::F16 => op1::<Unary<F16>>(),
                    Type::F16x2 => op1::<Unary2<F16>>(),
                    Type::BF16 => op1::<Unary<BF16>>(),
                    _ => op1::<Unary2<BF16>>(),
                };
                self.operands(i, 2..=2)?;
                let (d, a) = (self.dst(i, 0, ty)?, self.src(i, 1, ty)?);
                self.map_mode(op, d, &[a], mode | if name == "ex2" { half::EX2 } else { half::TANH });
                return Ok(());
            }
            _ => return Err(unsupported(format!("`{name}{ty}` is not executed"))),
        };
        self.operands(i, 2..=2)?;
        let (d, a) = (self.dst(i, 0, ty)?, self.src(i, 1, ty)?);
        let mode = if ty == Type::F64 { mode & rounding::ROUNDING } else { mode };
        self.map_mode(op, d, &[a], mode);
        Ok(())
    }

    fn copysign(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let ty = m.ty();
        let op = match ty {
            Some(Type::F32) => op2::<real::Copysign32>(),
            Some(Type::F64) => op2::<real::Copysign64>(),
            _ => return Err(invalid("`copysign` takes `.f32` or `.f64`")),
        };
        let ty = ty.unwrap_or(Type::F32);
        self.operands(i, 3..=3)?;
        let s = [self.src(i, 1, ty)?, self.src(i, 2, ty)?];
        let d = self.dst(i, 0, ty)?;
        self.map(op, d, &s);
        Ok(())
    }

    fn testp(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let names = ["finite", "infinite", "number", "notanumber", "normal", "subnormal"];
        let Some(test) = m.one_of(&names).and_then(|n| names.iter().position(|x| *x == n)) else {
            return Err(invalid("`testp` needs a test such as `.finite`"));
        };
        let (op, ty) = match m.ty() {
            Some(Type::F32) => (op1::<real::Testp32>(), Type::F32),
            Some(Type::F64) => (op1::<real::Testp64>(), Type::F64),
            _ => return Err(invalid("`testp` takes `.f32` or `.f64`")),
        };
        self.operands(i, 2..=2)?;
        let (d, a) = (self.dst(i, 0, Type::Pred)?, self.src(i, 1, ty)?);
        let word = self.temp(Class::Word);
        self.map_mode(op, word, &[a], test as u32);
        self.push(Form::Fields(exec::<predicate::Nonzero>()), &[d], &[super::ir::Src::Reg(word)], 0);
        Ok(())
    }
}
