//! Pools, virtual memory management and arrays: the memory calls that take a structure.

use super::env::{Answer, Env, Kind, Prepared, Problem, Scratch};
use super::{Special, specials, structs};
use crate::conformance::expand::Step;

pub(super) const CALLS: &[Special] = specials! {
    "cuMemPoolCreate" 0..=0 Value pool_create;
    "cuMemPoolSetAttribute" 3..=3 Nothing pool_set_attribute;
    "cuDeviceSetGraphMemAttribute" 3..=3 Nothing graph_memory_set_attribute;
    "cuMemCreate" 1..=1 Value create;
    "cuMemSetAccess" 2..=2 Nothing set_access;
    "cuMemGetAccess" 1..=1 Nothing get_access;
    "cuMemGetAllocationGranularity" 1..=1 Nothing granularity;
    "cuArrayCreate" 1..=1 Value array_create;
};

fn creating(env: &Env, symbol: &str, rest: Vec<u64>) -> Result<Prepared, Problem> {
    let entry = env.entry(symbol)?;
    let out = Scratch::new(8);
    Ok(Box::new(move || {
        let mut words = vec![out.address()];
        words.extend(rest);
        // SAFETY: each caller of this file gives the arguments after the output as cuda.h declares them.
        let code = unsafe { entry.call(&words) };
        Answer::created(code, out.read(0), Kind::Other)
    }))
}

fn pool_create(env: &mut Env, _step: &Step) -> Result<Prepared, Problem> {
    creating(env, "cuMemPoolCreate", vec![structs::pool()])
}

fn create(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let bytes = env.arg(step, 0)?.bits;
    creating(env, "cuMemCreate", vec![bytes, structs::allocation_prop(), 0])
}

fn array_create(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let width = env.arg(step, 0)?.bits;
    creating(env, "cuArrayCreate_v2", vec![structs::array(width)])
}

fn pool_set_attribute(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    set_attribute(env, step, "cuMemPoolSetAttribute")
}

fn graph_memory_set_attribute(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    set_attribute(env, step, "cuDeviceSetGraphMemAttribute")
}

fn set_attribute(env: &Env, step: &Step, symbol: &str) -> Result<Prepared, Problem> {
    let entry = env.entry(symbol)?;
    let value = Scratch::new(8).u64(0, env.arg(step, 2)?.bits);
    let words = [env.arg(step, 0)?.bits, env.arg(step, 1)?.bits, value.address()];
    // SAFETY: cuda.h: (pool or device, attribute, value*).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

fn set_access(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuMemSetAccess")?;
    let words = [env.arg(step, 0)?.bits, env.arg(step, 1)?.bits, structs::access_desc(), 1];
    // SAFETY: cuda.h: (pointer, size, descriptors, count).
    Ok(Box::new(move || Answer::code(unsafe { entry.call(&words) })))
}

/// The device's access to an address; the flags are shown.
fn get_access(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuMemGetAccess")?;
    let flags = Scratch::new(8);
    // The location stands first in a description of an access.
    let words = [flags.address(), structs::access_desc(), env.arg(step, 0)?.bits];
    // SAFETY: cuda.h: (flags*, location*, pointer).
    Ok(shown(move || unsafe { entry.call(&words) }, flags))
}

/// The granularity for device memory: 0 the least, 1 the recommended.
fn granularity(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    let entry = env.entry("cuMemGetAllocationGranularity")?;
    let bytes = Scratch::new(8);
    let words = [bytes.address(), structs::allocation_prop(), env.arg(step, 0)?.bits];
    // SAFETY: cuda.h: (granularity*, properties*, option).
    Ok(shown(move || unsafe { entry.call(&words) }, bytes))
}

/// The answer of a call with the number that it stored.
fn shown(call: impl FnOnce() -> i32 + Send + 'static, out: Scratch) -> Prepared {
    Box::new(move || {
        let code = call();
        let mut answer = Answer::code(code);
        if code == 0 {
            answer.text.push_str(&format!(" {}", out.read(0)));
        }
        answer
    })
}
