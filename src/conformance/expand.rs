//! From a case file to its cells, and from a cell to the steps that a child runs.

use super::call;
use super::expect::Expect;
use super::format::{CaseFile, Evidence, FormatError};

/// One point of a case's matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The chosen value of each axis, in the order of the file.
    pub values: Vec<(String, String)>,
}

impl Cell {
    /// The cell's name: its values, joined by commas; empty for a case without a matrix.
    pub fn name(&self) -> String {
        self.values.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",")
    }

    /// True where every tag is one of the cell's values (`value`, `axis=value`, or `!` before either).
    fn matches<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> bool {
        tags.into_iter().all(|tag| {
            let (wanted, tag) = tag.strip_prefix('!').map_or((true, tag), |tag| (false, tag));
            let has = self.values.iter().any(|(axis, value)| match tag.split_once('=') {
                Some((name, wanted)) => name == axis && wanted == value,
                None => tag == value,
            });
            has == wanted
        })
    }
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A variable, a number, a constant, or `variable+offset`.
    Word(String),
    /// A quoted string.
    Text(String),
    /// A bracketed list of words.
    List(Vec<String>),
}

/// One call of a cell, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line in the case file.
    pub line: usize,
    /// The call without its expectation, as reports and golden files show it.
    pub text: String,
    /// The thread that makes the call.
    pub thread: String,
    /// The variable that takes the created handle or value.
    pub assign: Option<String>,
    /// The function, or the probe.
    pub call: String,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// The gate that is opened once the call has not returned for a while.
    pub until: Option<String>,
    /// What must come back.
    pub expect: Expect,
}

/// A cell with everything substituted.
#[derive(Clone, Debug)]
pub struct Script {
    /// `case@cell`, or `case` where there is no matrix.
    pub id: String,
    /// The case's name.
    pub case: String,
    /// The cell's name.
    pub cell: String,
    /// The evidence tag of this cell.
    pub evidence: Evidence,
    /// The lowest driver version.
    pub driver_at_least: Option<i32>,
    /// How many devices it needs.
    pub devices: i32,
    /// The calls, in order.
    pub steps: Vec<Step>,
}

/// The thread that runs the lines without `thread NAME:`.
pub const MAIN_THREAD: &str = "main";

/// The cells of a case: the product of its axes without the excluded ones.
///
/// # Errors
/// A value that two axes share is ambiguous in a guard that names no axis.
pub fn cells(case: &CaseFile) -> Vec<Cell> {
    let mut cells = vec![Cell { values: Vec::new() }];
    for axis in &case.axes {
        cells = cells
            .iter()
            .flat_map(|cell| {
                axis.values.iter().map(|value| {
                    let mut values = cell.values.clone();
                    values.push((axis.name.clone(), value.clone()));
                    Cell { values }
                })
            })
            .collect();
    }
    cells.retain(|cell| !case.excluded.iter().any(|tags| cell.matches(tags.iter().map(String::as_str))));
    cells
}

/// Every script of a case.
///
/// # Errors
/// The first line that does not parse in one of the cells.
pub fn scripts(case: &CaseFile) -> Result<Vec<Script>, FormatError> {
    cells(case).iter().map(|cell| script(case, cell)).collect()
}

/// The script of one cell.
///
/// # Errors
/// The first line that does not parse, with its number.
pub fn script(case: &CaseFile, cell: &Cell) -> Result<Script, FormatError> {
    let error = |line: usize, what: String| FormatError { file: case.name.clone(), line, what };
    check_guards(case).map_err(|(line, what)| error(line, what))?;
    let evidence = choose(&case.evidence, cell).map_err(|what| error(0, format!("evidence: {what}")))?;
    let evidence = Evidence::parse(evidence).ok_or_else(|| {
        error(0, format!("`{evidence}` is no evidence tag: write documented, measured, inferred or calibrate"))
    })?;
    let name = cell.name();
    let mut steps = Vec::new();
    for line in &case.body {
        if let Some(step) = step(line.number, &line.text, cell).map_err(|what| error(line.number, what))? {
            steps.push(step);
        }
    }
    let id = if name.is_empty() { case.name.clone() } else { format!("{}@{name}", case.name) };
    Ok(Script {
        id,
        case: case.name.clone(),
        cell: name,
        evidence,
        driver_at_least: case.driver_at_least,
        devices: case.devices,
        steps,
    })
}

