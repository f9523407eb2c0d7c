//! The families of ids, by their first letter.

use super::Explanation;

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `S`
    Syncs,
    /// `A`
    Addresses,
    /// `C`
    Capture,
    /// `V`
    Values,
    /// `L`
    Leaks,
    /// `R`
    Results,
    /// `E`
    Execution,
    /// `T`
    Topology,
}

impl Family {
    /// All, in the order in which they are listed.
    pub const ALL: [Family; 8] = [
        Family::Syncs,
        Family::Addresses,
        Family::Capture,
        Family::Values,
        Family::Leaks,
        Family::Results,
        Family::Execution,
        Family::Topology,
    ];

    /// The letter that its ids begin with.
    pub const fn letter(self) -> char {
        match self {
            Family::Syncs => 'S',
            Family::Addresses => 'A',
            Family::Capture => 'C',
            Family::Values => 'V',
            Family::Leaks => 'L',
            Family::Results => 'R',
            Family::Execution => 'E',
            Family::Topology => 'T',
        }
    }

    /// The family in words.
    pub const fn title(self) -> &'static str {
        match self {
            Family::Syncs => "Synchronisation: the host waits, or looks, while the step is recorded",
            Family::Addresses => "Addresses and allocation: what the graph points at does not stay",
            Family::Capture => "Capture: work that is missing, and captures that cannot end",
            Family::Values => "Values: what was decided once, at capture, and is replayed for ever",
            Family::Leaks => "Leaks and races over many replays",
            Family::Results => "Results: what the replay wrote is not what eager execution wrote",
            Family::Execution => "Execution: the step itself fails, hangs or crashes",
            Family::Topology => "Topology: the graph beside the one that was reviewed",
        }
    }

    /// The texts of the family, in the order of their ids.
    pub fn texts(self) -> impl Iterator<Item = &'static Explanation> {
        super::ALL.iter().filter(move |text| text.entry.id.as_str().starts_with(self.letter()))
    }
}
