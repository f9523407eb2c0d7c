//! Receipts, as whoever keeps them meets them: what they hold, and what no receipt is.

mod made;

use std::path::Path;

use graphproof::receipt::{self, FORMAT, Receipt, schema_text};
use graphproof_harness::report::{RunKind, Span, Timeline, Track};
use graphproof_kernels::Shape;
use made::{base, files, folder, graphproof, program, run, write};

const FUSED: [&str; 6] = ["--driver", "software", "--steps", "2", "--step", "fused"];

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/receipt.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let current = schema_text();
    if committed == current {
        return;
    }
    // Written only on demand: a drift is a decision, not an accident.
    if std::env::var_os("GRAPHPROOF_BLESS").is_some() {
        std::fs::write(path, current).expect("docs/receipt.schema.json can be written");
        return;
    }
    panic!(
        "the receipt's types and docs/receipt.schema.json differ: raise graphproof::receipt::FORMAT if an older \
         reader would misread the new form, then run this test with GRAPHPROOF_BLESS=1 and review the change"
    );
}

/// A gate of the fused lane in a folder of its own, with this variable; and what it said on standard error.
fn gate_with(arguments: &[&str], name: &str, value: &str) -> (Receipt, String) {
    let folder = folder();
    let mut gate = program(folder.path());
    gate.args(FUSED).args(["--json", "r.json"]).args(arguments).env(name, value);
    let output = gate.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    (receipt::read(&folder.path().join("r.json")).expect("a receipt"), said)
}

/// The receipt of such a gate with this much device memory.
fn gate(arguments: &[&str], memory: &str) -> Receipt {
    gate_with(arguments, "GRAPHPROOF_DEVICE_MEMORY", memory).0
}

#[test]
fn a_run_outside_a_checkout_takes_its_revision_from_the_environment() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let told = |text: &str| {
        let (receipt, said) = gate_with(&[], "GRAPHPROOF_REVISION", text);
        (receipt.provenance.git.map(|git| (git.revision, git.dirty)), said)
    };
    assert_eq!(told(commit), (Some((commit.to_owned(), false)), String::new()));
    assert_eq!(told(&format!("{commit}-dirty")).0, Some((commit.to_owned(), true)));
    assert_eq!(told(""), (None, String::new()));
    let (git, said) = told("v1.2");
    assert_eq!(git, None);
    assert!(said.contains("GRAPHPROOF_REVISION is 'v1.2'"), "{said}");
}

#[test]
fn the_software_driver_gives_no_device_times_and_says_why_once() {
    let receipt = gate(&["--no-geometry"], "1GiB");
    assert!(receipt.lanes.iter().all(|lane| lane.times.device.is_empty() && lane.speed.is_none()));
    let why = "the software driver executes kernels on the CPU: its times are no GPU's";
    assert_eq!(receipt.driver.untimed.as_deref(), Some(why));
}

#[test]
fn the_geometry_measures_the_published_figures() {
    const MIB: u64 = 1 << 20;
    let receipt = gate(&["--shape", "b=2"], "1TiB");
    assert_eq!(receipt.geometry.len(), 12, "three lanes, two lengths, one head and the run's own heads");
    for (length, slab, kept) in [(65_536, 8192, 384), (131_072, 32_768, 768)] {
        let find = |step: &str| {
            let mut all = receipt.geometry.iter().filter(|g| g.step == step && g.length == length);
            all.find(|g| g.shape.contains("b=1,h=1,")).unwrap_or_else(|| panic!("{step} at {length}"))
        };
        let term = |step: &str, what: &str| {
            let geometry = find(step);
            let mut terms = geometry.terms.iter().chain(&geometry.published);
            terms.find(|term| term.what == what).map(|term| term.bytes)
        };
        assert_eq!(term("materialized", "slab in bf16"), Some(slab * MIB));
        assert_eq!(term("materialized", "slab"), Some(2 * slab * MIB));
        assert_eq!(term("fused", "kept outputs"), Some(kept * MIB));
        assert_eq!(term("streamed", "slab"), None);
    }
    for geometry in &receipt.geometry {
        let shape: Shape = geometry.shape.parse().expect("a shape");
        assert_eq!((u64::from(shape.sq), u64::from(shape.sk)), (geometry.length, geometry.length));
        assert_eq!(geometry.terms.iter().map(|term| term.bytes).sum::<u64>(), geometry.closed_form);
        // The run's own heads at 131,072 keys are more than a tebibyte.
        match geometry.measured {
            Some(bytes) => assert_eq!(bytes, geometry.closed_form, "{} {}", geometry.step, geometry.shape),
            None => assert!(geometry.closed_form > 1 << 40, "{geometry:?}"),
        }
    }
}

