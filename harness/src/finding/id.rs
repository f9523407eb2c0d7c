//! Ids of findings as a type: a misspelt one does not compile, and every one has its text.

use std::fmt;

use super::explain::{self, Explanation};

macro_rules! ids {
    ($($id:ident)*) => {
        /// The stable id of a finding, such as `A07`: what [`catalogue`](super::catalogue) calls it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "`explain/ID.md` is the documentation of each")]
        pub enum Id { $($id),* }

        impl Id {
            /// All, in the order of families and ids.
            pub const ALL: &[Id] = &[$(Id::$id),*];

            /// The id as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Id::$id => stringify!($id)),* }
            }

            /// Its text, as it stands in the file.
            pub(super) const fn text(self) -> &'static str {
                match self { $(Id::$id => include_str!(concat!("explain/", stringify!($id), ".md"))),* }
            }
        }
    };
}

#[rustfmt::skip]
ids! {
    S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15 S16
    A01 A02 A03 A04 A05 A06 A07 A08 A09 A10 A11 A12 A13 A14
    C01 C02 C03 C04 C05 C06 C07 C08 C09 C10 C11 C12 C13
    V01 V02 V03 V04 V05 V06 V07 V08 V09 V10 V11 V12 V13 V14 V15
    L01 L02 L03 L04 L05 L06 L07
    R01 R02 R03 R04 R05
    E01 E02 E03 E04 E05 E06 E07 E08
    T01 T02
}

impl Id {
    /// What is known about it.
    pub fn explanation(self) -> &'static Explanation {
        &explain::ALL[self as usize]
    }
}

impl std::str::FromStr for Id {
    type Err = UnknownId;

    fn from_str(text: &str) -> Result<Self, UnknownId> {
        Id::ALL.iter().copied().find(|id| id.as_str() == text).ok_or_else(|| UnknownId(text.to_owned()))
    }
}

/// There is no finding of that id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no finding has the id {0:?} in this version of graphproof")]
pub struct UnknownId(String);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<str> for Id {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Id {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

super::as_text!(Id);
