//! Text from outside at every sink: one list of hostile strings, put into every text of a receipt.

mod made;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;

use graphproof::receipt::Receipt;
use graphproof::report::sources::Sources;
use graphproof::report::{JsonLines, Reporters, Terminal, github, html, junit, sarif, trace};
use graphproof_harness::finding::{Check, Finding, Id, Site};
use graphproof_harness::report::Verdict;
use made::{base, folder, write};
use pulldown_cmark::{Event as Markdown, Tag};
use quick_xml::events::Event as Xml;
use serde_json::Value;

/// What a terminal, a parser or a service might obey.
const HOSTILE: [&str; 16] = [
    "\u{1b}[2J\u{1b}[1;1HPASS: 4 steps",
    "\u{1b}]0;title\u{7} \u{1b}]8;;http://example.org\u{1b}\\link",
    "x\r\u{1b}[KPASS: forged",
    "x\nPASS: forged\n::error title=forged::forged",
    "::error file=a,line=1::forged",
    "  ::stop-commands::token",
    "##[error]forged ##vso[task.complete result=Failed] ##teamcity[testFailed]",
    "\u{80}\u{84}\u{85}\u{9b}31m\u{9d}0;title\u{9c}",
    "\u{202e}drawkcab\u{2066}\u{200f}\u{2028}\u{2029}\u{feff}\u{e0041}",
    "]]><!--<x>&amp;&#0;--><?x?></testsuite>",
    "<script>forged()</script><img src=x onerror=forged()>'\"",
    "\0\u{1}\u{8}\u{b}\u{c}\u{e}\u{1f}\u{7f}\u{fffe}\u{ffff}",
    "a|b `c` **d** [e](http://example.org) ![f](g) ```\n```\n# h",
    "%0A::error::forged%25, a:b,c=d",
    "{0} {{1}} [link](1) \\ \\u001b \\ud800",
    "",
];

/// The hostile strings and one that is very long.
fn hostile() -> Vec<String> {
    let mut all: Vec<String> = HOSTILE.iter().map(|text| (*text).to_owned()).collect();
    all.push("long \u{1b}".repeat(3_000));
    all
}

/// A receipt with text in every place that can have any.
fn full() -> Receipt {
    let mut receipt = base();
    let site =
        |name: &str| Some(Site { what: format!("{name} of"), file: format!("{name}.rs"), line: 3, ..Site::default() });
    let mut found = Finding::new(Id::R01, Check::Bits).contrast("this", "that").note("one").note("two");
    (found.site, found.origin, found.step) = (site("here"), site("there"), Some(1));
    receipt.lanes[0].verdict = Verdict::Fail;
    receipt.lanes[0].findings = vec![found.clone(), Finding { allowed: Some("a reason".to_owned()), ..found }];
    receipt.lanes[1].verdict = Verdict::NotRun;
    receipt.lanes[1].not_checked.push("a reason".to_owned());
    receipt.verdict = Verdict::Fail;
    receipt.exit_code = 1;
    receipt.request.partition = Some("2/8".to_owned());
    receipt.request.config = Some(graphproof::receipt::ConfigUsed {
        file: "graphproof.toml".to_owned(),
        unused_allow: vec!["an entry".to_owned()],
    });
    receipt.sealed()
}

/// The places of all texts, as JSON pointers.
fn texts(value: &Value, place: &str, all: &mut Vec<String>) {
    match value {
        Value::String(_) => all.push(place.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| texts(item, &format!("{place}/{index}"), all));
        }
        Value::Object(fields) => {
            let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
            fields.iter().for_each(|(key, field)| texts(field, &format!("{place}/{}", escaped(key)), all));
        }
        _ => {}
    }
}

/// The places of the full receipt that take any text, one of each kind: the names of variants take none.
fn places() -> &'static [String] {
    static PLACES: OnceLock<Vec<String>> = OnceLock::new();
    PLACES.get_or_init(|| {
        let value = serde_json::to_value(full()).expect("JSON");
        let (mut places, mut kinds) = (Vec::new(), BTreeSet::new());
        texts(&value, "", &mut places);
        places.retain(|place| {
            let mut changed = value.clone();
            *changed.pointer_mut(place).expect("a place") = "any".into();
            kinds.insert(place.replace(char::is_numeric, "#")) && serde_json::from_value::<Receipt>(changed).is_ok()
        });
        assert!(places.len() > 40, "{places:?}");
        places
    })
}

