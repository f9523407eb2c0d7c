//! The part of a suite that one of several machines takes.

use std::fmt;
use std::str::FromStr;

/// Part `2/8`: the second job, the tenth, the eighteenth, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// From 1.
    part: usize,
    of: usize,
}

/// A text that is no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Not two numbers.
    #[error("a part is written like 2/8, the second of eight")]
    Form,
    /// Part 0, or none of 0.
    #[error("parts count from 1: the first of eight is 1/8")]
    Zero,
    /// Part 9 of 8.
    #[error("there is no part {part} of {of}")]
    Beyond {
        /// The part asked for.
        part: usize,
        /// How many there are.
        of: usize,
    },
}

impl Partition {
    /// Whether the job at `index` of the suite, from 0, belongs to this part.
    pub fn holds(self, index: usize) -> bool {
        index % self.of == self.part - 1
    }
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, PartitionError> {
        let (part, of) = text.split_once('/').ok_or(PartitionError::Form)?;
        // `parse` would take a sign.
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<usize>().map_err(|_| PartitionError::Form),
            false => Err(PartitionError::Form),
        };
        match (number(part)?, number(of)?) {
            (0, _) | (_, 0) => Err(PartitionError::Zero),
            (part, of) if part > of => Err(PartitionError::Beyond { part, of }),
            (part, of) => Ok(Partition { part, of }),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_belongs_to_exactly_one_part() {
        for of in 1..=9 {
            let parts: Vec<Partition> = (1..=of).map(|part| format!("{part}/{of}").parse().unwrap()).collect();
            for index in 0..40 {
                assert_eq!(parts.iter().filter(|part| part.holds(index)).count(), 1, "{index} of {of}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| text.parse::<Partition>().unwrap_err();
        for text in ["", "2", "a/b", "1/", "/8", "-1/8", "+1/8", "1/8/2", "1 / 8", "99999999999999999999/2"] {
            assert_eq!(error(text), PartitionError::Form, "{text}");
        }
        for text in ["0/8", "1/0", "0/0"] {
            assert_eq!(error(text), PartitionError::Zero, "{text}");
        }
        assert_eq!(error("9/8"), PartitionError::Beyond { part: 9, of: 8 });
    }
}
