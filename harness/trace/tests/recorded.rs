//! What is told of recorded programs: each fault with its line, and its clean twin without a finding.

use graphproof_door::made::Made;
use graphproof_door::{Function, GraphDump, GraphNode, ProcessEvent, Range, Start, Trace};
use graphproof_harness::finding::{Finding, Id, Severity, SiteKind};
use graphproof_trace::report::{ProcessReport, Report};
use graphproof_trace::{Verdict, analyse};

const MAIN: u32 = 7;
const LOADER: u32 = 8;
const S: u64 = 0x5000;
const U: u64 = 0x6000;
const NODE: u64 = 0xa0;
const GLOBAL: u64 = 0;
const RELAXED: u64 = 2;
const UNSUPPORTED: u32 = 900;
const INVALIDATED: u32 = 901;

/// A program that is written call by call; each call stands on a line of `train.py`.
struct Program {
    folder: tempfile::TempDir,
    made: Made,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut made = Made::new(folder.path(), 4711, 1).expect("a record");
        made.start(&Start {
            command: vec!["python".to_owned(), "train.py".to_owned()],
            driver: "/usr/lib/libcuda.so.1".to_owned(),
            driver_version: 13000,
            ..Start::default()
        });
        Program { folder, made }
    }

    /// A call of the main thread that succeeds, with what it writes.
    fn ok(&mut self, line: u32, function: &str, arguments: &[(&str, u64)], written: &[(&str, u64)]) -> &mut Self {
        self.call(MAIN, line, function, arguments, written, 0)
    }

    fn fails(&mut self, line: u32, function: &str, arguments: &[(&str, u64)], code: u32) -> &mut Self {
        self.call(MAIN, line, function, arguments, &[], code)
    }

    fn call(
        &mut self,
        thread: u32,
        line: u32,
        function: &str,
        arguments: &[(&str, u64)],
        written: &[(&str, u64)],
        code: u32,
    ) -> &mut Self {
        let stack = self.stack(line);
        let call = self.made.call(thread, function, arguments, code).stack(stack);
        written.iter().fold(call, |call, (name, value)| call.wrote(name, *value)).end();
        self
    }

    fn stack(&mut self, line: u32) -> u64 {
        self.made.python_stack(&[
            ("/venv/lib/python3.12/site-packages/torch/cuda/__init__.py", 900, "inner"),
            ("train.py", line, "step"),
            ("train.py", 99, "<module>"),
        ])
    }

    fn streams(&mut self) -> &mut Self {
        self.ok(1, "cuStreamCreate", &[("Flags", 0)], &[("phStream", S)]);
        self.ok(2, "cuStreamCreate", &[("Flags", 0)], &[("phStream", U)])
    }

    fn begin(&mut self, line: u32, mode: u64) -> &mut Self {
        self.ok(line, "cuStreamBeginCapture_v2", &[("hStream", S), ("mode", mode)], &[])
    }

    fn launch(&mut self, line: u32, stream: u64) -> &mut Self {
        self.ok(line, "cuLaunchKernel", &[("f", 0xf00), ("hStream", stream)], &[])
    }

    fn end(&mut self, line: u32, graph: u64) -> &mut Self {
        self.ok(line, "cuStreamEndCapture", &[("hStream", S)], &[("phGraph", graph)])
    }

    fn end_fails(&mut self, line: u32, code: u32) -> &mut Self {
        self.fails(line, "cuStreamEndCapture", &[("hStream", S)], code)
    }

    fn instantiate(&mut self, line: u32, graph: u64, exec: u64) -> &mut Self {
        self.ok(line, "cuGraphInstantiateWithFlags", &[("hGraph", graph)], &[("phGraphExec", exec)])
    }

    /// A graph of one kernel with one pointer, read back.
    fn dump(&mut self, graph: u64, exec: u64, pointer: u64) -> &mut Self {
        let node = self.node(pointer);
        self.made.graph(MAIN, &GraphDump { graph, exec, nodes: vec![node], ..GraphDump::default() });
        self
    }

    /// That kernel is given another pointer in the executable graph.
    fn gives(&mut self, line: u32, exec: u64, pointer: u64) -> &mut Self {
        self.ok(line, "cuGraphExecKernelNodeSetParams_v2", &[("hGraphExec", exec), ("hNode", NODE)], &[]);
        let node = self.node(pointer);
        self.made.given(MAIN, exec, &node);
        self
    }

    fn node(&mut self, pointer: u64) -> GraphNode {
        let parameters = Some(vec![(0, 8), (8, 4)]);
        let function =
            Function { handle: 0xf00, is_kernel: false, name: "_Z3addPKfPfi".to_owned(), module: 0, parameters };
        self.made.function(MAIN, &function);
        let mut bytes = pointer.to_le_bytes().to_vec();
        bytes.extend([3, 0, 0, 0]);
        GraphNode {
            handle: NODE,
            kind: 0,
            function: 0xf00,
            grid: [4, 1, 1],
            block: [128, 1, 1],
            parameters: bytes,
            ..GraphNode::default()
        }
    }

    fn replay(&mut self, line: u32, exec: u64) -> &mut Self {
        self.ok(line, "cuGraphLaunch", &[("hGraph", exec), ("hStream", S)], &[])
    }

    fn told(&mut self) -> Report {
        self.made.process(&ProcessEvent::Exit);
        analyse(&Trace::open(self.folder.path()).expect("a trace"))
    }

    fn process(&mut self) -> ProcessReport {
        self.told().processes.remove(0)
    }

    /// The only finding: its id and line.
    #[track_caller]
    fn finds(&mut self, id: Id, line: u32) -> Finding {
        let report = self.told();
        let found: Vec<_> = report.findings().map(|(_, found)| found.clone()).collect();
        let [only] = &found[..] else { panic!("{found:#?}") };
        let site = only.site.as_ref().unwrap_or_else(|| panic!("no place: {only:#?}"));
        assert_eq!((only.id, site.file.as_str(), site.line, site.kind), (id, "train.py", line, SiteKind::Python));
        let failed = only.severity == Severity::Error;
        assert_eq!((report.verdict == Verdict::Findings, report.exit_code == 1), (failed, failed));
        only.clone()
    }

    #[track_caller]
    fn is_clean(&mut self) -> ProcessReport {
        let report = self.told();
        assert_eq!((report.verdict, report.exit_code), (Verdict::Clean, 0), "{:#?}", report.processes[0].findings);
        let process = report.processes.into_iter().next().expect("one");
        assert!(process.findings.is_empty() && process.disagreements.is_empty(), "{process:#?}");
        process
    }
}

