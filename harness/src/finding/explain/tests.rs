//! The texts are true to the code: ids, checks, errors, functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cudarc::driver::sys::CUresult;

use super::{ALL, Explanation, Family, Section, find};
use crate::finding::{Check, Id};
use crate::vocabulary::runtime_name;

/// Names of newer drivers than the one whose names `driver/api/functions.txt` lists.
const NEWER: [&str; 0] = [];

/// NVIDIA's libraries are spelled like functions.
const LIBRARIES: [&str; 2] = ["cuBLAS", "cuDNN"];

const EVIDENCE: [&str; 6] = ["documented", "measured", "AMD", "source", "project", "unverified"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below `folder`, without what stands in its test module.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("readable");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            found.push((path, code));
        }
    }
    found
}

fn is_id(word: &str) -> bool {
    let letters = Family::ALL.map(Family::letter);
    let mut chars = word.chars();
    chars.next().is_some_and(|first| letters.contains(&first))
        && chars.clone().count() == 2
        && chars.all(|c| c.is_ascii_digit())
}

/// Ids that stand in `code`, but for those that something is compared with.
fn named(code: &str) -> BTreeSet<&str> {
    let places = code.match_indices("Id::").filter(|(at, _)| {
        let before = code[..*at].trim_end();
        !before.ends_with("==") && !before.ends_with("!=")
    });
    places.filter_map(|(at, _)| code.get(at + 4..at + 7)).filter(|word| is_id(word)).collect()
}

/// Ids that the harness reports, each with the names of the checks whose files name it.
fn reported() -> BTreeMap<String, BTreeSet<String>> {
    let mut reported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let of_programs = sources(&workspace().join("harness/trace/src"));
    for id in of_programs.iter().flat_map(|(_, code)| named(code)) {
        reported.entry(id.to_owned()).or_default().insert(Check::Trace.name().to_owned());
    }
    for (path, code) in sources(&workspace().join("harness/src")) {
        if path.components().any(|part| part.as_os_str() == "finding") {
            continue;
        }
        let check = code.split_once("const CHECK: Check = Check::").and_then(|(_, rest)| rest.split(';').next());
        let check = check.map(|check| {
            let known = Check::ALL.iter().find(|known| format!("{known:?}") == check);
            known.unwrap_or_else(|| panic!("{}: {check}", path.display())).name()
        });
        for id in named(&code) {
            reported.entry(id.to_owned()).or_default().extend(check.map(str::to_owned));
        }
    }
    reported
}

/// Words of Markdown: runs of the characters that names consist of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn whole(text: &Explanation) -> String {
    let bodies: Vec<_> = Section::ALL.iter().map(|section| text.body(*section)).collect();
    format!("{}\n{}\n{}", text.entry.title, text.entry.help, bodies.join("\n\n"))
}

#[test]
fn every_id_has_its_text_in_its_own_place() {
    for &id in Id::ALL {
        assert_eq!((id.explanation().entry.id, id.as_str().parse()), (id, Ok(id)));
    }
    for &check in Check::ALL {
        assert_eq!(check.name().parse(), Ok(check));
    }
    assert!("Z99".parse::<Id>().is_err() && "guesses".parse::<Check>().is_err());
}

