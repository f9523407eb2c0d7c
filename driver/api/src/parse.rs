//! The text of the table.

use crate::{Argument, Class, Function, PerThread, Role};

/// A line of the table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Line of the text, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ParseError {}

/// Reads a table in the form that the head of `functions.txt` describes.
pub fn parse(text: &'static str) -> Result<Vec<Function>, ParseError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| function(line).map_err(|reason| ParseError { line: at + 1, reason })).collect()
}

fn function(line: &'static str) -> Result<Function, String> {
    let (head, rest) = line.split_once('(').ok_or("no argument list")?;
    let (list, tail) = rest.split_once(')').ok_or("the argument list does not end")?;
    let [name, since, forms, class] = head.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err("NAME SINCE FORMS CLASS before the argument list".into());
    };
    let per_thread = match forms {
        "-" => None,
        "ptsz" => Some(PerThread::Ptsz),
        "ptds" => Some(PerThread::Ptds),
        _ => return Err(format!("`{forms}` is none of ptsz, ptds, -")),
    };
    let same_as = match tail.trim() {
        "" => None,
        tail => Some(tail.strip_prefix("= ").ok_or_else(|| format!("`{tail}` behind the argument list"))?),
    };
    let arguments = match list.trim() {
        "..." => None,
        "" => Some(Vec::new()),
        list => Some(list.split(", ").map(argument).collect::<Result<_, _>>()?),
    };
    Ok(Function {
        name,
        since: since.parse().map_err(|_| format!("`{since}` is no version such as 12030"))?,
        per_thread,
        class: word(&Class::NAMES, class)?,
        arguments,
        same_as,
    })
}

/// `ROLE TYPE NAME`; the star of a pointer stands before its name.
fn argument(text: &'static str) -> Result<Argument, String> {
    let (role, declaration) = text.split_once(' ').ok_or_else(|| format!("`{text}` is no ROLE TYPE NAME"))?;
    let name_at = declaration.rfind([' ', '*']).ok_or_else(|| format!("`{declaration}` has no name"))? + 1;
    let (c_type, name) = declaration.split_at(name_at);
    Ok(Argument { role: word(&Role::NAMES, role)?, c_type: c_type.trim_end(), name })
}

fn word<T: Copy>(names: &[(&str, T)], text: &str) -> Result<T, String> {
    names.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is none of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = "cuX_v2 12030 ptsz stream (stream CUstream hStream, in const CUgraphNode *from) = cuX_v3\n";
        let read = &parse(line).expect("it parses")[0];
        assert_eq!((read.name, read.base(), read.since, read.same_as), ("cuX_v2", "cuX", 12030, Some("cuX_v3")));
        let from = Argument { role: Role::In, c_type: "const CUgraphNode *", name: "from" };
        assert_eq!(read.arguments.as_ref().map(|arguments| arguments[1]), Some(from));
        let known = |line| parse(line).expect("it parses")[0].arguments.as_ref().map(Vec::len);
        assert_eq!(known("cuX 0 - plain (...)"), None);
        assert_eq!(known("cuX 0 - plain ()"), Some(0));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, reason) in [
            ("cuX 1 - plain", "no argument list"),
            ("cuX 1 - plain (", "does not end"),
            ("cuX - plain ()", "NAME SINCE FORMS CLASS"),
            ("cuX one - plain ()", "no version"),
            ("cuX 1 pt plain ()", "none of ptsz"),
            ("cuX 1 - odd ()", "none of unsafe"),
            ("cuX 1 - plain (much int x)", "none of stream"),
            ("cuX 1 - plain (value x)", "has no name"),
            ("cuX 1 - plain () cuY", "behind the argument list"),
        ] {
            let text: &'static str = Box::leak(format!("# a comment\n\n{line}\n").into_boxed_str());
            let error = parse(text).expect_err(line);
            assert!(error.line == 3 && error.reason.contains(reason), "{line}: {error}");
        }
    }
}