#[test]
fn the_first_call_that_broke_a_capture_is_told_with_its_line() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.fails(13, "cuStreamSynchronize", &[("hStream", S)], UNSUPPORTED);
    program.fails(14, "cuLaunchKernel", &[("hStream", S)], INVALIDATED);
    let finding = program.end_fails(15, INVALIDATED).finds(Id::S01, 13);
    assert_eq!(finding.origin.as_ref().map(|site| site.line), Some(11));
    assert!(finding.seen.contains("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)"), "{finding:#?}");
    assert!(finding.seen.contains("cuStreamEndCapture returned CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"), "{finding:#?}");
    assert!(finding.notes.iter().any(|note| note.contains("torch/cuda/__init__.py:900")), "{finding:#?}");

    let mut twin = Program::new();
    twin.streams().begin(11, GLOBAL).launch(12, S).end(14, 0x10);
    let process = twin.ok(15, "cuStreamSynchronize", &[("hStream", S)], &[]).is_clean();
    let [capture] = &process.captures[..] else { panic!("{process:#?}") };
    assert_eq!((capture.place.as_str(), capture.mode.as_str(), capture.work), ("train.py:11", "global", 1));
    assert!(capture.succeeded && capture.nanoseconds.is_some());
}

#[test]
fn a_call_of_another_thread_is_told_by_its_thread_and_stack() {
    let breaks = |mode: u64| {
        let mut program = Program::new();
        program.streams().begin(11, mode).launch(12, S);
        program
    };
    let mut program = breaks(GLOBAL);
    program.call(LOADER, 40, "cuMemAlloc_v2", &[("bytesize", 64)], &[], UNSUPPORTED);
    let finding = program.end_fails(15, INVALIDATED).finds(Id::S07, 40);
    assert!(finding.notes.iter().any(|note| note.contains("thread 8")), "{finding:#?}");

    let mut twin = breaks(RELAXED);
    twin.call(LOADER, 40, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x7000)], 0);
    twin.end(15, 0x10).is_clean();
}

