//! The video instructions.

use super::ir::{Form, Src};
use super::lower::{Lower, Result, invalid};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Operand, Type};
use crate::vm::map::{Next, cold};
use crate::vm::video::{Operation, Part, Second, Video, VideoMad, VideoMultiply, VideoParts, VideoScalar, VideoSimd};

const COMPARISONS: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];

impl<'a> Lower<'a> {
    pub fn video(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        match i.opcode.strip_suffix(['2', '4']) {
            Some(name) => self.video_parts(i, m, name),
            None if i.opcode == "vmad" => self.video_multiply(i, m),
            None => self.video_scalar(i, m),
        }
    }

    /// Takes the operation, and whether D (which `vset` does not name), A and B are signed.
    fn video_head(&self, i: &Instruction, m: &mut Modifiers<'a>, name: &str) -> Result<(Operation, [bool; 3])> {
        let mut signed = |what: &str| match m.ty() {
            Some(Type::U32) => Ok(false),
            Some(Type::S32) => Ok(true),
            _ => Err(invalid(format!("`{}` takes `.u32` or `.s32` for {what}", i.opcode))),
        };
        if name == "vset" {
            let signed = [false, signed("A")?, signed("B")?];
            let Some(operation) = m.one_of(&COMPARISONS).and_then(Operation::from_name) else {
                return Err(invalid(format!("`{}` needs a comparison such as `.lt`", i.opcode)));
            };
            return Ok((operation, signed));
        }
        let signed = [signed("D")?, signed("A")?, signed("B")?];
        let operation =
            Operation::from_name(name).ok_or_else(|| invalid(format!("`{}` is no instruction", i.opcode)))?;
        Ok((operation, signed))
    }

    /// An operand without its selector and sign; the selector; whether it is negated.
    fn selected(&mut self, i: &'a Instruction, n: usize) -> Result<(Src, Option<&'a str>, bool)> {
        let operand = i.operands.get(n).ok_or_else(|| invalid("an operand is missing"))?;
        let (operand, negated) =
            if let Operand::Negated(inner) = operand { (&**inner, true) } else { (operand, false) };
        let (source, selector) = match operand {
            Operand::Part(r, selector) => (self.source(&Operand::Reg(*r), Type::B32), Some(selector.as_str())),
            other => (self.source(other, Type::B32), None),
        };
        Ok((source.map_err(|p| p.at(n))?, selector, negated))
    }

    fn part(&mut self, i: &'a Instruction, n: usize) -> Result<(Src, Part, bool)> {
        let (source, selector, negated) = self.selected(i, n)?;
        let part = match selector {
            None => Part::WHOLE,
            Some(name) => {
                Part::from_name(name).ok_or_else(|| invalid(format!("`.{name}` selects no part of a word")).at(n))?
            }
        };
        if negated && i.opcode != "vmad" {
            return Err(invalid(format!("operands of `{}` are not negated", i.opcode)).at(n));
        }
        Ok((source, part, negated))
    }

    fn video_scalar(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let (operation, signed) = self.video_head(i, m, i.opcode)?;
        let saturate = m.take("sat");
        if saturate && i.opcode == "vset" {
            return Err(invalid("`vset` has no `.sat`"));
        }
        let shifts = matches!(operation, Operation::ShiftLeft | Operation::ShiftRight);
        let wrap = match (shifts, m.one_of(&["clamp", "wrap"])) {
            (true, Some(mode)) => mode == "wrap",
            (false, None) => false,
            (true, None) => return Err(invalid(format!("`{}` needs `.clamp` or `.wrap`", i.opcode))),
            (false, Some(mode)) => return Err(invalid(format!("`{}` has no `.{mode}`", i.opcode))),
        };
        if shifts && signed[2] {
            return Err(invalid(format!("`{}` shifts by `.u32`", i.opcode)));
        }
        let second = match m.one_of(&["add", "min", "max"]) {
            Some("add") => Second::Add,
            Some("min") => Second::Least,
            Some(_) => Second::Most,
            None => Second::None,
        };
        let (d, second) = match (&i.operands[..], second) {
            ([Operand::Part(r, selector), ..], Second::None) => {
                let part = Part::from_name(selector)
                    .ok_or_else(|| invalid(format!("`.{selector}` selects no part of a word")).at(0))?;
                (self.destination(&Operand::Reg(*r), Type::B32).map_err(|p| p.at(0))?, Second::Merge(part))
            }
            ([Operand::Part(..), ..], _) => {
                return Err(invalid("a second operation does not write a part of a word").at(0));
            }
            _ => (self.dst(i, 0, Type::B32)?, second),
        };
        self.operands(i, if second == Second::None { 3..=3 } else { 4..=4 })?;
        let ((a, a_part, _), (b, b_part, _)) = (self.part(i, 1)?, self.part(i, 2)?);
        let c = if second == Second::None { a } else { self.src(i, 3, Type::B32)? };
        let video = Video { operation, a: a_part, b: b_part, signed, saturate, wrap, second };
        self.push(Form::Fields(cold::<Next<VideoScalar>>()), &[d], &[a, b, c], video.pack());
        Ok(())
    }

