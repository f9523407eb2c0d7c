//! Checks what a file says, value by value, with the place of what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use graphproof_harness::dtype::DType;
use graphproof_harness::finding::Place;
use graphproof_report::config::{ConfigError, Source, near};
use toml::Spanned;

use crate::expression::{Expression, Names, Value};
use crate::fill::{Fill, KINDS};
use crate::raw::{Entry, List, Number, RawFill, WordOrTable};

/// An expression with its place.
#[derive(Debug, Clone)]
pub struct Expr {
    expression: Expression,
    text: String,
    place: String,
}

impl Expr {
    /// Its value.
    pub fn value(&self, names: &Names) -> Result<Value, String> {
        self.expression.value(names).map_err(|why| format!("{}: '{}': {why}", self.place, self.text))
    }

    /// Its value as a whole number from `low` to `high`.
    pub fn whole(&self, names: &Names, low: u64, high: u64) -> Result<u64, String> {
        let said = |value: &str| {
            format!("{}: '{}' is {value}, and must be a whole number from {low} to {high}", self.place, self.text)
        };
        match self.value(names)? {
            Value::Int(value) => match u64::try_from(value) {
                Ok(value) if (low..=high).contains(&value) => Ok(value),
                _ => Err(said(&value.to_string())),
            },
            Value::Float(value) => Err(said(&value.to_string())),
        }
    }

    /// 0, as if it stood at `place`.
    pub fn zero(place: &Place) -> Self {
        Expr { expression: Expression::Constant(Value::Int(0)), text: "0".to_owned(), place: place.to_string() }
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.expression.names(&mut names);
        names
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What names mean where an expression or a piece of work stands.
pub struct Known {
    /// Parameters and derived numbers.
    pub numbers: BTreeSet<String>,
    /// Buffers of the step.
    pub buffers: Vec<String>,
}

/// The file that is checked.
pub struct Checker<'a> {
    pub source: Source<'a>,
}

/// How a buffer is filled, before the shape is known.
#[derive(Debug, Clone)]
pub enum FillSpec {
    Generator { kind: &'static str, keys: BTreeMap<String, Expr>, place: String },
    Files { files: Vec<String>, tensor: Option<String>, place: String },
}

impl Checker<'_> {
    pub fn new<'a>(file: &'a Path, text: &'a str) -> Checker<'a> {
        Checker { source: Source { file, text } }
    }

    pub fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        self.source.wrong(span, message)
    }

    /// `my.toml:12`.
    pub fn line(&self, at: usize) -> String {
        format!("{}:{}", self.source.file.display(), self.source.place(at).0)
    }

    pub fn place_of(&self, at: usize) -> Place {
        let line = u32::try_from(self.source.place(at).0).unwrap_or(u32::MAX);
        Place { file: self.source.file.display().to_string().into(), line }
    }

    /// That there is no such `what`, with the near one.
    pub fn unknown<'a>(
        &self,
        span: Range<usize>,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> ConfigError {
        let near = near(name, known.clone()).map_or_else(String::new, |name| format!("did you mean '{name}'? "));
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {known}") };
        self.wrong(span, format!("there is no {what} '{name}'; {near}{known}"))
    }

    /// An expression whose names are known; `step` is one where the host may know which step it is.
    pub fn expression(&self, number: Spanned<Number>, known: &Known, step: bool) -> Result<Expr, ConfigError> {
        let span = number.span();
        let place = self.line(span.start);
        let (expression, text) = match number.into_inner() {
            Number::Int(value) => (Expression::Constant(Value::Int(value.into())), value.to_string()),
            Number::Float(value) => (Expression::Constant(Value::Float(value)), value.to_string()),
            Number::Text(text) => {
                let parsed = Expression::parse(&text);
                (parsed.map_err(|why| self.wrong(span.clone(), format!("'{text}': {why}")))?, text)
            }
        };
        let mut names = Vec::new();
        expression.names(&mut names);
        for name in names {
            if known.numbers.contains(name) || (step && name == "step") {
                continue;
            }
            let numbers = known.numbers.iter().map(String::as_str).chain(step.then_some("step"));
            return Err(self.unknown(span, "number", name, numbers.collect::<Vec<_>>()));
        }
        Ok(Expr { expression, text, place })
    }

    /// A list of one to three extents.
    pub fn extents(&self, list: Spanned<List>, known: &Known, key: &str) -> Result<Vec<Expr>, ConfigError> {
        let span = list.span();
        let extents = self.list(list, known, true)?;
        if extents.is_empty() || extents.len() > 3 {
            return Err(self.wrong(span, format!("'{key}' has {} extents; it has x, y and z", extents.len())));
        }
        Ok(extents)
    }

    /// A list of expressions.
    pub fn list(&self, list: Spanned<List>, known: &Known, step: bool) -> Result<Vec<Expr>, ConfigError> {
        let span = list.span();
        let items = list.into_inner().0.into_iter();
        items.map(|item| self.expression(Spanned::new(span.clone(), item), known, step)).collect()
    }

    /// The name of a buffer of the step.
    pub fn buffer(&self, name: Option<Spanned<String>>, known: &Known) -> Result<String, ConfigError> {
        let name = name.unwrap_or_else(|| Spanned::new(0..0, String::new()));
        if known.buffers.contains(name.get_ref()) {
            return Ok(name.into_inner());
        }
        let buffers: Vec<&str> = known.buffers.iter().map(String::as_str).collect();
        Err(self.unknown(name.span(), "buffer", name.get_ref(), buffers))
    }