#[test]
fn the_mode_of_a_thread_is_followed() {
    // As PyTorch's allocator does: it gives itself the relaxed mode for one call.
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.ok(13, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 0)]);
    program.ok(14, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x7000)]);
    program.ok(15, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 2)]);
    let process = program.end(16, 0x10).is_clean();
    assert_eq!(process.captures[0].inside[0].function, "cuMemAlloc_v2");

    // After the guard the mode is the old one again.
    let mut late = Program::new();
    late.streams().begin(11, GLOBAL).launch(12, S);
    late.ok(13, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 0)]);
    late.ok(14, "cuThreadExchangeStreamCaptureMode", &[], &[("mode", 2)]);
    late.fails(15, "cuMemAlloc_v2", &[("bytesize", 64)], UNSUPPORTED);
    late.end_fails(16, INVALIDATED).finds(Id::A01, 15);
}

#[test]
fn a_call_that_succeeds_and_dooms_the_capture_is_told() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    let stack = program.stack(40);
    // As an older driver did for warp#1714: success, and the capture is lost.
    program.made.call(LOADER, "cuMemFreeAsync", &[("dptr", 0x9000)], 0).stack(stack).invalidated(S).end();
    program.end_fails(15, INVALIDATED);
    let report = program.told();
    let finding = report.findings().next().expect("a finding").1;
    assert_eq!((finding.id, finding.site.as_ref().map(|site| site.line)), (Id::S07, Some(40)), "{finding:#?}");
    assert!(finding.seen.contains("CUDA_SUCCESS, and the capture was invalid from there on"), "{finding:#?}");
    let [row] = &report.processes[0].disagreements[..] else { panic!("{:#?}", report.processes[0].disagreements) };
    assert!(row.model.contains("(906)") && row.driver.contains("CUDA_SUCCESS"), "{row:#?}");
}

#[test]
fn what_the_driver_lets_pass_is_a_row_and_no_fault() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.ok(13, "cuMemPoolTrimTo", &[("pool", 1)], &[]);
    let process = program.end(15, 0x10).process();
    assert!(process.findings.is_empty(), "{:#?}", process.findings);
    let [row] = &process.disagreements[..] else { panic!("{:#?}", process.disagreements) };
    assert_eq!((row.place.as_str(), row.mode.as_str(), row.driver_version), ("train.py:13", "global", 13000));
}

#[test]
fn the_work_that_nothing_joins_is_told() {
    let forked = || {
        let mut program = Program::new();
        program.streams().begin(11, GLOBAL).launch(12, S);
        program.ok(13, "cuEventRecord", &[("hEvent", 0xe1), ("hStream", S)], &[]);
        program.ok(14, "cuStreamWaitEvent", &[("hEvent", 0xe1), ("hStream", U)], &[]);
        program.launch(15, U);
        program
    };
    let mut program = forked();
    let finding = program.end_fails(20, 904).finds(Id::C04, 15);
    assert!(finding.notes.iter().any(|note| note.contains("train.py:14")), "{finding:#?}");

    let mut destroyed = forked();
    destroyed.ok(16, "cuStreamDestroy_v2", &[("hStream", U)], &[]);
    destroyed.end_fails(20, 904).finds(Id::C10, 16);

    let mut twin = forked();
    twin.ok(16, "cuEventRecord", &[("hEvent", 0xe2), ("hStream", U)], &[]);
    twin.ok(17, "cuStreamWaitEvent", &[("hEvent", 0xe2), ("hStream", S)], &[]);
    assert_eq!(twin.end(20, 0x10).is_clean().captures[0].streams, 2);
}

