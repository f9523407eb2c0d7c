//! What the device asks of the PTX interpreter.

use std::sync::LazyLock;

use crate::exec::{self, Fault, Launch, Pool, Program};

/// The threads that blocks spread over, shared by all launches of the process.
static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

/// Parses and decodes PTX text.
pub fn load(text: &str) -> Result<Program, String> {
    Program::from_ptx(text).map_err(|error| error.to_string())
}

/// Executes a launch to its end.
pub fn run(launch: &Launch<'_>) -> Result<(), Fault> {
    exec::run(launch, &POOL).map(|_| ())
}