    /// An element type.
    pub fn dtype(&self, name: &Spanned<String>) -> Result<DType, ConfigError> {
        name.get_ref()
            .parse()
            .map_err(|()| self.unknown(name.span(), "type", name.get_ref(), DType::ALL.map(DType::name)))
    }

    /// How a buffer is filled.
    pub fn fill(&self, fill: Spanned<RawFill>, known: &Known) -> Result<FillSpec, ConfigError> {
        let (span, place) = (fill.span(), self.line(fill.span().start));
        let names = KINDS.map(|(name, _)| name);
        let kind_of = |span: Range<usize>, word: &str| {
            let found = KINDS.into_iter().find(|(name, _)| *name == word);
            found.ok_or_else(|| self.unknown(span, "generator", word, names))
        };
        let entries = match fill.into_inner() {
            WordOrTable::Word(word) => {
                let (kind, _) = kind_of(span, &word)?;
                return Ok(FillSpec::Generator { kind, keys: BTreeMap::new(), place });
            }
            WordOrTable::Table(entries) => entries,
        };
        let form = "a fill is a generator's name, { generator = \"uniform\", high = 9 }, or { file = \"x.npy\" }";
        let (mut kind, mut files, mut tensor, mut rest) = (None, Vec::new(), None, Vec::new());
        for (key, entry) in entries {
            let entry_span = entry.span();
            match (key.get_ref().as_str(), entry.into_inner()) {
                ("generator", Entry::Number(Number::Text(word))) => kind = Some(kind_of(entry_span, &word)?),
                ("file", Entry::Number(Number::Text(file))) => files = vec![file],
                ("file", Entry::Words(words)) if !words.is_empty() => files = words,
                ("tensor", Entry::Number(Number::Text(name))) => tensor = Some(name),
                (_, Entry::Number(number)) => rest.push((key, Spanned::new(entry_span, number))),
                _ => return Err(self.wrong(entry_span, form)),
            }
        }
        match (kind, files.is_empty()) {
            (None, false) => match rest.first() {
                None => Ok(FillSpec::Files { files, tensor, place }),
                Some((key, _)) => Err(self.unknown(key.span(), "key", key.get_ref(), ["file", "tensor"])),
            },
            (Some((kind, takes)), true) if tensor.is_none() => {
                let mut keys = BTreeMap::new();
                for (key, number) in rest {
                    if !takes.contains(&key.get_ref().as_str()) {
                        return Err(self.unknown(key.span(), &format!("key of {kind}"), key.get_ref(), takes.to_vec()));
                    }
                    keys.insert(key.into_inner(), self.expression(number, known, false)?);
                }
                Ok(FillSpec::Generator { kind, keys, place })
            }
            _ => Err(self.wrong(span, form)),
        }
    }
}

impl FillSpec {
    /// The fill of a buffer of `dtype`; `images` reads files.
    pub fn fill(
        &self,
        dtype: DType,
        names: &Names,
        images: impl FnOnce(&[String], Option<&str>) -> Result<Vec<Vec<u8>>, String>,
    ) -> Result<Fill, String> {
        let (kind, keys, place) = match self {
            FillSpec::Files { files, tensor, place } => {
                return images(files, tensor.as_deref()).map(Fill::Images).map_err(|why| format!("{place}: {why}"));
            }
            FillSpec::Generator { kind, keys, place } => (*kind, keys, place),
        };
        let number = |key: &str, default: Option<Value>| match keys.get(key) {
            Some(expression) => expression.value(names),
            None => default.ok_or_else(|| format!("{place}: {kind} needs '{key}'")),
        };
        let whole = |key: &str, default: Option<i128>, low: i64, high: i64| match number(key, default.map(Value::Int))?
        {
            Value::Int(value) if (i128::from(low)..=i128::from(high)).contains(&value) => Ok(value as i64),
            value => Err(format!("{place}: '{key}' of {kind} is {}, and must be from {low} to {high}", value.float())),
        };
        let float = dtype.is_float();
        if matches!(kind, "normal" | "nan") && !float {
            return Err(format!("{place}: {kind} makes floating-point numbers, and the buffer is {}", dtype.name()));
        }
        Ok(match kind {
            "normal" => Fill::Normal(
                number("mean", Some(Value::Int(0)))?.float(),
                number("deviation", Some(Value::Int(1)))?.float(),
            ),
            "uniform" => {
                let (low, high) = if float {
                    (Some(Value::Float(0.0)), Some(Value::Float(1.0)))
                } else {
                    (Some(Value::Int(0)), (dtype == DType::Bool).then_some(Value::Int(2)))
                };
                let (low, high) = (number("low", low)?, number("high", high)?);
                if low.float() >= high.float() {
                    return Err(format!("{place}: no number is from {} on and below {}", low.float(), high.float()));
                }
                // In a type of floating-point numbers, whole bounds still mean all numbers between them.
                let real = |value: Value| if float { Value::Float(value.float()) } else { value };
                Fill::Uniform(real(low), real(high))
            }
            "ties" => {
                Fill::Ties(whole("values", Some(if dtype == DType::Bool { 2 } else { 4 }), 1, u32::MAX.into())? as u32)
            }
            "zeros" => Fill::Constant(Value::Int(0)),
            "constant" => Fill::Constant(number("value", None)?),
            "arange" => Fill::Arange(number("start", Some(Value::Int(0)))?, number("by", Some(Value::Int(1)))?),
            "lengths" => {
                let low = whole("low", Some(0), -1, i64::MAX - 1)?;
                Fill::Lengths(low, whole("high", None, low, i64::MAX - 1)?)
            }
            "nan" => Fill::Nan(whole("every", Some(16), 1, u32::MAX.into())? as u32),
            _ => Fill::Bits,
        })
    }
}
