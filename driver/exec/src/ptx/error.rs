//! Errors of the parser and the decoder.

use std::fmt;

use super::ast::Span;

/// What kind of problem a [`PtxError`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PtxErrorKind {
    /// The text is not PTX.
    Syntax,
    /// The text is PTX, but names or types do not fit together.
    Semantic,
    /// Valid PTX that this implementation does not execute.
    Unsupported,
}

/// Why PTX text was rejected, with the place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtxError {
    /// Kind of problem.
    pub kind: PtxErrorKind,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The source line that holds the place.
    pub statement: String,
    /// What is wrong.
    pub message: String,
    /// What would have been accepted, when that can be said briefly.
    pub expected: Option<String>,
}

impl PtxError {
    /// An error at `span` of `source`.
    pub(crate) fn new(kind: PtxErrorKind, source: &str, span: Span, message: impl Into<String>) -> Self {
        let start = (span.start as usize).min(source.len());
        let begin = source[..start].rfind('\n').map_or(0, |i| i + 1);
        let end = source[start..].find('\n').map_or(source.len(), |i| start + i);
        Self {
            kind,
            line: source[..start].bytes().filter(|&b| b == b'\n').count() as u32 + 1,
            column: source[begin..start].chars().count() as u32 + 1,
            statement: source[begin..end].trim_end().to_owned(),
            message: message.into(),
            expected: None,
        }
    }

    /// Adds what would have been accepted.
    pub(crate) fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }
}

impl PtxError {
    /// As its text, on one line and without the picture of the place.
    pub fn brief(&self) -> String {
        let statement = self.statement.split_whitespace().collect::<Vec<_>>().join(" ");
        let (kind, line) = (self.kind.name(), self.line);
        format!("{kind} at line {line}: {} (`{}`)", self.message, shortened(&statement))
    }
}

/// The first hundred characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

impl PtxErrorKind {
    fn name(self) -> &'static str {
        match self {
            PtxErrorKind::Syntax => "syntax error",
            PtxErrorKind::Semantic => "invalid PTX",
            PtxErrorKind::Unsupported => "unsupported PTX",
        }
    }
}

impl fmt::Display for PtxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        writeln!(f, "{kind} at line {}, column {}: {}", self.line, self.column, self.message)?;
        // A tab stays a tab under itself, so that the caret stands below its character.
        let shown: String = self.statement.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
        writeln!(f, "  | {shown}")?;
        write!(f, "  | {}^", " ".repeat(self.column as usize - 1))?;
        if let Some(expected) = &self.expected {
            write!(f, " expected {expected}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PtxError {}
