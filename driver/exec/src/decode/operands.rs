//! Operands of instructions: registers, constants, special registers, addresses.

use super::ir::{Class, Form, Reg, Src};
use super::lower::{Lower, Problem, Result, class, invalid, unsupported};
use crate::code::{ScalarInit, VectorInit};
use crate::program::function_address;
use crate::ptx::{AddressBase, Instruction, Operand, RegisterName, Space, Type, VarRef};
use crate::vm::map::{Next, cold, exec, hot2, op1};
use crate::vm::{bits, flow, predicate};

/// Bytes of shared memory for the system's own use, of which each `%reserved_smem_offset` has half.
/// Cooperative groups' tiles of more than a warp exchange values there.
pub(crate) const RESERVED_SHARED: u64 = 2048;

impl<'a> Lower<'a> {
    pub fn scalar(&mut self, init: ScalarInit) -> Src {
        let next = self.ir.scalars.len() as u32;
        let index = *self.scalars.entry(init).or_insert(next);
        if index == next {
            self.ir.scalars.push(init);
        }
        Src::Fixed(index)
    }

    pub fn constant(&mut self, value: u64) -> Src {
        self.scalar(ScalarInit::Constant(value))
    }

    pub fn operands(&self, i: &Instruction, counts: std::ops::RangeInclusive<usize>) -> Result<()> {
        if counts.contains(&i.operands.len()) {
            return Ok(());
        }
        let (low, high) = (counts.start(), counts.end());
        let wanted = if low == high { format!("{low} operands") } else { format!("{low} to {high} operands") };
        Err(Problem {
            expected: Some(wanted),
            ..invalid(format!("`{}` has {} operands here", i.opcode, i.operands.len()))
        })
    }

    pub fn ast_register(&self, register: u32) -> (RegisterName<'a>, Type) {
        let registers = &self.top().function.registers;
        (registers.name(register), registers.ty(register))
    }

    fn check(&self, register: u32, ty: Type) -> Result<()> {
        let (name, declared) = self.ast_register(register);
        let fits = (declared == Type::Pred) == (ty == Type::Pred)
            && (declared.size() == ty.size() || ty.size() < 2 && declared.size() == 2);
        if fits { Ok(()) } else { Err(invalid(format!("`{name}` is `{declared}`, which does not fit `{ty}`"))) }
    }

    /// A register as destination of exactly this type's width.
    pub fn destination(&mut self, operand: &Operand, ty: Type) -> Result<Reg> {
        match operand {
            Operand::Reg(r) => {
                self.check(*r, ty)?;
                Ok(self.top().registers + r)
            }
            Operand::Sink => Ok(self.temp(class(ty))),
            _ => Err(invalid("the destination is not a register")),
        }
    }

    pub fn dst(&mut self, i: &Instruction, n: usize, ty: Type) -> Result<Reg> {
        let operand = i.operands.get(n).ok_or_else(|| invalid("an operand is missing"))?;
        self.destination(operand, ty).map_err(|p| p.at(n))
    }

    /// A destination that may be wider than its type, as `ld` and `cvt` allow.
    pub fn wide_destination(&mut self, operand: &Operand, ty: Type) -> Result<Reg> {
        match operand {
            Operand::Reg(r) => {
                let (name, declared) = self.ast_register(*r);
                let whole = (declared == Type::B128) == (ty == Type::B128);
                if declared == Type::Pred || declared.size() < ty.size() || !whole {
                    return Err(invalid(format!("`{name}` is `{declared}`, which cannot hold `{ty}`")));
                }
                Ok(self.top().registers + r)
            }
            Operand::Sink => Ok(self.temp(class(ty))),
            _ => Err(invalid("the destination is not a register")),
        }
    }

    /// The two halves of a register of 128 bits. `written`: `_` will do.
    pub fn wide_halves(&mut self, operand: &Operand, written: bool) -> Result<[Reg; 2]> {
        match operand {
            Operand::Reg(r) => {
                self.check(*r, Type::B128)?;
                let high = self.top().highs.get(r).copied();
                let high = high.ok_or_else(|| invalid("this register has not 128 bits"))?;
                Ok([self.top().registers + r, high])
            }
            Operand::Sink if written => Ok([self.temp(Class::Double), self.temp(Class::Double)]),
            _ => Err(invalid("this operand is not a register of 128 bits")),
        }
    }

