//! Links in progress: what `cuLink*` makes.

use graphproof_link::Linker;

/// Where a link's log goes.
pub trait LinkLog: std::fmt::Debug + Send {
    /// Replaces the log.
    fn write(&self, info: &str, error: &str);
}

/// A link: what a `CUlinkState` names.
#[derive(Debug)]
pub struct Link {
    /// What has been added.
    pub linker: Linker,
    /// Where its log goes.
    pub log: Box<dyn LinkLog>,
    /// The last result: the caller reads it until the link is destroyed.
    pub image: Vec<u8>,
}
