//! Programmatic launches under seeds: a kernel begins before the one ahead has ended, where that lets it, and reads what
//! is not written yet unless it waits.

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

use crate::abi_support::{Gate, THREAD_LOCAL, function, instantiate, load, nodes, primary_of};
use graphproof_driver::abi::graph_types::*;
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::control::{BACKWARDS, FORWARDS, last_fault, set_seed};
use graphproof_driver::observe;
use graphproof_driver::software::{Entered, Settings};

const BLOCKS: u32 = 4;
const THREADS: u32 = 32;
const WORDS: usize = (BLOCKS * THREADS) as usize;

/// A kernel `name(from, to)`: word i of `to` is one more than that of `from`. `before` and `behind` stand around the load.
fn adds(name: &str, before: &str, behind: &str) -> String {
    format!(
        ".visible .entry {name}(.param .u64 from, .param .u64 to)\n{{\n.reg .b32 %r<8>;\n.reg .b64 %rd<8>;\n\
         mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\nmad.lo.u32 %r1, %r1, %r2, %r3;\n\
         ld.param.u64 %rd1, [from];\nld.param.u64 %rd2, [to];\nmul.wide.u32 %rd3, %r1, 4;\nadd.u64 %rd1, %rd1, %rd3;\n\
         add.u64 %rd2, %rd2, %rd3;\n{before}ld.global.u32 %r4, [%rd1];\n{behind}add.u32 %r4, %r4, 1;\n\
         st.global.u32 [%rd2], %r4;\nret;\n}}\n"
    )
}

const TRIGGER: &str = "griddepcontrol.launch_dependents;\n";
const WAIT: &str = "griddepcontrol.wait;\n";

struct Device {
    _own: Entered,
    stream: CUstream,
    module: CUmodule,
    /// Four times [`WORDS`] words: what each kernel reads, and what the last has written.
    memory: CUdeviceptr,
}

impl Device {
    fn new() -> Self {
        let (own, _) = primary_of(Settings::default().with("GRAPHPROOF_COMPUTE_CAPABILITY", "9.0"));
        let text = [
            ".version 8.0\n.target sm_90\n.address_size 64\n".to_owned(),
            adds("plain", "", ""),
            adds("lets", TRIGGER, ""),
            adds("waits", WAIT, ""),
            // Lets others begin at once, and waits behind that; or the other way round.
            adds("lets_waits", &format!("{TRIGGER}{WAIT}"), ""),
            adds("waits_lets", &format!("{WAIT}{TRIGGER}"), ""),
            adds("waits_late", "", WAIT),
            adds("fails", &format!("{TRIGGER}mov.u64 %rd2, 16;\n"), ""),
        ];
        let module = load(&text.concat());
        let (mut stream, mut memory) = (CUstream::NULL, 0);
        ok!(cuStreamCreate(&mut stream, 1));
        ok!(cuMemAlloc_v2(&mut memory, 16 * WORDS));
        Self { _own: own, stream, module, memory }
    }

    /// Launches the `at`-th kernel, which reads what the one before it writes.
    fn launch(&self, at: usize, kernel: &CStr, early: bool) {
        let mut value = CUlaunchAttributeValue::default();
        value.0[0] = 1;
        let attribute = CUlaunchAttribute { id: 6, value, ..CUlaunchAttribute::default() };
        let config = CUlaunchConfig {
            gridDimX: BLOCKS,
            gridDimY: 1,
            gridDimZ: 1,
            blockDimX: THREADS,
            blockDimY: 1,
            blockDimZ: 1,
            hStream: self.stream,
            attrs: &raw const attribute as *mut _,
            numAttrs: u32::from(early),
            // SAFETY: plain old data, for which zero is a value.
            ..unsafe { std::mem::zeroed() }
        };
        let mut places = [at, at + 1].map(|place| self.memory + 4 * (place * WORDS) as u64);
        let [from, to] = &mut places;
        let mut parameters = [(&raw mut *from).cast::<c_void>(), (&raw mut *to).cast()];
        ok!(cuLaunchKernelEx(&config, function(self.module, kernel), parameters.as_mut_ptr(), null_mut()));
    }

    /// Launches these one behind the other, all but the first so that they may begin early.
    fn launch_all(&self, kernels: &[&CStr]) {
        kernels.iter().enumerate().for_each(|(at, kernel)| self.launch(at, kernel, at > 0));
    }

    fn capture(&self, work: impl FnOnce()) -> CUgraph {
        let mut graph = CUgraph::NULL;
        ok!(cuStreamBeginCapture_v2(self.stream, THREAD_LOCAL));
        work();
        ok!(cuStreamEndCapture(self.stream, &mut graph));
        graph
    }

    /// Runs `work` under the order of `seed` on memory that holds 10 for the first kernel and 0 elsewhere; gives the words
    /// that the last of `kernels` kernels has written.
    fn under(&self, seed: u64, kernels: usize, work: impl FnOnce()) -> Vec<u32> {
        ok!(cuMemsetD32_v2(self.memory, 0, 4 * WORDS));
        ok!(cuMemsetD32_v2(self.memory, 10, WORDS));
        ok!(cuCtxSynchronize());
        set_seed(seed);
        work();
        ok!(cuStreamSynchronize(self.stream));
        set_seed(0);
        let mut words = vec![0u32; WORDS];
        ok!(cuMemcpyDtoH_v2(words.as_mut_ptr() as u64, self.memory + 4 * (kernels * WORDS) as u64, 4 * WORDS));
        words
    }

