//! The variables of a running case, and the memory that its calls point at.

use std::collections::HashMap;

use super::api::{Driver, Entry};
use super::host::Gate;
use super::names;
use crate::conformance::expand::{Arg, Step};

/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Device memory.
    Device,
    /// Memory of this process, pinned or not.
    Host,
    /// A kernel of the embedded module, with the sizes in bytes of its parameters.
    Kernel(&'static [u32]),
    /// Any other handle, or an identifier.
    Other,
}

/// The value of a variable.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// The handle, the address or the number.
    pub bits: u64,
    /// What it is.
    pub kind: Kind,
}

/// Why a call cannot be made.
#[derive(Debug)]
pub enum Problem {
    /// The driver does not export the symbol: the case is skipped.
    Missing(String),
    /// An argument was never created, because an earlier call failed.
    Unset,
    /// The case file is wrong.
    Script(String),
}

/// What a call did, and the value that it created.
#[derive(Debug)]
pub struct Answer {
    /// The result's name, then further words.
    pub text: String,
    /// The created value: `None` where the call created nothing.
    pub value: Option<Value>,
}

impl Answer {
    /// An answer of words alone.
    pub fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None }
    }

    /// An answer with nothing but a result code.
    pub fn code(code: i32) -> Self {
        Self::words(names::result_name(code))
    }

    /// A result code and, on success, the value in a scratch word.
    pub fn created(code: i32, bits: u64, kind: Kind) -> Self {
        let value = (code == 0).then_some(Value { bits, kind });
        Self { text: names::result_name(code), value }
    }

    /// A result code and, on success, further words.
    pub fn with(code: i32, words: impl FnOnce() -> String) -> Self {
        let name = names::result_name(code);
        Self::words(if code == 0 { format!("{name} {}", words()) } else { name })
    }
}

/// A call with its arguments resolved, to run on the thread that the case names.
pub type Prepared = Box<dyn FnOnce() -> Answer + Send>;

/// The state of a running case.
pub struct Env {
    /// The driver under test.
    pub driver: &'static Driver,
    /// The current context.
    pub context: u64,
    vars: HashMap<String, Option<Value>>,
    gates: HashMap<String, &'static Gate>,
    kernels: HashMap<String, Value>,
}

impl Env {
    /// The state before the first call.
    pub fn new(driver: &'static Driver, context: u64) -> Self {
        let mut vars = HashMap::new();
        vars.insert("CTX".to_owned(), Some(Value { bits: context, kind: Kind::Other }));
        vars.insert("DEVICE".to_owned(), Some(Value { bits: 0, kind: Kind::Other }));
        let ptx = super::host::ptx_text();
        vars.insert("PTX".to_owned(), Some(Value { bits: ptx, kind: Kind::Host }));
        Self { driver, context, vars, gates: HashMap::new(), kernels: HashMap::new() }
    }

    /// Kernels that are loaded already: declaring one of them takes it from here.
    pub fn preload(&mut self, kernels: &HashMap<String, Value>) {
        self.kernels.clone_from(kernels);
    }

    /// A kernel that was loaded before this case.
    pub fn preloaded(&self, name: &str) -> Option<Value> {
        self.kernels.get(name).copied()
    }

    /// Sets a variable; `None` where its call failed.
    pub fn set(&mut self, name: &str, value: Option<Value>) {
        self.vars.insert(name.to_owned(), value);
    }

