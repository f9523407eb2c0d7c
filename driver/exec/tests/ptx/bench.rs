//! What measures the engine does what it says.

use graphproof_exec::bench::{fma_lanes_per_second, module};
use graphproof_exec::{Isa, Program};

#[test]
fn every_vector_width_has_its_loop() {
    for isa in Isa::available() {
        let found = fma_lanes_per_second(isa);
        assert_eq!(found.is_some(), isa != Isa::Baseline, "{isa:?}");
        assert!(found.is_none_or(|lanes| lanes > 0.0 && lanes.is_finite()));
    }
}

#[test]
fn the_module_that_is_measured_loads_without_decoding_and_runs() {
    let text = module(6, 60_000);
    assert!((60_000..70_000).contains(&text.len()));
    let program = Program::load(&text).expect("PTX");
    assert_eq!((program.entries.len(), program.decoded()), (6, 0));
    assert!(program.refusals().is_empty());
    assert_eq!(program.decoded(), 6);
}
