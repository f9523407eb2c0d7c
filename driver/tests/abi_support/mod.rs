//! What the tests through the C ABI share: checked calls, and a device with a stream and a buffer.
#![allow(dead_code, unused_macros, reason = "each test file uses a part")]

use std::ffi::{CStr, CString, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;
use graphproof_driver::software::{Entered, Instance, Settings};

pub const INVALID: CUresult = CUresult::INVALID_VALUE;
pub const GLOBAL: c_uint = 0;
pub const THREAD_LOCAL: c_uint = 1;

/// A call that succeeds.
macro_rules! ok {
    ($call:expr) => {
        // SAFETY: valid arguments for what CUDA documents.
        assert_eq!(unsafe { $call }, CUresult::SUCCESS, stringify!($call))
    };
}

/// The result of a call.
macro_rules! code {
    ($call:expr) => {
        // SAFETY: pointers are null or valid; handles may be anything.
        unsafe { $call }
    };
}

/// A driver of the test's own, with its primary context current.
pub fn primary() -> (Entered, CUcontext) {
    primary_of(Settings::default())
}

/// As [`primary`], with these settings.
pub fn primary_of(settings: Settings) -> (Entered, CUcontext) {
    let own = Instance::new(settings).enter();
    let mut context = CUcontext::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    (own, context)
}

/// Words of the buffer.
pub const WORDS: usize = 64;

/// A driver's primary context with a blocking stream and a buffer of [`WORDS`] zeros.
pub struct Device {
    /// The driver.
    pub own: Entered,
    pub context: CUcontext,
    pub stream: CUstream,
    pub buffer: CUdeviceptr,
}

impl Device {
    pub fn new() -> Self {
        let (own, context) = primary();
        let (mut stream, mut buffer) = (CUstream::NULL, 0);
        ok!(cuStreamCreate(&mut stream, 0));
        ok!(cuMemAlloc_v2(&mut buffer, WORDS * 4));
        ok!(cuMemsetD32_v2(buffer, 0, WORDS));
        // The fill is asynchronous, and non-blocking streams do not wait for it.
        ok!(cuCtxSynchronize());
        Self { own, context, stream, buffer }
    }

    pub fn begin(&self) {
        ok!(cuStreamBeginCapture_v2(self.stream, THREAD_LOCAL));
    }

    pub fn fill(&self, place: usize, value: u32) {
        ok!(cuMemsetD32Async(self.buffer + place as u64 * 4, value, 1, self.stream));
    }

    pub fn end(&self) -> CUgraph {
        let mut graph = CUgraph::NULL;
        ok!(cuStreamEndCapture(self.stream, &mut graph));
        graph
    }

    pub fn run(&self, exec: CUgraphExec) {
        ok!(cuGraphLaunch(exec, self.stream));
        ok!(cuStreamSynchronize(self.stream));
    }

    pub fn words(&self) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        ok!(cuMemcpyDtoH_v2(words.as_mut_ptr() as u64, self.buffer, WORDS * 4));
        words
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut graph = CUgraph::NULL;
        code!(cuStreamEndCapture(self.stream, &mut graph));
        ok!(cuStreamDestroy_v2(self.stream));
        ok!(cuMemFree_v2(self.buffer));
        ok!(cuDevicePrimaryCtxRelease_v2(0));
    }
}

pub fn instantiate(graph: CUgraph) -> CUgraphExec {
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
    exec
}

pub fn nodes(graph: CUgraph) -> Vec<CUgraphNode> {
    let mut count = 0;
    ok!(cuGraphGetNodes(graph, null_mut(), &mut count));
    let mut nodes = vec![CUgraphNode::NULL; count];
    ok!(cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count));
    nodes
}

/// Loads PTX text.
pub fn load(ptx: &str) -> CUmodule {
    let (text, mut module) = (CString::new(ptx).unwrap(), CUmodule::NULL);
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

/// A kernel of a module.
pub fn function(module: CUmodule, name: &CStr) -> CUfunction {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    function
}

/// A host function that holds its stream until it is let go.
pub struct Gate {
    open: AtomicBool,
}

impl Gate {
    /// A closed one.
    pub const fn new() -> Self {
        Self { open: AtomicBool::new(false) }
    }

    /// Holds a stream.
    pub fn hold(&'static self, stream: CUstream) {
        unsafe extern "C" fn wait(gate: *mut c_void) {
            // SAFETY: a static gate.
            let gate = unsafe { &*gate.cast::<Gate>() };
            while !gate.open.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        }
        ok!(cuLaunchHostFunc(stream, Some(wait), (&raw const *self).cast_mut().cast()));
    }

    /// Lets all of them go.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
    }
}