#[test]
fn what_the_device_is_too_small_for_says_so_and_nothing_is_measured_unasked() {
    let receipt = gate(&[], "80GiB");
    let largest = receipt.geometry.iter().find(|g| g.step == "materialized" && g.length == 131_072).expect("a lane");
    assert_eq!(largest.measured, None);
    let why = largest.not_measured.as_deref().unwrap_or_default();
    assert_eq!(why, "it needs 192.8 GiB and the device has 80.0 GiB free");
    assert!(gate(&["--no-geometry"], "80GiB").geometry.is_empty());
}

#[test]
fn a_long_run_of_the_suite_stays_small() {
    let mut receipt = base();
    let mut lane = receipt.lanes[1].clone();
    lane.digests.steps =
        (0..10_000u64).map(|step| format!("{:016x}", step.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let span = |n: u64| Span {
        track: Track::Host(0),
        what: "cuGraphLaunch".to_owned(),
        start_ns: n * 1_000_000,
        duration_ns: 123_456,
        blocked_ns: 12_345,
        node: Some(n as u32),
    };
    let timeline = |run| Timeline { run, step: 2, spans: (0..500).map(span).collect(), dropped: 0 };
    lane.timelines = [RunKind::Eager, RunKind::Replay, RunKind::StalledStream].map(timeline).to_vec();
    receipt.lanes = (0..4).map(|seed| graphproof_harness::report::LaneReport { seed, ..lane.clone() }).collect();
    let folder = folder();
    let path = write(folder.path(), "r.json", receipt);
    let text = std::fs::read_to_string(&path).expect("readable");
    let digests = text.lines().find(|line| line.contains("9e3779b97f4a7c15")).expect("a digest");
    assert!(digests.split(',').count() >= 5, "digests share lines: {digests}");
    assert!(text.lines().any(|line| line.contains("\"track\"") && line.contains("\"node\"")), "a span is a line");
    let mebibytes = text.len() as f64 / f64::from(1 << 20);
    assert!(mebibytes < 5.0, "{mebibytes} MiB");
    eprintln!("4 lanes of 10,000 steps with 500 spans a timeline: {mebibytes:.2} MiB");
    assert_eq!(receipt::read(&path).expect("it is whole").lanes.len(), 4);
}

#[test]
fn a_kept_receipt_is_told_as_its_run_was() {
    let folder = folder();
    let live = graphproof(folder.path(), &[&FUSED[..], &["--json", "r.json", "--events", "live.jsonl"]].concat());
    let again = graphproof(folder.path(), &["report", "r.json", "--json", "copy.json", "--events", "again.jsonl"]);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&live.stdout), String::from_utf8_lossy(&again.stdout));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("written");
    assert_eq!(read("r.json"), read("copy.json"));
    let told = |name: &str| {
        read(name).lines().filter(|line| !line.contains("\"progress\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told("live.jsonl"), told("again.jsonl"));
    let mut failed = base();
    failed.exit_code = 1;
    write(folder.path(), "failed.json", failed);
    run(folder.path(), &["report", "failed.json"], 1);
}

#[test]
fn what_is_no_whole_receipt_of_this_version_is_refused() {
    let folder = folder();
    let text = std::fs::read_to_string(write(folder.path(), "r.json", base())).expect("readable");
    let format = |format: u32| text.replacen(&format!("\"format\": {FORMAT}"), &format!("\"format\": {format}"), 1);
    let steps = text.replacen("\"steps_compared\": 3", "\"steps_compared\": 4", 1);
    let cases = [
        (text[..text.len() / 2].to_owned(), "is not a whole receipt"),
        (String::new(), "is not a whole receipt"),
        (format(FORMAT + 1), "use the graphproof that wrote it, or a newer one"),
        (format(0), "run the gate again with this one"),
        (steps, "was changed after it was written"),
        (text.replacen("\"seed\":", "\"note\": \"x\", \"seed\":", 1), "was changed after it was written"),
        (text.replacen("\"exit_code\"", "\"exit\"", 1), "but unknown field `exit`"),
        ("{\"name\": 1}".to_owned(), "is JSON but no receipt"),
        ("[1, 2]".to_owned(), "is JSON but no receipt"),
    ];
    for (text, words) in cases {
        std::fs::write(folder.path().join("bad.json"), &text).expect("written");
        for arguments in [
            &["report", "bad.json"][..],
            &["diff", "bad.json", "r.json"],
            &["diff", "r.json", "bad.json"],
            &["merge", "o.json", "r.json", "bad.json"],
        ] {
            let output = run(folder.path(), arguments, 14);
            assert!(output.contains("bad.json") && output.contains(words), "{arguments:?}, no '{words}':\n{output}");
            assert!(output.starts_with("error: "), "nothing else is printed:\n{output}");
        }
    }
    assert_eq!(files(folder.path()), ["bad.json", "r.json"]);
    std::fs::write(folder.path().join("bytes"), [0xff, 0xfe, 0x00]).expect("written");
    run(folder.path(), &["report", "bytes"], 14);
    // A folder may be one of records, and this one holds none.
    run(folder.path(), &["report", "."], 16);
    run(folder.path(), &["report", "none.json"], 14);
}

#[test]
fn no_digit_can_be_changed() {
    let folder = folder();
    let path = write(folder.path(), "r.json", base());
    let text = std::fs::read_to_string(&path).expect("readable");
    let digits = text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(place, _)| place);
    for place in digits.step_by(41) {
        let mut bytes = text.clone().into_bytes();
        bytes[place] = if bytes[place] == b'9' { b'8' } else { bytes[place] + 1 };
        std::fs::write(&path, bytes).expect("written");
        assert!(receipt::read(&path).is_err(), "byte {place} of {text}");
    }
}

/// A receipt that lies where the next one shall go, and must stay as it is.
fn kept(folder: &Path) -> (&'static str, String) {
    let path = write(folder, "kept.json", base());
    ("kept.json", std::fs::read_to_string(path).expect("readable"))
}

/// Runs a shell script in which `"$0"` is the program.
fn shell(folder: &Path, script: &str) -> (Option<i32>, String) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_graphproof")]).current_dir(folder);
    for name in ["GRAPHPROOF_LOG", "GRAPHPROOF_DEVICE_MEMORY", "GITHUB_ACTIONS"] {
        shell.env_remove(name);
    }
    let output = shell.output().expect("a shell");
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), all)
}

