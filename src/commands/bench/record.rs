//! What the recorder costs a call, in pairs: the same calls past it and through it, in turns.

use std::ffi::{c_char, c_void};
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::report::notice::Notice;
use anyhow::anyhow;
use graphproof_forward::Forwarder;
use graphproof_harness::exit_code::ExitCode;

use crate::args::BenchRecordArgs;
use crate::commands::Failure;
use crate::output::json::io;

/// Calls in one measurement.
const CALLS: u32 = 2_000;
/// Pairs of measurements.
const PAIRS: usize = 301;

/// The functions that are called, each with a pointer to a word and 0: two that only ask, and are counted, and one that
/// is recorded.
const FUNCTIONS: [&str; 3] = ["cuDriverGetVersion", "cuCtxGetCurrent", "cuDeviceGet"];

type Word = unsafe extern "C" fn(*mut u64, u64) -> u32;

/// Launches in one measurement, and pairs of them: drivers take their time for each, and the device's queue is to hold
/// them, so that none waits.
const LAUNCHES: u32 = 200;
const LAUNCH_PAIRS: usize = 101;

/// A kernel of which only the launch takes time.
const NOTHING: &std::ffi::CStr =
    c".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\n  ret;\n}\n";

pub fn run(args: &BenchRecordArgs) -> Result<ExitCode, Failure> {
    if let Some(driver) = &args.driver_behind {
        return measure(driver.clone());
    }
    let notice = Notice::of_known_length("bench record", "calls past the recorder and through it, about 5 s in all");
    let folder = tempfile::tempdir().map_err(|error| io(error.into()))?;
    let fail = |error: anyhow::Error| Failure::new(ExitCode::NoDriver, error);
    let behind = crate::commands::trace::behind(args.driver).map_err(|error| fail(error.into()))?;
    println!("{}", if behind.software { "the software driver" } else { "NVIDIA's driver" });
    let driver = behind.path.clone();
    let forwarder = Forwarder::new(folder.path(), behind).map_err(|error| fail(error.into()))?;
    let program = std::env::current_exe().map_err(|error| io(error.into()))?;
    let mut child = Command::new(program);
    child.args(["bench", "record", "--driver-behind"]).arg(&driver).envs(forwarder.environment(folder.path()));
    let status = child.status().map_err(|error| io(error.into()))?;
    drop(notice);
    if status.success() { Ok(ExitCode::Passed) } else { Err(fail(anyhow!("the measuring process failed: {status}"))) }
}

fn measure(driver: PathBuf) -> Result<ExitCode, Failure> {
    let open = |name: &std::path::Path| {
        // SAFETY: a driver, and the recorder in front of it.
        unsafe { libloading::Library::new(name) }
            .map_err(|error| Failure::new(ExitCode::NoDriver, anyhow!(error).context(name.display().to_string())))
    };
    // The recorder first: the loader gives whatever has the name already, and NVIDIA's driver has it too.
    let through = open("libcuda.so.1".as_ref())?;
    let past = open(&driver)?;
    let failed = |code: u32| Failure::new(ExitCode::Driver, anyhow!("cuInit answers {code}"));
    // SAFETY: as cuda.h says.
    match unsafe { function::<Init>(&past, "cuInit")?(0) } {
        0 => {}
        code => return Err(failed(code)),
    }
    println!("{:<24} {:>10} {:>10} {:>10}", "ns a call", "past it", "through it", "more");
    let clock = time(CALLS, &|| {
        black_box(graphproof_door::sys::now());
        black_box(graphproof_door::sys::now());
    });
    for name in FUNCTIONS {
        let (direct, recorded) = (function::<Word>(&past, name)?, function::<Word>(&through, name)?);
        let call = |function: Word| {
            move || {
                let mut place = 0;
                // SAFETY: functions of one or two arguments, a place and a device.
                black_box(unsafe { function(&raw mut place, 0) });
            }
        };
        let pairs = (0..PAIRS).map(|_| (time(CALLS, &call(direct)), time(CALLS, &call(recorded))));
        row(name, pairs.collect());
    }
    launches(&past, &through)?;
    println!("two readings of the clock, which each recorded call needs: {clock:.1} ns");
    Ok(ExitCode::Passed)
}

/// The line of a function: the pair whose difference is in the middle.
fn row(name: &str, mut pairs: Vec<(f64, f64)>) {
    pairs.sort_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (without, with) = pairs[pairs.len() / 2];
    println!("{name:<24} {without:>10.1} {with:>10.1} {:>10.1}", with - without);
}

type Init = unsafe extern "C" fn(u32) -> u32;
type Retain = unsafe extern "C" fn(*mut u64, u32) -> u32;
type Set = unsafe extern "C" fn(u64) -> u32;
type Load = unsafe extern "C" fn(*mut u64, *const c_char) -> u32;
type Get = unsafe extern "C" fn(*mut u64, u64, *const c_char) -> u32;
type Finish = unsafe extern "C" fn() -> u32;
type Launch = unsafe extern "C" fn(u64, u32, u32, u32, u32, u32, u32, u32, u64, *const c_void, *const c_void) -> u32;

/// Launches of an empty kernel: what an eager loop of small operations mostly calls.
fn launches(past: &libloading::Library, through: &libloading::Library) -> Result<(), Failure> {
    let (retain, set) =
        (function::<Retain>(past, "cuDevicePrimaryCtxRetain")?, function::<Set>(past, "cuCtxSetCurrent")?);
    let (load, get) = (function::<Load>(past, "cuModuleLoadData")?, function::<Get>(past, "cuModuleGetFunction")?);
    let finish = function::<Finish>(past, "cuCtxSynchronize")?;
    let (mut context, mut module, mut kernel) = (0, 0, 0);
    // SAFETY: as cuda.h says; the results go to locals, the texts are terminated.
    let codes = unsafe {
        [
            retain(&raw mut context, 0),
            set(context),
            load(&raw mut module, NOTHING.as_ptr()),
            get(&raw mut kernel, module, c"nothing".as_ptr()),
        ]
    };
    if let Some(code) = codes.into_iter().find(|code| *code != 0) {
        return Err(Failure::new(ExitCode::Driver, anyhow!("the driver answers {code}")));
    }
    let timed = |launch: Launch| {
        let none = std::ptr::null();
        let spent = time(LAUNCHES, &|| {
            // SAFETY: as cuda.h says; the kernel has no parameters.
            black_box(unsafe { launch(kernel, 1, 1, 1, 1, 1, 1, 0, 0, none, none) });
        });
        // SAFETY: takes nothing.
        unsafe { finish() };
        spent
    };
    let (direct, recorded) = (function(past, "cuLaunchKernel")?, function(through, "cuLaunchKernel")?);
    row("cuLaunchKernel", (0..LAUNCH_PAIRS).map(|_| (timed(direct), timed(recorded))).collect());
    Ok(())
}

/// Nanoseconds of one of `calls` calls of `body`.
fn time(calls: u32, body: &dyn Fn()) -> f64 {
    let began = Instant::now();
    (0..calls).for_each(|_| body());
    began.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// A function of a driver; the type is that of cuda.h, where those of fewer arguments ignore the others.
fn function<F: Copy>(library: &libloading::Library, name: &str) -> Result<F, Failure> {
    // SAFETY: copied out as the address that it is; callers name its type as cuda.h has it.
    let found = unsafe { library.get::<F>(name.as_bytes()) };
    found.map(|found| *found).map_err(|error| Failure::new(ExitCode::Driver, error))
}
