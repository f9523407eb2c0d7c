//! `cvt`.

use super::ir::{Class, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Operand, Type};
use crate::vm::convert::{self as cv, Convert, INTEGRAL};
use crate::vm::map::{Op, hot1, hot2, op1, op2, op3};
use crate::vm::{bits, fp8, rounding};

impl<'a> Lower<'a> {
    pub fn cvt(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if m.take("pack") {
            return self.cvt_pack(i, m);
        }
        if m.take("rs") {
            return Err(unsupported("`cvt.rs`, which needs sm_100, is not executed"));
        }
        let integral = m.one_of(&["rni", "rzi", "rmi", "rpi"]);
        let mut mode = match integral {
            Some("rzi") => rounding::ZERO | INTEGRAL,
            Some("rmi") => rounding::DOWN | INTEGRAL,
            Some("rpi") => rounding::UP | INTEGRAL,
            Some(_) => INTEGRAL,
            None if m.take("rna") => rounding::NEAREST_AWAY,
            None => m.rounding().unwrap_or(0),
        };
        mode |= m.float_flags();
        let satfinite = m.take("satfinite");
        if satfinite {
            mode |= rounding::SATFINITE;
        }
        let (Some(to), Some(from)) = (m.ty(), m.ty()) else {
            return Err(match m.rest().first() {
                Some(word) => unsupported(format!("`.{word}` of `cvt` is not executed")),
                None => invalid("`cvt` needs two types"),
            });
        };
        if to == Type::F16 && from == Type::F32 {
            // Subnormal singles are far below the smallest half: an H200 rounds them as they are.
            mode &= !rounding::FTZ;
        }
        let narrow = |t| matches!(t, Type::E4M3x2 | Type::E5M2x2);
        if narrow(to) || narrow(from) {
            return self.cvt_fp8(i, to, from, mode);
        }
        let has_finite = matches!(to, Type::F16 | Type::F16x2 | Type::BF16 | Type::BF16x2 | Type::TF32);
        if satfinite && !(has_finite && from == Type::F32) {
            return Err(invalid(format!("`cvt{to}{from}` has no `.satfinite`")));
        }
        let no = || unsupported(format!("`cvt{to}{from}` is not executed"));
        if matches!(to, Type::F16x2 | Type::BF16x2) && from == Type::F32 {
            self.operands(i, 3..=3)?;
            // ptxas takes wider registers for pairs of halves, and none for those of bf16.
            let s = if to == Type::F16x2 {
                [self.low_source(i, 1, from)?, self.low_source(i, 2, from)?]
            } else {
                [self.src(i, 1, from)?, self.src(i, 2, from)?]
            };
            let d = self.dst(i, 0, to)?;
            if to == Type::BF16x2 && mode == 0 {
                self.map(hot2::<cv::Bf16x2OfF32>(), d, &s);
            } else {
                self.map_mode(
                    op2::<cv::PackF32>(),
                    d,
                    &s,
                    mode & (0xff | rounding::SATFINITE) | u32::from(to == Type::BF16x2) << 8,
                );
            }
            return Ok(());
        }
        self.operands(i, 2..=2)?;
        if to == Type::TF32 && from == Type::F32 {
            if satfinite && mode & rounding::ROUNDING != rounding::NEAREST_AWAY {
                // With a mode of its own this came only later.
                self.target_has(i, 100)?;
            }
            let a = self.src(i, 1, from)?;
            let d = self.dst(i, 0, Type::B32)?;
            self.map_mode(op1::<cv::Tf32>(), d, &[a], mode);
            return Ok(());
        }
        let pair = cv::mode_of(to, from).ok_or_else(no)?;
        let a = self.wide_source(&i.operands[1], from).map_err(|p| p.at(1))?;
        let d = self.wide_destination(&i.operands[0], to).map_err(|p| p.at(0))?;
        let a_class = match a {
            Src::Reg(r) => self.class_of(r),
            Src::Fixed(_) => class(from),
        };
        let d_class = self.class_of(d);
        let exact = a_class == class(from) && d_class == class(to);
        // A signed result is extended to all of a wider register.
        let fills = matches!(&i.operands[0], Operand::Reg(r) if self.ast_register(*r).1.size() == to.size());
        // The conversions that kernels really use.
        let hot: Option<Op> = match (to, from, mode) {
            _ if !exact => None,
            (Type::S64, Type::S32, 0) => Some(hot1::<bits::WidenSigned>()),
            (Type::U64 | Type::S64, Type::U32, 0) => Some(hot1::<bits::Widen>()),
            (Type::U32 | Type::S32, Type::U64 | Type::S64, 0) => Some(hot1::<cv::U32OfU64>()),
            (Type::U32 | Type::S32, Type::U32 | Type::S32, 0) => Some(hot1::<bits::Mov32>()),
            (Type::U64 | Type::S64, Type::U64 | Type::S64, 0) => Some(hot1::<bits::Mov64>()),
            (Type::U16, Type::U32 | Type::S32, 0) => Some(hot1::<cv::U16OfU32>()),
            (Type::S16, Type::U32 | Type::S32, 0) if fills => Some(hot1::<cv::U16OfU32>()),
            (Type::U32 | Type::S32, Type::U16, 0) => Some(hot1::<bits::Low16>()),
            (Type::S32, Type::S16, 0) => Some(hot1::<cv::S32OfS16>()),
            (Type::U32 | Type::S32 | Type::U16, Type::U8, 0) => Some(hot1::<cv::U32OfU8>()),
            (Type::F32, Type::S32, 0) => Some(hot1::<cv::F32OfS32>()),
            (Type::F32, Type::U32, 0) => Some(hot1::<cv::F32OfU32>()),
            (Type::S32, Type::F32, m) if m == INTEGRAL | rounding::ZERO => Some(hot1::<cv::S32OfF32>()),
            (Type::F32, Type::BF16, 0) => Some(hot1::<cv::F32OfBf16>()),
            (Type::F32, Type::F16, 0) => Some(hot1::<cv::F32OfF16>()),
            (Type::BF16, Type::F32, 0) => Some(hot1::<cv::Bf16OfF32>()),
            (Type::F64, Type::F32, 0) => Some(op1::<cv::F64OfF32>()),
            (Type::F32, Type::F64, 0) => Some(op1::<cv::F32OfF64>()),
            _ => None,
        };
        if let Some(op) = hot {
            self.map(op, d, &[a]);
            return Ok(());
        }
        let op = match (a_class, d_class) {
            (Class::Word, Class::Word) => op1::<Convert<u32, u32>>(),
            (Class::Word, Class::Double) => op1::<Convert<u32, u64>>(),
            (Class::Double, Class::Word) => op1::<Convert<u64, u32>>(),
            (Class::Double, Class::Double) => op1::<Convert<u64, u64>>(),
            _ => return Err(invalid("`cvt` of a predicate")),
        };
        self.map_mode(op, d, &[a], mode | pair);
        Ok(())
    }