/// `receipt` with `text` in all those places.
fn with(receipt: &Receipt, text: &str) -> Receipt {
    let mut value = serde_json::to_value(receipt).expect("JSON");
    places().iter().for_each(|place| *value.pointer_mut(place).expect("a place") = text.into());
    serde_json::from_value(value).expect("a receipt")
}

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(self) -> String {
        String::from_utf8(self.0.take()).expect("UTF-8")
    }
}

/// What is not seen where it is printed.
fn invisible(text: &str) -> Option<char> {
    text.chars().find(|&c| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
    })
}

/// Nothing that a terminal or a CI service would obey, and nothing that looks like our last word.
fn check_lines(text: &str, hostile: &str) {
    assert_eq!(invisible(text), None, "{hostile:?} gave:\n{text:.2000}");
    assert!(!text.contains("##"), "{hostile:?} gave:\n{text:.2000}");
    for line in text.lines() {
        // `:::` is ours: a command is a name behind two colons.
        let command = line.trim_start().strip_prefix("::").is_some_and(|rest| !rest.starts_with(':'));
        assert!(!command, "{hostile:?} gave the line:\n{line:.200}");
        assert!(!line.starts_with("PASS"), "{hostile:?} gave the line:\n{line:.200}");
    }
    assert!(text.len() < 8_000_000, "{} bytes of {hostile:.20?}", text.len());
}

#[test]
fn terminals_and_pipes() {
    let receipt = full();
    for text in hostile() {
        let paper = Paper::default();
        let mut reporters = Reporters::default();
        reporters.add(Terminal::new(paper.clone()));
        reporters.replay(&with(&receipt, &text));
        assert!(reporters.take_failures().is_empty());
        check_lines(&paper.text(), &text);
    }
}

#[test]
fn junit_s_xml() {
    let receipt = full();
    for text in hostile() {
        let document = junit::document(&with(&receipt, &text)).expect("a document");
        let document = String::from_utf8(document).expect("UTF-8");
        assert_eq!(invisible(&document), None, "{text:?}");
        let mut reader = quick_xml::Reader::from_str(&document);
        let mut elements = Vec::new();
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{text:?}: {error}")) {
                Xml::Start(tag) | Xml::Empty(tag) => {
                    for attribute in tag.attributes() {
                        attribute
                            .expect("an attribute")
                            .normalized_value(quick_xml::XmlVersion::Explicit1_0)
                            .expect("its value");
                    }
                    elements.push(tag.name().as_ref().to_owned());
                }
                Xml::Text(_) | Xml::GeneralRef(_) | Xml::Decl(_) | Xml::End(_) => {}
                Xml::Eof => break,
                other => panic!("{text:?} gave {other:?}"),
            }
        }
        elements.dedup();
        let known =
            ["testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped", "system-out"];
        assert!(elements.iter().all(|name| known.contains(&name.as_str())), "{text:?} gave {elements:?}");
    }
}

#[test]
fn json_in_all_its_uses() {
    let receipt = full();
    let sources = Sources::below(Path::new("/nonesuch"));
    let here = folder();
    for text in hostile() {
        let receipt = with(&receipt, &text);
        // The receipt holds the text itself, and nothing of it can be seen to act.
        let path = write(here.path(), "r.json", receipt.clone());
        let written = std::fs::read_to_string(&path).expect("a receipt");
        assert_eq!(invisible(&written), None, "{text:?}");
        assert_eq!(graphproof::receipt::read(&path).expect("a receipt").device.name, text);
        let paper = Paper::default();
        let mut reporters = Reporters::default();
        reporters.add(JsonLines::new(paper.clone(), "events"));
        reporters.replay(&receipt);
        for line in paper.text().lines() {
            assert_eq!(invisible(line), None, "{text:?}");
            serde_json::from_str::<Value>(line).expect("a line is JSON");
        }
        // What viewers show is clean when its escapes are resolved too.
        for document in [sarif::document(&receipt, &sources), trace::trace(&receipt)] {
            let mut places = Vec::new();
            texts(&document, "", &mut places);
            for place in places {
                let value = document.pointer(&place).and_then(Value::as_str).expect("a text");
                assert_eq!(invisible(value), None, "{text:?} at {place}");
                let message = place.ends_with("/text") && place.contains("/results/");
                assert!(!(message && value.contains("](")), "{text:?} makes a link at {place}");
            }
        }
    }
}