#[test]
fn legacy_work_beside_a_capture_is_told_by_what_became_of_it() {
    let mut refused = Program::new();
    refused.streams().begin(11, RELAXED);
    refused.fails(13, "cuMemsetD8_v2", &[("dstDevice", 0x7000)], 906);
    refused.end_fails(15, INVALIDATED).finds(Id::C01, 13);

    let beside = |stream: u64| {
        let mut program = Program::new();
        program.ok(1, "cuStreamCreate", &[("Flags", 1)], &[("phStream", S)]);
        program.begin(11, GLOBAL).launch(12, S).launch(13, stream).end(15, 0x10);
        program
    };
    beside(0).finds(Id::C02, 13);
    let mut other = beside(U);
    let finding = other.finds(Id::C03, 13);
    assert!(finding.seen.contains("runs now"), "{finding:#?}");
    beside(S).is_clean();
}

#[test]
fn a_capture_that_another_thread_ends_or_nobody_is_told() {
    let mut program = Program::new();
    program.streams().begin(11, GLOBAL).launch(12, S);
    program.call(LOADER, 30, "cuStreamEndCapture", &[("hStream", S)], &[], 908).finds(Id::C07, 30);

    let mut open = Program::new();
    open.streams().begin(11, GLOBAL).launch(12, S).finds(Id::C09, 11);

    let mut broken = Program::new();
    broken.streams().begin(11, GLOBAL).fails(13, "cuStreamQuery", &[("hStream", S)], UNSUPPORTED);
    broken.finds(Id::S02, 13);
}

#[test]
fn a_pageable_copy_in_a_capture_is_told() {
    let copies = |pinned: bool| {
        let mut program = Program::new();
        program.streams();
        if pinned {
            program.ok(3, "cuMemHostAlloc", &[("bytesize", 4096), ("Flags", 0)], &[("pp", 0x7fff_0000)]);
        }
        program.begin(11, GLOBAL);
        let copy = [("dstDevice", 0x7000), ("srcHost", 0x7fff_0040), ("ByteCount", 64), ("hStream", S)];
        program.ok(12, "cuMemcpyHtoDAsync_v2", &copy, &[]).end(15, 0x10);
        program
    };
    copies(false).finds(Id::A11, 12);
    copies(true).is_clean();
}

/// A graph with a pointer to memory that line 3 allocates, replayed at line 30.
fn with_input() -> Program {
    let mut program = Program::new();
    program.streams().ok(3, "cuMemAlloc_v2", &[("bytesize", 4096)], &[("dptr", 0x7000)]);
    program.begin(11, GLOBAL).launch(12, S).end(15, 0x10).instantiate(16, 0x10, 0x20).dump(0x10, 0x20, 0x7100);
    program.replay(30, 0x20);
    program
}

#[test]
fn dead_addresses_are_told_at_the_replay_with_who_freed_them() {
    let mut program = with_input();
    program.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).replay(33, 0x20);
    let finding = program.finds(Id::A07, 32);
    assert_eq!(finding.origin.as_ref().map(|site| site.line), Some(31));
    assert!(
        finding.expected.contains("kernel add grid 4x1x1") && finding.expected.contains("parameter 0"),
        "{finding:#?}"
    );
    for place in ["train.py:3", "the node got it at train.py:12"] {
        assert!(finding.notes.iter().any(|note| note.contains(place)), "{finding:#?}");
    }

    let mut again = with_input();
    again.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]);
    again.ok(32, "cuMemAlloc_v2", &[("bytesize", 8192)], &[("dptr", 0x7000)]).replay(33, 0x20);
    assert!(again.finds(Id::A08, 33).seen.contains("train.py:32"));

    let mut twin = with_input();
    twin.ok(31, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).replay(32, 0x20);
    let process = twin.is_clean();
    let [graph] = &process.graphs[..] else { panic!("{process:#?}") };
    assert_eq!((graph.pointers, graph.held_bytes, graph.launches, graph.capture), (1, 4096, 2, Some(1)));
    assert_eq!(
        (graph.nodes[0].pointers[0].made.as_str(), graph.nodes[0].place.as_str()),
        ("train.py:3", "train.py:12")
    );
}

