//! A run that is stopped says so, and writes what was asked for.
#![cfg(unix)]

mod checkout;
mod made;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graphproof::receipt;
use graphproof_harness::driver::{self, DriverChoice};
use graphproof_harness::error::StepResult;
use graphproof_harness::gate::{self, GateConfig};
use graphproof_harness::report::Verdict;
use graphproof_harness::step::{BufferSpec, DType, HostBuffers, Module, Step};
use made::{files, folder, run};

/// A gate that would take for ever.
const ENDLESS: [&str; 14] = [
    "gate",
    "--driver",
    "software",
    "--steps",
    "1000000000",
    "--step",
    "fused",
    "--step",
    "decode",
    "--json",
    "r.json",
    "--junit",
    "r.xml",
    "--sarif=r.sarif",
];

/// Twice at once: so does `timeout`, to its child and to the child's group.
fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let kill = Command::new("kill").args([name, &id, &id]).status().expect("kill runs");
    assert!(kill.success());
}

/// Starts `command`, sends it the signals once its heading is printed, and waits: its code, and both of
/// its outputs.
fn stopped(mut command: Command, signals: &[&str]) -> (Option<i32>, String, String) {
    // Jobs in the background of a script, such as these tests may be, ignore Ctrl-C.
    // SAFETY: between fork and exec, of what may be called there.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    // The heading is printed once the run is about to begin and signals are heard.
    let mut out = String::new();
    lines.read_line(&mut out).expect("a heading");
    signals.iter().for_each(|name| signal(&child, name));
    lines.read_to_string(&mut out).expect("readable");
    let mut errors = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut errors).expect("readable");
    (child.wait().expect("it ends").code(), out, errors)
}

fn endless(folder: &Path, more: &[&str]) -> Command {
    let mut command = made::program(folder);
    command.args(ENDLESS).args(more);
    command
}

#[test]
fn every_signal_that_ends_a_job_leaves_what_was_asked_for() {
    for (name, told) in [("-INT", "\nstopping after"), ("-TERM", "\nSIGTERM: stopping"), ("-HUP", "\nSIGHUP: stopping")]
    {
        let folder = folder();
        let (code, out, errors) =
            stopped(endless(folder.path(), &["--html", "r.html", "--trace", "trace.json"]), &[name]);
        assert_eq!(code, Some(130), "{out}{errors}");
        assert!(errors.contains(told), "{errors}");
        assert!(out.contains("\nINTERRUPTED: "), "{out}");
        assert_eq!(files(folder.path()), ["r.html", "r.json", "r.sarif", "r.xml", "trace.json"]);
        let receipt = receipt::read(&folder.path().join("r.json")).expect("a receipt");
        assert_eq!((receipt.verdict, receipt.exit_code), (Verdict::Interrupted, 130));
        assert_eq!(receipt.lanes.len(), 2, "also the job that it did not come to");
        assert!(receipt.lanes.iter().all(|lane| lane.verdict == Verdict::Interrupted));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("readable");
        assert!(read("r.xml").contains("errors=\"2\"") && read("r.xml").contains("type=\"INTERRUPTED\""));
        assert!(
            read("r.sarif").contains("\"executionSuccessful\": false")
                || read("r.sarif").contains("\"executionSuccessful\":false")
        );
        assert!(read("r.html").contains("interrupted"));
        let again = run(folder.path(), &["report", "r.json", "--github"], 130);
        assert!(again.contains("\nINTERRUPTED: ") && again.contains("::error title=INTERRUPTED::"), "{again}");
        // Nobody takes it for a run that judged everything.
        run(folder.path(), &["merge", "merged.json", "r.json"], 130);
    }
}