    pub fn class_of(&self, r: Reg) -> Class {
        self.ir.classes[r as usize]
    }

    pub fn src(&mut self, i: &Instruction, n: usize, ty: Type) -> Result<Src> {
        let operand = i.operands.get(n).ok_or_else(|| invalid("an operand is missing"))?;
        self.source(operand, ty).map_err(|p| p.at(n))
    }

    /// A source of exactly this type's width.
    pub fn source(&mut self, operand: &Operand, ty: Type) -> Result<Src> {
        match operand {
            Operand::Reg(r) => {
                self.check(*r, ty)?;
                Ok(Src::Reg(self.top().registers + r))
            }
            Operand::Special(name) => {
                let (source, wide) = self.special(name)?;
                if wide == (class(ty) == Class::Double) {
                    return Ok(source);
                }
                let d = self.temp(class(ty));
                let op = if wide { op1::<bits::Low32>() } else { op1::<bits::Widen>() };
                self.map(op, d, &[source]);
                Ok(Src::Reg(d))
            }
            Operand::Var(var, offset) => Ok(self.address_of(*var, *offset)?.1),
            Operand::Function(name) => {
                let Some((function, _)) = self.module.function(&name.0) else {
                    return Err(invalid(format!("function `{}` is not declared", name.0)));
                };
                Ok(self.constant(function_address(function)))
            }
            other => {
                let bits = immediate(other, ty)?;
                Ok(self.constant(bits))
            }
        }
    }

    /// A source that may be wider than its type.
    pub fn wide_source(&mut self, operand: &Operand, ty: Type) -> Result<Src> {
        if let Operand::Reg(r) = operand {
            let (name, declared) = self.ast_register(*r);
            let whole = (declared == Type::B128) == (ty == Type::B128);
            if declared == Type::Pred || declared.size() < ty.size() || !whole {
                return Err(invalid(format!("`{name}` is `{declared}`, which is narrower than `{ty}`")));
            }
            return Ok(Src::Reg(self.top().registers + r));
        }
        self.source(operand, ty)
    }

    /// A predicate source and whether it is negated.
    pub fn predicate(&mut self, operand: &Operand) -> Result<(Src, bool)> {
        match operand {
            Operand::Reg(r) => {
                self.check(*r, Type::Pred)?;
                Ok((Src::Reg(self.top().registers + r), false))
            }
            Operand::NotReg(r) => Ok((Src::Reg(self.top().registers + r), true)),
            Operand::Int(v) => {
                let p = self.temp(Class::Pred);
                let imm = if *v != 0 { u64::from(u32::MAX) } else { 0 };
                self.push(Form::Fields(exec::<predicate::Constant>()), &[p], &[], imm);
                Ok((Src::Reg(p), false))
            }
            _ => Err(invalid("this is not a predicate")),
        }
    }

    /// A predicate source with its negation carried out.
    pub fn plain_predicate(&mut self, operand: &Operand) -> Result<Src> {
        let (p, negated) = self.predicate(operand)?;
        if !negated {
            return Ok(p);
        }
        let d = self.temp(Class::Pred);
        self.logic(predicate::NOT, d, p, p);
        Ok(Src::Reg(d))
    }

