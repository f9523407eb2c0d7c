//! Every lane, executed by the driver, against the scalar host reference: bit for bit, but for
//! the lanes on tensor cores, whose order of additions is the hardware's: they agree bit for bit where no sum is
//! rounded.
//!
//! On a machine with a GPU, `GRAPHPROOF_TEST_DRIVER=system` runs the same comparison on it.

#[path = "support/mod.rs"]
mod support;

use graphproof_kernels::{Lane, reference};
use support::{STEPS, bit_for_bit, observe, whole_numbers};

const EXACT: [Lane; 3] = [Lane::Materialized, Lane::Streamed, Lane::Fused];
const TENSOR_CORES: [Lane; 3] = [Lane::FusedMma, Lane::Decode, Lane::DecodePaged];

#[test]
fn the_default_shape_agrees_bit_for_bit() {
    for lane in EXACT {
        bit_for_bit(lane, "", STEPS, 7);
    }
}

#[test]
fn extents_that_divide_nothing_agree_bit_for_bit() {
    for shape in ["sq=3,sk=37,b=2,h=5,d=32,topk=50", "sq=17,sk=301,b=1,h=3,d=128,topk=33", "sq=1,sk=1,h=1,topk=1"] {
        for lane in EXACT {
            bit_for_bit(lane, shape, STEPS, 7);
        }
    }
}

#[test]
fn more_keys_than_one_pass_of_the_selection_agree_bit_for_bit() {
    for lane in EXACT {
        bit_for_bit(lane, "sq=2,sk=5000,h=2,d=32,topk=2048", 6, 7);
    }
}

fn close(lane: Lane, shape: &str, steps: u64) {
    observe(lane, shape, steps, 7, |shape, before, after, place| {
        let scores = reference::scores(lane, shape, before).expect("the inputs are there");
        let (index, score) = (after.slice("index").expect("index"), after.slice("score").expect("score"));
        let largest = scores.iter().filter(|score| score.is_finite()).fold(0f32, |most, score| most.max(score.abs()));
        let tolerance = 1e-5 * largest.max(1.0);
        reference::close_enough(&scores, shape.sk as usize, index, score, shape.topk as usize, tolerance)
            .unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let expected = reference::expected(lane, shape, before).expect("the inputs are there");
        for name in ["cache", "pages", "position"].into_iter().filter(|&name| expected.buffers.contains_key(name)) {
            assert!(after.bytes(name).expect(name) == expected.buffers[name], "{place}: '{name}'");
        }
    });
}

#[test]
fn the_tensor_core_lanes_agree_up_to_the_order_of_additions() {
    for lane in TENSOR_CORES {
        for shape in ["", "sq=5,sk=130,b=2,h=20,d=128,topk=40", "sq=1,sk=1,h=1,topk=1"] {
            close(lane, shape, STEPS);
        }
    }
}

#[test]
fn the_tensor_core_lanes_agree_bit_for_bit_where_no_sum_is_rounded() {
    for lane in TENSOR_CORES {
        for shape in ["b=4", "sq=3,sk=301,b=4,h=37,d=128,topk=33"] {
            whole_numbers().for_each(|seed| bit_for_bit(lane, shape, 1, seed));
        }
    }
}

#[test]
fn pages_of_any_size_hold_the_cache_of_each_row() {
    for shape in
        ["sk=320,b=3,page=128,h=3,d=64,topk=40", "sk=1000,b=2,page=448,h=37,d=128,topk=300", "sk=9000,page=64,h=2,d=32"]
    {
        whole_numbers().for_each(|seed| bit_for_bit(Lane::DecodePaged, shape, 1, seed));
        close(Lane::DecodePaged, shape, STEPS);
    }
}

#[test]
fn decode_selects_from_more_keys_than_one_block_holds_and_with_more_heads_than_are_staged() {
    for shape in ["sk=200,b=2,h=70,d=32,topk=40", "sk=40000,b=2,h=2,d=32,topk=2048"] {
        whole_numbers().for_each(|seed| bit_for_bit(Lane::Decode, shape, 1, seed));
    }
    close(Lane::Decode, "sk=200,b=2,h=70,d=32,topk=40", STEPS);
    close(Lane::Decode, "sk=20000,h=2,d=32,topk=2000", 8);
}
