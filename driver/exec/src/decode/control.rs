//! Branches, calls, barriers and fences.

use super::ir::{Class, Form, Reg, Src};
use super::lower::{Lower, Result, invalid, unsupported};
use super::modifiers::Modifiers;
use crate::ptx::{Function, Instruction, Operand, Space, Type, VarRef};
use crate::vm::dependence::{LaunchDependents, WaitForGrids};
use crate::vm::map::{Next, cold, step};
use crate::vm::{flow, predicate};

/// Calls nested deeper than this are not inlined.
pub(super) const MAX_DEPTH: usize = 64;

/// What a call gives and takes.
#[derive(Default)]
pub(super) struct Passed {
    /// Registers of the callee, and what they begin with.
    pub inputs: Vec<(u32, Src)>,
    /// Registers of the caller, and those of the callee that they take.
    pub outputs: Vec<(Reg, u32)>,
    /// Local offsets of parameters and return values, 0 for one in a register.
    pub places: Vec<u64>,
    pub return_places: Vec<u64>,
}

impl<'a> Lower<'a> {
    pub fn control(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        match i.opcode {
            "bra" => {
                m.take("uni");
                self.operands(i, 1..=1)?;
                let Operand::Label(label) = i.operands[0] else { return Err(invalid("`bra` needs a label").at(0)) };
                let target = self.top().labels + label;
                match self.guard.take() {
                    Some((p, negated)) => self.push(Form::Branch(target, negated), &[], &[Src::Reg(p)], 0),
                    None => self.push(Form::Jump(target), &[], &[], 0),
                };
                Ok(())
            }
            "brx" => {
                m.take("uni");
                if !m.take("idx") {
                    return Err(invalid("`brx` needs `.idx`"));
                }
                self.operands(i, 2..=2)?;
                let Operand::Table(table) = i.operands[1] else {
                    return Err(invalid("`brx.idx` needs a `.branchtargets` table").at(1));
                };
                let index = self.src(i, 0, Type::U32)?;
                let table = self.top().tables + table;
                self.push(Form::Table(table), &[], &[index], 0);
                Ok(())
            }
            "ret" => {
                m.take("uni");
                self.operands(i, 0..=0)?;
                if self.top().function.entry {
                    self.push(Form::Exit, &[], &[], 0);
                } else {
                    let end = self.top().end;
                    self.push(Form::Jump(end), &[], &[], 0);
                }
                Ok(())
            }
            "exit" => {
                self.operands(i, 0..=0)?;
                self.push(Form::Exit, &[], &[], 0);
                Ok(())
            }
            // Without a debugger a breakpoint ends the kernel as a trap does.
            "trap" | "brkpt" => {
                self.operands(i, 0..=0)?;
                self.push(Form::Trap, &[], &[], 0);
                Ok(())
            }
            "call" => self.call(i, m),
            "bar" | "barrier" => self.barrier(i, m),
            "membar" | "fence" => {
                let asynchronous = i.modifiers.iter().any(|word| word == "proxy")
                    && i.modifiers.iter().any(|word| word.starts_with("async"));
                for word in [
                    "gl",
                    "cta",
                    "sys",
                    "gpu",
                    "cluster",
                    "sc",
                    "acq_rel",
                    "acquire",
                    "release",
                    "proxy",
                    "async",
                    "alias",
                    "global",
                    "async.global",
                    "shared::cta",
                    "mbarrier_init",
                    "sync_restrict::shared::cta",
                    "sync_restrict::shared::cluster",
                    "async.shared::cta",
                    "shared::cluster",
                    "async::generic",
                    "tensormap::generic",
                ] {
                    m.take(word);
                }
                // `fence.proxy.tensormap::generic.acquire` names the map and its size.
                if i.operands.len() == 2 {
                    self.address(i, 0, Space::Generic)?;
                    if i.operands[1] != Operand::Int(128) {
                        return Err(invalid("a fence is for the 128 bytes of a tensor map").at(1));
                    }
                } else {
                    self.operands(i, 0..=0)?;
                }
                let handlers =
                    if asynchronous { cold::<Next<flow::FenceProxy>>() } else { cold::<Next<flow::Fence>>() };
                self.push(Form::Fields(handlers), &[], &[], 0);
                Ok(())
            }
            "griddepcontrol" => {
                let handlers = match m.one_of(&["wait", "launch_dependents"]) {
                    Some("wait") => cold::<WaitForGrids>(),
                    Some(_) => {
                        self.lets_begin = true;
                        cold::<LaunchDependents>()
                    }
                    None => return Err(invalid("`griddepcontrol` needs `.wait` or `.launch_dependents`")),
                };
                self.operands(i, 0..=0)?;
                self.push(Form::Fields(handlers), &[], &[], 0);
                Ok(())
            }
            "nanosleep" => {
                m.ty();
                self.operands(i, 1..=1)?;
                self.nothing();
                Ok(())
            }
            other => Err(unsupported(format!("instruction `{other}` is not executed"))),
        }
    }

