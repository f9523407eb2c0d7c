//! Text → tokens.

use super::ast::Span;
use super::error::{PtxError, PtxErrorKind};

/// What a token is. Its text is `source[span]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, `%` and `$` included.
    Word,
    /// A dot and a name: a directive or a modifier.
    Dotted,
    /// A number in any of PTX's notations.
    Number,
    /// A quoted string, quotes included.
    Text,
    /// One punctuation character.
    Mark(u8),
    /// End of text.
    End,
}

/// A token with its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Span,
    pub line: u32,
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'%')
}

/// Splits `source` into tokens; the last one is [`Kind::End`].
pub(crate) fn tokenize(source: &str) -> Result<Vec<Token>, PtxError> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::with_capacity(bytes.len() / 4);
    let (mut at, mut line) = (0usize, 1u32);
    let error = |at: usize, end: usize, message: String| {
        PtxError::new(PtxErrorKind::Syntax, source, Span { start: at as u32, end: end as u32 }, message)
    };
    if bytes.len() > u32::MAX as usize / 2 {
        return Err(error(0, 0, "the text is larger than 2 GiB".into()));
    }
    while at < bytes.len() {
        let start = at;
        let first = bytes[at];
        let kind = match first {
            b'\n' => {
                line += 1;
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                at += 1;
                continue;
            }
            // cuModuleLoadData takes NUL-terminated text; what follows the NUL is not ours.
            0 => break,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().position(|&b| b == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let Some(length) = source[at + 2..].find("*/") else {
                    return Err(error(start, start + 2, "this comment is never closed".into()).expected("`*/`"));
                };
                let end = at + 2 + length + 2;
                line += bytes[at..end].iter().filter(|&&b| b == b'\n').count() as u32;
                at = end;
                continue;
            }
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if bytes.get(at) != Some(&b'"') {
                    return Err(error(start, start + 1, "this string is never closed".into()).expected("`\"`"));
                }
                at += 1;
                Kind::Text
            }
            b'.' if bytes.get(at + 1).is_some_and(|&b| is_name(b)) => {
                at += 1;
                loop {
                    match bytes.get(at) {
                        Some(&b) if is_name(b) => at += 1,
                        // `.shared::cta` is one word; `.b8 x : y` does not occur.
                        Some(b':') if bytes.get(at + 1) == Some(&b':') => at += 2,
                        _ => break,
                    }
                }
                Kind::Dotted
            }
            b'0'..=b'9' => {
                at = number_end(bytes, at);
                Kind::Number
            }
            b if is_name(b) => {
                while bytes.get(at).is_some_and(|&b| is_name(b)) {
                    at += 1;
                }
                Kind::Word
            }
            b',' | b';' | b':' | b'{' | b'}' | b'[' | b']' | b'(' | b')' | b'+' | b'-' | b'|' | b'!' | b'@' | b'<'
            | b'>' | b'=' | b'.' | b'*' | b'&' | b'~' | b'/' | b'^' => {
                at += 1;
                Kind::Mark(first)
            }
            _ => {
                let character = source[at..].chars().next().unwrap_or('?');
                return Err(error(start, start + 1, format!("unexpected character {character:?}")));
            }
        };
        tokens.push(Token { kind, span: Span { start: start as u32, end: at as u32 }, line });
    }
    let end = bytes.len().min(at) as u32;
    tokens.push(Token { kind: Kind::End, span: Span { start: end, end }, line });
    Ok(tokens)
}

/// One past the number that starts at `at`.
fn number_end(bytes: &[u8], mut at: usize) -> usize {
    let start = at;
    while bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
        at += 1;
    }
    let hexadecimal = bytes.get(start) == Some(&b'0')
        && bytes.get(start + 1).is_some_and(|b| matches!(b, b'x' | b'X' | b'f' | b'F' | b'd' | b'D'));
    if hexadecimal {
        return at;
    }
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        at += 1;
        while bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
            at += 1;
        }
    }
    let exponent =
        matches!(bytes[at - 1], b'e' | b'E') && bytes[start..at - 1].iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if exponent && bytes.get(at).is_some_and(|b| matches!(b, b'+' | b'-')) {
        at += 1;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
    }
    at
}
