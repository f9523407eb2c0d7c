//! Graph nodes and instantiated graphs: the calls that take a structure.

use super::api::Entry;
use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch, Value};
use super::stream::function;
use super::{Special, host, names, specials, structs};
use crate::conformance::expand::Step;

pub(super) const CALLS: &[Special] = specials! {
    "cuGraphAddEmptyNode" 2..=2 Value add_empty;
    "cuGraphAddKernelNode" 3..=7 Value add_kernel;
    "cuGraphAddMemsetNode" 5..=5 Value add_memset;
    "cuGraphAddMemcpyNode" 5..=5 Value add_memcpy;
    "cuGraphAddHostNode" 3..=4 Value add_host;
    "cuGraphAddChildGraphNode" 3..=3 Value |env, step| add_one_word(env, step, "cuGraphAddChildGraphNode");
    "cuGraphAddEventRecordNode" 3..=3 Value |env, step| add_one_word(env, step, "cuGraphAddEventRecordNode");
    "cuGraphAddEventWaitNode" 3..=3 Value |env, step| add_one_word(env, step, "cuGraphAddEventWaitNode");
    "cuGraphAddMemFreeNode" 3..=3 Value |env, step| add_one_word(env, step, "cuGraphAddMemFreeNode");
    "cuGraphAddMemAllocNode" 3..=3 Value add_mem_alloc;
    "cuGraphAddConditionalNode" 5..=5 Value add_conditional;
    "body" 1..=2 Value body;
    "allocated" 1..=1 Value allocated;
    "cuGraphAddDependencies" 3..=3 Nothing |env, step| dependencies(env, step, "cuGraphAddDependencies");
    "cuGraphRemoveDependencies" 3..=3 Nothing |env, step| dependencies(env, step, "cuGraphRemoveDependencies");
    "cuGraphInstantiateWithParams" 2..=3 Value instantiate_with_params;
    "cuGraphExecUpdate" 2..=2 Nothing exec_update;
    "cuGraphKernelNodeSetParams" 2..=6 Nothing |env, step| set_kernel(env, step, "cuGraphKernelNodeSetParams_v2", 1);
    "cuGraphExecKernelNodeSetParams" 3..=7 Nothing
        |env, step| set_kernel(env, step, "cuGraphExecKernelNodeSetParams_v2", 2);
    "cuGraphMemsetNodeSetParams" 4..=4 Nothing |env, step| set_memset(env, step, "cuGraphMemsetNodeSetParams", 1);
    "cuGraphExecMemsetNodeSetParams" 5..=5 Nothing
        |env, step| set_memset(env, step, "cuGraphExecMemsetNodeSetParams", 2);
    "cuGraphMemcpyNodeSetParams" 4..=4 Nothing |env, step| set_memcpy(env, step, "cuGraphMemcpyNodeSetParams", 1);
    "cuGraphExecMemcpyNodeSetParams" 5..=5 Nothing
        |env, step| set_memcpy(env, step, "cuGraphExecMemcpyNodeSetParams", 2);
    "cuGraphExecHostNodeSetParams" 3..=4 Nothing exec_set_host;
    "cuGraphKernelNodeGetParams" 2..=2 Nothing get_kernel;
    "cuGraphMemsetNodeGetParams" 1..=1 Nothing get_memset;
    "cuGraphMemcpyNodeGetParams" 1..=1 Nothing get_memcpy;
    "cuGraphMemAllocNodeGetParams" 1..=1 Nothing get_mem_alloc;
    "cuUserObjectCreate" 1..=1 Value user_object;
    "cuGraphDebugDotPrint" 2..=2 Nothing dot_print;
};

/// `cuGraphAdd…Node(node*, graph, dependencies, count, …rest)`; the line starts with graph and list.
fn add(env: &Env, step: &Step, entry: Entry, rest: &[u64]) -> Result<Prepared, Problem> {
    let (nodes, count) = env.list(step, 1)?;
    let out = Scratch::new(8);
    let mut words = vec![out.address(), env.arg(step, 0)?.bits, nodes, count];
    words.extend(rest);
    Ok(Box::new(move || {
        // SAFETY: each caller of this file gives the rest as cuda.h declares it; all blocks are leaked.
        let code = unsafe { entry.call(&words) };
        Answer::created(code, out.read(0), Kind::Other)
    }))
}

fn add_empty(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    add(env, step, env.entry("cuGraphAddEmptyNode")?, &[])
}

fn add_one_word(env: &mut Env, step: &Step, symbol: &str) -> Result<Prepared, Problem> {
    add(env, step, env.entry(symbol)?, &[env.arg(step, 2)?.bits])
}

fn add_kernel(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let kernel = env.arg(step, 2)?;
    let params = structs::kernel_params(env, step, kernel, 3)?;
    add(env, step, env.entry("cuGraphAddKernelNode_v2")?, &[structs::kernel_node(kernel.bits, params)])
}

