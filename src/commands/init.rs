//! `graphproof init`: a configuration to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use crate::config::initial;
use anyhow::anyhow;
use graphproof_harness::exit_code::ExitCode;

use super::Failure;
use crate::args::InitArgs;
use crate::output::json::io;
use crate::suite::Suite;

pub fn run(args: &InitArgs, suite: &dyn Suite) -> Result<ExitCode, Failure> {
    let name = args.file.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.file)
        .and_then(|mut file| file.write_all(initial(suite).as_bytes()));
    match written {
        Ok(()) => {
            println!("wrote {name}: every key with its default");
            Ok(ExitCode::Passed)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(io(anyhow!("{name} is there already and stays as it is; name another file, or remove it")))
        }
        Err(error) => Err(io(anyhow!("{name} cannot be written: {error}"))),
    }
}
