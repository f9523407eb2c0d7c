//! What a recorder could break in a program: registers, the stack, jumps, forks, threads, signals.
//!
//! The driver is a fake whose functions look at how they are called; the program is C.
#![cfg(target_arch = "x86_64")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use graphproof_door::{Call, Count, EventKind, Process, ProcessEvent, Trace};
use graphproof_forward::{Behind, Forwarder};

/// The fake driver and the program, compiled once; `None` where the machine has no C compiler.
fn compiled() -> Option<&'static (PathBuf, PathBuf)> {
    static DONE: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    let compile = || {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let (driver, client) = (out.join("libcuda_fake.so"), out.join("client"));
        let cc = |arguments: &[&str], source: &str, out: &Path| {
            let source = sources.join(source);
            Command::new("cc").args(["-O1", "-fexceptions"]).args(arguments).arg("-o").args([out, &source]).status()
        };
        match cc(&["-shared", "-fPIC"], "fake.c", &driver) {
            Ok(status) => assert!(status.success(), "the fake driver compiles"),
            Err(_) => {
                eprintln!("skipped: no C compiler `cc`");
                return None;
            }
        }
        assert!(cc(&["-pthread", "-D_GNU_SOURCE", "-include", "sys/time.h"], "client.c", &client).ok()?.success());
        Some((driver.canonicalize().ok()?, client))
    };
    DONE.get_or_init(compile).as_ref()
}

/// Runs the program with the recorder in front of the fake.
fn run(what: &str) -> Option<(Output, Trace)> {
    let (driver, client) = compiled()?;
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    std::fs::create_dir(&records).unwrap();
    let behind = Behind { path: driver.clone(), software: false };
    let forwarder = Forwarder::new(folder.path(), behind).unwrap();
    assert_eq!(forwarder.unseen, ["cuBrandNew", "cuNotInTheTable"]);
    let output = Command::new(client).arg(what).envs(forwarder.environment(&records)).output().unwrap();
    Some((output, Trace::open(&records).unwrap()))
}

fn calls(process: &Process) -> Vec<Call> {
    let call = |event: graphproof_door::Event| match event.kind {
        EventKind::Call(call) => Some(*call),
        _ => None,
    };
    process.events().filter_map(call).collect()
}

