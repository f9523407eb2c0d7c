//! The settings of a gate run: the command line over the configuration over the defaults.

use std::path::PathBuf;

use crate::config::{self, Settings};
use crate::diff::Policy;
use crate::suite::{Parameters, Suite};

use anyhow::{Context as _, anyhow};

use super::Failure;
use crate::args::{ConfigArgs, GateArgs};
use crate::output::json::io;

/// Reads the configuration, if there is one, and lays the command line over it.
pub fn resolve(args: &GateArgs, suite: &dyn Suite) -> Result<Settings, Failure> {
    let mut settings = read(&args.config, suite)?;
    if !args.steps_named.is_empty() {
        settings.suite = args.steps_named.clone();
    }
    if !args.shapes.is_empty() {
        settings.shapes = args.shapes.iter().map(|text| shape(suite, text)).collect::<Result<_, _>>()?;
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
    (settings.streams, settings.modes) = (args.streams.clone(), args.modes.clone());
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
fn read(args: &ConfigArgs, suite: &dyn Suite) -> Result<Settings, Failure> {
    let Some(file) = file(args)? else { return Ok(Settings::of(suite)) };
    tracing::info!(file = %file.display(), "configuration");
    Settings::read(&file, suite).map_err(|error| Failure::new(error.exit_code(), error))
}

/// What the configuration says about differences between receipts, whatever suite they are of.
pub fn policy(args: &ConfigArgs) -> Result<Policy, Failure> {
    let Some(file) = file(args)? else { return Ok(Policy::default()) };
    config::diff_policy(&file).map_err(|error| Failure::new(error.exit_code(), error))
}

/// The configuration that holds, if any does.
fn file(args: &ConfigArgs) -> Result<Option<PathBuf>, Failure> {
    if args.no_config {
        return Ok(None);
    }
    let found = match &args.config {
        Some(file) => Some(file.clone()),
        None => config::find(&here()?),
    };
    if found.is_none() {
        tracing::info!("no graphproof.toml: the defaults hold");
    }
    Ok(found)
}

/// The folder with the reviewed graphs.
fn reviewed() -> Result<PathBuf, Failure> {
    Ok(config::find_reviewed(&here()?))
}

fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().context("the current folder cannot be told").map_err(io)
}

/// A shape of the command line.
pub fn shape(suite: &dyn Suite, text: &str) -> Result<Parameters, Failure> {
    suite.shape(text).map_err(|error| Failure::new(error.exit_code(), anyhow!("--shape {text}: {error}")))
}
