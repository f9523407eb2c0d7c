//! Function bodies: declarations, labels, instructions and their operands.

use std::sync::Arc;

use super::ast::{
    Address, AddressBase, Callee, Function, Guard, Instruction, Label, Location, Operand, Span, Statement, VarRef,
};
use super::error::PtxError;
use super::lexer::Kind;
use super::opcodes::opcode;
use super::parser::{MAX_SCOPES, Named, Parser, Scope};
use super::types::{Space, Type};

/// Label positions are unknown until the label is seen.
const UNKNOWN: usize = usize::MAX;
/// Registers of a function.
const MAX_REGISTERS: u64 = 1 << 20;

impl Parser<'_> {
    /// Statements up to the `}` that closes the body.
    pub fn body(&mut self, function: &mut Function) -> Result<(), PtxError> {
        let mut location: Option<Location> = None;
        let mut used_bytes = None;
        let mut depth = 0;
        loop {
            let token = self.token();
            match token.kind {
                Kind::Mark(b'{') => {
                    self.advance();
                    depth += 1;
                    if self.scopes.len() > MAX_SCOPES {
                        return Err(self.syntax(token.span, format!("blocks are nested more than {MAX_SCOPES} deep")));
                    }
                    self.scopes.push(Scope::default());
                }
                Kind::Mark(b'}') => {
                    self.advance();
                    if depth == 0 {
                        return Ok(());
                    }
                    depth -= 1;
                    self.close_scope(function)?;
                }
                Kind::Mark(b';') => {
                    self.advance();
                }
                Kind::Dotted => match self.text() {
                    ".loc" => location = Some(self.location()?),
                    ".reg" => self.registers(function)?,
                    ".pragma" => used_bytes = self.pragma()?,
                    ".shared" | ".local" | ".param" | ".global" | ".const" => {
                        let declarator = self.declarator(false)?;
                        for variable in self.variables(&declarator)? {
                            self.declare(function, variable);
                        }
                    }
                    _ => {
                        return Err(self.unexpected(
                            "an instruction, a label, `.reg`, `.shared`, `.local`, `.param`, `.loc` or `.pragma`",
                        ));
                    }
                },
                Kind::Word if self.tokens[self.at + 1].kind == Kind::Mark(b':') => self.label(function)?,
                Kind::Word | Kind::Mark(b'@') => {
                    self.instruction(function, location, used_bytes.take())?;
                }
                _ => return Err(self.unexpected("an instruction, a label, a declaration or `}`")),
            }
        }
    }

    /// A `.pragma`: the mask of `used_bytes_mask`, which concerns the next instruction.
    fn pragma(&mut self) -> Result<Option<u32>, PtxError> {
        let mut mask = None;
        while !self.is_mark(b';') && self.token().kind != Kind::End {
            let words = self.text().trim_matches('"').split_once(' ');
            if let (Kind::Text, Some(("used_bytes_mask", number))) = (self.token().kind, words) {
                let number = number.trim();
                let parsed = match number.strip_prefix("0x") {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                let Ok(parsed) = parsed else { return Err(self.unexpected("`used_bytes_mask` and a number")) };
                mask = Some(parsed);
            }
            self.advance();
        }
        self.skip_statement()?;
        Ok(mask)
    }

    fn declare(&mut self, function: &mut Function, mut variable: super::ast::Variable) {
        if matches!(variable.space, Space::Global | Space::Const) {
            // One for all threads, known to this function only: a variable of the module without a name.
            let reference = VarRef::Module(self.module.variables.len() as u32);
            let name = format!("{}${}", function.name, variable.name);
            self.scope().names.insert(std::mem::replace(&mut variable.name, name), Named::Variable(reference));
            self.module.variables.push(variable);
            return;
        }
        let reference = VarRef::Local(function.variables.len() as u32);
        self.scope().names.insert(variable.name.clone(), Named::Variable(reference));
        function.variables.push(variable);
    }

    fn registers(&mut self, function: &mut Function) -> Result<(), PtxError> {
        self.advance();
        let ty = self.register_type()?;
        loop {
            let (name, span) = self.word("a register name")?;
            if self.take_mark(b'<') {
                let count = self.unsigned("a register count")?;
                self.mark(b'>')?;
                if count > MAX_REGISTERS || count + function.registers.len() as u64 > MAX_REGISTERS {
                    return Err(self.unsupported(span, format!("more than {MAX_REGISTERS} registers are not executed")));
                }
                let first = function.registers.add_range(name, ty, count as u32);
                self.scope().ranges.push((name.to_owned(), count as u32, first));
            } else {
                let first = function.registers.add(name, ty);
                self.scope().names.insert(name.to_owned(), Named::Register(first));
            }
            if !self.take_mark(b',') {
                break;
            }
        }
        self.mark(b';')?;
        Ok(())
    }

    fn label(&mut self, function: &mut Function) -> Result<(), PtxError> {
        let (name, span) = self.word("a label")?;
        self.mark(b':')?;
        if self.token().kind == Kind::Dotted && self.text() == ".branchtargets" {
            return self.branch_targets(function, name);
        }
        if self.token().kind == Kind::Dotted && self.text() == ".callprototype" {
            return self.call_prototype(function, name);
        }
        if self.token().kind == Kind::Dotted && self.text() == ".calltargets" {
            self.skip_statement()?;
            self.scope().names.insert(name.to_owned(), Named::Prototype(u32::MAX));
            return Ok(());
        }
        let index = function.labels.len() as u32;
        if self.scope().labels.insert(name.to_owned(), index).is_some() {
            return Err(self.semantic(span, format!("label `{name}` is declared twice")));
        }
        function.labels.push(Label { name: name.to_owned(), at: function.body.len() });
        Ok(())
    }

    fn branch_targets(&mut self, function: &mut Function, name: &str) -> Result<(), PtxError> {
        self.advance();
        let mut labels = Vec::new();
        loop {
            let (target, span) = self.word("a label")?;
            labels.push(self.label_reference(function, target, span));
            if !self.take_mark(b',') {
                break;
            }
        }
        self.mark(b';')?;
        let index = function.branch_tables.len() as u32;
        function.branch_tables.push((name.to_owned(), labels));
        self.scope().names.insert(name.to_owned(), Named::Table(index));
        Ok(())
    }

    /// `name: .callprototype (returns) _ (params) .noreturn;`
    fn call_prototype(&mut self, function: &mut Function, name: &str) -> Result<(), PtxError> {
        self.advance();
        // The names of its parameters mean nothing, not even in this scope.
        self.scopes.push(Scope::default());
        let mut shape = Function::prototype(function.span);
        if self.is_mark(b'(') {
            shape.returns = self.parameters(&mut shape, true)?;
        }
        self.word("`_`")?;
        if self.is_mark(b'(') {
            shape.params = self.parameters(&mut shape, false)?;
        }
        self.scopes.pop();
        self.skip_statement()?;
        let index = function.prototypes.len() as u32;
        function.prototypes.push((name.to_owned(), shape.signature()));
        self.scope().names.insert(name.to_owned(), Named::Prototype(index));
        Ok(())
    }

    /// A label that may still have to come.
    fn label_reference(&mut self, function: &mut Function, name: &str, span: Span) -> u32 {
        let placeholder = function.labels.len() as u32;
        function.labels.push(Label { name: name.to_owned(), at: UNKNOWN });
        self.scope().wanted.push((name.to_owned(), placeholder, span));
        placeholder
    }

    fn predicate(&mut self, function: &Function) -> Result<u32, PtxError> {
        let (name, span) = self.word("a predicate register")?;
        match self.lookup(name) {
            Some(Named::Register(r)) if function.registers.ty(r) == Type::Pred => Ok(r),
            Some(_) => Err(self.semantic(span, format!("`{name}` is not a predicate")).expected("a `.pred` register")),
            None => Err(self.semantic(span, format!("`{name}` is not declared")).expected("a `.pred` register")),
        }
    }

    fn instruction(
        &mut self,
        function: &mut Function,
        location: Option<Location>,
        used_bytes: Option<u32>,
    ) -> Result<(), PtxError> {
        let first = self.token();
        let mut guard = None;
        if self.take_mark(b'@') {
            let negated = self.take_mark(b'!');
            guard = Some(Guard { register: self.predicate(function)?, negated });
        }
        let (word, span) = self.word("an instruction")?;
        let Some(opcode) = opcode(word) else {
            return Err(self.syntax(span, format!("`{word}` is no instruction of PTX")).expected("an instruction"));
        };
        let modifiers = self.modifiers();
        let mut operands = Vec::new();
        let mut operand_spans = Vec::new();
        if !self.is_mark(b';') {
            loop {
                let start = self.token().span.start;
                operands.push(self.operand(function, opcode)?);
                operand_spans.push(Span { start, end: self.tokens[self.at - 1].span.end });
                if !self.take_mark(b',') {
                    break;
                }
            }
        }
        if !self.is_mark(b';') {
            return Err(self.unexpected("`,` or `;`"));
        }
        let end = self.advance().span.end;
        function.body.push(Statement {
            instruction: Instruction { guard, opcode, modifiers, operands, operand_spans },
            span: Span { start: first.span.start, end },
            line: first.line,
            location,
            used_bytes,
        });
        Ok(())
    }

    /// The words after dots.
    fn modifiers(&mut self) -> Arc<[String]> {
        let start = self.token().span.start;
        let mut end = start;
        let first = self.at;
        while self.token().kind == Kind::Dotted {
            end = self.advance().span.end;
        }
        let text = self.text_of(Span { start, end });
        if let Some(found) = self.words.get(text) {
            return found.clone();
        }
        let words = self.tokens[first..self.at].iter().map(|token| self.text_of(token.span)[1..].to_owned());
        let words: Arc<[String]> = words.collect();
        self.words.insert(text, words.clone());
        words
    }

    fn operand(&mut self, function: &mut Function, opcode: &str) -> Result<Operand, PtxError> {
        const WHAT: &str = "a register, a constant, a variable, `[address]` or `{vector}`";
        let operand = match self.token().kind {
            Kind::Mark(b'{') => Operand::Vector(self.list(function, opcode, b'}')?),
            Kind::Mark(b'(') => Operand::List(self.list(function, opcode, b')')?),
            Kind::Mark(b'[') => self.address(function, opcode)?,
            Kind::Mark(b'!') => {
                self.advance();
                Operand::NotReg(self.predicate(function)?)
            }
            Kind::Mark(b'-') if opcode == "vmad" && self.tokens[self.at + 1].kind == Kind::Word => {
                self.advance();
                Operand::Negated(Box::new(self.named(function, opcode)?))
            }
            Kind::Number | Kind::Mark(b'-' | b'+') => self.constant(WHAT)?,
            Kind::Word => self.named(function, opcode)?,
            _ => return Err(self.unexpected(WHAT)),
        };
        let span = self.token().span;
        if self.take_mark(b'|') {
            let second = self.nested(span, |parser| parser.operand(function, opcode))?;
            return Ok(Operand::Pair(Box::new(operand), Box::new(second)));
        }
        Ok(operand)
    }

    fn list(&mut self, function: &mut Function, opcode: &str, close: u8) -> Result<Vec<Operand>, PtxError> {
        let span = self.advance().span;
        self.nested(span, |parser| {
            let mut items = Vec::new();
            while !parser.is_mark(close) {
                items.push(parser.operand(function, opcode)?);
                if !parser.take_mark(b',') {
                    break;
                }
            }
            parser.mark(close)?;
            Ok(items)
        })
    }

    fn named(&mut self, function: &mut Function, opcode: &str) -> Result<Operand, PtxError> {
        let (name, span) = self.word("a name")?;
        if name == "_" {
            return Ok(Operand::Sink);
        }
        if name == "WARP_SZ" {
            return Ok(Operand::Int(32));
        }
        match self.lookup(name) {
            Some(Named::Register(r)) => {
                if self.token().kind == Kind::Dotted && opcode.starts_with('v') {
                    let selector = self.text()[1..].to_owned();
                    self.advance();
                    return Ok(Operand::Part(r, selector));
                }
                if self.token().kind == Kind::Dotted {
                    return Err(
                        self.unsupported(span, format!("an element of vector register `{name}` is not executed"))
                    );
                }
                Ok(Operand::Reg(r))
            }
            Some(Named::Variable(v)) if self.is_mark(b'[') => self.element(function, v, opcode),
            Some(Named::Variable(v)) => {
                let offset = self.displacement()?;
                Ok(Operand::Var(v, offset))
            }
            Some(Named::Table(t)) => Ok(Operand::Table(t)),
            Some(Named::Prototype(p)) => Ok(Operand::Prototype(p)),
            None if name.starts_with('%') => {
                let mut full = name.to_owned();
                while self.token().kind == Kind::Dotted {
                    full.push_str(self.text());
                    self.advance();
                }
                if special_register(&full) {
                    return Ok(Operand::Special(full));
                }
                Err(self.semantic(span, format!("`{full}` is not declared")).expected("a declared or special register"))
            }
            None if matches!(opcode, "bra" | "brx") => Ok(Operand::Label(self.label_reference(function, name, span))),
            None if opcode == "call" || self.module.functions.iter().any(|f| f.name == name) => {
                Ok(Operand::Function(Callee(name.to_owned())))
            }
            None => Err(self
                .semantic(span, format!("`{name}` is not declared"))
                .expected("a register, a variable or a function")),
        }
    }

    /// `[1]` after the name of an array (PTX ISA, "Arrays as Operands"): its address, or what lies there for an
    /// instruction that takes `[address]`.
    fn element(&mut self, function: &Function, array: VarRef, opcode: &str) -> Result<Operand, PtxError> {
        let span = self.advance().span;
        let element = match array {
            VarRef::Module(n) => self.module.variables[n as usize].element,
            VarRef::Local(n) => function.variables[n as usize].element,
            VarRef::Param(_) | VarRef::Return(_) => 0,
        };
        let offset = match self.token().kind {
            Kind::Number | Kind::Mark(b'-' | b'+') => match self.constant("an index")? {
                Operand::Int(index) => (index as i64).wrapping_add(self.displacement()?).wrapping_mul(element as i64),
                _ => return Err(self.syntax(span, "an index must be an integer")),
            },
            _ => return Err(self.unsupported(span, "an index that is no constant is not executed")),
        };
        self.mark(b']')?;
        if element == 0 {
            return Err(self.unsupported(span, "an index of a parameter or of several dimensions is not executed"));
        }
        let offset = offset.wrapping_add(self.displacement()?);
        let takes_address = matches!(opcode, "ld" | "ldu" | "st" | "atom" | "red" | "prefetch" | "prefetchu");
        Ok(match takes_address {
            true => Operand::Address(Address { base: AddressBase::Var(array), offset }),
            false => Operand::Var(array, offset),
        })
    }

    /// `+4`, `-4`, `+-4` after a name.
    pub fn displacement(&mut self) -> Result<i64, PtxError> {
        let mut total = 0i64;
        while self.is_mark(b'+') || self.is_mark(b'-') {
            let negative = self.advance().kind == Kind::Mark(b'-');
            let span = self.token().span;
            let value = match self.constant("an offset")? {
                Operand::Int(v) => v as i64,
                _ => return Err(self.syntax(span, "an offset must be an integer")),
            };
            total = total.wrapping_add(if negative { value.wrapping_neg() } else { value });
        }
        Ok(total)
    }

    fn address(&mut self, function: &mut Function, opcode: &str) -> Result<Operand, PtxError> {
        self.advance();
        let span = self.token().span;
        let base = match self.token().kind {
            Kind::Word => {
                let (name, span) = self.word("an address")?;
                match self.lookup(name) {
                    Some(Named::Register(r)) => {
                        let ty = function.registers.ty(r);
                        if !matches!(ty.size(), 4 | 8) || ty.is_float() {
                            return Err(self
                                .semantic(span, format!("`{name}` is `{ty}` and cannot hold an address"))
                                .expected("a 32-bit or 64-bit integer register"));
                        }
                        AddressBase::Reg(r)
                    }
                    Some(Named::Variable(v)) => AddressBase::Var(v),
                    _ => {
                        return Err(self
                            .semantic(span, format!("`{name}` is not declared"))
                            .expected("a register or a variable"));
                    }
                }
            }
            Kind::Number | Kind::Mark(b'-') => AddressBase::Absolute,
            _ => return Err(self.unexpected("a register, a variable or a constant address")),
        };
        let offset = match base {
            AddressBase::Absolute => match self.constant("an address")? {
                Operand::Int(v) => (v as i64).wrapping_add(self.displacement()?),
                _ => return Err(self.syntax(span, "an address must be an integer")),
            },
            _ => self.displacement()?,
        };
        // A box of a tensor, or an element of a texture or a surface.
        let boxed = matches!(opcode, "cp" | "tex" | "tld4" | "suld" | "sust" | "sured");
        if boxed && self.take_mark(b',') {
            // One coordinate needs no braces.
            let coordinates = match self.is_mark(b'{') {
                true => self.list(function, opcode, b'}')?,
                false if opcode == "cp" => return Err(self.unexpected("`{coordinates}`")),
                false => vec![self.operand(function, opcode)?],
            };
            self.mark(b']')?;
            return Ok(Operand::Box(Address { base, offset }, coordinates));
        }
        if self.is_mark(b',') {
            return Err(self.unsupported(span, "`[name, {coordinates}]` is no address of this instruction"));
        }
        self.mark(b']')?;
        Ok(Operand::Address(Address { base, offset }))
    }
}

