//! Runs lanes on a driver and hands on what they were given and what they left.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graphproof_harness::cuda::Session;
use graphproof_harness::driver::{self, DriverChoice};
use graphproof_harness::gate;
use graphproof_harness::step::{HostBuffers, Step};
use graphproof_kernels::{Lane, PtxSource, Shape, reference};

/// Steps that visit every family of inputs.
pub const STEPS: u64 = 24;

/// The driver that `GRAPHPROOF_TEST_DRIVER` names, or the software driver; the same for all tests of a program.
pub fn session() -> Arc<Session> {
    static SESSION: OnceLock<Arc<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(|| {
        let choice = std::env::var("GRAPHPROOF_TEST_DRIVER").map_or(Ok(DriverChoice::Software), |text| text.parse());
        Arc::new(driver::open(choice.expect("auto, system or software")).expect("the driver opens").1)
    });
    session.bind().expect("the context binds");
    Arc::clone(session)
}

/// Runs steps eagerly and shows each: shape, buffers before it, buffers behind it, and where it is.
pub fn observe(
    lane: Lane,
    shape: &str,
    steps: u64,
    seed: u64,
    check: impl Fn(&Shape, &HostBuffers, &HostBuffers, &str),
) {
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

/// Every output is the scalar reference's.
pub fn bit_for_bit(lane: Lane, shape: &str, steps: u64, seed: u64) {
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

/// Seeds whose step 0 is of whole numbers, the index cache too, under each kind of limits.
pub fn whole_numbers() -> impl Iterator<Item = u64> {
    use graphproof_kernels::inputs::{Data, LIMITS, families};
    let seeds = (0..).filter(|&seed| families(0, seed).0 == Data::SmallIntegers);
    seeds.take(LIMITS.len())
}
