//! A file of steps as a suite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use graphproof_harness::context;
use graphproof_harness::dtype::DType;
use graphproof_harness::step::{Agreement, BufferSpec, ClosedForm, Contract, Module, Role, Step, Valid};
use graphproof_report::config::ConfigError;
use graphproof_report::suite::{AtRevision, Listed, Parameter, Parameters, Suite, SuiteError};

use crate::arrays;
use crate::check::{Checker, Expr, FillSpec, Known};
use crate::expression::{Names, Value};
use crate::files::Files;
use crate::modules::{Declared, Origin, Triton};
use crate::raw::{Raw, RawBuffer, RawModule, RawStep};
use crate::step::{Buffer, TomlStep};
use crate::strides::Layout;
use crate::work::{What, Work};
use toml::Spanned;

/// A suite that is written in TOML.
///
/// ```
/// use graphproof_report::suite::Suite as _;
///
/// let text = r#"
/// [parameters]
/// n = 256
///
/// [[step]]
/// name = "clear"
/// buffers.y = { role = "output", type = "f32", shape = ["n"] }
///
/// [[step.work]]
/// memset = "y"
/// value = 0
/// "#;
/// let suite = graphproof_stepfile::StepFile::parse("clear.toml".as_ref(), text).unwrap();
/// let step = suite.step("clear", &suite.shape("n=1000").unwrap()).unwrap();
/// assert_eq!(step.buffers()[0].bytes(), Some(4000));
///
/// let wrong = text.replace("memset", "memmset");
/// let error = graphproof_stepfile::StepFile::parse("clear.toml".as_ref(), &wrong).unwrap_err();
/// assert!(error.to_string().starts_with("clear.toml:10:1: unknown key 'memmset'; did you mean 'memset'?"));
/// ```
#[derive(Debug)]
pub struct StepFile {
    file: PathBuf,
    name: String,
    files: Files,
    parameters: Vec<Parameter>,
    /// Derived numbers, each behind those that it needs.
    lets: Vec<(String, Expr)>,
    modules: Vec<Declared>,
    steps: Vec<Declaration>,
    /// The modules, once they were wanted.
    loaded: Mutex<Option<Vec<Module>>>,
}

/// A step as it is declared.
#[derive(Debug)]
struct Declaration {
    listed: Listed,
    memory: Option<Expr>,
    buffers: Vec<(String, BufferDeclaration)>,
    work: Vec<Work>,
    before: Vec<(Work, String)>,
    place: String,
}

#[derive(Debug)]
struct BufferDeclaration {
    role: Role,
    dtype: DType,
    shape: Vec<Expr>,
    /// With the place.
    strides: Option<(Vec<Expr>, String)>,
    align: Option<(Expr, String)>,
    fill: Option<FillSpec>,
    dummy: Option<FillSpec>,
    contract: Contract,
    place: String,
}

impl BufferDeclaration {
    /// The buffer as it lies in memory, with its strides and its alignment.
    fn laid_out(&self, mut spec: BufferSpec, names: &Names) -> Result<(BufferSpec, Option<Layout>), String> {
        if let Some((align, place)) = &self.align {
            let (bytes, least) = (align.whole(names, 1, 2 << 20)? as usize, self.dtype.size());
            if !bytes.is_power_of_two() || bytes < least {
                return Err(format!("{place}: 'align' is {bytes}, and must be a power of two, {least} at least"));
            }
            spec.align = Some(bytes);
        }
        let Some((strides, place)) = &self.strides else { return Ok((spec, None)) };
        let strides = strides.iter().map(|stride| stride.whole(names, 1, u64::MAX >> 1).map(|stride| stride as usize));
        let strides = strides.collect::<Result<Vec<_>, _>>()?;
        let layout = Layout::new(&spec.shape, &strides).map_err(|why| format!("{place}: 'strides': {why}"))?;
        match &spec.contract.valid {
            Valid::RowPrefix { .. } if !layout.has_its_rows() => {
                return Err(format!("{place}: 'valid' counts rows, and these strides leave room between other parts"));
            }
            Valid::RowPrefix { .. } => {}
            _ => spec.contract.valid = Valid::Within { extents: layout.extents.clone() },
        }
        spec.shape.clone_from(&layout.memory);
        if spec.bytes().is_none_or(|bytes| i64::try_from(bytes).is_err()) {
            return Err(format!("{place}: '{}' has more bytes than a 64-bit address space", spec.name));
        }
        Ok((spec, Some(layout)))
    }
}

