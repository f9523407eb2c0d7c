//! A shape: whole numbers with names.

use std::fmt;

use crate::config::did_you_mean;

/// A parameter that a suite declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value where a shape does not name it.
    pub default: u64,
}

impl Parameter {
    /// A parameter with its default.
    pub fn new(name: impl Into<String>, default: u64) -> Self {
        Parameter { name: name.into(), default }
    }
}

/// A value for each parameter of a suite, in the order of their declaration: `sq=64,sk=512`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Parameters(Vec<(String, u64)>);

/// A shape that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// An entry without `=`.
    #[error("'{entry}' is not of the form name=number; a shape is written like {example}")]
    NotAnEntry {
        /// The text.
        entry: String,
        /// The default shape.
        example: String,
    },
    /// A parameter that does not exist.
    #[error("a shape has no parameter '{name}'; {near}it has {}", if known.is_empty() { "none" } else { known })]
    Unknown {
        /// The name.
        name: String,
        /// The near name as a question, or nothing.
        near: String,
        /// The names that there are.
        known: String,
    },
    /// A parameter given more than once.
    #[error("the parameter {name} is given twice")]
    Repeated {
        /// The name.
        name: String,
    },
    /// A value that is not a whole number of 64 bits.
    #[error("{name}={value} is not a whole number from 0 to 18446744073709551615")]
    NotANumber {
        /// The parameter.
        name: String,
        /// The text.
        value: String,
    },
}

impl Parameters {
    /// Values in order.
    pub fn new<N: Into<String>>(values: impl IntoIterator<Item = (N, u64)>) -> Self {
        Parameters(values.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Every parameter at its default.
    pub fn defaults(declared: &[Parameter]) -> Self {
        Parameters::new(declared.iter().map(|parameter| (parameter.name.as_str(), parameter.default)))
    }

    /// Reads entries over the defaults: `h=3,topk=100`.
    ///
    /// # Errors
    /// See [`ParameterError`].
    pub fn read(text: &str, declared: &[Parameter]) -> Result<Self, ParameterError> {
        let mut shape = Self::defaults(declared);
        let mut seen: Vec<&str> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, value) = entry.split_once('=').ok_or_else(|| ParameterError::NotAnEntry {
                entry: entry.to_owned(),
                example: if declared.is_empty() { "n=1024".to_owned() } else { Self::defaults(declared).to_string() },
            })?;
            let (name, value) = (name.trim(), value.trim());
            let Some((_, slot)) = shape.0.iter_mut().find(|(known, _)| known == name) else {
                let known: Vec<&str> = declared.iter().map(|parameter| parameter.name.as_str()).collect();
                let near = did_you_mean(name, &known);
                return Err(ParameterError::Unknown { name: name.to_owned(), near, known: known.join(", ") });
            };
            if seen.contains(&name) {
                return Err(ParameterError::Repeated { name: name.to_owned() });
            }
            seen.push(name);
            *slot = value
                .parse()
                .map_err(|_| ParameterError::NotANumber { name: name.to_owned(), value: value.to_owned() })?;
        }
        Ok(shape)
    }

    /// The value of a parameter, if there is one of this name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The value of a parameter as an extent of a buffer.
    ///
    /// # Errors
    /// There is no parameter of this name.
    pub fn size(&self, name: &str) -> Result<usize, ParameterError> {
        let value = self.get(name).and_then(|value| usize::try_from(value).ok());
        value.ok_or_else(|| {
            let known: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
            let near = did_you_mean(name, &known);
            ParameterError::Unknown { name: name.to_owned(), near, known: known.join(", ") }
        })
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl fmt::Display for Parameters {
    /// `sq=64,sk=512`, or `fixed` where a suite has no parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("fixed");
        }
        for (index, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_change_the_defaults_and_print_as_they_are_read() {
        let declared = [Parameter::new("rows", 64), Parameter::new("n", 512)];
        let shape = Parameters::read(" n = 7 ", &declared).unwrap();
        assert_eq!(shape.to_string(), "rows=64,n=7");
        assert_eq!(Parameters::read(&shape.to_string(), &declared), Ok(shape));
        assert_eq!(Parameters::default().to_string(), "fixed");
    }

    #[test]
    fn says_what_is_wrong() {
        let declared = [Parameter::new("rows", 64), Parameter::new("n", 512)];
        let message = |text: &str| Parameters::read(text, &declared).unwrap_err().to_string();
        assert_eq!(message("row=1"), "a shape has no parameter 'row'; did you mean 'rows'? it has rows, n");
        assert_eq!(message("n=1,n=2"), "the parameter n is given twice");
        assert_eq!(message("n=-1"), "n=-1 is not a whole number from 0 to 18446744073709551615");
        assert_eq!(message("64"), "'64' is not of the form name=number; a shape is written like rows=64,n=512");
        let none = Parameters::read("n=1", &[]).unwrap_err().to_string();
        assert_eq!(none, "a shape has no parameter 'n'; it has none");
    }
}