    fn video_multiply(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let mut signed = [false; 3];
        for signed in &mut signed {
            *signed = match m.ty() {
                Some(Type::U32) => false,
                Some(Type::S32) => true,
                _ => return Err(invalid("`vmad` takes three types of `.u32` and `.s32`")),
            };
        }
        let plus_one = m.take("po");
        let saturate = m.take("sat");
        let shift = match m.one_of(&["shr7", "shr15"]) {
            Some("shr7") => 7,
            Some(_) => 15,
            None => 0,
        };
        self.operands(i, 4..=4)?;
        let ((a, a_part, a_negated), (b, b_part, b_negated)) = (self.part(i, 1)?, self.part(i, 2)?);
        let (c, selector, c_negated) = self.selected(i, 3)?;
        let negated = a_negated != b_negated;
        if selector.is_some() || (negated && c_negated) || (plus_one && (a_negated || b_negated || c_negated)) {
            return Err(invalid("`vmad` negates the product or C, neither with `.po`, and selects no part of C"));
        }
        let d = self.dst(i, 0, Type::B32)?;
        let [_, a_signed, b_signed] = signed;
        let video = VideoMad {
            a: a_part,
            b: b_part,
            signed: [a_signed, b_signed],
            saturate,
            plus_one,
            negated,
            c_negated,
            shift,
        };
        self.push(Form::Fields(cold::<Next<VideoMultiply>>()), &[d], &[a, b, c], video.pack());
        Ok(())
    }

    fn video_parts(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>, name: &str) -> Result<()> {
        let (operation, signed) = self.video_head(i, m, name)?;
        let (saturate, accumulate) = (m.take("sat"), m.take("add"));
        if saturate && (accumulate || name == "vset") {
            return Err(invalid(format!("`{}` has no `.sat` here", i.opcode)));
        }
        self.operands(i, 4..=4)?;
        let parts = if i.opcode.ends_with('2') { 2 } else { 4 };
        let ((a, a_pick, _), (b, b_pick, _)) = (self.selected(i, 1)?, self.selected(i, 2)?);
        let (first, second) = if parts == 2 { ("h10", "h32") } else { ("b3210", "b7654") };
        let picks = |selector: Option<&str>, default: &'static str, n: usize| {
            picks(selector.unwrap_or(default), parts)
                .ok_or_else(|| invalid(format!("`.{}` selects no parts of two words", selector.unwrap_or(""))).at(n))
        };
        let (a_pick, b_pick) = (picks(a_pick, first, 1)?, picks(b_pick, second, 2)?);
        let (d, mask) = match &i.operands[0] {
            Operand::Part(r, selector) => {
                let mask =
                    mask(selector, parts).ok_or_else(|| invalid(format!("`.{selector}` is no mask of parts")).at(0))?;
                (self.destination(&Operand::Reg(*r), Type::B32).map_err(|p| p.at(0))?, mask)
            }
            _ => (self.dst(i, 0, Type::B32)?, (1 << parts) - 1),
        };
        let c = self.src(i, 3, Type::B32)?;
        let video = VideoSimd { operation, parts, a: a_pick, b: b_pick, signed, saturate, accumulate, mask };
        self.push(Form::Fields(cold::<Next<VideoParts>>()), &[d], &[a, b, c], video.pack());
        Ok(())
    }
}

/// The digits of a selector such as `b3210`, the last first.
fn digits(selector: &str, parts: usize) -> Option<impl Iterator<Item = u32> + '_> {
    let digits = selector.strip_prefix(if parts == 2 { 'h' } else { 'b' })?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.bytes().rev().map(|b| u32::from(b - b'0')))
}

/// Which of the parts of two words each part takes, lowest part first.
fn picks(selector: &str, parts: usize) -> Option<[u8; 4]> {
    let mut found = [0; 4];
    let mut count = 0;
    for digit in digits(selector, parts)? {
        if count == parts || digit as usize >= 2 * parts {
            return None;
        }
        found[count] = digit as u8;
        count += 1;
    }
    (count == parts).then_some(found)
}

/// The parts that a mask such as `b31` names, by bit.
fn mask(selector: &str, parts: usize) -> Option<u32> {
    let mut mask = 0;
    for digit in digits(selector, parts)? {
        if digit as usize >= parts {
            return None;
        }
        mask |= 1 << digit;
    }
    (mask != 0).then_some(mask)
}