/// A tensor map of NVIDIA's: nobody can read an address in it.
fn opaque(seed: u8) -> [u8; 128] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ seed)
}

/// A graph whose kernel has a tensor map among its parameters, behind a number in a structure if `inside`. The map is
/// encoded at line 5 for memory that line 3 allocates, and given that of line 4 at line 6 if `replaced`.
fn with_map(inside: bool, replaced: bool, told: bool) -> Program {
    let mut program = Program::new();
    program.streams().ok(3, "cuMemAlloc_v2", &[("bytesize", 4096)], &[("dptr", 0x7000)]);
    program.ok(4, "cuMemAlloc_v2", &[("bytesize", 4096)], &[("dptr", 0x9000)]);
    let mut write = |line: u32, function: &str, address: u64, bytes: Option<[u8; 128]>| {
        let stack = program.stack(line);
        let arguments = [("tensorMap", 0x1000), ("globalAddress", address)];
        let call = program.made.call(MAIN, function, &arguments, 0).stack(stack);
        match bytes {
            Some(bytes) => call.pointee("tensorMap", &bytes).end(),
            None => call.end(),
        }
    };
    write(5, "cuTensorMapEncodeTiled", 0x7100, told.then(|| opaque(1)));
    // Once more before a launch: the record has these bytes, and is not given them again.
    write(7, "cuTensorMapEncodeTiled", 0x7100, None);
    if replaced {
        write(6, "cuTensorMapReplaceAddress", 0x9100, told.then(|| opaque(2)));
    }
    let start = if inside { 64 } else { 0 };
    let function = Function {
        handle: 0xf00,
        is_kernel: false,
        name: "load_box".to_owned(),
        module: 0,
        parameters: Some(vec![(0, start as u32 + 128)]),
    };
    program.made.function(MAIN, &function);
    let mut parameters = vec![0; start];
    parameters.extend(opaque(if replaced { 2 } else { 1 }));
    program.begin(11, GLOBAL).launch(12, S).end(15, 0x10).instantiate(16, 0x10, 0x20);
    let node = GraphNode { handle: NODE, kind: 0, function: 0xf00, parameters, ..GraphNode::default() };
    program.made.graph(MAIN, &GraphDump { graph: 0x10, exec: 0x20, nodes: vec![node], ..GraphDump::default() });
    program.replay(30, 0x20);
    program
}

#[test]
fn a_tensor_map_is_known_by_its_bytes_and_its_address_by_the_call() {
    let free = |mut program: Program, memory: u64| {
        program.ok(31, "cuMemFree_v2", &[("dptr", memory)], &[]).replay(32, 0x20);
        program
    };
    let finding = free(with_map(false, false, true), 0x7000).finds(Id::A07, 32);
    assert!(finding.expected.contains("tensor map of parameter 0, points at memory"), "{finding:#?}");
    assert!(finding.seen.starts_with("0x7100 is not allocated"), "{finding:#?}");
    assert_eq!(finding.origin.as_ref().map(|site| site.line), Some(31));
    for place in ["made by cuMemAlloc_v2 at train.py:3", "the tensor map got the address at train.py:5"] {
        assert!(finding.notes.iter().any(|note| note.contains(place)), "{finding:#?}");
    }
    let process = free(with_map(false, false, true), 0x9000).is_clean();
    let pointer = &process.graphs[0].nodes[0].pointers[0];
    assert_eq!((pointer.place.as_str(), pointer.address.as_str()), ("tensor map of parameter 0", "0x7100"));

    // In a structure, and given another address since.
    let finding = free(with_map(true, true, true), 0x9000).finds(Id::A07, 32);
    assert!(finding.expected.contains("tensor map of parameter 0 at byte 64"), "{finding:#?}");
    assert!(finding.notes.iter().any(|note| note.contains("address at train.py:6")), "{finding:#?}");
    free(with_map(true, true, true), 0x7000).is_clean();

    // Bytes that nobody was seen to encode are no map.
    let process = free(with_map(false, false, false), 0x7000).is_clean();
    assert_eq!(process.graphs[0].pointers, 0);
}

