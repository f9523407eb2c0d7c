//! Statements → operations: the state, and access to operands.

use std::collections::HashMap;

use super::ir::{Class, Form, Ir, Node, Reg, Src, Traits};
use super::modifiers::Modifiers;
use crate::exec::code::{HandlerSet, Origin, ScalarInit, VectorInit};
use crate::exec::vm::map::{Op, cold, exec};
use crate::exec::vm::{bits, flow, memory, predicate};
use crate::ptx::{
    AddressBase, Function, Instruction, Module, Operand, PtxError, PtxErrorKind, Span, Space, Type, VarRef,
};

/// A kernel as operations.
pub(crate) struct Lowered {
    pub ir: Ir,
    pub origins: Vec<Origin>,
    /// Static shared bytes.
    pub shared: u64,
    /// Local bytes of a thread.
    pub local: u64,
}

/// Inlining stops here.
const MAX_NODES: usize = 2_000_000;

/// One function being inlined.
pub(super) struct Frame<'a> {
    pub function: &'a Function,
    /// Register of the function's register 0.
    pub registers: Reg,
    /// Label of the function's label 0.
    pub labels: u32,
    /// Table of the function's table 0.
    pub tables: u32,
    /// Where its own variables lie, in their spaces.
    pub variables: Vec<u64>,
    /// Local offsets of parameters and return values of a device function.
    pub params: Vec<u64>,
    pub returns: Vec<u64>,
    /// Where `ret` goes.
    pub end: u32,
}

pub(super) struct Lower<'a> {
    pub module: &'a Module,
    pub frames: Vec<Frame<'a>>,
    pub ir: Ir,
    pub origins: Vec<Origin>,
    places: &'a [Option<u32>],
    scalars: HashMap<ScalarInit, u32>,
    inputs: HashMap<VectorInit, Reg>,
    /// Offsets of module-scope shared variables.
    module_shared: Vec<u64>,
    /// Offsets of shared variables of functions, by name of function and index.
    function_shared: HashMap<(String, usize), u64>,
    pub shared: u64,
    pub local: u64,
    pub guard: Option<(Reg, bool)>,
    /// The statement's first operation has been written.
    counted: bool,
    pub carry: Option<Reg>,
}

/// What a lowering function gives: the problem, not yet with a place.
pub(super) type Result<T> = std::result::Result<T, Problem>;

/// A problem of one instruction.
pub(super) struct Problem {
    pub kind: PtxErrorKind,
    pub message: String,
    pub expected: Option<String>,
    /// Which operand, if one.
    pub operand: Option<usize>,
    /// Already complete: it comes from an inlined function.
    pub whole: Option<PtxError>,
}

pub(super) fn unsupported(message: impl Into<String>) -> Problem {
    Problem { kind: PtxErrorKind::Unsupported, message: message.into(), expected: None, operand: None, whole: None }
}

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem { kind: PtxErrorKind::Semantic, message: message.into(), expected: None, operand: None, whole: None }
}

impl Problem {
    pub fn at(mut self, operand: usize) -> Self {
        self.operand = Some(operand);
        self
    }
}

/// Register class of a type.
pub(super) fn class(ty: Type) -> Class {
    match ty {
        Type::Pred => Class::Pred,
        _ if ty.size() == 8 => Class::Double,
        _ => Class::Word,
    }
}

/// Lowers a kernel with everything it calls.
pub(crate) fn kernel(module: &Module, function: &Function, places: &[Option<u32>]) -> std::result::Result<Lowered, PtxError> {
    let mut lower = Lower {
        module,
        frames: Vec::new(),
        ir: Ir::default(),
        origins: Vec::new(),
        places,
        scalars: HashMap::new(),
        inputs: HashMap::new(),
        module_shared: Vec::new(),
        function_shared: HashMap::new(),
        shared: 0,
        local: 0,
        guard: None,
        counted: false,
        carry: None,
    };
    for variable in &module.variables {
        let mut offset = 0;
        if variable.space == Space::Shared && variable.size > 0 {
            offset = place(&mut lower.shared, variable.size, variable.align);
        }
        lower.module_shared.push(offset);
    }
    lower.frame(function, Vec::new(), Vec::new())?;
    // Dynamic shared memory starts behind all static variables, of called functions too.
    let dynamic = lower.shared.next_multiple_of(16);
    lower.resolve_dynamic(dynamic);
    let local = lower.local.next_multiple_of(16);
    Ok(Lowered { ir: lower.ir, origins: lower.origins, shared: lower.shared, local })
}

