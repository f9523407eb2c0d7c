//! What the recorder costs a call, in pairs: the same calls past it and through it, in turns.

use std::ffi::c_void;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::report::notice::Notice;
use anyhow::anyhow;
use graphproof_forward::{Forwarder, find_software};
use graphproof_harness::exit_code::ExitCode;

use crate::args::BenchRecordArgs;
use crate::commands::Failure;
use crate::output::json::io;

/// Calls in one measurement.
const CALLS: u32 = 2_000;
/// Pairs of measurements.
const PAIRS: usize = 301;

/// The functions that are called, each with a pointer to a word.
const FUNCTIONS: [&str; 3] = ["cuDriverGetVersion", "cuCtxGetCurrent", "cuDeviceGetCount"];

type Word = unsafe extern "C" fn(*mut u64, *mut u64) -> u32;

pub fn run(args: &BenchRecordArgs) -> Result<ExitCode, Failure> {
    if let Some(driver) = &args.driver_behind {
        return measure(driver.clone());
    }
    let notice = Notice::of_known_length("bench record", "calls past the recorder and through it, about 5 s in all");
    let folder = tempfile::tempdir().map_err(|error| io(error.into()))?;
    let fail = |error: anyhow::Error| Failure::new(ExitCode::NoDriver, error);
    let behind = find_software().map_err(|error| fail(error.into()))?;
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
        // SAFETY: the software driver, and the recorder in front of it.
        unsafe { libloading::Library::new(name) }
            .map_err(|error| Failure::new(ExitCode::NoDriver, anyhow!(error).context(name.display().to_string())))
    };
    let (past, through) = (open(&driver)?, open("libcuda.so.1".as_ref())?);
    let failed = |code: u32| Failure::new(ExitCode::Driver, anyhow!("cuInit answers {code}"));
    // SAFETY: only the address is taken; its type is that of cuda.h.
    let init = unsafe { past.get::<unsafe extern "C" fn(u32) -> u32>(b"cuInit\0") };
    // SAFETY: as cuda.h says.
    match unsafe { init.map_err(|error| Failure::new(ExitCode::Driver, error))?(0) } {
        0 => {}
        code => return Err(failed(code)),
    }
    println!("{:<24} {:>10} {:>10} {:>10}", "ns a call", "past it", "through it", "more");
    let clock = time(&|| {
        black_box(graphproof_door::sys::now());
        black_box(graphproof_door::sys::now());
    });
    for name in FUNCTIONS {
        let (direct, recorded) = (find(&past, name)?, find(&through, name)?);
        let call = |function: Word| {
            move || {
                let (mut first, mut second) = (0, 0);
                // SAFETY: functions of one or two arguments, of which the first or both are places.
                black_box(unsafe { function(&raw mut first, &raw mut second) });
            }
        };
        let mut pairs: Vec<(f64, f64)> = (0..PAIRS).map(|_| (time(&call(direct)), time(&call(recorded)))).collect();
        pairs.sort_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        let (without, with) = pairs[PAIRS / 2];
        println!("{name:<24} {without:>10.1} {with:>10.1} {:>10.1}", with - without);
    }
    println!("two readings of the clock, which each recorded call needs: {clock:.1} ns");
    Ok(ExitCode::Passed)
}

/// Nanoseconds of one call of `body`.
fn time(body: &dyn Fn()) -> f64 {
    let began = Instant::now();
    (0..CALLS).for_each(|_| body());
    began.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn find(library: &libloading::Library, name: &str) -> Result<Word, Failure> {
    // SAFETY: only the address is taken; `measure` says how it is called.
    let found = unsafe { library.get::<*const c_void>(name.as_bytes()) };
    let address = *found.map_err(|error| Failure::new(ExitCode::Driver, error))?;
    // SAFETY: a function of the driver API; those of fewer arguments ignore the others.
    Ok(unsafe { std::mem::transmute::<*const c_void, Word>(address) })
}
