//! Measures the driver through its C entry points: what a launch costs, and what a graph saves.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use crate::abi::types::{CUcontext, CUfunction, CUgraph, CUgraphExec, CUmodule, CUstream};
use crate::abi::*;

const EMPTY: &str = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry empty() { ret; }\0";
/// Kernel nodes of the graph whose capture and instantiation are measured.
pub const CAPTURED_NODES: u32 = 10_000;
/// Kernel nodes of the graph whose launch is measured.
pub const LAUNCHED_NODES: u32 = 1_000;
/// Each number is the median of this many measurements.
const ROUNDS: usize = 9;
/// Launches with a wait after each, in one measurement.
const ROUND_TRIPS: u32 = 1_000;

/// What [`graph`] measured, on one stream, with kernels of one empty block of 32 threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphBench {
    /// `cuLaunchKernel` alone, while the stream is busy: the time of the call.
    pub enqueue: Duration,
    /// `cuLaunchKernel` and `cuStreamSynchronize`.
    pub launch_and_wait: Duration,
    /// [`CAPTURED_NODES`] launches between `cuStreamBeginCapture` and `cuStreamEndCapture`.
    pub capture: Duration,
    /// `cuGraphInstantiateWithFlags` of that graph.
    pub instantiate: Duration,
    /// The same [`CAPTURED_NODES`] launches made eagerly, with a wait at the end.
    pub eager_captured_nodes: Duration,
    /// `cuGraphLaunch` of [`LAUNCHED_NODES`] nodes, with a wait.
    pub graph_launch: Duration,
    /// The same [`LAUNCHED_NODES`] launches made eagerly, with a wait at the end.
    pub eager_launches: Duration,
    /// What the [`LAUNCHED_NODES`] kernels cost the interpreter by themselves.
    pub kernels_alone: Duration,
}

impl GraphBench {
    /// What a node of a graph launch costs above its kernel's own execution.
    pub fn overhead_per_node(&self) -> Duration {
        self.graph_launch.saturating_sub(self.kernels_alone) / LAUNCHED_NODES
    }
}

/// Measures the software driver of this process, in its primary context.
///
/// # Errors
/// The first code other than success; a call that was not modelled cannot be.
pub fn graph() -> Result<GraphBench, CUresult> {
    let bench = Bench::new()?;
    let result = bench.measure();
    // SAFETY: live handles of this bench, used no more.
    unsafe {
        let _ = cuStreamDestroy_v2(bench.stream);
        let _ = cuModuleUnload(bench.module);
        let _ = cuDevicePrimaryCtxRelease_v2(0);
    }
    result
}

fn check(result: CUresult) -> Result<(), CUresult> {
    if result == CUresult::SUCCESS { Ok(()) } else { Err(result) }
}

