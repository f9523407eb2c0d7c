//! The words after an opcode's dots, taken one by one; what is left over is not executed.

use crate::ptx::Type;
use crate::vm::rounding;

/// Modifiers of one instruction that have not been taken yet.
pub(crate) struct Modifiers<'a> {
    left: Vec<&'a str>,
}

impl<'a> Modifiers<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Self { left: words.iter().map(String::as_str).collect() }
    }

    /// Takes `word` wherever it stands.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.left.iter().position(|w| *w == word);
        if let Some(i) = found {
            self.left.remove(i);
        }
        found.is_some()
    }

    /// Takes the first of `words` that is there.
    pub fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|w| self.take(w)).copied()
    }

    /// Takes the first word of which `wanted` holds.
    pub fn take_where(&mut self, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        let at = self.left.iter().position(|w| wanted(w))?;
        Some(self.left.remove(at))
    }

    /// Takes the next type.
    pub fn ty(&mut self) -> Option<Type> {
        let (i, ty) = self.left.iter().enumerate().find_map(|(i, w)| Some((i, Type::from_name(w)?)))?;
        self.left.remove(i);
        Some(ty)
    }

    /// Takes the first word.
    pub fn first(&mut self) -> Option<&'a str> {
        (!self.left.is_empty()).then(|| self.left.remove(0))
    }

    /// Takes a floating-point rounding, as mode bits.
    pub fn rounding(&mut self) -> Option<u32> {
        let names = [("rn", rounding::NEAREST), ("rz", rounding::ZERO), ("rm", rounding::DOWN), ("rp", rounding::UP)];
        names.iter().find(|(n, _)| self.take(n)).map(|&(_, m)| m)
    }

    /// Takes `.ftz`, `.sat` and `.relu`, as mode bits.
    pub fn float_flags(&mut self) -> u32 {
        let flags = [("ftz", rounding::FTZ), ("sat", rounding::SAT), ("relu", rounding::RELU)];
        flags.iter().filter(|(n, _)| self.take(n)).fold(0, |m, &(_, f)| m | f)
    }

    /// The words that nobody took.
    pub fn rest(&self) -> &[&'a str] {
        &self.left
    }
}
