//! Runs the conformance suite on a libcuda by file name, without the command line:
//!
//! ```text
//! cargo run --example conformance -- libcuda.so.1 [FILTER] [--bless VERSION] [--golden FILE] [--baseline FILE] [--limit SECONDS] [--seen]
//! cargo run --example conformance -- list
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use graphproof::conformance::{Driver, Event, Options, bless, child_main, default_cases, list, run};

fn main() -> anyhow::Result<ExitCode> {
    let mut args = std::env::args().skip(1).collect::<Vec<_>>();
    if args.first().is_some_and(|first| first == "conformance-child") {
        let [_, driver, case, cell] = &args[..] else { anyhow::bail!("conformance-child DRIVER CASE CELL") };
        child_main(Path::new(case), cell, || Driver::open(driver));
    }
    let mut option = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.remove(at);
        Some(if at < args.len() { args.remove(at) } else { String::new() })
    };
    let version = option("--bless");
    let golden = option("--golden").map(PathBuf::from);
    let baseline = option("--baseline").map(PathBuf::from);
    let limit = option("--limit").map_or(Ok(10), |seconds| seconds.parse())?;
    let seen = option("--seen").is_some();
    let Some(driver) = args.first() else { anyhow::bail!("give the driver's file name, such as libcuda.so.1") };
    let options = Options {
        cases: default_cases(),
        child: vec![std::env::current_exe()?.into(), "conformance-child".into(), driver.into()],
        baseline,
        golden,
        filter: args.get(1).cloned(),
        jobs: std::thread::available_parallelism().map_or(2, usize::from).min(12),
        limit: Duration::from_secs(limit),
    };
    if driver == "list" {
        for case in list(&options)? {
            println!("{} ({}): {} [{}]", case.id, case.evidence.name(), case.title, case.source);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut show = |event: &Event| {
        if let Event::Finished { result, .. } = event
            && seen
        {
            println!("{} {}", result.kind.name(), result.id);
            result.seen.iter().for_each(|seen| println!("    {:>3} {} -> {}", seen.line, seen.call, seen.saw));
        }
    };
    let outcome = match version {
        Some(version) => bless(&options, &version, &mut show)?.0,
        None => run(&options, &mut show)?,
    };
    println!("{outcome}");
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
