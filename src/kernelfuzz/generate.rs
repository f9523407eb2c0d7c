//! From a seed to a kernel that is well defined: no races, no undefined reads, no operation for which
//! PTX promises nothing.

mod launch;
mod operation;
mod source;
mod statement;

use launch::{prologue, shape};

use super::draw::Draw;
use super::forms::{Kind, Ty};
use super::ir::{Class, Code, Kernel, Layout, Stmt, Var};

/// How kernels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Rows of the table that came later are not drawn from.
    pub generation: u32,
    /// Leave NaNs as the instruction makes them. PTX promises the payloads of few of them.
    pub raw_nan: bool,
}

/// A value that code may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub var: Var,
    pub kind: Kind,
}

/// A kernel in the making.
pub(super) struct Gen {
    pub draw: Draw,
    pub options: Options,
    /// Values in scope, the innermost last.
    pub values: Vec<Value>,
    next: [u32; 4],
    /// The code being written.
    pub code: Code,
    /// All threads of the block come here, or none.
    pub uniform: bool,
    /// All threads of the warp come here, or none.
    pub together: bool,
    /// Some warp of the block is not full.
    pub ragged: bool,
    /// Inside a device function: no inputs, no threads.
    pub function: bool,
    pub locals: Vec<String>,
    pub functions: Vec<String>,
    pub labels: u32,
    budget: usize,
}

/// The kernel of a seed.
pub fn kernel(seed: u64, options: Options) -> Kernel {
    let mut draw = Draw::new(seed, 0);
    let (grid, block) = shape(&mut draw);
    let threads: u32 = block.iter().product();
    let prologue = prologue(&mut draw, grid, block);
    let layout = draw.pick(&[Layout::Threads, Layout::Slots, Layout::Vectors]);
    let budget = 6 + draw.below(22);
    let mut g = Gen {
        draw,
        options,
        values: Vec::new(),
        next: [0; 4],
        code: Code::default(),
        uniform: true,
        together: true,
        ragged: !threads.is_multiple_of(32),
        function: false,
        locals: Vec::new(),
        functions: Vec::new(),
        labels: 0,
        budget,
    };
    let mut body = Vec::new();
    g.statements(&mut body, 0);
    let mut outs: Vec<Var> = g.values.iter().map(|value| value.var).collect();
    outs.truncate(64);
    if outs.is_empty() {
        body.push(g.piece(|g| _ = g.load_input(Ty::named("b32").unwrap_or_else(word))));
        outs.extend(g.values.last().map(|value| value.var));
    }
    let leave = g.values.iter().rev().map(|value| value.var).find(|var| var.class == Class::Pred);
    let leave = leave.filter(|_| g.draw.chance(20));
    Kernel { seed, grid, block, prologue, body, outs, layout, leave, locals: g.locals, functions: g.functions }
}

/// The type `.b32`.
pub(super) fn word() -> Ty {
    Ty { name: "b32", bits: 32, kind: Kind::Bits }
}

impl Gen {
    /// A new register of a class, in no scope yet.
    pub fn fresh(&mut self, class: Class) -> Var {
        let next = &mut self.next[class as usize];
        *next += 1;
        Var { class, number: *next - 1 }
    }

    /// A register that the code being written sets.
    pub fn temp(&mut self, class: Class) -> Var {
        let var = self.fresh(class);
        self.code.sets.push(var);
        var
    }

    pub fn emit(&mut self, line: String) {
        self.code.lines.push(line);
    }

    /// Puts a value in scope.
    pub fn keep(&mut self, var: Var, kind: Kind) {
        self.values.push(Value { var, kind });
    }

    /// Code that `write` writes.
    pub fn piece(&mut self, write: impl FnOnce(&mut Self)) -> Stmt {
        self.code = Code::default();
        write(self);
        Stmt::Code(std::mem::take(&mut self.code))
    }

    /// A number that no other label of the kernel has.
    pub fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }
}
