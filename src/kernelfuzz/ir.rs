//! A kernel as a tree, so that it can be printed, and made smaller where it shows a difference.

use std::collections::BTreeSet;
use std::fmt;

/// Register classes. Registers are untyped, of one width: each fits every type of its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A predicate.
    Pred,
    /// 16 bits.
    Half,
    /// 32 bits.
    Word,
    /// 64 bits.
    Double,
}

impl Class {
    /// The class that holds a value of so many bits.
    pub fn of(bits: u32) -> Class {
        match bits {
            1 => Class::Pred,
            8 | 16 => Class::Half,
            32 => Class::Word,
            _ => Class::Double,
        }
    }

    /// All.
    pub const ALL: [Class; 4] = [Class::Pred, Class::Half, Class::Word, Class::Double];

    /// The letter of its registers' names, and the type that they are declared as.
    pub fn spelling(self) -> (char, &'static str) {
        match self {
            Class::Pred => ('p', "pred"),
            Class::Half => ('h', "b16"),
            Class::Word => ('r', "b32"),
            Class::Double => ('d', "b64"),
        }
    }
}

/// A register: `%r7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var {
    /// Its class.
    pub class: Class,
    /// Its number in the class.
    pub number: u32,
}

impl fmt::Display for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}{}", self.class.spelling().0, self.number)
    }
}

/// Instructions that stay together.
#[derive(Debug, Clone, Default)]
pub struct Code {
    /// One statement or label each; `@THREADS@`, `@ROUNDED@` and `@SEED@` are filled in when printed.
    pub lines: Vec<String>,
    /// Registers that the code sets before it reads them. Others that it names have to be set before.
    pub sets: Vec<Var>,
    /// It takes every warp to be full.
    pub full_warps: bool,
}

/// A statement.
#[derive(Debug, Clone)]
pub enum Stmt {
    /// Straight-line code.
    Code(Code),
    /// A branch around each arm.
    If {
        /// The condition.
        guard: Var,
        /// Whether it is negated.
        negated: bool,
        /// If it holds.
        then: Vec<Stmt>,
        /// If it does not.
        other: Vec<Stmt>,
    },
    /// The body, once and then until `counter` has reached `trips`.
    Loop {
        /// Counts from 0; of its own.
        counter: Var,
        /// Times to run, at least 1.
        trips: Var,
        /// The comparison's result; of its own.
        again: Var,
        /// What is run.
        body: Vec<Stmt>,
    },
}

/// A whole kernel and its launch.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Names it and its inputs.
    pub seed: u64,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Reads of special registers and parameters, and what is made of them.
    pub prologue: Vec<String>,
    /// The body.
    pub body: Vec<Stmt>,
    /// Registers whose values each thread stores at the end.
    pub outs: Vec<Var>,
    /// How they are stored.
    pub layout: Layout,
    /// Between the first and the second half of the stores these lanes leave.
    pub leave: Option<Var>,
    /// Declarations inside the kernel.
    pub locals: Vec<String>,
    /// Device functions.
    pub functions: Vec<String>,
}

/// Where a thread's outputs lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A thread's outputs beside each other.
    Threads,
    /// One output of all threads beside each other.
    Slots,
    /// As `Threads`, with vector stores.
    Vectors,
}

impl Kernel {
    /// Threads of a block.
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    /// Threads of the grid.
    pub fn all_threads(&self) -> u32 {
        self.threads() * self.grid.iter().product::<u32>()
    }

    /// Registers that are read but never set: parts of a kernel that was cut down.
    pub fn unset(&self) -> BTreeSet<Var> {
        let mut unset = BTreeSet::new();
        let mut set = BTreeSet::new();
        walk(&self.body, &mut set, &mut unset);
        unset.extend(self.outs.iter().chain(&self.leave).filter(|var| !set.contains(var)));
        unset
    }

    /// Whether some of the code takes every warp to be full.
    pub fn full_warps(&self) -> bool {
        fn any(stmts: &[Stmt]) -> bool {
            stmts.iter().any(|stmt| match stmt {
                Stmt::Code(code) => code.full_warps,
                Stmt::If { then, other, .. } => any(then) || any(other),
                Stmt::Loop { body, .. } => any(body),
            })
        }
        any(&self.body)
    }
}

fn walk(stmts: &[Stmt], set: &mut BTreeSet<Var>, unset: &mut BTreeSet<Var>) {
    for stmt in stmts {
        match stmt {
            Stmt::Code(code) => {
                set.extend(&code.sets);
                unset.extend(code.lines.iter().flat_map(|line| named(line)).filter(|var| !set.contains(var)));
            }
            Stmt::If { guard, then, other, .. } => {
                if !set.contains(guard) {
                    unset.insert(*guard);
                }
                for arm in [then, other] {
                    walk(arm, &mut set.clone(), unset);
                }
            }
            Stmt::Loop { counter, trips, again, body } => {
                if !set.contains(trips) {
                    unset.insert(*trips);
                }
                let mut inner = set.clone();
                inner.extend([counter, again]);
                walk(body, &mut inner, unset);
            }
        }
    }
}

/// The registers that a line names.
pub fn named(line: &str) -> impl Iterator<Item = Var> {
    line.split('%').skip(1).filter_map(|rest| {
        let class = Class::ALL.into_iter().find(|class| rest.starts_with(class.spelling().0))?;
        let digits: String = rest[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
        Some(Var { class, number: digits.parse().ok()? })
    })
}
