//! Receipts, as whoever keeps them meets them.

use graphproof::receipt::schema_text;

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/receipt.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let current = schema_text();
    if committed == current {
        return;
    }
    // Written only on demand: a drift is a decision, not an accident.
    if std::env::var_os("GRAPHPROOF_BLESS").is_some() {
        std::fs::write(path, current).expect("docs/receipt.schema.json can be written");
        return;
    }
    panic!(
        "the receipt's types and docs/receipt.schema.json differ: raise graphproof::receipt::FORMAT if an older \
         reader would misread the new form, then run this test with GRAPHPROOF_BLESS=1 and review the change"
    );
}
