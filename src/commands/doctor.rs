//! `graphproof doctor`: which driver, device and compiler would be used, and why.

use graphproof_harness::driver::{self, DriverKind};
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::nvrtc::Nvrtc;
use graphproof_harness::probe;

use super::Failure;
use crate::args::DoctorArgs;
use crate::output::table::bytes;

pub fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    say("graphproof", env!("CARGO_PKG_VERSION"));
    runtime();
    #[cfg(feature = "indexer")]
    crate::indexer::doctor().iter().for_each(|(what, text)| say(what, text));
    match Nvrtc::find() {
        Ok(nvrtc) => say("nvrtc", &format!("{} is NVRTC {}", nvrtc.path(), nvrtc.version())),
        Err(_) => say("nvrtc", "none found; only --compile needs one (`python3 kernels/regenerate.py` fetches it)"),
    }
    say("cpu", &cpu());
    let (selected, session) = driver::open(args.driver)?;
    let file = match (&selected.path, selected.kind) {
        (Some(path), _) => path.display().to_string(),
        (None, DriverKind::Software) => "part of this program".to_owned(),
        (None, DriverKind::System) => "unknown file".to_owned(),
    };
    say("driver", &format!("{} ({file})", selected.kind.name()));
    say("", &format!("because: {}", selected.reason));
    let facts = session.facts();
    let (major, minor) = (facts.driver_version / 1000, facts.driver_version % 1000 / 10);
    say("", &format!("supports CUDA {major}.{minor}"));
    say("device", &format!("{}, sm_{}{}", facts.name, facts.compute_capability.0, facts.compute_capability.1));
    say("", &format!("{} memory, {} multiprocessors", bytes(facts.total_memory), facts.multiprocessors));
    Ok(ExitCode::Passed)
}

fn runtime() {
    let Some(versions) = probe::runtime_versions() else {
        say("cudart", "none found; none is needed");
        return;
    };
    let version = |v: Option<i32>| v.map_or("unknown".to_owned(), |v| format!("{}.{}", v / 1000, v % 1000 / 10));
    say("cudart", &format!("{} is CUDA {}", versions.library.display(), version(versions.runtime)));
    match (versions.runtime, versions.driver) {
        (_, None | Some(0)) => say("", "it finds no driver"),
        (Some(runtime), Some(driver)) if driver < runtime => {
            say(
                "",
                &format!("warning: the driver supports only CUDA {}, older than this runtime", version(Some(driver))),
            );
        }
        _ => {}
    }
}

fn cpu() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{threads} threads")
}

fn say(what: &str, text: &str) {
    println!("{what:<11} {text}");
}
