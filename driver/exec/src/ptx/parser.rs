//! Tokens → module: the state that directives and statements share.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Function, Module, Operand, Span, VarRef};
use super::error::{PtxError, PtxErrorKind};
use super::lexer::{Kind, Token, tokenize};

/// Parses a whole module.
///
/// # Errors
/// The first problem of the text, with its place.
pub fn parse(source: &str) -> Result<Module, PtxError> {
    let tokens = tokenize(source)?;
    let mut parser = Parser {
        source,
        tokens,
        at: 0,
        module: Module {
            source: Arc::from(source),
            version: (0, 0),
            target: String::new(),
            variables: Vec::new(),
            functions: Vec::new(),
            by_name: HashMap::new(),
            files: Arc::from([]),
        },
        globals: HashMap::new(),
        scopes: Vec::new(),
        aliases: Vec::new(),
        files: Vec::new(),
        words: HashMap::new(),
        depth: 0,
    };
    parser.module()?;
    Ok(parser.module)
}

/// What the first `.version` line of a text says, whatever else is in the text.
pub fn declared_version(source: &str) -> Option<(u32, u32)> {
    let lines = source.lines().map(str::trim_start);
    let version = lines.filter_map(|line| line.strip_prefix(".version")).next()?;
    let (major, minor) = version.split_whitespace().next()?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Lists, vectors and initialisers within each other. PTX has no use for more than a few; the parser
/// calls itself for each.
const MAX_NESTING: u32 = 32;
/// `{ }` within each other in a body: each name is looked up in all of them.
pub(super) const MAX_SCOPES: usize = 256;

/// What a name means in a scope.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named {
    Register(u32),
    Variable(VarRef),
    Table(u32),
    Prototype(u32),
}

/// One `{ }`.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub names: HashMap<String, Named>,
    /// `%r<10>`: prefix, count, index of the first register.
    pub ranges: Vec<(String, u32, u32)>,
    pub labels: HashMap<String, u32>,
    /// Labels named before they were seen: name, placeholder, place.
    pub wanted: Vec<(String, u32, Span)>,
}

pub(super) struct Parser<'a> {
    pub source: &'a str,
    pub tokens: Vec<Token>,
    pub at: usize,
    pub module: Module,
    pub globals: HashMap<String, u32>,
    pub scopes: Vec<Scope>,
    /// `.file` table.
    pub files: Vec<(u32, String)>,
    /// `.alias`: name, what it stands for, place.
    pub aliases: Vec<(&'a str, &'a str, Span)>,
    /// Modifiers by their text: there are few different ones, and many of each.
    pub words: HashMap<&'a str, Arc<[String]>>,
    /// Brackets that are open.
    depth: u32,
}

impl<'a> Parser<'a> {
    pub fn token(&self) -> Token {
        self.tokens[self.at]
    }

