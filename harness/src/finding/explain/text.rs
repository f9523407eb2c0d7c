//! The strict form of a text, and its parser.
//!
//! ```text
//! # S01: title
//!
//! - Help: one line, as a finding prints it
//! - Found by: names of checks, or `none`
//! - Reported as: ids, or `none`
//!
//! ## What it is
//! ...the other headings of `Section`, each once, in order
//! ```

use crate::finding::Id;
use crate::finding::catalogue::Entry;

/// A heading of a text, in the order in which they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The fault, in the words of a person who has it.
    What,
    /// The rule of CUDA behind it, with the error's names.
    Why,
    /// The fewest driver calls that show it.
    Reproduction,
    /// Which checks find it, and from what.
    Detection,
    /// What the checks cannot see.
    Misses,
    /// What to change.
    Fix,
    /// Where the facts come from, each with its kind of evidence.
    Sources,
}

impl Section {
    /// All, in order.
    pub const ALL: [Section; 7] = [
        Section::What,
        Section::Why,
        Section::Reproduction,
        Section::Detection,
        Section::Misses,
        Section::Fix,
        Section::Sources,
    ];

    /// The heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Section::What => "What it is",
            Section::Why => "Why CUDA behaves so",
            Section::Reproduction => "Minimal reproduction",
            Section::Detection => "How graphproof detects it",
            Section::Misses => "What it can miss",
            Section::Fix => "How to fix it",
            Section::Sources => "Sources",
        }
    }
}

/// The text of one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// Id, title and help.
    pub entry: Entry,
    found_by: &'static str,
    reported_as: &'static str,
    bodies: [&'static str; Section::ALL.len()],
}

impl Explanation {
    /// Names of the checks that see the fault; see [`Check`](crate::finding::Check).
    pub fn checks(&self) -> impl Iterator<Item = &'static str> {
        words(self.found_by)
    }

    /// The ids under which findings of this fault appear. Not always its own: a check that sees
    /// the effect and not the cause says what it saw.
    pub fn reported_as(&self) -> impl Iterator<Item = &'static str> {
        words(self.reported_as)
    }

    /// The Markdown under a heading.
    pub fn body(&self, section: Section) -> &'static str {
        self.bodies[section as usize]
    }

    /// Parses `text`, which must be of the form that the module's documentation shows.
    pub(super) fn parse(id: Id, text: &'static str) -> Explanation {
        let rest = after(text, "# ");
        let rest = after(rest, id.as_str());
        let (title, rest) = line(after(rest, ": "));
        let (help, rest) = line(after(after(rest, "\n"), "- Help: "));
        let (found_by, rest) = line(after(rest, "- Found by: "));
        let (reported_as, rest) = line(after(rest, "- Reported as: "));
        let mut rest = after(rest, "\n");
        let bodies = Section::ALL.map(|section| {
            rest = after(after(after(rest, "## "), section.heading()), "\n\n");
            let (body, next) = rest.split_at(end_of_body(rest));
            assert!(!body.trim_ascii().is_empty(), "a section is empty");
            rest = next;
            body.trim_ascii()
        });
        assert!(rest.is_empty(), "there is a heading after the last one");
        Explanation { entry: Entry { id, title, help }, found_by, reported_as, bodies }
    }
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(',').map(str::trim).filter(|word| *word != "none")
}

/// What follows `prefix`, which `text` must begin with.
fn after<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.strip_prefix(prefix)
        .unwrap_or_else(|| panic!("the text does not have the form that `text.rs` shows: {prefix}"))
}

/// The first line, which must not be empty, and what follows its line feed.
fn line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or_default();
    assert!(!line.is_empty(), "a line of the head is empty");
    (line, rest)
}

/// Bytes before the next heading, or all.
fn end_of_body(text: &str) -> usize {
    text.find("\n## ").map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::{Explanation, Section};
    use crate::finding::Id;

    fn text(headings: &[&str]) -> &'static str {
        let head = "# S01: a title\n\n- Help: do this\n- Found by: capture, bits\n- Reported as: none\n\n";
        let body: String = headings.iter().map(|heading| format!("## {heading}\n\nAbout {heading}.\n\n")).collect();
        Box::leak(format!("{head}{body}").into_boxed_str())
    }

    #[test]
    fn the_head_and_every_section_are_read() {
        let parsed = Explanation::parse(Id::S01, text(&Section::ALL.map(Section::heading)));
        assert_eq!((parsed.entry.title, parsed.entry.help), ("a title", "do this"));
        assert_eq!(parsed.checks().collect::<Vec<_>>(), ["capture", "bits"]);
        assert_eq!(parsed.reported_as().count(), 0);
        assert_eq!(parsed.body(Section::Misses), "About What it can miss.");
        assert_eq!(parsed.body(Section::Sources), "About Sources.");
    }

    #[test]
    fn texts_of_another_form_are_refused() {
        let mut swapped = Section::ALL.map(Section::heading);
        swapped.swap(1, 2);
        let all = Section::ALL.map(Section::heading);
        for headings in [&swapped[..], &all[..6], &[&all[..], &["More"]].concat()[..]] {
            let text = text(headings);
            assert!(std::panic::catch_unwind(|| Explanation::parse(Id::S01, text)).is_err(), "{text}");
        }
        let other = text(&all);
        assert!(std::panic::catch_unwind(|| Explanation::parse(Id::S02, other)).is_err());
    }
}
