//! What the device asks of the PTX interpreter.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread;

use super::device::CAPABILITY;
use super::setting;
use crate::exec::{self, Conditional, ExecStats, Fault, Launch, Pool, Program};

/// Parses and decodes PTX text; the error says where in the text, and what.
pub fn load(text: &str) -> Result<Program, String> {
    let program = Program::from_ptx(text).map_err(|error| error.to_string())?;
    check_target(&program.target)?;
    Ok(program)
}

/// PTX for a newer architecture than the device's is refused, as a driver refuses it.
fn check_target(target: &str) -> Result<(), String> {
    let digits: String = target.trim_start_matches("sm_").chars().take_while(char::is_ascii_digit).collect();
    let capability = CAPABILITY.0 * 10 + CAPABILITY.1;
    match digits.parse::<i32>() {
        Ok(wanted) if wanted > capability => Err(format!(
            "the PTX is for {target}; this device is sm_{capability}: compile for sm_{capability} or older"
        )),
        _ => Ok(()),
    }
}

/// Executes a launch to its end; `conditionals` are those of the graph that it belongs to.
pub fn run(launch: &Launch<'_>, conditionals: &[Conditional]) -> Result<ExecStats, Box<Fault>> {
    static POOL: LazyLock<Pool> = LazyLock::new(|| {
        let threads = setting("GRAPHPROOF_THREADS").and_then(|text| text.parse().ok());
        let threads: NonZero<usize> =
            threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
        Pool::new(threads.get())
    });
    exec::run_in_graph(launch, conditionals, &POOL).map_err(Box::new)
}