    pub fn text_of(&self, span: Span) -> &'a str {
        &self.source[span.start as usize..span.end as usize]
    }

    /// Text of the current token.
    pub fn text(&self) -> &'a str {
        self.text_of(self.token().span)
    }

    pub fn advance(&mut self) -> Token {
        let token = self.token();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    pub fn is_mark(&self, mark: u8) -> bool {
        self.token().kind == Kind::Mark(mark)
    }

    /// Takes `mark` if it is next.
    pub fn take_mark(&mut self, mark: u8) -> bool {
        let found = self.is_mark(mark);
        if found {
            self.advance();
        }
        found
    }

    pub fn mark(&mut self, mark: u8) -> Result<Token, PtxError> {
        if self.is_mark(mark) { Ok(self.advance()) } else { Err(self.unexpected(&format!("`{}`", mark as char))) }
    }

    pub fn word(&mut self, what: &str) -> Result<(&'a str, Span), PtxError> {
        if self.token().kind != Kind::Word {
            return Err(self.unexpected(what));
        }
        let span = self.advance().span;
        Ok((self.text_of(span), span))
    }

    pub fn unsigned(&mut self, what: &str) -> Result<u64, PtxError> {
        let span = self.token().span;
        match self.constant(what)? {
            Operand::Int(value) if (0..=i128::from(u64::MAX)).contains(&value) => Ok(value as u64),
            _ => Err(self.syntax(span, "a number that is not a non-negative integer").expected(what)),
        }
    }

    /// Parses what stands in a bracket, which may hold brackets.
    pub fn nested<T>(
        &mut self,
        span: Span,
        parse: impl FnOnce(&mut Self) -> Result<T, PtxError>,
    ) -> Result<T, PtxError> {
        if self.depth == MAX_NESTING {
            return Err(self.syntax(span, format!("brackets are nested more than {MAX_NESTING} deep")));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// An integer or a float, with its sign.
    pub fn constant(&mut self, what: &str) -> Result<Operand, PtxError> {
        let negative = self.is_mark(b'-');
        if negative || self.is_mark(b'+') {
            self.advance();
        }
        if self.token().kind == Kind::Word && self.text() == "WARP_SZ" {
            self.advance();
            return Ok(Operand::Int(32));
        }
        if self.token().kind != Kind::Number {
            return Err(self.unexpected(what));
        }
        let span = self.advance().span;
        let value = number(self.text_of(span)).ok_or_else(|| {
            self.syntax(span, format!("`{}` is not a number", self.text_of(span)))
                .expected("a decimal, 0x, 0b, 0f (8 digits) or 0d (16 digits) number")
        })?;
        Ok(match value {
            Operand::Int(v) if negative => Operand::Int(-v),
            Operand::Float { value, single } if negative => {
                Operand::Float { value: -value, single: single.map(|b| b ^ 0x8000_0000) }
            }
            other => other,
        })
    }

    pub fn unexpected(&self, what: &str) -> PtxError {
        let token = self.token();
        let found = match token.kind {
            Kind::End => "the end of the text".to_owned(),
            _ => format!("`{}`", self.text()),
        };
        self.syntax(token.span, format!("unexpected {found}")).expected(what)
    }

    pub fn syntax(&self, span: Span, message: impl Into<String>) -> PtxError {
        PtxError::new(PtxErrorKind::Syntax, self.source, span, message)
    }

    pub fn semantic(&self, span: Span, message: impl Into<String>) -> PtxError {
        PtxError::new(PtxErrorKind::Semantic, self.source, span, message)
    }

    pub fn unsupported(&self, span: Span, message: impl Into<String>) -> PtxError {
        PtxError::new(PtxErrorKind::Unsupported, self.source, span, message)
    }

    /// Looks `name` up, innermost scope first.
    pub fn lookup(&self, name: &str) -> Option<Named> {
        for scope in self.scopes.iter().rev() {
            if let Some(&named) = scope.names.get(name) {
                return Some(named);
            }
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            // `%r1x5<3>` makes names whose prefix itself ends in digits: try every split.
            for cut in name.len() - digits.len()..name.len() {
                let (prefix, index) = name.split_at(cut);
                if index.len() > 1 && index.starts_with('0') {
                    continue;
                }
                let Ok(index) = index.parse::<u32>() else { continue };
                if let Some(&(_, _, first)) = scope.ranges.iter().find(|(p, n, _)| p == prefix && index < *n) {
                    return Some(Named::Register(first + index));
                }
            }
        }
        self.globals.get(name).map(|&i| Named::Variable(VarRef::Module(i)))
    }

    pub fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Closes the innermost scope; labels it still wants may stand in the scope around it.
    pub fn close_scope(&mut self, function: &mut Function) -> Result<(), PtxError> {
        let Some(scope) = self.scopes.pop() else { return Ok(()) };
        for (name, placeholder, span) in scope.wanted {
            if let Some(&label) = scope.labels.get(&name) {
                let at = function.labels[label as usize].at;
                function.labels[placeholder as usize].at = at;
            } else if let Some(outer) = self.scopes.last_mut() {
                outer.wanted.push((name, placeholder, span));
            } else {
                return Err(self
                    .semantic(span, format!("`{name}` is not declared"))
                    .expected("a label of this function, a register or a variable"));
            }
        }
        Ok(())
    }
}

/// The value of a number's text.
pub(super) fn number(text: &str) -> Option<Operand> {
    let lower = text.to_ascii_lowercase();
    let integer = |digits: &str, radix| {
        let digits = digits.strip_suffix('u').unwrap_or(digits);
        u64::from_str_radix(digits, radix).ok().map(|v| Operand::Int(i128::from(v)))
    };
    if let Some(digits) = lower.strip_prefix("0f") {
        let bits = (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok())??;
        return Some(Operand::Float { value: f64::from(f32::from_bits(bits)), single: Some(bits) });
    }
    if let Some(digits) = lower.strip_prefix("0d") {
        let bits = (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())??;
        return Some(Operand::Float { value: f64::from_bits(bits), single: None });
    }
    if let Some(digits) = lower.strip_prefix("0x") {
        return integer(digits, 16);
    }
    if let Some(digits) = lower.strip_prefix("0b") {
        return integer(digits, 2);
    }
    if lower.contains(['.', 'e']) {
        return lower.parse().ok().map(|value| Operand::Float { value, single: None });
    }
    let octal = lower.len() > 1 && lower.starts_with('0') && !lower.starts_with("0u");
    integer(&lower, if octal { 8 } else { 10 })
}
