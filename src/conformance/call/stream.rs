//! Capture, launches, host functions: the calls on streams that need a structure or a callback.

use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch};
use super::{Special, host, names, specials, structs};
use crate::conformance::expand::Step;

pub(super) const CALLS: &[Special] = specials! {
    "cuStreamIsCapturing" 1..=1 Nothing is_capturing;
    "cuStreamGetCaptureInfo" 1..=1 Nothing |env, step| capture_info(env, step, &[3, 2]);
    "cuStreamGetCaptureInfo_v2" 1..=1 Nothing |env, step| capture_info(env, step, &[2]);
    "cuStreamGetCaptureInfo_v3" 1..=1 Nothing |env, step| capture_info(env, step, &[3]);
    "capturegraph" 1..=1 Value |env, step| captured(env, step, Captured::Graph);
    "captureid" 1..=1 Value |env, step| captured(env, step, Captured::Id);
    "lastnode" 1..=2 Value |env, step| captured(env, step, Captured::Node);
    "deps" 1..=1 Nothing deps;
    "cuStreamBeginCaptureToGraph" 4..=4 Nothing begin_to_graph;
    "cuStreamBeginRecaptureToGraph" 3..=4 Nothing begin_recapture;
    "cuStreamUpdateCaptureDependencies" 3..=4 Nothing update_dependencies;
    "cuThreadExchangeStreamCaptureMode" 1..=1 Nothing exchange_mode;
    "cuLaunchKernel" 2..=6 Nothing launch;
    "cuLaunchKernelEx" 2..=6 Nothing launch_ex;
    "cuLaunchCooperativeKernel" 2..=6 Nothing launch_cooperative;
    "cuLaunchHostFunc" 2..=3 Nothing host_function;
    "cuStreamAddCallback" 1..=1 Nothing add_callback;
    "cuStreamBatchMemOp" 3..=3 Nothing batch_mem_op;
};

fn is_capturing(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream) = (env.entry("cuStreamIsCapturing")?, env.arg(step, 0)?.bits);
    let out = Scratch::new(8);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (stream, status*).
        let code = unsafe { entry.call(&[stream, out.address()]) };
        Answer::with(code, || names::capture_status(out.read_u32(0)))
    }))
}

/// The outputs of a capture query, in a block of 48 bytes.
#[derive(Clone, Copy)]
struct Info(Scratch);

impl Info {
    /// Asks with the first of the given versions of the call that the driver exports.
    fn ask(env: &Env, step: &Step, versions: &[u32]) -> Result<(impl FnOnce() -> i32 + use<>, Self), Problem> {
        let symbols: Vec<String> =
            versions.iter().map(|version| format!("cuStreamGetCaptureInfo_v{version}")).collect();
        let (at, entry) = env.any_entry(&symbols.iter().map(String::as_str).collect::<Vec<_>>())?;
        let out = Scratch::new(48);
        let place = |offset: u64| out.address() + offset;
        let mut words = vec![env.arg(step, 0)?.bits, place(0), place(8), place(16), place(24)];
        if versions[at] == 3 {
            words.push(place(40));
        }
        words.push(place(32));
        // SAFETY: cuda.h: (stream, status*, id*, graph*, nodes**, [edges**,] count*).
        Ok((move || unsafe { entry.call(&words) }, Self(out)))
    }

    fn active(self) -> bool {
        self.0.read_u32(0) == 1
    }

    fn count(self) -> u64 {
        if self.active() { self.0.read(32) } else { 0 }
    }

    /// The node at `at` of the dependencies, read at once: the array is the driver's.
    fn node(self, at: u64) -> u64 {
        if at >= self.count() || self.0.read(24) == 0 {
            return 0;
        }
        // SAFETY: the driver says that `count` handles lie there until its next call on the stream.
        unsafe { (self.0.read(24) as *const u64).add(at as usize).read() }
    }
}

fn capture_info(env: &mut Env, step: &Step, versions: &[u32]) -> Result<Prepared, Problem> {
    let (ask, info) = Info::ask(env, step, versions)?;
    Ok(Box::new(move || {
        Answer::with(ask(), || {
            let status = names::capture_status(info.0.read_u32(0));
            if info.active() { format!("{status} deps={}", info.count()) } else { status }
        })
    }))
}

#[derive(Clone, Copy)]
enum Captured {
    Graph,
    Id,
    Node,
}

fn captured(env: &mut Env, step: &Step, what: Captured) -> Result<Prepared, Problem> {
    let (ask, info) = Info::ask(env, step, &[3, 2])?;
    let at = env.arg_or(step, 1, 0)?;
    Ok(Box::new(move || {
        let code = ask();
        let bits = match what {
            _ if !info.active() => 0,
            Captured::Graph => info.0.read(16),
            Captured::Id => info.0.read(8),
            Captured::Node => info.node(at),
        };
        let answer = Answer::created(code, bits, Kind::Other);
        // What an inactive capture does not have stays unset.
        Answer { value: answer.value.filter(|value| value.bits != 0), ..answer }
    }))
}

fn deps(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (ask, info) = Info::ask(env, step, &[3, 2])?;
    Ok(Box::new(move || match ask() {
        0 => Answer::words(info.count().to_string()),
        code => Answer::code(code),
    }))
}

