//! `graphproof report`: a kept receipt, told again.

use crate::receipt::Outputs;
use graphproof_harness::exit_code::ExitCode;

use super::{Failure, diff, gate};
use crate::args::ReplayArgs;

pub fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let receipt = diff::read(&args.receipt)?;
    let mut taken = Outputs::default();
    taken.take(&args.receipt, "the receipt that is read").map_err(gate::same_file)?;
    let mut reporters = gate::reporters(&args.report, taken)?;
    reporters.replay(&receipt);
    gate::written(&mut reporters)?;
    Ok(gate::exit_code(receipt.exit_code))
}
