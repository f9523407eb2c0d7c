//! `--html`, as whoever opens the file meets it: what it says, how large it is, and, where a
//! Chromium is found, how it behaves in a browser.

mod browser;
mod receipts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use graphproof::diff::{Diff, Policy};
use graphproof::receipt::Receipt;
use graphproof::report::{escape, html};

use browser::{Browser, Screen};

fn graphproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graphproof")).args(arguments).output().expect("the program starts")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether `needle` stands in `page` before `other`.
fn before(page: &str, needle: &str, other: &str) -> bool {
    matches!((page.find(needle), page.find(other)), (Some(a), Some(b)) if a < b)
}

#[test]
fn the_gate_writes_a_report_that_tells_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.html");
    let output = graphproof(&[
        "gate",
        "--driver",
        "software",
        "--step",
        "fused",
        "--step",
        "decode",
        "--steps",
        "4",
        "--shape",
        "sq=4,sk=64,h=2,d=32,topk=8",
        "--html",
        file.to_str().expect("a path in UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let page = std::fs::read_to_string(&file).expect("written");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert!(page.contains("2 steps, 8 of 8 replays equal to eager bit for bit, 0 findings"), "{page}");
    assert!(page.contains(">software driver</span>"));
    assert!(before(&page, "software driver", "id=\"lanes\""), "the driver is named first");
    assert!(before(&page, "id=\"lanes\"", "id=\"findings\"") && before(&page, "id=\"findings\"", "id=\"graphs\""));
    assert!(page.contains("fused_d32") && page.contains("cuGraphLaunch") && page.contains("closed form"));
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    for option in ["--html", "--trace"] {
        let path = folder.path().join("missing").join("file");
        let output = graphproof(&["gate", "--driver", "software", option, path.to_str().expect("a path in UTF-8")]);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(14), "{text}");
        assert!(text.contains(&format!("choose another {option} FILE")), "{text}");
        assert!(!text.contains("replays equal"), "{text}");
    }
}

#[test]
fn no_text_of_a_receipt_becomes_markup() {
    let page = html::page(&receipts::hostile());
    assert!(!page.contains(receipts::PAYLOAD), "a text is not escaped");
    // Our own script, and no other.
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.matches("&lt;img src=x onerror=").count() > 20);
}

#[test]
fn reports_stay_small_and_say_what_they_left_out() {
    for (name, receipt) in [
        ("long", receipts::long()),
        ("huge", receipts::huge()),
        ("many lanes", receipts::many_lanes()),
        ("wordy", receipts::wordy()),
    ] {
        let began = std::time::Instant::now();
        let page = html::page(&receipt);
        println!("{name}: {} bytes in {:?}", page.len(), began.elapsed());
        assert!(page.len() < html::MOST_BYTES, "{name}: {} bytes", page.len());
        if name != "long" {
            assert!(page.contains("Left out to keep this file small"), "{name}");
        }
        assert_eq!(broken_links(&page), Vec::<String>::new(), "{name}");
        assert!(!page.contains("NaN"), "{name}");
    }
    assert!(html::page(&receipts::long()).contains("Each cell stands for 79 steps"));
}

/// Links within the page without a target.
fn broken_links(page: &str) -> Vec<String> {
    let targets = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    targets.filter(|target| !page.contains(&format!("id=\"{target}\""))).map(str::to_owned).collect()
}

#[test]
fn findings_stand_with_their_place_their_help_and_their_explanation() {
    let page = html::page(&receipts::failing());
    for text in [
        "kernels/src/steps/streamed.rs:",
        "buffer &#39;scores&#39; reallocated",
        "allocate the buffer once for the largest shape",
        "What A08 means, why CUDA behaves so, and how to fix it",
        "Minimal reproduction",
    ] {
        assert!(page.contains(text) || page.contains(&text.replace("&#39;", "'")), "{text}");
    }
    // The node that holds the old address is marked and leads to its finding.
    assert!(page.contains("class=\"node hit\"") && page.contains("href=\"#finding-0-0\""));
    assert_eq!(broken_links(&page), Vec::<String>::new());
    assert_eq!(page.matches("id=\"explain-A08\"").count(), 1, "each id is explained once");
}