const ROLES: [(&str, Role); 4] =
    [("input", Role::Input), ("state", Role::State), ("output", Role::Output), ("scratch", Role::Scratch)];
const AGREEMENTS: [(&str, Agreement); 3] =
    [("bits", Agreement::Bits), ("index-set", Agreement::IndexSet), ("sorted-values", Agreement::SortedValues)];

impl StepFile {
    /// Reads a file; nothing that it names is read or compiled yet, but what Triton said about kernels.
    ///
    /// # Errors
    /// It cannot be read, is not TOML, or says something that cannot be, with file, line and key.
    pub fn read(file: &Path) -> Result<Self, SuiteError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| SuiteError::io(format!("the suite {} cannot be read: {error}", file.display())))?;
        Self::parse(file, &text)
    }

    /// Reads `text`, which stands in `file`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(file: &Path, text: &str) -> Result<Self, SuiteError> {
        Self::of(file, text, Files::beside(file))
    }

    fn of(file: &Path, text: &str, files: Files) -> Result<Self, SuiteError> {
        let checker = Checker::new(file, text);
        let raw: Raw = toml::from_str(text).map_err(|error| checker.source.parser(&error)).map_err(config)?;
        let name = raw.name.clone().unwrap_or_else(|| {
            file.file_stem().map_or_else(|| "steps".to_owned(), |stem| stem.to_string_lossy().into_owned())
        });
        let empty = StepFile {
            file: file.to_owned(),
            name,
            files,
            parameters: Vec::new(),
            lets: Vec::new(),
            modules: Vec::new(),
            steps: Vec::new(),
            loaded: Mutex::new(None),
        };
        empty.filled(&checker, raw)
    }

    fn filled(mut self, checker: &Checker<'_>, raw: Raw) -> Result<Self, SuiteError> {
        let mut parameters: Vec<_> = raw.parameters.into_iter().collect();
        parameters.sort_by_key(|(name, _)| name.span().start);
        let mut numbers = BTreeSet::new();
        for (name, value) in parameters {
            if !is_name(name.get_ref()) || name.get_ref() == "step" {
                let why = format!("'{}' is no name for a number: letters, digits and _, and not step", name.get_ref());
                return Err(config(checker.wrong(name.span(), why)));
            }
            numbers.insert(name.get_ref().clone());
            self.parameters.push(Parameter::new(name.into_inner(), value.into_inner()));
        }
        self.lets = lets(checker, raw.lets, &mut numbers).map_err(config)?;
        let mut triton = BTreeMap::new();
        for module in raw.module {
            let declared = module_of(checker, module, &self.files, &mut triton)?;
            self.modules.push(declared);
        }
        if raw.step.is_empty() {
            return Err(config(checker.wrong(0..0, "the file has no [[step]]: nothing would be judged")));
        }
        for step in raw.step {
            let declared = step_of(checker, step, &numbers, &triton).map_err(config)?;
            if self.steps.iter().any(|other| other.listed.name == declared.listed.name) {
                let message = format!("{}: two steps are called '{}'", declared.place, declared.listed.name);
                return Err(SuiteError::usage(message));
            }
            self.steps.push(declared);
        }
        Ok(self)
    }

    /// All numbers at a shape.
    fn numbers(&self, shape: &Parameters) -> Result<Names, SuiteError> {
        let mut names: Names = shape.iter().map(|(name, value)| (name.to_owned(), Value::Int(value.into()))).collect();
        for (name, expression) in &self.lets {
            let value = expression.value(&names).map_err(SuiteError::usage)?;
            names.insert(name.clone(), value);
        }
        Ok(names)
    }

    fn modules(&self) -> Result<Vec<Module>, SuiteError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(modules) = &*loaded {
            return Ok(modules.clone());
        }
        let modules = self.modules.iter().map(|module| module.load(&self.files)).collect::<Result<Vec<_>, _>>()?;
        *loaded = Some(modules.clone());
        Ok(modules)
    }

    /// The images of a buffer in files: one a file, or several behind each other in one.
    fn images(&self, spec: &BufferSpec, files: &[String], tensor: Option<&str>) -> Result<Vec<Vec<u8>>, String> {
        let mut images = Vec::new();
        for file in files {
            let array = arrays::read(file, &self.files.read(file)?, tensor, spec.dtype)?;
            let bytes = spec.bytes().unwrap_or(0).max(1);
            match array.shape.strip_suffix(spec.shape.as_slice()) {
                Some([] | [_]) if !array.bytes.is_empty() => {
                    images.extend(array.bytes.chunks_exact(bytes).map(<[u8]>::to_vec))
                }
                _ => {
                    let (name, shape) = (&spec.name, &spec.shape);
                    let found = array.shape;
                    return Err(format!(
                        "{file} has the shape {found:?}, and '{name}' {shape:?}; a leading extent would count steps"
                    ));
                }
            }
        }
        Ok(images)
    }

    fn made(&self, step: &Declaration, shape: &Parameters) -> Result<TomlStep, SuiteError> {
        let names = self.numbers(shape)?;
        let usage = |why: String| SuiteError::usage(why);
        let mut buffers = Vec::new();
        for (name, declared) in &step.buffers {
            let extents = declared
                .shape
                .iter()
                .map(|extent| extent.whole(&names, 1, u64::MAX >> 1).map(|extent| extent as usize));
            let extents = extents.collect::<Result<Vec<_>, _>>().map_err(usage)?;
            let mut spec = BufferSpec::new(name.clone(), declared.role, declared.dtype, extents);
            spec.contract = declared.contract.clone();
            if spec.bytes().is_none_or(|bytes| i64::try_from(bytes).is_err()) {
                return Err(usage(format!("{}: '{name}' has more bytes than a 64-bit address space", declared.place)));
            }
            let fill = |fill: &FillSpec| {
                fill.fill(declared.dtype, &names, |files, tensor| self.images(&spec, files, tensor)).map_err(usage)
            };
            let dummy = declared.dummy.as_ref().map(fill).transpose()?;
            let fill = declared.fill.as_ref().map(fill).transpose()?;
            let (spec, layout) = declared.laid_out(spec, &names).map_err(usage)?;
            buffers.push(Buffer { spec, layout, fill, dummy });
        }
        let memory = step.memory.as_ref().map(|memory| {
            let bytes = memory.whole(&names, 0, u64::MAX >> 1)?;
            Ok(ClosedForm { formula: memory.text().to_owned(), bytes })
        });
        let memory = memory.transpose().map_err(usage)?;
        let mut modules = self.modules()?;
        if step.work.iter().any(|work| matches!(work.what, What::Conditional { .. })) {
            modules.push(context::conditional_module());
        }
        let summary = format!("{} ({shape})", step.listed.summary);
        TomlStep::new(step.listed.name.clone(), summary, modules, buffers, names, memory)
            .with_work(step.work.clone(), step.before.clone())
            .map_err(usage)
    }
}