    /// A special register and whether it has 64 bits.
    fn special(&mut self, name: &str) -> Result<(Src, bool)> {
        let axis = match name.rsplit_once('.').map(|(_, a)| a) {
            Some("y") => 1,
            Some("z") => 2,
            _ => 0,
        };
        let clock = |n: u64, class: Class| Some((n, class));
        let (scalar, vector, time) = match name.split('.').next().unwrap_or(name) {
            "%tid" => (None, Some(VectorInit::Thread(axis)), None),
            "%laneid" => (None, Some(VectorInit::Lane), None),
            "%lanemask_eq" => (None, Some(VectorInit::LaneMask(0)), None),
            "%lanemask_le" => (None, Some(VectorInit::LaneMask(1)), None),
            "%lanemask_lt" => (None, Some(VectorInit::LaneMask(2)), None),
            "%lanemask_ge" => (None, Some(VectorInit::LaneMask(3)), None),
            "%lanemask_gt" => (None, Some(VectorInit::LaneMask(4)), None),
            "%ctaid" => (Some(ScalarInit::BlockIndex(axis)), None, None),
            "%ntid" => (Some(ScalarInit::BlockSize(axis)), None, None),
            "%nctaid" => (Some(ScalarInit::GridSize(axis)), None, None),
            "%clusterid" => (Some(ScalarInit::Cluster(axis)), None, None),
            "%nclusterid" => (Some(ScalarInit::Clusters(axis)), None, None),
            "%cluster_ctaid" => (Some(ScalarInit::PlaceInCluster(axis)), None, None),
            "%cluster_nctaid" => (Some(ScalarInit::ClusterSize(axis)), None, None),
            "%cluster_ctarank" => (Some(ScalarInit::ClusterRank), None, None),
            "%cluster_nctarank" => (Some(ScalarInit::ClusterBlocks), None, None),
            "%is_explicit_cluster" => (Some(ScalarInit::InCluster), None, None),
            "%warpid" => (Some(ScalarInit::Warp), None, None),
            "%nwarpid" => (Some(ScalarInit::Warps), None, None),
            "%dynamic_smem_size" => (Some(ScalarInit::DynamicShared), None, None),
            "%total_smem_size" | "%aggr_smem_size" => (Some(ScalarInit::TotalShared), None, None),
            "%gridid" => (Some(ScalarInit::Grid), None, None),
            "%smid" => (Some(ScalarInit::Constant(0)), None, None),
            "%nsmid" => (Some(ScalarInit::Constant(1)), None, None),
            "%clock" => (None, None, clock(0, Class::Word)),
            "%clock_hi" => (None, None, clock(1, Class::Word)),
            "%clock64" => (None, None, clock(2, Class::Double)),
            "%globaltimer" => (None, None, clock(3, Class::Double)),
            "%globaltimer_lo" => (None, None, clock(4, Class::Word)),
            "%globaltimer_hi" => (None, None, clock(5, Class::Word)),
            // A grid that waits for itself finds its counters there.
            "%envreg1" => return self.workspace(32),
            "%envreg2" => return self.workspace(0),
            envreg if envreg.starts_with("%envreg") => (Some(ScalarInit::Constant(0)), None, None),
            // Nothing is counted here.
            counter if counter.starts_with("%pm") => (Some(ScalarInit::Constant(0)), None, None),
            reserved if reserved.starts_with("%reserved_smem_offset_") => {
                let offset = self.reserved_shared(reserved);
                (Some(ScalarInit::Constant(offset)), None, None)
            }
            _ => return Err(unsupported(format!("special register `{name}` is not executed"))),
        };
        if let Some(init) = scalar {
            return Ok((self.scalar(init), name == "%gridid" || name.ends_with("_64")));
        }
        if let Some(init) = vector {
            if let Some(&r) = self.inputs.get(&init) {
                return Ok((Src::Reg(r), false));
            }
            let r = self.temp(Class::Word);
            self.inputs.insert(init, r);
            self.ir.inputs.push((r, init));
            return Ok((Src::Reg(r), false));
        }
        let Some((kind, class)) = time else {
            return Err(unsupported(format!("special register `{name}` is not executed")));
        };
        let d = self.temp(class);
        self.push(Form::Fields(cold::<Next<flow::Clock>>()), &[d], &[], kind);
        Ok((Src::Reg(d), class == Class::Double))
    }

    /// One half of the address of the launch's workspace: bits `shift` and up.
    fn workspace(&mut self, shift: u64) -> Result<(Src, bool)> {
        let address = self.scalar(ScalarInit::Workspace);
        let (high, d) = (self.temp(Class::Double), self.temp(Class::Word));
        let by = self.constant(shift);
        self.map(hot2::<crate::vm::integer::Shr<u64>>(), high, &[address, by]);
        self.map(op1::<bits::Low32>(), d, &[Src::Reg(high)]);
        Ok((Src::Reg(d), false))
    }

