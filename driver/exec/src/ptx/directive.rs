//! Module-scope directives and declarations.

use std::collections::HashMap;

use super::ast::{Location, Span, Symbol, Variable};
use super::error::PtxError;
use super::lexer::Kind;
use super::parser::Parser;
use super::types::{Space, Type};
use crate::program::ReferenceKind;

/// What stands before the name in `.global .align 4 .b8 name`.
pub(super) struct Declarator {
    /// Why what is declared is not executed.
    pub unsupported: Option<String>,
    pub managed: bool,
    pub reference: Option<ReferenceKind>,
    pub space: Space,
    pub align: u64,
    pub ty: Type,
    pub vector: u64,
    pub external: bool,
}

impl<'a> Parser<'a> {
    pub fn module(&mut self) -> Result<(), PtxError> {
        loop {
            let token = self.token();
            match token.kind {
                Kind::End => break,
                Kind::Dotted => self.module_directive()?,
                _ => {
                    return Err(
                        self.unexpected("a module directive such as `.version`, `.visible .entry` or `.global`")
                    );
                }
            }
        }
        if self.module.version == (0, 0) {
            return Err(self.syntax(Span::default(), "the text has no `.version` directive").expected("PTX text"));
        }
        self.link()
    }

    /// What only the whole module can say: which function and variable each name means.
    fn link(&mut self) -> Result<(), PtxError> {
        // A definition replaces its prototype, and the first prototype the others.
        let mut kept = HashMap::new();
        for (index, function) in self.module.functions.iter().enumerate() {
            if function.defined {
                kept.insert(function.name.clone(), index);
            } else {
                kept.entry(function.name.clone()).or_insert(index);
            }
        }
        let mut index = 0;
        self.module.functions.retain(|function| {
            index += 1;
            kept[&function.name] == index - 1
        });
        let names = self.module.functions.iter().enumerate().map(|(n, function)| (function.name.clone(), n as u32));
        self.module.by_name = names.collect();
        for (name, target, span) in std::mem::take(&mut self.aliases) {
            let Some(&function) = self.module.by_name.get(target) else {
                return Err(self.semantic(span, format!("`.alias` of `{target}`, which is not declared")));
            };
            self.module.by_name.insert(name.to_owned(), function);
        }
        self.module.files = std::mem::take(&mut self.files).into();
        self.link_initial_values()
    }

    fn link_initial_values(&mut self) -> Result<(), PtxError> {
        for n in 0..self.module.variables.len() {
            for r in 0..self.module.variables[n].relocations.len() {
                let relocation = &self.module.variables[n].relocations[r];
                let name = relocation.name.as_str();
                let function = || self.module.by_name.get(name).map(|&n| Symbol::Function(n));
                let symbol = self.globals.get(name).map(|&n| Symbol::Variable(n)).or_else(function);
                if symbol.is_none() {
                    return Err(self
                        .semantic(relocation.span, format!("`{name}` is not declared"))
                        .expected("a variable or a function"));
                }
                self.module.variables[n].relocations[r].symbol = symbol;
            }
        }
        // What holds the address of something that is not there is not there either.
        loop {
            let variables = &self.module.variables;
            let lost = |variable: &Variable| {
                let lost = variable.relocations.iter().find(|relocation| match relocation.symbol {
                    Some(Symbol::Variable(n)) => {
                        let target = &variables[n as usize];
                        target.unsupported.is_some() || !matches!(target.space, Space::Global | Space::Const)
                    }
                    _ => false,
                });
                lost.map(|relocation| {
                    format!("the address of `{}` as an initial value is not executed", relocation.name)
                })
            };
            let found = variables.iter().enumerate().filter(|(_, variable)| variable.unsupported.is_none());
            let found: Vec<(usize, String)> = found.filter_map(|(n, variable)| Some((n, lost(variable)?))).collect();
            if found.is_empty() {
                return Ok(());
            }
            for (n, why) in found {
                self.module.variables[n].unsupported = Some(why);
            }
        }
    }

