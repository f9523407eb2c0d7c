//! What is written is read, whatever happens to the writer and to the file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Barrier;

use graphproof_door::made::Made;
use graphproof_door::{
    Class, Cursor, EventKind, Function, GraphDump, GraphNode, Kind, Limits, ProcessEvent, Range, Recorder, Stack,
    Start, Tag, Trace, TraceError, Writer, save,
};
use proptest::prelude::*;

/// Appends a note of `bytes` bytes that begins with `number`.
fn note(writer: &Writer, cursor: &mut Cursor, class: Class, number: u64, bytes: usize) -> bool {
    let text = format!("{number} {}", "x".repeat(bytes));
    writer.append(cursor, class, Kind::Note, number, text.len() + 4, |out| out.text(&text))
}

fn numbers(trace: &Trace) -> HashMap<u32, Vec<u64>> {
    let mut found: HashMap<u32, Vec<u64>> = HashMap::new();
    for event in trace.processes.iter().flat_map(|process| process.events()) {
        if let EventKind::Note(text) = event.kind {
            let number = text.split(' ').next().and_then(|number| number.parse().ok());
            found.entry(event.thread).or_default().push(number.expect("a number"));
        }
    }
    found
}

fn only_record(folder: &Path) -> std::path::PathBuf {
    let mut files = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
    let file = files.next().expect("a record");
    assert!(files.next().is_none());
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the limits and sizes: events are written, overwritten or lost, none twice, none unaccounted.
    #[test]
    fn every_event_is_accounted_for(
        kept in 1usize..6, ring in 1usize..6, passing in any::<bool>(),
        sizes in proptest::collection::vec(0usize..9000, 1..400),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(folder.path(), 1, 0, Limits { kept: kept << 16, ring: ring << 16 }).unwrap();
        let class = if passing { Class::Passing } else { Class::Kept };
        let mut cursor = Cursor::new();
        let mut written = 0;
        for (number, &size) in sizes.iter().enumerate() {
            written += u64::from(note(&writer, &mut cursor, class, number as u64, size));
        }
        let trace = Trace::open(folder.path()).unwrap();
        let process = &trace.processes[0];
        let seen = numbers(&trace).into_values().next().unwrap();
        prop_assert_eq!(written + process.lost, sizes.len() as u64);
        prop_assert_eq!(seen.len() as u64 + process.overwritten, written);
        prop_assert!(seen.is_sorted() && process.damage == Default::default());
        if passing {
            prop_assert_eq!(process.lost, 0);
            prop_assert_eq!(*seen.last().unwrap(), sizes.len() as u64 - 1, "the newest remain");
        } else {
            prop_assert_eq!(seen[0], 0, "the oldest are kept");
        }
    }

    /// A file that ends anywhere gives the events before its end, and says that it is torn.
    #[test]
    fn a_torn_tail_is_detected(sizes in proptest::collection::vec(0usize..300, 1..200), cut in 0.0f64..1.0) {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(folder.path(), 1, 0, Limits { kept: 1 << 20, ring: 1 }).unwrap();
        let mut cursor = Cursor::new();
        for (number, &size) in sizes.iter().enumerate() {
            note(&writer, &mut cursor, Class::Kept, number as u64, size);
        }
        let saved = folder.path().join("saved");
        save(folder.path(), &saved).unwrap();
        let whole = std::fs::read(&saved).unwrap();
        let length = (whole.len() as f64 * cut) as usize;
        std::fs::write(&saved, &whole[..length]).unwrap();
        match Trace::open(&saved) {
            Ok(trace) => {
                let seen = numbers(&trace).into_values().next().unwrap_or_default();
                prop_assert_eq!(&seen, &(0..seen.len() as u64).collect::<Vec<_>>());
                let told = trace.processes.iter().any(|process| process.damage != Default::default());
                prop_assert!(told || !trace.unread.is_empty(), "{} of {}", length, whole.len());
            }
            Err(error) => prop_assert!(length < 16, "{}", error),
        }
    }

    /// Bytes that were changed anywhere make no panic and no endless loop.
    #[test]
    fn damage_is_survived(at in proptest::collection::vec((0usize..140_000, any::<u8>()), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut made = Made::new(folder.path(), 5, 1).unwrap();
        let stack = made.python_stack(&[("a.py", 1, "f"), ("b.py", 2, "g")]);
        for step in 0..50 {
            made.call(step % 3, "cuMemAlloc_v2", &[("bytesize", 64)], 0).wrote("dptr", 7).stack(stack).end();
        }
        made.graph(1, &GraphDump { nodes: vec![GraphNode::default(); 3], ..GraphDump::default() });
        let file = only_record(folder.path());
        let mut bytes = std::fs::read(&file).unwrap();
        for (at, value) in at {
            bytes[at] = value;
        }
        std::fs::write(&file, bytes).unwrap();
        if let Ok(trace) = Trace::open(folder.path()) {
            for process in &trace.processes {
                prop_assert!(process.events().count() < 10_000);
            }
        }
    }
}

/// An event whose writer was killed before the commit word is none, and is told.
#[test]
fn an_uncommitted_event_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Made::new(folder.path(), 5, 1).unwrap();
    made.note("whole");
    made.note("torn");
    let file = only_record(folder.path());
    let mut bytes = std::fs::read(&file).unwrap();
    let content = bytes.windows(4).position(|window| window == b"torn").expect("it is there") - 4;
    bytes[content - 16..content - 8].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let trace = Trace::open(folder.path()).unwrap();
    let notes = trace.processes[0].events().filter(|event| matches!(event.kind, EventKind::Note(_)));
    assert_eq!(notes.count(), 1);
    assert_eq!(trace.processes[0].damage.torn_events, 1);
}

