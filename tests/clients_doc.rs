//! docs/without-a-gpu.md says of each kind of program whether it runs: its evidence is a line of the clients'
//! lists that passes, or a test of the driver.

use std::path::Path;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The tests that a list expects to pass.
fn passes(path: &str) -> Vec<String> {
    let lines = text(path);
    lines.lines().filter_map(|line| line.strip_prefix("pass ")).map(|name| name.trim().to_owned()).collect()
}

#[test]
fn the_evidence_of_each_row_passes() {
    let mut known = passes("tests/clients/runtime/results.txt");
    known.extend(passes("tests/clients/python/results.txt"));
    let page = text("docs/without-a-gpu.md");
    let table =
        page.split("## What runs").nth(1).and_then(|rest| rest.split("\n\nThe words").next()).expect("the table");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 15, "{table}");
    for row in &rows[1..] {
        let (kind, runs, evidence) = (row[1], row[2], row[4].trim_matches('`'));
        let shown = evidence.is_empty() && !runs.starts_with("yes")
            || known.iter().any(|name| name == evidence)
            || evidence.starts_with("driver/") && Path::new(env!("CARGO_MANIFEST_DIR")).join(evidence).exists();
        assert!(shown, "{kind}: {runs}, and `{evidence}` does not show it");
    }
}

#[test]
fn every_failure_in_a_list_has_its_reason() {
    for path in ["tests/clients/runtime/results.txt", "tests/clients/python/results.txt"] {
        for line in text(path).lines().filter(|line| !line.starts_with('#') && !line.starts_with("pass ")) {
            assert!(line.split_whitespace().count() > 3, "{path}: no reason: {line}");
        }
    }
}