    fn module_directive(&mut self) -> Result<(), PtxError> {
        let span = self.token().span;
        match self.text() {
            ".version" => {
                self.advance();
                let text = self.text();
                let parts: Option<(u32, u32)> =
                    text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                let Some(version) = parts else {
                    return Err(self.unexpected("a version such as `8.7`"));
                };
                self.advance();
                self.module.version = version;
            }
            ".target" => {
                self.advance();
                self.module.target = self.word("a target such as `sm_80`")?.0.to_owned();
                while self.take_mark(b',') {
                    self.word("a target option")?;
                }
            }
            ".address_size" => {
                self.advance();
                let span = self.token().span;
                if self.unsigned("`64`")? != 64 {
                    return Err(self.unsupported(span, "only 64-bit addresses are executed").expected("`64`"));
                }
            }
            ".file" => self.file_directive()?,
            ".loc" => {
                self.location()?;
            }
            ".section" => self.skip_section()?,
            ".pragma" => self.skip_statement()?,
            ".alias" => {
                self.advance();
                let (name, _) = self.word("a function name")?;
                self.mark(b',')?;
                let (target, _) = self.word("a function name")?;
                self.mark(b';')?;
                self.aliases.push((name, target, span));
            }
            ".visible" | ".extern" | ".weak" | ".common" | ".entry" | ".func" | ".global" | ".const" | ".shared" => {
                self.linked()?;
            }
            _ => return Err(self.unexpected("a module directive such as `.entry`, `.func`, `.global` or `.file`")),
        }
        Ok(())
    }

    fn file_directive(&mut self) -> Result<(), PtxError> {
        self.advance();
        let number = self.unsigned("a file number")? as u32;
        if self.token().kind != Kind::Text {
            return Err(self.unexpected("a quoted path"));
        }
        let text = self.text();
        let path = text[1..text.len() - 1].to_owned();
        self.advance();
        while self.take_mark(b',') {
            self.unsigned("a time stamp or a size")?;
        }
        self.files.push((number, path));
        Ok(())
    }

    /// `.loc file line column [, function_name label [+ offset], inlined_at file line column]`
    pub fn location(&mut self) -> Result<Location, PtxError> {
        self.advance();
        let file = self.unsigned("a file number")? as u32;
        let line = self.unsigned("a line number")? as u32;
        self.unsigned("a column number")?;
        while self.take_mark(b',') {
            let (what, span) = self.word("`function_name` or `inlined_at`")?;
            match what {
                "function_name" => {
                    self.word("a label")?;
                    if self.take_mark(b'+') {
                        self.unsigned("an offset")?;
                    }
                }
                "inlined_at" => {
                    for _ in 0..3 {
                        self.unsigned("a number")?;
                    }
                }
                _ => return Err(self.syntax(span, format!("unknown attribute `{what}` of `.loc`"))),
            }
        }
        Ok(Location { file, line })
    }

    fn skip_section(&mut self) -> Result<(), PtxError> {
        while !self.is_mark(b'{') {
            if self.token().kind == Kind::End {
                return Err(self.unexpected("`{`"));
            }
            self.advance();
        }
        self.skip_brackets(b'{', b'}')
    }

    pub fn skip_statement(&mut self) -> Result<(), PtxError> {
        while !self.is_mark(b';') {
            if self.token().kind == Kind::End {
                return Err(self.unexpected("`;`"));
            }
            self.advance();
        }
        self.advance();
        Ok(())
    }

    /// A declaration with an optional linking directive.
    fn linked(&mut self) -> Result<(), PtxError> {
        let mut external = false;
        loop {
            match self.text() {
                ".visible" | ".weak" | ".common" => {
                    self.advance();
                }
                ".extern" => {
                    external = true;
                    self.advance();
                }
                ".entry" => return self.function(true),
                ".func" => return self.function(false),
                _ => break,
            }
        }
        let declarator = self.declarator(external)?;
        for mut variable in self.variables(&declarator)? {
            let index = self.module.variables.len() as u32;
            if external && variable.space != Space::Shared {
                let why = format!("`{}` is `.extern` and not defined here: modules are not linked", variable.name);
                variable.unsupported.get_or_insert(why);
            }
            if let Some(&old) = self.globals.get(&variable.name) {
                if self.module.variables[old as usize].external {
                    self.module.variables[old as usize] = variable;
                    continue;
                }
                if external {
                    continue;
                }
                return Err(self.semantic(variable.span, format!("`{}` is declared twice", variable.name)));
            }
            self.globals.insert(variable.name.clone(), index);
            self.module.variables.push(variable);
        }
        Ok(())
    }

