//! The calls that a case file can make.
//!
//! Most are rows of `table`; those that need a structure, a callback or an array are builders,
//! grouped by subject. A builder resolves its arguments and returns the call itself, so that the
//! runner can make it on the thread that the case names.

pub mod api;
mod declare;
pub mod env;
mod graph;
pub mod host;
mod memory;
pub mod names;
mod probe;
mod stream;
mod structs;
mod table;

use super::expand::Step;
use env::{Env, Prepared, Problem};

/// What stands in front of a line's variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Makes {
    /// Nothing: the line has no variable.
    Nothing,
    /// `variable = call`, where the line may leave the variable out.
    Value,
    /// The first argument is the new variable's name.
    Declared,
}

/// A call that is no row of the table.
struct Special {
    name: &'static str,
    /// The fewest and the most arguments.
    arity: (usize, usize),
    makes: Makes,
    build: fn(&mut Env, &Step) -> Result<Prepared, Problem>,
}

/// Declares the calls of one subject.
macro_rules! specials {
    ($($name:literal $least:literal..=$most:literal $makes:ident $build:expr;)*) => {
        &[$(crate::conformance::call::Special {
            name: $name,
            arity: ($least, $most),
            makes: crate::conformance::call::Makes::$makes,
            build: $build,
        }),*]
    };
}
use specials;

fn special(name: &str) -> Option<&'static Special> {
    let groups = [declare::CALLS, stream::CALLS, memory::CALLS, graph::CALLS, probe::CALLS];
    groups.into_iter().flatten().find(|special| special.name == name)
}

/// Checks a line's call: its name, the count of its arguments, and whether it makes a value.
///
/// # Errors
/// What is wrong, with the call's name.
pub fn check(name: &str, args: usize, assigned: bool) -> Result<(), String> {
    let (least, most, makes) = match special(name) {
        Some(special) => (special.arity.0, special.arity.1, special.makes == Makes::Value),
        None => table::arity(name).ok_or_else(|| format!("`{name}` is no call that the suite knows"))?,
    };
    if args < least || args > most {
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let plural = if wanted == "1" { "" } else { "s" };
        return Err(format!("`{name}` takes {wanted} argument{plural}, not {args}"));
    }
    if assigned && !makes {
        return Err(format!("`{name}` creates nothing that a variable could take"));
    }
    Ok(())
}

/// Resolves a line's call.
///
/// # Errors
/// A missing symbol, an unset variable, or a mistake in the case.
pub fn prepare(env: &mut Env, step: &Step) -> Result<Prepared, Problem> {
    match special(&step.call) {
        Some(special) => (special.build)(env, step),
        None => table::prepare(env, step),
    }
}

/// The variable that a line sets, if any.
pub fn target<'a>(env: &Env, step: &'a Step) -> Option<&'a str> {
    match special(&step.call) {
        Some(special) if special.makes == Makes::Declared => env.word(step, 0).ok(),
        _ => step.assign.as_deref(),
    }
}
