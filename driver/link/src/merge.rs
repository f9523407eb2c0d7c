//! One text of several.

use std::collections::{BTreeMap, BTreeSet};

use crate::LinkError;
use crate::items::{Item, Kind, Linkage, is_word, items};

/// Links texts, each with a name for messages: declarations go to the definitions that other texts have, and
/// names that are local to a text are kept apart.
///
/// # Errors
/// A symbol that two texts define.
pub fn merge(texts: &[(String, String)]) -> Result<String, LinkError> {
    let mut parts: Vec<Vec<Item>> = texts.iter().map(|(_, text)| items(text)).collect();
    let definitions = definitions(texts, &parts)?;
    separate(&mut parts);

    let mut out = header(&parts);
    let (mut prototypes, mut variables, mut functions) = (Vec::new(), Vec::new(), Vec::new());
    let mut declared = BTreeSet::new();
    for (n, items) in parts.into_iter().enumerate() {
        for item in items {
            let elsewhere = definitions.get(&item.symbol).is_some_and(|&(owner, _)| owner != n);
            match item.kind {
                Kind::Header => {}
                // Line tables of several texts would share their numbers.
                Kind::Other if item.text.starts_with(".file") || item.text.starts_with(".section") => {}
                Kind::Other => variables.push(item.text),
                // Another text's definition is the one that counts: a weak one gives way.
                Kind::Variable if elsewhere && item.linkage != Linkage::Local => {}
                Kind::Variable if item.linkage == Linkage::Extern => {
                    if declared.insert(item.symbol) {
                        variables.push(item.text);
                    }
                }
                Kind::Variable => variables.push(item.text),
                Kind::Function { defined: true } if elsewhere && item.linkage != Linkage::Local => {}
                Kind::Function { defined: true } => functions.push(item.text),
                // A prototype for each function, in the linkage of its definition.
                Kind::Function { defined: false } => {
                    let linkage = definitions.get(&item.symbol).map(|&(_, linkage)| linkage);
                    if declared.insert(item.symbol) {
                        prototypes.push(relinked(&item.text, item.linkage, linkage));
                    }
                }
            }
        }
    }
    for piece in prototypes.into_iter().chain(variables).chain(functions) {
        out.push_str(&piece);
        out.push('\n');
    }
    Ok(out)
}

/// Who defines each symbol that other texts see. A strong definition goes before a weak one.
fn definitions(
    texts: &[(String, String)],
    parts: &[Vec<Item>],
) -> Result<BTreeMap<String, (usize, Linkage)>, LinkError> {
    let mut found: BTreeMap<String, (usize, Linkage)> = BTreeMap::new();
    for (n, items) in parts.iter().enumerate() {
        for item in items {
            let defines = matches!(item.kind, Kind::Function { defined: true } | Kind::Variable);
            if !defines || !matches!(item.linkage, Linkage::Visible | Linkage::Weak) || item.symbol.is_empty() {
                continue;
            }
            match found.get(&item.symbol) {
                Some(&(first, Linkage::Visible)) if item.linkage == Linkage::Visible => {
                    return Err(LinkError::Twice {
                        symbol: item.symbol.clone(),
                        first: texts[first].0.clone(),
                        second: texts[n].0.clone(),
                    });
                }
                Some(_) if item.linkage == Linkage::Weak => {}
                _ => {
                    found.insert(item.symbol.clone(), (n, item.linkage));
                }
            }
        }
    }
    Ok(found)
}

/// Gives local names that another text uses too a name of their own.
fn separate(parts: &mut [Vec<Item>]) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for items in parts.iter() {
        taken.extend(items.iter().filter(|item| item.linkage != Linkage::Local).map(|item| item.symbol.clone()));
    }
    for (n, items) in parts.iter_mut().enumerate() {
        let locals: BTreeSet<String> = items
            .iter()
            .filter(|item| item.linkage == Linkage::Local && !item.symbol.is_empty())
            .map(|item| item.symbol.clone())
            .collect();
        let mut renamed = BTreeMap::new();
        for local in locals {
            let mut name = local.clone();
            while !taken.insert(name.clone()) {
                name = format!("{name}$link{n}");
            }
            if name != local {
                renamed.insert(local, name);
            }
        }
        if renamed.is_empty() {
            continue;
        }
        for item in items {
            item.text = replaced(&item.text, &renamed);
            if let Some(name) = renamed.get(&item.symbol) {
                item.symbol.clone_from(name);
            }
        }
    }
}

/// A text with whole words replaced.
fn replaced(text: &str, words: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_word) {
        out.push_str(&rest[..at]);
        let word = &rest[at..];
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let is_directive = out.ends_with('.');
        match words.get(&word[..end]).filter(|_| !is_directive) {
            Some(name) => out.push_str(name),
            None => out.push_str(&word[..end]),
        }
        rest = &word[end..];
    }
    out.push_str(rest);
    out
}

/// A prototype in the linkage of its definition.
fn relinked(text: &str, now: Linkage, definition: Option<Linkage>) -> String {
    match (now, definition) {
        (Linkage::Extern, Some(Linkage::Weak)) => text.replacen(".extern", ".weak", 1),
        (Linkage::Extern, Some(_)) => text.replacen(".extern", ".visible", 1),
        _ => text.to_owned(),
    }
}

/// The newest version and target that a text asks for.
fn header(parts: &[Vec<Item>]) -> String {
    let number = |text: &str| {
        let digits: String =
            text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or(0)
    };
    let version = |text: &str| {
        let (major, minor) = text.split_once('.').unwrap_or((text, ""));
        (number(major), number(minor))
    };
    let words = |start: &'static str| {
        let headers = parts.iter().flatten().filter(|item| item.kind == Kind::Header);
        headers.filter_map(move |item| item.text.strip_prefix(start)).map(str::trim)
    };
    let newest = words(".version").max_by_key(|text| version(text)).unwrap_or("7.0");
    let target = words(".target").max_by_key(|text| number(text)).unwrap_or("sm_80");
    format!(".version {newest}\n.target {target}\n.address_size 64\n")
}
