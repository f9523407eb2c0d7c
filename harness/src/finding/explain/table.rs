//! The table of texts.

use std::sync::LazyLock;

use super::Explanation;
use crate::finding::Id;

/// Every text, in the order of families and ids.
// Parsed when first asked for: in the compiler it took minutes. A test parses them all.
pub static ALL: LazyLock<Vec<Explanation>> =
    LazyLock::new(|| Id::ALL.iter().map(|&id| Explanation::parse(id, id.text())).collect());
