//! Bitwise instructions.

use super::ir::{Class, Form, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use super::operands::immediate;
use crate::ptx::{Instruction, Operand, Type};
use crate::vm::integer::Shr;
use crate::vm::map::{Op, exec, hot1, hot2, op1, op2, op3, warm2, warm3};
use crate::vm::{bits, predicate};

impl<'a> Lower<'a> {
    pub fn bitwise(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        match i.opcode {
            "shf" => return self.funnel(i, m),
            "prmt" => return self.permute(i, m),
            "bfe" | "bfi" => return self.field(i, m),
            "lop3" => return self.logic3(i, m),
            "bfind" | "szext" | "bmsk" | "fns" => return self.find(i, m),
            _ => {}
        }
        let name = i.opcode;
        let Some(ty) = m.ty() else { return Err(invalid(format!("`{name}` has no type"))) };
        if ty == Type::Pred {
            return self.predicate_logic(i);
        }
        let wide = ty.size() == 8;
        let (op, b, d): (Op, Option<Type>, Type) = match name {
            "and" => (if wide { hot2::<bits::And64>() } else { hot2::<bits::And32>() }, Some(ty), ty),
            "or" => (if wide { hot2::<bits::Or64>() } else { hot2::<bits::Or32>() }, Some(ty), ty),
            "xor" => (if wide { hot2::<bits::Xor64>() } else { hot2::<bits::Xor32>() }, Some(ty), ty),
            "not" => (if wide { hot1::<bits::Not64>() } else { hot1::<bits::Not32>() }, None, ty),
            "cnot" => match ty.size() {
                2 => (op1::<bits::Cnot16>(), None, ty),
                4 => (op1::<bits::Cnot32>(), None, ty),
                _ => (op1::<bits::Cnot64>(), None, ty),
            },
            "shl" => match ty.size() {
                2 => (op2::<bits::Shl16>(), Some(Type::B32), ty),
                4 => (hot2::<bits::Shl32>(), Some(Type::B32), ty),
                _ => (hot2::<bits::Shl64>(), Some(Type::B32), ty),
            },
            "shr" => {
                let op = match ty {
                    Type::U16 | Type::B16 => op2::<Shr<u16>>(),
                    Type::S16 => op2::<Shr<i16>>(),
                    Type::U32 | Type::B32 => hot2::<Shr<u32>>(),
                    Type::S32 => hot2::<Shr<i32>>(),
                    Type::U64 | Type::B64 => hot2::<Shr<u64>>(),
                    Type::S64 => op2::<Shr<i64>>(),
                    _ => return Err(unsupported(format!("`{name}{ty}` is not executed"))),
                };
                (op, Some(Type::B32), ty)
            }
            "clz" => (if wide { op1::<bits::Clz64>() } else { op1::<bits::Clz32>() }, None, Type::B32),
            "popc" => (if wide { op1::<bits::Popc64>() } else { hot1::<bits::Popc32>() }, None, Type::B32),
            _ => (if wide { op1::<bits::Brev64>() } else { op1::<bits::Brev32>() }, None, ty),
        };
        if ty.size() < 2 || (ty.size() == 2 && matches!(name, "clz" | "popc" | "brev")) || ty.is_float() {
            return Err(unsupported(format!("`{name}{ty}` is not executed")));
        }
        self.operands(i, if b.is_some() { 3..=3 } else { 2..=2 })?;
        let mut s = vec![self.src(i, 1, ty)?];
        if let Some(b) = b {
            s.push(self.src(i, 2, b)?);
        }
        let d = self.dst(i, 0, d)?;
        self.push(Form::Map(op), &[d], &s, 0).traits.shift_right = name == "shr";
        Ok(())
    }

    fn predicate_logic(&mut self, i: &Instruction) -> Result<()> {
        let d = self.dst(i, 0, Type::Pred)?;
        let kind = match i.opcode {
            "and" => predicate::AND,
            "or" => predicate::OR,
            "xor" => predicate::XOR,
            "not" => {
                self.operands(i, 2..=2)?;
                let a = self.plain_predicate(&i.operands[1])?;
                self.logic(predicate::NOT, d, a, a);
                return Ok(());
            }
            name => return Err(unsupported(format!("`{name}.pred` is not executed"))),
        };
        self.operands(i, 3..=3)?;
        let (a, b) = (self.plain_predicate(&i.operands[1])?, self.plain_predicate(&i.operands[2])?);
        self.logic(kind, d, a, b);
        Ok(())
    }

    fn funnel(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let right = match m.one_of(&["l", "r"]) {
            Some(w) => w == "r",
            None => return Err(invalid("`shf` needs `.l` or `.r`")),
        };
        let clamp = match m.one_of(&["wrap", "clamp"]) {
            Some(w) => w == "clamp",
            None => return Err(invalid("`shf` needs `.wrap` or `.clamp`")),
        };
        if m.ty() != Some(Type::B32) {
            return Err(invalid("`shf` takes `.b32`"));
        }
        self.operands(i, 4..=4)?;
        let s = [self.src(i, 1, Type::B32)?, self.src(i, 2, Type::B32)?, self.src(i, 3, Type::B32)?];
        let d = self.dst(i, 0, Type::B32)?;
        self.map_mode(warm3::<bits::Shf>(), d, &s, u32::from(right) | u32::from(clamp) << 1);
        Ok(())
    }

    fn permute(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if m.ty() != Some(Type::B32) {
            return Err(invalid("`prmt` takes `.b32`"));
        }
        let names = ["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"];
        let mode = m.one_of(&names).and_then(|n| names.iter().position(|x| *x == n)).map_or(0, |p| p as u32 + 1);
        self.operands(i, 4..=4)?;
        let s = [self.src(i, 1, Type::B32)?, self.src(i, 2, Type::B32)?, self.src(i, 3, Type::B32)?];
        let d = self.dst(i, 0, Type::B32)?;
        self.map_mode(op3::<bits::Prmt>(), d, &s, mode);
        Ok(())
    }

    fn field(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(ty) = m.ty().filter(|t| t.size() >= 4 && !t.is_float()) else {
            return Err(invalid(format!("`{}` takes a 32-bit or 64-bit integer type", i.opcode)));
        };
        let wide = ty.size() == 8;
        if i.opcode == "bfe" {
            self.operands(i, 4..=4)?;
            let mut s = [self.src(i, 1, ty)?, self.src(i, 2, Type::B32)?, self.src(i, 3, Type::B32)?];
            let d = self.dst(i, 0, ty)?;
            // NVIDIA's assembler makes -1 of a field that is known to lie outside the word, whatever its sign, unless it
            // knows the word too; an H200 answers so.
            let outside = |position: i128, length: i128| position & 255 >= 32 && length & 255 > 0;
            if let (Type::S32, Operand::Int(p), Operand::Int(n)) = (ty, &i.operands[2], &i.operands[3])
                && !matches!(i.operands[1], Operand::Int(_))
                && outside(*p, *n)
            {
                s[0] = self.constant(u32::MAX.into());
            }
            let op = if wide { op3::<bits::Bfe64>() } else { op3::<bits::Bfe32>() };
            self.map_mode(op, d, &s, u32::from(ty.is_signed()));
            return Ok(());
        }
        self.operands(i, 5..=5)?;
        let (a, b) = (self.src(i, 1, ty)?, self.src(i, 2, ty)?);
        let d = self.dst(i, 0, ty)?;
        if let (Operand::Int(position), Operand::Int(length)) = (&i.operands[3], &i.operands[4]) {
            let mode = (*position as u32 & 255) | (*length as u32 & 255) << 8;
            let op = if wide { warm2::<bits::BfiFixed64>() } else { hot2::<bits::BfiFixed32>() };
            self.map_mode(op, d, &[a, b], mode);
            return Ok(());
        }
        let (position, length) = (self.src(i, 3, Type::B32)?, self.src(i, 4, Type::B32)?);
        let both = self.temp(Class::Word);
        self.map(op2::<bits::Field>(), both, &[position, length]);
        let op = if wide { op3::<bits::Bfi64>() } else { op3::<bits::Bfi32>() };
        self.map(op, d, &[a, b, Src::Reg(both)]);
        Ok(())
    }

    fn logic3(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let combine = match m.one_of(&["or", "and"]) {
            Some("or") => Some(predicate::OR),
            Some(_) => Some(predicate::AND),
            None => None,
        };
        if m.ty() != Some(Type::B32) {
            return Err(invalid("`lop3` takes `.b32`"));
        }
        self.operands(i, if combine.is_some() { 6..=6 } else { 5..=5 })?;
        let s = [self.src(i, 1, Type::B32)?, self.src(i, 2, Type::B32)?, self.src(i, 3, Type::B32)?];
        let table = immediate(&i.operands[4], Type::B32).map_err(|p| p.at(4))?;
        let Some(kind) = combine else {
            let d = self.dst(i, 0, Type::B32)?;
            self.map_mode(warm3::<bits::Lop32>(), d, &s, table as u32);
            return Ok(());
        };
        let Operand::Pair(d, p) = &i.operands[0] else {
            return Err(invalid("`lop3` with `.or` or `.and` writes `d|p`").at(0));
        };
        let d = self.destination(d, Type::B32).map_err(|p| p.at(0))?;
        let p = self.destination(p, Type::Pred).map_err(|p| p.at(0))?;
        let other = self.plain_predicate(&i.operands[5]).map_err(|p| p.at(5))?;
        self.map_mode(warm3::<bits::Lop32>(), d, &s, table as u32);
        let found = self.temp(Class::Pred);
        self.push(Form::Fields(exec::<predicate::Nonzero>()), &[found], &[Src::Reg(d)], 0);
        self.logic(kind, p, Src::Reg(found), other);
        Ok(())
    }

    fn find(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let name = i.opcode;
        let shift = m.take("shiftamt");
        let clamp = m.take("clamp");
        m.take("wrap");
        let Some(ty) = m.ty().filter(|t| t.size() >= 4 && !t.is_float()) else {
            return Err(invalid(format!("`{name}` takes a 32-bit or 64-bit integer type")));
        };
        let signed = u32::from(ty.is_signed());
        let sources = match name {
            "bfind" => 1,
            "fns" => 3,
            _ => 2,
        };
        if ty.size() == 8 && name != "bfind" {
            return Err(invalid(format!("`{name}` takes a 32-bit type")));
        }
        self.operands(i, sources + 1..=sources + 1)?;
        let mut s = vec![self.src(i, 1, ty)?];
        for n in 2..=sources {
            s.push(self.src(i, n, Type::B32)?);
        }
        let d = self.dst(i, 0, Type::B32)?;
        let (op, mode) = match name {
            "bfind" if ty.size() == 8 => (op1::<bits::Bfind64>(), signed | u32::from(shift) << 1),
            "bfind" => (op1::<bits::Bfind32>(), signed | u32::from(shift) << 1),
            "fns" => (op3::<bits::Fns>(), 0),
            "bmsk" => (op2::<bits::Bmsk>(), u32::from(clamp)),
            _ => (op2::<bits::Szext>(), signed | u32::from(clamp) << 1),
        };
        self.map_mode(op, d, &s, mode);
        Ok(())
    }
}