/// The median time of `body`.
fn median(mut body: impl FnMut() -> Result<(), CUresult>) -> Result<Duration, CUresult> {
    let mut times = [Duration::ZERO; ROUNDS];
    for time in &mut times {
        let began = Instant::now();
        body()?;
        *time = began.elapsed();
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

struct Bench {
    module: CUmodule,
    function: CUfunction,
    stream: CUstream,
}

impl Bench {
    fn new() -> Result<Self, CUresult> {
        let (mut context, mut module) = (CUcontext::NULL, CUmodule::NULL);
        let (mut function, mut stream) = (CUfunction::NULL, CUstream::NULL);
        // SAFETY: valid places for the results, and a terminated image.
        unsafe {
            check(cuInit(0))?;
            check(cuDevicePrimaryCtxRetain(&mut context, 0))?;
            check(cuCtxSetCurrent(context))?;
            check(cuModuleLoadData(&mut module, EMPTY.as_ptr().cast::<c_void>()))?;
            check(cuModuleGetFunction(&mut function, module, c"empty".as_ptr()))?;
            check(cuStreamCreate(&mut stream, 1))?;
        }
        Ok(Self { module, function, stream })
    }

    fn launch(&self) -> Result<(), CUresult> {
        // SAFETY: the kernel has no parameters.
        check(unsafe { cuLaunchKernel(self.function, 1, 1, 1, 32, 1, 1, 0, self.stream, null_mut(), null_mut()) })
    }

    fn synchronise(&self) -> Result<(), CUresult> {
        // SAFETY: a live stream.
        check(unsafe { cuStreamSynchronize(self.stream) })
    }

    fn eagerly(&self, count: u32) -> Result<Duration, CUresult> {
        median(|| {
            (0..count).try_for_each(|_| self.launch())?;
            self.synchronise()
        })
    }

    fn capture(&self, count: u32) -> Result<CUgraph, CUresult> {
        let mut graph = CUgraph::NULL;
        // SAFETY: a live stream, and a valid place for the result.
        unsafe {
            check(cuStreamBeginCapture_v2(self.stream, 0))?;
            (0..count).try_for_each(|_| self.launch())?;
            check(cuStreamEndCapture(self.stream, &mut graph))?;
        }
        Ok(graph)
    }

    fn instantiate(&self, graph: CUgraph) -> Result<CUgraphExec, CUresult> {
        let mut exec = CUgraphExec::NULL;
        // SAFETY: a live graph, and a valid place for the result.
        check(unsafe { cuGraphInstantiateWithFlags(&mut exec, graph, 0) })?;
        Ok(exec)
    }

    fn destroy(graph: CUgraph, exec: CUgraphExec) -> Result<(), CUresult> {
        // SAFETY: live handles, used no more.
        unsafe {
            check(cuGraphExecDestroy(exec))?;
            check(cuGraphDestroy(graph))
        }
    }

    fn measure(&self) -> Result<GraphBench, CUresult> {
        let eager_captured_nodes = self.eagerly(CAPTURED_NODES)?;
        let mut enqueue = [Duration::ZERO; ROUNDS];
        let (mut captures, mut instantiations) = (enqueue, enqueue);
        for round in 0..ROUNDS {
            let began = Instant::now();
            (0..CAPTURED_NODES).try_for_each(|_| self.launch())?;
            enqueue[round] = began.elapsed() / CAPTURED_NODES;
            self.synchronise()?;
            let began = Instant::now();
            let graph = self.capture(CAPTURED_NODES)?;
            captures[round] = began.elapsed();
            let began = Instant::now();
            let exec = self.instantiate(graph)?;
            instantiations[round] = began.elapsed();
            Self::destroy(graph, exec)?;
        }
        [&mut enqueue, &mut captures, &mut instantiations].into_iter().for_each(|times| times.sort_unstable());
        let round_trips = median(|| {
            (0..ROUND_TRIPS).try_for_each(|_| {
                self.launch()?;
                self.synchronise()
            })
        })?;
        let graph = self.capture(LAUNCHED_NODES)?;
        let exec = self.instantiate(graph)?;
        let graph_launch = median(|| {
            // SAFETY: live handles.
            check(unsafe { cuGraphLaunch(exec, self.stream) })?;
            self.synchronise()
        })?;
        Self::destroy(graph, exec)?;
        Ok(GraphBench {
            enqueue: enqueue[ROUNDS / 2],
            launch_and_wait: round_trips / ROUND_TRIPS,
            capture: captures[ROUNDS / 2],
            instantiate: instantiations[ROUNDS / 2],
            eager_captured_nodes,
            graph_launch,
            eager_launches: self.eagerly(LAUNCHED_NODES)?,
            kernels_alone: kernels_alone()?,
        })
    }
}

/// The interpreter on [`LAUNCHED_NODES`] empty kernels, without the driver.
fn kernels_alone() -> Result<Duration, CUresult> {
    let pool = graphproof_exec::Pool::new(1);
    graphproof_exec::bench::launch_overhead(&pool).map(|one| one * LAUNCHED_NODES).map_err(|_| CUresult::UNKNOWN)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_number_is_measured() {
        let bench = super::graph().unwrap();
        let all = [bench.enqueue, bench.launch_and_wait, bench.capture, bench.instantiate, bench.graph_launch];
        assert!(all.iter().all(|time| !time.is_zero()), "{bench:?}");
        println!("{bench:?}, {:?} per node above the kernels", bench.overhead_per_node());
    }
}