/// Takes room at the end of a space.
fn place(end: &mut u64, size: u64, align: u64) -> u64 {
    let at = end.next_multiple_of(align.max(1));
    *end = at + size;
    at
}

/// Stands for the start of dynamic shared memory until all static variables are known.
const DYNAMIC: u64 = 0x5a5a_0000_0000_0000;

impl<'a> Lower<'a> {
    /// Lowers the body of a function; `params` and `returns`: local offsets.
    pub fn frame(&mut self, function: &'a Function, params: Vec<u64>, returns: Vec<u64>) -> std::result::Result<(), PtxError> {
        let registers = self.ir.classes.len() as Reg;
        self.ir.classes.extend(function.registers.iter().map(|r| class(r.ty)));
        let labels = self.ir.labels;
        self.ir.labels += function.labels.len() as u32 + 1;
        let end = self.ir.labels - 1;
        let tables = self.ir.tables.len() as u32;
        for (_, targets) in &function.branch_tables {
            self.ir.tables.push(targets.iter().map(|t| t + labels).collect());
        }
        let mut variables = Vec::new();
        for (index, variable) in function.variables.iter().enumerate() {
            let offset = match variable.space {
                Space::Shared if variable.size == 0 => DYNAMIC,
                Space::Shared => {
                    let key = (function.name.clone(), index);
                    match self.function_shared.get(&key) {
                        Some(&at) => at,
                        None => {
                            let at = place(&mut self.shared, variable.size, variable.align);
                            self.function_shared.insert(key, at);
                            at
                        }
                    }
                }
                Space::Local | Space::Param => place(&mut self.local, variable.size, variable.align),
                _ => {
                    let message = format!("`.{}` variable `{}` inside a function is not executed", variable.space.name(), variable.name);
                    return Err(PtxError::new(PtxErrorKind::Unsupported, &self.module.source, variable.span, message));
                }
            };
            variables.push(offset);
        }
        self.frames.push(Frame { function, registers, labels, tables, variables, params, returns, end });
        let mut next_label = function.labels.iter().enumerate().map(|(i, l)| (l.at, i as u32)).collect::<Vec<_>>();
        next_label.sort_unstable();
        let mut next_label = next_label.into_iter().peekable();
        for (index, statement) in function.body.iter().enumerate() {
            while let Some((_, label)) = next_label.next_if(|&(at, _)| at <= index) {
                self.label(labels + label);
            }
            self.origins.push(Origin {
                line: statement.line,
                start: statement.span.start,
                end: statement.span.end,
                source: statement.location.map(|l| (l.file, l.line)),
            });
            self.counted = false;
            let instruction = &statement.instruction;
            if let Err(problem) = self.statement(instruction) {
                if let Some(error) = problem.whole {
                    return Err(error);
                }
                let span = problem.operand.and_then(|n| instruction.operand_spans.get(n)).copied().unwrap_or(statement.span);
                let mut error = PtxError::new(problem.kind, &self.module.source, span, problem.message);
                error.expected = problem.expected;
                return Err(error);
            }
            if self.ir.nodes.len() > MAX_NODES {
                let message = format!("`{}` is too large once its calls are inlined", function.name);
                return Err(PtxError::new(PtxErrorKind::Unsupported, &self.module.source, function.span, message));
            }
        }
        for (_, label) in next_label {
            self.label(labels + label);
        }
        self.label(end);
        if self.frames.len() == 1 {
            // Running off the end of a kernel ends the lanes.
            self.push(Form::Exit, &[], &[], 0);
        }
        self.frames.pop();
        Ok(())
    }

