//! Initialisers of module variables.

use super::ast::Operand;
use super::error::PtxError;
use super::lexer::Kind;
use super::parser::Parser;
use super::types::Type;

impl Parser<'_> {
    /// The bytes of what follows `=`.
    pub fn initializer(&mut self, ty: Type) -> Result<Vec<u8>, PtxError> {
        let mut bytes = Vec::new();
        self.initial_value(ty, &mut bytes)?;
        Ok(bytes)
    }

    fn initial_value(&mut self, ty: Type, bytes: &mut Vec<u8>) -> Result<(), PtxError> {
        let span = self.token().span;
        if self.take_mark(b'{') {
            while !self.is_mark(b'}') {
                self.initial_value(ty, bytes)?;
                if !self.take_mark(b',') {
                    break;
                }
            }
            self.mark(b'}')?;
            return Ok(());
        }
        if self.token().kind == Kind::Word && self.text() != "WARP_SZ" {
            return Err(
                self.unsupported(span, format!("the address of `{}` as an initial value is not executed", self.text()))
            );
        }
        let value = self.constant("an initial value")?;
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
}
