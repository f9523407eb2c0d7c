//! What can be wrong with `graphproof.toml`.

use std::ops::Range;
use std::path::Path;

use graphproof_harness::exit_code::ExitCode;

/// A configuration, or another file of this kind, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file} cannot be read: {error}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{file}:{line}:{column}: {message}")]
    Wrong {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// Characters from 1.
        column: usize,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl ConfigError {
    /// The exit code that it becomes.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            ConfigError::Io { .. } => ExitCode::Io,
            ConfigError::Wrong { .. } => ExitCode::Usage,
        }
    }
}

/// The text of a file, to say where in it something is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name.
    pub file: &'a Path,
    /// All of it.
    pub text: &'a str,
}

impl Source<'_> {
    /// `message` about the bytes `span` of the text.
    pub fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        let (line, column) = self.place(span.start);
        ConfigError::Wrong { file: self.file.display().to_string(), line, column, message: message.into() }
    }

    /// Line and column, from 1, of a byte of the text.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// What the TOML parser or serde found wrong, in words for whoever wrote the file.
    pub fn parser(&self, error: &toml::de::Error) -> ConfigError {
        // An error without a place is about the whole file.
        self.wrong(error.span().unwrap_or(0..0), plain(error.message()))
    }
}

/// serde's message, with the near name where a key is unknown.
fn plain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message.trim_end().to_owned();
    };
    let Some((key, rest)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    format!("unknown key '{key}'; {}the keys here are {}", did_you_mean(key, &known), known.join(", "))
}

/// `did you mean 'steps'? `, or nothing where no name is near.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    near(word, known.iter().copied()).map_or_else(String::new, |name| format!("did you mean '{name}'? "))
}

/// The one of `known` that is nearest to `word`, if any is near.
///
/// ```
/// assert_eq!(graphproof_report::config::near("softmx", ["exp", "softmax"]), Some("softmax"));
/// assert_eq!(graphproof_report::config::near("q", ["exp", "softmax"]), None);
/// ```
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = known.into_iter().map(|name| (strsim::normalized_damerau_levenshtein(word, name), name));
    let (likeness, name) = likeness.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= 0.5).then_some(name)
}
