//! `graphproof explain [ID]`: what a finding means, why, and what to do; or what an error code of CUDA
//! says, and which findings stand behind it.

mod codes;

use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, anyhow};
use console::Term;
use graphproof_harness::exit_code::ExitCode;
use graphproof_harness::finding::explain::{self, Look};

use super::Failure;

/// Columns in a pipe, and the most on a terminal: longer lines are hard to read.
const PLAIN_WIDTH: usize = 80;
const LARGEST_WIDTH: usize = 100;

pub fn run(id: Option<&str>) -> Result<ExitCode, Failure> {
    let look = look();
    let text = match id {
        None => explain::list(look),
        Some(id) => match (explain::find(id.trim()), codes::find(id.trim())) {
            (Some(text), _) => explain::page(text, look),
            (None, Some(code)) => code.page(look.width),
            (None, None) => return Err(unknown(id)),
        },
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(ExitCode::Passed),
        // `graphproof explain | head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::Passed),
        error => error
            .map(|()| ExitCode::Passed)
            .context("the text cannot be written")
            .map_err(|error| Failure::new(ExitCode::Io, error)),
    }
}

fn look() -> Look {
    let terminal = Term::stdout();
    match terminal.size_checked() {
        Some((_, columns)) => Look {
            width: usize::from(columns).min(LARGEST_WIDTH),
            bold: std::env::var_os("NO_COLOR").is_none() && terminal.features().colors_supported(),
        },
        None => Look { width: PLAIN_WIDTH, bold: false },
    }
}

fn unknown(id: &str) -> Failure {
    let hint = match explain::nearest(id).as_slice() {
        [] if id.to_lowercase().contains("error") || id.trim().parse::<u64>().is_ok() => {
            let known: Vec<String> = codes::CODES.iter().map(|code| code.number.to_string()).collect();
            format!("of CUDA's error codes these are explained: {}", known.join(", "))
        }
        [] => "`graphproof explain` lists all ids".to_owned(),
        near => format!("did you mean {}? `graphproof explain` lists all ids", near.join(" or ")),
    };
    Failure::new(ExitCode::Usage, anyhow!("there is no finding id '{}'; {hint}", id.escape_debug()))
}
