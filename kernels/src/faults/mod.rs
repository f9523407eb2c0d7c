//! Planted faults: for each way in which a captured step goes wrong, a small step that does, and a
//! clean twin that does not. `graphproof faults` proves with them that each check finds its fault
//! and that no check cries wolf.
//!
//! To study one: its file says what is planted, which real failure it stands for, which check has
//! to find it, and how the clean twin differs.

mod addresses;
mod capture;
mod fault;
mod indexer;
mod leaks;
mod order;
mod plant;
mod prelude;
mod raw;
mod syncs;
mod values;

pub use fault::{Evidence, Expected, Fault, Group, Variant};
pub use plant::Plant;

/// Every planted fault, group by group.
pub fn all() -> Vec<Fault> {
    [syncs::FAULTS, addresses::FAULTS, capture::FAULTS, values::FAULTS, leaks::FAULTS, order::FAULTS, indexer::FAULTS]
        .concat()
}

/// The fault called `name`.
pub fn find(name: &str) -> Option<Fault> {
    all().into_iter().find(|fault| fault.name == name)
}

/// Rows of the fault catalogue and groups of real failures for which nothing is planted, with the
/// reason.
pub const NOT_PLANTED: &[(&str, &str)] = &[
    (
        "S13",
        "needs a launch queue that fills up; the software driver's queues have no limit, and NVIDIA's is not documented",
    ),
    ("V09", "needs conditional nodes, which a capture cannot make without CUDA 12.3's graph calls"),
    ("V10", "no fault of results: two launches of one executable graph run one after the other; only time tells"),
    (
        "G11",
        "a deadlock between the blocks of one kernel: the clean twin needs blocks that run at the same time, which no \
      driver here promises",
    ),
    ("G16", "NaN scores: the indexer's kernels map them to -inf, so that there is no place to plant it"),
    ("G19", "hangs of other engines on other devices, of which the cause is not public"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use graphproof_harness::finding::catalogue;

    use super::*;

    #[test]
    fn names_are_unique_and_expected_ids_are_in_the_catalogue() {
        let faults = all();
        let names: HashSet<_> = faults.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), faults.len());
        for fault in &faults {
            for id in std::iter::once(&fault.expected.id).chain(fault.expected.without_record) {
                assert_eq!(catalogue::entry(*id).id, *id, "{}", fault.name);
            }
        }
    }

    #[test]
    fn what_only_calls_or_accesses_tell_is_what_reports_say_is_not_checked_without_them() {
        use graphproof_harness::calls::{ONLY_RECORDED, ONLY_WATCHED, PARTLY_WATCHED, TOLD_AS};
        for fault in all() {
            let Expected { id, without_record, needs, .. } = fault.expected;
            let said: &[graphproof_harness::finding::Id] = match needs {
                Some(Evidence::Calls) => ONLY_RECORDED,
                Some(Evidence::Memory | Evidence::Accesses) => ONLY_WATCHED,
                // Other orders are opt-in, and the lane says where there are none.
                Some(Evidence::Order) | None => &[id],
            };
            let partly = needs == Some(Evidence::Accesses) && PARTLY_WATCHED.iter().any(|(partly, _)| *partly == id);
            assert!(partly || said.contains(&id), "{}: {id} is not said to be unchecked", fault.name);
            if !without_record.is_empty() {
                let told = TOLD_AS.iter().any(|(told, other)| *told == id && without_record.contains(other));
                assert!(told, "{}: {id} is not said to be told as {without_record:?}", fault.name);
            }
        }
    }

    #[test]
    fn the_catalogue_is_covered() {
        let faults = all();
        let rows = |group: fn(Group) -> bool| {
            let rows: HashSet<_> = faults.iter().filter(|fault| group(fault.group)).map(|fault| fault.row).collect();
            rows.len()
        };
        assert!(rows(|group| group != Group::Indexer) >= 45);
        assert!(rows(|group| group == Group::Indexer) >= 14);
    }

    #[test]
    fn both_variants_of_each_fault_can_be_made_and_declare_their_buffers() {
        for fault in all() {
            for variant in [Variant::Planted, Variant::Clean] {
                let step = (fault.step)(variant).unwrap_or_else(|error| panic!("{}: {error}", fault.name));
                assert_eq!(step.name(), fault.name);
                assert!(!step.buffers().is_empty());
            }
        }
    }
}