    pub fn declarator(&mut self, external: bool) -> Result<Declarator, PtxError> {
        let span = self.token().span;
        let Some(space) = Space::from_name(self.text().trim_start_matches('.')) else {
            return Err(self.unexpected("a state space: `.global`, `.const`, `.shared`, `.local` or `.param`"));
        };
        self.advance();
        let (mut align, mut vector, mut ty) = (0, 1, None);
        let (mut unsupported, mut managed, mut reference) = (None, false, None);
        while self.token().kind == Kind::Dotted {
            let at = self.token().span;
            let word = &self.text()[1..];
            match word {
                "align" => {
                    self.advance();
                    align = self.unsigned("an alignment")?;
                    if !align.is_power_of_two() {
                        return Err(self.semantic(at, format!("alignment {align} is not a power of two")));
                    }
                    continue;
                }
                "v2" => vector = 2,
                "v4" => vector = 4,
                // Hints for pointer parameters carry no meaning for execution.
                "ptr" | "global" | "shared" | "const" | "local" => {}
                "attribute" => {
                    // `.attribute(.managed)`, `.attribute(.unified(1, 2))`
                    self.advance();
                    self.mark(b'(')?;
                    let mut open = 1;
                    while open > 0 {
                        match self.token().kind {
                            Kind::Mark(b'(') => open += 1,
                            Kind::Mark(b')') => open -= 1,
                            Kind::Dotted if self.text() == ".managed" => {
                                managed = true;
                            }
                            Kind::End => return Err(self.unexpected("`)`")),
                            _ => {}
                        }
                        self.advance();
                    }
                    continue;
                }
                "texref" | "surfref" => {
                    let texture = word == "texref";
                    reference = Some(if texture { ReferenceKind::Texture } else { ReferenceKind::Surface });
                    ty = Some(Type::B64);
                }
                "samplerref" => {
                    unsupported = Some(format!("a `.{word}` variable is not executed"));
                    ty = Some(Type::B64);
                }
                _ => match Type::from_name(word) {
                    Some(found) => ty = Some(found),
                    None => return Err(self.unexpected("a type such as `.b32`")),
                },
            }
            self.advance();
        }
        let Some(ty) = ty else { return Err(self.syntax(span, "this declaration has no type")) };
        let align = align.max(ty.size() * vector);
        Ok(Declarator { unsupported, managed, reference, space, align, ty, vector, external })
    }

    /// Names after a declarator, up to the semicolon.
    pub fn variables(&mut self, declarator: &Declarator) -> Result<Vec<Variable>, PtxError> {
        let mut found = Vec::new();
        loop {
            let (name, span) = self.word("a variable name")?;
            let element = declarator.ty.size() * declarator.vector;
            let mut count = 1u64;
            if self.take_mark(b'<') {
                return Err(self.unsupported(span, "a range of variables is only executed for registers"));
            }
            let mut dimensions = Vec::new();
            while self.take_mark(b'[') {
                let length = if self.is_mark(b']') { 0 } else { self.unsigned("an array length")? };
                self.mark(b']')?;
                dimensions.push(length);
                count = count.checked_mul(length).ok_or_else(|| self.semantic(span, "this array is too large"))?;
            }
            let (mut init, mut relocations, mut given) = (Vec::new(), Vec::new(), false);
            if self.take_mark(b'=') {
                if declarator.unsupported.is_some() || declarator.reference.is_some() {
                    self.skip_initializer()?;
                    given = true;
                } else {
                    let initial = self.initializer(declarator.ty)?;
                    (init, relocations) = (initial.bytes, initial.relocations);
                }
                if count == 0 {
                    count = (init.len() as u64).div_ceil(element);
                }
            }
            let size = count
                .checked_mul(element)
                .filter(|&s| s < 1 << 40)
                .ok_or_else(|| self.semantic(span, "this array is too large"))?;
            if init.len() as u64 > size {
                return Err(self.semantic(span, format!("the initialiser of `{name}` is longer than the variable")));
            }
            let mut unsupported = declarator.unsupported.clone();
            if declarator.reference.is_some() && (given || !dimensions.is_empty()) {
                unsupported =
                    Some(format!("`{name}` is an array of references, or has an initial value: not executed"));
            }
            found.push(Variable {
                name: name.to_owned(),
                space: declarator.space,
                align: declarator.align,
                size,
                element: if dimensions.len() > 1 { 0 } else { element },
                init,
                relocations,
                external: declarator.external,
                managed: declarator.managed,
                reference: declarator.reference,
                unsupported,
                span,
            });
            if !self.take_mark(b',') {
                break;
            }
        }
        self.mark(b';')?;
        Ok(found)
    }

    /// What follows `=`, up to the end of the declaration.
    fn skip_initializer(&mut self) -> Result<(), PtxError> {
        let mut open = 0u32;
        loop {
            match self.token().kind {
                Kind::Mark(b';' | b',') if open == 0 => return Ok(()),
                Kind::Mark(b'{') => open += 1,
                Kind::Mark(b'}') => open = open.saturating_sub(1),
                Kind::End => return Err(self.unexpected("`;`")),
                _ => {}
            }
            self.advance();
        }
    }
}
