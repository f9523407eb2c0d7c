//! Statements → operations: the state, and access to operands.

use std::collections::HashMap;

use super::forms;
use super::ir::{Class, Form, Ir, Node, Reg, Src, Traits};
use super::modifiers::Modifiers;
use super::routine::Routines;
use crate::code::{Origin, ScalarInit, VectorInit};
use crate::ptx::{Function, Instruction, Module, PtxError, PtxErrorKind, Space, Type};
use crate::vm::map::{Op, exec};
use crate::vm::{bits, flow, memory, predicate};

/// A kernel as operations.
pub(crate) struct Lowered {
    pub ir: Ir,
    pub origins: Vec<Origin>,
    /// Static shared bytes.
    pub shared: u64,
    /// Where dynamic shared memory begins.
    pub dynamic: u64,
    /// Where in it the system's own begins, if it is used.
    pub reserved: Option<u64>,
    /// Local bytes of a thread.
    pub local: u64,
    /// It has a stack behind them.
    pub stack: bool,
    /// Some instruction reads shared memory asynchronously.
    pub reads_async: bool,
    /// It may let dependent grids begin before it has ended.
    pub lets_begin: bool,
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
    /// Local offsets of parameters and return values of a device function; of variables and these, in a routine,
    /// behind its base.
    pub params: Vec<u64>,
    pub returns: Vec<u64>,
    /// Where `ret` goes.
    pub end: u32,
    /// The high half of each register of 128 bits; its low half is where a register of 64 bits is.
    pub highs: HashMap<u32, Reg>,
}

pub(super) struct Lower<'a> {
    pub module: &'a Module,
    pub frames: Vec<Frame<'a>>,
    pub ir: Ir,
    pub origins: Vec<Origin>,
    pub places: &'a [Option<u32>],
    pub scalars: HashMap<ScalarInit, u32>,
    pub inputs: HashMap<VectorInit, Reg>,
    /// Offsets of module-scope shared variables.
    pub module_shared: Vec<u64>,
    /// Offsets of shared variables of functions, by name of function and index.
    function_shared: HashMap<(String, usize), u64>,
    pub shared: u64,
    /// What the address of dynamic shared memory is a multiple of.
    dynamic_align: u64,
    pub local: u64,
    /// Where the system's own shared memory begins, if it is used.
    pub reserved: Option<u64>,
    /// Where the stack's free part begins, if the kernel has one: what `alloca` takes, and routines.
    pub stack: Option<Reg>,
    /// Functions that are not inlined.
    pub routines: Routines<'a>,
    /// Position of the heap in `Program::globals`, if the module has one.
    pub heap: Option<u32>,
    /// Functions whose address is taken, once that has been asked for.
    pub addresses_taken: Option<Vec<u32>>,
    pub guard: Option<(Reg, bool)>,
    /// Of the bytes that the statement reads, those that are used; 0: all.
    pub used_bytes: u32,
    /// The statement's first operation has been written.
    pub counted: bool,
    pub carry: Option<Reg>,
    /// Some instruction reads shared memory asynchronously.
    pub reads_async: bool,
    pub lets_begin: bool,
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
    pub whole: Option<Box<PtxError>>,
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
        _ if ty.size() >= 8 => Class::Double,
        _ => Class::Word,
    }
}

/// Lowers a kernel with everything it calls.
pub(crate) fn kernel(
    module: &Module,
    function: &Function,
    places: &[Option<u32>],
    heap: Option<u32>,
) -> std::result::Result<Lowered, Box<PtxError>> {
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
        dynamic_align: 16,
        local: 0,
        reserved: None,
        stack: None,
        routines: Routines::default(),
        heap,
        addresses_taken: None,
        guard: None,
        used_bytes: 0,
        counted: false,
        carry: None,
        reads_async: false,
        lets_begin: false,
    };
    for variable in &module.variables {
        let mut offset = 0;
        if variable.space == Space::Shared && variable.size > 0 {
            offset = place(&mut lower.shared, variable.size, variable.align);
        }
        lower.module_shared.push(offset);
    }
    let registers = lower.registers_of(function);
    lower.frame(function, registers, Vec::new(), Vec::new())?;
    lower.lower_routines()?;
    let stack = lower.place_stack();
    // Dynamic shared memory starts behind all static variables, of called functions too.
    let dynamic = lower.shared.next_multiple_of(lower.dynamic_align);
    lower.resolve_dynamic(dynamic);
    let local = lower.local.next_multiple_of(16);
    let Lower { ir, origins, shared, reserved, reads_async, lets_begin, .. } = lower;
    Ok(Lowered { ir, origins, shared, dynamic, reserved, local, stack, reads_async, lets_begin })
}

/// Takes room at the end of a space.
pub(super) fn place(end: &mut u64, size: u64, align: u64) -> u64 {
    let at = end.next_multiple_of(align.max(1));
    *end = at + size;
    at
}

/// Stands for the start of dynamic shared memory until all static variables are known.
const DYNAMIC: u64 = 0x5a5a_0000_0000_0000;