/// Threads write at once, in both classes, in a ring too small for them: each thread's events come in its
/// order, and every one is accounted for.
#[test]
fn threads_write_at_once() {
    const THREADS: u64 = 8;
    const EVENTS: u64 = 4000;
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::create(folder.path(), 1, 0, Limits { kept: 12 << 16, ring: 12 << 16 }).unwrap();
    let start = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut cursor = Cursor::new();
                start.wait();
                for number in 0..EVENTS {
                    let class = if number % 2 == 0 { Class::Kept } else { Class::Passing };
                    note(&writer, &mut cursor, class, number, (number % 97) as usize);
                }
                // Until all are done no segment of this thread may be taken from it.
                start.wait();
            });
        }
    });
    let trace = Trace::open(folder.path()).unwrap();
    let process = &trace.processes[0];
    let seen = numbers(&trace);
    let count: u64 = seen.values().map(|numbers| numbers.len() as u64).sum();
    assert_eq!(count + process.lost + process.overwritten, THREADS * EVENTS);
    assert!(process.overwritten > 0 && process.lost > 0, "{} {}", process.overwritten, process.lost);
    for (thread, numbers) in seen {
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "thread {thread}: {numbers:?}");
    }
    assert_eq!(process.damage, Default::default());
}

/// What the builder writes is what the reader gives.
#[test]
fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Made::new(folder.path(), 42, 7).unwrap();
    let start = Start {
        command: vec!["app".into(), "--flag".into()],
        driver: "/lib/libcuda.so.1".into(),
        driver_version: 13000,
        functions: vec!["cuInit".into(), "cuMemAlloc_v2".into()],
        ..Start::default()
    };
    made.start(&start);
    let stack = made.python_stack(&[("step.py", 4, "step")]);
    made.call(1, "cuMemAlloc_v2", &[("bytesize", 4096)], 0).wrote("dptr", 0x7000).stack(stack).took(50).end();
    made.call(2, "cuLaunchKernel_ptsz", &[("hStream", 0x20)], 900)
        .tag(Tag::Parameters, &[1, 2, 3])
        .invalidated(0x30)
        .end();
    let function =
        Function { handle: 9, is_kernel: true, name: "k".into(), module: 3, parameters: Some(vec![(0, 8), (8, 4)]) };
    made.function(2, &function);
    let node = GraphNode { kind: 1, operands: vec![("dst".into(), 0x7000, 64)], ..GraphNode::default() };
    let dump = GraphDump { graph: 5, exec: 6, nodes: vec![node; 2], edges: vec![(0, 1)], missing: String::new() };
    made.graph(1, &dump);
    made.range(1, &Range::Push("layer".into()));
    made.range(1, &Range::Pop);
    made.stuck(2, "cuCtxSynchronize");
    made.process(&ProcessEvent::Exit);

    let check = |trace: &Trace| {
        let process = &trace.processes[0];
        assert_eq!((process.pid, process.parent, &process.start), (42, 7, &start));
        assert!(process.ended.is_some());
        let kinds: Vec<EventKind> = process.events().map(|event| event.kind).collect();
        assert!(kinds.contains(&EventKind::Function(function.clone())));
        assert!(kinds.contains(&EventKind::Graph(Box::new(dump.clone()))));
        assert!(kinds.contains(&EventKind::Range(Range::Pop)));
        let calls: Vec<_> =
            kinds.iter().filter_map(|kind| if let EventKind::Call(call) = kind { Some(call) } else { None }).collect();
        assert_eq!(calls[0].to_string(), "cuMemAlloc_v2(dptr -> 0x7000, bytesize 4096)");
        let frames: &Stack = process.stack(calls[0].stack.unwrap()).unwrap();
        assert_eq!((frames.python[0].file.as_str(), frames.python[0].line), ("step.py", 4));
        assert!(calls[1].failed() && calls[1].is_per_thread() && calls[1].stream() == Some(0x20));
        assert_eq!(calls[1].bytes(Tag::Parameters), Some(&[1, 2, 3][..]));
        assert_eq!(calls[1].invalidated().collect::<Vec<_>>(), [0x30]);
        let last = calls.last().unwrap();
        assert_eq!((&*last.function, last.result), ("cuCtxSynchronize", None), "it never returned");
    };
    check(&Trace::open(folder.path()).unwrap());
    let saved = folder.path().join("saved");
    save(folder.path(), &saved).unwrap();
    check(&Trace::open(&saved).unwrap());
}

