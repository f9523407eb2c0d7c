//! `graphproof list`.

use graphproof_harness::exit_code::ExitCode;
use graphproof_kernels::Lane;

use super::Failure;

pub fn run() -> Result<ExitCode, Failure> {
    let width = Lane::ALL.iter().map(|lane| lane.name().len()).max().unwrap_or(0);
    for lane in Lane::ALL {
        let default = if Lane::SUITE.contains(&lane) { "" } else { " (not in the default suite)" };
        println!("{:width$}  {}{default}", lane.name(), lane.description());
    }
    Ok(ExitCode::Passed)
}
