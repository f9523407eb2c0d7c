//! Arguments of `graphproof kernels`.

use std::ops::Range;
use std::path::PathBuf;

use crate::kernelfuzz::table::GENERATION;
use clap::Args;
use graphproof_harness::driver::DriverChoice;

#[derive(Debug, Args)]
pub struct KernelsArgs {
    /// Which kernels: a seed, or FROM..TO without TO.
    #[arg(long, value_name = "SEED[..SEED]", default_value = "0..300", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// auto: NVIDIA's driver where it has a device, else the software driver.
    #[arg(long, default_value = "auto", value_name = "auto|system|software")]
    pub driver: DriverChoice,
    /// Compare with `system` or `software`, asked now, or with the record in this file, whose seeds
    /// are taken.
    #[arg(long, value_name = "DRIVER|FILE")]
    pub against: Option<String>,
    /// Write what the driver answers to this file.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Write each kernel that differs to this folder, cut down, as SEED.ptx.
    #[arg(long, value_name = "DIR")]
    pub cases: Option<PathBuf>,
    /// No driver: compare the interpreter with itself, on every instruction set of this machine and in
    /// several orders.
    #[arg(long, conflicts_with_all = ["driver", "against", "record"])]
    pub isa: bool,
    /// Print the kernels instead of running them.
    #[arg(long, conflicts_with_all = ["against", "record", "isa"])]
    pub show: bool,
    /// Leave out what is not promised to the bit.
    #[arg(long)]
    pub no_approximate: bool,
    /// Draw from the instruction table as it was in this generation.
    #[arg(long, value_name = "N", default_value_t = GENERATION)]
    pub generation: u32,
    /// Compare NaNs as they are made, whose payloads PTX leaves open.
    #[arg(long)]
    pub raw_nan: bool,
    /// Processes of each driver.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64).map(|n| n as usize))]
    pub jobs: Option<usize>,
}

use clap::builder::TypedValueParser as _;

/// The process that asks one driver, for the parent process.
#[derive(Debug, Args)]
pub struct KernelsChildArgs {
    pub driver: DriverChoice,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("'{text}' is not a seed"));
    let range = match text.split_once("..") {
        Some((from, to)) => number(from)?..number(to)?,
        None => number(text)?..number(text)?.saturating_add(1),
    };
    if range.is_empty() { Err("no seed is in this range".to_owned()) } else { Ok(range) }
}
