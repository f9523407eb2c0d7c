//! What follows the buffers is right, however it follows them: caches that are keyed by addresses, and
//! numbers that are made from addresses. What does not follow them is found, however it is hidden.

mod common;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{TestStep, judge};
use cudarc::driver::sys;
use graphproof_harness::context::{Launch, Phase, StepContext};
use graphproof_harness::error::{StepError, StepResult};
use graphproof_harness::gate::LaneOutcome;
use graphproof_harness::step::{BufferSpec, DType};

const N: usize = 32;

fn buffers() -> Vec<BufferSpec> {
    vec![
        BufferSpec::input("in", DType::F32, [N]),
        BufferSpec::input("w", DType::F32, [N]),
        BufferSpec::output("out", DType::F32, [N]),
    ]
}

fn ids(outcome: &LaneOutcome) -> Vec<&str> {
    outcome.report.findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn clean(outcome: &LaneOutcome, what: &str) {
    assert!(outcome.report.findings.is_empty(), "{what}: {:#?}", outcome.report.findings);
    assert_eq!(outcome.report.steps_agreeing, outcome.report.steps_compared, "{what}");
}

/// A table of one address on the device.
fn table_of(address: u64) -> Result<u64, (&'static str, sys::CUresult)> {
    let mut table = 0;
    // SAFETY: the address is written to a local.
    let allocated = unsafe { sys::cuMemAlloc_v2(&mut table, 8) };
    if allocated != sys::CUresult::CUDA_SUCCESS {
        return Err(("cuMemAlloc_v2", allocated));
    }
    // SAFETY: eight bytes of a local, into eight bytes just allocated.
    let copied = unsafe { sys::cuMemcpyHtoD_v2(table, (&raw const address).cast(), 8) };
    if copied == sys::CUresult::CUDA_SUCCESS { Ok(table) } else { Err(("cuMemcpyHtoD_v2", copied)) }
}

fn through(cx: &mut StepContext<'_>, table: u64) -> StepResult<()> {
    cx.launch(Launch::new("add_through").block([32, 1, 1]).value(table).buffer("in").buffer("out").value(N as u32))
}

/// A step that makes a table of its input's address once for each `key`.
fn cached(key: fn(&StepContext<'_>) -> StepResult<u64>) -> TestStep {
    let tables: Mutex<HashMap<u64, u64>> = Mutex::default();
    TestStep::new(buffers(), move |cx| {
        let (key, w) = (key(cx)?, cx.address("w")?);
        let mut tables = tables.lock().unwrap();
        let table = match tables.get(&key) {
            Some(&table) => table,
            None => {
                let table = match table_of(w) {
                    Ok(table) => table,
                    Err((function, result)) => return cx.check(function, result),
                };
                cx.check("cuMemcpyHtoD_v2", sys::CUresult::CUDA_SUCCESS)?;
                *tables.entry(key).or_insert(table)
            }
        };
        through(cx, table)
    })
}

#[test]
fn a_cache_that_is_keyed_by_addresses_is_full_when_the_step_is_captured() {
    clean(&judge(cached(|cx| cx.address("w")), 12), "keyed by the input");
    clean(&judge(cached(|cx| Ok(cx.address("in")? ^ cx.address("out")?.rotate_left(7))), 12), "keyed by a hash");
}

#[test]
fn a_cache_can_be_filled_between_steps() {
    let tables: Arc<Mutex<HashMap<u64, u64>>> = Arc::default();
    let filled = Arc::clone(&tables);
    let mut step = TestStep::new(buffers(), move |cx| {
        let table = tables.lock().unwrap().get(&cx.address("w")?).copied();
        through(cx, table.ok_or_else(|| StepError::other("the host has filled no table"))?)
    });
    step.prepare = Box::new(move |_, cx| {
        let w = cx.address("w")?;
        let mut tables = filled.lock().unwrap();
        if let Entry::Vacant(none) = tables.entry(w) {
            none.insert(table_of(w).map_err(|(_, error)| StepError::other(format!("{error:?}")))?);
        }
        assert!(
            cx.address("nothing")
                .is_err_and(|error| error.site().is_some_and(|site| site.file.ends_with("followed.rs")))
        );
        Ok(())
    });
    clean(&judge(step, 12), "filled by the host");
}

#[test]
fn a_table_of_other_buffers_is_found_behind_its_pointer() {
    let outcome = judge(cached(|_| Ok(0)), 12);
    let findings = &outcome.report.findings;
    let found = findings.iter().find(|finding| finding.id == "A09").unwrap_or_else(|| panic!("{findings:#?}"));
    assert_eq!((found.check.as_str(), ids(&outcome).contains(&"V04")), ("addresses", false), "{findings:#?}");
    assert!(found.seen.contains("'w' of the eager runs"), "{}", found.seen);
    assert!(found.site.as_ref().is_some_and(|site| site.file.ends_with("followed.rs")), "{found:#?}");
    let result = findings.iter().find(|finding| finding.id == "R03").unwrap_or_else(|| panic!("{findings:#?}"));
    assert!(result.help.starts_with("see A09"), "{}", result.help);
}

#[test]
fn a_table_whose_target_moves_inside_an_arena_is_told() {
    let arena = Arc::new(Mutex::new((0u64, 0u64, 0u64)));
    let owner = Arc::clone(&arena);
    let fill = |address: u64, value: u32| {
        // SAFETY: 128 bytes of the arena.
        let result = unsafe { sys::cuMemsetD32_v2(address, value, N) };
        assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
    };
    let mut step = TestStep::new(buffers(), move |cx| {
        let (_, now, captured) = *arena.lock().unwrap();
        through(cx, if capturing(cx) { captured } else { now })
    });
    step.prepare = Box::new(move |index, _| {
        let mut parts = owner.lock().unwrap();
        if parts.0 == 0 {
            // SAFETY: an allocation whose address is written to a local.
            assert_eq!(unsafe { sys::cuMemAlloc_v2(&mut parts.0, 256) }, sys::CUresult::CUDA_SUCCESS);
            fill(parts.0, 7);
            (parts.1, parts.2) = (table_of(parts.0).unwrap(), table_of(parts.0).unwrap());
        }
        if index == 2 {
            fill(parts.0 + 128, 7);
            fill(parts.0, 8);
            parts.1 = table_of(parts.0 + 128).unwrap();
        }
        Ok(())
    });
    let outcome = judge(step, 6);
    assert_eq!(ids(&outcome), ["R01"], "{:#?}", outcome.report.findings);
    let finding = &outcome.report.findings[0];
    assert_eq!(finding.step, Some(2));
    assert!(
        finding.notes.iter().any(|note| note.starts_with("memory behind a pointer in memory differs")),
        "{finding:#?}"
    );
    assert!(finding.help.contains("behind the pointers"), "{}", finding.help);
}

fn capturing(cx: &StepContext<'_>) -> bool {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    // SAFETY: the stream is the harness's, and the status is written to a local.
    let result = unsafe { sys::cuStreamIsCapturing(cx.stream(), &mut status) };
    assert_eq!(result, sys::CUresult::CUDA_SUCCESS);
    status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE
}

/// Makes a description of an input at `w`, with another at `x`.
type Encoding = (&'static str, fn(w: u64, x: u64) -> [u64; 2]);

const ENCODINGS: &[Encoding] = &[
    ("as it is", |w, _| [w, 0]),
    ("without its low bits", |w, _| [0, w >> 4]),
    ("behind a length", |w, _| [(w << 12) | 0x123, 9]),
    ("in two halves", |w, _| [w & 0xffff_ffff, (w >> 32) | 5 << 32]),
    ("halves across words", |w, _| [w << 32, w >> 32]),
    ("tagged above", |w, _| [w | 0x8001 << 48, 0]),
    ("negated", |w, _| [w.wrapping_neg(), !w]),
    ("swapped", |w, _| [w.swap_bytes(), 1]),
    ("hidden", |w, _| [w ^ 0x5bd1_e995_9d1b_54a3, 0]),
    ("as a distance", |w, x| [w.wrapping_sub(x), 0]),
    ("as elements from another", |w, x| [(w.wrapping_sub(x) / 4) | 1 << 40, 0]),
    ("as a hash", |w, x| [w.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ x, 0]),
];

fn described(encode: fn(u64, u64) -> [u64; 2], beside: impl Fn() -> u64 + Send + Sync + 'static) -> TestStep {
    TestStep::new(buffers(), move |cx| {
        let [first, second] = encode(cx.address("w")?, cx.address("in")?);
        // In bits that no encoding above needs whole: what is baked changes the same words.
        let described = [first, second.wrapping_add(beside() << 56)];
        let launch = Launch::new("copy_described").block([32, 1, 1]).buffer("in").buffer("out");
        cx.launch(launch.value(N as u32).value(described))
    })
}

#[test]
fn numbers_that_are_made_from_addresses_are_right_however_they_are_made() {
    for &(name, encode) in ENCODINGS {
        clean(&judge(described(encode, || 0), 6), name);
    }
}

#[test]
fn a_number_that_is_baked_beside_an_address_is_found_in_every_encoding() {
    for period in [2, 3, 5, u64::MAX] {
        for &(name, encode) in ENCODINGS {
            let calls = AtomicU64::new(0);
            let outcome = judge(described(encode, move || calls.fetch_add(1, Ordering::Relaxed) % period), 8);
            let found = ids(&outcome);
            assert!(found.contains(&"V01") || found.contains(&"A09"), "{name}, {period}: {found:?}");
        }
    }
    for &(name, encode) in ENCODINGS {
        let now = Arc::new(AtomicU64::new(0));
        let prepared = Arc::clone(&now);
        let mut step = described(encode, move || now.load(Ordering::Relaxed));
        step.prepare = Box::new(move |index, cx| {
            if cx.phase() == Phase::Eager {
                prepared.store(index, Ordering::Relaxed);
            }
            Ok(())
        });
        assert!(ids(&judge(step, 6)).contains(&"V01"), "{name}, by the step");
    }
}
