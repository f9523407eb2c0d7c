//! Every lane, executed by the driver, against the scalar host reference: bit for bit, but for
//! the tensor-core lane, whose order of additions is the hardware's.
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

fn observe(lane: Lane, shape: &str, steps: u64, check: impl Fn(&Shape, &HostBuffers, &HostBuffers, &str)) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let shape: Shape = shape.parse().expect("a shape");
    let step: Arc<dyn Step> =
        Arc::from(graphproof_kernels::step(lane.name(), &shape, PtxSource::Committed).expect("a step"));
    let mut visit = |index: u64, before: &HostBuffers, after: &HostBuffers| {
        check(&shape, before, after, &format!("{lane} {shape} step {index}"));
    };
    gate::observe(&session(), &step, steps, 7, &mut visit).expect("the run takes place").expect("the step runs");
}

fn bit_for_bit(lane: Lane, shape: &str, steps: u64) {
    observe(lane, shape, steps, |shape, before, after, place| {
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

const EXACT: [Lane; 4] = [Lane::Materialized, Lane::Streamed, Lane::Fused, Lane::Decode];

#[test]
fn the_default_shape_agrees_bit_for_bit() {
    for lane in EXACT {
        bit_for_bit(lane, "", STEPS);
    }
}

#[test]
fn extents_that_divide_nothing_agree_bit_for_bit() {
    for shape in ["sq=3,sk=37,b=2,h=5,d=32,topk=50", "sq=17,sk=301,b=1,h=3,d=128,topk=33", "sq=1,sk=1,h=1,topk=1"] {
        for lane in EXACT {
            bit_for_bit(lane, shape, STEPS);
        }
    }
}

#[test]
fn more_keys_than_one_pass_of_the_selection_agree_bit_for_bit() {
    for lane in EXACT {
        bit_for_bit(lane, "sq=2,sk=5000,h=2,d=32,topk=2048", 6);
    }
}

#[test]
fn the_tensor_core_lane_agrees_up_to_the_order_of_additions() {
    for shape in ["", "sq=5,sk=130,b=2,h=20,d=128,topk=40"] {
        observe(Lane::FusedMma, shape, STEPS, |shape, before, after, place| {
            let scores = reference::scores(Lane::FusedMma, shape, before).expect("the inputs are there");
            let (index, score) = (after.slice("index").expect("index"), after.slice("score").expect("score"));
            let largest =
                scores.iter().filter(|score| score.is_finite()).fold(0f32, |most, score| most.max(score.abs()));
            let tolerance = 1e-5 * largest.max(1.0);
            reference::close_enough(&scores, shape.sk as usize, index, score, shape.topk as usize, tolerance)
                .unwrap_or_else(|error| panic!("{place}: {error:?}"));
        });
    }
}