    /// Where in shared memory the region lies that the system keeps for itself, and its parts.
    fn reserved_shared(&mut self, name: &str) -> u64 {
        let begin = match self.reserved {
            Some(begin) => begin,
            None => {
                let begin = super::lower::place(&mut self.shared, RESERVED_SHARED, 128);
                *self.reserved.insert(begin)
            }
        };
        match name.rsplit('_').next() {
            Some("1") => begin + RESERVED_SHARED / 2,
            Some("end") => begin + RESERVED_SHARED,
            Some("cap") => RESERVED_SHARED,
            _ => begin,
        }
    }

    /// Space and address (in that space) of a variable.
    pub fn address_of(&mut self, var: VarRef, offset: i64) -> Result<(Space, Src)> {
        let frame = self.top();
        let (space, base) = match var {
            VarRef::Module(n) => {
                let variable = &self.module.variables[n as usize];
                if let Some(why) = &variable.unsupported {
                    return Err(unsupported(why.clone()));
                }
                match variable.space {
                    Space::Shared if variable.size == 0 => (Space::Shared, self.dynamic(variable.align)),
                    Space::Shared => (Space::Shared, self.module_shared[n as usize]),
                    space => {
                        let Some(Some(place)) = self.places.get(n as usize).copied() else {
                            return Err(unsupported(format!(
                                "`.{}` variable `{}` at module scope is not executed",
                                space.name(),
                                variable.name
                            )));
                        };
                        return Ok((space, self.scalar(ScalarInit::Global(place, offset))));
                    }
                }
            }
            VarRef::Local(n) => match frame.function.variables[n as usize].space {
                Space::Shared => (Space::Shared, frame.variables[n as usize]),
                _ => (Space::Local, frame.variables[n as usize]),
            },
            VarRef::Param(n) if frame.function.entry => (Space::Param, frame.function.params[n as usize].offset),
            VarRef::Param(n) => (Space::Local, frame.params[n as usize]),
            VarRef::Return(n) => (Space::Local, frame.returns[n as usize]),
        };
        let at = base.wrapping_add(offset as u64);
        Ok((space, if space == Space::Local { self.local_address(at) } else { self.constant(at) }))
    }

    /// The address operand `n` in `space`: source, displacement, the space it really lies in.
    pub fn address(&mut self, i: &Instruction, n: usize, space: Space) -> Result<(Src, u64, Space)> {
        let Some(Operand::Address(address)) = i.operands.get(n) else {
            return Err(
                Problem { expected: Some("`[address]`".into()), ..invalid("this operand is not an address") }.at(n)
            );
        };
        match address.base {
            AddressBase::Reg(r) => Ok((Src::Reg(self.top().registers + r), address.offset as u64, space)),
            AddressBase::Absolute => Ok((self.constant(address.offset as u64), 0, space)),
            AddressBase::Var(var) => {
                let (found, source) = self.address_of(var, address.offset).map_err(|p| p.at(n))?;
                let agrees = match space {
                    Space::Generic => true,
                    Space::Param => matches!(found, Space::Param | Space::Local),
                    _ => found == space,
                };
                if !agrees {
                    return Err(invalid(format!(
                        "the variable is in `.{}`, the instruction in `.{}`",
                        found.name(),
                        space.name()
                    ))
                    .at(n));
                }
                Ok((source, 0, found))
            }
        }
    }
}

/// The bits of a constant as a value of type `ty`.
pub(super) fn immediate(operand: &Operand, ty: Type) -> Result<u64> {
    let bits = match (operand, ty) {
        (Operand::Int(_), Type::F32 | Type::F64) => {
            return Err(Problem {
                expected: Some("a float such as `0f3F800000`".into()),
                ..invalid("an integer where a float is needed")
            });
        }
        (Operand::Int(v), _) => *v as u64,
        (Operand::Float { single: Some(bits), .. }, Type::F32 | Type::B32 | Type::U32 | Type::S32) => u64::from(*bits),
        (Operand::Float { value, single: None }, Type::F32) => u64::from((*value as f32).to_bits()),
        (Operand::Float { value, .. }, Type::F64 | Type::B64) => value.to_bits(),
        _ => return Err(invalid(format!("this operand cannot be a `{ty}`"))),
    };
    Ok(match ty.size() {
        1 | 2 => bits & 0xffff,
        4 => bits & 0xffff_ffff,
        _ => bits,
    })
}