impl Suite for StepFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn steps(&self) -> Vec<Listed> {
        self.steps.iter().map(|step| step.listed.clone()).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.parameters.clone()
    }

    fn step(&self, name: &str, shape: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
        let step = self.steps.iter().find(|step| step.listed.name == name);
        let step = step.ok_or_else(|| SuiteError::unknown_step(name, self))?;
        Ok(Arc::new(self.made(step, shape)?))
    }

    fn kernels(&self, _: &[&dyn Step]) -> Result<String, SuiteError> {
        let names: Vec<&str> = self.modules.iter().map(|module| module.name.as_str()).collect();
        let names = if names.is_empty() { "no kernels".to_owned() } else { names.join(", ") };
        Ok(format!("{names} of {}", self.file.display()))
    }

    fn at_revision(&self, revision: &str) -> Result<AtRevision, SuiteError> {
        let (files, name) = self.files.at(revision)?;
        let own = self.file.file_name().unwrap_or_default().to_string_lossy();
        let text = files.read(&own).map_err(|why| SuiteError::usage(format!("--against {revision}: {why}")))?;
        let text = String::from_utf8(text)
            .map_err(|_| SuiteError::usage(format!("--against {revision}: {own} was no text there")))?;
        Ok(AtRevision { name, suite: Arc::new(Self::of(&self.file, &text, files)?) })
    }
}

