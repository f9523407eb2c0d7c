//! The texts behind `graphproof explain`: what a finding means, why CUDA behaves so, how it is
//! found, what can be missed, and how to fix it.
//!
//! One Markdown file for each id, in this folder. Its head also gives the title and the help that
//! every finding of the id carries, so that there is one source for all three. The files are read
//! when the crate is compiled: a text that lacks a heading does not compile.

mod book;
mod family;
mod nearest;
mod render;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use book::book;
pub use family::Family;
pub use nearest::nearest;
pub use render::{Look, list, page};
pub use table::ALL;
pub use text::{Explanation, Section};

/// The text of `id`, in upper or lower case.
pub fn find(id: &str) -> Option<&'static Explanation> {
    ALL.iter().find(|text| text.entry.id.as_str().eq_ignore_ascii_case(id))
}
