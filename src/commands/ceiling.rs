//! What stands beside a step's device time: the device's ceiling for the arithmetic, and a plain way to do the same.

use std::collections::BTreeMap;
use std::time::Duration;

use graphproof_harness::cuda::Session;
use graphproof_harness::gate;
use graphproof_harness::report::{Achieved, Beside, OfCeiling};

use crate::suite::{Ceiling, Suite, SuiteError};

/// Ceilings that were measured, by what they are: TFLOP/s.
#[derive(Debug, Default)]
pub struct Ceilings(BTreeMap<String, f64>);

impl Ceilings {
    /// The ceiling of a step that reaches `tflops`, measured if it has not been. None where the suite has none, or where it
    /// cannot be measured, which standard error says.
    pub fn of(
        &mut self,
        suite: &dyn Suite,
        session: &Session,
        step: &str,
        tflops: f64,
    ) -> Result<Option<OfCeiling>, SuiteError> {
        let Some(ceiling) = suite.ceiling(step)? else { return Ok(None) };
        let known = self.0.get(&ceiling.name).copied();
        let Some(most) = known.or_else(|| measure(session, &ceiling)) else { return Ok(None) };
        self.0.insert(ceiling.name.clone(), most);
        Ok(Some(OfCeiling { what: ceiling.name, tflops: most, share: tflops / most }))
    }
}

/// Sets what steps achieve beside the plain one among them: each with its name and its device time.
pub fn set_beside<'a>(steps: impl IntoIterator<Item = (&'a str, u64, &'a mut Achieved)>, plain: Option<&str>) {
    let mut steps: Vec<_> = steps.into_iter().collect();
    let Some((name, time)) = steps.iter().find(|(step, ..)| Some(*step) == plain).map(|&(step, time, _)| (step, time))
    else {
        return;
    };
    for (_, own, achieved) in steps.iter_mut().filter(|(step, ..)| *step != name) {
        let times_as_fast = time as f64 / (*own).max(1) as f64;
        achieved.beside = Some(Beside { step: name.to_owned(), times_as_fast });
    }
}

/// TFLOP/s of a ceiling; standard error says why there are none.
fn measure(session: &Session, ceiling: &Ceiling) -> Option<f64> {
    let failed = match gate::measure(session, &ceiling.step, Duration::ZERO, &mut |_, _| ()) {
        Ok(Ok(speed)) => return Some(ceiling.flop / speed.replay_back_to_back.median.max(1) as f64 / 1e3),
        Ok(Err(findings)) => format!("{} findings", findings.len()),
        Err(error) => error.to_string(),
    };
    eprintln!("note: {} was not measured: {failed}", ceiling.name);
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use graphproof_harness::driver::{self, DriverChoice};
    use graphproof_harness::step::Step;
    use graphproof_kernels::{PtxSource, Shape};

    use super::*;
    use crate::suite::{Listed, Parameters};

    /// One step, whose ceiling is itself.
    struct Own;

    impl Suite for Own {
        fn name(&self) -> &str {
            "own"
        }

        fn steps(&self) -> Vec<Listed> {
            vec![Listed::new("fused", "a lane"), Listed::new("decode", "a lane without a ceiling")]
        }

        fn step(&self, name: &str, _: &Parameters) -> Result<Arc<dyn Step>, SuiteError> {
            let shape = Shape { sq: 4, sk: 64, ..Shape::default() };
            Ok(Arc::from(graphproof_kernels::step(name, &shape, PtxSource::Committed).expect("a lane")))
        }

        fn ceiling(&self, step: &str) -> Result<Option<Ceiling>, SuiteError> {
            let own = || Ok(Ceiling { name: "itself".to_owned(), step: self.step(step, &self.shape("")?)?, flop: 1e9 });
            (step == "fused").then(own).transpose()
        }
    }

    #[test]
    fn steps_stand_beside_the_plain_one_by_their_device_times() {
        let mut achieved = [(); 3].map(|()| Achieved::of(1e9, 1_000_000));
        let [plain, fast, slow] = &mut achieved;
        set_beside([("fast", 25, fast), ("plain", 100, plain), ("slow", 200, slow)], Some("plain"));
        let beside = |times_as_fast| Some(Beside { step: "plain".to_owned(), times_as_fast });
        assert_eq!(achieved.map(|of| of.beside), [None, beside(4.0), beside(0.5)]);
        let mut alone = Achieved::of(1e9, 1_000_000);
        set_beside([("fast", 25, &mut alone)], Some("plain"));
        assert_eq!((alone.tflops, alone.beside), (1.0, None));
    }

    #[test]
    fn a_ceiling_is_measured_once_and_only_where_there_is_one() {
        let (_, session) = driver::open(DriverChoice::Software).expect("the driver opens");
        let mut ceilings = Ceilings::default();
        let first = ceilings.of(&Own, &session, "fused", 2.0).expect("the suite says").expect("it is measured");
        assert!(first.tflops > 0.0 && first.share == 2.0 / first.tflops && first.what == "itself", "{first:?}");
        let again = ceilings.of(&Own, &session, "fused", 1.0).expect("the suite says").expect("it is known");
        assert_eq!((again.tflops, again.share), (first.tflops, first.share / 2.0));
        assert_eq!(ceilings.of(&Own, &session, "decode", 1.0).expect("the suite says"), None);
    }
}