#[test]
fn texts_say_rightly_which_ids_are_reported() {
    let reported = reported();
    let mut wrong = Vec::new();
    for text in ALL.iter() {
        let id = text.entry.id.as_str();
        let (says, is) = (text.reported_as().any(|other| other == id), reported.contains_key(id));
        if says != is {
            let to = if is { "must name" } else { "must not name" };
            wrong.push(format!("{id}.md: 'Reported as' {to} {id}"));
        }
        for other in text.reported_as().filter(|other| !reported.contains_key(*other) && *other != id) {
            wrong.push(format!("{id}.md: 'Reported as' names {other}, which no check reports"));
        }
        for check in reported.get(id).into_iter().flatten() {
            if !text.checks().any(|name| name == check) {
                wrong.push(format!("{id}.md: 'Found by' must name the check '{check}'"));
            }
        }
        for other in text.reported_as().filter_map(find) {
            if !other.checks().any(|check| text.checks().any(|own| own == check)) {
                wrong.push(format!("{id}.md: reported as {}, but found by none of its checks", other.entry.id));
            }
        }
        if text.checks().count() == 0 && text.reported_as().count() > 0 {
            wrong.push(format!("{id}.md: reported, but found by nothing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn checks_are_known_by_their_names() {
    let known: BTreeSet<_> = Check::ALL.iter().map(|check| check.name()).collect();
    let mut wrong = Vec::new();
    for text in ALL.iter() {
        let (id, detection) = (text.entry.id, text.body(Section::Detection));
        for check in text.checks() {
            if !known.contains(check) {
                wrong.push(format!("{id}.md: no check is named '{check}'"));
            } else if !detection.contains(check) {
                wrong.push(format!("{id}.md: the detection does not say what '{check}' sees"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for check in reported().values().flatten() {
        assert!(known.contains(check.as_str()), "check.rs does not describe the check '{check}'");
    }
}

#[test]
fn ids_in_the_text_exist() {
    for text in ALL.iter() {
        for word in words(&whole(text)).filter(|word| is_id(word)) {
            assert!(find(word).is_some(), "{} refers to {word}", text.entry.id);
        }
    }
}

#[test]
fn texts_stand_in_the_order_of_their_families() {
    let by_family: Vec<_> = Family::ALL.into_iter().flat_map(Family::texts).map(|text| text.entry.id).collect();
    assert_eq!(ALL.iter().map(|text| text.entry.id).collect::<Vec<_>>(), by_family);
    for family in Family::ALL {
        let ids: Vec<_> = family.texts().map(|text| text.entry.id).collect();
        assert!(ids.is_sorted() && !ids.is_empty(), "{ids:?}");
    }
}

#[test]
fn reproductions_are_one_block_of_code_and_the_rest_is_plain() {
    for text in ALL.iter() {
        let id = text.entry.id;
        let reproduction = text.body(Section::Reproduction);
        assert!(reproduction.starts_with("```c\n") || reproduction.starts_with("```rust\n"), "{id}");
        assert!(reproduction.ends_with("\n```") && reproduction.matches("```").count() == 2, "{id}");
        let text = whole(text);
        assert_eq!(text.matches("```").count() % 2, 0, "{id}");
        for line in text.lines().skip(2) {
            assert!(line.chars().count() <= 106 && line.trim_end() == line, "{id}: {line}");
            assert!(!line.starts_with(['#', '|', '*']), "{id}: {line}");
        }
    }
}

#[test]
fn sources_carry_their_kind_of_evidence_and_name_issues_in_full() {
    for text in ALL.iter() {
        let id = text.entry.id;
        let sources = text.body(Section::Sources);
        for item in sources.split("\n- ").map(|item| item.trim_start_matches("- ")) {
            let kind = item.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or_default();
            assert!(EVIDENCE.contains(&kind), "{id}: {item}");
        }
        for word in whole(text).split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | ')' | '(')) {
            let Some((repository, number)) = word.trim_end_matches('.').split_once('#') else { continue };
            let full = repository.split('/').filter(|part| !part.is_empty()).count() == 2;
            assert!(full && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()), "{id}: {word}");
        }
    }
}

#[test]
fn functions_exist() {
    let symbols: BTreeSet<_> =
        graphproof_api::functions().iter().map(graphproof_api::Function::base).chain(NEWER).chain(LIBRARIES).collect();
    let mut unknown = Vec::new();
    for text in ALL.iter() {
        let all = whole(text);
        let functions = words(&all).filter(|word| {
            word.strip_prefix("cu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        });
        for function in functions {
            // `cuMemPool*` stands for all that begin so.
            let exists = symbols.contains(function)
                || all.contains(&format!("{function}*")) && symbols.iter().any(|symbol| symbol.starts_with(function));
            if !exists {
                unknown.push(format!("{} names {function}", text.entry.id));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn errors_have_their_number_and_their_name_in_the_runtime() {
    use CUresult::*;
    let known: BTreeMap<String, u32> = [
        CUDA_ERROR_INVALID_VALUE,
        CUDA_ERROR_OUT_OF_MEMORY,
        CUDA_ERROR_ILLEGAL_STATE,
        CUDA_ERROR_ILLEGAL_ADDRESS,
        CUDA_ERROR_CONTEXT_IS_DESTROYED,
        CUDA_ERROR_MISALIGNED_ADDRESS,
        CUDA_ERROR_LAUNCH_FAILED,
        CUDA_ERROR_NOT_SUPPORTED,
        CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
        CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
        CUDA_ERROR_STREAM_CAPTURE_MERGE,
        CUDA_ERROR_STREAM_CAPTURE_UNMATCHED,
        CUDA_ERROR_STREAM_CAPTURE_UNJOINED,
        CUDA_ERROR_STREAM_CAPTURE_ISOLATION,
        CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
        CUDA_ERROR_CAPTURED_EVENT,
        CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD,
        CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
    ]
    .into_iter()
    .map(|error| (format!("{error:?}"), error as u32))
    .collect();
    let mut seen = 0;
    for text in ALL.iter() {
        let id = text.entry.id;
        // Line breaks do not matter; `NAME` (number, runtime: `name`) may stand over two lines.
        let all = whole(text).split_whitespace().collect::<Vec<_>>().join(" ");
        for (at, _) in all.match_indices("CUDA_ERROR_") {
            let name = words(&all[at..]).next().unwrap_or_default();
            let number = known.get(name).unwrap_or_else(|| panic!("{id} names {name}; add it to this test's list"));
            let rest = all[at + name.len()..].trim_start_matches('`').trim_start();
            let Some(inside) = rest.strip_prefix('(').and_then(|rest| rest.split(')').next()) else { continue };
            let inside = inside.replace('`', "");
            let (given, runtime) = match inside.split_once(", runtime: ") {
                Some((given, runtime)) => {
                    (given.to_owned(), Some(runtime.split([';', ' ']).next().unwrap_or_default()))
                }
                None => (inside.clone(), None),
            };
            assert_eq!(given, number.to_string(), "{id}: {name}");
            if let Some(runtime) = runtime {
                assert_eq!(Some(runtime), runtime_name(*number).as_deref(), "{id}: {name}");
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} errors have their number beside them");
}