fn memset_params(env: &Env, step: &Step, at: usize) -> Result<u64, Problem> {
    Ok(structs::memset_node(env.arg(step, at)?.bits, env.arg(step, at + 1)?.bits, env.arg(step, at + 2)?.bits))
}

fn memcpy_params(env: &Env, step: &Step, at: usize) -> Result<u64, Problem> {
    Ok(structs::memcpy_node(env.arg(step, at)?, env.arg(step, at + 1)?, env.arg(step, at + 2)?.bits))
}

fn add_memset(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    add(env, step, env.entry("cuGraphAddMemsetNode")?, &[memset_params(env, step, 2)?, env.context])
}

fn add_memcpy(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    add(env, step, env.entry("cuGraphAddMemcpyNode")?, &[memcpy_params(env, step, 2)?, env.context])
}

fn host_params(env: &mut Env, step: &Step, at: usize) -> Result<u64, Problem> {
    let (function, data) = function(env, step, at)?;
    Ok(Scratch::new(16).u64(0, function).u64(8, data).address())
}

fn add_host(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let params = host_params(env, step, 2)?;
    add(env, step, env.entry("cuGraphAddHostNode")?, &[params])
}

/// Adds an allocation node; `allocated NODE` gives its address.
fn add_mem_alloc(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let params = structs::mem_alloc_node(env.arg(step, 2)?.bits);
    add(env, step, env.entry("cuGraphAddMemAllocNode")?, &[params.address()])
}

/// The address that an allocation node allocates.
fn allocated(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, node) = (env.entry("cuGraphMemAllocNodeGetParams")?, env.arg(step, 0)?.bits);
    let out = Scratch::new(120);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (node, params*).
        let code = unsafe { entry.call(&[node, out.address()]) };
        Answer::created(code, out.read(112), Kind::Device)
    }))
}

/// The value is the driver's array of bodies, which `body` indexes; the node is its own entry 0 of `node`.
fn add_conditional(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuGraphAddNode_v2")?;
    let (nodes, count) = env.list(step, 1)?;
    let graph = env.arg(step, 0)?.bits;
    let (handle, kind, bodies) = (env.arg(step, 2)?.bits, env.arg(step, 3)?.bits, env.arg(step, 4)?.bits);
    let params = structs::conditional_node(handle, kind, bodies, env.context);
    let out = Scratch::new(8);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (node*, graph, dependencies, edge data, count, params*).
        let code = unsafe { entry.call(&[out.address(), graph, nodes, 0, count, params.address()]) };
        Answer::created(code, params.read(32), Kind::Other)
    }))
}

/// `G = body BODIES INDEX`: a body of a conditional node.
fn body(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (bodies, at) = (env.arg(step, 0)?.bits, env.arg_or(step, 1, 0)?);
    Ok(Box::new(move || {
        // SAFETY: the driver's array of body graphs, of which the case asks for one that exists.
        let graph = unsafe { (bodies as *const u64).add(at as usize).read() };
        Answer { text: "SUCCESS".into(), value: Some(Value { bits: graph, kind: Kind::Other }) }
    }))
}

fn dependencies(env: &mut Env, step: &Step, name: &str) -> Result<Prepared, Problem> {
    let (version, entry) = env.any_entry(&[&format!("{name}_v2"), name])?;
    let ((from, count), (to, targets)) = (env.list(step, 1)?, env.list(step, 2)?);
    if count != targets {
        return Err(Problem::Script(format!("`{}`: the two lists differ in length", step.text)));
    }
    let graph = env.arg(step, 0)?.bits;
    let words = if version == 0 { vec![graph, from, to, 0, count] } else { vec![graph, from, to, count] };
    // SAFETY: cuda.h: (graph, from, to, [edge data,] count).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

/// The answer carries the instantiation's own result.
fn instantiate_with_params(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, graph) = (env.entry("cuGraphInstantiateWithParams")?, env.arg(step, 0)?.bits);
    let params = structs::instantiate(env.arg(step, 1)?.bits, env.arg_or(step, 2, 0)?);
    let out = Scratch::new(8);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (exec*, graph, params*).
        let code = unsafe { entry.call(&[out.address(), graph, params.address()]) };
        let mut answer = Answer::created(code, out.read(0), Kind::Other);
        answer.text = format!("{} {}", answer.text, names::instantiate_result(params.read_u32(24)));
        answer
    }))
}

fn exec_update(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuGraphExecUpdate_v2")?;
    let (exec, graph) = (env.arg(step, 0)?.bits, env.arg(step, 1)?.bits);
    let info = Scratch::new(24);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (exec, graph, result info*).
        let code = unsafe { entry.call(&[exec, graph, info.address()]) };
        Answer::words(format!("{} {}", names::result_name(code), names::update_result(info.read_u32(0))))
    }))
}