#[test]
fn what_a_node_of_an_executable_graph_is_given_is_followed() {
    let given = |pointer: u64| {
        let mut program = with_input();
        program.ok(20, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x9000)]).gives(21, 0x20, pointer);
        program
    };
    // The memory that it had may go now; the one that it has may not.
    given(0x9000).ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    let finding = given(0x9000).ok(31, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).replay(32, 0x20).finds(Id::A07, 32);
    assert!(finding.notes.iter().any(|note| note.contains("the node got it at train.py:21")), "{finding:#?}");
    // Dead when it is given; alive again for an update from the graph that is read back.
    let mut dead = with_input();
    dead.ok(20, "cuMemAlloc_v2", &[("bytesize", 64)], &[("dptr", 0x9000)]);
    dead.ok(20, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).gives(21, 0x20, 0x9000).replay(32, 0x20);
    assert!(dead.finds(Id::A07, 21).expected.contains("when the node is given it"));
    let mut updated = given(0x9000);
    updated.ok(22, "cuGraphExecUpdate_v2", &[("hGraphExec", 0x20), ("hGraph", 0x11)], &[]).dump(0x11, 0x20, 0x7000);
    updated.ok(31, "cuMemFree_v2", &[("dptr", 0x9000)], &[]).replay(32, 0x20).is_clean();
    let mut updated = given(0x9000);
    updated.ok(22, "cuGraphExecUpdate_v2", &[("hGraphExec", 0x20), ("hGraph", 0x11)], &[]).dump(0x11, 0x20, 0x7000);
    updated.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).finds(Id::A07, 32);
    // Parameters of a kind that is not read: nothing is known of that node.
    let mut unread = with_input();
    unread.ok(21, "cuGraphExecNodeSetParams", &[("hGraphExec", 0x20), ("hNode", NODE)], &[]);
    unread.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    // Another child graph: what the nodes in it hold is not known.
    let mut child = with_input();
    child.ok(21, "cuGraphExecChildGraphNodeSetParams", &[("hGraphExec", 0x20), ("hNode", 0xb0)], &[]);
    child.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    let mut child = with_input();
    child.ok(21, "cuGraphExecNodeSetParams", &[("hGraphExec", 0x20), ("hNode", 0xb0)], &[]);
    child.made.given(MAIN, 0x20, &GraphNode { handle: 0xb0, kind: 4, ..GraphNode::default() });
    child.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20).is_clean();
    // A node that is switched off follows nothing.
    let switched = |enabled: u64| {
        let mut program = with_input();
        let arguments = [("hGraphExec", 0x20), ("hNode", NODE), ("isEnabled", enabled)];
        program.ok(21, "cuGraphNodeSetEnabled", &arguments, &[]);
        program.ok(31, "cuMemFree_v2", &[("dptr", 0x7000)], &[]).replay(32, 0x20);
        program
    };
    switched(0).is_clean();
    switched(1).finds(Id::A07, 32);
}

#[test]
fn memory_of_every_kind_is_followed() {
    type Arguments = &'static [(&'static str, u64)];
    let kinds: [(&str, Arguments, Arguments, &str, Arguments, Id); 5] = [
        (
            "cuMemAllocAsync",
            &[("bytesize", 64), ("hStream", U)],
            &[("dptr", 0x7000)],
            "cuMemFreeAsync",
            &[("dptr", 0x7000), ("hStream", U)],
            Id::A07,
        ),
        (
            "cuMemMap",
            &[("ptr", 0x7000), ("size", 64)],
            &[],
            "cuMemUnmap",
            &[("ptr", 0x6000), ("size", 0x2000)],
            Id::A07,
        ),
        ("cuMemHostAlloc", &[("bytesize", 64)], &[("pp", 0x7000)], "cuMemFreeHost", &[("p", 0x7000)], Id::A10),
        (
            "cuMemHostRegister_v2",
            &[("p", 0x7000), ("bytesize", 64)],
            &[],
            "cuMemHostUnregister",
            &[("p", 0x7000)],
            Id::A10,
        ),
        (
            "cuModuleGetGlobal_v2",
            &[("hmod", 5)],
            &[("dptr", 0x7000), ("bytes", 64)],
            "cuModuleUnload",
            &[("hmod", 5)],
            Id::A07,
        ),
    ];
    for (make, arguments, written, free, freed, id) in kinds {
        let mut program = Program::new();
        program.streams().ok(3, make, arguments, written);
        program.begin(11, GLOBAL).launch(12, S).end(15, 0x10).dump(0x10, 0x20, 0x7008).instantiate(16, 0x10, 0x20);
        program.replay(30, 0x20).ok(31, free, freed, &[]).replay(32, 0x20).finds(id, 32);
    }
}

