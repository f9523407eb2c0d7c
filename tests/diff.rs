//! `graphproof diff`: what two receipts tell about a change.

mod made;

use std::path::Path;

use graphproof::receipt::Receipt;
use graphproof_harness::finding::{Check, Finding, Id};
use graphproof_harness::report::{Achieved, Beside, BufferBytes, OfCeiling, Verdict};
use made::{base, folder, run, spread, write};

/// The base and a changed copy, in a folder.
fn pair(change: impl FnOnce(&mut Receipt)) -> tempfile::TempDir {
    let folder = folder();
    let mut new = base();
    change(&mut new);
    write(folder.path(), "old.json", base());
    write(folder.path(), "new.json", new);
    folder
}

fn diff(folder: &Path, arguments: &[&str], code: i32) -> String {
    run(folder, &[&["diff", "old.json", "new.json"], arguments].concat(), code)
}

/// Compares the base with a changed copy.
fn compare(change: impl FnOnce(&mut Receipt), arguments: &[&str], code: i32) -> String {
    diff(pair(change).path(), arguments, code)
}

fn finding() -> Finding {
    let mut finding = Finding::new(Id::A08, Check::Addresses);
    finding.site = Some(graphproof_harness::finding::Site {
        what: "launch of fused_d64".to_owned(),
        file: "kernels/src/steps/fused.rs".to_owned(),
        line: 28,
        ..Default::default()
    });
    finding
}

fn more_memory(receipt: &mut Receipt) {
    let memory = receipt.lanes[0].memory.as_mut().expect("measured");
    memory.high_water += 512;
    memory.closed_form = memory.closed_form.map(|bytes| bytes + 512);
    memory.buffers.push(BufferBytes { name: "extra".to_owned(), role: "scratch".to_owned(), bytes: 512 });
}

fn another_graph(receipt: &mut Receipt) {
    let graph = receipt.lanes[0].graph.as_mut().expect("captured");
    graph.topology.push("2: memset".to_owned());
}

fn another_launch(receipt: &mut Receipt) {
    let nodes = &mut receipt.lanes[0].graph.as_mut().expect("captured").node_list;
    let kernel = nodes.iter().find(|node| node.kernel.is_some()).expect("a kernel").clone();
    nodes.push(kernel);
}

fn other_bits(receipt: &mut Receipt) {
    let digests = &mut receipt.lanes[0].digests;
    digests.steps[1] = "00000000000000cc".to_owned();
    digests.buffers.insert("score".to_owned(), "00000000000000dd".to_owned());
}

fn everything(receipt: &mut Receipt) {
    other_bits(receipt);
    more_memory(receipt);
    another_graph(receipt);
    another_launch(receipt);
    receipt.provenance.graphproof = "9.9.9".to_owned();
    receipt.device.name = "another device".to_owned();
    receipt.request.kernels = "kernels compiled now (NVRTC 12.8)".to_owned();
    receipt.sources[0].ptx_sha256 = "00".repeat(32);
    receipt.lanes[0].findings.push(finding());
    receipt.lanes[0].verdict = Verdict::Fail;
    receipt.lanes[0].not_checked.push("guards around buffers".to_owned());
    receipt.lanes[1].digests.inputs = "00000000000000ab".to_owned();
    let mut lane = receipt.lanes[1].clone();
    lane.seed = 7;
    receipt.lanes.push(lane);
}

#[test]
fn every_change_is_told() {
    let output = compare(everything, &["--allow", "memory,launches", "--allow", "topology"], 1);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"graphproof \d+\.\d+\.\d+", "graphproof [version]");
    settings.bind(|| insta::assert_snapshot!("diff_everything", output));
}

#[test]
fn equal_runs_pass() {
    let output = compare(|_| {}, &[], 0);
    assert!(output.ends_with("PASS: 2 lanes compared, no difference that counts\n"), "{output}");
    assert!(output.contains("bits       the same in 3 steps"), "{output}");
    assert!(output.contains("within the spread: noise"), "{output}");
}

