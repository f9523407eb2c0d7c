//! The file that `graphproof init` writes.

use crate::suite::{Suite, default_shape};

/// With a place for what differs from suite to suite.
const TEMPLATE: &str = include_str!("initial.toml");

/// Every key with its default, for the steps of `suite`.
pub fn initial(suite: &dyn Suite) -> String {
    let steps = suite.steps();
    let judged = steps.iter().filter(|step| step.by_default).map(|step| step.name.as_str());
    // The last that is judged: a suite tends to end with its most particular step.
    let example = judged.clone().next_back().unwrap_or("NAME");
    let shape = default_shape(suite).to_string();
    let shape = if shape == "fixed" { "" } else { &shape };
    TEMPLATE
        .replace("{suite}", &format!("{:?}", judged.collect::<Vec<_>>()))
        .replace("{shapes}", &format!("{:?}", [shape]))
        .replace("{step}", example)
        .replace("{step-shapes}", &format!("{:?}", [shape.rsplit(',').next().unwrap_or_default()]))
}