/// Whether `name` is a special register that PTX defines.
pub(super) fn special_register(name: &str) -> bool {
    let plain = [
        "%laneid",
        "%warpid",
        "%nwarpid",
        "%smid",
        "%nsmid",
        "%gridid",
        "%clock",
        "%clock_hi",
        "%clock64",
        "%globaltimer",
        "%globaltimer_lo",
        "%globaltimer_hi",
        "%lanemask_eq",
        "%lanemask_le",
        "%lanemask_lt",
        "%lanemask_ge",
        "%lanemask_gt",
        "%dynamic_smem_size",
        "%total_smem_size",
        "%aggr_smem_size",
        "%cluster_ctarank",
        "%cluster_nctarank",
        "%is_explicit_cluster",
        "%reserved_smem_offset_begin",
        "%reserved_smem_offset_end",
        "%reserved_smem_offset_cap",
        "%current_graph_exec",
    ];
    let vector =
        ["%tid", "%ntid", "%ctaid", "%nctaid", "%clusterid", "%nclusterid", "%cluster_ctaid", "%cluster_nctaid"];
    let number = |prefix: &str, suffix: &str, count: u32| {
        let digits = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
        digits.and_then(|digits| digits.parse::<u32>().ok()).is_some_and(|n| n < count)
    };
    plain.contains(&name)
        || number("%envreg", "", 32)
        || number("%pm", "", 8)
        || number("%pm", "_64", 8)
        || number("%reserved_smem_offset_", "", 2)
        || name.rsplit_once('.').is_some_and(|(base, axis)| vector.contains(&base) && matches!(axis, "x" | "y" | "z"))
}