/// The page of a comparison under the default policy.
fn diff_page(old: &Receipt, new: &Receipt) -> String {
    let (old, new) = (escape::receipt(old), escape::receipt(new));
    let diff = Diff::between(("old.json", &old), ("new.json", &new)).expect("lanes in common");
    html::diff_page(&diff, &Policy::default().judge(&diff), &old, &new)
}

#[test]
fn a_comparison_shows_both_graphs_and_marks_what_differs() {
    let page = diff_page(&receipts::passing(), &receipts::changed());
    assert_eq!(broken_links(&page), Vec::<String>::new());
    for text in [
        "Graph of fused, old",
        "Graph of fused, new",
        "▲ differs",
        "▲ new",
        "class=\"removed\"",
        "not allowed: topology",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Lanes whose graphs are the same are not drawn.
    assert!(!page.contains("Graph of decode"));
    let same = diff_page(&receipts::passing(), &receipts::passing());
    assert!(same.contains("no difference that counts") && !same.contains("svg class=\"graph\""));
}

/// Where screenshots are wanted: a folder, by GRAPHPROOF_SCREENSHOTS.
fn screenshots() -> Option<PathBuf> {
    std::env::var_os("GRAPHPROOF_SCREENSHOTS").map(PathBuf::from)
}

#[test]
fn reports_work_in_a_browser() {
    let Some(program) = browser::find() else {
        assert!(
            std::env::var_os("GRAPHPROOF_REQUIRE_CHROMIUM").is_none(),
            "GRAPHPROOF_REQUIRE_CHROMIUM is set and no chromium is on the PATH"
        );
        println!("skipped: no chromium");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start(&program, &folder.path().join("profile"));
    let pages: [(&str, String); 8] = [
        ("pass", html::page(&receipts::passing())),
        ("fail", html::page(&receipts::failing())),
        ("hostile", html::page(&receipts::hostile())),
        ("empty", html::page(&receipts::empty())),
        ("long", html::page(&receipts::long())),
        ("huge", html::page(&receipts::huge())),
        ("diff", diff_page(&receipts::passing(), &receipts::changed())),
        ("hostile-diff", diff_page(&receipts::hostile(), &receipts::changed_hostile())),
    ];
    let mut problems = Vec::new();
    for (name, page) in pages {
        let file = folder.path().join(format!("{name}.html"));
        std::fs::write(&file, page).expect("written");
        let screens = [(1280, false), (390, true), (390, false), (1280, true)];
        // What only has to be survived is looked at on two screens.
        let looks = if matches!(name, "pass" | "fail" | "diff") { 4 } else { 2 };
        for (width, dark) in screens.into_iter().take(looks) {
            let screen = Screen { width, dark };
            let what = format!("{name} at {width} px, {}", if dark { "dark" } else { "light" });
            let (seen, complaints) = browser.look(&file, screen);
            let found = seen["problems"].as_array().expect("a list").iter().filter_map(|problem| problem.as_str());
            problems.extend(found.map(str::to_owned).chain(complaints).map(|problem| format!("{what}: {problem}")));
            // Names of a usual length are written out.
            for cut in
                seen["short"].as_array().into_iter().flatten().filter(|_| matches!(name, "pass" | "fail" | "diff"))
            {
                problems.push(format!("{what}: cut: {cut}"));
            }
            let background = seen["background"].as_str().unwrap_or_default();
            if (background == "rgb(255, 255, 255)") == dark {
                problems.push(format!("{what}: the background is {background}"));
            }
            let least = match name {
                "empty" => 0,
                "diff" | "hostile-diff" => 2,
                "hostile" => 4,
                _ => 10,
            };
            if seen["pictures"].as_u64().is_none_or(|drawn| drawn < least) {
                problems.push(format!("{what}: {} pictures", seen["pictures"]));
            }
            if let Some(out) = screenshots() {
                save(&mut browser, &out, name, screen);
            }
        }
    }
    browser.close();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn save(browser: &mut Browser, folder: &Path, name: &str, screen: Screen) {
    std::fs::create_dir_all(folder).expect("a folder");
    let shade = if screen.dark { "dark" } else { "light" };
    let file = folder.join(format!("{name}-{}-{shade}.png", screen.width));
    std::fs::write(file, browser.screenshot()).expect("written");
}
