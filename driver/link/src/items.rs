//! PTX text, taken apart at its outermost level: directives of the module, variables, functions.

/// What linking does with a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// Known to its own text only.
    Local,
    /// `.extern`: another text has it.
    Extern,
    /// `.visible`.
    Visible,
    /// `.weak` or `.common`: one of several is taken.
    Weak,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.version`, `.target`, `.address_size`.
    Header,
    /// `.func` or `.entry`, with its body or without.
    Function {
        /// It has a body.
        defined: bool,
    },
    /// A variable.
    Variable,
    /// Anything else, such as `.file`.
    Other,
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub text: String,
    pub kind: Kind,
    pub linkage: Linkage,
    /// Empty for what has none.
    pub symbol: String,
}

/// Whether a character is part of a PTX identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '%')
}

/// The text without comments: what is in quotes stays.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['/', '"']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            out.push(' ');
            rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').map_or(quoted.len(), |end| end + 1);
            out.push('"');
            out.push_str(&quoted[..end]);
            rest = &quoted[end..];
        } else {
            out.push('/');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// Directives that end with their line.
const OF_A_LINE: [&str; 4] = [".version", ".target", ".address_size", ".file"];

/// Takes a text apart.
pub(crate) fn items(text: &str) -> Vec<Item> {
    let text = without_comments(text);
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = match OF_A_LINE.iter().any(|word| rest.starts_with(word)) {
            true => rest.find('\n').unwrap_or(rest.len()),
            false => end_of_item(rest),
        };
        let (piece, tail) = rest.split_at(end);
        found.push(item(piece.trim()));
        rest = tail.trim_start();
    }
    found
}

/// Where an item ends: at a semicolon outside of braces, or behind the brace that closes a body.
fn end_of_item(text: &str) -> usize {
    let (mut depth, mut quoted) = (0usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '}' => {
                depth = depth.saturating_sub(1);
                // The braces of an initial value have a semicolon behind them.
                let next = text[at + 1..].trim_start();
                if depth == 0 && !next.starts_with(';') && !next.starts_with(',') {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn item(piece: &str) -> Item {
    let mut item = Item { text: piece.to_owned(), kind: Kind::Other, linkage: Linkage::Local, symbol: String::new() };
    if OF_A_LINE[..3].iter().any(|word| piece.starts_with(word)) {
        item.kind = Kind::Header;
        return item;
    }
    let mut rest = piece;
    loop {
        rest = rest.trim_start();
        let Some(word) = rest.strip_prefix('.') else { break };
        let end = word.find(|c: char| !is_word(c)).unwrap_or(word.len());
        let (word, tail) = word.split_at(end);
        rest = tail;
        match word {
            "extern" => item.linkage = Linkage::Extern,
            "visible" => item.linkage = Linkage::Visible,
            "weak" | "common" => item.linkage = Linkage::Weak,
            "func" | "entry" => {
                item.kind = Kind::Function { defined: piece.ends_with('}') };
                // A result in parentheses stands before the name.
                let after = rest.trim_start();
                if let Some(result) = after.strip_prefix('(') {
                    rest = result.find(')').map_or("", |end| &result[end + 1..]);
                }
                // `.noreturn` and other attributes of the function may follow.
                item.symbol = name_in(rest);
                return item;
            }
            "global" | "const" | "shared" | "tex" => item.kind = Kind::Variable,
            "attribute" => rest = rest.trim_start().find(')').map_or("", |end| &rest.trim_start()[end + 1..]),
            "align" => {
                rest = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
            }
            _ => {}
        }
    }
    if item.kind == Kind::Variable {
        item.symbol = name_in(rest);
    }
    item
}

/// The first identifier of a text that is no directive.
fn name_in(text: &str) -> String {
    let mut rest = text.trim_start();
    while let Some(word) = rest.strip_prefix('.') {
        rest = word.trim_start_matches(is_word).trim_start();
    }
    rest.chars().take_while(|&c| is_word(c)).collect()
}
