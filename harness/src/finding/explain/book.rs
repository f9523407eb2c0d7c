//! The texts as one document, `docs/faults.md`.

use std::fmt::Write as _;

use super::{Explanation, Family, Section};
use crate::finding::Check;

const INTRODUCTION: &str = "\
# Faults

Every id that graphproof can report, and what is known about it. `graphproof explain ID` prints one of
these texts. This file is generated from `harness/src/finding/explain/`: change the texts there, and run
`UPDATE_DOCS=1 cargo test --test explain`.

*Found by* names the checks that see a fault. *Reported as* names the ids that its findings carry: not
always its own, because a check that sees an effect cannot always tell its cause. Where it says *none*,
no check reports the fault by an id, and the text says what to look at instead.

In the reproductions, `S` is the stream that is captured (made with `CU_STREAM_DEFAULT` unless
something else is said), `U` is another stream, `K` is a kernel; `GLOBAL` and `RELAXED` stand for
`CU_STREAM_CAPTURE_MODE_GLOBAL` and its like, and `...` for arguments that do not matter.

Facts carry the kind of their evidence: *documented* by NVIDIA; *measured*, asserted by a public test or
report that ran on an NVIDIA driver; *AMD*, known from AMD's implementation of the same interface only;
*source*, read in the source of the library named; *project*, graphproof's own definition; *unverified*,
believed but confirmed by nothing named here.
";

/// The document.
pub fn book() -> String {
    let mut out = INTRODUCTION.to_owned();
    out.push_str("\n## The checks\n\n| check | reads |\n|---|---|\n");
    for check in Check::ALL {
        let _ = writeln!(out, "| {} | {} |", check.name(), check.reads());
    }
    for family in Family::ALL {
        let _ = write!(out, "\n## {}\n\n| id | fault | found by |\n|---|---|---|\n", family.title());
        for text in family.texts() {
            let id = text.entry.id.as_str();
            let checks = list(text.checks());
            let _ = writeln!(out, "| [{id}](#{}) | {} | {checks} |", id.to_ascii_lowercase(), text.entry.title);
        }
    }
    for text in Family::ALL.into_iter().flat_map(Family::texts) {
        chapter(&mut out, text);
    }
    out
}

fn chapter(out: &mut String, text: &Explanation) {
    // The heading is the id alone, so that links to it outlive a better title.
    let _ = write!(out, "\n## {}\n\n**{}**\n\n", text.entry.id, text.entry.title);
    let _ = writeln!(out, "- Help: {}", text.entry.help);
    let _ = writeln!(out, "- Found by: {}", list(text.checks()));
    let _ = writeln!(out, "- Reported as: {}", list(text.reported_as()));
    for section in Section::ALL {
        let _ = write!(out, "\n### {}\n\n{}\n", section.heading(), text.body(section));
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
