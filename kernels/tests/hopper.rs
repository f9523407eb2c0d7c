//! The lanes on `wgmma`, executed by a device of sm_90, against the scalar host reference: bit for bit on every input,
//! since how that device adds up is part of the reference.
//!
//! On a machine with such a GPU, `GRAPHPROOF_TEST_DRIVER=system` runs the same comparison on it.

#[path = "support/mod.rs"]
mod support;

use std::sync::{Arc, Once};

use graphproof_harness::gate;
use graphproof_harness::step::{HostBuffers, Step};
use graphproof_kernels::peak::{Format, Peak};
use graphproof_kernels::{Lane, PtxSource, reference};
use support::{STEPS, bit_for_bit, observe, whole_numbers};

/// The software device of this program is an sm_90.
fn hopper() {
    static ONCE: Once = Once::new();
    // SAFETY: before the first use of the driver, which alone reads it; other tests of this program wait here.
    ONCE.call_once(|| unsafe { std::env::set_var("GRAPHPROOF_COMPUTE_CAPABILITY", "9.0") });
}

#[test]
fn the_default_shape_agrees_bit_for_bit() {
    hopper();
    for lane in Lane::HOPPER {
        bit_for_bit(lane, "sq=16", STEPS, 7);
    }
}

#[test]
fn extents_that_divide_nothing_agree_bit_for_bit() {
    hopper();
    for shape in ["sq=3,sk=37,b=2,h=5,d=32,topk=50", "sq=5,sk=301,b=1,h=64,d=128,topk=33", "sq=1,sk=1,h=1,topk=1"] {
        for lane in Lane::HOPPER {
            bit_for_bit(lane, shape, 14, 7);
        }
    }
}

#[test]
fn lists_that_are_cut_agree_bit_for_bit() {
    hopper();
    for lane in Lane::HOPPER {
        bit_for_bit(lane, "sq=5,sk=6000,h=2,d=32,topk=300", 7, 0);
    }
}

/// Where no sum is rounded e4m3 loses nothing either: whole numbers are themselves, and their scales powers of two.
#[test]
fn whole_numbers_give_what_the_exact_lane_gives() {
    hopper();
    for seed in whole_numbers() {
        for lane in Lane::HOPPER {
            observe(lane, "sq=3,sk=301,b=2,h=37,d=128,topk=33", 1, seed, |shape, before, after, place| {
                let exact = reference::expected(Lane::Fused, shape, before).expect("the inputs are there");
                for name in ["index", "score", "max", "bits"] {
                    assert!(after.bytes(name).expect(name) == exact.buffers[name], "{place}: '{name}'");
                }
            });
        }
    }
}

/// Of normal numbers, the keys that e4m3 picks are nearly those of the exact lane, and their scores nearly theirs.
#[test]
fn e4m3_agrees_with_the_exact_lane_as_far_as_its_three_bits_go() {
    hopper();
    observe(Lane::FusedFp8, "sq=8,sk=1024,h=64,d=128,topk=128", 1, 0, |shape, before, after, place| {
        let exact = reference::scores(Lane::Fused, shape, before).expect("the inputs are there");
        let fp8 = reference::scores(Lane::FusedFp8, shape, before).expect("the inputs are there");
        let largest = exact.iter().filter(|score| score.is_finite()).fold(0f32, |most, score| most.max(score.abs()));
        for (exact, fp8) in exact.iter().zip(&fp8) {
            assert!(exact == fp8 || (exact - fp8).abs() < largest / 16.0, "{place}: {fp8} instead of {exact}");
        }
        let (keys, topk) = (shape.sk as usize, shape.topk as usize);
        let picked = after.slice::<i32>("index").expect("index");
        let mut same = 0;
        for (row, picks) in picked.chunks(topk).enumerate() {
            let best = reference::pick(&exact[row * keys..][..keys], topk);
            same += best.iter().filter(|pick| picks.contains(&(pick.index as i32))).count();
        }
        let share = same as f64 / picked.iter().filter(|&&index| index >= 0).count() as f64;
        assert!(share > 0.93, "{place}: {share}");
    });
}

/// Each warpgroup's sums are those of all products of its rows and columns.
#[test]
fn the_peak_multiplies_what_it_says() {
    hopper();
    for (format, rounds) in [(Format::Bf16, 3u32), (Format::E4m3, 2)] {
        let step = Peak::of(format, 2, rounds, PtxSource::Committed).expect("its PTX is there");
        assert_eq!(
            step.flop(),
            f64::from(rounds) * 2.0 * 2.0 * 2.0 * 64.0 * 256.0 * if format == Format::Bf16 { 64.0 } else { 128.0 }
        );
        let step: Arc<dyn Step> = Arc::new(step);
        let mut visit = |index: u64, before: &HostBuffers, after: &HostBuffers| {
            let bytes = before.bytes("tile").expect("tile");
            // A row's pieces of 16 bytes lie where the 128-byte swizzle puts them.
            let at = |row: usize, byte: usize| row * 128 + ((byte / 16) ^ (row % 8)) * 16 + byte % 16;
            let value = |row: usize, i: usize| match format {
                Format::Bf16 => {
                    let low = at(row, 2 * i);
                    f64::from(f32::from_bits(u32::from(u16::from_le_bytes([bytes[low], bytes[low + 1]])) << 16))
                }
                Format::E4m3 => {
                    let code = bytes[at(row, i)];
                    let magnitude = f64::from(8 + (code & 7)) * f64::from(i32::from(code >> 3 & 15) - 10).exp2();
                    if code & 0x80 == 0 { magnitude } else { -magnitude }
                }
            };
            let elements = if format == Format::Bf16 { 64 } else { 128 };
            let all: f64 = (0..elements)
                .map(|i| {
                    let sum = |rows: std::ops::Range<usize>| rows.map(|row| value(row, i)).sum::<f64>();
                    sum(0..64) * sum(64..320)
                })
                .sum::<f64>()
                * f64::from(rounds);
            for (warpgroup, sums) in after.slice::<f32>("sums").expect("sums").chunks(128).enumerate() {
                let found: f64 = sums.iter().copied().map(f64::from).sum();
                let size = 64.0 * 256.0 * elements as f64;
                assert!(
                    (found - all).abs() < 1e-3 * size.sqrt() * 64.0,
                    "step {index}, {warpgroup}: {found} instead of {all}"
                );
            }
        };
        gate::observe(&support::session(), &step, 2, 0, &mut visit)
            .expect("the run takes place")
            .expect("the step runs");
    }
}