    fn call(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        m.take("uni");
        let mut rest = i.operands.as_slice();
        let mut returns: &[Operand] = &[];
        if let [Operand::List(list), tail @ ..] = rest {
            (returns, rest) = (list, tail);
        }
        let (target, tail) = match rest {
            [target, tail @ ..] => (target, tail),
            [] => return Err(invalid("`call` names no function")),
        };
        let (arguments, prototype): (&[Operand], _) = match tail {
            [] => (&[], None),
            [Operand::List(list)] => (list, None),
            [Operand::List(list), prototype] => (list, Some(prototype)),
            [prototype] => (&[], Some(prototype)),
            _ => return Err(invalid("`call` has too many operands")),
        };
        let Operand::Function(callee) = target else {
            return self.indirect_call(target, prototype, returns, arguments);
        };
        let Some((_, function)) = self.module.function(&callee.0) else {
            return Err(invalid(format!("function `{}` is not declared", callee.0)));
        };
        if function.defined {
            return self.direct_call(function, returns, arguments);
        }
        match callee.0.as_str() {
            "__assertfail" => {
                // What CUDA C's `assert` calls; the device tells it from a trap by the statement.
                self.push(Form::Trap, &[], &[], 0);
                Ok(())
            }
            "cudaGraphSetConditional" => self.set_conditional(function, returns, arguments),
            "vprintf" | "malloc" | "free" => self.builtin(function, returns, arguments),
            other => Err(unsupported(format!("a call of the external function `{other}` is not executed"))),
        }
    }

    /// A call of a function of the module.
    pub fn direct_call(&mut self, function: &'a Function, returns: &[Operand], arguments: &[Operand]) -> Result<()> {
        let name = &function.name;
        if let Some(error) = &function.refused {
            return Err(super::lower::Problem { whole: Some(error.clone()), ..unsupported("") });
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(unsupported(format!("a call of `{name}` is nested deeper than {MAX_DEPTH}")));
        }
        if arguments.len() != function.params.len() || returns.len() != function.returns.len() {
            return Err(invalid(format!(
                "`{name}` takes {} arguments and returns {}",
                function.params.len(),
                function.returns.len()
            )));
        }
        let passed = self.passed(function, returns, arguments)?;
        if self.is_recursive(function) { self.call_routine(function, passed) } else { self.inlined(function, passed) }
    }

    fn passed(&mut self, function: &'a Function, returns: &[Operand], arguments: &[Operand]) -> Result<Passed> {
        let mut passed = Passed::default();
        for (argument, param) in arguments.iter().zip(&function.params) {
            match param.register {
                Some(register) => {
                    let value = self.source(argument, function.registers.ty(register))?;
                    passed.inputs.push((register, value));
                    passed.places.push(0);
                }
                None => passed.places.push(self.call_place(argument)?),
            }
        }
        for (result, param) in returns.iter().zip(&function.returns) {
            match param.register {
                Some(register) => {
                    let d = self.destination(result, function.registers.ty(register))?;
                    passed.outputs.push((d, register));
                    passed.return_places.push(0);
                }
                None => passed.return_places.push(self.call_place(result)?),
            }
        }
        let halves = passed.inputs.iter().map(|&(r, _)| r).chain(passed.outputs.iter().map(|&(_, r)| r));
        if halves.into_iter().any(|r| function.registers.ty(r) == Type::B128) {
            return Err(unsupported("a `.reg .b128` parameter is not executed"));
        }
        Ok(passed)
    }

    fn inlined(&mut self, function: &'a Function, passed: Passed) -> Result<()> {
        let Passed { inputs, outputs, places, return_places } = passed;
        // The call itself counts as one instruction.
        self.nothing();
        let registers = self.registers_of(function);
        for (register, value) in inputs {
            self.copy_register(registers + register, value);
        }
        self.frame(function, registers, places, return_places)
            .map_err(|e| super::lower::Problem { whole: Some(e), ..invalid("") })?;
        for (d, register) in outputs {
            self.copy_register(d, Src::Reg(registers + register));
        }
        Ok(())
    }