/// `handles` handles, then the kernel and its parameters.
fn set_kernel(env: &mut Env, step: &Step, symbol: &str, handles: usize) -> Result<Prepared, Problem> {
    let kernel = env.arg(step, handles)?;
    let params = structs::kernel_params(env, step, kernel, handles + 1)?;
    set(env, step, symbol, handles, &[structs::kernel_node(kernel.bits, params)])
}

/// A node's own setter takes no context; an exec's does.
fn set_memset(env: &mut Env, step: &Step, symbol: &str, handles: usize) -> Result<Prepared, Problem> {
    let params = memset_params(env, step, handles)?;
    set(env, step, symbol, handles, &[params, env.context][..handles])
}

fn set_memcpy(env: &mut Env, step: &Step, symbol: &str, handles: usize) -> Result<Prepared, Problem> {
    let params = memcpy_params(env, step, handles)?;
    set(env, step, symbol, handles, &[params, env.context][..handles])
}

fn exec_set_host(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let params = host_params(env, step, 2)?;
    set(env, step, "cuGraphExecHostNodeSetParams", 2, &[params])
}

fn set(env: &Env, step: &Step, symbol: &str, handles: usize, rest: &[u64]) -> Result<Prepared, Problem> {
    let entry = env.entry(symbol)?;
    let mut words: Vec<u64> = (0..handles).map(|at| Ok(env.arg(step, at)?.bits)).collect::<Result<_, _>>()?;
    words.extend(rest);
    // SAFETY: cuda.h: ([exec,] node, params* [, context]).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

/// Shows whether the function is the given kernel, and its 4-byte parameters.
fn get_kernel(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let (entry, node, kernel) =
        (env.entry("cuGraphKernelNodeGetParams_v2")?, env.arg(step, 0)?.bits, env.arg(step, 1)?);
    let out = Scratch::new(72);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (node, params*).
        let code = unsafe { entry.call(&[node, out.address()]) };
        Answer::with(code, || {
            let mut words = format!("function={}", if out.read(0) == kernel.bits { "same" } else { "other" });
            if let (Kind::Kernel(sizes), true) = (kernel.kind, out.read(40) != 0) {
                for (at, _) in sizes.iter().enumerate().filter(|(_, bytes)| **bytes == 4) {
                    // SAFETY: the driver returns one pointer per parameter of this kernel, each to its value.
                    let value = unsafe { (*(out.read(40) as *const *const u32).add(at)).read() };
                    words.push_str(&format!(" p{at}={value}"));
                }
            }
            words
        })
    }))
}

fn get(env: &Env, step: &Step, symbol: &str, show: fn(Scratch) -> String) -> Result<Prepared, Problem> {
    let (entry, node) = (env.entry(symbol)?, env.arg(step, 0)?.bits);
    let out = Scratch::new(256);
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (node, params*); the block is larger than every parameter structure.
        let code = unsafe { entry.call(&[node, out.address()]) };
        Answer::with(code, || show(out))
    }))
}

fn get_memset(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    get(env, step, "cuGraphMemsetNodeGetParams", |out| {
        format!(
            "value={} element={} width={} height={}",
            out.read_u32(16),
            out.read_u32(20),
            out.read(24),
            out.read(32)
        )
    })
}

fn get_memcpy(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    get(env, step, "cuGraphMemcpyNodeGetParams", |out| {
        let kind = |value| match value {
            1 => "host".to_owned(),
            2 => "device".to_owned(),
            4 => "unified".to_owned(),
            other => format!("#{other}"),
        };
        format!("from={} to={} width={}", kind(out.read_u32(32)), kind(out.read_u32(120)), out.read(176))
    })
}

fn get_mem_alloc(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    get(env, step, "cuGraphMemAllocNodeGetParams", |out| format!("bytes={}", out.read(104)))
}

/// A user object whose destructor counts.
fn user_object(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    const NO_DESTRUCTOR_SYNC: u64 = 1;
    let (entry, references) = (env.entry("cuUserObjectCreate")?, env.arg(step, 0)?.bits);
    let out = Scratch::new(8);
    let (destructor, _) = host::counting();
    let words = [out.address(), Scratch::new(8).address(), destructor, references, NO_DESTRUCTOR_SYNC];
    Ok(Box::new(move || {
        // SAFETY: cuda.h: (object*, pointer, destructor, references, flags).
        let code = unsafe { entry.call(&words) };
        Answer::created(code, out.read(0), Kind::Other)
    }))
}

/// Prints to the null device: the text is not compared, only that it can be printed.
fn dot_print(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuGraphDebugDotPrint")?;
    let words = [env.arg(step, 0)?.bits, super::env::c_string("/dev/null"), env.arg(step, 1)?.bits];
    // SAFETY: cuda.h: (graph, path, flags).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}