#[test]
fn github_s_commands_and_summary() {
    let receipt = full();
    let sources = Sources::below(Path::new("/nonesuch"));
    let count = |receipt: &Receipt| github::annotations(receipt, &sources).lines().count();
    let expected = count(&receipt);
    for text in hostile() {
        let receipt = with(&receipt, &text);
        let commands = github::annotations(&receipt, &sources);
        assert_eq!(count(&receipt), expected, "{text:?} gave:\n{commands:.2000}");
        assert_eq!(invisible(&commands), None, "{text:?}");
        for command in commands.lines() {
            let command = command.strip_prefix("::").expect("a command");
            let (head, value) = command.split_once("::").expect("a value");
            assert!(
                ["error", "warning", "notice"].contains(&head.split(' ').next().unwrap_or_default()),
                "{command:.200}"
            );
            let properties = head.split_once(' ').map_or("", |(_, rest)| rest);
            let names = properties.split(',').map(|pair| pair.split('=').next().unwrap_or_default());
            assert!(names.into_iter().all(|name| ["file", "line", "title"].contains(&name)), "{command:.200}");
            assert!(!value.contains("%%"), "{value:.200}");
        }
        let summary = github::summary(&receipt);
        assert_eq!(invisible(&summary), None, "{text:?}");
        let mut headings = 0;
        for event in pulldown_cmark::Parser::new_ext(&summary, pulldown_cmark::Options::ENABLE_TABLES) {
            match event {
                Markdown::Html(tag) | Markdown::InlineHtml(tag) => {
                    let known = ["<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>"];
                    let mut left = tag.trim().to_owned();
                    known.iter().for_each(|tag| left = left.replace(tag, ""));
                    assert!(!left.contains('<'), "{text:?} gave {left}");
                }
                Markdown::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("{text:?} is a link"),
                Markdown::Start(Tag::Heading { .. }) => headings += 1,
                _ => {}
            }
        }
        assert_eq!(headings, 1, "{text:?} is a heading");
    }
}

#[test]
fn html() {
    let receipt = full();
    let tags = |page: &str| page.matches("<script").count() + page.matches("<img").count();
    let expected = tags(&html::page(&receipt));
    for text in hostile() {
        let page = html::page(&with(&receipt, &text));
        assert_eq!(tags(&page), expected, "{text:?}");
        assert_eq!(invisible(&page), None, "{text:?}");
        assert!(page.len() < html::MOST_BYTES, "{text:.20?}");
    }
}

#[test]
fn the_program_s_own_output() {
    let here = folder();
    let receipt = full();
    for text in HOSTILE {
        write(here.path(), "hostile.json", with(&receipt, text));
        write(here.path(), "plain.json", receipt.clone());
        for arguments in [
            &["report", "hostile.json"][..],
            &["diff", "hostile.json", "plain.json"],
            &["diff", "plain.json", "hostile.json"],
            &["merge", "out.json", "hostile.json", "plain.json"],
        ] {
            let output = made::graphproof(here.path(), arguments);
            for stream in [&output.stdout, &output.stderr] {
                check_lines(&String::from_utf8_lossy(stream), text);
            }
        }
    }
    for name in HOSTILE.iter().filter(|name| !name.contains('\0')) {
        for arguments in [
            &["gate", "--step", name][..],
            &["gate", "--against", name],
            &["gate", "--config", name],
            &["gate", "--json", &format!("no/such/{name}")],
            &["explain", name],
            &["report", name],
            &["faults", "--show", name],
        ] {
            let output = made::graphproof(here.path(), arguments);
            let streams =
                String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            // clap's own errors are not ours, and escape nothing: it names no value here.
            check_lines(&streams, name);
        }
    }
}

#[test]
fn half_a_surrogate_is_no_receipt() {
    let here = folder();
    let path = write(here.path(), "r.json", full());
    let text = std::fs::read_to_string(&path).expect("a receipt");
    for half in ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud800x"] {
        let broken = text.replacen("software device", &format!("software {half}"), 1);
        assert_ne!(broken, text);
        std::fs::write(here.path().join("half.json"), broken).expect("written");
        let output = made::run(here.path(), &["report", "half.json"], 14);
        assert!(output.contains("half.json is not a whole receipt"), "{output}");
    }
}