#[test]
fn each_kind_fails_alone_and_passes_when_it_is_allowed() {
    type Change = fn(&mut Receipt);
    let cases: [(&str, Change); 7] = [
        ("bits", other_bits),
        ("topology", another_graph),
        ("launches", another_launch),
        ("memory", more_memory),
        ("findings", |receipt| receipt.lanes[0].findings.push(finding())),
        ("inputs", |receipt| receipt.lanes[0].digests.inputs = "00000000000000ff".to_owned()),
        ("lanes", |receipt| receipt.lanes.truncate(1)),
    ];
    for (kind, change) in cases {
        let output = compare(change, &[], 1);
        assert!(output.contains(&format!("not allowed: {kind} (")), "{kind}:\n{output}");
        let output = compare(change, &["--allow", kind], 0);
        assert!(output.contains(&format!("; allowed: {kind} (")), "{kind}:\n{output}");
    }
}

#[test]
fn what_could_not_be_compared_does_not_pass() {
    let output = compare(|receipt| receipt.lanes[0].digests.steps.clear(), &[], 1);
    assert!(output.contains("bits       not compared: the new run compared no step"), "{output}");
    let output = compare(|receipt| receipt.lanes[1].verdict = Verdict::NotRun, &[], 1);
    assert!(output.contains("not allowed: lanes (decode)"), "{output}");
}

#[test]
fn a_shorter_run_is_compared_as_far_as_it_went() {
    let shorter = |receipt: &mut Receipt| {
        receipt.lanes[0].digests.steps.truncate(2);
        receipt.lanes[0].digests.inputs = "00000000000000ff".to_owned();
    };
    let output = compare(shorter, &[], 0);
    assert!(output.contains("bits       the same in 2 steps"), "{output}");
}

#[test]
fn memory_may_grow_as_far_as_said() {
    // 512 of 162,816 bytes are 0.31 %.
    compare(more_memory, &["--max-memory-growth", "0.3"], 1);
    let output = compare(more_memory, &["--max-memory-growth", "0.4%"], 0);
    assert!(output.contains("(+0.31 %)") && output.contains("extra 0 B -> 512 B"), "{output}");
}

#[test]
fn times_fail_on_demand_only_and_never_within_the_spread() {
    let slower = |receipt: &mut Receipt| receipt.lanes[0].times.replay = spread(1_800_000);
    let output = compare(slower, &[], 0);
    assert!(output.contains("replay 900.0 us -> 1.8 ms (+100.0 %, beyond the spread)"), "{output}");
    compare(slower, &["--max-time-growth", "100"], 0);
    let output = compare(slower, &["--max-time-growth", "99"], 1);
    assert!(output.contains("not allowed: time (fused)"), "{output}");
    let noise = |receipt: &mut Receipt| receipt.lanes[0].times.replay = spread(940_000);
    compare(noise, &["--max-time-growth", "0"], 0);
    // On another device no limit can be checked.
    let device = |receipt: &mut Receipt| receipt.device.name = "another".to_owned();
    compare(device, &[], 0);
    compare(device, &["--max-time-growth", "1000"], 1);
}

#[test]
fn what_a_lane_achieves_on_the_device_is_told_of_both_runs() {
    let timed = |nanoseconds: u64| {
        let mut receipt = base();
        let lane = &mut receipt.lanes[0];
        lane.times.device = spread(nanoseconds);
        let mut speed = Achieved::of(1e12, nanoseconds);
        speed.ceiling = Some(OfCeiling { what: "wgmma".to_owned(), tflops: 1000.0, share: speed.tflops / 1000.0 });
        speed.beside = Some(Beside { step: "materialized".to_owned(), times_as_fast: 8e6 / nanoseconds as f64 });
        lane.speed = Some(speed);
        receipt
    };
    let folder = folder();
    write(folder.path(), "old.json", timed(4_000_000));
    write(folder.path(), "new.json", timed(2_000_000));
    let output = diff(folder.path(), &["--json", "diff.json"], 0);
    assert!(output.contains("device     replay 4.0 ms -> 2.0 ms (-50.0 %, beyond the spread)"), "{output}");
    let line =
        "speed      250.0 -> 500.0 TFLOP/s; 25.0 % -> 50.0 % of wgmma; 2.00 -> 4.00 times as fast as materialized";
    assert!(output.contains(line), "{output}");
    let json = std::fs::read_to_string(folder.path().join("diff.json")).expect("written");
    assert!(json.contains("\"device\"") && json.contains("\"speed\""), "{json}");
    // Of one run alone, or on another device, there is nothing to tell.
    write(folder.path(), "old.json", base());
    assert!(!diff(folder.path(), &[], 0).contains("TFLOP/s"));
}

