//! `graphproof init`: a configuration, or a file of steps, to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use crate::config::{FILE_NAME, initial};
use anyhow::anyhow;
use graphproof_harness::exit_code::ExitCode;

use super::Failure;
use crate::args::InitArgs;
use crate::output::json::io;
use crate::suite::Suite;

/// What `--step` writes where no file is named.
const STEP_FILE: &str = "step.toml";

pub fn run(args: &InitArgs, suite: &dyn Suite) -> Result<ExitCode, Failure> {
    let (default, text, what) = match args.step {
        false => (FILE_NAME, initial(suite), "every key with its default"),
        true => (STEP_FILE, graphproof_stepfile::INITIAL.to_owned(), "a step; judge it with `gate --suite`"),
    };
    let file = args.file.clone().unwrap_or_else(|| default.into());
    let name = file.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            println!("wrote {name}: {what}");
            Ok(ExitCode::Passed)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(io(anyhow!("{name} is there already and stays as it is; name another file, or remove it")))
        }
        Err(error) => Err(io(anyhow!("{name} cannot be written: {error}"))),
    }
}
