//! Programs, the recorder, and the software driver behind it.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use graphproof_door::{Call, Count, EventKind, GraphNode, Process, Tag, Trace};
use graphproof_forward::{Behind, Forwarder, find_software};
// Its library is what stands behind.
use graphproof_driver as _;

fn program(name: &str) -> String {
    format!("{}/tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn software() -> Behind {
    find_software().expect("cargo builds it beside the tests")
}

/// Runs a command with the recorder in front of the software driver.
fn traced(folder: &Path, command: &mut Command) -> Output {
    let records = folder.join("records");
    std::fs::create_dir(&records).unwrap();
    let forwarder = Forwarder::new(folder, software()).unwrap();
    assert_eq!(forwarder.unseen, Vec::<String>::new(), "the table has every name of the software driver");
    command.envs(forwarder.environment(&records)).output().unwrap()
}

fn calls(process: &Process) -> Vec<Call> {
    let call = |event: graphproof_door::Event| match event.kind {
        EventKind::Call(call) => Some(*call),
        _ => None,
    };
    process.events().filter_map(call).collect()
}

/// The innermost Python line of a call's stack, such as `capture.py:42 main`.
fn line(process: &Process, call: &Call) -> String {
    let stack = call.stack.and_then(|id| process.stack(id)).unwrap_or_else(|| panic!("{call} has no stack"));
    let frame = stack.python.iter().find(|frame| !frame.file.contains("ctypes")).expect("a Python frame");
    let file = frame.file.rsplit('/').next().unwrap_or_default();
    format!("{file}:{} {}", frame.line, frame.function)
}

/// The line of the program with that comment.
fn line_of(name: &str, comment: &str) -> usize {
    let text = std::fs::read_to_string(program(name)).unwrap();
    text.lines().position(|line| line.ends_with(comment)).expect("the comment is there") + 1
}

/// The interpreters of this machine, one of each version: where frames lie differs between them. Those on the path,
/// and those that pyenv keeps. By their versions and whether they are without the interpreter's lock.
fn interpreters() -> BTreeMap<(u32, u32, bool), PathBuf> {
    let names = (8..=16).flat_map(|minor| [format!("python3.{minor}"), format!("python3.{minor}t")]);
    let kept = std::env::var_os("PYENV_ROOT").map(PathBuf::from).into_iter();
    let kept = kept.flat_map(|root| std::fs::read_dir(root.join("versions")).into_iter().flatten().flatten());
    let kept = kept.map(|version| version.path().join("bin/python3"));
    let named = std::iter::once("python3".to_owned()).chain(names).map(PathBuf::from);
    let mut found = BTreeMap::new();
    for python in named.chain(kept) {
        let asked = "import sys, sysconfig; \
                     print(*sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)";
        let Ok(told) = Command::new(&python).args(["-c", asked]).output() else { continue };
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let numbers: Vec<u32> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if let [major, minor, free_threaded] = numbers[..] {
            found.entry((major, minor, free_threaded == 1)).or_insert(python);
        }
    }
    found
}

/// Whether frames of that version are read.
fn is_known(&(major, minor, _): &(u32, u32, bool)) -> bool {
    major == 3 && (10..=15).contains(&minor)
}

#[test]
fn a_python_program_is_recorded() {
    let pythons: Vec<PathBuf> =
        interpreters().into_iter().filter(|(version, _)| is_known(version)).map(|(_, python)| python).collect();
    assert!(!pythons.is_empty(), "the tests need Python");
    println!("frames of {pythons:?}");
    pythons.iter().for_each(|python| recorded(python));
}

/// A Python whose frames are not known is said to be one, once, and the program runs as ever.
#[test]
fn a_python_of_another_version_is_said_to_be_one() {
    let others = interpreters().into_iter().filter(|(version, _)| !is_known(version));
    for ((major, minor, _), python) in others {
        let folder = tempfile::tempdir().unwrap();
        let output = traced(folder.path(), Command::new(&python).arg(program("capture.py")).arg("7"));
        assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
        let trace = Trace::open(&folder.path().join("records")).unwrap();
        let notes = trace.processes[0].events().filter_map(|event| match event.kind {
            EventKind::Note(text) => Some(text),
            _ => None,
        });
        let [note] = &notes.collect::<Vec<_>>()[..] else { panic!("not one note") };
        assert!(note.starts_with(&format!("lines of Python: the frames of this Python, {major}.{minor},")), "{note}");
    }
}

/// Where a node's new parameters point: its first parameter, or its destination.
fn target(node: &GraphNode) -> u64 {
    let destination = node.operands.iter().find(|(what, ..)| what.starts_with("destination"));
    let parameter = node.parameters.get(..8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    destination.map(|(_, address, _)| *address).or(parameter).expect("an address")
}

#[test]
fn what_nodes_of_executable_graphs_are_given_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let output = traced(folder.path(), Command::new("python3").arg(program("given.py")));
    let text = String::from_utf8_lossy(&output.stdout);
    let expected: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("an address")).collect();
    assert_eq!(expected.len(), 6, "{text}{}", String::from_utf8_lossy(&output.stderr));
    let trace = Trace::open(&folder.path().join("records")).unwrap();
    let mut execs = Vec::new();
    let given: Vec<GraphNode> = trace.processes[0]
        .events()
        .filter_map(|event| match event.kind {
            EventKind::Given(exec, node) => {
                execs.push(exec);
                Some(*node)
            }
            _ => None,
        })
        .collect();
    assert_eq!(given.iter().map(target).collect::<Vec<_>>(), expected);
    assert_eq!(given.iter().map(|node| node.kind).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
    assert_eq!((given[0].grid, given[0].block, given[0].parameters.len()), ([1; 3], [1; 3], 12));
    execs.dedup();
    assert_eq!(execs.len(), 1);
}

/// What only asks, and what launches, is written a few times, and then counted; but each time in a capture, and where
/// it fails.
#[test]
fn the_everyday_outside_captures_is_counted() {
    const TIMES: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let output = traced(folder.path(), Command::new("python3").arg(program("questions.py")).arg(TIMES.to_string()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        (TIMES * 4).to_string(),
        "launched, but not the captured"
    );
    let trace = Trace::open(&folder.path().join("records")).unwrap();
    let process = &trace.processes[0];
    let all = calls(process);
    let ended: Vec<usize> = ["cuCtxSetCurrent", "cuStreamBeginCapture_v2", "cuStreamEndCapture"]
        .iter()
        .map(|name| all.iter().position(|call| &*call.function == *name).expect("it is called"))
        .collect();
    let (captured, mut others) = (ended[1]..ended[2], 0);
    for (name, code) in [("cuCtxGetDevice", 201), ("cuLaunchKernel", 1)] {
        let written = |result: u32, within: &dyn Fn(usize) -> bool| {
            let is =
                |(at, call): &(usize, &Call)| &*call.function == name && call.result == Some(result) && within(*at);
            all.iter().enumerate().filter(is).count()
        };
        assert_eq!(written(code, &|_| true), TIMES, "{name}: those that fail");
        assert_eq!(written(0, &|at| captured.contains(&at)), TIMES, "{name}: those in a capture");
        let outside = written(0, &|at| !captured.contains(&at));
        assert!(outside < TIMES, "{name}: {outside}");
        others += outside;
        let failed = all.iter().find(|call| &*call.function == name && call.result == Some(code)).expect("it fails");
        assert!(failed.stack.is_some(), "{failed}");
    }
    assert_eq!(others as u64 + process.count(Count::Unwritten), 4 * TIMES as u64);
}

fn recorded(python: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let output = traced(folder.path(), Command::new(python).arg(program("capture.py")).arg("7"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "word 7\nsynchronise 900\nend 901\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(7));

    let trace = Trace::open(&folder.path().join("records")).unwrap();
    let [process] = &trace.processes[..] else { panic!("{} processes", trace.processes.len()) };
    assert!(process.start.software && process.ended.is_some() && process.damage == Default::default());
    assert!(process.start.command[1].ends_with("capture.py"), "{:?}", process.start.command);

    let calls = calls(process);
    let of = |name: &str| calls.iter().filter(|call| call.base() == name).collect::<Vec<_>>();
    let [allocation] = of("cuMemAlloc")[..] else { panic!() };
    assert_eq!(allocation.word("bytesize"), Some(4096));
    let address = allocation.written("dptr").unwrap();
    assert_eq!(line(process, allocation), format!("capture.py:{} allocate", line_of("capture.py", "# allocated here")));

    let frames = &process.stack(allocation.stack.unwrap()).unwrap().python;
    let functions: Vec<&str> = frames.iter().map(|frame| frame.function.as_str()).collect();
    assert_eq!(functions, ["allocate", "main", "<module>"], "{}", python.display());

    let [launch] = of("cuLaunchKernel")[..] else { panic!() };
    let parameters = launch.bytes(Tag::Parameters).unwrap();
    assert_eq!((parameters.len(), &parameters[..8], parameters[8]), (12, &address.to_le_bytes()[..], 7));
    assert_eq!(of("cuGraphLaunch").len(), 3);

    let waits = of("cuStreamSynchronize");
    let broken = waits.iter().find(|call| call.failed()).unwrap();
    assert_eq!((broken.result, broken.invalidated().count()), (Some(900), 1));
    assert_eq!(line(process, broken), format!("capture.py:{} main", line_of("capture.py", "# broken here")));
    assert!(!process.stack(broken.stack.unwrap()).unwrap().native.is_empty());

    let graphs = process.events().filter_map(|event| match event.kind {
        EventKind::Graph(dump) => Some(dump),
        _ => None,
    });
    let graphs = graphs.collect::<Vec<_>>();
    assert_eq!((graphs.len(), graphs[0].nodes.len(), &graphs[0].missing[..]), (1, 1, ""));
    assert_eq!(graphs[0].nodes[0].parameters, parameters);
    let functions = process.events().filter_map(|event| match event.kind {
        EventKind::Function(function) => Some((function.name, function.parameters)),
        _ => None,
    });
    assert_eq!(functions.collect::<Vec<_>>(), [("fill".to_owned(), Some(vec![(0, 8), (8, 4)]))]);
}

#[test]
fn each_tensor_map_is_recorded_once_with_its_bytes_and_address() {
    let folder = tempfile::tempdir().unwrap();
    let output = traced(folder.path(), Command::new("python3").arg(program("maps.py")));
    let text = String::from_utf8_lossy(&output.stdout);
    let printed: Vec<&str> = text.lines().collect();
    let [data, encoded, replaced] = printed[..] else { panic!("{}", String::from_utf8_lossy(&output.stderr)) };
    let data: u64 = data.parse().unwrap();

    let trace = Trace::open(&folder.path().join("records")).unwrap();
    let [process] = &trace.processes[..] else { panic!("{} processes", trace.processes.len()) };
    let calls = calls(process);
    let calls: Vec<&Call> = calls.iter().filter(|call| call.base().starts_with("cuTensorMap")).collect();
    assert_eq!(calls.iter().map(|call| call.failed()).collect::<Vec<_>>(), [false, false, false, true, false, false]);
    let told: Vec<(String, u64)> = calls
        .iter()
        .filter_map(|call| Some((call.pointee("tensorMap")?, call.word("globalAddress")?)))
        .map(|(bytes, address)| (bytes.iter().map(|byte| format!("{byte:02x}")).collect(), address))
        .collect();
    assert_eq!(told, [(encoded.to_owned(), data), (replaced.to_owned(), data + 256)]);
    assert_eq!(line(process, calls[0]), format!("maps.py:{} main", line_of("maps.py", "# encoded here")));
    assert!(calls[1].stack.is_none() && calls[2].stack.is_none());
}
