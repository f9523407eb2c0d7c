//! The fault catalogue: stable ids with their title and fix.
//!
//! S: syncs; A: addresses and allocation; C: capture structure; V: values; L: leaks and races;
//! R: results; E: execution; T: topology. Titles and help stand at the head of the texts in
//! [`super::explain`].

use std::sync::LazyLock;

use super::{Id, explain};

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable id.
    pub id: Id,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// How to fix it.
    pub help: &'static str,
}

/// Every entry, in the order of families and ids.
pub static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| explain::ALL.iter().map(|text| text.entry).collect());

/// The entry of `id`.
pub fn entry(id: Id) -> &'static Entry {
    &id.explanation().entry
}

/// The entry of `id`, if there is one.
pub fn find(id: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.id == id)
}
