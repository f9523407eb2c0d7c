//! Why receipts cannot be merged.

/// Why receipts are no parts of one run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("there is no receipt to merge")]
    Nothing,
    /// Two receipts disagree in what must be the same.
    #[error("{first} and {second} are no parts of one run: {field} is {left} in the first and {right} in the second")]
    Differ {
        /// A file.
        first: String,
        /// Another.
        second: String,
        /// The field of the receipt.
        field: String,
        /// Its value in the first.
        left: String,
        /// Its value in the second.
        right: String,
    },
    /// A lane in two receipts.
    #[error("{first} and {second} both hold the lane {lane}; a lane belongs to one part")]
    LaneTwice {
        /// A file.
        first: String,
        /// Another.
        second: String,
        /// Step, shape and seed.
        lane: String,
    },
    /// A part twice.
    #[error("{first} and {second} are both part {part}")]
    PartTwice {
        /// A file.
        first: String,
        /// Another.
        second: String,
        /// `2/8`.
        part: String,
    },
    /// A partition that cannot be read.
    #[error("{path} is of partition '{text}', which is not of the form 2/8")]
    Partition {
        /// The file.
        path: String,
        /// What stands there.
        text: String,
    },
    /// Not every part is there.
    #[error("of {of} parts {} missing; pass --allow-missing to merge without", are(missing))]
    Missing {
        /// The parts that are not there.
        missing: Vec<u64>,
        /// How many there should be.
        of: u64,
    },
}

fn are(missing: &[u64]) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", missing.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))
}
