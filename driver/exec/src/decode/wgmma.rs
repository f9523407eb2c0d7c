//! `wgmma`.

use super::ir::{Form, Role};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Instruction, Operand, Type};
use crate::vm::fragment::{Accumulator, Multiplicand};
use crate::vm::map::{cold, step};
use crate::vm::wgmma::kind::Kind;
use crate::vm::wgmma::{CommitProducts, FenceProducts, Multiply, WaitProducts};

/// D (PTX ISA, wgmma.mma_async): types of A with the depth of a product, and of D.
const ROWS: [(&[Multiplicand], &str, &[Accumulator]); 6] = [
    (&[Multiplicand::F16], "k16", &[Accumulator::F16, Accumulator::F32]),
    (&[Multiplicand::BF16], "k16", &[Accumulator::F32]),
    (&[Multiplicand::TF32], "k8", &[Accumulator::F32]),
    (&[Multiplicand::E4M3, Multiplicand::E5M2], "k32", &[Accumulator::F16, Accumulator::F32]),
    (&[Multiplicand::S8, Multiplicand::U8], "k32", &[Accumulator::S32]),
    (&[Multiplicand::B1], "k256", &[Accumulator::S32]),
];

/// Columns of `m64n…k…`, and the depth.
fn shape(word: &str) -> Option<(usize, &str)> {
    let (n, _) = word.strip_prefix("m64n")?.split_once('k')?;
    Some((n.parse().ok()?, &word[4 + n.len()..]))
}

impl<'a> Lower<'a> {
    pub fn wgmma(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        self.target_is(i, "sm_90a")?;
        let operation = m.one_of(&["fence", "commit_group", "wait_group", "mma_async"]);
        if m.take("sp") || m.take("sp::ordered_metadata") {
            return Err(unsupported("`wgmma.mma_async.sp` is not executed"));
        }
        let together = (m.take("sync"), m.take("aligned"));
        let Some(operation) = operation.filter(|_| together == (true, true)) else {
            return Err(invalid("`wgmma` needs an operation such as `.mma_async`, and `.sync.aligned`"));
        };
        let members = self.constant(u64::from(u32::MAX));
        match operation {
            "mma_async" => return self.product_async(i, m),
            "fence" => {
                self.operands(i, 0..=0)?;
                let node = self.push(Form::Fields(cold::<FenceProducts>()), &[], &[members], 0);
                node.traits.role = Role::Fence;
            }
            "commit_group" => {
                self.operands(i, 0..=0)?;
                self.push(Form::Fields(cold::<CommitProducts>()), &[], &[members], 0);
            }
            _ => {
                self.operands(i, 1..=1)?;
                let Operand::Int(count @ 0..=7) = i.operands[0] else {
                    return Err(invalid("`wait_group` takes a constant from 0 to 7").at(0));
                };
                let node = self.push(Form::Fields(cold::<WaitProducts>()), &[], &[members], count as u64);
                node.traits.role = if count == 0 { Role::Settles } else { Role::Plain };
            }
        }
        Ok(())
    }

    fn product_async(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some((n, depth)) = m.take_where(|w| shape(w).is_some()).and_then(shape) else {
            return Err(invalid("`wgmma.mma_async` needs a shape such as `.m64n64k16`"));
        };
        let saturate = m.take("satfinite");
        let bitwise = (m.take("and"), m.take("popc"));
        let (d, a, b) = (m.first(), m.first(), m.first());
        let names = || format!("{}.{}.{}", d.unwrap_or("?"), a.unwrap_or("?"), b.unwrap_or("?"));
        let types = (
            d.and_then(Accumulator::from_name),
            a.and_then(Multiplicand::from_name),
            b.and_then(Multiplicand::from_name),
        );
        let (Some(d), Some(a), Some(b)) = types else {
            return Err(invalid(format!("`wgmma.mma_async` does not take the types `.{}`", names())));
        };
        let row = ROWS
            .iter()
            .find(|(types, k, sums)| types.contains(&a) && types.contains(&b) && *k == depth && sums.contains(&d));
        if row.is_none() {
            return Err(invalid(format!("no `wgmma.mma_async` of depth `{depth}` has the types `.{}`", names())));
        }
        let integers = d == Accumulator::S32;
        let columns = n % 8 == 0 && (8..=256).contains(&n) && (!integers || n < 32 || n % 16 == 0);
        if !columns {
            return Err(invalid(format!("no `wgmma.mma_async` of these types has {n} columns")));
        }
        if saturate && (!integers || a == Multiplicand::B1) || (a == Multiplicand::B1) != (bitwise == (true, true)) {
            return Err(invalid("`.satfinite` is for bytes, `.and.popc` for single bits, which need it"));
        }
        let registers = matches!(i.operands.get(1), Some(Operand::Vector(_)));
        let orders = if !matches!(a, Multiplicand::F16 | Multiplicand::BF16) {
            0
        } else if registers {
            1
        } else {
            2
        };
        let signs = if integers { 0 } else { 2 };
        // `scale-d` may be left out, and with it what comes behind.
        let count = 4 + signs + orders;
        self.operands(i, if integers { 3..=4 } else { count..=count })?;
        let mut kind = Kind { a, b, d, n, registers, transposed: [false; 2], negated: [false; 2], saturate };
        for n in 0..signs {
            kind.negated[n] = match i.operands[4 + n] {
                Operand::Int(1) => false,
                Operand::Int(-1) => true,
                _ => return Err(invalid("the sign of A or B is 1 or -1").at(4 + n)),
            };
        }
        for n in 0..orders {
            kind.transposed[n + 2 - orders] = match i.operands[4 + signs + n] {
                Operand::Int(0) => false,
                Operand::Int(1) => true,
                _ => return Err(invalid("the order of A or B is 0 or 1").at(4 + signs + n)),
            };
        }
        let sum = if integers || d == Accumulator::F16 { Type::B32 } else { Type::F32 };
        let d = self.registers(&i.operands[0], 0, kind.sums(), sum)?;
        let mut s = vec![self.constant(u64::from(u32::MAX))];
        if registers {
            s.extend(self.sources(&i.operands[1], 1, 4, Type::B32)?);
        } else {
            s.push(self.src(i, 1, Type::B64)?);
        }
        s.push(self.src(i, 2, Type::B64)?);
        let scale = match i.operands.get(3) {
            Some(operand) => self.plain_predicate(operand).map_err(|p| p.at(3))?,
            None => self.plain_predicate(&Operand::Int(1))?,
        };
        s.push(scale);
        self.reads_async = true;
        let node = self.push(Form::List(step::<Multiply>()), &d, &s, kind.pack());
        node.traits.role = Role::Product { registers };
        Ok(())
    }
}
