//! The work of a step: what is enqueued, with expressions for what depends on the shape.

use std::collections::BTreeMap;

use graphproof_harness::cuda::Condition;
use graphproof_harness::dtype::DType;
use graphproof_harness::finding::Place;

use crate::check::{Checker, Expr, Known};
use crate::modules::Triton;
use crate::raw::{Entry, RawArg, RawWork, WordOrTable};
use graphproof_report::config::ConfigError;
use toml::Spanned;

/// A piece of work, with its place in the file.
#[derive(Debug, Clone)]
pub struct Work {
    pub place: Place,
    /// It is left out where this is 0: a decision of the host.
    pub when: Option<Expr>,
    /// The stream, if not the step's own.
    pub stream: Option<String>,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Launch(Launch),
    Memset { buffer: String, value: Expr },
    Copy { from: String, to: String },
    Record(String),
    Wait(String),
    Host(Host),
    Conditional { kind: Condition, flag: String, bodies: Vec<Vec<Work>> },
}

#[derive(Debug, Clone)]
pub struct Launch {
    pub kernel: String,
    pub grid: Vec<Expr>,
    pub block: Vec<Expr>,
    pub shared: Option<Expr>,
    pub cooperative: bool,
    pub programmatic: bool,
    pub arguments: Vec<Argument>,
    /// What Triton said about the kernel.
    pub triton: Option<Triton>,
}

#[derive(Debug, Clone)]
pub enum Argument {
    Buffer(String, Option<Expr>),
    Value(DType, Expr),
}

/// What the host does in the middle of a step: planted, to see that it is found.
#[derive(Debug, Clone)]
pub enum Host {
    /// `cuStreamSynchronize`.
    Synchronize,
    /// `cuCtxSynchronize`.
    SynchronizeDevice,
    /// `cuStreamQuery`.
    Query,
    /// A copy of a buffer to the host, waited for, as `.item()` does.
    Read(String),
    /// `cuMemAlloc` of memory that nobody frees.
    Allocate(Expr),
}

/// The words behind `host =`.
const HOST: [&str; 5] = ["synchronize", "synchronize-device", "query", "read", "allocate"];
/// The keys of which an entry has exactly one.
const KINDS: [&str; 9] = ["launch", "memset", "copy", "record", "wait", "host", "if", "while", "switch"];