#[test]
fn a_file_that_grows_too_large_leaves_the_old_one() {
    let folder = folder();
    let (name, before) = kept(folder.path());
    // In units of 512 bytes: more than the embedded driver library, less than the receipt.
    let gate = "ulimit -f 97; exec \"$0\" --driver software --steps 16 --json kept.json";
    let (status, output) = shell(folder.path(), gate);
    assert_eq!(status, Some(14), "{output}");
    assert!(output.contains("PASS"), "the run is told all the same:\n{output}");
    assert!(output.contains("kept.json could not be written; it is as it was before: File too large"), "{output}");
    let (status, output) = shell(folder.path(), "ulimit -f 8; exec \"$0\" --driver software");
    assert_eq!(status, Some(10), "{output}");
    assert!(output.contains("the embedded driver library cannot be written"), "{output}");
    let (status, output) = shell(folder.path(), "ulimit -f 8; exec \"$0\" merge new.json kept.json");
    assert_eq!(status, Some(14), "{output}");
    assert_eq!(std::fs::read_to_string(folder.path().join(name)).expect("readable"), before);
    assert_eq!(files(folder.path()), [name]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_file_and_no_other() {
    let folder = folder();
    // A file system of 64 KiB in a mount namespace of its own; its contents are listed at the end.
    let script = format!(
        "mkdir disk && unshare -rm sh -c 'mount -t tmpfs -o size=64k none disk || exit 99\n\
         echo old > disk/r.json && head -c 49152 /dev/zero > disk/filler\n\
         cd disk && \"$0\" {} --json r.json; code=$?; ls -a; cat r.json; exit $code' \"$0\"",
        FUSED.join(" ")
    );
    let (status, output) = shell(folder.path(), &script);
    if status == Some(99) || output.contains("unshare:") {
        eprintln!("a_full_disk_leaves_the_old_file_and_no_other is skipped: no mount namespace here: {output}");
        return;
    }
    assert_eq!(status, Some(14), "{output}");
    assert!(
        output.contains("r.json could not be written; it is as it was before: No space left on device"),
        "{output}"
    );
    assert!(output.contains("\n.\n..\nfiller\nr.json\nold\n"), "{output}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_that_takes_nothing_more_is_an_error() {
    let folder = folder();
    write(folder.path(), "r.json", base());
    let gate = format!("exec \"$0\" {}", FUSED.join(" "));
    let cases = [
        (gate.clone() + " > /dev/full", "the output could not be written"),
        (gate.clone() + " --events /dev/full", "/dev/full"),
        (gate + " --json /dev/full", "/dev/full could not be written"),
        ("exec \"$0\" report r.json > /dev/full".to_owned(), "the output could not be written"),
        ("exec \"$0\" diff r.json r.json > /dev/full".to_owned(), "standard output cannot be written"),
        ("exec \"$0\" diff r.json r.json --json /dev/full".to_owned(), "/dev/full could not be written"),
        ("exec \"$0\" merge m.json r.json > /dev/full".to_owned(), "standard output cannot be written"),
    ];
    for (script, words) in cases {
        let (status, output) = shell(folder.path(), &script);
        assert_eq!(status, Some(14), "{script}:\n{output}");
        assert!(output.contains(words) && output.contains("No space left on device"), "{script}:\n{output}");
    }
    use std::os::unix::fs::FileTypeExt as _;
    assert!(std::fs::metadata("/dev/full").expect("there").file_type().is_char_device(), "it was not replaced");
    let (status, output) = shell(folder.path(), "exec \"$0\" merge /dev/stdout r.json");
    assert_eq!(status, Some(0));
    assert!(output.contains("\"seal\""), "a receipt goes into a pipe:\n{output}");
}

#[test]
fn a_place_where_nothing_can_be_made_is_told_before_the_run() {
    let folder = folder();
    let (name, before) = kept(folder.path());
    let below = format!("{name}/r.json");
    for place in [below.as_str(), "/proc/r.json", "no/such/folder/r.json", "."] {
        for option in ["--json", "--events"] {
            let output = run(folder.path(), &[&FUSED[..], &[option, place]].concat(), 14);
            assert!(output.contains(place), "{output}");
            assert!(!output.contains("PASS"), "{output}");
        }
        let output = run(folder.path(), &["diff", name, name, "--json", place], 14);
        assert!(output.contains(&format!("the comparison cannot be written to {place}")), "{output}");
        run(folder.path(), &["merge", place, name], 14);
    }
    assert_eq!(std::fs::read_to_string(folder.path().join(name)).expect("readable"), before);
    assert_eq!(files(folder.path()), [name]);
}

#[cfg(unix)]
#[test]
fn a_link_keeps_pointing_where_it_points() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("store")).expect("made");
    std::fs::write(folder.path().join("store/real.json"), "old").expect("written");
    std::os::unix::fs::symlink("store/real.json", folder.path().join("latest.json")).expect("linked");
    write(folder.path(), "latest.json", base());
    assert!(folder.path().join("latest.json").is_symlink());
    receipt::read(&folder.path().join("store/real.json")).expect("the receipt is where the link points");
    assert_eq!(files(&folder.path().join("store")), ["real.json"]);
}