#[test]
fn executable_graphs_that_pile_up_are_told_and_a_set_of_them_is_not() {
    let piles = |replays: &[u64], keeps: bool| {
        let mut program = Program::new();
        program.streams();
        for turn in 0..4u64 {
            let (graph, exec) = (0x100 + turn, 0x200 + turn);
            program.begin(11, GLOBAL).launch(12, S).end(15, graph).instantiate(16, graph, exec).replay(17, exec);
            for &exec in replays {
                program.replay(18, exec);
            }
            if !keeps {
                program.ok(19, "cuGraphExecDestroy", &[("hGraphExec", exec)], &[]);
            }
        }
        program
    };
    let finding = piles(&[], true).finds(Id::L02, 16);
    assert!(finding.seen.contains("4 executable graphs"), "{finding:#?}");
    // An interpreter that ends lets go of all.
    let mut late = piles(&[], true);
    for exec in 0x200..0x204 {
        late.ok(90, "cuGraphExecDestroy", &[("hGraphExec", exec)], &[]);
    }
    late.finds(Id::L02, 16);
    piles(&[], false).is_clean();
    // Each is launched again after the next was made.
    let mut set = Program::new();
    set.streams();
    for turn in 0..4u64 {
        set.begin(11, GLOBAL).launch(12, S).end(15, 0x100 + turn).instantiate(16, 0x100 + turn, 0x200 + turn);
    }
    for turn in 0..8u64 {
        set.replay(20, 0x200 + turn % 4);
    }
    let process = set.is_clean();
    assert!(process.alive.iter().any(|alive| (alive.count, alive.what.as_str()) == (4, "executable graphs")));
}

#[test]
fn a_refused_update_is_told_with_reason_and_node() {
    let updated = |code: u32| {
        let mut program = with_input();
        let stack = program.stack(40);
        let made = program.made.call(MAIN, "cuGraphExecUpdate_v2", &[("hGraphExec", 0x20), ("hGraph", 0x11)], code);
        let mut info = 2u32.to_le_bytes().to_vec();
        info.extend([0; 4]);
        info.extend(0xabcu64.to_le_bytes());
        info.extend([0; 8]);
        made.stack(stack).pointee("resultInfo", &info).end();
        program
    };
    let mut program = updated(910);
    let finding = program.replay(41, 0x20).finds(Id::V06, 40);
    assert!(finding.seen.contains("TOPOLOGY_CHANGED, at node 0xabc"), "{finding:#?}");
    assert_eq!((finding.severity, finding.origin.as_ref().map(|site| site.line)), (Severity::Error, Some(41)));
    // Who makes a new one has done what is to be done.
    updated(910).ok(41, "cuGraphExecDestroy", &[("hGraphExec", 0x20)], &[]).is_clean();
    updated(0).replay(41, 0x20).is_clean();
}

