//! The lines that set the stage: streams, events, memory, kernels, gates.
//!
//! A declaration answers `SUCCESS`, or the code of the driver call that failed.

use super::api::Entry;
use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch, Value, c_string};
use super::host::{KERNELS, ptx_text};
use super::{Special, specials};
use crate::conformance::expand::{Arg, Step};

pub(super) const CALLS: &[Special] = specials! {
    "stream" 2..=2 Declared stream;
    "event" 1..=2 Declared event;
    "device" 2..=2 Declared device;
    "pinned" 2..=2 Declared pinned;
    "pageable" 2..=2 Declared pageable;
    "kernel" 2..=2 Declared kernel;
    "greencontext" 1..=1 Declared green_context;
    "write" 2..=64 Nothing write;
    "gate" 1..=1 Nothing gate;
    "open" 1..=1 Nothing open;
    "cuModuleGetFunction" 2..=2 Value module_function;
};

/// Calls an entry point; the sites below give the arguments that cuda.h declares.
fn call(entry: Entry, words: &[u64]) -> i32 {
    // SAFETY: each caller in this file passes the entry point's arguments, its outputs being locals or leaked.
    unsafe { entry.call(words) }
}

fn stream(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let flags = match env.word(step, 1)? {
        "blocking" => 0,
        "nonblocking" => 1,
        fixed @ ("legacy" | "null" | "perthread") => {
            let bits = match fixed {
                "legacy" => 1,
                "perthread" => 2,
                _ => 0,
            };
            let value = Some(Value { bits, kind: Kind::Other });
            return Ok(Box::new(move || Answer { text: "SUCCESS".into(), value }));
        }
        other => {
            let kinds = "blocking, nonblocking, perthread, legacy or null";
            return Err(Problem::Script(format!("`{other}` is no kind of stream: write {kinds}")));
        }
    };
    let create = env.entry("cuStreamCreate")?;
    Ok(Box::new(move || {
        let mut out = 0u64;
        let code = call(create, &[&raw mut out as u64, flags]);
        Answer::created(code, out, Kind::Other)
    }))
}

fn event(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let flags = env.arg_or(step, 1, 0)?;
    let create = env.entry("cuEventCreate")?;
    Ok(Box::new(move || {
        let mut out = 0u64;
        let code = call(create, &[&raw mut out as u64, flags]);
        Answer::created(code, out, Kind::Other)
    }))
}

fn device(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let bytes = env.arg(step, 1)?.bits;
    let (alloc, fill) = (env.entry("cuMemAlloc_v2")?, env.entry("cuMemsetD8_v2")?);
    let synchronize = env.entry("cuCtxSynchronize")?;
    Ok(Box::new(move || {
        let mut out = 0u64;
        let mut code = call(alloc, &[&raw mut out as u64, bytes]);
        if code == 0 {
            code = call(fill, &[out, 0, bytes]);
        }
        if code == 0 {
            code = call(synchronize, &[]);
        }
        Answer::created(code, out, Kind::Device)
    }))
}

fn pinned(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let bytes = env.arg(step, 1)?.bits;
    let alloc = env.entry("cuMemHostAlloc")?;
    Ok(Box::new(move || {
        let mut out = 0u64;
        let code = call(alloc, &[&raw mut out as u64, bytes, 0]);
        if code == 0 && out != 0 {
            // SAFETY: the driver has just returned `bytes` bytes of host memory at this address.
            unsafe { std::ptr::write_bytes(out as *mut u8, 0, bytes as usize) };
        }
        Answer::created(code, out, Kind::Host)
    }))
}

/// Page-aligned, so that it can be registered too.
fn pageable(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    const PAGE: usize = 4096;
    let bytes = env.arg(step, 1)?.bits as usize;
    let block = Box::leak(vec![0u8; bytes + PAGE].into_boxed_slice()).as_mut_ptr() as u64;
    let value = Some(Value { bits: block.next_multiple_of(PAGE as u64), kind: Kind::Host });
    Ok(Box::new(move || Answer { text: "SUCCESS".into(), value }))
}