fn names(process: &Process) -> Vec<String> {
    calls(process).iter().map(|call| call.function.to_string()).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn arguments_arrive_in_registers_on_the_stack_and_in_vectors() {
    let Some((output, trace)) = run("arguments") else { return };
    assert_eq!(text(&output), "0 0 0 0\n");
    let calls = calls(&trace.processes[0]);
    let launch = calls.iter().find(|call| call.base() == "cuLaunchKernel").unwrap();
    assert_eq!((launch.stream(), launch.word("sharedMemBytes")), (Some(0x40), Some(7)));
    assert!(calls.iter().any(|call| &*call.function == "cuBrandNew"), "a newer function is recorded by its name");
}

/// Most launches are only counted then, and take the short way.
#[test]
fn arguments_arrive_however_often_a_function_is_called() {
    let Some((output, trace)) = run("often") else { return };
    assert_eq!(text(&output), "100 1000\n");
    let process = &trace.processes[0];
    let launches: Vec<Call> = calls(process).into_iter().filter(|call| call.base() == "cuLaunchKernel").collect();
    let refused: Vec<&Call> = launches.iter().filter(|call| call.result == Some(1)).collect();
    assert_eq!(refused.len(), 100, "each of them is told");
    assert!(refused.iter().all(|call| call.stream() == Some(0x40) && call.word("gridDimX") == Some(2)));
    let others = calls(process).len() - refused.len();
    assert_eq!(others as u64 + process.count(Count::Unwritten), 1900, "and each of the others counted");
}

#[test]
fn names_are_those_of_the_driver() {
    let Some((output, _)) = run("names") else { return };
    assert_eq!(text(&output), "41 absent\n");
}

#[test]
fn a_call_from_a_callback_is_told_as_nested() {
    let Some((output, trace)) = run("nested") else { return };
    assert_eq!(text(&output), "0 13003\n");
    let calls = calls(&trace.processes[0]);
    let told: Vec<_> = calls.iter().map(|call| (&*call.function, call.nested)).collect();
    assert_eq!(told, [("cuDriverGetVersion", true), ("cuOccupancyMaxPotentialBlockSize", false)]);
}

#[test]
fn a_long_jump_out_of_a_call_leaves_the_recorder_whole() {
    let Some((output, trace)) = run("jump") else { return };
    assert_eq!(text(&output), "0\n");
    let calls = calls(&trace.processes[0]);
    let last = calls.iter().find(|call| &*call.function == "cuInit").unwrap();
    assert!(!last.nested && last.result == Some(0));
}

#[test]
fn a_forked_child_is_followed() {
    let Some((output, trace)) = run("fork") else { return };
    assert_eq!(text(&output), "0 0\n");
    let [parent, child] = &trace.processes[..] else { panic!("{} processes", trace.processes.len()) };
    assert_eq!((names(parent), names(child)), (vec!["cuInit".to_owned(); 2], vec!["cuInit".to_owned()]));
    let forked = EventKind::Process(ProcessEvent::Forked { from: parent.pid });
    assert!(child.parent == parent.pid && child.events().any(|event| event.kind == forked));
}

#[test]
fn what_a_forked_child_calls_is_counted_in_its_own_record() {
    let Some((output, trace)) = run("often, then fork") else { return };
    assert_eq!(text(&output), "0\n");
    let made = |process: &Process| calls(process).len() as u64 + process.count(Count::Unwritten);
    let mut made: Vec<u64> = trace.processes.iter().map(made).collect();
    made.sort_unstable();
    assert_eq!(made, [70, 501]);
}

#[test]
fn a_program_that_replaces_itself_is_followed() {
    let Some((output, trace)) = run("exec") else { return };
    assert_eq!(text(&output), "41 absent\n");
    let first = &trace.processes[0];
    assert!(first.ended.is_none() && names(first) == ["cuInit"]);
    assert!(trace.processes.iter().all(|process| process.pid == first.pid));
}

#[test]
fn threads_are_told_apart_and_none_of_their_calls_is_missing() {
    let Some((output, trace)) = run("threads") else { return };
    assert_eq!(text(&output), "joined\n");
    let process = &trace.processes[0];
    let mut by_thread = std::collections::BTreeMap::new();
    for event in process.events() {
        if matches!(event.kind, EventKind::Call(_)) {
            *by_thread.entry(event.thread).or_insert(0) += 1;
        }
    }
    assert_eq!(by_thread.into_values().collect::<Vec<_>>(), [5000; 8]);
    assert_eq!((process.lost, process.overwritten), (0, 0));
}

#[test]
fn calls_from_signal_handlers_do_no_harm() {
    let Some((output, trace)) = run("signals") else { return };
    assert_eq!(text(&output), "done\n");
    let process = &trace.processes[0];
    assert!(process.damage == Default::default() && process.ended.is_none(), "it ended by _exit");
    assert!(calls(process).len() > 50);
}

#[test]
fn a_killed_program_leaves_its_record() {
    let Some((output, trace)) = run("killed") else { return };
    assert!(output.status.code().is_none());
    assert_eq!(names(&trace.processes[0]), ["cuInit"]);
    assert_eq!(trace.processes[0].ended, None);
}

/// The other side of [`what_a_callback_throws_passes_through`].
#[test]
fn child_that_unwinds() {
    if std::env::var_os("GRAPHPROOF_TEST_UNWINDS").is_none() {
        return;
    }
    type Occupancy = unsafe extern "C-unwind" fn(
        *mut i32,
        *mut i32,
        *const u8,
        extern "C-unwind" fn(i32) -> usize,
        usize,
        i32,
    ) -> i32;
    extern "C-unwind" fn throws(limit: i32) -> usize {
        std::panic::resume_unwind(Box::new(limit))
    }
    // SAFETY: the recorder and the fake driver, with the types that they have there.
    unsafe {
        let library = libloading::Library::new("libcuda.so.1").unwrap();
        let function = library.get::<Occupancy>(b"cuOccupancyMaxPotentialBlockSize\0").unwrap();
        for turn in 0..3 {
            let (mut grid, mut block) = (0, 0);
            let thrown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                function(&raw mut grid, &raw mut block, std::ptr::null(), throws, 1, turn)
            }));
            assert_eq!(thrown.unwrap_err().downcast_ref::<i32>(), Some(&turn));
        }
        let init = library.get::<unsafe extern "C" fn(u32) -> i32>(b"cuInit\0").unwrap();
        assert_eq!(init(5), 5);
    }
}

#[test]
fn what_a_callback_throws_passes_through() {
    let Some((driver, _)) = compiled() else { return };
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind { path: driver.clone(), software: false };
    let forwarder = Forwarder::new(folder.path(), behind).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_unwinds", "--nocapture"]).env("GRAPHPROOF_TEST_UNWINDS", "1");
    let output = command.envs(forwarder.environment(folder.path())).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let trace = Trace::open(folder.path()).unwrap();
    assert_eq!(names(&trace.processes[0]), ["cuInit"], "calls that were left have no result");
}