fn config(error: ConfigError) -> SuiteError {
    SuiteError::new(error.exit_code(), error.into())
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The derived numbers in an order in which each can be computed.
fn lets(
    checker: &Checker<'_>,
    raw: BTreeMap<Spanned<String>, Spanned<crate::raw::Number>>,
    numbers: &mut BTreeSet<String>,
) -> Result<Vec<(String, Expr)>, ConfigError> {
    let mut open = Vec::new();
    let mut known = numbers.clone();
    for name in raw.keys() {
        if !is_name(name.get_ref()) || name.get_ref() == "step" || !known.insert(name.get_ref().clone()) {
            let why = format!("'{}' is no name for another number, or there is one of this name", name.get_ref());
            return Err(checker.wrong(name.span(), why));
        }
    }
    let known = Known { numbers: known, buffers: Vec::new() };
    for (name, number) in raw {
        let span = number.span();
        open.push((name.into_inner(), span, checker.expression(number, &known, false)?));
    }
    let mut ordered = Vec::new();
    while !open.is_empty() {
        let ready =
            open.iter().position(|(_, _, expression)| expression.names().iter().all(|name| numbers.contains(*name)));
        let Some(ready) = ready else {
            let (first, span, _) = &open[0];
            return Err(checker.wrong(span.clone(), format!("'{first}' needs itself: {}", cycle(&open, numbers))));
        };
        let (name, _, expression) = open.remove(ready);
        numbers.insert(name.clone());
        ordered.push((name, expression));
    }
    Ok(ordered)
}

/// A way through names that need each other: `a → b → a`.
fn cycle(open: &[(String, std::ops::Range<usize>, Expr)], numbers: &BTreeSet<String>) -> String {
    let mut way = vec![open[0].0.as_str()];
    // Every open number needs another open one, so that the walk comes back within as many steps.
    while let Some((_, _, expression)) = open.iter().find(|(name, ..)| Some(&name.as_str()) == way.last()) {
        let Some(next) = expression.names().into_iter().find(|name| !numbers.contains(*name)) else { break };
        let seen = way.contains(&next);
        way.push(next);
        if seen {
            break;
        }
    }
    way.join(" → ")
}

fn module_of(
    checker: &Checker<'_>,
    module: Spanned<RawModule>,
    files: &Files,
    triton: &mut BTreeMap<String, Triton>,
) -> Result<Declared, SuiteError> {
    let span = module.span();
    let raw = module.into_inner();
    let line = checker.source.place(span.start).0;
    let (origin, name, at) = match (raw.file, raw.ptx, raw.cuda) {
        (Some(file), None, None) => {
            let span = file.span();
            (Origin::File(file.get_ref().clone()), file.into_inner(), span)
        }
        (None, Some(ptx), None) => {
            let span = ptx.span();
            (Origin::Ptx(ptx.into_inner()), format!("line-{line}.ptx"), span)
        }
        (None, None, Some(cuda)) => {
            let span = cuda.span();
            (Origin::Cuda(cuda.into_inner()), format!("line-{line}.cu"), span)
        }
        _ => return Err(config(checker.wrong(span, "a module has one of 'file', 'ptx' and 'cuda'"))),
    };
    if let Some(json) = raw.triton {
        let place = checker.line(json.span().start);
        let content = files.read(json.get_ref()).map_err(|why| SuiteError::io(format!("{place}: {why}")))?;
        let said: Triton = serde_json::from_slice(&content)
            .map_err(|error| SuiteError::usage(format!("{place}: {} is not Triton's JSON: {error}", json.get_ref())))?;
        if said.num_ctas > 1 || said.profile_scratch_size > 0 {
            let what = if said.num_ctas > 1 { "clusters of blocks" } else { "a profiler's scratch" };
            return Err(SuiteError::usage(format!("{place}: {} asks for {what}, which has no model here", said.name)));
        }
        triton.insert(said.name.clone(), said);
    }
    let options = raw.options.unwrap_or_default();
    Ok(Declared { origin, options, include: raw.include.unwrap_or_default(), name, place: checker.line(at.start) })
}

fn step_of(
    checker: &Checker<'_>,
    step: Spanned<RawStep>,
    numbers: &BTreeSet<String>,
    triton: &BTreeMap<String, Triton>,
) -> Result<Declaration, ConfigError> {
    let raw = step.into_inner();
    let place = checker.line(raw.name.span().start);
    let mut names: Vec<_> = raw.buffers.keys().collect();
    names.sort_by_key(|name| name.span().start);
    let buffers: Vec<String> = names.into_iter().map(|name| name.get_ref().clone()).collect();
    if buffers.is_empty() {
        return Err(checker.wrong(raw.name.span(), format!("the step '{}' has no buffers", raw.name.get_ref())));
    }
    let known = Known { numbers: numbers.clone(), buffers };
    let memory = raw.memory.map(|memory| checker.expression(memory, &known, false)).transpose()?;
    let mut buffers = Vec::new();
    for (name, buffer) in raw.buffers {
        let at = name.span().start;
        buffers.push((at, name.get_ref().clone(), buffer_of(checker, &name, buffer, &known)?));
    }
    buffers.sort_by_key(|(at, ..)| *at);
    let work = checker.work(raw.work, &known, triton)?;
    if work.is_empty() {
        return Err(checker.wrong(raw.name.span(), format!("the step '{}' has no work", raw.name.get_ref())));
    }
    let mut before = Vec::new();
    for entry in raw.before {
        let entry = entry.into_inner();
        let at = checker.place_of(entry.reallocate.span().start);
        let buffer = checker.buffer(Some(entry.reallocate), &known)?;
        let when = entry.when.map(|when| checker.expression(when, &known, true)).transpose()?;
        let what = What::Wait(String::new());
        before.push((Work { place: at, when, stream: None, what }, buffer));
    }
    let summary = raw.summary.unwrap_or_else(|| format!("{} pieces of work", work.len()));
    let listed = Listed { by_default: raw.default.unwrap_or(true), ..Listed::new(raw.name.into_inner(), summary) };
    let buffers = buffers.into_iter().map(|(_, name, buffer)| (name, buffer)).collect();
    Ok(Declaration { listed, memory, buffers, work, before, place })
}

fn buffer_of(
    checker: &Checker<'_>,
    name: &Spanned<String>,
    raw: RawBuffer,
    known: &Known,
) -> Result<BufferDeclaration, ConfigError> {
    let role = ROLES.into_iter().find(|(word, _)| word == raw.role.get_ref());
    let unknown = |what: &str, word: &Spanned<String>, known: Vec<&str>| {
        checker.unknown(word.span(), what, word.get_ref(), known)
    };
    let (_, role) = role.ok_or_else(|| unknown("role", &raw.role, ROLES.map(|(word, _)| word).into()))?;
    let dtype = checker.dtype(&raw.dtype)?;
    let shape = checker.list(raw.shape, known, false)?;
    let placed = |span: std::ops::Range<usize>| checker.line(span.start);
    let strides = raw.strides.map(|list| Ok((placed(list.span()), checker.list(list, known, false)?))).transpose()?;
    let strides = strides.map(|(place, strides)| (strides, place));
    let align =
        raw.align.map(|align| Ok((placed(align.span()), checker.expression(align, known, false)?))).transpose()?;
    let align = align.map(|(place, align)| (align, place));
    let agreement = match &raw.agree {
        None => Agreement::Bits,
        Some(word) => {
            let found = AGREEMENTS.into_iter().find(|(name, _)| name == word.get_ref());
            found.ok_or_else(|| unknown("agreement", word, AGREEMENTS.map(|(word, _)| word).into()))?.1
        }
    };
    let valid = match raw.valid {
        None => Valid::All,
        Some(lengths) => Valid::RowPrefix { lengths: checker.buffer(Some(lengths), known)? },
    };
    let filled = matches!(role, Role::Input | Role::State);
    if let Some(fill) = raw.fill.as_ref().or(raw.dummy.as_ref()).filter(|_| !filled) {
        return Err(checker.wrong(fill.span(), format!("'{}' is {role}: it is poisoned, not filled", name.get_ref())));
    }
    if role == Role::Input && raw.fill.is_none() {
        let kinds = crate::fill::KINDS.map(|(kind, _)| kind).join(", ");
        let message = format!("the input '{}' has no 'fill': a generator ({kinds}) or {{ file = … }}", name.get_ref());
        return Err(checker.wrong(name.span(), message));
    }
    if let Some(dummy) = raw.dummy.as_ref().filter(|_| role != Role::Input) {
        return Err(
            checker.wrong(dummy.span(), format!("'{}' is no input: dummies stand in for inputs", name.get_ref()))
        );
    }
    let fill = raw.fill.map(|fill| checker.fill(fill, known)).transpose()?;
    let dummy = raw.dummy.map(|fill| checker.fill(fill, known)).transpose()?;
    let contract = Contract { agreement, valid };
    let place = checker.line(name.span().start);
    Ok(BufferDeclaration { role, dtype, shape, strides, align, fill, dummy, contract, place })
}
