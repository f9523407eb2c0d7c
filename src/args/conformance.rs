//! Arguments of `graphproof conformance`.

use std::path::PathBuf;

use crate::conformance::random::Seeds;
use clap::Args;
use graphproof_harness::driver::DriverChoice;

#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// Only cells whose `case@cell` contains this.
    #[arg(long)]
    pub filter: Option<String>,
    /// Record what NVIDIA's driver of this version answers, as the golden file.
    #[arg(long, value_name = "DRIVER_VERSION")]
    pub bless_as: Option<String>,
    /// Ask the software driver to answer as the driver of this CUDA version, 11.0 to 13.3: cases that need a newer
    /// one are skipped, and what an older driver did otherwise has not been measured.
    #[arg(long = "as", value_name = "VERSION")]
    pub as_version: Option<String>,
    /// List the cells, or the random sequences with what --against recorded, instead of running them.
    #[arg(long)]
    pub list: bool,
    /// Child processes beside each other; as many as there are processors, if not given.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Seconds that one child may take.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Write all results to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub random: RandomArgs,
}

/// Random sequences of calls instead of the cases.
#[derive(Debug, Args)]
pub struct RandomArgs {
    /// Run random sequences of these seeds instead of the cases: 7, or 1..20 with both ends.
    #[arg(long = "random", value_name = "SEED[..SEED]", conflicts_with_all = ["filter", "bless_as"])]
    pub seeds: Option<Seeds>,
    /// With --random: sequences of each seed.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000), requires = "seeds")]
    pub count: u64,
    /// With --random: what the answers are compared with, a record or a driver of this machine.
    #[arg(long, value_name = "FILE|system|software", requires = "seeds")]
    pub against: Option<PathBuf>,
    /// With --random: write the answers to this file, to compare another driver with later.
    #[arg(long, value_name = "FILE", requires = "seeds")]
    pub record: Option<PathBuf>,
    /// With --random: write the answers of the live driver that was compared with to this file.
    #[arg(long, value_name = "FILE", requires = "against")]
    pub record_against: Option<PathBuf>,
    /// With --random: how many differences of each kind to cut down to a minimal case.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "against")]
    pub shrink: usize,
    /// With --random: write the minimal cases to this folder.
    #[arg(long, value_name = "DIR", requires = "against")]
    pub minimal: Option<PathBuf>,
    /// With --random: a process for every sequence, instead of many in one.
    #[arg(long, requires = "seeds")]
    pub alone: bool,
}

/// One cell of one case, for the parent process.
#[derive(Debug, Args)]
pub struct ConformanceChildArgs {
    #[arg(long = "as")]
    pub as_version: Option<String>,
    pub driver: String,
    pub case: PathBuf,
    #[arg(allow_hyphen_values = true)]
    pub cell: String,
}
