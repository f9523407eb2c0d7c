//! Lines that are wider than the terminal, folded between words.

use std::borrow::Cow;

/// A line with less room than this beside its label is indented by its beginning alone.
const LEAST: usize = 24;

/// `text` with its lines folded to `width` columns, if there is a width: between words only, so that
/// a path or an address stays whole and can be copied. What goes on stands beneath what it belongs
/// to: a label with two spaces after it (`bits       the same`), `= note: `, a list's dash.
pub fn folded(text: &str, width: Option<usize>) -> Cow<'_, str> {
    let Some(width) = width else { return Cow::Borrowed(text) };
    if text.lines().all(|line| console::measure_text_width(line) <= width) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive('\n') {
        fold(line, width, &mut out);
    }
    Cow::Owned(out)
}

fn fold(line: &str, width: usize, out: &mut String) {
    if console::measure_text_width(line.trim_end()) <= width {
        return out.push_str(line);
    }
    let indent = " ".repeat(hanging(line, width));
    let mut used = 0;
    // A word with the spaces before it: those at a fold are left out, all others stay.
    for word in words(line.trim_end()) {
        let bare = word.trim_start_matches(' ');
        let wide = console::measure_text_width(word);
        if used > indent.len() && used + wide > width && bare.len() < word.len() {
            out.push('\n');
            out.push_str(&indent);
            out.push_str(bare);
            used = indent.len() + console::measure_text_width(bare);
        } else {
            out.push_str(word);
            used += wide;
        }
    }
    out.push_str(&line[line.trim_end().len()..]);
}

/// The line in words, each with the spaces before it.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let begin = rest.find(|c| c != ' ')?;
        let end = rest[begin..].find(' ').map_or(rest.len(), |length| begin + length);
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Columns by which the following lines of this one are indented.
fn hanging(line: &str, width: usize) -> usize {
    let plain = console::strip_ansi_codes(line);
    let start = plain.len() - plain.trim_start().len();
    let body = &plain[start..];
    let after = |text: &str| start + console::measure_text_width(text);
    let label = if let Some(note) = body.strip_prefix("= ") {
        note.find(": ").map(|colon| after(&body[..2 + colon + 2]))
    } else if body.starts_with("- ") {
        Some(start + 2)
    } else {
        // The first run of two spaces or more ends the label.
        body.find("  ").map(|gap| after(&body[..gap + body[gap..].len() - body[gap..].trim_start().len()]))
    };
    match label {
        Some(label) if label + LEAST <= width => label,
        _ => (start + 2).min(width / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::folded;

    fn at(width: usize, text: &str) -> String {
        folded(text, Some(width)).into_owned()
    }

    #[test]
    fn lines_fold_between_words_beneath_what_they_belong_to() {
        let text = "  time       replay 8.9 ms -> 8.9 ms (+0.0 %, within the spread: noise)\nshort\n";
        let wanted = "  time       replay 8.9 ms -> 8.9 ms (+0.0\n             %, within the spread: noise)\nshort\n";
        assert_eq!(at(44, text), wanted);
        let note = "   = note: one two three four five six seven eight nine ten\n";
        assert_eq!(at(40, note), "   = note: one two three four five six\n           seven eight nine ten\n");
        assert_eq!(at(14, "a sentence of some words"), "a sentence of\n  some words");
    }

    #[test]
    fn what_fits_and_what_goes_to_a_file_stays_as_it_is() {
        let text = "  code   with   spaces\n\n\ttab\n";
        assert_eq!(at(60, text), text);
        let long = "word ".repeat(100);
        assert_eq!(folded(&long, None), long);
    }

    #[test]
    fn a_word_wider_than_the_terminal_stays_whole_and_nothing_is_lost() {
        let path = "/a/very/long/path/that/does/not/fit/anywhere";
        for width in 1..60 {
            for text in [format!("at {path} and on"), format!("label  {path}\n"), path.to_owned(), "é ü  ∞ ".repeat(20)]
            {
                let folded = at(width, &text);
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(words(&folded), words(&text), "{width}");
            }
        }
    }

    #[test]
    fn colours_take_no_room() {
        let text = "\u{1b}[31mred words\u{1b}[0m and more";
        assert_eq!(at(18, text), text);
        assert_eq!(at(12, text), "\u{1b}[31mred words\u{1b}[0m\n  and more");
    }
}
