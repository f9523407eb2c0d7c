//! Arguments of `graphproof trace` and `graphproof libraries`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use graphproof_harness::driver::DriverChoice;

/// Watching a program.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Write a report to this file: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write what was found to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Keep the record in this file, for `graphproof report FILE`.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// auto: NVIDIA's driver where it is installed, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// With the software driver: load machine code as kernels that are launched and captured and do nothing. What
    /// they would write is poisoned; addresses, order and legality can be judged, values cannot.
    #[arg(long)]
    pub opaque_kernels: bool,
    /// Megabytes of record for each process: of what is kept. Events beyond it are counted.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub limit: u32,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Running programs in front of the software driver without a record.
#[derive(Debug, Args)]
pub struct LibrariesArgs {
    /// The folder to write: a libcuda, a libcudart, and stand-ins for nvJitLink and NVRTC, by the names that programs
    /// load. It is made where it is not there.
    pub folder: PathBuf,
}
