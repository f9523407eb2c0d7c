//! The settings of a gate run: the command line over the configuration over the defaults.

use std::path::PathBuf;

use graphproof::config::{self, Settings};
use graphproof_harness::exit_code::ExitCode;
use graphproof_kernels::Shape;

use anyhow::{Context as _, anyhow};

use super::Failure;
use crate::args::{ConfigArgs, GateArgs};
use crate::output::json::io;

/// Reads the configuration, if there is one, and lays the command line over it.
pub fn resolve(args: &GateArgs) -> Result<Settings, Failure> {
    let mut settings = read(&args.config)?;
    if !args.steps_named.is_empty() {
        settings.suite = args.steps_named.clone();
    }
    if !args.shapes.is_empty() {
        settings.shapes = args.shapes.iter().map(|text| shape(text)).collect::<Result<_, _>>()?;
    }
    if !args.seeds.is_empty() {
        settings.seeds = args.seeds.clone();
    }
    for own in settings.of_step.values_mut() {
        // What the command line says holds for every step.
        own.shapes = own.shapes.take().filter(|_| args.shapes.is_empty());
        own.seeds = own.seeds.take().filter(|_| args.seeds.is_empty());
        own.steps = own.steps.filter(|_| args.steps.is_none());
    }
    settings.steps = args.steps.unwrap_or(settings.steps);
    settings.driver = args.driver.unwrap_or(settings.driver);
    settings.compile = (settings.compile || args.compile) && !args.no_compile;
    settings.patience = args.patience.unwrap_or(settings.patience);
    settings.retries = args.retries.unwrap_or(settings.retries);
    settings.fail_fast = (settings.fail_fast || args.fail_fast) && !args.no_fail_fast;
    if let Some(folder) = &args.locked {
        settings.locked = Some(folder.clone().map_or_else(reviewed, Ok)?);
    } else if args.bless && settings.locked.is_none() {
        settings.locked = Some(reviewed()?);
    }
    settings.locked = settings.locked.filter(|_| !args.no_locked);
    Ok(settings)
}

/// The defaults, changed by the configuration.
pub fn read(args: &ConfigArgs) -> Result<Settings, Failure> {
    if args.no_config {
        return Ok(Settings::default());
    }
    let found = match &args.config {
        Some(file) => Some(file.clone()),
        None => config::find(&here()?),
    };
    let Some(file) = found else {
        tracing::info!("no graphproof.toml: the defaults hold");
        return Ok(Settings::default());
    };
    tracing::info!(file = %file.display(), "configuration");
    Settings::read(&file).map_err(|error| Failure::new(error.exit_code(), error))
}

/// The folder with the reviewed graphs.
fn reviewed() -> Result<PathBuf, Failure> {
    Ok(config::find_reviewed(&here()?))
}

fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().context("the current folder cannot be told").map_err(io)
}

/// A shape of the command line.
pub fn shape(text: &str) -> Result<Shape, Failure> {
    text.parse().map_err(|error| Failure::new(ExitCode::Usage, anyhow!("--shape {text}: {error}")))
}