    /// To or from two 8-bit floats.
    fn cvt_fp8(&mut self, i: &Instruction, to: Type, from: Type, mode: u32) -> Result<()> {
        let op = match (to, from) {
            (Type::E4M3x2, Type::F32) => op2::<fp8::E4M3OfF32>(),
            (Type::E5M2x2, Type::F32) => op2::<fp8::E5M2OfF32>(),
            (Type::E4M3x2, Type::F16x2) => op1::<fp8::E4M3OfF16>(),
            (Type::E5M2x2, Type::F16x2) => op1::<fp8::E5M2OfF16>(),
            (Type::F16x2, Type::E4M3x2) => op1::<fp8::F16OfE4M3>(),
            (Type::F16x2, Type::E5M2x2) => op1::<fp8::F16OfE5M2>(),
            _ => return Err(unsupported(format!("`cvt{to}{from}` is not executed"))),
        };
        let finite = to != Type::F16x2;
        if mode & !(rounding::RELU | rounding::SATFINITE) != 0 || (mode & rounding::SATFINITE != 0) != finite {
            return Err(invalid(format!(
                "`cvt{to}{from}` is `.rn{}` with or without `.relu`",
                if finite { ".satfinite" } else { "" }
            )));
        }
        self.target_has(i, 89)?;
        let sources = if from == Type::F32 { 2 } else { 1 };
        self.operands(i, sources + 1..=sources + 1)?;
        let s = (1..=sources).map(|n| self.src(i, n, from)).collect::<Result<Vec<_>>>()?;
        let d = self.dst(i, 0, to)?;
        self.map_mode(op, d, &s, mode & rounding::RELU);
        Ok(())
    }

    fn cvt_pack(&mut self, i: &Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if !m.take("sat") {
            return Err(invalid("`cvt.pack` is `cvt.pack.sat`"));
        }
        let kinds = [("u16", 16), ("s16", 16), ("u8", 8), ("s8", 8), ("u4", 4), ("s4", 4), ("u2", 2), ("s2", 2)];
        let kind = m.first().and_then(|w| kinds.iter().find(|k| k.0 == w));
        let Some(&(name, bits)) = kind else {
            return Err(invalid("`cvt.pack` makes `.u16`, `.s16`, `.u8`, `.s8`, `.u4`, `.s4`, `.u2` or `.s2`"));
        };
        let fills = bits < 16;
        let types = (m.ty(), if fills { m.ty() } else { Some(Type::B32) });
        if types != (Some(Type::S32), Some(Type::B32)) {
            return Err(invalid("`cvt.pack` packs `.s32`, below a `.b32` where two do not fill a word"));
        }
        self.operands(i, if fills { 4..=4 } else { 3..=3 })?;
        let (a, b) = (self.low_source(i, 1, Type::S32)?, self.low_source(i, 2, Type::S32)?);
        let c = if fills { self.low_source(i, 3, Type::B32)? } else { self.constant(0) };
        let d = self.dst(i, 0, Type::B32)?;
        self.map_mode(op3::<cv::PackIntegers>(), d, &[a, b, c], bits | u32::from(name.starts_with('s')) << 8);
        Ok(())
    }

    /// A 32-bit source of a `cvt` to two halves or integers: the low half of a wider register. A wider destination
    /// is refused: ptxas takes it too, and leaves the high half as it was or clears it, by its version.
    fn low_source(&mut self, i: &Instruction, n: usize, ty: Type) -> Result<Src> {
        let operand = i.operands.get(n).ok_or_else(|| invalid("an operand is missing"))?;
        let source = self.wide_source(operand, ty).map_err(|p| p.at(n))?;
        match source {
            Src::Reg(r) if self.class_of(r) == Class::Double => {
                let d = self.temp(Class::Word);
                self.map(op1::<bits::Low32>(), d, &[source]);
                Ok(Src::Reg(d))
            }
            _ => Ok(source),
        }
    }
}
