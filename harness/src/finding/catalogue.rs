//! The fault catalogue: stable ids with their title and fix.
//!
//! S: syncs; A: addresses and allocation; C: capture structure; V: values; L: leaks and races;
//! R: results; E: execution; T: topology. Titles and help stand at the head of the texts in
//! [`explain`](super::explain).

use std::sync::LazyLock;

use super::explain;

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable id.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// How to fix it.
    pub help: &'static str,
}

/// Every entry, in the order of families and ids.
pub static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| explain::ALL.iter().map(|text| text.entry).collect());

/// The entry of `id`.
///
/// # Panics
/// If there is none: that every id in the code has an entry is a test.
pub fn entry(id: &str) -> &'static Entry {
    find(id).unwrap_or_else(|| panic!("finding id {id} is not in the catalogue"))
}

/// The entry of `id`, if there is one.
pub fn find(id: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use super::ENTRIES;

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = ENTRIES.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ENTRIES.len());
    }
}