/// A guard must mean something: each of its tags names a value, and only one axis has it.
fn check_guards(case: &CaseFile) -> Result<(), (usize, String)> {
    let known = |tag: &str| {
        let tag = tag.strip_prefix('!').unwrap_or(tag);
        let count = case
            .axes
            .iter()
            .filter(|axis| match tag.split_once('=') {
                Some((name, value)) => axis.name == name && axis.values.iter().any(|have| have == value),
                None => axis.values.iter().any(|have| have == tag),
            })
            .count();
        match count {
            0 => Err(format!("the guard [{tag}] names no value of the matrix")),
            1 => Ok(()),
            _ => Err(format!("[{tag}] is a value of two axes: write [axis={tag}]")),
        }
    };
    let guards = |text: &str| -> Result<(), String> {
        let (call, expect) = text.split_once("->").unwrap_or((text, ""));
        let head = guard(call).map_or(Ok(()), |(tags, _)| tags.split_whitespace().try_for_each(known));
        head?;
        expect
            .split(';')
            .filter_map(|part| guard(part.trim()))
            .try_for_each(|(tags, _)| tags.split_whitespace().try_for_each(known))
    };
    for line in &case.body {
        guards(&line.text).map_err(|what| (line.number, what))?;
    }
    for tags in &case.excluded {
        tags.iter().try_for_each(|tag| known(tag)).map_err(|what| (0, what))?;
    }
    guards(&format!("-> {}", case.evidence)).map_err(|what| (0, what))
}

/// Splits `[tags] rest`.
fn guard(text: &str) -> Option<(&str, &str)> {
    let (tags, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((tags, rest.trim_start()))
}

/// Of `[tags] a; [tags] b; c`, the first whose guard holds in the cell.
fn choose<'a>(text: &'a str, cell: &Cell) -> Result<&'a str, String> {
    for part in text.split(';').map(str::trim) {
        match guard(part) {
            Some((tags, rest)) if cell.matches(tags.split_whitespace()) => return Ok(rest),
            Some(_) => {}
            None => return Ok(part),
        }
    }
    Err(format!("no alternative of `{text}` applies to the cell {}", cell.name()))
}