#[test]
fn what_comes_between_replays_is_told() {
    let replays = |between: &dyn Fn(&mut Program)| {
        let mut program = with_input();
        for _ in 0..4 {
            between(&mut program);
            program.replay(31, 0x20);
        }
        program.ok(50, "cuStreamSynchronize", &[("hStream", S)], &[]);
        program
    };
    let wait = |program: &mut Program| {
        program.ok(40, "cuStreamSynchronize", &[("hStream", S)], &[]);
    };
    let finding = replays(&wait).finds(Id::S14, 40);
    assert!(finding.severity == Severity::Warning && finding.seen.contains("4 of 4"), "{finding:#?}");
    let load = |program: &mut Program| {
        program.ok(41, "cuModuleLoadData", &[], &[]);
    };
    replays(&load).finds(Id::S11, 41);
    let copy = |program: &mut Program| {
        let ends = [("dstDevice", 0x7000), ("srcHost", 0x99), ("ByteCount", 8), ("hStream", S)];
        program.ok(42, "cuMemcpyHtoDAsync_v2", &ends, &[]);
    };
    replays(&copy).finds(Id::S09, 42);
    let allocates = |program: &mut Program| {
        program.ok(43, "cuMemAlloc_v2", &[("bytesize", 1)], &[("dptr", 0x8000)]);
    };
    let process = replays(&allocates).is_clean();
    let [all] = &process.loops[..] else { panic!("{process:#?}") };
    assert_eq!((all.launches, all.between.len(), all.between[0].count), (5, 1, 4));
    replays(&|_| {}).is_clean();
}

#[test]
fn layers_and_changes_between_captures_of_one_place_are_told() {
    let mut program = Program::new();
    program.streams();
    for (turn, value) in [(0u64, 0x7000u64), (1, 0x7008)] {
        program.made.range(MAIN, &Range::Push("model".to_owned()));
        program.begin(11, GLOBAL);
        program.made.range(MAIN, &Range::Push("layer 3".to_owned()));
        program.launch(12, S);
        program.made.range(MAIN, &Range::Pop);
        program.end(15, 0x10 + turn).instantiate(16, 0x10 + turn, 0x20 + turn).dump(0x10 + turn, 0x20 + turn, value);
        program.made.range(MAIN, &Range::Pop);
    }
    let process = program.is_clean();
    assert_eq!(
        (process.captures[0].layer.as_str(), process.graphs[0].nodes[0].layer.as_str()),
        ("model", "model / layer 3")
    );
    assert_eq!(process.captures[1].changed, ["node 0 (kernel add): 1 parameter words differ"]);
}

#[test]
fn a_killed_program_and_one_without_calls_are_told_as_that() {
    let mut killed = Program::new();
    killed.streams().begin(11, GLOBAL).launch(12, S);
    let report = analyse(&Trace::open(killed.folder.path()).expect("a trace"));
    let finding = &report.processes[0].findings[0];
    assert!(finding.id == Id::C09 && finding.notes.iter().any(|note| note.contains("by itself")), "{finding:#?}");

    let report = Program::new().told();
    assert_eq!((report.verdict, report.exit_code), (Verdict::NoRecord, 16));
    let text = graphproof_report::report::program(&report, graphproof_report::report::look::Look::PLAIN);
    assert!(text.ends_with("that it is given?\n") && text.contains("NO RECORD"), "{text}");
}

#[test]
fn hostile_text_gets_into_no_sink() {
    let mut program = Program::new();
    let evil = "<script>x</script>\u{1b}[2J\n::error::forged";
    program.streams();
    let stack = program.made.python_stack(&[(evil, 3, evil)]);
    program.made.range(MAIN, &Range::Push(evil.to_owned()));
    program.made.call(MAIN, "cuStreamBeginCapture_v2", &[("hStream", S)], 0).stack(stack).end();
    program.made.call(MAIN, "cuStreamSynchronize", &[("hStream", S)], 900).stack(stack).end();
    program.made.note(evil);
    let report = program.told();
    let text = graphproof_report::report::program(&report, graphproof_report::report::look::Look::PLAIN);
    // `:::` stands before a second place, and begins no command.
    let command = |line: &str| line.trim_start().strip_prefix("::").is_some_and(|rest| !rest.starts_with(':'));
    assert!(!text.contains('\u{1b}') && !text.lines().any(command), "{text}");
    let page = graphproof_report::report::html::program(&report);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
}
