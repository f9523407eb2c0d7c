//! Initialisers of module variables.

use super::ast::{Operand, Relocation};
use super::error::PtxError;
use super::lexer::Kind;
use super::parser::Parser;
use super::types::Type;

/// What follows `=`.
#[derive(Default)]
pub(super) struct Initial {
    pub bytes: Vec<u8>,
    pub relocations: Vec<Relocation>,
}

impl Parser<'_> {
    /// The bytes of what follows `=`.
    pub fn initializer(&mut self, ty: Type) -> Result<Initial, PtxError> {
        let mut initial = Initial::default();
        self.initial_value(ty, &mut initial)?;
        Ok(initial)
    }

    fn initial_value(&mut self, ty: Type, initial: &mut Initial) -> Result<(), PtxError> {
        let span = self.token().span;
        if self.take_mark(b'{') {
            self.nested(span, |parser| {
                while !parser.is_mark(b'}') {
                    parser.initial_value(ty, initial)?;
                    if !parser.take_mark(b',') {
                        break;
                    }
                }
                parser.mark(b'}')
            })?;
            return Ok(());
        }
        if self.token().kind == Kind::Word && self.text() != "WARP_SZ" {
            return self.address_value(ty, 0, ty.size(), initial);
        }
        let value = self.constant("an initial value")?;
        if self.take_mark(b'(') {
            // `0xFF00(name)`: one byte of an address.
            let shift = match value {
                Operand::Int(mask) => (0..8u32).map(|n| 8 * n).find(|n| mask == 0xff << n),
                _ => None,
            };
            let Some(shift) = shift else {
                return Err(self.syntax(span, "a mask of an address names one byte").expected("`0xFF`, `0xFF00`, …"));
            };
            self.address_value(ty, shift as u8, 1, initial)?;
            self.mark(b')')?;
            return Ok(());
        }
        let bytes = &mut initial.bytes;
        match (ty, value) {
            (Type::F32, Operand::Float { single: Some(bits), .. }) => bytes.extend(bits.to_le_bytes()),
            (Type::F32, Operand::Float { value, .. }) => bytes.extend((value as f32).to_le_bytes()),
            (Type::F64, Operand::Float { value, .. }) => bytes.extend(value.to_le_bytes()),
            (Type::B32 | Type::U32, Operand::Float { single: Some(bits), .. }) => bytes.extend(bits.to_le_bytes()),
            (Type::B64 | Type::U64, Operand::Float { value, .. }) => bytes.extend(value.to_le_bytes()),
            (Type::F32, Operand::Int(v)) => bytes.extend((v as f32).to_le_bytes()),
            (Type::F64, Operand::Int(v)) => bytes.extend((v as f64).to_le_bytes()),
            (_, Operand::Int(v)) => bytes.extend_from_slice(&v.to_le_bytes()[..ty.size().min(16) as usize]),
            _ => return Err(self.semantic(span, format!("this is not an initial value for `{ty}`"))),
        }
        Ok(())
    }

    /// `name`, `name + 8` or `generic(name) + 8`, of which `size` bytes are stored.
    fn address_value(&mut self, ty: Type, shift: u8, size: u64, initial: &mut Initial) -> Result<(), PtxError> {
        let (mut name, mut span) = self.word("a variable or a function")?;
        if name == "generic" && self.take_mark(b'(') {
            (name, span) = self.word("a variable")?;
            self.mark(b')')?;
        }
        let addend = self.displacement()?;
        if ty.is_float() || (size != 1 && size < 4) {
            return Err(self.semantic(span, format!("an address is not an initial value for `{ty}`")));
        }
        let offset = initial.bytes.len() as u64;
        initial.bytes.resize(initial.bytes.len() + ty.size() as usize, 0);
        let name = name.to_owned();
        initial.relocations.push(Relocation {
            offset,
            size: size.min(8) as u8,
            shift,
            symbol: None,
            name,
            addend,
            span,
        });
        Ok(())
    }
}