fn substitute(text: &str, cell: &Cell) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name: String = rest[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let value = cell.values.iter().find(|(axis, _)| *axis == name).map(|(_, value)| value);
        out.push_str(value.ok_or_else(|| format!("${name} names no axis of the matrix"))?);
        rest = &rest[at + 1 + name.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

fn step(line: usize, raw: &str, cell: &Cell) -> Result<Option<Step>, String> {
    let raw = match guard(raw) {
        Some((tags, _)) if !cell.matches(tags.split_whitespace()) => return Ok(None),
        Some((_, rest)) => rest,
        None => raw,
    };
    let raw = substitute(raw, cell)?;
    let (call, expected) = match raw.split_once("->") {
        Some((call, expected)) => (call.trim(), choose(expected.trim(), cell)?),
        None => (raw.trim(), "SUCCESS"),
    };
    let text = call.split_whitespace().collect::<Vec<_>>().join(" ");
    let (thread, rest) = match call.strip_prefix("thread ").map(str::trim_start) {
        Some(rest) => {
            let (name, rest) = rest.split_once(':').ok_or("a thread's line is `thread NAME: call`")?;
            (name.trim().to_owned(), rest.trim())
        }
        None => (MAIN_THREAD.to_owned(), call),
    };
    let (assign, rest) = match rest.split_once(" = ") {
        Some((name, rest)) if is_name(name.trim()) => (Some(name.trim().to_owned()), rest.trim()),
        _ => (None, rest),
    };
    let mut args = tokens(rest)?;
    if args.is_empty() {
        return Err("a line without a call".into());
    }
    let Arg::Word(call) = args.remove(0) else { return Err("a line starts with a call's name".into()) };
    let until = match args.iter().position(|arg| *arg == Arg::Word("until".into())) {
        Some(at) if at + 2 == args.len() => match args.split_off(at).pop() {
            Some(Arg::Word(name)) => Some(name),
            _ => return Err("`until` is followed by a gate's name".into()),
        },
        Some(_) => return Err("`until GATE` stands at the end of a call".into()),
        None => None,
    };
    let expect = Expect::parse(expected)?;
    call::check(&call, args.len(), assign.is_some())?;
    Ok(Some(Step { line, text, thread, assign, call, args, until, expect }))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn tokens(text: &str) -> Result<Vec<Arg>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (arg, after) = match first {
            '"' => {
                let (inner, after) = rest[1..].split_once('"').ok_or("a string without its closing quote")?;
                (Arg::Text(inner.to_owned()), after)
            }
            '[' => {
                let (inner, after) = rest[1..].split_once(']').ok_or("a list without its `]`")?;
                (Arg::List(inner.split_whitespace().map(str::to_owned).collect()), after)
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (Arg::Word(rest[..end].to_owned()), &rest[end..])
            }
        };
        out.push(arg);
        rest = after.trim_start();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Vec<Script>, FormatError> {
        let head = "title: t\nsource: s\nevidence: [RELAXED] calibrate; measured\nmatrix: mode = GLOBAL, RELAXED\n";
        scripts(&CaseFile::parse("c", &format!("{head}---\n{body}\n")).unwrap())
    }

    #[test]
    fn a_matrix_makes_cells_with_their_own_expectation() {
        let got =
            parse("stream S blocking\nthread T1: D = cuMemAlloc 64 -> [RELAXED] SUCCESS; UNKNOWN|NOT_READY").unwrap();
        assert_eq!(got.iter().map(|script| script.id.as_str()).collect::<Vec<_>>(), ["c@GLOBAL", "c@RELAXED"]);
        assert_eq!(got[0].evidence, Evidence::Measured);
        assert_eq!(got[1].evidence, Evidence::Calibrate);
        assert_eq!(got[0].steps[1].expect.text(), "UNKNOWN|NOT_READY");
        assert_eq!(got[1].steps[1].expect.text(), "SUCCESS");
        assert_eq!(got[1].steps[1].thread, "T1");
        assert_eq!(got[1].steps[1].assign.as_deref(), Some("D"));
    }

    #[test]
    fn a_guarded_line_belongs_to_its_cell_only() {
        let got = parse("stream S blocking\n[!RELAXED] cuStreamBeginCapture S $mode").unwrap();
        assert_eq!(got[0].steps.len(), 2);
        assert_eq!(got[0].steps[1].text, "cuStreamBeginCapture S GLOBAL");
        assert_eq!(got[1].steps.len(), 1);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (body, what) in [
            ("stream S blocking\ncuStreamFrobnicate S", "cuStreamFrobnicate"),
            ("stream S blocking\ncuStreamQuery S -> NOT_REDDY", "NOT_REDDY"),
            ("stream S blocking\ncuStreamQuery $kind", "$kind"),
            ("stream S blocking\n[GLOBALL] cuStreamQuery S", "GLOBALL"),
            ("stream S blocking\ncuStreamQuery", "1 argument"),
        ] {
            let error = parse(body).unwrap_err();
            assert_eq!(error.line, 6 + 1 - usize::from(body.is_empty()), "{error}");
            assert!(error.what.contains(what), "{error}");
        }
    }
}