    /// The results of a graph of these kernels under the orders of these seeds.
    fn replays(&self, kernels: &[&CStr], seeds: impl Iterator<Item = u64>) -> Vec<Vec<u32>> {
        let graph = self.capture(|| self.launch_all(kernels));
        let exec = instantiate(graph);
        let results =
            seeds.map(|seed| self.under(seed, kernels.len(), || ok!(cuGraphLaunch(exec, self.stream)))).collect();
        ok!(cuGraphExecDestroy(exec));
        ok!(cuGraphDestroy(graph));
        results
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        ok!(cuModuleUnload(self.module));
        ok!(cuMemFree_v2(self.memory));
        ok!(cuStreamDestroy_v2(self.stream));
    }
}

/// What comes of kernels that all ran behind one another.
fn right(kernels: u32) -> Vec<u32> {
    vec![10 + kernels; WORDS]
}

fn all() -> impl Iterator<Item = u64> {
    (0..=64).chain([FORWARDS, BACKWARDS])
}

#[test]
fn a_kernel_that_does_not_wait_reads_too_early_under_a_seed_and_one_that_waits_does_not() {
    let device = Device::new();
    let hasty = device.replays(&[c"lets", c"plain"], all());
    // Without a seed, and where what could run first does, the first ends before the second begins; at the other extreme
    // no block of the first has written when the second reads.
    assert_eq!([&hasty[0], &hasty[65]], [&right(2); 2]);
    assert_eq!(hasty[66], vec![1; WORDS]);
    let differ = hasty[1..65].iter().filter(|result| **result != right(2)).count();
    assert!((10..55).contains(&differ), "{differ} of 64 seeds");
    for seconds in [c"waits", c"lets_waits", c"waits_lets"] {
        let patient = device.replays(&[c"lets", seconds], all());
        assert!(patient.iter().all(|result| *result == right(2)), "{seconds:?}");
    }
    // One that waits behind its read is as hasty.
    assert_eq!(device.replays(&[c"lets", c"waits_late"], [0, BACKWARDS].into_iter()), [right(2), vec![1; WORDS]]);
    // Behind one that does not let it, none begins early.
    for first in [c"plain", c"waits"] {
        assert!(device.replays(&[first, c"plain"], all()).iter().all(|result| *result == right(2)));
    }
}

#[test]
fn of_three_the_third_begins_as_soon_as_the_second_lets_it() {
    let device = Device::new();
    for seconds in [c"lets_waits", c"waits_lets"] {
        assert!(device.replays(&[c"lets", seconds, c"waits"], all()).iter().all(|result| *result == right(3)));
        // The third reads what the second has not written.
        let hasty = device.replays(&[c"lets", seconds, c"plain"], [0, FORWARDS, BACKWARDS].into_iter());
        assert_eq!(hasty, [right(3), right(3), vec![1; WORDS]]);
    }
    // The second has not waited: that the third waits for the second says nothing of the first.
    let hasty = device.replays(&[c"lets", c"lets", c"waits"], [0, FORWARDS, BACKWARDS].into_iter());
    assert_eq!(hasty, [right(3), right(3), vec![2; WORDS]]);
    // More than are in flight at once.
    let names: Vec<&CStr> = [c"lets"].into_iter().chain([c"lets_waits", c"waits_lets"]).collect();
    assert!(device.replays(&names, all()).iter().all(|result| *result == right(3)));
}

#[test]
fn a_kernel_that_begins_early_is_told_as_work_without_an_order_under_that_seed() {
    let device = Device::new();
    let graph = device.capture(|| device.launch_all(&[c"lets", c"plain"]));
    let exec = instantiate(graph);
    for seed in [0, FORWARDS, BACKWARDS] {
        observe::start();
        device.under(seed, 2, || ok!(cuGraphLaunch(exec, device.stream)));
        let seen = observe::stop();
        let pairs: Vec<_> = seen.conflicts().iter().map(|pair| pair.works.map(|work| seen.works[work].node)).collect();
        assert_eq!(pairs, [[Some(0), Some(1)]], "seed {seed}");
    }
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(graph));
}

/// On a stream, what has been enqueued by the time at which the one ahead lets it.
#[test]
fn eager_launches_begin_early_too() {
    static GATES: [Gate; 140] = [const { Gate::new() }; 140];
    let device = Device::new();
    let mut gates = GATES.iter();
    let mut eager = |kernels: &[&CStr], seed: u64| {
        device.under(seed, kernels.len(), || {
            let gate = gates.next().expect("a gate");
            gate.hold(device.stream);
            device.launch_all(kernels);
            gate.open();
        })
    };
    assert_eq!(eager(&[c"lets", c"plain"], BACKWARDS), vec![1; WORDS]);
    assert_eq!(eager(&[c"lets", c"lets_waits", c"plain"], BACKWARDS), vec![1; WORDS]);
    for seed in [0, FORWARDS] {
        assert_eq!(eager(&[c"lets", c"plain"], seed), right(2));
    }
    for seed in all() {
        assert_eq!(eager(&[c"lets", c"waits"], seed), right(2), "seed {seed}");
        assert_eq!(eager(&[c"lets", c"lets_waits", c"waits"], seed), right(3), "seed {seed}");
    }
}

