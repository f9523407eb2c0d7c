//! JSON laid out for people, and small: what fits on a line stands on one.

/// Most characters of a line, its indent not counted.
const LINE: usize = 110;
/// Elements up to this length share lines: digests do, the lines of a graph do not.
const SHORT: usize = 24;

/// Lays out compact JSON, as `serde_json::to_string` writes it. Objects and arrays that fit on a
/// line stay there, the elements of long arrays of short scalars share lines, and everything else
/// has a line for each entry. Only white space between tokens is added.
pub fn lay_out(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 5 / 4);
    value(compact, 0, &mut out);
    out.push('\n');
    out
}

fn value(text: &str, indent: usize, out: &mut String) {
    let fits = text.len() <= LINE || text.chars().take(LINE + 1).count() <= LINE;
    if fits || !text.starts_with(['{', '[']) {
        out.push_str(text);
        return;
    }
    let (open, rest) = text.split_at(1);
    let (body, close) = rest.split_at(rest.len() - 1);
    out.push_str(open);
    let entries = entries(body);
    let short = open == "[" && entries.iter().all(|entry| entry.len() <= SHORT && !entry.starts_with(['{', '[']));
    let mut column = LINE;
    for (position, entry) in entries.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        column += entry.len() + 2;
        if !short || column > LINE {
            new_line(indent + 1, out);
            column = entry.len();
        } else {
            out.push(' ');
        }
        match (open, key_end(entry)) {
            ("{", Some(end)) => {
                out.push_str(&entry[..end]);
                out.push_str(": ");
                value(&entry[end + 1..], indent + 1, out);
            }
            _ => value(entry, indent + 1, out),
        }
    }
    new_line(indent, out);
    out.push_str(close);
}

fn new_line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", indent));
}

/// Where the key of `"key":value` ends: the place of the colon.
fn key_end(entry: &str) -> Option<usize> {
    let mut scan = Scan::default();
    entry.bytes().position(|byte| scan.outside(byte) && byte == b':')
}

/// The parts of `text` between the commas that stand outside strings and brackets.
fn entries(text: &str) -> Vec<&str> {
    let (mut scan, mut depth, mut start) = (Scan::default(), 0usize, 0);
    let mut parts = Vec::new();
    for (place, byte) in text.bytes().enumerate() {
        if !scan.outside(byte) {
            continue;
        }
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}

/// Follows strings, in which brackets and commas mean nothing.
#[derive(Default)]
struct Scan {
    string: bool,
    escaped: bool,
}

impl Scan {
    /// Takes the next byte; whether it is no part of a string.
    fn outside(&mut self, byte: u8) -> bool {
        if !self.string {
            self.string = byte == b'"';
            return !self.string;
        }
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.string = false,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::lay_out;

    #[test]
    fn only_white_space_is_added_and_short_things_stay_together() {
        let digests: Vec<String> = (0..20).map(|n| format!("{n:016x}")).collect();
        let value = serde_json::json!({
            "digests": digests,
            "text": ["a \"quoted\" [line], with {everything}: \\", "x".repeat(200)],
            "small": {"a": 1, "b": [1, 2, 3]},
            "empty": [], "nothing": null,
            "numbers": (0..200).collect::<Vec<u32>>(),
        });
        let text = lay_out(&value.to_string());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert!(text.contains("\"small\": {\"a\":1,\"b\":[1,2,3]}"), "{text}");
        let digests = text.lines().filter(|line| line.contains("000000000000000")).count();
        assert_eq!(digests, 4, "five or six to a line:\n{text}");
    }
}
