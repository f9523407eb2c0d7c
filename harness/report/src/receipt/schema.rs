//! The receipt's JSON Schema.

use super::Receipt;

/// The schema as it is committed in `docs/receipt.schema.json`, made from the types.
pub fn schema_text() -> String {
    let schema = schemars::schema_for!(Receipt);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
