//! The lanes on `wgmma`, executed by a device of sm_90, against the scalar host reference: bit for bit on every input,
//! since how that device adds up is part of the reference.
//!
//! On a machine with such a GPU, `GRAPHPROOF_TEST_DRIVER=system` runs the same comparison on it.

#[path = "support/mod.rs"]
mod support;

use std::sync::Once;

use graphproof_kernels::{Lane, reference};
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
