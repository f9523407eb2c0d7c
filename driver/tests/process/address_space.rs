//! A process that may reserve little address space still gets a device, as large as there is room for,
//! or an honest refusal. Each case is a child process with limits of its own.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::abi_support::{GLOBAL, function, instantiate, load};
use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

/// Says in a child what it is to do; unset, the children's own test does nothing.
const ROLE: &str = "ADDRESS_SPACE_ROLE";
const MIB: u64 = 1 << 20;

const STORE: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry store(.param .u64 to, .param .u32 value)
{
    .reg .u64 %p;
    .reg .u32 %v;
    ld.param.u64 %p, [to];
    ld.param.u32 %v, [value];
    st.global.u32 [%p], %v;
    ret;
}
";

/// Runs this program's child with a limit.
fn child(role: &str, resource: libc::__rlimit_resource_t, bytes: u64, memory: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "address_space::role", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    match memory {
        Some(memory) => command.env("GRAPHPROOF_DEVICE_MEMORY", memory),
        None => command.env_remove("GRAPHPROOF_DEVICE_MEMORY"),
    };
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: setrlimit is async-signal-safe, and the limit lives in the closure.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    command.output().expect("the child runs")
}

fn text(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The device's bytes that a child told.
fn told(output: &Output) -> u64 {
    let text = text(output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let total = text.split("total=").nth(1).and_then(|rest| rest.split_whitespace().next());
    total.and_then(|total| total.parse().ok()).unwrap_or_else(|| panic!("no size: {text}"))
}

#[test]
fn a_device_of_one_gibibyte_runs_in_two() {
    let output = child("work", libc::RLIMIT_AS, 2048 * MIB, Some("1GiB"));
    assert_eq!(told(&output), 1024 * MIB);
    assert!(!text(&output).contains("instead of"), "{}", text(&output));
}

#[test]
fn a_device_is_as_large_as_there_is_room_for_and_says_so() {
    for (resource, limit) in [(libc::RLIMIT_AS, 2048), (libc::RLIMIT_AS, 20 << 10), (libc::RLIMIT_DATA, 1024)] {
        for memory in [None, Some("40GiB")] {
            let output = child("work", resource, limit * MIB, memory);
            let total = told(&output);
            assert!(total >= 32 * MIB && total < limit * MIB, "{total}");
            let said = format!("{} MiB of memory instead of", total / MIB);
            assert!(text(&output).contains(&said), "{}", text(&output));
            assert!(text(&output).contains("GRAPHPROOF_DEVICE_MEMORY"), "{}", text(&output));
        }
    }
}

#[test]
fn without_room_for_the_least_device_initialisation_fails_honestly() {
    let output = child("refused", libc::RLIMIT_AS, 250 * MIB, None);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("refused=CUDA_ERROR_OUT_OF_MEMORY"), "{text}");
    assert!(text.contains("graphproof: no device"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn without_a_limit_nothing_is_said() {
    let output = child("work", libc::RLIMIT_AS, libc::RLIM_INFINITY, None);
    assert_eq!(told(&output), 80 << 30);
    assert!(!text(&output).contains("graphproof:"), "{}", text(&output));
    let output = child("work", libc::RLIMIT_AS, libc::RLIM_INFINITY, Some("plenty"));
    assert_eq!(told(&output), 80 << 30);
    assert!(text(&output).contains("is no size"), "{}", text(&output));
}

/// What the child processes do; nothing where this is none.
#[test]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("work") => work(),
        Ok("refused") => {
            let code = code!(cuInit(0));
            println!("refused={code}");
            let (mut count, mut context) = (7, CUcontext::NULL);
            assert_eq!(code!(cuDeviceGetCount(&mut count)), CUresult::NOT_INITIALIZED);
            assert_eq!(code!(cuDevicePrimaryCtxRetain(&mut context, 0)), CUresult::NOT_INITIALIZED);
            assert_eq!(code!(cuInit(0)), CUresult::OUT_OF_MEMORY, "again");
        }
        _ => {}
    }
}

/// Memory, a kernel and a graph, on most of the device.
fn work() {
    let (mut context, mut total, mut stream, mut buffer) = (CUcontext::NULL, 0, CUstream::NULL, 0);
    ok!(cuInit(0));
    ok!(cuDeviceTotalMem_v2(&mut total, 0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    ok!(cuStreamCreate(&mut stream, 1));
    ok!(cuMemAlloc_v2(&mut buffer, total / 2));
    let last = buffer + (total as u64 / 2 - 4) / 4 * 4;
    let module = load(STORE);
    let store = function(module, c"store");
    ok!(cuStreamBeginCapture_v2(stream, GLOBAL));
    let (mut to, mut value) = (last, 7u32);
    let mut arguments = [(&raw mut to).cast(), (&raw mut value).cast()];
    ok!(cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, stream, arguments.as_mut_ptr(), std::ptr::null_mut()));
    ok!(cuMemcpyDtoDAsync_v2(buffer, last, 4, stream));
    let mut graph = CUgraph::NULL;
    ok!(cuStreamEndCapture(stream, &mut graph));
    let exec = instantiate(graph);
    ok!(cuGraphLaunch(exec, stream));
    ok!(cuStreamSynchronize(stream));
    let mut word = 0u32;
    ok!(cuMemcpyDtoH_v2((&raw mut word) as u64, buffer, 4));
    assert_eq!(word, 7);
    ok!(cuMemFree_v2(buffer));
    assert_eq!(code!(cuMemAlloc_v2(&mut buffer, total + 1)), CUresult::OUT_OF_MEMORY);
    println!("total={total}");
}