#[test]
fn random_runs_say_how_far_they_came() {
    let conformance = ["conformance", "--driver", "software", "--random", "1..400", "--count", "50"];
    let kernels = ["kernels", "--driver", "software", "--seeds", "1..2000", "--no-approximate"];
    for arguments in [&conformance[..], &kernels[..]] {
        let folder = folder();
        let mut command = made::program(folder.path());
        command.args(arguments).args(["--record", "answers.txt"]);
        let (code, out, errors) = stopped(command, &["-TERM"]);
        assert_eq!(code, Some(130), "{out}{errors}");
        assert!(errors.contains("\nSIGTERM: stopping"), "{errors}");
        assert!(out.lines().last().is_some_and(|line| line.starts_with("INTERRUPTED: ")), "{out}");
        assert_eq!(files(folder.path()), ["answers.txt"]);
    }
}

#[test]
fn what_whoever_started_it_has_it_ignore_stays_ignored() {
    let folder = folder();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_graphproof")]).args(ENDLESS);
    shell.current_dir(folder.path()).env_remove("GITHUB_ACTIONS");
    let (code, out, errors) = stopped(shell, &["-HUP", "-INT", "-TERM"]);
    assert_eq!(code, Some(130), "{out}{errors}");
    assert!(errors.contains("\nSIGTERM: stopping"), "{errors}");
    assert_eq!(errors.matches("stopping").count(), 1, "{errors}");
}

#[test]
fn a_comparison_keeps_the_receipt_of_the_run_that_was_stopped() {
    let checkout = checkout::checkout();
    let more = ["--against", "HEAD", "--json-against", "old.json"];
    let (code, out, errors) = stopped(endless(checkout.path(), &more), &["-TERM"]);
    assert_eq!(code, Some(130), "{out}{errors}");
    assert!(errors.contains("were not run, and nothing is written to old.json"), "{errors}");
    assert_eq!(receipt::read(&checkout.path().join("r.json")).expect("a receipt").verdict, Verdict::Interrupted);
}

#[test]
fn every_long_command_writes_what_it_has_and_says_that_it_was_stopped() {
    let commands: [(&[&str], &str); 4] = [
        (&["faults", "--jobs", "1"], "not_run"),
        (&["faults", "--clean", "--jobs", "1"], ""),
        (&["conformance", "--jobs", "1"], "not_run"),
        (&["bench", "step", "--seconds", "5"], "interrupted"),
    ];
    for (arguments, field) in commands {
        let folder = folder();
        let mut command = made::program(folder.path());
        command.args(arguments).args(["--driver", "software", "--json", "r.json"]);
        let (code, out, errors) = stopped(command, &["-TERM"]);
        assert_eq!(code, Some(130), "{arguments:?}: {out}{errors}");
        assert!(out.contains("INTERRUPTED: "), "{arguments:?}: {out}");
        assert!(errors.contains("\nSIGTERM: stopping"), "{arguments:?}: {errors}");
        let text = std::fs::read_to_string(folder.path().join("r.json")).expect("written");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(field.is_empty() || json.get(field).is_some(), "{arguments:?}: {text}");
    }
}

/// A step that is asked to stop and does not end.
struct Stuck(Arc<AtomicBool>);

impl Step for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }

    fn summary(&self) -> String {
        "never ends".to_owned()
    }

    fn modules(&self) -> Vec<Module> {
        Vec::new()
    }

    fn buffers(&self) -> Vec<BufferSpec> {
        vec![BufferSpec::output("y", DType::F32, [16])]
    }

    fn fill_inputs(&self, _: u64, _: u64, _: &mut HostBuffers) -> StepResult<()> {
        Ok(())
    }

    fn record(&self, _: &mut graphproof_harness::context::StepContext<'_>) -> StepResult<()> {
        self.0.store(true, Ordering::Relaxed);
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn a_step_that_does_not_end_is_not_waited_for() {
    let (_, session) = driver::open(DriverChoice::Software).expect("the software driver");
    // A hang would be told after an hour.
    let config = GateConfig { patience: std::time::Duration::from_secs(3600), ..GateConfig::default() };
    let step: Arc<dyn Step> = Arc::new(Stuck(Arc::clone(&config.stop)));
    let outcome = gate::run(&Arc::new(session), &step, &config, &mut |_| {}).expect("it runs");
    assert_eq!(outcome.report.verdict, Verdict::Interrupted);
    assert!(outcome.poisoned && outcome.report.findings.is_empty(), "{:?}", outcome.report);
}