    fn resolve_dynamic(&mut self, dynamic: u64) {
        for scalar in &mut self.ir.scalars {
            if let ScalarInit::Constant(v) = scalar {
                let offset = v.wrapping_sub(DYNAMIC) as i64;
                if offset.unsigned_abs() < 1 << 40 {
                    *v = dynamic.wrapping_add(offset as u64);
                }
            }
        }
    }

    pub fn top(&self) -> &Frame<'a> {
        // `frame` pushes one before it lowers anything.
        &self.frames[self.frames.len() - 1]
    }

    fn statement(&mut self, i: &'a Instruction) -> Result<()> {
        let guard = i.guard.map(|g| (self.top().registers + g.register, g.negated));
        let mut m = Modifiers::new(&i.modifiers);
        // Where lanes meet or leave, those that the guard excludes must go round.
        let around = matches!(
            i.opcode.as_str(),
            "ret" | "exit" | "trap" | "brkpt" | "call" | "bar" | "barrier" | "shfl" | "vote" | "match" | "redux" | "elect" | "mma"
                | "ldmatrix" | "stmatrix" | "movmatrix" | "brx" | "activemask"
        );
        self.guard = guard;
        let mut after = None;
        if let (true, Some((p, negated))) = (around, guard) {
            let label = self.ir.labels;
            self.ir.labels += 1;
            self.guard = None;
            self.push(Form::Branch(label, !negated), &[], &[Src::Reg(p)], 0);
            after = Some(label);
        }
        self.instruction(i, &mut m)?;
        if let Some(word) = m.rest().first() {
            return Err(unsupported(format!("modifier `.{word}` of `{}` is not executed", i.opcode)));
        }
        self.guard = None;
        if let Some(label) = after {
            self.label(label);
        }
        Ok(())
    }

    fn instruction(&mut self, i: &'a Instruction, m: &mut Modifiers<'a>) -> Result<()> {
        match i.opcode.as_str() {
            "mov" => self.mov(i, m),
            "cvta" => self.cvta(i, m),
            "isspacep" => self.isspacep(i, m),
            "ld" | "ldu" => self.load(i, m),
            "st" => self.store(i, m),
            "atom" | "red" => self.atomic(i, m),
            "cp" => self.copy(i, m),
            "prefetch" | "prefetchu" | "discard" | "applypriority" => {
                while m.first().is_some() {}
                self.nothing();
                Ok(())
            }
            "cvt" => self.cvt(i, m),
            "add" | "sub" | "mul" | "mad" | "fma" | "div" | "rem" | "min" | "max" | "abs" | "neg" | "sad" | "mul24" | "mad24"
            | "dp4a" | "dp2a" | "addc" | "subc" | "madc" => self.arithmetic(i, m),
            "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" | "copysign" | "testp" => self.function(i, m),
            "and" | "or" | "xor" | "not" | "cnot" | "shl" | "shr" | "shf" | "lop3" | "prmt" | "clz" | "popc" | "brev" | "bfind"
            | "bfe" | "bfi" | "fns" | "bmsk" | "szext" => self.bitwise(i, m),
            "setp" | "set" | "selp" | "slct" => self.compare(i, m),
            "bra" | "brx" | "ret" | "exit" | "trap" | "brkpt" | "call" | "bar" | "barrier" | "membar" | "fence" | "nanosleep"
            | "pmevent" | "griddepcontrol" => self.control(i, m),
            "shfl" | "vote" | "match" | "redux" | "elect" | "activemask" | "ldmatrix" | "stmatrix" | "movmatrix" | "mma" => {
                self.warp(i, m)
            }
            other => Err(unsupported(format!("instruction `{other}` is not executed"))),
        }
    }

    // ---- writing operations ----

    pub fn push(&mut self, form: Form, d: &[Reg], s: &[Src], imm: u64) -> &mut Node {
        let counted = !std::mem::replace(&mut self.counted, true);
        let origin = (self.origins.len() as u32).saturating_sub(1);
        let guard = self.guard;
        self.ir.nodes.push(Node { form, d: d.to_vec(), s: s.to_vec(), imm, guard, origin, counted, traits: Traits::default() });
        let last = self.ir.nodes.len() - 1;
        &mut self.ir.nodes[last]
    }

    pub fn label(&mut self, label: u32) {
        let origin = (self.origins.len() as u32).saturating_sub(1);
        let form = Form::Label(label);
        self.ir.nodes.push(Node { form, d: vec![], s: vec![], imm: 0, guard: None, origin, counted: false, traits: Traits::default() });
    }

    pub fn nothing(&mut self) {
        self.push(Form::Fields(exec::<flow::Nothing>()), &[], &[], 0);
    }

    /// An operation without a mode.
    pub fn map(&mut self, op: Op, d: Reg, s: &[Src]) {
        self.push(Form::Map(op), &[d], s, 0);
    }

    /// An operation with a mode.
    pub fn map_mode(&mut self, op: Op, d: Reg, s: &[Src], mode: u32) {
        self.push(Form::Map(op), &[d], s, u64::from(mode));
    }

    pub fn logic(&mut self, kind: u64, d: Reg, a: Src, b: Src) {
        let op = Op { general: exec::<predicate::Logic>(), special: None, pure: true };
        self.push(Form::Map(op), &[d], &[a, b], kind);
    }

    pub fn temp(&mut self, class: Class) -> Reg {
        self.ir.classes.push(class);
        self.ir.classes.len() as Reg - 1
    }

    /// `v` as a 64-bit address.
    pub fn widened(&mut self, v: Src) -> Src {
        match v {
            Src::Reg(r) if self.ir.classes[r as usize] == Class::Word => {
                let d = self.temp(Class::Double);
                self.map(crate::exec::vm::map::hot1::<bits::Widen>(), d, &[v]);
                Src::Reg(d)
            }
            _ => v,
        }
    }

    // ---- operands ----

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
        Err(Problem { expected: Some(wanted), ..invalid(format!("`{}` has {} operands here", i.opcode, i.operands.len())) })
    }

    pub fn ast_register(&self, register: u32) -> (&'a str, Type) {
        let r = &self.top().function.registers[register as usize];
        (&r.name, r.ty)
    }

    fn check(&self, register: u32, ty: Type) -> Result<()> {
        let (name, declared) = self.ast_register(register);
        let fits = (declared == Type::Pred) == (ty == Type::Pred) && (declared.size() == ty.size() || ty.size() < 2 && declared.size() == 2);
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
                if declared == Type::Pred || declared.size() < ty.size() {
                    return Err(invalid(format!("`{name}` is `{declared}`, which cannot hold `{ty}`")));
                }
                Ok(self.top().registers + r)
            }
            Operand::Sink => Ok(self.temp(class(ty))),
            _ => Err(invalid("the destination is not a register")),
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
                let op = if wide {
                    crate::exec::vm::map::op1::<bits::Low32>()
                } else {
                    crate::exec::vm::map::op1::<bits::Widen>()
                };
                self.map(op, d, &[source]);
                Ok(Src::Reg(d))
            }
            Operand::Var(var, offset) => Ok(self.address_of(*var, *offset)?.1),
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
            if declared == Type::Pred || declared.size() < ty.size() {
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
            "%ctaid" | "%clusterid" => (Some(ScalarInit::BlockIndex(axis)), None, None),
            "%ntid" => (Some(ScalarInit::BlockSize(axis)), None, None),
            "%nctaid" | "%nclusterid" => (Some(ScalarInit::GridSize(axis)), None, None),
            "%warpid" => (Some(ScalarInit::Warp), None, None),
            "%nwarpid" => (Some(ScalarInit::Warps), None, None),
            "%dynamic_smem_size" => (Some(ScalarInit::DynamicShared), None, None),
            "%total_smem_size" | "%aggr_smem_size" => (Some(ScalarInit::TotalShared), None, None),
            "%gridid" => (Some(ScalarInit::Grid), None, None),
            "%smid" | "%cluster_ctarank" | "%cluster_ctaid" | "%is_explicit_cluster" => (Some(ScalarInit::Constant(0)), None, None),
            "%nsmid" | "%cluster_nctarank" | "%cluster_nctaid" => (Some(ScalarInit::Constant(1)), None, None),
            "%clock" => (None, None, clock(0, Class::Word)),
            "%clock_hi" => (None, None, clock(1, Class::Word)),
            "%clock64" => (None, None, clock(2, Class::Double)),
            "%globaltimer" => (None, None, clock(3, Class::Double)),
            "%globaltimer_lo" => (None, None, clock(4, Class::Word)),
            "%globaltimer_hi" => (None, None, clock(5, Class::Word)),
            _ => return Err(unsupported(format!("special register `{name}` is not executed"))),
        };
        if let Some(init) = scalar {
            return Ok((self.scalar(init), name == "%gridid"));
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
        let Some((kind, class)) = time else { return Err(unsupported(format!("special register `{name}` is not executed"))) };
        let d = self.temp(class);
        self.push(Form::Fields(cold::<crate::exec::vm::map::Next<flow::Clock>>()), &[d], &[], kind);
        Ok((Src::Reg(d), class == Class::Double))
    }

    /// Space and address (in that space) of a variable.
    pub fn address_of(&mut self, var: VarRef, offset: i64) -> Result<(Space, Src)> {
        let frame = self.top();
        let (space, base) = match var {
            VarRef::Module(n) => {
                let variable = &self.module.variables[n as usize];
                match variable.space {
                    Space::Shared if variable.size == 0 => (Space::Shared, DYNAMIC),
                    Space::Shared => (Space::Shared, self.module_shared[n as usize]),
                    space => {
                        let Some(Some(place)) = self.places.get(n as usize).copied() else {
                            return Err(unsupported(format!("`.{}` variable `{}` at module scope is not executed", space.name(), variable.name)));
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
        Ok((space, self.constant(base.wrapping_add(offset as u64))))
    }

    /// The address operand `n` in `space`: source, displacement, the space it really lies in.
    pub fn address(&mut self, i: &Instruction, n: usize, space: Space) -> Result<(Src, u64, Space)> {
        let Some(Operand::Address(address)) = i.operands.get(n) else {
            return Err(Problem { expected: Some("`[address]`".into()), ..invalid("this operand is not an address") }.at(n));
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
                    return Err(invalid(format!("the variable is in `.{}`, the instruction in `.{}`", found.name(), space.name())).at(n));
                }
                Ok((source, 0, found))
            }
        }
    }

    /// A fault-free span for messages that concern a whole function.
    pub fn error_at(&self, span: Span, message: String) -> Problem {
        let error = PtxError::new(PtxErrorKind::Unsupported, &self.module.source, span, message);
        Problem { whole: Some(error), ..unsupported(String::new()) }
    }
}

/// The bits of a constant as a value of type `ty`.
pub(super) fn immediate(operand: &Operand, ty: Type) -> Result<u64> {
    let bits = match (operand, ty) {
        (Operand::Int(_), Type::F32 | Type::F64) => {
            return Err(Problem { expected: Some("a float such as `0f3F800000`".into()), ..invalid("an integer where a float is needed") });
        }
        (Operand::Int(v), _) => *v as u64,
        (Operand::Float { single: Some(bits), .. }, Type::F32 | Type::B32 | Type::U32 | Type::S32) => u64::from(*bits),
        (Operand::Float { value, single: None }, Type::F32) => u64::from((*value as f32).to_bits()),
        (Operand::Float { value, .. }, Type::F64 | Type::B64) => value.to_bits(),
        (Operand::Function(name), _) => return Err(unsupported(format!("the address of function `{}` is not executed", name.0))),
        _ => return Err(invalid(format!("this operand cannot be a `{ty}`"))),
    };
    Ok(match ty.size() {
        1 | 2 => bits & 0xffff,
        4 => bits & 0xffff_ffff,
        _ => bits,
    })
}

/// Space of a handler for `space`.
pub(super) fn handler_space(space: Space) -> u8 {
    match space {
        Space::Shared => memory::SHARED,
        Space::Local => memory::LOCAL,
        Space::Param => memory::PARAM,
        Space::Generic => memory::GENERIC,
        Space::Global | Space::Const => memory::GLOBAL,
    }
}

/// Handlers by name, where only the opcode decides.
pub(super) fn fields(handlers: HandlerSet) -> Form {
    Form::Fields(handlers)
}
