//! Programs that are written call by call.

use graphproof_door::made::Made;
use graphproof_door::{Function, GraphDump, GraphNode, ProcessEvent, Start, Trace};
use graphproof_harness::finding::{Finding, Id, Severity, SiteKind};
use graphproof_trace::report::{ProcessReport, Report};
use graphproof_trace::{Verdict, analyse};

pub const MAIN: u32 = 7;
pub const LOADER: u32 = 8;
pub const S: u64 = 0x5000;
pub const U: u64 = 0x6000;
pub const NODE: u64 = 0xa0;
pub const GLOBAL: u64 = 0;
pub const RELAXED: u64 = 2;
pub const UNSUPPORTED: u32 = 900;
pub const INVALIDATED: u32 = 901;

/// A program that is written call by call; each call stands on a line of `train.py`.
pub struct Program {
    pub folder: tempfile::TempDir,
    pub made: Made,
}

impl Program {
    pub fn new() -> Self {
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
    pub fn ok(&mut self, line: u32, function: &str, arguments: &[(&str, u64)], written: &[(&str, u64)]) -> &mut Self {
        self.call(MAIN, line, function, arguments, written, 0)
    }

    pub fn fails(&mut self, line: u32, function: &str, arguments: &[(&str, u64)], code: u32) -> &mut Self {
        self.call(MAIN, line, function, arguments, &[], code)
    }

    pub fn call(
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

    pub fn stack(&mut self, line: u32) -> u64 {
        self.made.python_stack(&[
            ("/venv/lib/python3.12/site-packages/torch/cuda/__init__.py", 900, "inner"),
            ("train.py", line, "step"),
            ("train.py", 99, "<module>"),
        ])
    }

    pub fn streams(&mut self) -> &mut Self {
        self.ok(1, "cuStreamCreate", &[("Flags", 0)], &[("phStream", S)]);
        self.ok(2, "cuStreamCreate", &[("Flags", 0)], &[("phStream", U)])
    }

    pub fn begin(&mut self, line: u32, mode: u64) -> &mut Self {
        self.ok(line, "cuStreamBeginCapture_v2", &[("hStream", S), ("mode", mode)], &[])
    }

    pub fn launch(&mut self, line: u32, stream: u64) -> &mut Self {
        self.ok(line, "cuLaunchKernel", &[("f", 0xf00), ("hStream", stream)], &[])
    }

    pub fn end(&mut self, line: u32, graph: u64) -> &mut Self {
        self.ok(line, "cuStreamEndCapture", &[("hStream", S)], &[("phGraph", graph)])
    }

    pub fn end_fails(&mut self, line: u32, code: u32) -> &mut Self {
        self.fails(line, "cuStreamEndCapture", &[("hStream", S)], code)
    }

    pub fn instantiate(&mut self, line: u32, graph: u64, exec: u64) -> &mut Self {
        self.ok(line, "cuGraphInstantiateWithFlags", &[("hGraph", graph)], &[("phGraphExec", exec)])
    }

    /// A graph of one kernel with one pointer, read back.
    pub fn dump(&mut self, graph: u64, exec: u64, pointer: u64) -> &mut Self {
        let node = self.node(pointer);
        self.made.graph(MAIN, &GraphDump { graph, exec, nodes: vec![node], ..GraphDump::default() });
        self
    }

    /// That kernel is given another pointer in the executable graph.
    pub fn gives(&mut self, line: u32, exec: u64, pointer: u64) -> &mut Self {
        self.ok(line, "cuGraphExecKernelNodeSetParams_v2", &[("hGraphExec", exec), ("hNode", NODE)], &[]);
        let node = self.node(pointer);
        self.made.given(MAIN, exec, &node);
        self
    }

    pub fn node(&mut self, pointer: u64) -> GraphNode {
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

    pub fn replay(&mut self, line: u32, exec: u64) -> &mut Self {
        self.ok(line, "cuGraphLaunch", &[("hGraph", exec), ("hStream", S)], &[])
    }

    pub fn told(&mut self) -> Report {
        self.made.process(&ProcessEvent::Exit);
        analyse(&Trace::open(self.folder.path()).expect("a trace"))
    }

    pub fn process(&mut self) -> ProcessReport {
        self.told().processes.remove(0)
    }

    /// The only finding: its id and line.
    #[track_caller]
    pub fn finds(&mut self, id: Id, line: u32) -> Finding {
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
    pub fn is_clean(&mut self) -> ProcessReport {
        let report = self.told();
        assert_eq!((report.verdict, report.exit_code), (Verdict::Clean, 0), "{:#?}", report.processes[0].findings);
        let process = report.processes.into_iter().next().expect("one");
        assert!(process.findings.is_empty() && process.disagreements.is_empty(), "{process:#?}");
        process
    }
}
