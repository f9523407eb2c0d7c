//! The arguments of a recorded call.

use std::fmt;

use graphproof_api::{Argument, Role};

use graphproof_api::CUresult;

/// The arguments of a call, as words, with what it wrote through its pointers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    function: &'static str,
    words: Box<[u64]>,
    /// By argument: what the call wrote there, where it is one word or less.
    written: Box<[Option<u64>]>,
}

/// One argument of a recorded call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// Its row of the table: role, C type, name.
    pub argument: Argument,
    /// Its bits; of a structure passed by value the first eight bytes.
    pub word: u64,
    /// What a successful call wrote through it, if that is a number or a handle.
    pub written: Option<u64>,
}

impl Arguments {
    /// Keeps the arguments of a call that has returned `result`.
    pub(super) fn of(function: &'static str, words: &[u64], result: CUresult) -> Self {
        let table = arguments_of(function);
        let read = |(index, &word): (usize, &u64)| {
            let argument = table.get(index)?;
            let bytes = argument.written_bytes().filter(|_| result == CUresult::SUCCESS && word != 0)?;
            let mut value = [0u8; 8];
            // SAFETY: a successful call wrote that many bytes there just now, through the caller's own
            // pointer, which the caller vouched for until the call returns.
            unsafe { std::ptr::copy_nonoverlapping(word as *const u8, value.as_mut_ptr(), bytes) };
            Some(u64::from_le_bytes(value))
        };
        Self { function, words: words.into(), written: words.iter().enumerate().map(read).collect() }
    }

    /// Each argument, in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        let words = self.words.iter().zip(&self.written);
        arguments_of(self.function).iter().zip(words).map(|(&argument, (&word, &written))| Value {
            argument,
            word,
            written,
        })
    }

    /// The argument of that name in cuda.h.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.iter().find(|value| value.argument.name == name)
    }
}

fn arguments_of(function: &str) -> &'static [Argument] {
    graphproof_api::find(function).and_then(|row| row.arguments.as_deref()).unwrap_or_default()
}

impl fmt::Display for Arguments {
    /// `dptr -> 0x700000000000, bytesize 4096, hStream 0x2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            let Argument { role, name, .. } = value.argument;
            match (value.written, role) {
                (Some(written), _) if value.argument.writes_a_number() => write!(f, "{name} -> {written}")?,
                (Some(written), _) => write!(f, "{name} -> {written:#x}")?,
                (None, Role::Size | Role::Value | Role::Device) => write!(f, "{name} {}", value.word)?,
                (None, _) => write!(f, "{name} {:#x}", value.word)?,
            }
        }
        Ok(())
    }
}
