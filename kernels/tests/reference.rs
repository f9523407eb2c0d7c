//! Every lane, executed by the driver, against the scalar host reference: bit for bit, but for
//! the lanes on tensor cores, whose order of additions is the hardware's: they agree bit for bit where no sum is
//! rounded.
//!
//! On a machine with a GPU, `GRAPHPROOF_TEST_DRIVER=system` runs the same comparison on it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverChoice};
use graphproof_harness::gate;
use graphproof_harness::step::{HostBuffers, Step};
use graphproof_kernels::{Lane, PtxSource, Shape, reference};

/// Steps that visit every family of inputs.
const STEPS: u64 = 24;

fn session() -> Arc<Session> {
    static SESSION: OnceLock<Arc<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(|| {
        let choice = std::env::var("GRAPHPROOF_TEST_DRIVER").map_or(Ok(DriverChoice::Software), |text| text.parse());
        Arc::new(driver::open(choice.expect("auto, system or software")).expect("the driver opens").1)
    });
    session.bind().expect("the context binds");
    Arc::clone(session)
}

fn observe(lane: Lane, shape: &str, steps: u64, seed: u64, check: impl Fn(&Shape, &HostBuffers, &HostBuffers, &str)) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let shape: Shape = shape.parse().expect("a shape");
    let step: Arc<dyn Step> =
        Arc::from(graphproof_kernels::step(lane.name(), &shape, PtxSource::Committed).expect("a step"));
    let mut visit = |index: u64, before: &HostBuffers, after: &HostBuffers| {
        check(&shape, before, after, &format!("{lane} {shape} seed {seed} step {index}"));
    };
    gate::observe(&session(), &step, steps, seed, &mut visit).expect("the run takes place").expect("the step runs");
}

fn bit_for_bit(lane: Lane, shape: &str, steps: u64, seed: u64) {
    observe(lane, shape, steps, seed, |shape, before, after, place| {
        let expected = reference::expected(lane, shape, before).expect("the inputs are there");
        for (name, bytes) in &expected.buffers {
            let seen = after.bytes(name).unwrap_or_else(|error| panic!("{place}: {error}"));
            if let Some(at) = seen.iter().zip(bytes).position(|(a, b)| a != b) {
                let word = at / 4 * 4;
                let show = |bytes: &[u8]| format!("{:02x?}", &bytes[word..(word + 4).min(bytes.len())]);
                panic!("{place}: '{name}' differs at byte {at}: {} instead of {}", show(seen), show(bytes));
            }
            assert_eq!(seen.len(), bytes.len(), "{place}: '{name}'");
        }
    });
}

const EXACT: [Lane; 3] = [Lane::Materialized, Lane::Streamed, Lane::Fused];
const TENSOR_CORES: [Lane; 2] = [Lane::FusedMma, Lane::Decode];

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
        for name in ["cache", "position"].into_iter().filter(|&name| expected.buffers.contains_key(name)) {
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

/// Seeds whose step 0 is of whole numbers, the index cache too, under each kind of limits.
fn whole_numbers() -> impl Iterator<Item = u64> {
    use graphproof_kernels::inputs::{Data, LIMITS, families};
    let seeds = (0..).filter(|&seed| families(0, seed).0 == Data::SmallIntegers);
    seeds.take(LIMITS.len())
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
fn decode_selects_from_more_keys_than_one_block_holds_and_with_more_heads_than_are_staged() {
    for shape in ["sk=200,b=2,h=70,d=32,topk=40", "sk=40000,b=2,h=2,d=32,topk=2048"] {
        whole_numbers().for_each(|seed| bit_for_bit(Lane::Decode, shape, 1, seed));
    }
    close(Lane::Decode, "sk=200,b=2,h=70,d=32,topk=40", STEPS);
    close(Lane::Decode, "sk=20000,h=2,d=32,topk=2000", 8);
}