#[test]
fn what_is_no_trace_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    assert!(matches!(Trace::open(folder.path()), Err(TraceError::Empty(_))));
    assert!(matches!(Trace::open(&file), Err(TraceError::Io(..))));
    std::fs::write(&file, "{}").unwrap();
    assert!(matches!(Trace::open(&file), Err(TraceError::NotATrace(_))));
    std::fs::write(&file, b"gptrac\x09\x00").unwrap();
    assert!(matches!(Trace::open(&file), Err(TraceError::OtherVersion(_))));
}

static FOLDER: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();

fn open() -> Option<Writer> {
    let folder = FOLDER.get()?.path();
    Writer::create(folder, std::process::id(), 0, Limits { kept: 1 << 20, ring: 1 << 20 }).ok()
}

static RECORDER: Recorder = Recorder::new(open, |writer, cursor| {
    note(writer, cursor, Class::Kept, 1_000_000, 0);
});

/// A forked child writes a record of its own, also when other threads were writing at the fork.
#[test]
fn a_forked_child_has_its_own_record() {
    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
    }
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let write = |number| RECORDER.with(|writer, cursor| note(writer, cursor, Class::Kept, number, 10));
    assert_eq!(write(1), Some(true));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    RECORDER.with(|writer, cursor| note(writer, cursor, Class::Passing, 2, 10));
                }
            });
        }
        for _ in 0..5 {
            // SAFETY: the child calls nothing that another thread could hold a lock of, but for the
            // allocator, which the C library makes usable in a child.
            let child = unsafe { fork() };
            if child == 0 {
                let well = write(3) == Some(true) && write(4) == Some(true);
                // SAFETY: ends the child without the test harness's handlers.
                unsafe { _exit(i32::from(!well)) };
            }
            let mut status = -1;
            // SAFETY: a child of ours, and a valid place for its status.
            unsafe { waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(write(5), Some(true));
    let trace = Trace::open(FOLDER.get().unwrap().path()).unwrap();
    let mut lives: Vec<Vec<u64>> = Vec::new();
    for process in &trace.processes {
        let mut seen: Vec<u64> = Vec::new();
        for event in process.events() {
            if let EventKind::Note(text) = event.kind {
                let number = text.split(' ').next().unwrap().parse().unwrap();
                if number != 2 {
                    seen.push(number);
                }
            }
        }
        seen.sort_unstable();
        lives.push(seen);
    }
    lives.sort();
    assert_eq!(lives.len(), 6, "{lives:?}");
    assert_eq!(lives[0], [1, 5, 1_000_000]);
    assert!(lives[1..].iter().all(|life| *life == [3, 4, 1_000_000]), "{lives:?}");
}
