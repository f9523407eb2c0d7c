//! `cvt`.

use super::ir::{Class, Src};
use super::lower::{Lower, Result, class, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::exec::vm::convert::{self as cv, Convert, INTEGRAL};
use crate::exec::vm::map::{Op, hot1, hot2, op1, op2};
use crate::exec::vm::{bits, rounding};
use crate::ptx::{Instruction, Type};

impl<'a> Lower<'a> {
    pub fn cvt(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
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
        if m.take("satfinite") {
            return Err(unsupported("`.satfinite` of `cvt` is not executed"));
        }
        let (Some(to), Some(from)) = (m.ty(), m.ty()) else { return Err(invalid("`cvt` needs two types")) };
        let no = || unsupported(format!("`cvt{to}{from}` is not executed"));
        if matches!(to, Type::F16x2 | Type::BF16x2) && from == Type::F32 {
            self.operands(i, 3..=3)?;
            let s = [self.src(i, 1, from)?, self.src(i, 2, from)?];
            let d = self.dst(i, 0, to)?;
            if to == Type::BF16x2 && mode == 0 {
                self.map(hot2::<cv::Bf16x2OfF32>(), d, &s);
            } else {
                self.map_mode(op2::<cv::PackF32>(), d, &s, mode & 0xff | u32::from(to == Type::BF16x2) << 8);
            }
            return Ok(());
        }
        self.operands(i, 2..=2)?;
        if to == Type::TF32 && from == Type::F32 {
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
        // The conversions that kernels really use.
        let hot: Option<Op> = match (to, from, mode) {
            _ if !exact => None,
            (Type::S64, Type::S32, 0) => Some(hot1::<bits::WidenSigned>()),
            (Type::U64 | Type::S64, Type::U32, 0) => Some(hot1::<bits::Widen>()),
            (Type::U32 | Type::S32, Type::U64 | Type::S64, 0) => Some(hot1::<cv::U32OfU64>()),
            (Type::U32 | Type::S32, Type::U32 | Type::S32, 0) => Some(hot1::<bits::Mov32>()),
            (Type::U64 | Type::S64, Type::U64 | Type::S64, 0) => Some(hot1::<bits::Mov64>()),
            (Type::U16 | Type::S16, Type::U32 | Type::S32, 0) => Some(hot1::<cv::U16OfU32>()),
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
}
