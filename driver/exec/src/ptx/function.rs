//! Headers of functions: names, parameters, and what is promised of their launches.

use super::ast::{Function, Param, VarRef};
use super::error::{PtxError, PtxErrorKind};
use super::lexer::Kind;
use super::parser::{Named, Parser, Scope};
use super::types::Type;

impl<'a> Parser<'a> {
    pub(super) fn function(&mut self, entry: bool) -> Result<(), PtxError> {
        self.advance();
        let mut function = Function { entry, ..Function::prototype(self.token().span) };
        self.scopes = vec![Scope::default()];
        if self.token().kind == Kind::Dotted && self.text() == ".noreturn" {
            self.advance();
        }
        if self.is_mark(b'(') {
            function.returns = self.parameters(&mut function, true)?;
        }
        let (name, span) = self.word("a function name")?;
        function.name = name.to_owned();
        function.span = span;
        if self.is_mark(b'(') {
            let open = self.at;
            function.params = match self.parameters(&mut function, false) {
                Err(error) if error.kind == PtxErrorKind::Unsupported => {
                    function.refused = Some(Box::new(error));
                    self.at = open;
                    self.skip_brackets(b'(', b')')?;
                    Vec::new()
                }
                other => other?,
            };
        }
        while self.token().kind == Kind::Dotted {
            let at = self.token().span;
            match self.text() {
                ".maxntid" | ".reqntid" => {
                    self.advance();
                    let mut product = self.unsigned("a thread count")?;
                    while self.take_mark(b',') {
                        product = product.saturating_mul(self.unsigned("a thread count")?);
                    }
                    function.max_threads = Some(product.min(1024) as u32);
                }
                ".reqnctapercluster" => {
                    self.advance();
                    let mut cluster = [1; 3];
                    let mut axis = 0;
                    loop {
                        let count = self.unsigned("a block count")?;
                        let Some(place) = cluster.get_mut(axis).filter(|_| (1..=16).contains(&count)) else {
                            return Err(self.semantic(at, "`.reqnctapercluster` is up to three numbers from 1 to 16"));
                        };
                        (*place, axis) = (count as u32, axis + 1);
                        if !self.take_mark(b',') {
                            break;
                        }
                    }
                    function.cluster = Some(cluster);
                }
                ".maxclusterrank" => {
                    self.advance();
                    function.max_cluster = Some(self.unsigned("a block count")?.min(16) as u32);
                }
                ".explicitcluster" => {
                    self.advance();
                    function.explicit_cluster = true;
                }
                ".maxnreg" => {
                    self.advance();
                    function.max_registers = Some(self.unsigned("a register count")?.min(255) as u32);
                }
                ".minnctapersm" | ".maxnctapersm" => {
                    self.advance();
                    self.unsigned("a count")?;
                }
                ".noreturn" => {
                    self.advance();
                }
                ".pragma" => self.skip_statement()?,
                word => {
                    let error = self.unsupported(at, format!("`{word}` is not executed"));
                    function.refused.get_or_insert(Box::new(error));
                    self.advance();
                    while !matches!(self.token().kind, Kind::Dotted | Kind::Mark(b'{' | b';') | Kind::End) {
                        self.advance();
                    }
                }
            }
        }
        if self.take_mark(b';') {
            self.module.functions.push(function);
            return Ok(());
        }
        if self.module.functions.iter().any(|f| f.name == function.name && f.defined) {
            return Err(self.semantic(span, format!("`{name}` is defined twice")));
        }
        function.defined = true;
        if !self.is_mark(b'{') {
            return Err(self.unexpected("`{`"));
        }
        let open = self.at;
        self.advance();
        let body = self.body(&mut function).and_then(|()| self.close_scope(&mut function));
        match body {
            // What is PTX and has no model refuses this function, not the others.
            Err(error) if error.kind == PtxErrorKind::Unsupported => {
                function.refused.get_or_insert(Box::new(error));
                self.at = open;
                self.skip_brackets(b'{', b'}')?;
            }
            other => other?,
        }
        if function.refused.is_some() {
            function.body = Vec::new();
            function.labels = Vec::new();
            function.branch_tables = Vec::new();
        }
        self.module.functions.push(function);
        Ok(())
    }

    /// From an opening bracket past the one that closes it.
    pub(super) fn skip_brackets(&mut self, open: u8, close: u8) -> Result<(), PtxError> {
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Kind::Mark(mark) if mark == open => depth += 1,
                Kind::Mark(mark) if mark == close => depth -= 1,
                Kind::End => return Err(self.unexpected(&format!("`{}`", close as char))),
                _ => {}
            }
            self.advance();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    pub fn parameters(&mut self, function: &mut Function, returns: bool) -> Result<Vec<Param>, PtxError> {
        self.mark(b'(')?;
        let mut params: Vec<Param> = Vec::new();
        let mut offset = 0u64;
        while !self.is_mark(b')') {
            let reference =
                if returns { VarRef::Return(params.len() as u32) } else { VarRef::Param(params.len() as u32) };
            if self.text() == ".reg" {
                self.advance();
                let ty = self.register_type()?;
                let (name, _) = self.word("a parameter name")?;
                let register = function.registers.add(name, ty);
                self.scope().names.insert(name.to_owned(), Named::Register(register));
                params.push(Param {
                    name: name.to_owned(),
                    offset: 0,
                    size: ty.size(),
                    align: ty.size(),
                    register: Some(register),
                });
            } else {
                let declarator = self.declarator(false)?;
                let (name, span) = self.word("a parameter name")?;
                let mut count = 1u64;
                while self.take_mark(b'[') {
                    if self.is_mark(b']') {
                        return Err(self.unsupported(span, "a variable argument list is not executed"));
                    }
                    count = count.saturating_mul(self.unsigned("an array length")?);
                    self.mark(b']')?;
                }
                let size = declarator.ty.size() * declarator.vector;
                let size = size
                    .checked_mul(count)
                    .filter(|&s| s < 1 << 20)
                    .ok_or_else(|| self.semantic(span, "this parameter is too large"))?;
                offset = offset.next_multiple_of(declarator.align);
                self.scope().names.insert(name.to_owned(), Named::Variable(reference));
                params.push(Param { name: name.to_owned(), offset, size, align: declarator.align, register: None });
                offset += size;
            }
            if !self.take_mark(b',') {
                break;
            }
        }
        self.mark(b')')?;
        Ok(params)
    }

    pub fn register_type(&mut self) -> Result<Type, PtxError> {
        let span = self.token().span;
        let word = self.text().trim_start_matches('.');
        if self.token().kind != Kind::Dotted {
            return Err(self.unexpected("a register type such as `.b32`"));
        }
        if matches!(word, "v2" | "v4") {
            return Err(self.unsupported(span, "vector registers are not executed"));
        }
        let ty = Type::from_name(word).ok_or_else(|| self.unexpected("a register type such as `.b32`"))?;
        self.advance();
        Ok(ty)
    }
}