    /// The gate of this name, closed at first.
    pub fn gate(&mut self, name: &str) -> &'static Gate {
        self.gates.entry(name.to_owned()).or_insert_with(|| Box::leak(Box::new(Gate::default())))
    }

    /// Opens every gate, so that no host function keeps a thread of the driver.
    pub fn open_all(&self) {
        self.gates.values().for_each(|gate| gate.open());
    }

    /// An entry point.
    ///
    /// # Errors
    /// [`Problem::Missing`] with the name.
    pub fn entry(&self, name: &str) -> Result<Entry, Problem> {
        self.driver.symbol(name).ok_or_else(|| Problem::Missing(name.to_owned()))
    }

    /// The first of several entry points that the driver exports, with its place in the list.
    ///
    /// # Errors
    /// [`Problem::Missing`] with the first name.
    pub fn any_entry(&self, names: &[&str]) -> Result<(usize, Entry), Problem> {
        let found = names.iter().enumerate().find_map(|(at, name)| Some((at, self.driver.symbol(name)?)));
        found.ok_or_else(|| Problem::Missing(names.first().copied().unwrap_or_default().to_owned()))
    }

    /// The value of a word: a variable, `variable+offset`, a constant, or a number.
    ///
    /// # Errors
    /// An unset variable, or a word that is none of these.
    pub fn value(&self, word: &str) -> Result<Value, Problem> {
        if let Some(known) = self.vars.get(word) {
            return known.ok_or(Problem::Unset);
        }
        if let Some((base, offset)) = word.split_once('+') {
            let (base, offset) = (self.value(base)?, self.value(offset)?);
            return Ok(Value { bits: base.bits.wrapping_add(offset.bits), kind: base.kind });
        }
        let bits = names::constant(word).or_else(|| number(word));
        bits.map(|bits| Value { bits, kind: Kind::Other })
            .ok_or_else(|| Problem::Script(format!("`{word}` is no variable, constant or number")))
    }

    /// The argument at `at` as a value.
    ///
    /// # Errors
    /// As [`Env::value`]; a list or a missing argument is a script error.
    pub fn arg(&self, step: &Step, at: usize) -> Result<Value, Problem> {
        match step.args.get(at) {
            Some(Arg::Word(word)) => self.value(word),
            Some(Arg::Text(text)) => Ok(Value { bits: c_string(text), kind: Kind::Other }),
            _ => Err(Problem::Script(format!("`{}` lacks its argument {}", step.text, at + 1))),
        }
    }

    /// The bits of the argument at `at`, or `default` where it is left out.
    ///
    /// # Errors
    /// As [`Env::arg`].
    pub fn arg_or(&self, step: &Step, at: usize, default: u64) -> Result<u64, Problem> {
        if at < step.args.len() { Ok(self.arg(step, at)?.bits) } else { Ok(default) }
    }

    /// The word at `at` as written.
    ///
    /// # Errors
    /// A script error where it is no word.
    pub fn word<'a>(&self, step: &'a Step, at: usize) -> Result<&'a str, Problem> {
        match step.args.get(at) {
            Some(Arg::Word(word) | Arg::Text(word)) => Ok(word),
            _ => Err(Problem::Script(format!("`{}` lacks its argument {}", step.text, at + 1))),
        }
    }

    /// The list at `at`, as an array in memory and its length; a null array where it is empty.
    ///
    /// # Errors
    /// As [`Env::value`]; anything but a list is a script error.
    pub fn list(&self, step: &Step, at: usize) -> Result<(u64, u64), Problem> {
        let Some(Arg::List(words)) = step.args.get(at) else {
            return Err(Problem::Script(format!("`{}`: argument {} is a list `[...]`", step.text, at + 1)));
        };
        let bits: Vec<u64> = words.iter().map(|word| Ok(self.value(word)?.bits)).collect::<Result<_, _>>()?;
        let count = bits.len() as u64;
        Ok(if bits.is_empty() { (0, 0) } else { (Box::leak(bits.into_boxed_slice()).as_ptr() as u64, count) })
    }
}

fn number(word: &str) -> Option<u64> {
    let (negative, digits) = word.strip_prefix('-').map_or((false, word), |digits| (true, digits));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

/// A NUL-terminated copy that lives as long as the process.
pub fn c_string(text: &str) -> u64 {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    Box::leak(bytes.into_boxed_slice()).as_ptr() as u64
}

/// Zeroed memory that lives as long as the process, which is one case: the driver may keep its
/// address in a graph, so that nothing shorter would do.
#[derive(Clone, Copy)]
pub struct Scratch(u64);

impl Scratch {
    /// `bytes` of memory, aligned for every parameter structure.
    pub fn new(bytes: usize) -> Self {
        Self(Box::leak(vec![0u64; bytes.div_ceil(8).max(1)].into_boxed_slice()).as_mut_ptr() as u64)
    }

    /// Its address.
    pub fn address(self) -> u64 {
        self.0
    }

    /// Stores 32 bits at `offset`; chains.
    pub fn u32(self, offset: usize, value: u64) -> Self {
        // SAFETY: callers pass offsets inside the size that they asked for; the block is never freed.
        unsafe { (self.0 as *mut u8).add(offset).cast::<u32>().write(value as u32) };
        self
    }

    /// Stores 64 bits at `offset`; chains.
    pub fn u64(self, offset: usize, value: u64) -> Self {
        // SAFETY: as in `u32`.
        unsafe { (self.0 as *mut u8).add(offset).cast::<u64>().write(value) };
        self
    }

    /// The 64 bits at `offset`.
    pub fn read(self, offset: usize) -> u64 {
        // SAFETY: as in `u32`; a driver has stored there at most what the block holds.
        unsafe { (self.0 as *const u8).add(offset).cast::<u64>().read_volatile() }
    }

    /// The 32 bits at `offset`.
    pub fn read_u32(self, offset: usize) -> u64 {
        // SAFETY: as in `u32`.
        u64::from(unsafe { (self.0 as *const u8).add(offset).cast::<u32>().read_volatile() })
    }
}
