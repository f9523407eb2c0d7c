//! Arguments of `graphproof faults`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser as _;
use graphproof_harness::driver::DriverChoice;

#[derive(Debug, Args)]
pub struct FaultsArgs {
    /// Only faults with this text in their name, row or group: `memset`, `A07`, `indexer`.
    #[arg(long, value_name = "TEXT", conflicts_with = "clean")]
    pub filter: Option<String>,
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// Write the matrix to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Children at a time; by default as many as there are cores, and one on a GPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..).map(|n| n as usize))]
    pub jobs: Option<usize>,
    /// Print what the gate says about this planted fault, as a user would see it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["clean", "filter", "json"])]
    pub show: Option<String>,
    /// Do not record the calls of the driver, and judge by what is left.
    #[arg(long)]
    pub no_record: bool,
    /// No faults: run the indexer's lanes over many seeds and shapes, on which nothing may be found.
    #[arg(long)]
    pub clean: bool,
    /// With --clean: seeds for each lane and shape.
    #[arg(long, default_value_t = 200, requires = "clean", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// With --clean: replays of each run under so many seeded orders too, and under the two extremes.
    #[arg(long, default_value_t = 0, requires = "clean")]
    pub orders: u64,
    /// With --clean: shapes, 20 at most.
    #[arg(long, default_value_t = 20, requires = "clean", value_parser = clap::value_parser!(u64).range(1..=20).map(|n| n as usize))]
    pub shapes: usize,
}

#[derive(Debug, Args)]
pub struct FaultChildArgs {
    /// The planted fault, or the lane.
    pub name: String,
    /// The clean twin instead.
    #[arg(long)]
    pub twin: bool,
    /// Run the lane of this name at this shape instead of a fault.
    #[arg(long)]
    pub shape: Option<String>,
    /// With --shape: seeds, from 0.
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// Replays.
    #[arg(long)]
    pub steps: Option<u64>,
    /// Replays under seeded orders.
    #[arg(long, default_value_t = 0)]
    pub orders: u64,
    /// Do not record the calls of the driver.
    #[arg(long)]
    pub no_record: bool,
    /// The driver.
    #[arg(long, default_value = "auto")]
    pub driver: DriverChoice,
    /// Seconds without progress after which a run counts as hung.
    #[arg(long, default_value_t = 30)]
    pub patience: u64,
}