fn parameters(name: &str) -> Result<&'static [u32], Problem> {
    let found = KERNELS.iter().find(|(known, _)| *known == name).map(|(_, sizes)| *sizes);
    found.ok_or_else(|| Problem::Script(format!("`{name}` is no kernel: write empty, store, add or copy")))
}

/// Loads the module anew and the function with it, so that no launch of the case loads lazily.
fn kernel(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let name = env.word(step, 1)?;
    if let Some(value) = env.preloaded(name) {
        return Ok(Box::new(move || Answer { text: "SUCCESS".into(), value: Some(value) }));
    }
    let (sizes, name) = (parameters(name)?, c_string(name));
    let (load, find) = (env.entry("cuModuleLoadData")?, env.entry("cuModuleGetFunction")?);
    let load_function = env.entry("cuFuncLoad").ok();
    Ok(Box::new(move || {
        let (mut module, mut function) = (0u64, 0u64);
        let mut code = call(load, &[&raw mut module as u64, ptx_text()]);
        if code == 0 {
            code = call(find, &[&raw mut function as u64, module, name]);
        }
        if let (0, Some(load_function)) = (code, load_function) {
            code = call(load_function, &[function]);
        }
        Answer::created(code, function, Kind::Kernel(sizes))
    }))
}

/// A green context with every multiprocessor of the device.
fn green_context(env: &mut Env, _step: &Step) -> Result<Prepared, Problem> {
    const DEVICE: u64 = 0;
    const RESOURCE_TYPE_SM: u64 = 1;
    const DEFAULT_STREAM: u64 = 1;
    /// More than `sizeof(CUdevResource)`.
    const RESOURCE: usize = 256;
    let (resource_of, describe) = (env.entry("cuDeviceGetDevResource")?, env.entry("cuDevResourceGenerateDesc")?);
    let create = env.entry("cuGreenCtxCreate")?;
    Ok(Box::new(move || {
        let resource = Scratch::new(RESOURCE);
        let (mut description, mut out) = (0u64, 0u64);
        let mut code = call(resource_of, &[DEVICE, resource.address(), RESOURCE_TYPE_SM]);
        if code == 0 {
            code = call(describe, &[&raw mut description as u64, resource.address(), 1]);
        }
        if code == 0 {
            code = call(create, &[&raw mut out as u64, description, DEVICE, DEFAULT_STREAM]);
        }
        Answer::created(code, out, Kind::Other)
    }))
}

fn module_function(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let module = env.arg(step, 0)?.bits;
    let name = env.word(step, 1)?;
    let (sizes, name) = (parameters(name)?, c_string(name));
    let find = env.entry("cuModuleGetFunction")?;
    Ok(Box::new(move || {
        let mut function = 0u64;
        let code = call(find, &[&raw mut function as u64, module, name]);
        Answer::created(code, function, Kind::Kernel(sizes))
    }))
}

/// Stores 32-bit words into host memory, by the host.
fn write(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let memory = env.arg(step, 0)?;
    if memory.kind != Kind::Host {
        return Err(Problem::Script(format!("`{}`: the host can write host memory only", step.text)));
    }
    let words: Vec<u64> = (1..step.args.len()).map(|at| Ok(env.arg(step, at)?.bits)).collect::<Result<_, _>>()?;
    Ok(Box::new(move || {
        for (at, word) in words.iter().enumerate() {
            // SAFETY: host memory that the case declared with at least this many bytes.
            unsafe { (memory.bits as *mut u32).add(at).write_volatile(*word as u32) };
        }
        Answer::words("SUCCESS")
    }))
}

fn gate(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    if let Some(Arg::Word(name)) = step.args.first() {
        env.gate(name);
    }
    Ok(Box::new(|| Answer::words("SUCCESS")))
}

fn open(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let gate = env.gate(env.word(step, 0)?.to_owned().as_str());
    Ok(Box::new(move || {
        gate.open();
        Answer::words("SUCCESS")
    }))
}