#[test]
fn a_finding_is_the_same_when_its_line_moved() {
    let folder = folder();
    let (mut old, mut new) = (base(), base());
    old.lanes[0].findings.push(finding());
    new.lanes[0].findings.push(finding());
    new.lanes[0].findings[0].site.as_mut().expect("a site").line += 10;
    write(folder.path(), "old.json", old.clone());
    write(folder.path(), "new.json", new);
    run(folder.path(), &["diff", "old.json", "new.json"], 0);
    write(folder.path(), "new.json", base());
    let output = run(folder.path(), &["diff", "old.json", "new.json"], 0);
    assert!(output.contains("findings   lost error[A08]"), "{output}");
}

#[test]
fn receipts_of_different_shapes_have_nothing_to_compare() {
    let other = |receipt: &mut Receipt| {
        for lane in &mut receipt.lanes {
            lane.shape = "sq=1,sk=1,b=1,h=1,d=32,topk=1".to_owned();
        }
    };
    let output = compare(other, &[], 2);
    assert!(output.contains("old.json and new.json have no lane in common"), "{output}");
    assert!(output.contains("the second ran fused (sq=1,sk=1,b=1,h=1,d=32,topk=1, seed 0)"), "{output}");
}

#[test]
fn the_comparison_is_written_as_json() {
    let folder = pair(other_bits);
    diff(folder.path(), &["--json", "d.json"], 1);
    let text = std::fs::read_to_string(folder.path().join("d.json")).expect("written");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["judgement"]["failing"], serde_json::json!([["bits", "fused"]]));
    let bits = serde_json::json!({"result":"differ","first":1,"differing":1,"steps":3,"buffers":["score"]});
    assert_eq!(json["lanes"][0]["bits"], bits);
}

#[test]
fn words_that_are_no_policy_are_refused() {
    let output = compare(|_| {}, &["--allow", "speed"], 2);
    assert!(output.contains("'speed' is none of bits, topology, findings"), "{output}");
    for percent in ["-1", "much", "nan"] {
        compare(|_| {}, &[&format!("--max-memory-growth={percent}")], 2);
    }
    let output = run(folder().path(), &["gate", "--driver", "software", "--allow", "bits"], 2);
    assert!(output.contains("pass --against REV too"), "{output}");
}

#[test]
fn a_finding_that_the_configuration_allows_may_be_new() {
    let allowed = |receipt: &mut Receipt| {
        let mut finding = finding();
        finding.allowed = Some("known, see the issue".to_owned());
        receipt.lanes[0].findings.push(finding);
    };
    let output = compare(allowed, &[], 0);
    assert!(output.contains("findings   gained allowed[A08]"), "{output}");
}

#[test]
fn the_configuration_says_which_differences_pass_and_the_command_line_wins() {
    let folder = pair(other_bits);
    let say = |text: &str| std::fs::write(folder.path().join("graphproof.toml"), text).expect("writable");
    let diff = |more: &[&str], code| diff(folder.path(), more, code);
    say("[diff]\nallow = ['bits']\n");
    assert!(diff(&[], 0).contains("allowed: bits"));
    diff(&["--allow", "memory"], 1);
    diff(&["--no-config"], 1);
    say("[diff]\nallow = ['bitz']\n");
    assert!(diff(&[], 2).contains("graphproof.toml:2:10: 'bitz' is none of bits, topology"));
}

#[test]
fn the_comparison_is_written_as_a_page_too_and_never_over_what_is_read() {
    let folder = pair(everything);
    let told = diff(folder.path(), &["--html", "diff.html", "--json", "diff.json"], 1);
    let page = std::fs::read_to_string(folder.path().join("diff.html")).expect("a page");
    for line in told.lines().filter(|line| line.contains("differ from step") || line.starts_with("FAIL: ")) {
        let words = line.trim_start_matches("FAIL: ").trim().trim_start_matches("bits").trim();
        assert!(page.contains(&words.replace('>', "&gt;")), "{words}");
    }
    for taken in ["old.json", "new.json"] {
        diff(folder.path(), &["--html", taken], 2);
    }
    diff(folder.path(), &["--html", "same", "--json", "same"], 2);
}
