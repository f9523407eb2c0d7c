//! How a run looks where it is printed: how wide, and whether in colour.

use std::ffi::OsString;

use console::{Style, Term};
use graphproof_harness::finding::{Finding, Severity};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns there are; none in a pipe or a file, where lines may have any length.
    pub width: Option<usize>,
    /// Whether to use ANSI's colours.
    pub colour: bool,
}

impl Look {
    /// For a pipe or a file.
    pub const PLAIN: Look = Look { width: None, colour: false };

    /// For standard output.
    pub fn of_stdout() -> Self {
        Self::of(&Term::stdout())
    }

    /// For standard error.
    pub fn of_stderr() -> Self {
        Self::of(&Term::stderr())
    }

    fn of(terminal: &Term) -> Self {
        match terminal.size_checked() {
            Some((_, columns)) => Look { width: Some(columns.into()), colour: colours(|name| std::env::var_os(name)) },
            None => Look::PLAIN,
        }
    }

    /// A verdict as the table writes it.
    pub fn verdict(self, cell: &str) -> String {
        let style = match cell.trim_end() {
            "pass" => Style::new().green(),
            "FAIL" => Style::new().red().bold(),
            _ => Style::new().yellow(),
        };
        self.paint(style, cell)
    }

    /// The last word.
    pub fn word(self, word: &str) -> String {
        let style = if word == "PASS" { Style::new().green() } else { Style::new().red() };
        self.paint(style.bold(), word)
    }

    /// A rendered finding: its first line stands out.
    pub fn finding(self, finding: &Finding, text: &str) -> String {
        let style = match finding.severity {
            Severity::Error => Style::new().red(),
            Severity::Warning => Style::new().yellow(),
        };
        match text.split_once(": ") {
            Some((head, rest)) => format!("{}: {rest}", self.paint(style.bold(), head)),
            None => text.to_owned(),
        }
    }

    fn paint(self, style: Style, text: &str) -> String {
        style.force_styling(self.colour).apply_to(text).to_string()
    }
}

/// Whether a terminal with this environment gets colours: <https://no-color.org>, and CLICOLOR as
/// <https://bixense.com/clicolors> describes it.
fn colours(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused
        && variable("CLICOLOR").is_none_or(|value| value != "0")
        && variable("TERM").is_some_and(|name| name != "dumb")
}

#[cfg(test)]
mod tests {
    use super::colours;

    #[test]
    fn colours_can_be_refused() {
        let with = |set: &[(&str, &str)]| {
            colours(|name| set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).into()))
        };
        assert!(with(&[("TERM", "xterm")]));
        assert!(with(&[("TERM", "xterm"), ("NO_COLOR", ""), ("CLICOLOR", "1")]));
        assert!(!with(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!with(&[("TERM", "xterm"), ("CLICOLOR", "0")]));
        assert!(!with(&[("TERM", "dumb")]));
        assert!(!with(&[]));
    }
}