fn begin_to_graph(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuStreamBeginCaptureToGraph")?;
    let (nodes, count) = env.list(step, 2)?;
    let words = [env.arg(step, 0)?.bits, env.arg(step, 1)?.bits, nodes, 0, count, env.arg(step, 3)?.bits];
    // SAFETY: cuda.h: (stream, graph, dependencies, edge data, count, mode).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

/// The fourth argument is the code that the callback answers with; 0 where it is left out.
fn begin_recapture(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuStreamBeginRecaptureToGraph")?;
    let graph = env.arg(step, 2)?.bits;
    let answer = env.arg_or(step, 3, 0)?;
    let words = [env.arg(step, 0)?.bits, env.arg(step, 1)?.bits, graph, host::recapture_callback(), answer];
    // SAFETY: cuda.h: (stream, mode, graph, callback, user data); the callback takes the answer as a number.
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

/// `CUgraphEdgeData` of a programmatic dependency: bytes `from_port`, `to_port`, `type`.
const PROGRAMMATIC_EDGE: u64 = 0x0001_0001;

/// A fourth argument `programmatic` gives each dependency that edge data.
fn update_dependencies(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let symbols = ["cuStreamUpdateCaptureDependencies_v2", "cuStreamUpdateCaptureDependencies"];
    let with_edges = step.args.len() > 3;
    let (version, entry) = env.any_entry(if with_edges { &symbols[..1] } else { &symbols })?;
    let (nodes, count) = env.list(step, 1)?;
    let (stream, flags) = (env.arg(step, 0)?.bits, env.arg(step, 2)?.bits);
    let edges = Scratch::new(8 * count as usize);
    (0..count as usize).for_each(|at| _ = edges.u64(8 * at, PROGRAMMATIC_EDGE));
    let edges = if with_edges { edges.address() } else { 0 };
    let words = if version == 0 { vec![stream, nodes, edges, count, flags] } else { vec![stream, nodes, count, flags] };
    // SAFETY: cuda.h: (stream, nodes, [edge data,] count, flags).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

fn exchange_mode(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuThreadExchangeStreamCaptureMode")?;
    let mode = Scratch::new(8).u32(0, env.arg(step, 0)?.bits);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (mode*).
        let code = unsafe { entry.call(&[mode.address()]) };
        Answer::with(code, || format!("old={}", names::capture_mode(mode.read_u32(0))))
    }))
}

fn launch(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream, kernel) = (env.entry("cuLaunchKernel")?, env.arg(step, 0)?.bits, env.arg(step, 1)?);
    let params = structs::kernel_params(env, step, kernel, 2)?;
    let words = [kernel.bits, 1, 1, 1, 1, 1, 1, 0, stream, params, 0];
    // SAFETY: cuda.h: (function, grid, block, shared bytes, stream, parameters, extra).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

fn launch_ex(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream, kernel) = (env.entry("cuLaunchKernelEx")?, env.arg(step, 0)?.bits, env.arg(step, 1)?);
    let params = structs::kernel_params(env, step, kernel, 2)?;
    let words = [structs::launch_config(stream), kernel.bits, params, 0];
    // SAFETY: cuda.h: (config*, function, parameters, extra).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

fn launch_cooperative(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream) = (env.entry("cuLaunchCooperativeKernel")?, env.arg(step, 0)?.bits);
    let kernel = env.arg(step, 1)?;
    let params = structs::kernel_params(env, step, kernel, 2)?;
    let words = [kernel.bits, 1, 1, 1, 1, 1, 1, 0, stream, params];
    // SAFETY: cuda.h: (function, grid, block, shared bytes, stream, parameters).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

/// `count`, `wait GATE`, or `malloc` (calls the driver, which a host function must not).
pub(super) fn function(env: &mut Env, step: &Step, at: usize) -> Result<(u64, u64), Problem> {
    match env.word(step, at)? {
        "count" => Ok(host::counting()),
        "null" => Ok((0, 0)),
        "wait" => {
            let gate = env.gate(env.word(step, at + 1)?.to_owned().as_str());
            Ok(host::waiting(gate))
        }
        "malloc" => Ok(host::calling(env.entry("cuMemAlloc_v2")?)),
        other => Err(Problem::Script(format!("`{other}` is no host function: write count, wait GATE, malloc or null"))),
    }
}

fn host_function(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream) = (env.entry("cuLaunchHostFunc")?, env.arg(step, 0)?.bits);
    let (function, data) = function(env, step, 1)?;
    // SAFETY: cuda.h: (stream, function, user data); the functions of `host` live as long as the process.
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&[stream, function, data]) })))
}

fn add_callback(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream) = (env.entry("cuStreamAddCallback")?, env.arg(step, 0)?.bits);
    // SAFETY: cuda.h: (stream, callback, user data, flags).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&[stream, host::stream_callback(), 0, 0]) })))
}

fn batch_mem_op(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, stream) = (env.entry("cuStreamBatchMemOp_v2")?, env.arg(step, 0)?.bits);
    let operation = structs::write_value(env.arg(step, 1)?.bits, env.arg(step, 2)?.bits);
    // SAFETY: cuda.h: (stream, count, operations, flags).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&[stream, 1, operation, 0]) })))
}
