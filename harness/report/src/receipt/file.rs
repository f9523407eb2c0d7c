//! Receipts on disk, read with every doubt told.

use std::path::Path;

use super::{FORMAT, Receipt};

/// Why a file is no receipt that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the receipt {path} cannot be read: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not JSON, or not all of it.
    #[error("{path} is not a whole receipt: {error}; it may have been cut off while it was copied")]
    NotJson {
        /// The file.
        path: String,
        /// Where, and what was expected.
        error: serde_json::Error,
    },
    /// JSON, but no receipt.
    #[error("{path} is JSON but no receipt: it has no number 'format'")]
    NoReceipt {
        /// The file.
        path: String,
    },
    /// Another version of the format.
    #[error("{path} is a receipt of format {found}, and this graphproof reads format {FORMAT}: {advice}")]
    Format {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The right version, but not its fields.
    #[error("{path} says that it is a receipt of format {FORMAT}, but {error}; run the gate again")]
    Fields {
        /// The file.
        path: String,
        /// What is missing or too much.
        error: serde_json::Error,
    },
    /// Changed since it was written.
    #[error("the receipt {path} was changed after it was written: its seal does not fit; run the gate again")]
    Seal {
        /// The file.
        path: String,
    },
}

/// Reads a receipt.
///
/// # Errors
/// See [`ReadError`].
pub fn read(path: &Path) -> Result<Receipt, ReadError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ReadError::Io { path: name(), error })?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| ReadError::NotJson { path: name(), error })?;
    let found = value["format"].as_u64().ok_or_else(|| ReadError::NoReceipt { path: name() })?;
    if found != u64::from(FORMAT) {
        let advice = if found > u64::from(FORMAT) {
            "use the graphproof that wrote it, or a newer one"
        } else {
            "run the gate again with this one"
        };
        return Err(ReadError::Format { path: name(), found, advice });
    }
    // From the text and not from the value: its errors name line and column.
    let receipt: Receipt = serde_json::from_str(&text).map_err(|error| ReadError::Fields { path: name(), error })?;
    // The seal covers what the types hold; nothing else may stand in the file.
    let complete = serde_json::to_value(&receipt).is_ok_and(|known| known == value);
    if !complete || !receipt.is_sealed() {
        return Err(ReadError::Seal { path: name() });
    }
    Ok(receipt)
}