#[test]
fn an_eager_launch_waits_where_it_was_not_launched_to_begin_early_or_something_is_between() {
    static GATES: [Gate; 2] = [const { Gate::new() }; 2];
    let device = Device::new();
    let plain = device.under(BACKWARDS, 2, || {
        GATES[0].hold(device.stream);
        device.launch(0, c"lets", false);
        device.launch(1, c"plain", false);
        GATES[0].open();
    });
    assert_eq!(plain, right(2));
    let mut event = CUevent::NULL;
    ok!(cuEventCreate(&mut event, 0));
    let between = device.under(BACKWARDS, 2, || {
        GATES[1].hold(device.stream);
        device.launch(0, c"lets", false);
        ok!(cuEventRecord(event, device.stream));
        device.launch(1, c"plain", true);
        GATES[1].open();
        ok!(cuEventSynchronize(event));
    });
    assert_eq!(between, right(2));
    ok!(cuEventDestroy_v2(event));
}

#[test]
fn an_update_keeps_the_edge() {
    let device = Device::new();
    let [hasty, patient] = [c"plain", c"waits"].map(|second| device.capture(|| device.launch_all(&[c"lets", second])));
    let exec = instantiate(hasty);
    let run = |seed| device.under(seed, 2, || ok!(cuGraphLaunch(exec, device.stream)));
    for (graph, late) in [(patient, right(2)), (hasty, vec![1; WORDS])] {
        let mut info = CUgraphExecUpdateResultInfo::default();
        ok!(cuGraphExecUpdate_v2(exec, graph, &mut info));
        assert_eq!([run(0), run(FORWARDS), run(BACKWARDS)], [right(2), right(2), late]);
    }
    ok!(cuGraphExecDestroy(exec));
    ok!(cuGraphDestroy(hasty));
    ok!(cuGraphDestroy(patient));
}

/// The edge to a conditional node is a full one, and its body begins when the node does; within the body an edge is what
/// it is elsewhere.
#[test]
fn the_body_of_a_conditional_does_not_begin_early() {
    let device = Device::new();
    let conditional = |kernels: [&CStr; 2], within: bool| {
        let graph = device.capture(|| device.launch(0, if within { c"plain" } else { kernels[0] }, false));
        let mut params = CUgraphNodeParams { type_: 13, reserved0: [0; 3], member: [0; 29], reserved2: 0 };
        ok!(cuGraphConditionalHandleCreate(&mut params.member[0], graph, CUcontext::NULL, 1, 1));
        params.member[1] = 1 << 32;
        let (mut node, after) = (CUgraphNode::NULL, nodes(graph));
        ok!(cuGraphAddNode_v2(&mut node, graph, after.as_ptr(), null(), after.len(), &mut params));
        // SAFETY: an IF node of one body.
        let body = unsafe { *(params.member[2] as *const CUgraph) };
        ok!(cuStreamBeginCaptureToGraph(device.stream, body, null(), null(), 0, THREAD_LOCAL));
        if within {
            device.launch(1, kernels[0], false);
        }
        device.launch(1 + usize::from(within), kernels[1], true);
        let mut captured = CUgraph::NULL;
        ok!(cuStreamEndCapture(device.stream, &mut captured));
        let exec = instantiate(graph);
        let count = 2 + usize::from(within);
        let results =
            [0, FORWARDS, BACKWARDS].map(|seed| device.under(seed, count, || ok!(cuGraphLaunch(exec, device.stream))));
        ok!(cuGraphExecDestroy(exec));
        ok!(cuGraphDestroy(graph));
        results
    };
    assert_eq!(conditional([c"lets", c"plain"], false), [right(2), right(2), right(2)]);
    assert_eq!(conditional([c"lets", c"plain"], true), [right(3), right(3), vec![1; WORDS]]);
    assert_eq!(conditional([c"lets", c"waits"], true), [right(3), right(3), right(3)]);
}

#[test]
fn what_begins_early_behind_one_that_fails_does_not_go_on() {
    let device = Device::new();
    let graph = device.capture(|| device.launch_all(&[c"fails", c"waits"]));
    let exec = instantiate(graph);
    ok!(cuMemsetD32_v2(device.memory, 0, 4 * WORDS));
    ok!(cuCtxSynchronize());
    set_seed(BACKWARDS);
    ok!(cuGraphLaunch(exec, device.stream));
    assert_eq!(code!(cuStreamSynchronize(device.stream)), CUresult::ILLEGAL_ADDRESS);
    let told = last_fault().map(|report| format!("{report:?}")).unwrap_or_default();
    assert!(told.contains("fails"), "{told}");
    // Nothing is left of the context but its error.
    std::mem::forget(device);
}