impl<'a> Lower<'a> {
    /// Registers for those of a function: the first.
    pub fn registers_of(&mut self, function: &Function) -> Reg {
        let registers = self.ir.classes.len() as Reg;
        self.ir.classes.extend(function.registers.types().map(class));
        registers
    }

    /// Lowers the body of a function whose registers begin at `registers`; `params` and `returns`: local offsets.
    pub fn frame(
        &mut self,
        function: &'a Function,
        registers: Reg,
        params: Vec<u64>,
        returns: Vec<u64>,
    ) -> std::result::Result<(), Box<PtxError>> {
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
                Space::Shared if variable.size == 0 => self.dynamic(variable.align),
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
                Space::Local | Space::Param => {
                    let end = self.routines.size().unwrap_or(&mut self.local);
                    place(end, variable.size, variable.align)
                }
                _ => {
                    let message = format!(
                        "`.{}` variable `{}` inside a function is not executed",
                        variable.space.name(),
                        variable.name
                    );
                    let kind = PtxErrorKind::Unsupported;
                    return Err(Box::new(PtxError::new(kind, &self.module.source, variable.span, message)));
                }
            };
            variables.push(offset);
        }
        let wide = function.registers.types().enumerate().filter(|(_, ty)| *ty == Type::B128);
        let highs = wide.map(|(r, _)| (r as u32, self.temp(Class::Double))).collect();
        self.frames.push(Frame { function, registers, labels, tables, variables, params, returns, end, highs });
        let saved = self.save_stack(function);
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
            self.used_bytes = statement.used_bytes.unwrap_or(0);
            let instruction = &statement.instruction;
            if let Err(problem) = self.statement(instruction) {
                if let Some(error) = problem.whole {
                    return Err(error);
                }
                let span =
                    problem.operand.and_then(|n| instruction.operand_spans.get(n)).copied().unwrap_or(statement.span);
                let mut error = PtxError::new(problem.kind, &self.module.source, span, problem.message);
                error.expected = problem.expected;
                return Err(Box::new(error));
            }
            if self.ir.nodes.len() > MAX_NODES {
                let message = format!("`{}` is too large once its calls are inlined", function.name);
                let kind = PtxErrorKind::Unsupported;
                return Err(Box::new(PtxError::new(kind, &self.module.source, function.span, message)));
            }
        }
        for (_, label) in next_label {
            self.label(labels + label);
        }
        self.label(end);
        self.restore_stack(saved);
        if function.entry {
            // Running off the end of a kernel ends the lanes.
            self.push(Form::Exit, &[], &[], 0);
        }
        self.frames.pop();
        Ok(())
    }

    /// Stands for the address of a variable that names dynamic shared memory. M (H200, driver 580.159.04): the memory
    /// begins at a multiple of the variable's alignment, also behind static variables.
    pub fn dynamic(&mut self, align: u64) -> u64 {
        self.dynamic_align = self.dynamic_align.max(align);
        DYNAMIC
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
            i.opcode,
            "ret"
                | "exit"
                | "trap"
                | "brkpt"
                | "call"
                | "bar"
                | "barrier"
                | "shfl"
                | "vote"
                | "match"
                | "redux"
                | "elect"
                | "mma"
                | "wmma"
                | "ldmatrix"
                | "stmatrix"
                | "movmatrix"
                | "brx"
                | "activemask"
                | "mbarrier"
                | "wgmma"
                | "griddepcontrol"
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
        match forms::lowering(i.opcode) {
            Some(lower) => lower(self, i, m),
            None => Err(unsupported(format!("instruction `{}` is not executed", i.opcode))),
        }
    }

    /// Refuses a form that the module's target, below `sm_{needed}`, does not have.
    pub fn target_has(&self, i: &Instruction, needed: u32) -> Result<()> {
        let target = &self.module.target;
        let number: String =
            target.trim_start_matches(|c: char| !c.is_ascii_digit()).chars().take_while(char::is_ascii_digit).collect();
        if number.parse().is_ok_and(|n: u32| n >= needed) {
            return Ok(());
        }
        Err(invalid(format!("this form of `{}` needs the target sm_{needed} or later, not {target}", i.opcode)))
    }

    pub fn push(&mut self, form: Form, d: &[Reg], s: &[Src], imm: u64) -> &mut Node {
        let counted = !std::mem::replace(&mut self.counted, true);
        let origin = (self.origins.len() as u32).saturating_sub(1);
        let guard = self.guard;
        self.ir.nodes.push(Node {
            form,
            d: d.to_vec(),
            s: s.to_vec(),
            imm,
            guard,
            origin,
            counted,
            traits: Traits::default(),
        });
        let last = self.ir.nodes.len() - 1;
        &mut self.ir.nodes[last]
    }

    pub fn label(&mut self, label: u32) {
        let origin = (self.origins.len() as u32).saturating_sub(1);
        let form = Form::Label(label);
        self.ir.nodes.push(Node {
            form,
            d: vec![],
            s: vec![],
            imm: 0,
            guard: None,
            origin,
            counted: false,
            traits: Traits::default(),
        });
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
                self.map(crate::vm::map::hot1::<bits::Widen>(), d, &[v]);
                Src::Reg(d)
            }
            _ => v,
        }
    }
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
