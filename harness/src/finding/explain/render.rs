//! A text as lines for a terminal or a pipe.

use std::fmt::Write as _;

use super::{ALL, Explanation, Family, Section};

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns to wrap at. Code and words that are longer are not broken.
    pub width: usize,
    /// Whether headings are bold, by ANSI escape codes.
    pub bold: bool,
}

impl Look {
    fn heading(self, text: &str) -> String {
        if self.bold { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Appends `text`, wrapped; the first line begins with `first`, the others are indented as far.
    fn wrap(self, out: &mut String, first: &str, text: &str) {
        let indent = first.chars().count();
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split_whitespace() {
            let longer = line.chars().count() + usize::from(!empty) + word.chars().count();
            if !empty && longer > self.width {
                let _ = writeln!(out, "{}", line.trim_end());
                line = " ".repeat(indent);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// One text, ending with a newline.
pub fn page(text: &Explanation, look: Look) -> String {
    let list = |words: Vec<&str>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", look.heading(&format!("{}: {}", text.entry.id, text.entry.title)));
    look.wrap(&mut out, "  help:        ", text.entry.help);
    look.wrap(&mut out, "  found by:    ", &list(text.checks().collect()));
    look.wrap(&mut out, "  reported as: ", &list(text.reported_as().collect()));
    for section in Section::ALL {
        let _ = writeln!(out, "\n{}\n", look.heading(section.heading()));
        body(&mut out, text.body(section), look);
    }
    out
}

/// Every id with its title, by family, ending with a newline.
pub fn list(look: Look) -> String {
    let mut out = String::new();
    for family in Family::ALL {
        let mut heading = String::new();
        look.wrap(&mut heading, "", family.title());
        let _ = writeln!(out, "{}", look.heading(heading.trim_end()));
        for text in family.texts() {
            look.wrap(&mut out, &format!("  {}  ", text.entry.id), text.entry.title);
        }
        out.push('\n');
    }
    look.wrap(&mut out, "", &format!("{} ids. `graphproof explain ID` tells what one means.", ALL.len()));
    out
}

/// Paragraphs, bullets and fenced code; no other Markdown stands in the texts.
fn body(out: &mut String, markdown: &str, look: Look) {
    let mut fenced = false;
    let mut open: Option<(&str, String)> = None;
    let flush = |out: &mut String, open: &mut Option<(&str, String)>| {
        if let Some((first, text)) = open.take() {
            look.wrap(out, first, &text);
        }
    };
    for line in markdown.lines() {
        if line.starts_with("```") {
            flush(out, &mut open);
            fenced = !fenced;
        } else if fenced {
            let _ = writeln!(out, "{}", format!("    {line}").trim_end());
        } else if line.is_empty() {
            flush(out, &mut open);
            out.push('\n');
        } else if let Some(item) = line.strip_prefix("- ") {
            flush(out, &mut open);
            open = Some(("  - ", item.to_owned()));
        } else {
            let (_, text) = open.get_or_insert_with(|| ("  ", String::new()));
            text.push(' ');
            text.push_str(line);
        }
    }
    flush(out, &mut open);
}

#[cfg(test)]
mod tests {
    use super::{Look, body, list, page};
    use crate::finding::explain::ALL;

    const PLAIN: Look = Look { width: 24, bold: false };

    #[test]
    fn paragraphs_and_bullets_are_wrapped_and_code_is_not() {
        let mut out = String::new();
        let text = "One paragraph of\ntwo lines.\n\n- a bullet that is\n  too long for it\n- another\n\n```c\n\
                    cuStreamSynchronize(S); // a long line\n\nmore();\n```";
        body(&mut out, text, PLAIN);
        let lines = [
            "  One paragraph of two",
            "  lines.",
            "",
            "  - a bullet that is too",
            "    long for it",
            "  - another",
            "",
            "    cuStreamSynchronize(S); // a long line",
            "",
            "    more();",
            "",
        ];
        assert_eq!(out, lines.join("\n"));
    }

    #[test]
    fn every_page_keeps_to_the_width_but_for_code_and_long_words() {
        for text in ALL.iter() {
            for line in page(text, Look { width: 60, bold: false }).lines().skip(1) {
                let code = line.starts_with("    ");
                let words = line.split_whitespace().filter(|word| *word != "-").count();
                assert!(line.chars().count() <= 60 || code || words <= 1, "{}: {line}", text.entry.id);
            }
        }
    }

    #[test]
    fn escape_codes_appear_only_where_asked_for() {
        let bold = Look { width: 80, bold: true };
        for plain in [page(&ALL[0], Look { width: 80, bold: false }), list(Look { width: 80, bold: false })] {
            assert!(!plain.contains('\x1b'));
        }
        assert!(page(&ALL[0], bold).starts_with("\x1b[1m"));
        assert!(list(bold).starts_with("\x1b[1m"));
    }

    #[test]
    fn a_width_of_nothing_is_survived() {
        assert!(page(&ALL[0], Look { width: 0, bold: false }).lines().count() > 50);
    }
}
