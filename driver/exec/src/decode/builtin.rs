//! Calls of what is not in the module: the device runtime's own functions, and functions known by their
//! address only; and the stack that `alloca` takes from.

use super::control::MAX_DEPTH;
use super::ir::{Class, Form, Reg, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::code::ScalarInit;
use crate::program::function_address;
use crate::ptx::{Function, Instruction, Operand, Param, Signature, Symbol, Type};
use crate::vm::heap::{Free, Malloc};
use crate::vm::map::{cold, hot2};
use crate::vm::printf::Printf;
use crate::vm::{bits, flow, integer, predicate};

impl<'a> Lower<'a> {
    /// `vprintf`, `malloc`, `free`: D (CUDA C++ Programming Guide), with the signatures that CUDA C's
    /// headers declare.
    pub fn builtin(&mut self, declared: &'a Function, returns: &[Operand], arguments: &[Operand]) -> Result<()> {
        let (result, takes): (Option<Type>, &[u64]) = match declared.name.as_str() {
            "vprintf" => (Some(Type::B32), &[8, 8]),
            "malloc" => (Some(Type::B64), &[8]),
            _ => (None, &[8]),
        };
        let Signature { returns: given_returns, params } = declared.signature();
        let returned: Vec<u64> = result.iter().map(|ty| ty.size()).collect();
        let fits = params == takes && given_returns == returned;
        if !fits || arguments.len() != takes.len() || returns.len() > returned.len() {
            return Err(invalid(format!("`{}` is not declared as CUDA declares it", declared.name)));
        }
        let mut values = Vec::new();
        for (argument, param) in arguments.iter().zip(&declared.params) {
            values.push(self.argument(declared, argument, param)?);
        }
        let value = self.temp(if result == Some(Type::B64) { Class::Double } else { Class::Word });
        match declared.name.as_str() {
            "vprintf" => {
                self.push(Form::Atomic(cold::<Printf>()), &[value], &[values[0], values[1], values[1]], 0);
            }
            name => {
                let Some(heap) = self.heap else { return Err(unsupported("this module has no heap")) };
                let heap = self.scalar(ScalarInit::Global(heap, 0));
                let (handlers, d) =
                    if name == "malloc" { (cold::<Malloc>(), vec![value]) } else { (cold::<Free>(), vec![]) };
                self.push(Form::Atomic(handlers), &d, &[heap, values[0], values[0]], 0);
            }
        }
        let (Some(ty), [place]) = (result, returns) else { return Ok(()) };
        match declared.returns.first().and_then(|param| param.register) {
            Some(_) => {
                let d = self.destination(place, ty)?;
                self.copy_register(d, Src::Reg(value));
            }
            None => {
                let at = self.call_place(place)?;
                let address = self.local_address(at);
                self.store_local(ty, address, value)?;
            }
        }
        Ok(())
    }

    /// An argument of 8 bytes.
    fn argument(&mut self, declared: &Function, argument: &Operand, param: &Param) -> Result<Src> {
        if let Some(register) = param.register {
            return self.source(argument, declared.registers.ty(register));
        }
        let at = self.call_place(argument)?;
        let address = self.local_address(at);
        self.load_local(Type::B64, address).map(Src::Reg)
    }

    /// A call of a function by its address: each function that it may be is called, behind a comparison.
    pub fn indirect_call(
        &mut self,
        target: &'a Operand,
        prototype: Option<&'a Operand>,
        returns: &[Operand],
        arguments: &[Operand],
    ) -> Result<()> {
        let Some(Operand::Prototype(prototype)) = prototype else {
            return Err(invalid("an indirect call needs a `.callprototype`"));
        };
        let Some((_, signature)) = self.top().function.prototypes.get(*prototype as usize) else {
            return Err(unsupported("an indirect call by `.calltargets` is not executed"));
        };
        let target = self.source(target, Type::B64)?;
        let end = self.new_label();
        for index in self.targets(signature) {
            let function = &self.module.functions[index as usize];
            // What cannot be inlined is only wrong if it is really called.
            let passes = passes_as(&function.returns, returns) && passes_as(&function.params, arguments);
            if !passes || function.refused.is_some() || self.frames.len() >= MAX_DEPTH {
                continue;
            }
            let (next, same) = (self.new_label(), self.temp(Class::Pred));
            let address = self.constant(function_address(index));
            self.map(predicate::setp::<predicate::Eq<u64>>(), same, &[target, address]);
            self.push(Form::Branch(next, true), &[], &[Src::Reg(same)], 0);
            self.direct_call(function, returns, arguments)?;
            self.push(Form::Jump(end), &[], &[], 0);
            self.label(next);
        }
        self.push(Form::Fields(cold::<flow::LostCall>()), &[], &[target], 0);
        self.label(end);
        Ok(())
    }

    pub fn new_label(&mut self) -> u32 {
        self.ir.labels += 1;
        self.ir.labels - 1
    }

    /// The functions of this shape whose address is taken anywhere in the module.
    pub fn targets(&mut self, signature: &Signature) -> Vec<u32> {
        let module = self.module;
        let taken = self.addresses_taken.get_or_insert_with(|| {
            let stored = module.variables.iter().flat_map(|variable| &variable.relocations);
            let mut taken: Vec<u32> = stored
                .filter_map(|relocation| match relocation.symbol {
                    Some(Symbol::Function(n)) => Some(n),
                    _ => None,
                })
                .collect();
            for statement in module.functions.iter().flat_map(|function| &function.body) {
                let operands = statement.instruction.operands.iter();
                for operand in operands.skip(usize::from(statement.instruction.opcode == "call") * 3) {
                    if let Operand::Function(name) = operand {
                        taken.extend(module.function(&name.0).map(|(n, _)| n));
                    }
                }
            }
            taken.sort_unstable();
            taken.dedup();
            taken.retain(|&n| module.functions[n as usize].defined && !module.functions[n as usize].entry);
            taken
        });
        taken.iter().copied().filter(|&n| module.functions[n as usize].signature() == *signature).collect()
    }

    /// The register that says where the next `alloca` takes from.
    pub fn stack_top(&mut self) -> Reg {
        match self.stack {
            Some(top) => top,
            None => {
                let top = self.temp(Class::Double);
                *self.stack.insert(top)
            }
        }
    }

    /// `alloca`, `stacksave`, `stackrestore`.
    pub fn stack(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        let Some(ty) = m.ty().filter(|ty| ty.size() == 8) else {
            return Err(unsupported(format!("`{}` of addresses of 32 bits is not executed", i.opcode)));
        };
        let top = self.stack_top();
        match i.opcode {
            "stacksave" => {
                self.operands(i, 1..=1)?;
                let d = self.dst(i, 0, ty)?;
                self.copy_register(d, Src::Reg(top));
            }
            "stackrestore" => {
                self.operands(i, 1..=1)?;
                let value = self.src(i, 0, ty)?;
                self.copy_register(top, value);
            }
            _ => {
                self.operands(i, 2..=3)?;
                let align = match i.operands.get(2) {
                    None => 8,
                    Some(Operand::Int(n)) if *n > 0 && *n <= 1 << 12 && n & (n - 1) == 0 => (*n as u64).max(8),
                    Some(_) => return Err(invalid("the alignment of `alloca` is a power of two").at(2)),
                };
                let size = self.src(i, 1, ty)?;
                let d = self.dst(i, 0, ty)?;
                let (up, begin, end) = (self.temp(Class::Double), self.temp(Class::Double), self.temp(Class::Double));
                let (more, mask) = (self.constant(align - 1), self.constant(!(align - 1)));
                self.map(hot2::<integer::Add<u64>>(), up, &[Src::Reg(top), more]);
                self.map(hot2::<bits::And64>(), begin, &[Src::Reg(up), mask]);
                self.map(hot2::<integer::Add<u64>>(), end, &[Src::Reg(begin), size]);
                // What calls put on the stack begins where the last left it.
                let (whole, more, mask) = (self.temp(Class::Double), self.constant(15), self.constant(!15));
                self.map(hot2::<integer::Add<u64>>(), whole, &[Src::Reg(end), more]);
                self.map(hot2::<bits::And64>(), end, &[Src::Reg(whole), mask]);
                self.copy_register(top, Src::Reg(end));
                self.copy_register(d, Src::Reg(begin));
            }
        }
        Ok(())
    }

    /// What `frame` keeps of the stack while a function with an `alloca` is inlined.
    pub fn save_stack(&mut self, function: &Function) -> Option<Reg> {
        let allocates = function.body.iter().any(|statement| statement.instruction.opcode == "alloca");
        (allocates && self.frames.len() > 1).then(|| {
            let (top, saved) = (self.stack_top(), self.temp(Class::Double));
            self.copy_register(saved, Src::Reg(top));
            saved
        })
    }

    /// Gives back what the function took.
    pub fn restore_stack(&mut self, saved: Option<Reg>) {
        if let Some(saved) = saved {
            let top = self.stack_top();
            self.copy_register(top, Src::Reg(saved));
        }
    }

    /// Places the stack behind all variables, and sets its register before anything else; whether there is one.
    pub fn place_stack(&mut self) -> bool {
        let Some(top) = self.stack else { return false };
        self.local = self.local.next_multiple_of(16);
        let begin = self.constant(self.local);
        self.counted = true;
        self.copy_register(top, begin);
        if let Some(mut first) = self.ir.nodes.pop() {
            first.origin = 0;
            self.ir.nodes.insert(0, first);
        }
        true
    }
}

/// Whether a call gives `operands` as a function takes them: in registers, or in `.param` variables.
fn passes_as(params: &[Param], operands: &[Operand]) -> bool {
    let same = |(param, operand): (&Param, &Operand)| param.register.is_none() == matches!(operand, Operand::Var(..));
    params.len() == operands.len() && params.iter().zip(operands).all(same)
}

/// What a `call` names: a function of the module, or a prototype.
pub(super) fn called(i: &Instruction) -> (Option<&str>, Option<u32>) {
    let rest = match i.operands.as_slice() {
        [Operand::List(_), rest @ ..] | rest => rest,
    };
    let prototype = rest.iter().find_map(|operand| match operand {
        Operand::Prototype(n) => Some(*n),
        _ => None,
    });
    match rest.first() {
        Some(Operand::Function(name)) => (Some(&name.0), None),
        _ => (None, prototype),
    }
}