    /// A call of the device runtime's `cudaGraphSetConditional(handle, value)`.
    ///
    /// D (cuda_device_runtime_api.h): `extern void`, a 64-bit handle and an `unsigned int`.
    fn set_conditional(&mut self, declared: &Function, returns: &[Operand], arguments: &[Operand]) -> Result<()> {
        let sizes: Vec<u64> = declared.params.iter().map(|param| param.size).collect();
        let in_registers = declared.params.iter().any(|param| param.register.is_some());
        let [handle, value] = arguments else {
            return Err(invalid("`cudaGraphSetConditional` takes a handle and a value"));
        };
        if sizes != [8, 4] || in_registers || !returns.is_empty() || !declared.returns.is_empty() {
            return Err(invalid("`cudaGraphSetConditional` takes `.param .b64` and `.param .b32` and returns nothing"));
        }
        if self.routines.base().is_some() {
            return Err(unsupported("`cudaGraphSetConditional` in a function that may call itself is not executed"));
        }
        let places = self.call_place(handle)? | self.call_place(value)? << 32;
        self.push(Form::Fields(cold::<flow::SetConditional>()), &[], &[], places);
        Ok(())
    }

    pub fn copy_register(&mut self, d: u32, value: Src) {
        let op = match self.class_of(d) {
            Class::Word => crate::vm::map::hot1::<crate::vm::bits::Mov32>(),
            Class::Double => crate::vm::map::hot1::<crate::vm::bits::Mov64>(),
            Class::Pred => return self.logic(predicate::COPY, d, value, value),
        };
        self.push(Form::Map(op), &[d], &[value], 0).traits.copies = true;
    }

    /// Local offset of a `.param` variable in a call.
    pub fn call_place(&mut self, operand: &Operand) -> Result<u64> {
        let frame = self.top();
        match operand {
            Operand::Var(VarRef::Local(n), 0) => Ok(frame.variables[*n as usize]),
            Operand::Var(VarRef::Param(n), 0) if !frame.function.entry => Ok(frame.params[*n as usize]),
            Operand::Var(VarRef::Return(n), 0) => Ok(frame.returns[*n as usize]),
            _ => Err(unsupported("a call argument that is not a `.param` variable is not executed")),
        }
    }

    fn barrier(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        if i.opcode == "bar" && m.take("warp") {
            if !m.take("sync") {
                return Err(invalid("`bar.warp` needs `.sync`"));
            }
            self.operands(i, 1..=1)?;
            let members = self.src(i, 0, Type::B32)?;
            self.push(Form::Fields(step::<crate::vm::warp_ops::WarpBarrier>()), &[], &[members], 0);
            return Ok(());
        }
        if m.take("cluster") {
            return self.cluster_barrier(i, m);
        }
        m.take("cta");
        let aligned = if m.take("aligned") || i.opcode == "bar" { 16 } else { 0 };
        let Some(kind) = m.one_of(&["sync", "arrive", "red"]) else {
            return Err(invalid(format!("`{}` needs `.sync`, `.arrive` or `.red`", i.opcode)));
        };
        if kind == "red" {
            return self.barrier_red(i, m, aligned);
        }
        self.operands(i, 1..=2)?;
        let mut s = vec![self.src(i, 0, Type::B32)?];
        let mut mode = aligned | if kind == "arrive" { 2 } else { 0 };
        if i.operands.len() == 2 {
            s.push(self.src(i, 1, Type::B32)?);
            mode |= 1;
        } else if kind == "arrive" {
            return Err(invalid("`arrive` needs a thread count"));
        }
        self.push(Form::Barrier(cold::<flow::Barrier>()), &[], &s, mode);
        Ok(())
    }

    fn barrier_red(&mut self, i: &Instruction, m: &mut Modifiers<'a>, aligned: u64) -> Result<()> {
        let Some(kind) = m.one_of(&["popc", "and", "or"]) else {
            return Err(invalid("`bar.red` needs `.popc`, `.and` or `.or`"));
        };
        let ty = m.ty();
        if ty != Some(if kind == "popc" { Type::U32 } else { Type::Pred }) {
            return Err(invalid(format!("`bar.red.{kind}` does not take this type")));
        }
        self.operands(i, 3..=4)?;
        let mut s = vec![self.src(i, 1, Type::B32)?];
        let mut mode = 4 | aligned;
        if i.operands.len() == 4 {
            s.push(self.src(i, 2, Type::B32)?);
            mode |= 1;
        }
        let last = i.operands.len() - 1;
        let votes = self.plain_predicate(&i.operands[last]).map_err(|p| p.at(last))?;
        s.push(votes);
        self.push(Form::Barrier(cold::<flow::Barrier>()), &[], &s, mode);
        // The lanes go on here once all have come, and take the result.
        let (d, code) = match kind {
            "popc" => (self.dst(i, 0, Type::U32)?, 0),
            "and" => (self.dst(i, 0, Type::Pred)?, 1),
            _ => (self.dst(i, 0, Type::Pred)?, 2),
        };
        self.push(Form::Fields(cold::<Next<flow::BarrierResult>>()), &[d], &s[..1], code);
        Ok(())
    }
}