impl Checker<'_> {
    /// Reads a list of work.
    pub fn work(
        &self,
        entries: Vec<Spanned<RawWork>>,
        known: &Known,
        kernels: &BTreeMap<String, Triton>,
    ) -> Result<Vec<Work>, ConfigError> {
        entries.into_iter().map(|entry| self.one(entry, known, kernels)).collect()
    }

    fn one(
        &self,
        entry: Spanned<RawWork>,
        known: &Known,
        kernels: &BTreeMap<String, Triton>,
    ) -> Result<Work, ConfigError> {
        let span = entry.span();
        let mut raw = entry.into_inner();
        let heads = [
            &raw.launch,
            &raw.memset,
            &raw.copy,
            &raw.record,
            &raw.wait,
            &raw.host,
            &raw.if_,
            &raw.while_,
            &raw.switch,
        ];
        let given: Vec<usize> = (0..KINDS.len()).filter(|index| heads[*index].is_some()).collect();
        let [kind] = given.as_slice() else {
            let has = given.iter().map(|index| KINDS[*index]).collect::<Vec<_>>().join(" and ");
            let has = if has.is_empty() { "none".to_owned() } else { has };
            let message = format!("a piece of work is exactly one of {}; this has {has}", KINDS.join(", "));
            return Err(self.wrong(span, message));
        };
        let (kind, head) = (KINDS[*kind], heads[*kind].as_ref().map_or(span.clone(), Spanned::span));
        self.only_its_keys(kind, &raw)?;
        let when = raw.when.take().map(|when| self.expression(when, known, true)).transpose()?;
        let stream = raw.stream.take().map(|stream| stream.into_inner()).filter(|stream| stream != "main");
        let missing = |key: &str, why: &str| self.wrong(span.clone(), format!("this {kind} has no '{key}': {why}"));
        let what = match kind {
            "launch" => What::Launch(self.launch(&mut raw, known, kernels, &span)?),
            "memset" => What::Memset {
                buffer: self.buffer(raw.memset.take(), known)?,
                value: match raw.value.take() {
                    Some(value) => self.expression(value, known, true)?,
                    None => return Err(missing("value", "which byte, from 0 to 255?")),
                },
            },
            "copy" => {
                let from = self.buffer(raw.copy.take(), known)?;
                let to = raw.to.take().ok_or_else(|| missing("to", "which buffer does it write?"))?;
                What::Copy { from, to: self.buffer(Some(to), known)? }
            }
            "record" => What::Record(raw.record.take().map(Spanned::into_inner).unwrap_or_default()),
            "wait" => What::Wait(raw.wait.take().map(Spanned::into_inner).unwrap_or_default()),
            "host" => What::Host(self.host(&mut raw, known, &span)?),
            "switch" => {
                let flag = self.buffer(raw.switch.take(), known)?;
                let cases = raw.cases.take().ok_or_else(|| missing("cases", "what does it run for 0, 1, …?"))?;
                let span = cases.span();
                let cases = cases.into_inner().into_iter().map(|case| self.work(case.into_inner(), known, kernels));
                let bodies = cases.collect::<Result<Vec<_>, _>>()?;
                if bodies.is_empty() {
                    return Err(
                        self.wrong(span, "a switch has a list of work for 0, and one for each number behind it")
                    );
                }
                What::Conditional { kind: Condition::Switch, flag, bodies }
            }
            _ => {
                let is_if = kind == "if";
                let flag = self.buffer(if is_if { raw.if_.take() } else { raw.while_.take() }, known)?;
                let body = raw.do_.take().ok_or_else(|| missing("do", "what does it run?"))?;
                let bodies = [Some(body), raw.else_.take()].into_iter().flatten();
                let bodies =
                    bodies.map(|body| self.work(body.into_inner(), known, kernels)).collect::<Result<_, _>>()?;
                What::Conditional { kind: if is_if { Condition::If } else { Condition::While }, flag, bodies }
            }
        };
        Ok(Work { place: self.place_of(head.start), when, stream, what })
    }

    /// Whether every key that is there belongs to this kind of work.
    fn only_its_keys(&self, kind: &str, raw: &RawWork) -> Result<(), ConfigError> {
        let span = |value: &Option<Spanned<_>>| value.as_ref().map(Spanned::span);
        let keys = [
            ("grid", raw.grid.as_ref().map(Spanned::span), "launch"),
            ("block", raw.block.as_ref().map(Spanned::span), "launch"),
            ("shared", span(&raw.shared), "launch"),
            ("cooperative", raw.cooperative.as_ref().map(Spanned::span), "launch"),
            ("programmatic", raw.programmatic.as_ref().map(Spanned::span), "launch"),
            ("args", raw.args.as_ref().map(Spanned::span), "launch"),
            ("value", span(&raw.value), "memset"),
            ("to", raw.to.as_ref().map(Spanned::span), "copy"),
            ("buffer", raw.buffer.as_ref().map(Spanned::span), "host"),
            ("bytes", span(&raw.bytes), "host"),
            ("do", raw.do_.as_ref().map(Spanned::span), if kind == "while" { "while" } else { "if" }),
            ("else", raw.else_.as_ref().map(Spanned::span), "if"),
            ("cases", raw.cases.as_ref().map(Spanned::span), "switch"),
        ];
        for (key, span, owner) in keys {
            if let Some(span) = span.filter(|_| owner != kind) {
                let article = if owner == "if" { "an" } else { "a" };
                return Err(self.wrong(span, format!("'{key}' belongs to {article} {owner}, and this is a {kind}")));
            }
        }
        Ok(())
    }

    fn launch(
        &self,
        raw: &mut RawWork,
        known: &Known,
        kernels: &BTreeMap<String, Triton>,
        span: &std::ops::Range<usize>,
    ) -> Result<Launch, ConfigError> {
        let kernel = raw.launch.take().map(Spanned::into_inner).unwrap_or_default();
        let triton = kernels.get(&kernel).cloned();
        let extents = |list: Option<Spanned<_>>, key: &str| match list {
            Some(list) => self.extents(list, known, key),
            None => Ok(Vec::new()),
        };
        let (grid, block) = (extents(raw.grid.take(), "grid")?, extents(raw.block.take(), "block")?);
        if grid.is_empty() {
            return Err(self.wrong(span.clone(), "this launch has no 'grid': how many blocks?"));
        }
        if block.is_empty() && triton.is_none() {
            return Err(self.wrong(span.clone(), "this launch has no 'block': how many threads has a block?"));
        }
        let shared = raw.shared.take().map(|shared| self.expression(shared, known, true)).transpose()?;
        let said = |key: &mut Option<Spanned<bool>>| key.take().map(Spanned::into_inner);
        let (cooperative, programmatic) = (said(&mut raw.cooperative), said(&mut raw.programmatic));
        let arguments = raw.args.take().map(Spanned::into_inner).unwrap_or_default();
        let arguments =
            arguments.into_iter().map(|argument| self.argument(argument, known)).collect::<Result<_, _>>()?;
        let of_triton = triton.as_ref().map_or((false, false), |t| (t.launch_cooperative_grid, t.launch_pdl));
        let (cooperative, programmatic) = (cooperative.unwrap_or(of_triton.0), programmatic.unwrap_or(of_triton.1));
        Ok(Launch { kernel, grid, block, shared, cooperative, programmatic, arguments, triton })
    }

    fn argument(&self, argument: Spanned<RawArg>, known: &Known) -> Result<Argument, ConfigError> {
        let span = argument.span();
        let form = "an argument is a buffer's name, { f32 = 0.5 } with any type of element, or { buffer = \"x\", offset = 64 }";
        let entries = match argument.into_inner() {
            WordOrTable::Word(word) => {
                return self.buffer(Some(Spanned::new(span, word)), known).map(|buffer| Argument::Buffer(buffer, None));
            }
            WordOrTable::Table(entries) => entries,
        };
        let (mut buffer, mut offset, mut value) = (None, None, None);
        for (key, entry) in entries {
            let entry_span = entry.span();
            let Entry::Number(number) = entry.into_inner() else { return Err(self.wrong(entry_span, form)) };
            match (key.get_ref().as_str(), number) {
                ("buffer", crate::raw::Number::Text(name)) => buffer = Some(Spanned::new(entry_span, name)),
                ("offset", number) => offset = Some(self.expression(Spanned::new(entry_span, number), known, true)?),
                (name, number) => {
                    let dtype = self.dtype(&Spanned::new(key.span(), name.to_owned()))?;
                    let expression = self.expression(Spanned::new(entry_span, number), known, true)?;
                    if value.replace(Argument::Value(dtype, expression)).is_some() {
                        return Err(self.wrong(span, form));
                    }
                }
            }
        }
        match (buffer, value) {
            (Some(buffer), None) => Ok(Argument::Buffer(self.buffer(Some(buffer), known)?, offset)),
            (None, Some(value)) if offset.is_none() => Ok(value),
            _ => Err(self.wrong(span, form)),
        }
    }

    fn host(&self, raw: &mut RawWork, known: &Known, span: &std::ops::Range<usize>) -> Result<Host, ConfigError> {
        let word = raw.host.take().unwrap_or_else(|| Spanned::new(span.clone(), String::new()));
        let buffer = raw.buffer.take().map(|buffer| self.buffer(Some(buffer), known)).transpose()?;
        let bytes = raw.bytes.take().map(|bytes| self.expression(bytes, known, true)).transpose()?;
        match (word.get_ref().as_str(), buffer, bytes) {
            ("synchronize", None, None) => Ok(Host::Synchronize),
            ("synchronize-device", None, None) => Ok(Host::SynchronizeDevice),
            ("query", None, None) => Ok(Host::Query),
            ("read", Some(buffer), None) => Ok(Host::Read(buffer)),
            ("allocate", None, Some(bytes)) => Ok(Host::Allocate(bytes)),
            ("read", ..) => Err(self.wrong(word.span(), "host = \"read\" takes a 'buffer' and nothing else")),
            ("allocate", ..) => Err(self.wrong(word.span(), "host = \"allocate\" takes 'bytes' and nothing else")),
            (known, ..) if HOST.contains(&known) => {
                Err(self.wrong(word.span(), format!("host = \"{known}\" takes nothing")))
            }
            (other, ..) => Err(self.unknown(word.span(), "host call", other, HOST)),
        }
    }
}
