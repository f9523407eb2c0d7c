//! Text from outside, where it leaves the program.
//!
//! Names, places and messages come from receipts, configurations and programs that anybody may have
//! written. Each kind of sink has one rule:
//!
//! | sink | rule |
//! |---|---|
//! | terminal, pipe, log | [`line()`] and [`text`] make the invisible visible; [`defused`] lines give no command to a CI service |
//! | JUnit | as for the terminal, then XML's own escapes |
//! | JSON, JSON lines | the text itself; [`json`] leaves nothing invisible in the file |
//! | SARIF | as for the terminal, then as JSON; [`message`] makes no links |
//! | GitHub's commands and summary | as for the terminal, then the escapes of the command or of Markdown |
//! | HTML | as for the terminal, then HTML's own escapes |
//! | Perfetto | as for the terminal, then as JSON |

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::receipt::Receipt;

/// Characters of a text of one line, and of one of several lines; what is longer is cut, and says so.
const LONGEST: [usize; 2] = [4_000, 200_000];
/// The fields of a receipt whose texts may have several lines.
const OF_SEVERAL_LINES: [&str; 4] = ["expected", "seen", "notes", "help"];

/// Whether a character is not seen where it is printed, or moves what is: controls of both sets, marks
/// of direction, separators of lines, invisible operators, tags, and what is no character.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text of one line: an end of line becomes `\n`, an escape character `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    visible(text, false)
}

/// A text of several lines: ends of lines and tabs stay, everything else is as in [`line()`].
pub fn text(text: &str) -> Cow<'_, str> {
    visible(text, true)
}

fn visible(text: &str, lines: bool) -> Cow<'_, str> {
    let stays = |c: char| !hidden(c) || (lines && c == '\n') || c == '\t';
    let longest = LONGEST[usize::from(lines)];
    if text.len() <= longest && text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(longest) + 64);
    let mut left = text.chars();
    for c in left.by_ref().take(longest) {
        match c {
            c if stays(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.extend(c.escape_unicode()),
        }
    }
    match left.count() {
        0 => {}
        more => {
            let _ = write!(out, "… ({more} characters more)");
        }
    }
    Cow::Owned(out)
}

/// Lines that are printed where a CI service reads along: GitHub takes a line that begins with `::`, and
/// it, Azure and TeamCity take `##[…]`, `##vso[…]` and `##teamcity[…]`, for commands.
pub fn defused(text: &str) -> Cow<'_, str> {
    // `:::`, which stands before a second place, begins no command: a name follows two colons.
    let command = |line: &str| line.trim_start().strip_prefix("::").is_some_and(|rest| !rest.starts_with(":"));
    if !text.contains("##") && !text.lines().any(command) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let line = line.replace("##", "#\\u{23}");
        match command(&line) {
            true => out.push_str(&line.replacen("::", "\\u{3a}:", 1)),
            false => out.push_str(&line),
        }
    }
    Cow::Owned(out)
}

/// What stands on standard error after `error: `: further lines cannot be taken for lines of ours.
pub fn message_of_error(message: &str) -> String {
    defused(&text(message)).replace('\n', "\n  | ")
}

/// Compact JSON that shows on a terminal as what it is: what serde leaves as it is and is not seen is
/// written as an escape, which means the same.
pub fn json(compact: String) -> String {
    if !compact.chars().any(hidden) {
        return compact;
    }
    let mut out = String::with_capacity(compact.len() + 64);
    for c in compact.chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A message of SARIF, in which `[text](place)` is a link (3.11.6).
pub fn message(text: &str) -> String {
    text.replace("](", "] (")
}

/// The receipt with every text as [`line()`] gives it, or [`text`] where it may have several.
pub fn receipt(receipt: &Receipt) -> Cow<'_, Receipt> {
    document(receipt)
}

/// As [`receipt`], of any document that its own JSON describes whole.
pub fn document<T: Clone + Serialize + DeserializeOwned>(document: &T) -> Cow<'_, T> {
    let Ok(mut value) = serde_json::to_value(document) else { return Cow::Borrowed(document) };
    if !clean(&mut value, false) {
        return Cow::Borrowed(document);
    }
    // A receipt is what its JSON holds: reading one relies on it too.
    serde_json::from_value(value).map_or(Cow::Borrowed(document), Cow::Owned)
}

/// Whether anything was changed.
fn clean(value: &mut Value, lines: bool) -> bool {
    match value {
        Value::String(text) => match visible(text, lines) {
            Cow::Borrowed(_) => false,
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
        },
        Value::Array(all) => all.iter_mut().fold(false, |changed, value| clean(value, lines) | changed),
        Value::Object(fields) => {
            let mut changed = false;
            for (key, value) in fields.iter_mut() {
                changed |= clean(value, OF_SEVERAL_LINES.contains(&key.as_str()));
            }
            if fields.keys().any(|key| matches!(line(key), Cow::Owned(_))) {
                changed = true;
                *fields =
                    std::mem::take(fields).into_iter().map(|(key, value)| (line(&key).into_owned(), value)).collect();
            }
            changed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_stays_and_what_is_not_is_shown() {
        assert_eq!(line("größer, 中文, a::b\tc"), "größer, 中文, a::b\tc");
        assert_eq!(line("\u{1b}[2J\r\n\u{9b}\u{202e}\0"), "\\u{1b}[2J\\r\\n\\u{9b}\\u{202e}\\u{0}");
        assert_eq!(text("a\nb\r"), "a\nb\\r");
        assert_eq!(line(&"x".repeat(4_001)), "x".repeat(4_000) + "… (1 characters more)");
    }

    #[test]
    fn no_line_is_a_command() {
        assert_eq!(defused("a\n  ::error::b\n##[group]x\nc::d"), "a\n  \\u{3a}:error::b\n#\\u{23}[group]x\nc::d");
        assert_eq!(defused("  ::: src/x.rs:3"), "  ::: src/x.rs:3");
        assert_eq!(message_of_error("a\n::error::b"), "a\n  | \\u{3a}:error::b");
    }

    #[test]
    fn json_means_the_same() {
        let text = "\u{7f}\u{9b}\u{202e}\u{e0001}ü\u{1b}";
        let escaped = json(serde_json::to_string(text).unwrap());
        assert!(!escaped.chars().any(hidden), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
